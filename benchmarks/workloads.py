"""What is trained: a workload is a row of data, the same for every contender."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Workload:
    """A classifier of dense layers: relu between them, softmax cross-entropy, plain SGD, all float32."""

    name: str
    sizes: tuple[int, ...]
    batch: int
    lr: float = 0.1

    def __str__(self) -> str:
        return f"{self.name}: {'-'.join(map(str, self.sizes))}, batch {self.batch}, float32, SGD {self.lr}"

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each layer."""
        return list(zip(self.sizes[:-1], self.sizes[1:]))

    def data(self) -> tuple[Array, Array]:
        """One batch of inputs and int64 labels; equal at every call."""
        rng = np.random.default_rng(0)
        inputs = rng.random((self.batch, self.sizes[0]), np.float32) - np.float32(0.5)
        return inputs, rng.integers(0, self.sizes[-1], self.batch)

    def weights(self) -> list[tuple[Array, Array]]:
        """A new (weight (inputs, outputs), bias) for each layer; equal at every call."""
        rng = np.random.default_rng(1)
        scales = [np.float32((2 / n) ** 0.5) for n, _ in self.layers]
        weights = [rng.standard_normal(shape, np.float32) * scale for shape, scale in zip(self.layers, scales)]
        return [(weight, np.zeros(weight.shape[1], np.float32)) for weight in weights]

    def products(self) -> list[tuple[Array, Array, Array]]:
        """(left, right, out) of each matrix product in a step; transposed operands are views, as they are in training.

        Each layer has one product forward, one for its weight's gradient and, unless it is the first, one for its
        input's gradient. No out is another product's operand, so repeating them changes nothing.
        """
        rng = np.random.default_rng(2)
        values, gradients, outs = (
            [rng.standard_normal((self.batch, n), np.float32) for n in self.sizes] for _ in range(3)
        )
        rows = []
        for i, (weight, _) in enumerate(self.weights()):
            rows += [(values[i], weight, outs[i + 1]), (values[i].T, gradients[i + 1], np.empty_like(weight))]
            if i:
                rows.append((gradients[i + 1], weight.T, outs[i]))
        return rows

    def flop(self) -> int:
        """The floating-point operations of a step's matrix products."""
        return sum(2 * left.shape[0] * left.shape[1] * right.shape[1] for left, right, _ in self.products())


WORKLOADS = {
    row.name: row
    for row in [
        Workload("mnist", (784, 512, 10), batch=128),
    ]
}
