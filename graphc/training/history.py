"""What training has done so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc.nearest import did_you_mean


@dataclass
class History:
    """One entry an epoch; an epoch that did not end has none, one that ended just before Ctrl-C may lack metrics.

    Of many models (compile(copies=n)) an entry is an array (n,).
    loss: the mean over the samples, each at the step that trained it. metrics: by name, each a list, with `val_loss` if
    there is validation data. seconds: of training, validation not counted. steps: all that were done, the last epoch's
    too if it did not end. interrupted: whether Ctrl-C ended it. initial_epoch: how many epochs were done before these.
    """

    loss: list[Any] = field(default_factory=list)
    metrics: dict[str, list[Any]] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    steps: int = 0
    interrupted: bool = False
    initial_epoch: int = 0

    @property
    def epoch(self) -> int:
        """The number of the last epoch that ended, counted as fit counts them."""
        return self.initial_epoch + len(self.loss)

    def values(self, name: str) -> list[Any]:
        """`loss`, or the metric of this name; KeyError says what there is."""
        known = {"loss": self.loss, **self.metrics}
        if name not in known:
            near = "; fit(..., validation=...) adds it" if name == "val_loss" else did_you_mean(name, known)
            raise KeyError(f"no {name!r} is measured, only {', '.join(known)}{near}")
        return known[name]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists and numbers, as JSON has them; a copy."""
        return {
            "loss": [_plain(value) for value in self.loss],
            "metrics": {name: [_plain(value) for value in values] for name, values in self.metrics.items()},
            "seconds": [*self.seconds],
            "steps": self.steps,
            "interrupted": self.interrupted,
            "initial_epoch": self.initial_epoch,
        }

    def plot(self, axes: Any = None) -> Any:
        """Draws the losses by epoch, and the other metrics on a scale of their own; returns Matplotlib's Axes."""
        if axes is None:
            axes = _new_axes()
        losses = {"loss": self.loss, **{name: each for name, each in self.metrics.items() if name == "val_loss"}}
        others = {name: each for name, each in self.metrics.items() if name not in losses}
        first = self.initial_epoch + 1
        lines = [axes.plot(range(first, first + len(each)), each, label=name)[0] for name, each in losses.items()]
        axes.set(xlabel="epoch", ylabel="loss")
        if others:
            right = axes.twinx()
            right.set_ylabel(", ".join(others))
            for name, each in others.items():
                colour, numbers = f"C{len(lines)}", range(first, first + len(each))
                lines.append(right.plot(numbers, each, "--", color=colour, label=name)[0])
        axes.legend(handles=lines, loc="center right")  # the middle: losses end low, accuracies high
        return axes


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def _new_axes() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError:
        raise ImportError("History.plot() draws with Matplotlib, which is missing: pip install matplotlib") from None
    return pyplot.subplots(layout="constrained")[1]
