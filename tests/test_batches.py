"""The batch loop and the shuffle, each beside a few lines of NumPy and plain integers."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import numba
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

import graphc as gc
from graphc.backend.build import build
from graphc.backend.table import ARENA_TOO_SMALL
from graphc.ops.random import philox_of_array
from graphc.primitives.random import shuffle
from graphc.runtime import native
from graphc.training.loop import CUT, HEAD, Cut, emit


def order_of(rows: int, seed: int, epoch: int) -> np.ndarray:
    """The permutation by its definition, in integers of any size."""
    order, words = list(range(rows)), (int(philox_of_array(n, epoch, seed)) for n in itertools.count())
    for place in range(rows):
        left = rows - place
        word = next(word for word in words if word * left % 2**32 >= 2**32 % left)
        other = place + word * left // 2**32
        order[place], order[other] = order[other], order[place]
    return np.array(order, np.int64)


def batches_of(rows: int, batch_size: int, seed: int, epochs: int, shuffled: bool = True) -> Iterator[np.ndarray]:
    """The rows of each batch of a training."""
    for epoch in range(1, epochs + 1):
        order = order_of(rows, seed, epoch) if shuffled else np.arange(rows)
        yield from (order[first : first + batch_size] for first in range(0, rows, batch_size))


# ---- the shuffle ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def native_shuffle():
    def shuffled(rows: int, seed: int, epoch: int) -> np.ndarray:
        order, drawn, half = np.full(rows, -1), 0, rows // 2
        for start, stop in [(0, half), (half, rows)]:  # in two pieces
            drawn = run(order, start, stop, drawn, seed, epoch)
        return order

    run = numba.njit(lambda *args: shuffle(*args))  # as Python where the JIT is off
    return shuffled


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 10, 1000])
def test_a_shuffle_is_the_permutation_that_its_definition_says(rows: int, native_shuffle) -> None:
    for seed, epoch in [(0, 1), (7, 1), (7, 2), (2**32 - 1, 3)]:
        order = native_shuffle(rows, seed, epoch)
        np.testing.assert_array_equal(np.sort(order), np.arange(rows))
        np.testing.assert_array_equal(order, order_of(rows, seed, epoch))
    if rows >= 10:
        assert len({tuple(native_shuffle(rows, *key)) for key in [(0, 1), (0, 2), (1, 1)]}) == 3


def test_the_permutations_of_four_are_equally_likely(native_shuffle) -> None:
    counts = Counter(tuple(native_shuffle(4, 20240, epoch)) for epoch in range(24_000))
    assert len(counts) == 24
    chi_square = sum((count - 1000) ** 2 / 1000 for count in counts.values())
    assert chi_square < 49.7  # 23 degrees of freedom: more than this with probability 0.001


def test_words_that_would_be_biased_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three values of 32 bits: 2**32 % 3 = 1, so the word 0 is drawn again."""
    words = iter([0, 2**31, 2**32 - 1, 7])
    monkeypatch.setattr("graphc.primitives.random.philox", lambda position, epoch, seed: next(words))
    order = np.zeros(3, np.int64)
    assert shuffle(order, 0, 3, 0, 0, 1) == 4
    # 2**31 * 3 / 2**32 is 1: rows 0 and 1 change places; the next word is nearly 1 * 2: so do those at 1 and 2.
    np.testing.assert_array_equal(order, [1, 2, 0])


# ---- the loop -------------------------------------------------------------------------------------------------------


def test_the_text_of_a_loop(python_mode) -> None:
    """It reads as a program, runs as Python, and calls the step that its table names, until one says no."""
    text = emit([Cut(np.dtype(np.uint8), np.dtype(np.float32)), Cut(None, np.dtype(np.int64))], shuffled=False)
    assert "batch[row, column] = np.float32(source[at, column])" in text
    assert "shuffle" not in text
    rows, labels = np.arange(10, dtype=np.uint8).reshape(5, 2), np.arange(5)
    buffer, scalars, totals = np.zeros((2, 2), np.float32), np.zeros(1), np.zeros(1)
    step, kept, seen = np.zeros(9, np.int64), np.full(9, 42), []

    def work(result, exception, table) -> int:
        count = int(step[6])
        y = np.frombuffer((native.ctypes.c_int64 * count).from_address(int(step[7])), np.int64)
        seen.append((buffer[:count].tolist(), y.tolist()))
        scalars[0] = len(seen)
        result[0] = 0 if len(seen) < 3 else 5
        return 0

    code = native.STEP(work)
    address = native.ctypes.cast(code, native.ctypes.c_void_p).value
    head = {"code": address, "end": 9, "outputs": 1, "rows": 5, "batch": 2, "first": 0, "steps": 10}
    places = {"step_at": step, "kept_at": kept, "scalars_at": scalars, "totals_at": totals}
    head |= {name: array.ctypes.data for name, array in places.items()}
    cuts = [rows.ctypes.data, 2, 2, buffer.ctypes.data, 5, 6, labels.ctypes.data, 8, 1, 0, 7, 8]
    table = np.array([*(head.get(name, 0) for name in HEAD), *cuts], np.int64)
    assert len(table) == len(HEAD) + 2 * len(CUT)
    loop = build(text, "epoch", "epoch")
    busy = np.zeros(1, np.int64)
    door = native.Door(loop, table, busy, scalars, (), (), (), lambda: False, ARENA_TOO_SMALL)
    assert door.function(np.zeros((1, 1)))() == 5
    assert seen == [([[0, 1], [2, 3]], [0, 1]), ([[4, 5], [6, 7]], [2, 3]), ([[8, 9]], [4])]
    assert totals == 2 * 1 + 2 * 2
    assert table[HEAD.index("first")] == 4
    assert step[:5].tolist() == [0] * 5
    assert busy == 0


