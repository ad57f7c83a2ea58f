"""What a pass has changed, as text."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from models import classifier

import graphc as gc
from graphc.graph import Graph, is_numbered
from graphc.ir import Node


@pytest.fixture
def digits(fused: None, python_mode: None) -> gc.Function:
    return gc.compile(classifier().loss, optimizer=gc.SGD(lr=0.1), name="digits")


def lines_of(text: str, mark: str) -> list[str]:
    return [line.strip()[2:] for line in text.splitlines() if line.strip().startswith(f"{mark} ")]


def test_a_small_graph(python_mode: None) -> None:
    """Worked by hand: two signs cancel each other; the sine only reads what took the exponential's place."""
    x = gc.input("x", (3,))
    y = gc.sin(gc.exp(gc.negative(-x)))
    step = gc.compile(y)
    where = y.where
    assert step.diff("graph", "simplify") == (
        "graph -> simplify: 3 lines removed, 1 added, 3 unchanged\n"
        f"\n{where}  negative\n"
        "  - %0 = negative(x) : f32[3]\n"
        f"\n{where}  negative\n"
        "  - %1 = negative(%0) : f32[3]\n"
        f"\n{where}  exp\n"
        "  - %2 = exp(%1) : f32[3]\n"
        "  + %0 = exp(x)  : f32[3]"
    )


def test_the_chain_rule_becomes_lines(python_mode: None) -> None:
    """Differentiate adds lines, under the forward lines that they come from, and takes none away."""
    x = gc.input("x", (3,))
    w = gc.param("w", np.ones(3, "f"))
    product = x * w
    loss = gc.sum(product)
    text = gc.compile(loss, optimizer=gc.SGD(lr=0.1)).diff("graph", "differentiate")
    assert not lines_of(text, "-")
    assert f"\n{product.where}  multiply, backward\n" in text
    assert "\ninputs and params\n  + param SGD.lr: f64\n" in text
    assert "\nnext value of w\n" in text
    assert re.search(r"\n  \+ w <- %\d+", text)


def test_each_line_of_two_graphs_is_told_once(digits: gc.Function) -> None:
    """Removed, added and unchanged lines are those of the texts."""
    for before, after in itertools.product(["graph", "differentiate", "simplify", "fold"], repeat=2):
        text = digits.diff(before, after)
        gone, new = lines_of(text, "-"), lines_of(text, "+")
        one, other = ([squeezed(line) for line in digits.stages[name].splitlines()[1:]] for name in (before, after))
        for mark, told, lines in (("-", gone, one), ("+", new, other)):
            for line in told:
                assert squeezed(line) in lines or line.startswith(("param ", "input ")), (mark, line)
        same = int(re.search(r"(\d+) unchanged|nothing has changed, (\d+)", text)[1] or 0)  # type: ignore[index]
        if before != after:
            leaves = sum(map(len, (digits._passed[before].inputs, digits._passed[before].params)))
            assert same + len(gone) == len(one) + leaves


def squeezed(line: str) -> str:
    """A line without its columns, and without the user's line but that of a guard."""
    line = " ".join(line.split())
    return line if line.startswith("guard") else line.partition(" #")[0]


def test_another_number_is_no_difference(digits: gc.Function) -> None:
    text = digits.diff("simplify", "fold")
    graphs = [digits._passed[name] for name in ("simplify", "fold")]
    one, other = ({node for node in graph.nodes if is_numbered(node)} for graph in graphs)
    ends = ["W1 <- ", "W2 <- "]
    assert len(lines_of(text, "-")) == len(one - other) + len(ends)
    assert len(lines_of(text, "+")) == len(other - one) + len(ends)
    assert "(%47 in fold)" in text, "an unchanged line that has another number says so"
    assert len(text.splitlines()) < 40


def test_what_a_change_reads_is_named(digits: gc.Function) -> None:
    """Each number in a changed line is that of a line that is shown, or of an unchanged one named nearby."""
    for before, after in itertools.pairwise(["graph", "differentiate", "simplify", "fold"]):
        text = digits.diff(before, after)
        known = {"-": set[str](), "+": set[str]()}
        for line in text.splitlines():
            made = re.match(r"(    |  - |  \+ )(%\d+) = ", line)
            if made:
                moved = re.search(r"\((%\d+) in ", line)
                known["-"] |= {made[2]} if made[1].strip() in ("-", "") else set()
                known["+"] |= {moved[1] if moved else made[2]} if made[1].strip() in ("+", "") else set()
        for mark in "-+":
            for line in lines_of(text, mark):
                assert set(re.findall(r"%\d+", line)) <= known[mark], (before, mark, line)


