"""One test for each message: it names the op, the rule, the facts and the user's line, and nothing has changed."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest
from models import batch, classifier

import graphc as gc


def line() -> int:
    """The caller's line number."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def here(number: int) -> str:
    return re.escape(f"test_errors.py:{number}")


# ---- when a node is made --------------------------------------------------------------------------------------------


def test_wrong_shapes_name_both_operands_and_their_lines() -> None:
    x, at_x = gc.input("x", ("batch", 784)), line()
    W, at_w = gc.param("W2", (512, 10)), line()
    with pytest.raises(gc.ShapeError) as caught:
        x @ W
    message = str(caught.value)
    assert message.startswith("dot: the last axis of a and the first of b must be equal, got 784 and 512")
    assert re.search(rf"x: f32\[batch,784\], input, {here(at_x)}", message)
    assert re.search(rf"W2: f32\[512,10\], param, {here(at_w)}", message)
    assert re.search(rf"in dot at {here(at_w + 2)}", message)
    assert isinstance(caught.value, ValueError)


def test_a_transpose_that_would_help_is_named() -> None:
    x, W = gc.input("x", ("n", 4)), gc.param("W", (3, 4))
    with pytest.raises(gc.ShapeError, match=re.escape("\n  try x @ W.T, which is f32[n,3]")):
        x @ W


def test_shapes_that_do_not_broadcast() -> None:
    x, b = gc.input("x", ("batch", 512)), gc.param("b", 10)
    with pytest.raises(gc.ShapeError, match=r"add: shapes do not broadcast: axis -1 has sizes 10 and 512") as caught:
        x + b
    assert "b: f32[10], param" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: x.reshape(5), "reshape: 6 elements do not fit (5), which has 5"),
        (lambda x: x.reshape(-1, -1), "more than one -1"),
        (lambda x: x.reshape(4, -1), "6 elements do not divide into (4, -1)"),
        (lambda x: x.sum(2), "sum: axis 2 is outside a tensor of 2 axes"),
        (lambda x: x.sum((0, 0)), "names an axis twice"),
        (lambda x: x.transpose(0, 0), "is not an order of the 2 axes"),
        (lambda x: gc.broadcast_to(x, (3, 2)), "broadcast_to: cannot be stretched to (3, 2)"),
        (lambda x: gc.squeeze(x, 0), "is not of size 1"),
        (lambda x: gc.softmax(x, 5), "softmax: axis 5 is outside"),
        (lambda x: gc.matmul(x, gc.const(2.0)), "matmul: wants tensors with axes"),
        (lambda x: gc.pick(x, np.array([0, 1, 2])), "pick: wants one label for each row of x"),
        (lambda x: gc.mse(x, x.T), "mse: prediction and target have the same shape"),
        (lambda x: gc.cross_entropy(x, np.zeros(3, int)), "class indices (...,) or probabilities (..., C)"),
    ],
)
def test_shape_rules(make, message: str) -> None:
    with pytest.raises(gc.ShapeError, match=re.escape(message)):
        make(gc.input("x", (2, 3)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: gc.pick(x, np.array([0.0, 1.0])), "pick: labels are integers, got f64[2]"),
        (lambda x: gc.cross_entropy(x, np.array([0.0, 1.0])), "class indices are integers"),
        (lambda x: gc.where(x, x, x), "where: the condition is a bool, got f32[2,3]"),
        (lambda x: gc.input("h", (2,), "float16"), "dtype float16 is not supported"),
        (lambda x: gc.const("text"), "is not supported"),
        (lambda x: gc.grad(gc.sum(gc.astype(x, "int32")), x), "grad: only floats have gradients"),
    ],
)
def test_dtype_rules(make, message: str) -> None:
    with pytest.raises(gc.DtypeError, match=re.escape(message)) as caught:
        make(gc.input("x", (2, 3)))
    assert isinstance(caught.value, TypeError)


def test_the_gradient_of_a_tensor_wants_a_scalar() -> None:
    x, at = gc.input("x", ("n", 3)), line()
    with pytest.raises(gc.ShapeError, match="grad: the loss is a scalar; take its mean or sum first") as caught:
        gc.grad(x * 2, x)
    assert re.search(here(at + 2), str(caught.value))


@pytest.mark.parametrize(
    ("use", "remedy"),
    [
        (bool, "gc.where"),
        (float, "gc.evaluate"),
        (len, ".shape"),
        (list, "whole tensor"),
        (np.exp, "gc.exp"),
        (np.asarray, "gc"),
        (lambda x: x.__setattr__("name", "y"), "a node is a value"),
    ],
)
def test_what_a_symbolic_value_cannot_do(use, remedy: str) -> None:
    with pytest.raises((TypeError, AttributeError), match=re.escape(remedy)):
        use(gc.input("x", (2,)))


