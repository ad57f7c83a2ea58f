"""The two-layer classifier again, with what graphc has for it: layers, an optimizer, and `fit`.

It is the net of examples/from_scratch.py, on the same digits, and it reads them as well. The model is four lines, its
training one call: mini-batches, validation, metrics, and a stop when the validation loss no longer falls. Digits that
neither training nor validation has seen tell how good it is.

Run it with `python examples/with_fit.py`; the picture goes to out/with_fit.png.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import graphc as gc

EPOCHS, PATIENCE, BATCH = 100, 10, 32
"""PATIENCE: epochs without a better validation loss before training stops."""
SEED = 0
PICTURE = Path("out/with_fit.png")

Data = tuple[np.ndarray, np.ndarray]


def load_data() -> tuple[Data, Data, Data]:
    """Images and labels for training, validation and the test; 64 pixels of 0..1 each; a fifth is for the test."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32)
    known, test, known_labels, test_labels = train_test_split(
        images, labels, test_size=0.2, stratify=labels, random_state=SEED
    )
    train, seen, train_labels, seen_labels = train_test_split(
        known, known_labels, test_size=0.1, stratify=known_labels, random_state=SEED
    )
    return (train, train_labels), (seen, seen_labels), (test, test_labels)


def build() -> tuple[gc.Function, gc.Function, gc.Node]:
    """The training step, the classes alone, and the accuracy as a node."""
    x, y = gc.input("x", ("batch", 64)), gc.input("y", ("batch",), "int64")
    logits = gc.nn.dense(gc.nn.dense(x, 64, activation="relu", init="he_normal"), 10)
    step = gc.compile(gc.softmax_cross_entropy(logits, y), optimizer=gc.Adam(lr=0.002))
    classes = gc.argmax(logits, -1)
    return step, gc.compile(classes, name="predict"), gc.mean(gc.equal(classes, y))


def draw(history: gc.History, path: Path) -> None:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = history.plot(figure.subplots())
    axes.set_title("Handwritten digits: losses, and accuracy on validation data", fontsize="medium")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main(epochs: int = EPOCHS) -> None:
    train, validation, (images, labels) = load_data()
    step, predict, accuracy = build()
    history = step.fit(
        train,
        batch_size=BATCH,
        epochs=epochs,
        seed=SEED,
        validation=validation,
        metrics={"accuracy": accuracy},
        callbacks=[gc.EarlyStopping(patience=PATIENCE)],
    )
    print(f"{len(history.loss)} epochs, validation accuracy {history.metrics['accuracy'][-1]:.2%}")
    print(f"test accuracy {np.mean(predict(images) == labels):.2%}")
    draw(history, PICTURE)
    print(f"picture       {PICTURE}")


if __name__ == "__main__":
    main()
