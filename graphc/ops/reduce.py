"""Reductions over any axes.

`axis` is None (all axes), an int or several; `keepdims` leaves reduced axes with size 1.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.constants import as_node, const, promoted
from graphc.errors import ShapeError
from graphc.explained import teaching
from graphc.ir import Bound, Need, Node, Op, Operand
from graphc.kinds import Composite, Extent, Fold
from graphc.ops.arithmetic import absolute, divide, maximum
from graphc.ops.choice import astype, equal, isnan, logical_or, not_equal, where
from graphc.ops.functions import sqrt
from graphc.ops.scalar import BOOL
from graphc.ops.scan import products_of_others
from graphc.ops.shape import arange, broadcast_to, reshape, transpose
from graphc.sizes import Dim, Shape, may_be_negative, product
from graphc.types import TensorType, normal_axes, normal_axis, supported_dtype

Axes = tuple[int, ...]


def _reduced(shape: Shape, axes: Axes, keepdims: bool) -> Shape:
    if keepdims:
        return tuple(1 if at in axes else size for at, size in enumerate(shape))
    return tuple(size for at, size in enumerate(shape) if at not in axes)


def _type(x: TensorType, axes: Axes, keepdims: bool) -> TensorType:
    return TensorType(x.dtype, _reduced(x.shape, axes, keepdims))


def over_axes(x: Operand, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Bound:
    """The operand and the attrs of a reduction."""
    node = as_node(x)
    return (node,), {"axes": normal_axes(axis, node.ndim), "keepdims": bool(keepdims)}


def restored(reduced: Node, x: Node, axes: Axes) -> Node:
    """A reduction's result with the reduced axes back, of size 1, so that it broadcasts against `x`."""
    return reshape(reduced, _reduced(x.shape, axes, keepdims=True))


# ---- folds ----------------------------------------------------------------------------------------------------------


