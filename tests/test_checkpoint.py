"""Checkpoints: what is saved comes back bit for bit, and training goes on as if it had never stopped."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numba
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import graphc as gc

TESTS = Path(__file__).parent
DATA = np.random.default_rng(7)
X, Y = DATA.integers(0, 256, (70, 12), dtype=np.uint8), DATA.integers(0, 3, 70)
HELD = DATA.integers(0, 256, (30, 12), dtype=np.uint8), DATA.integers(0, 3, 30)

OPTIMIZERS: dict[str, Callable[[], gc.Optimizer]] = {
    "momentum": lambda: gc.SGD(0.01, momentum=0.9, nesterov=True),
    "adam": lambda: gc.Adam(0.003),
}


def net(optimizer: str = "adam", hidden: int = 8, activation: str = "relu", frozen: bool = True) -> gc.Function:
    """A classifier with dropout and a param that no gradient changes."""
    x, y = gc.input("x", ("batch", 12), "uint8"), gc.input("y", ("batch",), "int64")
    mean = gc.param("mean", np.full(12, 128, np.float32), trainable=not frozen)
    h = gc.nn.dense((gc.astype(x, "float32") - mean) / 128, hidden, activation=activation, name="hidden")
    z = gc.nn.dense(gc.nn.dropout(h, 0.3), 3, name="out")
    return gc.compile(gc.softmax_cross_entropy(z, y), optimizer=OPTIMIZERS[optimizer]())


def fit(f: gc.Function, epochs: int, **options: object) -> gc.History:
    given = {"batch_size": 16, "seed": 3, "validation": HELD, "progress": False, **options}
    return f.fit((X, Y), epochs=epochs, **given)  # type: ignore[arg-type]


def bits(f: gc.Function) -> dict[str, str]:
    return {"steps": str(f.steps), **{name: array.tobytes().hex() for name, array in f.state.items()}}


@pytest.fixture(scope="module")
def trained() -> Iterator[gc.Function]:
    """Trained for an epoch, run as Python; no test leaves it changed."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
        f = net()
        fit(f, 1)
        yield f


# ---- what comes back ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_whole_state_comes_back(optimizer: str, tmp_path: Path, python_mode) -> None:
    f, path = net(optimizer), tmp_path / "f.safetensors"
    fit(f, 2)
    saved = bits(f)
    gc.save(path, f, epoch=2)
    f.optimizer.lr = 0.5
    fit(f, 1)
    assert all(bits(f)[name] != saved[name] for name in saved if name != "mean")
    told = gc.load(path, f)
    assert bits(f) == saved
    assert (told.steps, told.epoch, told.version, f.steps) == (10, 2, gc.__version__, 10)
    assert f.optimizer.lr == OPTIMIZERS[optimizer]().lr
    other = net(optimizer)
    gc.load(path, other)
    assert bits(other) == saved


def test_every_dtype_and_rank(tmp_path: Path, python_mode) -> None:
    """Scalars, no elements at all, one of each dtype; names of any kind."""
    values = {
        "s": np.float64(0.1),
        "empty": np.zeros((3, 0), np.float32),
        "b": np.array([True, False]),
        "i": np.array([-(2**31)], np.int32),
        "l": np.array(2**63 - 1),
        "u": np.array([[255, 0]], np.uint8),
        'a "name"\n  # of\x00 any kind é': np.array([np.nan, -0.0, np.inf], np.float32),
    }
    params = [gc.param(name, np.asarray(value)) for name, value in values.items()]
    f = gc.compile([gc.sum(param) for param in params], updates={params[0]: params[0] * 2})
    gc.save(tmp_path / "f", f)
    for param in params:
        param.value = np.ones_like(param.value)
    gc.load(tmp_path / "f", f)
    assert {str(p.name): p.value.tobytes() for p in params} == {n: np.asarray(v).tobytes() for n, v in values.items()}


