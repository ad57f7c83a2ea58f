"""Inputs and params: the leaves that a user names."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.errors import DtypeError, ShapeError
from graphc.initializers import Initializer, initializer
from graphc.ir import INPUT, PARAM, Node
from graphc.sizes import Size
from graphc.types import TensorType, shape_of, supported_dtype

Array = np.ndarray[Any, Any]


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
    """State that lives between calls; `.value` is its live array.

    trainable: whether optimizers change it, in functions that are compiled after it was set.
    """

    __slots__ = ("_copies", "_draw", "_value", "next_value", "trainable")

    _copies: dict[int, ParamCopies]
    _draw: Callable[[int], Array] | None  # its first values in a model of many, by the model's number
    _value: Array
    trainable: bool
    next_value: Node | None  # what it is after each step that trains, unless an update says otherwise

    def __init__(self, name: str, value: Array, trainable: bool, draw: Callable[[int], Array] | None = None) -> None:
        super().__init__(PARAM, (), (), TensorType(value.dtype, value.shape), _checked(name))
        object.__setattr__(self, "_value", aligned(value))
        object.__setattr__(self, "trainable", trainable)
        object.__setattr__(self, "next_value", None)
        object.__setattr__(self, "_copies", {})
        object.__setattr__(self, "_draw", draw)

    @property
    def value(self) -> Array:
        """The live array: compiled steps read and update this memory."""
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        self._assign(self._value, value, [self._value.shape])

    def _assign(self, live: Array, value: Any, shapes: Sequence[tuple[int, ...]]) -> None:
        """Writes `value`, of one of these shapes, into the live array."""
        array = np.asarray(value)
        if array.shape not in shapes:
            wanted = " or ".join(map(str, shapes))
            raise ShapeError(f"param {self.name} ({self.where}) has shape {wanted}, got {array.shape}")
        if array.dtype != live.dtype and not isinstance(value, (int, float)):
            raise DtypeError(f"param {self.name} ({self.where}) has dtype {live.dtype}, got {array.dtype}")
        live[...] = array

    def copies(self, count: int) -> ParamCopies:
        """Its values in the models of compile(..., copies=count), which all such functions share.

        They are made when they are first asked for: by the initializer, with random numbers of its own for each model
        (the first has those of the param itself), or as copies of the value of a param that was made from an array.
        """
        if count not in self._copies:
            self._copies.setdefault(count, ParamCopies(self, count))  # another thread may have been faster
        return self._copies[count]

    def __setattr__(self, key: str, value: Any) -> None:
        if key not in ("value", "trainable"):
            super().__setattr__(key, value)
        object.__setattr__(self, key, value)


class ParamCopies:
    """A param in many models; `.value` is the live array, `(models, *shape)`."""

    def __init__(self, param: Param, count: int) -> None:
        one = param.value
        stride = -(-one.nbytes // LINE) * LINE  # each model's begins with a cache line, as a param's own does
        memory = aligned(np.zeros(count * stride, np.uint8))
        self.name, self.param = param.name, param
        self._value: Array = np.ndarray((count, *one.shape), one.dtype, memory, 0, (stride, *one.strides))
        self._value[...] = one if param._draw is None else [param._draw(number) for number in range(count)]

    @property
    def value(self) -> Array:
        """The live array: compiled steps read and update this memory."""
        return self._value

    @value.setter
    def value(self, value: Any) -> None:
        """The values of all models, or of one that all get."""
        self.param._assign(self._value, value, [self._value.shape, self._value.shape[1:]])


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
    seed = zlib.crc32(name.encode()) if seed is None else seed
    fixed, made, kind = tuple(int(str(size)) for size in shape), initializer(init), supported_dtype(dtype)

    def draw(model: int) -> Array:
        value = np.array(made(np.random.default_rng([seed, model] if model else seed), fixed), kind, order="C")
        if value.shape != fixed:
            raise ShapeError(f"param {name}: its initializer made shape {value.shape} for {fixed}")
        return value

    return Param(name, draw(0), trainable, draw)


def counter(name: str) -> Param:
    """A param that counts the steps that train, from 0."""
    steps = Param(name, np.zeros((), np.int64), trainable=False)
    object.__setattr__(steps, "next_value", steps + 1)
    return steps
