"""What all optimizers share: the learning rate, state, and what is done to gradients before a param moves."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypedDict

import numpy as np

from graphc.constants import cast
from graphc.errors import GraphError
from graphc.explained import teaching
from graphc.graph import Updates
from graphc.ir import Node, toposort
from graphc.ops.choice import equal, where
from graphc.optim.clipping import clipped
from graphc.optim.many import models_of, usable
from graphc.optim.rate import LearningRate, Rate, Schedule
from graphc.state import Param

P = ParamSpec("P")


class Common(TypedDict, total=False):
    """The options of every optimizer; see Optimizer."""

    clip_value: float | None
    clip_norm: float | None
    accumulate: int


class Optimizer(ABC):
    """A rule that turns gradients into the params' next values.

    A new one is a class with an `update`: nodes for the next value of a param, from its gradient, `self.rate(param)`,
    whatever it keeps from step to step, `self.state(param, name)`, and the number of the update, `self.t`. The learning
    rate is a param of the graph, so that it may change; other hyperparameters are fixed, attributes set once.

    Numbers may be arrays instead, but for clip_value, clip_norm and accumulate, in a step of as many models,
    compile(..., copies=n): each model has its own.
    lr: the learning rate, or a schedule: any callable that takes the number of steps done before (0, 1, ...) and
    returns it, such as those of gc.schedules. It is asked for each step of a function compiled with `optimizer=`, by
    fit some steps ahead: it is a function of that number alone.
    clip_value: each element of a gradient is cut to [-clip_value, clip_value] (`torch.nn.utils.clip_grad_value_`).
    clip_norm: then all gradients are multiplied by `min(1, clip_norm / (norm + 1e-6))`, where `norm` is the root of the
    sum of all their squares (`torch.nn.utils.clip_grad_norm_`).
    accumulate: with n, only every n-th step moves the params, by the mean of the last n gradients, which is what is
    clipped; the steps between add to a sum of gradients and leave all else that the optimizer keeps as it is.
    """

    def __init__(
        self, lr: Rate, *, clip_value: float | None = None, clip_norm: float | None = None, accumulate: int = 1
    ) -> None:
        check_positive(clip_value=clip_value, clip_norm=clip_norm)
        if not isinstance(accumulate, int) or accumulate < 1:
            raise ValueError(f"accumulate is an int, at least 1, got {accumulate!r}")
        name = type(self).__name__
        self._learning_rate = LearningRate(f"{name}.lr", lr)
        self._count = Param(f"{name}.steps", np.zeros(()), trainable=False)
        self._gathered = Param(f"{name}.gathered", np.zeros(()), trainable=False)
        self._states: dict[tuple[Param, str], Param] = {}
        self._counted: set[Param] = set()
        self.clip_value, self.clip_norm, self.accumulate = clip_value, clip_norm, accumulate

    def __setattr__(self, name: str, value: Any) -> None:
        if name in vars(self) and not name.startswith("_"):
            raise AttributeError(f"{name} is fixed when an optimizer is made; only lr may change: {self}")
        super().__setattr__(name, value if name == "lr" else usable(f"{type(self).__name__}.{name}", value))

    def __repr__(self) -> str:
        """Its hyperparameters; of the options that every optimizer has, those that are not the default."""
        fixed = {name: value for name, value in vars(self).items() if not name.startswith("_")}
        common = {name: fixed.pop(name) for name in Common.__annotations__}
        asked = {name: value for name, value in common.items() if value != _default(name)}
        told = {"lr": self.lr if self.schedule is None else self.schedule, **fixed, **asked}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in told.items())})"

    @property
    def lr(self) -> Any:
        """The learning rate of the last step, or what it was set to since: a float, or of each model an array.

        Assigning a number, an array or a schedule takes effect at the next step, with no compile, and ends a schedule
        that was there.
        """
        return self.learning_rate.value

    @lr.setter
    def lr(self, value: Rate) -> None:
        self.learning_rate.set(value)

    @property
    def schedule(self) -> Schedule | None:
        """What gives the learning rate for the number of steps done before, if not a number."""
        return self.learning_rate.schedule

    def check_use(self, loss: Node, models: int | None) -> None:
        """GraphError if it cannot train this loss, or not so many models (None: one)."""
        known = {self.learning_rate.models or 0}.union(*map(models_of, vars(self).values())) - {0}
        if known - {models}:
            raise GraphError(f"the optimizer has numbers of {min(known - {models})} models, and copies={models}")
        params = [node for node in toposort([loss]) if isinstance(node, Param) and node.next_value is None]
        if params and not any(param.trainable for param in params):
            names = ", ".join(str(param.name) for param in params)
            raise GraphError(f"there is nothing to train: trainable=False for all params of the loss ({names})")

    @property
    def learning_rate(self) -> LearningRate:
        """What steps read the learning rate from, and what sets it; to change it, assign to lr."""
        return self._learning_rate

    # ---- what updates are made of -----------------------------------------------------------------------------------

    @property
    def t(self) -> Node:
        """The number of the update that is made, from 1 on: a scalar float64."""
        return self._count + 1.0

    def rate(self, param: Param | None = None) -> Node:
        """The learning rate in a param's dtype; without one, as the float64 that it is."""
        rate = self.learning_rate.param
        return rate if param is None else cast(rate, param.dtype)

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

    # ---- all params together ----------------------------------------------------------------------------------------

    def updates(self, params: Sequence[Node], gradients: Sequence[Node]) -> Updates:
        """The updates of all params, simultaneous."""
        known = [(param, g) for param, g in zip(params, gradients, strict=True) if isinstance(param, Param)]
        kept, found = [param for param, _ in known], [g for _, g in known]
        return self._moves(kept, found) if self.accumulate == 1 else self._accumulated(kept, found)

    def _moves(self, params: Sequence[Param], gradients: Sequence[Node]) -> Updates:
        """The updates that move all params."""
        pairs = zip(params, clipped(gradients, self.clip_value, self.clip_norm), strict=True)
        rows = [row for param, g in pairs for row in self.update(param, g)]
        if self._count not in toposort([value for _, value in rows]):
            return rows
        self._check_counted(params)
        return [*rows, (self._count, self.t)]

    def _accumulated(self, params: Sequence[Param], gradients: Sequence[Node]) -> Updates:
        """The updates that add gradients to their sums, and move all params where the sums are complete.

        A sum begins anew with the first gradient after a move, as `0 * sum + g`: so a product is added by BLAS.
        """
        self._check_counted(params)
        complete = equal(self._gathered, self.accumulate - 1.0)
        sums = [self.state(param, "gradients") for param in params]
        totals = [cast(self._gathered > 0, kept.dtype) * kept + g for kept, g in zip(sums, gradients, strict=True)]
        moves = self._moves(params, [total / self.accumulate for total in totals])
        count = (self._gathered, where(complete, 0.0, self._gathered + 1.0))
        return [
            *zip(sums, totals, strict=True),
            *((kept, where(complete, value, kept)) for kept, value in moves),
            count,
        ]

    def _check_counted(self, params: Sequence[Param]) -> None:
        """GraphError if the steps that are counted are those of other params, which are further or less far."""
        if self._counted not in (set(), set(params)):
            raise GraphError(
                f"{type(self).__name__} has counted the steps of other params, and its next step depends on their "
                "number: make another optimizer for these"
            )
        self._counted = set(params)


