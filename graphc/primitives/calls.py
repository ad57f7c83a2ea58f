"""Calls: of tiles, on threads, and of a step."""

from __future__ import annotations

import ctypes
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from graphc.primitives.llvm import code_of
from graphc.runtime.native import STEP


def run_tiles(tile: Any, count: int, address: int, threads: int) -> None:
    """tile(0, address), ..., tile(count - 1, address), in any order, on so many threads at most."""
    for number in reversed(range(count)):  # so that it shows if one tile needs what an earlier one made
        tile(number, address)


@code_of(run_tiles, lambda tile, count, address, threads: types.none)
def _run_tiles(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    dispatcher, numbers = signature.args[0].dispatcher, (types.int64, types.int64)
    dispatcher.compile(numbers)
    result = dispatcher.overloads[numbers]
    context.active_code_library.add_linking_library(result.library)
    pointer, word = ir.IntType(8).as_pointer(), ir.IntType(64)
    kind = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
    run = cgutils.get_or_insert_function(builder.module, kind, "graphc_run")
    function = context.declare_function(builder.module, result.fndesc)
    words = [context.cast(builder, args[at], signature.args[at], types.int64) for at in (1, 2, 3)]
    builder.call(run, [builder.bitcast(function, pointer), *words])
    return context.get_dummy_value()


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
