"""What a user sees of training while it runs: a bar, a line for each epoch, or nothing."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from graphc.training.history import History

REFRESH = 0.1
"""Seconds between two looks of the bar."""


class Progress(Protocol):
    """Is told of samples while they are trained on, and of each epoch that has ended."""

    def samples(self, count: int) -> None: ...

    def epoch(self, history: History) -> None: ...


@contextlib.contextmanager
def shown(progress: bool | None, epochs: range, samples: int | None) -> Iterator[Progress]:
    """Progress on stderr: a bar where someone watches (a terminal, a notebook), else lines; False for none.

    epochs: their numbers. samples: how many there are in an epoch, None if that is not known.
    """
    if progress is False:
        yield Silent()
    elif sys.stderr.isatty() or "ipykernel" in sys.modules:
        with _rich_bar() as bar:
            yield Bar(bar, epochs, samples)
    else:
        yield Lines(epochs)


class Silent:
    """Says nothing."""

    def samples(self, count: int) -> None:
        """Nothing to do."""

    def epoch(self, history: History) -> None:
        """Nothing to do."""


class Lines:
    """A line on stderr for each epoch."""

    def __init__(self, epochs: range) -> None:
        self._last, self._samples = epochs.stop - 1, 0

    def samples(self, count: int) -> None:
        self._samples += count

    def epoch(self, history: History) -> None:
        rate = self._samples / history.seconds[-1]
        print(f"epoch {history.epoch}/{self._last}  {values(history)}  {rate:,.0f} samples/s", file=sys.stderr)
        self._samples = 0


class Bar:
    """A bar of Rich's: epoch, last values, samples a second, and the time that is left."""

    def __init__(self, bar: Any, epochs: range, samples: int | None) -> None:
        self._bar, self._last, self._done, self._drawn = bar, epochs.stop - 1, 0, 0.0
        total = samples and samples * len(epochs)
        self._task = bar.add_task(f"epoch {epochs.start}/{self._last}", total=total, values="", rate="")
        self._start = time.perf_counter()

    def samples(self, count: int) -> None:
        self._done += count
        now = time.perf_counter()
        if now - self._drawn > REFRESH:
            rate = f"{self._done / (now - self._start):,.0f} samples/s"
            self._bar.update(self._task, completed=self._done, rate=rate)
            self._drawn = now

    def epoch(self, history: History) -> None:
        number = min(history.epoch + 1, self._last)
        self._bar.update(
            self._task, completed=self._done, description=f"epoch {number}/{self._last}", values=values(history)
        )


def values(history: History) -> str:
    """`loss 0.1234  accuracy 0.98`: the last epoch's; of many models the least and the greatest."""
    last = {"loss": history.loss[-1], **{name: each[-1] for name, each in history.metrics.items()}}
    return "  ".join(f"{name} {_told(value)}" for name, value in last.items())


def _told(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{np.fmin.reduce(value):.4g} to {np.fmax.reduce(value):.4g}"
    return f"{value:.4g}"


def _rich_bar() -> Any:
    """Rich is imported when it is first used."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress as RichProgress, TextColumn, TimeRemainingColumn

    told = [
        TextColumn(f"{{task.{field}}}", markup=False) for field in ("description", "fields[values]", "fields[rate]")
    ]
    return RichProgress(told[0], BarColumn(), *told[1:], TimeRemainingColumn(), console=Console(stderr=True))
