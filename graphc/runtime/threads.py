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

_workers: list[threading.Thread] = []
_starting = threading.Lock()


def usable() -> int:
    """How many threads this process may keep busy: GRAPHC_NUM_THREADS, else its CPUs, by affinity and by cgroup."""
    wanted = os.environ.get("GRAPHC_NUM_THREADS")
    if wanted is not None:
        if not wanted.isdigit() or int(wanted) < 1:
            raise ValueError(f"GRAPHC_NUM_THREADS is a number of threads, at least 1, got {wanted!r}")
        return int(wanted)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cpus, _share_of_cgroup(Path("/sys/fs/cgroup/cpu.max"))))


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
