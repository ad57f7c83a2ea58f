"""Each optimizer beside PyTorch's, 200 steps in float64."""

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