def test_params_are_checked() -> None:
    w = gc.param("w", (2, 3))
    with pytest.raises(gc.ShapeError, match=re.escape("param w (test_errors.py")):
        w.value = np.zeros((3, 2), "f")
    with pytest.raises(gc.DtypeError, match="has dtype float32, got float64"):
        w.value = np.zeros((2, 3))
    with pytest.raises(TypeError, match=r"for values pass an array, np.array"):
        gc.param("w", [1.0, 2.0])
    with pytest.raises(TypeError, match="is a node already"):
        gc.const(w)
    with pytest.raises(ValueError, match="glorot_uniform"):
        gc.param("w", 3, init="magic")
    with pytest.raises(gc.ShapeError, match="a param has a fixed size"):
        gc.param("w", ("batch", 3))
    with pytest.raises(gc.ShapeError, match="named like a variable"):
        gc.input("x", ("two words",))
    with pytest.raises(TypeError, match="non-empty string"):
        gc.input("", (2,))


# ---- when a graph is compiled ---------------------------------------------------------------------------------------


def test_two_params_of_one_name() -> None:
    a, at = gc.param("w", 3), line()
    b = gc.param("w", 3)
    with pytest.raises(gc.GraphError, match="two different leaves are called 'w'") as caught:
        gc.compile(a + b)
    assert re.search(here(at), str(caught.value))
    assert re.search(here(at + 1), str(caught.value))


def test_graphs_that_cannot_be_compiled() -> None:
    x, w = gc.input("x", ("n", 3)), gc.param("w", 3)
    with pytest.raises(gc.GraphError, match="leaves out what the outputs need"):
        gc.compile(x * w, inputs=[])
    with pytest.raises(gc.GraphError, match=r"outputs are nodes, got 1\.0"):
        gc.compile(1.0)
    with pytest.raises(gc.GraphError, match="outputs are nodes, got array"):
        gc.compile([np.ones(3)])
    with pytest.raises(gc.GraphError, match=r"an optimizer is one of gc's, .* got 'sgd'"):
        gc.compile(gc.sum(w), optimizer="sgd")
    with pytest.raises(gc.GraphError, match="inputs= takes inputs, got <w = param"):
        gc.compile(x * w, inputs=[x, w])
    with pytest.raises(gc.GraphError, match="an update has its param's type"):
        gc.compile(w, updates={w: 1.0})
    with pytest.raises(gc.GraphError, match=r"two different leaves are called 'SGD.lr'"):
        gc.compile(gc.sum(w * gc.param("SGD.lr", 1.0)), optimizer=gc.SGD(0.1))
    with pytest.raises(gc.GraphError, match="names an input twice"):
        gc.compile(x * w, inputs=[x, x])
    with pytest.raises(gc.GraphError, match="only params are updated"):
        gc.compile(w, updates={x: x * 2})  # type: ignore[dict-item]
    with pytest.raises(gc.GraphError, match="an update has its param's type"):
        gc.compile(w, updates={w: gc.sum(w)})
    with pytest.raises(gc.GraphError, match="no input has an axis of size 'm'"):
        gc.compile(gc.broadcast_to(w, ("m", 3)))
    with pytest.raises(gc.GraphError, match="nothing to compute"):
        gc.compile([])
    with pytest.raises(gc.GraphError, match="an optimizer wants a loss"):
        gc.compile([], optimizer=gc.SGD(0.1))
    with pytest.raises(gc.ShapeError, match="the loss is a scalar"):
        gc.compile(x * w, optimizer=gc.SGD(0.1))


# ---- when a step is called: no param has changed --------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained():
    model = classifier()
    return model, gc.compile(model.loss, optimizer=gc.SGD(0.1, momentum=0.9))


def good(rng: np.random.Generator) -> dict[str, np.ndarray]:
    x, y = batch(rng, 4)
    return {"x": x, "y": y}


