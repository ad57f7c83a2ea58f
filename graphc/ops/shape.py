"""Shape ops: the same elements under other axes. None of them moves data unless memory order demands it."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.constants import as_node, const
from graphc.errors import ShapeError
from graphc.explained import teaching
from graphc.ir import Bound, Node, Op, Operand
from graphc.kinds import Index, Position, View
from graphc.sizes import Dim, Shape, divide, product
from graphc.types import TensorType, ints_of, normal_axes, normal_axis, shape_of

# ---- transpose ------------------------------------------------------------------------------------------------------


def _transpose_bind(x: Operand, axes: Sequence[int] | None = None) -> Bound:
    node = as_node(x)
    order = tuple(range(node.ndim))[::-1] if axes is None else tuple(normal_axis(a, node.ndim) for a in axes)
    if sorted(order) != list(range(node.ndim)):
        raise ShapeError(f"axes={axes} is not an order of the {node.ndim} axes")
    return (node,), {"axes": order}


def _transpose_index(node: Node, index: Index) -> Index:
    axes = node.options["axes"]
    return tuple(index[axes.index(axis)] for axis in range(len(axes)))


transpose: Op = Op(
    "transpose",
    View(_transpose_index),
    lambda x, axes: TensorType(x.dtype, tuple(x.shape[axis] for axis in axes)),
    lambda x, axes: np.transpose(x, axes),
    lambda g, y, x, axes: (transpose(g, tuple(int(a) for a in np.argsort(axes))),),
    _transpose_bind,
    doc="The axes in another order; reversed if no order is given.",
)

# ---- reshape --------------------------------------------------------------------------------------------------------


def _reshape_bind(x: Operand, shape: Any) -> Bound:
    node = as_node(x)
    entries = shape if isinstance(shape, (tuple, list)) else (shape,)
    wanted = [entry for entry in entries if entry != -1]
    dims = shape_of(wanted)
    if len(entries) - len(wanted) > 1:
        raise ShapeError(f"shape={shape} has more than one -1")
    if len(entries) > len(wanted):
        if product(dims) == 0:
            raise ShapeError(f"shape={shape}: beside an axis of size 0 any size would do for -1")
        at = list(entries).index(-1)
        missing = divide(node.size, product(dims))
        if missing is None:
            raise ShapeError(f"{node.size} elements do not divide into {_spell(entries)}")
        dims = (*dims[:at], missing, *dims[at:])
    return (node,), {"shape": dims}


def _reshape_type(x: TensorType, shape: Shape) -> TensorType:
    if product(shape) != x.size:
        raise ShapeError(f"{x.size} elements do not fit {_spell(shape)}, which has {product(shape)}")
    return TensorType(x.dtype, shape)


def _spell(shape: Sequence[Dim]) -> str:
    return f"({', '.join(map(str, shape))})"


def _reshape_index(node: Node, index: Index) -> Index | None:
    """Where the operand is read, if only axes of size 1 come or go."""
    kept = [entry for entry, size in zip(index, node.shape, strict=True) if size != 1]
    source = node.args[0].shape
    if [size for size in source if size != 1] != [size for size in node.shape if size != 1]:
        return None
    return tuple(None if size == 1 else kept.pop(0) for size in source)


reshape: Op = Op(
    "reshape",
    View(_reshape_index, contiguous=True),
    _reshape_type,
    lambda x, shape: np.reshape(x, shape),
    lambda g, y, x, shape: (reshape(g, x.shape),),
    _reshape_bind,
    doc="The elements in row-major order under another shape; one entry may be -1, entries may be symbolic.",
)


def ravel(x: Operand) -> Node:
    """The elements of `x` in row-major order, on one axis."""
    return reshape(x, -1)


@teaching
def expand_dims(x: Operand, axis: int | Sequence[int]) -> Node:
    """`x` with axes of size 1 inserted, so that they stand at `axis` in the result."""
    node = as_node(x)
    count = len(ints_of(axis))
    axes = normal_axes(axis, node.ndim + count)
    sizes = list(node.shape)
    return reshape(node, tuple(1 if at in axes else sizes.pop(0) for at in range(node.ndim + count)))


@teaching
def squeeze(x: Operand, axis: int | Sequence[int] | None = None) -> Node:
    """`x` without the axes `axis`, by default all of size 1; ShapeError if one has another size."""
    node = as_node(x)
    ones = [at for at, size in enumerate(node.shape) if size == 1]
    axes = ones if axis is None else normal_axes(axis, node.ndim)
    if any(at not in ones for at in axes):
        raise ShapeError(f"squeeze: axis={axis} of {node.type} is not of size 1")
    return reshape(node, tuple(size for at, size in enumerate(node.shape) if at not in axes))


@teaching
def swapaxes(x: Operand, axis1: int, axis2: int) -> Node:
    """`x` with two axes exchanged."""
    node = as_node(x)
    order = list(range(node.ndim))
    one, other = normal_axis(axis1, node.ndim), normal_axis(axis2, node.ndim)
    order[one], order[other] = other, one
    return transpose(node, order)


@teaching
def moveaxis(x: Operand, source: int | Sequence[int], destination: int | Sequence[int]) -> Node:
    """`x` with the axes `source` moved to `destination`; the others keep their order."""
    node = as_node(x)
    pairs = [ints_of(axes) for axes in (source, destination)]
    moved, places = ([normal_axis(axis, node.ndim) for axis in axes] for axes in pairs)
    if len(moved) != len(places) or len(set(moved)) < len(moved) or len(set(places)) < len(places):
        raise ShapeError(f"moveaxis: source={source} and destination={destination} do not pair up")
    order = [axis for axis in range(node.ndim) if axis not in moved]
    for place, axis in sorted(zip(places, moved, strict=True)):
        order.insert(place, axis)
    return transpose(node, order)


# ---- broadcast_to ---------------------------------------------------------------------------------------------------


def _broadcast_type(x: TensorType, shape: Shape) -> TensorType:
    added = len(shape) - x.ndim
    if added < 0 or any(own not in (1, wanted) for own, wanted in zip(x.shape, shape[added:], strict=True)):
        raise ShapeError(f"cannot be stretched to {_spell(shape)}")
    return TensorType(x.dtype, shape)


def _broadcast_index(node: Node, index: Index) -> Index:
    return stretched(node.args[0].shape, index)


def stretched(shape: Shape, index: Index) -> Index:
    """Where an operand of this shape is read for the element at `index` of the broadcast result."""
    aligned = index[len(index) - len(shape) :]
    return tuple(None if size == 1 else entry for size, entry in zip(shape, aligned, strict=True))


# differentiate sums the cotangent over stretched axes, so the formula itself is the identity.
broadcast_to = Op(
    "broadcast_to",
    View(_broadcast_index),
    _broadcast_type,
    lambda x, shape: np.broadcast_to(x, shape),
    lambda g, y, x, shape: (g,),
    bind=lambda x, shape: ((as_node(x),), {"shape": shape_of(shape)}),
    analytic=True,
    doc="`x` stretched to a shape that it broadcasts to.",
)

# A stretched axis of its own beside an axis, and both as one: the elements repeat.


@teaching
def repeat(x: Operand, repeats: int, axis: int | None = None) -> Node:
    """Each element `repeats` times in a row along an axis; without one, of the ravelled tensor."""
    node = ravel(x) if axis is None else as_node(x)
    at = normal_axis(axis or 0, node.ndim)
    before, size, after = node.shape[:at], node.shape[at], node.shape[at + 1 :]
    copies = broadcast_to(expand_dims(node, at + 1), (*before, size, repeats, *after))
    return reshape(copies, (*before, size * repeats, *after))


@teaching
def tile(x: Operand, reps: int | Sequence[int]) -> Node:
    """`x` laid side by side `reps` times along each axis, the last ones first: NumPy's `tile`."""
    node = as_node(x)
    counts = ints_of(reps)
    ndim = builtins.max(node.ndim, len(counts))
    counts = [1] * (ndim - len(counts)) + counts
    sizes = (1,) * (ndim - node.ndim) + node.shape
    apart = reshape(node, tuple(entry for size in sizes for entry in (1, size)))
    copies = broadcast_to(apart, tuple(e for count, size in zip(counts, sizes, strict=True) for e in (count, size)))
    return reshape(copies, tuple(size * count for count, size in zip(counts, sizes, strict=True)))


# ---- positions, and tensors of one value ----------------------------------------------------------------------------

arange: Op = Op(
    "arange",
    Position(),
    lambda size: TensorType(np.dtype(np.int64), (size,)),
    lambda size: np.arange(size),
    bind=lambda size: ((), {"size": shape_of(size)[0]}),
    doc="0, 1, ..., size - 1 as int64; the size may be symbolic.",
)


@teaching
def full(shape: Any, value: Any, dtype: Any = None) -> Node:
    """A tensor of this shape with `value` everywhere; of NumPy's dtype for it unless `dtype` is given."""
    return broadcast_to(as_node(value) if dtype is None else const(value, dtype), shape)


def zeros(shape: Any, dtype: Any = "float32") -> Node:
    """A tensor of zeros."""
    return full(shape, 0, dtype)


def ones(shape: Any, dtype: Any = "float32") -> Node:
    """A tensor of ones."""
    return full(shape, 1, dtype)
