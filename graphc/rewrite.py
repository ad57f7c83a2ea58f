"""Patterns over nodes: match, build, and rewriting to a fixed point. Knows no op.

pattern := name                                a variable: matches any node, the same node each time
         | number                              a scalar constant of this value
         | (op name, pattern*, {attr: var}?)   an op; its attrs may be bound to variables
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import Any, TypeAlias

from graphc.constants import const, constant_value
from graphc.graph import Graph
from graphc.ir import OPS, Node, make, rebuilt, toposort
from graphc.kinds import Composite
from graphc.origin import made_for

Pattern: TypeAlias = "str | float | tuple[Any, ...]"
Bindings: TypeAlias = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Rule:
    """One algebraic truth: `before` equals `after`, whenever `when(**bindings)` holds.

    `after` is a pattern, or a function of the bindings. `example` tells tests what to bind a variable to where a float
    matrix would not do; see tests/test_rules.py.
    """

    name: str
    before: tuple[Any, ...]
    after: Pattern | Callable[..., Node]
    when: Callable[..., bool] | None = None
    example: tuple[tuple[str, Any], ...] = ()


def match(pattern: Pattern, node: Node, bound: Bindings, opaque: Collection[Node] = ()) -> Bindings | None:
    """The variables' values if `node` has this form, else None. No match looks inside an `opaque` node."""
    if isinstance(pattern, str):
        return {**bound, pattern: node} if bound.get(pattern, node) is node else None
    if not isinstance(pattern, tuple):
        value = constant_value(node)
        return bound if value is not None and not value.shape and _same_number(value[()], pattern) else None
    name, *operands = pattern
    if node.op.name != name or node in opaque:
        return None
    if operands and isinstance(operands[-1], dict):
        attrs = {variable: node.options[attr] for attr, variable in operands.pop().items()}
        if any(bound.get(variable, value) != value for variable, value in attrs.items()):
            return None
        bound = {**bound, **attrs}
    orders = permutations(node.args) if node.op.commutative else [node.args]
    for args in orders:
        found = _match_all(operands, args, bound, opaque)
        if found is not None:
            return found
    return None


def _same_number(value: Any, pattern: float) -> bool:
    """Equal, and of the same sign: 0.0 is not -0.0."""
    return bool(value == pattern) and math.copysign(1, value) == math.copysign(1, pattern)


def _match_all(
    patterns: Sequence[Pattern], args: Sequence[Node], bound: Bindings, opaque: Collection[Node]
) -> Bindings | None:
    found: Bindings | None = bound
    for pattern, arg in zip(patterns, args, strict=True):
        found = None if found is None else match(pattern, arg, found, opaque)
    return found


def build(pattern: Pattern | Callable[..., Node], bound: Bindings, like: Node) -> Node:
    """The node that `pattern` describes; numbers become constants of `like`'s dtype."""
    if callable(pattern):
        return pattern(**bound)
    if isinstance(pattern, str):
        found: Node = bound[pattern]
        return found
    if not isinstance(pattern, tuple):
        return const(pattern, like.dtype)
    name, *operands = pattern
    attrs = (
        {attr: bound[variable] for attr, variable in operands.pop().items()} if isinstance(operands[-1], dict) else {}
    )
    return make(OPS[name], tuple(build(operand, bound, like) for operand in operands), attrs)


@cache
def _by_op(rules: tuple[Rule, ...]) -> dict[str, list[Rule]]:
    """The rules by the op that they begin with."""
    index: dict[str, list[Rule]] = {}
    for rule in rules:
        index.setdefault(rule.before[0], []).append(rule)
    return index


def apply_rules(node: Node, rules: tuple[Rule, ...], opaque: Collection[Node] = ()) -> Node:
    """`node` after the first rule that matches it and keeps its type; `node` itself if none does."""
    for rule in _by_op(rules).get(node.op.name, ()):
        bound = match(rule.before, node, {}, opaque)
        if bound is None or (rule.when is not None and not rule.when(**bound)):
            continue
        with made_for(node):
            after = build(rule.after, bound, node)
        if after.type == node.type:
            return after
    return node


def rewritten(roots: Sequence[Node], change: Callable[[Node], Node]) -> dict[Node, Node]:
    """Each node that `roots` need, mapped to what it becomes when `change` is applied until nothing changes.

    Arguments are rewritten before their users. Every change makes a node smaller by some measure, as in rules.py.
    """
    current = {root: root for root in roots}
    while True:
        new: dict[Node, Node] = {}
        for node in toposort(current.values()):
            new[node] = change(rebuilt(node, tuple(new[arg] for arg in node.args)))
        following = {root: new[node] for root, node in current.items()}
        if following == current:
            return following
        current = following


def everywhere(graph: Graph, change: Callable[[Node], Node]) -> Graph:
    """The graph with `change` applied to its nodes until nothing changes."""
    return graph.mapped(rewritten(graph.roots, change).__getitem__)


def replaced(graph: Graph, instead: Mapping[Node, Node]) -> Graph:
    """The graph with other nodes in place of some, none of which they need."""
    current: dict[Node, Node] = {}
    for node in toposort(graph.roots):
        new = instead.get(node)
        current[node] = rebuilt(node, tuple(current[arg] for arg in node.args)) if new is None else new
    return graph.mapped(current.__getitem__)


def expanded(node: Node) -> Node:
    """A composite as the formula it stands for; any other node as it is."""
    if not isinstance(node.op.kind, Composite):
        return node
    with made_for(node):
        formula: Node = node.op.kind.expand(*node.args, **node.options)
        return formula
