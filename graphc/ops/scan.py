"""Scans: each element from the one before it."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.constants import as_node, promoted
from graphc.errors import ShapeError
from graphc.explained import teaching
from graphc.ir import Node, Op, Operand
from graphc.kinds import Scan
from graphc.ops.choice import astype
from graphc.ops.pieces import concatenate, flip, sliced
from graphc.ops.scalar import one_dtype
from graphc.ops.shape import broadcast_to, full, moveaxis, ravel
from graphc.sizes import Shape
from graphc.types import TensorType, broadcast, normal_axis


def _recurrence_type(a: TensorType, b: TensorType) -> TensorType:
    one_dtype((a, b), "fi")
    if a.shape != b.shape or not a.ndim:
        raise ShapeError(f"wants tensors of one shape, with at least one axis, got {a} and {b}")
    return b


def _recurrence(a: Any, b: Any) -> Any:
    a, b = np.broadcast_arrays(a, b)
    result = np.empty(b.shape, np.result_type(a, b))
    last = np.zeros(b.shape[:-1], result.dtype)
    for t in range(b.shape[-1]):
        last = a[..., t] * last + b[..., t]
        result[..., t] = last
    return result


def _recurrence_grad(g: Node, y: Node, a: Node, b: Node) -> tuple[Node, Node]:
    """What reaches h[t] comes from its own cotangent and from h[t+1]: the same recurrence, from the end."""
    db = flip(recurrence(flip(_later(a), -1), flip(g, -1)), -1)
    return db * _earlier(y), db


def _later(x: Node, fill: float = 0) -> Node:
    """`x[t + 1]` at t along the last axis, and `fill` at the end."""
    return sliced(concatenate([x, _edge(x, fill)], -1), x.ndim - 1, 1, x.shape[-1])


def _earlier(x: Node, fill: float = 0) -> Node:
    """`x[t - 1]` at t along the last axis, and `fill` at the start."""
    return sliced(concatenate([_edge(x, fill), x], -1), x.ndim - 1, 0, x.shape[-1])


def _edge(x: Node, fill: float) -> Node:
    return full((*x.shape[:-1], 1), fill, x.dtype)


def _stretched_pair(a: Operand, b: Operand) -> tuple[Node, ...]:
    nodes = promoted(a, b)
    shape: Shape = broadcast(*(node.shape for node in nodes))
    return tuple(node if node.shape == shape else broadcast_to(node, shape) for node in nodes)


recurrence: Op = Op(
    "recurrence",
    Scan("{0} * {acc} + {1}", wrapping="wrapping_add(wrapping_multiply({0}, {acc}), {1})"),
    _recurrence_type,
    _recurrence,
    _recurrence_grad,
    bind=lambda a, b: (_stretched_pair(a, b), {}),
    analytic=True,
    doc="`h[t] = a[t] * h[t-1] + b[t]` along the last axis, from h[-1] = 0: a discounted sum, a cumulative product.",
)


@teaching
def cumsum(x: Operand, axis: int | None = None) -> Node:
    """The sum of the elements up to each one along an axis; without one, of the ravelled tensor.

    Integers and bools are summed as int64.
    """
    node = as_node(x)
    node = node if node.type.floating else astype(node, np.int64)
    if axis is None:
        node, axis = ravel(node), 0
    at = normal_axis(axis, node.ndim)
    return moveaxis(recurrence(1, moveaxis(node, at, -1)), -1, at)


def products_of_others(x: Node) -> Node:
    """For each element of the last axis the product of all others: exact also where some are 0."""
    before = recurrence(_earlier(x, 1), _one_then_zeros(x))
    after = flip(recurrence(_earlier(flip(x, -1), 1), _one_then_zeros(x)), -1)
    return before * after


def _one_then_zeros(x: Node) -> Node:
    """1 at the start of the last axis, then 0: what a cumulative product starts from."""
    return _earlier(full(x.shape, 0, x.dtype), 1)
