"""What a user sees of training while it runs: a bar, a line of a notebook, lines of a log file, or nothing."""

from __future__ import annotations

import contextlib
import datetime
import sys
import time
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from graphc.training.history import History

REFRESH = 0.1
"""Seconds between two looks of a bar."""

SILENCE = 60.0
"""Seconds after which a log file has a line though no epoch has ended."""

WIDTH = 24
"""Characters of a notebook's bar."""


class Progress(Protocol):
    """Is told of samples while they are trained on, with the values so far, and of each epoch that has ended."""

    def samples(self, count: int, values: str) -> None: ...

    def epoch(self, history: History) -> None: ...


@contextlib.contextmanager
def shown(progress: bool | None, epochs: range | None, samples: int | None) -> Iterator[Progress]:
    """A bar on stderr where someone watches, a line that changes in a notebook, else lines; False for nothing.

    epochs: their numbers; None for a pass that trains nothing, whose bar goes away at the end, and which has no lines.
    samples: how many there are in an epoch, None if that is not known.
    """
    if progress is False:
        yield Silent()
    elif _is_notebook():
        line = Notebook(epochs, samples)
        yield line
        if epochs is None:
            line.show("")
    elif sys.stderr.isatty():
        with _rich_bar(transient=epochs is None) as bar:
            yield Bar(bar, epochs, samples)
    else:
        yield Silent() if epochs is None else Lines(epochs, samples)


def _is_notebook() -> bool:
    """Whether this is a process of Jupyter's."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class Silent:
    """Says nothing."""

    def samples(self, count: int, values: str) -> None:
        """Nothing to do."""

    def epoch(self, history: History) -> None:
        """Nothing to do."""


class Pace:
    """Samples that are done, of all that there will be if that is known, how fast, and how long the rest will take."""

    def __init__(self, epochs: range | None, samples: int | None) -> None:
        self.done, self.total = 0, None if samples is None else samples * (1 if epochs is None else len(epochs))
        self._start = time.perf_counter()

    @property
    def rate(self) -> str:
        return f"{self.done / (time.perf_counter() - self._start):,.0f} samples/s"

    @property
    def left(self) -> str:
        """`0:03:20 left`; nothing if that is not known, or if all is done."""
        if not self.total or not self.done or self.done == self.total:
            return ""
        seconds = (time.perf_counter() - self._start) * (self.total - self.done) / self.done
        return f"{datetime.timedelta(seconds=round(seconds))} left"


class Lines:
    """A line on stderr for each epoch, and one a minute in epochs that last longer."""

    def __init__(self, epochs: range, samples: int | None) -> None:
        self._epochs, self._number, self._samples, self._of = epochs, epochs.start, 0, samples
        self._pace, self._written = Pace(epochs, samples), time.perf_counter()

    def samples(self, count: int, values: str) -> None:
        self._samples += count
        self._pace.done += count
        if time.perf_counter() - self._written > SILENCE:
            of = f" of {self._of:,}" if self._of else ""
            done = f"{self._samples:,}{of} samples"
            self._write(f"{done}  {values}  {self._pace.rate}  {self._pace.left}")

    def epoch(self, history: History) -> None:
        rate = f"{self._samples / history.seconds[-1]:,.0f} samples/s"
        self._write(f"{values(history)}  {rate}  {self._pace.left}")
        self._number, self._samples = self._number + 1, 0

    def _write(self, text: str) -> None:
        print(f"{title(self._number, self._epochs)}  {text.rstrip()}", file=sys.stderr, flush=True)
        self._written = time.perf_counter()


class Bar:
    """A bar of Rich's: epoch, loss so far, the last epoch's metrics, samples a second, and the time that is left."""

    def __init__(self, bar: Any, epochs: range | None, samples: int | None) -> None:
        self._bar, self._epochs, self._drawn, self._metrics = bar, epochs, 0.0, ""
        self._pace = Pace(epochs, samples)
        self._task = bar.add_task(
            title(epochs.start if epochs else 1, epochs), total=self._pace.total, values="", rate=""
        )

    def samples(self, count: int, values: str) -> None:
        self._pace.done += count
        now = time.perf_counter()
        if now - self._drawn > REFRESH:
            values += self._metrics
            self._bar.update(self._task, completed=self._pace.done, values=values, rate=self._pace.rate)
            self._drawn = now

    def epoch(self, history: History) -> None:
        last = self._epochs.stop - 1 if self._epochs else 1
        self._metrics = metrics(history)
        self._bar.update(
            self._task,
            completed=self._pace.done,
            description=title(min(history.epoch + 1, last), self._epochs),
            values=values(history),
            rate=self._pace.rate,
        )


class Notebook:
    """The same as a line of text under the cell, which changes; it wants no widgets."""

    def __init__(self, epochs: range | None, samples: int | None) -> None:
        from IPython.display import display

        self._epochs, self._drawn, self._metrics = epochs, 0.0, ""
        self._number = epochs.start if epochs else 1
        self._pace = Pace(epochs, samples)
        self._handle = display({"text/plain": ""}, raw=True, display_id=True)

    def samples(self, count: int, values: str) -> None:
        self._pace.done += count
        now = time.perf_counter()
        if now - self._drawn > REFRESH:
            self._line(values + self._metrics)
            self._drawn = now

    def epoch(self, history: History) -> None:
        self._metrics = metrics(history)
        self._line(values(history))
        self._number += 1

    def _line(self, values: str) -> None:
        pace, bar = self._pace, ""
        if pace.total:
            full = WIDTH * pace.done // pace.total
            bar = f"  {'━' * full}{'─' * (WIDTH - full)}"
        self.show(f"{title(self._number, self._epochs)}{bar}  {values}  {pace.rate}  {pace.left}".rstrip())

    def show(self, text: str) -> None:
        self._handle.update({"text/plain": text}, raw=True)


def title(number: int, epochs: range | None) -> str:
    return "evaluate" if epochs is None else f"epoch {number}/{epochs.stop - 1}"


def values(history: History) -> str:
    """`loss 0.1234  accuracy 0.98`: the last epoch's."""
    return f"loss {told(history.loss[-1])}{metrics(history)}"


def metrics(history: History) -> str:
    return "".join(f"  {name} {told(each[-1])}" for name, each in history.metrics.items())


def told(value: Any) -> str:
    """A number; of many models the least and the greatest."""
    if isinstance(value, np.ndarray):
        return f"{np.fmin.reduce(value):.4g} to {np.fmax.reduce(value):.4g}"
    return f"{value:.4g}"


def _rich_bar(transient: bool) -> Any:
    """Rich is imported when it is first used."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress as RichProgress, TextColumn, TimeRemainingColumn

    fields = ("description", "fields[values]", "fields[rate]")
    title, *rest = (TextColumn(f"{{task.{field}}}", markup=False) for field in fields)
    columns = [title, BarColumn(), *rest, TimeRemainingColumn()]
    return RichProgress(*columns, console=Console(stderr=True), transient=transient)
