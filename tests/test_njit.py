"""`f.njit`: a step inside the user's own native code does what a call from Python does."""

from __future__ import annotations

import gc as garbage
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from models import batch, classifier

import graphc as gc


def called(f: gc.Function) -> Callable[..., Any]:
    """The function inside native code of one, two or three arguments."""
    step = f.njit
    return {
        0: numba.njit(lambda: step()),
        1: numba.njit(lambda a: step(a)),
        2: numba.njit(lambda a, b: step(a, b)),
        3: numba.njit(lambda a, b, c: step(a, b, c)),
    }[len(f.inputs)]


# ---- results --------------------------------------------------------------------------------------------------------


def test_a_loop_of_steps_is_as_many_calls(rng, either_mode) -> None:
    """Bit for bit, for batches of several sizes, with a learning rate and a param assigned in between."""
    x, y = batch(rng, 50)
    losses, params = [], []
    for native in (False, True):
        model = classifier()
        f = gc.compile(model.loss, optimizer=gc.SGD(0.1, momentum=0.9))
        step = f.njit if native else f

        def epoch(x, y, sizes, step=step):
            found = np.empty(len(sizes))
            for at, size in enumerate(sizes):
                found[at] = step(x[:size], y[:size])
            return found

        run = numba.njit(epoch) if native else epoch
        sizes = np.array([16, 3, 50, 1, 32])
        first = run(x, y, sizes)
        f.optimizer.lr = 0.01
        model.params[1].value = np.full(32, 0.5, np.float32)
        losses.append([*first, *run(x, y, sizes)])
        params.append([param.value.copy() for param in f.params])
    assert losses[0] == losses[1]
    for one, other in zip(*params, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_step_against_numpy_by_hand(either_mode) -> None:
    x, y = gc.input("x", ("n", 2), "float64"), gc.input("y", ("n",), "float64")
    w = gc.param("w", np.array([1.0, -2.0]))
    step = called(gc.compile(gc.mse(x @ w, y), optimizer=gc.SGD(0.5)))
    values, wanted = np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([0.0, 1.0])
    error = values @ np.array([1.0, -2.0]) - wanted
    assert step(values, wanted) == pytest.approx(np.mean(error**2), rel=1e-15)
    np.testing.assert_allclose(w.value, np.array([1.0, -2.0]) - 0.5 * 2 * values.T @ error / 2, rtol=1e-15)


def test_arrays_come_back_as_new_arrays(rng, either_mode) -> None:
    x = gc.input("x", ("n", 3), "float64")
    w = rng.random((3, 4))
    forward = gc.compile(gc.concatenate([x @ gc.param("w", w), gc.zeros((2, 4), "float64")])).njit

    @numba.njit
    def both(a, b):
        first = forward(a)
        second = forward(b)
        return first, second

    a, b = rng.random((5, 3)), rng.random((1, 3))
    for found, given in zip(both(a, b), (a, b), strict=True):
        np.testing.assert_allclose(found, np.concatenate([given @ w, np.zeros((2, 4))]), rtol=1e-14)


def test_several_outputs_are_a_tuple(either_mode) -> None:
    x = gc.input("x", ("n",), "int32")
    values = np.array([3, 1, 2], np.int32)
    total, twice, odd, largest = called(gc.compile([gc.sum(x), x * 2, x % 2 > 0, gc.max(x)]))(values)
    assert (type(total), total, type(largest), largest) == (float, 6.0, float, 3.0)
    np.testing.assert_array_equal(twice, [6, 2, 4])
    np.testing.assert_array_equal(odd, [True, True, False])
    assert (twice.dtype, odd.dtype) == (np.int32, np.bool_)
    (only,) = called(gc.compile([gc.sum(x)]))(values)
    assert only == 6
    count = gc.param("count", 0.0)
    assert called(gc.compile([], updates={count: count + 1}))() == ()
    assert count.value == 1


def test_a_dict_of_outputs_is_a_named_tuple(either_mode) -> None:
    x = gc.input("x", ("n",))
    f = gc.compile({"total": gc.sum(x), "twice": x * 2}).njit
    total, twice = numba.njit(lambda x: (f(x).total, f(x).twice))(np.ones(3, np.float32))
    assert total == 3
    np.testing.assert_array_equal(twice, [2, 2, 2])
    for key in ("the total", "class", "_total", 1):
        with pytest.raises(gc.GraphError, match=f"which cannot have {key!r} as a name"):
            gc.compile({key: gc.sum(x)}).njit  # noqa: B018


def test_no_results_where_an_axis_is_empty(either_mode) -> None:
    x = gc.input("x", ("n", 3))
    total, rows = called(gc.compile([gc.sum(x), x * 2]))(np.ones((0, 3), np.float32))
    assert total == 0
    assert rows.shape == (0, 3)


def test_it_is_made_once_and_works_from_pythons_calls_too(either_mode) -> None:
    x = gc.input("x", ("n",))
    f = gc.compile(gc.sum(x))
    assert f.njit is f.njit
    assert f.njit(np.ones(3, np.float32)) == 3


def test_a_step_from_the_cache(rng, jit_mode) -> None:
    x, y = batch(rng, 16)
    found = []
    for _ in range(2):
        f = gc.compile(classifier().loss, optimizer=gc.SGD(0.1))
        found.append(called(f)(x, y))
    assert f._code.told == "hit"
    assert found[0] == found[1]


# ---- inputs ---------------------------------------------------------------------------------------------------------


def test_inputs_by_name(either_mode) -> None:
    """An input whose name is no variable's is given by position; one that is called like the text's own names, too."""
    x, sum_ = gc.input("x", ("n",)), gc.input("np", ())
    f = gc.compile(gc.sum(x) * 10 + sum_).njit
    assert numba.njit(lambda a, b: f(np=b, x=a))(np.ones(2, np.float32), 3.0) == 23
    names = ("a b", "class", "_a3", "_a2", "_enter", "n_m", "max")
    many = [gc.input(name, ("m",)) for name in names]
    g = gc.compile([each + number for number, each in enumerate(many)]).njit
    found = numba.njit(lambda a: g(a, a, a * 2, a * 3, a, a, max=a))(np.ones(2, np.float32))
    np.testing.assert_array_equal([rows[0] for rows in found], [1, 2, 4, 6, 5, 6, 7])


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32", "uint8", "bool"])
def test_numbers_where_an_input_has_no_axes(dtype: str, either_mode) -> None:
    k = gc.input("k", (), dtype)
    f = called(gc.compile(gc.astype(k, "float64") * 3))
    for number in {"f": (2.5, 2, True), "i": (7, True), "u": (7, True), "b": (True, False)}[np.dtype(dtype).kind]:
        assert f(number) == 3 * number
        assert f(np.array(number, dtype)) == 3 * number


def test_arrays_that_are_cast_or_copied(rng, either_mode) -> None:
    """As in a call from Python."""
    x = gc.input("x", ("n", 3), "float64")
    f = called(gc.compile(x * 2))
    values = rng.integers(-4, 4, (6, 3))
    unwritable = values.astype(np.float64)
    unwritable.flags.writeable = False
    floats = values.astype(np.float64)
    turned = [floats[::-1], floats[::2], np.asfortranarray(floats), np.asfortranarray(floats.astype(np.float32))]
    for given in (unwritable, values.astype(np.int32), values > 0, *turned):
        np.testing.assert_array_equal(f(given), given * 2.0)


def test_an_input_in_a_params_memory_is_read_before_it_changes(either_mode) -> None:
    w, s = gc.param("w", np.arange(4, dtype=np.float32)), gc.param("s", 5.0, dtype="float32")
    x, k, n = gc.input("x", (2,)), gc.input("k", ()), gc.input("n", (), "int64")
    f = gc.compile(gc.sum(x) + n, updates={w: w * 0 + gc.sum(x) + k, s: k * 0}, inputs=[x, k, n])
    step = called(f)
    assert step(w.value[1:3], s.value, 1) == 4
    np.testing.assert_array_equal(w.value, 8)
    assert s.value == 0
    assert step(w.value[:2], s.value, 0) == 16


@pytest.mark.parametrize(
    ("dtype", "shape", "given", "words"),
    [
        ("float32", ("n", 3), np.zeros((2, 3)), r"wants f32\[n,3\], got dtype float64, which cannot be cast safely"),
        ("int64", ("n",), np.zeros(2), r"wants i64\[n\], got dtype float64, which cannot be cast safely"),
        ("float32", ("n",), np.array(["a"]), r"wants f32\[n\], got dtype \[unichr x 1\], which cannot be cast"),
        ("float64", ("n",), np.zeros(2, complex), r"wants f64\[n\], got dtype complex128, which cannot be cast safely"),
        ("float32", ("n", 3), np.zeros(3, np.float32), r"wants f32\[n,3\], got 1 axes"),
        ("float32", (), np.zeros(3, np.float32), "wants f32, got 1 axes"),
        ("int64", (), 2.0, "wants i64, got float64, which cannot be cast safely"),
        ("bool", (), 1, "wants bool, got int64, which cannot be cast safely"),
        ("float32", ("n",), 2.0, r"wants f32\[n\], got float64; make an array of it"),
        ("float32", ("n",), (1.0, 2.0), r"wants f32\[n\], got UniTuple\(float64 x 2\); make an array of it: np.array"),
    ],
)
def test_wrong_types_are_told_when_numba_compiles(dtype: str, shape: Any, given: Any, words: str, jit_mode) -> None:
    x = gc.input("x", shape, dtype)
    with pytest.raises(gc.InputError, match=rf"^input x {words}.*\(test_njit\.py:\d+\)$"):
        called(gc.compile(gc.astype(x, "float64") * 2))(given)


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_integers_that_do_not_fit(dtype: str, jit_mode) -> None:
    f = called(gc.compile(gc.input("k", (), dtype) * 1))
    limits = np.iinfo(dtype)
    assert f(int(limits.max)) == limits.max
    for number in (int(limits.max) + 1, int(limits.min) - 1):
        with pytest.raises(gc.InputError, match=r"input k wants .*, got an integer that is none"):
            f(number)


# ---- errors ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def trained(rng, jit_mode) -> Iterator[tuple[Callable[..., Any], np.ndarray, np.ndarray]]:
    """A training step in native code with a batch for it; the test must leave the params as they are."""
    f = gc.compile(classifier().loss, optimizer=gc.SGD(0.1, momentum=0.9))
    step, (x, y) = called(f), batch(rng, 8)
    step(x, y)
    before = [param.value.copy() for param in f.params]
    yield step, x, y
    for param, old in zip(f.params, before, strict=True):
        np.testing.assert_array_equal(param.value, old)


def test_a_label_out_of_range(trained) -> None:
    step, x, y = trained
    for wrong in (10, -1):
        with pytest.raises(
            gc.InputError, match=r"^a label of y is outside range\(10\); .*no param has.*models\.py:\d+"
        ):
            step(x, np.where(np.arange(8) == 3, wrong, y))


def test_a_loss_that_is_not_finite(trained) -> None:
    step, x, y = trained
    with pytest.raises(gc.NonFiniteError, match=r"^the loss is not finite \(made at models\.py:\d+\); no param has"):
        step(x * np.float32(np.nan), y)


def test_sizes_that_disagree(trained) -> None:
    step, x, y = trained
    with pytest.raises(
        gc.InputError, match=r"^input y wants i64\[batch\]: its axis 0 is not batch \(batch is axis 0 of"
    ):
        step(x, y[:5])
    with pytest.raises(gc.InputError, match=r"^input x wants f32\[batch,64\]: its axis 1 is not 64; it is made at mod"):
        step(x[:, :63], y)


def test_a_size_that_an_op_cannot_do_with(jit_mode) -> None:
    x = gc.input("x", ("n",))
    f = called(gc.compile(gc.max(x)))
    assert f(np.ones(1, np.float32)) == 1
    with pytest.raises(gc.InputError, match=r"^test_njit\.py:\d+ needs "):
        f(np.ones(0, np.float32))


def test_an_index_out_of_range(jit_mode) -> None:
    x, at = gc.input("x", ("n",)), gc.input("at", (), "int64")
    f = called(gc.compile(gc.take(x, at)))
    values = np.arange(4, dtype=np.float32)
    assert f(values, -1) == 3
    with pytest.raises(gc.InputError, match=r"^an index of at is outside range\(-n, n\); no param has changed"):
        f(values, 4)


def test_native_code_may_catch_an_error(trained) -> None:
    step, x, y = trained

    @numba.njit
    def tried(x, y):
        try:
            return step(x, y)
        except Exception:
            return -1.0

    assert tried(x, y + 10) == -1


# ---- memory ---------------------------------------------------------------------------------------------------------


def test_the_arena_grows_without_a_word(rng, either_mode) -> None:
    model = classifier()
    f = gc.compile(model.logits * 2 + gc.tanh(model.logits))
    step, (x, _) = f.njit, batch(rng, 400)

    @numba.njit
    def rows(x, sizes):
        total = 0
        for size in sizes:
            total += len(step(x[:size]))
        return total

    sizes = np.array([1, 40, 7, 400])
    assert rows(x, sizes) == sizes.sum()
    assert f._table[1] == f.memory(batch=400)
    assert f._arena.memory.nbytes >= f.memory(batch=400)
    np.testing.assert_array_equal(called(f)(x), f(x))


def test_there_is_no_memory(monkeypatch: pytest.MonkeyPatch, jit_mode) -> None:
    x = gc.input("x", ("n", 8))
    f = gc.compile(gc.tanh(x @ np.ones((8, 8), np.float32)) @ np.ones((8, 8), np.float32))
    step = called(f)
    given = np.ones((16, 8), np.float32)
    with monkeypatch.context() as patch:
        patch.setattr(type(f._plan), "memory", lambda plan, sizes: 1 << 60)
        with pytest.raises(MemoryError, match="there is no memory for the buffers of step"):
            step(given)
        with pytest.raises(MemoryError):
            f(given)
    np.testing.assert_array_equal(step(given), f(given))


def test_native_code_keeps_what_it_calls(jit_mode) -> None:
    """The step, its params and its buffers live as long as the user's function, and no longer."""

    def made() -> tuple[Callable[..., Any], list[weakref.ref[Any]]]:
        x = gc.input("x", ("n", 64))
        w = gc.param("w", np.ones((64, 64), np.float32))
        f = gc.compile(gc.sum(gc.tanh(x @ w) @ w), updates={w: w + 1})
        step = f.njit

        @numba.njit
        def native(x):
            return step(x)

        native(np.zeros((9, 64), np.float32))
        memory = step.py_func.__globals__["_fields"]
        watched = [weakref.ref(each) for each in (f, step, memory)]
        native.py_func.__closure__[0].cell_contents = None
        for compiled in native.overloads.values():
            compiled.type_annotation.blocks.clear()  # Numba's notes for inspect_types(), which name the step
        return native, watched

    native, (f, step, memory) = made()
    garbage.collect()
    assert (f(), step(), memory() is None) == (None, None, False)
    noise = [np.full((64, 64), number, np.float32) for number in range(100)]
    assert native(np.ones((2, 64), np.float32)) == 2 * 64 * 64 * 2
    assert native(np.ones((2, 64), np.float32)) == 2 * 64 * 64 * 3
    assert noise[7][0, 0] == 7
    del native
    garbage.collect()
    assert memory() is None


CACHED = """
import numba, numpy as np, graphc as gc
x = gc.input("x", ("n",))
w = gc.param("w", 2.0)
f = gc.compile(gc.sum(x) * w)
step = f.njit
@numba.njit(cache=True)
def caller(x):
    return step(x)
print(caller(np.ones(3, np.float32)), f._code.told)
"""


def test_a_caller_is_not_cached_with_addresses_of_a_process(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    script = tmp_path / "script.py"
    script.write_text(CACHED)
    paths = {"PYTHONPATH": str(request.config.rootpath), "NUMBA_CACHE_DIR": str(tmp_path), "PATH": ""}
    environment = {**paths, "GRAPHC_CACHE_DIR": str(tmp_path / "steps")}
    for told in ("6.0 miss", "6.0 hit"):
        run = subprocess.run([sys.executable, script], env=environment, check=True, capture_output=True, text=True)
        assert run.stdout.startswith(told)
        assert "Cannot cache compiled function" in run.stderr
        assert not list(tmp_path.rglob("*.nbc"))


def test_without_the_jit(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The same script, in a process where Numba compiles nothing."""
    script = tmp_path / "script.py"
    script.write_text(CACHED)
    environment = {"PYTHONPATH": str(request.config.rootpath), "NUMBA_DISABLE_JIT": "1", "PATH": ""}
    run = subprocess.run([sys.executable, script], env=environment, check=True, capture_output=True, text=True)
    assert run.stdout == "6.0 none: NUMBA_DISABLE_JIT is set\n"


# ---- threads --------------------------------------------------------------------------------------------------------


def together(*works: Callable[[], Any]) -> list[Any]:
    """What functions return that run at once, each on a thread."""
    found: list[Any] = [None] * len(works)

    def keep(at: int) -> None:
        found[at] = works[at]()

    threads = [threading.Thread(target=keep, args=(at,)) for at in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("columns", [8, 128])
def test_steps_from_python_and_from_native_code_at_once(columns: int, jit_mode) -> None:
    """With and without the GIL, for steps that keep it and for steps that let it go: none is lost or mixed up."""
    x = gc.input("x", ("n", columns))
    w, count = gc.param("w", np.zeros((128, columns), np.float32)), gc.param("count", 0.0)
    f = gc.compile(gc.sum(x) + gc.sum(w @ x.T), updates={count: count + 1})
    step, calls = f.njit, 300

    def wrong(x, total):
        found = 0
        for _ in range(calls):
            if step(x) != total:
                found += 1
        return found

    def work(run: Callable[..., int], number: int) -> Callable[[], int]:
        given = np.full((number, columns), number, np.float32)  # each with an arena of its own size
        return lambda: run(given, float(given.sum()))

    def from_python(x, total):
        return sum(f(x) != total for _ in range(calls))

    runs = [numba.njit(wrong), numba.njit(nogil=True)(wrong), numba.njit(nogil=True)(wrong), from_python, from_python]
    assert together(*(work(run, 2 * at + 1) for at, run in enumerate(runs))) == [0] * 5
    assert count.value == 5 * calls


def test_whoever_waits_for_a_step_lets_go_of_the_gil(jit_mode) -> None:
    """A step that makes a larger arena wants the GIL; native code that holds it, and waits, gives it away."""
    x = gc.input("x", ("n", 8))
    f = gc.compile(gc.sum(gc.tanh(x @ np.ones((8, 8), np.float32)) @ np.ones((8, 8), np.float32)))
    step = f.njit

    def loop(x, table, calls):
        total = 0.0
        for _ in range(calls):
            table[1] = 0  # the arena's bytes: it is made anew each time
            total += step(x)
        return total

    held, free = numba.njit(loop), numba.njit(nogil=True)(loop)
    given, calls = np.zeros((3, 8), np.float32), 3000
    for each in (held, free):
        each(given, f._table, 1)
    works = [lambda: free(given, f._table, calls), lambda: held(given, f._table, calls)]
    assert together(*works) == [0, 0]


def test_several_scalars_are_those_of_one_call(jit_mode) -> None:
    x = gc.input("x", (64,))
    f = gc.compile([gc.sum(x), gc.sum(x) * 2, x + 1])
    step = f.njit

    @numba.njit(nogil=True)
    def native(x, calls):
        wrong = 0
        for _ in range(calls):
            one, two, rows = step(x)
            if one != x.sum() or two != 2 * one or rows[5] != x[5] + 1:
                wrong += 1
        return wrong

    def python(x: np.ndarray, calls: int) -> int:
        return sum(one != x.sum() or two != 2 * one for one, two, _ in (f(x) for _ in range(calls)))

    values = [np.full(64, number, np.float32) for number in range(4)]
    native(values[0], 1)
    works = [lambda: native(values[0], 20_000), lambda: native(values[1], 20_000)]
    works += [lambda: python(values[2], 2_000), lambda: python(values[3], 2_000)]
    assert together(*works) == [0, 0, 0, 0]
