"""Losses against their formulas, and where the formulas overflow against the values that they should have."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.reference import evaluate


def log_softmax(z: np.ndarray) -> np.ndarray:
    """By extended precision, so that it shares no rounding with the code under test."""
    wide = z.astype(np.longdouble)
    shifted = wide - wide.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def one_hot(y: np.ndarray, classes: int) -> np.ndarray:
    return (y[:, None] == np.arange(classes)).astype(float)


def test_regression_losses(rng: np.random.Generator) -> None:
    p, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 3))
    np.testing.assert_allclose(evaluate(gc.mse(p, t)), np.mean((p - t) ** 2), rtol=1e-14)
    np.testing.assert_allclose(evaluate(gc.mae(p, t)), np.mean(np.abs(p - t)), rtol=1e-14)


FORMS = {
    "softmax_cross_entropy": gc.softmax_cross_entropy,
    "cross_entropy(softmax)": lambda z, t: gc.cross_entropy(gc.softmax(z), t),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("target", ["labels", "one-hot", "probabilities"])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_cross_entropy_is_finite_and_right(
    form, target: str, scale: float, rng: np.random.Generator, either_mode: str
) -> None:
    """Value and gradient `softmax - target`, also for logits of +-1e4, where exp overflows and softmax underflows."""
    values, y = rng.choice([-1.0, 0.5, 1.0], (6, 5)) * scale, rng.integers(0, 5, 6)
    t = {"labels": y, "one-hot": one_hot(y, 5), "probabilities": rng.dirichlet(np.ones(5), 6)}[target]
    z = gc.param("z", values)
    dense = one_hot(y, 5) if target == "labels" else t
    expected = -np.sum(dense * log_softmax(values), axis=-1).mean()
    gradient = (np.exp(log_softmax(values)) * dense.sum(-1, keepdims=True) - dense) / 6
    loss = form(z, gc.const(t))
    got = gc.compile([loss, gc.grad(loss, z)])()
    np.testing.assert_allclose(got[0], float(expected), rtol=1e-13)
    np.testing.assert_allclose(got[1], gradient.astype(float), rtol=1e-12, atol=1e-15)


def test_the_stable_form_is_recognised(python_mode: None) -> None:
    z, y = gc.input("z", ("n", 5)), gc.input("y", ("n",), "int64")
    recognised = gc.compile(gc.cross_entropy(gc.softmax(z), y)).stages["simplify"]
    direct = gc.compile(gc.softmax_cross_entropy(z, y)).stages["simplify"]

    def without_lines(text: str) -> list[str]:
        return [line.split("#")[0].rstrip() for line in text.splitlines()]

    assert without_lines(recognised) == without_lines(direct)


def test_cross_entropy_of_probabilities_that_are_no_softmax(rng: np.random.Generator) -> None:
    p, y = rng.dirichlet(np.ones(4), 6), rng.integers(0, 4, 6)
    np.testing.assert_allclose(evaluate(gc.cross_entropy(p, y)), -np.log(p[np.arange(6), y]).mean(), rtol=1e-14)


def test_a_gradient_by_the_probabilities_themselves_is_theirs(rng: np.random.Generator) -> None:
    """Asked for p = softmax(z), the rewrite may not take p away."""
    z, y = gc.param("z", rng.normal(size=(3, 4))), np.array([0, 1, 2])
    p = gc.softmax(z)
    gradient = evaluate(gc.grad(gc.cross_entropy(p, y), p))
    expected = -one_hot(y, 4) / evaluate(p) / 3
    np.testing.assert_allclose(gradient, expected, rtol=1e-13)


def test_second_derivatives_exist(rng: np.random.Generator) -> None:
    """The Hessian of log-sum-exp is diag(p) - p p', through grad of grad."""
    z = gc.param("z", rng.normal(size=4))
    first = gc.grad(gc.logsumexp(z), z)
    direction = rng.normal(size=4)
    product = evaluate(gc.grad(gc.sum(first * direction), z))
    p = evaluate(gc.softmax(z))
    np.testing.assert_allclose(product, p * direction - p * (p @ direction), rtol=1e-13)


# ---- yes and no -----------------------------------------------------------------------------------------------------

BINARY_FORMS = {
    "sigmoid_cross_entropy": gc.sigmoid_cross_entropy,
    "binary_cross_entropy(sigmoid)": lambda z, t: gc.binary_cross_entropy(gc.sigmoid(z), t),
}


