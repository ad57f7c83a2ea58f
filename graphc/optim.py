"""Optimizers: each builds its update as nodes, simplified, fused and compiled like the rest of the graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from graphc.constants import cast
from graphc.explained import teaching
from graphc.graph import Updates
from graphc.ir import Node
from graphc.state import Param


class Optimizer(ABC):
    """A rule that turns gradients into the params' next values.

    The learning rate is a param of the graph, so that it may change; other hyperparameters are fixed when a step is
    compiled.
    """

    def __init__(self, lr: float) -> None:
        self._lr = Param(f"{type(self).__name__}.lr", np.zeros(()), trainable=False)
        self.lr = lr

    @property
    def lr(self) -> float:
        """The learning rate; assigning it takes effect at the next call, with no compile."""
        return float(self._lr.value)

    @lr.setter
    def lr(self, value: float) -> None:
        if not value >= 0:
            raise ValueError(f"lr is not negative, got {value}")
        self._lr.value = np.float64(value)

    @abstractmethod
    def update(self, param: Param, gradient: Node) -> Updates:
        """The next value of `param`, and of any state that the optimizer keeps for it."""

    def updates(self, params: Sequence[Node], gradients: Sequence[Node]) -> Updates:
        """The updates of all params, simultaneous."""
        pairs = zip(params, gradients, strict=True)
        return [row for param, g in pairs if isinstance(param, Param) for row in self.update(param, g)]


class SGD(Optimizer):
    """Stochastic gradient descent, with PyTorch's formulas (torch.optim.SGD, dampening 0).

    `g = gradient + weight_decay * p`, `v = momentum * v + g`, `p = p - lr * v`; with Nesterov's form of momentum
    (Sutskever et al. 2013) `p = p - lr * (g + momentum * v)`.
    """

    @teaching
    def __init__(self, lr: float, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0) -> None:
        if not (momentum >= 0 and weight_decay >= 0):
            raise ValueError(f"momentum and weight_decay are not negative, got {momentum}, {weight_decay}")
        if nesterov and not momentum:
            raise ValueError("nesterov=True wants momentum > 0")
        super().__init__(lr)
        self._momentum, self._nesterov, self._weight_decay = momentum, nesterov, weight_decay
        self._velocity: dict[Param, Param] = {}

    @property
    def momentum(self) -> float:
        return self._momentum

    @property
    def nesterov(self) -> bool:
        return self._nesterov

    @property
    def weight_decay(self) -> float:
        return self._weight_decay

    def update(self, param: Param, gradient: Node) -> Updates:
        step, rows = gradient, list[tuple[Node, Node]]()
        if self._weight_decay:
            step = step + self._weight_decay * param
        if self._momentum:
            velocity = self._velocity.setdefault(
                param, Param(f"{param.name}.velocity", np.zeros_like(param.value), trainable=False)
            )
            moved = self._momentum * velocity + step
            rows.append((velocity, moved))
            step = step + self._momentum * moved if self._nesterov else moved
        return [*rows, (param, param - cast(self._lr, param.dtype) * step)]
