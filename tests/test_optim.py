"""SGD against PyTorch's formulas, written out in NumPy, over 50 steps in float64."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc

VARIANTS = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "weight decay": {"weight_decay": 0.05},
    "momentum and weight decay": {"momentum": 0.9, "weight_decay": 0.05},
    "all": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
}


def reference(w, x, t, steps, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    """torch.optim.SGD's algorithm, as its documentation states it, on mse(x @ w, t)."""
    buffer = None
    for _ in range(steps):
        g = x.T @ (2 * (x @ w - t) / t.size) + weight_decay * w
        if momentum:
            buffer = g if buffer is None else momentum * buffer + g
            g = g + momentum * buffer if nesterov else buffer
        w = w - lr * g
    return w


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("shape", [(6, 4), (6, 1)])
def test_sgd_is_pytorchs(options: dict, shape: tuple[int, int], rng: np.random.Generator, either_mode: str) -> None:
    start, x, t = rng.normal(size=shape), rng.normal(size=(7, 6)), rng.normal(size=(7, shape[1]))
    w = gc.param("w", start)
    loss = gc.mse(gc.input("x", ("n", 6), "float64") @ w, gc.input("t", ("n", shape[1]), "float64"))
    step = gc.compile(loss, optimizer=gc.SGD(lr=0.05, **options))
    for _ in range(50):
        step(x, t)
    np.testing.assert_allclose(w.value, reference(start, x, t, 50, 0.05, **options), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "folded"),
    [("plain", 1), ("momentum", 1), ("weight decay", 1), ("momentum and weight decay", 1), ("nesterov", 0)],
)
def test_the_update_is_inside_the_product(name: str, folded: int, python_mode: None, fused: None) -> None:
    """Nesterov's form reads the gradient twice, so there it is stored."""
    w = gc.param("w", np.ones((6, 4)))
    loss = gc.mse(gc.input("x", ("n", 6), "float64") @ w, gc.input("t", ("n", 4), "float64"))
    step = gc.compile(loss, optimizer=gc.SGD(0.1, **VARIANTS[name]))
    assert step.stages["fold"].count("= gemm(") == folded
    stored = [buffer.type.shape for buffer in step._plan.program.scratch]
    assert ((6, 4) in stored) != bool(folded)


def test_the_learning_rate_changes_without_a_compile(rng: np.random.Generator, either_mode: str) -> None:
    start, x, t = rng.normal(size=(6, 4)), rng.normal(size=(7, 6)), rng.normal(size=(7, 4))
    w = gc.param("w", start)
    step = gc.compile(gc.mse(gc.input("x", (7, 6), "float64") @ w, t), optimizer=gc.SGD(lr=0.05))
    step(x)
    first = reference(start, x, t, 1, 0.05)
    np.testing.assert_allclose(w.value, first, rtol=1e-12)
    source = step.source
    step.optimizer.lr = 0.01
    assert step.optimizer.lr == 0.01
    step(x)
    np.testing.assert_allclose(w.value, reference(first, x, t, 1, 0.01), rtol=1e-12)
    assert step.source is source


def test_params_that_are_not_trainable_stay(rng: np.random.Generator, python_mode: None) -> None:
    w, frozen = gc.param("w", rng.normal(size=(6, 4))), gc.param("frozen", rng.normal(size=4), trainable=False)
    before = frozen.value.copy()
    step = gc.compile(gc.mse(gc.input("x", (7, 6), "float64") @ w + frozen, np.ones((7, 4))), optimizer=gc.SGD(0.1))
    step(rng.normal(size=(7, 6)))
    np.testing.assert_array_equal(frozen.value, before)


def test_hyperparameters_are_checked() -> None:
    with pytest.raises(ValueError, match="lr is not negative, got -1"):
        gc.SGD(lr=-1)
    with pytest.raises(ValueError, match="lr is not negative, got -2"):
        gc.SGD(lr=1).lr = -2
    with pytest.raises(ValueError, match=r"not negative, got 0\.1, -1"):
        gc.SGD(lr=1, momentum=0.1, weight_decay=-1)
    with pytest.raises(AttributeError):
        gc.SGD(lr=1, momentum=0.9).momentum = 0.5  # type: ignore[misc]
    with pytest.raises(ValueError, match="momentum > 0"):
        gc.SGD(lr=0.1, nesterov=True)
