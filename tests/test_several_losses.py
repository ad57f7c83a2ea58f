"""Training on a sum of losses, whose weights may change, and with params that stay as they are."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc

RATE = 0.05


class Towers:
    """Two linear predictions from one hidden layer: losses of mean squares, all float64."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.x, self.s, self.t = (
            gc.input(name, ("n", size), "float64") for name, size in (("x", 3), ("s", 2), ("t", 1))
        )
        self.W, self.A, self.B = (
            gc.param(name, rng.normal(size=shape)) for name, shape in (("W", (3, 4)), ("A", (4, 2)), ("B", (4, 1)))
        )
        self.weight = gc.param("weight", np.float64(0.3), trainable=False)
        hidden = self.x @ self.W
        self.a, self.b = gc.mse(hidden @ self.A, self.s), gc.mse(hidden @ self.B, self.t)
        self.total = self.a + self.weight * self.b
        self.data = rng.normal(size=(8, 3)), rng.normal(size=(8, 2)), rng.normal(size=(8, 1))


def by_hand(values, data, weight: float) -> tuple[list[np.ndarray], list[float]]:
    """One step of gradient descent in NumPy, and the losses before it."""
    (W, A, B), (x, s, t) = values, data
    h = x @ W
    ea, eb = h @ A - s, h @ B - t
    da, db = 2 * ea / ea.size, weight * 2 * eb / eb.size
    dh = da @ A.T + db @ B.T
    losses = [float((ea**2).mean()), float((eb**2).mean())]
    return [W - RATE * x.T @ dh, A - RATE * h.T @ da, B - RATE * h.T @ db], losses


def test_weights_change_without_a_compile(rng, either_mode) -> None:
    towers = Towers(rng)
    params = [towers.W, towers.A, towers.B]
    step = gc.compile([towers.total, towers.a, towers.b], optimizer=gc.SGD(RATE))
    for weight in (0.3, 0.3, 2.0, 0.0):
        towers.weight.value = weight
        expected, (a, b) = by_hand([param.value.copy() for param in params], towers.data, weight)
        np.testing.assert_allclose(step(*towers.data), [a + weight * b, a, b], rtol=1e-12)
        for param, value in zip(params, expected, strict=True):
            np.testing.assert_allclose(param.value, value, rtol=1e-12)
    assert towers.weight.value == 0


def test_in_fit(rng, python_mode) -> None:
    """The history has the first, their sum; a callback changes the weight."""
    towers, totals = Towers(rng), []
    params = [towers.W, towers.A, towers.B]
    expected = [param.value.copy() for param in params]
    for weight in (0.3, 5.0):
        expected, (a, b) = by_hand(expected, towers.data, weight)
        totals.append(a + weight * b)

    def change(epoch: int, history: gc.History) -> None:
        towers.weight.value = 5.0

    step = gc.compile([towers.total, towers.a, towers.b], optimizer=gc.SGD(RATE))
    history = step.fit(
        towers.data, batch_size=8, epochs=2, shuffle=False, metrics={"b": towers.b}, callbacks=[change], progress=False
    )
    np.testing.assert_allclose(history.loss, totals, rtol=1e-12)
    for param, value in zip(params, expected, strict=True):
        np.testing.assert_allclose(param.value, value, rtol=1e-12)
    assert history.metrics["b"][-1] == pytest.approx(by_hand(expected, towers.data, 0)[1][1], rel=1e-12)


# ---- params that stay -----------------------------------------------------------------------------------------------


def test_frozen_params_have_no_gradient_and_no_state(rng, python_mode) -> None:
    towers = Towers(rng)
    towers.W.trainable = False
    expected = by_hand([towers.W.value, towers.A.value, towers.B.value], towers.data, 0.3)[0]
    before = towers.W.value.copy()
    step = gc.compile(towers.total, optimizer=gc.SGD(RATE, momentum=0.9, weight_decay=0.0))
    step(*towers.data)
    np.testing.assert_array_equal(towers.W.value, before)
    np.testing.assert_allclose(towers.A.value, expected[1], rtol=1e-12)
    assert set(step.state) == {"W", "A", "B", "weight", "SGD.lr", "A.velocity", "B.velocity"}


def test_a_layer_is_frozen_and_trained_again_by_compiling_again(rng, python_mode) -> None:
    x, t = gc.input("x", ("n", 3)), gc.input("t", ("n", 1))
    hidden = gc.nn.dense(x, 4, activation="tanh", name="hidden")
    loss = gc.mse(gc.nn.dense(hidden, 1, name="out"), t)
    data = rng.normal(size=(20, 3)).astype("f"), rng.normal(size=(20, 1)).astype("f")

    def changed_by_fit() -> set[str]:
        before = {param.name: param.value.copy() for param in gc.nn.params(loss)}
        gc.compile(loss, optimizer=gc.AdamW(0.01)).fit(data, batch_size=5, progress=False)
        return {param.name for param in gc.nn.params(loss) if (param.value != before[param.name]).any()}

    for param in gc.nn.params(hidden):
        param.trainable = False
    assert changed_by_fit() == {"out.W", "out.b"}
    for param in gc.nn.params(hidden):
        param.trainable = True
    assert changed_by_fit() == {"hidden.W", "hidden.b", "out.W", "out.b"}
    with pytest.raises(AttributeError, match="a node is a value: name cannot be set"):
        param.name = "other"
