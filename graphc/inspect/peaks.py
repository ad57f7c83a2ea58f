"""What this machine can do at best: operations and bytes a second. Measured once in a process, when first asked for."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from threading import Thread

import numpy as np

from graphc.runtime.once import once
from graphc.runtime.products import product
from graphc.state import aligned

SIDE = 512
"""Rows, inner axis and columns of the product that is measured: its three matrices are 3 MB, or 6."""

COPIED = 1 << 26
"""Bytes that are copied, on all threads together: with their copy, more than the caches of most machines hold."""

TURNS = {"products": 24, "copies": 10}
"""How often each is done; the fastest counts."""

PRODUCTS = {"float32": ("graphc_sgemm", ctypes.c_float), "float64": ("graphc_dgemm", ctypes.c_double)}
"""The code of a product, and what it multiplies."""


@once
def peak_flops(threads: int, dtype: str) -> float:
    """The most FLOP/s of float32 or float64 matrix products by graphc's own code, on so many threads at once.

    Each thread counts with its own fastest product, so that other programs hardly matter.
    """
    symbol, number = PRODUCTS[dtype]
    words, matrix = (ctypes.c_int64,) * 3, (ctypes.c_void_p, ctypes.c_int64)
    arguments = (ctypes.c_bool, ctypes.c_bool, *words, number, *matrix, *matrix, number, *matrix)
    multiply = ctypes.CFUNCTYPE(None, *arguments)(product(symbol)[symbol])
    matrices = [[aligned(np.full((SIDE, SIDE), 0.5, dtype)) for _ in range(3)] for _ in range(threads)]

    least = [float("inf")] * threads

    def work(thread: int) -> None:
        a, b, out = (matrix.ctypes.data for matrix in matrices[thread])
        for _ in range(TURNS["products"]):
            start = time.perf_counter()
            multiply(False, False, SIDE, SIDE, SIDE, 1.0, b, SIDE, a, SIDE, 0.0, out, SIDE)
            least[thread] = min(least[thread], time.perf_counter() - start)

    _together(work, threads)
    return 2 * SIDE**3 * sum(1 / seconds for seconds in least)


@once
def peak_bytes(threads: int) -> float:
    """The most bytes/s that are read and written by a copy larger than the caches, cut among so many threads."""
    length = COPIED // 8 // threads
    pairs = [(np.zeros(length), np.ones(length)) for _ in range(threads)]

    def work(thread: int) -> None:
        np.copyto(*pairs[thread])

    return 2 * 8 * length * threads / min(_together(work, threads) for _ in range(TURNS["copies"]))


def _together(work: Callable[[int], None], threads: int) -> float:
    """Seconds until each of so many threads, the caller among them, has done its work."""
    helpers = [Thread(target=work, args=(number,)) for number in range(1, threads)]
    start = time.perf_counter()
    for each in helpers:
        each.start()
    work(0)
    for each in helpers:
        each.join()
    return time.perf_counter() - start