def test_many_models_in_one_function(tmp_path: Path, python_mode) -> None:
    x, y = gc.input("x", ("batch", 4)), gc.input("y", ("batch",), "int64")
    z = gc.nn.dense(gc.nn.dropout(x, 0.5), 3, name="out")

    def many() -> gc.Function:
        return gc.compile(gc.softmax_cross_entropy(z, y), optimizer=gc.Adam(0.01), copies=3)

    f, values = many(), (DATA.random((8, 4), np.float32), np.arange(8) % 3)
    f.run(4, *values)
    saved = bits(f)
    gc.save(tmp_path / "f", f)
    gc.save_weights(tmp_path / "w", f, layout="torch")
    assert load_file(tmp_path / "w")["out.weight"].shape == (3, 3, 4)
    f.run(3, *values)
    other = many()
    assert gc.load(tmp_path / "f", other).steps == 4
    assert bits(other) == saved
    other.state["out.W"][...] = 0
    gc.load_weights(tmp_path / "w", other, layout="torch")
    assert bits(other) == saved
    with pytest.raises(gc.InputError, match=r"Checkpoint\(best=\) is for one model, and 'loss' has a value for each"):
        gc.Checkpoint(tmp_path / "f", f, best="loss")(1, gc.History([np.ones(3)]))
    single = gc.compile(gc.softmax_cross_entropy(z, y), optimizer=gc.Adam(0.01))
    refused(tmp_path / "f", single, r"'dropout.step' is int64 \(3,\) there, the function's is int64 scalar")


def test_the_same_state_is_the_same_file_and_a_plain_one(trained: gc.Function, tmp_path: Path) -> None:
    for name in ("a", "b"):
        gc.save(tmp_path / name, trained, epoch=1)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    arrays = load_file(tmp_path / "a")
    assert {name: array.tobytes() for name, array in arrays.items()} == {
        name: array.tobytes() for name, array in trained.state.items()
    }
    assert {"hidden.W", "hidden.W.mean", "Adam.lr", "Adam.steps", "dropout.step", "mean"} <= set(arrays)


def test_a_save_sees_whole_steps(tmp_path: Path, jit_mode) -> None:
    """Another thread trains meanwhile: all elements have been added to as often as there were steps."""
    low, high = (gc.param(name, np.zeros(50_000), trainable=False) for name in ("low", "high"))
    x = gc.input("x", ())
    f = gc.compile(x * 1, updates={low: low + 1, high: high + 1})
    over = threading.Event()

    def train() -> None:
        while not over.is_set():
            f(1.0)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        seen = set()
        for _ in range(40):
            gc.save(tmp_path / "f", f)
            arrays = load_file(tmp_path / "f")
            (steps,) = {*arrays["low"].tolist(), *arrays["high"].tolist()}
            seen.add(steps)
    finally:
        over.set()
        thread.join()
    assert len(seen) > 1
    assert gc.load(tmp_path / "f", f).steps == max(seen) == f.steps


# ---- going on -------------------------------------------------------------------------------------------------------

RESUMED = """
import json, sys
import numpy as np
import graphc as gc
from test_checkpoint import bits, fit, net

path, optimizer, epochs = sys.argv[1:]
step = net(optimizer)
checkpoint = gc.Checkpoint(path, step)
history = fit(step, int(epochs), initial_epoch=checkpoint.resume(), callbacks=[checkpoint])
print(json.dumps([bits(step), history.loss, history.metrics["val_loss"], history.initial_epoch]))
"""


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_run_that_goes_on_in_another_process_is_one_that_never_stopped(
    optimizer: str, tmp_path: Path, jit_mode
) -> None:
    whole = net(optimizer)
    history = fit(whole, 5)
    begun, path = net(optimizer), tmp_path / "f.safetensors"
    fit(begun, 2, callbacks=[gc.Checkpoint(path, begun)])
    command = [sys.executable, "-c", RESUMED, str(path), optimizer, "5"]
    paths = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    environment = {**os.environ, "PYTHONPATH": paths, "NUMBA_DISABLE_JIT": "0"}
    made = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout) == [bits(whole), history.loss[2:], history.metrics["val_loss"][2:], 2]


