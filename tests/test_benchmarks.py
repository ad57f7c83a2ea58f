"""The benchmarks measure what they say: equal workloads, right losses, tables, the command. Nothing is timed."""

from __future__ import annotations

import ast
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import copies
import estimators
import numpy as np
import pytest
import race
import run
import tables
import timing
import with_blas
import with_graphc
import with_numpy
import worker
from contenders import CONTENDERS, NotAvailable
from workloads import WORKLOADS, Aim, Chain, Dense, Regression, Workload, workload_of

import graphc as gc
from graphc import __main__ as command

BENCHMARKS = Path(run.__file__).parent
SMALL = [
    Dense.parsed("4-8-6-3/5"),
    replace(Dense.parsed("4-3/1"), bias=False),
    Regression("regression", 10),
    Chain("chain", 64, 6, lr=3.0),
]


def trained(workload: Workload, steps: int) -> list[float]:
    """The losses by graphc's interpreter, with updates done here."""
    loss, params = with_graphc.loss_of(workload)
    nodes = [loss, *gc.grad(loss, list(params.values()))]
    losses = []
    for _ in range(steps):
        now, *gradients = gc.evaluate(nodes, workload.inputs())
        losses.append(float(now))
        for param, gradient in zip(params.values(), gradients):
            param.value = (param.value - workload.lr * gradient).astype("f")
    return losses


@pytest.mark.parametrize("workload", SMALL, ids=lambda w: type(w).__name__)
def test_numpy_by_hand_trains_what_graphc_means(workload: Workload) -> None:
    step = with_numpy.call(workload)
    np.testing.assert_allclose([step() for _ in range(3)], trained(workload, 3), rtol=2e-5)


def test_a_workload_starts_from_the_same_arrays_each_time() -> None:
    for workload in SMALL:
        for make in (workload.inputs, workload.params):
            for name, array in make().items():
                assert array is not make()[name]
                np.testing.assert_array_equal(array, make()[name])
                assert array.dtype == (np.int64 if name == "labels" else np.float32)


def test_products_are_those_of_the_step() -> None:
    """4-8-6-3 at batch 5: forward and weight gradients 2*5*(32+48+18) each, input gradients 2*5*(48+18)."""
    workload = Dense.parsed("4-8-6-3/5")
    of_products = sum(2 * left.size * right.shape[1] for left, right, _ in workload.products())
    assert of_products == workload.flop() == 2 * 980 + 660
    for by in (with_blas.by_numpy, with_blas.by_scipy):
        products = workload.products()
        by(SimpleNamespace(products=lambda products=products: products))()
        # The last that is written to each out.
        for left, right, out in {id(out): (left, right, out) for left, right, out in products}.values():
            np.testing.assert_allclose(out, left @ right, rtol=1e-4, atol=1e-5)


def test_without_products_there_is_no_bound() -> None:
    with pytest.raises(NotAvailable):
        with_blas.by_numpy(WORKLOADS["chain"])


def test_least_bytes() -> None:
    """regression reads 10 pairs of float32, and reads and writes two params."""
    assert WORKLOADS["regression"].bytes() == 80 + 2 * 8


def test_workloads_by_name_or_by_sizes() -> None:
    assert workload_of("mnist") is WORKLOADS["mnist"]
    net = workload_of("64-32-10/7")
    assert isinstance(net, Dense)
    assert (net.sizes, net.batch) == ((64, 32, 10), 7)


def test_every_setting_names_a_function() -> None:
    for contender in CONTENDERS.values():
        names = [setting.name for setting in contender.settings]
        assert len(set(names)) == len(names)
        for setting in contender.settings:
            file, _, function = setting.make.partition(".")
            body = ast.parse((BENCHMARKS / f"{file}.py").read_text()).body
            assert function in {node.name for node in body if isinstance(node, ast.FunctionDef)}


def rows_of(**losses: float) -> list[worker.Result]:
    return [
        {"contender": name, "kind": "call", "problem": None, "processes": [{"losses": [value, 1.0]}]}
        for name, value in losses.items()
    ]


@pytest.mark.parametrize("wrong", [1.001, float("nan")])
def test_who_trains_something_else_has_failed(wrong: float) -> None:
    rows = rows_of(a=1.0, b=wrong, c=1.00001)
    race.check_losses(rows)
    assert [row["problem"] is None for row in rows] == [True, False, True]
    assert rows[1]["problem"].startswith("failed: its loss after 1 steps is ")


def summary_of(workload: Workload, **times: float) -> worker.Result:
    rows = [
        {"contender": name, "kind": CONTENDERS[name].kind, "problem": None, "microseconds": time, "setting": ""}
        for name, time in times.items()
    ]
    peaks = {"gflops": 1.0, "gbs": [(1, 1000.0)]}
    return race.summarized(workload, rows, peaks)


def test_calls_are_compared_with_calls_and_the_best_with_the_best() -> None:
    workload = replace(WORKLOADS["tiny"], aim=Aim(call=3, loop=1, faster=4, products=1.1))
    times = {"graphc": 4.0, "graphc run": 2.0, "NumPy": 20.0, "JAX scan": 6.0, "its products alone": 1.0}
    summary = summary_of(workload, **times)
    assert (summary["call_ratio"], summary["ratio"], summary["of_products"]) == (5, 3, 2)
    assert summary["call_peer"]["contender"] == "NumPy"
    assert summary["peer"]["contender"] == "JAX scan"
    assert (summary["least"], summary["limit"]) == (workload.flop() / 1e3, "FLOP")
    assert summary["missed"] == ["call 3 µs", "loop 1 µs", "4x any peer", "1.1x products"]


