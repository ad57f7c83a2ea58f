"""The race: one training step of each contender on each workload, each in a process of its own, taking turns.

A first process for each setting finds a contender's best one. Then come the rounds: a process warms up and reports the
median time of a step; the table shows the median, minimum and maximum of its processes. All start from equal weights
and data, and a contender that does not train the same thing has no time.
"""

from __future__ import annotations

import math
import statistics
from argparse import Namespace
from collections.abc import Sequence

from contenders import CONTENDERS, OWN, Contender
from peaks import least_time, machine_peaks, show_peaks
from tables import number, say, show
from timing import LOSSES_AFTER
from worker import Failed, Result, interpreter, measured
from workloads import WORKLOADS, Workload

TOLERANCE = 1e-4
DOUBTFUL = 2
TRY_SECONDS = 0.2
QUICK_SECONDS = 0.2
HEADER = ("contender", "median µs", "min", "max", "graphc is faster", "setting, or why not")
SUMMARY = (
    "workload",
    "a call",
    "best peer's",
    "faster",
    "best",
    "best peer",
    "faster",
    "of products",
    "roofline",
    "missed",
)


def main(options: Namespace) -> Result:
    """The whole race; returns every figure."""
    peaks = machine_peaks()
    show_peaks(peaks)
    print()
    contenders = [CONTENDERS[name] for name in options.contenders or CONTENDERS]
    results: list[Result] = []
    for name in options.workloads or WORKLOADS:
        workload = WORKLOADS[name]
        rows = compete(workload, contenders, options)
        summary = summarized(workload, rows, peaks)
        show(str(workload), HEADER, [_cells(row, summary) for row in rows])
        show_doubt(rows)
        print()
        results.append({"workload": name, "graph": str(workload), "rows": rows, "summary": summary})
    show_summary(results)
    failed = any(str(row["problem"]).startswith("failed") for result in results for row in result["rows"])
    return {"peaks": peaks, "results": results, "failed": failed}


# ---- the rounds -----------------------------------------------------------------------------------------------------


def compete(workload: Workload, contenders: Sequence[Contender], options: Namespace) -> list[Result]:
    """One row for each contender: its processes' figures, or why there are none."""
    rows = [_start(workload, contender, options) for contender in contenders]
    rounds, seconds = (1, QUICK_SECONDS) if options.quick else (options.rounds, options.seconds)
    for turn in range(rounds):
        for row in rows:
            if row["problem"] is None:
                say(f"{workload.name}: round {turn + 1} of {rounds}, {row['contender']}")
                found = _process(row, workload, row["setting"], seconds)
                row["processes"] += [found] if found else []
    say("")
    check_losses(rows)
    for row in rows:
        times = [process["microseconds"] for process in row["processes"]]
        if row["problem"] is None:
            row |= {"microseconds": statistics.median(times), "min": min(times), "max": max(times)}
    return rows


def _start(workload: Workload, contender: Contender, options: Namespace) -> Result:
    """A row with the fastest of the contender's settings; in a quick race with its first one."""
    row: Result = {"contender": contender.name, "kind": contender.kind, "problem": None, "processes": []}
    if interpreter(contender.package) is None:
        return row | {"problem": "not installed"}
    names = [setting.name for setting in contender.settings]
    if options.quick or len(names) == 1:
        return row | {"setting": names[0]}
    tried = {}
    for name in names:
        say(f"{workload.name}: {contender.name}, {name}")
        row["problem"] = None
        found = _process(row, workload, name, TRY_SECONDS)
        tried[name] = found["microseconds"] if found else math.inf
    fastest = min(tried, key=tried.__getitem__)
    if tried[fastest] < math.inf:
        row["problem"] = None
    return row | {"setting": fastest, "tried": {name: time for name, time in tried.items() if time < math.inf}}


def _process(row: Result, workload: Workload, setting: str, seconds: float) -> Result | None:
    """One process's figures; else None, and the row says why."""
    contender = CONTENDERS[row["contender"]]
    environment, python = contender.setting(setting).environment, interpreter(contender.package)
    assert python is not None
    arguments = {"workload": workload.name, "contender": contender.name, "setting": setting, "seconds": seconds}
    try:
        found: Result = measured("timing.train", arguments, environment, python)[0]
    except Failed as failure:
        found = {"problem": f"failed: {failure}"}
    row["problem"] = found.get("problem")
    return None if row["problem"] else found


def check_losses(rows: Sequence[Result]) -> None:
    """A contender whose losses are not those of most has failed: it does not train the same thing."""
    of_all = [process["losses"] for row in rows for process in row["processes"] if process["losses"]]
    for at, steps in enumerate(LOSSES_AFTER if of_all else ()):
        usual = statistics.median_low([losses[at] for losses in of_all if math.isfinite(losses[at])] or [math.inf])
        for row in rows:
            for value in [process["losses"][at] for process in row["processes"] if process["losses"]]:
                # Written so that a NaN is a difference.
                if not abs(value - usual) <= TOLERANCE * abs(usual) and row["problem"] is None:
                    row["problem"] = f"failed: its loss after {steps} steps is {value:.7g}, that of others {usual:.7g}"


