"""Emitted text as code that can be called: from the cache, from Numba, or as the Python that it is."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from graphc.emitted import compiling
from graphc.runtime import cache
from graphc.runtime.native import STEP, Loaded, assembly, load, runtime
from graphc.runtime.products import product

PRIMITIVES = Path(__file__).parent.parent / "primitives"
IMPORTED = (Path(__file__).with_name("jit.py"), *sorted(PRIMITIVES.glob("*.py")))
"""What emitted text may import."""

RAISED = -3
"""The status of a step that runs as Python and has raised an exception."""


class Machine:
    """A step as machine code. `told` says whether it came from the cache."""

    error: None = None

    def __init__(self, entry: cache.Entry, told: str) -> None:
        self.told = told
        self._entry = entry
        self._loaded: Loaded = load(entry.image, [entry.symbol], foreign(entry.image))
        self.address = self._loaded[entry.symbol]

    def llvm(self) -> str:
        """The LLVM IR of the step and all that it calls."""
        return self._entry.llvm

    def assembly(self) -> str:
        """The machine code as text."""
        return assembly(self._entry.llvm)


class Interpreted:
    """A step as the Python that it is, at an address that native code can call."""

    told = "none: NUMBA_DISABLE_JIT is set"

    def __init__(self, step: Callable[[int], int]) -> None:
        self.error: BaseException | None = None  # what the last call raised

        def call(result: Any, exception: Any, table: int) -> int:
            self.error = None
            try:
                with np.errstate(all="ignore"):  # as native code: NaN and infinity are values, not warnings
                    result[0] = step(table)
            except BaseException as error:  # nothing may be raised through native code: the caller raises it
                self.error, result[0] = error, RAISED
            return 0

        self._callback = STEP(call)
        self.address = int(ctypes.cast(self._callback, ctypes.c_void_p).value or 0)

    def llvm(self) -> str:
        return "NUMBA_DISABLE_JIT is set: the step runs as Python"

    assembly = llvm


def build(source: str, name: str, function: str = "step") -> Machine | Interpreted:
    """A function of an emitted module. Numba is imported only if it has to compile."""
    if _jit_is_off():
        from graphc.backend.jit import made

        with compiling(source, name):
            return Interpreted(made(source, name, function))
    code = re.sub(r" +#.*", "", source)  # comments hold the user's names and lines
    key = cache.key_of(code, IMPORTED)
    entry, told = cache.find(key)
    if entry is None:
        from graphc.backend.jit import jit

        with compiling(source, name):
            entry = jit(source, name, function)
        cache.keep(key, entry)
    return Machine(entry, told)


def _jit_is_off() -> bool:
    """What Numba would say, without importing it."""
    numba = sys.modules.get("numba")
    if numba is not None:
        return bool(numba.config.DISABLE_JIT)
    return os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")


def foreign(image: bytes) -> dict[str, int]:
    """What an object calls that is neither in it nor in the C library."""
    wanted = [name for name in ("graphc_run", "graphc_sgemm", "graphc_dgemm") if name.encode() in image]
    return {name: (runtime() if name == "graphc_run" else product(name))[name] for name in wanted}
