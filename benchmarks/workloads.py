"""What is trained: a workload is a row of data and one formula, the same for every contender."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Product = tuple[Array, Array, Array]
"""(left, right, out) of a matrix product; transposed operands are views, as they are in training."""

TRANSCENDENTAL = 20
"""FLOP counted for a tanh or a sigmoid: a polynomial of ten terms."""


@dataclass(frozen=True)
class Words:
    """A library's words for what the workloads are made of."""

    dense: Callable[[Any, Any, Any], Any]
    """(x, weight (inputs, outputs), bias or None): the only word that sees a matrix of params, however it lies."""
    relu: Callable[[Any], Any]
    tanh: Callable[[Any], Any]
    sigmoid: Callable[[Any], Any]
    cross_entropy: Callable[[Any, Any], Any]
    """(logits, labels): the mean softmax cross-entropy."""
    mse: Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Aim:
    """What graphc wants to reach: microseconds of a step, times faster than the best peer, times its products' time."""

    call: float | None = None
    loop: float | None = None
    faster: float | None = None
    products: float | None = None


@dataclass(frozen=True)
class Workload(ABC):
    """A loss of float32 params, trained by plain SGD on one batch over and over."""

    name: str
    lr: float = field(default=0.1, kw_only=True)
    aim: Aim = field(default=Aim(), kw_only=True)

    @abstractmethod
    def graph(self) -> str:
        """The graph, in a few words."""

    @abstractmethod
    def inputs(self) -> dict[str, Array]:
        """One batch; equal at every call. The first axis is the batch."""

    @abstractmethod
    def params(self) -> dict[str, Array]:
        """New arrays to start from; equal at every call."""

    @abstractmethod
    def loss(self, words: Words, inputs: Mapping[str, Any], params: Mapping[str, Any]) -> Any:
        """The scalar that is trained, in a library's words."""

    @abstractmethod
    def flop(self) -> int:
        """The least floating-point operations of a step, to the first digits."""

    def products(self) -> list[Product]:
        """A step's matrix products."""
        return []

    def bytes(self) -> int:
        """The least bytes that a step moves: it reads its inputs, and reads and writes its params."""
        read = sum(array.nbytes for array in self.inputs().values())
        return read + 2 * sum(array.nbytes for array in self.params().values())

    def __str__(self) -> str:
        return f"{self.name}: {self.graph()}, float32, SGD {self.lr}"


