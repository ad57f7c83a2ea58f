"""Reads what the passes left in a planned program, the reasons among it, as the records of a report."""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from graphc import config
from graphc.backend.emit import ALONE
from graphc.graph import lines_of, names_of
from graphc.ir import Node
from graphc.kernel import (
    ALIGNMENT,
    TILE,
    Buffer,
    Gemm,
    Item,
    Kernel,
    Let,
    Load,
    Loop,
    Plan,
    Program,
    Region,
    Store,
    base,
    main_loop,
    variables,
    walk,
)
from graphc.kinds import Fold, Scalar, Scatter
from graphc.passes.rows import work
from graphc.report import (
    KernelRecord,
    Price,
    RegionRecord,
    Remark,
    Report,
    Slot,
    Threads,
    UpdateRecord,
    in_order,
    seconds_text,
)
from graphc.sizes import Dim, Size, evaluate, product, symbols, typical


def report_of(plan: Plan, seconds: Mapping[str, float], cache: str, threads: int, why_threads: str) -> Report:
    """The report of a planned program; its compilation took so many `seconds` by stage."""
    facts = Facts(plan.program)
    slots = [
        Slot(f"m{number}", size, tuple(buffer.label for buffer, slot in plan.slot_of.items() if slot == number))
        for number, size in enumerate(plan.slots)
    ]
    return Report(
        plan.program.graph.name,
        len(plan.program.graph.nodes),
        dict(seconds),
        cache,
        tuple(facts.kernels()),
        (*facts.joined(), *facts.tiled(), *facts.repeated()),
        (*facts.stored(), *facts.apart()),
        tuple(facts.updates()),
        tuple(slots),
        _total(_aligned(slot.size) for slot in slots),
        Threads(threads, why_threads, tuple(_shared(region, threads) for region in facts.regions)),
    )


