"""`python -m graphc doctor`: what graphc runs on here, and whether it computes what it should, in some two seconds."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import numpy as np

import graphc as gc
from graphc.inspect.peaks import peak_bytes, peak_flops
from graphc.runtime import cache
from graphc.runtime.native import vectors
from graphc.runtime.openblas import single_threaded
from graphc.runtime.threads import usable

PACKAGES = ("numpy", "scipy", "numba", "llvmlite")


def doctor() -> int:
    """Prints the facts, then the checks; 1 if one of them fails."""
    for name, fact in facts():
        print(f"{name:<10} {fact}", flush=True)
    failed = 0
    for check in CHECKS:
        try:
            problem = check()
        except Exception as error:  # the next check may tell more
            problem = f"{type(error).__name__}: {error}"
        failed += bool(problem)
        print(f"{'FAILED' if problem else 'ok':<10} {check.__doc__}{problem and ': ' + problem}", flush=True)
    return min(failed, 1)


def facts() -> Iterator[tuple[str, str]]:
    """What there is here, by name."""
    yield "graphc", f"{gc.__version__} on Python {platform.python_version()}, {platform.platform()}"
    yield "packages", ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cpu, bits = vectors()
    threads, why = usable()
    yield "CPU", f"{cpu}, vectors of {bits} bits"
    yield "threads", f"{threads} of graphc's own, {why}"
    own = "a private copy of SciPy's OpenBLAS, on one thread"
    yield "BLAS", own if single_threaded() else "SciPy's own; graphc's loops stay on one thread"
    yield "peaks", f"{peak_flops(threads, 'float32') / 1e9:.3g} GFLOP/s, {peak_bytes(threads) / 1e9:.3g} GB/s"
    count, size = cache.size()
    place = cache.folder()
    yield "cache", f"{place}: {count} steps, {size:,} bytes" if place else "off: GRAPHC_CACHE_DIR is empty"


# ---- checks ---------------------------------------------------------------------------------------------------------


def _net() -> tuple[gc.Node, dict[str, np.ndarray], list[gc.Param]]:
    """A loss, values for its inputs, and its params: large enough for threads."""
    rng = np.random.default_rng(0)
    x, y = gc.input("x", ("batch", 96)), gc.input("y", ("batch",), "int64")
    W, b = gc.param("W", (96, 128), seed=0), gc.param("b", 128, init="zeros")
    V = gc.param("V", (128, 10), seed=1)
    loss = gc.cross_entropy(gc.softmax(gc.tanh(x @ W + b) @ V), y)
    feeds = {"x": rng.standard_normal((200, 96)).astype("f"), "y": rng.integers(0, 10, 200)}
    return loss, feeds, [W, b, V]


def _interpreter() -> str:
    """a compiled step computes what the NumPy interpreter does"""
    loss, feeds, params = _net()
    before = [param.value.copy() for param in params]
    expected, *gradients = gc.evaluate([loss, *gc.grad(loss, params)], feeds, dtype="float64")
    found = gc.compile(loss, optimizer=gc.SGD(lr=0.5))(**feeds)
    if not np.isclose(found, expected, rtol=1e-5):
        return f"a loss of {found}, expected {expected}"
    for param, value, gradient in zip(params, before, gradients, strict=True):
        error = np.abs(param.value - (value - 0.5 * gradient)).max()
        if error > 1e-5:
            return f"{param.name} is off by {error:.2g} after a step"
    return ""


def _threads() -> str:
    """the bits of a step do not depend on the number of threads"""
    ends = []
    for threads in (1, None):
        loss, feeds, params = _net()
        step = gc.compile(loss, optimizer=gc.SGD(lr=0.5, momentum=0.9), threads=threads)
        step.run(20, **feeds)
        ends.append([param.value.copy() for param in params])
    differ = [param.name for param, one, other in zip(params, *ends, strict=True) if one.tobytes() != other.tobytes()]
    return f"{', '.join(map(str, differ))} differ" if differ else ""


def _functions() -> str:
    """exp, log, tanh and sigmoid are within 2 ulp"""
    x = np.linspace(0.01, 8, 5000, dtype=np.float32)
    exact: dict[Any, Callable[..., Any]] = {
        gc.exp: np.exp,
        gc.log: np.log,
        gc.tanh: np.tanh,
        gc.sigmoid: lambda v: 1 / (1 + np.exp(-v)),
    }
    node = gc.input("x", ("n",))
    for found, function in zip(gc.compile([op(node) for op in exact])(x), exact.values(), strict=True):
        wanted = function(x.astype(np.float64))
        ulp = np.abs(found - wanted) / np.spacing(np.abs(wanted).astype(np.float32))
        if ulp.max() > 2:
            return f"{ulp.max():.3g} ulp at {x[ulp.argmax()]}"
    return ""


CHECKS: tuple[Callable[[], str], ...] = (_interpreter, _threads, _functions)
"""Each says what is wrong, or nothing; its docstring is what it checks."""
