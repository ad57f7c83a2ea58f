"""What the compiler did with a step, and why: facts that the passes left in the program, as records and as a page.

Bytes are sizes, polynomials in the symbolic sizes; `explain.py` reads the records from a planned program.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from graphc.nearest import did_you_mean
from graphc.sizes import Dim, Floor, Size, evaluate


class Stages(Mapping[str, str]):
    """The text of each stage by name, in order; a text is made when it is asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], str]]) -> None:
        self._makers = dict(makers)

    def __getitem__(self, stage: str) -> str:
        if stage not in self._makers:
            raise KeyError(f"no stage is called {stage!r}, only {', '.join(self)}{did_you_mean(stage, self)}")
        return self._makers[stage]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


class Watch:
    """Seconds from one lap to the next, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """What was done since the last lap has this name."""
        now = time.perf_counter()
        self.seconds[name], self._last = now - self._last, now


@dataclass(frozen=True)
class Price:
    """A price that the compiler reckons with: `sixty_fourths` of a nanosecond, on one thread, from shapes alone."""

    sixty_fourths: Dim

    def at(self, **sizes: int) -> float:
        """Seconds for these symbolic sizes; KeyError names one that is missing."""
        return evaluate(self.sixty_fourths, sizes) / 64e9

    def __str__(self) -> str:
        return formula(self.sixty_fourths, lambda price: seconds_text(price / 64e9))


@dataclass(frozen=True)
class KernelRecord:
    """One loop nest or one matrix product of the emitted source.

    name: `k2`, or `%6`, the value that a product makes; where equal kernels are one function, a comment at its call has
    the name. region: where it runs tile by tile, such as `r0`, or None.
    ops, lines: what it computes, and the user's lines that ask for it. reads, writes: bytes, each element counted once.
    """

    name: str
    product: bool
    region: str | None
    ops: tuple[str, ...]
    lines: tuple[str, ...]
    reads: Dim
    writes: Dim
    price: Price


@dataclass(frozen=True)
class Remark:
    """One decision: what it is about in the emitted source, a sentence with the reason, the user's lines."""

    name: str
    text: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class UpdateRecord:
    """How a param gets its next value: by BLAS inside a matrix product if `folded`; how, and why not; the line."""

    param: str
    folded: bool
    text: str
    line: str


@dataclass(frozen=True)
class Slot:
    """A piece of the arena: its size in bytes, and the buffers that lie there one after another."""

    name: str
    size: Dim
    buffers: tuple[str, ...]


@dataclass(frozen=True)
class RegionRecord:
    """Tiles that any thread may run.

    shared_from: where one symbolic size decides, its smallest value at which several threads run the tiles; 0 if they
    always do, None if they never do or if several sizes decide. `text` says it in words.
    """

    name: str
    tiles: Dim
    price: Price
    shared_from: int | None
    text: str


@dataclass(frozen=True)
class Threads:
    """How many threads the step may use, and why not more."""

    count: int
    why: str
    regions: tuple[RegionRecord, ...]


@dataclass(frozen=True)
class Report:
    """What the compiler did with a step. Printed, it is a page.

    stages: the seconds that each stage of the compilation took. cache: "hit", or why the step was compiled. kernels: in
    the order in which they run. fused, separate: what shares loops, tiles or a line of code, and what does not.
    buffers: the slots of the arena. memory: all of them in bytes, exactly; f.memory() is its value.
    """

    name: str
    nodes: int
    stages: Mapping[str, float]
    cache: str
    kernels: tuple[KernelRecord, ...]
    fused: tuple[Remark, ...]
    separate: tuple[Remark, ...]
    updates: tuple[UpdateRecord, ...]
    buffers: tuple[Slot, ...]
    memory: Dim
    threads: Threads

    def __str__(self) -> str:
        return "\n".join(_page(self))


# ---- the page -------------------------------------------------------------------------------------------------------

SHOWN = 16
"""The rows of a section that are printed; the attributes have them all."""


def _page(report: Report) -> Iterator[str]:
    products = sum(each.product for each in report.kernels)
    counts = (
        (len(report.kernels) - products, "kernel"),
        (products, "matrix product"),
        (len(report.threads.regions), "region"),
    )
    yield f"{report.name}: {report.nodes} nodes -> {', '.join(_count(*each) for each in counts)}"
    yield f"compiled in {seconds_text(sum(report.stages.values()))}; cache {report.cache}"
    yield f"  {', '.join(f'{stage} {seconds_text(time)}' for stage, time in report.stages.items())}"
    yield from _section("", [_kernel_row(each) for each in report.kernels], ("kernels", "", "", "reads", "writes", ""))
    yield from _remarks("fused", report.fused)
    yield from _remarks("separate", report.separate)
    yield from _section("updates", [(each.param, each.text, each.line) for each in report.updates])
    shared = [each for each in report.buffers if len(each.buffers) > 1]
    slots = [(each.name, formula(each.size, bytes_text), " then ".join(each.buffers)) for each in shared]
    total = f"about {formula(report.memory, bytes_text)} in {_count(len(report.buffers), 'slot')}"
    yield from _section(f"memory: {total if report.buffers else 'none'}", slots)
    regions = [(each.name, str(each.price), each.text) for each in report.threads.regions]
    yield from _section(f"threads: {report.threads.count}, {report.threads.why}", regions)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _kernel_row(kernel: KernelRecord) -> tuple[str, ...]:
    reads, writes = formula(kernel.reads, bytes_text), formula(kernel.writes, bytes_text)
    return (kernel.name, kernel.region or "", some(kernel.ops), reads, writes, lines_text(kernel.lines))


