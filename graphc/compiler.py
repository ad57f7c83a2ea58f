"""compile(): what a user asks for becomes a function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphc.copies import Copies
from graphc.function import Function
from graphc.ir import Node
from graphc.optim import Optimizer
from graphc.report import Watch
from graphc.request import graph_of
from graphc.state import Param


def compile(
    outputs: Any,
    *,
    inputs: Sequence[Node] | None = None,
    optimizer: Optimizer | None = None,
    updates: Mapping[Param, Node] | None = None,
    threads: int | None = None,
    name: str | None = None,
    on_nonfinite: str = "raise",
    copies: int | None = None,
) -> Function:
    """A native function of `outputs`: a node, or a list or dict of nodes, returned in the same structure.

    inputs: the order of the call's arguments; by default the order in which they were made.
    optimizer: `outputs` is, or starts with, the loss; each call also updates every trainable param that it depends on.
    updates: next values for params, all computed from the old ones.
    threads: an upper bound; by default all that the process may use (GRAPHC_NUM_THREADS, affinity, cgroup), where it
    pays. The number changes no bit of any result.
    on_nonfinite: "raise" raises NonFiniteError, with the params unchanged, for a loss that is NaN or infinite; "ignore"
    goes on.
    copies: so many models in one call, each with values of its own for every param; see Copies. A model ends with the
    bits that it would have alone.
    Raises GraphError for a graph that cannot be compiled.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads is at least 1, got {threads}")
    if copies is not None and copies < 1:
        raise ValueError(f"copies is at least 1, got {copies}")
    watch = Watch()
    graph = graph_of(outputs, inputs, optimizer, updates, name, on_nonfinite)
    if optimizer is not None:
        optimizer.check_use(graph.outputs[0], copies)
    watch.lap("graph")
    if copies is not None:
        return Copies(graph, outputs, optimizer, threads, watch, copies)
    return Function(graph, outputs, optimizer, threads, watch)
