"""Which learning rate? 64 networks learn to read digits in one native call a step, each with a rate of its own.

All start from the same weights and see the same batches, so that the rate is all that differs. The picture goes to
out/learning_rates.png.
"""

from __future__ import annotations

import time
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import graphc as gc

MODELS, EPOCHS, BATCH = 64, 20, 32
RATES = np.geomspace(1e-4, 10, MODELS)
PICTURE = Path("out/learning_rates.png")


def build(rates: np.ndarray) -> tuple[gc.Function, gc.Node]:
    """The step of as many networks as there are rates, and their accuracy as an expression."""
    x, y = gc.input("x", ("batch", 64)), gc.input("y", ("batch",), "int64")
    hidden = gc.nn.dense(x, 32, activation="relu", name="hidden")
    logits = gc.nn.dense(hidden, 10, name="out")
    loss = gc.softmax_cross_entropy(logits, y)
    # A rate that is too large makes a loss infinite: that network is lost, and the others go on.
    step = gc.compile(loss, optimizer=gc.SGD(lr=rates), copies=len(rates), on_nonfinite="ignore")
    for param in step.params:
        param.value = param.value[0].copy()  # the first network's weights, for all
    return step, gc.mean(gc.equal(gc.argmax(logits, -1), y))


def load_data() -> list[np.ndarray]:
    """Training images, test images, training labels, test labels: pixels of 0..1."""
    images, labels = load_digits(return_X_y=True)
    return train_test_split(images.astype("float32") / 16, labels, test_size=0.3, stratify=labels, random_state=1)


def draw(rates: np.ndarray, history: gc.History, path: Path) -> None:
    """The losses by epoch, a line for each rate; and where each network has come to."""
    losses, accuracy = np.array(history.loss), np.array(history.metrics["accuracy"])
    figure = Figure(figsize=(11, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    colours, scale = matplotlib.colormaps["viridis"], LogNorm(rates[0], rates[-1])
    for rate, line in zip(rates, losses.T, strict=True):
        left.semilogy(range(1, len(line) + 1), line, color=colours(scale(rate)), linewidth=1)
    left.set(title=f"{len(rates)} networks, one call a step", xlabel="epoch", ylabel="training loss", ylim=(5e-3, 30))
    left.xaxis.get_major_locator().set_params(integer=True)
    figure.colorbar(matplotlib.cm.ScalarMappable(scale, colours), ax=left, label="learning rate")
    best = int(np.argmax(accuracy[-1]))
    right.semilogx(rates, accuracy[0], color="0.7", label="after 1 epoch")
    right.semilogx(rates, accuracy[-1], color="C0", marker="o", markersize=3.5, label=f"after {len(losses)} epochs")
    right.axvline(rates[best], color="C1", linestyle="--", label=f"best: {rates[best]:.2g}")
    right.set(title="Digits never seen before", xlabel="learning rate", ylabel="share read right", ylim=(0, 1.02))
    right.legend(loc="upper left")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def main(rates: np.ndarray = RATES, epochs: int = EPOCHS) -> gc.History:
    images, test_images, labels, test_labels = load_data()
    step, accuracy = build(rates)
    start = time.perf_counter()
    history = step.fit(
        (images, labels),
        batch_size=BATCH,
        epochs=epochs,
        validation=(test_images, test_labels),
        metrics={"accuracy": accuracy},
        progress=False,
    )
    seconds = time.perf_counter() - start
    draw(rates, history, PICTURE)
    reached = history.metrics["accuracy"][-1]
    for rate, share in list(zip(rates, reached, strict=True))[:: max(1, len(rates) // 8)]:
        print(f"learning rate {rate:8.4f}   {share:6.1%} of the test digits read right")
    best = int(np.argmax(reached))
    print(f"best          {rates[best]:8.4f}   {reached[best]:6.1%}")
    print(f"{len(rates)} networks, {history.steps} steps of each in {seconds:.2f} s; the picture is {PICTURE}")
    return history


if __name__ == "__main__":
    main()