def test_epochs_are_numbered_on(python_mode, capsys) -> None:
    f, seen = net(), []
    history = fit(f, 4, initial_epoch=2, callbacks=[lambda epoch, _: seen.append(epoch)], progress=None)
    assert seen == [3, 4]
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["3/4", "4/4"]
    assert (len(history.loss), history.epoch, history.to_dict()["initial_epoch"]) == (2, 4, 2)
    assert fit(f, 4, initial_epoch=4).loss == fit(f, 4, initial_epoch=9).loss == []
    with pytest.raises(gc.InputError, match="initial_epoch is at least 0, got -1"):
        fit(f, 4, initial_epoch=-1)


def test_a_checkpoint_each_epoch(tmp_path: Path, python_mode) -> None:
    f, path = net(), tmp_path / "f.safetensors"
    checkpoint, seen = gc.Checkpoint(path, f, every=2), []
    assert checkpoint.resume() == 0
    fit(f, 5, callbacks=[checkpoint, lambda epoch, _: seen.append(path.exists() and gc.load(path, net()).epoch)])
    assert seen == [False, 2, 2, 4, 4]
    assert checkpoint.resume() == 4
    assert f.steps == 20
    gc.save(path, f)
    with pytest.raises(gc.InputError, match=r"does not say how many epochs are done: gc.save\(path, f, epoch=...\)"):
        checkpoint.resume()
    with pytest.raises(ValueError, match="every is at least 1, got 0"):
        gc.Checkpoint(path, f, every=0)
    with pytest.raises(FileNotFoundError):
        gc.Checkpoint(tmp_path / "nowhere" / "f", f)


def test_the_best_epoch_is_kept(tmp_path: Path, python_mode) -> None:
    """Measured values that are made up; and a script that is started again knows which was best."""
    f = net()

    def best_after(values: list[float], monitor: str = "val_loss", **options: object) -> list[int]:
        path = tmp_path / f"{len(os.listdir(tmp_path))}.safetensors"
        history, found = gc.History(), []
        for epoch, value in enumerate(values, 1):
            checkpoint = gc.Checkpoint(path, f, best=monitor, **options)  # type: ignore[arg-type]
            assert checkpoint.resume() == epoch - 1
            history.metrics.setdefault(monitor, []).append(value)
            checkpoint(epoch, history)
            exists = checkpoint.best_path.exists()
            found.append(int(gc.load(checkpoint.best_path, f).epoch or 0) if exists else 0)
        assert checkpoint.best_path == path.with_name(f"{path.stem}.best.safetensors")
        return found

    nan = float("nan")
    assert best_after([3, 4, 2, 2, 1]) == [1, 1, 3, 3, 5]
    assert best_after([nan, 4, nan, 5, 3]) == [0, 2, 2, 2, 5]
    assert best_after([3, 4, 2, 2, 5], "hits", mode="max") == [1, 2, 2, 2, 5]
    with pytest.raises(ValueError, match='mode is "min" or "max" for \'hits\''):
        gc.Checkpoint(tmp_path / "f", f, best="hits")
    with pytest.raises(gc.InputError, match=r"Checkpoint: no 'val_loss' is measured, only loss; fit\(..., validation="):
        gc.Checkpoint(tmp_path / "f", f, best="val_loss")(1, gc.History([1.0]))


# ---- what is refused ------------------------------------------------------------------------------------------------


def refused(path: Path, f: gc.Function, match: str, **options: bool) -> None:
    before = bits(f)
    with pytest.raises(gc.FileFormatError, match=match) as caught:
        gc.load(path, f, **options)
    assert str(caught.value).startswith(f"{path}: ")
    assert bits(f) == before


