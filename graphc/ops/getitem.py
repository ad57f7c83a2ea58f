"""`x[key]`: NumPy's basic and integer-array indexing, as slices, reshapes and gathers."""

from __future__ import annotations

import builtins
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.constants import as_node
from graphc.errors import DtypeError, GraphcError, ShapeError
from graphc.ir import METHODS, Node, describe
from graphc.ops.index import check_labels, from_start, gather
from graphc.ops.pieces import window
from graphc.ops.shape import expand_dims, reshape
from graphc.origin import user_line
from graphc.sizes import Dim, Size
from graphc.types import broadcast

Span = tuple[Dim, int, Dim]  # start, step, how many


def getitem(x: Node, key: Any) -> Node:
    """`x[key]`: ints, slices (negative and stepped too), `...`, None, and integer arrays or nodes, as in NumPy.

    A bound that a symbolic size decides is checked at each call: `x[:3]` then wants three elements.
    Raises ShapeError for an index outside an axis, DtypeError for one that is no integer.
    """
    try:
        keys = _one_for_each_axis(x, key)
        if any(isinstance(each, (Node, np.ndarray)) for each in keys):
            return _advanced(x, keys)
        return _basic(x, keys)
    except GraphcError as error:
        indices = [each for each in (key if isinstance(key, tuple) else (key,)) if isinstance(each, (Node, np.ndarray))]
        told = "".join(
            f"\n  {describe(each, word)}" for each, word in ((x, "x"), *((each, "index") for each in indices))
        )
        raise type(error)(f"x[...]: {error}{told}\n  indexed at {user_line()}") from None


METHODS["getitem"] = getitem


def _one_for_each_axis(x: Node, key: Any) -> list[Any]:
    """The key as a list: an int, a slice or an array for each axis of x, and None for each new one."""
    keys = [_plain(each) for each in (key if isinstance(key, tuple) else (key,))]
    dots = [at for at, each in enumerate(keys) if each is Ellipsis]
    used = builtins.sum(each is not None and each is not Ellipsis for each in keys)
    if len(dots) > 1:
        raise ShapeError("an index has at most one ...")
    if used > x.ndim:
        raise ShapeError(f"{used} indices for {x.ndim} axes")
    at = dots[0] if dots else len(keys)
    return [*keys[:at], *[slice(None)] * (x.ndim - used), *keys[at + 1 :]]


def _plain(key: Any) -> Any:
    if key is None or key is Ellipsis or isinstance(key, (slice, Node, Size)):
        return key
    array = np.asarray(key)
    if array.dtype.kind not in "iu" and array.size:
        check_labels(as_node(key).type if array.dtype.kind in "fb" else _no_index(key), "indices")
    return int(array) if array.ndim == 0 and not isinstance(key, np.ndarray) else array.astype(np.int64)


def _no_index(key: Any) -> Any:
    raise DtypeError(f"an index is an int, a slice, ..., None or integers, got {key!r}")


def _basic(x: Node, keys: Sequence[Any]) -> Node:
    sizes = iter(x.shape)
    cut = _cut(x, [_span(each, next(sizes)) for each in keys if each is not None])
    # A new axis has size 1, an int takes its axis away.
    sizes = iter(cut.shape)
    shape = [(each, 1 if each is None else next(sizes)) for each in keys]
    kept = tuple(size for each, size in shape if not isinstance(each, (int, Size)))
    return cut if kept == cut.shape else reshape(cut, kept)


def _advanced(x: Node, keys: Sequence[Any]) -> Node:
    """Slices first, then new axes, then one gather along every axis that has an int or an array."""
    sizes = iter(x.shape)
    is_array = (int, Size, np.ndarray, Node)
    whole = [slice(None) if isinstance(each, is_array) else each for each in keys]
    spans = [_span(each, next(sizes)) for each in whole if each is not None]
    new = [at for at, each in enumerate(keys) if each is None]
    cut = expand_dims(_cut(x, spans), new) if new else _cut(x, spans)
    axes = [at for at, each in enumerate(keys) if isinstance(each, is_array)]
    indices = [from_start(as_node(keys[at]), cut.shape[at]) for at in axes]
    broadcast(*(index.shape for index in indices))
    return gather(cut, *indices, axes=axes)


def _cut(x: Node, spans: Sequence[Span]) -> Node:
    if all(
        start == 0 and step == 1 and count == size for (start, step, count), size in zip(spans, x.shape, strict=True)
    ):
        return x
    starts, steps, counts = zip(*spans, strict=True)
    return window(x, starts, steps, counts)


def _span(key: Any, size: Dim) -> Span:
    """What an int or a slice takes of an axis of this size."""
    if not isinstance(key, slice):
        if isinstance(size, int) and isinstance(key, int) and not -size <= key < size:
            raise ShapeError(f"index {key} is outside an axis of size {size}")
        return _counted(key, size), 1, 1
    step = 1 if key.step is None else _whole(key.step)
    if step == 0:
        raise ShapeError("a slice's step is not 0")
    if not any(isinstance(each, Size) for each in (key.start, key.stop, size)):
        bounds = [None if each is None else _whole(each) for each in (key.start, key.stop)]
        taken = range(*slice(bounds[0], bounds[1], step).indices(int(str(size))))
        return (taken.start, step, len(taken)) if taken else (0, 1, 0)
    first, end = (0, size) if step > 0 else (size - 1, -1)
    start = first if key.start is None else _counted(key.start, size)
    stop = end if key.stop is None else _counted(key.stop, size)
    length = stop - start if step > 0 else start - stop
    count = (length + (abs(step) - 1)) // abs(step)
    return start, step, builtins.max(0, count) if isinstance(count, int) else count


def _counted(position: Any, size: Dim) -> Dim:
    """A position counted from the start."""
    if isinstance(position, Size):
        return position
    whole = _whole(position)
    return whole if whole >= 0 else size + whole


def _whole(bound: Any) -> int:
    try:
        return operator.index(bound)
    except TypeError:
        raise DtypeError(f"a slice's bounds are ints or sizes, got {bound!r}") from None