DTYPES = {
    "float32": ("float32", "uint8", "int8", "bool", "int16", "uint16", "float16", ">f4"),
    "float64": ("float64", "float32", "int32", "uint32", "uint8"),
    "int64": ("int64", "int32", "uint8", "bool", "uint32"),
}


@st.composite
def trainings(draw: st.DrawFn) -> dict:
    """A training: sizes, dtypes and layouts of the data, and how it is cut."""
    inputs = [
        {
            "target": (target := draw(st.sampled_from(sorted(DTYPES)))),
            "source": draw(st.sampled_from(DTYPES[target])),
            "inner": tuple(draw(st.lists(st.integers(1, 4), max_size=2))),
            "layout": draw(st.sampled_from(["C", "F", "columns", "steps", "backwards", "stretched"])),
        }
        for _ in range(draw(st.integers(1, 3)))
    ]
    sizes = {"rows": draw(st.integers(1, 40)), "batch_size": draw(st.integers(1, 45))}
    flags = {"shuffle": draw(st.booleans()), "seed": draw(st.integers(0, 2**32 - 1)), "epochs": draw(st.integers(1, 3))}
    return {"inputs": inputs, **sizes, **flags}


def laid_out(rng: np.random.Generator, rows: int, given: dict) -> np.ndarray:
    """Random rows of a dtype in a layout."""
    shape = (rows, *given["inner"])
    values = rng.integers(0, 2 if given["source"] == "bool" else 100, shape).astype(given["source"])
    if given["layout"] == "F":
        return np.asfortranarray(values)
    if given["layout"] == "columns":
        wide = np.concatenate([values, values], -1) if given["inner"] else np.stack([values, values], -1)
        return wide[..., : shape[-1]] if given["inner"] else wide[:, 0]
    if given["layout"] == "steps":
        return np.repeat(values, 2, axis=0)[::2]
    if given["layout"] == "backwards":
        return values[::-1]
    if given["layout"] == "stretched":
        return np.broadcast_to(values[:1], shape)
    return values


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(training=trainings())
def test_any_training_is_a_loop_of_calls(training: dict, python_mode) -> None:
    check_training(training)


@pytest.mark.parametrize("shuffled", [True, False])
@pytest.mark.parametrize("target", DTYPES)
def test_each_cast_in_native_code(target: str, shuffled: bool, jit_mode) -> None:
    for layout in ("C", "columns"):
        inputs = [{"target": target, "source": each, "inner": (3,), "layout": layout} for each in DTYPES[target]]
        check_training({"inputs": inputs, "rows": 23, "batch_size": 5, "shuffle": shuffled, "seed": 3, "epochs": 2})


def inner_weights(given: dict) -> np.ndarray:
    """1, 2, ... for the elements of a row."""
    return np.arange(1, 1 + int(np.prod(given["inner"]))).reshape(given["inner"])


def check_training(training: dict) -> None:
    """fit against NumPy: a step that keeps a hash of the batches so far, order, values and sizes included.

    All its numbers are whole and below 2**53, so no order of a sum matters.
    """
    rng = np.random.default_rng(training["seed"])
    rows, given = training["rows"], training["inputs"]
    data = [laid_out(rng, rows, each) for each in given]

    nodes = [gc.input(f"x{n}", ("batch", *each["inner"]), each["target"]) for n, each in enumerate(given)]
    scale = gc.input("scale", (), "float64")
    hashes = gc.param("hashes", np.zeros(len(data)), trainable=False)
    place = gc.astype(gc.arange(nodes[0].shape[0]) + 1, "float64")
    sums = [
        gc.sum(gc.astype(x, "float64") * gc.reshape(place, (-1, *[1] * (x.ndim - 1))) * inner_weights(each))
        for x, each in zip(nodes, given, strict=True)
    ]
    updates = {hashes: gc.remainder(hashes * 31 + gc.stack(sums) * scale, 1_000_003.0)}
    f = gc.compile(sums[0], inputs=[nodes[0], scale, *nodes[1:]], updates=updates)
    options = {key: training[key] for key in ("batch_size", "shuffle", "seed", "epochs")}
    history = f.fit((data[0], 2.0, *data[1:]), **options, progress=False)

    expected, totals = np.zeros(len(data)), np.zeros(training["epochs"])
    batches = list(batches_of(rows, training["batch_size"], training["seed"], training["epochs"], training["shuffle"]))
    for number, chosen in enumerate(batches):
        places = np.arange(1, 1 + len(chosen))
        found = [
            np.tensordot(places, array[chosen].astype(np.float64) * inner_weights(each), 1).sum()
            for array, each in zip(data, given, strict=True)
        ]
        expected = np.remainder(expected * 31 + np.array(found) * 2, 1_000_003.0)
        totals[number * training["epochs"] // len(batches)] += found[0] * len(chosen)
    np.testing.assert_array_equal(hashes.value, expected)
    assert history.loss == (totals / rows).tolist()
    assert history.steps == len(batches)
