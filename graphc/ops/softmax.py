"""Softmax and its kin: composites that cannot overflow, each with a gradient of its own; and normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.constants import as_node, promoted
from graphc.errors import DtypeError
from graphc.explained import teaching
from graphc.ir import Bound, Node, Op, Operand
from graphc.kinds import Composite
from graphc.ops.arithmetic import rsqrt
from graphc.ops.choice import isfinite, where
from graphc.ops.functions import exp, log
from graphc.ops.reduce import Axes, max, mean, over_axes, restored, some, sum, var
from graphc.ops.shape import squeeze
from graphc.types import TensorType, normal_axes, normal_axis

# ---- softmax --------------------------------------------------------------------------------------------------------


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


def _exp_and_sum(x: Node, axes: Axes) -> tuple[Node, Node, Node]:
    """What is subtracted from x, exp of the difference, which cannot overflow, and its sum; reduced axes are kept."""
    largest = max(x, axes, keepdims=True)
    shift = where(isfinite(largest), largest, 0)  # -inf - -inf would be NaN
    e = exp(x - shift)
    return shift, e, sum(e, axes, keepdims=True)


def _softmax_of(x: Node, axis: int) -> Node:
    _, e, total = _exp_and_sum(x, (axis,))
    return e / total


def _log_softmax_of(x: Node, axis: int) -> Node:
    shift, _, total = _exp_and_sum(x, (axis,))
    return x - shift - log(total)


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


# ---- logsumexp ------------------------------------------------------------------------------------------------------


def _logsumexp_of(x: Node, axes: Axes, keepdims: bool) -> Node:
    shift, _, total = _exp_and_sum(x, axes)
    result = shift + log(total)
    return result if keepdims else squeeze(result, axes)


def logsumexp_of_array(x: Any, axes: Axes, keepdims: bool = False) -> Any:
    """logsumexp's meaning, in NumPy."""
    largest = np.max(np.real(x), axis=axes, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, 0)
    result = largest + np.log(np.sum(np.exp(x - largest), axis=axes, keepdims=True))
    return result if keepdims else np.squeeze(result, axes)


def _logsumexp_grad(g: Node, y: Node, x: Node, axes: Axes, keepdims: bool) -> tuple[Node]:
    return (restored(g, x, axes) * exp(x - restored(y, x, axes)),)


logsumexp = Op(
    "logsumexp",
    Composite(_logsumexp_of),
    None,
    logsumexp_of_array,
    _logsumexp_grad,
    lambda x, axis=None, keepdims=False: over_axes(promoted(x, floating=True)[0], axis, keepdims),
    needs=some,
    analytic=True,
    doc="`log(sum(exp(x)))` over axes, computed from `x - max(x)` so that it cannot overflow.",
)

# ---- normalisation --------------------------------------------------------------------------------------------------


def _standardize_of(x: Node, axes: Axes, eps: float) -> Node:
    return (x - mean(x, axes, keepdims=True)) * _scale_of(x, axes, eps)


def _scale_of(x: Node, axes: Axes, eps: float) -> Node:
    return rsqrt(var(x, axes, keepdims=True) + eps)


def _standardize(x: Any, axes: Axes, eps: float) -> Any:
    centred = x - np.mean(x, axis=axes, keepdims=True)
    return centred / np.sqrt(np.mean(centred * centred, axis=axes, keepdims=True) + eps)


def _standardize_grad(g: Node, y: Node, x: Node, axes: Axes, eps: float) -> tuple[Node]:
    """Ba, Kiros & Hinton 2016: what is left of g without its mean and its part along y."""
    rest = g - mean(g, axes, keepdims=True) - y * mean(g * y, axes, keepdims=True)
    return (rest * _scale_of(x, axes, eps),)


standardize = Op(
    "standardize",
    Composite(_standardize_of),
    lambda x, axes, eps: x,
    _standardize,
    _standardize_grad,
    lambda x, axis=-1, eps=1e-5: (
        promoted(x, floating=True),
        {"axes": normal_axes(axis, as_node(x).ndim), "eps": float(eps)},
    ),
    analytic=True,
    doc="`(x - mean) / sqrt(var + eps)` over axes: mean 0, variance 1.",
)


@teaching
def layer_norm(
    x: Operand, scale: Operand = None, shift: Operand = None, axis: int | Sequence[int] = -1, eps: float = 1e-5
) -> Node:
    """`scale * (x - mean) / sqrt(var + eps) + shift`, with mean and variance over the axes of each sample.

    scale and shift have the shape of those axes, and may be left out. (Ba, Kiros & Hinton 2016.)
    """
    result = standardize(x, axis, eps)
    if scale is not None:
        result = result * scale
    return result if shift is None else result + shift
