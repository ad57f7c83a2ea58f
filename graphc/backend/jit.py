"""Numba: the decorators of emitted code, and its compilation to an object."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import linecache
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
from numba import types

from graphc.runtime.native import Loaded, load, runtime, target
from graphc.runtime.openblas import gemms

# A multiplication and an addition may be rounded once; nothing else may change what the code says.
FLAGS = {"contract"}

RAISED = -3
"""The status of a step that runs as Python and has raised an exception."""

kernel = region = step_function = numba.njit(
    error_model="numpy", fastmath=FLAGS, no_cpython_wrapper=True, no_cfunc_wrapper=True
)


@dataclass(frozen=True)
class Machine:
    """A step as machine code: where it is, and the LLVM IR that it was made of."""

    loaded: Loaded
    address: int
    text: str
    error: None = None

    def llvm(self) -> str:
        """The LLVM IR of the step and all that it calls."""
        return self.text

    def assembly(self) -> str:
        """The machine code as text."""
        return str(target().emit_assembly(llvm.parse_assembly(self.text)))


class Interpreted:
    """A step as the Python that it is, at an address that native code can call."""

    def __init__(self, step: Callable[[int], int]) -> None:
        self.error: BaseException | None = None  # what the last call raised

        def call(result: Any, exception: Any, table: int) -> int:
            try:
                with np.errstate(all="ignore"):  # as native code: NaN and infinity are values, not warnings
                    result[0] = step(table)
            except BaseException as error:  # nothing may be raised through native code: the caller raises it
                self.error, result[0] = error, RAISED
            return 0

        convention = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(ctypes.c_int64), ctypes.c_void_p, ctypes.c_int64)
        self._callback = convention(call)
        self.address = int(ctypes.cast(self._callback, ctypes.c_void_p).value or 0)

    def llvm(self) -> str:
        return "NUMBA_DISABLE_JIT is set: the step runs as Python"

    assembly = llvm


def _foreign() -> dict[str, int]:
    """What native code calls that is neither in it nor in the C library."""
    ours = runtime()
    return {"NRT_MemInfo_call_dtor": ours["NRT_MemInfo_call_dtor"], "graphc_run": ours["graphc_run"], **gemms()}


@contextlib.contextmanager
def as_python() -> Iterator[None]:
    """Steps made inside run as the Python that they are: no time to compile, the same text."""
    before = numba.config.DISABLE_JIT
    numba.config.DISABLE_JIT = True
    try:
        yield
    finally:
        numba.config.DISABLE_JIT = before


def jit(source: str, name: str) -> Machine | Interpreted:
    """Emitted text as code that can be called."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:8]  # two steps of one name are two files
    filename = f"<graphc {name} {digest}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    module: dict[str, Any] = {"__name__": f"graphc.emitted.{digest}"}
    exec(compile(source, filename, "exec"), module)
    step = module["step"]
    if numba.config.DISABLE_JIT:
        return Interpreted(step)
    foreign = _foreign()
    for symbol, address in foreign.items():
        llvm.add_symbol(symbol, address)  # Numba links what it compiles
    step.compile((types.int64,))
    (result,) = step.overloads.values()
    symbol = result.fndesc.llvm_func_name
    loaded = load(result.library._get_compiled_object(), [symbol], foreign)
    return Machine(loaded, loaded[symbol], result.library.get_llvm_str())
