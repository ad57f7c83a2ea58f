"""The numbers of one call, for the picture of a graph: each node's value, and the gradient on each edge.

They are computed by the reference interpreter in float64, by the graph as the user built it, before any pass. The
gradient on an edge is what flows back along it: the gradient of the loss with respect to the operand, as far as it goes
through this reader. A node's gradient is the sum over the edges that leave it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc.arguments import as_input, in_order
from graphc.graph import Graph
from graphc.inspect.failure import guard_error
from graphc.ir import INPUT, Node, rebuilt
from graphc.kinds import Constant
from graphc.ops.reduce import sum
from graphc.passes.differentiate import gradients
from graphc.reference import run

Array = np.ndarray[Any, Any]

WHOLE = 24
"""Elements up to which a tensor is shown whole."""


@dataclass
class Edge:
    """What flows back from `reader` to its operand number `position`.

    local: for scalars, the derivative of the reader with respect to the operand, else None.
    """

    reader: Node
    position: int
    gradient: Array
    local: float | None


@dataclass
class Values:
    """One call in numbers: `of` each node its value, `gradient` of the loss with respect to nodes, and by edge."""

    of: dict[Node, Array]
    loss: Node | None = None
    gradient: dict[Node, Array] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)


def values_of(passed: Mapping[str, Any], feeds: Mapping[str, Any]) -> Values:
    """The values of all nodes of all graphs that the passes made, for these inputs by name.

    The loss is the first output, if it is a scalar float. Params have their present values. Raises InputError for
    arrays that the step would not take.
    """
    graph = passed["graph"]
    later = [each for each in passed.values() if isinstance(each, Graph)]
    arrays = [
        as_input(node, value)
        for node, value in zip(graph.inputs, in_order(graph.name, graph.inputs, (), feeds), strict=True)
    ]
    given = {node: _wide(array) for node, array in zip(graph.inputs, arrays, strict=True)}
    by_name = {str(node.name): array for node, array in zip(graph.inputs, arrays, strict=True)}
    for guard in graph.guards:
        if guard.limit is not None and not run([guard.condition, *graph.inputs], by_name)[0]:
            raise guard_error(graph, guard, arrays, 0.0)
    nodes = list(dict.fromkeys([*graph.inputs, *graph.nodes, *(node for each in later for node in each.nodes)]))
    found = Values(dict(zip(nodes, run(nodes, {}, "float64", given), strict=True)))
    loss = next(iter(graph.outputs), None)
    if loss is not None and not loss.shape and loss.type.floating:
        found.loss = loss
        _flow_back(graph, loss, found)
    return found


def _wide(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _flow_back(graph: Graph, loss: Node, found: Values) -> None:
    """Fills in the gradients, from the loss back to the leaves."""
    found.gradient[loss] = np.ones(())
    for node in reversed(graph.nodes):
        if node not in found.gradient or not node.type.floating:
            continue
        places = [at for at, arg in enumerate(node.args) if arg.type.floating and not isinstance(arg.op.kind, Constant)]
        shares = _shares(graph, node, places, found.of, found.gradient[node])
        scalar = not node.shape and all(not arg.shape for arg in node.args)
        local: Sequence[Array | None] = [None] * len(places)
        if scalar:
            local = _shares(graph, node, places, found.of, np.ones(()))
        for at, share, factor in zip(places, shares, local, strict=True):
            arg = node.args[at]
            found.gradient[arg] = found.gradient[arg] + share if arg in found.gradient else share
            found.edges.append(Edge(node, at, share, None if factor is None else float(factor)))


def _shares(
    graph: Graph, node: Node, places: Sequence[int], value: Mapping[Node, Array], cotangent: Array
) -> list[Array]:
    """What reaches the node's operands at `places` from its own gradient, by its gradient rule.

    The operands are replaced by inputs, one a place, so that the rule is all that is differentiated: for `x * x` both
    places have a share of their own.
    """
    if not places:
        return []
    stand_in = [
        arg if isinstance(arg.op.kind, Constant) else _like(arg, f"operand {at}") for at, arg in enumerate(node.args)
    ]
    weight = _like(node, "gradient")
    alone = sum(rebuilt(node, tuple(stand_in)) * weight)
    rule = gradients(alone, [stand_in[at] for at in places])
    given = {each: value[arg] for each, arg in zip(stand_in, node.args, strict=True)}
    given |= {weight: cotangent, **{each: value[each] for each in graph.inputs}}
    return run([*rule, *graph.inputs], {}, "float64", given)[: len(places)]  # the inputs tell the sizes


def _like(node: Node, name: str) -> Node:
    """An input of the node's type."""
    return Node(INPUT, (), (), node.type, name)


# ---- as text --------------------------------------------------------------------------------------------------------


def short_text(array: Array) -> str:
    """A value in a few characters: `3`, `[1 2 3]`, `mean 0.013`."""
    if not array.shape:
        return _number(array[()])
    if array.ndim == 1 and array.size <= 4:
        return f"[{' '.join(map(_number, array))}]"
    return f"mean {_mean(array):.3g}" if array.size else "empty"


def full_text(array: Array) -> str:
    """A small value whole, a larger one as shape, min, mean and max."""
    if array.size <= WHOLE:
        return np.array2string(array, separator=", ", precision=6, suppress_small=False)
    words = f"shape {array.shape}: min {_number(array.min())}, mean {_number(_mean(array))}"
    return f"{words}, max {_number(array.max())}"


def _mean(array: Array) -> float:
    with np.errstate(all="ignore"):
        return float(np.mean(array, dtype=np.float64))


def _number(value: Any) -> str:
    return str(bool(value)) if isinstance(value, (bool, np.bool_)) else f"{value:.4g}"
