"""The primitive of emitted code that runs tiles on threads: graphc_run in runtime.ll."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload


def run_tiles(tile: Any, count: int, address: int, threads: int) -> None:
    """tile(0, address), ..., tile(count - 1, address), in any order, on so many threads at most."""
    for number in reversed(range(count)):  # so that it shows if one tile needs what an earlier one made
        tile(number, address)


@overload(run_tiles)
def _run_tiles(tile, count, address, threads):
    return lambda tile, count, address, threads: _run(tile, count, address, threads)


@intrinsic
def _run(typing_context, tile, count, address, threads):
    number = types.int64
    result = tile.dispatcher.get_compile_result(typing_context.resolve_function_type(tile, (number, number), {}))

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        context.active_code_library.add_linking_library(result.library)
        pointer, word = ir.IntType(8).as_pointer(), ir.IntType(64)
        kind = ir.FunctionType(ir.VoidType(), [pointer, word, word, word])
        run = cgutils.get_or_insert_function(builder.module, kind, "graphc_run")
        function = context.declare_function(builder.module, result.fndesc)
        builder.call(run, [builder.bitcast(function, pointer), *args[1:]])
        return context.get_dummy_value()

    return types.void(tile, number, number, number), generate
