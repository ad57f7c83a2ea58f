"""Optimizers: each builds its update as nodes, simplified, fused and compiled like the rest of the graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from graphc.constants import cast
from graphc.explained import teaching
from graphc.graph import Updates
from graphc.ir import Node, toposort
from graphc.ops.arithmetic import power
from graphc.ops.functions import sqrt
from graphc.state import Param


class Optimizer(ABC):
    """A rule that turns gradients into the params' next values.

    A new one is a class with an `update`: nodes for the next value of a param, from its gradient, `self.rate(param)`,
    whatever it keeps from step to step, `self.state(param, name)`, and the number of the step, `self.t`. The learning
    rate is a param of the graph, so that it may change; other hyperparameters are fixed when a step is compiled.
    """

    def __init__(self, lr: float) -> None:
        self._lr = Param(f"{type(self).__name__}.lr", np.zeros(()), trainable=False)
        self._count = Param(f"{type(self).__name__}.steps", np.zeros(()), trainable=False)
        self._states: dict[tuple[Param, str], Param] = {}
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

    @property
    def t(self) -> Node:
        """The number of the step that is taken, from 1 on: a scalar float64."""
        return self._count + 1.0

    def rate(self, param: Param) -> Node:
        """The learning rate in a param's dtype."""
        return cast(self._lr, param.dtype)

    def state(self, param: Param, name: str) -> Param:
        """What the optimizer keeps for a param under this name: of its shape and dtype, zeros before the first step."""
        found = self._states.get((param, name))
        if found is None:
            found = Param(f"{param.name}.{name}", np.zeros_like(param.value), trainable=False)
            self._states[param, name] = found
        return found

    @abstractmethod
    def update(self, param: Param, gradient: Node) -> Updates:
        """The next value of `param`, and of any state that the optimizer keeps for it."""

    def updates(self, params: Sequence[Node], gradients: Sequence[Node]) -> Updates:
        """The updates of all params, simultaneous."""
        pairs = zip(params, gradients, strict=True)
        rows = [row for param, g in pairs if isinstance(param, Param) for row in self.update(param, g)]
        counts = self._count in toposort([value for _, value in rows])
        return [*rows, (self._count, self.t)] if counts else rows


class SGD(Optimizer):
    """Stochastic gradient descent, with PyTorch's formulas (torch.optim.SGD, dampening 0).

    `g = gradient + weight_decay * p`, `v = momentum * v + g`, `p = p - lr * v`; with Nesterov's form of momentum
    (Sutskever et al. 2013) `p = p - lr * (g + momentum * v)`.
    """

    @teaching
    def __init__(self, lr: float, momentum: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0) -> None:
        _check_not_negative(momentum=momentum, weight_decay=weight_decay)
        if nesterov and not momentum:
            raise ValueError("nesterov=True wants momentum > 0")
        super().__init__(lr)
        self._momentum, self._nesterov, self._weight_decay = momentum, nesterov, weight_decay

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
        step, rows = _decayed(gradient, param, self._weight_decay), list[tuple[Node, Node]]()
        if self._momentum:
            velocity = self.state(param, "velocity")
            moved = self._momentum * velocity + step
            rows.append((velocity, moved))
            step = step + self._momentum * moved if self._nesterov else moved
        return [*rows, (param, param - self.rate(param) * step)]


class Adagrad(Optimizer):
    """Steps that shrink where gradients were large (Duchi et al. 2011), with PyTorch's formulas (torch.optim.Adagrad).

    `g = gradient + weight_decay * p`, `total = total + g**2`, `p = p - lr * g / (sqrt(total) + eps)`.
    """

    @teaching
    def __init__(self, lr: float, weight_decay: float = 0.0, eps: float = 1e-10) -> None:
        _check_not_negative(weight_decay=weight_decay, eps=eps)
        super().__init__(lr)
        self._weight_decay, self._eps = weight_decay, eps

    def update(self, param: Param, gradient: Node) -> Updates:
        g = _decayed(gradient, param, self._weight_decay)
        total = self.state(param, "total")
        larger = total + g * g
        return [(total, larger), (param, param - self.rate(param) * (g / (sqrt(larger) + self._eps)))]


