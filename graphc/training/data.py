"""What fit and evaluate are given: which inputs are cut into batches, and the arrays that hold their rows."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.arguments import as_input, fitting, in_order
from graphc.errors import InputError
from graphc.ir import Node
from graphc.sizes import Size, symbols
from graphc.training.step import Step

Array = np.ndarray[Any, Any]


def checked_int(name: str, value: Any, least: int) -> int:
    """Python's own, whatever integer was given."""
    try:
        number = operator.index(value)
    except TypeError:
        raise InputError(f"{name} is an int, got {value!r}") from None
    if number < least:
        raise InputError(f"{name} is at least {least}, got {value}")
    return number


@dataclass(frozen=True)
class Rows:
    """A step's inputs in order: those at `batched` have all `count` rows, in a dtype that native code can cast."""

    arrays: list[Array]
    batched: tuple[int, ...]
    count: int

    def of(self, chosen: Any) -> list[Array]:
        """The arrays of one batch: these rows of the batched inputs, the others as they are."""
        return [array[chosen] if at in self.batched else array for at, array in enumerate(self.arrays)]


def values_of(step: Step, data: Any) -> list[Any]:
    """The inputs' values in order, from a dict by name, a tuple, or the one array of a function of one input."""
    if isinstance(data, Mapping):
        return in_order(step.name, step.inputs, (), data)
    if isinstance(data, tuple):
        return in_order(step.name, step.inputs, data, {})
    if len(step.inputs) == 1 and hasattr(data, "__array__"):
        return [data]
    names = ", ".join(str(node.name) for node in step.inputs)
    raise InputError(f"data is a dict or a tuple of arrays ({names}), got {type(data).__name__}")


def values_of_batch(step: Step, batch: Any) -> list[Any]:
    """The same of one of many batches, which may be a list too, as PyTorch's DataLoader gives it."""
    if isinstance(batch, (Mapping, tuple, list)) or (len(step.inputs) == 1 and hasattr(batch, "__array__")):
        return values_of(step, tuple(batch) if isinstance(batch, list) else batch)
    names = ", ".join(str(node.name) for node in step.inputs)
    raise InputError(
        f"a batch is a dict, a tuple or a list of arrays ({names}), got {type(batch).__name__}; what is not a dict or "
        f"a tuple is taken for an iterable of batches: give the whole arrays as a tuple, ({names})"
    )


def is_iterable_of_batches(data: Any) -> bool:
    """Whether `data` is asked for one batch after another."""
    return isinstance(data, Iterable) and not isinstance(data, (Mapping, tuple, str)) and not hasattr(data, "__array__")


def leading_symbols(inputs: Sequence[Node]) -> list[str]:
    """The symbolic sizes that lead most inputs: more than one if they lead as many."""
    leading = [node.shape[0] for node in inputs if node.ndim]
    found = Counter(str(size) for size in leading if isinstance(size, Size) and symbols(size) == {str(size)})
    return [symbol for symbol, count in found.items() if count == max(found.values())]


def batch_symbol(inputs: Sequence[Node]) -> str | None:
    """The symbolic size that leads most inputs, None if none leads one; InputError if two lead as many."""
    found = leading_symbols(inputs)
    if len(found) > 1:
        raise InputError(
            f"it cannot be told which axis counts the samples: {_listed(inputs)} have no common leading symbolic size; "
            f"give the inputs that are to be cut into batches the same one, such as 'batch'"
        )
    return found[0] if found else None


def batched_inputs(inputs: Sequence[Node], batch_size: int) -> tuple[int, ...]:
    """The numbers of the inputs that are cut into batches.

    They are those that the batch's symbolic size leads; where no input has a symbolic leading size, those of a fixed
    leading size equal to `batch_size`.
    """
    symbol = batch_symbol(inputs)
    wanted = batch_size if symbol is None else symbol
    batched = tuple(at for at, node in enumerate(inputs) if node.ndim and node.shape[0] == wanted)
    if not batched:
        raise InputError(
            f"the inputs' first axis is cut into batches, but none of the inputs ({_listed(inputs)}) has a symbolic "
            f"leading size or one of batch_size={batch_size}; make one: gc.input(name, ('batch', ...))"
        )
    for at, node in enumerate(inputs):
        inner = node.shape[1:] if at in batched else node.shape
        if symbol is not None and any(symbol in symbols(size) for size in inner):
            raise InputError(
                f"the first axis alone is cut into batches, but {symbol!r} is another of {node.name}: {node.type}"
            )
    return batched


def _listed(inputs: Sequence[Node]) -> str:
    return ", ".join(f"{node.name}: {node.type}" for node in inputs)


def rows_of(step: Step, data: Any, batch_size: int) -> Rows:
    """The data as arrays for the batch loop; InputError if a step could not take each of its batches."""
    values = values_of(step, data)
    batched = batched_inputs(step.inputs, batch_size)
    arrays = [
        _row_array(node, value) if at in batched else _whole(step, node, value)
        for at, (node, value) in enumerate(zip(step.inputs, values, strict=True))
    ]
    counts = {str(step.inputs[at].name): len(arrays[at]) for at in batched}
    if len(set(counts.values())) > 1:
        told = ", ".join(f"{name} has {count}" for name, count in counts.items())
        raise InputError(f"the data's arrays differ in their number of rows: {told}")
    rows = Rows(arrays, batched, next(iter(counts.values())))
    if not rows.count:
        raise InputError(f"the data is empty: {', '.join(counts)} have no rows")
    if isinstance(step.inputs[batched[0]].shape[0], int) and rows.count % batch_size:
        raise InputError(
            f"{rows.count} rows are no whole number of batches of {batch_size}, the size that the inputs fix; leave "
            f"out {rows.count % batch_size}, or make the leading size symbolic: gc.input(name, ('batch', ...))"
        )
    for size in batch_sizes(rows.count, batch_size):
        step.check(rows.of(slice(0, size)))
    return rows


def batch_sizes(rows: int, batch_size: int) -> list[int]:
    """How many rows a batch may have: as many as wanted, and what is left for the last."""
    return [size for size in (min(batch_size, rows), rows % batch_size) if size]


def _row_array(node: Node, value: Any) -> Array:
    """All rows of an input. Native code casts each batch where it knows the dtype, else all is converted at once."""
    array = fitting(node, value)
    known = array.dtype.isnative and array.dtype.kind in "biuf" and array.dtype.itemsize in (1, 2, 4, 8)
    if not known or array.dtype == np.float16 or not np.can_cast(array.dtype, node.dtype, "safe"):
        return as_input(node, value)
    if array.flags.c_contiguous and array.flags.aligned:
        return array
    # Some columns of a matrix, or each second row, are read where they are.
    width = array[:1].nbytes
    apart = len(array) > 1 and array.strides[0] >= width and not array.strides[0] % array.itemsize
    return (
        array if apart and array[0].flags.c_contiguous and array.flags.aligned else np.require(array, None, ["C", "A"])
    )


def _whole(step: Step, node: Node, value: Any) -> Array:
    """An input that every batch is given as it is."""
    array = as_input(node, value)
    if any(np.may_share_memory(array, each) for each in step.written):
        raise InputError(f"input {node.name} lies in the memory of a param that training changes; give a copy")
    return array
