"""A graph through all stages, to code that can be called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphc.backend.build import Interpreted, Machine, build
from graphc.backend.emit import emit
from graphc.graph import Graph, check_names
from graphc.kernel import Plan
from graphc.passes import PIPELINE
from graphc.report import Stages, Watch
from graphc.verify import verify


@dataclass(frozen=True)
class Compiled:
    """What the stages make of a graph: itself as the last pass on graphs leaves it, the planned program, the code.

    passed: what each pass has made, a Graph, Program or Plan, by the name of its stage. stages: the text of each.
    """

    graph: Graph
    plan: Plan
    source: str
    code: Machine | Interpreted
    stages: Stages
    passed: Mapping[str, Any]


def run_pipeline(graph: Graph, watch: Watch) -> Compiled:
    """Each stage's text is kept, and its time is a lap of the watch."""
    made: Any = graph
    passed = {"graph": made}
    for stage in PIPELINE:
        made = stage(made)
        if isinstance(made, Graph):
            graph = made
            verify(graph)
            check_names(graph)  # an optimizer's state is new
        passed[stage.__name__] = made
        watch.lap(stage.__name__)
    assert isinstance(made, Plan)
    source = emit(made)
    watch.lap("emit")
    code = build(source, graph.name)
    watch.lap("build")
    texts = {name: each.__str__ for name, each in passed.items()}
    stages = Stages({**texts, "emit": lambda: source, "llvm": code.llvm, "asm": code.assembly})
    return Compiled(graph, made, source, code, stages, passed)
