"""scikit-learn's stochastic solvers as update nodes. Every hyperparameter is a param: to change it needs no compile."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gc
from graphc.graph import Updates

Array = np.ndarray[Any, Any]


class Solver(gc.Optimizer):
    """An optimizer whose hyperparameters and memory can be set and read, so that a compiled step may be lent out."""

    def __init__(self, *names: str) -> None:
        super().__init__(lr=0.0)
        kind = type(self).__name__
        self._set = {name: gc.param(f"{kind}.{name}", 0.0, dtype="float64", trainable=False) for name in names}

    def set(self, **values: float) -> None:
        """Sets hyperparameters by name; they hold from the next step on."""
        for name, value in values.items():
            self._set[name].value = float(value)

    @property
    def memory(self) -> list[gc.Param]:
        """What it keeps from step to step, once it is compiled."""
        return [self._count, *self._states.values()]


class SGD(Solver):
    """`v = momentum * v - lr * g`, `p = p + v`; with Nesterov's form `p = p + momentum * v - lr * g`."""

    def __init__(self, nesterov: bool) -> None:
        super().__init__("momentum")
        self._nesterov = nesterov

    def update(self, param: gc.Param, gradient: gc.Node) -> Updates:
        velocity, momentum = self.state(param, "velocity"), gc.astype(self._set["momentum"], param.dtype)
        step = self.rate(param) * gradient
        moved = momentum * velocity - step
        return [(velocity, moved), (param, param + (momentum * moved - step if self._nesterov else moved))]


class Adam(Solver):
    """`p = p - lr * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)`: Kingma and Ba 2015, section 2."""

    def __init__(self) -> None:
        super().__init__("beta_1", "beta_2", "epsilon")

    def update(self, param: gc.Param, gradient: gc.Node) -> Updates:
        mean, square_mean = self.state(param, "mean"), self.state(param, "square_mean")
        beta_1, beta_2, dtype = self._set["beta_1"], self._set["beta_2"], param.dtype
        m = gc.astype(beta_1, dtype) * mean + gc.astype(1 - beta_1, dtype) * gradient
        v = gc.astype(beta_2, dtype) * square_mean + gc.astype(1 - beta_2, dtype) * (gradient * gradient)
        # In float64, where 0.999**t keeps its digits; one number for the whole param.
        rate = gc.astype(self.rate() * gc.sqrt(1 - beta_2**self.t) / (1 - beta_1**self.t), dtype)
        moved = param - rate * (m / (gc.sqrt(v) + gc.astype(self._set["epsilon"], dtype)))
        return [(mean, m), (square_mean, v), (param, moved)]
