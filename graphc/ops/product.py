"""Matrix products: what BLAS computes, and all that becomes one by reshapes: dot, matmul, tensordot, outer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.constants import as_node, cast, common_dtype, promoted
from graphc.errors import DtypeError, ShapeError
from graphc.explained import teaching
from graphc.ir import Bound, Node, Op, Operand
from graphc.kinds import Composite, Product
from graphc.ops.arithmetic import multiply
from graphc.ops.reduce import sum
from graphc.ops.shape import broadcast_to, moveaxis, ravel, reshape, swapaxes, transpose
from graphc.sizes import product
from graphc.types import TensorType, broadcast, ints_of, normal_axis

# ---- dot ------------------------------------------------------------------------------------------------------------


def _dot_type(a: TensorType, b: TensorType) -> TensorType:
    if a.dtype != b.dtype or not a.floating:
        raise DtypeError(f"wants float operands of one dtype, got {a} and {b}")
    if a.ndim not in (1, 2) or b.ndim not in (1, 2):
        raise ShapeError(f"wants vectors or matrices, got {a} and {b}")
    if a.shape[-1] != b.shape[0]:
        raise ShapeError(f"the last axis of a and the first of b must be equal, got {a.shape[-1]} and {b.shape[0]}")
    return TensorType(a.dtype, a.shape[:-1] + b.shape[1:])


def _dot_grad(g: Node, y: Node, a: Node, b: Node) -> tuple[Node, Node]:
    """dot(A, B): G B' and A' G. A vector acts as a row on the left and as a column on the right."""
    if a.ndim == 1 and b.ndim == 1:
        return g * b, g * a
    if a.ndim == 1:
        return dot(b, g), reshape(a, (-1, 1)) * g
    if b.ndim == 1:
        return reshape(g, (-1, 1)) * b, dot(transpose(a), g)
    return dot(g, transpose(b)), dot(transpose(a), g)


def _common_floats(a: Operand, b: Operand) -> tuple[Node, Node]:
    dtype = common_dtype(a, b, floating=True)
    return cast(a, dtype), cast(b, dtype)


def _dot_bind(a: Operand, b: Operand) -> Bound:
    """Vectors and matrices are BLAS's; other ranks become matrices: the last axis of a meets the second last of b."""
    left, right = _common_floats(a, b)
    if not left.ndim or not right.ndim:
        return multiply(left, right)
    if left.ndim <= 2 and right.ndim <= 2:
        return (left, right), {}
    right = right if right.ndim <= 2 else moveaxis(right, -2, 0)
    if left.shape[-1] != right.shape[0]:
        axis = "the only axis" if right.ndim == 1 else "the second last axis" if as_node(b).ndim > 1 else "the axis"
        raise ShapeError(f"the last axis of a and {axis} of b must be equal, got {left.shape[-1]} and {right.shape[0]}")
    return _contracted(left, right, 1)


def _contracted(a: Node, b: Node, count: int) -> Node:
    """The sum of products over the last `count` axes of a and the first of b, as one product of matrices."""
    kept_a, kept_b = a.shape[: a.ndim - count], b.shape[count:]
    inner = product(b.shape[:count])
    left, right = reshape(a, (product(kept_a), inner)), reshape(b, (inner, product(kept_b)))
    return reshape(dot(left, right), (*kept_a, *kept_b))


dot: Op = Op(
    "dot",
    Product(),
    _dot_type,
    np.dot,
    _dot_grad,
    _dot_bind,
    analytic=True,
    doc="The sum of products over the last axis of a and the second last of b (its only one, if b is a vector): "
    "(k)·(k), (m,k)·(k,n), (a,b,c,d)·(d) -> (a,b,c), (a,b,c,d)·(d,e) -> (a,b,c,e). A scalar multiplies.",
)

# ---- many products at once ------------------------------------------------------------------------------------------


def _batched_type(a: TensorType, b: TensorType) -> TensorType:
    if a.dtype != b.dtype or not a.floating:
        raise DtypeError(f"wants float operands of one dtype, got {a} and {b}")
    if a.ndim != 3 or b.ndim != 3 or a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        raise ShapeError(f"wants (n,m,k) and (n,k,p), got {a} and {b}")
    return TensorType(a.dtype, (*a.shape[:2], b.shape[2]))


batched_dot: Op = Op(
    "batched_dot",
    Product(),
    _batched_type,
    np.matmul,
    lambda g, y, a, b: (batched_dot(g, swapaxes(b, 1, 2)), batched_dot(swapaxes(a, 1, 2), g)),
    lambda a, b: (_common_floats(a, b), {}),
    analytic=True,
    doc="A matrix product for each element of the first axis: (n,m,k) and (n,k,p) give (n,m,p).",
)


