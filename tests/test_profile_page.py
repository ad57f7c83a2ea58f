"""How a profile shows itself: as a table, in a terminal, as a picture and as a trace."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from rich.console import Console

from graphc.inspect.profile import Event, Profile, ProfileRow, limit

ROW = ProfileRow("%6", "r0", ("dot",), ("net.py:3",), 8e-6, 0.8, 2, 4_000, 8_000, 5e8, 1e9, "FLOP", 0.5)
OTHER = replace(ROW, name="k1", region=None, ops=("add", "relu"), seconds=1e-6, share=0.1, calls=1, bytes=10, flop=0)
REST = ProfileRow("the rest", None, (), (), 1e-6, 0.1, 0, 0, 0, 0.0, 0.0, "neither", 0.0)
PROFILE = Profile(
    *(
        "net",
        {"batch": 64},
        2,
        1234,
        False,
        1e-5,
        9e-6,
        "float32",
        2e9,
        1e9,
        (replace(OTHER, bound="bytes"), ROW, REST),
    ),
    (
        Event("net", "step", 0, 0.0, 1e-5),
        Event("%6", "kernel", 1, 2.5e-6, 4e-6, 1),
        Event("r0", "region", 0, 1e-6, 8e-6),
        Event("%6", "kernel", 0, 1.5e-6, 4e-6, 0),
    ),
)


def test_the_table() -> None:
    heading, peak, empty, titles, *lines = str(PROFILE).splitlines()
    assert heading == "net(batch=64): 10 µs a step with clocks, 9 µs without; 1,234 steps on at most 2 threads"
    assert peak == "peaks on 2 threads: 2 GFLOP/s (float32 products), 1 GB/s (a large copy)"
    assert empty == ""
    cells = [line.split() for line in lines]
    assert " ".join(cells[0]) == "%6 r0 8 µs 80.0 % 2 4 kB 8 k 0.5 1 50 % of FLOP dot net.py:3"
    assert [line[0] for line in cells] == ["%6", "k1", "the", "total"], "the heaviest first"
    assert " ".join(cells[-1]) == "total 10 µs 100.0 % 3 4.01 kB 8 k 0.401 0.8 40 % of bytes"
    for title in ("time", "share", "calls", "bytes", "GFLOP/s"):
        end = titles.index(title) + len(title)
        assert all(line[end : end + 2] in ("", "  ") for line in lines), f"{title} is flush right"


@pytest.mark.parametrize(
    ("of_flop", "of_bytes", "told"),
    [
        (0.5, 0.2, ("FLOP", 0.5)),
        (0.2, 0.5, ("bytes", 0.5)),
        (0.3, 1.2, ("bytes", 1.2)),
        (0.2, 3.0, ("FLOP", 0.2)),
        (0.05, 3.0, ("neither", 0.05)),
        (0.05, 0.06, ("neither", 0.06)),
    ],
)
def test_what_limits_a_row(of_flop: float, of_bytes: float, told: tuple[str, float]) -> None:
    """The nearer peak; but what is much faster than memory is in caches, and memory is no limit."""
    assert limit(of_flop, of_bytes) == told


def test_the_table_in_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=160, color_system="standard")
    console.print(replace(PROFILE, rows=(replace(ROW, lines=("[bold]net.py:3",)), *PROFILE.rows[1:])))
    drawn = console.file.getvalue()
    assert "\x1b[36m" in drawn, "what FLOP limit is cyan"
    assert all(word in drawn for word in ("net(batch=64)", "%6", "50 % of FLOP", "dot", "[bold]net.py:3", "total"))
    PROFILE.show()
    assert capsys.readouterr().out == f"{PROFILE}\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    PROFILE.show()
    assert "50 % of FLOP" in capsys.readouterr().out


def test_the_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    axes = PROFILE.plot(Figure().subplots())
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([8, 1, 1])
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["%6  dot  net.py:3", "k1  add, relu  net.py:3", "the rest"]
    colours = [bar.get_facecolor() for bar in axes.patches]
    assert len(set(colours)) == 3
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"Profile\.plot.*pip install matplotlib"):
        PROFILE.plot()


def test_the_chrome_trace(tmp_path: Path) -> None:
    PROFILE.to_chrome_trace(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    complete = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    named = {event["tid"]: event["args"]["name"] for event in trace["traceEvents"] if event["name"] == "thread_name"}
    assert named == {0: "caller", 1: "graphc 1"}
    assert {event["ph"] for event in trace["traceEvents"]} == {"X", "M"}
    args = {"tile": 1, "ops": ["dot"], "lines": ["net.py:3"], "region": "r0", "bytes": 2000, "flop": 4000}
    place = {"pid": 1, "tid": 1, "ts": 2.5, "dur": 4.0}
    assert complete[1] == {"name": "%6", "cat": "kernel", "ph": "X", **place, "args": args}
    assert [event["name"] for event in complete] == ["net", "%6", "r0", "%6"]
    replace(PROFILE, timeline=(Event("%6", "step", 0, 0.0, 1e-5),)).to_chrome_trace(tmp_path / "trace.json")
    *_, step = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert (step["cat"], step["args"]) == ("step", {}), "though it has the name of a row"
