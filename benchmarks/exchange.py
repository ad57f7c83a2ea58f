"""A control for the stability figures: how fast two threads hand memory to each other on this machine, just now.

A step that threads share sends each core what the other one has written. This does nothing but that, in a few lines of
machine code: two threads take turns, and each adds 1 to every cache line of a buffer before it gives the turn away.
"""

from __future__ import annotations

import ctypes
import statistics
import threading
import time

import numpy as np

from graphc.runtime.native import compiled

LINE = 8
"""int64 numbers of a cache line."""

LINES = 2400
"""150 kB: what the deep net's step writes on one core and reads on the other."""

TURNS, REPEATS = 200, 7

PASS = """
define void @graphc_exchange(ptr %turn, ptr %lines, i64 %count, i64 %me, i64 %turns) {
start:
  br label %round

round:
  %r = phi i64 [ 0, %start ], [ %r.next, %give ]
  %pairs = shl i64 %r, 1
  %mine = add i64 %pairs, %me
  br label %wait

wait:
  %now = load atomic i64, ptr %turn acquire, align 8
  %is.mine = icmp eq i64 %now, %mine
  br i1 %is.mine, label %work, label %wait

work:
  %i = phi i64 [ 0, %wait ], [ %i.next, %work ]
  %at = getelementptr [8 x i64], ptr %lines, i64 %i
  %old = load i64, ptr %at
  %new = add i64 %old, 1
  store i64 %new, ptr %at
  %i.next = add i64 %i, 1
  %more = icmp ult i64 %i.next, %count
  br i1 %more, label %work, label %give

give:
  %next = add i64 %mine, 1
  store atomic i64 %next, ptr %turn release, align 8
  %r.next = add i64 %r, 1
  %again = icmp ult i64 %r.next, %turns
  br i1 %again, label %round, label %done

done:
  ret void
}
"""


def nanoseconds_a_line() -> float:
    """The median time in which a cache line that another core has written is read and written."""
    code = compiled(PASS, ["graphc_exchange"], {})
    kinds = [ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_int64] * 3]
    run = ctypes.CFUNCTYPE(None, *kinds)(code["graphc_exchange"])
    times = []
    for _ in range(REPEATS):
        turn, lines = _aligned(1), _aligned(LINES)
        args = turn.ctypes.data, lines.ctypes.data, LINES
        other = threading.Thread(target=run, args=(*args, 1, TURNS))
        other.start()
        start = time.perf_counter()
        run(*args, 0, TURNS)
        other.join()
        times.append((time.perf_counter() - start) / (2 * TURNS * LINES) * 1e9)
        if lines[0] != 2 * TURNS:
            raise RuntimeError(f"{lines[0]} of {2 * TURNS} turns were taken")
    return statistics.median(times)


def _aligned(lines: int) -> np.ndarray:
    """So many cache lines of zeros."""
    memory = np.zeros((lines + 1) * LINE, np.int64)
    start = -memory.ctypes.data // 8 % LINE
    return memory[start : start + lines * LINE]
