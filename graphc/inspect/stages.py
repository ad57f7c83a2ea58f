"""The stages of a step: which there are, what language each is written in, what a node of one was made for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graphc.errors import InputError
from graphc.graph import Graph, in_this_graph
from graphc.ir import Node, toposort
from graphc.nearest import did_you_mean
from graphc.origin import Phase

SUFFIXES = {"graph": ".txt", "program": ".txt", "python": ".py", "llvm": ".ll", "asm": ".s"}
"""The end of a file's name for each language."""

_EMITTED = {"emit": "python", "llvm": "llvm", "asm": "asm"}


def language_of(passed: Mapping[str, Any], stage: str) -> str:
    """What a stage is written in: graph, program, python, llvm or asm. `passed` has the graphs and programs."""
    if stage in passed:
        return "graph" if isinstance(passed[stage], Graph) else "program"
    return _EMITTED[stage]


def check_stage(stages: Iterable[str], stage: str) -> None:
    """InputError unless it is one of the stages."""
    names = [*stages]
    if stage not in names:
        raise InputError(f"no stage is called {stage!r}{did_you_mean(stage, names)}; there are {', '.join(names)}")


def graph_at(passed: Mapping[str, Any], stages: Iterable[str], stage: str) -> Graph:
    """The graph of a stage; InputError if it is a stage of something else."""
    check_stage(stages, stage)
    found = passed.get(stage)
    if not isinstance(found, Graph):
        graphs = [name for name, each in passed.items() if isinstance(each, Graph)]
        raise InputError(f"stage {stage} is no graph; those are {', '.join(graphs)}")
    return found


def phases_of(graph: Graph) -> dict[Node, Phase]:
    """What each node is for. A node may be made for a gradient first; what a forward output needs is forward."""
    found = in_this_graph(graph.nodes, lambda node: node.phase)
    forward = toposort([node for node in graph.outputs if found[node] == "forward"])
    return {**found, **dict.fromkeys(forward, "forward")}
