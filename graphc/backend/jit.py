"""Numba: the decorators and primitives of emitted code, and its compilation.

Every primitive is a plain Python function with a Numba overload, so that emitted code runs with the JIT and without it.
"""

from __future__ import annotations

import ctypes
import hashlib
import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core.dispatcher import Dispatcher
from numba.extending import intrinsic, overload

from graphc.backend.blas import gemm as gemm
from graphc.types import TensorType

Array = np.ndarray[Any, Any]

f32, f64, i32, i64, u8 = np.float32, np.float64, np.int32, np.int64, np.uint8

# A multiplication and an addition may be rounded once; nothing else may change what the code says.
FLAGS = {"contract"}

kernel = numba.njit(error_model="numpy", fastmath=FLAGS, no_cpython_wrapper=True, no_cfunc_wrapper=True)
step_function = numba.njit(error_model="numpy", fastmath=FLAGS, no_cfunc_wrapper=True)


# ---- sums -----------------------------------------------------------------------------------------------------------


def fold_add(total: Any, value: Any) -> Any:
    """`total + value`, where the order of a sum's additions is free, so that it can run in vector lanes."""
    return total + value


@overload(fold_add)
def _fold_add(total, value):
    if isinstance(total, types.Float):
        return lambda total, value: _reordered_add(total, value)
    return lambda total, value: total + value


@intrinsic
def _reordered_add(typing_context, total, value):
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(*args, flags=("reassoc", "nsz", "contract"))

    return total(total, total), generate


# ---- arrays at addresses --------------------------------------------------------------------------------------------


def array_at(address: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    """The C-ordered array that lies at an address; it does not own its memory."""
    count = int(np.prod(shape))
    memory = (ctypes.c_byte * (count * np.dtype(dtype).itemsize)).from_address(int(address))
    return np.frombuffer(memory, dtype, count).reshape(shape)


@overload(array_at)
def _array_at(address, shape, dtype):
    def implementation(address, shape, dtype):
        return numba.carray(_pointer(address), shape, dtype)

    return implementation


@intrinsic
def _pointer(typing_context: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ir.IntType(8).as_pointer())

    return types.voidptr(types.int64), generate


# ---- compiling ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Compiled:
    """A compiled step: what to call, and the compiled functions of its module (none if it runs as Python)."""

    call: Callable[..., int]
    functions: list[Dispatcher]

    def llvm(self) -> str:
        """The LLVM IR of every kernel and of the step."""
        return self._listing("inspect_llvm")

    def assembly(self) -> str:
        """The machine code of every kernel and of the step, as assembly."""
        return self._listing("inspect_asm")

    def _listing(self, inspect: str) -> str:
        if not self.functions:
            return "NUMBA_DISABLE_JIT is set: the step runs as Python"
        return "\n".join(text for function in self.functions for text in getattr(function, inspect)().values())


def jit(source: str, name: str, inputs: Sequence[TensorType], results: Sequence[TensorType]) -> Compiled:
    """Emitted text as machine code for inputs and array results of these types; called with arrays and the table."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:8]  # two steps of one name are two files
    filename = f"<graphc {name} {digest}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    module: dict[str, Any] = {"__name__": f"graphc.emitted.{digest}"}
    exec(compile(source, filename, "exec"), module)
    step = module["step"]
    if isinstance(step, Dispatcher):
        arguments = [_array_type(t, readonly=True) for t in inputs] + [_array_type(t) for t in results]
        step.compile((*arguments, types.Array(types.int64, 1, "C")))
        step.disable_compile()
    else:
        step = np.errstate(all="ignore")(step)  # as native code: NaN and infinity are values, not warnings
    return Compiled(step, [value for value in module.values() if isinstance(value, Dispatcher)])


def _array_type(tensor: TensorType, readonly: bool = False) -> Any:
    return types.Array(numba.from_dtype(tensor.dtype), tensor.ndim, "C", readonly=readonly)
