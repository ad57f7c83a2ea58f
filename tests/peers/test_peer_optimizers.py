"""Each optimizer beside PyTorch's, 200 steps in float64; clipping, accumulation and schedules beside PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import graphc as gc

CASES = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"weight_decay": 0.1, "eps": 1e-3}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.8, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.5}),
    ("Adam", {}),
    ("Adam", {"betas": (0.7, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    ("AdamW", {}),
    ("AdamW", {"betas": (0.7, 0.95), "weight_decay": 0.2}),
]


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_200_steps(name: str, options: dict) -> None:
    rng = np.random.default_rng(0)
    start, x, t = rng.normal(size=(6, 4)), rng.normal(size=(7, 6)), rng.normal(size=(7, 4))
    w = gc.param("w", start)
    step = gc.compile(gc.mse(gc.input("x", (7, 6), "float64") @ w, t), optimizer=getattr(gc, name)(1e-3, **options))
    peer = torch.tensor(start, requires_grad=True)
    optimizer = getattr(torch.optim, name)([peer], lr=1e-3, **options)
    for _ in range(200):
        step(x)
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(torch.tensor(x) @ peer, torch.tensor(t)).backward()
        optimizer.step()
    np.testing.assert_allclose(w.value, peer.detach().numpy(), rtol=1e-9)


# ---- what is done to gradients --------------------------------------------------------------------------------------


def layers(rng: np.random.Generator) -> tuple[list[np.ndarray], gc.Node]:
    """Two layers, whose gradients are of different sizes, and their loss of x and t."""
    x, t = gc.input("x", ("n", 6), "float64"), gc.input("t", ("n", 4), "float64")
    start = [rng.normal(size=shape) for shape in ((6, 5), (5,), (5, 4))]
    W, b, V = (gc.param(name, value) for name, value in zip(("W", "b", "V"), start, strict=True))
    return start, gc.mse(gc.tanh(x @ W + b) @ V, t)


def torch_loss(peers: list[torch.Tensor], x: np.ndarray, t: np.ndarray) -> torch.Tensor:
    W, b, V = peers
    return torch.nn.functional.mse_loss(torch.tanh(torch.tensor(x) @ W + b) @ V, torch.tensor(t))


CLIPPED = [
    {"clip_value": 0.05},
    {"clip_norm": 0.1},
    {"clip_norm": 1e9},
    {"clip_value": 0.05, "clip_norm": 0.1},
]


@pytest.mark.parametrize("clipping", CLIPPED, ids=str)
@pytest.mark.parametrize(("name", "options"), [("SGD", {"lr": 0.1, "momentum": 0.9}), ("AdamW", {"lr": 1e-3})])
@pytest.mark.parametrize("accumulate", [1, 4])
def test_200_steps_with_clipping_and_accumulation(name: str, options: dict, clipping: dict, accumulate: int) -> None:
    rng = np.random.default_rng(1)
    start, loss = layers(rng)
    data = [(rng.normal(size=(7, 6)), 3 * rng.normal(size=(7, 4))) for _ in range(200)]
    step = gc.compile(loss, optimizer=getattr(gc, name)(**options, **clipping, accumulate=accumulate))
    peers = [torch.tensor(value, requires_grad=True) for value in start]
    optimizer = getattr(torch.optim, name)(peers, **options)
    for number, (x, t) in enumerate(data, 1):
        step(x, t)
        (torch_loss(peers, x, t) / accumulate).backward()
        if number % accumulate == 0:
            if "clip_value" in clipping:
                torch.nn.utils.clip_grad_value_(peers, clipping["clip_value"])
            if "clip_norm" in clipping:
                torch.nn.utils.clip_grad_norm_(peers, clipping["clip_norm"])
            optimizer.step()
            optimizer.zero_grad()
    for name, peer in zip(("W", "b", "V"), peers, strict=True):
        np.testing.assert_allclose(step.state[name], peer.detach().numpy(), rtol=1e-9, atol=1e-9)


# ---- schedules ------------------------------------------------------------------------------------------------------

torch_schedules = torch.optim.lr_scheduler


def warmed_up(optimizer: torch.optim.Optimizer) -> torch_schedules.LRScheduler:
    linear = torch_schedules.LinearLR(optimizer, start_factor=0.25, total_iters=10)
    cosine = torch_schedules.CosineAnnealingLR(optimizer, T_max=30, eta_min=0.01)
    return torch_schedules.SequentialLR(optimizer, [linear, cosine], milestones=[10])


SCHEDULES = [
    (gc.schedules.constant(0.2), lambda optimizer: torch_schedules.ConstantLR(optimizer, factor=1.0)),
    (gc.schedules.step_decay(0.2, every=7), lambda optimizer: torch_schedules.StepLR(optimizer, step_size=7)),
    (
        gc.schedules.step_decay(0.2, every=3, factor=0.5),
        lambda optimizer: torch_schedules.StepLR(optimizer, step_size=3, gamma=0.5),
    ),
    (gc.schedules.cosine(0.2, steps=40), lambda optimizer: torch_schedules.CosineAnnealingLR(optimizer, T_max=40)),
    (gc.schedules.warm_up(10, then=gc.schedules.cosine(0.2, steps=30, end=0.01), start=0.05), warmed_up),
]


@pytest.mark.filterwarnings("ignore:The epoch parameter in `scheduler.step:UserWarning")  # SequentialLR's own use of it
@pytest.mark.parametrize(("schedule", "peer_of"), SCHEDULES, ids=lambda each: str(each) if "(" in repr(each) else "")
def test_schedules(schedule, peer_of) -> None:
    rng = np.random.default_rng(2)
    start, loss = layers(rng)
    x, t = rng.normal(size=(40, 6)), rng.normal(size=(40, 4))
    step = gc.compile(loss, optimizer=gc.SGD(schedule, momentum=0.5))
    step.fit((x, t), batch_size=1, shuffle=False, progress=False)
    peers = [torch.tensor(value, requires_grad=True) for value in start]
    optimizer = torch.optim.SGD(peers, lr=0.2, momentum=0.5)
    scheduler = peer_of(optimizer)
    for number in range(40):
        assert schedule(number) == pytest.approx(scheduler.get_last_lr()[0], rel=1e-9, abs=1e-15)
        optimizer.zero_grad()
        torch_loss(peers, x[number : number + 1], t[number : number + 1]).backward()
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(step.state["W"], peers[0].detach().numpy(), rtol=1e-9, atol=1e-9)
