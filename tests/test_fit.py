"""fit beside the loop of calls that it stands for: the same bits; and what it measures, beside NumPy."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import types
from pathlib import Path

import numpy as np
import pytest
from models import classifier
from test_batches import batches_of

import graphc as gc
from graphc.training.batches import ArrayBatches
from graphc.training.loop import FIRST

ROWS, BATCH, EPOCHS, SEED = 75, 16, 3, 5


def digits(rng: np.random.Generator, rows: int = ROWS) -> tuple[np.ndarray, np.ndarray]:
    """Pixels and labels, as small as files have them."""
    return rng.integers(0, 256, (rows, 64), dtype=np.uint8), rng.integers(0, 10, rows, dtype=np.int32)


def trainer(**options: object) -> gc.Function:
    """A classifier of `digits` with momentum."""
    return gc.compile(classifier().loss, optimizer=gc.SGD(0.001, momentum=0.9), **options)  # type: ignore[arg-type]


def state(f: gc.Function) -> list[bytes]:
    return [param.value.tobytes() for param in f.params]


def by_calls(f: gc.Function, data: tuple[np.ndarray, ...], shuffle: bool = True) -> list[float]:
    """Trains by a loop of calls; the mean loss of each epoch."""
    epochs = [[] for _ in range(EPOCHS)]
    batches = list(batches_of(len(data[0]), BATCH, SEED, EPOCHS, shuffle))
    for number, chosen in enumerate(batches):
        loss = f(*(array[chosen] for array in data))
        epochs[number * EPOCHS // len(batches)].append(loss * len(chosen))
    return [sum(each) / len(data[0]) for each in epochs]


def by_fit(f: gc.Function, data: object, **options: object) -> gc.History:
    given = {"batch_size": BATCH, "epochs": EPOCHS, "seed": SEED, "progress": False, **options}
    return f.fit(data, **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("shuffle", [True, False])
def test_fit_is_a_loop_of_calls(shuffle: bool, rng, either_mode) -> None:
    data = digits(rng)
    fitted, called = trainer(), trainer()
    history = by_fit(fitted, data, shuffle=shuffle)
    np.testing.assert_allclose(history.loss, by_calls(called, data, shuffle), rtol=1e-12)
    assert state(fitted) == state(called)
    assert history.steps == EPOCHS * 5
    assert (len(history.seconds), history.metrics, history.interrupted) == (EPOCHS, {}, False)


def test_data_of_any_kind_trains_alike(rng, tmp_path: Path, either_mode) -> None:
    x, y = digits(rng)
    x.tofile(tmp_path / "pixels")
    mapped = np.memmap(tmp_path / "pixels", np.uint8, "r", shape=x.shape)
    batches = [(x[chosen], y[chosen]) for chosen in batches_of(ROWS, BATCH, SEED, 1)]
    trained = []
    for data in [(x, y), {"y": y, "x": x}, (mapped, y), (x.astype("f"), y.tolist()), batches]:
        f = trainer()
        by_fit(f, data, epochs=1)
        trained.append(state(f))
    assert trained == [trained[0]] * 5


def test_batches_that_are_given(rng, either_mode) -> None:
    """They are iterated anew in each epoch, by name or in order, and weighted by their samples."""
    x, y = digits(rng)
    batches = [{"x": x[:10], "y": y[:10]}, (x[10:], y[10:])]
    fitted, called = trainer(), trainer()
    history = by_fit(fitted, batches, epochs=2, validation=batches)
    expected = [(called(x[:10], y[:10]) * 10 + called(x[10:], y[10:]) * (ROWS - 10)) / ROWS for _ in range(2)]
    np.testing.assert_allclose(history.loss, expected, rtol=1e-12)
    assert state(fitted) == state(called)
    assert history.steps == 4
    assert history.metrics["val_loss"][-1] == pytest.approx(by_fit(called, (x, y), epochs=0) and called(x, y), rel=1e-6)


def test_the_bits_do_not_depend_on_threads_nor_on_how_often_python_looks(rng, jit_mode, monkeypatch) -> None:
    data = digits(rng, 500)
    trained = []
    for threads, response in [(1, 0.1), (2, 0.1), (2, 1e-9)]:
        monkeypatch.setattr("graphc.training.batches.RESPONSE", response)
        f = trainer(threads=threads)
        trained.append((by_fit(f, data, batch_size=128).loss, state(f)))
    assert trained == [trained[0]] * 3


def test_results_that_are_arrays_have_their_memory(rng, either_mode) -> None:
    """Also such as are larger for the smaller last batch."""
    model, (x, y) = classifier(), digits(rng)
    many = gc.arange(200)[model.x.shape[0] :]
    f = gc.compile({"loss": model.loss, "z": model.logits, "many": many}, optimizer=gc.SGD(0.001, momentum=0.9))
    by_fit(f, (x, y), seed=SEED)
    other = trainer()
    by_fit(other, (x, y))
    assert state(f)[:4] == state(other)[:4]
    assert f(x, y)["z"].shape == (ROWS, 10)


def test_a_fixed_batch(rng, either_mode) -> None:
    x, scale = gc.input("x", (4, 3)), gc.input("scale", (3,))
    w = gc.param("w", 3, "zeros")
    f = gc.compile(gc.sum(x @ (w + scale)), updates={w: w * 0.5 + gc.sum(x * scale, axis=0)})
    data = rng.random((12, 3), dtype=np.float32)
    by_fit(f, (data, [1.0, 2.0, 3.0]), batch_size=4, epochs=1, shuffle=False)
    expected = sum(data[first : first + 4].sum(0) * [1, 2, 3] * 0.5 ** (2 - first // 4) for first in (0, 4, 8))
    np.testing.assert_allclose(w.value, expected, rtol=1e-5)
    before = state(f)
    with pytest.raises(gc.InputError, match="none of the inputs"):
        by_fit(f, (data, [1.0, 2.0, 3.0]), batch_size=5)
    with pytest.raises(gc.InputError, match=r"11 rows are no whole number of batches of 4, .* leave out 3"):
        by_fit(f, (data[:11], [1.0, 2.0, 3.0]), batch_size=4)
    assert state(f) == before


def test_data_in_a_params_memory_is_read_as_a_call_would(either_mode) -> None:
    """Rows of the param itself: each batch sees what the steps before it have written."""
    trained = []
    for fitted in (True, False):
        w = gc.param("w", np.arange(8, dtype=np.float32).reshape(4, 2))
        x = gc.input("x", ("batch", 2))
        turned = gc.take(x, np.array([1, 0, 1, 0]), axis=0)
        f = gc.compile(gc.sum(x), updates={w: w + turned})
        if fitted:
            by_fit(f, (w.value,), batch_size=2, epochs=1, shuffle=False)
        else:
            for first in (0, 2):
                f(w.value[first : first + 2])
        trained.append(state(f))
    assert trained[0] == trained[1]


# ---- what is measured -----------------------------------------------------------------------------------------------


def softmax_loss(model, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """The loss and the accuracy, in NumPy."""
    W1, b1, W2, b2 = (param.value.astype(np.float64) for param in model.params)
    z = np.maximum(x @ W1 + b1, 0) @ W2 + b2
    logs = z - z.max(1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(1, keepdims=True))
    return float(-logs[np.arange(len(y)), y].mean()), float((z.argmax(1) == y).mean())


@pytest.mark.parametrize("validated", [True, False])
def test_metrics_are_those_of_numpy(validated: bool, rng, either_mode) -> None:
    model, (x, y) = classifier(), digits(rng)
    f = gc.compile(model.loss, optimizer=gc.SGD(0.0001))
    accuracy = gc.mean(gc.astype(gc.equal(gc.argmax(model.logits, -1), model.y), "float32"))
    held_x, held_y = digits(rng, 37) if validated else (x, y)
    seen = []
    history = by_fit(
        f,
        (x, y),
        validation={"x": held_x, "y": held_y} if validated else None,
        metrics={"accuracy": accuracy},
        callbacks=[lambda epoch, history: seen.append(softmax_loss(model, held_x, held_y))],
    )
    np.testing.assert_allclose(history.metrics["accuracy"], [each for _, each in seen], rtol=1e-6)
    assert list(history.metrics) == (["val_loss", "accuracy"] if validated else ["accuracy"])
    if validated:
        np.testing.assert_allclose(history.metrics["val_loss"], [each for each, _ in seen], rtol=1e-4)


def test_dropout_is_for_training_alone(rng, either_mode) -> None:
    x = gc.input("x", ("batch", 8))
    w = gc.param("w", (8, 2))
    loss = gc.mean(gc.nn.dropout(x, 0.5) @ w)
    f = gc.compile(loss, optimizer=gc.SGD(0.1))
    values = rng.random((20, 8), dtype=np.float32)
    metrics = {"mean": gc.mean(gc.nn.dropout(x, 0.9))}
    history = by_fit(f, (values,), epochs=1, validation=(values[:7],), metrics=metrics)
    assert history.metrics["val_loss"] == pytest.approx([float((values[:7] @ w.value).mean())], rel=1e-4)
    assert history.metrics["mean"] == pytest.approx([float(values[:7].mean())], rel=1e-5)
    assert next(param for param in f.params if str(param.name).endswith(".step")).value == 2


def test_a_measuring_function_is_compiled_once(rng, python_mode) -> None:
    f, data = trainer(), digits(rng)
    by_fit(f, data, validation=data)
    (measuring,) = f._measured.values()
    by_fit(f, data, validation=data)
    assert list(f._measured.values()) == [measuring]
    assert len(f._step.loops) == 1


# ---- when it ends ---------------------------------------------------------------------------------------------------


def test_callbacks_see_each_epoch_and_may_end_it(rng, python_mode) -> None:
    f, data, seen = trainer(), digits(rng), []

    def slower(epoch: int, history: gc.History) -> None:
        f.optimizer.lr /= 10

    history = by_fit(
        f,
        data,
        epochs=9,
        callbacks=[
            slower,
            lambda epoch, history: seen.append((epoch, len(history.loss))),
            lambda epoch, history: epoch == 4,
        ],
    )
    assert seen == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert len(history.loss) == 4
    assert f.optimizer.lr == pytest.approx(0.001 / 10**4)


def test_early_stopping() -> None:
    def ended_at(values: list[float], **options: object) -> int | None:
        stopping, history = gc.EarlyStopping(**{"monitor": "m", "mode": "min", **options}), gc.History()  # type: ignore[arg-type]
        for epoch, value in enumerate(values, 1):
            history.metrics.setdefault("m", []).append(value)
            if stopping(epoch, history):
                return epoch
        return None

    assert ended_at([3, 2, 1, 0]) is None
    assert ended_at([3, 2, 2]) == 3
    assert ended_at([3, 2, 4, 4, 1, 5, 5, 5], patience=3) == 8
    assert ended_at([3, 2.95, 2.8, 2.75], min_delta=0.1) == 2
    assert ended_at([3, 2.95, 2.8, 2.75], min_delta=0.1, patience=2) is None
    assert ended_at([0.1, 0.2, 0.2], mode="max") == 3
    assert ended_at([float("nan"), float("nan"), 1], patience=2) == 2
    with pytest.raises(gc.InputError, match=r"no 'val_loss' is measured, only loss, m; .*validation="):
        gc.EarlyStopping()(1, gc.History([1.0], {"m": [1.0]}))
    for wrong in ({"patience": 0}, {"min_delta": -1}, {"mode": "least"}):
        with pytest.raises(ValueError, match="got"):
            gc.EarlyStopping(**wrong)


def test_early_stopping_ends_fit(rng, python_mode) -> None:
    f = trainer()
    f.optimizer.lr = 0.0
    history = by_fit(f, digits(rng), epochs=9, shuffle=False, callbacks=[gc.EarlyStopping(2, monitor="loss")])
    assert len(history.loss) == 3


@pytest.mark.parametrize("ended", ["early", "by itself", "by Ctrl-C", "by an error", "never better"])
def test_the_best_params_are_restored(ended: str, rng, python_mode) -> None:
    """What is monitored is a param that no step reads, so that the second epoch is the best."""
    f, seen = trainer(), []
    monitored = gc.param("monitored", np.nan if ended == "never better" else 3.0, dtype="float64")

    def look(epoch: int, history: gc.History) -> None:
        seen.append(state(f))
        monitored.value = monitored.value * 0 + [1.0, 2.0, 1.0, 5.0][epoch - 1]
        if epoch == 4 and ended == "by Ctrl-C":
            raise KeyboardInterrupt
        if epoch == 4 and ended == "by an error":
            raise gc.InputError("enough")

    stopping = gc.EarlyStopping(2 if ended == "early" else 9, monitor="m", mode="min", restore_best=True)
    options = {"metrics": {"m": monitored}, "epochs": 4, "callbacks": [stopping, look]}
    if ended == "by an error":
        with pytest.raises(gc.InputError, match="enough"):
            by_fit(f, digits(rng), **options)
    else:
        history = by_fit(f, digits(rng), **options)
        assert ended == "never better" or history.metrics["m"] == [3, 1, 2, 1]
    assert len({*map(tuple, seen)}) == 4
    assert seen.index(state(f)) == (3 if ended in ("by an error", "never better") else 1)


INTERRUPTED = """
import os, signal, sys, threading
import numpy as np
import graphc as gc

