"""A graph as a picture that stands alone: SVG without scripts, as a notebook shows it.

A node stands below what it reads: its row is the longest path from a leaf. Within a row, nodes are ordered by the mean
place of their neighbours in the row before, then in the one after, a few times (Sugiyama, Tagawa & Toda 1981).
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

from graphc.graph import Graph, is_numbered, names_of, printable
from graphc.inspect.layers import layers_of
from graphc.inspect.stages import phases_of
from graphc.ir import Node

MOST = 60
"""Nodes that are drawn one by one; a larger graph is drawn as its layers."""

SWEEPS = 4
LETTER, HIGH, ACROSS, DOWN, MARGIN, LONGEST = 6.7, 38.0, 18.0, 34.0, 14.0, 28

COLOURS = {"forward": "#1f6feb", "backward": "#c2410c", "update": "#15803d", "guard": "#7c3aed"}
TINTS = {"forward": "#e9f0fd", "backward": "#f9ece6", "update": "#e8f2eb", "guard": "#f2ebfd"}

STYLE = (
    "text{font:11px ui-monospace,Menlo,Consolas,monospace;fill:#1b1f24;text-anchor:middle;unicode-bidi:isolate}"
    ".b{font-weight:600}.q{fill:#57606a}path{fill:none;stroke:#8b949e;stroke-width:1.2}rect{stroke-width:1.3}"
)


@dataclass(eq=False)
class Box:
    """One node, or a layer of them: two lines of text; `needs` are the boxes above that it reads.

    A box without a title is where an edge passes a row.
    """

    title: str
    line: str
    phase: str
    leaf: bool
    needs: list[Box] = field(default_factory=list)
    row: int = 0
    x: float = 0.0

    @property
    def width(self) -> float:
        return max(len(self.title), len(self.line)) * LETTER + 16

    @property
    def y(self) -> float:
        return MARGIN + self.row * (HIGH + DOWN)


def svg_of(graph: Graph) -> str:
    """The picture of a graph. One of more than MOST nodes is drawn as layers, and says so."""
    nodes = [node for node in graph.nodes if is_numbered(node) or node.name]
    note = ""
    if len(nodes) <= MOST:
        boxes = _nodes(graph, nodes)
    else:
        boxes = _layers(graph, nodes)
        note = f"{len(nodes)} nodes, drawn as {len(boxes)} layers: the page of f.to_html(path) shows them all"
    boxes = _with_bends(boxes)
    rows = _rows(boxes)
    _set_apart(rows)
    return _svg(boxes, rows, f"graph {printable(graph.name)}", note)


# ---- boxes ----------------------------------------------------------------------------------------------------------


def _nodes(graph: Graph, nodes: Sequence[Node]) -> list[Box]:
    names, phases = names_of(graph), phases_of(graph)
    found: dict[Node, Box] = {}
    for node in nodes:
        title = names[node] if node.name else f"{names[node]}  {node.op.name}"
        line = f"{node.op.name} {node.type}" if node.name else str(node.type)
        needs = [found[arg] for arg in dict.fromkeys(node.args) if arg in found]
        found[node] = Box(_short(title), _short(line), phases[node], bool(node.name), needs)
    return list(found.values())


def _layers(graph: Graph, nodes: Sequence[Node]) -> list[Box]:
    """One box a layer, in order; an edge against that order, which the picture would draw upwards, is left out."""
    layers = layers_of(graph)
    members: dict[str, list[Node]] = {}
    for node in nodes:
        members.setdefault(layers[node], []).append(node)
    found: dict[str, Box] = {}
    for layer, inside in members.items():
        ops = dict.fromkeys(node.op.name for node in inside if not node.name)
        read = dict.fromkeys(layers[arg] for node in inside for arg in node.args)
        needs = [found[each] for each in read if each in found]
        line = f"{len(inside)} node{'s' * (len(inside) != 1)}: {', '.join(ops)}"
        found[layer] = Box(_short(printable(layer)), _short(line), "forward", False, needs)
    return list(found.values())


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


# ---- where they stand -----------------------------------------------------------------------------------------------


def _with_bends(boxes: Sequence[Box]) -> list[Box]:
    """The boxes, each in its row, and a bend wherever an edge passes a row: so each edge leads to the next row."""
    for box in boxes:
        box.row = 1 + max((need.row for need in box.needs), default=-1)
    _lower_leaves(boxes)
    bends: dict[tuple[Box, int], Box] = {}
    for box in boxes:
        for at, need in enumerate(box.needs):
            above = need
            for row in range(need.row + 1, box.row):
                above = bends.setdefault((need, row), Box("", "", need.phase, False, [above], row))
            box.needs[at] = above
    return [*boxes, *bends.values()]


def _rows(boxes: Sequence[Box]) -> list[list[Box]]:
    """The boxes by row of the picture, in an order with few crossings."""
    rows: list[list[Box]] = [[] for _ in range(1 + max((box.row for box in boxes), default=0))]
    readers: dict[Box, list[Box]] = {box: [] for box in boxes}
    for box in boxes:
        rows[box.row].append(box)
        for need in box.needs:
            readers[need].append(box)
    for sweep in range(SWEEPS):
        place = {box: at / len(row) for row in rows for at, box in enumerate(row)}
        for row in rows if sweep % 2 == 0 else reversed(rows):
            near = {box: box.needs if sweep % 2 == 0 else readers[box] for box in row}
            wanted = {box: _mean([place[each] for each in near[box]], place[box]) for box in row}
            row.sort(key=wanted.__getitem__)
            place.update((box, at / len(row)) for at, box in enumerate(row))
    return [row for row in rows if row]


def _lower_leaves(boxes: Sequence[Box]) -> None:
    """A leaf stands right above its first reader, not at the top of the picture."""
    first: dict[Box, int] = {}
    for box in boxes:
        for need in box.needs:
            first[need] = min(first.get(need, box.row), box.row)
    for box in boxes:
        if not box.needs and box in first:
            box.row = first[box] - 1


def _mean(places: Sequence[float], otherwise: float) -> float:
    return sum(places) / len(places) if places else otherwise


def _set_apart(rows: Sequence[Sequence[Box]]) -> None:
    """Each row in the middle of the picture."""
    widths = [sum(box.width for box in row) + ACROSS * (len(row) - 1) for row in rows]
    widest = max(widths, default=0.0)
    for at, (row, width) in enumerate(zip(rows, widths, strict=True)):
        left = MARGIN + (widest - width) / 2
        for box in row:
            box.row, box.x = at, left
            left += box.width + ACROSS


# ---- as SVG ---------------------------------------------------------------------------------------------------------


def _svg(boxes: Sequence[Box], rows: Sequence[Sequence[Box]], title: str, note: str) -> str:
    width = max([box.x + box.width for box in boxes] + [len(note) * LETTER + MARGIN]) + MARGIN
    height = 2 * MARGIN + len(rows) * (HIGH + DOWN) - DOWN + (20 if note else 0)
    edges = [_edge(need, box) for box in boxes for need in box.needs]
    foot = f'<text class="q" x="{width / 2:.0f}" y="{height - 10:.0f}">{html.escape(note)}</text>' if note else ""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
            f"<title>{html.escape(title)}</title><style>{STYLE}</style>",
            f'<rect width="{width:.0f}" height="{height:.0f}" rx="6" fill="#fff"/>',
            *edges,
            *map(_box, boxes),
            foot,
            "</svg>",
        ]
    )


def _edge(need: Box, box: Box) -> str:
    x, y = need.x + need.width / 2, need.y + HIGH
    to_x, to_y = box.x + box.width / 2, box.y
    middle = (y + to_y) / 2
    return f'<path d="M{x:.0f} {y:.0f}C{x:.0f} {middle:.0f} {to_x:.0f} {middle:.0f} {to_x:.0f} {to_y:.0f}"/>'


def _box(box: Box) -> str:
    middle, radius = box.x + box.width / 2, 16 if box.leaf else 4
    if not box.title:
        return f'<path d="M{middle:.0f} {box.y:.0f}V{box.y + HIGH:.0f}"/>'
    return (
        f'<rect x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{HIGH:.0f}" rx="{radius}" '
        f'stroke="{COLOURS[box.phase]}" fill="{"#fff" if box.leaf else TINTS[box.phase]}"/>'
        f'<text class="b" x="{middle:.0f}" y="{box.y + 16:.0f}">{html.escape(box.title)}</text>'
        f'<text class="q" x="{middle:.0f}" y="{box.y + 30:.0f}">{html.escape(box.line)}</text>'
    )