# ---- what it means --------------------------------------------------------------------------------------------------


def summarized(workload: Workload, rows: Sequence[Result], peaks: Result) -> Result:
    """graphc beside the best of its peers: a call against calls, and the best of all; beside products and roofline."""
    least, limit = least_time(workload, peaks)
    call, best = _best(rows, True, ("call",)), _best(rows, True, ("call", "loop"))
    call_peer, peer = _best(rows, False, ("call",)), _best(rows, False, ("call", "loop"))
    products = _best(rows, False, ("bound",))
    summary: Result = {"call": call, "best": best, "call_peer": call_peer, "peer": peer, "products": products}
    summary |= {"call_ratio": _ratio(call_peer, call), "ratio": _ratio(peer, best)}
    summary |= {"of_products": _ratio(best, products), "flop": workload.flop(), "bytes": workload.bytes()}
    summary |= {"least": least, "limit": limit, "share": least / best["microseconds"] if best else None}
    summary["missed"] = missed(workload, summary, _best(rows, True, ("loop",)))
    return summary


def _best(rows: Sequence[Result], own: bool, kinds: Sequence[str]) -> Result | None:
    """The fastest of graphc's rows, or of the others."""
    timed = [row for row in rows if row["problem"] is None and row["kind"] in kinds]
    timed = [row for row in timed if (row["contender"] in OWN) == own]
    if not timed:
        return None
    fastest = min(timed, key=lambda row: float(row["microseconds"]))
    return {key: fastest[key] for key in ("contender", "microseconds")}


def _ratio(dividend: Result | None, divisor: Result | None) -> float | None:
    return dividend["microseconds"] / divisor["microseconds"] if dividend and divisor else None


def missed(workload: Workload, summary: Result, loop: Result | None) -> list[str]:
    """The workload's aims that were not reached."""
    aim, call, ratio, of_products = workload.aim, summary["call"], summary["ratio"], summary["of_products"]
    texts = []
    if aim.call and call and call["microseconds"] > aim.call:
        texts.append(f"call {aim.call} µs")
    if aim.loop and loop and loop["microseconds"] > aim.loop:
        texts.append(f"loop {aim.loop} µs")
    if aim.faster and summary["call_ratio"] and summary["call_ratio"] < aim.faster:
        texts.append(f"{aim.faster}x any call")
    if aim.faster and ratio and ratio < aim.faster:
        texts.append(f"{aim.faster}x any peer")
    if aim.products and of_products and of_products > aim.products:
        texts.append(f"{aim.products}x products")
    return texts


# ---- tables ---------------------------------------------------------------------------------------------------------


def _cells(row: Result, summary: Result) -> tuple[str, ...]:
    """A row of the workload's table: calls are compared with graphc's call, everything else with its best."""
    if row["problem"] is not None:
        return (row["contender"], "", "", "", "", row["problem"])
    own = summary["call" if row["kind"] == "call" else "best"]
    times = [number(row[key]) for key in ("microseconds", "min", "max")]
    how = row["setting"]
    if row["kind"] == "bound":
        how += f", {summary['flop'] / row['microseconds'] / 1e3:.0f} GFLOP/s"
    return (row["contender"], *times, number(_ratio(row, own), "x"), how)


def show_doubt(rows: Sequence[Result]) -> None:
    """Says so if equal processes took very different times: then the table is not to be trusted."""
    doubtful = [row["contender"] for row in rows if row["problem"] is None and row["max"] > DOUBTFUL * row["min"]]
    if doubtful:
        print(f"Not to be trusted: max is over {DOUBTFUL} times min for {', '.join(doubtful)}. Was the machine busy?")


def show_summary(results: Sequence[Result]) -> None:
    show("graphc beside the best peer", SUMMARY, [_summary_cells(result) for result in results])


def _summary_cells(result: Result) -> tuple[str, ...]:
    summary = result["summary"]
    own = [_named(summary["call"]), _named(summary["call_peer"]), number(summary["call_ratio"], "x")]
    best = [_named(summary["best"]), _named(summary["peer"]), number(summary["ratio"], "x")]
    share = "" if summary["share"] is None else f"{summary['share']:.0%} of {summary['limit']}"
    products = number(summary["of_products"], "x")
    return (result["workload"], *own, *best, products, share, "; ".join(summary["missed"]))


def _named(best: Result | None) -> str:
    if best is None:
        return ""
    time = number(best["microseconds"])
    return time if best["contender"] in OWN else f"{time} {best['contender']}"