signal.signal(signal.SIGINT, signal.default_int_handler)  # whatever the process that starts this one made of it
x = gc.input("x", ("batch", 4))
first, last = gc.param("first", 0.0, dtype="float64"), gc.param("last", 0.0, dtype="float64")
step = gc.compile(gc.sum(x) * 0, updates={first: first + 1, last: last + 1})

def press():
    while first.value < 200:
        pass
    os.kill(os.getpid(), signal.SIGINT)
    pressed.append(True)

pressed, since = [], []

def late(epoch, history):
    since.extend(pressed)
    if len(since) > 1000:
        sys.exit("Ctrl-C is lost")

threading.Thread(target=press).start()
data = np.zeros((1000, 4), np.uint8)
given = [(data[:32],)] * 32 if GIVEN else (data,)
history = step.fit(given, epochs=10**9, progress=False, callbacks=[late])
assert history.interrupted
assert history.steps == first.value == last.value >= 200, (history.steps, first.value, last.value)
whole, rest = divmod(history.steps, 32)
# Nobody knows that a given batch is an epoch's last before the next is asked for.
assert len(history.loss) in ([whole, whole - 1] if GIVEN and not rest else [whole])
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
print("a whole number of steps")
"""


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("jit_is_off", ["0", "1"])
def test_ctrl_c_ends_it_after_a_whole_step(jit_is_off: str, given: bool) -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": jit_is_off}
    script = INTERRUPTED.replace("GIVEN", str(given))
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert (made.stdout, made.returncode) == ("a whole number of steps\n", 0), made.stderr


@pytest.mark.parametrize("seconds", [0.0001, 0.03, 0.09])
def test_python_looks_often_enough_for_ctrl_c(seconds: float, rng, python_mode, monkeypatch) -> None:
    """By a clock that only steps turn: it looks within 0.2 s, and seldom where steps are quick."""
    clock = types.SimpleNamespace(now=0.0, perf_counter=lambda: clock.now)
    stretches = []
    run = ArrayBatches._run

    def timed(batches: ArrayBatches, epoch: int) -> BaseException | None:
        before = int(batches._table[FIRST])
        status = run(batches, epoch)
        stretches.append(seconds * (int(batches._table[FIRST]) - before))
        clock.now += stretches[-1]
        return status

    monkeypatch.setattr("graphc.training.batches.time", clock)
    monkeypatch.setattr(ArrayBatches, "_run", timed)
    x, w = gc.input("x", ("batch",)), gc.param("w", 0.0)
    by_fit(gc.compile(gc.sum(x), updates={w: w + 1}), (np.ones(3000, "f"),), batch_size=1, epochs=1)
    assert max(stretches) <= 0.2
    assert len(stretches) < 3000 * seconds / 0.05 + 20


def test_ctrl_c_in_a_callback_ends_it(rng, python_mode) -> None:
    def press(epoch: int, history: gc.History) -> None:
        raise KeyboardInterrupt

    history = by_fit(trainer(), digits(rng), callbacks=[press])
    assert (history.interrupted, len(history.loss), history.steps) == (True, 1, 5)


def test_fit_in_another_thread(rng, either_mode) -> None:
    """Signals are the main thread's; and a function that is being trained can be called meanwhile."""
    data = digits(rng)
    f, other, made = trainer(), trainer(), []
    thread = threading.Thread(target=lambda: made.append(by_fit(f, data)))
    thread.start()
    thread.join()
    by_fit(other, data)
    assert made[0].steps == 15
    assert state(f) == state(other)


