"""Pictures of the figures, by matplotlib where it is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contenders import CONTENDERS, OWN
from tables import number
from worker import Result

COLORS = ("#d1495b", "#d1495b", "#444444", "#ee8b2d", "#b8860b", "#2e86ab", "#2e86ab", "#3a7d44", "#7b5ea7", "#999999")
STYLES = dict(zip(CONTENDERS, COLORS))
MARKERS = {"call": "o", "loop": "D", "bound": "|"}


def available() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


def _figure(width: float, height: float) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(width, height), layout="constrained")
    return figure, axes


def race(results: Sequence[Result], path: Path) -> None:
    """One line for each workload, one mark for each contender, at its time over that of graphc's call."""
    figure, axes = _figure(11, 1.6 + 0.62 * len(results))
    shown = [result for result in results if result["summary"]["call"]]
    for line, result in enumerate(shown):
        own = result["summary"]["call"]["microseconds"]
        axes.axhspan(line - 0.4, line + 0.4, color="#f1f1f1", linewidth=0, zorder=0)
        for row in result["rows"]:
            if row["problem"] is None:
                _mark(axes, row["microseconds"] / own, line, row)
    axes.axvline(1, color=COLORS[0], linewidth=1, zorder=1)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    times = [f"{result['workload']}\n{number(result['summary']['call']['microseconds'])} µs" for result in shown]
    axes.set_yticks(range(len(shown)), times)
    axes.set_ylim(len(shown) - 0.5, -0.5)
    axes.set_xlabel("time of a training step over that of graphc's call: right of the line is slower")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    names = {row["contender"] for result in shown for row in result["rows"] if row["problem"] is None}
    handles = [_mark(axes, float("nan"), 0, {"contender": name, "kind": CONTENDERS[name].kind}) for name in CONTENDERS]
    kept = [(handle, name) for handle, name in zip(handles, CONTENDERS) if name in names]
    axes.legend(*zip(*kept), loc="lower center", bbox_to_anchor=(0.5, 1), ncols=5, frameon=False)
    figure.savefig(path, dpi=150)


def _mark(axes: Any, ratio: float, line: int, row: Result) -> Any:
    """Calls are discs, loops hollow diamonds, a bound is a bar; each has a height of its own, so that none hides."""
    name, kind = row["contender"], row["kind"]
    color, hollow = STYLES[name], kind == "loop"
    edge = {} if kind == "bound" else {"edgecolor": color if hollow else "white"}
    return axes.scatter(
        ratio,
        line if kind == "bound" else line + 0.5 * (list(CONTENDERS).index(name) / len(CONTENDERS) - 0.4),
        s=450 if kind == "bound" else 65,
        marker=MARKERS[kind],
        facecolor="white" if hollow else color,
        linewidth=0.8 if kind == "call" else 2,
        zorder=5 if name in OWN else 3,
        **edge,
    )


def heat_map(
    title: str, rows: Sequence[int], columns: Sequence[int], ratios: Sequence[Sequence[float]], path: Path
) -> None:
    """Ratios by batch and width; white is 1, blue is faster, red is slower."""
    import numpy as np

    figure, axes = _figure(1.6 + 0.95 * len(columns), 1.6 + 0.6 * len(rows))
    values = np.log2(np.array(ratios, float))
    limit = 2.0
    axes.imshow(values, cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto")
    for i, line in enumerate(ratios):
        for j, ratio in enumerate(line):
            dark = abs(values[i][j]) > limit * 0.6
            axes.text(j, i, f"{ratio:.2f}", ha="center", va="center", color="white" if dark else "black")
    axes.set_xticks(range(len(columns)), [str(column) for column in columns])
    axes.set_yticks(range(len(rows)), [str(row) for row in rows])
    axes.set_xlabel("width")
    axes.set_ylabel("batch")
    axes.set_title(title)
    figure.savefig(path, dpi=150)
