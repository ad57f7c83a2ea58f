"""Indexing: `x[...]` in all its forms, and what is read at indices that are data: labels, embeddings, rows."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.constants import as_node, cast, constant_value
from graphc.errors import DtypeError, ShapeError
from graphc.explained import teaching
from graphc.ir import Limit, Node, Op, Operand
from graphc.kinds import Composite, Entry, Gather, Index, Position, Read, Scatter, View
from graphc.ops.choice import astype, equal, logical_or
from graphc.ops.reduce import count, sum
from graphc.ops.scalar import BOOL, elementwise
from graphc.ops.shape import arange, expand_dims, reshape, stretched
from graphc.sizes import Dim, Shape
from graphc.types import TensorType, broadcast, normal_axis, shape_of, supported_dtype


def check_labels(labels: TensorType, what: str = "labels") -> None:
    if labels.dtype.kind not in "iu":
        remedy = "; a bool mask gives no fixed shape: use gc.where(mask, x, 0)" if labels.dtype == BOOL else ""
        raise DtypeError(f"{what} are integers, got {labels}{remedy}")


def is_labels(scores: Node, target: Node) -> bool:
    """True for class indices, False for probabilities; an error for anything else."""
    if target.shape == scores.shape[:-1] and scores.ndim:
        if target.dtype.kind not in "iu":
            raise DtypeError(f"class indices are integers, got {target.type}")
        return True
    if target.shape != scores.shape or not scores.ndim:
        raise ShapeError(
            "the target is class indices (...,) or probabilities (..., C) for a prediction (..., C), "
            f"got {target.type} for {scores.type}"
        )
    return False


# ---- gather and its opposite ----------------------------------------------------------------------------------------
# Each of `axes` is indexed by a tensor of integers; these broadcast to one shape, which takes the axes' place: where
# the axes are neighbours there, else in front, as in NumPy.


def _place(axes: Sequence[int]) -> int:
    """Where the indices' own axes stand in the result."""
    return axes[0] if list(axes) == list(range(axes[0], axes[0] + len(axes))) else 0


def _entries(shape: Shape, axes: Sequence[int], indices: Sequence[Node], index: Index) -> Index:
    """Where a tensor of this shape is read for the element of the result at `index`."""
    place, ndim = _place(axes), builtins.max(node.ndim for node in indices)
    own = index[place : place + ndim]
    rest = iter((*index[:place], *index[place + ndim :]))
    entries: list[Entry] = []
    for axis, size in enumerate(shape):
        if axis not in axes:
            entries.append(next(rest))
        elif size == 1:
            entries.append(None)
        else:
            node = indices[list(axes).index(axis)]
            entries.append(Read(node, stretched(node.shape, own)))
    return tuple(entries)


def _key(ndim: int, axes: Sequence[int], indices: Sequence[Any]) -> tuple[Any, ...]:
    """The indices as NumPy wants them."""
    return tuple(indices[list(axes).index(axis)] if axis in axes else slice(None) for axis in range(ndim))


def _gather_type(x: TensorType, *indices: TensorType, axes: tuple[int, ...]) -> TensorType:
    for each in indices:
        check_labels(each, "indices")
    rest = [size for axis, size in enumerate(x.shape) if axis not in axes]
    place = _place(axes)
    return TensorType(x.dtype, (*rest[:place], *broadcast(*(each.shape for each in indices)), *rest[place:]))


def _limits(shape: Shape, axes: Sequence[int], indices: Sequence[Node]) -> list[Limit]:
    """What must hold of the indices, less what is known to."""
    limits: list[Limit] = []
    for axis, index in zip(axes, indices, strict=True):
        raw, from_end = (index.args[0], True) if index.op is wrapped else (index, False)
        raw = raw.args[0] if raw.op is astype else raw  # what the user gave, and gave a name
        if not (_is_position(raw, shape[axis]) or (constant_value(raw) is not None and isinstance(shape[axis], int))):
            limits.append(Limit(raw, shape[axis], from_end))
    return limits


def _is_position(node: Node, size: Dim) -> bool:
    """Whether these are the indices 0, 1, ... of an axis of this size."""
    while isinstance(node.op.kind, View) and node.op.kind.contiguous:
        node = node.args[0]
    return isinstance(node.op.kind, Position) and node.shape[0] == size


gather: Op = Op(
    "gather",
    Gather(lambda node, index: _entries(node.args[0].shape, node.options["axes"], node.args[1:], index)),
    _gather_type,
    lambda x, *indices, axes: x[_key(x.ndim, axes, indices)],
    lambda g, y, x, *indices, axes: (scatter_add(g, *indices, axes=axes, shape=x.shape), *[None] * len(indices)),
    lambda x, *indices, axes: ((as_node(x), *map(as_node, indices)), {"axes": tuple(axes)}),
    limits=lambda x, *indices, axes: _limits(x.shape, axes, indices),
    doc="x at integers along each of `axes`: what `x[i, j]` and `take` become.",
)


