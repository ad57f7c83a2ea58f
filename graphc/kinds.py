"""What an op is to the compiler: its kind. Passes and backend branch on kinds, never on an op's name.

kind  := Stored | Constant | Extent | Position      leaves: memory, a literal, a size, an index
       | Scalar | View | Gather | Fold | Scan       loops: per element, reindexed, indexed by data, reduced, carried
       | Scatter | Product | Composite              written piece by piece; a matrix product; a formula
index := entry*                                     one an axis, where an element is read or written
entry := level | None | Affine | Read               a loop's index, 0, start + step * entry, data
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from graphc.sizes import Dim

Node: TypeAlias = Any  # a graphc.ir.Node, which is defined above this floor

# ---- where an element is --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Read:
    """An index entry that is itself read from memory: `node` at `index` (the label in `z[i, label[i]]`)."""

    node: Node
    index: Index


@dataclass(frozen=True)
class Affine:
    """The index entry `start + step * entry`; an entry of None counts as 0."""

    start: Dim
    step: int
    entry: Level


Level: TypeAlias = "int | Read | None"
Entry: TypeAlias = "Level | Affine"
Index: TypeAlias = tuple[Entry, ...]


def affine(start: Dim, step: int, entry: Entry) -> Entry:
    """The entry `start + step * entry`, in its simplest form."""
    if isinstance(entry, Affine):
        start, step, entry = start + entry.start * step, step * entry.step, entry.entry
    if start == 0 and (step == 1 or entry is None):
        return entry
    return Affine(start, 0 if entry is None else step, entry)


# ---- kinds ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Stored:
    """A leaf that lives in memory which the caller owns: an input or a param."""


@dataclass(frozen=True)
class Constant:
    """A leaf whose value is known when the graph is built."""


@dataclass(frozen=True)
class Extent:
    """A leaf whose value is a symbolic size."""


@dataclass(frozen=True)
class Position:
    """A leaf of one axis whose value is the index itself."""


@dataclass(frozen=True)
class Scalar:
    """Element by element: `code` is the Python expression of one element, `cost` its price in additions.

    In `code`, {0}, {1}, ... are the operands' elements and {dtype} makes a number of the result's dtype. `wrapping` is
    the code for int64, where plain arithmetic that overflows is undefined in machine code; NumPy's wraps around.
    """

    code: str
    cost: int = 1
    wrapping: str | None = None


@dataclass(frozen=True)
class View:
    """The same elements elsewhere: `index(node, index)` is where its operand is read for the element at `index`.

    A `contiguous` view has its operand's row-major order, so that it can also name the same memory; its `index` may
    then be None, where no index of the operand says it simply.
    """

    index: Callable[[Node, Index], Index | None]
    contiguous: bool = False


@dataclass(frozen=True)
class Gather:
    """Operand 0 read at `index(node, index)`, where some entries are read from the other operands."""

    index: Callable[[Node, Index], Index]


@dataclass(frozen=True)
class Scatter:
    """Memory filled with zeros, into which each of the first `pieces(node)` operands is written.

    `index(node, piece, index)` is where the operand's element at `index` goes. With `adds` it is added to what is
    there, in row-major order; else no two elements go to one place. `covers`: every place is written, so no fill.
    """

    index: Callable[[Node, int, Index], Index]
    pieces: Callable[[Node], int]
    adds: bool = False
    covers: bool = False


@dataclass(frozen=True)
class Fold:
    """A reduction over attrs `axes`: `acc = init`, then `acc = step` for each element.

    `init(dtype)` gives the start as a number. In `step`, {acc} and {x} are numbers of one dtype, and fold_add is an
    addition whose order among its kind is free. A `wide` fold accumulates float32 in float64 and rounds once.
    `wrapping` is the step for int64.
    """

    init: Callable[[np.dtype[Any]], float]
    step: str
    wide: bool = False
    wrapping: str | None = None

    def accumulator(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """The dtype in which a scalar result of `dtype` is accumulated."""
        return np.dtype(np.float64) if self.wide and dtype == np.float32 else dtype


@dataclass(frozen=True)
class Scan:
    """Along the last axis, `acc = step` for each element, each result kept; acc starts at 0. {0}, {1} are operands.

    `wrapping` is the step for int64.
    """

    step: str
    wrapping: str | None = None


@dataclass(frozen=True)
class Product:
    """A matrix product for BLAS: operands `a, b`, or `a, b, c, alpha, beta` for `alpha * a @ b + beta * c`.

    Operands of three axes are as many products as their first axis is long.
    """


@dataclass(frozen=True)
class Composite:
    """A formula over other ops: `expand(*args, **attrs)` builds it. It keeps its name until simplify."""

    expand: Callable[..., Node]


Kind: TypeAlias = (
    Stored | Constant | Extent | Position | Scalar | View | Gather | Scatter | Fold | Scan | Product | Composite
)
