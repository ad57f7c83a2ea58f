"""Updates folded into the matrix products that make their gradients.

Afterwards `W <- W - lr * dot(x.T, d)` is `W <- gemm(x.T, d, W, -lr, 1)`: BLAS adds the product into the weight itself
and the gradient is never stored. Legal by the GEMM rows, unless the product reads the very memory that it would
overwrite. It pays only where the product has no other use, since one that is needed anyway would be computed twice.
"""

from __future__ import annotations

from graphc.graph import Graph
from graphc.ir import Node, rebuilt, toposort
from graphc.kinds import Product
from graphc.passes.cone import matrix_source
from graphc.rewrite import apply_rules, replaced
from graphc.rules import GEMM


def fold(graph: Graph) -> Graph:
    """The same graph with as few matrix products and with updates inside them."""
    instead = {value: product for param, value in graph.updates if (product := _folded(param, value)) is not value}
    if instead.keys().isdisjoint(toposort(instead.values())):
        everywhere = replaced(graph, instead)
        if _products(everywhere) <= _products(graph):
            return everywhere
    for row in range(len(graph.updates)):
        param, value = graph.updates[row]
        folded = replaced(graph, {value: _folded(param, value)})
        if _products(folded) <= _products(graph):
            graph = folded
    return graph


def _folded(param: Node, value: Node) -> Node:
    """A param's next value as one product; as it is, if that would read the memory that it writes."""
    product = _as_product(value)
    return value if param in map(_memory, product.args[:2]) else product


def _memory(operand: Node) -> Node:
    return matrix_source(operand)[0]


def _as_product(value: Node) -> Node:
    """The update as a product, if its outermost ops have such a form; what the product adds to is none itself."""
    folded = apply_rules(value, GEMM)
    while folded is not value:
        value = folded
        args = tuple(map(_shorter_start, value.args))
        folded = apply_rules(rebuilt(value, args), GEMM)
    return value


def _shorter_start(arg: Node) -> Node:
    shorter = apply_rules(arg, GEMM)
    return arg if isinstance(shorter.op.kind, Product) else shorter


def _products(graph: Graph) -> int:
    return sum(isinstance(node.op.kind, Product) for node in graph.nodes)
