"""Each remedy that an error tells to try works: applied as it is told, it makes a node of the type that is told."""

from __future__ import annotations

import re

import numpy as np
import pytest

import graphc as gc

INPUTS = {
    "x": ("n", 4),
    "W": (3, 4),
    "v": ("n",),
    "tall": (4, "n"),
    "other": ("n", 5),
    "images": ("n", 28, 28),
    "D": (784, 10),
    "flat": ("n", 784),
    "queries": ("n", 6, 4),
    "keys": ("n", 5, 4),
    "A": (3, 4),
    "B": (4, 3),
    "column": ("n", 1),
    "p": ("n", 10),
    "rows": ("n", 10),
    "fixed": (2, 3),
    "sequence": ("n", "time", 8),
    "state": ("n", 8),
    "table": (100, 8),
}


def names() -> dict[str, object]:
    """A node for each name of INPUTS, labels of integers, and gc."""
    made = {name: gc.input(name, shape) for name, shape in INPUTS.items()}
    labels = {"y": gc.input("y", ("n",), "int64"), "y1": gc.input("y1", ("n", 1), "int64")}
    others = {"onehot": gc.input("onehot", ("n", 10), "int64"), "mask": gc.input("mask", ("n",), "bool")}
    return {**made, **labels, **others, "gc": gc}


CASES = [
    # products
    ("x @ W", "x @ W.T", "f32[n,3]"),
    ("tall @ B", "tall.T @ B", "f32[n,3]"),
    ("x @ other", "x.T @ other", "f32[4,5]"),
    ("images @ D", "images.reshape(images.shape[0], -1) @ D", "f32[n,10]"),
    ("queries @ keys", "queries @ gc.swapaxes(keys, -1, -2)", "f32[n,6,5]"),
    ("queries @ x", "queries @ x[..., None]", "f32[n,6,1]"),
    # element by element
    ("x * v", "x * v[:, None]", "f32[n,4]"),
    ("v - x", "v[:, None] - x", "f32[n,4]"),
    ("images / v", "images / v[:, None, None]", "f32[n,28,28]"),
    ("sequence + state", "sequence + state[:, None]", "f32[n,time,8]"),
    ("A + B", "A + B.T", "f32[3,4]"),
    ("gc.maximum(x, v)", "gc.maximum(x, v[:, None])", "f32[n,4]"),
    ("gc.where(mask, x, x)", "gc.where(mask[:, None], x, x)", "f32[n,4]"),
    # losses
    ("gc.mse(column, v)", "gc.mse(column, v[:, None])", "f32"),
    ("gc.mae(v, column)", "gc.mae(v, column[:, 0])", "f32"),
    ("gc.mse(A, B)", "gc.mse(A, B.T)", "f32"),
    ("gc.mse(column, y)", "gc.mse(column, y[:, None])", "f32"),
    ("gc.binary_cross_entropy(column, v)", "gc.binary_cross_entropy(column, v[:, None])", "f32"),
    ("gc.cross_entropy(p, v)", "gc.cross_entropy(p, v.astype('int64'))", "f32"),
    ("gc.softmax_cross_entropy(p, y1)", "gc.softmax_cross_entropy(p, y1[:, 0])", "f32"),
    # integers and conditions
    ("gc.pick(p, rows)", "gc.pick(p, rows.argmax(-1))", "f32[n]"),
    ("gc.pick(p, onehot)", "gc.pick(p, onehot.argmax(-1))", "f32[n]"),
    ("gc.one_hot(v, 10)", "gc.one_hot(v.astype('int64'), size=10)", "f32[n,10]"),
    ("gc.embedding(table, v)", "gc.embedding(table, v.astype('int64'))", "f32[n,8]"),
    ("gc.take(table, v, axis=0)", "gc.take(table, v.astype('int64'), axis=0)", "f32[n,8]"),
    ("gc.where(x, x, x)", "gc.where(x > 0, x, x)", "f32[n,4]"),
    ("gc.invert(x)", "gc.invert(x > 0)", "bool[n,4]"),
    # axes
    ("fixed.sum(2)", "gc.sum(fixed, axis=1)", "f32[2]"),
    ("gc.mean(fixed, (1, 2))", "gc.mean(fixed, axis=(0, 1))", "f32"),
    ("gc.max(fixed, (0, 2), keepdims=True)", "gc.max(fixed, axis=(0, 1), keepdims=True)", "f32[1,1]"),
    ("gc.softmax(fixed, 5)", "gc.softmax(fixed, axis=-1)", "f32[2,3]"),
    ("gc.cumsum(fixed, 2)", "gc.cumsum(fixed, axis=1)", "f32[2,3]"),
    ("gc.concatenate([x, other])", "gc.concatenate([x, other], axis=1)", "f32[n,9]"),
    ("gc.concatenate([x, x], axis=2)", "gc.concatenate([x, x], axis=1)", "f32[n,8]"),
    # shapes
    ("flat.reshape(28, 28)", "gc.reshape(flat, shape=(-1, 28, 28))", "f32[n,28,28]"),
    ("fixed.reshape(5)", "gc.reshape(fixed, shape=(-1,))", "f32[6]"),
    ("fixed.reshape(2, 2)", "gc.reshape(fixed, shape=(-1, 2))", "f32[3,2]"),
    ("x.reshape(-1, -1)", "gc.reshape(x, shape=('n', -1))", "f32[n,4]"),
]


