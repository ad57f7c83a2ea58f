"""Parts of tensors and tensors made of parts: slices, and their opposites pad and concatenate."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from graphc.constants import as_node, cast, common_dtype
from graphc.errors import ShapeError
from graphc.explained import teaching
from graphc.ir import Bound, Need, Node, Op, Operand
from graphc.kinds import Index, Scatter, View, affine
from graphc.ops.shape import expand_dims, full, ravel, reshape
from graphc.sizes import Dim, Shape
from graphc.types import TensorType, ints_of, normal_axes, normal_axis, shape_of

# ---- slices ---------------------------------------------------------------------------------------------------------


def _slice_index(node: Node, index: Index) -> Index:
    """Where a slice reads, and where a paste writes."""
    starts, steps = node.options["starts"], node.options["steps"]
    return tuple(affine(*each) for each in zip(starts, steps, index, strict=True))


def _slice_needs(x: TensorType, starts: Shape, steps: tuple[int, ...], sizes: Shape) -> list[Need]:
    """The first and the last element of each slice lie inside the axis, where symbols decide it."""
    needs: list[Need] = []
    for axis, (of, start, step, size) in enumerate(zip(x.shape, starts, steps, sizes, strict=True)):
        last = start + (size - 1) * step
        rule = f"axis {axis}, of size {of}, to have a slice of {size} that starts at {start}"
        low, high = (start, last) if step > 0 else (last, start)
        needs += [Need(each, rule) for each in (size, low if size != 0 else 0, of - 1 - high if size != 0 else 0)]
    return needs


def _slice(x: Any, starts: tuple[int, ...], steps: tuple[int, ...], sizes: tuple[int, ...]) -> Any:
    keys = []
    for start, step, size in zip(starts, steps, sizes, strict=True):
        stop = start + size * step
        keys.append(slice(start, None if stop < 0 else stop, step) if size else slice(0, 0))
    return x[tuple(keys)]


# What NumPy's slices become once their starts are counted; x[...] itself is in ops/getitem.py.
window: Op = Op(
    "slice",
    View(_slice_index),
    lambda x, starts, steps, sizes: TensorType(x.dtype, sizes),
    _slice,
    lambda g, y, x, starts, steps, sizes: (paste(g, x.shape, starts=starts, steps=steps),),
    lambda x, starts, steps, sizes: (
        (as_node(x),),
        {"starts": shape_of(starts), "steps": tuple(steps), "sizes": shape_of(sizes)},
    ),
    needs=_slice_needs,
    analytic=True,
    doc="The elements at `start + step * i` for i in range(size), for each axis.",
)


def sliced(x: Node, axis: int, start: Dim, size: Dim, step: int = 1) -> Node:
    """`x` with `size` elements of one axis."""
    spans: list[tuple[Dim, int, Dim]] = [(0, 1, whole) for whole in x.shape]
    spans[axis] = (start, step, size)
    return window(x, *zip(*spans, strict=True))


@teaching
def flip(x: Operand, axis: int | Sequence[int] | None = None) -> Node:
    """`x` with the order of its elements reversed along an axis, several, or all."""
    node = as_node(x)
    for at in normal_axes(axis, node.ndim):
        if node.shape[at] != 0:
            node = sliced(node, at, node.shape[at] - 1, node.shape[at], step=-1)
    return node


@teaching
def split(x: Operand, parts: int | Sequence[int], axis: int = 0) -> list[Node]:
    """`x` cut along an axis: into `parts` equal ones, or before each of the positions `parts`."""
    node = as_node(x)
    at = normal_axis(axis, node.ndim)
    size = node.shape[at]
    if isinstance(parts, (int, np.integer)):
        if parts < 1 or not isinstance(size, int) or size % parts:
            raise ShapeError(f"split: axis {axis} of {node.type} does not divide into {parts} equal parts")
        parts = list(range(size // int(parts), size, size // int(parts))) if size else [0] * (int(parts) - 1)
    if any(isinstance(p, int) and isinstance(q, int) and not 0 <= p <= q for p, q in pairwise([0, *parts])):
        raise ShapeError(f"split: positions are not negative and ascend, got {list(parts)}")
    bounds = [0, *(min(int(p), size) if isinstance(size, int) else p for p in parts), size]
    return [sliced(node, at, a, b - a) for a, b in pairwise(bounds)]


# ---- pieces put into zeros ------------------------------------------------------------------------------------------


def _paste(x: Any, shape: tuple[int, ...], starts: tuple[int, ...], steps: tuple[int, ...]) -> Any:
    result = np.zeros(shape, x.dtype)
    if x.size:
        grids = np.ix_(*(s + t * np.arange(n) for s, t, n in zip(starts, steps, x.shape, strict=True)))
        result[grids] = x
    return result


def _paste_bind(x: Operand, shape: Any, starts: Any, steps: Any = None) -> Bound:
    node = as_node(x)
    attrs = {"shape": shape_of(shape), "starts": shape_of(starts), "steps": tuple(steps or (1,) * node.ndim)}
    return (node,), attrs


paste: Op = Op(
    "paste",
    Scatter(lambda node, piece, index: _slice_index(node, index), lambda node: 1),
    lambda x, shape, starts, steps: TensorType(x.dtype, shape),
    _paste,
    lambda g, y, x, shape, starts, steps: (window(g, starts, steps, x.shape),),
    _paste_bind,
    needs=lambda x, shape, starts, steps: _slice_needs(TensorType(x.dtype, shape), starts, steps, x.shape),
    analytic=True,
    doc="Zeros of a shape, with x at `start + step * i` of each axis: what a slice's cotangent is.",
)


@teaching
def pad(x: Operand, widths: Any, constant_values: Any = 0) -> Node:
    """`x` with a constant around it: `widths` elements on all sides, (before, after), or a pair for each axis."""
    node = as_node(x)
    pairs = _pad_pairs(widths, node.ndim)
    if constant_values == 0:
        shape = tuple(size + before + after for size, (before, after) in zip(node.shape, pairs, strict=True))
        return paste(node, shape, starts=[before for before, _ in pairs])
    for axis, (before, after) in enumerate(pairs):
        sides = [(*node.shape[:axis], width, *node.shape[axis + 1 :]) for width in (before, after)]
        front, back = (full(side, constant_values, node.dtype) for side in sides)
        node = concatenate([front, node, back], axis)
    return node


def _pad_pairs(widths: Any, ndim: int) -> list[tuple[int, int]]:
    try:
        pairs = np.broadcast_to(np.asarray(widths), (ndim, 2)).tolist()
    except ValueError:
        pairs = [[-1, -1]]
    if any(not isinstance(width, int) or width < 0 for pair in pairs for width in pair):
        raise ShapeError(
            f"pad: widths are not negative: an int, a pair, or a pair for each of {ndim} axes, got {widths}"
        )
    return [(before, after) for before, after in pairs]


# ---- pieces put together --------------------------------------------------------------------------------------------


def _concatenate_index(node: Node, piece: int, index: Index) -> Index:
    axis = node.options["axis"]
    start: Dim = 0
    for arg in node.args[:piece]:
        start = arg.shape[axis] + start
    return (*index[:axis], affine(start, 1, index[axis]), *index[axis + 1 :])


def _concatenate_type(*types: TensorType, axis: int) -> TensorType:
    first, total = types[0].shape, types[0].shape[axis]
    for other in types[1:]:
        if other.shape[:axis] + other.shape[axis + 1 :] != first[:axis] + first[axis + 1 :]:
            raise ShapeError(f"all axes but axis {axis} must be equal, got {', '.join(map(str, types))}")
        total = other.shape[axis] + total
    return TensorType(types[0].dtype, (*first[:axis], total, *first[axis + 1 :]))


def _concatenate_grad(g: Node, y: Node, *args: Node, axis: int) -> tuple[Node, ...]:
    cotangents: list[Node] = []
    start: Dim = 0
    for arg in args:
        cotangents.append(sliced(g, axis, start, arg.shape[axis]))
        start = arg.shape[axis] + start
    return tuple(cotangents)


_joined: Op = Op(
    "concatenate",
    Scatter(_concatenate_index, lambda node: len(node.args), covers=True),
    _concatenate_type,
    lambda *parts, axis: np.concatenate(parts, axis),
    _concatenate_grad,
    lambda *parts, axis: (parts, {"axis": axis}),
    analytic=True,
    doc="Tensors one after another along an axis; sizes of that axis may be symbolic, and add up.",
)


@teaching
def concatenate(parts: Sequence[Operand], axis: int | None = 0) -> Node:
    """Tensors one after another along an axis; without one, each is ravelled first. Symbolic sizes add up.

    Raises ShapeError unless all other axes are equal.
    """
    if isinstance(parts, Node) or not len(parts):
        raise ShapeError("wants a list of tensors, with at least one in it")
    dtype = common_dtype(*parts)
    nodes = [cast(part, dtype) for part in parts]
    if axis is None:
        nodes, axis = [ravel(node) for node in nodes], 0
    if len({node.ndim for node in nodes}) > 1 or not nodes[0].ndim:
        listed = " and ".join(str(node.ndim) for node in nodes)
        raise ShapeError(f"wants tensors with equally many axes, and at least one, got {listed}")
    at = normal_axis(axis, nodes[0].ndim)
    return nodes[0] if len(nodes) == 1 else _joined(*nodes, axis=at)


@teaching
def stack(parts: Sequence[Operand], axis: int = 0) -> Node:
    """Tensors of one shape side by side along a new axis."""
    nodes = [as_node(part) for part in parts]
    if len({node.shape for node in nodes}) != 1:
        raise ShapeError(f"stack: all shapes must be equal, got {', '.join(str(n.type) for n in nodes) or 'none'}")
    at = normal_axis(axis, nodes[0].ndim + 1)
    return concatenate([expand_dims(node, at) for node in nodes], at)


@teaching
def roll(x: Operand, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Node:
    """`x` with each element `shift` places later along an axis, from the end to the start; without one, ravelled.

    Several shifts take as many axes. A symbolic axis is at least as long as its shift: what a call checks.
    """
    node = as_node(x)
    if axis is None:
        return reshape(roll(ravel(node), shift, 0), node.shape)
    shifts, axes = ints_of(shift), ints_of(axis)
    if len(shifts) == 1:
        shifts *= len(axes)
    if len(shifts) != len(axes):
        raise ShapeError(f"roll: wants one shift, or one for each of {len(axes)} axes, got {len(shifts)}")
    for places, each in zip(shifts, axes, strict=True):
        node = _rolled(node, places, normal_axis(each, node.ndim))
    return node


def _rolled(x: Node, places: int, axis: int) -> Node:
    size = x.shape[axis]
    cut = (size if places > 0 else 0) - places
    cut = cut % size if isinstance(cut, int) and isinstance(size, int) and size else cut
    if cut == 0 or size == 0:
        return x
    return concatenate([sliced(x, axis, cut, size - cut), sliced(x, axis, 0, cut)], axis)