def _matmul_type(a: TensorType, b: TensorType) -> TensorType:
    if not a.ndim or not b.ndim:
        raise ShapeError(f"wants tensors with axes, got {a} and {b}; for a scalar use a * b")
    if a.ndim <= 2 and b.ndim <= 2:
        return _dot_type(a, b)
    inner = b.shape[-2] if b.ndim > 1 else b.shape[0]
    if a.shape[-1] != inner:
        raise ShapeError(f"the last axis of a and the second last of b must be equal, got {a.shape[-1]} and {inner}")
    batch = broadcast(a.shape[:-2], b.shape[:-2])
    return TensorType(a.dtype, (*batch, *a.shape[-2:-1], *(b.shape[-1:] if b.ndim > 1 else ())))


def _matmul_bind(a: Operand, b: Operand) -> Bound:
    left, right = _common_floats(a, b)
    return dot(left, right) if left.ndim in (1, 2) and right.ndim in (1, 2) else ((left, right), {})


def _matmul_of(a: Node, b: Node) -> Node:
    """One product of matrices where b has no batch axes, else one for each of them."""
    if b.ndim <= 2:
        return dot(a, b)
    left = reshape(a, (1, -1)) if a.ndim == 1 else a
    batch = broadcast(left.shape[:-2], b.shape[:-2])
    shapes = [(*batch, *each.shape[-2:]) for each in (left, b)]
    stacked = [
        reshape(each if each.shape == shape else broadcast_to(each, shape), (product(batch), *shape[-2:]))
        for each, shape in zip((left, b), shapes, strict=True)
    ]
    rows = left.shape[-2:-1] if a.ndim > 1 else ()
    return reshape(batched_dot(*stacked), (*batch, *rows, b.shape[-1]))


matmul: Op = Op(
    "matmul",
    Composite(_matmul_of),
    _matmul_type,
    np.matmul,
    bind=_matmul_bind,
    analytic=True,
    doc="The product of the matrices in the last two axes; axes before them broadcast. Also `a @ b`.",
)


@teaching
def tensordot(a: Operand, b: Operand, axes: int | Sequence[Any] = 2) -> Node:
    """The sum of products over axes of a and of b: the last `axes` of a and the first of b, or (axes of a, of b)."""
    left, right = _common_floats(a, b)
    if isinstance(axes, (int, np.integer)):
        pairs = [list(range(left.ndim - axes, left.ndim)), list(range(axes))]
    else:
        pairs = [ints_of(each) for each in axes]
        if len(pairs) != 2 or len(pairs[0]) != len(pairs[1]):
            raise ShapeError(f"tensordot: axes is an int, or as many axes of a as of b, got {axes}")
    of_a, of_b = (
        [normal_axis(axis, n) for axis in each] for each, n in zip(pairs, (left.ndim, right.ndim), strict=True)
    )
    if [left.shape[axis] for axis in of_a] != [right.shape[axis] for axis in of_b]:
        raise ShapeError(f"tensordot: axes {of_a} of {left.type} and {of_b} of {right.type} must be of equal sizes")
    left = moveaxis(left, of_a, range(left.ndim - len(of_a), left.ndim))
    return _contracted(left, moveaxis(right, of_b, range(len(of_b))), len(of_a))


@teaching
def outer(a: Operand, b: Operand) -> Node:
    """Each element of a times each of b, both ravelled: a matrix."""
    return multiply(reshape(ravel(a), (-1, 1)), ravel(b))


# ---- gemm -----------------------------------------------------------------------------------------------------------


def _gemm_type(a: TensorType, b: TensorType, c: TensorType, alpha: TensorType, beta: TensorType) -> TensorType:
    matrices = _dot_type(a, b)
    if matrices != c:
        raise ShapeError(f"a @ b is {matrices}, but c is {c}")
    if alpha != beta or alpha != TensorType(c.dtype, ()):
        raise DtypeError(f"alpha and beta are scalars of c's dtype, got {alpha} and {beta}")
    return c


def _gemm_grad(g: Node, y: Node, a: Node, b: Node, c: Node, alpha: Node, beta: Node) -> tuple[Node, ...]:
    da, db = _dot_grad(g, y, a, b)
    return alpha * da, alpha * db, beta * g, sum(g * dot(a, b)), sum(g * c)


def _gemm_bind(a: Operand, b: Operand, c: Operand, alpha: Operand, beta: Operand) -> Bound:
    return (*_common_floats(a, b), *promoted(c, alpha, beta, floating=True)), {}


def _gemm(a: Any, b: Any, c: Any, alpha: Any, beta: Any) -> Any:
    return alpha * np.dot(a, b) + beta * c


gemm = Op(
    "gemm",
    Product(),
    _gemm_type,
    _gemm,
    _gemm_grad,
    _gemm_bind,
    analytic=True,
    doc="`alpha * dot(a, b) + beta * c` in one BLAS call that overwrites c: what an update of a weight becomes.",
)
