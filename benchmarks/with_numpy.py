"""NumPy by hand: every buffer made once, every operation in place."""

from __future__ import annotations

import math

import numpy as np
from contenders import Step
from workloads import Array, Chain, Dense, Regression, Workload


def call(workload: Workload, rows: int = 32) -> Step:
    """The step by hand. rows: how many of a chain's rows are worked on at a time."""
    if isinstance(workload, Dense):
        return _dense(workload)
    if isinstance(workload, Chain):
        return _chain(workload, rows)
    assert isinstance(workload, Regression)
    return _regression(workload)


def _regression(workload: Regression) -> Step:
    x, t = workload.inputs().values()
    w, b = workload.params().values()
    error = np.empty_like(x)
    scale = np.float32(2 * workload.lr / workload.points)

    def step() -> float:
        np.multiply(x, w, out=error)
        np.add(error, b, out=error)
        np.subtract(error, t, out=error)
        loss = float(error.dot(error)) / workload.points
        np.subtract(w, scale * error.dot(x), out=w)
        np.subtract(b, scale * np.add.reduce(error), out=b)
        return loss

    return step


def _chain(workload: Chain, rows: int) -> Step:
    """Blocks of rows stay in the cache from the first operation to the last."""
    x, t = workload.inputs().values()
    a, b = workload.params().values()
    h, s, r = (np.empty((rows, workload.columns), np.float32) for _ in range(3))
    ones = np.ones(rows, np.float32)
    sum_a, sum_b, part = (np.empty_like(a) for _ in range(3))
    scale = np.float32(2 * workload.lr / x.size)

    def block(x: Array, t: Array) -> float:
        """Adds to the sums; returns the sum of squares."""
        np.multiply(x, a, out=h)
        np.add(h, b, out=h)
        np.tanh(h, out=h)
        np.negative(x, out=s)
        np.exp(s, out=s)
        np.add(s, 1, out=s)
        np.reciprocal(s, out=s)
        np.multiply(h, s, out=r)
        np.subtract(r, t, out=r)
        squares = float(np.vdot(r, r))
        np.multiply(r, s, out=r)
        np.multiply(h, h, out=h)
        np.subtract(1, h, out=h)
        np.multiply(r, h, out=r)
        np.add(sum_b, np.matmul(ones, r, out=part), out=sum_b)
        np.multiply(r, x, out=r)
        np.add(sum_a, np.matmul(ones, r, out=part), out=sum_a)
        return squares

    blocks = [(x[first : first + rows], t[first : first + rows]) for first in range(0, workload.rows, rows)]

    def step() -> float:
        sum_a.fill(0)
        sum_b.fill(0)
        loss = math.fsum(block(*arrays) for arrays in blocks) / x.size
        np.subtract(a, np.multiply(sum_a, scale, out=part), out=a)
        np.subtract(b, np.multiply(sum_b, scale, out=part), out=b)
        return loss

    return step


class _Net:
    """A dense net's buffers and the three parts of its step."""

    def __init__(self, workload: Dense) -> None:
        inputs, params = workload.inputs(), workload.params()
        x, self.labels = inputs["x"], inputs["labels"]
        batch, classes = workload.batch, workload.sizes[-1]
        self.batch, self.last = batch, len(workload.layers) - 1
        self.weights = [params[f"W{i}"] for i in range(self.last + 1)]
        self.biases = [params[f"b{i}"] for i in range(self.last + 1)] if workload.bias else []
        self.weight_gradients = [np.empty_like(weight) for weight in self.weights]
        self.bias_gradients = [np.empty_like(bias) for bias in self.biases]
        self.values = [x, *(np.empty((batch, n), np.float32) for n in workload.sizes[1:])]
        self.deltas = [np.empty_like(value) for value in self.values[:-1]]
        self.masks = [np.empty(value.shape, np.bool_) for value in self.values[:-1]]
        self.row_max, self.row_sum = np.empty((batch, 1), np.float32), np.empty((batch, 1), np.float32)
        self.ones = np.ones(batch, np.float32)
        self.ones_of_classes = np.ones((classes, 1), np.float32)
        self.logits, self.at_label = self.values[-1].reshape(-1), np.arange(batch) * classes + self.labels
        self.scale = np.float32(workload.lr / batch)

    def forward(self) -> None:
        for i, weight in enumerate(self.weights):
            out = self.values[i + 1]
            np.matmul(self.values[i], weight, out=out)
            if self.biases:
                np.add(out, self.biases[i], out=out)
            if i < self.last:
                np.maximum(out, 0, out=out)

    def loss_and_delta(self) -> float:
        """The loss; the logits become its gradient, times the learning rate."""
        out = self.values[-1]
        np.maximum.reduce(out, axis=1, keepdims=True, out=self.row_max)
        np.subtract(out, self.row_max, out=out)
        of_labels = float(self.logits[self.at_label].sum())
        np.exp(out, out=out)
        np.matmul(out, self.ones_of_classes, out=self.row_sum)
        # The learning rate is multiplied in here, where the array is small: the gradients then are the updates.
        np.multiply(out, self.scale / self.row_sum, out=out)
        self.logits[self.at_label] -= self.scale
        return (float(np.log(self.row_sum).sum()) - of_labels) / self.batch

    def backward(self) -> None:
        delta = self.values[-1]
        for i in range(self.last, -1, -1):
            weight, gradient = self.weights[i], self.weight_gradients[i]
            np.matmul(self.values[i].T, delta, out=gradient)
            if self.biases:
                np.matmul(self.ones, delta, out=self.bias_gradients[i])
                np.subtract(self.biases[i], self.bias_gradients[i], out=self.biases[i])
            if i:
                np.matmul(delta, weight.T, out=self.deltas[i])
                np.greater(self.values[i], 0, out=self.masks[i])
                np.multiply(self.deltas[i], self.masks[i], out=self.deltas[i])
                delta = self.deltas[i]
            np.subtract(weight, gradient, out=weight)


def _dense(workload: Dense) -> Step:
    net = _Net(workload)

    def step() -> float:
        net.forward()
        loss = net.loss_and_delta()
        net.backward()
        return loss

    return step
