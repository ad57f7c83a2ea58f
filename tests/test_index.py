"""`x[key]` against NumPy's, and its gradient against `np.add.at`, for keys drawn by hypothesis."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

import graphc as gc

# ---- keys -----------------------------------------------------------------------------------------------------------

RARELY = st.integers(0, 24).map(lambda number: number == 0)
BOUND = st.none() | st.integers(-6, 6)
SLICES = st.builds(slice, BOUND, BOUND, st.sampled_from([None, 1, 2, 3, -1, -2, -3]))


def position(draw: Callable, size: int) -> int:
    """A position of an axis, rarely one outside it."""
    inside = size and not draw(RARELY)
    return draw(st.integers(-size, size - 1) if inside else st.sampled_from([size, -size - 1]))


def positions(draw: Callable, size: int, shape: Sequence[int]) -> np.ndarray:
    """Positions in an array that stretches to `shape`, of one of the dtypes that index."""
    own = [draw(st.sampled_from([each, each, 1])) for each in shape[draw(st.integers(0, len(shape))) :]]
    if draw(RARELY):
        own = [*own, 5]
    values = np.array([position(draw, size) for _ in range(int(np.prod(own)))], "int64").reshape(own)
    dtypes = ["int64", "int64", "int32", *(["uint8"] if np.all(values >= 0) else [])]
    return values.astype(draw(st.sampled_from(dtypes)))


def entries(draw: Callable, sizes: Sequence[int], shape: Sequence[int], kinds: str) -> list[Any]:
    """One entry for each of the axes, and now and then a new axis."""
    made: list[Any] = []
    for size in sizes:
        made += [None] * (draw(st.integers(0, 5)) == 0)
        kind = draw(st.sampled_from(kinds))
        if kind == "i":
            made.append(draw(st.sampled_from([int, np.int64]))(position(draw, size)))
        elif kind == "s":
            made.append(draw(SLICES))
        else:
            array = positions(draw, size, shape)
            made.append(draw(st.sampled_from([array, array, array.tolist()])) if array.ndim else array)
    return made


@st.composite
def cases(draw: Callable, kinds: str = "issaa") -> tuple[tuple[int, ...], Any]:
    """The shape of an array, and a key for it: i is an int, s a slice, a an array of integers."""
    shape = tuple(draw(st.lists(st.integers(0, 4), min_size=1, max_size=5)))
    stretched = draw(st.lists(st.integers(0, 3), max_size=2))
    front = draw(st.integers(0, len(shape)))
    key = entries(draw, shape[:front], stretched, kinds)
    if draw(st.booleans()):
        back = draw(st.integers(front, len(shape)))
        key += [..., *entries(draw, shape[back:], stretched, kinds)]
    if draw(RARELY):
        key.append(draw(st.sampled_from([..., 0, slice(None), slice(1, 0, 0)])))
    return shape, key[0] if len(key) == 1 else tuple(key)


def taken(shape: tuple[int, ...], key: Any) -> np.ndarray | Exception:
    """NumPy's `x[key]` of the numbers 0, 1, ..., or its error."""
    try:
        return np.arange(float(np.prod(shape))).reshape(shape)[key]
    except (IndexError, ValueError) as error:
        return error


def scattered(shape: tuple[int, ...], key: Any, weights: np.ndarray) -> np.ndarray:
    """The gradient of `sum(weights * x[key])`."""
    gradient = np.zeros(shape)
    np.add.at(gradient, key, weights)
    return gradient


def is_taken(case: tuple[tuple[int, ...], Any]) -> bool:
    """Whether graphc takes the key too: of nothing NumPy takes a position outside an axis, graphc does not."""
    try:
        gc.input("x", case[0])[case[1]]
    except gc.ShapeError:
        return False
    return True


# ---- values and gradients -------------------------------------------------------------------------------------------


@settings(derandomize=True, deadline=None, max_examples=1500)
@given(cases())
def test_a_key_takes_what_it_takes_in_numpy(case: tuple[tuple[int, ...], Any]) -> None:
    shape, key = case
    wanted = taken(shape, key)
    x = gc.param("x", np.arange(float(np.prod(shape))).reshape(shape))
    if isinstance(wanted, Exception) or (not wanted.size and not is_taken(case)):
        with pytest.raises(gc.ShapeError, match="outside an axis" if isinstance(wanted, np.ndarray) else None):
            x[key]
        return
    node = x[key]
    assert node.shape == wanted.shape
    weights = np.random.default_rng(0).normal(size=wanted.shape)
    value, gradient = gc.evaluate([node, gc.grad(gc.sum(node * weights), x)])
    np.testing.assert_array_equal(value, wanted)
    np.testing.assert_allclose(gradient, scattered(shape, key, weights), rtol=1e-13, atol=1e-13)


def test_a_position_outside_is_refused_also_where_nothing_is_read() -> None:
    """NumPy looks at positions only when it reads."""
    key = np.zeros(0, int), [7]
    assert np.zeros((3, 2))[key].shape == (0,)
    with pytest.raises(gc.ShapeError, match="index 7 is outside an axis of 2"):
        gc.param("x", np.zeros((3, 2)))[key]


# A fixture serves all examples, and an example costs a compile: it is not made smaller.
COMPILED = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
BATCH = st.lists(cases().filter(is_taken), min_size=12, max_size=12)


@settings(COMPILED, max_examples=4)
@given(batch=BATCH)
def test_compiled_keys_take_what_they_take_in_numpy(batch: list[Any], either_mode: str) -> None:
    """A dozen keys and their gradients in one function; arrays of positions are inputs where they can be."""
    agree_compiled(batch)