def _default(name: str) -> Any:
    return inspect.signature(Optimizer.__init__).parameters[name].default


def hyperparameters(init: Callable[P, None]) -> Callable[P, None]:
    """A constructor whose signature, in help() and in errors, has the options of every optimizer for its `**common`."""
    own, every = (inspect.signature(each).parameters.values() for each in (init, Optimizer.__init__))
    taken = [each for each in own if each.kind is not each.VAR_KEYWORD]
    shared = [each for each in every if each.kind is each.KEYWORD_ONLY]
    vars(init)["__signature__"] = inspect.Signature([*taken, *shared])
    return teaching(init)


def decayed(gradient: Node, param: Param, weight_decay: float) -> Node:
    """The gradient of the loss with `weight_decay / 2 * sum(param**2)` added to it."""
    return gradient + weight_decay * param if weight_decay else gradient


def check_not_negative(**values: float) -> None:
    for name, value in values.items():
        if not np.all(_numbers(name, value) >= 0):
            raise ValueError(f"{name} is not negative, got {value}")


def check_positive(**values: float | None) -> None:
    for name, value in values.items():
        if value is not None and not (np.ndim(value) == 0 and value > 0):
            raise ValueError(f"{name} is one number above 0, for all models, or None for no clipping; got {value!r}")


def check_fractions(**values: float) -> None:
    for name, value in values.items():
        numbers = _numbers(name, value)
        if not np.all((numbers >= 0) & (numbers < 1)):
            raise ValueError(f"{name} is at least 0 and below 1, got {value}")


def _numbers(name: str, value: Any) -> np.ndarray[Any, Any]:
    """A hyperparameter's number, or numbers of many models."""
    if not isinstance(value, (int, float, np.number, np.ndarray)) or np.asarray(value).dtype.kind not in "iufb":
        raise ValueError(f"{name} is a number, or for many models an array of them: np.array(...); got {value!r}")
    return np.asarray(value)
