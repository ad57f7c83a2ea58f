"""The primitive of emitted code that runs tiles on threads: graphc_run in runtime.ll."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from graphc.backend.llvm import code_of


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
