"""How a kernel or a product can run in tiles: what each row touches, and what is left to do when all rows are done.

A row is one turn of a kernel's main loop, one row or column of a product's result, or one product of many. Memory is
touched *by row* if each row touches only its own part of it: then rows of several items may follow each other, tile by
tile. A kernel may also reduce over its rows. Each tile then has an accumulator of its own, and they are combined in
order afterwards, so that the result depends on the tiles but not on who ran them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from graphc.ir import Node
from graphc.kernel import (
    TILE,
    Buffer,
    Gemm,
    Item,
    Kernel,
    Let,
    Load,
    Loop,
    Place,
    Role,
    Store,
    base,
    main_loop,
    scalars_read,
    shape_of,
    variables,
    walk,
)
from graphc.kinds import Fold, Scalar
from graphc.sizes import Dim, Shape, product
from graphc.spelling import code_for, index_name, number_code
from graphc.types import TensorType


@dataclass(frozen=True, eq=False)
class Effects:
    """What an item reads and writes: memory, and scalars of the step's own body."""

    reads: frozenset[Buffer]
    writes: frozenset[Buffer]
    uses: frozenset[str]
    makes: frozenset[str]

    def must_follow(self, other: Effects) -> bool:
        """Whether `other`, which comes first, has to stay first."""
        return bool(self.reads & other.writes or self.writes & (other.reads | other.writes) or self.uses & other.makes)


def effects(item: Item) -> Effects:
    reads: set[Buffer] = set()
    writes: set[Buffer] = set()
    for each in walk([item]):
        if isinstance(each, Load):
            reads.add(base(each.place))
        elif isinstance(each, Store):
            writes.add(base(each.place))
        elif isinstance(each, Gemm):
            reads |= {base(each.a.place), base(each.b.place)}
            writes.add(each.out)
    made = {each.name for each in walk([item]) if isinstance(each, (Let, Load))}
    shown = {each.name for each in (item.body if isinstance(item, Kernel) else [item]) if isinstance(each, (Let, Load))}
    used = {name for each in walk([item]) for name in scalars_read(each)} - made
    return Effects(frozenset(reads), frozenset(writes), frozenset(used), frozenset(shown))


@dataclass(eq=False)
class Rows:
    """An item as rows below `extent`: `tiled` is what a tile runs, `after` what combines the tiles.

    by_row: memory of which each row touches only its own part. whole: memory that rows touch anywhere; `tiled` writes
    none of it. results: memory and scalars that are known only when all rows are done.
    """

    extent: Dim
    tiled: Kernel | Gemm
    by_row: set[Buffer]
    whole: set[Buffer]
    written: set[Buffer]
    results: Effects
    after: list[Item] = field(default_factory=list)
    scratch: list[Buffer] = field(default_factory=list)
    guarded: bool = False  # it indexes by data, or writes what a caller sees: checks before it stay before it

    def may_follow(self, other: Rows) -> bool:
        """Whether each tile may run this right after the same tile of `other`."""
        shared = (self.by_row | self.whole) & (other.by_row | other.whole) & (self.written | other.written)
        return shared <= (self.by_row & other.by_row) - self.whole - other.whole

    def apart_from(self, other: Rows) -> bool:
        """Whether any tile of this may run beside any tile of `other`."""
        return not (self.by_row | self.whole) & (other.by_row | other.whole) & (self.written | other.written)


COMBINES = "they put together what the tiles have reduced"

NOTHING = Effects(frozenset(), frozenset(), frozenset(), frozenset())


# ---- products -------------------------------------------------------------------------------------------------------


def of_product(item: Gemm, split: str) -> Rows | str:
    """A product's rows or columns, or of many products one each; else why it cannot be cut."""
    a, b = base(item.a.place), base(item.b.place)
    extent = {"rows": item.rows, "columns": item.columns, "batch": item.batch}[split]
    if extent is None or (split != "batch" and (item.batch is not None or not _as_matrices(item))):
        return "its memory has another shape than its matrices"
    by_row = {"rows": {item.out} if item.a.transposed else {item.out, a}, "columns": set(), "batch": {item.out, a, b}}
    own = by_row[split]
    touched = {item.out, a, b}
    whole = (touched - own) | ({b} if split == "rows" else set())
    tiled = replace(item, split=split)
    return Rows(extent, tiled, own - whole, whole, {item.out}, NOTHING, guarded=item.out.role is not Role.SCRATCH)


