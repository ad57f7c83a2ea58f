"""The learning rate: a scalar that steps read from memory, and the schedule that sets it before each of them."""

from __future__ import annotations

import math
import threading
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

    models: for how many it was given as an array; None if one rate is for all. lock: whoever sets it for a step holds
    this until the step is done.
    """

    def __init__(self, name: str, value: Any) -> None:
        self.param = Param(name, np.zeros(()), trainable=False)
        self.schedule: Schedule | None = None
        self.models: int | None = None
        if np.ndim(value) == 1:
            self.param.copies(len(value))
        self.in_native_code = False
        self.lock = threading.RLock()
        self.set(value)
        self.prepare(0)

    @property
    def value(self) -> Any:
        """A float, or an array with one for each model."""
        return float(self.param.value) if self.models is None else self.param.copies(self.models).value.copy()

    def set(self, value: Rate) -> None:
        """From the next step on; ValueError for a number that is negative or not finite."""
        if callable(value):
            if self.in_native_code:
                raise GraphError(f"a schedule is asked from Python, but {NATIVE}")
            self.schedule = value
            return
        numbers = np.asarray(value)
        if numbers.dtype.kind not in "iuf" or not np.all((numbers >= 0) & np.isfinite(numbers)):
            raise ValueError(f"lr is a number, finite and not negative, or a schedule; got {value!r}")
        known = self.param._copies
        if np.ndim(value) and np.shape(value) not in [(models,) for models in known]:
            wanted = " or ".join(f"an array of {models}" for models in known)
            raise ValueError(f"lr is a number{' or ' * bool(wanted)}{wanted}, got shape {np.shape(value)}")
        with self.lock:
            self._write(value)
            self.schedule = None

    def prepare(self, step: int) -> None:
        """Sets the rate for the step before which so many have been done, if there is a schedule."""
        if self.schedule is not None:
            self._write(_rate_at(self.schedule, step))

    def read(self, live: np.ndarray[Any, Any]) -> None:
        """Takes over what native code, or a file, has written where a step reads it, or each model of one."""
        differ = live.ndim and (self.models is not None or bool((live != live.flat[0]).any()))
        self._write(live.copy() if differ else float(live.flat[0]))

    def _write(self, rate: Any) -> None:
        if np.ndim(rate):
            self.models = len(rate)
            self.param.copies(self.models).value = np.asarray(rate, np.float64)
            return
        self.models = None
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
        """GraphError if there is a schedule, which native code cannot ask."""
        if self.schedule is not None:
            raise GraphError(f"the optimizer has a schedule, but {NATIVE}")


def _rate_at(schedule: Schedule, step: int) -> float:
    try:
        rate = schedule(step)
        usable = np.ndim(rate) == 0 and 0 <= rate < math.inf
    except InputError:  # of a step that the schedule has called
        raise
    except Exception as error:
        raise InputError(f"the schedule of lr has no rate for step {step}, counted from 0: {error!r}") from error
    if not usable:
        raise InputError(
            f"a schedule gives one number for all models, finite and not negative; it gives {rate!r} for step {step}, "
            "counted from 0"
        )
    return float(rate)
