"""Slope, derivative, gradient: the line that touches a curve, the same by differences, and the chain rule on scalars.

Near a point, f(x + eps) is about f(x) + slope * eps. `gc.grad` makes the slope as an expression of x, exact and at
every point. Run it with `python examples/slope.py`; the picture goes to out/slope.png, and the chain rule's graph, with
a value and a gradient on each edge, to out/slope.html: a page for the browser.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import graphc as gc

PICTURE, PAGE = Path("out/slope.png"), Path("out/slope.html")
BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
POINT = 1.5
"""Where the tangent touches."""

SAMPLE = {"x": 2.0, "w": 3.0, "b": 1.0, "y_true": 4.0}


def curve() -> tuple[gc.Function, gc.Function]:
    """f(x) = x * x / 2 - cos(2 x), and its derivative, for any number of points."""
    x = gc.input("x", ("points",), "float64")
    f = x * x / 2 - gc.cos(2 * x)
    return gc.compile(f), gc.compile(gc.grad(gc.sum(f), x))  # each point has a term of its own in the sum


def difference_quotient(f: Callable[[np.ndarray], np.ndarray], x: float, eps: float) -> float:
    """Rise over run between x - eps and x + eps."""
    before, after = f(np.array([x - eps, x + eps]))
    return float(after - before) / (2 * eps)


def tangent(f: gc.Function, derivative: gc.Function, x: float, at: np.ndarray) -> np.ndarray:
    """The local linear approximation of f around x: f(x) + slope * eps."""
    point = np.array([x])
    return f(point) + derivative(point) * (at - x)


def scalar_graph() -> tuple[gc.Node, dict[str, gc.Node]]:
    """The loss |y_true - (x * w + b)| of four scalars, and each of its nodes by name."""
    x, w, b, y_true = (gc.input(name, (), "float64") for name in SAMPLE)
    x1 = x * w
    x2 = x1 + b
    return gc.abs(y_true - x2), {"x2": x2, "x1": x1, "w": w, "b": b}


def show_approximation(f: gc.Function, derivative: gc.Function) -> None:
    slope = derivative(np.array([POINT]))[0]
    print(f"slope at {POINT}: {slope:.9f} by gc.grad; by hand, x + 2 sin(2 x): {POINT + 2 * np.sin(2 * POINT):.9f}")
    print("eps     f(x + eps)   f(x) + slope * eps   error     difference quotient")
    for eps in (1.0, 0.1, 0.01, 0.001):
        near = np.array([POINT + eps])
        exact, linear = f(near)[0], tangent(f, derivative, POINT, near)[0]
        quotient = difference_quotient(f, POINT, eps)
        print(f"{eps:<6g}  {exact:.7f}    {linear:.7f}            {abs(exact - linear):.1e}   {quotient:.9f}")


def show_chain_rule() -> None:
    loss, nodes = scalar_graph()
    print(f"\nx = 2, w = 3, b = 1, y_true = 4: the loss is {gc.evaluate(loss, SAMPLE)}")
    for name, node in nodes.items():
        print(f"grad(loss, {name:2}) = {gc.evaluate(gc.grad(loss, node), SAMPLE)}")
    step = gc.compile([loss, *gc.grad(loss, [nodes["w"], nodes["b"]])], name="slope")
    print(step.stages["graph"])
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    step.to_html(PAGE, values=SAMPLE)


def draw(f: gc.Function, derivative: gc.Function, path: Path) -> Figure:
    """The curve with two tangents and its derivative; beside it the curve and a tangent from near."""
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    whole, near = figure.subplots(1, 2)
    x = np.linspace(-3, 3, 301)
    whole.plot(x, f(x), color=BLUE, label="f(x) = x²/2 - cos(2x)")
    whole.plot(x, derivative(x), color=GREEN, linestyle=":", label="its derivative")
    for point, label in ((POINT, "tangents"), (-1.0, None)):
        at = np.array([point - 0.8, point + 0.8])
        whole.plot(at, tangent(f, derivative, point, at), color=VERMILION, linestyle="--", label=label)
        whole.plot(point, f(np.array([point])), color=VERMILION, marker="o")
    x = np.linspace(POINT - 0.2, POINT + 0.6, 101)
    near.plot(x, f(x), color=BLUE, label="f(x + eps)")
    near.plot(x, tangent(f, derivative, POINT, x), color=VERMILION, linestyle="--", label="f(x) + slope · eps")
    near.plot(POINT, f(np.array([POINT])), color=VERMILION, marker="o")
    for axes, title, label in (
        (whole, "The slope of a curve at each point", "x"),
        (near, f"Near x = {POINT}: almost the tangent", "x + eps"),
    ):
        axes.set_title(title, fontsize=10)
        axes.set(xlabel=label, ylabel="y")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return figure


def main() -> None:
    f, derivative = curve()
    show_approximation(f, derivative)
    show_chain_rule()
    draw(f, derivative, PICTURE)
    print(f"picture  {PICTURE}\npage     {PAGE}")


if __name__ == "__main__":
    main()
