"""Learns to read handwritten digits: a small network, trained by one native loop over mini-batches.

Shows what the compiler makes of the expressions, trains, and measures the accuracy on digits that it has never seen.
Run it with `make demo`, or `python examples/digits.py`; the picture of the loss goes to out/digits-loss.png.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.console import Console
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import graphc as gc

PIXELS, HIDDEN, CLASSES = 64, 128, 10
EPOCHS, BATCH = 30, 32
SEED = 4
PICTURE = Path("out/digits-loss.png")

STAGES = {
    "graph": "The graph as written",
    "fold": "The same with backward pass and update, simplified",
    "fuse": "The kernels: loop nests and matrix products",
    "plan": "The memory plan",
}


def load_data() -> list[np.ndarray]:
    """Training images, test images, training labels, test labels: 8x8 images of 0..16, a fifth of them for the test."""
    images, labels = load_digits(return_X_y=True)
    return train_test_split(images.astype(np.uint8), labels, test_size=0.2, stratify=labels, random_state=SEED)


def build() -> tuple[gc.Function, gc.Node]:
    """The training step, compiled, and the accuracy as an expression."""
    x = gc.input("x", ("batch", PIXELS), "uint8")
    y = gc.input("y", ("batch",), "int64")
    W1 = gc.param("W1", (PIXELS, HIDDEN), init="he_normal")
    b1 = gc.param("b1", (HIDDEN,), init="zeros")
    W2 = gc.param("W2", (HIDDEN, CLASSES))
    b2 = gc.param("b2", (CLASSES,), init="zeros")

    pixels = gc.astype(x, "float32") / 16
    logits = gc.relu(pixels @ W1 + b1) @ W2 + b2
    loss = gc.cross_entropy(gc.softmax(logits), y)
    return gc.compile(loss, optimizer=gc.SGD(lr=0.1, momentum=0.9)), gc.metrics.accuracy(logits, y)


def show(console: Console, step: gc.Function) -> None:
    """Prints what the compiler made of the step, stage by stage."""
    for stage, title in STAGES.items():
        console.rule(title)
        print(step.stages[stage])


def draw(losses: list[float], path: Path) -> None:
    """A picture of the loss by epoch."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.semilogy(range(1, len(losses) + 1), losses, marker="o", markersize=3.5)
    axes.set(title="Handwritten digits: training loss", xlabel="epoch", ylabel="mean cross-entropy (log scale)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main() -> None:
    console = Console()
    images, test_images, labels, test_labels = load_data()

    step, accuracy = build()

    show(console, step)
    console.rule("Training")
    history = step.fit(
        (images, labels),
        batch_size=BATCH,
        epochs=EPOCHS,
        seed=SEED,
        validation=(test_images, test_labels),
        metrics={"accuracy": accuracy},
    )
    draw(history.loss, PICTURE)

    per_step = min(history.seconds) / (history.steps / EPOCHS)
    print(f"test accuracy  {history.metrics['accuracy'][-1]:.2%} of {len(test_labels)} digits")
    print(f"time per step  {per_step * 1e6:.0f} us (the fastest epoch of {EPOCHS}; {BATCH} digits a step)")
    print(f"loss curve     {PICTURE}")


if __name__ == "__main__":
    main()
