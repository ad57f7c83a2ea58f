"""What a pass has changed: two stages of a step, compared.

Two graphs are compared by their nodes, which are the same objects in both, so that another number of an unchanged node
is no difference; nor is it one to read what took an operand's place. Two programs are compared as texts, whatever their
indentation: a loop that moves into a region is no other loop. From a graph to its program nothing stays alike; there
each line of the graph stands under the kernel that computes it.
"""

from __future__ import annotations

import difflib
from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphc.errors import InputError
from graphc.explain import computed
from graphc.graph import Graph, in_this_graph, is_numbered, lines_of, names_of, printable, spelled
from graphc.inspect.stages import check_stage, language_of
from graphc.ir import Node, toposort
from graphc.kernel import Gemm, Kernel, Plan, Program, Region, walk

LONGEST = 90
"""Lines are set in columns up to this width; longer ones stand out of them."""

LANGUAGES = {"graph": "a graph", "program": "a program", "python": "Python", "llvm": "LLVM IR", "asm": "assembly"}

CONTEXT = 2
"""Unchanged lines of a program that are shown around a change."""


def diff(passed: Mapping[str, Any], stages: Sequence[str], before: str, after: str) -> str:
    """The differences from one stage to another, as text; InputError names a stage that cannot be compared.

    passed: the graph, program or plan of each stage that has one. stages: the names of all.
    """
    for stage in (before, after):
        check_stage(stages, stage)
    one, other = passed.get(before), passed.get(after)
    if isinstance(one, Graph) and isinstance(other, Graph):
        return "\n".join(_graphs(Side(before, one), Side(after, other)))
    if isinstance(one, (Program, Plan)) and isinstance(other, (Program, Plan)):
        return "\n".join(_programs(before, after, _text(one), _text(other)))
    graphs = [name for name, each in passed.items() if isinstance(each, Graph)]
    if before == graphs[-1] and isinstance(other, (Program, Plan)):
        program = other if isinstance(other, Program) else other.program
        return "\n".join(_placed(Side(before, passed[before]), Side(after, program.graph), program))
    languages = " and ".join(f"{stage} is {LANGUAGES[language_of(passed, stage)]}" for stage in (before, after))
    programs = [name for name in passed if name not in graphs]
    raise InputError(
        f"{languages}: they have no line in common; two of {', '.join(graphs)} can be compared, two of "
        f"{', '.join(programs)}, and {graphs[-1]} with one of these"
    )


def _headline(before: str, after: str, gone: int, new: int, same: int) -> str:
    if not gone and not new:
        return f"{before} -> {after}: nothing has changed, {_count(same)}"
    return f"{before} -> {after}: {_count(gone)} removed, {new} added, {same} unchanged"


def _count(lines: int) -> str:
    return f"{lines} line{'s' * (lines != 1)}"


# ---- two graphs -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Changes that belong together: those for one expression of the user's, forward or backward, or for one update."""

    title: str
    source: Node | None = None


LEAVES, RESULTS = Group("inputs and params"), Group("results and checks")


@dataclass(frozen=True)
class Change:
    """A line that is gone (-) or new (+): that of a node, or what a graph ends with. `nodes` are those that it names.

    place: how far down in its graph it stands, from 0 to 1.
    """

    mark: str
    text: str
    type: str
    nodes: tuple[Node, ...]
    place: float = 0
    node: Node | None = None


