"""Emitted text that does not compile is reported as graphc's fault; and its lines live as long as its functions."""

from __future__ import annotations

import gc as memory
import linecache
import re
import tempfile
import traceback
from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc.backend.emit import emit


def emitted(monkeypatch: pytest.MonkeyPatch, spoil) -> None:
    monkeypatch.setattr("graphc.pipeline.emit", lambda plan: spoil(emit(plan)))


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


WRONG = {
    "a name": ("step", "    wrong = not_a_name + 1\n", "NameError: name 'not_a_name' is not defined"),
    "types": ("step", "    wrong = 'text' @ 2\n", "No implementation of function"),
    "a kernel": ("k0", "    wrong = 'text' @ 2\n", "No implementation of function"),
}


@pytest.mark.parametrize("fault", WRONG)
def test_what_numba_refuses_is_reported(fault: str, reports: Path, monkeypatch, jit_mode, fused: None) -> None:
    function, statement, word = WRONG[fault]
    emitted(monkeypatch, lambda source: re.sub(rf"(\ndef {function}\(.*\n)", lambda m: m[1] + statement, source))
    x = gc.input("x", ("n",))
    with pytest.raises(gc.CompilerError) as caught:
        gc.compile(gc.sum(x * 2), name="my step!")
    message = str(caught.value)
    assert message.startswith(
        f"my step! does not compile: a bug in graphc, not in your program\n  in {function}, line "
    )
    assert f" of the emitted source: {statement.strip()}\n  TypingError: {word}" in message
    assert "Error" in type(caught.value.__cause__).__name__
    (report,) = reports.iterdir()
    assert message.endswith(str(report))
    text = report.read_text(encoding="utf-8")
    assert statement in text
    assert re.search(r"# Python 3\.\d+", text)
    assert re.search(r"# numba \d", text)
    assert word in text.split("def ")[0], "the whole error is there"
    shown = traceback.format_exception(caught.value)
    assert message.splitlines()[0] in shown[-1], "the last that a user sees is graphc's"


def test_text_that_is_no_python_is_reported(reports: Path, monkeypatch, either_mode) -> None:
    emitted(monkeypatch, lambda source: source + "\ndef broken(:\n    pass\n")
    with pytest.raises(
        gc.CompilerError, match=r"line \d+ of the emitted source: def broken\(:\n  SyntaxError: "
    ) as caught:
        gc.compile(gc.input("x", ("n",)) * 2)
    assert isinstance(caught.value.__cause__, SyntaxError)


def test_where_no_file_can_be_written_it_says_so(monkeypatch, tmp_path: Path, python_mode) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    emitted(monkeypatch, lambda source: "(")
    with pytest.raises(gc.CompilerError, match=r"the source could not be written: .*missing"):
        gc.compile(gc.input("x", ("n",)) * 2)


def test_what_is_no_fault_of_the_text_stays_itself(monkeypatch, jit_mode) -> None:
    def fail(*args: object) -> None:
        raise MemoryError

    monkeypatch.setattr("graphc.backend.jit.jit", fail)
    with pytest.raises(MemoryError):
        gc.compile(gc.input("x", ("n",)) * 2.125)


# ---- lines ----------------------------------------------------------------------------------------------------------


def lines_kept() -> set[str]:
    memory.collect()
    return {name for name in linecache.cache if name.startswith("<graphc ")}


def test_lines_show_in_tracebacks_and_are_let_go_of(either_mode) -> None:
    before = lines_kept()
    x = gc.input("x", ("n",))
    f = gc.compile(gc.sum(x * 2.375), name="kept")
    f(np.ones(3, "f"))
    new = lines_kept() - before
    if either_mode == "python":
        (name,) = new
        assert "def step(" in "".join(linecache.getlines(name))
    del f
    assert lines_kept() <= before


def test_two_functions_of_one_text(python_mode) -> None:
    before = lines_kept()
    x = gc.input("x", ("n",))
    first, second = (gc.compile(gc.sum(x * 2.625), name="twice") for _ in range(2))
    (name,) = lines_kept() - before
    del first
    assert name in lines_kept()
    second(np.ones(3, "f"))
    del second
    assert name not in lines_kept()


def test_the_lines_of_njit_are_let_go_of(jit_mode) -> None:
    before = lines_kept()
    f = gc.compile(gc.sum(gc.input("x", ("n",)) * 2.875), name="inner")
    f.njit(np.ones(3, "f"))
    assert any(name.startswith("<graphc njit inner") for name in lines_kept() - before)
    del f
    assert lines_kept() <= before
