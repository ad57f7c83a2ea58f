"""Gradient descent, with momentum or without."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from graphc.graph import Updates
from graphc.ir import Node
from graphc.optim.base import Common, Optimizer, check_not_negative, decayed, hyperparameters
from graphc.optim.rate import Rate
from graphc.state import Param

if TYPE_CHECKING:
    from typing_extensions import Unpack


class SGD(Optimizer):
    """Stochastic gradient descent, with PyTorch's formulas (torch.optim.SGD, dampening 0).

    `g = gradient + weight_decay * p`, `v = momentum * v + g`, `p = p - lr * v`; with Nesterov's form of momentum
    (Sutskever et al. 2013) `p = p - lr * (g + momentum * v)`.
    """

    @hyperparameters
    def __init__(
        self,
        lr: Rate,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        check_not_negative(momentum=momentum, weight_decay=weight_decay)
        if nesterov and not np.any(momentum):
            raise ValueError("nesterov=True wants momentum > 0")
        super().__init__(lr, **common)
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay

    def update(self, param: Param, gradient: Node) -> Updates:
        step, rows = decayed(gradient, param, self.weight_decay), list[tuple[Node, Node]]()
        if self.momentum:
            velocity = self.state(param, "velocity")
            moved = self.momentum * velocity + step
            rows.append((velocity, moved))
            step = step + self.momentum * moved if self.nesterov else moved
        return [*rows, (param, param - self.rate(param) * step)]
