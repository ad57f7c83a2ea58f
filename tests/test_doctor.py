"""`python -m graphc doctor`."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc import doctor
from graphc.__main__ import main


def test_a_healthy_place(capsys, jit_mode: None) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line.split()[0] for line in lines]
    assert names == ["graphc", "packages", "CPU", "threads", "BLAS", "peaks", "cache", "ok", "ok", "ok"]
    assert gc.__version__ in lines[0]
    assert f"numpy {np.__version__}" in lines[1]


def test_what_fails_is_told(capsys, python_mode: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong() -> str:
        """two and two are four"""
        return "five"

    def broken() -> str:
        """this ends"""
        raise KeyError("it does not")

    monkeypatch.setattr(doctor, "CHECKS", (wrong, broken))
    assert main(["doctor"]) == 1
    told = capsys.readouterr().out.splitlines()[-2:]
    assert told == ["FAILED     two and two are four: five", "FAILED     this ends: KeyError: 'it does not'"]


def test_a_wrong_step_is_noticed(python_mode: None, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluate = gc.evaluate
    monkeypatch.setattr(gc, "evaluate", lambda *args, **kwargs: [each + 1e-3 for each in evaluate(*args, **kwargs)])
    assert "a loss of" in doctor._interpreter()
    monkeypatch.setattr(gc, "tanh", lambda x: gc.sin(x))
    assert "ulp at" in doctor._functions()
