"""Gradients of the user's own, and gradients that stop."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc


def test_the_users_gradient_replaces_the_formulas(rng: np.random.Generator) -> None:
    @gc.custom_gradient
    def clipped(x):
        return x * 2, lambda g: gc.clip(g, -1.0, 1.0)

    x = gc.param("x", np.array([1.0, 2.0, 3.0]))
    loss = gc.sum(clipped(x) * np.array([0.5, -3.0, 7.0]))
    got = gc.compile([loss, gc.grad(loss, x)])()
    assert got[0] == pytest.approx(2 * (0.5 - 6 + 21))
    np.testing.assert_array_equal(got[1], [0.5, -1, 1])


def test_several_arguments_and_none(rng: np.random.Generator) -> None:
    """A straight-through estimator that also lets nothing reach its second argument."""

    @gc.custom_gradient
    def stepped(x, scale):
        return gc.round(x) * scale, lambda g: (g * scale, None)

    x, scale = gc.param("x", np.array([0.4, 1.6])), gc.param("scale", np.float64(3))
    loss = gc.sum(stepped(x, scale) ** 2)
    np.testing.assert_array_equal(gc.evaluate(gc.grad(loss, x)), [0, 2 * 6 * 3])
    assert gc.evaluate(gc.grad(loss, scale)) == 0


def test_a_custom_gradient_can_be_differentiated_again() -> None:
    @gc.custom_gradient
    def cube(x):
        return x * x * x, lambda g: g * 3 * x * x

    x = gc.param("x", np.float64(2))
    assert gc.evaluate(gc.grad(gc.grad(cube(x), x), x)) == 12


@pytest.mark.parametrize(
    ("backward", "message"),
    [
        (lambda g: (g, g), "backward returned 2 cotangents for 1 arguments"),
        (lambda g: gc.sum(g), "a cotangent has its argument's shape"),
    ],
)
def test_a_wrong_cotangent_is_refused(backward, message: str) -> None:
    x = gc.param("x", np.ones(3))
    y = gc.custom_gradient(lambda x: (x, backward))(x)
    with pytest.raises(gc.ShapeError, match=message):
        gc.grad(gc.sum(y), x)


def test_no_gradient_flows_through_stop_gradient() -> None:
    x = gc.param("x", np.array([1.0, 2.0]))
    loss = gc.sum(x * gc.stop_gradient(x * x))
    np.testing.assert_array_equal(gc.evaluate(gc.grad(loss, x)), [1, 4])


def test_a_gradient_by_a_node_above_a_rewritten_one() -> None:
    """log(softmax) is rewritten before differentiation; what is computed from it keeps its gradient."""
    z = gc.param("z", np.array([[0.5, -1.0, 2.0]]))
    h = gc.log(gc.softmax(z)) * 2
    loss = gc.sum(h * h)
    by_h, by_z = gc.evaluate(gc.grad(loss, [h, z]))
    np.testing.assert_allclose(by_h, 2 * gc.evaluate(h), rtol=1e-14)
    gc.check_gradient(loss, {}, z)
    assert np.abs(by_z).max() > 0


def test_a_formulas_own_nodes_are_not_the_users() -> None:
    """rsqrt(x) is made of sqrt(x), but a gradient by the user's sqrt(x) knows only what the user computed from it."""
    x = gc.param("x", np.array([4.0, 9.0]))
    root = gc.sqrt(x)
    loss = gc.sum(gc.rsqrt(x)) + gc.sum(3 * root)
    by_root, by_x, by_loss = gc.evaluate(gc.grad(loss, [root, x, loss]))
    np.testing.assert_array_equal(by_root, [3, 3])
    np.testing.assert_allclose(by_x, 1.5 / np.sqrt(x.value) - 0.5 * x.value**-1.5, rtol=1e-14)
    assert by_loss == 1