def test_without_graphc_there_is_no_ratio() -> None:
    summary = summary_of(WORKLOADS["tiny"], NumPy=20.0)
    assert (summary["call_ratio"], summary["share"], summary["missed"]) == (None, None, [])


def test_tables() -> None:
    table = tables.plain("title", ("name", "µs", "how"), [("a", "1.5", "well"), ("longer", "1,200", "")])
    assert table.splitlines() == ["title", "name       µs  how", "a         1.5  well", "longer  1,200"]
    assert [tables.number(value) for value in (None, 0.01234, 56.78, 12345.6)] == ["", "0.0123", "56.8", "12,346"]


def test_a_result_comes_back_from_a_process() -> None:
    result, seconds = worker.measured("tables.number", {"value": 2.0, "unit": "x"})
    assert result == "2x"
    assert seconds > 0
    with pytest.raises(worker.Failed, match="no_such_function"):
        worker.measured("tables.no_such_function", {})


def test_a_contender_tells_its_losses_and_time() -> None:
    result = timing.train("4-3/2", "NumPy", CONTENDERS["NumPy"].settings[0].name, 0.0)
    assert json.loads(json.dumps(result)) == result
    assert len(result["losses"]) == 2
    assert timing.train("chain", "its products alone", CONTENDERS["its products alone"].settings[0].name, 0.0) == {
        "problem": "it has no products"
    }


def test_the_command_line() -> None:
    options = run.parsed(["sweep", "--rounds", "2"])
    assert (options.kind, options.rounds, options.workloads) == ("sweep", 2, [])
    options = run.parsed(["tiny", "--quick", "--workloads", "deep"])
    assert (options.kind, options.quick, options.workloads) == ("race", True, ["deep", "tiny"])
    for wrong in (["sweep", "race"], ["nothing"]):
        with pytest.raises(SystemExit):
            run.parsed(wrong)


def test_estimators_are_compared_with_the_faster_scikit_learn() -> None:
    times = {"scikit-learn": [3.0, 8.0, 4.0], "scikit-learn, 1 thread": [2.0], "graphc, warm": [0.5, 1.0, 0.1]}
    found = [
        {"name": name, "problem": "", "seconds": seconds, "accuracy": 0.9, "epochs": 7}
        for name, each in times.items()
        for seconds in each
    ]
    rows = estimators._summaries("digits", [*found, {"name": "graphc, cold", "problem": "failed: it"}])
    assert [row.get("seconds") for row in rows] == [4.0, 2.0, 0.5, None]
    assert [row.get("faster") for row in rows] == [0.5, 1.0, 4.0, None]
    assert estimators._cells(rows[3]) == ("digits", "graphc, cold", *[""] * 6, "failed: it")


def test_an_estimator_tells_its_time_and_accuracy() -> None:
    for name in estimators.MODULES:
        result = estimators.fit(name, "iris", 0)
        assert json.loads(json.dumps(result)) == result
        assert result["accuracy"] > 0.8
        assert result["seconds"] > 0


def test_graphc_bench_hands_its_arguments_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []

    def fake(arguments: list[str], **_: object) -> object:
        seen.append(arguments)
        return subprocess.CompletedProcess(arguments, 3)

    monkeypatch.setattr(command.subprocess, "run", fake)
    assert command.main(["bench", "tiny", "--quick", "--json", "a file.json", "-h"]) == 3
    assert seen[0][1:] == [str(BENCHMARKS / "run.py"), "tiny", "--quick", "--json", "a file.json", "-h"]


def test_graphc_bench_says_where_the_benchmarks_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "__file__", str(tmp_path / "graphc" / "__main__.py"))
    assert command.main(["bench"]) == 2
    assert "checkout of graphc's source" in capsys.readouterr().err


def test_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    import pictures

    times = {"graphc": 4.0, "graphc run": 2.0, "NumPy": 20.0, "JAX scan": 6.0, "its products alone": 1.0}
    summary = summary_of(WORKLOADS["tiny"], **times)
    rows = [{"contender": n, "kind": CONTENDERS[n].kind, "problem": None, "microseconds": t} for n, t in times.items()]
    pictures.race([{"workload": "tiny", "rows": rows, "summary": summary}], tmp_path / "race.png")
    pictures.heat_map("title", [1, 4], [1, 4], [[1.0, 2.0], [0.5, 9.0]], tmp_path / "sweep.png")
    assert (tmp_path / "race.png").stat().st_size > 0
    assert (tmp_path / "sweep.png").stat().st_size > 0


def test_many_models_start_as_each_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way trains the same: a model's losses by a call of all, by calls of each, and by a loop of each."""
    monkeypatch.setattr(copies, "MODELS", 3)
    monkeypatch.setattr(copies, "median_of_step", lambda run, seconds: (1.0, 1))
    sides = [side for side in copies.SIDES if side.startswith("graphc")]
    losses = [copies.trained(side, "4-8-6-3/5", 0)["losses"] for side in sides]
    assert losses[0] == losses[1] == losses[2]
    assert len(set(losses[0])) == 3
