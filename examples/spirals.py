"""Uncrumples two spirals, layer by layer: what a deep net does to its data, drawn.

Two sheets of coloured paper, one on top of the other, crumpled into a ball: that is the chapter's picture of data whose
classes lie within each other. A net smooths the ball out, one movement a layer. Here the paper is a plane with two
spirals drawn on it, and each layer moves every point of it a little:

    points = points + tanh(points @ W) @ V

Each hidden unit shoves the paper along a line, one half of it this way and the other half that way: a row of V is a
column of W turned by a quarter, made longer or shorter. All units together begin as a slow whirl against the sense of
the spirals; training makes of it what unwinds them. The layers share W and V, so each does an equal part. After the
last one a straight line parts the two spirals; the picture shows where that line lies in the paper before.

Run it with `python examples/spirals.py`; the picture goes to out/spirals.png.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import graphc as gc

POINTS, TURNS, NOISE = 150, 1.25, 0.01
"""Points of each spiral, how often it goes round, and the standard deviation of what is added to its coordinates."""
LAYERS, DIRECTIONS, SLOPES, WHIRL = 7, 12, (1, 2, 3, 4), 0.005
"""Each layer has a hidden unit for each direction and slope. WHIRL: the length of their shoves before training."""
STEEP = 10
"""How fast the net becomes sure of a class with the distance from the line."""
STEPS, RATES, PRICE = 2000, (0.003, 0.001), 1.0
"""Steps of training at each rate, and what a movement costs: so much for its squared length, summed over the layers."""
SEED = 3
EDGE = 1.1
"""The paper that is drawn is a square, from -EDGE to EDGE."""
PICTURE = Path("out/spirals.png")
COLOURS, GREY = ("#0072B2", "#D55E00"), "#C4C4C4"


def spirals(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points, (2 * POINTS, 2), and for each the spiral that it is on, 0 or 1."""
    radius = np.sqrt(np.linspace(0.02, 1, POINTS))
    angle = 2 * np.pi * TURNS * radius
    arm = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    points = np.concatenate([arm, -arm]) + rng.normal(0, NOISE, (2 * POINTS, 2))
    return points.astype(np.float32), np.repeat([0, 1], POINTS).astype(np.float32)


def moved(points: gc.Node) -> list[gc.Node]:
    """The points as they are given, and after each layer."""
    angles = np.linspace(0, np.pi, DIRECTIONS, endpoint=False)
    directions = np.stack([np.cos(angles), np.sin(angles)])
    W = gc.param("W", np.hstack([slope * directions for slope in SLOPES]).astype(np.float32))
    length = gc.param("length", np.full((DIRECTIONS * len(SLOPES), 1), WHIRL, np.float32))
    V = length * gc.stack([W[1], -W[0]], axis=1)
    stages = [points]
    for _ in range(LAYERS):
        stages.append(stages[-1] + gc.tanh(stages[-1] @ W) @ V)
    return stages


def build() -> tuple[gc.Function, gc.Function]:
    """A step that trains, and a function that looks: where points are before and after each layer, and their logits."""
    x, y = gc.input("x", ("points", 2)), gc.input("y", ("points",))
    stages = moved(x)
    logits = STEEP * (stages[-1] @ gc.param("across", np.array([1, 0], np.float32)))
    movement = sum(gc.mean(gc.square(after - before)) for before, after in pairwise(stages))
    loss = gc.sigmoid_cross_entropy(logits, y) + PRICE * movement
    return gc.compile(loss, optimizer=gc.Adam(lr=RATES[0])), gc.compile([*stages, logits])


def train(step: gc.Function, points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The loss of each step; every step is on all points."""
    losses = []
    for rate in RATES:
        step.optimizer.lr = rate
        losses.append(step.run(STEPS, points, labels))
    return np.concatenate(losses)


def sheet() -> list[np.ndarray]:
    """The lines of squared paper, each of points (200, 2)."""
    along = np.linspace(-EDGE, EDGE, 200)
    lines = [np.stack([along, np.full(200, at)], axis=1) for at in np.linspace(-EDGE, EDGE, 23)]
    return [line.astype(np.float32) for each in lines for line in (each, each[:, ::-1])]


def border(look: gc.Function) -> list[np.ndarray]:
    """The curves on the paper on which the net is undecided, each of points (n, 2)."""
    along = np.linspace(-EDGE, EDGE, 400, dtype=np.float32)
    paper = np.stack(np.meshgrid(along, along), axis=-1)
    logits = look(paper.reshape(-1, 2))[-1].reshape(400, 400)
    return Figure().subplots().contour(along, along, logits, [0]).allsegs[0]


def draw(look: gc.Function, points: np.ndarray, labels: np.ndarray, path: Path) -> None:
    """A panel for what goes in and for what comes out of each layer."""
    figure = Figure(figsize=(12, 5.4), layout="constrained")
    panels: list[Axes] = list(figure.subplots(2, 4, sharex=True, sharey=True).flat)
    for line in sheet():
        for axes, each in zip(panels, look(line)[:-1], strict=True):
            axes.plot(*each.T, color=GREY, linewidth=0.5)
    for line in border(look):
        for axes, each in zip(panels, look(line.astype(np.float32))[:-1], strict=True):
            axes.plot(*each.T, color="black", linewidth=1.5)
    for number, (axes, each) in enumerate(zip(panels, look(points)[:-1], strict=True)):
        for label, colour in enumerate(COLOURS):
            axes.plot(*each[labels == label].T, ".", color=colour, markersize=4)
        axes.set_title(f"after layer {number}" if number else "what goes in", fontsize="medium")
        axes.set(aspect="equal", xticks=[], yticks=[])
        axes.margins(0.01)
        axes.spines[:].set_visible(False)
    figure.supxlabel("on the black line the net is undecided", fontsize="medium")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    points, labels = spirals(np.random.default_rng(SEED))
    step, look = build()
    losses = train(step, points, labels)
    logits = look(points)[-1]
    print(f"loss     {losses[0]:.3f} at first, {losses[-1]:.3f} after {len(losses)} steps")
    print(f"a straight line after layer {LAYERS} parts {np.mean((logits > 0) == labels):.1%} of the points rightly")
    draw(look, points, labels, PICTURE)
    print(f"picture  {PICTURE}")


if __name__ == "__main__":
    main()
