"""Which machine and which versions a figure belongs to."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path

from contenders import CONTENDERS
from worker import Result, interpreter

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
ALSO = ("numpy", "scipy", "numba", "llvmlite")


def machine() -> Result:
    """The CPU, the threads that this process may use, and the versions."""
    return {
        "cpu": _cpu(),
        "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "environment": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        "python": platform.python_version(),
        "versions": versions(),
    }


def _cpu() -> str:
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """The version of each package that is there; graphc's own is the commit of this checkout."""
    found = {"graphc": _commit()}
    for package in (*ALSO, *dict.fromkeys(contender.package for contender in CONTENDERS.values())):
        where = interpreter(package)
        if package not in found and where is not None:
            found[package] = _version(package, where)
    return found


@functools.cache
def _version(package: str, python: str) -> str:
    asked = f"import importlib.metadata as m; print(m.version({package!r}))"
    return _output([python, "-c", asked]) or "?"


def _commit() -> str:
    """Empty outside a git checkout; with a plus if files have changed since."""
    here = ["git", "-C", str(Path(__file__).parent)]
    commit = _output([*here, "rev-parse", "--short", "HEAD"])
    return commit + "+" if commit and _output([*here, "status", "--porcelain", "-uno"]) else commit


def _output(command: Sequence[str]) -> str:
    with contextlib.suppress(OSError):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return ""


def show_machine(facts: Result) -> None:
    versions = [f"{name} {version}" for name, version in facts["versions"].items() if version]
    settings = [f"{name}={value}" for name, value in facts["environment"].items()]
    load = "" if facts["load"] is None else f", load {facts['load']:.1f}"
    print(f"{facts['cpu']}, {facts['threads']} threads{load}")
    print(", ".join([f"python {facts['python']}", *versions, *settings]))
