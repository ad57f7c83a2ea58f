"""Who trains: a contender is a function `make(workload)` that returns a step, which trains once and returns the loss.

A contender's package is imported when it is made, so that no contender runs in a process with another's threads.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from workloads import Array, Workload

Step = Callable[[], float]
Make = Callable[[Workload], Step]


@dataclass(frozen=True)
class Contender:
    """A row of the table.

    settings: the ways to run it, by name; each process tries all of them and times the fastest.
    trains: False for a bound, whose step trains nothing and returns 0.
    """

    name: str
    package: str
    settings: Mapping[str, Make]
    trains: bool = True


# ---- graphc ---------------------------------------------------------------------------------------------------------


def make_graphc(workload: Workload) -> Step:
    """One compiled step, one Python call."""
    import graphc as gc

    x = gc.input("x", ("batch", workload.sizes[0]))
    labels = gc.input("labels", ("batch",), "int64")
    value = x
    for i, (weight, bias) in enumerate(workload.weights()):
        value = gc.relu(value) if i else value
        value = value @ gc.param(f"W{i}", weight) + gc.param(f"b{i}", bias)
    step = gc.compile(gc.softmax_cross_entropy(value, labels), optimizer=gc.SGD(lr=workload.lr))
    return functools.partial(step, *workload.data())


# ---- NumPy ----------------------------------------------------------------------------------------------------------


def make_numpy(workload: Workload) -> Step:
    """The step by hand: every buffer made once, every operation in place."""
    x, labels = workload.data()
    batch, classes = workload.batch, workload.sizes[-1]
    weights, biases = zip(*workload.weights())
    weight_gradients = [np.empty_like(weight) for weight in weights]
    bias_gradients = [np.empty_like(bias) for bias in biases]
    values = [x, *(np.empty((batch, n), np.float32) for n in workload.sizes[1:])]
    deltas = [np.empty_like(value) for value in values[:-1]]
    masks = [np.empty(value.shape, np.bool_) for value in values[:-1]]
    row_max, row_sum = np.empty((batch, 1), np.float32), np.empty((batch, 1), np.float32)
    ones = np.ones(batch, np.float32)
    ones_of_classes = np.ones((classes, 1), np.float32)
    logits, at_label = values[-1].reshape(-1), np.arange(batch) * classes + labels
    scale = np.float32(workload.lr / batch)
    last = len(weights) - 1

    def forward() -> None:
        for i in range(last + 1):
            out = values[i + 1]
            np.matmul(values[i], weights[i], out=out)
            np.add(out, biases[i], out=out)
            if i < last:
                np.maximum(out, 0, out=out)

    def loss_and_delta() -> float:
        """The loss; the logits become its gradient, times the learning rate."""
        out = values[-1]
        np.maximum.reduce(out, axis=1, keepdims=True, out=row_max)
        np.subtract(out, row_max, out=out)
        of_labels = float(logits[at_label].sum())
        np.exp(out, out=out)
        np.matmul(out, ones_of_classes, out=row_sum)
        # The learning rate is multiplied in here, where the array is small: the gradients then are the updates.
        np.multiply(out, scale / row_sum, out=out)
        logits[at_label] -= scale
        return (float(np.log(row_sum).sum()) - of_labels) / batch

    def backward() -> None:
        delta = values[-1]
        for i in range(last, -1, -1):
            np.matmul(values[i].T, delta, out=weight_gradients[i])
            np.matmul(ones, delta, out=bias_gradients[i])
            if i:
                np.matmul(delta, weights[i].T, out=deltas[i])
                np.greater(values[i], 0, out=masks[i])
                np.multiply(deltas[i], masks[i], out=deltas[i])
                delta = deltas[i]
            np.subtract(weights[i], weight_gradients[i], out=weights[i])
            np.subtract(biases[i], bias_gradients[i], out=biases[i])

    def step() -> float:
        forward()
        loss = loss_and_delta()
        backward()
        return loss

    return step


# ---- PyTorch --------------------------------------------------------------------------------------------------------


def make_torch(workload: Workload, update: str, threads: int | None) -> Step:
    """Eager mode without modules.

    update: "foreach" and "fused" are torch.optim.SGD's; "zeroed" is "fused" with gradients that are kept and zeroed
    instead of set to None; "by hand" is autograd.grad and one in-place operation on all params.
    threads: None for PyTorch's own default.
    """
    import torch
    from torch.nn import functional

    torch.set_num_threads(threads or _torch_threads())
    x, labels = map(torch.from_numpy, workload.data())
    # The layout of torch.nn.Linear: (outputs, inputs).
    pairs = [(torch.tensor(weight.T.copy()), torch.tensor(bias)) for weight, bias in workload.weights()]
    params = [param.requires_grad_() for pair in pairs for param in pair]

    def loss_of() -> Any:
        value = functional.linear(x, *pairs[0])
        for weight, bias in pairs[1:]:
            value = functional.linear(functional.relu(value), weight, bias)
        return functional.cross_entropy(value, labels)

    def step_by_hand() -> float:
        loss = loss_of()
        gradients = torch.autograd.grad(loss, params)
        with torch.no_grad():
            torch._foreach_add_(params, gradients, alpha=-workload.lr)
        return float(loss.item())

    if update == "by hand":
        return step_by_hand
    kind = {"foreach": {"foreach": True}, "fused": {"fused": True}, "zeroed": {"fused": True}}[update]
    optimizer = torch.optim.SGD(params, lr=workload.lr, **kind)

    def step() -> float:
        loss = loss_of()
        optimizer.zero_grad(set_to_none=update != "zeroed")
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


@functools.cache
def _torch_threads() -> int:
    """PyTorch's default; set_num_threads() hides it, so it is asked for first."""
    import torch

    return int(torch.get_num_threads())


