"""Hyperparameters that differ from model to model, where one step trains many (compile(..., copies=n))."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.constants import Weak
from graphc.ir import Node, Operand
from graphc.ops.arithmetic import add, divide, multiply, negative, power, subtract
from graphc.state import Param

Array = np.ndarray[Any, Any]


class Number(Weak):
    """A number of each model. In a formula it is what a Python float would be: it takes the dtype of what it meets.

    Among numbers it is a float64, so `1 - beta` has the digits that it has for one model.
    """

    def __add__(self, other: Operand | Number) -> Any:
        return _made(add, self, other)

    def __radd__(self, other: Operand | Number) -> Any:
        return _made(add, other, self)

    def __sub__(self, other: Operand | Number) -> Any:
        return _made(subtract, self, other)

    def __rsub__(self, other: Operand | Number) -> Any:
        return _made(subtract, other, self)

    def __mul__(self, other: Operand | Number) -> Any:
        return _made(multiply, self, other)

    def __rmul__(self, other: Operand | Number) -> Any:
        return _made(multiply, other, self)

    def __truediv__(self, other: Operand | Number) -> Any:
        return _made(divide, self, other)

    def __rtruediv__(self, other: Operand | Number) -> Any:
        return _made(divide, other, self)

    def __pow__(self, other: Operand | Number) -> Any:
        return _made(power, self, other)

    def __neg__(self) -> Number:
        return Number(negative(self.node))


class PerModel(Number):
    """A hyperparameter that was given as an array; `values` is its live memory, (models,)."""

    def __init__(self, name: str, values: Array) -> None:
        param = Param(name, np.zeros(()), trainable=False)
        param.copies(len(values)).value = values.astype(np.float64)
        super().__init__(param)
        self.values = param.copies(len(values)).value

    def __bool__(self) -> bool:
        """Whether it is used: whether any model's is not 0."""
        return bool(self.values.any())

    def __repr__(self) -> str:
        return repr(self.values)


def _made(op: Callable[..., Node], *operands: Any) -> Any:
    """A node, or a number of each model where no operand is a tensor."""
    if any(isinstance(each, Node) for each in operands):
        return op(*operands)
    return Number(op(*(each.node if isinstance(each, Weak) else each for each in operands)))


def usable(name: str, value: Any) -> Any:
    """A hyperparameter as formulas use it: arrays, in tuples too, as a number of each model."""
    if isinstance(value, np.ndarray):
        return PerModel(name, value) if value.ndim else float(value)
    if isinstance(value, tuple):
        return tuple(usable(f"{name}[{at}]", each) for at, each in enumerate(value))
    return value


def models_of(value: Any) -> set[int]:
    """For how many models a hyperparameter has numbers: empty if it is one for all."""
    if isinstance(value, tuple):
        return set[int]().union(*map(models_of, value))
    return {len(value.values)} if isinstance(value, PerModel) else set()
