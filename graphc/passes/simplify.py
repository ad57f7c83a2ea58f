"""Simplification by the table of rules, then composites expanded, then the table again.

Afterwards no composite is left, constants are folded, and nothing that a rule can shorten remains. Legal because each
rule keeps values and types (see rules.py), and an expansion is the op's definition.
"""

from __future__ import annotations

import numpy as np

from graphc.constants import const, constant_value
from graphc.graph import Graph
from graphc.ir import Node, made_for
from graphc.kinds import Scalar
from graphc.rewrite import apply_rules, everywhere, expanded
from graphc.rules import RULES


def simplify(graph: Graph) -> Graph:
    """The same graph, smaller."""
    named = everywhere(graph, _simpler)
    return everywhere(named, lambda node: _simpler(expanded(node)))


def _simpler(node: Node) -> Node:
    return apply_rules(_folded(node), RULES)


def _folded(node: Node) -> Node:
    """A scalar computed from constants alone, as a constant."""
    values = [constant_value(arg) for arg in node.args]
    if not values or node.shape or not isinstance(node.op.kind, Scalar) or any(v is None for v in values):
        return node
    assert node.op.numpy is not None
    with made_for(node), np.errstate(all="ignore"):
        return const(node.op.numpy(*values, **node.options), node.dtype)