@pytest.mark.slow
@settings(COMPILED, max_examples=100)
@given(batch=BATCH)
def test_many_compiled_keys_take_what_they_take_in_numpy(batch: list[Any], either_mode: str) -> None:
    agree_compiled(batch)


def agree_compiled(batch: list[Any]) -> None:
    feeds: dict[str, np.ndarray] = {}
    nodes, wanted = [], []
    for number, (shape, key) in enumerate(batch):
        values = taken(shape, key)
        weights = np.random.default_rng(number).normal(size=values.shape)
        x = gc.param(f"x{number}", np.arange(float(np.prod(shape))).reshape(shape))
        taken_node = x[as_inputs(key, number, feeds)]
        nodes += [taken_node, gc.grad(gc.sum(taken_node * weights), x)]
        wanted += [values, scattered(shape, key, weights)]
    for case, got, value in zip(np.repeat(range(len(batch)), 2), gc.compile(nodes)(**feeds), wanted, strict=True):
        np.testing.assert_allclose(got, value, rtol=1e-13, atol=1e-13, err_msg=str(batch[case]))


def as_inputs(key: Any, number: int, feeds: dict[str, np.ndarray]) -> Any:
    """The key with an input for each array in it, whose value is put into `feeds`."""
    made = []
    for each in key if isinstance(key, tuple) else (key,):
        if isinstance(each, np.ndarray):
            feeds[name := f"i{number}_{len(made)}"] = each
            made.append(gc.input(name, each.shape, each.dtype))
        else:
            made.append(each)
    return tuple(made)


# ---- what is no key -------------------------------------------------------------------------------------------------

NOT_KEYS: list[tuple[Any, type[Exception], str]] = [
    (3, gc.ShapeError, "index 3 is outside an axis of size 3"),
    (-4, gc.ShapeError, "index -4 is outside an axis of size 3"),
    ((0, 0, 0), gc.ShapeError, "3 indices for 2 axes"),
    ((..., ...), gc.ShapeError, "at most one"),
    (slice(0, 2, 0), gc.ShapeError, "a slice's step is not 0"),
    ([0, 3], gc.ShapeError, "index 3 is outside an axis of 3"),
    (([0, 1], [0, 1, 0]), gc.ShapeError, "do not broadcast"),
    (1.0, gc.DtypeError, "indices are integers, got f64"),
    ([0.5], gc.DtypeError, "indices are integers, got f64"),
    ("a", gc.DtypeError, "an index is an int, a slice, ..., None or integers, got 'a'"),
    (slice(0.5, None), gc.DtypeError, "a slice's bounds are ints"),
    (slice(None, None, 1.5), gc.DtypeError, "a slice's"),
    (slice("a"), gc.DtypeError, "a slice's bounds are ints"),
    ({0: 1}, gc.DtypeError, "an index is an int"),
]


@pytest.mark.parametrize(("key", "error", "message"), NOT_KEYS, ids=lambda part: str(part)[:30])
def test_what_is_no_key_says_so(key: Any, error: type[Exception], message: str) -> None:
    with pytest.raises((IndexError, TypeError, ValueError)):
        np.zeros((3, 2))[key]
    with pytest.raises(error, match=message):
        gc.input("x", (3, 2))[key]


MASKS: dict[str, Callable[[gc.Node], Any]] = {
    "a node": lambda x: x > 0,
    "an array": lambda x: np.ones((3, 2), bool),
    "a list": lambda x: [True, False, True],
    "a bool": lambda x: True,
    "beside an int": lambda x: (np.array([True, False, True]), 0),
}


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_a_mask_says_what_to_do_instead(mask: Callable[[gc.Node], Any]) -> None:
    x = gc.input("x", (3, 2))
    with pytest.raises(gc.DtypeError, match=r"a bool mask gives no fixed shape: use gc\.where\(mask, x, 0\)"):
        x[mask(x)]


# ---- positions that are known at the call ---------------------------------------------------------------------------

READS: dict[str, Callable[[gc.Node, gc.Node], gc.Node]] = {
    "x[i]": lambda x, i: x[i],
    "x[..., i]": lambda x, i: x[..., i],
    "x[i, None, i]": lambda x, i: x[i, None, i],
    "x[1:, i]": lambda x, i: x[1:, i],
    "x[::-1][i]": lambda x, i: x[::-1][i],
    "take": lambda x, i: gc.take(x, i, 1),
    "take_along_axis": lambda x, i: gc.take_along_axis(x, gc.reshape(i, (-1, 1)), 1),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_a_position_outside_stops_the_call_before_anything_changes(read, dtype: str, either_mode: str) -> None:
    w = gc.param("w", np.arange(16.0).reshape(4, 4))
    i = gc.input("i", (4,), dtype)
    step = gc.compile(read(w, i), updates={w: w + 1.0})
    before = w.value.copy()
    lowest = 0 if dtype == "uint8" else -4
    for outside in (4, 100, *([-5, -100] if lowest else [])):
        for at in range(4):
            positions = np.zeros(4, dtype)
            positions[at] = outside
            with pytest.raises(gc.InputError, match=rf"(label|index) {outside} at \[{at}.* is outside range\("):
                step(positions)
            np.testing.assert_array_equal(w.value, before)
    inside = np.array([0, 3, lowest, lowest], dtype)
    np.testing.assert_array_equal(step(inside), gc.evaluate(read(gc.const(before), gc.const(inside))))
    np.testing.assert_array_equal(w.value, before + 1.0)
