"""Which layer of the user's model a node belongs to: by the names of the params that it reads, else by the user's line.

A picture of a large graph starts with layers, each one box.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from graphc.graph import Graph, lines_of
from graphc.ir import Node
from graphc.state import Param

MOST = 100
"""Layers that a picture has; neighbours are put together where there are more."""

WHOLE = 100
"""Nodes of a layer; a larger one is cut."""


def layers_of(graph: Graph) -> dict[Node, str]:
    """The layer of each node of the graph as the user built it.

    A node that reads a layer's params is of that layer, and so is what is computed from it at the same line. What is
    computed at another line, such as the loss, has that line as its layer, and so have all nodes where no param has a
    layer's name.
    """
    line = lines_of(graph)
    reached: dict[Node, str | None] = {}  # the last layer on the way to a node
    own_lines: dict[str, set[str]] = {}
    rank: dict[str | None, int] = {None: -1}
    for node in graph.nodes:
        read = [name for name in map(layer_name, node.args) if name is not None]
        found: list[str | None] = [*read] or [reached[arg] for arg in node.args]
        for name in read:
            rank.setdefault(name, len(rank))
            own_lines.setdefault(name, set()).add(line[node])
        reached[node] = layer_name(node) or max(found, key=rank.__getitem__, default=None)
    return _of_a_size({node: _label(node, reached[node], own_lines, line[node]) for node in graph.nodes})


def layer_name(node: Node) -> str | None:
    """`hidden` for the param `hidden.W`, `layer 2` for `W2`; None for a name that tells of no layer."""
    if not isinstance(node, Param):
        return None
    prefix, _, _ = str(node.name).rpartition(".")
    numbered = re.fullmatch(r"[^\W\d]+_?(\d+)", str(node.name))
    return prefix or (f"layer {numbered[1]}" if numbered else None)


def _label(node: Node, layer: str | None, own_lines: Mapping[str, set[str]], line: str) -> str:
    if layer is None:
        return line
    if isinstance(node, Param) or line in own_lines.get(layer, ()):
        return layer
    return f"{line} after {layer}"


def _of_a_size(label: Mapping[Node, str]) -> dict[Node, str]:
    """The labels, with large layers cut into pieces, and neighbours put together where there are too many layers."""
    members: dict[str, list[Node]] = {}
    for node, layer in label.items():
        members.setdefault(layer, []).append(node)
    cut = [piece for layer, nodes in members.items() for piece in _pieces(layer, nodes)]
    width = -(-len(cut) // MOST)
    merged = [_together(cut[at : at + width]) for at in range(0, len(cut), width)]
    return {node: layer for layer, nodes in merged for node in nodes}


def _pieces(layer: str, nodes: Sequence[Node]) -> list[tuple[str, Sequence[Node]]]:
    if len(nodes) <= WHOLE:
        return [(layer, nodes)]
    pieces = [nodes[at : at + WHOLE] for at in range(0, len(nodes), WHOLE)]
    return [(f"{layer}, piece {at} of {len(pieces)}", piece) for at, piece in enumerate(pieces, 1)]


def _together(neighbours: Sequence[tuple[str, Sequence[Node]]]) -> tuple[str, list[Node]]:
    first, last = neighbours[0][0], neighbours[-1][0]
    return first if first == last else f"{first} ... {last}", [node for _, nodes in neighbours for node in nodes]
