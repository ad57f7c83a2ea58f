"""The stages of a step: which there are, what language each is written in, what a node of one was made for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from graphc.errors import InputError
from graphc.graph import Graph
from graphc.ir import Node
from graphc.kinds import Stored
from graphc.nearest import did_you_mean

T = TypeVar("T")

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


def in_this_graph(nodes: Sequence[Node], fact: Callable[[Node], T]) -> dict[Node, T]:
    """A fact of each node, such as what it was made for; `nodes` are a graph's, arguments before users.

    What is made of constants and sizes alone is one node for all graphs that need it, whichever made it first: it has
    the fact of its first user in this one.
    """
    found = {node: fact(node) for node in nodes}
    own: set[Node] = set()
    for node in nodes:
        if isinstance(node.op.kind, Stored) or any(arg in own for arg in node.args):
            own.add(node)
    for node in reversed(nodes):
        found.update((arg, found[node]) for arg in node.args if arg not in own)
    return found
