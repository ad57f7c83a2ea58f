"""Layers: plain functions that make params and build graphs; nothing that the ops could not do.

A layer's params are called after it: `dense(x, 10, name="out")` makes `out.W` and `out.b`. Without a name a layer gets
the first free one among those that x is computed from: dense, dense_2, ...
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.constants import as_node
from graphc.errors import ShapeError
from graphc.initializers import Initializer
from graphc.ir import Node, Operand, describe, toposort
from graphc.nearest import did_you_mean
from graphc.ops import activation as activations, functions, index, random, softmax as normalisation
from graphc.ops.product import dot
from graphc.reference import flattened, in_structure
from graphc.rewrite import rewritten
from graphc.state import Param, counter, param
from graphc.types import normal_axes

ACTIVATIONS: dict[str, Callable[[Node], Node]] = {
    "relu": activations.relu,
    "leaky_relu": activations.leaky_relu,
    "elu": activations.elu,
    "selu": activations.selu,
    "gelu": activations.gelu,
    "silu": activations.silu,
    "softplus": activations.softplus,
    "sigmoid": activations.sigmoid,
    "hard_sigmoid": activations.hard_sigmoid,
    "tanh": functions.tanh,
    "softmax": normalisation.softmax,
}


def dense(
    x: Operand,
    units: int,
    activation: str | Callable[[Node], Node] | None = None,
    name: str | None = None,
    use_bias: bool = True,
    init: str | Initializer = "glorot_uniform",
) -> Node:
    """`activation(dot(x, W) + b)`: (..., features) gives (..., units). W is (features, units), b starts at 0.

    activation: None, a name of ACTIVATIONS or a function. Raises ShapeError if x has no last axis of a fixed size.
    """
    node = as_node(x)
    name = name or _free_name("dense", node)
    W = param(f"{name}.W", (_fixed("dense", node, -1), units), init, dtype=_dtype(node))
    y = dot(node, W)
    if use_bias:
        y = y + param(f"{name}.b", units, "zeros", dtype=_dtype(node))
    return _activation(activation)(y)


def embedding(
    ids: Operand, entries: int, features: int, name: str | None = None, init: str | Initializer = "normal"
) -> Node:
    """A learned row for each integer: ids (...,) in range(entries) give (..., features)."""
    node = as_node(ids)
    table = param(f"{name or _free_name('embedding', node)}.table", (entries, features), init)
    return index.embedding(table, node)


def layer_norm(x: Operand, axis: int | Sequence[int] = -1, eps: float = 1e-5, name: str | None = None) -> Node:
    """Mean 0 and variance 1 over the axes of each sample, then a learned scale and shift (Ba, Kiros & Hinton 2016)."""
    node = as_node(x)
    name = name or _free_name("layer_norm", node)
    axes = normal_axes(axis, node.ndim)
    # The params' axes stand where x's are, so that they broadcast against it.
    shape = tuple(_fixed("layer_norm", node, at) if at in axes else 1 for at in range(axes[0], node.ndim))
    scale, shift = (
        param(f"{name}.{of}", shape, start, dtype=_dtype(node)) for of, start in (("scale", "ones"), ("shift", "zeros"))
    )
    return normalisation.layer_norm(node, scale, shift, axis, eps)


def dropout(x: Operand, rate: float, name: str | None = None, seed: int = 0) -> Node:
    """x with each element 0 with probability `rate`, else divided by 1 - rate: another mask at each training step.

    The mask follows from the seed and from the param `<name>.step`, which counts the calls of steps that train (those
    compiled with an optimizer or with updates). Compile a prediction through `inference`, which leaves dropout out.
    """
    node = as_node(x)
    name = name or _free_name("dropout", node)
    return random.dropout(node, counter(f"{name}.step"), rate=rate, seed=_mixed(seed, name))


def inference(nodes: Any) -> Any:
    """A node, or a list or dict of nodes, without dropout: what a model computes when it does not train."""
    roots = flattened(nodes)
    plain = rewritten(roots, lambda node: node.args[0] if node.op is random.dropout else node)
    return in_structure(nodes, [plain[root] for root in roots])


def params(nodes: Any) -> list[Param]:
    """Every param that a node, or a list or dict of nodes, is computed from, in order of first use."""
    return [node for node in toposort(flattened(nodes)) if isinstance(node, Param)]


# ---- what layers share ----------------------------------------------------------------------------------------------


def _free_name(kind: str, x: Node) -> str:
    """`kind`, or `kind_2`, ...: the first that begins no name of a param that x is computed from."""
    taken = {str(each.name).split(".")[0] for each in params(x)}
    number = 1
    while (name := kind if number == 1 else f"{kind}_{number}") in taken:
        number += 1
    return name


def _fixed(layer: str, x: Node, axis: int) -> int:
    if not x.ndim or not isinstance(size := x.shape[axis], int):
        raise ShapeError(
            f"{layer}: wants a fixed size of axis {axis}, since a param's shape follows from it, got\n  {describe(x)}"
        )
    return size


def _dtype(x: Node) -> np.dtype[Any]:
    return x.dtype if x.type.floating else np.dtype(np.float32)


def _activation(activation: str | Callable[[Node], Node] | None) -> Callable[[Node], Node]:
    if activation is None:
        return lambda x: x
    if callable(activation):
        return activation
    if activation not in ACTIVATIONS:
        near = did_you_mean(activation, ACTIVATIONS)
        raise ValueError(f"activation is one of {', '.join(ACTIVATIONS)} or a function, got {activation!r}{near}")
    return ACTIVATIONS[activation]


def _mixed(seed: int, name: str) -> int:
    """One seed for each layer: those of one seed and other names draw other masks."""
    return zlib.crc32(f"{name}:{seed}".encode())