@pytest.mark.parametrize(("wrong", "remedy", "result"), CASES, ids=lambda each: each)
def test_a_remedy_works_as_it_is_told(wrong: str, remedy: str, result: str) -> None:
    known = names()
    with pytest.raises((gc.ShapeError, gc.DtypeError)) as caught:
        eval(wrong, known)
    told = re.search(r"^  try (.*), which is (\S*?)(: axes count from 0)?$", str(caught.value), flags=re.MULTILINE)
    assert told is not None, str(caught.value)
    assert told.groups()[:2] == (remedy, result)
    assert str(eval(told[1], known).type) == result


NO_REMEDY = ["x + p", "x @ D", "fixed.reshape(4, -1)", "gc.mse(x, p)", "gc.concatenate([x, images])", "v[0].sum(1)"]


@pytest.mark.parametrize("wrong", NO_REMEDY)
def test_where_nothing_is_likely_nothing_is_told(wrong: str) -> None:
    with pytest.raises(gc.ShapeError) as caught:
        eval(wrong, names())
    assert "try" not in str(caught.value)
    assert "make it" not in str(caught.value)


def test_operands_without_a_name_have_letters() -> None:
    x = gc.input("x", ("n", 4))
    with pytest.raises(gc.ShapeError) as caught:
        gc.relu(x) @ np.ones((3, 4), "f")
    lines = str(caught.value).splitlines()
    assert lines[0] == "dot: the last axis of a and the first of b must be equal, got 4 and 3"
    assert lines[1].startswith("  a: f32[n,4], relu, test_remedies.py:")
    assert lines[2].startswith("  b: f32[3,4], const, test_remedies.py:")
    assert lines[3].startswith("  in dot at test_remedies.py:")
    assert lines[4] == "  try a @ b.T, which is f32[n,3]"


def test_an_axis_of_numpys_is_an_int_too() -> None:
    with pytest.raises(gc.ShapeError, match=r"try gc\.sum\(x, axis=1\)"):
        gc.sum(gc.input("x", (2, 3)), np.int64(2))
    with pytest.raises(gc.DtypeError, match="an axis or a count is an int"):
        gc.sum(gc.input("x", (2, 3)), "rows")


def test_what_indexes_is_described_too() -> None:
    x, i = gc.input("x", ("n", 4)), gc.input("i", ("n",))
    with pytest.raises(gc.DtypeError, match=r"\n  x: f32\[n,4\], input, .*\n  i: f32\[n\], input, .*\n  indexed at "):
        x[i]
    with pytest.raises(gc.ShapeError, match=r"\n  index: i64\[2\], an array\n  indexed at "):
        x[:, np.array([1, 9])]


def test_an_array_is_described_too() -> None:
    with pytest.raises(gc.ShapeError) as caught:
        gc.cross_entropy(gc.input("p", ("n", 3)), np.zeros((4, 2)))
    assert "\n  b: f64[4,2], an array\n" in str(caught.value)


