"""The examples do what they say."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def cart_pole(jit_mode, fused: None) -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLES / "cart_pole.py"))


def test_the_cart_moves_by_the_equations(cart_pole: dict[str, Any]) -> None:
    """From rest, worked by hand: the pole turns by -14.634 rad/s2, and the cart gains 9.756 m/s2."""
    state = np.zeros(4)
    cart_pole["push"](state, 10.0)
    turn = -(10 / 1.1) / (0.5 * (4 / 3 - 0.1 / 1.1))
    np.testing.assert_allclose(state, [0, 0.02 * (10 - 0.05 * turn) / 1.1, 0, 0.02 * turn], rtol=1e-14)
    state = np.array([0.0, 0.0, 0.1, 0.0])
    cart_pole["push"](state, 0.0)
    turn = 9.8 * np.sin(0.1) / (0.5 * (4 / 3 - 0.1 * np.cos(0.1) ** 2 / 1.1))
    np.testing.assert_allclose(state, [0, -0.02 * 0.05 * turn * np.cos(0.1) / 1.1, 0.1, 0.02 * turn], rtol=1e-14)


def test_the_policy_learns_to_balance_the_pole(cart_pole: dict[str, Any]) -> None:
    lengths = cart_pole["native"]()(400)
    assert lengths[:50].mean() < 60
    assert lengths[-50:].mean() > 150


def test_the_cart_and_pole_shows_both_ways(cart_pole: dict[str, Any], capsys, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    cart_pole["main"](50)
    printed = capsys.readouterr().out
    assert Path("out/cart_pole.png").stat().st_size > 10_000
    assert printed.count("episodes   1 to  50: mean length") == 2
    assert "all native is" in printed


def test_learning_rates_begin_alike_and_end_as_each_makes_them(
    jit_mode, fused: None, capsys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With next to no rate a network keeps the loss that NumPy computes for the weights that all have at first."""
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path(str(EXAMPLES / "learning_rates.py"))
    images, _, labels, _ = names["load_data"]()
    step, _ = names["build"](np.array([1e-12, 0.2]))
    weights = [param.value for param in step.params]
    assert all(np.array_equal(each[0], each[1]) for each in weights)
    W1, b1, W2, b2 = (each[0].astype(float) for each in weights)
    z = np.maximum(images @ W1 + b1, 0) @ W2 + b2
    loss = np.mean(np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), labels])

    history = names["main"](np.array([1e-12, 0.2]), 3)
    still, trained = np.array(history.loss).T
    np.testing.assert_allclose(still, loss, rtol=1e-5)
    assert trained[-1] < 0.5
    assert history.metrics["accuracy"][-1][1] > 0.85
    assert "best            0.2000" in capsys.readouterr().out
    assert Path("out/learning_rates.png").exists()
