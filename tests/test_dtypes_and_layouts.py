"""What a compiled function takes and gives: every dtype, every layout; integers that wrap; numbers that adapt."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings

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


@pytest.mark.parametrize("dtype", FOREIGN)
def test_a_dtype_that_graphc_has_not_is_refused_at_once(dtype: str) -> None:
    for make in (
        lambda: gc.input("x", (2,), dtype),
        lambda: gc.astype(gc.input("x", (2,)), dtype),
        lambda: gc.param("w", np.zeros(2, dtype)),
        lambda: gc.const(np.zeros(2, dtype)),
    ):
        with pytest.raises(gc.DtypeError, match="not supported"):
            make()


# ---- integers wrap as in NumPy --------------------------------------------------------------------------------------

EDGES = {
    "uint8": [0, 1, 2, 7, 8, 100, 127, 128, 200, 254, 255],
    "int32": [-(2**31), 1 - 2**31, -7, -2, -1, 0, 1, 2, 7, 31, 32, 65537, 2**31 - 1],
    "int64": [-(2**63), 1 - 2**63, -7, -2, -1, 0, 1, 2, 7, 63, 64, 2**33 + 1, 2**63 - 1],
}
# Read with graphc and with NumPy as np; each is one fused expression.
WRAPPING = """
    a + b
    a - b
    a * b
    -a
    np.absolute(a)
    np.square(a - b)
    a ** 3
    (a + b) // 2
    a // b
    a % b
    (a - b) // (b + 1)
    (a * b) % 7
    np.sign(a - b)
    np.maximum(a + b, a)
    np.clip(a + b, 3, 5)
    np.where(a + b > a, a + b, b - 1)
    a + b < a
    a - b >= 100
    a + b > int32(300)
    np.equal(a + b, int64(300))
    (a + b) * int64(300)
    (a * b) / 3
    np.sqrt((a * a).astype("float64"))
    ~a & b
    (a | b) ^ -a
    np.left_shift(a, b)
    np.right_shift(a, b)
    np.sum(a + b)
    np.sum(a * b, 0)
    np.max(a + b, 1)
    np.prod(a * b, 1)
    np.cumsum(a + b, 1)
    np.argmax(a + b, 1)
    np.mean(a * b, 0)
    (a * b).astype("float64") + 0.5
    (a + b).astype("bool")
    (a * b).astype("uint8")
    (a - b).astype("int32") + 1
    (a + b)[1:, ::-1] + a[:-1]
"""


def agree_on(sources: Sequence[str], feeds: dict[str, np.ndarray]) -> None:
    """All of the expressions in one function, against NumPy's values and dtypes."""
    names = {"int32": np.int32, "int64": np.int64}
    inputs = {name: gc.input(name, array.shape, array.dtype) for name, array in feeds.items()}
    nodes = [eval(source, {"np": gc, **names, **inputs}) for source in sources]
    with np.errstate(all="ignore"):
        wanted = [np.asarray(eval(source, {"np": np, **names, **feeds})) for source in sources]
    results = gc.compile(nodes, inputs=list(inputs.values()))(**feeds)
    for source, node, got, expected in zip(sources, nodes, results, wanted, strict=True):
        assert node.dtype == (np.int64 if expected.dtype == np.uint64 else expected.dtype), source  # see test_shapes
        tolerance = 1e-12 if expected.dtype.kind == "f" else 0
        np.testing.assert_allclose(got, expected.astype(node.dtype), rtol=tolerance, atol=0, err_msg=source)


def grid(values: Sequence[Any], dtype: str) -> dict[str, np.ndarray]:
    """Each value beside each."""
    a, b = np.meshgrid(np.array(values, dtype), np.array(values, dtype), indexing="ij")
    return {"a": a.copy(), "b": b.copy()}


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_wrap_as_in_numpy(dtype: str, either_mode: str) -> None:
    agree_on([line.strip() for line in WRAPPING.strip().splitlines()], grid(EDGES[dtype], dtype))


OF_BOOLS = """
    a + b
    a * b
    ~a
    a & b
    a | ~b
    a ^ (a + b)
    a < b
    a >= b
    np.where(a, b, ~b)
    np.logical_xor(a, b)
    a + 1
    a / (b + 1)
    np.sum(a + b)
    np.max(a * b, 0)
    np.any(a * b, 1)
    np.all(a + b)
    np.mean(a)
    a.astype("uint8") - 1
"""


def test_bools_add_and_multiply_as_in_numpy(either_mode: str) -> None:
    agree_on([line.strip() for line in OF_BOOLS.strip().splitlines()], grid([False, True], "bool"))


