"""Compile times: from the start of a process to the end of its first training step, the import included.

Cold is an empty cache directory, warm the same directory a second time. Python's own cache (*.pyc) is there in both.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass

from contenders import CONTENDERS
from tables import number, say, show
from worker import Failed, Result, interpreter, measured
from workloads import workload_of

NETS = {"mnist": "mnist", "30 layers": "-".join(["64"] * 30 + ["10"]) + "/64"}
HEADER = ("net", "contender", "seconds", "min", "max", "import", "make", "first step", "")


@dataclass(frozen=True)
class Starter:
    """A contender, and how its cache is told where to be: variables with {} for the directory."""

    contender: str
    cache: dict[str, str]

    def environment(self, directory: str) -> dict[str, str]:
        return {name: value.format(directory) for name, value in self.cache.items()}


STARTERS = (
    Starter("graphc", {"GRAPHC_CACHE_DIR": "{}", "NUMBA_CACHE_DIR": "{}/numba"}),
    Starter(
        "JAX jit",
        {
            "JAX_COMPILATION_CACHE_DIR": "{}",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        },
    ),
    Starter("torch.compile", {"TORCHINDUCTOR_CACHE_DIR": "{}", "TRITON_CACHE_DIR": "{}/triton"}),
    Starter("PyTensor", {"PYTENSOR_FLAGS": "base_compiledir={}", "NUMBA_CACHE_DIR": "{}/numba"}),
)


def main(options: Namespace) -> Result:
    """Seconds of each contender, cold and warm."""
    wanted = [starter for starter in STARTERS if starter.contender in (options.contenders or CONTENDERS)]
    rounds = 1 if options.quick else options.rounds
    rows: list[Result] = []
    for net, workload in NETS.items():
        found: list[Result] = []
        for turn in range(rounds):
            for starter in wanted:
                say(f"{net}: round {turn + 1} of {rounds}, {starter.contender}")
                found += _cold_and_warm(starter, workload)
        rows += [_summary(net, workload, name, found) for name in dict.fromkeys(row["name"] for row in found)]
    say("")
    show("from the start of a process to the end of its first training step", HEADER, [_cells(row) for row in rows])
    return {"rows": rows, "failed": any(row["problem"].startswith("failed") for row in rows)}


def _cold_and_warm(starter: Starter, workload: str) -> list[Result]:
    """The figures of two processes that share a new cache directory."""
    contender = CONTENDERS[starter.contender]
    python = interpreter(contender.package)
    if python is None:
        return [{"name": f"{contender.name}, cold", "problem": "not installed"}]
    rows: list[Result] = []
    with tempfile.TemporaryDirectory() as directory:
        for state in ("cold", "warm"):
            row: Result = {"name": f"{contender.name}, {state}", "problem": ""}
            asked = {"workload": workload, "contender": contender.name}
            try:
                phases, seconds = measured("startup.first_step", asked, starter.environment(directory), python)
                row |= {"seconds": seconds, **phases}
            except Failed as failure:
                row["problem"] = f"failed: {failure}"
            rows.append(row)
    return rows


def _summary(net: str, workload: str, name: str, found: Sequence[Result]) -> Result:
    rows = [row for row in found if row["name"] == name]
    problem = next((row["problem"] for row in rows if row["problem"]), "")
    summary: Result = {"net": net, "workload": workload, "name": name, "problem": problem}
    if not problem:
        times = [row["seconds"] for row in rows]
        summary |= {"min": min(times), "max": max(times)}
        for key in ("seconds", "import", "make", "step"):
            summary[key] = statistics.median(row[key] for row in rows)
    return summary


def _cells(row: Result) -> tuple[str, ...]:
    keys = ("seconds", "min", "max", "import", "make", "step")
    return (row["net"], row["name"], *(number(row.get(key)) for key in keys), row["problem"])


# ---- in a process of its own ----------------------------------------------------------------------------------------


def first_step(workload: str, contender: str) -> Result:
    """Seconds of importing the contender, of making a step, and of the first one."""
    setting, work = CONTENDERS[contender].settings[0], workload_of(workload)
    at = [time.perf_counter()]
    setting.imported()
    at.append(time.perf_counter())
    step = setting.made(work)
    at.append(time.perf_counter())
    step()
    at.append(time.perf_counter())
    return {name: end - start for name, start, end in zip(("import", "make", "step"), at, at[1:])}