def test_the_same_stage(digits: gc.Function) -> None:
    assert digits.diff("fold", "fold").startswith("fold -> fold: nothing has changed, ")
    assert digits.diff("plan", "plan").startswith("plan -> plan: nothing has changed, ")
    assert "\n" not in digits.diff("fuse", "fuse")


def test_each_line_of_a_graph_stands_under_its_kernel(digits: gc.Function) -> None:
    for program in ("fuse", "tile", "plan"):
        text = digits.diff("fold", program)
        graph: Graph = digits._plan.program.graph
        numbered = [node for node in graph.nodes if is_numbered(node)]
        shown = re.findall(r"^    (%\d+) = ", text, re.MULTILINE)
        assert set(shown) == {f"%{number}" for number in range(len(numbered))}
        assert text.count(", again") == len(shown) - len(numbered)
        kernels = set(re.findall(r"\bkernel (k\d+)", digits.stages[program if program != "plan" else "tile"]))
        assert kernels
        assert set(re.findall(r"\bkernel (k\d+)", text)) == kernels
    products = sum(node.op.name in ("dot", "gemm") for node in numbered)
    assert len(re.findall(r"^(?:region \w+: )?matrix product %", text, re.MULTILINE)) == products


def test_a_loop_that_moves_into_a_region_is_no_other_loop(digits: gc.Function) -> None:
    text = digits.diff("fuse", "tile")
    fuse, tile = ([line.strip() for line in digits.stages[name].splitlines()] for name in ("fuse", "tile"))
    gone, new = ([line[2:].strip() for line in text.splitlines() if line[:2] == mark] for mark in ("- ", "+ "))
    assert len(fuse) - len(gone) == len(tile) - len(new)
    assert len(gone) < len(fuse) / 2
    assert "region r0" in new
    assert "exp(v14)" not in "".join(gone)


def test_a_plan_adds_its_slots(digits: gc.Function) -> None:
    text = digits.diff("tile", "plan")
    slots = digits.stages["plan"].splitlines()
    assert [line[2:] for line in text.splitlines() if line.startswith("+ ")] == slots
    unchanged = len(digits.stages["tile"].splitlines())
    assert text.splitlines()[0] == f"tile -> plan: 0 lines removed, {len(slots)} added, {unchanged} unchanged"


def test_a_node_that_all_graphs_share_is_this_graphs(python_mode: None) -> None:
    """`extent(size=n)` may have been made for another net long ago; here it is the mean's."""
    x = gc.input("x", ("n",))
    other = gc.mean(x * 3)
    gc.compile(other)
    w = gc.param("w", np.ones((), "f"))
    loss = gc.mean(gc.input("z", ("n",)) * w)
    text = gc.compile(loss, optimizer=gc.SGD(lr=0.1)).diff("graph", "simplify")
    assert "extent(size=n" in text
    assert other.where not in text


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("fold", "fuze", r"no stage is called 'fuze'; did you mean 'fuse'\?; there are graph, .*, asm"),
        ("plan", "emit", "plan is a program and emit is Python: they have no line in common; two of graph, "),
        ("graph", "fuse", "graph is a graph and fuse is a program: .* and fold with one of these"),
        ("fuse", "fold", "fuse is a program and fold is a graph"),
        ("llvm", "asm", "llvm is LLVM IR and asm is assembly"),
    ],
)
def test_stages_that_cannot_be_compared(digits: gc.Function, before: str, after: str, message: str) -> None:
    with pytest.raises(gc.InputError, match=message):
        digits.diff(before, after)


@pytest.mark.parametrize(
    "pair", ["graph-differentiate", "differentiate-simplify", "simplify-fold", "fold-tile", "fuse-tile"]
)
def test_the_digits_step(digits: gc.Function, pair: str, golden) -> None:
    golden(f"digits/diff-{pair}", digits.diff(*pair.split("-")))


def test_hostile_names_stay_in_their_line(python_mode: None) -> None:
    x: Node = gc.input("x\n  + %9 = exit()", (3,))
    w = gc.param("w\u202e", np.ones(3, "f"))
    text = gc.compile(gc.sum(x * w), optimizer=gc.SGD(lr=0.1)).diff("graph", "differentiate")
    assert all(line.isprintable() for line in text.splitlines())
    assert "%9 = exit()" not in [line.strip(" +") for line in text.splitlines()]


def test_a_velocity_stands_with_its_param(python_mode: None) -> None:
    """What momentum keeps is part of the same update."""
    step = gc.compile(classifier().loss, optimizer=gc.SGD(lr=0.1, momentum=0.9))
    groups = step.diff("graph", "differentiate").split("\n\n")
    (found,) = (group for group in groups if group.startswith("next value of W2\n"))
    assert [line.split(" <- ")[0].strip(" +") for line in found.splitlines() if " <- " in line] == ["W2.velocity", "W2"]
    assert not [group for group in groups if group.startswith("next value of W2.velocity")]
