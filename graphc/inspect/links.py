"""All stages of a step in one model, joined by the nodes of the user's expressions: plain data for a page or a viewer.

Each node has a number. Its `root` is the number of the user's node that it was derived for (`Node.origin`), or its own:
nodes with one root are the forward node, the backward nodes of its gradient rule, and what the passes made of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from graphc.errors import InputError
from graphc.explain import computed
from graphc.graph import Graph, is_numbered, lines_of, names_of, printable, spelled_attr
from graphc.inspect.formulas import formulas_of
from graphc.inspect.layers import layers_of
from graphc.inspect.marks import heavy, marks_of
from graphc.inspect.profile import Profile
from graphc.inspect.stages import phases_of
from graphc.ir import Node, postorder
from graphc.kernel import Buffer, Gemm, Item, Load, Plan, Region, Role, Store, base, walk
from graphc.kinds import Constant
from graphc.origin import Phase
from graphc.report import Report, bytes_text, formula, seconds_text
from graphc.sizes import evaluate, symbols, typical
from graphc.state import Param

Facts = dict[str, Any]


class Numbers:
    """Nodes by number, in the order in which they were first met."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._number: dict[Node, int] = {}

    def of(self, node: Node) -> int:
        if node not in self._number:
            self._number[node] = len(self.nodes)
            self.nodes.append(node)
        return self._number[node]


@dataclass(frozen=True)
class Links:
    """`facts` goes to JSON as it is; `numbers` says which node a number in it is.

    name, summary: of the step. nodes: by number, see _node. graphs: one a stage, see _graph. ops: the texts of each
    op's record. kernels: those of the report, in the order in which they run, each with its nodes. timed: what a
    profile was taken of. marks: for each stage's text [first line, last line, nodes]. memory: see _memory. compile:
    [stage, seconds].
    """

    facts: Facts
    numbers: Numbers


def links_of(
    passed: Mapping[str, Any],
    stages: Mapping[str, str],
    report: Report,
    summary: str,
    profile: Profile | None = None,
) -> Links:
    """The model of a compiled step: of what its passes made, by stage, of the stages' texts, of its times if known."""
    numbers, lines, phases = Numbers(), dict[Node, str](), dict[Node, Phase]()
    plan = next(each for each in passed.values() if isinstance(each, Plan))
    by_stage = {stage: each for stage, each in passed.items() if isinstance(each, Graph)}
    own = {node for graph in by_stage.values() for node in graph.nodes}
    graphs = [_graph(stage, graph, numbers) for stage, graph in by_stage.items()]
    marks = {
        stage: [[first, last, sorted({numbers.of(node) for node in nodes})] for first, last, nodes in found]
        for stage, found in marks_of(passed, stages).items()
    }
    kernels, memory = _kernels(plan, report, profile, numbers), _memory(plan, numbers)
    for graph in by_stage.values():
        lines = {**lines_of(graph), **lines}
        phases = {**phases_of(graph), **phases}
    layers = _all_layers(by_stage, phases)
    nodes = [
        _node(node, numbers, numbers.of(_root(node, own)), lines.get(node, node.where), phases, layers)
        for node in numbers.nodes
    ]
    facts = {
        "name": printable(report.name),
        "summary": summary,
        "nodes": nodes,
        "graphs": graphs,
        "ops": {op.name: formulas_of(op) for op in dict.fromkeys(node.op for node in numbers.nodes)},
        "kernels": kernels,
        "timed": None if profile is None else next(iter(str(profile).splitlines())),
        "marks": marks,
        "memory": memory,
        "compile": [list(each) for each in report.stages.items()],
        "cache": report.cache,
    }
    return Links(facts, numbers)


# ---- nodes and graphs -----------------------------------------------------------------------------------------------


def _root(node: Node, own: Collection[Node]) -> Node:
    """The node that `node` was derived for, or itself.

    What is made of constants and sizes alone is shared by all graphs, and may have been derived for a node of another.
    """
    return node if node.origin is None or node.origin not in own else node.origin


def _node(
    node: Node, numbers: Numbers, root: int, line: str, phases: Mapping[Node, Phase], layers: Mapping[Node, str]
) -> Facts:
    """role: input, param, number (a scalar constant, which stands in the texts by its value) or value."""
    role = node.op.name if node.name else "value" if is_numbered(node) else "number"
    return {
        "op": node.op.name,
        "role": role,
        "constant": isinstance(node.op.kind, Constant),
        "type": str(node.type),
        "bytes": formula(node.type.nbytes, bytes_text),
        "phase": phases.get(node, node.phase),
        "where": printable(line),
        "args": [numbers.of(arg) for arg in node.args],
        "attrs": [f"{key}={printable(spelled_attr(value))}" for key, value in node.attrs if role == "value"],
        "root": root,
        "layer": printable(layers.get(node, line)),
    }


