"""What a user asks compile() for: checked, guarded, and as a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from graphc.constants import as_node
from graphc.errors import GraphError
from graphc.graph import Graph, Guard, check_names
from graphc.ir import INPUT, PARAM, Limit, Node, describe, symbols_in, toposort
from graphc.ops.choice import isfinite
from graphc.ops.index import in_range
from graphc.optim import Optimizer
from graphc.origin import made_for
from graphc.passes.differentiate import check_loss
from graphc.reference import flattened, needs_of
from graphc.remedies import remedy_of_update
from graphc.sizes import Size
from graphc.state import Param
from graphc.verify import verify


def graph_of(
    outputs: Any,
    inputs: Sequence[Node] | None = None,
    optimizer: Optimizer | None = None,
    updates: Mapping[Param, Node] | None = None,
    name: str | None = None,
    on_nonfinite: str = "raise",
) -> Graph:
    """The graph that compile() takes through the passes, with its guards; GraphError if it cannot be compiled."""
    if on_nonfinite not in ("raise", "ignore"):
        raise ValueError(f'on_nonfinite is "raise" or "ignore", got {on_nonfinite!r}')
    nodes = flattened(outputs) if isinstance(outputs, (Node, list, tuple, Mapping)) else [outputs]
    for node in nodes:
        if not isinstance(node, Node):
            raise GraphError(f"outputs are nodes, got {node!r}")
    if not isinstance(optimizer, (Optimizer, type(None))):
        raise GraphError(f"an optimizer is one of gc's, such as gc.SGD(lr=0.1), got {optimizer!r}")
    if not isinstance(updates, (Mapping, type(None))) or not all(isinstance(each, Node) for each in updates or ()):
        raise GraphError(f"updates is a dict of param -> its next value, got {updates!r}")
    next_values = tuple((param, as_node(value)) for param, value in (updates or {}).items())
    if optimizer is not None or updates:
        next_values += _advancing([*nodes, *(value for _, value in next_values)], updates or {})
    graph = Graph(
        name or "step",
        _ordered_inputs([*nodes, *(value for _, value in next_values)], inputs),
        tuple(nodes),
        next_values,
        update_rule=None if optimizer is None else optimizer.updates,
    )
    if optimizer is not None:
        if not nodes:
            raise GraphError("an optimizer wants a loss: the first of the outputs")
        check_loss(nodes[0])
    finite = optimizer is not None and on_nonfinite == "raise"
    graph = _guarded(graph, finite)
    check(graph)
    return graph


def _advancing(roots: Sequence[Node], updates: Mapping[Param, Node]) -> tuple[tuple[Param, Node], ...]:
    """The updates of params that change by themselves at each step that trains, such as a counter of steps."""
    used = [node for node in toposort(roots) if isinstance(node, Param) and node not in updates]
    return tuple((param, param.next_value) for param in used if param.next_value is not None)


def _ordered_inputs(roots: Sequence[Node], inputs: Sequence[Node] | None) -> tuple[Node, ...]:
    used = [node for node in toposort(roots) if node.op is INPUT]
    if inputs is None:
        return tuple(sorted(used, key=lambda node: node.options["serial"]))
    for node in inputs:
        if not isinstance(node, Node) or node.op is not INPUT:
            raise GraphError(f"inputs= takes inputs, got {node!r}")
    missing = [node for node in used if node not in inputs]
    if missing:
        raise GraphError("inputs= leaves out what the outputs need:\n  " + "\n  ".join(map(describe, missing)))
    return tuple(inputs)


# ---- guards ---------------------------------------------------------------------------------------------------------


def _guarded(graph: Graph, finite: bool) -> Graph:
    """The graph with a guard for each integer that indexes, and one for the loss."""
    guards: list[Guard] = []
    for node in graph.nodes:
        if node.op.limits is not None:
            with made_for(node, "guard"):
                guards += [_index_guard(limit) for limit in node.op.limits(*node.args, **node.options)]
    guards = list(dict.fromkeys(guards))
    if finite:
        loss = graph.outputs[0]
        with made_for(None, "guard"):
            guards.append(Guard(isfinite(loss), "the loss is finite", loss))
    needs = dict.fromkeys((need, node.where) for node in graph.nodes for need in needs_of(node))
    return replace(graph, guards=tuple(guards), needs=tuple(needs))


def _index_guard(limit: Limit) -> Guard:
    condition = in_range(limit.index, limit.size, limit.from_end)
    return Guard(condition, f"{limit.index.name or 'labels'} in {limit.range(limit.size)}", limit.index, limit)


# ---- what a graph must satisfy --------------------------------------------------------------------------------------


def check(graph: Graph) -> None:
    """GraphError if the graph cannot be compiled."""
    if not graph.outputs and not graph.updates:
        raise GraphError("nothing to compute: compile() wants an output, an optimizer or updates")
    if len(set(graph.inputs)) < len(graph.inputs):
        raise GraphError(f"inputs= names an input twice: {', '.join(str(node.name) for node in graph.inputs)}")
    check_names(graph)
    for param, value in graph.updates:
        if param.op is not PARAM:
            raise GraphError(f"only params are updated, got\n  {describe(param)}")
        if param.type != value.type:
            remedy = remedy_of_update(param, value)
            raise GraphError(f"an update has its param's type, got\n  {describe(param)}\n  {describe(value)}{remedy}")
    _check_sizes(graph)
    verify(graph)


def _check_sizes(graph: Graph) -> None:
    """Every symbolic size is the size of some input's axis, so that a call tells its value."""
    bound = {str(size) for node in graph.inputs for size in node.shape if isinstance(size, Size)}
    for node in graph.nodes:
        for name in sorted(symbols_in(node)):
            if name not in bound:
                raise GraphError(
                    f"no input has an axis of size {name!r}, which is needed by\n  {describe(node)}\n"
                    "  name one that has: compile(..., inputs=[...])"
                )
