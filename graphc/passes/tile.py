"""Tiles: which kernels and products run in parallel, and in which pieces.

Afterwards the step's heavy items stand in regions. A region has strips, a strip runs its items on one tile of rows
after another, and tiles run in any order on any thread. Consecutive items whose rows depend on each other only row by
row share a strip, so that a block of the batch goes through a whole chain of layers while it is in the cache; items
that do not touch each other's memory are strips side by side, as the updates of all weights are.

The size of a tile follows from shapes alone, never from the number of threads: so do the bits of every result. Items
keep their order but for one liberty: an item may join a region ahead of others that it does not depend on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from graphc import config
from graphc.ir import Node
from graphc.kernel import (
    Buffer,
    Check,
    Gemm,
    Item,
    Kernel,
    Let,
    Load,
    Program,
    Region,
    Role,
    Store,
    Strip,
    base,
    main_loop,
    variables,
    walk,
)
from graphc.passes.rows import Effects, Rows, effects, of_kernel, of_product, work
from graphc.sizes import TYPICAL, Dim, Size, product, typical
from graphc.types import TensorType

ROWS = 32
"""The rows of a tile, at least: products of fewer run far below the machine's speed."""

TILES = 8
"""Into how many tiles a size that is known is cut, if it is large enough."""

WORTH = 64 * 1000
"""What an item must cost, in 64ths of a nanosecond, to be worth a tile: a dozen times the price of handing one out."""

MANY = 128
"""Columns of a product that are worth cutting: BLAS's panels are some dozens wide."""

IN_CACHE = 1 << 16
"""Elements of a matrix that stays in a core's cache while the rows of a batch are multiplied with it."""


def tile(program: Program) -> Program:
    """The program with its heavy items in regions."""
    made: list[Item] = []
    waiting = list(program.body)
    scratch = list(program.scratch)
    alone: dict[Item, str] = {}
    while waiting:
        item = waiting.pop(0)
        rows = _rows_of(item)
        why = rows if isinstance(rows, str) else _too_small(rows, item)
        if isinstance(rows, str) or why:
            made.append(item)
            alone[item] = why
            continue
        group = _Group()
        group.add([], item, rows)
        why = alone.pop(item, "")
        waiting = group.collect(waiting, alone)
        made += group.hoisted
        region, shared = group.region(_scalars(made))
        alone[region] = why
        made += [*(Store(load.place, (), load.name, load.origin) for load in region.prelude), region, *group.after]
        scratch += shared + group.scratch
    _number(made)
    used = {buffer for item in made for buffer in effects(item).reads | effects(item).writes}
    kept = [buffer for buffer in scratch if buffer in used]
    return replace(program, body=made, scratch=kept, alone={each: alone[each] for each in made if each in alone})


def _number(items: list[Item]) -> None:
    """Names for regions and kernels, in their order."""
    everything = list(walk(items))
    for prefix, kind in (("r", Region), ("k", Kernel)):
        for number, item in enumerate(each for each in everything if isinstance(each, kind)):
            item.name = f"{prefix}{number}"


def _scalars(items: Sequence[Item]) -> dict[str, Node]:
    """The step's own scalars, each with the node that it is."""
    own = [each for item in items for each in (item.body if isinstance(item, Kernel) else [item])]
    return {each.name: each.origin for each in own if isinstance(each, (Let, Load))}


# ---- rows -----------------------------------------------------------------------------------------------------------


def _rows_of(item: Item) -> Rows | str:
    """The rows by which an item would be cut, or why it cannot be."""
    if isinstance(item, Kernel):
        extent = main_loop(item).extent
        return of_kernel(item, Strip(extent, _tile_rows(extent), []).tiles)
    return of_product(item, _split(item)) if isinstance(item, Gemm) else "it is a single statement"


def _split(item: Gemm) -> str:
    """By rows, which keeps the other matrix in the cache; if it is too large for that, by columns, if they are many.

    A weight's gradient has the whole batch to add up. If it goes straight into the weight, it is cut by columns too: so
    each tile has few columns, which BLAS's panels hold however long the batch is.
    """
    if item.batch is not None:
        return "batch"
    large = typical(product([item.inner, item.columns])) > IN_CACHE
    into_weight = item.a.transposed and item.out.role is not Role.SCRATCH
    return "columns" if (large or into_weight) and typical(item.columns) >= MANY else "rows"