def test_params_that_differ(trained: gc.Function, tmp_path: Path, python_mode) -> None:
    path = tmp_path / "f"
    gc.save(path, trained)
    refused(
        path,
        net("momentum"),
        r"it lacks 'SGD.lr', 'hidden.W.velocity', .*; it has 'Adam.lr', .*, and 5 more, .* gc.load_weights",
    )
    refused(path, net(hidden=9), r"'hidden.W' is float32 \(12, 8\) there, the function's is float32 \(12, 9\)$")
    x = gc.input("x", ())
    for name, dtype in (("a", "float64"), ("b", "float32")):
        w = gc.param("w", (2, 3), dtype=dtype)
        wide = gc.compile(x * gc.sum(w), updates={w: w * 2})
        gc.save(tmp_path / name, wide)
    refused(
        tmp_path / "a",
        wide,
        r"'w' is float64 \(2, 3\) there, the function's is float32 \(2, 3\); make its params with dtype=\"float64\"",
    )


def test_a_prediction_has_fewer_params(trained: gc.Function, tmp_path: Path, python_mode) -> None:
    gc.save(tmp_path / "f", trained)
    x = gc.input("x", ("batch", 12))
    predict = gc.compile(gc.nn.dense(x, 8, name="hidden"))
    refused(tmp_path / "f", predict, r"it has 'Adam.lr'.* gc.load_weights reads the params alone")
    unused = gc.load_weights(tmp_path / "f", predict)
    assert bits(predict)["hidden.W"] == bits(trained)["hidden.W"]
    assert {"Adam.lr", "hidden.W.mean", "out.W"} <= set(unused)


def test_another_graph_with_the_same_params(trained: gc.Function, tmp_path: Path, python_mode) -> None:
    gc.save(tmp_path / "f", trained)
    other = net(activation="tanh")
    refused(tmp_path / "f", other, r"saved from another graph \(by graphc .*say load\(..., same_graph=False\)")
    gc.load(tmp_path / "f", other, same_graph=False)
    assert bits(other) == bits(trained)
    refused(tmp_path / "f", net(hidden=9), "'hidden.W' is", same_graph=False)


def test_lines_names_and_hyperparameters_do_not_make_another_graph(tmp_path: Path, python_mode) -> None:
    texts = {
        "first.py": "w = gc.param('w', 3)\nf = gc.compile(gc.sum(gc.square(w)), optimizer=gc.SGD(0.1, momentum=0.9))",
        "a  # b.py": "\n\nw = gc.param('w', 3)\nloss = gc.sum(\ngc.square(\nw))\n"
        "f = gc.compile(loss, optimizer=gc.SGD(0.1, momentum=0.5), name='another', on_nonfinite='ignore')",
        "third.py": "w = gc.param('w', 3)\nf = gc.compile(gc.sum(gc.exp(w)), optimizer=gc.SGD(0.1, momentum=0.9))",
    }
    made = []
    for file, text in texts.items():
        names: dict[str, object] = {"gc": gc}
        exec(compile(text, file, "exec"), names)
        made.append(names["f"])
    first, moved, other = made
    gc.save(tmp_path / "f", first)  # type: ignore[arg-type]
    assert gc.load(tmp_path / "f", moved).steps == 0  # type: ignore[arg-type]
    refused(tmp_path / "f", other, "saved from another graph")  # type: ignore[arg-type]


