"""What runs in a contender's process: it trains, and tells its losses and the median time of a step."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable
from typing import Any

from contenders import CONTENDERS, NotAvailable, Run, Step
from workloads import workload_of

LOSSES_AFTER = (1, 10)
SAMPLE_SECONDS = 2e-4
LOOP_SECONDS = 0.03
LOOP_LENGTHS = (1000, 100, 10)

Result = dict[str, Any]


def train(workload: str, contender: str, setting: str, seconds: float) -> Result:
    """Losses and median time; half of `seconds` more is spent before the clock starts."""
    who = CONTENDERS[contender]
    try:
        made = who.setting(setting).made(workload_of(workload))
    except NotAvailable as reason:
        return {"problem": str(reason)}
    # A step returns the loss before its update: after n steps is what step n + 1 returns.
    count = max(LOSSES_AFTER) + 1
    losses = list(made(count)) if who.kind == "loop" else [made() for _ in range(count)]
    timed = _of_loop if who.kind == "loop" else median_of_step
    timed(made, seconds / 2)
    microseconds, samples = timed(made, seconds)
    chosen = [float(losses[n]) for n in LOSSES_AFTER] if who.kind != "bound" else []
    return {"microseconds": microseconds, "samples": samples, "losses": chosen}


def median_of_step(step: Step, seconds: float) -> tuple[float, int]:
    """The median microseconds of a step, and the number of samples.

    Each sample is so many steps that reading the clock costs nothing.
    """
    step()
    steps = max(1, math.ceil(SAMPLE_SECONDS / _seconds_of(step)))

    def some() -> None:
        for _ in range(steps):
            step()

    samples = _samples(some, seconds)
    return statistics.median(samples) / steps * 1e6, len(samples)


def _of_loop(run: Run, seconds: float) -> tuple[float, int]:
    """The same for a loop of a fixed length, since a new length may be a new program."""
    count = max(LOSSES_AFTER) + 1  # a length that train() has compiled
    per_step = _seconds_of(lambda: run(count)) / count
    steps = next((length for length in LOOP_LENGTHS if length * per_step < LOOP_SECONDS), LOOP_LENGTHS[-1])
    run(steps)
    samples = _samples(lambda: run(steps), seconds)
    return statistics.median(samples) / steps * 1e6, len(samples)


def _samples(work: Callable[[], object], seconds: float) -> list[float]:
    """Times of `work`, over and over for so long."""
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while not samples or time.perf_counter() < end:
        samples.append(_seconds_of(work))
    return samples


def _seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
