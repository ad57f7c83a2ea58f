"""Numba: the decorators of emitted code, and its compilation to an object."""

from __future__ import annotations

import contextlib
import hashlib
import linecache
from collections.abc import Iterator, Mapping
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import types

from graphc.runtime.cache import Entry

# A multiplication and an addition may be rounded once; nothing else may change what the code says.
FLAGS = {"contract"}

compiled = numba.njit(error_model="numpy", fastmath=FLAGS, no_cpython_wrapper=True, no_cfunc_wrapper=True)
kernel = region = step_function = compiled


@contextlib.contextmanager
def as_python() -> Iterator[None]:
    """Steps made inside run as the Python that they are: no time to compile, the same text."""
    before = numba.config.DISABLE_JIT
    numba.config.DISABLE_JIT = True
    try:
        yield
    finally:
        numba.config.DISABLE_JIT = before


def module(source: str, name: str) -> dict[str, Any]:
    """Emitted text as a module's names; its lines show in tracebacks."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:8]  # two steps of one name are two files
    filename = f"<graphc {name} {digest}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    names: dict[str, Any] = {"__name__": f"graphc.emitted.{digest}"}
    exec(compile(source, filename, "exec"), names)
    return names


def jit(source: str, name: str, foreign: Mapping[str, int]) -> Entry:
    """The step of an emitted module, compiled; `foreign` is what it calls."""
    step = module(source, name)["step"]
    for symbol, address in foreign.items():
        llvm.add_symbol(symbol, address)  # Numba links what it compiles
    step.compile((types.int64,))
    (result,) = step.overloads.values()
    library = result.library
    return Entry(library._get_compiled_object(), result.fndesc.llvm_func_name, library.get_llvm_str())
