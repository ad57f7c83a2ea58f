"""What a compiled function takes and gives: every dtype, every layout; integers that wrap; numbers that adapt."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gc

DTYPES = ["float32", "float64", "int32", "int64", "uint8", "bool"]
INTEGERS = ["int32", "int64", "uint8"]


def numbers(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Numbers that no other layout or byte order would show."""
    values = 1 + np.arange(np.prod(shape, dtype=int)).reshape(shape) * 7 % 11
    return values % 2 == 0 if dtype == "bool" else values.astype(dtype)


# ---- layouts --------------------------------------------------------------------------------------------------------


class Subclass(np.ndarray):
    """An array of a class of its own, whose arithmetic must not run."""

    def __add__(self, other: Any) -> Any:
        raise AssertionError


def every_other(values: np.ndarray) -> np.ndarray:
    wide = np.zeros([2 * size for size in values.shape], values.dtype)
    wide[tuple(slice(None, None, 2) for _ in values.shape)] = values
    return wide[tuple(slice(None, None, 2) for _ in values.shape)]


def backwards(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values[::-1])[::-1] if values.ndim else values


def read_only(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    values.flags.writeable = False
    return values


def misaligned(values: np.ndarray) -> np.ndarray:
    raw = np.frombuffer(b"\1" + values.tobytes(), np.uint8)[1:]
    return raw.view(values.dtype).reshape(values.shape)


LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "every other": every_other,
    "backwards": backwards,
    "read-only": read_only,
    "misaligned": misaligned,
    "byte-swapped": lambda values: values.astype(values.dtype.newbyteorder()),
    "byte-swapped and strided": lambda values: every_other(values.astype(values.dtype.newbyteorder())),
    "a subclass": lambda values: values.view(Subclass),
    "a record's field": lambda values: np.rec.fromarrays([values, values]).f1,
    "a list": lambda values: values.tolist(),
    "a list of arrays": list,
    "a memoryview": lambda values: memoryview(values),
    "with __array__": lambda values: HasArray(values),
}


class HasArray:
    """An array of another library."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.dtype = values, values.dtype

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self.values if dtype is None else self.values.astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_layout_is_never_misread(dtype: str, either_mode: str) -> None:
    """Each output is what it is for an array that NumPy has just made; the input stays as it was."""
    x, w = gc.input("x", ("n", 3), dtype), gc.param("w", np.zeros(2))
    f = gc.compile([x, x.T, gc.sum(x, 1), gc.equal(x, x[::-1])], updates={w: w + 1.0})
    for rows, (name, laid_out) in itertools.product((4, 1, 0), LAYOUTS.items()):
        values = numbers((rows, 3), dtype)
        given_value = laid_out(values)
        if np.shape(given_value) != values.shape:  # an empty list has no second axis
            continue
        results = f(given_value)
        wanted = [values, values.T, np.sum(values, 1), values == values[::-1]]
        for got, expected in zip(results, wanted, strict=True):
            np.testing.assert_array_equal(got, expected, err_msg=name)
            assert not np.may_share_memory(got, np.asarray(given_value)), name
        assert [result.dtype for result in results[:2]] == [dtype, dtype]
        assert all(type(result) is np.ndarray and result.flags.writeable for result in results)
        np.testing.assert_array_equal(np.asarray(given_value), values, err_msg=name)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_scalar_may_come_as_any_number(dtype: str, either_mode: str) -> None:
    f = gc.compile(gc.input("x", (), dtype) * np.ones(2, dtype))
    own = np.dtype(dtype)
    for one in (own.type(1), np.array(1, own), np.array(1, own.newbyteorder()), np.True_, True, own.type(1).item()):
        result = f(one)
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, np.ones(2))


# ---- dtypes of inputs -----------------------------------------------------------------------------------------------

FOREIGN = [
    "float16",
    "longdouble",
    "complex64",
    "int8",
    "int16",
    "uint16",
    "uint32",
    "uint64",
    "V2",
    "S4",
    "U4",
    "O",
    "M8[s]",
]


@pytest.mark.parametrize("wanted", DTYPES)
@pytest.mark.parametrize("given_dtype", DTYPES + FOREIGN)
def test_an_array_is_cast_where_that_is_safe_and_else_refused(given_dtype: str, wanted: str, python_mode: None) -> None:
    w = gc.param("w", np.zeros(2))
    f = gc.compile(gc.input("x", (3,), wanted) * np.ones(3, wanted), updates={w: w + 1.0})
    values = np.zeros(3, given_dtype) if given_dtype in ("V2", "M8[s]") else np.array([1, 0, 1]).astype(given_dtype)
    if np.can_cast(values.dtype, wanted, "safe"):
        np.testing.assert_array_equal(f(values), values.astype(wanted))
    else:
        with pytest.raises(gc.InputError, match=rf"input x wants .*got dtype .*x\.astype\('{wanted}'\)"):
            f(values)
        np.testing.assert_array_equal(w.value, [0, 0])


REFUSED: dict[str, tuple[str, Any]] = {
    "an int that does not fit int32": ("int32", [2**31, 0, 0]),
    "an int that does not fit int64": ("int64", [2**63, 0, 0]),
    "an int that does not fit uint8": ("uint8", [256, 0, 0]),
    "a negative number for uint8": ("uint8", [-1, 0, 0]),
    "floats for integers": ("int64", [1.0, 2.0, 3.0]),
    "numbers for bools": ("bool", [0, 1, 2]),
    "complex numbers": ("float64", [1j, 0, 0]),
    "words": ("float64", ["1", "2", "3"]),
    "None": ("float64", None),
    "None inside": ("float64", [None, 1.0, 2.0]),
    "a ragged list": ("float64", [[1.0], 2.0, 3.0]),
    "a node": ("float64", gc.const(1.0)),
    "a dict": ("float64", {0: 1.0}),
    "masked numbers": ("float64", np.ma.masked_equal([1.0, 2.0, 3.0], 2.0)),
    "another shape": ("float64", [1.0, 2.0]),
    "another rank": ("float64", [[1.0, 2.0, 3.0]]),
}


@pytest.mark.parametrize(("dtype", "value"), REFUSED.values(), ids=REFUSED)
def test_what_would_be_misread_is_refused(dtype: str, value: Any, python_mode: None) -> None:
    w = gc.param("w", np.zeros(2))
    f = gc.compile(gc.input("x", (3,), dtype) * np.ones(3, dtype), updates={w: w + 1.0})
    with pytest.raises(gc.InputError, match="x"):
        f(value)
    np.testing.assert_array_equal(w.value, [0, 0])


@pytest.mark.parametrize("dtype", INTEGERS)
def test_python_integers_that_fit_are_taken(dtype: str, python_mode: None) -> None:
    limits = np.iinfo(dtype)
    result = gc.compile(gc.input("x", (3,), dtype) * np.ones(3, dtype))([limits.min, 0, limits.max])
    np.testing.assert_array_equal(result, np.array([limits.min, 0, limits.max], dtype))
    assert result.dtype == dtype


@pytest.mark.parametrize("dtype", [*FOREIGN, "float96x"])
def test_a_dtype_that_graphc_has_not_is_refused_at_once(dtype: str) -> None:
    makers = [lambda: gc.input("x", (2,), dtype), lambda: gc.astype(gc.input("x", (2,)), dtype)]
    if dtype != "float96x":
        makers += [lambda: gc.param("w", np.zeros(2, dtype)), lambda: gc.const(np.zeros(2, dtype))]
    for make in makers:
        with pytest.raises((gc.DtypeError, TypeError), match=r"not supported|not understood|float96x"):
            make()
