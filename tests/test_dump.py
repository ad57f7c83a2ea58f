"""GRAPHC_DEBUG and GRAPHC_DUMP: what is told of each step that is compiled."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import graphc as gc
from graphc import config
from graphc.inspect.dump import _new_folder


def step(name: str = "doubled") -> gc.Function:
    return gc.compile(gc.input("x", ("n",)) * 2, name=name)


def told(level: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> tuple[gc.Function, str]:
    monkeypatch.setattr(config, "DEBUG", level)
    made = step()
    captured = capsys.readouterr()
    assert not captured.out
    return made, captured.err


def test_level_1_is_a_line(capsys, monkeypatch, python_mode) -> None:
    _, text = told("1", capsys, monkeypatch)
    counts = "3 nodes -> 1 kernels, 0 matrix products, 0 arena slots"
    assert re.fullmatch(rf"graphc: doubled: {counts}; compiled in [\d.]+ m?s; cache none: .*\n", text)


def test_each_level_tells_more(capsys, monkeypatch, python_mode) -> None:
    assert told("0", capsys, monkeypatch)[1] == ""
    made, report = told("2", capsys, monkeypatch)
    assert str(made.report()).splitlines()[-1] in report
    assert "---- graph ----" not in report
    made, stages = told("3", capsys, monkeypatch)
    for name, text in made.stages.items():
        heading = f"---- {name} ----\n{text.rstrip()}\n"
        assert (heading in stages) == (name in ("graph", "differentiate", "simplify", "fold", "fuse", "tile", "plan"))
    made, everything = told("4", capsys, monkeypatch)
    assert all(f"---- {name} ----\n{text.rstrip()}\n" in everything for name, text in made.stages.items())


def test_the_cache_is_told(capsys, monkeypatch, tmp_path: Path, jit_mode) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path))
    assert "; cache miss: " in told("1", capsys, monkeypatch)[1]
    assert told("1", capsys, monkeypatch)[1].endswith("; cache hit\n")


@pytest.mark.parametrize("level", ["5", "yes", "-1", "1.0"])
def test_a_level_that_there_is_not(level: str, capsys, monkeypatch, python_mode) -> None:
    with pytest.raises(gc.InputError, match=rf"GRAPHC_DEBUG is a number from 0 to 4, got '{level}'"):
        told(level, capsys, monkeypatch)


def test_each_stage_is_a_file(monkeypatch, tmp_path: Path, jit_mode) -> None:
    monkeypatch.setattr(config, "DUMP", str(tmp_path / "new" / "folder"))
    made = step()
    folder = tmp_path / "new" / "folder" / "doubled-1"
    names = ["0-graph.txt", "1-differentiate.txt", "2-simplify.txt", "3-fold.txt", "4-fuse.txt", "5-tile.txt"]
    names += ["6-plan.txt", "7-emit.py", "8-llvm.ll", "9-asm.s"]
    assert sorted(path.name for path in folder.iterdir()) == names
    texts = [(folder / name).read_text(encoding="utf-8") for name in names]
    assert texts == [*made.stages.values()]
    assert str(gc.parse(texts[0])) == texts[0]


def test_no_step_overwrites_another(monkeypatch, tmp_path: Path, python_mode) -> None:
    monkeypatch.setattr(config, "DUMP", str(tmp_path))
    (tmp_path / "doubled-1").mkdir()
    (tmp_path / "doubled-2").write_text("another process's")
    for _ in range(2):
        step()
    step("other")
    assert sorted(path.name for path in tmp_path.iterdir()) == [*(f"doubled-{n}" for n in (1, 2, 3, 4)), "other-1"]
    assert not [*(tmp_path / "doubled-1").iterdir()]
    assert (tmp_path / "doubled-2").read_text() == "another process's"


def test_threads_get_folders_of_their_own(tmp_path: Path) -> None:
    made: list[Path] = []
    together = threading.Barrier(8)

    def work() -> None:
        together.wait()
        made.extend(_new_folder(tmp_path, "step") for _ in range(20))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 160


@pytest.mark.parametrize("name", ["../../up", "a/b", "..", "--", "\n", "x" * 500, "größe", "-rf", "\ud800"])
def test_any_name_makes_a_folder_here(name: str, monkeypatch, tmp_path: Path, python_mode) -> None:
    monkeypatch.setattr(config, "DUMP", str(tmp_path / "out"))
    step(name)
    (folder,) = (tmp_path / "out").iterdir()
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*-1", folder.name)
    assert len([*folder.iterdir()]) == 10
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_cannot_be_made(monkeypatch, tmp_path: Path, python_mode) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(config, "DUMP", str(tmp_path / "file"))
    with pytest.raises(OSError, match="file"):
        step()


def test_they_are_read_from_the_environment(tmp_path: Path) -> None:
    script = "import graphc as gc; gc.compile(gc.input('x', ('n',)) * 2)"
    env = {**os.environ, "GRAPHC_DEBUG": "1", "GRAPHC_DUMP": str(tmp_path / "dump"), "NUMBA_DISABLE_JIT": "1"}
    found = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert found.stderr.startswith("graphc: step: 3 nodes -> 1 kernels")
    assert (tmp_path / "dump" / "step-1" / "0-graph.txt").exists()