def _graph(stage: str, graph: Graph, numbers: Numbers) -> Facts:
    """The nodes of a stage in the order and with the names of its text."""
    names = names_of(graph)
    return {
        "stage": stage,
        "nodes": [numbers.of(node) for node in names],
        "names": list(names.values()),
        "outputs": [numbers.of(node) for node in graph.outputs],
        "updates": [[numbers.of(param), numbers.of(value)] for param, value in graph.updates],
        "guards": [[numbers.of(guard.condition), printable(guard.rule)] for guard in graph.guards],
    }


def _all_layers(graphs: Mapping[str, Graph], phases: Mapping[Node, Phase]) -> dict[Node, str]:
    """The layer of each node of any stage: that of its root, and for an update that of its param."""
    built = layers_of(graphs["graph"])
    found = dict(built)
    for graph in graphs.values():
        for node in graph.nodes:
            if node.origin in built:
                found.setdefault(node, built[node.origin])
        for param, value in sorted(graph.updates, key=lambda update: update[0] not in built):
            home = built.get(param, "the optimizer's state")
            for node in postorder([param, value], lambda node: node.args if phases[node] == "update" else ()):
                if phases[node] == "update" or isinstance(node, Param):
                    found.setdefault(node, home)  # what an optimizer keeps for a param is of the param's layer
        for node in reversed(graph.nodes):  # what is shared by all graphs is of its reader's layer
            if node in found:
                for arg in node.args:
                    found.setdefault(arg, found[node])
    return found


# ---- kernels and memory ---------------------------------------------------------------------------------------------


def _kernels(plan: Plan, report: Report, profile: Profile | None, numbers: Numbers) -> list[Facts]:
    """Each with its price, or with the seconds that a profile of this step has measured; `cost` is that as a number."""
    items = [item for item, _ in heavy(plan.program.body)]
    seconds = {} if profile is None else {row.name: row.seconds for row in profile.rows}
    if profile is not None and not _is_of(profile, report):
        raise InputError("the profile is of another step, with other kernels or sizes; take f.profile(...) of this one")
    return [
        {
            "name": record.name,
            "product": record.product,
            "region": record.region,
            "ops": list(record.ops),
            "lines": list(map(printable, record.lines)),
            "reads": formula(record.reads, bytes_text),
            "writes": formula(record.writes, bytes_text),
            "price": seconds_text(seconds[record.name]) if seconds else str(record.price),
            "cost": seconds[record.name] if seconds else typical(record.price.sixty_fourths) / 64e9,
            "nodes": [numbers.of(node) for node in computed([item])],
        }
        for record, item in zip(report.kernels, items, strict=True)
    ]


def _is_of(profile: Profile, report: Report) -> bool:
    """Whether a profile's rows are a report's kernels, and move as many bytes."""
    told = [(row.name, row.region, row.ops, row.lines, row.bytes) for row in profile.rows if row.calls]
    wanted = [
        (each.name, each.region, each.ops, each.lines, evaluate(each.reads + each.writes, profile.sizes))
        for each in report.kernels
        if {*symbols(each.reads + each.writes)} <= profile.sizes.keys()
    ]
    return told == wanted


def _memory(plan: Plan, numbers: Numbers) -> Facts:
    """The arena over time: its slots, and for each buffer its slot and the first and last kernel that touch it.

    Kernels are told by their place among `kernels`; what stands between two of them counts to the one before. A slot's
    `typical` bytes are those for symbolic sizes of 64.
    """
    spans: dict[Buffer, list[int]] = {}
    for at, item in _timed(plan.program.body):
        for buffer in _touched(item):
            spans.setdefault(buffer, [at, at])[1] = at
    slots = [
        {"name": f"m{number}", "bytes": formula(size, bytes_text), "typical": typical(size)}
        for number, size in enumerate(plan.slots)
    ]
    buffers = [
        {
            "label": printable(buffer.label),
            "type": str(buffer.type),
            "bytes": formula(buffer.type.nbytes, bytes_text),
            "typical": typical(buffer.type.nbytes),
            "slot": plan.slot_of[buffer],
            "first": first,
            "last": last,
            "node": numbers.of(buffer.node),
        }
        for buffer, (first, last) in spans.items()
    ]
    return {"slots": slots, "buffers": buffers}


def _timed(body: list[Item]) -> list[tuple[int, Item]]:
    """The items with the number of the kernel that runs then."""
    found: list[tuple[int, Item]] = []
    at = -1
    for item in body:
        inside = list(item.prelude) if isinstance(item, Region) else []
        found += [(at + 1, each) for each in inside]
        kernels = [each for each, _ in heavy([item])]
        found += [(at + number, each) for number, each in enumerate(kernels, 1)] or [(max(at, 0), item)]
        at += len(kernels)
    return found


def _touched(item: Item) -> list[Buffer]:
    """The buffers of the arena that an item reads or writes."""
    found: list[Buffer] = []
    for each in walk([item]):
        if isinstance(each, (Load, Store)):
            found.append(base(each.place))
        elif isinstance(each, Gemm):
            found += [base(each.a.place), base(each.b.place), each.out]
    return [buffer for buffer in dict.fromkeys(found) if buffer.role is Role.SCRATCH]
