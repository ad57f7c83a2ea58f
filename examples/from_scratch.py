"""The two-layer classifier from scratch: init, forward, loss, backward and update, all written out.

It reads handwritten digits of 8 x 8 pixels. Nothing here is a layer, an optimizer or a training loop of graphc's: the
backward pass is `gc.grad`, the update is `W - RATE * gradient` for each param, given to `compile` as `updates=`, and
the batches are slices of shuffled arrays. examples/with_fit.py is the same with what graphc has for it.

Run it with `python examples/from_scratch.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import graphc as gc

PIXELS, HIDDEN, CLASSES = 64, 64, 10
EPOCHS, SHOWN, BATCH, RATE = 40, 5, 32, 0.2
"""SHOWN: every so many epochs the accuracy is printed."""
SEED = 0


def load_data() -> list[np.ndarray]:
    """Training images, test images, training labels, test labels: 64 pixels of 0..1 each; a fifth is for the test."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    return train_test_split(images, labels, test_size=0.2, stratify=labels, random_state=SEED)


def init(rng: np.random.Generator) -> dict[str, gc.Param]:
    """Small random weights, of the size that keeps the signal's variance (He et al. 2015), and biases of zero."""

    def weights(rows: int, columns: int) -> np.ndarray:
        return rng.normal(0, np.sqrt(2 / rows), (rows, columns)).astype(np.float32)

    values = {
        "W1": weights(PIXELS, HIDDEN),
        "b1": np.zeros(HIDDEN, np.float32),
        "W2": weights(HIDDEN, CLASSES),
        "b2": np.zeros(CLASSES, np.float32),
    }
    return {name: gc.param(name, value) for name, value in values.items()}


def forward(params: dict[str, gc.Param], x: gc.Node) -> gc.Node:
    """The probability of each class: (batch, PIXELS) gives (batch, CLASSES)."""
    h = gc.relu(gc.dot(x, params["W1"]) + params["b1"])
    return gc.softmax(gc.dot(h, params["W2"]) + params["b2"])


def loss_of(probabilities: gc.Node, y: gc.Node) -> gc.Node:
    """The mean of -log(the probability of the right class): categorical cross-entropy."""
    targets = gc.one_hot(y, CLASSES)
    return gc.mean(-gc.sum(targets * gc.log(probabilities), axis=1))


def update(params: dict[str, gc.Param], loss: gc.Node) -> dict[gc.Param, gc.Node]:
    """The next value of each param: a step against its gradient."""
    old = list(params.values())
    gradients = gc.grad(loss, old)
    return {param: param - RATE * gradient for param, gradient in zip(old, gradients, strict=True)}


def build(rng: np.random.Generator) -> tuple[gc.Function, gc.Function]:
    """The training step, and the probabilities alone; they share the params."""
    x, y = gc.input("x", ("batch", PIXELS)), gc.input("y", ("batch",), "int64")
    params = init(rng)
    probabilities = forward(params, x)
    loss = loss_of(probabilities, y)
    return gc.compile(loss, updates=update(params, loss)), gc.compile(probabilities, name="predict")


def batches(
    images: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All rows once, in a new order, BATCH at a time; the last batch may be smaller."""
    order = rng.permutation(len(images))
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        yield images[chosen], labels[chosen]


def accuracy(predict: gc.Function, images: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean(predict(images).argmax(axis=1) == labels))


def main(epochs: int = EPOCHS) -> None:
    rng = np.random.default_rng(SEED)
    images, test_images, labels, test_labels = load_data()
    step, predict = build(rng)
    print(step.stages["fold"])

    for epoch in range(1, epochs + 1):
        losses = [step(*batch) for batch in batches(images, labels, rng)]
        if epoch % SHOWN == 0:
            right = accuracy(predict, test_images, test_labels)
            print(f"epoch {epoch:3d}  loss {np.mean(losses):.4f}  test accuracy {right:.2%}")


if __name__ == "__main__":
    main()
