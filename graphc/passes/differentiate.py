"""Reverse-mode differentiation, graph to graph.

Afterwards each gradient is a node like any other: it prints, simplifies and fuses, and can be differentiated again. The
ops' formulas state calculus; accumulating, summing over stretched axes and skipping what does not matter happen here,
once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from graphc.constants import const
from graphc.errors import DtypeError, ShapeError
from graphc.graph import Graph
from graphc.ir import Node, describe, rebuilt, toposort
from graphc.kinds import Stored
from graphc.ops.choice import copy, zeros_like
from graphc.ops.reduce import sum
from graphc.ops.shape import reshape
from graphc.origin import made_for
from graphc.reference import flattened, in_structure
from graphc.rewrite import apply_rules, expanded, rewritten
from graphc.rules import STABLE
from graphc.sizes import Shape
from graphc.state import Param
from graphc.types import symbols_of


def differentiate(graph: Graph) -> Graph:
    """The graph with the update of every trainable param that its loss depends on."""
    if graph.update_rule is None:
        return graph
    loss = graph.outputs[0]
    taken = {param for param, _ in graph.updates}
    params = [node for node in trainable(loss) if node not in taken]
    found = gradients(loss, params)
    with made_for(None, "update"):
        updates = graph.update_rule(params, found)
    return replace(graph, updates=(*graph.updates, *updates), update_rule=None)


def trainable(loss: Node) -> list[Param]:
    """The params that descent changes: those the loss depends on that are trainable floats."""
    found = [node for node in toposort([loss]) if isinstance(node, Param)]
    return [param for param in found if param.trainable and param.type.floating]


def grad(loss: Node, wrt: Any) -> Any:
    """The gradient of a scalar loss with respect to a node, or to each node of a list or dict.

    `wrt` may be params, inputs, or nodes in between; a node on which the loss does not depend has gradient 0.
    Raises ShapeError if the loss is not a scalar, DtypeError if the loss or `wrt` is not a float.
    """
    return in_structure(wrt, gradients(loss, flattened(wrt)))


def gradients(loss: Node, wrt: Sequence[Node]) -> list[Node]:
    """The gradient of `loss` with respect to each node: Chollet, Deep Learning with Python, section 2.4.4."""
    check_loss(loss)
    for node in wrt:
        _check_float(node)
    marked = _marked(loss, wrt)
    better = rewritten(list(marked.values()), lambda node: _differentiable(apply_rules(node, STABLE)))
    stable, sources = better[marked[loss]], [better[marked[node]] for node in wrt]
    order = toposort([stable])
    active = _active(order, sources)
    cotangents: dict[Node, Node] = {}
    if stable in active:
        cotangents[stable] = const(1, stable.dtype)
    for node in reversed(order):
        if node in cotangents and node.args and any(arg in active for arg in node.args):
            _propagate(node, cotangents, active)
    found = [cotangents.get(source, zeros_like(node)) for node, source in zip(wrt, sources, strict=True)]
    if any(node.args for node in wrt):  # else nothing is marked
        plain = rewritten(found, lambda node: node.args[0] if _is_mark(node) else node)
        found = [plain[gradient] for gradient in found]
    return [_sized(gradient, node) for node, gradient in zip(wrt, found, strict=True)]


MARK = "derivative"


def _marked(loss: Node, wrt: Sequence[Node]) -> dict[Node, Node]:
    """The loss and `wrt`, with a mark between each of `wrt` that is computed and those who read it in the user's graph.

    A rule cannot look through a mark, so what a gradient is asked for cannot disappear; and what a composite's formula
    computes again, `sqrt(x)` in `rsqrt(x)`, is not mistaken for the user's own node.
    """
    current: dict[Node, Node] = {}
    computed = {node for node in wrt if node.args}
    for node in toposort([loss, *wrt]):
        same = rebuilt(node, tuple(current[arg] for arg in node.args))
        current[node] = same
        if node in computed:
            with made_for(node):
                current[node] = copy(same, to=MARK)
    return {node: current[node] for node in (loss, *wrt)}


def _is_mark(node: Node) -> bool:
    return node.options.get("to") == MARK


def _differentiable(node: Node) -> Node:
    """A composite that has no gradient of its own as its formula."""
    return node if node.op.grad is not None else expanded(node)


def _sized(gradient: Node, like: Node) -> Node:
    """The gradient, with `like` among what it is computed from if nothing else there tells its symbolic sizes."""
    if not symbols_of(like.shape):
        return gradient
    told = {
        name for node in toposort([gradient]) if isinstance(node.op.kind, Stored) for name in symbols_of(node.shape)
    }
    return gradient if symbols_of(like.shape) <= told else gradient + zeros_like(like)


def check_loss(loss: Node) -> None:
    """ShapeError or DtypeError unless `loss` is a scalar float."""
    if loss.shape:
        raise ShapeError(f"grad: the loss is a scalar; take its mean or sum first, got\n  {describe(loss)}")
    _check_float(loss)


def _check_float(node: Node) -> None:
    if not node.type.floating:
        raise DtypeError(f"grad: only floats have gradients, got\n  {describe(node)}\n  make it of dtype='float32'")


def _active(order: Sequence[Node], wrt: Sequence[Node]) -> set[Node]:
    """The float nodes whose value depends on one of `wrt`."""
    active = set(wrt)
    for node in order:
        if node.type.floating and any(arg in active for arg in node.args):
            active.add(node)
    return active


def _propagate(node: Node, cotangents: dict[Node, Node], active: set[Node]) -> None:
    """Adds to the cotangent of each argument what reaches it through `node`."""
    if node.op.grad is None:
        raise NotImplementedError(f"{node.op.name} has no gradient rule")
    with made_for(node, "backward"):
        shares = node.op.grad(cotangents[node], node, *node.args, **node.options)
        for arg, share in zip(node.args, shares, strict=True):
            if share is None or arg not in active:
                continue
            share = _unstretched(share, arg.shape)
            assert share.type == arg.type, f"{node.op}: cotangent {share.type} for {arg.type}"
            cotangents[arg] = cotangents[arg] + share if arg in cotangents else share


def _unstretched(cotangent: Node, shape: Shape) -> Node:
    """The cotangent of an operand that broadcasting stretched: summed over the axes that were added or were 1."""
    added = cotangent.ndim - len(shape)
    stretched = [added + at for at, size in enumerate(shape) if size == 1 and cotangent.shape[added + at] != 1]
    axes = (*range(added), *stretched)
    return reshape(sum(cotangent, axes), shape) if axes else cotangent