BAD_CALLS = {
    "wrong size": (
        lambda f: {**f, "x": f["x"][:, :63]},
        gc.InputError,
        r"input x wants f32\[batch,64\], got shape \(4, 63\)",
    ),
    "sizes disagree": (
        lambda f: {**f, "y": f["y"][:3]},
        gc.InputError,
        "axis 0 is 3, not 4 .batch is 4 in axis 0 of x",
    ),
    "wrong rank": (lambda f: {**f, "x": f["x"][0]}, gc.InputError, "input x wants .*got 1 axes"),
    "unsafe cast": (
        lambda f: {**f, "x": f["x"].astype("f8")},
        gc.InputError,
        r"cannot be cast safely.*x.astype\('float32'\)",
    ),
    "float labels": (lambda f: {**f, "y": f["y"] * 1.0}, gc.InputError, "input y wants .*got dtype float64"),
    "unknown name": (lambda f: {**f, "z": f["x"]}, gc.InputError, "has no input 'z'; its inputs are x, y"),
    "missing": (lambda f: {"x": f["x"]}, gc.InputError, "also wants y"),
    "label too large": (
        lambda f: {**f, "y": np.array([0, 9, 10, 3])},
        gc.InputError,
        r"label 10 at \[2\] of y is outside range\(10\)",
    ),
    "negative label": (lambda f: {**f, "y": np.array([0, -1, 1, 3])}, gc.InputError, r"label -1 at \[1\] of y"),
    "huge label": (
        lambda f: {**f, "y": np.array([2**62, 0, 0, 0])},
        gc.InputError,
        r"label 4611686018427387904 at \[0\]",
    ),
    "NaN": (
        lambda f: {**f, "x": f["x"] * np.float32("nan")},
        gc.NonFiniteError,
        "the loss is nan .*no param has changed",
    ),
    "infinity": (lambda f: {**f, "x": f["x"] * np.float32("inf")}, gc.NonFiniteError, "no param has changed"),
}


@pytest.mark.parametrize(("spoil", "error", "message"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_a_bad_call_changes_nothing(trained, rng, spoil, error, message) -> None:
    _, step = trained
    state = step._graph.params  # the optimizer's, too
    assert len(state) == 4 + 4 + 1
    before = [param.value.tobytes() for param in state]
    with pytest.raises(error, match=message):
        step(**spoil(good(rng)))
    assert [param.value.tobytes() for param in state] == before
    step(**good(rng))
    assert [param.value.tobytes() for param in state] != before, "a good call does"


def test_too_many_and_repeated_inputs(trained, rng) -> None:
    _, step = trained
    x, y = good(rng).values()
    with pytest.raises(gc.InputError, match="takes 2 inputs"):
        step(x, y, y)
    with pytest.raises(gc.InputError, match="x is given twice"):
        step(x, x=x)


def test_labels_that_are_computed_are_checked_too(python_mode) -> None:
    y = gc.input("y", ("n",), "int64")
    f = gc.compile(gc.one_hot(y + 1, 3))
    np.testing.assert_array_equal(f(np.array([0, 1])), [[0, 1, 0], [0, 0, 1]])
    with pytest.raises(gc.InputError, match=r"label 3 at \[1\] of labels is outside range\(3\)"):
        f(np.array([0, 2]))


def test_on_nonfinite_ignore_goes_on(python_mode) -> None:
    w = gc.param("w", np.ones(2))
    step = gc.compile(gc.sum(w * gc.input("x", (2,), "float64")), optimizer=gc.SGD(1.0), on_nonfinite="ignore")
    assert np.isnan(step(np.array([np.nan, 1.0])))
    np.testing.assert_array_equal(w.value, [np.nan, 0.0])
    with pytest.raises(ValueError, match="on_nonfinite"):
        gc.compile(w, on_nonfinite="maybe")


# ---- the interpreter and the gradient check -------------------------------------------------------------------------


def test_the_interpreter_names_what_is_missing() -> None:
    x = gc.input("x", ("n", 3))
    with pytest.raises(gc.InputError, match="no value is given for input x"):
        gc.evaluate(x * 2, {})
    with pytest.raises(gc.InputError, match="x has 1 axes, wants"):
        gc.evaluate(x * 2, {"x": np.ones(3)})
    with pytest.raises(gc.InputError, match=r"x has shape \(2, 4\)"):
        gc.evaluate(x * 2, {"x": np.ones((2, 4))})


def test_check_gradient_finds_a_wrong_gradient() -> None:
    w = gc.param("w", np.array([1.0, 2.0]))
    gc.check_gradient(gc.sum(w * w), {})
    wrong = gc.sum(gc.stop_gradient(w) * w)  # half of the gradient is cut off
    with pytest.raises(gc.GradientError, match=r"w: f64\[2\], param, .* is wrong at \[1\]: symbolic 2, numeric 3.99"):
        gc.check_gradient(wrong, {})
