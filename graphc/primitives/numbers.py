"""Folds, integers, sizes and quotients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import overload

from graphc.primitives.llvm import code_of

f32, f64, i32, i64, u8 = np.float32, np.float64, np.int32, np.int64, np.uint8

# ---- folds ---------------------------------------------------------------------------------------------------------


def fold_add(total: Any, value: Any) -> Any:
    """`total + value`, where the order of a sum's additions is free, so that it can run in vector lanes."""
    return total + value


@code_of(fold_add, lambda total, value: total)
def _fold_add(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    value = context.cast(builder, args[1], signature.args[1], signature.return_type)
    return builder.fadd(args[0], value, flags=("reassoc", "nsz", "contract"))


def fold_max(largest: Any, value: Any) -> Any:
    """The larger of the two; NaN if one of them is NaN."""
    return np.maximum(largest, value)


def fold_min(smallest: Any, value: Any) -> Any:
    """The smaller of the two; NaN if one of them is NaN."""
    return np.minimum(smallest, value)


def _extreme(function: Any, of_floats: str, of_integers: str) -> None:
    """As LLVM's intrinsics, which it knows how to reduce in vector lanes."""

    @code_of(function, lambda a, b: a)
    def _written(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number = signature.return_type
        signed = isinstance(number, types.Integer) and number.signed
        name = of_floats if isinstance(number, types.Float) else of_integers if signed else f"u{of_integers[1:]}"
        words = [args[0], context.cast(builder, args[1], signature.args[1], number)]
        kind = ir.FunctionType(args[0].type, [args[0].type] * 2)
        return builder.call(builder.module.declare_intrinsic(f"llvm.{name}", [args[0].type], kind), words)


_extreme(fold_max, "maximum", "smax")
_extreme(fold_min, "minimum", "smin")


# ---- integers that wrap around --------------------------------------------------------------------------------------
# Numba tells LLVM that int64 arithmetic does not overflow, which NumPy's may: `a - b > 0` would become `a > b`.


def wrapping_add(a: Any, b: Any) -> Any:
    """`a + b` of int64, modulo 2**64."""
    return np.int64(a) + np.int64(b)


def wrapping_subtract(a: Any, b: Any) -> Any:
    """`a - b` of int64, modulo 2**64."""
    return np.int64(a) - np.int64(b)


def wrapping_multiply(a: Any, b: Any) -> Any:
    """`a * b` of int64, modulo 2**64."""
    return np.int64(a) * np.int64(b)


def _wrapping(function: Any, instruction: str) -> None:
    @code_of(function, lambda a, b: types.int64)
    def _written(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = [context.cast(builder, *each, types.int64) for each in zip(args, signature.args, strict=True)]
        return getattr(builder, instruction)(*words)


_wrapping(wrapping_add, "add")
_wrapping(wrapping_subtract, "sub")
_wrapping(wrapping_multiply, "mul")


# ---- sizes and addresses ---------------------------------------------------------------------------------------------


def smaller(a: Any, b: Any) -> int:
    """The smaller of two int64."""
    return min(int(a), int(b))


@code_of(smaller, lambda a, b: types.int64)
def _smaller(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    a, b = (context.cast(builder, *each, types.int64) for each in zip(args, signature.args, strict=True))
    return builder.select(builder.icmp_signed("<", a, b), a, b)


def after(address: Any, count: Any) -> int:
    """The first address that starts a cache line and is `count` bytes or more behind a first one."""
    return int(address) + (int(count) + 63 & -64)


@code_of(after, lambda address, count: types.int64)
def _after(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    count, word = context.cast(builder, args[1], signature.args[1], types.int64), ir.IntType(64)
    return builder.add(args[0], builder.and_(builder.add(count, word(63)), word(-64)))


# ---- whole quotients ------------------------------------------------------------------------------------------------
# NumPy's npy_divmod: Numba's own differ from it at infinities and signed zeros. As Python they are NumPy's themselves.


def floor_divide(a: Any, b: Any) -> Any:
    """`floor(a / b)`; an integer divided by 0 is 0."""
    return np.floor_divide(a, b)


def remainder(a: Any, b: Any) -> Any:
    """What is left of a after floor_divide, with the sign of b; an integer divided by 0 leaves 0."""
    return np.remainder(a, b)


@overload(floor_divide)
def _floor_divide(a, b):
    def of_integers(a, b):
        if b == 0:
            return a - a
        return -a if b == -1 else a // b

    one, half = (np.float32(1), np.float32(0.5)) if a == types.float32 else (1.0, 0.5)

    def of_floats(a, b):
        if b == 0:
            return a / b
        mod = np.fmod(a, b)
        quotient = (a - mod) / b
        if mod != 0 and (b < 0) != (mod < 0):
            quotient -= one
        if quotient == 0:
            return math.copysign(quotient, a / b)
        whole = np.floor(quotient)
        return whole + one if quotient - whole > half else whole

    return of_floats if isinstance(a, types.Float) else of_integers


@overload(remainder)
def _remainder(a, b):
    def of_integers(a, b):
        return a - a if b == 0 or b == -1 else a % b

    def of_floats(a, b):
        mod = np.fmod(a, b)
        if b == 0:
            return mod
        if mod == 0:
            return math.copysign(mod, b)
        return mod + b if (b < 0) != (mod < 0) else mod

    return of_floats if isinstance(a, types.Float) else of_integers
