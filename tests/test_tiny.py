"""The smallest tour: build, print, compile, train. The first test to read, and the first to run."""

from __future__ import annotations

import numpy as np

import graphc as gc


def test_linear_regression_from_graph_to_weights(rng) -> None:
    x, t = gc.input("x", ("n", 2)), gc.input("t", ("n",))
    w, b = gc.param("w", 2, init="zeros"), gc.param("b", (), init="zeros")
    loss = gc.mse(x @ w + b, t)
    step = gc.compile(loss, optimizer=gc.SGD(lr=0.1))
    assert "mean" in step.stages["graph"]

    data = rng.normal(size=(64, 2)).astype("f")
    target = data @ np.array([2.0, -1.0], "f") + np.float32(0.5)
    losses = [step(data, target) for _ in range(100)]

    assert losses[-1] < 1e-6 < losses[0]
    np.testing.assert_allclose(w.value, [2, -1], atol=1e-3)
    np.testing.assert_allclose(b.value, 0.5, atol=1e-3)