class RMSprop(Optimizer):
    """Steps over the root of a running mean of squared gradients (Tieleman and Hinton 2012), as torch.optim.RMSprop.

    `g = gradient + weight_decay * p`, `mean = alpha * mean + (1 - alpha) * g**2`, `step = g / (sqrt(mean) + eps)`,
    with momentum `v = momentum * v + step` in place of the step, `p = p - lr * step`.
    """

    @teaching
    def __init__(
        self, lr: float, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0.0, momentum: float = 0.0
    ) -> None:
        _check_not_negative(eps=eps, weight_decay=weight_decay, momentum=momentum)
        _check_fractions(alpha=alpha)
        super().__init__(lr)
        self._alpha, self._eps, self._weight_decay, self._momentum = alpha, eps, weight_decay, momentum

    def update(self, param: Param, gradient: Node) -> Updates:
        g = _decayed(gradient, param, self._weight_decay)
        mean = self.state(param, "square_mean")
        square = self._alpha * mean + (1 - self._alpha) * (g * g)
        rows, step = [(mean, square)], g / (sqrt(square) + self._eps)
        if self._momentum:
            velocity = self.state(param, "velocity")
            step = self._momentum * velocity + step
            rows.append((velocity, step))
        return [*rows, (param, param - self.rate(param) * step)]


class Adam(Optimizer):
    """Running means of the gradient and of its square, both corrected for their start (Kingma and Ba 2015).

    PyTorch's formulas (torch.optim.Adam), for step t: `g = gradient + weight_decay * p`,
    `m = beta1 * m + (1 - beta1) * g`, `v = beta2 * v + (1 - beta2) * g**2`,
    `p = p - lr / (1 - beta1**t) * m / (sqrt(v) / sqrt(1 - beta2**t) + eps)`.
    """

    @teaching
    def __init__(
        self, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 0.0
    ) -> None:
        _check_not_negative(eps=eps, weight_decay=weight_decay)
        first, second = betas
        _check_fractions(**{"betas[0]": first, "betas[1]": second})
        super().__init__(lr)
        self._betas, self._eps, self._weight_decay = (first, second), eps, weight_decay

    def update(self, param: Param, gradient: Node) -> Updates:
        return self._moved(param, param, _decayed(gradient, param, self._weight_decay))

    def _moved(self, param: Param, start: Node, g: Node) -> Updates:
        """The updates that take `param` from `start` along the means."""
        (beta1, beta2), dtype = self._betas, param.dtype
        mean, square_mean = self.state(param, "mean"), self.state(param, "square_mean")
        m = beta1 * mean + (1 - beta1) * g
        v = beta2 * square_mean + (1 - beta2) * (g * g)
        # In float64, where 0.999**t keeps its digits; one number each for the whole param.
        rate = cast(self._lr / (1 - power(beta1, self.t)), dtype)
        root = cast(sqrt(1 - power(beta2, self.t)), dtype)
        return [(mean, m), (square_mean, v), (param, start - rate * (m / (sqrt(v) / root + self._eps)))]


class AdamW(Adam):
    """Adam with the decay of weights apart from the gradient (Loshchilov and Hutter 2019), as torch.optim.AdamW.

    `p = p - lr * weight_decay * p`, then a step of Adam's without decay.
    """

    @teaching
    def __init__(
        self, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8, weight_decay: float = 1e-2
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay)

    def update(self, param: Param, gradient: Node) -> Updates:
        decay = self.rate(param) * self._weight_decay
        return self._moved(param, param - decay * param if self._weight_decay else param, gradient)


def _decayed(gradient: Node, param: Param, weight_decay: float) -> Node:
    """The gradient of the loss with `weight_decay / 2 * sum(param**2)` added to it."""
    return gradient + weight_decay * param if weight_decay else gradient


def _check_not_negative(**values: float) -> None:
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(f"{name} is not negative, got {value}")


def _check_fractions(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ValueError(f"{name} is at least 0 and below 1, got {value}")
