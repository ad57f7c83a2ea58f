"""Graphs for other viewers: DOT and Mermaid, read back by small parsers of their own."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field

import numpy as np
import pytest
from models import classifier

import graphc as gc
from graphc.graph import Graph, is_numbered, names_of, printable
from graphc.inspect.export import COLOURS, dot, mermaid
from graphc.request import graph_of


@dataclass
class Drawn:
    """What a viewer would draw: the label and the colour of each node, and the edges."""

    name: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    colours: dict[str, str] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    dashed: list[tuple[str, str]] = field(default_factory=list)


_STRING = r'"(?:[^"\\\n]|\\.)*"'
_ATTR = rf"(\w+)=({_STRING}|\w+)"


def of_dot(text: str) -> Drawn:
    """Graphviz's grammar, as far as it is used; anything else is an error."""
    head, node_style, *rows, tail = text.split("\n")
    name = re.fullmatch(rf"digraph ({_STRING}) {{", head)
    assert name is not None
    assert re.fullmatch(rf"  node \[{_ATTR}(, {_ATTR})*\];", node_style)
    assert tail == "}"
    drawn = Drawn(unescaped(name[1]))
    for row in rows:
        found = re.fullmatch(rf"  (\w+)(?: -> (\w+))?(?: \[({_ATTR}(?:, {_ATTR})*)\])?;", row)
        assert found is not None, row
        attrs = dict(re.findall(_ATTR, found[3] or ""))
        if found[2]:
            (drawn.dashed if attrs.get("style") == "dashed" else drawn.edges).append((found[1], found[2]))
        else:
            assert found[1] not in drawn.labels
            drawn.labels[found[1]] = unescaped(attrs["label"])
            drawn.colours[found[1]] = unescaped(attrs["fillcolor"])
            assert "\n" not in unescaped(attrs["tooltip"])
    return drawn


def unescaped(quoted: str) -> str:
    """What Graphviz shows of a quoted string: its own escapes, then HTML's entities."""
    plain = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], quoted[1:-1])
    assert not re.search(r"[<>]", plain), "it may stand in a page"
    return html.unescape(plain)


def of_mermaid(text: str) -> Drawn:
    """A flowchart, as far as it is used; labels are quoted."""
    head, *rows = text.split("\n")
    assert head == "flowchart TD"
    drawn = Drawn()
    kinds: dict[str, str] = {}
    for row in rows:
        if node := re.fullmatch(r'  (\w+)(?:\["|\[\["|\{\{")([^"]*)(?:"\]|"\]\]|"\}\}):::(\w+)', row):
            drawn.labels[node[1]], kinds[node[1]] = shown_by_mermaid(node[2]), node[3]
        elif edge := re.fullmatch(r"  (\w+) (-->|-\.->) (\w+)", row):
            (drawn.edges if edge[2] == "-->" else drawn.dashed).append((edge[1], edge[3]))
        else:
            style = re.fullmatch(r"  classDef (\w+) fill:(#\w{6}),stroke:#666,color:#111", row)
            assert style is not None, row
            drawn.colours |= {each: style[2] for each, kind in kinds.items() if kind == style[1]}
    return drawn


def shown_by_mermaid(label: str) -> str:
    assert "%%" not in label, "a comment, or a directive"
    text = label.replace("<br/>", "\n")
    assert not re.search(r"[<>`\\{}&$*]|#(?!\d+;)", text), label
    return re.sub(r"#(\d+);", lambda found: chr(int(found[1])), text)


READERS = [pytest.param(dot, of_dot, id="dot"), pytest.param(mermaid, of_mermaid, id="mermaid")]
each_language = pytest.mark.parametrize(("write", "read"), READERS)


def expected(graph: Graph) -> tuple[list[str], list[tuple[str, str]], list[tuple[str, str]]]:
    """Labels, edges and updates, from the graph; edges by what they join, as numbers of nodes."""
    names = names_of(graph)
    drawn = [*dict.fromkeys([*graph.inputs, *graph.params]), *(node for node in graph.nodes if is_numbered(node))]
    labels = []
    for node in drawn:
        call = f" = {node.op.name}({', '.join(names[arg] for arg in node.args)})" if is_numbered(node) else ""
        labels.append(f"{names[node]}{call}\n{node.type}")
    ids = {node: f"n{at}" for at, node in enumerate(drawn)}
    edges = [(ids[arg], ids[node]) for node in drawn for arg in node.args if arg in ids]
    guards = [(ids[guard.condition], f"g{at}") for at, guard in enumerate(graph.guards)]
    updates = [(ids[value], ids[param]) for param, value in graph.updates]
    return [*labels, *(f"check {printable(guard.rule)}" for guard in graph.guards)], [*edges, *guards], updates