def _remarks(heading: str, remarks: Sequence[Remark]) -> Iterator[str]:
    """What is said of several things is said once."""
    same: dict[str, list[Remark]] = {}
    for each in remarks:
        same.setdefault(each.text, []).append(each)
    rows = [
        (
            ", ".join(each.name for each in group),
            text,
            lines_text(in_order(line for each in group for line in each.lines)),
        )
        for text, group in same.items()
    ]
    yield from _section(heading, rows)


def _section(heading: str, rows: Sequence[tuple[str, ...]], titles: tuple[str, ...] = ()) -> Iterator[str]:
    """A heading, or titles of the columns, and rows that stand in columns."""
    if not rows and not heading.startswith(("memory", "threads")):
        return
    shown = [("  " + row[0], *row[1:]) for row in rows[:SHOWN]]
    table = [titles, *shown] if titles else shown
    wide = [max(map(len, column)) for column in zip(*table, strict=True)]
    yield from ["", heading] if heading else [""]
    for row in table:
        yield "  ".join(f"{text:<{width}}" for text, width in zip(row, wide, strict=True)).rstrip()
    if len(rows) > SHOWN:
        yield f"  and {len(rows) - SHOWN} more"


def in_order(lines: Iterable[str]) -> tuple[str, ...]:
    """User's lines, each once, in the order of the text."""
    parts = {line.rpartition(":") for line in lines}
    return tuple(f"{file}:{number}" for file, _, number in sorted(parts, key=lambda each: (each[0], int(each[2]))))


def lines_text(lines: Sequence[str]) -> str:
    """`train.py:8-10, 12`: those that follow each other as one."""
    runs: list[tuple[str, int, int]] = []
    for line in lines:
        file, _, number = line.rpartition(":")
        at = int(number)
        if runs and runs[-1][0] == file and at <= runs[-1][2] + 1:
            runs[-1] = (file, runs[-1][1], at)
        else:
            runs.append((file, at, at))
    return some(
        [
            f"{file}:" * (not at or runs[at - 1][0] != file) + str(first) + f"-{last}" * (last > first)
            for at, (file, first, last) in enumerate(runs)
        ]
    )


def some(texts: Sequence[str], most: int = 3) -> str:
    """The first of several texts, and how many more there are."""
    return ", ".join(texts[:most]) + (f" and {len(texts) - most} more" if len(texts) > most else "")


# ---- sizes as people write them -------------------------------------------------------------------------------------


def formula(size: Dim, unit: Callable[[float], str]) -> str:
    """`1.1 kB + 4.7 kB * batch`: a size in a unit; quotients that the size rounds down are taken as they are."""
    terms = [(factors, count) for factors, count in sorted(_linear(size).items()) if count]
    text = "".join(f" {'+-'[count < 0]} {' * '.join([unit(abs(count)), *factors])}" for factors, count in terms)
    return text.removeprefix(" + ").strip() or unit(0)


def _linear(size: Dim) -> dict[tuple[str, ...], float]:
    """The terms of a size as a polynomial in plain symbols: `(n+31)//32` is at most `n/32 + 31/32`."""
    total: Counter[tuple[str, ...]] = Counter()
    for factors, count in size.terms if isinstance(size, Size) else (((), size),):
        made: dict[tuple[str, ...], float] = {(): count}
        for factor in factors:
            by = factor.by if isinstance(factor, Floor) else 1
            inner = _linear(factor.size) if isinstance(factor, Floor) else {(factor,): 1.0}
            made = {tuple(sorted(a + b)): x * y / by for a, x in made.items() for b, y in inner.items()}
        for monomial, value in made.items():
            total[monomial] += value  # type: ignore[assignment]
    return dict(total)


def bytes_text(value: float) -> str:
    """`4.7 kB`."""
    return scaled(value, ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")))


def seconds_text(value: float) -> str:
    """`1.2 ms`."""
    return scaled(value, ((1, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")))


def scaled(value: float, units: Sequence[tuple[float, str]]) -> str:
    """Three digits, in the largest unit that leaves at least one of it."""
    value = float(f"{value:.3g}")
    scale, unit = next((each for each in units if value >= each[0]), units[-1])
    return f"{value / scale:.3g} {unit}"
