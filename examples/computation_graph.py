"""The computation graph, forward and backward: values go down its edges, gradients come back up.

First the graph of four scalars: an edge from B back to A carries how much B varies as A varies, and the gradient of
the loss by a node is the product of the edges on the path to it. Then the loss of a network of two layers: its
gradients are more nodes of the same graph. Run it with `python examples/computation_graph.py`; the picture goes to
out/computation_graph.png.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

import graphc as gc

PICTURE = Path("out/computation_graph.png")
BLUE, VERMILION = "#0072B2", "#D55E00"

GIVEN = {"x": 2.0, "w": 3.0, "b": 1.0, "y_true": 4.0}
EDGES = [("x", "x1"), ("w", "x1"), ("x1", "x2"), ("b", "x2"), ("x2", "loss"), ("y_true", "loss")]
PATHS = {"w": ["loss", "x2", "x1", "w"], "b": ["loss", "x2", "b"]}

PLACES = {"x": (0, 3), "w": (1, 3), "x1": (0.5, 2), "b": (1.5, 2), "x2": (1, 1), "y_true": (2, 1), "loss": (1.5, 0)}
LABELS = {"x1": "x1 = x · w", "x2": "x2 = x1 + b", "loss": "loss = |y_true - x2|"}


def scalar_graph() -> dict[str, gc.Node]:
    """The loss |y_true - (x * w + b)| and all nodes on the way to it, by name."""
    nodes = {name: gc.input(name, (), "float64") for name in GIVEN}
    nodes["x1"] = nodes["x"] * nodes["w"]
    nodes["x2"] = nodes["x1"] + nodes["b"]
    nodes["loss"] = gc.abs(nodes["y_true"] - nodes["x2"])
    return nodes


def forward(nodes: dict[str, gc.Node]) -> dict[str, float]:
    """The value of each node."""
    return {name: float(gc.evaluate(node, GIVEN)) for name, node in nodes.items()}


def backward(nodes: dict[str, gc.Node]) -> dict[tuple[str, str], float]:
    """grad(B, A) for each edge from A to B, by the edge reversed: how much B varies as A varies."""
    return {(end, start): float(gc.evaluate(gc.grad(nodes[end], nodes[start]), GIVEN)) for start, end in EDGES}


def show_scalars(nodes: dict[str, gc.Node], values: dict[str, float], edges: dict[tuple[str, str], float]) -> None:
    print("forward, from the inputs to the loss")
    for name, value in values.items():
        print(f"  {LABELS.get(name, name):22} {value:g}")
    print("backward, from the loss to the inputs, an edge at a time")
    for (end, start), gradient in reversed(edges.items()):
        print(f"  grad({end}, {start})".ljust(24), f"{gradient:g}")
    print("the chain rule: multiply along the path")
    for name, path in PATHS.items():
        steps = list(pairwise(path))
        named = " * ".join(f"grad({end}, {start})" for end, start in steps)
        numbers = " * ".join(f"{edges[step]:g}" for step in steps)
        print(f"  grad(loss, {name}) = {named} = {numbers} = {prod(edges[step] for step in steps):g}")
        print(f"    gc.grad says {gc.evaluate(gc.grad(nodes['loss'], nodes[name]), GIVEN):g}")


def two_layers() -> gc.Function:
    """The loss of a classifier of two layers, and its gradients by all params."""
    x, y_true = gc.input("x", ("batch", 784)), gc.input("y_true", ("batch",), "int64")
    W1, b1 = gc.param("W1", (784, 512)), gc.param("b1", 512, init="zeros")
    W2, b2 = gc.param("W2", (512, 10)), gc.param("b2", 10, init="zeros")
    y_pred = gc.softmax(gc.dot(gc.relu(gc.dot(x, W1) + b1), W2) + b2)
    loss = gc.cross_entropy(y_pred, y_true)
    return gc.compile([loss, *gc.grad(loss, [W1, b1, W2, b2])], name="two_layers")


def draw_edge(axes: Axes, start: str, end: str, label: str, color: str) -> None:
    """An arrow between two nodes, with a number beside its middle."""
    (x0, y0), (x1, y1) = PLACES[start], PLACES[end]
    arrow = {"arrowstyle": "-|>", "color": color, "linewidth": 1.5, "shrinkA": 13, "shrinkB": 13}
    axes.annotate("", (x1, y1), (x0, y0), arrowprops=arrow)
    side = 0.16 if (x1 - x0) * (y1 - y0) < 0 else -0.16  # within the V of the two edges that meet below
    axes.text((x0 + x1) / 2 + side, (y0 + y1) / 2, label, color=color, ha="center", va="center")


def draw_graph(axes: Axes, title: str) -> None:
    box = {"boxstyle": "round", "facecolor": "white", "edgecolor": "black"}
    for name, place in PLACES.items():
        axes.text(*place, LABELS.get(name, name), ha="center", va="center", bbox=box)
    axes.set_title(title, fontsize=10)
    axes.set(xlim=(-0.4, 2.5), ylim=(-0.3, 3.3))
    axes.set_axis_off()


def draw(values: dict[str, float], edges: dict[tuple[str, str], float], path: Path) -> Figure:
    """The graph with the value of its start on each edge; beside it reversed, the edges on the path to w in colour."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_graph(left, f"Forward: values; the loss is {values['loss']:g}")
    for start, end in EDGES:
        draw_edge(left, start, end, f"{values[start]:g}", BLUE)
    on_path = list(pairwise(PATHS["w"]))
    draw_graph(right, f"Backward: grad(loss, w) = {prod(edges[edge] for edge in on_path):g}, along the path")
    for edge, gradient in edges.items():
        draw_edge(right, *edge, f"{gradient:g}", VERMILION if edge in on_path else "0.45")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return figure


def main() -> None:
    nodes = scalar_graph()
    values, edges = forward(nodes), backward(nodes)
    show_scalars(nodes, values, edges)
    print(f"\nthe loss of two layers, and its gradients\n{two_layers().stages['graph']}")
    draw(values, edges, PICTURE)
    print(f"picture  {PICTURE}")


if __name__ == "__main__":
    main()