def test_metadata_of_something_else(trained: gc.Function, tmp_path: Path) -> None:
    path, arrays = tmp_path / "f", {name: np.array(array) for name, array in trained.state.items()}
    gc.save(path, trained, epoch=1)
    facts = json.loads(open_metadata(path))

    def with_facts(text: str) -> Path:
        save_file(arrays, path, {"graphc": text})
        return path

    save_file(arrays, path)
    refused(path, trained, "gc.save did not write; gc.load_weights reads params from it")
    for wrong in ("", "[]", "3", "{}", "[" * 100_000, '{"a":' * 50_000, "9" * 5000):
        refused(with_facts(wrong), trained, "its metadata are not those of gc.save")
    changes = [{"steps": -1}, {"steps": 1.0}, {"steps": 2**63}, {"steps": True}, {"epoch": "1"}, {"graph": None}]
    changes += [{"version": 1}, {"sha256": 3}, {"best": "0"}, {"best": 1}, {"more": 1}]
    for change in changes:
        refused(with_facts(json.dumps({**facts, **change})), trained, "its metadata are not those of gc.save")
    for change in ({"steps": 4}, {"epoch": 2}, {"version": "0.0"}, {"best": 0.5}, {"sha256": "0" * 64}):
        refused(with_facts(json.dumps({**facts, **change})), trained, "damaged: .* checksum")
    refused(with_facts(json.dumps({**facts, "graph": "0" * 64})), trained, "another graph")
    assert gc.load(with_facts(json.dumps(facts)), trained).epoch == 1


def open_metadata(path: Path) -> str:
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return str(header["__metadata__"]["graphc"])


def test_what_the_system_says_stays_as_it_is(trained: gc.Function, tmp_path: Path, monkeypatch) -> None:
    before = bits(trained)
    with pytest.raises(FileNotFoundError):
        gc.load(tmp_path / "nothing", trained)
    with pytest.raises(IsADirectoryError):
        gc.load(tmp_path, trained)
    gc.save(tmp_path / "f", trained)
    old = (tmp_path / "f").read_bytes()

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    trained.steps += 1
    with pytest.raises(OSError, match="No space left"):
        gc.save(tmp_path / "f", trained)
    trained.steps -= 1
    assert (tmp_path / "f").read_bytes() == old
    assert os.listdir(tmp_path) == ["f"]
    assert bits(trained) == before


def test_an_epoch_that_could_not_be_loaded(trained: gc.Function, tmp_path: Path) -> None:
    with pytest.raises(gc.InputError, match="epoch is how many are done, got -1"):
        gc.save(tmp_path / "f", trained, epoch=-1)
    with pytest.raises(TypeError):
        gc.save(tmp_path / "f", trained, epoch="1")  # type: ignore[arg-type]
    gc.save(tmp_path / "f", trained, epoch=np.int32(1))  # type: ignore[arg-type]
    assert gc.load(tmp_path / "f", trained).epoch == 1


def test_a_name_that_the_format_has_taken(tmp_path: Path, python_mode) -> None:
    w = gc.param("__metadata__", 2)
    with pytest.raises(gc.InputError, match="give the param another name"):
        gc.save(tmp_path / "f", gc.compile(gc.sum(w), updates={w: w + 1}))
    assert os.listdir(tmp_path) == []


def test_what_is_no_function_is_told(tmp_path: Path) -> None:
    for call in (lambda: gc.save("f", tmp_path), lambda: gc.load("f", tmp_path), lambda: gc.Checkpoint("f", tmp_path)):
        with pytest.raises(gc.InputError, match="the path comes first, then a compiled function"):
            call()


def test_a_file_of_pytorchs_own_format_is_told(tmp_path: Path, python_mode) -> None:
    path = tmp_path / "weights.npz"
    np.savez(path, w=np.ones(3))
    with pytest.raises(gc.FileFormatError, match=r"a zip file, as torch\.save and np\.savez"):
        gc.load(path, gc.compile(gc.input("x", 2) * 2))


def test_a_loaded_rate_is_the_optimizers(tmp_path: Path, python_mode) -> None:
    w = gc.param("w", np.ones(2, "float32"))
    for copies, rate in ((None, 0.25), (2, 0.5), (2, np.array([0.1, 0.2]))):
        made = gc.compile(gc.sum(w * w), optimizer=gc.SGD(rate), copies=copies)
        gc.save(tmp_path / "rate", made)
        again = gc.compile(gc.sum(w * w), optimizer=gc.SGD(0.9), copies=copies)
        gc.load(tmp_path / "rate", again)
        np.testing.assert_array_equal(again.optimizer.lr, rate)
