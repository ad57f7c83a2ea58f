"""The sweep: two-layer nets of every batch and width, graphc beside NumPy by hand. graphc is never to be slower."""

from __future__ import annotations

import statistics
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from contenders import CONTENDERS, ONE_THREAD
from tables import number, say, show
from timing import median_of_step
from worker import Result, measured
from workloads import Dense

SIZES = tuple(4**power for power in range(7))
QUICK_SIZES = (1, 16, 256)
CLASSES = 10
SECONDS = 0.1
SIDES: dict[str, tuple[str, dict[str, str]]] = {
    "graphc": ("graphc", {}),
    "NumPy": ("NumPy", {}),
    "NumPy, 1 thread": ("NumPy", ONE_THREAD),
}
"""Contender and environment of each process."""


def main(options: Namespace) -> Result:
    """Median times of each net, and NumPy's time (with the better number of threads) over graphc's."""
    sizes, rounds = (QUICK_SIZES, 1) if options.quick else (SIZES, options.rounds)
    found: dict[str, dict[str, list[float]]] = {side: {} for side in SIDES}
    for turn in range(rounds):
        for width in sizes:
            for side, (contender, environment) in SIDES.items():
                say(f"round {turn + 1} of {rounds}, width {width}, {side}")
                asked = {"contender": contender, "width": width, "batches": sizes}
                for net, time in measured("sweep.nets", asked, environment)[0].items():
                    found[side].setdefault(net, []).append(time)
    say("")
    times = {side: {net: statistics.median(all_of) for net, all_of in nets.items()} for side, nets in found.items()}
    ratios = [[_ratio(times, _net(width, batch)) for width in sizes] for batch in sizes]
    title = "NumPy's time of a step over graphc's: width-width-10, by hand with the better number of threads"
    show(title, ["batch", *(f"width {n}" for n in sizes)], _cells(sizes, ratios))
    slower = [
        f"{batch} x {width} ({ratio:.2f})"
        for batch, line in zip(sizes, ratios)
        for width, ratio in zip(sizes, line)
        if ratio < 1
    ]
    print(f"Slower than NumPy at batch x width: {', '.join(slower) or 'none'}")
    return {"title": title, "batches": sizes, "widths": sizes, "ratios": ratios, "microseconds": times}


def _net(width: int, batch: int) -> str:
    return f"{width}-{width}-{CLASSES}/{batch}"


def _ratio(times: dict[str, dict[str, float]], net: str) -> float:
    return min(nets[net] for side, nets in times.items() if side != "graphc") / times["graphc"][net]


def _cells(sizes: Sequence[int], ratios: Sequence[Sequence[float]]) -> list[list[str]]:
    return [[str(batch), *(number(ratio) for ratio in line)] for batch, line in zip(sizes, ratios)]


# ---- in a process of its own ----------------------------------------------------------------------------------------


def nets(contender: str, width: int, batches: Sequence[int]) -> dict[str, Any]:
    """The median microseconds of a step of each net of that width."""
    setting = CONTENDERS[contender].settings[0]
    times = {}
    for net in (_net(width, batch) for batch in batches):
        step = setting.made(Dense.parsed(net))
        median_of_step(step, SECONDS / 2)
        times[net] = median_of_step(step, SECONDS)[0]
    return times
