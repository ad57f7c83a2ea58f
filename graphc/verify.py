"""Valid in, valid out: re-runs every type rule of a graph."""

from __future__ import annotations

from graphc.errors import GraphcError, GraphError
from graphc.graph import Graph
from graphc.ir import describe, type_of
from graphc.kinds import Stored


def verify(graph: Graph) -> None:
    """GraphError unless each node has the type its op's rule gives, and each update its param's type."""
    for node in graph.nodes:
        if isinstance(node.op.kind, Stored):
            continue
        try:
            expected = type_of(node.op, node.args, node.options)
        except GraphcError as error:
            raise GraphError(f"an invalid node: {describe(node)}: {error}") from error
        if expected != node.type:
            raise GraphError(f"an invalid node: {describe(node)}: its rule gives {expected}")
    for param, value in graph.updates:
        if param.type != value.type:
            raise GraphError(f"an update of another type: {describe(param)} <- {describe(value)}")
    for guard in graph.guards:
        if guard.condition.type.shape or guard.condition.dtype != bool:
            raise GraphError(f"a guard is a scalar bool: {describe(guard.condition)}")
