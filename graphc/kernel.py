"""The loop IR: the second and last IR. Loops over memory and calls of BLAS, in the order in which a step runs them.

    program := item*
    item    := region | kernel | gemm | guard | statement      statements here compute scalars
    region  := ("tiles of" rows "below" extent ":" (kernel | gemm)*)*     tiles that any thread may run
    kernel  := (loop | statement)*                     one main loop, what prepares and what finishes it
    loop    := "for" index "<" size ":" (loop | statement)*
    statement := name "=" code | name "=" buffer[index] | buffer[index] "=" name

The numeric contract:
- Every element-wise value is computed in its node's dtype, with the operations that the ops' records name. A cheap one
  may be computed again wherever it is read. A multiplication and an addition may be contracted into one rounding (FMA),
  so two computations of one value may differ in the last bit.
- A sum over float32 that ends in a scalar or in one value per row accumulates in float64 and is rounded once. A sum
  that keeps an inner axis (a bias gradient) accumulates in its own dtype, row after row.
- Only the additions of a sum (`fold_add`) may be taken in another order, so that they can run in vector lanes; what is
  summed may not be rearranged. NaN and infinities keep their meaning everywhere.
- Integers wrap around, as in NumPy.
- Matrix products are BLAS's: they accumulate in their dtype, in BLAS's order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

import numpy as np

from graphc.graph import Graph, lines_of, names_of, printable, spelled
from graphc.ir import Node
from graphc.kinds import Fold, Scan, Scatter
from graphc.sizes import Dim, Shape, evaluate
from graphc.spelling import number_code
from graphc.types import TensorType


class Role(Enum):
    """Who owns a buffer's memory."""

    INPUT = "input"
    PARAM = "param"
    CONSTANT = "constant"
    OUTPUT = "output"
    SCRATCH = "scratch"


@dataclass(frozen=True, eq=False)
class Buffer:
    """Memory for one tensor, in row-major order. `name` is safe in code; `label` is what people call it."""

    name: str
    label: str
    type: TensorType
    role: Role
    node: Node


@dataclass(frozen=True, eq=False)
class Alias:
    """A buffer under another shape."""

    buffer: Buffer
    shape: Shape


Place: TypeAlias = "Buffer | Alias"


def base(place: Place) -> Buffer:
    return place.buffer if isinstance(place, Alias) else place


def shape_of(place: Place) -> Shape:
    return place.shape if isinstance(place, Alias) else place.type.shape


@dataclass(eq=False)
class Let:
    """`name = code`; `uses` are the scalars that the code reads, `origin` is the node it computes."""

    name: str
    code: str
    uses: tuple[str, ...]
    origin: Node


@dataclass(eq=False)
class Load:
    """`name = place[index]`; each index entry is an index variable, "0" or a scalar."""

    name: str
    place: Place
    index: tuple[str, ...]
    origin: Node


@dataclass(eq=False)
class Store:
    """`place[index] = name`."""

    place: Place
    index: tuple[str, ...]
    name: str
    origin: Node


@dataclass(eq=False)
class Loop:
    """The body for each value of the index variable below `extent`; for those of the present tile if `tiled`."""

    index: str
    extent: Dim
    body: list[Item] = field(default_factory=list)
    tiled: bool = False


@dataclass(eq=False)
class Kernel:
    """Loops that run as one function. `apart` says why they are not part of an earlier kernel."""

    body: list[Item] = field(default_factory=list)
    name: str = ""
    apart: str = ""


@dataclass(frozen=True, eq=False)
class Operand:
    """A matrix operand: a place, read transposed or not."""

    place: Place
    transposed: bool


@dataclass(eq=False)
class Gemm:
    """`out = alpha * a @ b + beta * out`; alpha and beta are code or scalars; a vector is a row or a column.

    With a `batch`, that many products: one for each element of the places' first axis. `split` is the axis of the
    result, "rows", "columns" or "batch", of which only the present tile is computed.
    """

    out: Buffer
    a: Operand
    b: Operand
    alpha: str
    beta: str
    rows: Dim
    inner: Dim
    columns: Dim
    batch: Dim | None
    origin: Node
    split: str | None = None


