"""What f.profile() returns: where the time of a step goes, as records, a table, a picture and a trace.

profiling.py makes it, from what twin.py has measured.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from graphc.graph import printable
from graphc.report import bytes_text, lines_text, scaled, seconds_text, some

CALLER = 0
"""The thread that called the step."""


@dataclass(frozen=True)
class ProfileRow:
    """One kernel or one product of the step, as f.report() names it; or the clocks, or the rest.

    region, ops, lines: as in the report. seconds: of the time of a step, as its caller sees it; tiles that run on
    several threads share out what their region takes. share: of the whole. calls: how often it runs in a step, once for
    each tile. bytes: that it reads and writes, each element counted once. flop: inspect/flop.py says what counts. The
    rates are 0 where the time is too short for the clock.
    bound: the peak that it comes nearer to, "FLOP" or "bytes", and of_peak how near. "neither" below a tenth: it waits,
    or its data lie in caches, or it is busy with what counts as one operation and takes many.
    """

    name: str
    region: str | None
    ops: tuple[str, ...]
    lines: tuple[str, ...]
    seconds: float
    share: float
    calls: int
    bytes: int
    flop: int
    bytes_per_second: float
    flop_per_second: float
    bound: str
    of_peak: float


LIMITED, CACHED = 0.1, 1.5
"""The share of a peak from which on it is said to limit a row; the share of the bytes' from which on they come from
caches, so that memory is no limit."""


def limit(of_flop: float, of_bytes: float) -> tuple[str, float]:
    """Which of two peaks limits what reaches these shares of them, and the share that counts."""
    of_peak, bound = max((of_flop, "FLOP"), (of_bytes if of_bytes < CACHED else 0.0, "bytes"))
    return bound if of_peak >= LIMITED else "neither", of_peak


@dataclass(frozen=True)
class Event:
    """What ran on a thread (0 called the step) from `start` on, in seconds since its step began.

    kind: "kernel" for what has a row of this name; "region" or "step" for what goes on around it. tile: which one, of
    what runs tile by tile.
    """

    name: str
    kind: str
    thread: int
    start: float
    seconds: float
    tile: int | None = None


@dataclass(frozen=True)
class Profile:
    """Where the time of a step goes. Printed, it is a table, the heaviest rows first.

    sizes: the values of the symbolic sizes. threads: that the step may use. steps: that were timed, each from the
    present params on. interpreted: it is Python that was timed, since NUMBA_DISABLE_JIT is set.
    seconds_per_step: a call of the instrumented twin, the sum of the rows. plain_seconds_per_step: a call of the step
    itself, timed in turns with it. Both are means over the middle half of the steps, by their times.
    peak_flops: FLOP/s of matrix products of peak_dtype: float32 unless the step has none. peak_bytes: bytes/s that a
    large copy reads and writes. Both were measured in this process, on as many threads.
    rows: in the order of f.report().kernels, then the clocks and the rest. timeline: the step whose time is the median.
    """

    name: str
    sizes: Mapping[str, int]
    threads: int
    steps: int
    interpreted: bool
    seconds_per_step: float
    plain_seconds_per_step: float
    peak_dtype: str
    peak_flops: float
    peak_bytes: float
    rows: tuple[ProfileRow, ...]
    timeline: tuple[Event, ...] = field(repr=False)

    def __str__(self) -> str:
        return "\n".join(_page(self))

    def __rich__(self) -> Any:
        return _in_colours(self)

    def show(self) -> None:
        """Prints the table: with colours in a terminal."""
        if sys.stdout.isatty():
            from rich.console import Console

            console = Console()
            console.width = max(console.width, NARROWEST)  # a narrower terminal breaks the lines itself
            console.print(self)
        else:
            print(self)

    def plot(self, axes: Any = None) -> Any:
        """Draws the rows' times as bars, coloured by what limits them; returns Matplotlib's Axes.

        Raises ImportError where Matplotlib is missing.
        """
        return _drawn(self, _new_axes() if axes is None else axes)

    def to_chrome_trace(self, path: str | Path) -> None:
        """Writes the median step as a trace in JSON, a track a thread, which Perfetto and chrome://tracing open."""
        Path(path).write_text(json.dumps(_trace(self)), encoding="utf-8")


def heaviest_first(profile: Profile) -> list[ProfileRow]:
    """The rows by their time, the clocks and the rest last."""
    own = [row for row in profile.rows if row.calls]
    return sorted(own, key=lambda row: -row.seconds) + [row for row in profile.rows if not row.calls]


# ---- the table ------------------------------------------------------------------------------------------------------

TITLES = ("", "region", "time", "share", "calls", "bytes", "FLOP", "GB/s", "GFLOP/s", "of peak", "ops", "lines")
NARROWEST = 120
"""Columns of a terminal that hold the table: what is longer are the ops and the lines, which are folded."""

NUMBERS = range(2, 9)
"""The columns that are set flush right."""

COUNTS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""))


def _page(profile: Profile) -> Iterator[str]:
    yield from _heading(profile)
    yield ""
    table = [TITLES, *map(_cells, heaviest_first(profile)), _cells(_total(profile))]
    wide = [max(map(len, column)) for column in zip(*table, strict=True)]
    for cells in table:
        aligned = (
            f"{cell:>{width}}" if at in NUMBERS else f"{cell:<{width}}"
            for at, (cell, width) in enumerate(zip(cells, wide, strict=True))
        )
        yield "  ".join(aligned).rstrip()


