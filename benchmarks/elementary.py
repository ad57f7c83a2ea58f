"""Times the functions of graphc/primitives/elementary.py: `python benchmarks/elementary.py`.

Nanoseconds for an element of an array of 4096, the least of many calls: graphc's function in a compiled loop, NumPy's
(or SciPy's) on the array, and math's in a compiled loop, which calls libm for each element.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import scipy.special

from graphc.primitives import elementary

SIZE, CALLS = 4096, 1000
PEERS: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p")},
    **{name: getattr(np, name) for name in ("sinh", "cosh", "tanh")},
    "sigmoid": scipy.special.expit,
    "erf": scipy.special.erf,
    "erfc": scipy.special.erfc,
}


def loop(function: Callable[[float], float]) -> Callable[..., None]:
    def over_array(x: np.ndarray, result: np.ndarray) -> None:
        for i in range(x.size):
            result[i] = function(x[i])

    compiled: Callable[..., None] = numba.njit(error_model="numpy", fastmath={"contract"})(over_array)
    return compiled


def nanoseconds(call: Callable[..., Any], x: np.ndarray) -> float:
    """Of one element, in the fastest of many calls."""
    result = np.empty_like(x)
    call(x, result)
    best = math.inf
    for _ in range(CALLS):
        start = time.perf_counter_ns()
        call(x, result)
        best = min(best, time.perf_counter_ns() - start)
    return best / x.size


def main() -> None:
    print(f"{'':14}{'graphc':>8}{'NumPy':>8}{'math':>8}   ns an element")
    normal = np.random.default_rng(0).normal(size=SIZE)
    for dtype in (np.float32, np.float64):
        for name, peer in PEERS.items():
            x = np.asarray(np.abs(normal) * 3 + 1e-3 if name.startswith("log") else normal * 3, dtype)
            scalar = getattr(math, name, None)
            times = [nanoseconds(loop(getattr(elementary, name)), x), nanoseconds(peer, x)]
            times += [nanoseconds(loop(scalar), x)] if scalar is not None else []
            print(f"{np.dtype(dtype).name} {name:8}", *(f"{each:7.2f}" for each in times))


if __name__ == "__main__":
    main()
