"""What tensor operations do to points of the plane: translation, rotation, scaling, affine maps, and relu, as pictures.

The points are a letter F and a grid. One compiled function maps them by all expressions at once. An affine map of an
affine map is one affine map; relu after it is not, which is why layers have activations. Run it with
`python examples/geometry.py`; the picture goes to out/geometry.png.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import graphc as gc

PICTURE = Path("out/geometry.png")
BEFORE, AFTER, COMPARED = "0.78", "#0072B2", "#D55E00"
"""Colours: gray, blue, vermilion."""
REACH = 3.4
"""The panels show the plane from -REACH to REACH on both axes."""

ANGLE = np.radians(40)
b1 = np.array([-0.7, -0.5])
R = np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]])
S = np.diag([1.5, 0.5])
W1 = np.array([[0.9, 0.6], [-0.3, 1.0]])
W2, b2 = np.array([[1.0, -0.4], [0.5, 0.6]]), np.array([1.2, -1.0])

F = [(0, 0), (0.5, 0), (0.5, 0.8), (1.2, 0.8), (1.2, 1.2), (0.5, 1.2), (0.5, 1.6), (1.5, 1.6), (1.5, 2), (0, 2), (0, 0)]


def affine(x: gc.Node, w: np.ndarray, b: np.ndarray) -> gc.Node:
    """w . x + b for each point x; points are rows, and so stand on the left."""
    return x @ w.T + b


def transforms(x: gc.Node) -> dict[str, gc.Node]:
    """What becomes of points (..., 2), by the title of the panel."""
    one = affine(x, W1, b1)
    return {
        "translation: x + b": x + b1,
        "rotation by 40°: R · x": x @ R.T,
        "scaling: S · x": x @ S.T,
        "linear: W · x": x @ W1.T,
        "affine: W · x + b": one,
        "affine 2 of affine 1": affine(one, W2, b2),
        "one affine map, the same": affine(x, W2 @ W1, W2 @ b1 + b2),
        "affine, then relu": gc.relu(one),
    }


def build() -> gc.Function:
    """All transforms of lines of points (lines, points, 2), compiled as one function."""
    return gc.compile(transforms(gc.input("x", ("lines", "points", 2), "float64")))


def outline(corners: list[tuple[float, float]], points: int = 20) -> np.ndarray:
    """The line through the corners, (1, points, 2), with so many points on each side: relu may bend it anywhere."""
    sides = [np.linspace(start, end, points) for start, end in pairwise(corners)]
    return np.concatenate(sides)[None]


def grid(low: float = -1, high: float = 2, lines: int = 7, points: int = 61) -> np.ndarray:
    """Horizontal and vertical lines, (2 * lines, points, 2)."""
    along, across = np.meshgrid(np.linspace(low, high, points), np.linspace(low, high, lines))
    return np.concatenate([np.stack([along, across], -1), np.stack([across, along], -1)])


def draw_panel(axes: Axes, title: str, lines: np.ndarray, letter: np.ndarray) -> None:
    axes.plot(*lines.T, color=AFTER, linewidth=0.7, alpha=0.6)
    axes.fill(*letter[0].T, facecolor=AFTER, edgecolor=AFTER, alpha=0.75)
    axes.axhline(0, color="black", linewidth=0.6)
    axes.axvline(0, color="black", linewidth=0.6)
    axes.set_title(title, fontsize=10)
    axes.set(xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal", xticks=range(-3, 4), yticks=range(-3, 4))
    axes.label_outer()


def draw(function: gc.Function, path: Path) -> Figure:
    """A panel for the points as they are, and one for each transform over them in gray."""
    letter, lines = outline(F), grid()
    letters, grids = {"the points x": letter} | function(letter), {"the points x": lines} | function(lines)
    figure = Figure(figsize=(10, 10.4), layout="constrained")
    panels = figure.subplots(3, 3, sharex=True, sharey=True)
    for axes, title in zip(panels.flat, letters, strict=True):
        axes.fill(*letter[0].T, facecolor=BEFORE)
        draw_panel(axes, title, grids[title], letters[title])
    panels[2, 2].plot(*letters["affine: W · x + b"][0].T, color=COMPARED, linestyle="--")
    figure.supxlabel("first coordinate", fontsize=10)
    figure.supylabel("second coordinate", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return figure


def main() -> None:
    function = build()
    corners = np.array(F[:-1])[None]
    mapped = function(corners)
    for title, points in mapped.items():
        print(f"{title:24} the corner (1.5, 2) goes to ({points[0, 8, 0]:6.3f}, {points[0, 8, 1]:6.3f})")
    difference = mapped["affine 2 of affine 1"] - mapped["one affine map, the same"]
    print(f"two affine maps differ from one by at most {np.abs(difference).max():.1e}")
    draw(function, PICTURE)
    print(f"picture  {PICTURE}")


if __name__ == "__main__":
    main()