class Side:
    """A stage's graph, and how it is written."""

    def __init__(self, stage: str, graph: Graph) -> None:
        self.stage, self.graph, self.nodes = stage, graph, graph.nodes
        self.names, self.lines = names_of(graph), lines_of(graph)
        self.numbered = [node for node in self.nodes if is_numbered(node)]
        self._updated: dict[Node, Node] = {}
        for param, value in reversed(graph.updates):  # the order of the text
            for node in toposort([value]):
                if node.phase == "update":
                    self._updated.setdefault(node, param)
        self.groups = in_this_graph(self.nodes, self._group)

    def row(self, node: Node) -> tuple[str, str]:
        """A node's line, and its type."""
        return f"{self.names[node]} = {spelled(node, self.names)}", str(node.type)

    def changes(self, mark: str, kept: Container[Node], ends: Container[Hashable]) -> Iterator[tuple[Group, Change]]:
        """The lines of all nodes but `kept`, and what the graph ends with but `ends`."""
        for at, node in enumerate(self.numbered):
            if node not in kept:
                yield self.groups[node], Change(mark, *self.row(node), node.args, at / len(self.numbered), node)
        for key, (group, text, nodes) in self.ends({}).items():
            if key not in ends:
                yield group, Change(mark, text, "", nodes)

    def _group(self, node: Node) -> Group:
        """What a node was made for."""
        if node in self._updated:
            return Group(f"next value of {self.names[self._updated[node]]}")
        source = node if node.origin is None else node.origin
        what = "" if node.phase == "forward" else f", {node.phase}"
        return Group(f"{printable(source.where)}  {source.op.name}{what}", source)

    def ends(self, instead: Mapping[Node, Node]) -> dict[Hashable, tuple[Group, str, tuple[Node, ...]]]:
        """What is no node's line: where it is shown, its text and the nodes that it names.

        The keys are what it says, with other nodes `instead` of some.
        """
        graph, names = self.graph, self.names
        found: dict[Hashable, tuple[Group, str, tuple[Node, ...]]] = {}
        for leaf in (*graph.inputs, *graph.params):
            kind = "input" if leaf in graph.inputs else "param"
            found["leaf", leaf] = (LEAVES, f"{kind} {names[leaf]}: {leaf.type}", ())
        returned = ", ".join(names[each] for each in graph.outputs)
        outputs = tuple(instead.get(each, each) for each in graph.outputs)
        found["return", outputs] = (RESULTS, f"return {returned}", graph.outputs)
        for param, value in graph.updates:
            group = Group(f"next value of {names[self._updated.get(value, param)]}")
            text = f"{names[param]} <- {names[value]}"
            found["update", param, instead.get(value, value)] = (group, text, (value,))
        for guard in graph.guards:
            text = f"guard {names[guard.condition]}  # {printable(guard.rule)}"
            key = ("guard", instead.get(guard.condition, guard.condition), guard.rule)
            found[key] = (RESULTS, text, (guard.condition,))
        return found


def _counterparts(before: Side, after: Side) -> tuple[dict[Node, Node], dict[Node, Node]]:
    """For nodes before, the node after that is the same but for its number; and the node that took its place.

    A node may take another's place if it was made for the same expression, by the same op with the same attrs, of the
    same type; it has some of the same operands, or no one else comes into question. It is the same if all its operands
    are, or took the place of the others.
    """
    left = set(after.nodes)
    same = {node: node for node in before.nodes if node in left}
    instead, taken = dict(same), set[Node]()
    old, new = (_by_form(side, [node for node in side.numbered if node not in same]) for side in (before, after))
    for node in (node for node in before.numbered if node not in same):
        form = _form(before, node)
        others = [each for each in new.get(form, ()) if each not in taken]
        shared = [sum(instead.get(a) is b for a, b in zip(node.args, each.args, strict=False)) for each in others]
        most = max(shared, default=0)
        if others and (most or len(old[form]) == len(new[form]) == 1):
            instead[node] = others[shared.index(most)]
            taken.add(instead[node])
            if most == len(node.args) == len(instead[node].args):
                same[node] = instead[node]
    return same, instead


def _form(side: Side, node: Node) -> Hashable:
    return side.groups[node], node.op, node.attrs, node.type


def _by_form(side: Side, nodes: Sequence[Node]) -> dict[Hashable, list[Node]]:
    found: dict[Hashable, list[Node]] = {}
    for node in nodes:
        found.setdefault(_form(side, node), []).append(node)
    return found


def _graphs(before: Side, after: Side) -> Iterator[str]:
    """The lines that are gone, or new, under the user's expressions that they come from."""
    same, instead = _counterparts(before, after)
    groups: dict[Group, list[Change]] = {}
    gone = before.changes("-", same, _kept_ends(before, after, instead))
    new = after.changes("+", set(same.values()), before.ends(instead))
    for group, change in (*gone, *new):
        groups.setdefault(group, []).append(change)
    marks = [change.mark for changes in groups.values() for change in changes]
    unchanged = len(before.numbered) + len(before.ends({})) - marks.count("-")
    yield _headline(before.stage, after.stage, marks.count("-"), marks.count("+"), unchanged)
    shown: set[Node] = set()
    for group in sorted(groups, key=lambda each: _place(each, groups[each])):
        yield from ["", group.title, *_rows(_paired(groups[group], instead), same, before, after, shown)]


def _kept_ends(before: Side, after: Side, instead: Mapping[Node, Node]) -> set[Hashable]:
    """The ends before that say the same after, by their keys before."""
    kept = after.ends({})
    return {own for own, key in zip(before.ends({}), before.ends(instead), strict=True) if key in kept}


def _place(group: Group, changes: Sequence[Change]) -> tuple[bool, float]:
    """Where a group stands: at its first line, but an update after all that it needs; what is returned comes last."""
    places = [change.place for change in changes if change.mark == changes[0].mark]
    return group == RESULTS, max(places) if group.source is None else min(places)


def _paired(changes: Sequence[Change], instead: Mapping[Node, Node]) -> list[Change]:
    """The changes of one group, each new line behind the one whose place it took; else the old before the new."""
    old, new = ([change for change in changes if change.mark == mark] for mark in "-+")
    result: list[Change] = []
    for change in old:
        follower = None if change.node is None else instead.get(change.node)
        at = next((at for at, each in enumerate(new) if each.node is follower), None) if follower is not None else None
        if at is not None:
            result += [*new[:at], change, new[at]]
            del new[: at + 1]
        else:
            result.append(change)
    return [*result, *new]