def _scatter_add(g: Any, *indices: Any, axes: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    result = np.zeros(shape, g.dtype)
    np.add.at(result, _key(len(shape), axes, indices), g)
    return result


scatter_add: Op = Op(
    "scatter_add",
    Scatter(
        lambda node, piece, index: _entries(node.shape, node.options["axes"], node.args[1:], index),
        lambda node: 1,
        adds=True,
    ),
    lambda g, *indices, axes, shape: TensorType(g.dtype, shape),
    _scatter_add,
    lambda g, y, x, *indices, axes, shape: (gather(g, *indices, axes=axes), *[None] * len(indices)),
    lambda g, *indices, axes, shape: ((as_node(g), *map(as_node, indices)), {"axes": axes, "shape": shape_of(shape)}),
    limits=lambda g, *indices, axes, shape: _limits(shape, axes, indices),
    doc="Zeros of a shape, to which each element of g is added where gather would have read it.",
)

# ---- indices that count from the end --------------------------------------------------------------------------------

wrapped = elementwise(
    "wrap_index",
    "{0} + {1} if {0} < 0 else {0}",
    lambda index, size: np.where(index < 0, index + size, index),
    lambda g, y, index, size: (None, None),
    kinds="iu",
    doc="An index that may be negative, counted from the start of an axis of this size.",
)


def from_start(index: Node, size: Dim) -> Node:
    """`index` with negative positions counted from the end; a constant is checked now."""
    check_labels(index.type, "indices")
    value = constant_value(index)
    if value is not None and isinstance(size, int):
        if np.any((value < -size) | (value >= size)):
            raise ShapeError(
                f"index {value.min() if value.min() < -size else value.max()} is outside an axis of {size}"
            )
        return as_node(np.where(value < 0, value + size, value).astype(np.int64))
    return index if index.dtype.kind == "u" else wrapped(cast(index, np.dtype(np.int64)), count(size, np.int64))


@teaching
def take(x: Operand, indices: Operand, axis: int | None = None) -> Node:
    """`x` at integers along an axis (negative ones count from the end); without one, of the ravelled tensor.

    An index outside the axis is an InputError when the step is called.
    """
    node, index = as_node(x), as_node(indices)
    node, at = (reshape(node, -1), 0) if axis is None else (node, normal_axis(axis, node.ndim))
    return gather(node, from_start(index, node.shape[at]), axes=(at,))


@teaching
def take_along_axis(x: Operand, indices: Operand, axis: int = -1) -> Node:
    """`x` at one integer for each element of `indices` along an axis; the other axes broadcast against `x`'s."""
    node, index = as_node(x), as_node(indices)
    at = normal_axis(axis, node.ndim)
    if index.ndim != node.ndim:
        raise ShapeError(f"take_along_axis: x and indices have equally many axes, got {node.type} and {index.type}")
    keys = [reshape(arange(size), (-1, *[1] * (node.ndim - 1 - k))) for k, size in enumerate(node.shape)]
    keys[at] = from_start(index, node.shape[at])
    return gather(node, *keys, axes=tuple(range(node.ndim)))


@teaching
def embedding(table: Operand, ids: Operand) -> Node:
    """The rows of a table (entries, features) for integers in range(entries): (...,) gives (..., features)."""
    node, index = as_node(table), as_node(ids)
    if node.ndim != 2:
        raise ShapeError(f"embedding: the table is a matrix (entries, features), got {node.type}")
    check_labels(index.type, "ids")
    return gather(node, index, axes=(0,))


# ---- one_hot --------------------------------------------------------------------------------------------------------


def _one_hot_type(labels: TensorType, size: Dim, dtype: np.dtype[Any]) -> TensorType:
    check_labels(labels)
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
    limits=lambda labels, size, dtype: [Limit(labels, size)],
    doc="Rows of `size` zeros with a one at each label; labels lie in range(size).",
)

# ---- pick -----------------------------------------------------------------------------------------------------------


def pick_type(x: TensorType, labels: TensorType) -> TensorType:
    check_labels(labels)
    if x.ndim == 0 or x.shape[:-1] != labels.shape:
        raise ShapeError(f"wants one label for each row of x, got x {x} and labels {labels}")
    return TensorType(x.dtype, labels.shape)


def pick_of_array(x: Any, labels: Any) -> Any:
    return np.take_along_axis(x, labels[..., None].astype(np.int64), axis=-1)[..., 0]


pick = Op(
    "pick",
    Gather(lambda node, index: (*index, None if node.args[0].shape[-1] == 1 else Read(node.args[1], index))),
    pick_type,
    pick_of_array,
    lambda g, y, x, labels: (expand_dims(g, -1) * one_hot(labels, x.shape[-1], x.dtype), None),
    lambda x, labels: ((as_node(x), as_node(labels)), {}),
    limits=lambda x, labels: [Limit(labels, x.shape[-1])],
    doc="One element of each row: x[..., labels[...]]; labels lie in range(x.shape[-1]).",
)

# ---- are all labels in their range? ---------------------------------------------------------------------------------


def _in_range_type(labels: TensorType, size: Dim, from_end: bool = False) -> TensorType:
    check_labels(labels)
    return TensorType(BOOL, ())


def _in_range_of(labels: Node, size: Dim, from_end: bool = False) -> Node:
    wide, limit = cast(labels, np.dtype(np.int64)), count(size, np.int64)
    outside = sum(logical_or(wide < (-limit if from_end else 0), wide >= limit))
    return equal(outside, 0)


in_range = Op(
    "in_range",
    Composite(_in_range_of),
    _in_range_type,
    lambda labels, size, from_end=False: np.all((labels >= (-size if from_end else 0)) & (labels < size)),
    lambda g, y, *args, **attrs: (None,),
    lambda labels, size, from_end=False: (
        (as_node(labels),),
        {"size": shape_of(size)[0], **({"from_end": True} if from_end else {})},
    ),
    doc="Whether every label lies in range(size), or from -size if `from_end`: what a step checks before it uses them.",
)
