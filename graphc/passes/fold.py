"""Updates folded into the matrix products that make their gradients.

Afterwards `W <- W - lr * dot(x.T, d)` is `W <- gemm(x.T, d, W, -lr, 1)`: BLAS adds the product into the weight itself and
the gradient is never stored. Legal by the GEMM rows; it pays only where the product has no other use, since a product
that is needed anyway would be computed twice.
"""

from __future__ import annotations

from dataclasses import replace

from graphc.graph import Graph
from graphc.ir import Node, Product
from graphc.rewrite import apply_rules
from graphc.rules import GEMM


def fold(graph: Graph) -> Graph:
    """The same graph with as few matrix products and with updates inside them."""
    for row, (param, value) in enumerate(graph.updates):
        updates = list(graph.updates)
        updates[row] = (param, _as_product(value))
        folded = replace(graph, updates=tuple(updates))
        if _products(folded) <= _products(graph):
            graph = folded
    return graph


def _as_product(value: Node) -> Node:
    """The update as a product, if its outermost ops have such a form; only those are looked at."""
    folded = apply_rules(value, GEMM)
    while folded is not value:
        value = folded
        args = tuple(apply_rules(arg, GEMM) if arg.shape and not isinstance(arg.op.kind, Product) else arg for arg in value.args)
        folded = apply_rules(value.op(*args, **value.options), GEMM)
    return value


def _products(graph: Graph) -> int:
    return sum(isinstance(node.op.kind, Product) for node in graph.nodes)