@each_language
@pytest.mark.parametrize("stage", ["graph", "differentiate", "simplify", "fold"])
def test_every_node_and_edge_is_drawn(write, read, stage: str, python_mode: None) -> None:
    step = gc.compile(classifier().loss, optimizer=gc.SGD(lr=0.1))
    graph = step._passed[stage]
    text = step.to_dot(stage) if write is dot else step.to_mermaid(stage)
    assert text == write(graph)
    drawn = read(text)
    labels, edges, updates = expected(graph)
    assert [*drawn.labels.values()] == labels
    assert sorted(drawn.edges) == sorted(edges)
    assert sorted(drawn.dashed) == sorted(updates)
    assert set(drawn.colours) == set(drawn.labels)


@each_language
def test_colours_are_the_phases_of_the_step(write, read) -> None:
    net = classifier()
    graph = gc.compile(net.loss, optimizer=gc.SGD(lr=0.1))._passed["differentiate"]
    drawn = read(write(graph))
    phase_of = {colour: kind for kind, colour in COLOURS.items()}
    found = {label.split(" = ")[-1].split("(")[0]: phase_of[drawn.colours[at]] for at, label in drawn.labels.items()}
    assert (found["softmax"], found["mean"], found["relu"]) == ("forward", "forward", "forward")
    assert (found["one_hot"], found["less_equal"]) == ("backward", "backward")
    assert (found["in_range"], found["isfinite"]) == ("guard", "guard")
    assert found["W1\nf32[64,32]"] == "leaf"
    for value in (value for _, value in graph.updates):
        label = f"{names_of(graph)[value]} = "
        (at,) = (at for at, each in drawn.labels.items() if each.startswith(label))
        assert phase_of[drawn.colours[at]] == "update"


@each_language
def test_what_a_forward_result_needs_is_forward(write, read) -> None:
    """Though the gradient asked for it first: nodes are shared."""
    x = gc.input("x", (3,))
    gradient = gc.grad(gc.sum(gc.sin(x)), x)
    cosine = gc.cos(x)
    assert cosine.phase == "backward"
    graph = graph_of([gc.exp(cosine), gradient])
    drawn = read(write(graph))
    (colour,) = (drawn.colours[at] for at, label in drawn.labels.items() if "cos(" in label)
    assert colour == COLOURS["forward"]


HOSTILE = [
    *('"', "\\", 'a"];evil [label="', "</script><script>alert(1)</script>"),
    *("<b>&amp;</b>", "\u202eabc", "x\ny", "%%{init}%%"),
    *("`code`", "1. one", "- two", "$$x$$", "#35;", "end", "\\N", "&lt;", "a%b", "%% x", "{}", "\ud800", "* * *"),
]


@each_language
@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_only_a_label(write, read, name: str) -> None:
    x, at = gc.input(name, (3,)), gc.input(f"{name}.", (), "int64")
    w = gc.param(f"{name}'", np.ones(3, "f"))
    graph = graph_of(gc.take(x * w, at), updates={w: w * 2}, name=name)
    text = write(graph)
    assert all(line.isprintable() for line in text.splitlines())
    assert "</script>" not in text
    drawn = read(text)
    labels, edges, updates = expected(graph)
    assert [*drawn.labels.values()] == labels
    assert sorted(drawn.edges) == sorted(edges)
    assert sorted(drawn.dashed) == sorted(updates)


@each_language
def test_graphs_of_leaves_and_constants(write, read) -> None:
    x = gc.input("x", (3,))
    count = gc.param("count", 0.0)
    drawn = read(write(graph_of([x, gc.const(1.5), gc.const(np.ones(3))], updates={count: count + 1.0})))
    assert [*drawn.labels.values()] == ["x\nf32[3]", "count\nf32", "%0 = const()\nf64[3]", "%1 = add(count, 1.0)\nf32"]


def test_only_graphs_are_drawn(python_mode: None) -> None:
    step = gc.compile(gc.input("x", (3,)) * 2)
    for draw in (step.to_dot, step.to_mermaid):
        with pytest.raises(gc.InputError, match=r"stage fuse is no graph; those are graph, diff.*, fold"):
            draw("fuse")
        with pytest.raises(gc.InputError, match=r"no stage is called 'grpah'; did you mean 'graph'\?"):
            draw("grpah")
