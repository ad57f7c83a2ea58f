"""Gradients of several steps that move params once: as one step on all their batches."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc

START = np.random.default_rng(3).normal(size=(6, 4))


def regression(optimizer: gc.Optimizer) -> tuple[gc.Function, gc.Param]:
    w = gc.param("w", START)
    x, t = gc.input("x", ("n", 6), "float64"), gc.input("t", ("n", 4), "float64")
    return gc.compile(gc.mse(gc.tanh(x @ w), t), optimizer=optimizer), w


@pytest.fixture
def data(rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    """Twelve batches of the same size."""
    return [(rng.normal(size=(5, 6)), rng.normal(size=(5, 4))) for _ in range(12)]


def joined(batches) -> tuple[np.ndarray, ...]:
    return tuple(np.concatenate(each) for each in zip(*batches, strict=True))


KINDS = [
    (gc.SGD, {}),
    (gc.SGD, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
    (gc.RMSprop, {"momentum": 0.5}),
    (gc.AdamW, {"clip_norm": 0.05}),
]


@pytest.mark.parametrize(("kind", "options"), KINDS, ids=lambda each: getattr(each, "__name__", str(each)))
def test_four_steps_are_one_on_all_four_batches(kind, options, data, python_mode) -> None:
    (small, w), (large, v) = regression(kind(0.01, accumulate=4, **options)), regression(kind(0.01, **options))
    for first in (0, 4, 8):
        losses = [small(*batch) for batch in data[first : first + 4]]
        assert large(*joined(data[first : first + 4])) == pytest.approx(np.mean(losses), rel=1e-12)
        np.testing.assert_allclose(w.value, v.value, rtol=1e-11)
    assert not np.allclose(w.value, START)


def test_in_fit_and_compiled(data, jit_mode) -> None:
    """Seven batches of three rows: two moves, and one gradient that waits for the next call."""
    x, t = joined(data)
    (small, w), (large, v) = regression(gc.Adam(0.01, accumulate=3)), regression(gc.Adam(0.01))
    small.fit((x[:21], t[:21]), batch_size=3, shuffle=False, progress=False)
    large.run(1, x[:9], t[:9])
    large.run(1, x[9:18], t[9:18])
    np.testing.assert_allclose(w.value, v.value, rtol=1e-11)
    small.fit((x[21:27], t[21:27]), batch_size=3, shuffle=False, progress=False)
    large(x[18:27], t[18:27])
    np.testing.assert_allclose(w.value, v.value, rtol=1e-11)
    assert (small.steps, large.steps) == (9, 3)


def test_the_steps_between_change_nothing_else(data, python_mode) -> None:
    step, _ = regression(gc.Adam(0.01, accumulate=3))
    for number, batch in enumerate(data, 1):
        before = {name: value.copy() for name, value in step.state.items()}
        step(*batch)
        changed = {name for name, value in step.state.items() if (value != before[name]).any()}
        moved = {"w", "w.mean", "w.square_mean", "Adam.steps"} if number % 3 == 0 else set()
        assert changed == {"w.gradients", "Adam.gathered", *moved}
    assert step.state["Adam.steps"] == 4


def test_a_step_that_fails_is_not_counted(data, python_mode) -> None:
    (step, w), (other, v) = (regression(gc.SGD(0.1, momentum=0.5, accumulate=2)) for _ in range(2))
    for x, t in data[:5]:
        with pytest.raises(gc.NonFiniteError):
            step(x * np.nan, t)
        step(x, t)
        other(x, t)
    assert (w.value == v.value).all()
    assert step.steps == 5


def test_the_product_is_added_by_blas(python_mode, fused) -> None:
    """With beta 0 at the first of each four steps, so that nobody has to clear the sum; no gradient is stored."""
    step, _ = regression(gc.SGD(0.1, accumulate=4))
    gemm = next(line for line in step.stages["fold"].splitlines() if " = gemm(" in line)
    assert "w.gradients, 1.0:f64, " in gemm
    assert (6, 4) not in [buffer.type.shape for buffer in step._plan.program.scratch]


def test_an_optimizer_accumulates_for_one_set_of_params(python_mode) -> None:
    optimizer = gc.SGD(0.1, accumulate=2)
    a, b = gc.param("a", 2, "ones"), gc.param("b", 2, "ones")
    step = gc.compile(gc.sum(a * a), optimizer=optimizer)
    other = gc.compile(2 * gc.sum(a * a), optimizer=optimizer)  # of the same params: they share the sums
    step()
    other()
    np.testing.assert_allclose(a.value, 1 - 0.1 * (2 + 4) / 2, rtol=1e-6)
    with pytest.raises(gc.GraphError, match=r"of other params, .* make another optimizer"):
        gc.compile(gc.sum(a * b), optimizer=optimizer)


def test_its_number_is_checked() -> None:
    for wrong in (0, 1.5, None):
        with pytest.raises(ValueError, match="accumulate is an int, at least 1, got"):
            gc.SGD(0.1, accumulate=wrong)  # type: ignore[arg-type]
