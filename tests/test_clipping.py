"""Gradients cut by value and by norm, worked by hand; tests/peers has PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc


class Plain(gc.Optimizer):
    """A user's own: what it is given as gradient is what it takes off."""

    def update(self, param, gradient):
        return [(param, param - gradient)]


def moved(**options) -> tuple[np.ndarray, np.ndarray]:
    """What a step takes off two params of other dtypes, whose gradients are (3, -4) and 12; their norm is 13."""
    a, b = gc.param("a", np.zeros(2)), gc.param("b", np.zeros((1, 1), "f"))
    frozen, unread = gc.param("frozen", np.full(2, 7.0), trainable=False), gc.param("unread", np.ones(3))
    loss = gc.sum(a * np.array([3.0, -4.0])) + gc.sum(b * 12) + gc.sum(a * 0 * frozen)
    step = gc.compile(loss + gc.sum(gc.stop_gradient(unread)), optimizer=Plain(1.0, **options))
    step()
    np.testing.assert_array_equal(unread.value, 1)
    np.testing.assert_array_equal(frozen.value, 7)
    assert (a.value.dtype, b.value.dtype) == (np.float64, np.float32)
    return -a.value, -b.value.astype("float64")


def test_by_value(either_mode) -> None:
    a, b = moved(clip_value=3.5)
    np.testing.assert_array_equal(a, [3, -3.5])
    np.testing.assert_array_equal(b, [[3.5]])


def test_by_norm(either_mode) -> None:
    a, b = moved(clip_norm=6.5)
    np.testing.assert_allclose(a, np.array([1.5, -2]) * 13 / (13 + 1e-6), rtol=1e-14)
    np.testing.assert_allclose(b, [[6]], rtol=1e-6)


def test_a_small_norm_is_left(python_mode) -> None:
    a, b = moved(clip_norm=14.0)
    np.testing.assert_array_equal(a, [3, -4])
    np.testing.assert_array_equal(b, [[12]])


def test_by_value_first_then_by_norm(python_mode) -> None:
    """Cut to (2, -2) and 2, of norm sqrt(12)."""
    a, b = moved(clip_value=2.0, clip_norm=3**0.5)
    np.testing.assert_allclose(a, [1, -1], rtol=1e-6)
    np.testing.assert_allclose(b, [[1]], rtol=1e-6)


def test_without_any_param_to_train(python_mode) -> None:
    x = gc.input("x", ("n",))
    step = gc.compile(gc.mean(x), optimizer=gc.SGD(0.1, clip_norm=1.0, accumulate=2))
    assert step(np.ones(3, "f")) == 1


def test_bounds_are_checked() -> None:
    with pytest.raises(
        ValueError, match="clip_norm is one number above 0, for all models, or None for no clipping; got 0"
    ):
        gc.Adam(0.1, clip_norm=0.0)
    with pytest.raises(
        ValueError, match="clip_value is one number above 0, for all models, or None for no clipping; got -1"
    ):
        gc.SGD(0.1, clip_value=-1)
