"""examples/own_optimizer.py: Lion beside its algorithm in NumPy, and the table."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc

EXAMPLE = Path(__file__).parent.parent / "examples" / "own_optimizer.py"


@pytest.fixture
def example() -> dict[str, Any]:
    return runpy.run_path(str(EXAMPLE))


@pytest.mark.parametrize("options", [{}, {"betas": (0.5, 0.75), "weight_decay": 0.2}], ids=str)
def test_lion_is_the_papers_algorithm(options: dict, example, rng, python_mode) -> None:
    start, x, t = rng.normal(size=(6, 4)), rng.normal(size=(7, 6)), rng.normal(size=(7, 4))
    w = gc.param("w", start)
    step = gc.compile(gc.mse(gc.input("x", (7, 6), "float64") @ w, t), optimizer=example["Lion"](0.01, **options))
    (beta1, beta2), decay = options.get("betas", (0.9, 0.99)), options.get("weight_decay", 0.0)
    theta, m = start, np.zeros_like(start)
    for _ in range(30):
        g = x.T @ (2 * (x @ theta - t) / t.size)
        update = beta1 * m + (1 - beta1) * g
        m = beta2 * m + (1 - beta2) * g
        theta = theta - 0.01 * (np.sign(update) + decay * theta)
        step(x)
    np.testing.assert_allclose(w.value, theta, rtol=1e-12)


def test_it_learns_and_prints_a_table(example, capsys, jit_mode) -> None:
    example["main"](epochs=3)
    head, *rows = capsys.readouterr().out.splitlines()
    assert "after 3 epochs, 135 steps" in head
    assert [row.split()[0] for row in rows] == ["SGD", "Adam", "Lion", "Lion"]
    assert all(float(row.split()[3].rstrip("%")) > 85 for row in rows)
