"""Gradients against central differences, along random directions, in float64."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np

import graphc as gc
from graphc.fuzz import script
from graphc.fuzz.recipe import Built, Leaf
from graphc.ir import Node, toposort
from graphc.reference import run


class GradientCrashError(Exception):
    """Differentiating ended in an error, which is the cause of this one; `tail` shows it."""

    def __init__(self, tail: list[str]) -> None:
        super().__init__()
        self.tail = tail


STEP, TOLERANCE = 1e-5, 1e-5


def wrong_gradient(built: Built) -> tuple[str, str, list[str]] | None:
    """A directional derivative of a scalar output that differs from the numeric one."""
    recipe = built.recipe
    losses = [at for at in recipe.outputs if built.nodes[at].type.floating and not built.nodes[at].shape]
    if not losses:
        return None
    rng = Random(recipe.name)
    for at in dict.fromkeys(losses):
        for wrt in _variables(built, at, rng):
            seed = rng.randrange(10**6)
            try:
                slopes = slope_and_numeric(built, at, wrt, seed)
            except Exception as error:
                raise GradientCrashError([f"gc.grad(n{at}, n{wrt})"]) from error
            if slopes is None or abs(slopes[0] - slopes[1]) <= slopes[2]:
                continue
            message = f"the slope of n{at} by n{wrt}: symbolic {slopes[0]:.9g}, numeric {slopes[1]:.9g}"
            return "gradient", message, script.sloping(built, at, wrt, seed, constants(built, at, wrt), slopes[2])
    return None


def _variables(built: Built, loss: int, rng: Random) -> list[int]:
    """Some float steps that the loss depends on.

    Only leaves if a step is itself a gradient: that may be computed around the steps in between.
    """
    below = set(toposort([built.nodes[loss]]))
    only_leaves = any(call.op == "grad" for call in built.recipe.ops)
    found = [
        at
        for at, node in enumerate(built.nodes)
        if isinstance(node, Node) and node in below and node.type.floating and node.op.name != "const"
        if not only_leaves or isinstance(built.recipe.steps[at], Leaf)
    ]
    return rng.sample(found, min(3, len(found)))


def constants(built: Built, loss: int, wrt: int) -> list[int]:
    """The steps through which no gradient flows by definition: the numeric derivative holds them fixed."""
    return [
        at
        for at, node in enumerate(built.nodes)
        if isinstance(node, Node) and node.op.name == "stop_gradient" and at != wrt
    ]


def slope_and_numeric(built: Built, at: int, wrt: int, seed: int) -> tuple[float, float, float] | None:
    """The symbolic and the numeric derivative, and the error allowed; None next to a kink or a pole."""
    loss, node = built.nodes[at], built.nodes[wrt]
    feeds = built.recipe.feeds(0)
    fixed = [built.nodes[each] for each in constants(built, at, wrt)]
    gradient, value, start, *held = run([gc.grad(loss, node), node, loss, *fixed, *built.inputs], feeds, "float64")
    direction = script.direction(seed, value.shape)
    given = dict(zip(fixed, held, strict=False))

    def moved(step: float) -> float:
        at_step = {**given, node: value + step * direction}
        return float(run([loss, *built.inputs], feeds, "float64", at_step)[0])

    slope, scale = float(np.sum(gradient * direction)), float(np.sum(np.abs(gradient * direction)))
    coarse, fine = _one_sided(moved, float(start), STEP), _one_sided(moved, float(start), STEP / 4)
    numeric = sum(fine) / 2
    scale = max(scale, abs(numeric), 1e-3)
    bends = [abs(right - left) for right, left in (coarse, fine)]
    kinked = bends[1] > max(0.5 * bends[0], 1e-3 * TOLERANCE * scale) and bends[1] > TOLERANCE * scale / 4
    if not np.isfinite([slope, numeric]).all() or kinked or abs(sum(coarse) / 2 - numeric) > TOLERANCE * scale / 4:
        return None
    return slope, numeric, TOLERANCE * scale


def _one_sided(moved: Callable[[float], float], start: float, step: float) -> tuple[float, float]:
    """The slopes to the right and to the left."""
    return (moved(step) - start) / step, (start - moved(-step)) / step
