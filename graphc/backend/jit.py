"""Numba: the decorators of emitted code, and its compilation."""

from __future__ import annotations

import contextlib
import hashlib
import linecache
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numba import types
from numba.core.dispatcher import Dispatcher

from graphc.types import TensorType

Array = np.ndarray[Any, Any]

# A multiplication and an addition may be rounded once; nothing else may change what the code says.
FLAGS = {"contract"}

kernel = numba.njit(error_model="numpy", fastmath=FLAGS, no_cpython_wrapper=True, no_cfunc_wrapper=True)
step_function = numba.njit(error_model="numpy", fastmath=FLAGS, no_cfunc_wrapper=True)


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


@contextlib.contextmanager
def as_python() -> Iterator[None]:
    """Steps made inside run as the Python that they are: no time to compile, the same text."""
    before = numba.config.DISABLE_JIT
    numba.config.DISABLE_JIT = True
    try:
        yield
    finally:
        numba.config.DISABLE_JIT = before


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
