"""The primitives of emitted code: Python functions with Numba overloads, so that it runs with and without JIT."""

from __future__ import annotations

import ctypes
import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import overload

from graphc.backend.llvm import code_of
from graphc.runtime.native import STEP

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


# ---- random bits ----------------------------------------------------------------------------------------------------

ROUNDS, MULTIPLIER, WEYL, WORD = 10, 0xD256D193, 0x9E3779B9, 0xFFFFFFFF


def philox(position: Any, step: Any, seed: Any) -> int:
    """Philox2x32-10 (Salmon et al. 2011): the first word for the counter (position, step) and the key seed."""
    low, high, key = int(position) & WORD, int(step) & WORD, int(seed) & WORD
    for _ in range(ROUNDS):
        wide = low * MULTIPLIER
        low, high = (wide >> 32) ^ key ^ high, wide & WORD
        key = (key + WEYL) & WORD
    return low


@overload(philox)
def _philox(position, step, seed):
    word, multiplier, weyl, half = np.uint64(WORD), np.uint64(MULTIPLIER), np.uint64(WEYL), np.uint64(32)

    def implementation(position, step, seed):
        low, high, key = np.uint64(position) & word, np.uint64(step) & word, np.uint64(seed) & word
        for _ in range(ROUNDS):
            wide = low * multiplier
            low, high = (wide >> half) ^ key ^ high, wide & word
            key = (key + weyl) & word
        return np.int64(low)

    return implementation


# ---- a step as a function ------------------------------------------------------------------------------------------


def run_step(code: int, table: int) -> int:
    """The status of the step whose code and table lie at these addresses."""
    status = ctypes.c_int64()
    STEP(int(code))(ctypes.byref(status), None, int(table))
    return status.value


@code_of(run_step, lambda code, table: types.int64)
def _run_step(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    word, pointer = ir.IntType(64), ir.IntType(8).as_pointer()
    step = ir.FunctionType(ir.IntType(32), [word.as_pointer(), pointer.as_pointer(), word])
    status, exception = cgutils.alloca_once(builder, word), cgutils.alloca_once(builder, pointer)
    builder.call(builder.inttoptr(args[0], step.as_pointer()), [status, exception, args[1]])
    return builder.load(status)