def _sum_bind(x: Operand, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Bound:
    node = as_node(x)
    return over_axes(node if node.type.floating else astype(node, np.int64), axis, keepdims)


sum = Op(
    "sum",
    Fold(lambda dtype: 0, "fold_add({acc}, {x})", wide=True, wrapping="wrapping_add({acc}, {x})"),
    _type,
    lambda x, axes, keepdims: np.sum(x, axis=axes, keepdims=keepdims),
    lambda g, y, x, axes, keepdims: (broadcast_to(restored(g, x, axes), x.shape),),
    _sum_bind,
    analytic=True,
    doc="The sum over axes. Integers and bools are summed as int64.",
)


def _extreme_grad(g: Node, y: Node, x: Node, axes: Axes, keepdims: bool) -> tuple[Node]:
    """The cotangent shared evenly among the elements that are largest, as PyTorch's amax and amin do."""
    chosen = astype(equal(x, restored(y, x, axes)), x.dtype)
    return (restored(g, x, axes) * chosen / restored(sum(chosen, axes), x, axes),)


def _lowest(dtype: np.dtype[Any]) -> float:
    return -np.inf if dtype.kind == "f" else False if dtype.kind == "b" else int(np.iinfo(dtype).min)


def _highest(dtype: np.dtype[Any]) -> float:
    return np.inf if dtype.kind == "f" else True if dtype.kind == "b" else int(np.iinfo(dtype).max)


def some(x: TensorType, axes: Axes, keepdims: bool = False) -> list[Need]:
    """A largest element needs elements."""
    return [Need(x.shape[at] - 1, f"axis {at}, of size {x.shape[at]}, not to be empty") for at in axes]


def _extreme_type(x: TensorType, axes: Axes, keepdims: bool) -> TensorType:
    if builtins.any(x.shape[at] == 0 for at in axes):
        raise ShapeError(f"an empty axis of {x} has no largest or smallest element")
    return _type(x, axes, keepdims)


max = Op(
    "max",
    Fold(_lowest, "fold_max({acc}, {x})"),
    _extreme_type,
    lambda x, axes, keepdims: np.max(x, axis=axes, keepdims=keepdims),
    _extreme_grad,
    over_axes,
    needs=some,
    doc="The largest element over axes; NaN if one is. The gradient is shared evenly among equal largest elements.",
)
min = Op(
    "min",
    Fold(_highest, "fold_min({acc}, {x})"),
    _extreme_type,
    lambda x, axes, keepdims: np.min(x, axis=axes, keepdims=keepdims),
    _extreme_grad,
    over_axes,
    needs=some,
    doc="The smallest element over axes; NaN if one is. The gradient is shared evenly among equal smallest elements.",
)


def _prod_grad(g: Node, y: Node, x: Node, axes: Axes, keepdims: bool) -> tuple[Node]:
    kept = [at for at in range(x.ndim) if at not in axes]
    last = transpose(x, (*kept, *axes))
    rows = reshape(last, (*(x.shape[at] for at in kept), product(x.shape[at] for at in axes)))
    others = reshape(products_of_others(rows), last.shape)
    return (restored(g, x, axes) * transpose(others, tuple(int(a) for a in np.argsort((*kept, *axes)))),)


prod = Op(
    "prod",
    Fold(lambda dtype: 1, "{acc} * {x}", wrapping="wrapping_multiply({acc}, {x})"),
    _type,
    lambda x, axes, keepdims: np.prod(x, axis=axes, keepdims=keepdims),
    _prod_grad,
    _sum_bind,
    analytic=True,
    doc="The product over axes; its gradient is exact at zeros too. Integers and bools are multiplied as int64.",
)


def _truth_bind(x: Operand, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Bound:
    node = as_node(x)
    return over_axes(node if node.dtype == BOOL else not_equal(node, 0), axis, keepdims)


any = Op(
    "any",
    Fold(lambda dtype: False, "{acc} or {x}"),
    _type,
    lambda x, axes, keepdims: np.any(x, axis=axes, keepdims=keepdims),
    lambda g, y, x, axes, keepdims: (None,),
    _truth_bind,
    doc="True where some element over the axes is true (not zero).",
)
all = Op(
    "all",
    Fold(lambda dtype: True, "{acc} and {x}"),
    _type,
    lambda x, axes, keepdims: np.all(x, axis=axes, keepdims=keepdims),
    lambda g, y, x, axes, keepdims: (None,),
    _truth_bind,
    doc="True where all elements over the axes are true (not zero).",
)

# ---- mean -----------------------------------------------------------------------------------------------------------

extent = Op(
    "extent",
    Extent(),
    lambda size, dtype: TensorType(dtype, ()),
    lambda size, dtype: np.asarray(size, dtype),
    bind=lambda size, dtype: ((), {"size": size, "dtype": supported_dtype(dtype)}),
    doc="The value of a symbolic size.",
)


def count(size: Dim, dtype: Any) -> Node:
    """A size as a scalar of the graph: a constant where it is known."""
    return const(size, dtype) if isinstance(size, int) else extent(size, dtype)


def _mean_of(x: Node, axes: Axes, keepdims: bool) -> Node:
    total = sum(x, axes, keepdims=keepdims)
    return divide(total, count(product(x.shape[at] for at in axes), total.dtype))


def _mean_grad(g: Node, y: Node, x: Node, axes: Axes, keepdims: bool) -> tuple[Node]:
    share = divide(g, count(product(x.shape[at] for at in axes), g.dtype))
    return (broadcast_to(restored(share, x, axes), x.shape),)


mean = Op(
    "mean",
    Composite(_mean_of),
    _type,
    lambda x, axes, keepdims: np.mean(x, axis=axes, keepdims=keepdims),
    _mean_grad,
    lambda x, axis=None, keepdims=False: over_axes(promoted(x, floating=True)[0], axis, keepdims),
    analytic=True,
    doc="The mean over axes; integers become float64 first.",
)

# ---- spread ---------------------------------------------------------------------------------------------------------


def _spread_bind(x: Operand, axis: int | Sequence[int] | None = None, ddof: int = 0, keepdims: bool = False) -> Bound:
    node = promoted(x, floating=True)[0]
    return (node,), {"axes": normal_axes(axis, node.ndim), "keepdims": bool(keepdims), "ddof": int(ddof)}


def _freedom(x: Node, axes: Axes, ddof: int) -> Node:
    """How many elements a mean square is divided by."""
    size = product(x.shape[at] for at in axes) - ddof
    return maximum(count(size, x.dtype), 0) if may_be_negative(size) else count(size, x.dtype)


def _var_of(x: Node, axes: Axes, keepdims: bool, ddof: int) -> Node:
    centred = x - mean(x, axes, keepdims=True)
    return sum(centred * centred, axes, keepdims=keepdims) / _freedom(x, axes, ddof)


def _var(x: Any, axes: Axes, keepdims: bool, ddof: int) -> Any:
    centred = x - np.mean(x, axis=axes, keepdims=True)
    counted = np.maximum(np.prod([x.shape[at] for at in axes], dtype=np.int64) - ddof, 0)
    return np.sum(centred * centred, axis=axes, keepdims=keepdims) / np.asarray(counted, x.dtype)


var = Op(
    "var",
    Composite(_var_of),
    lambda x, axes, keepdims, ddof: _type(x, axes, keepdims),
    _var,
    bind=_spread_bind,
    analytic=True,
    doc="The mean square distance from the mean over axes; divided by n - ddof.",
)


def _std_grad(g: Node, y: Node, x: Node, axes: Axes, keepdims: bool, ddof: int) -> tuple[Node]:
    """`(x - mean) / (n - ddof) / std`, and 0 where all elements are equal, as in PyTorch."""
    centred = x - mean(x, axes, keepdims=True)
    return (centred / _freedom(x, axes, ddof) * restored(_where_not_zero(g, y), x, axes),)


def _where_not_zero(g: Node, y: Node) -> Node:
    """`g / y`, and 0 where y is 0; differentiable there too."""
    flat = equal(y, 0)
    return where(flat, 0, g) / where(flat, 1, y)


std = Op(
    "std",
    Composite(lambda x, axes, keepdims, ddof: sqrt(_var_of(x, axes, keepdims, ddof))),
    lambda x, axes, keepdims, ddof: _type(x, axes, keepdims),
    lambda x, axes, keepdims, ddof: np.sqrt(_var(x, axes, keepdims, ddof)),
    _std_grad,
    _spread_bind,
    analytic=True,
    doc="The standard deviation over axes: the root of var. Its gradient is 0 where it is 0, as in PyTorch.",
)

length = Op(
    "length",
    Composite(lambda x, axes, keepdims: sqrt(sum(x * x, axes, keepdims=keepdims))),
    _type,
    lambda x, axes, keepdims: np.sqrt(np.sum(x * x, axis=axes, keepdims=keepdims)),
    lambda g, y, x, axes, keepdims: (x * restored(_where_not_zero(g, y), x, axes),),
    lambda x, axis=None, keepdims=False: over_axes(promoted(x, floating=True)[0], axis, keepdims),
    analytic=True,
    doc="The Euclidean norm over axes; its gradient is 0 where it is 0, as in PyTorch.",
)


@teaching
def norm(x: Operand, ord: float | None = None, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Node:
    """The norm of vectors: ord 2 (the default), 1, inf or another p >= 1; over one axis, or over several as one vector.

    As NumPy's `linalg.norm`, but that a matrix has no operator norm here: with `ord` given, give one axis.
    """
    node = promoted(x, floating=True)[0]
    if ord is not None and node.ndim > 1 and not isinstance(axis, (int, np.integer)):
        raise ShapeError(f"norm: ord={ord} is the norm of a vector; {node.type} wants axis=, one int")
    if ord is None or ord == 2:
        return length(node, axis, keepdims)
    if ord == np.inf:
        return max(absolute(node), axis, keepdims)
    if ord < 1:
        raise ValueError(f"norm: ord is at least 1, got {ord}")
    if ord == 1:
        return sum(absolute(node), axis, keepdims)
    total = sum(absolute(node) ** ord, axis, keepdims)
    flat = equal(total, 0)  # where the root has no slope, and the norm has gradient 0
    return where(flat, 0, where(flat, 1, total) ** (1 / ord))


# ---- where the extremes are -----------------------------------------------------------------------------------------


def _position_of(x: Node, best: Node, axis: int, keepdims: bool) -> Node:
    """The first position along an axis where x is `best`, or where it is NaN if anything is."""
    hit = logical_or(equal(x, best), isnan(x)) if x.type.floating else equal(x, best)
    positions = reshape(arange(x.shape[axis]), (-1, *[1] * (x.ndim - 1 - axis)))
    return min(where(hit, positions, count(x.shape[axis], np.int64)), axis, keepdims)


def _arg_type(x: TensorType, axis: int, keepdims: bool) -> TensorType:
    return TensorType(np.dtype(np.int64), _extreme_type(x, (axis,), keepdims).shape)


def _arg(name: str, extreme: Op, numpy: Callable[..., Any], word: str) -> Op:
    def bind(x: Operand, axis: int | None = None, keepdims: bool = False) -> Bound:
        node = as_node(x)
        if axis is None and keepdims:
            return reshape(record(x), (1,) * node.ndim)
        node = reshape(node, -1) if axis is None else node
        return (node,), {"axis": normal_axis(axis or 0, node.ndim), "keepdims": bool(keepdims)}

    record = Op(
        name,
        Composite(lambda x, axis, keepdims: _position_of(x, extreme(x, axis, keepdims=True), axis, keepdims)),
        _arg_type,
        lambda x, axis, keepdims: numpy(x, axis, keepdims=keepdims),
        lambda g, y, x, axis, keepdims: (None,),
        bind,
        needs=lambda x, axis, keepdims: some(x, (axis,)),
        doc=f"The position of the first {word} element along an axis (of all, ravelled, without one), or of a NaN.",
    )
    return record


argmax = _arg("argmax", max, np.argmax, "largest")
argmin = _arg("argmin", min, np.argmin, "smallest")