class Facts:
    """A tiled program, as the facts of a report."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.regions = [item for item in program.body if isinstance(item, Region)]
        self._names = names_of(program.graph)
        self._line = lines_of(program.graph)
        self._position = {node: at for at, node in enumerate(program.graph.nodes)}

    def kernels(self) -> Iterator[KernelRecord]:
        """Each loop nest and each product: what `heavy` gives, in its order."""
        for item, region, tiles in self.heavy():
            made = self._computed([item])
            ops = tuple(dict.fromkeys(node.op.name for node in made))
            reads, writes = _traffic(item, tiles)
            yield KernelRecord(
                *(self._name(item), isinstance(item, Gemm), region, ops, self._lines(made)),
                *(reads, writes, Price(work(item))),
            )

    def heavy(self) -> Iterator[tuple[Kernel | Gemm, str | None, Dim]]:
        """Each kernel and product, with its region and the number of tiles."""
        for item in self.program.body:
            if isinstance(item, Region):
                pairs = [(each, strip.tiles) for strip in item.strips for each in strip.body]
                yield from ((each, item.name, tiles) for each, tiles in pairs if isinstance(each, (Kernel, Gemm)))
            elif isinstance(item, (Kernel, Gemm)):
                yield item, None, 1

    def _name(self, item: Item) -> str:
        """`k2`, `r0`, or for a product the value that it makes."""
        assert isinstance(item, (Kernel, Gemm, Region))
        return self._names[item.origin] if isinstance(item, Gemm) else item.name

    def _computed(self, items: Sequence[Item]) -> list[Node]:
        """The nodes that items compute, in the graph's order."""
        return sorted(computed(items), key=self._position.__getitem__)

    def _lines(self, nodes: Iterable[Node]) -> tuple[str, ...]:
        """The user's lines, each once, in the order of the text."""
        return in_order(self._line[node] for node in nodes)

    # ---- what is fused ----------------------------------------------------------------------------------------------

    def joined(self) -> Iterator[Remark]:
        """What shares the loops of a kernel."""
        for item, _, _ in self.heavy():
            made = self._computed([item])
            if isinstance(item, Kernel) and len(made) > 1:
                stored = len({each.origin for each in walk([item]) if isinstance(each, Store)} & set(made))
                text = (
                    f"{len(made)} values in one pass over {main_loop(item).extent}, {stored or 'none'} of them stored"
                )
                yield Remark(item.name, f"{text}: they need each other only row by row", self._lines(made))

    def tiled(self) -> Iterator[Remark]:
        """What runs on one tile after another."""
        for region in self.regions:
            for strip in region.strips:
                if len(strip.body) > 1:
                    text = f"{', '.join(map(self._name, strip.body))} on {strip.rows} rows of {strip.extent} at a time"
                    why = "each row needs only its own row of those before"
                    yield Remark(region.name, f"{text}: {why}", self._lines(self._computed(strip.body)))
            if len(region.strips) > 1:
                text = f"{len(region.strips)} strips side by side: none touches what another writes"
                yield Remark(region.name, text, self._lines(self._computed([region])))

    def repeated(self) -> Iterator[Remark]:
        """What is computed again instead of stored."""
        lets = [each for each in walk(self.program.body) if isinstance(each, Let)]
        for node, times in Counter(each.origin for each in lets if isinstance(each.origin.op.kind, Scalar)).items():
            if times > 1 and node not in self.program.placed:
                text = f"computed in {times} places: that costs less than to store it"
                yield Remark(f"{self._names[node]} {node.op.name}", text, self._lines([node]))

    # ---- what is not ------------------------------------------------------------------------------------------------

    def stored(self) -> Iterator[Remark]:
        """What lies in memory between loops and products."""
        for buffer in self.program.scratch:
            if buffer.label == self._names[buffer.node]:
                name, why = f"{buffer.label} {buffer.node.op.name}", self.program.placed[buffer.node]
                yield Remark(name, f"stored: it {why}", self._lines([buffer.node]))

    def apart(self) -> Iterator[Remark]:
        """Why loops are not those of an earlier kernel; why an item is in no region, or a region not the one before."""
        first = next((item for item, _, _ in self.heavy()), None)
        for item in self.program.body:
            inside = [each for strip in item.strips for each in strip.body] if isinstance(item, Region) else [item]
            for each in inside:
                if isinstance(each, Kernel) and each is not first:
                    yield Remark(each.name, f"own loops: {each.apart}", self._lines(self._computed([each])))
            why = self.program.alone.get(item)
            if why and isinstance(item, (Region, Kernel, Gemm)):
                what = "own region" if isinstance(item, Region) else "no region"
                yield Remark(self._name(item), f"{what}: {why}", self._lines(self._computed([item])))

    def updates(self) -> Iterator[UpdateRecord]:
        """How each param gets its next value."""
        unfolded = dict(self.program.graph.unfolded)
        for param, value in self.program.graph.updates:
            writers = [item for item, _, _ in self.heavy() if _writes(item, param)]
            writer = writers[-1] if writers else None
            if isinstance(writer, Gemm):
                verb = "adds to" if len(writer.origin.args) > 2 else "writes"
                text = f"in the product {self._name(writer)}: BLAS {verb} {self._names[param]} itself"
            else:
                place = self._name(writer) if writer else "the step itself"
                text = f"in {place}: {unfolded.get(param, 'its next value is also wanted elsewhere, so it is copied')}"
            yield UpdateRecord(self._names[param], isinstance(writer, Gemm), text, self._line[value])


def computed(items: Iterable[Item]) -> list[Node]:
    """The nodes that items compute, in the order in which they do."""
    found = (
        each.origin
        for each in walk([*items])
        if isinstance(each, (Let, Gemm))
        or (isinstance(each, Store) and isinstance(each.origin.op.kind, (Fold, Scatter)))
    )
    return list(dict.fromkeys(found))


def _writes(item: Item, param: Node) -> bool:
    if isinstance(item, Gemm):
        return item.out.node is param
    return any(isinstance(each, Store) and base(each.place).node is param for each in walk([item]))


# ---- bytes ----------------------------------------------------------------------------------------------------------

