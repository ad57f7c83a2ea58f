"""What fit refuses, before anything changes; what fails in a step, and where; and what a user sees."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib.figure import Figure
from models import batch, classifier
from test_batches import batches_of

import graphc as gc


def state(f: gc.Function) -> list[bytes]:
    return [param.value.tobytes() for param in f.params]


X, Y = batch(np.random.default_rng(0), 20)
NAN = X.copy()
NAN[13] = np.nan

REFUSED = {
    "a name": ({"x": X, "z": Y}, {}, "step has no input 'z'; its inputs are x, y"),
    "a missing name": ({"x": X}, {}, "step also wants y"),
    "a short tuple": ((X,), {}, "step also wants y"),
    "a long tuple": ((X, Y, Y), {}, r"step takes 2 inputs \(x, y\), got 3"),
    "an array": (X, {}, r"data is a dict or a tuple of arrays \(x, y\), got ndarray"),
    "nothing": (None, {}, "got NoneType"),
    "a rank": ((X[:, 0], Y), {}, r"input x wants f32\[batch,64\], got 1 axes: shape \(20,\)"),
    "a trailing size": ((X[:, :63], Y), {"batch_size": 8}, r"got shape \(8, 63\): axis 1 is 63, not 64"),
    "a dtype": ((X.astype("f8"), Y), {}, r"got dtype float64, .* x.astype\('float32'\)"),
    "labels that are floats": ((X, Y * 1.0), {}, "input y wants .*, got dtype float64"),
    "lengths": ((X, Y[:19]), {}, "differ in their number of rows: x has 20, y has 19"),
    "no rows": ((X[:0], Y[:0]), {}, "the data is empty: x, y have no rows"),
    "a mask": ((np.ma.array(X, mask=X > 0.5), Y), {}, "got a masked array"),
    "batch_size 0": ((X, Y), {"batch_size": 0}, "batch_size is at least 1, got 0"),
    "batch_size 1.5": ((X, Y), {"batch_size": 1.5}, "batch_size is an int, got 1.5"),
    "epochs": ((X, Y), {"epochs": -1}, "epochs is at least 0, got -1"),
    "seed": ((X, Y), {"seed": 2**32}, r"seed is at least 0 and below 2\*\*32, got 4294967296"),
    "a callback": ((X, Y), {"callbacks": [3]}, r"a callback is called with \(epoch, history\), got 3"),
    "metrics": ((X, Y), {"metrics": ["accuracy"]}, "metrics is a dict of name -> node"),
    "a metric": ((X, Y), {"metrics": {"m": 3.0}}, "the metric 'm' is a node, got 3.0"),
    "a metric's name": ((X, Y), {"metrics": {"loss": gc.const(1.0)}}, "'loss' is measured anyway"),
    "a metric's shape": ((X, Y), {"metrics": {"m": gc.const([1.0])}}, "'m' is a scalar, such as gc.mean"),
    "a metric's input": (
        (X, Y),
        {"metrics": {"m": gc.sum(gc.input("other", 3))}},
        r"needs an input that the function does not take:\n  other: .*\n.*inputs=\[..., other\]",
    ),
    "validation": ((X, Y), {"validation": (X, Y[:3])}, "validation data: the data's arrays .*: x has 20, y has 3"),
    "an iterator": (iter([(X, Y)]), {"epochs": 2}, "gives its batches once, and fit wants them in each of 2 epochs"),
    "a validation iterator": (
        (X, Y),
        {"validation": iter([(X, Y)]), "epochs": 2},
        "validation data: an iterator gives its batches once",
    ),
    "a validation name": ((X, Y), {"validation": {"x": X, "z": Y}}, "validation data: step has no input 'z'"),
    "an iterator for metrics": (iter([(X, Y)]), {"metrics": {"m": gc.const(1.0)}}, "and again for the metrics"),
    "an empty iterable": ([], {}, "the data gave no samples in epoch 1"),
    "a batch of nothing": ([(X,)], {}, "step also wants y\n?.*\n  in step 1 of epoch 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_fit_refuses_changes_nothing(case: str, python_mode) -> None:
    data, options, message = REFUSED[case]
    f = gc.compile(classifier().loss, optimizer=gc.SGD(0.1, momentum=0.9))
    before = state(f)
    with pytest.raises(gc.InputError, match=message):
        f.fit(data, **options, progress=False)
    assert state(f) == before


def test_more_rows_than_can_be_shuffled(monkeypatch, python_mode) -> None:
    monkeypatch.setattr("graphc.training.batches.MOST_ROWS", 19)
    f = gc.compile(classifier().loss, optimizer=gc.SGD(0.1))
    with pytest.raises(gc.InputError, match="at most 19 rows can be shuffled, got 20; say shuffle=False"):
        f.fit((X, Y), progress=False)
    assert f.fit((X, Y), shuffle=False, progress=False).steps == 1


def test_which_functions_can_be_fitted(python_mode) -> None:
    model = classifier()
    with pytest.raises(gc.InputError, match=r"fit trains a function whose first output is a scalar loss; .* 0 params"):
        gc.compile(model.loss).fit((X, Y))
    w = gc.param("w", np.zeros(3))
    with pytest.raises(gc.InputError, match="fit trains a function"):
        gc.compile(w * 2, updates={w: w + 1}).fit(())
    with pytest.raises(gc.InputError, match="the inputs' first axis is cut into batches, but none of the inputs"):
        gc.compile(gc.sum(w), updates={w: w + 1}).fit(())


def test_which_axis_counts_the_samples(python_mode) -> None:
    w = gc.param("w", 0.0)
    x, y = gc.input("x", ("n", 2)), gc.input("y", ("m",))
    f = gc.compile(gc.sum(x) + gc.sum(y), updates={w: w + gc.sum(x)})
    with pytest.raises(gc.InputError, match=r"x: .*, y: .* have no common leading symbolic size; give the inputs"):
        f.fit((np.ones((4, 2), "f"), np.ones(4, "f")), progress=False)
    mask = gc.input("mask", ("n", "n"))
    f = gc.compile(gc.sum(x) + gc.sum(mask), updates={w: w + gc.sum(x)})
    with pytest.raises(gc.InputError, match="the first axis alone is cut into batches, but 'n' is another of mask"):
        f.fit((np.ones((4, 2), "f"), np.ones((4, 4), "f")), progress=False)
    a, b = gc.input("a", ("n",)), gc.input("table", ("m",))
    f = gc.compile(gc.sum(a) + gc.sum(x) + gc.sum(b), inputs=[x, a, b], updates={w: w + gc.sum(b)})
    f.fit((np.ones((4, 2), "f"), np.ones(4, "f"), np.ones(7, "f")), batch_size=2, progress=False)
    assert w.value == 14


def test_a_whole_input_in_a_params_memory(python_mode) -> None:
    w, x, scale = gc.param("w", np.ones(3)), gc.input("x", ("n",), "float64"), gc.input("scale", (3,), "float64")
    f = gc.compile(gc.sum(x) * gc.sum(scale), updates={w: w * 2})
    with pytest.raises(gc.InputError, match="scale lies in the memory of a param that training changes; give a copy"):
        f.fit((np.ones(4), w.value), progress=False)


def test_what_a_smaller_last_batch_lacks_is_said_at_the_start(python_mode) -> None:
    w, x = gc.param("w", np.zeros(3, "f")), gc.input("x", ("n",))
    f = gc.compile(gc.sum(x[0:3]), updates={w: w + x[0:3]})
    with pytest.raises(gc.InputError, match="n = 2"):
        f.fit((np.ones(8, "f"),), batch_size=6, progress=False)
    assert not w.value.any()
    f.fit((np.ones(8, "f"),), batch_size=4, progress=False)
    assert (w.value == 2).all()


@pytest.mark.parametrize("how", ["shuffled", "in order", "given"])
@pytest.mark.parametrize("fault", ["label", "loss"])
def test_a_step_that_fails_says_which(fault: str, how: str, either_mode) -> None:
    """The params are as the steps before it left them."""
    kind, message = {
        "label": (gc.InputError, r"label 10 at \[\d\] of y is outside range\(10\)"),
        "loss": (gc.NonFiniteError, "the loss is nan"),
    }[fault]
    bad = (X, np.where(np.arange(20) == 13, 10, Y)) if fault == "label" else (NAN, Y)
    orders = list(batches_of(20, 4, 2, 1, how == "shuffled"))
    failing = next(number for number, chosen in enumerate(orders) if 13 in chosen)
    data = [tuple(each[chosen] for each in bad) for chosen in orders] if how == "given" else bad
    f, same = (gc.compile(classifier().loss, optimizer=gc.SGD(0.1, momentum=0.9)) for _ in range(2))
    with pytest.raises(kind, match=message) as caught:
        f.fit(data, batch_size=4, shuffle=how == "shuffled", epochs=3, seed=2, progress=False)
    row = " (row 13 of the data)" if fault == "label" and how != "given" else ""
    assert str(caught.value).endswith(
        f"\n  in step {failing + 1} of epoch 1{row}; the steps before it are done: see error.history"
    )
    assert isinstance(caught.value.history, gc.History)
    assert (caught.value.history.steps, caught.value.history.loss) == (failing, [])
    assert failing > 0
    for chosen in orders[:failing]:
        same(X[chosen], Y[chosen])
    assert state(f) == state(same)


def test_a_validation_batch_that_fails_says_so(python_mode) -> None:
    f = gc.compile(classifier().loss, optimizer=gc.SGD(0.1))
    with pytest.raises(
        gc.InputError, match=r"validation data: label 10 at \[2\](.|\n)*in validation batch 2 of epoch 1 \(row 10 of"
    ) as caught:
        f.fit((X, Y), batch_size=8, validation=(X, np.where(np.arange(20) == 10, 10, Y)), progress=False)
    assert caught.value.history.steps == 3


def test_the_history_of_whole_epochs_is_in_the_error(python_mode) -> None:
    f = gc.compile(classifier().loss, optimizer=gc.SGD(0.1))

    def spoil(epoch: int, history: gc.History) -> None:
        if epoch == 2:
            f.params[0].value = np.full_like(f.params[0].value, np.nan)

    with pytest.raises(gc.NonFiniteError, match="in step 1 of epoch 3") as caught:
        f.fit((X, Y), batch_size=10, epochs=5, validation=(X, Y), callbacks=[spoil], progress=False)
    history = caught.value.history
    assert (len(history.loss), len(history.metrics["val_loss"]), history.steps) == (2, 2, 4)
    assert gc.NonFiniteError("before").history is None


# ---- what a user sees -----------------------------------------------------------------------------------------------


def fitted(**options: object) -> gc.History:
    f = gc.compile(classifier().loss, optimizer=gc.SGD(0.1))
    return f.fit((X, Y), epochs=2, **options)  # type: ignore[arg-type]


def test_a_line_for_each_epoch(capsys, python_mode) -> None:
    history = fitted(validation=(X, Y), metrics={"mean": gc.const(3.0)})
    first, last = capsys.readouterr().err.splitlines()
    assert first.startswith(f"epoch 1/2  loss {history.loss[0]:.4g}  val_loss {history.metrics['val_loss'][0]:.4g}")
    assert last.startswith("epoch 2/2  loss ")
    assert "  mean 3  " in last
    assert last.endswith(" samples/s")


def test_no_progress(capsys, python_mode) -> None:
    fitted(progress=False)
    assert capsys.readouterr() == ("", "")


BAR = """
import numpy as np, graphc as gc
x, w = gc.input("x", ("batch",)), gc.param("w", 0.0)
f = gc.compile(gc.sum(x), updates={w: w + gc.sum(x)})
f.fit((np.ones(32, "f"),), epochs=2)
f.fit([(np.ones(32, "f"),)])
"""


def test_a_bar_in_a_terminal() -> None:
    ours, theirs = os.openpty()
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1", "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen([sys.executable, "-c", BAR], stderr=theirs, stdout=subprocess.PIPE, env=environment) as made:
        os.close(theirs)
        shown = b"".join(read(ours)).decode()
        assert made.stdout is not None
        assert made.stdout.read() == b""
    os.close(ours)
    assert made.returncode == 0, shown
    assert "epoch 2/2" in shown
    assert "loss 32" in shown
    assert "samples/s" in shown
    assert "epoch 1/1" in shown


def read(terminal: int) -> Iterator[bytes]:
    """What is written, until the other side is closed."""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            return
        if not part:
            return
        yield part


def test_a_history_is_plain_data(python_mode) -> None:
    history = fitted(progress=False, validation=(X, Y))
    told = json.loads(json.dumps(history.to_dict()))
    assert told["loss"] == history.loss
    assert told["metrics"] == {"val_loss": history.metrics["val_loss"]}
    assert (told["steps"], told["interrupted"], len(told["seconds"])) == (2, False, 2)
    assert all(type(value) is float for value in (*history.loss, *history.metrics["val_loss"]))


def test_a_history_draws_itself(monkeypatch) -> None:
    history = gc.History([3.0, 2.0, 1.0], {"val_loss": [4.0, 3.0], "accuracy": [0.1, 0.2, 0.3]})
    axes = history.plot(Figure().subplots())
    lines = [line for each in axes.figure.axes for line in each.lines]
    assert {line.get_label(): line.get_ydata().tolist() for line in lines} == {"loss": history.loss, **history.metrics}
    assert len({line.get_color() for line in lines}) == 3
    assert axes.get_ylabel() == "loss"
    later = gc.History([3.0, 2.0], {"accuracy": [0.1, 0.2]}, initial_epoch=5).plot(Figure().subplots())
    assert [line.get_xdata().tolist() for each in later.figure.axes for line in each.lines] == [[6, 7]] * 2
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        history.plot()


def test_training_is_not_imported_with_what_it_may_never_need() -> None:
    names = ("rich", "matplotlib", "numba", "safetensors")
    script = f"import sys, graphc; print([name for name in {names} if name in sys.modules])"
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert made.stdout == "[]\n"