def _heading(profile: Profile) -> Iterator[str]:
    threads = f"{profile.threads} thread{'s' * (profile.threads != 1)}"
    times = [seconds_text(each) for each in (profile.seconds_per_step, profile.plain_seconds_per_step)]
    steps = f"{profile.steps:,} steps on at most {threads}"
    yield f"{_call(profile)}: {times[0]} a step with clocks, {times[1]} without; {steps}"
    peaks = [f"{rate / 1e9:.3g} G{unit}/s" for rate, unit in ((profile.peak_flops, "FLOP"), (profile.peak_bytes, "B"))]
    yield f"peaks on {threads}: {peaks[0]} ({profile.peak_dtype} products), {peaks[1]} (a large copy)"
    if profile.interpreted:
        yield "NUMBA_DISABLE_JIT is set: this is the time of Python, not of machine code"


def _call(profile: Profile) -> str:
    """`step(batch=128)`."""
    return printable(f"{profile.name}({', '.join(f'{name}={value}' for name, value in profile.sizes.items())})")


def _cells(row: ProfileRow) -> tuple[str, ...]:
    counts = [f"{row.calls:,}", bytes_text(row.bytes), scaled(row.flop, COUNTS).strip()] if row.calls else [""] * 3
    rates = [_rate(row.bytes_per_second), _rate(row.flop_per_second)]
    limit = f"{100 * row.of_peak:.0f} %{f' of {row.bound}' * (row.bound != 'neither')}" if row.calls else ""
    texts = [limit, some(row.ops), lines_text(row.lines)]
    shown = [row.name, row.region or "", seconds_text(row.seconds), f"{100 * row.share:.1f} %", *counts, *rates, *texts]
    return tuple(map(printable, shown))


def _rate(value: float) -> str:
    billions = value / 1e9
    return "" if not value else f"{billions:,.0f}" if billions >= 100 else f"{billions:.3g}"


def _total(profile: Profile) -> ProfileRow:
    """All rows as one."""
    seconds, rows = sum(row.seconds for row in profile.rows), profile.rows
    moved, flop = sum(row.bytes for row in rows), sum(row.flop for row in rows)
    bound, of_peak = limit(flop / seconds / profile.peak_flops, moved / seconds / profile.peak_bytes)
    return ProfileRow(
        *("total", None, (), (), seconds, sum(row.share for row in rows), sum(row.calls for row in rows)),
        *(moved, flop, moved / seconds, flop / seconds, bound, of_peak),
    )


# ---- in colours -----------------------------------------------------------------------------------------------------

COLOURS = {"FLOP": "C0", "bytes": "C1", "neither": "0.6"}
"""Matplotlib's, by what limits a row."""

STYLES = {"FLOP": "cyan", "bytes": "yellow", "neither": ""}
"""Rich's."""


def _in_colours(profile: Profile) -> Any:
    """The table as Rich draws it."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for at, title in enumerate(TITLES):
        table.add_column(title, justify="right" if at in NUMBERS else "left", no_wrap=at < 10)
    for row in heaviest_first(profile):
        table.add_row(*map(Text, _cells(row)), style=STYLES[row.bound])
    table.add_section()
    table.add_row(*map(Text, _cells(_total(profile))), style="bold")
    return Group(*map(Text, _heading(profile)), "", table)


def _drawn(profile: Profile, axes: Any) -> Any:
    """Bars on Matplotlib's Axes."""
    from matplotlib.patches import Patch

    rows = heaviest_first(profile)
    labels = [printable(f"{row.name}  {some(row.ops)}  {lines_text(row.lines)}".strip()) for row in rows]
    places = range(len(rows))
    axes.barh(places, [1e6 * row.seconds for row in rows], color=[COLOURS[row.bound] for row in rows])
    axes.set_yticks(places)
    axes.set_yticklabels(labels, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlabel("µs a step")
    axes.set_title(_call(profile), parse_math=False)
    handles = [Patch(color=colour, label=f"limited by {bound}") for bound, colour in COLOURS.items()]
    axes.legend(handles=handles, loc="lower right")
    return axes


def _new_axes() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("Profile.plot() draws with Matplotlib, which is missing: pip install matplotlib") from None
    return pyplot.subplots(layout="constrained")[1]


# ---- the trace ------------------------------------------------------------------------------------------------------


def _trace(profile: Profile) -> dict[str, Any]:
    """The timeline in the Trace Event Format of Chrome: complete events, in microseconds."""
    row_of = {row.name: row for row in profile.rows}
    named = {event.thread: f"graphc {event.thread}" for event in profile.timeline} | {CALLER: "caller"}
    events = [_metadata("process_name", CALLER, profile.name)]
    events += [_metadata("thread_name", thread, name) for thread, name in sorted(named.items())]
    for event in profile.timeline:
        row = row_of[event.name] if event.kind == "kernel" else None
        start, duration = (round(1e6 * each, 3) for each in (event.start, event.seconds))
        about: dict[str, Any] = {} if event.tile is None else {"tile": event.tile}
        if row is not None:
            about |= {"ops": row.ops, "lines": row.lines, "region": row.region}
            about |= {"bytes": row.bytes // row.calls, "flop": row.flop // row.calls}
        place = {"pid": 1, "tid": event.thread, "ts": start, "dur": duration}
        events.append({"name": event.name, "cat": event.kind, "ph": "X", **place, "args": about})
    return {"traceEvents": events, "displayTimeUnit": "ns", "otherData": {"sizes": dict(profile.sizes)}}


def _metadata(what: str, thread: int, name: str) -> dict[str, Any]:
    return {"name": what, "ph": "M", "pid": 1, "tid": thread, "args": {"name": name}}
