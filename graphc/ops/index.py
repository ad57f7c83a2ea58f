"""Indexing by data: class labels pick an element of each row, or become a row with a single one."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.constants import as_node, cast
from graphc.errors import DtypeError, ShapeError
from graphc.ir import Composite, Gather, Node, Op
from graphc.ops.elementwise import BOOL, astype, equal, logical_or
from graphc.ops.reduce import count, logsumexp, logsumexp_of_array, softmax, sum
from graphc.ops.shape import arange, expand_dims
from graphc.sizes import Dim
from graphc.types import TensorType, shape_of, supported_dtype


def _check_labels(labels: TensorType) -> None:
    if labels.dtype.kind not in "iu":
        raise DtypeError(f"labels are integers, got {labels}")


# ---- one_hot --------------------------------------------------------------------------------------------------------


def _one_hot_type(labels: TensorType, size: Dim, dtype: np.dtype[Any]) -> TensorType:
    _check_labels(labels)
    return TensorType(dtype, (*labels.shape, size))


def _one_hot_of(labels: Node, size: Dim, dtype: np.dtype[Any]) -> Node:
    return astype(equal(expand_dims(labels, -1), arange(size)), dtype)


one_hot = Op(
    "one_hot",
    Composite(_one_hot_of),
    _one_hot_type,
    lambda labels, size, dtype: (labels[..., None] == np.arange(size)).astype(dtype),
    lambda g, y, labels, size, dtype: (None,),
    lambda labels, size, dtype="float32": (
        (as_node(labels),),
        {"size": shape_of(size)[0], "dtype": supported_dtype(dtype)},
    ),
    bound=lambda labels, size, dtype: (labels, size),
    doc="Rows of `size` zeros with a one at each label; labels lie in range(size).",
)

# ---- pick -----------------------------------------------------------------------------------------------------------


def _pick_type(x: TensorType, labels: TensorType) -> TensorType:
    _check_labels(labels)
    if x.ndim == 0 or x.shape[:-1] != labels.shape:
        raise ShapeError(f"wants one label for each row of x, got x {x} and labels {labels}")
    return TensorType(x.dtype, labels.shape)


def _pick(x: Any, labels: Any) -> Any:
    return np.take_along_axis(x, labels[..., None].astype(np.int64), axis=-1)[..., 0]


pick = Op(
    "pick",
    Gather(),
    _pick_type,
    _pick,
    lambda g, y, x, labels: (expand_dims(g, -1) * one_hot(labels, x.shape[-1], x.dtype), None),
    lambda x, labels: ((as_node(x), as_node(labels)), {}),
    bound=lambda x, labels: (labels, x.shape[-1]),
    doc="One element of each row: x[..., labels[...]]; labels lie in range(x.shape[-1]).",
)

# ---- the loss of a classifier, one row each -------------------------------------------------------------------------


def _nll_type(z: TensorType, labels: TensorType) -> TensorType:
    if not z.floating:
        raise DtypeError(f"wants float logits, got {z}")
    return _pick_type(z, labels)


def _nll(z: Any, labels: Any) -> Any:
    return logsumexp_of_array(z, -1) - _pick(z, labels)


def _nll_grad(g: Node, y: Node, z: Node, labels: Node) -> tuple[Node, None]:
    return expand_dims(g, -1) * (softmax(z) - one_hot(labels, z.shape[-1], z.dtype)), None


softmax_nll = Op(
    "softmax_nll",
    Composite(lambda z, labels: logsumexp(z) - pick(z, labels)),
    _nll_type,
    _nll,
    _nll_grad,
    lambda z, labels: ((as_node(z), as_node(labels)), {}),
    bound=lambda z, labels: (labels, z.shape[-1]),
    analytic=True,
    doc="`-log(softmax(z))` at each row's label, finite for any finite logits; its gradient is `softmax - onehot`.",
)

# ---- are all labels in their range? ---------------------------------------------------------------------------------


def _in_range_type(labels: TensorType, size: Dim) -> TensorType:
    _check_labels(labels)
    return TensorType(BOOL, ())


def _in_range_of(labels: Node, size: Dim) -> Node:
    wide = cast(labels, np.dtype(np.int64))
    outside = sum(logical_or(wide < 0, wide >= count(size, np.int64)))
    return equal(outside, 0)


in_range = Op(
    "in_range",
    Composite(_in_range_of),
    _in_range_type,
    lambda labels, size: np.all((labels >= 0) & (labels < size)),
    lambda g, y, labels, size: (None,),
    lambda labels, size: ((as_node(labels),), {"size": shape_of(size)[0]}),
    doc="Whether every label lies in range(size): what a step checks before it uses labels.",
)