Touched: TypeAlias = "dict[Buffer, dict[tuple[str, ...], Dim]]"
"""How many elements of each buffer are touched, by the index at which they are."""


def _traffic(item: Kernel | Gemm, tiles: Dim) -> tuple[Dim, Dim]:
    """The bytes that a kernel or a product reads and writes."""
    if isinstance(item, Gemm):
        bytes_each = product([item.out.type.dtype.itemsize, 1 if item.batch is None else item.batch])
        left, right = product([item.rows, item.inner]), product([item.inner, item.columns])
        out = product([item.rows, item.columns])
        adds = len(item.origin.args) > 2
        return bytes_each * (left + right + (out if adds else 0)), bytes_each * out
    reads: Touched = {}
    writes: Touched = {}
    _visit([item], {TILE: tiles}, reads, writes)
    return _nbytes(reads), _nbytes(writes)


def _visit(items: Sequence[Item], extents: Mapping[str, Dim], reads: Touched, writes: Touched) -> None:
    """Counts what loads and stores touch in the loops around them; an index that is data may be another each time."""
    for item in items:
        if isinstance(item, Kernel):
            _visit(item.body, extents, reads, writes)
        elif isinstance(item, Loop):
            _visit(item.body, {**extents, item.index: item.extent}, reads, writes)
        elif isinstance(item, (Load, Store)):
            names = {name for name in variables(item.index) if not name.startswith("n_")}
            loops = extents.keys() - {TILE} if names - extents.keys() else names
            count = product(extent for name, extent in extents.items() if name in loops)
            touched = reads if isinstance(item, Load) else writes
            touched.setdefault(base(item.place), {})[item.index] = count


def _nbytes(touched: Touched) -> Dim:
    """Each element once: elements at different indices may be the same, but a buffer has only so many."""
    return _total(
        min(_total(counts.values()), buffer.type.size, key=typical) * buffer.type.dtype.itemsize
        for buffer, counts in touched.items()
    )


def _total(sizes: Iterable[Dim]) -> Dim:
    total: Dim = 0
    for size in sizes:
        total = size + total
    return total


def _aligned(size: Dim) -> Dim:
    """`size` rounded up to whole cache lines, as the arena's slots are."""
    if not isinstance(size, Size):
        return -size // ALIGNMENT * -ALIGNMENT
    whole = _total(Size({factors: count // ALIGNMENT}) * 1 for factors, count in size.terms)
    rest = _total(Size({factors: count % ALIGNMENT}) * 1 for factors, count in size.terms)
    return (whole + (rest + (ALIGNMENT - 1)) // ALIGNMENT) * ALIGNMENT


# ---- threads --------------------------------------------------------------------------------------------------------


def _shared(region: Region, threads: int) -> RegionRecord:
    """From which sizes on threads share a region: the condition that emit.py writes."""
    tiles, limit, known = (
        _total(strip.tiles for strip in region.strips),
        seconds_text(ALONE / 64e9),
        symbols(region.work),
    )
    first: int | None = None
    if threads == 1:
        text = "one thread runs all tiles"
    elif config.SMALL_TILES:
        first, text = 0, "always shared: GRAPHC_SMALL_TILES is set"
    elif not known and evaluate(region.work, {}) > ALONE:
        first, text = 0, f"always shared: more than {limit}"
    elif not known:
        text = f"never shared: no more than {limit}"
    elif len(known) == 1:
        (name,) = known
        dear = _first(lambda value: evaluate(region.work, {name: value}) > ALONE)
        many = _first(lambda value: evaluate(tiles, {name: value}) > 1)
        first = max(dear, many)
        text = f"shared from {name} = {first:,} on: more than {'one tile' if many > dear else limit}"
    else:
        text = f"shared where that is more than {limit}"
    return RegionRecord(region.name, tiles, Price(region.work), first, text)


def _first(holds: Callable[[int], bool]) -> int:
    """The smallest number from which on a price that grows is over its limit."""
    high = 1
    while not holds(high):
        high *= 2
    return bisect.bisect_left(range(high + 1), True, key=holds)
