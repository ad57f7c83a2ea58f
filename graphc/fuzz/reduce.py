"""Shrinking: a smaller recipe that fails in the same way."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from graphc.errors import GraphcError
from graphc.fuzz.check import Failure, check
from graphc.fuzz.generate import pruned, renumbered
from graphc.fuzz.recipe import Call, Leaf, Recipe, build, step_of
from graphc.ir import Node
from graphc.reference import run
from graphc.sizes import Size

CHECKS = 400
"""How many smaller recipes are tried at most."""


def reduced(recipe: Recipe, failure: Failure, native: bool = False) -> tuple[Recipe, Failure]:
    """A recipe with the same kind of failure, from which nothing can be taken away; and its failure."""
    left = CHECKS
    progress = True
    while progress and left > 0:
        progress = False
        for smaller in _smaller(recipe):
            left -= 1
            found = check(smaller, native) if _buildable(smaller) else None
            if found is not None and found.kind == failure.kind:
                recipe, failure, progress = smaller, found, True
                break
            if left <= 0:
                break
    return recipe, failure


def _buildable(recipe: Recipe) -> bool:
    try:
        build(recipe)
    except (GraphcError, TypeError, ValueError, KeyError):
        return False
    except Exception:  # what check() is to see
        return True
    return True


def _smaller(recipe: Recipe) -> Iterator[Recipe]:
    """Recipes with less in them, the boldest first."""
    for at in recipe.outputs if len(recipe.outputs) > 1 else ():
        keep = recipe.outputs[:1] if recipe.optimizer else ()
        yield pruned(replace(recipe, outputs=tuple(dict.fromkeys((*keep, at))), updates=()))
    if recipe.optimizer:
        yield pruned(replace(recipe, optimizer=""))
    if recipe.optimizer not in ("", "gc.SGD(0.1)"):
        yield replace(recipe, optimizer="gc.SGD(0.1)")
    for row in recipe.updates:
        yield pruned(replace(recipe, updates=tuple(each for each in recipe.updates if each != row)))
    for at in range(len(recipe.outputs) - 1, 0 if recipe.optimizer or not recipe.updates else -1, -1):
        yield pruned(replace(recipe, outputs=recipe.outputs[:at] + recipe.outputs[at + 1 :]))
    if recipe.calls > 1:
        yield replace(recipe, calls=1)
    yield from _with_fewer_steps(recipe)
    yield from _with_smaller_sizes(recipe)


def _with_fewer_steps(recipe: Recipe) -> Iterator[Recipe]:
    """One call replaced by an operand of its type, or by a leaf like its value."""
    nodes = _nodes(recipe)
    for at in reversed(range(len(nodes))):
        step = recipe.steps[at]
        if not isinstance(step, Call):
            continue
        for operand in dict.fromkeys(step.operands):
            other = nodes[operand]
            if isinstance(other, Node) and other.type == nodes[at].type:
                yield _redirected(recipe, at, operand)
        leaf = _leaf_like(recipe, nodes, at)
        if leaf is not None:
            yield pruned(replace(recipe, steps=(*recipe.steps[:at], leaf, *recipe.steps[at + 1 :])))


def _redirected(recipe: Recipe, at: int, to: int) -> Recipe:
    kept = [each for each in range(len(recipe.steps)) if each != at]
    return pruned(renumbered(recipe, kept, lambda each: to if each == at else each))


def _nodes(recipe: Recipe) -> list[Any]:
    """The steps' nodes, up to the first that cannot be made."""
    nodes: list[Any] = []
    with contextlib.suppress(Exception):
        for at, step in enumerate(recipe.steps):
            nodes.append(step_of(step, f"n{at}", nodes))
    return nodes


def _leaf_like(recipe: Recipe, nodes: list[Any], at: int) -> Leaf | None:
    """A leaf of the type and the range of a step, if it may have that shape."""
    node = nodes[at]
    inputs = [nodes[each] for each in recipe.inputs if each < len(nodes)]
    shape = tuple(str(size) if isinstance(size, Size) else size for size in node.shape)
    if any(isinstance(size, str) and not size.isidentifier() for size in shape):
        return None
    value = run([node, *inputs], recipe.feeds(0), "float64")[0].astype(float)
    low, high = (float(value.min()), float(value.max())) if value.size else (0.0, 1.0)
    if not np.isfinite([low, high]).all():
        return None
    if node.dtype.kind != "f":
        low, high = int(low), int(high) + 1
    kind = "input" if any(isinstance(size, str) for size in shape) else "param"
    return Leaf(kind, shape, str(node.dtype), at, round(low, 3), round(high, 3))


def _with_smaller_sizes(recipe: Recipe) -> Iterator[Recipe]:
    """One size of the leaves replaced by 1 or 2 everywhere; a symbolic size made fixed, or smaller."""
    leaves = [step for step in recipe.steps if isinstance(step, Leaf)]
    for name, values in recipe.sizes:
        if len(set(values)) == 1 and not any(leaf.high == name for leaf in leaves):
            yield _resized(recipe, name, values[0])
        yield replace(recipe, sizes=tuple((n, (2,) * len(v) if n == name else v) for n, v in recipe.sizes))
    sizes = {size for leaf in leaves for size in leaf.shape if isinstance(size, int)}
    for size in sorted(sizes, reverse=True):
        for new in (1, 2, 3, size // 2):
            if new < size:
                yield _resized(recipe, size, new)


def _resized(recipe: Recipe, old: int | str, new: int) -> Recipe:
    def changed(leaf: Leaf) -> Leaf:
        high = new if leaf.high == old and leaf.dtype != "bool" and not leaf.dtype.startswith("float") else leaf.high
        return replace(leaf, shape=tuple(new if size == old else size for size in leaf.shape), high=high)

    steps = tuple(changed(step) if isinstance(step, Leaf) else step for step in recipe.steps)
    sizes = tuple((name, values) for name, values in recipe.sizes if name != old)
    return replace(recipe, steps=steps, sizes=sizes)
