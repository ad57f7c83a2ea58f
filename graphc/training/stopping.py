"""A callback that ends training when it no longer helps, and may take back what no longer did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.errors import InputError
from graphc.training.history import History


@dataclass(frozen=True)
class EarlyStopping:
    """Ends training when `monitor` has not improved by more than `min_delta` for `patience` epochs.

    monitor: "val_loss", "loss" or the name of a metric. mode: "min" if less is better, as it is for losses, "max"
    if more is; to be said for a metric. A NaN is no improvement.
    restore_best: when training ends, by Ctrl-C too, params and the optimizer's state are again what they were after the
    epoch of the last improvement, for which a copy of them is kept. They stay as they are where an error ends training,
    or nothing was an improvement.
    """

    patience: int = 1
    min_delta: float = 0.0
    monitor: str = "val_loss"
    mode: str | None = None
    restore_best: bool = False

    def __post_init__(self) -> None:
        if self.patience < 1 or not self.min_delta >= 0:
            raise ValueError(f"patience is at least 1, min_delta not negative; got {self.patience}, {self.min_delta}")
        sign_of(self.monitor, self.mode)

    def __call__(self, epoch: int, history: History) -> bool:
        return self.epochs_since_best(history) >= self.patience

    def epochs_since_best(self, history: History) -> int:
        """How many epochs there were since the last improvement; all, if there was none."""
        try:
            values = history.values(self.monitor)
        except KeyError as error:
            raise InputError(f"EarlyStopping: {error.args[0]}") from None
        if np.ndim(values[-1]):
            raise InputError(f"EarlyStopping is for one model, and {self.monitor!r} has a value for each of many")
        sign = sign_of(self.monitor, self.mode)
        best, best_at = float("inf"), 0
        for at, value in enumerate(values, 1):
            if sign * value < best - self.min_delta:
                best, best_at = sign * value, at
        return len(values) - best_at


def sign_of(monitor: str, mode: str | None) -> int:
    """1 if less of what is monitored is better, -1 if more is; ValueError if neither is known."""
    if mode not in ("min", "max") and not (mode is None and monitor in ("loss", "val_loss")):
        raise ValueError(f'mode is "min" or "max" for {monitor!r}, got {mode!r}: is less better, or more?')
    return -1 if mode == "max" else 1


class Restoring:
    """An EarlyStopping and the arrays that training changes, with a copy of them as they were when it was best."""

    def __init__(self, stopping: EarlyStopping, arrays: Sequence[np.ndarray[Any, Any]]) -> None:
        self._stopping, self._arrays = stopping, arrays
        self._best: list[np.ndarray[Any, Any]] = []

    def __call__(self, epoch: int, history: History) -> bool:
        if not self._stopping.epochs_since_best(history):
            self._best = [array.copy() for array in self._arrays]
        return self._stopping(epoch, history)

    def restore(self) -> None:
        for array, best in zip(self._arrays, self._best):
            array[...] = best


def restore_best(callbacks: Iterable[object]) -> None:
    """What is to be done when training has ended."""
    for callback in callbacks:
        if isinstance(callback, Restoring):
            callback.restore()
