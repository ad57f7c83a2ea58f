"""Gradient descent down a loss curve: one learnable parameter, a local minimum and a global one.

A ball starts high on the left. With a small learning rate it comes to rest in the first valley, the local minimum. With
momentum it rolls through: each move is a part of the move before, plus the slope. With a learning rate that is too
small it is still on its way when the steps are over; with one that is too large it leaps from side to side and never
settles.

Run it with `python examples/descent_curve.py`; the picture goes to out/descent_curve.png.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import graphc as gc

START, STEPS = -2.25, 60
"""Where the ball starts, and how many steps it takes."""
LOCAL, GLOBAL = -1.33, 1.48
"""The two minima of `curve`, to two digits."""
PICTURE = Path("out/descent_curve.png")
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#B0B0B0"


@dataclass
class Descent:
    """Where the ball was before the first step and after each, and the loss there."""

    title: str
    weights: np.ndarray
    losses: np.ndarray


def curve(w: Any) -> Any:
    """The loss at w: of a number, an array of NumPy's, or a node."""
    return w**4 / 4 - w**2 - 0.3 * w + 1.5


def descend(title: str, optimizer: gc.Optimizer, steps: int = STEPS) -> Descent:
    """Steps down the curve, each one a call of the compiled step."""
    w = gc.param("w", START, dtype="float64")
    step = gc.compile(curve(w), optimizer=optimizer)

    weights, losses = [float(w.value)], []
    for _ in range(steps):
        losses.append(step())  # the loss before the step moves w
        weights.append(float(w.value))
    return Descent(title, np.array(weights), np.array([*losses, curve(weights[-1])]))


def descents() -> list[Descent]:
    return [
        descend("A small rate: stuck in the local minimum", gc.SGD(lr=0.03)),
        descend("The same rate, with momentum: rolls through", gc.SGD(lr=0.03, momentum=0.9)),
        descend("A rate too small: still on its way", gc.SGD(lr=0.0005)),
        descend("A rate too large: leaps, and never settles", gc.SGD(lr=0.63)),
    ]


def draw_descent(axes: Axes, descent: Descent) -> None:
    """The curve, and the ball on it: pale at the start, dark at the end."""
    w = np.linspace(-2.4, 2.5, 400)
    axes.plot(w, curve(w), color=GREY, linewidth=2, zorder=1)
    axes.plot(descent.weights, descent.losses, color=BLUE, linewidth=0.8, alpha=0.4, zorder=2)
    ages = np.arange(len(descent.weights))
    axes.scatter(descent.weights, descent.losses, c=ages, cmap="Blues", vmin=-20, s=22, zorder=3)
    axes.plot(descent.weights[-1], descent.losses[-1], "o", color=ORANGE, markersize=9, zorder=4)
    axes.set_title(descent.title, fontsize="medium")


def draw(all_of_them: list[Descent], path: Path) -> None:
    figure = Figure(figsize=(10, 6.5), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey=True)
    for axes, descent in zip(panels.flat, all_of_them, strict=True):
        draw_descent(axes, descent)
        axes.spines[["top", "right"]].set_visible(False)
    for name, at in (("local minimum", LOCAL), ("global minimum", GLOBAL)):
        panels[0, 0].annotate(name, (at, curve(at)), (0, -12), textcoords="offset points", ha="center", va="top")
    panels[0, 0].set_ylim(-0.7, 3.8)
    figure.supxlabel("the parameter w", fontsize="medium")
    figure.supylabel("loss", fontsize="medium")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    found = descents()
    print(f"local minimum   w = {LOCAL:5.2f}, loss {curve(LOCAL):.3f}")
    print(f"global minimum  w = {GLOBAL:5.2f}, loss {curve(GLOBAL):.3f}")
    for descent in found:
        end = f"w = {descent.weights[-1]:5.2f}, loss {descent.losses[-1]:.3f}"
        print(f"{descent.title:45} after {STEPS} steps {end}")
    draw(found, PICTURE)
    print(f"picture         {PICTURE}")


if __name__ == "__main__":
    main()
