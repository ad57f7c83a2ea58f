"""Benchmarks of graphc: a race beside its peers, a sweep, compile times, how steady a step is, models, estimators.

`python benchmarks/run.py [race|sweep|compile|stability|copies|sklearn] [workloads]`; the figures are also written to
out/.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pictures
from contenders import CONTENDERS
from machine import machine, show_machine
from worker import ROOT, Result
from workloads import WORKLOADS

KINDS = {
    "race": ("race", "bench", "every workload for every contender that is installed (the default)"),
    "sweep": ("sweep", "sweep", "two-layer nets of many sizes, beside NumPy by hand"),
    "compile": ("startup", "compile", "from the start of a process to the end of its first training step"),
    "stability": (
        "stability",
        "stability",
        "fresh processes on an idle and on a busy machine, and numpy.dot beside them",
    ),
    "copies": ("copies", "copies", "many models in one call, beside one after the other, and beside JAX's vmap"),
    "sklearn": ("estimators", "sklearn", "graphc.sklearn.MLPClassifier beside scikit-learn's, with equal settings"),
}
"""For each: its file, the name of what it writes, and its help."""


def parsed(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=(__doc__ or "").partition("\n")[0])
    kinds = "; ".join(f"{name}: {about}" for name, (_, _, about) in KINDS.items())
    names = f"{kinds}. And workloads, for all of them: {', '.join(WORKLOADS)}"
    parser.add_argument("what", nargs="*", choices=[*KINDS, *WORKLOADS, []], metavar="WHAT", help=names)
    parser.add_argument("--workloads", nargs="+", choices=WORKLOADS, default=[], metavar="NAME", help="the same")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, metavar="NAME", help=", ".join(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=5, help="processes of each contender (default: 5)")
    parser.add_argument("--seconds", type=float, default=0.75, help="timed seconds in each process (default: 0.75)")
    parser.add_argument("--quick", action="store_true", help="one short round, each contender at its usual setting")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the figures' file (default: out/bench.json)")
    options = parser.parse_args(arguments)
    options.kind, *more = [name for name in options.what if name in KINDS] or ["race"]
    if more:
        parser.error(f"one at a time: {options.kind}, or {more[0]}")
    options.workloads += [name for name in options.what if name in WORKLOADS]
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status is 1 if a contender failed."""
    options = parsed(arguments)
    file, name, _ = KINDS[options.kind]
    facts = machine()
    show_machine(facts)
    figures: Result = importlib.import_module(file).main(options)
    path = options.json or ROOT / "out" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"kind": options.kind, "machine": facts, **figures}, indent=1), encoding="utf-8")
    written = [str(path), *_picture(options.kind, figures, path.with_suffix(".png"))]
    print(f"written: {', '.join(written)}")
    return 1 if figures.get("failed") else 0


def _picture(kind: str, figures: Result, path: Path) -> list[str]:
    """Draws what can be drawn, and names it."""
    if not pictures.available() or kind not in ("race", "sweep"):
        return []
    if kind == "race":
        pictures.race(figures["results"], path)
    else:
        pictures.heat_map("NumPy's time over graphc's", figures["batches"], figures["widths"], figures["ratios"], path)
    return [str(path)]


if __name__ == "__main__":
    sys.exit(main())