def test_calls_of_a_function_while_it_is_trained(jit_mode) -> None:
    """No step is lost, and each works on the arrays that it was given."""
    x, count = gc.input("x", ("batch",)), gc.param("count", 0.0, dtype="float64")
    f = gc.compile(gc.sum(x), updates={count: count + gc.sum(gc.astype(x, "float64"))})
    wrong: list[float] = []
    thread = threading.Thread(target=lambda: wrong.extend(f(np.full(5, 2.0, "f")) for _ in range(3000)))
    thread.start()
    history = by_fit(
        f, (np.ones(100, np.uint8),), batch_size=3, epochs=300, callbacks=[lambda *_: f(np.ones(1, "f")) > 2]
    )
    thread.join()
    assert set(wrong) == {10.0}
    assert count.value == 300 * 100 + 300 + 3000 * 10
    assert history.loss == [(33 * 3 * 3 + 1) / 100] * 300


def test_steps_are_counted_however_they_are_run(jit_mode) -> None:
    x = gc.input("x", ("batch",))
    w = gc.param("w", np.float32(1))
    loss = gc.mean(gc.square(x - w))
    step = gc.compile(loss, optimizer=gc.SGD(lr=0.1, momentum=0.5))
    data = np.arange(6, dtype="float32")
    step(data)
    step.run(3, data)
    step.fit((data,), batch_size=2, epochs=2, progress=False)
    step.profile(data)
    with pytest.raises(gc.NonFiniteError):
        step(data * np.float32("nan"))
    assert step.steps == 1 + 3 + 6
    assert step.state.keys() == {"w", "w.velocity", "SGD.lr"}
    assert step.state["w"] is w.value
    assert gc.compile(loss).steps == 0
