"""Learns to read handwritten digits: a small network, trained by one native call per step.

Shows what the compiler makes of the expressions, trains, and measures the accuracy on digits that it has never seen.
Run it with `make demo`, or `python examples/digits.py`; the picture of the loss goes to out/digits-loss.png.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.console import Console
from rich.progress import track
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


def build() -> tuple[gc.Node, gc.Node]:
    """The network's logits and its loss, as expressions; nothing is computed yet."""
    x = gc.input("x", ("batch", PIXELS), "uint8")
    y = gc.input("y", ("batch",), "int64")
    W1 = gc.param("W1", (PIXELS, HIDDEN), init="he_normal")
    b1 = gc.param("b1", (HIDDEN,), init="zeros")
    W2 = gc.param("W2", (HIDDEN, CLASSES))
    b2 = gc.param("b2", (CLASSES,), init="zeros")

    pixels = gc.astype(x, "float32") / 16
    logits = gc.relu(pixels @ W1 + b1) @ W2 + b2
    return logits, gc.cross_entropy(gc.softmax(logits), y)


def show(console: Console, step: gc.Function) -> None:
    """Prints what the compiler made of the step, stage by stage."""
    for stage, title in STAGES.items():
        console.rule(title)
        print(step.stages[stage])


def batches(count: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """All indices below `count` in random order, BATCH at a time; the last batch may be shorter."""
    order = rng.permutation(count)
    for start in range(0, count, BATCH):
        yield order[start : start + BATCH]


def train(
    console: Console, step: gc.Function, images: np.ndarray, labels: np.ndarray
) -> tuple[list[float], list[float]]:
    """Trains for EPOCHS; each epoch's mean loss, and each step's seconds."""
    rng = np.random.default_rng(SEED)
    losses, seconds = [], []
    for epoch in track(range(1, EPOCHS + 1), "Training", console=console):
        total = 0.0
        for batch in batches(len(images), rng):
            x, y = images[batch], labels[batch]
            start = perf_counter()
            loss = step(x, y)
            seconds.append(perf_counter() - start)
            total += loss * len(batch)
        losses.append(total / len(images))
        console.print(f"epoch {epoch:2d}  loss {losses[-1]:.4f}")
    return losses, seconds


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

    logits, loss = build()
    step = gc.compile(loss, optimizer=gc.SGD(lr=0.1, momentum=0.9))
    predict = gc.compile(logits)  # shares the params' memory with `step`

    show(console, step)
    console.rule("Training")
    losses, seconds = train(console, step, images, labels)
    accuracy = np.mean(predict(test_images).argmax(axis=1) == test_labels)
    draw(losses, PICTURE)

    print(f"test accuracy  {accuracy:.2%} of {len(test_labels)} digits")
    print(f"time per step  {np.median(seconds) * 1e6:.0f} us (median of {len(seconds)} steps of {BATCH} digits)")
    print(f"loss curve     {PICTURE}")


if __name__ == "__main__":
    main()
