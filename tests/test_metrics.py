"""Metrics beside scikit-learn's and beside lines of NumPy, with equal scores and NaN in them."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, precision_score, recall_score, top_k_accuracy_score

import graphc as gc
from graphc.reference import evaluate

NAN = float("nan")


@pytest.fixture(scope="module")
def compiled() -> gc.Function:
    """Every metric of rows of five scores."""
    z, y = gc.input("z", ("n", 5)), gc.input("y", ("n",), "int64")
    m = gc.metrics
    tops = {k: m.top_k(z, y, k) for k in range(1, 6)}
    return gc.compile({"accuracy": m.accuracy(z, y), "confusion": m.confusion(z, y), **tops})


def test_metrics_are_those_of_scikit_learn(compiled, rng) -> None:
    z, y = rng.normal(size=(200, 5)).astype("f"), rng.integers(0, 5, 200)
    z[np.arange(200), y] += 1
    told, guess = compiled(z, y), z.argmax(1)
    assert told["accuracy"] == told[1] == accuracy_score(y, guess)
    for k in range(1, 5):
        assert told[k] == top_k_accuracy_score(y, z, k=k)
    assert told[5] == 1
    m = told["confusion"]
    assert m.dtype == np.int64
    np.testing.assert_array_equal(m, confusion_matrix(y, guess))
    np.testing.assert_allclose(m.diagonal() / m.sum(0), precision_score(y, guess, average=None), rtol=1e-15)
    np.testing.assert_allclose(m.diagonal() / m.sum(1), recall_score(y, guess, average=None), rtol=1e-15)


RANKS = [
    ([3, 2, 1, 0, -1], 2, 2),
    ([1, 1, 1, 0, 0], 0, 0),  # the first of equal scores is the largest
    ([1, 1, 1, 0, 0], 2, 2),
    ([0, 0, 0, 0, 0], 4, 4),
    ([-0.0, 0.0, -1, -1, -1], 1, 1),
    ([np.inf, 3, np.inf, 0, 0], 2, 1),
    ([0, NAN, 1, 2, 3], 4, 1),  # a NaN is larger than any score
    ([0, NAN, NAN, 2, 3], 4, 2),
    ([NAN, 1, 2, 3, 4], 0, 5),  # and never right
    ([NAN] * 5, 0, 5),
]


@pytest.mark.parametrize(("scores", "label", "rank"), RANKS)
def test_equal_scores_and_nan(compiled, scores: list[float], label: int, rank: int) -> None:
    """The rank, worked by hand, is how many scores come before the label's: fewer than k if it is in the top k."""
    told = compiled([scores], [label])
    assert told["accuracy"] == (rank == 0)
    assert [told[k] for k in range(1, 6)] == [rank < k for k in range(1, 6)]


def test_targets_may_be_probabilities_or_of_more_axes(rng) -> None:
    z, y = rng.normal(size=(4, 3, 6)), rng.integers(0, 6, (4, 3))
    one_hot = (y[..., None] == np.arange(6)) * 0.7 + 0.05
    hits = z.argmax(-1) == y
    for target in (y, one_hot):
        assert evaluate(gc.metrics.accuracy(z, target)) == hits.mean()
    top = (np.argsort(-z, -1)[..., :2] == y[..., None]).any(-1)
    assert evaluate(gc.metrics.top_k(z, y, 2)) == evaluate(gc.metrics.top_k(z, one_hot, k=2)) == top.mean()
    confused = evaluate(gc.metrics.confusion(z, y))
    np.testing.assert_array_equal(confused, confusion_matrix(y.ravel(), z.argmax(-1).ravel(), labels=range(6)))


def test_binary_accuracy(rng, either_mode) -> None:
    z = gc.input("z", ("n",))
    for dtype in ("int64", "bool", "float32", "uint8"):
        t = gc.input("t", ("n",), dtype)
        f = gc.compile([gc.metrics.binary_accuracy(z, t), gc.metrics.binary_accuracy(z, t, threshold=0)])
        scores, target = rng.normal(size=60).astype("f"), rng.integers(0, 2, 60).astype(dtype)
        assert f(scores, target) == [accuracy_score(target, scores > 0.5), accuracy_score(target, scores > 0)]
        # At the threshold the answer is no; NaN is wrong whatever the target.
        edge = np.array([0.5, 0.5, NAN, NAN, 0.0, 0.0], "f")
        assert f(edge, np.array([0, 1, 0, 1, 0, 1], dtype)) == [2 / 6, 2 / 6]


def test_what_metrics_refuse() -> None:
    z, y = gc.input("z", ("n", 5)), gc.input("y", ("n",), "int64")
    m = gc.metrics
    for k in (0, 6, -1):
        with pytest.raises(gc.ShapeError, match=f"top_k: k lies between 1 and the number of classes.*got k={k} for"):
            m.top_k(z, y, k)
    with pytest.raises(gc.ShapeError, match="a fixed one"):
        m.top_k(gc.input("z", ("n", "classes")), y)
    with pytest.raises(gc.DtypeError, match="accuracy: class indices are integers"):
        m.accuracy(z, gc.input("y", ("n",)))
    with pytest.raises(gc.ShapeError, match="accuracy: the target is class indices"):
        m.accuracy(z, gc.input("y", ("n", 1), "int64"))
    with pytest.raises(gc.ShapeError, match="binary_accuracy: scores and target have the same shape"):
        m.binary_accuracy(z, y)
    with pytest.raises(gc.DtypeError, match="confusion: the target is class indices"):
        m.confusion(z, z)
    with pytest.raises(gc.InputError, match="label 5"):
        gc.compile(m.accuracy(z, y))(np.zeros((2, 5), "f"), [0, 5])


def test_classes_in_place_of_scores_are_refused() -> None:
    z, y = gc.input("z", ("batch", 3)), gc.input("y", ("batch",), "int64")
    with pytest.raises(gc.ShapeError, match="not their argmax"):
        gc.metrics.accuracy(gc.argmax(z, -1), y)
    with pytest.raises(gc.ShapeError, match="not their argmax"):
        gc.metrics.accuracy(gc.input("c", 8, "int64"), gc.input("d", 8, "int64"))
