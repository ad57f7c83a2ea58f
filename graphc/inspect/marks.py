"""Which nodes a line of a stage's text is about.

A mark is (first line, last line, nodes), lines counted from 0. Graphs have a line for each node; loop programs a line
for each item; the emitted source names nodes in its comments; in machine code a kernel is a function, if it is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from graphc.explain import computed
from graphc.graph import Graph, is_numbered, names_of
from graphc.ir import Node
from graphc.kernel import Check, Gemm, Item, Kernel, Loop, Plan, Program, Region

Mark: TypeAlias = "tuple[int, int, list[Node]]"


def marks_of(passed: Mapping[str, Any], stages: Mapping[str, str]) -> dict[str, list[Mark]]:
    """The marks of each stage's text, by the name of the stage."""
    found: dict[str, list[Mark]] = {}
    plan = next(each for each in passed.values() if isinstance(each, Plan))
    program, source = plan.program, stages["emit"].split("\n")
    functions = _functions(source, program, names_of(program.graph))
    for stage, text in stages.items():
        made = passed.get(stage)
        if isinstance(made, Graph):
            lines: Iterable[Sequence[Node]] = _of_graph(made)
        elif isinstance(made, Program):
            lines = _of_program(made)
        elif isinstance(made, Plan):
            lines = _of_plan(plan)
        elif stage == "emit":
            lines = _of_source(source, names_of(program.graph))
        else:
            found[stage] = list(_of_functions(text.split("\n"), functions))
            continue
        found[stage] = [(at, at, list(nodes)) for at, nodes in enumerate(lines) if nodes]
    return found


def heavy(items: Iterable[Item]) -> Iterator[tuple[Kernel | Gemm, Region | None]]:
    """Each kernel and each product in the order in which they run, with the region that it is in."""
    for item in items:
        if isinstance(item, Region):
            for strip in item.strips:
                yield from ((each, item) for each in strip.body if isinstance(each, (Kernel, Gemm)))
        elif isinstance(item, (Kernel, Gemm)):
            yield item, None


# ---- graphs ---------------------------------------------------------------------------------------------------------


def _of_graph(graph: Graph) -> Iterator[Sequence[Node]]:
    """The nodes of each line of a graph's text; see graph.py for its grammar."""
    yield [*graph.inputs, *graph.params]
    yield from ([node] for node in graph.nodes if is_numbered(node))
    yield graph.outputs
    yield from ([param, value] for param, value in graph.updates)
    yield from ([guard.condition] for guard in graph.guards)


# ---- loop programs --------------------------------------------------------------------------------------------------


def _of_program(program: Program) -> Iterator[Sequence[Node]]:
    yield []
    yield from ([buffer.node] for buffer in program.buffers)
    yield from _of_items(program.body, program.graph)


def _of_items(items: Iterable[Item], graph: Graph) -> Iterator[Sequence[Node]]:
    """The nodes of each line that kernel.text makes of the items."""
    for item in items:
        if isinstance(item, (Kernel, Loop)):
            yield computed([item]) if isinstance(item, Kernel) else []
            yield from _of_items(item.body, graph)
        elif isinstance(item, Region):
            yield []
            yield from _of_items(item.prelude, graph)
            for strip in item.strips:
                yield []
                yield from _of_items(strip.body, graph)
        elif isinstance(item, Check):
            yield [graph.guards[item.number].condition]
        else:
            yield [item.origin]


def _of_plan(plan: Plan) -> Iterator[Sequence[Node]]:
    yield []
    for number in range(len(plan.slots)):
        yield [buffer.node for buffer, slot in plan.slot_of.items() if slot == number]


# ---- the emitted source ---------------------------------------------------------------------------------------------


def _of_source(lines: Sequence[str], names: Mapping[Node, str]) -> Iterator[Sequence[Node]]:
    """The nodes that each line's comment names: `# %6 = dot(x, W1)`, and `# k2: ...` with several of them."""
    numbered = {name: node for node, name in names.items() if is_numbered(node)}
    for line in lines:
        _, _, comment = line.partition("  # ")
        yield [numbered[name] for name in re.findall(r"(?:^|: |; )(%\d+) = ", comment) if name in numbered]


# ---- machine code ---------------------------------------------------------------------------------------------------

Functions: TypeAlias = "dict[str, list[Node]]"

SYMBOL = re.compile(r"emitted(?:8|9_)[0-9a-f]{8}\d+(step|[kr]\d+)B\d")
"""A mangled name of Numba's: the module's name and hash, then the function's."""


def _functions(source: Sequence[str], program: Program, names: Mapping[Node, str]) -> Functions:
    """What each function of the source computes: a kernel for those equal to it, too, a region for its tiles."""
    made = {
        names[item.origin] if isinstance(item, Gemm) else item.name: computed([item]) for item, _ in heavy(program.body)
    }
    found: Functions = {name: list(nodes) for name, nodes in made.items()}
    for line in source:
        equal = re.match(r"\s+(?:.* = )?(k\d+)\(.*\)  # (k\d+): ", line)
        if equal:
            found[equal[1]] += made[equal[2]]
    for item in program.body:
        if isinstance(item, Region):
            found[item.name] = computed(each for each, _ in heavy([item]))
    found["step"] = computed(item for item in program.body if not isinstance(item, Region))
    return found


def _of_functions(lines: Sequence[str], functions: Functions) -> Iterator[Mark]:
    """The functions of LLVM IR or assembly that are functions of the emitted source; others stand between them."""
    llvm = any(line.startswith("define ") for line in lines)
    head = re.compile(r"define " if llvm else r"[_a-zA-Z][^\s:]*:")
    starts = [at for at, line in enumerate(lines) if head.match(line)]
    for first, behind in pairwise([*starts, len(lines)]):
        symbol = SYMBOL.search(lines[first])
        if symbol and symbol[1] in functions:
            last = lines.index("}", first) if llvm else behind - 1
            yield first, last, functions[symbol[1]]
