"""Learning-rate schedules: functions that return one, `gc.SGD(lr=gc.schedules.cosine(0.1, steps=1000))`.

A schedule is any callable that takes how many steps have been done before, 0 at the first, and returns the learning
rate. Those made here print as they were made. Rates are finite and not negative, numbers of steps at least 1; else they
raise ValueError.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class NamedSchedule:
    """The learning rate by the number of steps done before; its repr is the text that it was made by."""

    rate: Callable[[int], float]
    text: str

    def __call__(self, step: int) -> float:
        return self.rate(step)

    def __repr__(self) -> str:
        return self.text


def constant(rate: float) -> NamedSchedule:
    """`rate`, at every step."""
    _check_rates(rate=rate)
    return NamedSchedule(lambda step: rate, f"constant({rate})")


def step_decay(rate: float, every: int, factor: float = 0.1) -> NamedSchedule:
    """`rate * factor ** (step // every)`: multiplied by `factor` after each `every` steps (torch's StepLR)."""
    _check_rates(rate=rate, factor=factor)
    _check_steps(every=every)
    return NamedSchedule(
        lambda step: rate * factor ** (step // every), f"step_decay({rate}, every={every}, factor={factor})"
    )


def cosine(rate: float, steps: int, end: float = 0.0) -> NamedSchedule:
    """Half a cosine from `rate` to `end`, which it stays at after `steps` (Loshchilov and Hutter 2017).

    `end + (rate - end) * (1 + cos(pi * min(step, steps) / steps)) / 2`: up to there torch's CosineAnnealingLR.
    """
    _check_rates(rate=rate, end=end)
    _check_steps(steps=steps)

    def at(step: int) -> float:
        return end + (rate - end) * (1 + math.cos(math.pi * min(step, steps) / steps)) / 2

    return NamedSchedule(at, f"cosine({rate}, steps={steps}, end={end})")


def warm_up(steps: int, then: float | Callable[[int], float], start: float = 0.0) -> NamedSchedule:
    """A straight line from `start` to the first rate of another schedule, or a number, that goes on after `steps`.

    `start + (then(0) - start) * step / steps` while `step < steps`, afterwards `then(step - steps)`: torch's LinearLR
    and the other one in a SequentialLR.
    """
    after = then if callable(then) else constant(then)
    _check_rates(start=start)
    _check_steps(steps=steps)

    def at(step: int) -> float:
        return after(step - steps) if step >= steps else start + (after(0) - start) * step / steps

    return NamedSchedule(at, f"warm_up({steps}, then={then!r}, start={start})")


def _check_rates(**values: float) -> None:
    for name, value in values.items():
        if not (isinstance(value, (int, float)) and 0 <= value < math.inf):
            raise ValueError(f"{name} is a number, finite and not negative; got {value!r}")


def _check_steps(**values: int) -> None:
    for name, value in values.items():
        if not value >= 1:
            raise ValueError(f"{name} is at least 1, got {value}")