@dataclass(frozen=True)
class Dense(Workload):
    """A classifier of dense layers: relu between them, softmax cross-entropy."""

    sizes: tuple[int, ...]
    batch: int
    bias: bool = True

    @staticmethod
    def parsed(text: str) -> Dense:
        """`64-32-10/128` is the net of those sizes at batch 128."""
        sizes, _, batch = text.partition("/")
        return Dense(text, tuple(map(int, sizes.split("-"))), int(batch))

    def graph(self) -> str:
        repeated = len(self.sizes) > 5 and len(set(self.sizes[:-1])) == 1
        sizes = f"{self.sizes[0]}, {len(self.sizes) - 2} times {self.sizes[0]}, {self.sizes[-1]}"
        return f"{sizes if repeated else '-'.join(map(str, self.sizes))}, batch {self.batch}"

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each layer."""
        return list(zip(self.sizes[:-1], self.sizes[1:]))

    def inputs(self) -> dict[str, Array]:
        rng = np.random.default_rng(0)
        x = rng.random((self.batch, self.sizes[0]), np.float32) - np.float32(0.5)
        return {"x": x, "labels": rng.integers(0, self.sizes[-1], self.batch)}

    def params(self) -> dict[str, Array]:
        rng = np.random.default_rng(1)
        made: dict[str, Array] = {}
        for i, shape in enumerate(self.layers):
            made[f"W{i}"] = rng.standard_normal(shape, np.float32) * np.float32((2 / shape[0]) ** 0.5)
            if self.bias:
                made[f"b{i}"] = np.zeros(shape[1], np.float32)
        return made

    def loss(self, words: Words, inputs: Mapping[str, Any], params: Mapping[str, Any]) -> Any:
        value = inputs["x"]
        for i in range(len(self.layers)):
            value = words.relu(value) if i else value
            value = words.dense(value, params[f"W{i}"], params.get(f"b{i}"))
        return words.cross_entropy(value, inputs["labels"])

    def products(self) -> list[Product]:
        """Each layer has one forward, one for its weight's gradient and, unless it is the first, one for its input's.

        No out is another product's operand, so repeating them changes nothing.
        """
        rng = np.random.default_rng(2)
        values, gradients, outs = (
            [rng.standard_normal((self.batch, n), np.float32) for n in self.sizes] for _ in range(3)
        )
        params = self.params()
        rows = []
        for i in range(len(self.layers)):
            weight = params[f"W{i}"]
            rows += [(values[i], weight, outs[i + 1]), (values[i].T, gradients[i + 1], np.empty_like(weight))]
            if i:
                rows.append((gradients[i + 1], weight.T, outs[i]))
        return rows

    def flop(self) -> int:
        layers = [2 * self.batch * inputs * outputs for inputs, outputs in self.layers]
        return 3 * sum(layers) - layers[0]


@dataclass(frozen=True)
class Regression(Workload):
    """A line through some points."""

    points: int

    def graph(self) -> str:
        return f"mse(x*w + b, t), {self.points} points"

    def inputs(self) -> dict[str, Array]:
        rng = np.random.default_rng(0)
        x = rng.random(self.points, np.float32)
        return {"x": x, "t": 3 * x - 1 + rng.standard_normal(self.points, np.float32) / 10}

    def params(self) -> dict[str, Array]:
        return {"w": np.zeros((), np.float32), "b": np.zeros((), np.float32)}

    def loss(self, words: Words, inputs: Mapping[str, Any], params: Mapping[str, Any]) -> Any:
        return words.mse(inputs["x"] * params["w"] + params["b"], inputs["t"])

    def flop(self) -> int:
        return 9 * self.points


@dataclass(frozen=True)
class Chain(Workload):
    """A chain of element-wise operations over arrays that fit in no cache, and sums over their rows."""

    rows: int
    columns: int

    def graph(self) -> str:
        return f"mse(tanh(x*a + b) * sigmoid(x), t), x ({self.rows}, {self.columns})"

    def inputs(self) -> dict[str, Array]:
        rng = np.random.default_rng(0)
        x, t = (rng.standard_normal((self.rows, self.columns), np.float32) for _ in range(2))
        return {"x": x, "t": t}

    def params(self) -> dict[str, Array]:
        rng = np.random.default_rng(1)
        return {name: rng.standard_normal(self.columns, np.float32) for name in ("a", "b")}

    def loss(self, words: Words, inputs: Mapping[str, Any], params: Mapping[str, Any]) -> Any:
        x = inputs["x"]
        return words.mse(words.tanh(x * params["a"] + params["b"]) * words.sigmoid(x), inputs["t"])

    def flop(self) -> int:
        return (2 * TRANSCENDENTAL + 14) * self.rows * self.columns


WORKLOADS: dict[str, Workload] = {
    row.name: row
    for row in [
        Dense("tiny", (4, 32, 3), 32, aim=Aim(call=2.5, loop=1.5, faster=4)),
        Dense("batch1", (16, 64, 4), 1, aim=Aim(call=2, loop=1, faster=4)),
        Regression("regression", 10, aim=Aim(faster=4)),
        Dense("medium", (256, 128, 64, 10), 64, aim=Aim(faster=1.8)),
        Dense("deep", (64,) * 9 + (10,), 64, aim=Aim(faster=1.9)),
        Dense("mnist", (784, 512, 10), 128, aim=Aim(faster=1.15, products=1.1)),
        Dense("wide", (1024, 4096, 1024, 10), 256, aim=Aim(faster=1.05, products=1.08)),
        Chain("chain", 4096, 1024, lr=100.0, aim=Aim(faster=2)),
        Dense("vocab", (128, 32000), 256, bias=False, lr=1.0, aim=Aim(faster=1.3)),
    ]
}


def workload_of(text: str) -> Workload:
    """A workload by its name, or a net by its sizes and batch: `mnist`, `64-64-10/32`."""
    return WORKLOADS[text] if text in WORKLOADS else Dense.parsed(text)
