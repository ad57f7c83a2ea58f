"""Matrix products: what BLAS computes."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.constants import cast, common_dtype, promoted
from graphc.errors import DtypeError, ShapeError
from graphc.ir import Bound, Node, Op, Operand, Product
from graphc.ops.reduce import sum
from graphc.ops.shape import reshape, transpose
from graphc.types import TensorType


def _dot_type(a: TensorType, b: TensorType) -> TensorType:
    if a.dtype != b.dtype or not a.floating:
        raise DtypeError(f"wants float operands of one dtype, got {a} and {b}")
    if a.ndim not in (1, 2) or b.ndim not in (1, 2):
        raise ShapeError(f"wants vectors or matrices, got {a} and {b}; for a scalar use a * b")
    if a.shape[-1] != b.shape[0]:
        remedy = _dot_remedy(a, b)
        raise ShapeError(
            f"the last axis of a and the first of b must be equal, got {a.shape[-1]} and {b.shape[0]}{remedy}"
        )
    return TensorType(a.dtype, a.shape[:-1] + b.shape[1:])


def _dot_remedy(a: TensorType, b: TensorType) -> str:
    if a.shape[-1] == b.shape[-1]:
        return "; the shapes fit if b is transposed: dot(a, b.T)"
    if a.shape[0] == b.shape[0]:
        return "; the shapes fit if a is transposed: dot(a.T, b)"
    return ""


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


dot = Op(
    "dot",
    Product(),
    _dot_type,
    np.dot,
    _dot_grad,
    lambda a, b: (_common_floats(a, b), {}),
    analytic=True,
    doc="The dot product of vectors and matrices: (k)·(k), (m,k)·(k), (k)·(k,n) and (m,k)·(k,n); also `a @ b`.",
)


def _gemm_type(a: TensorType, b: TensorType, c: TensorType, alpha: TensorType, beta: TensorType) -> TensorType:
    product = _dot_type(a, b)
    if product != c:
        raise ShapeError(f"a @ b is {product}, but c is {c}")
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
