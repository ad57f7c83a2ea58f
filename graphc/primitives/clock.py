"""A clock for emitted code: when something began or ended, and on which thread."""

from __future__ import annotations

import ctypes
import threading
import time
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from graphc.primitives.llvm import code_of

CLOCK = getattr(time, "CLOCK_UPTIME_RAW", time.CLOCK_MONOTONIC)
"""The clock of time.perf_counter_ns: macOS has the first, whose CLOCK_MONOTONIC counts microseconds."""


def stamp(address: int, row: int, place: int) -> None:
    """Writes nanoseconds and the thread's identity to pair `place` of the memory that a row of the table names."""
    memory = ctypes.c_int64.from_address(int(address) + 8 * row).value
    pair = (ctypes.c_int64 * 2).from_address(memory + 16 * int(place))
    pair[:] = [time.perf_counter_ns(), threading.get_ident()]


@code_of(stamp, lambda address, row, place: types.none)
def _stamp(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    word, number = ir.IntType(64), ir.IntType(32)
    table, row, place = (context.cast(builder, *each, types.int64) for each in zip(args, signature.args, strict=True))
    of_time = ir.FunctionType(number, [number, word.as_pointer()])
    clock = cgutils.get_or_insert_function(builder.module, of_time, "clock_gettime")
    of_thread = cgutils.get_or_insert_function(builder.module, ir.FunctionType(word, []), "pthread_self")
    now = cgutils.alloca_once(builder, word, 2)
    builder.call(clock, [number(CLOCK), now])
    seconds, nanoseconds = (builder.load(builder.gep(now, [number(at)])) for at in range(2))
    time_now = builder.add(builder.mul(seconds, word(1_000_000_000)), nanoseconds)
    at = builder.inttoptr(builder.add(table, builder.mul(row, word(8))), word.as_pointer())
    memory = builder.add(builder.load(at), builder.mul(place, word(16)))
    for offset, value in ((0, time_now), (8, builder.call(of_thread, []))):
        builder.store(value, builder.inttoptr(builder.add(memory, word(offset)), word.as_pointer()))
    return context.get_dummy_value()