def _as_matrices(item: Gemm) -> bool:
    """Whether memory has the shapes of the product, or is a single row or column of it."""
    sides: list[tuple[Place, Dim, Dim]] = [(item.out, item.rows, item.columns)]
    for operand, rows, columns in ((item.a, item.rows, item.inner), (item.b, item.inner, item.columns)):
        sides.append((operand.place, columns, rows) if operand.transposed else (operand.place, rows, columns))
    return all(_is_matrix(place, rows, columns) for place, rows, columns in sides)


def _is_matrix(place: Place, rows: Dim, columns: Dim) -> bool:
    shape = shape_of(place)
    return shape == (rows, columns) or (len(shape) == 1 and 1 in (rows, columns) and shape[0] in (rows, columns))


# ---- kernels --------------------------------------------------------------------------------------------------------


def of_kernel(kernel: Kernel, tiles: Dim) -> Rows | str:
    """A kernel's rows, if they depend on each other by reductions only, else why not; there will be so many tiles."""
    loop = main_loop(kernel)
    at = kernel.body.index(loop)
    before, after = kernel.body[:at], kernel.body[at + 1 :]
    touched = [each for each in walk([loop]) if isinstance(each, (Load, Store))]
    sums = {base(each.place): each.origin for each in walk(before) if isinstance(each, Store)}
    scalars = {each.name: each.origin for each in before if isinstance(each, Let)}
    folds = all(isinstance(origin.op.kind, Fold) for origin in (*sums.values(), *scalars.values()))
    if not folds or any(isinstance(each, Load) for each in walk(before)):
        return "each row needs what the one before makes"
    own = {base(each.place) for each in touched if _is_row(each, loop)}
    whole = {base(each.place) for each in touched if not _is_row(each, loop)} - set(sums)
    written = {base(each.place) for each in touched if isinstance(each, Store)} - set(sums)
    if written & whole or own & set(sums):
        return "its rows may touch what other rows write"
    made = Rows(loop.extent, kernel, own - whole, whole, written, NOTHING)
    made.guarded = any(_indexes_by_data(each, kernel) for each in touched) or any(
        buffer.role is not Role.SCRATCH for buffer in written
    )
    _with_accumulators(made, kernel, loop, tiles, sums, scalars)
    made.after += after
    results = [effects(item) for item in made.after]
    made.results = Effects(
        frozenset(),
        frozenset(sums).union(*(each.writes for each in results)),
        frozenset(),
        frozenset().union(*(each.makes for each in results)),
    )
    return made


def _is_row(item: Load | Store, loop: Loop) -> bool:
    return item.index[:1] == (loop.index,) and shape_of(item.place)[0] == loop.extent


def _indexes_by_data(item: Load | Store, kernel: Kernel) -> bool:
    """Whether an index is a value that was read: a label."""
    values = {each.name for each in walk([kernel]) if isinstance(each, (Let, Load))}
    return not values.isdisjoint(variables(item.index))


def _with_accumulators(
    made: Rows, kernel: Kernel, loop: Loop, tiles: Dim, sums: dict[Buffer, Node], scalars: dict[str, Node]
) -> None:
    """Gives each tile accumulators of its own, and combines them after all tiles."""
    instead: dict[Buffer, Buffer] = {}
    for total, origin in sums.items():
        label = f"{total.label}.tiles"
        instead[total] = _scratch(made, label, total.type.dtype, (tiles, *total.type.shape), origin)
        made.after.append(_combined_array(total, instead[total], tiles, origin))
    stores: list[Item] = []
    for name, origin in scalars.items():
        kind = origin.op.kind
        assert isinstance(kind, Fold)
        partial = _scratch(made, f"{name}.tiles", kind.accumulator(origin.dtype), (tiles,), origin)
        stores.append(Store(partial, (TILE,), name, origin))
        made.after.append(_combined_scalar(name, partial, tiles, origin))
    body = [_replaced(item, instead) for item in kernel.body[: kernel.body.index(loop)]]
    inner = [_replaced(item, instead) for item in loop.body]
    made.tiled = Kernel([*body, Loop(loop.index, loop.extent, inner, tiled=True), *stores], apart=kernel.apart)


