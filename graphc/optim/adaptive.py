"""Optimizers that divide by the size of past gradients, element by element."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphc.constants import cast
from graphc.graph import Updates
from graphc.ir import Node
from graphc.ops.functions import sqrt
from graphc.optim.base import Common, Optimizer, check_fractions, check_not_negative, decayed, hyperparameters
from graphc.optim.rate import Rate
from graphc.state import Param

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Adagrad(Optimizer):
    """Steps that shrink where gradients were large (Duchi et al. 2011), with PyTorch's formulas (torch.optim.Adagrad).

    `g = gradient + weight_decay * p`, `total = total + g**2`, `p = p - lr * g / (sqrt(total) + eps)`.
    """

    @hyperparameters
    def __init__(self, lr: Rate, weight_decay: float = 0.0, eps: float = 1e-10, **common: Unpack[Common]) -> None:
        check_not_negative(weight_decay=weight_decay, eps=eps)
        super().__init__(lr, **common)
        self.weight_decay, self.eps = weight_decay, eps

    def update(self, param: Param, gradient: Node) -> Updates:
        g = decayed(gradient, param, self.weight_decay)
        total = self.state(param, "total")
        larger = total + g * g
        return [(total, larger), (param, param - self.rate(param) * (g / (sqrt(larger) + self.eps)))]


class RMSprop(Optimizer):
    """Steps over the root of a running mean of squared gradients (Tieleman and Hinton 2012), as torch.optim.RMSprop.

    `g = gradient + weight_decay * p`, `mean = alpha * mean + (1 - alpha) * g**2`, `step = g / (sqrt(mean) + eps)`,
    with momentum `v = momentum * v + step` in place of the step, `p = p - lr * step`.
    """

    @hyperparameters
    def __init__(
        self,
        lr: Rate,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        check_not_negative(eps=eps, weight_decay=weight_decay, momentum=momentum)
        check_fractions(alpha=alpha)
        super().__init__(lr, **common)
        self.alpha, self.eps, self.weight_decay, self.momentum = alpha, eps, weight_decay, momentum

    def update(self, param: Param, gradient: Node) -> Updates:
        g = decayed(gradient, param, self.weight_decay)
        mean = self.state(param, "square_mean")
        square = self.alpha * mean + (1 - self.alpha) * (g * g)
        rows, step = [(mean, square)], g / (sqrt(square) + self.eps)
        if self.momentum:
            velocity = self.state(param, "velocity")
            step = self.momentum * velocity + step
            rows.append((velocity, step))
        return [*rows, (param, param - self.rate(param) * step)]


class Adam(Optimizer):
    """Running means of the gradient and of its square, both corrected for their start (Kingma and Ba 2015).

    PyTorch's formulas (torch.optim.Adam), for step t: `g = gradient + weight_decay * p`,
    `m = beta1 * m + (1 - beta1) * g`, `v = beta2 * v + (1 - beta2) * g**2`,
    `p = p - lr / (1 - beta1**t) * m / (sqrt(v) / sqrt(1 - beta2**t) + eps)`.
    """

    @hyperparameters
    def __init__(
        self,
        lr: Rate,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        **common: Unpack[Common],
    ) -> None:
        check_not_negative(eps=eps, weight_decay=weight_decay)
        first, second = betas
        check_fractions(**{"betas[0]": first, "betas[1]": second})
        super().__init__(lr, **common)
        self.betas, self.eps, self.weight_decay = (first, second), eps, weight_decay

    def update(self, param: Param, gradient: Node) -> Updates:
        return self._moved(param, param, decayed(gradient, param, self.weight_decay))

    def _moved(self, param: Param, start: Node, g: Node) -> Updates:
        """The updates that take `param` from `start` along the means."""
        (beta1, beta2), dtype = self.betas, param.dtype
        mean, square_mean = self.state(param, "mean"), self.state(param, "square_mean")
        m = beta1 * mean + (1 - beta1) * g
        v = beta2 * square_mean + (1 - beta2) * (g * g)
        # In float64, where 0.999**t keeps its digits; one number each for the whole param.
        rate = cast(self.rate() / (1 - beta1**self.t), dtype)
        root = cast(sqrt(1 - beta2**self.t), dtype)
        return [(mean, m), (square_mean, v), (param, start - rate * (m / (sqrt(v) / root + self.eps)))]


class AdamW(Adam):
    """Adam with the decay of weights apart from the gradient (Loshchilov and Hutter 2019), as torch.optim.AdamW.

    `p = p - lr * weight_decay * p`, then a step of Adam's without decay.
    """

    @hyperparameters
    def __init__(
        self,
        lr: Rate,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        **common: Unpack[Common],
    ) -> None:
        super().__init__(lr, betas, eps, weight_decay, **common)

    def update(self, param: Param, gradient: Node) -> Updates:
        decay = self.rate(param) * self.weight_decay
        return self._moved(param, param - decay * param if self.weight_decay else param, gradient)
