"""Inputs and params: the leaves that a user names."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.errors import DtypeError, ShapeError
from graphc.ir import INPUT, PARAM, Node
from graphc.nearest import did_you_mean
from graphc.sizes import Size
from graphc.types import TensorType, shape_of, supported_dtype

Array = np.ndarray[Any, Any]
Initializer = Callable[[np.random.Generator, tuple[int, ...]], Any]


def input(name: str, shape: Sequence[int | str] | int | str, dtype: Any = "float32") -> Node:
    """A value given at each call. Shape entries are ints, or strings that name a symbolic size."""
    made = (("serial", next(_serial)),)
    return Node(INPUT, (), made, TensorType(supported_dtype(dtype), shape_of(shape)), _checked(name))


_serial = itertools.count()


def _checked(name: str) -> str:
    if not isinstance(name, str) or not name:
        raise TypeError(f"a name is a non-empty string, got {name!r}")
    return name


LINE = 64
"""Bytes of a cache line, and of the widest vector: a matrix that starts with one is multiplied up to twice as fast."""


def aligned(value: Array) -> Array:
    """A copy that starts with a cache line."""
    memory = np.empty(value.nbytes + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    array: Array = memory[start : start + value.nbytes].view(value.dtype).reshape(value.shape)
    array[...] = value
    return array


class Param(Node):
    """State that lives between calls; `.value` is its live array."""

    __slots__ = ("_value", "next_value", "trainable")

    _value: Array
    trainable: bool
    next_value: Node | None  # what it is after each step that trains, unless an update says otherwise

    def __init__(self, name: str, value: Array, trainable: bool) -> None:
        super().__init__(PARAM, (), (), TensorType(value.dtype, value.shape), _checked(name))
        object.__setattr__(self, "_value", aligned(value))
        object.__setattr__(self, "trainable", trainable)
        object.__setattr__(self, "next_value", None)

    @property
    def value(self) -> Array:
        """The live array: compiled steps read and update this memory."""
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        array = np.asarray(value)
        if array.shape != self._value.shape:
            raise ShapeError(f"param {self.name} ({self.where}) has shape {self._value.shape}, got {array.shape}")
        if array.dtype != self._value.dtype and not isinstance(value, (int, float)):
            raise DtypeError(f"param {self.name} ({self.where}) has dtype {self._value.dtype}, got {array.dtype}")
        self._value[...] = array

    def __setattr__(self, key: str, value: Any) -> None:
        if key != "value":
            super().__setattr__(key, value)
        object.__setattr__(self, key, value)


def param(
    name: str,
    shape_or_array: Any,
    init: str | Initializer = "glorot_uniform",
    dtype: Any = "float32",
    seed: int | None = None,
    trainable: bool = True,
) -> Param:
    """State that lives between calls: from an array (its dtype is kept), a float, or a shape and an initializer.

    init: "zeros", "ones", "normal" (standard deviation 0.05), "glorot_uniform", "he_normal", "he_uniform", or a
    callable (rng, shape) -> array. The formulas of fan-in and fan-out are Glorot & Bengio's (2010) and He et al.'s
    (2015).
    seed: the random numbers' seed; by default it follows from the name, so that a script always gives the same numbers.
    """
    if isinstance(shape_or_array, (np.ndarray, np.generic)):
        value = np.array(shape_or_array, dtype=supported_dtype(shape_or_array.dtype), order="C")
        return Param(name, value, trainable)
    if isinstance(shape_or_array, float):
        return Param(name, np.array(shape_or_array, supported_dtype(dtype)), trainable)
    if isinstance(shape_or_array, list):
        raise TypeError(f"param {name}: for values pass an array, np.array([...]); a shape is an int or a tuple")
    shape = shape_of(shape_or_array)
    if any(isinstance(size, Size) for size in shape):
        raise ShapeError(f"param {name}: a param has a fixed size, got shape {shape_or_array}")
    rng = np.random.default_rng(zlib.crc32(name.encode()) if seed is None else seed)
    fixed = tuple(int(str(size)) for size in shape)
    value = np.array(_initializer(init)(rng, fixed), dtype=supported_dtype(dtype), order="C")
    if value.shape != fixed:
        raise ShapeError(f"param {name}: its initializer made shape {value.shape} for {fixed}")
    return Param(name, value, trainable)


def counter(name: str) -> Param:
    """A param that counts the steps that train, from 0."""
    steps = Param(name, np.zeros((), np.int64), trainable=False)
    object.__setattr__(steps, "next_value", steps + 1)
    return steps


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many values feed one output, and how many outputs one value feeds, of a weight (in, out)."""
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    return int(np.prod(shape[:-1])), shape[-1]


def _uniform(limit: Callable[[int, int], float]) -> Initializer:
    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        bound = limit(*_fans(shape))
        return rng.uniform(-bound, bound, shape)

    return draw


INITIALIZERS: dict[str, Initializer] = {
    "zeros": lambda rng, shape: np.zeros(shape),
    "ones": lambda rng, shape: np.ones(shape),
    "normal": lambda rng, shape: rng.normal(0.0, 0.05, shape),
    "glorot_uniform": _uniform(lambda fan_in, fan_out: (6.0 / (fan_in + fan_out)) ** 0.5),
    "he_normal": lambda rng, shape: rng.normal(0.0, (2.0 / _fans(shape)[0]) ** 0.5, shape),
    "he_uniform": _uniform(lambda fan_in, fan_out: (6.0 / fan_in) ** 0.5),
}


def _initializer(init: str | Initializer) -> Initializer:
    if callable(init):
        return init
    if init not in INITIALIZERS:
        near = did_you_mean(init, INITIALIZERS)
        raise ValueError(f"init is one of {', '.join(INITIALIZERS)} or a callable (rng, shape), got {init!r}{near}")
    return INITIALIZERS[init]
