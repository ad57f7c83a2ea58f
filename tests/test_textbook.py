"""The examples of the chapter "the mathematical building blocks of neural networks", to the digit.

Chollet, Deep Learning with Python, chapter 2: the computation graph of section 2.4.4, the gradient tape's y = 2x + 3,
the dense layer, affine maps and gradient descent.
"""

from __future__ import annotations

import numpy as np
import pytest
from models import classifier

import graphc as gc


@pytest.fixture
def scalar_graph():
    """x1 = x * w, x2 = x1 + b, loss = |y_true - x2| at x = 2, w = 2, b = 1, y_true = 4."""
    x, w, b, y_true = (
        gc.param(name, value, dtype="float64") for name, value in [("x", 2.0), ("w", 2.0), ("b", 1.0), ("y_true", 4.0)]
    )
    x1 = x * w
    x2 = x1 + b
    return {"x": x, "w": w, "b": b, "x1": x1, "x2": x2, "loss": abs(y_true - x2)}


@pytest.mark.parametrize(("node", "gradient"), [("x2", 1.0), ("x1", 1.0), ("w", 2.0), ("b", 1.0), ("x", 2.0)])
def test_the_computation_graphs_gradients(scalar_graph, node: str, gradient: float, either_mode: str) -> None:
    symbolic = gc.grad(scalar_graph["loss"], scalar_graph[node])
    assert gc.evaluate(symbolic) == gradient
    assert gc.compile([scalar_graph["loss"], symbolic])() == [1.0, gradient]


def test_the_chain_rule_multiplies_along_the_path(scalar_graph) -> None:
    g = scalar_graph
    edges = [gc.grad(g["loss"], g["x2"]), gc.grad(g["x2"], g["x1"]), gc.grad(g["x1"], g["w"])]
    assert [float(gc.evaluate(edge)) for edge in edges] == [1.0, 1.0, 2.0]
    assert np.prod([gc.evaluate(edge) for edge in edges]) == gc.evaluate(gc.grad(g["loss"], g["w"]))


def test_the_gradient_of_2x_plus_3_is_2() -> None:
    x = gc.param("x", 0.0)
    assert gc.evaluate(gc.grad(2 * x + 3, x)) == 2.0


def test_a_dense_layer_is_relu_of_an_affine_map(rng, either_mode: str) -> None:
    x, W, b = rng.normal(size=(5, 784)), rng.normal(size=(784, 512)), rng.normal(size=512)
    layer = gc.relu(gc.dot(gc.input("x", ("batch", 784), "float64"), gc.param("W", W)) + gc.param("b", b))
    np.testing.assert_allclose(gc.compile(layer)(x), np.maximum(np.dot(x, W) + b, 0), rtol=1e-12, atol=1e-12)


def test_two_affine_maps_are_one(rng, either_mode: str) -> None:
    """W2 (W1 x + b1) + b2 = (W2 W1) x + (W2 b1 + b2)."""
    W1, b1, W2, b2 = rng.normal(size=(3, 2)), rng.normal(size=3), rng.normal(size=(2, 3)), rng.normal(size=2)
    x = gc.input("x", (2,), "float64")
    chained = gc.const(W2) @ (gc.const(W1) @ x + b1) + b2
    single = (gc.const(W2) @ gc.const(W1)) @ x + (gc.const(W2) @ gc.const(b1) + b2)
    point = rng.normal(size=2)
    a, b = gc.compile([chained, single])(point)
    np.testing.assert_allclose(a, b, rtol=1e-13)
    np.testing.assert_allclose(a, W2 @ (W1 @ point + b1) + b2, rtol=1e-13)


def test_a_step_against_the_gradient_lowers_the_loss(rng) -> None:
    """W1 = W0 - step * grad(loss, W0)."""
    W = gc.param("W", rng.normal(size=(3, 2)))
    x, y_true = gc.const(rng.normal(size=(8, 3))), gc.const(rng.normal(size=(8, 2)))
    loss = gc.mse(x @ W, y_true)
    before = gc.evaluate(loss)
    W.value = W.value - 0.1 * gc.evaluate(gc.grad(loss, W))
    assert gc.evaluate(loss) < before


@pytest.mark.parametrize("batch_size", [1, 16, 60], ids=["single-sample", "mini-batch", "full-batch"])
def test_sgd_of_every_kind_runs_from_one_compiled_graph(rng, compiled_classifier, batch_size: int) -> None:
    model, step = compiled_classifier
    for param in model.params:
        param.value = rng.normal(0, 0.1, param.shape).astype("f")
    labels = rng.integers(0, 10, 60)
    data = rng.random((60, 64)).astype("f") * 0.1
    data[np.arange(60), labels] += 2  # separable: the label's own feature is large
    losses = []
    for _ in range(100):
        parts = [slice(i, i + batch_size) for i in range(0, 60, batch_size)]
        losses.append(np.mean([step(data[part], labels[part]) for part in parts]))
    assert losses[-1] < 0.7 * losses[0]


@pytest.fixture(scope="module")
def compiled_classifier():
    model = classifier()
    return model, gc.compile(model.loss, optimizer=gc.SGD(lr=0.1))
