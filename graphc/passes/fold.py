"""Updates folded into the matrix products that make their gradients.

Afterwards `W <- W - lr * dot(x.T, d)` is `W <- gemm(x.T, d, W, -lr, 1)`: BLAS adds the product into the weight itself
and the gradient is never stored. Legal by the GEMM rows, unless the product reads the very memory that it would
overwrite. It pays only where the product has no other use, since one that is needed anyway would be computed twice.
"""

from __future__ import annotations

from dataclasses import replace

from graphc.graph import Graph
from graphc.ir import Node, rebuilt, toposort
from graphc.kinds import Product
from graphc.passes.cone import matrix_source
from graphc.rewrite import apply_rules, replaced
from graphc.rules import GEMM


def fold(graph: Graph) -> Graph:
    """The same graph with as few matrix products and with updates inside them."""
    refusals = {param: why for param, value in graph.updates if (why := _refusal(param, value))}
    instead = {value: _as_product(value) for param, value in graph.updates if param not in refusals}
    if instead.keys().isdisjoint(toposort(instead.values())):
        everywhere = replaced(graph, instead)
        if _products(everywhere) <= _products(graph):
            return replace(everywhere, unfolded=tuple(refusals.items()))
    for row in range(len(graph.updates)):
        param, value = graph.updates[row]
        if param in refusals:
            continue
        product = _as_product(value)
        if product is value:
            refusals[param] = "its product already makes the next value of another param"
        elif _products(folded := replaced(graph, {value: product})) <= _products(graph):
            graph = folded
        else:
            refusals[param] = "the product is needed elsewhere too: it would be computed twice"
    return replace(graph, unfolded=tuple(refusals.items()))


def _refusal(param: Node, value: Node) -> str | None:
    """Why a param's next value is no single product that BLAS may write over the param."""
    product = _as_product(value)
    if product is value and not isinstance(value.op.kind, Product):
        return "its next value is no matrix product, nor one added to something"
    if param in map(_memory, product.args[:2]):
        return "the product reads the memory that it would overwrite"
    return None


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
