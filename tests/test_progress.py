"""What is shown of training: lines of a log file, a bar, a line of a notebook. The clock and Jupyter are the tests'."""

from __future__ import annotations

import sys
import types
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.training import progress


class Clock:
    """Stands still until a test turns it."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def history(*losses: float, **metrics: list[float]) -> gc.History:
    return gc.History([*losses], metrics, [2.0] * len(losses))


# ---- a log file -----------------------------------------------------------------------------------------------------


def test_a_long_epoch_has_a_line_a_minute(clock: Clock, capsys) -> None:
    with progress.shown(None, range(1, 4), 1000) as shown:
        for _ in range(5):
            clock.now += 25
            shown.samples(100, "loss 0.5")
        shown.epoch(history(0.25))
        clock.now += 59
        shown.samples(250, "loss 0.3")
        clock.now += 2
        shown.samples(250, "loss 0.2")
    assert capsys.readouterr().err.splitlines() == [
        # 300 of 3,000 samples in 75 s: 675 s more
        "epoch 1/3  300 of 1,000 samples  loss 0.5  4 samples/s  0:11:15 left",
        # 500 in 125 s: 625 s more
        "epoch 1/3  loss 0.25  250 samples/s  0:10:25 left",
        # 1,000 in 186 s: 372 s more
        "epoch 2/3  500 of 1,000 samples  loss 0.2  5 samples/s  0:06:12 left",
    ]


def test_a_long_epoch_of_unknown_length(clock: Clock, capsys) -> None:
    with progress.shown(None, range(1, 3), None) as shown:
        clock.now += 61
        shown.samples(1220, "loss 0.5")
    assert capsys.readouterr().err == "epoch 1/2  1,220 samples  loss 0.5  20 samples/s\n"


def test_the_loss_that_is_told_is_the_mean_so_far(monkeypatch, capsys, python_mode) -> None:
    """Both of arrays and of batches that are given; and a pass that trains nothing writes no lines."""
    monkeypatch.setattr(progress, "SILENCE", -1.0)
    monkeypatch.setattr("graphc.training.batches.RESPONSE", 1e-9)
    x, w = gc.input("x", ("batch",)), gc.param("w", 0.0)
    f = gc.compile(gc.mean(x), updates={w: w + 1})
    values = np.array([1, 2, 6, 7, 9, 5], "f")
    for data in [(values,), [values[:2], values[2:4], values[4:]]]:
        f.fit(data, batch_size=2, shuffle=False)
        lines = capsys.readouterr().err.splitlines()
        losses = [line.split("loss ")[1].split()[0] for line in lines]
        assert losses[:3] == ["1.5", "4", "5"]
        assert losses[-1] == "5"
    gc.compile(gc.mean(x)).evaluate(values, batch_size=2)
    assert capsys.readouterr().err == ""


# ---- a bar ----------------------------------------------------------------------------------------------------------


class Recorder:
    """In place of Rich's bar: what it was told last."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}

    def add_task(self, description: str, **fields: Any) -> int:
        self.fields = {"description": description, **fields}
        return 7

    def update(self, task: int, **fields: Any) -> None:
        assert task == 7
        self.fields |= fields


def test_a_bar_has_the_loss_so_far_and_the_last_metrics(clock: Clock) -> None:
    recorder = Recorder()
    bar = progress.Bar(recorder, range(1, 3), 50)
    assert recorder.fields == {"description": "epoch 1/2", "total": 100, "values": "", "rate": ""}
    clock.now += 2
    bar.samples(10, "loss 0.75")
    assert recorder.fields["values"] == "loss 0.75"
    assert (recorder.fields["completed"], recorder.fields["rate"]) == (10, "5 samples/s")
    bar.samples(40, "loss 0.5")  # too soon to be drawn
    assert recorder.fields["completed"] == 10
    clock.now += 8
    bar.epoch(history(0.5, accuracy=[0.75]))
    assert recorder.fields["description"] == "epoch 2/2"
    assert (recorder.fields["values"], recorder.fields["completed"]) == ("loss 0.5  accuracy 0.75", 50)
    bar.samples(10, "loss 0.25")
    assert recorder.fields["values"] == "loss 0.25  accuracy 0.75"
    assert recorder.fields["rate"] == "6 samples/s"
    bar.epoch(history(0.25, 0.125, accuracy=[0.75, 1.0]))
    assert recorder.fields["description"] == "epoch 2/2"
    assert recorder.fields["values"] == "loss 0.125  accuracy 1"


# ---- a notebook -----------------------------------------------------------------------------------------------------


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The process is one of Jupyter's, as far as it can be seen; the texts that the line under the cell has had."""
    texts: list[str] = []

    class Handle:
        def update(self, data: dict[str, str], raw: bool) -> None:
            assert raw
            texts.append(data["text/plain"])

    def display(data: dict[str, str], raw: bool, display_id: bool) -> Handle:
        assert raw
        assert display_id
        return Handle()

    kernel = types.SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: kernel))
    monkeypatch.setitem(sys.modules, "IPython.display", types.SimpleNamespace(display=display))
    return texts


def test_a_line_of_a_notebook(notebook: list[str], clock: Clock, capsys) -> None:
    with progress.shown(None, range(1, 3), 60) as shown:
        clock.now += 3
        shown.samples(30, "loss 0.75")
        shown.samples(30, "loss 0.5")  # too soon to be drawn
        clock.now += 3
        shown.epoch(history(0.5, accuracy=[0.75]))
        shown.samples(30, "loss 0.25")
    assert notebook == [
        "epoch 1/2  ━━━━━━──────────────────  loss 0.75  10 samples/s  0:00:09 left",
        "epoch 1/2  ━━━━━━━━━━━━────────────  loss 0.5  accuracy 0.75  10 samples/s  0:00:06 left",
        "epoch 2/2  ━━━━━━━━━━━━━━━━━━──────  loss 0.25  accuracy 0.75  15 samples/s  0:00:02 left",
    ]
    assert capsys.readouterr() == ("", "")


def test_training_and_evaluation_in_a_notebook(notebook: list[str], capsys, python_mode) -> None:
    x, w = gc.input("x", ("batch",)), gc.param("w", 0.0)
    f = gc.compile(gc.mean(x), updates={w: w + 1})
    f.fit([np.ones(4, "f")], epochs=2)
    assert notebook[-1].startswith("epoch 2/2  loss 1  ")
    assert notebook[-1].endswith(" samples/s")
    gc.compile(gc.mean(x)).evaluate(np.ones(4, "f"))
    assert notebook[-2].startswith("evaluate  ━━━━━━━━━━━━━━━━━━━━━━━━  ")
    assert notebook[-1] == ""
    notebook.clear()
    f.fit(np.ones(4, "f"), progress=False)
    assert notebook == []
    assert capsys.readouterr() == ("", "")


def test_ipython_in_a_terminal_is_no_notebook(notebook: list[str], monkeypatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    with progress.shown(None, range(1, 2), 10) as shown:
        shown.samples(10, "loss 1")
        shown.epoch(history(1.0))
    assert notebook == []
    assert capsys.readouterr().err == "epoch 1/1  loss 1  5 samples/s\n"
