"""From what a step's twin has measured to a profile: stamps become seconds, and seconds rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc.backend.build import Interpreted, Machine
from graphc.explain import Facts
from graphc.inspect.flop import flop
from graphc.inspect.peaks import peak_bytes, peak_flops
from graphc.inspect.profile import CALLER, Event, Profile, ProfileRow, limit
from graphc.inspect.twin import STARTED, STOPPED, THREAD, Part, Times, Twin, measured
from graphc.kernel import Region
from graphc.report import KernelRecord
from graphc.sizes import evaluate

Array = np.ndarray[Any, Any]

CLOCKS, REST = "the clocks", "the rest"
"""The last two rows: what the stamps take, and all that is neither kernel nor product: the call itself, the statements
between kernels, guards."""


def profile_of(
    twin: Twin, code: Machine | Interpreted, threads: int, arrays: Sequence[Array], sizes: Mapping[str, int]
) -> Profile:
    """Runs a step and its twin on inputs that fit; what a call of the step raises is raised here."""
    dtype = "float32" if any(each.type.dtype == np.float32 for each in twin.plan.program.buffers) else "float64"
    peaks = peak_flops(threads, dtype), peak_bytes(threads)
    times = measured(twin, code, threads, arrays, sizes)
    shared, facts = Shares(twin, times), Facts(twin.plan.program)
    rows, names = list[ProfileRow](), dict[Any, str]()
    for (item, _, tiles), record in zip(facts.heavy(), facts.kernels(), strict=True):
        names[item] = record.name
        counts = [evaluate(each, sizes) for each in (record.reads + record.writes, flop(item, tiles), tiles)]
        rows.append(_row(record, shared.seconds[item], shared.whole, counts, peaks))
    for name, seconds in ((CLOCKS, shared.clocks), (REST, shared.rest)):
        share = seconds / shared.whole
        rows.append(ProfileRow(name, None, (), (), seconds, share, 0, 0, 0, 0.0, 0.0, "neither", 0.0))
    return Profile(
        *(twin.plan.program.graph.name, dict(sizes), threads, len(times.whole), isinstance(code, Interpreted)),
        seconds_per_step=shared.whole,
        plain_seconds_per_step=float(times.plain[_middle(times.plain)].mean()),
        peak_dtype=dtype,
        peak_flops=peaks[0],
        peak_bytes=peaks[1],
        rows=tuple(rows),
        timeline=tuple(_timeline(twin, times, names)),
    )


def _row(
    record: KernelRecord, seconds: float, whole: float, counts: Sequence[int], peaks: tuple[float, float]
) -> ProfileRow:
    """counts: bytes, operations, calls. peaks: operations and bytes a second."""
    moved, operations, calls = counts
    flop_rate, byte_rate = (operations / seconds, moved / seconds) if seconds else (0.0, 0.0)
    bound, of_peak = limit(flop_rate / peaks[0], byte_rate / peaks[1])
    return ProfileRow(
        *(record.name, record.region, record.ops, record.lines, seconds, seconds / whole, calls, moved, operations),
        *(byte_rate, flop_rate, bound, of_peak),
    )


# ---- from stamps to seconds -----------------------------------------------------------------------------------------


class Shares:
    """The mean of the middle half of the twin's steps, `whole`, shared out: `seconds` by item, the clocks and the rest.

    A stamp takes time itself, half of it before and half behind the moment that it tells. A region's time is shared out
    by the times of its tiles, on whichever threads they ran, and of their stamps.
    """

    def __init__(self, twin: Twin, times: Times) -> None:
        steps = _middle(times.whole)
        self.whole = float(times.whole[steps].mean())
        self.seconds: dict[Any, float] = {}
        self._stamps, self._first, self._pair = times.stamps[steps], times.first, 2e-9 * times.cost
        clocks, tiled = np.zeros(len(steps)), list[tuple[int, Part]]()
        for number, part in enumerate(twin.parts):
            if part.region is not None:
                tiled.append((number, part))
                continue
            clocks += self._pair
            if isinstance(part.item, Region):
                clocks += self._share_out(self._spent(number), tiled)
                tiled.clear()
            else:
                self.seconds[part.item] = float(self._spent(number).mean())
        left = self.whole - sum(self.seconds.values())
        self.clocks = min(float(clocks.mean()), left)
        self.rest = left - self.clocks

    def _spent(self, number: int) -> Array:
        """The seconds of a part in each step, all tiles together, without what its stamps take."""
        stamps = self._stamps[:, self._first[number] : self._first[number + 1]]
        between = (stamps[..., STOPPED] - stamps[..., STARTED]) / 1e9 - self._pair / 2
        spent: Array = np.maximum(between, 0).sum(1)
        return spent

    def _share_out(self, seconds: Array, tiled: Sequence[tuple[int, Part]]) -> Array:
        """Gives each part of a region its share of the region's seconds; the rest of them, its stamps'."""
        own = [self._spent(number) for number, _ in tiled]
        stamps = self._pair * sum(self._first[number + 1] - self._first[number] for number, _ in tiled)
        busy = sum(own, np.zeros(len(seconds))) + stamps
        scale = np.divide(seconds, busy, out=np.zeros(len(seconds)), where=busy > 0)
        for (_, part), spent in zip(tiled, own, strict=True):
            self.seconds[part.item] = float((spent * scale).mean())
        return stamps * scale


def _middle(times: Array) -> Array:
    """Which of the steps are the middle half by their times."""
    order = np.argsort(times, kind="stable")
    return order[len(order) // 4 : len(order) - len(order) // 4]


def _timeline(twin: Twin, times: Times, names: Mapping[Any, str]) -> list[Event]:
    """The step whose time is the median: itself, then each part, tile by tile."""
    step = int(np.argsort(times.whole, kind="stable")[len(times.whole) // 2])
    threads = {times.caller: CALLER}
    events = [Event(twin.plan.program.graph.name, "step", CALLER, 0.0, float(times.whole[step]))]
    for number, part in enumerate(twin.parts):
        name, kind = (part.item.name, "region") if isinstance(part.item, Region) else (names[part.item], "kernel")
        words = times.stamps[step, times.first[number] : times.first[number + 1]].tolist()
        for tile, word in enumerate(words):
            thread = threads.setdefault(word[THREAD], len(threads))
            start, seconds = (word[STARTED] - times.began[step]) / 1e9, (word[STOPPED] - word[STARTED]) / 1e9
            events.append(Event(name, kind, thread, float(start), seconds, None if part.region is None else tile))
    return events