def test_a_trial_leaves_nothing_behind() -> None:
    """A remedy that is tried may fail in turn: only the user's own error is told, once."""
    with pytest.raises(gc.ShapeError) as caught:
        gc.mse(gc.input("x", ("n", 4)), gc.input("t", ("n", 3)))
    assert str(caught.value).count("\n  in mse at ") == 1
    with pytest.raises(gc.ShapeError, match="\n  in add at "):  # and the next one, too
        gc.input("x", ("n", 4)) + gc.input("t", ("n", 3))


def test_an_input_without_a_batch_axis_is_named() -> None:
    def loss(shape: tuple[int | str, ...]) -> gc.Node:
        x, y, W = gc.input("x", shape), gc.input("y", ("batch",), "int64"), gc.param("W", (784, 10))
        return gc.cross_entropy(gc.softmax(x @ W), y)

    with pytest.raises(gc.ShapeError, match=re.escape("x has no axis batch: make it gc.input('x', ('batch', 784))")):
        loss((784,))
    assert loss(("batch", 784)).shape == ()


def test_functions_over_ops_name_themselves_their_operands_and_the_line() -> None:
    x = gc.input("x", ("n", 4))
    for wrong, name in [
        (lambda: gc.concatenate([x, gc.relu(x)], axis=7), "concatenate"),
        (lambda: gc.expand_dims(x, 9), "expand_dims"),
        (lambda: gc.tensordot(x, x, axes=([0], [1])), "tensordot"),
        (lambda: gc.einsum("ij,jk->ik", x, x), "einsum"),
        (lambda: gc.softmax_cross_entropy(x, x[:, 0:2]), "softmax_cross_entropy"),
    ]:
        with pytest.raises(gc.ShapeError) as caught:
            wrong()
        assert str(caught.value).startswith(f"{name}: ")
        assert "\n  x: f32[n,4], input, test_remedies.py:" in str(caught.value)
        assert f"\n  in {name} at test_remedies.py:" in str(caught.value)


# ---- values ---------------------------------------------------------------------------------------------------------

VALUES = [
    ({"x": np.ones(784, "f"), "y": np.array([1])}, "x[None]"),
    ({"x": np.ones((784, 2), "f"), "y": np.array([1, 1])}, "x.T"),
    ({"x": np.ones((2, 28, 28), "f"), "y": np.array([1, 1])}, "x.reshape(len(x), -1)"),
    ({"x": np.ones((2, 784), "f"), "y": np.array([[1], [1]])}, "y[:, 0]"),
    ({"x": np.ones((2, 784), "f"), "y": np.eye(10, dtype=int)[:2]}, "y.argmax(-1)"),
    ({"x": np.ones((1, 784), "f"), "y": np.array(3)}, "[y]"),
]


@pytest.mark.parametrize(("feeds", "remedy"), VALUES, ids=[remedy for _, remedy in VALUES])
def test_the_remedy_for_an_array_works(feeds: dict[str, np.ndarray], remedy: str, python_mode) -> None:
    x, y = gc.input("x", ("batch", 784)), gc.input("y", ("batch",), "int64")
    f = gc.compile(gc.softmax_cross_entropy(x @ gc.param("W", (784, 10)), y))
    with pytest.raises(gc.InputError) as caught:
        f(**feeds)
    assert str(caught.value).endswith(f"; try {remedy}")
    (name,) = [name for name in feeds if name in remedy.replace("reshape", "").replace("argmax", "")]
    f(**{**feeds, name: eval(remedy, dict(feeds))})


def test_an_update_of_another_dtype() -> None:
    w = gc.param("w", np.zeros(3, "f"))
    value = gc.input("x", (3,), "float64")
    with pytest.raises(gc.GraphError, match=re.escape("\n  try .astype('float32') on the value")):
        gc.compile([], updates={w: value})
    gc.compile([], updates={w: value.astype("float32")})


def test_nothing_is_tried_where_only_a_size_disagrees(python_mode: None) -> None:
    p, q = gc.input("p", ("batch", 3)), gc.input("q", ("batch",))
    step = gc.compile(gc.mean(p) + gc.mean(q))
    with pytest.raises(gc.InputError, match="axis 0 is 6, not 5") as caught:
        step(np.ones((5, 3), "f"), np.ones(6, "f"))
    assert "try" not in str(caught.value)
