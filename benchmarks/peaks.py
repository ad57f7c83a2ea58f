"""What the machine can do at best: products a second and bytes a second. From both follows a step's least time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from contenders import THREADS
from worker import Result, measured
from workloads import Workload

SHAPES = ((128, 784, 512), (256, 256, 256), (512, 512, 512), (1024, 1024, 1024), (256, 1024, 4096), (2048, 2048, 2048))
FOOTPRINTS = tuple(1 << power for power in range(15, 28, 2))
BEST_OF = 5
PASS_SECONDS = 0.01
MOVED = 12
"""Bytes that `y += s * x` moves for each element: two are read, one is written."""


def machine_peaks() -> Result:
    """The best GFLOP/s of any product, and the best GB/s over arrays of each size, with any number of threads."""
    products = [product for env in THREADS.values() for product in measured("peaks.products", {}, env)[0]]
    best = max(products, key=lambda row: float(row["gflops"]))
    streams: dict[int, float] = {}
    for threads in sorted({1, os.cpu_count() or 1}):
        for footprint, rate in measured("peaks.streams", {"threads": threads})[0]:
            streams[footprint] = max(rate, streams.get(footprint, 0.0))
    return {"gflops": best["gflops"], "of": best["of"], "products": products, "gbs": sorted(streams.items())}


def least_time(workload: Workload, peaks: Result) -> tuple[float, str]:
    """The least microseconds of a step, and what they are spent on: "FLOP" or "bytes"."""
    flop = workload.flop() / peaks["gflops"] / 1e3
    moved = workload.bytes() / bandwidth(workload.bytes(), peaks) / 1e3
    return max((flop, "FLOP"), (moved, "bytes"))


def bandwidth(footprint: int, peaks: Result) -> float:
    """GB/s over so many bytes: as over the next smaller size that was measured, so that no step is faster."""
    smaller = [rate for size, rate in peaks["gbs"] if size <= footprint]
    return float(smaller[-1] if smaller else peaks["gbs"][0][1])


def show_peaks(peaks: Result) -> None:
    sizes = [f"{rate:.0f} over {_size(footprint)}" for footprint, rate in peaks["gbs"]]
    print(f"peaks: {peaks['gflops']:.0f} GFLOP/s ({peaks['of']}); GB/s: {', '.join(sizes)}")


def _size(count: int) -> str:
    return f"{count >> 20} MB" if count >= 1 << 20 else f"{count >> 10} KB"


# ---- in a process of its own ----------------------------------------------------------------------------------------


def products() -> list[Result]:
    """GFLOP/s of products of both BLAS libraries, with the threads that the environment gives them."""
    from scipy.linalg.blas import sgemm

    threads = f"OPENBLAS_NUM_THREADS={os.environ.get('OPENBLAS_NUM_THREADS', '')}"
    rows = []
    for m, k, n in SHAPES:
        rng = np.random.default_rng(0)
        a, b = rng.random((m, k), np.float32), rng.random((k, n), np.float32)
        out = np.empty((m, n), np.float32)
        ways: dict[str, Callable[[], object]] = {
            "np.matmul": lambda a=a, b=b, out=out: np.matmul(a, b, out=out),  # type: ignore[misc]
            "sgemm": lambda a=a, b=b, out=out: sgemm(1.0, b.T, a.T, 0.0, out.T, overwrite_c=1),  # type: ignore[misc]
        }
        for name, way in ways.items():
            gflops = 2 * m * k * n / _best_seconds(way) / 1e9
            rows.append({"of": f"{name} {m}x{k}x{n}, {threads}", "gflops": gflops})
    return rows


def streams(threads: int) -> list[tuple[int, float]]:
    """(bytes, GB/s) of `y += s * x` on so many threads, each with its share of the bytes."""
    import numba

    def interpreted(x: Any, y: Any, count: int) -> None:
        for turn in range(count):
            scale = np.float32(turn)
            for i in range(x.size):
                y[i] += scale * x[i]

    passes = numba.njit(interpreted, nogil=True)
    rows = []
    with ThreadPoolExecutor(threads) as pool:
        for footprint in FOOTPRINTS:
            length = footprint // threads // 8
            pairs = [(np.ones(length, np.float32), np.zeros(length, np.float32)) for _ in range(threads)]
            count = max(3, int(PASS_SECONDS * 20e9 / footprint))

            def work(pairs: Any = pairs, count: int = count) -> None:
                list(pool.map(lambda pair: passes(*pair, count), pairs))

            rows.append((footprint, MOVED * length * threads * count / _best_seconds(work) / 1e9))
    return rows


def _best_seconds(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(BEST_OF):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
