"""Simplification by the table of rules, then composites expanded, then the table again.

Afterwards no composite is left, constants are folded, and nothing that a rule can shorten remains. Legal because each
rule keeps values and types (see rules.py), and an expansion is the op's definition.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from graphc.constants import const, constant_value
from graphc.graph import Graph
from graphc.ir import Node, symbols_in
from graphc.origin import made_for
from graphc.rewrite import apply_rules, everywhere, expanded
from graphc.rules import CHAINS, RULES
from graphc.sizes import typical


def simplify(graph: Graph) -> Graph:
    """The same graph, smaller."""
    named = everywhere(graph, _simpler)
    plain = everywhere(named, lambda node: _simpler(expanded(node)))
    return plain if plain.updates else _with_short_chains(plain)


def _simpler(node: Node) -> Node:
    return apply_rules(_folded(node), RULES)


def _folded(node: Node) -> Node:
    """What is computed from constants alone, as a constant, unless that would be larger than they are."""
    values = [constant_value(arg) for arg in node.args]
    if not values or any(v is None for v in values) or node.op.limits is not None or symbols_in(node):
        return node
    if node.op.numpy is None or typical(node.size) > max(1, *(v.size for v in values if v is not None)):
        return node
    with made_for(node), np.errstate(all="ignore"):
        return const(np.asarray(node.op.numpy(*values, **node.options)), node.dtype)


def _with_short_chains(graph: Graph) -> Graph:
    """Products of products in the cheaper order, where nobody else reads the inner one."""
    readers = Counter(arg for node in graph.nodes for arg in node.args) + Counter(graph.roots)
    shared = {node for node, count in readers.items() if count > 1}
    return everywhere(graph, lambda node: apply_rules(node, CHAINS, opaque=shared - {node}))