@pytest.mark.parametrize("source", ["-a", "a - b", "np.sign(a)"])
def test_bools_that_numpy_does_not_subtract_are_refused(source: str) -> None:
    with pytest.raises(TypeError):
        eval(source, {"np": np, **grid([False, True], "bool")})
    with pytest.raises(gc.DtypeError):
        eval(source, {"np": gc, "a": gc.input("a", (2,), "bool"), "b": gc.input("b", (2,), "bool")})


@st.composite
def expressions(draw: Callable, depth: int = 4) -> str:
    """Integer arithmetic over a and b, with small numbers on the right."""
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(["a", "b"]))
    inner = expressions(depth - 1)
    form = draw(st.sampled_from(["({} {} {})", "({} {} {})", "np.{3}({0}, {2})", "np.where({0} < {2}, {2}, b)"]))
    operator = draw(st.sampled_from(["+", "-", "*", "//", "%", "&", "|", "^"]))
    function = draw(st.sampled_from(["maximum", "minimum", "left_shift", "right_shift", "add"]))
    return form.format(draw(inner), operator, draw(inner | st.sampled_from(["1", "2", "7"])), function)


# A fixture serves all examples, and an example costs a compile: it is not made smaller.
COMPILED = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
EXPRESSIONS = st.lists(expressions(), min_size=10, max_size=10)


@pytest.mark.parametrize("dtype", INTEGERS)
@settings(COMPILED, max_examples=3)
@given(sources=EXPRESSIONS)
def test_drawn_integer_arithmetic_is_numpys(dtype: str, sources: list[str], either_mode: str) -> None:
    agree_on(sources, grid(EDGES[dtype], dtype))


# ---- Python's numbers adapt, NumPy's do not (NEP 50) ----------------------------------------------------------------

SCALARS: list[Any] = [
    *(
        0,
        1,
        -1,
        255,
        256,
        -256,
        2**31 - 1,
        2**31,
        -(2**31) - 1,
        2**63 - 1,
        2**63,
        2**70,
        True,
        1.5,
        -0.0,
        1e300,
        np.inf,
    ),
    *(np.bool_(True), np.uint8(3), np.int32(-3), np.int64(300), np.float32(0.5), np.float64(0.5)),
    *(np.int8(3), np.uint16(3), np.uint64(3), np.float16(0.5)),
]
FUNCTIONS = ["add", "multiply", "subtract", "divide", "floor_divide", "remainder", "maximum", "less", "equal"]


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("scalar", SCALARS, ids=lambda scalar: f"{type(scalar).__name__} {scalar}")
def test_a_number_adapts_as_in_numpy(function: str, scalar: Any) -> None:
    for dtype, turned in itertools.product(DTYPES, (False, True)):
        values = numbers((2,), dtype)
        x = gc.param("x", values)
        wanted = result_of(np, function, *((scalar, values) if turned else (values, scalar)))
        got = result_of(gc, function, *((scalar, x) if turned else (x, scalar)))
        if isinstance(wanted, Exception) or is_refused(function, dtype, scalar, wanted):
            assert isinstance(got, gc.DtypeError), got
        else:
            assert isinstance(got, gc.Node), got
            assert got.dtype == wanted.dtype
            np.testing.assert_allclose(gc.evaluate(got), wanted, rtol=1e-6)


def result_of(module: Any, function: str, *operands: Any) -> Any:
    """What a module's function gives, or the error that it raises."""
    try:
        with np.errstate(all="ignore"):
            return getattr(module, function)(*operands)
    except (TypeError, OverflowError) as error:
        return error


def is_refused(function: str, dtype: str, scalar: Any, wanted: np.ndarray) -> bool:
    """What NumPy answers and graphc does not: results of a dtype that it has not, and comparisons that need one."""
    common = result_of(np, "add", np.zeros(0, dtype), scalar) if function in ("less", "equal") else wanted
    return isinstance(common, Exception) or common.dtype.name not in DTYPES


NO_NUMBERS = [None, "1", b"1", [None], {0: 1}, 1j, np.datetime64(3, "s"), np.timedelta64(3, "s"), np.zeros(2, "V2")]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=str)
@pytest.mark.parametrize("function", ["add", "divide", "exp", "sum", "mean", "dot", "maximum", "less"])
def test_what_is_no_number_is_refused(function: str, value: Any) -> None:
    x = gc.input("x", (2,), "float64")
    with pytest.raises(gc.DtypeError):
        getattr(gc, function)(*([value] if function in ("exp", "sum", "mean") else [x, value]))
