"""Times one training step of each contender on each workload: `python benchmarks/run.py`.

Each contender runs in a process of its own, and they take turns for several rounds. A process warms up, and reports the
median time of a step; the table shows the median, minimum and maximum of its processes. The contenders start from equal
weights and data, and the run fails if they do not train the same thing.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from contenders import CONTENDERS, Contender, Step
from workloads import WORKLOADS, Workload

LOSSES_AFTER = (1, 10)
TOLERANCE = 1e-3
DOUBTFUL = 2
TRY_SECONDS = 0.1
WARM_SECONDS = 0.3
SAMPLE_SECONDS = 2e-4
HEADER = ("contender", "median µs", "min", "max", "ratio to graphc", "how")
PACKAGES = ("graphc", "numpy", "scipy", "numba", "llvmlite", "torch")
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")

Result = dict[str, Any]


# ---- one process ----------------------------------------------------------------------------------------------------


def work(contender: Contender, workload: Workload, seconds: float) -> Result:
    """A contender's losses, and its median time of a step in this process with the fastest of its settings."""
    setting = _fastest_setting(contender, workload)
    step = contender.settings[setting](workload)
    losses = [step() for _ in range(max(LOSSES_AFTER) + 1)]
    _median_microseconds(step, WARM_SECONDS)
    microseconds, samples = _median_microseconds(step, seconds)
    return {
        "microseconds": microseconds,
        "samples": samples,
        "setting": setting,
        # A step returns the loss before its update: after n steps is what step n + 1 returns.
        "losses": [losses[n] for n in LOSSES_AFTER] if contender.trains else [],
    }


def _fastest_setting(contender: Contender, workload: Workload) -> str:
    if len(contender.settings) == 1:
        return next(iter(contender.settings))
    times = {}
    for setting, make in contender.settings.items():
        step = make(workload)
        _median_microseconds(step, TRY_SECONDS / 2)
        times[setting] = _median_microseconds(step, TRY_SECONDS)[0]
    return min(times, key=times.__getitem__)


def _median_microseconds(step: Step, seconds: float) -> tuple[float, int]:
    """The median time of a step, and the number of samples: each so many steps that reading the clock costs nothing."""
    step()
    start = time.perf_counter()
    step()
    steps = max(1, math.ceil(SAMPLE_SECONDS / (time.perf_counter() - start)))
    samples: list[float] = []
    end = time.perf_counter() + seconds
    while not samples or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(steps):
            step()
        samples.append((time.perf_counter() - start) / steps)
    return statistics.median(samples) * 1e6, len(samples)


# ---- the rounds -----------------------------------------------------------------------------------------------------


def race(workload: Workload, contenders: Sequence[Contender], rounds: int, seconds: float) -> list[Result]:
    """One row for each contender: its processes' figures, or why there are none."""
    rows: list[Result] = [{"contender": c.name, "problem": _missing(c), "processes": []} for c in contenders]
    for turn in range(rounds):
        for row in rows:
            _say(f"{workload.name}: round {turn + 1} of {rounds}, {row['contender']}")
            if row["problem"] is None:
                _run_process(row, workload, seconds)
        _check_losses(workload, rows)
    _say("")
    return rows


def _missing(contender: Contender) -> str | None:
    return None if importlib.util.find_spec(contender.package) else "not installed"


