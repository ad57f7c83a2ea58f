"""The models that several test files build."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import graphc as gc


@dataclass
class Classifier:
    """A two-layer classifier: `softmax(relu(x @ W1 + b1) @ W2 + b2)` with cross-entropy."""

    x: gc.Node
    y: gc.Node
    params: list[gc.Param]
    logits: gc.Node
    loss: gc.Node


def classifier(features: int = 64, hidden: int = 32, classes: int = 10, dtype: str = "float32") -> Classifier:
    x = gc.input("x", ("batch", features), dtype)
    y = gc.input("y", ("batch",), "int64")
    W1 = gc.param("W1", (features, hidden), dtype=dtype)
    b1 = gc.param("b1", hidden, init="zeros", dtype=dtype)
    W2 = gc.param("W2", (hidden, classes), dtype=dtype)
    b2 = gc.param("b2", classes, init="zeros", dtype=dtype)
    h = gc.relu(x @ W1 + b1)
    logits = h @ W2 + b2
    loss = gc.cross_entropy(gc.softmax(logits), y)
    return Classifier(x, y, [W1, b1, W2, b2], logits, loss)


def batch(rng: np.random.Generator, size: int, features: int = 64, classes: int = 10, dtype: str = "float32"):
    """Random inputs and labels."""
    return rng.random((size, features)).astype(dtype), rng.integers(0, classes, size)
