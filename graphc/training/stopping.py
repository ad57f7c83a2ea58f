"""A callback that ends training when it no longer helps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from graphc.errors import InputError
from graphc.training.history import History


@dataclass(frozen=True)
class EarlyStopping:
    """Ends training when `monitor` has not improved by more than `min_delta` for `patience` epochs.

    monitor: "val_loss", "loss" or the name of a metric. mode: "min" if less is better, as it is for losses, "max"
    if more is; to be said for a metric. A NaN is no improvement.
    """

    patience: int = 1
    min_delta: float = 0.0
    monitor: str = "val_loss"
    mode: str | None = None

    def __post_init__(self) -> None:
        if self.patience < 1 or not self.min_delta >= 0:
            raise ValueError(f"patience is at least 1, min_delta not negative; got {self.patience}, {self.min_delta}")
        sign_of(self.monitor, self.mode)

    def __call__(self, epoch: int, history: History) -> bool:
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
        return len(values) - best_at >= self.patience


def sign_of(monitor: str, mode: str | None) -> int:
    """1 if less of what is monitored is better, -1 if more is; ValueError if neither is known."""
    if mode not in ("min", "max") and not (mode is None and monitor in ("loss", "val_loss")):
        raise ValueError(f'mode is "min" or "max" for {monitor!r}, got {mode!r}: is less better, or more?')
    return -1 if mode == "max" else 1