@dataclass(eq=False)
class Strip:
    """Kernels and products for each tile of `rows` rows below `extent`."""

    extent: Dim
    rows: int
    body: list[Item]

    @property
    def tiles(self) -> Dim:
        return (self.extent + (self.rows - 1)) // self.rows


TILE, START, STOP = "tile", "start", "stop"
"""What the number of the present tile and its rows are called in code."""


@dataclass(eq=False)
class Region:
    """Strips whose tiles run in any order, on any thread. `prelude` loads the step's scalars that they use.

    `work` is its price in 64ths of a nanosecond, roughly: two for each multiplication of a product.
    """

    strips: list[Strip]
    prelude: list[Load]
    work: Dim
    name: str = ""


@dataclass(eq=False)
class Check:
    """Leaves the step with guard number `number`, before any param has changed, unless the condition holds."""

    condition: str
    number: int
    rule: str


Item: TypeAlias = "Let | Load | Store | Loop | Kernel | Gemm | Region | Check"


@dataclass(eq=False)
class Program:
    """A step as loops and calls: what `graph` means. `sizes` are the symbolic sizes in use, by name.

    placed: the nodes with a place of their own, each with the reason. alone: why a kernel or a product is in no region,
    or a region not part of the one before.
    """

    graph: Graph
    sizes: tuple[str, ...]
    inputs: list[Buffer]
    stored: list[Buffer]
    outputs: list[Buffer]
    scratch: list[Buffer]
    body: list[Item]
    placed: Mapping[Node, str]
    alone: Mapping[Item, str] = field(default_factory=dict)

    @property
    def buffers(self) -> list[Buffer]:
        return [*self.inputs, *self.stored, *self.outputs, *self.scratch]

    def __str__(self) -> str:
        lines = [f"program {self.graph.name}({', '.join(self.sizes)})"]
        for buffer in self.buffers:
            lines.append(f"  {buffer.role.value} {buffer.label}: {buffer.type}")
        return "\n".join([*lines, *text(self.body, notes_of(self.graph), 1)])


ALIGNMENT = 64
"""Bytes: a cache line, and the widest vector register."""