def _rows(
    changes: Sequence[Change], same: Mapping[Node, Node], before: Side, after: Side, shown: set[Node]
) -> Iterator[str]:
    """The changes of one group, after the unchanged lines that they name, unless these were `shown` before."""
    old = {after_node: node for node, after_node in same.items() if is_numbered(node)}
    rows: list[tuple[str, str, str]] = []
    for change in changes:
        for node in change.nodes:
            named = node if change.mark == "-" and node in same else old.get(node) if change.mark == "+" else None
            if named is not None and is_numbered(named) and named not in shown:
                shown.add(named)
                number = after.names[same[named]]
                moved = "" if before.names[named] == number else f"  ({number} in {after.stage})"
                text, type_text = before.row(named)
                rows.append(("    " + text, type_text, moved))
    rows += [(f"  {change.mark} {change.text}", change.type, "") for change in changes]
    wide = max((len(text) for text, type_text, _ in rows if type_text and len(text) <= LONGEST), default=0)
    for text, type_text, moved in rows:
        yield f"{text:<{wide}} : {type_text}{moved}" if type_text else text


# ---- a graph and its program ----------------------------------------------------------------------------------------


def _placed(before: Side, side: Side, program: Program) -> Iterator[str]:
    """Each line of the program's graph under the kernels that compute it, in the order in which they run.

    That graph comes first where it is not quite the one before: fuse gives some values memory of their own.
    """
    if set(before.numbered) != set(side.numbered):
        yield from [*_graphs(before, side), ""]
    places: dict[str, list[Node]] = {}
    for item in program.body:
        region = f"region {item.name}: " if isinstance(item, Region) else ""
        for each in [each for strip in item.strips for each in strip.body] if isinstance(item, Region) else [item]:
            if isinstance(each, (Kernel, Gemm)):
                title = (
                    f"kernel {each.name}" if isinstance(each, Kernel) else f"matrix product {side.names[each.origin]}"
                )
                made = set(computed([each]))
                places[region + title] = [node for node in side.numbered if node in made]
    rest = set(side.numbered).difference(*places.values())
    single = rest.intersection(computed(program.body))
    places["statements of the step"] = [node for node in side.numbered if node in single]
    places["no code of their own: how another value is read, or a size"] = [
        node for node in side.numbered if node in rest - single
    ]
    kernels, products = (sum(isinstance(item, kind) for item in walk(program.body)) for kind in (Kernel, Gemm))
    counts = f"{kernels} kernel{'s' * (kernels != 1)}, {products} matrix product{'s' * (products != 1)}"
    yield f"{before.stage} -> {side.stage}: {_count(len(side.numbered))} of the graph, {counts}"
    seen: set[Node] = set()
    for title, nodes in places.items():
        if nodes:
            yield from ["", title, *_lines(side, nodes, seen)]
            seen.update(nodes)


def _lines(side: Side, nodes: Sequence[Node], seen: set[Node]) -> Iterator[str]:
    """The nodes' lines; those that another kernel computes too say so."""
    rows = [(*side.row(node), f"{printable(side.lines[node])}{', again' * (node in seen)}") for node in nodes]
    wide = max((len(text) for text, _, _ in rows if len(text) <= LONGEST), default=0)
    wide_type = max(len(type_text) for _, type_text, _ in rows)
    for text, type_text, where in rows:
        yield f"    {text:<{wide}} : {type_text:<{wide_type}}  # {where}"


# ---- two programs ---------------------------------------------------------------------------------------------------


def _text(stage: Program | Plan) -> list[str]:
    """A program's lines; a plan's are those of the program, and its slots."""
    if isinstance(stage, Plan):
        return [*str(stage.program).splitlines(), *str(stage).splitlines()]
    return str(stage).splitlines()


def _programs(before: str, after: str, one: Sequence[str], other: Sequence[str]) -> Iterator[str]:
    """The lines that differ, with a few around them; `...` stands for what is left out."""
    bare, bare_other = ([line.strip() for line in lines] for lines in (one, other))
    matcher = difflib.SequenceMatcher(None, bare, bare_other, autojunk=False)
    codes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    gone, new = sum(code[2] - code[1] for code in codes), sum(code[4] - code[3] for code in codes)
    yield _headline(before, after, gone, new, len(one) - gone)
    for number, group in enumerate(matcher.get_grouped_opcodes(CONTEXT) if codes else ()):
        yield "..." if number else ""
        for tag, at, end, start, stop in group:
            if tag != "equal":
                yield from ("- " + line for line in one[at:end])
            yield from (("  " if tag == "equal" else "+ ") + line for line in other[start:stop])
