"""Gradients against central differences, along random directions, in float64."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np

import graphc as gc
from graphc.fuzz import script
from graphc.fuzz.recipe import Array, Built, Leaf
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
    derivative = gc.grad(loss, node)
    gradient, value, start, *held = run([derivative, node, loss, *fixed, *built.inputs], feeds, "float64")
    direction = script.direction(seed, value.shape)
    given = dict(zip(fixed, held, strict=False))

    def moved(root: Node, step: float) -> Array:
        return run([root, *built.inputs], feeds, "float64", {**given, node: value + step * direction})[0]

    slope, scale = float(np.sum(gradient * direction)), float(np.sum(np.abs(gradient * direction)))
    coarse, fine = (_one_sided(lambda h: float(moved(loss, h)), float(start), step) for step in (STEP, STEP / 4))
    numeric = sum(fine) / 2
    allowed = TOLERANCE * max(scale, abs(numeric), 1e-3)
    bends = [abs(right - left) for right, left in (coarse, fine)]
    kinked = bends[1] > 0.5 * bends[0] and bends[1] > allowed / 4
    if not np.isfinite([slope, numeric]).all() or kinked or abs(sum(coarse) / 2 - numeric) > allowed / 4:
        return None
    if abs(slope - numeric) > allowed:
        # A tie just here, as of remainder(x, x) and 0, is nobody's slope: the gradient on both sides is the other one.
        beside = [float(np.sum(moved(derivative, h) * direction)) for h in (STEP / 4, -STEP / 4)]
        if all(abs(each - numeric) < abs(each - slope) for each in beside):
            return None
    return slope, numeric, allowed


def _one_sided(moved: Callable[[float], float], start: float, step: float) -> tuple[float, float]:
    """The slopes to the right and to the left."""
    return (moved(step) - start) / step, (start - moved(-step)) / step
