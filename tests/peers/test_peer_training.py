"""A hundred steps of three models beside the same loop in PyTorch and in JAX, from the same values on the same data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jax
import numpy as np
import pytest
import torch
from networks import MODELS, STEPS, Model
from rows import Array

import graphc as gc

jax.config.update("jax_enable_x64", True)

TOLERANCE = 1e-9
Run = tuple[list[float], dict[str, Array]]  # the loss of each step, and the params after the last


def our_loss(model: Model) -> tuple[gc.Node, list[gc.Param]]:
    params = [gc.param(name, value) for name, value in model.initial().items()]
    x, y = (gc.input(name, ("batch", *shape), dtype) for name, (dtype, *shape) in (("x", model.x), ("y", model.y)))
    return model.ours({str(param.name): param for param in params}, x, y), params


@cache
def compiled(model: Model) -> Run:
    loss, params = our_loss(model)
    step = gc.compile(loss, optimizer=gc.SGD(**model.sgd))
    losses = [step(x, y) for x, y in model.batches()]
    return losses, {str(param.name): param.value for param in params}


def interpreted(model: Model) -> Run:
    """The interpreter's gradients, and SGD by hand."""
    loss, params = our_loss(model)
    nodes, losses = [loss, *gc.grad(loss, params)], []
    update = by_hand(model, {str(param.name): param.value.copy() for param in params})
    for x, y in model.batches():
        value, *slopes = gc.evaluate(nodes, {"x": x, "y": y})
        losses.append(float(value))
        for name, new in update({str(p.name): slope for p, slope in zip(params, slopes, strict=True)}).items():
            next(param for param in params if param.name == name).value = new
    return losses, {str(param.name): param.value for param in params}


def in_torch(model: Model) -> Run:
    params = {name: torch.tensor(value, requires_grad=True) for name, value in model.initial().items()}
    optimizer, losses = torch.optim.SGD(params.values(), **model.sgd), []
    for x, y in model.batches():
        loss = model.torch(params, torch.tensor(x), torch.tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, {name: param.detach().numpy() for name, param in params.items()}


def in_jax(model: Model) -> Run:
    """JAX has no optimizers of its own: SGD by hand."""
    params, losses = model.initial(), []
    value_and_grad, update = jax.jit(jax.value_and_grad(model.jax)), by_hand(model, params)
    for x, y in model.batches():
        value, slopes = value_and_grad(params, x, y)
        losses.append(float(value))
        params = update(slopes)
    return losses, params


def by_hand(model: Model, params: dict[str, Array]) -> Callable[[Mapping[str, Any]], dict[str, Array]]:
    """Sutskever et al. 2013: takes gradients, gives the params' next values."""
    lr, momentum, decay = model.sgd["lr"], model.sgd.get("momentum", 0), model.sgd.get("weight_decay", 0)
    velocity = {name: np.zeros_like(value) for name, value in params.items()}

    def update(slopes: Mapping[str, Any]) -> dict[str, Array]:
        for name, value in params.items():
            slope = np.asarray(slopes[name]) + decay * value
            velocity[name] = momentum * velocity[name] + slope
            step = slope + momentum * velocity[name] if model.sgd.get("nesterov") else velocity[name]
            params[name] = value - lr * step
        return dict(params)

    return update


@pytest.mark.parametrize("peer", [in_torch, in_jax, interpreted])
@pytest.mark.parametrize("model", MODELS, ids=str)
def test_training_is_the_peers(model: Model, peer: Callable[[Model], Run]) -> None:
    (losses, params), (their_losses, their_params) = compiled(model), peer(model)
    assert len(losses) == STEPS
    assert any(np.max(np.abs(params[name] - value)) > 0.1 for name, value in model.initial().items()), "it stood still"
    np.testing.assert_allclose(losses, their_losses, rtol=TOLERANCE, atol=0)
    for name, value in their_params.items():
        np.testing.assert_allclose(params[name], value, rtol=0, atol=TOLERANCE * np.max(np.abs(value)), err_msg=name)
