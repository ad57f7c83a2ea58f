"""Every row of the rule tables, proved by running it: both sides on random and edge values, types, and size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.ir import Node, toposort
from graphc.kinds import Composite, Product, Scalar, Stored
from graphc.reference import evaluate
from graphc.rewrite import Rule, apply_rules, build, expanded, match, rewritten
from graphc.rules import ALGEBRA, CHAINS, GEMM, RULES

EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, 1e-300, -1e-300, 1e3, -1e3, 2.0, -2.0, 3.25]


def variables(pattern: Any) -> list[str]:
    if isinstance(pattern, str):
        return [pattern]
    if not isinstance(pattern, tuple):
        return []
    names = [name for part in pattern[1:] if not isinstance(part, dict) for name in variables(part)]
    return list(dict.fromkeys([*names, *(pattern[-1].values() if isinstance(pattern[-1], dict) else [])]))


def attributes(pattern: Any) -> set[str]:
    """The variables that stand for attrs."""
    if not isinstance(pattern, tuple):
        return set()
    own = set(pattern[-1].values()) if isinstance(pattern[-1], dict) else set()
    return own.union(*(attributes(part) for part in pattern[1:]))


def bindings(rule: Rule, values: Any) -> dict[str, Any]:
    """What to bind each variable to: a (3, 4) matrix, unless the rule's example says otherwise."""
    example = dict(rule.example)
    attrs = attributes(rule.before)
    return {
        name: attribute(name, example[name]) if name in attrs else operand(name, example.get(name, (3, 4)), values)
        for name in variables(rule.before)
    }


def attribute(name: str, value: Any) -> Any:
    if name in ("dtype", "wide"):
        return np.dtype(value)
    return value % 2 if name == "axis" else value


def operand(name: str, spec: Any, values: Any) -> Any:
    special = {
        "labels": np.array([0, 3, 1]),
        "scalar": np.float64(0.3),
        "bools": np.arange(12).reshape(3, 4) % 5 < 2,
        "integers": np.arange(12).reshape(3, 4) - 5,
    }
    if spec in special:
        return gc.param(name, special[spec])
    if spec == "moderate":
        return gc.param(name, np.clip(values((3, 4)), -5, 5))
    if spec == "positive":
        return gc.param(name, np.abs(values((3, 4))))
    return gc.param(name, values(spec))


def both_sides(rule: Rule, values: Any) -> tuple[Node, Node, dict[str, Any]]:
    bound = bindings(rule, values)
    like = next(node for node in bound.values() if isinstance(node, Node))
    before = build(rule.before, bound, like)
    found = match(rule.before, before, {})
    assert found is not None, "a rule matches its own left side"
    assert rule.when is None or rule.when(**found)
    return before, build(rule.after, found, before), bound


each_rule = pytest.mark.parametrize("rule", [*RULES, *GEMM, *CHAINS], ids=lambda rule: rule.name)


@each_rule
@pytest.mark.parametrize("kind", ["random", "edges"])
def test_both_sides_are_equal(rule: Rule, kind: str, rng: np.random.Generator) -> None:
    def values(shape: tuple[int, ...]) -> np.ndarray:
        return rng.normal(size=shape) if kind == "random" else np.resize(EDGES, shape)

    before, after, _ = both_sides(rule, values)
    assert before.type == after.type
    left, right = evaluate([before, after])
    finite = np.isfinite(left)  # a stable form is finite where the other overflows
    assert np.all(np.isfinite(right[finite]))
    np.testing.assert_allclose(right[finite], left[finite], rtol=1e-12, atol=1e-12)


def size(node: Node) -> tuple[int, int, int]:
    """Matrix products, then nodes that are no inputs, then their cost: each rule lowers this."""
    nodes = [n for n in toposort([node]) if not isinstance(n.op.kind, Stored)]
    products = sum(isinstance(n.op.kind, Product) for n in nodes)
    cost = sum(
        n.op.kind.cost if isinstance(n.op.kind, Scalar) else 100 * isinstance(n.op.kind, Composite) for n in nodes
    )
    return products, len(nodes), cost


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_right_side_is_smaller(rule: Rule, rng: np.random.Generator) -> None:
    before, after, _ = both_sides(rule, lambda shape: rng.normal(size=shape))
    assert size(after) < size(before)


def test_rules_apply_until_nothing_changes() -> None:
    x = gc.param("x", np.ones((3, 4)))
    start = gc.negative(gc.negative(gc.negative(gc.negative(x * 1.0))))
    assert rewritten([start], lambda node: apply_rules(node, ALGEBRA))[start] is x


def test_a_constant_in_a_pattern_is_that_number_only() -> None:
    x = gc.param("x", np.ones(3))
    assert match(("multiply", "x", 1.0), x * 1.0, {}) == {"x": x}
    assert match(("multiply", "x", 1.0), 1.0 * x, {}) == {"x": x}, "multiply commutes"
    assert match(("multiply", "x", 1.0), x * 2.0, {}) is None
    assert match(("subtract", "x", 0.0), 0.0 - x, {}) is None, "subtract does not"


def test_a_repeated_variable_is_one_node() -> None:
    x, y = gc.param("x", np.ones(3)), gc.param("y", np.ones(3))
    assert match(("add", "a", "a"), x + x, {}) is not None
    assert match(("add", "a", "a"), x + y, {}) is None


def test_an_expansion_means_its_composite(rng: np.random.Generator) -> None:
    x = gc.param("x", rng.normal(size=(3, 4)))
    for node in (gc.softmax(x), gc.log_softmax(x, 0), gc.logsumexp(x), gc.mean(x, 0)):
        formula = expanded(node)
        assert formula.op is not node.op
        assert formula.type == node.type
        np.testing.assert_allclose(*evaluate([node, formula]), rtol=1e-14)
