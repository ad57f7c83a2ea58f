"""evaluate beside one call on all data, and beside NumPy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from models import classifier
from test_fit_errors import read

import graphc as gc

ROWS = 75


@pytest.fixture
def data(rng) -> tuple[np.ndarray, np.ndarray]:
    return rng.random((ROWS, 64), dtype=np.float32), rng.integers(0, 10, ROWS)


def outputs() -> dict[str, gc.Node]:
    """Means, predictions of several shapes and dtypes, and an input that is passed on."""
    model = classifier()
    guess = gc.argmax(model.logits, -1)
    return {
        "loss": model.loss,
        "logits": model.logits,
        "guess": guess,
        "right": gc.equal(guess, model.y),
        "y": model.y,
        "accuracy": gc.metrics.accuracy(model.logits, model.y),
        "outer": gc.expand_dims(model.logits, -1) * gc.const(np.arange(3, dtype=np.float32)),
    }


@pytest.mark.parametrize("batch_size", [1, 16, 75, 256])
def test_evaluate_is_a_call_on_all_data(batch_size: int, data, either_mode) -> None:
    f = gc.compile(outputs())
    whole, told = f(*data), f.evaluate(data, batch_size=batch_size)
    assert list(told) == list(whole)
    for name in ("logits", "outer"):  # a product of few rows may be summed in another order
        np.testing.assert_allclose(told[name], whole[name], rtol=1e-5, atol=1e-6)
    for name in ("guess", "right", "y"):
        np.testing.assert_array_equal(told[name], whole[name])
    assert [told[name].dtype for name in told if name not in ("loss", "accuracy")] == [
        whole[name].dtype for name in whole if name not in ("loss", "accuracy")
    ]
    assert type(told["loss"]) is float
    assert told["loss"] == pytest.approx(whole["loss"], rel=1e-5)
    assert told["accuracy"] == pytest.approx(whole["right"].mean(), rel=1e-14)


def test_data_of_any_kind_is_evaluated_alike(data, tmp_path: Path, either_mode) -> None:
    x, y = (data[0] * 255).astype(np.uint8), data[1].astype(np.int32)
    x.tofile(tmp_path / "pixels")
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "r", shape=x.shape)
    f = gc.compile(outputs())
    expected = f.evaluate((x.astype("f"), y), batch_size=16)
    batches = [(x[first : first + 16], y[first : first + 16]) for first in range(0, ROWS, 16)]
    named = [{"x": x, "y": y} for x, y in batches]
    for given in [{"y": y, "x": x}, (mapped, y), (x[:, ::-1][:, ::-1], y.tolist()), batches, iter(batches), named]:
        told = f.evaluate(given, batch_size=16)
        for name, value in expected.items():
            np.testing.assert_allclose(told[name], value, rtol=1e-14)


def test_a_lone_array_is_the_data_of_one_input(data, either_mode) -> None:
    model, x = classifier(), data[0]
    predict = gc.compile(gc.argmax(model.logits, -1))
    expected = predict(x)
    for given in (x, (x,), {"x": x}, [x[:50], x[50:]], (each for each in (x[:1], x[1:]))):
        told = predict.evaluate(given, batch_size=20)
        assert type(told) is np.ndarray
        np.testing.assert_array_equal(told, expected)
    total = gc.param("total", 0.0)
    count = gc.compile(gc.sum(model.x), updates={total: total + gc.sum(model.x)})
    count.fit(x, epochs=1, progress=False)
    count.fit([x], epochs=1, progress=False)
    assert total.value == pytest.approx(2 * x.sum(), rel=1e-5)


def test_the_structure_is_that_of_a_call(data, python_mode) -> None:
    model = classifier()
    assert type(gc.compile(model.loss).evaluate(data)) is float
    for make in (list, tuple):
        loss, logits = told = gc.compile(make([model.loss, model.logits])).evaluate(data, batch_size=32)
        assert (type(told), type(loss), logits.shape) == (make, float, (ROWS, 10))
    loss, accuracy = gc.compile([model.loss, gc.metrics.accuracy(model.logits, model.y)]).evaluate(data)
    assert 0 <= accuracy <= 1


def test_a_fixed_batch(rng, either_mode) -> None:
    x, scale = gc.input("x", (4, 3)), gc.input("scale", (3,))
    f = gc.compile([gc.mean(x), x * scale])
    values = rng.random((12, 3), dtype=np.float32)
    mean, scaled = f.evaluate((values, [1.0, 2.0, 3.0]), batch_size=4)
    assert mean == pytest.approx(values.mean(), rel=1e-6)
    np.testing.assert_array_equal(scaled, values * np.float32([1, 2, 3]))
    with pytest.raises(gc.InputError, match=r"none of the inputs .* one of batch_size=256"):
        gc.compile(gc.mean(x)).evaluate((values,))


def test_rows_in_memory_that_is_not_aligned(rng, jit_mode) -> None:
    """A row of three bytes, or of three floats: each batch's rows begin where the last one's end."""
    x = gc.input("x", ("n", 3), "uint8")
    f = gc.compile([x + np.uint8(1), gc.astype(x, "float32") / 2, gc.astype(x, "float64") / 2])
    values = rng.integers(0, 200, (1001, 3), dtype=np.uint8)
    for size in (1, 7, 130):
        for told, expected in zip(f.evaluate(values, batch_size=size), (values + 1, values / 2, values / 2)):
            np.testing.assert_array_equal(told, expected)


def test_it_is_the_validation_of_fit(data) -> None:
    model = classifier()
    accuracy = gc.metrics.accuracy(model.logits, model.y)
    step, told = gc.compile(model.loss, optimizer=gc.SGD(0.1)), gc.compile([model.loss, accuracy])
    history = step.fit(data, epochs=2, batch_size=20, validation=data, metrics={"m": accuracy}, progress=False)
    assert told.evaluate(data, batch_size=20) == [history.metrics["val_loss"][-1], history.metrics["m"][-1]]


def test_dropout_stays_where_it_is(rng, python_mode) -> None:
    x = gc.input("x", ("batch", 1000))
    y = gc.nn.dropout(x, 0.5)
    values = np.ones((10, 1000), "f")
    dropped, plain = (gc.compile(each).evaluate(values, batch_size=5) for each in (y, gc.nn.inference(y)))
    assert 0.4 < (dropped == 0).mean() < 0.6
    assert (plain == 1).all()


def test_the_means_of_many_models(data, jit_mode) -> None:
    model = classifier()
    f = gc.compile([model.loss, gc.metrics.accuracy(model.logits, model.y)], copies=3)
    losses, parts = f.evaluate(data, batch_size=16)
    whole = f(*data)
    np.testing.assert_allclose(losses, whole[0], rtol=1e-5)
    np.testing.assert_allclose(parts, whole[1], rtol=1e-12)
    assert len(set(losses)) == 3
    with pytest.raises(gc.InputError, match=r"evaluate of many models is for scalars, got\n  .*f32\[batch,10\]"):
        gc.compile([model.loss, model.logits], copies=3).evaluate(data)


# ---- what it refuses ------------------------------------------------------------------------------------------------


def test_what_evaluate_refuses(data, python_mode) -> None:
    model = classifier()
    x, y = data
    step = gc.compile(model.loss, optimizer=gc.SGD(0.1))
    before = [param.value.copy() for param in step.params]
    with pytest.raises(
        gc.InputError, match="evaluate is for a function that changes nothing, step updates 4 params; comp"
    ):
        step.evaluate(data)
    for param, value in zip(step.params, before):
        np.testing.assert_array_equal(param.value, value)
    f = gc.compile(model.loss)
    for given, message in {
        "x": (x, r"data is a dict or a tuple of arrays \(x, y\), got ndarray"),
        "short": ((x,), "step also wants y"),
        "lengths": ((x, y[:-1]), "differ in their number of rows"),
        "empty": ((x[:0], y[:0]), "the data is empty"),
        "no batches": ([], "the data gave no samples; if it is"),
        "a batch": ([(x,)], "step also wants y\n?.*\n  in batch 1$"),
        "a number": (3, "got int"),
    }.values():
        with pytest.raises(gc.InputError, match=message):
            f.evaluate(given)
    for size in (0, 1.5):
        with pytest.raises(gc.InputError, match="batch_size is"):
            f.evaluate(data, batch_size=size)


def test_arrays_without_rows_are_refused(data, python_mode) -> None:
    model = classifier()
    confusion = gc.metrics.confusion(model.logits, model.y)
    pairs = model.logits @ gc.transpose(model.logits)
    for node in (confusion, model.params[0], pairs, gc.concatenate([model.logits, model.logits])):
        with pytest.raises(
            gc.InputError, match=r"whose first axis alone is the batch's, batch; call the function itself for"
        ):
            gc.compile(node, inputs=[model.x, model.y]).evaluate(data)
    fixed = gc.input("fixed", (4,))
    with pytest.raises(gc.InputError, match="first axis alone is the batch's; call"):
        gc.compile(fixed * 2).evaluate([np.ones(4, "f")])
    assert gc.compile(gc.sum(fixed)).evaluate([np.ones(4, "f")] * 3) == 4


@pytest.mark.parametrize("how", ["arrays", "given"])
def test_a_batch_that_fails_says_which(how: str, data, either_mode) -> None:
    x, y = data[0], np.where(np.arange(ROWS) == 43, 10, data[1])
    f = gc.compile(classifier().loss)
    given = (x, y) if how == "arrays" else [(x[:40], y[:40]), (x[40:], y[40:])]
    with pytest.raises(gc.InputError, match=r"label 10 at \[3\] of y is outside") as caught:
        f.evaluate(given, batch_size=20)
    end = "3 (row 43 of the data)" if how == "arrays" else "2"
    assert str(caught.value).endswith(f"\n  in batch {end}")
    assert f.evaluate(data) > 0


def test_ctrl_c_is_raised(data, python_mode) -> None:
    f = gc.compile(classifier().loss)

    def pressed():
        yield data
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        f.evaluate(pressed())


# ---- what a user sees -----------------------------------------------------------------------------------------------


def test_a_log_file_has_nothing_of_it(data, capsys, python_mode) -> None:
    gc.compile(classifier().loss).evaluate(data)
    assert capsys.readouterr() == ("", "")


BAR = """
import numpy as np, graphc as gc
x = gc.input("x", ("batch",))
f = gc.compile(gc.sum(x))
f.evaluate(np.ones(32, "f"), progress=WHETHER)
"""


@pytest.mark.parametrize("progress", [None, False])
def test_a_terminal_has_a_bar_while_it_lasts(progress: bool | None) -> None:
    ours, theirs = os.openpty()
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "TERM": "xterm", "COLUMNS": "100"}
    command = [sys.executable, "-c", BAR.replace("WHETHER", str(progress))]
    with subprocess.Popen(command, stderr=theirs, env=environment) as made:
        os.close(theirs)
        shown = b"".join(read(ours)).decode()
    os.close(ours)
    assert made.returncode == 0, shown
    assert ("samples/s" in shown) == (progress is None)
