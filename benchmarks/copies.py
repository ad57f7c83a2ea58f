"""Many models in one call: a sweep over learning rates, beside the same models one after the other, and JAX's vmap."""

from __future__ import annotations

import importlib.util
import statistics
from argparse import Namespace
from collections.abc import Callable
from typing import Any

import numpy as np
from tables import number, say, show
from timing import median_of_step
from worker import Result, measured
from workloads import Array, Dense

import graphc as gc

NETS = ("4-32-3/32", "16-64-4/1", "64-32-10/32", "64-128-10/128", "256-128-64-10/64")
MODELS = 64
STEPS = 20
"""Steps of a loop."""

SIDES = ("graphc copies", "graphc alone, a call", "graphc alone, a loop", "JAX vmap, jit", "JAX vmap, scan")


def main(options: Namespace) -> Result:
    """Median microseconds of one step of all models; each side trains the same, as its losses show."""
    sides = [side for side in SIDES if importlib.util.find_spec("jax") or not side.startswith("JAX")]
    nets, rounds = (NETS[:3], 1) if options.quick else (NETS, options.rounds)
    times: dict[str, dict[str, list[float]]] = {net: {side: [] for side in sides} for net in nets}
    apart = 0.0
    for turn in range(rounds):
        for net in nets:
            found = {}
            for side in sides:
                say(f"round {turn + 1} of {rounds}, {net}, {side}")
                asked = {"side": side, "net": net, "seconds": options.seconds}
                found[side] = measured("copies.trained", asked)[0]
                times[net][side].append(found[side]["microseconds"])
            losses = [np.array(each["losses"]) for each in found.values()]
            apart = max([apart, *(float(np.abs(each / losses[0] - 1).max()) for each in losses)])
    say("")
    medians = {net: {side: statistics.median(each) for side, each in of.items()} for net, of in times.items()}
    title = f"Microseconds of a step of {MODELS} models, each with a learning rate of its own"
    show(title, ["net/batch", *sides], [[net, *map(number, of.values())] for net, of in medians.items()])
    print(f"Losses after {STEPS} steps agree to {apart:.1e}.")
    return {"title": title, "models": MODELS, "microseconds": medians, "apart": apart}


# ---- in a process of its own ----------------------------------------------------------------------------------------


def trained(side: str, net: str, seconds: float) -> Result:
    """The median microseconds of a step of all models, and each model's loss after some steps."""
    library, _, way = side.partition(" ")
    steps = STEPS if way.endswith(("loop", "scan")) else 1
    run = {"graphc": _graphc, "JAX": _jax}[library](Dense.parsed(net), way, steps)
    losses = np.concatenate([run() for _ in range(STEPS // steps)])[-1]
    median_of_step(run, seconds / 2)
    return {"microseconds": median_of_step(run, seconds)[0] / steps, "losses": losses.tolist()}


def rates(net: Dense) -> Array:
    return np.geomspace(net.lr / 10, net.lr, MODELS).astype("float32")


def starts(net: Dense) -> dict[str, Array]:
    """Where each model starts: params with one more axis."""
    scale = np.linspace(0.5, 1.5, MODELS, dtype="float32")
    return {name: np.stack([value * each for each in scale]) for name, value in net.params().items()}


def _graphc(net: Dense, way: str, steps: int) -> Callable[[], Any]:
    """A call of all models, or each model by itself: one step of each in turn, or a loop of steps of each in turn."""
    arrays = list(net.inputs().values())
    if way == "copies":
        many = _compiled(net, range(MODELS))
        return lambda: many(*arrays)[None]
    each = [_compiled(net, [model]) for model in range(MODELS)]
    if way.endswith("call"):
        return lambda: np.array([[step(*arrays) for step in each]])
    return lambda: np.stack([step.run(steps, *arrays) for step in each], axis=1)


def _compiled(net: Dense, models: Any) -> gc.Function:
    """The step of these models, or of one."""
    from with_graphc import loss_of

    copies = len(models) if len(models) > 1 else None
    loss, params = loss_of(net)
    lr = rates(net).astype("float64")
    optimizer = gc.SGD(lr=lr[models] if copies else float(lr[models[0]]))
    for name, value in starts(net).items():
        if copies:
            params[name].copies(copies).value = value
        else:
            params[name].value = value[models[0]]
    return gc.compile(loss, optimizer=optimizer, copies=copies)


def _jax(net: Dense, way: str, steps: int) -> Callable[[], Any]:
    from with_jax import vmap

    return vmap(net, list(starts(net).values()), rates(net), steps)