def _run_process(row: Result, workload: Workload, seconds: float) -> None:
    """Adds one process's figures to `row`, or says there why it failed."""
    arguments = ["--worker", row["contender"], "--workload", workload.name, "--seconds", str(seconds)]
    done = subprocess.run([sys.executable, __file__, *arguments], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        row["processes"].append(json.loads(done.stdout.splitlines()[-1]))
    else:
        row["problem"] = f"failed: {(done.stderr.strip().splitlines() or [f'exit status {done.returncode}'])[-1]}"


def _check_losses(workload: Workload, rows: Iterable[Result]) -> None:
    """Leaves the program if two processes' losses differ: they do not train the same thing."""
    losses = [(row["contender"], process["losses"]) for row in rows for process in row["processes"]]
    losses = [(name, values) for name, values in losses if values]
    for at, steps in enumerate(LOSSES_AFTER):
        values = [of_process[at] for _, of_process in losses]
        # Not max() - min(), which can pass over a NaN.
        if not all(abs(value - values[0]) <= TOLERANCE * abs(values[0]) for value in values):
            lines = [f"  {name}: {of_process[at]:.7g}" for name, of_process in losses]
            sys.exit("\n".join([f"{workload.name}: losses after {steps} steps differ:", *lines]))


def _say(text: str) -> None:
    """A line of progress, which the next one overwrites."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


# ---- the table ------------------------------------------------------------------------------------------------------


def summarize(workload: Workload, rows: Sequence[Result]) -> None:
    """Adds the median, minimum and maximum of its processes to each row, and the ratio to graphc."""
    for row in rows:
        times = [process["microseconds"] for process in row["processes"]]
        if row["problem"] is None:
            row |= {"microseconds": statistics.median(times), "min": min(times), "max": max(times)}
            row["how"] = _how(workload, row)
    reference = next((row.get("microseconds") for row in rows if row["contender"] == "graphc"), None)
    for row in rows:
        if row["problem"] is None and reference is not None:
            row["ratio"] = row["microseconds"] / reference


def _how(workload: Workload, row: Result) -> str:
    """The setting that most processes chose; for the products their speed, too."""
    chosen = Counter(process["setting"] for process in row["processes"])
    setting, times = chosen.most_common(1)[0]
    parts = [setting if len(chosen) == 1 else f"{setting} ({times} of {chosen.total()} processes)"]
    if not CONTENDERS[row["contender"]].trains:
        parts.append(f"{workload.flop() / row['microseconds'] / 1e3:.0f} GFLOP/s")
    return ", ".join(parts)


def _cells(row: Result) -> tuple[str, ...]:
    if row["problem"] is not None:
        return (row["contender"], "", "", "", "", row["problem"])
    times = [f"{row[key]:.4g}" if row[key] < 1000 else f"{row[key]:.0f}" for key in ("microseconds", "min", "max")]
    return (row["contender"], *times, f"{row['ratio']:.2f}" if "ratio" in row else "", row["how"])


def show(title: str, rows: Sequence[Result]) -> None:
    """Prints the table: by rich where it is installed."""
    cells = [_cells(row) for row in rows]
    if importlib.util.find_spec("rich"):
        _show_rich(title, cells)
    else:
        _show_plain(title, cells)


def _show_rich(title: str, cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for name in HEADER:
        table.add_column(name, justify="left" if name in (HEADER[0], HEADER[-1]) else "right")
    for row in cells:
        table.add_row(*row)
    # Rich takes a pipe for 80 columns, which would break every row.
    Console(width=None if sys.stdout.isatty() else 140, markup=False, highlight=False).print(table)


def _show_plain(title: str, cells: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(HEADER, *cells)]
    print(title)
    for line in (HEADER, *cells):
        numbers = [cell.rjust(width) for cell, width in zip(line[1:-1], widths[1:-1])]
        print("  ".join([line[0].ljust(widths[0]), *numbers, line[-1]]))


def show_doubt(rows: Sequence[Result]) -> None:
    """Says so if equal processes took very different times: then the table is not to be trusted."""
    doubtful = [row["contender"] for row in rows if row["problem"] is None and row["max"] > DOUBTFUL * row["min"]]
    if doubtful:
        print(f"Not to be trusted: max is over {DOUBTFUL} times min for {', '.join(doubtful)}. Was the machine busy?")


def machine() -> Result:
    """The CPU, the threads that this process may use, and the versions."""
    return {
        "cpu": _cpu(),
        "threads": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "environment": {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ},
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
    }


def _cpu() -> str:
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    """A package's version; None if it is not installed. A source tree on the path has no metadata, and is imported."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        found = importlib.util.find_spec(package)
        return None if found is None else str(importlib.import_module(package).__version__)


def show_machine(facts: Result) -> None:
    versions = [f"{name} {version}" for name, version in facts["versions"].items() if version]
    settings = [f"{name}={value}" for name, value in facts["environment"].items()]
    print(f"{facts['cpu']}, {facts['threads']} threads")
    print(", ".join([f"python {facts['python']}", *versions, *settings]))


# ---- the command line -----------------------------------------------------------------------------------------------


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="processes of each contender (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.75, help="timed seconds in each process (default: 0.75)")
    parser.add_argument("--workload", action="append", choices=WORKLOADS, help="only this one; may be repeated")
    parser.add_argument("--contender", action="append", choices=CONTENDERS, help="only this one; may be repeated")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write every figure to this file")
    parser.add_argument("--worker", choices=CONTENDERS, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main() -> int:
    options = parsed()
    workloads = [WORKLOADS[name] for name in options.workload or WORKLOADS]
    if options.worker:
        print(json.dumps(work(CONTENDERS[options.worker], workloads[0], options.seconds)))
        return 0
    facts = machine()
    show_machine(facts)
    contenders = [CONTENDERS[name] for name in options.contender or CONTENDERS]
    results: list[Result] = []
    for workload in workloads:
        rows = race(workload, contenders, options.rounds, options.seconds)
        summarize(workload, rows)
        show(str(workload), rows)
        show_doubt(rows)
        results.append({"workload": workload.name, "sizes": workload.sizes, "batch": workload.batch, "rows": rows})
    if options.json:
        options.json.write_text(json.dumps({"machine": facts, "rounds": options.rounds, "results": results}, indent=1))
    failed = [row for result in results for row in result["rows"] if str(row["problem"]).startswith("failed")]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
