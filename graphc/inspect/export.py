"""A graph for other viewers: Graphviz's DOT, and Mermaid.

    box      a node, filled by the phase of the step: forward, backward, update, guard; inputs and params are grey
    arrow    from an operand to what reads it; dashed from a param's next value to the param
    octagon  a check of the step

Scalar constants stand in the text of what reads them. Users' names are any text: here they are only ever labels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from graphc.graph import Graph, is_numbered, lines_of, names_of, printable, spelled
from graphc.inspect.stages import phases_of

COLOURS = {
    "leaf": "#f5f5f5",
    "forward": "#cfe2f3",
    "backward": "#fbdcc4",
    "update": "#d5ead0",
    "guard": "#ece3f4",
}
"""What a shape is filled with."""


@dataclass(frozen=True)
class Shape:
    """A node of the drawing: `kind` is a key of COLOURS, `note` what a viewer may show of it beside its label."""

    id: str
    lines: tuple[str, ...]
    kind: str
    note: str
    check: bool = False
    result: bool = False


@dataclass(frozen=True)
class Arrow:
    """An edge, from one shape's id to another's."""

    start: str
    end: str
    update: bool = False


def drawing(graph: Graph) -> tuple[list[Shape], list[Arrow]]:
    """What is drawn of a graph."""
    names, lines, phase = names_of(graph), lines_of(graph), phases_of(graph)
    leaves = list(dict.fromkeys((*graph.inputs, *graph.params)))
    drawn = [*leaves, *(node for node in graph.nodes if is_numbered(node))]
    ids = {node: f"n{number}" for number, node in enumerate(drawn)}
    shapes: list[Shape] = []
    for node in drawn:
        where = printable(lines.get(node, node.where))
        if node in leaves:
            note = f"{node.op.name}, {where}"
            shapes.append(Shape(ids[node], (names[node], str(node.type)), "leaf", note, result=node in graph.outputs))
        else:
            called = f"{names[node]} = {node.op.name}({', '.join(names[arg] for arg in node.args)})"
            note = f"{spelled(node, names)}  {where}"
            shapes.append(Shape(ids[node], (called, str(node.type)), phase[node], note, result=node in graph.outputs))
    arrows = [Arrow(ids[arg], ids[node]) for node in drawn for arg in node.args if arg in ids]
    arrows += [Arrow(ids[value], ids[param], update=True) for param, value in graph.updates if value in ids]
    for number, guard in enumerate(graph.guards):
        rule = f"check {printable(guard.rule)}"
        shapes.append(Shape(f"g{number}", (rule,), "guard", "holds before any param changes", check=True))
        arrows += [Arrow(ids[guard.condition], f"g{number}")] if guard.condition in ids else []
    return shapes, arrows


# ---- DOT ------------------------------------------------------------------------------------------------------------


def dot(graph: Graph) -> str:
    """The graph in Graphviz's language."""
    return "\n".join(_dot_lines(graph))


def _dot_lines(graph: Graph) -> Iterator[str]:
    shapes, arrows = drawing(graph)
    yield f"digraph {_dot_text(printable(graph.name))} {{"
    yield '  node [shape=box, style="filled,rounded", fontname="Helvetica"];'
    for each in shapes:
        label = "\\n".join(map(_dot_escaped, each.lines))
        form = ", shape=octagon, style=filled" * each.check + ", style=filled" * (each.kind == "leaf")
        form += ", peripheries=2" * each.result
        note = _dot_text(each.note)
        yield f'  {each.id} [label="{label}", fillcolor="{COLOURS[each.kind]}", tooltip={note}{form}];'
    for arrow in arrows:
        yield f"  {arrow.start} -> {arrow.end}{' [style=dashed, constraint=false]' * arrow.update};"
    yield "}"


def _dot_text(text: str) -> str:
    return f'"{_dot_escaped(text)}"'


def _dot_escaped(text: str) -> str:
    """As it stands in a quoted string; Graphviz knows HTML's entities there, and its own escapes."""
    for found, instead in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\\", "\\\\"), ('"', '\\"')):
        text = text.replace(found, instead)
    return text


# ---- Mermaid --------------------------------------------------------------------------------------------------------


def mermaid(graph: Graph) -> str:
    """The graph as a Mermaid flowchart. Viewers draw some hundred nodes; GitHub's limit is 50,000 characters."""
    return "\n".join(_mermaid_lines(graph))


def _mermaid_lines(graph: Graph) -> Iterator[str]:
    shapes, arrows = drawing(graph)
    yield "flowchart TD"
    for each in shapes:
        label = f'"{"<br/>".join(map(_mermaid_escaped, each.lines))}"'
        form = f"{{{{{label}}}}}" if each.check else f"[[{label}]]" if each.result else f"[{label}]"
        yield f"  {each.id}{form}:::{each.kind}"
    for arrow in arrows:
        yield f"  {arrow.start} {'-.->' if arrow.update else '-->'} {arrow.end}"
    for kind, colour in COLOURS.items():
        yield f"  classDef {kind} fill:{colour},stroke:#666,color:#111"


def _mermaid_escaped(text: str) -> str:
    """As it stands in a quoted label: what Mermaid, Markdown or HTML could take for their own, by its number.

    A percent sign before a digit stays, since that is no comment and no directive.
    """
    return re.sub(r"%(?!\d)|[^\w %.,:=()\[\]/+'-]", lambda found: f"#{ord(found[0])};", text)
