"""The pool: the same bits for any number of threads, whoever calls, and in the children of a fork."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time

import numba
import numpy as np
import pytest
from models import batch, classifier

import graphc as gc
from graphc.runtime import openblas
from graphc.runtime.once import once
from graphc.runtime.openblas import single_threaded
from graphc.runtime.threads import usable


def trained(threads: int, rows: int, steps: int = 5) -> tuple[np.ndarray, list[np.ndarray]]:
    model = classifier(200, 96)
    step = gc.compile(model.loss, optimizer=gc.SGD(0.1, momentum=0.9), threads=threads)
    assert step.threads == threads
    losses = step.run(steps, *batch(np.random.default_rng(3), rows, 200))
    return losses, [param.value for param in step.params]


@pytest.fixture
def four_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    if not single_threaded():
        pytest.fail("these tests want SciPy's own OpenBLAS, of which graphc makes a private copy")
    monkeypatch.setenv("GRAPHC_NUM_THREADS", "4")


@pytest.mark.parametrize("rows", [1, 32, 33, 300])
def test_the_same_bits_for_any_number_of_threads(rows: int, four_threads, jit_mode) -> None:
    alone = trained(1, rows)
    for threads in (2, 4):
        losses, params = trained(threads, rows)
        np.testing.assert_array_equal(losses, alone[0])
        for param, other in zip(params, alone[1], strict=True):
            np.testing.assert_array_equal(param, other)


def test_steps_of_several_python_threads_at_once(four_threads, jit_mode) -> None:
    """One step has the pool, the others run alone: all come to the same."""
    expected = trained(1, 100, steps=60)[0]
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(trained(4, 100, steps=60)[0])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    for losses in found:
        np.testing.assert_array_equal(losses, expected)


FORK = """
import os, sys
import numpy as np
sys.path.insert(0, {tests!r})
from test_threads import trained
before = trained(2, 100)
child = os.fork()
if child == 0:
    after = trained(2, 100)
    os._exit(0 if np.array_equal(before[0], after[0]) else 1)
assert os.waitpid(child, 0)[1] == 0
assert np.array_equal(before[0], trained(2, 100)[0])
"""


def test_the_child_of_a_fork_has_a_pool_of_its_own(request: pytest.FixtureRequest) -> None:
    script = FORK.format(tests=str(request.path.parent))
    environment = {"GRAPHC_NUM_THREADS": "2", "PATH": "", "PYTHONPATH": str(request.config.rootpath)}
    subprocess.run([sys.executable, "-W", "ignore", "-c", script], env=environment, check=True, timeout=300)


FIRST_STEPS = """
import sys, threading
import numpy as np
sys.path.insert(0, {tests!r})
from test_threads import trained
found = []
threads = [threading.Thread(target=lambda: found.append(trained(2, 100, steps=200)[0])) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert len(found) == 4 and all(np.array_equal(losses, found[0]) for losses in found)
"""


@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_a_process_compiles_its_first_steps_on_several_threads(cache: str, request: pytest.FixtureRequest) -> None:
    """What runs beneath them is loaded once: of a second copy a thread would keep the addresses alone."""
    script = FIRST_STEPS.format(tests=str(request.path.parent))
    environment = {**os.environ, "GRAPHC_NUM_THREADS": "2", "PYTHONPATH": str(request.config.rootpath)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=300)


def test_what_is_made_once_is_never_made_twice() -> None:
    made: list[object] = []

    @once
    def slow(name: str) -> object:
        time.sleep(0.05)
        made.append(name)
        return object()

    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(slow("a"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["a"]
    assert len(found) == 4
    assert set(found) == {slow("a")}
    assert slow("b") != slow("a")


def test_the_number_of_threads_is_checked(monkeypatch: pytest.MonkeyPatch, python_mode) -> None:
    x = gc.input("x", (3,))
    assert gc.compile(gc.sum(x), threads=1).threads == 1
    with pytest.raises(ValueError, match="threads is at least 1, got 0"):
        gc.compile(gc.sum(x), threads=0)
    monkeypatch.setenv("GRAPHC_NUM_THREADS", "3")
    assert usable() == (3, "GRAPHC_NUM_THREADS is 3")
    monkeypatch.setenv("GRAPHC_NUM_THREADS", "many")
    with pytest.raises(ValueError, match="GRAPHC_NUM_THREADS is a number of threads, at least 1, got 'many'"):
        usable()


def test_scipys_own_blas_keeps_its_threads() -> None:
    library = ctypes.CDLL(str(openblas._library()))
    before = library.scipy_openblas_get_num_threads()
    openblas.gemms()
    assert library.scipy_openblas_get_num_threads() == before


def test_numba_compiles_for_others_as_before(jit_mode) -> None:
    """graphc lets Numba only translate; what Numba keeps of that must serve everyone else."""

    @numba.njit
    def early(a: int, b: int) -> int:
        return min(a, b)

    assert early(3, 2) == 2
    x = gc.input("x", ("n", 100))
    assert gc.compile(gc.sum(gc.exp(x) * gc.floor(x)))(np.zeros((70, 100), np.float32)) == 0

    @numba.njit
    def late(a: int, b: int, values: np.ndarray) -> float:
        return min(a, b) + max(a, b) + values.sum() + np.floor(values[0]) + a // b

    assert early(5, 4) == 4
    assert late(7, 2, np.ones(3)) == 9 + 3 + 1 + 3
    assert numba.njit(lambda a, b: min(a, b))(1.5, 2.5) == 1.5
