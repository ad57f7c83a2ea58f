"""How steady a step is: fresh processes on an idle machine and with a core taken; and numpy.dot beside graphc.

A library whose threads spin or are pinned can be fast in one process and slow in the next, and can slow down what runs
beside it: this looks for both. What the machine itself does at the time is told by exchange.py: two cores of a virtual
machine may be near to each other in one second and far in the next.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
from argparse import Namespace
from collections.abc import Iterator

import numpy as np
from contenders import CONTENDERS
from exchange import nanoseconds_a_line
from tables import number, say, show
from timing import median_of_step
from worker import Result, measured
from workloads import workload_of

NETS = ("mnist", "deep")
PROCESSES = 20
QUICK_PROCESSES = 3
SECONDS = 0.3
AIMS = {"idle": 1.5, "other core busy": 2.5}
"""The slowest process's median step over the fastest one's, on an idle machine."""
HEADER = ("net", "machine", "best µs", "median", "worst", "over best idle", "ns a line", "median", "worst", "")
DOT_SIZE = 1024
DOTS = ("before graphc is imported", "after graphc was used", "between steps of graphc")


def main(options: Namespace) -> Result:
    """Every process's median step, and of numpy.dot."""
    processes = QUICK_PROCESSES if options.quick else PROCESSES
    rows = [row for net in options.workloads or NETS for row in _steps(net, processes)]
    show(f"the median step of {processes} fresh processes", HEADER, [_cells(row) for row in rows])
    dots = _dots(1 if options.quick else options.rounds)
    alone = dots[DOTS[0]]
    lines = [(name, number(time), number(time / alone, "x")) for name, time in dots.items()]
    show(f"numpy.dot of {DOT_SIZE}x{DOT_SIZE}", ("when", "µs", "of alone"), lines)
    return {"rows": rows, "dots": dots}


def _steps(net: str, processes: int) -> list[Result]:
    """A row for the idle machine, and one with another process on a core. Both are compared with the best idle one."""
    rows: list[Result] = []
    for machine in AIMS:
        times, lines = [], []
        with _busy_core() if machine != "idle" else contextlib.nullcontext():
            for turn in range(processes):
                say(f"{net}, {machine}: process {turn + 1} of {processes}")
                found = measured("stability.step", {"workload": net})[0]
                times.append(found["step"])
                lines.append(found["line"])
        best = rows[0]["best"] if rows else min(times)
        row: Result = {"net": net, "machine": machine, "best": min(times), "worst": max(times), "times": times}
        row["lines"] = lines
        rows.append(row | {"median": statistics.median(times), "ratio": max(times) / best, "aim": AIMS[machine]})
    say("")
    return rows


def _cells(row: Result) -> tuple[str, ...]:
    missed = "" if row["ratio"] <= row["aim"] else f"at most {row['aim']}x is the aim"
    times = [number(row[key]) for key in ("best", "median", "worst")]
    lines = [number(kind(row["lines"])) for kind in (min, statistics.median, max)]
    return (row["net"], row["machine"], *times, number(row["ratio"], "x"), *lines, missed)


@contextlib.contextmanager
def _busy_core() -> Iterator[None]:
    """Another process computes for as long."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        try:
            yield
        finally:
            process.kill()


def _dots(rounds: int) -> dict[str, float]:
    say("numpy.dot beside graphc")
    found = [measured("stability.dots", {"workload": "mnist"})[0] for _ in range(rounds)]
    say("")
    return {name: statistics.median(times[name] for times in found) for name in DOTS}


# ---- in a process of its own ----------------------------------------------------------------------------------------


def step(workload: str) -> dict[str, float]:
    """The median microseconds of a step of graphc's, and nanoseconds to hand a cache line from core to core."""
    train = CONTENDERS["graphc"].settings[0].made(workload_of(workload))
    median_of_step(train, SECONDS)
    return {"step": median_of_step(train, SECONDS)[0], "line": nanoseconds_a_line()}


def dots(workload: str) -> dict[str, float]:
    """The median microseconds of numpy.dot, alone and beside graphc."""
    a, b = (np.random.default_rng(seed).random((DOT_SIZE, DOT_SIZE), np.float32) for seed in range(2))
    out = np.empty_like(a)

    def dot() -> float:
        np.dot(a, b, out=out)
        return 0.0

    median_of_step(dot, SECONDS)
    alone = median_of_step(dot, SECONDS)[0]
    train = CONTENDERS["graphc"].settings[0].made(workload_of(workload))
    median_of_step(train, SECONDS)
    after = median_of_step(dot, SECONDS)[0]
    between = []
    for _ in range(50):
        train()
        between.append(median_of_step(dot, 0)[0])
    return dict(zip(DOTS, (alone, after, statistics.median(between))))
