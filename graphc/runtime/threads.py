"""Threads: a pool of graphc's own.

The workers are Python threads that never come back from `graphc_work` in runtime.ll: they hold no lock, cost nothing
while they sleep, and end with the process. They are started when the first step that may use them is compiled.
"""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path

from graphc.runtime.native import runtime
from graphc.runtime.openblas import single_threaded

_workers: list[threading.Thread] = []
_starting = threading.Lock()


def chosen(bound: int | None) -> tuple[int, str]:
    """How many threads a step may use that was compiled with threads=`bound`, and why not more."""
    if not single_threaded():
        return 1, "SciPy has no OpenBLAS of its own here, and its BLAS may start threads itself"
    most, why = usable()
    return (bound, f"threads={bound}") if bound is not None and bound < most else (most, why)


def usable() -> tuple[int, str]:
    """How many threads this process may keep busy, and what says so.

    GRAPHC_NUM_THREADS, else its CPUs, by affinity and by cgroup.
    """
    wanted = os.environ.get("GRAPHC_NUM_THREADS")
    if wanted is not None:
        if not wanted.isdigit() or int(wanted) < 1:
            raise ValueError(f"GRAPHC_NUM_THREADS is a number of threads, at least 1, got {wanted!r}")
        return int(wanted), f"GRAPHC_NUM_THREADS is {wanted}"
    if hasattr(os, "sched_getaffinity"):
        cpus, why = len(os.sched_getaffinity(0)), "the CPUs that the process may run on"
    else:
        cpus, why = os.cpu_count() or 1, "the CPUs of the machine"
    share = _share_of_cgroup(Path("/sys/fs/cgroup/cpu.max"))
    return (share, "the cgroup's cpu.max") if share < cpus else (max(1, cpus), why)


def _share_of_cgroup(file: Path) -> int:
    """The CPUs that a container may use on average, rounded up."""
    quota, _, period = file.read_text().partition(" ") if file.exists() else ("max", "", "")
    return 1 << 30 if quota == "max" else -(-int(quota) // int(period))


def start(threads: int) -> None:
    """Makes sure that so many threads, the caller among them, can run tiles."""
    work = ctypes.CFUNCTYPE(None, ctypes.c_int64)(runtime()["graphc_work"])
    with _starting:
        while len(_workers) < threads - 1:
            number = len(_workers)
            _workers.append(threading.Thread(target=work, args=(number,), name=f"graphc {number + 1}", daemon=True))
            _workers[-1].start()


def _forget_workers() -> None:
    """In the child of a fork there are none; steps run on the calling thread until the next one is compiled."""
    if _workers:
        _workers.clear()
        ctypes.CFUNCTYPE(None)(runtime()["graphc_reset"])()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_workers)
