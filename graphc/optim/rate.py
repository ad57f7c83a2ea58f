"""The learning rate: a scalar that steps read from memory, and the schedule that sets it before each of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from graphc.errors import GraphError, InputError
from graphc.state import Param

Schedule: TypeAlias = Callable[[int], float]
Rate: TypeAlias = "float | np.ndarray[Any, Any] | Schedule"

NATIVE = (
    "f.njit runs steps with no Python between; leave lr a number, and set it before each call of your native code: "
    "f.optimizer.lr = schedule(f.steps)"
)


class LearningRate:
    """The learning rate of an optimizer: `param` holds it, a float64; `schedule` gives it for each step, or is None.

    models: for how many it was given as an array; None if one rate is for all.
    """

    def __init__(self, name: str, value: Any) -> None:
        self.param = Param(name, np.zeros(()), trainable=False)
        self.schedule: Schedule | None = None
        self.models: int | None = None
        if np.ndim(value) == 1:
            self.param.copies(len(value))
        self._in_native_code = False
        self.set(value)
        self.prepare(0)

    @property
    def value(self) -> Any:
        """A float, or an array with one for each model."""
        return float(self.param.value) if self.models is None else self.param.copies(self.models).value.copy()

    def set(self, value: Rate) -> None:
        """From the next step on; ValueError for a number that is negative or not finite."""
        if callable(value):
            if self._in_native_code:
                raise GraphError(f"a schedule is asked from Python, but {NATIVE}")
            self.schedule = value
            return
        if not np.all((np.asarray(value) >= 0) & np.isfinite(value)):
            raise ValueError(f"lr is finite and not negative, got {value}")
        known = self.param._copies if self.models is None else [self.models]
        if np.ndim(value) and np.shape(value) not in [(models,) for models in known]:
            wanted = " or ".join(f"an array of {models}" for models in known)
            raise ValueError(f"lr is a number{' or ' * bool(wanted)}{wanted}, got shape {np.shape(value)}")
        self._write(value)
        self.schedule = None

    def prepare(self, step: int) -> None:
        """Sets the rate for the step before which so many have been done, if there is a schedule."""
        if self.schedule is not None:
            self._write(_rate_at(self.schedule, step))

    def read(self, live: np.ndarray[Any, Any]) -> None:
        """Takes over the rate that native code has written for a step, or for each model of one."""
        self._write(float(live.flat[0]))

    def _write(self, rate: Any) -> None:
        if np.ndim(rate):
            self.models = len(rate)
            self.param.copies(self.models).value = np.asarray(rate, np.float64)
            return
        self.param.value[...] = rate
        for many in self.param._copies.values():
            many.value[...] = rate

    def rates(self, first: int, count: int) -> list[float]:
        """The schedule's rates of so many steps, or up to one that it has none for; InputError if that is the first."""
        assert self.schedule is not None
        found = [_rate_at(self.schedule, first)]
        for step in range(first + 1, first + count):
            try:
                found.append(_rate_at(self.schedule, step))
            except InputError:
                break  # it is raised when that step is the first
        return found

    def check_native(self) -> None:
        """GraphError if there is a schedule; from now on there may be none."""
        if self.schedule is not None:
            raise GraphError(f"the optimizer has a schedule, but {NATIVE}")
        self._in_native_code = True


def _rate_at(schedule: Schedule, step: int) -> float:
    try:
        rate = schedule(step)
        usable = 0 <= rate < math.inf
    except Exception as error:
        raise InputError(f"the schedule of lr has no rate for step {step}, counted from 0: {error!r}") from error
    if not usable:
        raise InputError(
            f"a learning rate is finite and not negative; the schedule gives {rate!r} for step {step}, counted from 0"
        )
    return float(rate)