@pytest.mark.parametrize("form", BINARY_FORMS.values(), ids=BINARY_FORMS)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_binary_cross_entropy_is_finite_and_right(form, scale: float, rng: np.random.Generator, either_mode) -> None:
    """Value and gradient `sigmoid - target`, also for logits of +-1e4, where sigmoid is exactly 0 or 1."""
    values, t = rng.choice([-1.0, 0.25, 1.0], (6, 5)) * scale, rng.random((6, 5)).round(1)
    z = gc.param("z", values)
    wide = values.astype(np.longdouble)
    expected = (np.logaddexp(0, wide) - t * wide).mean()
    gradient = (1 / (1 + np.exp(-wide)) - t) / 30
    loss = form(z, gc.const(t))
    got = gc.compile([loss, gc.grad(loss, z)])()
    np.testing.assert_allclose(got[0], float(expected), rtol=1e-13)
    np.testing.assert_allclose(got[1], gradient.astype(float), rtol=1e-12, atol=1e-15)


def test_binary_cross_entropy_of_certain_predictions_is_pytorchs() -> None:
    """A wrong certainty costs 100, a right one nothing (torch.nn.functional.binary_cross_entropy)."""
    p, t = gc.param("p", np.array([0.0, 1.0, 0.0, 1.0, 0.25])), np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    loss = gc.binary_cross_entropy(p, t)
    assert evaluate(loss) == pytest.approx((0 + 0 + 100 + 100 - np.log(0.25)) / 5)
    assert np.isfinite(evaluate(gc.grad(loss, p))).all()


def test_huber_is_quadratic_inside_and_linear_outside() -> None:
    t = gc.param("t", np.array([0.0, 0.5, -2.0, 4.0]))
    loss = gc.huber(t, np.zeros(4), delta=2.0)
    assert evaluate(loss) == pytest.approx((0 + 0.125 + 2.0 + 2 * (4 - 1)) / 4)
    np.testing.assert_allclose(evaluate(gc.grad(loss, t)) * 4, [0, 0.5, -2, 2])


# ---- weights and smoothing ------------------------------------------------------------------------------------------

PAIRS = ["mse", "mae", "huber", "binary_cross_entropy", "sigmoid_cross_entropy"]


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("shape", [(6,), (6, 4)])
def test_a_weight_counts_a_sample_that_often(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> None:
    """Whole weights equal repeated samples, but for the number that divides the sum."""
    p, t, w = rng.uniform(0.1, 0.9, shape), rng.uniform(0.1, 0.9, shape), np.array([0, 1, 2, 3, 1, 0])
    loss = getattr(gc, name)
    weighted = evaluate(loss(p, t, weights=w)) * 6
    repeated = evaluate(loss(np.repeat(p, w, 0), np.repeat(t, w, 0))) * w.sum()
    np.testing.assert_allclose(weighted, repeated, rtol=1e-13)


@pytest.mark.parametrize("form", [*FORMS.values(), gc.cross_entropy], ids=[*FORMS, "cross_entropy"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_smoothed_labels_are_mixed_probabilities(form, smoothing: float, rng: np.random.Generator) -> None:
    z, y = rng.dirichlet(np.ones(5), 6), rng.integers(0, 5, 6)
    mixed = (1 - smoothing) * one_hot(y, 5) + smoothing / 5
    if form is FORMS["cross_entropy(softmax)"]:
        got = evaluate(gc.cross_entropy(gc.softmax(z), y, label_smoothing=smoothing))
    else:
        got = evaluate(form(z, y, label_smoothing=smoothing))
    np.testing.assert_allclose(got, evaluate(form(z, mixed)), rtol=1e-12)


def test_a_class_of_probability_zero_costs_nothing_where_nobody_expects_it() -> None:
    p, t = gc.param("p", np.array([[0.5, 0.5, 0.0]])), np.array([[0.0, 1.0, 0.0]])
    loss = gc.cross_entropy(p, t)
    assert evaluate(loss) == pytest.approx(np.log(2))
    np.testing.assert_allclose(evaluate(gc.grad(loss, p)), [[0, -2, 0]])


def test_wrong_weights_and_options_are_refused() -> None:
    p = gc.input("p", ("n", 3), "float64")
    with pytest.raises(gc.ShapeError, match="weights have the shape of the first axes"):
        gc.mse(p, p, weights=np.ones(3))
    with pytest.raises(ValueError, match="delta is positive"):
        gc.huber(p, p, delta=0)
    with pytest.raises(ValueError, match="label_smoothing lies between 0 and 1"):
        gc.cross_entropy(p, p, label_smoothing=1.5)