def _scratch(made: Rows, label: str, dtype: np.dtype[Any], shape: Shape, origin: Node) -> Buffer:
    buffer = Buffer("", label, TensorType(dtype, shape), Role.SCRATCH, origin)
    made.scratch.append(buffer)
    return buffer


def _replaced(item: Item, instead: dict[Buffer, Buffer]) -> Item:
    """An item that accumulates in the tile's own memory."""
    if isinstance(item, (Load, Store)) and base(item.place) in instead:
        return replace(item, place=instead[base(item.place)], index=(TILE, *item.index))
    if isinstance(item, Loop):
        return replace(item, body=[_replaced(each, instead) for each in item.body])
    return item


def _combined_scalar(name: str, partial: Buffer, tiles: Dim, origin: Node) -> Kernel:
    kind, dtype, part = origin.op.kind, partial.type.dtype, f"{name}_tile"
    assert isinstance(kind, Fold)
    step = code_for(dtype, kind.step, kind.wrapping).format(acc=name, x=part)
    index = index_name(0)
    body: list[Item] = [Load(part, partial, (index,), origin), Let(name, step, (name, part), origin)]
    init = Let(name, number_code(kind.init(origin.dtype), dtype), (), origin)
    return Kernel([init, Loop(index, tiles, body)], apart=COMBINES)


def _combined_array(total: Buffer, partial: Buffer, tiles: Dim, origin: Node) -> Kernel:
    kind, dtype = origin.op.kind, total.type.dtype
    assert isinstance(kind, Fold)
    own = tuple("0" if size == 1 else index_name(1 + axis) for axis, size in enumerate(total.type.shape))
    step = code_for(dtype, kind.step, kind.wrapping).format(acc="old", x="part")
    fill: list[Item] = [Store(total, own, number_code(kind.init(dtype), dtype), origin)]
    add: list[Item] = [
        Load("old", total, own, origin),
        Load("part", partial, (index_name(0), *own), origin),
        Let("new", step, ("old", "part"), origin),
        Store(total, own, "new", origin),
    ]
    for axis, size in reversed(list(enumerate(total.type.shape))):
        if size != 1:
            fill, add = [Loop(index_name(1 + axis), size, fill)], [Loop(index_name(1 + axis), size, add)]
    return Kernel([*fill, Loop(index_name(0), tiles, add)], apart=COMBINES)


# ---- what tiles touch -----------------------------------------------------------------------------------------------


def stays_in_its_rows(item: Item, buffer: Buffer) -> bool:
    """Whether each tile of `item` touches only its own rows of `buffer`."""
    if isinstance(item, Gemm):
        read_by_row = base(item.a.place) is not buffer or not item.a.transposed
        return item.split == "rows" and read_by_row and base(item.b.place) is not buffer
    assert isinstance(item, Kernel)
    touching = [each for each in walk([item]) if isinstance(each, (Load, Store)) and base(each.place) is buffer]
    return all(_is_row(each, main_loop(item)) for each in touching)


# ---- prices ---------------------------------------------------------------------------------------------------------

PRICE = 16
"""64ths of a nanosecond for one addition, load or store in a kernel; a product needs two for a multiplication."""


def work(item: Item) -> Dim:
    """The price of an item in 64ths of a nanosecond, roughly."""
    if isinstance(item, Gemm):
        return product([2, item.rows, item.inner, item.columns, 1 if item.batch is None else item.batch])
    if isinstance(item, (Kernel, Loop)):
        inner: Dim = 0
        for each in item.body:
            inner = work(each) + inner
        return product([item.extent, inner]) if isinstance(item, Loop) else inner
    if isinstance(item, Let):
        kind = item.origin.op.kind
        return PRICE * (kind.cost if isinstance(kind, Scalar) else 1)
    return PRICE