@dataclass(frozen=True)
class Plan:
    """A program and where its scratch buffers lie: the slots' sizes in bytes, and each buffer's slot."""

    program: Program
    slots: tuple[Dim, ...]
    slot_of: Mapping[Buffer, int]

    def memory(self, sizes: Mapping[str, int]) -> int:
        """The arena's size in bytes for these symbolic sizes; KeyError names one that is missing."""
        return sum(-evaluate(size, sizes) // ALIGNMENT * -ALIGNMENT for size in self.slots)

    def __str__(self) -> str:
        lines = [f"plan {self.program.graph.name}: {len(self.slots)} slots, {len(self.slot_of)} buffers"]
        for number, size in enumerate(self.slots):
            held = [f"{b.label}: {b.type}" for b, slot in self.slot_of.items() if slot == number]
            lines.append(f"  m{number}: {size} bytes  # {'; then '.join(held)}")
        return "\n".join(lines)


def walk(items: list[Item]) -> Iterator[Item]:
    """Every item, in the order in which it runs (each loop's body once)."""
    for item in items:
        yield item
        if isinstance(item, (Loop, Kernel)):
            yield from walk(item.body)
        elif isinstance(item, Region):
            yield from item.prelude
            for strip in item.strips:
                yield from walk(strip.body)


def scalars_read(item: Item) -> tuple[str, ...]:
    """The names that an item's own code reads: scalars, indices and sizes."""
    if isinstance(item, Let):
        return (*item.uses, *variables([item.code]))
    if isinstance(item, Store):
        return (item.name, *variables(item.index))
    if isinstance(item, Load):
        return variables(item.index)
    if isinstance(item, Gemm):
        return variables([item.alpha, item.beta])
    return (item.condition,) if isinstance(item, Check) else ()


def variables(codes: Iterable[str]) -> tuple[str, ...]:
    """The names in pieces of code: `i + n_time` has two."""
    return tuple(name for code in codes for name in re.findall(r"[^\W\d]\w*", code))


def main_loop(kernel: Kernel) -> Loop:
    """The loop that a kernel is built around: its last, since loops before it only prepare."""
    return [item for item in kernel.body if isinstance(item, Loop)][-1]


Notes: TypeAlias = "Mapping[Node, str]"


def notes_of(graph: Graph) -> Notes:
    """What is said of each node where it is computed: `%7 = add(%6, b1)  train.py:8`."""
    names, where = names_of(graph), lines_of(graph)
    return {node: printable(f"{names[node]} = {spelled(node, names)}  {where[node]}") for node in graph.nodes}


def begins(item: Item) -> bool:
    """Whether a node's computation begins here: a fold or a scan is several statements."""
    if isinstance(item, Let):
        return not (isinstance(item.origin.op.kind, (Fold, Scan)) and item.uses)
    return isinstance(item, Gemm) or (isinstance(item, Store) and isinstance(item.origin.op.kind, Scatter))


def text(items: list[Item], notes: Notes, depth: int = 0) -> Iterator[str]:
    """The items as lines."""
    pad = "  " * depth
    for item in items:
        if isinstance(item, Kernel):
            yield f"{pad}kernel {item.name}"
            yield from text(item.body, notes, depth + 1)
        elif isinstance(item, Loop):
            yield f"{pad}for {item.index} {'of the tile' if item.tiled else f'< {item.extent}'}:"
            yield from text(item.body, notes, depth + 1)
        elif isinstance(item, Region):
            yield f"{pad}region {item.name}"
            yield from text([*item.prelude], notes, depth + 1)
            for strip in item.strips:
                yield f"{pad}  tiles of {strip.rows} below {strip.extent}:"
                yield from text(strip.body, notes, depth + 2)
        else:
            said = "; ".join(_said(item, notes))
            yield f"{pad}{line(item)}{'  # ' * bool(said)}{said}"


def _said(item: Let | Load | Store | Gemm | Check, notes: Notes) -> Iterator[str]:
    if isinstance(item, Check):
        yield item.rule
    elif begins(item):
        yield notes[item.origin]
    if isinstance(item, Gemm):
        yield from [] if item.batch is None else [f"{item.batch} products"]
        yield from [] if item.split is None else [f"of the tile's {item.split}"]


def line(item: Let | Load | Store | Gemm | Check) -> str:
    """One item that holds no others."""
    if isinstance(item, Let):
        return f"{item.name} = {item.code}"
    if isinstance(item, Load):
        return f"{item.name} = {element(item.place, item.index)}"
    if isinstance(item, Store):
        return f"{element(item.place, item.index)} = {item.name}"
    if isinstance(item, Check):
        return f"check {item.condition}"
    factor = "" if _is_number(item.alpha, 1) else f"{item.alpha} * "
    product = f"{factor}{matrix(item.a)} @ {matrix(item.b)}"
    if _is_number(item.beta, 0) or _is_number(item.beta, 1):
        return f"gemm {item.out.label} {'+=' if _is_number(item.beta, 1) else '='} {product}"
    return f"gemm {item.out.label} = {item.beta} * {item.out.label} + {product}"


def _is_number(code: str, number: float) -> bool:
    return code in (number_code(number, np.dtype(name)) for name in ("float32", "float64"))


def element(place: Place, index: tuple[str, ...]) -> str:
    return f"{base(place).label}[{', '.join(index)}]"


def matrix(operand: Operand) -> str:
    return base(operand.place).label + (".T" if operand.transposed else "")
