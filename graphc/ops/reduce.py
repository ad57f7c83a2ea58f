"""Reductions over any axes, and the composites built on them: mean, softmax and its logarithm.

`axis` is None (all axes), an int or several; `keepdims` leaves reduced axes with size 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.constants import as_node, const, promoted
from graphc.errors import DtypeError
from graphc.ir import Bound, Composite, Extent, Fold, Node, Op, Operand
from graphc.ops.elementwise import astype, divide, equal, exp, log
from graphc.ops.shape import broadcast_to, expand_dims, reshape
from graphc.sizes import Dim, Shape, product
from graphc.types import TensorType, normal_axes, normal_axis, supported_dtype

Axes = tuple[int, ...]


def _reduced(shape: Shape, axes: Axes, keepdims: bool) -> Shape:
    if keepdims:
        return tuple(1 if at in axes else size for at, size in enumerate(shape))
    return tuple(size for at, size in enumerate(shape) if at not in axes)


def _type(x: TensorType, axes: Axes, keepdims: bool) -> TensorType:
    return TensorType(x.dtype, _reduced(x.shape, axes, keepdims))


def _bind(x: Operand, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Bound:
    node = as_node(x)
    return (node,), {"axes": normal_axes(axis, node.ndim), "keepdims": bool(keepdims)}


def restored(reduced: Node, x: Node, axes: Axes) -> Node:
    """A reduction's result with the reduced axes back, of size 1, so that it broadcasts against `x`."""
    return reshape(reduced, _reduced(x.shape, axes, keepdims=True))


# ---- folds ----------------------------------------------------------------------------------------------------------


def _sum_bind(x: Operand, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Bound:
    node = as_node(x)
    return _bind(node if node.type.floating else astype(node, np.int64), axis, keepdims)


sum = Op(
    "sum",
    Fold(lambda dtype: 0, "fold_add({acc}, {x})", wide=True),
    _type,
    lambda x, axes, keepdims: np.sum(x, axis=axes, keepdims=keepdims),
    lambda g, y, x, axes, keepdims: (broadcast_to(restored(g, x, axes), x.shape),),
    _sum_bind,
    analytic=True,
    doc="The sum over axes. Integers and bools are summed as int64.",
)


def _max_grad(g: Node, y: Node, x: Node, axes: Axes, keepdims: bool) -> tuple[Node]:
    """The cotangent shared evenly among the elements that are largest, as PyTorch's amax does."""
    largest = astype(equal(x, restored(y, x, axes)), x.dtype)
    return (restored(g, x, axes) * largest / sum(largest, axes, keepdims=True),)


def _lowest(dtype: np.dtype[Any]) -> float:
    return -np.inf if dtype.kind == "f" else False if dtype.kind == "b" else int(np.iinfo(dtype).min)


max = Op(
    "max",
    Fold(_lowest, "{acc} if {acc} >= {x} or {acc} != {acc} else {x}"),
    _type,
    lambda x, axes, keepdims: np.max(x, axis=axes, keepdims=keepdims),
    _max_grad,
    _bind,
    doc="The largest element over axes; NaN if one is. The gradient is shared evenly among equal largest elements.",
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
    lambda x, axis=None, keepdims=False: _bind(promoted(x, floating=True)[0], axis, keepdims),
    analytic=True,
    doc="The mean over axes; integers become float64 first.",
)

# ---- softmax and its kin --------------------------------------------------------------------------------------------


def _axis_bind(x: Operand, axis: int = -1) -> Bound:
    node = promoted(x, floating=True)[0]
    return (node,), {"axis": normal_axis(axis, node.ndim)}


def _float_type(x: TensorType, axis: int) -> TensorType:
    if not x.floating:
        raise DtypeError(f"wants a float operand, got {x}")
    return x


def _shifted_exp(x: Any, axis: int) -> Any:
    return np.exp(x - np.max(np.real(x), axis=axis, keepdims=True))


def _softmax(x: Any, axis: int) -> Any:
    e = _shifted_exp(x, axis)
    return e / np.sum(e, axis=axis, keepdims=True)


def _log_softmax(x: Any, axis: int) -> Any:
    shifted = x - np.max(np.real(x), axis=axis, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))


def _exp_and_sum(x: Node, axis: int) -> tuple[Node, Node, Node]:
    """x's maximum, exp(x - maximum), which cannot overflow, and its sum; reduced axes are kept."""
    largest = max(x, axis, keepdims=True)
    e = exp(x - largest)
    return largest, e, sum(e, axis, keepdims=True)


def _softmax_of(x: Node, axis: int) -> Node:
    _, e, total = _exp_and_sum(x, axis)
    return e / total


def _log_softmax_of(x: Node, axis: int) -> Node:
    largest, _, total = _exp_and_sum(x, axis)
    return x - largest - log(total)


softmax = Op(
    "softmax",
    Composite(_softmax_of),
    _float_type,
    _softmax,
    lambda g, y, x, axis: (y * (g - sum(g * y, axis, keepdims=True)),),
    _axis_bind,
    analytic=True,
    doc="`exp(x) / sum(exp(x))` along an axis, computed from `x - max(x)` so that it cannot overflow.",
)
log_softmax = Op(
    "log_softmax",
    Composite(_log_softmax_of),
    _float_type,
    _log_softmax,
    lambda g, y, x, axis: (g - softmax(x, axis) * sum(g, axis, keepdims=True),),
    _axis_bind,
    analytic=True,
    doc="`log(softmax(x))` along an axis, finite wherever x is.",
)


def _logsumexp_of(x: Node, axis: int) -> Node:
    largest, _, total = _exp_and_sum(x, axis)
    return reshape(largest + log(total), _reduced(x.shape, (axis,), keepdims=False))


def logsumexp_of_array(x: Any, axis: int) -> Any:
    """logsumexp's meaning, in NumPy."""
    largest = np.max(np.real(x), axis=axis, keepdims=True)
    return np.squeeze(largest + np.log(np.sum(np.exp(x - largest), axis=axis, keepdims=True)), axis)


logsumexp = Op(
    "logsumexp",
    Composite(_logsumexp_of),
    lambda x, axis: _type(_float_type(x, axis), (axis,), keepdims=False),
    logsumexp_of_array,
    lambda g, y, x, axis: (expand_dims(g, axis) * softmax(x, axis),),
    _axis_bind,
    analytic=True,
    doc="`log(sum(exp(x)))` along an axis, computed from `x - max(x)` so that it cannot overflow.",
)