def _tile_rows(extent: Dim) -> int:
    """The rows of a tile: of a size that only a call tells, always as many."""
    if config.SMALL_TILES:
        return 2
    return ROWS if isinstance(extent, Size) else max(ROWS, -(-extent // TILES // 16) * 16)


def _too_small(rows: Rows, item: Item) -> str:
    """Why an item is not worth a tile; empty if it is."""
    if not isinstance(rows.extent, Size) and rows.extent <= _tile_rows(rows.extent):
        return f"its {rows.extent} rows fit in one tile"
    if config.SMALL_TILES or typical(work(item)) >= WORTH:
        return ""
    at = f" if each symbolic size is {TYPICAL}" if isinstance(work(item), Size) else ""
    return f"it takes some {typical(work(item)) / 64_000:.1g} µs{at}, too short for a tile"


# ---- regions --------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Group:
    """A region under construction."""

    strips: list[list[Rows]] = field(default_factory=list)
    hoisted: list[Item] = field(default_factory=list)  # scalars that the region may use
    price: Dim = 0

    @property
    def after(self) -> list[Item]:
        """What combines the tiles' results."""
        return [item for rows in self._all() for item in rows.after]

    @property
    def scratch(self) -> list[Buffer]:
        return [buffer for rows in self._all() for buffer in rows.scratch]

    def _all(self) -> list[Rows]:
        return [rows for strip in self.strips for rows in strip]

    def collect(self, items: Sequence[Item], refused: dict[Item, str]) -> list[Item]:
        """Takes in what may run in the region, and returns the rest in its order; `refused` is told why."""
        skipped: list[Item] = []
        passed: list[Effects] = []
        for item in items:
            found = effects(item)
            results = [rows.results for rows in self._all()]
            checked = any(isinstance(each, Check) for each in skipped)
            if any(found.must_follow(other) for other in results):
                why = "it must follow what the region before reduces over all tiles"
            elif any(found.must_follow(other) for other in passed):
                why = "it must follow what stands outside of the region before"
            elif isinstance(item, (Let, Load)):
                why = "" if self._hoists(item, checked) else "it must follow the region"
            else:
                why = self._takes(item, checked)
            if why:
                skipped.append(item)
                passed.append(found)
                refused[item] = why
        return skipped

    def _hoists(self, item: Let | Load, checked: bool) -> bool:
        """Computes a scalar of the step's own before the region, if it does not need it; see _takes."""
        if isinstance(item, Load):
            changed = any(base(item.place) in rows.written for rows in self._all())
            if changed or (checked and variables(item.index)):
                return False
        self.hoisted.append(item)
        return True

    def _takes(self, item: Item, checked: bool) -> str:
        """Adds an item to the region if it may run there, else says why not.

        `checked`: a check before it would come after it.
        """
        rows = _rows_of(item)
        if isinstance(rows, str):
            return rows
        if checked and rows.guarded:
            return "it must follow a check that stands after the region before"
        near = [strip for strip in self.strips if not all(rows.apart_from(other) for other in strip)]
        if len(near) > 1:
            return "it needs what several strips of the region before make"
        if near and near[0][0].extent != rows.extent:
            return f"its tiles are of {rows.extent}, those of the region before of {near[0][0].extent}"
        if near and not all(rows.may_follow(other) for other in near[0]):
            return "it needs other rows than the tile's of the region before"
        why = "" if near else _too_small(rows, item)
        if not why:
            self.add(near[0] if near else [], item, rows)
        return why

    def add(self, strip: list[Rows], item: Item, rows: Rows) -> None:
        if not strip:
            self.strips.append(strip)
        strip.append(rows)
        self.price = work(item) + self.price

    def region(self, scalars: dict[str, Node]) -> tuple[Region, list[Buffer]]:
        """The region, and memory for those of the step's scalars that it reads."""
        strips = [Strip(s[0].extent, _tile_rows(s[0].extent), [rows.tiled for rows in s]) for s in self.strips]
        used = dict.fromkeys(name for rows in self._all() for name in sorted(effects(rows.tiled).uses))
        prelude: list[Load] = []
        for name in used:
            if name in scalars:
                node = scalars[name]
                place = Buffer("", f"{name}.shared", TensorType(node.dtype, ()), Role.SCRATCH, node)
                prelude.append(Load(name, place, (), node))
        return Region(strips, prelude, self.price), [base(load.place) for load in prelude]
