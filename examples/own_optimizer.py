"""An optimizer of one's own in ten lines: Lion, beside SGD and Adam on handwritten digits.

Lion (Chen et al. 2023, "Symbolic Discovery of Optimization Algorithms", algorithm 2) moves each weight by the learning
rate, up or down by the sign of a mean of gradients. It keeps half as much state as Adam. Run it with
`python examples/own_optimizer.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import graphc as gc

EPOCHS, BATCH, SEED = 20, 32, 4


class Lion(gc.Optimizer):
    """`p = p - lr * (sign(beta1 * m + (1 - beta1) * g) + weight_decay * p)`, `m = beta2 * m + (1 - beta2) * g`."""

    def __init__(self, lr: Any, betas: tuple[float, float] = (0.9, 0.99), weight_decay: float = 0.0, **common: Any):
        super().__init__(lr, **common)
        self.betas, self.weight_decay = betas, weight_decay

    def update(self, param: gc.Param, gradient: gc.Node) -> list[tuple[gc.Node, gc.Node]]:
        m, (beta1, beta2) = self.state(param, "m"), self.betas
        direction = gc.sign(beta1 * m + (1 - beta1) * gradient) + self.weight_decay * param
        return [(param, param - self.rate(param) * direction), (m, beta2 * m + (1 - beta2) * gradient)]


def load_data() -> list[np.ndarray]:
    """Training images, test images, training labels, test labels: 8x8 images of 0..16."""
    images, labels = load_digits(return_X_y=True)
    return train_test_split(images.astype(np.uint8), labels, test_size=0.2, stratify=labels, random_state=SEED)


def train(optimizer: gc.Optimizer, data: list[np.ndarray], epochs: int = EPOCHS) -> gc.History:
    """A small network, always from the same weights, trained on the same batches."""
    x, y = gc.input("x", ("batch", 64), "uint8"), gc.input("y", ("batch",), "int64")
    hidden = gc.nn.dense(gc.astype(x, "float32") / 16, 64, activation="relu", name="hidden")
    logits = gc.nn.dense(hidden, 10, name="out")
    step = gc.compile(gc.softmax_cross_entropy(logits, y), optimizer=optimizer)
    images, test_images, labels, test_labels = data
    return step.fit(
        (images, labels),
        batch_size=BATCH,
        epochs=epochs,
        validation=(test_images, test_labels),
        metrics={"accuracy": gc.metrics.accuracy(logits, y)},
        progress=False,
    )


def main(epochs: int = EPOCHS) -> None:
    data = load_data()
    steps = epochs * -(-len(data[0]) // BATCH)
    print(f"{'':12} {'loss':>8} {'test loss':>10} {'accuracy':>9}   after {epochs} epochs, {steps} steps")
    for optimizer in (
        gc.SGD(lr=0.1, momentum=0.9),
        gc.Adam(lr=0.003),
        Lion(lr=0.001),
        Lion(lr=gc.schedules.cosine(0.002, steps), weight_decay=0.1, clip_norm=1.0),
    ):
        history = train(optimizer, data, epochs)
        test_loss, accuracy = history.metrics["val_loss"][-1], history.metrics["accuracy"][-1]
        name = type(optimizer).__name__
        print(f"{name:12} {history.loss[-1]:8.4f} {test_loss:10.4f} {accuracy:9.1%}   {optimizer}")


if __name__ == "__main__":
    main()