TORCH_UPDATES = {
    "by hand": "autograd.grad and _foreach_add_",
    "foreach": "SGD(foreach=True), gradients set to None",
    "fused": "SGD(fused=True), gradients set to None",
    "zeroed": "SGD(fused=True), gradients zeroed",
}
TORCH_THREADS: dict[str, int | None] = {"default threads": None, "1 thread": 1}
if (os.cpu_count() or 1) > 2:
    TORCH_THREADS["2 threads"] = 2


# ---- the bound ------------------------------------------------------------------------------------------------------


def make_numpy_products(workload: Workload) -> Step:
    """The step's matrix products alone, by np.matmul."""
    products = workload.products()

    def step() -> float:
        for left, right, out in products:
            np.matmul(left, right, out=out)
        return 0.0

    return step


def make_scipy_products(workload: Workload) -> Step:
    """The step's matrix products alone, by the BLAS that SciPy brings."""
    from scipy.linalg.blas import sgemm

    calls = [_column_major(*product) for product in workload.products()]

    def step() -> float:
        for a, b, out, trans_a, trans_b in calls:
            sgemm(1.0, a, b, 0.0, out, trans_a, trans_b, 1)
        return 0.0

    return step


def _column_major(left: Array, right: Array, out: Array) -> tuple[Array, Array, Array, bool, bool]:
    """sgemm's operands and transposes for out.T = right.T @ left.T, in which nothing is copied."""
    rows_of_right, rows_of_left = right.flags.c_contiguous, left.flags.c_contiguous
    a, b = right.T if rows_of_right else right, left.T if rows_of_left else left
    return a, b, out.T, not rows_of_right, not rows_of_left


# ---- the list -------------------------------------------------------------------------------------------------------

CONTENDERS = {
    row.name: row
    for row in [
        Contender("graphc", "graphc", {"": make_graphc}),
        Contender("numpy", "numpy", {"by hand, in place": make_numpy}),
        Contender(
            "torch eager",
            "torch",
            {
                f"{what}, {count}": functools.partial(make_torch, update=update, threads=threads)
                for update, what in TORCH_UPDATES.items()
                for count, threads in TORCH_THREADS.items()
            },
        ),
        Contender(
            "its BLAS products alone",
            "scipy",
            {"np.matmul": make_numpy_products, "scipy's sgemm": make_scipy_products},
            trains=False,
        ),
    ]
}
