"""Gradient descent down a loss surface: two learnable parameters, six optimizers.

The surface is Rosenbrock's valley, here with a factor of 10: a bent ravine with steep walls and a floor that is nearly
flat. Its lowest point, of loss 0, is at (1, 1). Plain SGD comes down the wall at once and then creeps along the floor.
The others remember earlier gradients. Momentum gathers speed, so much that it swings up the other wall; Nesterov's form
of it looks ahead and swings less. RMSprop, Adagrad and Adam give each parameter a rate of its own.

Run it with `python examples/descent_surface.py`; the picture goes to out/descent_surface.png.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

import graphc as gc

START, LOWEST = (-0.6, 2.1), (1.0, 1.0)
STEPS = 100
PICTURE = Path("out/descent_surface.png")

COLOURS = {
    "SGD": "#000000",
    "SGD with momentum": "#0072B2",
    "Nesterov": "#009E73",
    "RMSprop": "#E69F00",
    "Adagrad": "#CC79A7",
    "Adam": "#D55E00",
}


def optimizers() -> dict[str, gc.Optimizer]:
    """New ones, by the names of COLOURS."""
    return {
        "SGD": gc.SGD(lr=0.004),
        "SGD with momentum": gc.SGD(lr=0.004, momentum=0.9),
        "Nesterov": gc.SGD(lr=0.004, momentum=0.9, nesterov=True),
        "RMSprop": gc.RMSprop(lr=0.05, alpha=0.9),
        "Adagrad": gc.Adagrad(lr=0.3),
        "Adam": gc.Adam(lr=0.25),
    }


def surface(x: Any, y: Any) -> Any:
    """The loss at (x, y): of numbers, arrays of NumPy's, or nodes."""
    return (1 - x) ** 2 + 10 * (y - x**2) ** 2


def descend(optimizer: gc.Optimizer, steps: int = STEPS) -> np.ndarray:
    """The path down the surface, (steps + 1, 2): where the point was before the first step and after each."""
    point = gc.param("point", np.array(START))
    step = gc.compile(surface(point[0], point[1]), optimizer=optimizer)

    path = [point.value.copy()]
    for _ in range(steps):
        step()
        path.append(point.value.copy())
    return np.array(path)


def grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The surface as the pictures show it: x, y and the loss."""
    x, y = np.meshgrid(np.linspace(-1.7, 1.7, 300), np.linspace(-0.7, 2.4, 300))
    return x, y, surface(x, y)


def draw_map(axes: Axes, paths: dict[str, np.ndarray]) -> None:
    """All paths from above, on lines of equal loss."""
    levels = np.geomspace(0.02, 200, 17)
    axes.contourf(*grid(), levels, cmap="Greys", norm=LogNorm(0.02, 1e8), extend="min")
    axes.contour(*grid(), levels, colors="white", linewidths=0.6)
    for name, path in paths.items():
        axes.plot(*path.T, ".-", color=COLOURS[name], linewidth=1.2, markersize=4, label=name)
        axes.plot(*path[-1], "o", color=COLOURS[name], markeredgecolor="white", markersize=9, zorder=3)
    axes.plot(*LOWEST, "*", color="white", markeredgecolor="black", markersize=15, label="lowest point", zorder=4)
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    axes.set_title(f"{STEPS} steps from above", fontsize="medium")
    axes.legend(loc="lower left", framealpha=0.9)


def draw_relief(axes: Any, paths: dict[str, np.ndarray]) -> None:
    """Two of the paths on the surface itself; heights are the root of the loss, or the walls would hide the floor."""
    x, y, loss = grid()
    paper = {"color": "#F2F2F2", "edgecolor": "#B0B0B0", "linewidth": 0.3, "shade": False}
    axes.plot_surface(x, y, np.sqrt(loss), rcount=40, ccount=40, zorder=1, **paper)
    for name in ("SGD", "SGD with momentum"):
        path = paths[name].T
        axes.plot(*path, np.sqrt(surface(*path)) + 0.05, color=COLOURS[name], linewidth=2, zorder=2)
    axes.set_box_aspect((4, 4, 2.6))
    axes.view_init(elev=50, azim=-70)
    axes.set(xlabel="x", ylabel="y", zlabel="root of the loss")
    axes.set_title("SGD with and without momentum", fontsize="medium")


def draw(paths: dict[str, np.ndarray], path: Path) -> None:
    figure = Figure(figsize=(13, 6), layout="constrained")
    draw_relief(figure.add_subplot(1, 2, 1, projection="3d", computed_zorder=False), paths)
    draw_map(figure.add_subplot(1, 2, 2), paths)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    paths = {name: descend(optimizer) for name, optimizer in optimizers().items()}
    print(f"start              ({START[0]:5.2f}, {START[1]:5.2f})  loss {surface(*START):.5f}")
    for name, path in paths.items():
        x, y = path[-1]
        print(f"{name:17}  ({x:5.2f}, {y:5.2f})  loss {surface(x, y):.5f}")
    draw(paths, PICTURE)
    print(f"picture            {PICTURE}")


if __name__ == "__main__":
    main()
