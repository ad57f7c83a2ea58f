"""The functions of primitives/elementary.py: how exact they are, in units in the last place (ulp), and their ends.

float32 is measured against float64, float64 against mpmath. The bounds are those that the docstrings state.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numba
import numpy as np
import pytest
import remez
import scipy.special

import graphc as gc
from graphc.primitives import elementary

Array = np.ndarray
pytestmark = pytest.mark.usefixtures("jit_mode")
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["float32", "float64"])


@dataclass(frozen=True)
class Case:
    """A function, its bound in ulp, what it is of float64 to 2 ulp, and what it is exactly."""

    name: str
    bound: float
    of_array: Callable[[Array], Array]
    exact: Callable[[Any], Any]

    def __str__(self) -> str:
        return self.name

    def measured(self, x: Array) -> tuple[float, Any]:
        """The greatest error over these operands, and where it is."""
        results = compiled(self.name)(x)
        with np.errstate(all="ignore"):
            wanted = self.of_array(x.astype(np.float64))
        if x.dtype == np.float32:
            errors = ulps(results, wanted)
        else:
            errors = np.array([self.exact_error(*each) for each in zip(x, results, wanted, strict=True)])
        worst = int(np.argmax(errors))
        return float(errors[worst]), x[worst]

    def exact_error(self, x: np.float64, result: np.float64, about: np.float64) -> float:
        """Of one float64; where the result is no number, NumPy and SciPy are right."""
        if not np.isfinite(about):
            return 0.0 if np.array_equal(result, about, equal_nan=True) else math.inf
        wanted = self.exact(mpmath.mpf(float(x)))
        exponent = max(int(mpmath.floor(mpmath.log(abs(wanted), 2))) if wanted else -1022, -1022)
        return float(abs(mpmath.mpf(float(result)) - wanted) / mpmath.mpf(2) ** (exponent - 52))


def _sigmoid(x: Array) -> Array:
    return np.where(x < 0, np.exp(x), 1) / (1 + np.exp(-np.abs(x)))


CASES = [
    Case("exp", 1.1, np.exp, mpmath.exp),
    Case("exp2", 1, np.exp2, lambda x: mpmath.mpf(2) ** x),
    Case("expm1", 1.1, np.expm1, mpmath.expm1),
    Case("sigmoid", 1.6, _sigmoid, lambda x: 1 / (1 + mpmath.exp(-x))),
    Case("tanh", 1.5, np.tanh, mpmath.tanh),
    Case("sinh", 1.1, np.sinh, mpmath.sinh),
    Case("cosh", 1.1, np.cosh, mpmath.cosh),
    Case("log", 1, np.log, mpmath.log),
    Case("log2", 1.2, np.log2, lambda x: mpmath.log(x, 2)),
    Case("log10", 1.2, np.log10, mpmath.log10),
    Case("log1p", 1, np.log1p, mpmath.log1p),
    Case("erf", 1.2, scipy.special.erf, mpmath.erf),
    Case("erfc", 2, scipy.special.erfc, lambda x: mpmath.erfc(x) if abs(x) < 40 else 1 - mpmath.sign(x)),
]
CASE_OF = {case.name: case for case in CASES}
each_case = pytest.mark.parametrize("case", CASES, ids=str)


def compiled(name: str) -> Callable[[Array], Array]:
    """The function over an array, compiled now: with the tables as they are."""
    function = getattr(elementary, name)

    @numba.njit(error_model="numpy", fastmath={"contract"})
    def loop(x, result):
        for i in range(x.size):
            result[i] = function(x[i])

    def apply(x: Array) -> Array:
        result = np.empty_like(x)
        loop(x, result)
        return result

    return apply


def ulps(results: Array, wanted: Array) -> Array:
    """The error in ulp of float32 where float64 are wanted: infinite for a wrong NaN, infinity or sign of 0."""
    with np.errstate(all="ignore"):
        rounded = wanted.astype(np.float32)
        exponents = np.maximum((wanted.view(np.int64) >> 52) & 0x7FF, 1023 - 126)
        errors = np.abs(results - wanted) / ((exponents - 23) << 52).view(np.float64)
    same = (results == rounded) | (np.isnan(results) & np.isnan(rounded))
    errors = np.where(np.isfinite(results) & np.isfinite(rounded), errors, np.where(same, 0, np.inf))
    return np.where((results == 0) & (np.signbit(results) != np.signbit(wanted)), np.inf, errors)


def stratified(dtype: Any, rng: np.random.Generator, quarter: int) -> Array:
    """Any bits; and more where functions bend, near 1 and where exponentials leave the range."""
    word = np.uint32 if dtype == np.float32 else np.uint64
    end = 110 if dtype == np.float32 else 750
    return np.concatenate(
        [
            rng.integers(0, np.iinfo(word).max, quarter, word, endpoint=True).view(dtype),
            rng.normal(size=quarter).astype(dtype),
            (1 + rng.normal(size=quarter) / 4).astype(dtype),
            rng.uniform(-12, 12, quarter).astype(dtype),
            rng.uniform(-end, end, quarter).astype(dtype),
        ]
    )


# ---- exactness ------------------------------------------------------------------------------------------------------


@each_dtype
@each_case
def test_errors_stay_inside_the_stated_bounds(case: Case, dtype: Any, rng: np.random.Generator) -> None:
    error, at = case.measured(stratified(dtype, rng, 200_000 if dtype == np.float32 else 300))
    assert error <= case.bound, f"{case}({at!r}) is {error:.3g} ulp off"


@each_case
def test_the_docstring_states_the_bound(case: Case) -> None:
    assert f"to {case.bound:g} ulp" in getattr(elementary, case.name).__doc__


@pytest.mark.slow
@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sigmoid"])
def test_all_float32_operands(name: str) -> None:
    apply, of_array, chunk = compiled(name), CASE_OF[name].of_array, 1 << 20
    worst, at = 0.0, np.float32(0)
    for start in range(0, 1 << 32, chunk):
        x = np.arange(start, start + chunk, dtype=np.uint32).view(np.float32)
        with np.errstate(all="ignore"):
            errors = ulps(apply(x), of_array(x.astype(np.float64)))
        if errors.max() > worst:
            worst, at = errors.max(), x[np.argmax(errors)]
    print(f"{name}: {worst:.3f} ulp at {at!r}")
    assert worst <= CASE_OF[name].bound, f"{name}({at!r}) is {worst:.3g} ulp off"


# ---- special values and ends ----------------------------------------------------------------------------------------


@each_dtype
@each_case
def test_special_values(case: Case, dtype: Any) -> None:
    """Zeros with their signs, infinities, NaNs of any payload, subnormals, the ends of the range."""
    info = np.finfo(dtype)
    sizes = [0, 1, np.inf, info.smallest_subnormal, 3 * info.smallest_subnormal, info.smallest_normal, info.max]
    x = np.array([sign * size for size in sizes for sign in (1, -1)], dtype)
    with np.errstate(all="ignore"):
        wanted = case.of_array(x.astype(np.float64)).astype(dtype)
    result = compiled(case.name)(x)
    np.testing.assert_allclose(result, wanted, rtol=2 * info.eps, atol=0)
    np.testing.assert_array_equal(np.signbit(result[wanted == 0]), np.signbit(wanted[wanted == 0]))
    payloads = [0x7FC00000, 0x7F800001, 0xFFC00000, 0x7FFFFFFF, 0xFF800123]
    nans = np.array(payloads if dtype == np.float32 else [p << 32 | 1 for p in payloads[::2]], f"u{info.bits // 8}")
    nans = nans if dtype == np.float32 else nans | np.uint64(0x7FF8 << 48)
    assert np.all(np.isnan(compiled(case.name)(nans.view(dtype))))


# Where a function becomes infinite, 0, -1 or 1, and between which operands.
ENDS = [
    *(("exp", 80, 720), ("exp", -100, -750), ("exp2", 120, 1030), ("exp2", -140, -1080), ("expm1", 80, 720)),
    *(("expm1", -10, -45), ("sinh", 80, 720), ("cosh", 80, 720), ("sigmoid", -100, -750), ("sigmoid", 10, 45)),
    *(("tanh", 5, 25), ("erf", 3, 7), ("erfc", 9, 27)),
]


@each_dtype
@pytest.mark.parametrize(("name", "inside", "outside"), ENDS)
def test_ends_are_where_they_should_be(name: str, inside: float, outside: float, dtype: Any) -> None:
    """Around the first operand of the limit, and the first of a subnormal result, float by float."""
    case, info = CASE_OF[name], np.finfo(dtype)

    def wanted(x: Any) -> Any:
        with np.errstate(all="ignore"):
            return case.of_array(np.asarray(x, np.float64)).astype(dtype)

    limit = wanted(dtype(outside))
    marks = [_first(inside, outside, dtype, lambda x: wanted(x) == limit)]
    if limit == 0:
        marks.append(_first(inside, outside, dtype, lambda x: wanted(x) < info.smallest_normal))
    for mark in marks:
        x = mark + np.copysign(np.spacing(dtype(abs(mark))), dtype(outside)) * np.arange(-100, 101).astype(dtype)
        result = compiled(name)(x)
        if np.isinf(limit):
            assert np.all((result == limit)[103:])
            assert np.all((result != limit)[:98])
        error, at = case.measured(np.delete(x, range(98, 103)))  # at the mark itself either neighbour is near enough
        assert error <= case.bound, f"{name}({at!r}) is {error:.3g} ulp off"


def _first(inside: float, outside: float, dtype: Any, reached: Callable[[Any], bool]) -> Any:
    """The first float on the way outside for which it holds, by bisection."""
    low, high = dtype(inside), dtype(outside)
    while low != (middle := dtype((low + high) / 2)) and high != middle:
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


@each_dtype
def test_exact_results_are_exact(dtype: Any) -> None:
    info = np.finfo(dtype)
    powers = np.arange(info.minexp - info.nmant, info.maxexp).astype(dtype)
    with np.errstate(under="ignore"):
        numbers = np.ldexp(dtype(1), powers.astype(int))
    np.testing.assert_array_equal(compiled("exp2")(powers), numbers)
    np.testing.assert_array_equal(compiled("log2")(numbers), powers)
    one, zero = np.ones(9, dtype), np.zeros(9, dtype)
    for name, x, wanted in (("exp", zero, 1), ("log", one, 0), ("log10", one, 0), ("cosh", zero, 1), ("erfc", zero, 1)):
        np.testing.assert_array_equal(compiled(name)(x), wanted)
    np.testing.assert_array_equal(compiled("sigmoid")(zero), 0.5)


# ---- tables ---------------------------------------------------------------------------------------------------------


def test_the_tables_are_those_that_remez_derives() -> None:
    assert {(table.name, table.bits) for table in remez.TABLES} == set(elementary.TABLES)
    for table in remez.TABLES:
        assert table.coefficients() == pytest.approx(elementary.TABLES[table.name, table.bits], rel=1e-7, abs=0)


@pytest.mark.parametrize("table", remez.TABLES, ids=lambda t: f"{t.name} float{t.bits}")
def test_polynomials_add_little_to_the_error(table: remez.Table) -> None:
    """A quarter of an ulp of 1 at most."""
    error = table.bound(list(elementary.TABLES[table.name, table.bits]), points=199)
    assert error < 2.0 ** (-24.5 if table.bits == 32 else -53.9)


USED_BY = {"EXP": "exp", "EXP2": "exp2", "LOG": "log", "SINH": "sinh", "TANH": "tanh", "ERF": "erf", "ERFC": "erfc"}


@each_dtype
@pytest.mark.parametrize("table", [*USED_BY, "ERF_TAIL"])
def test_the_last_digits_of_a_coefficient_matter(
    table: str, dtype: Any, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the measurement above would say of a table whose greatest coefficient is wrong in its last digits."""
    case, key = CASE_OF[USED_BY.get(table, "erf")], (table, np.finfo(dtype).bits)
    wrong = list(elementary.TABLES[key])
    wrong[table == "ERF_TAIL"] *= 1 + (2.0**-16 if dtype == np.float32 else 2.0**-45)  # its first is almost 0
    monkeypatch.setitem(elementary.TABLES, key, tuple(wrong))
    error, _ = case.measured(stratified(dtype, rng, 20_000 if dtype == np.float32 else 300))
    assert error > case.bound


# ---- vectors --------------------------------------------------------------------------------------------------------

LIBM = re.compile(r"@(_?[a-z_]*(?:exp|log|tanh|sinh|cosh|erf)[a-z0-9]*f?)\(")


def _chain(x: gc.Node) -> gc.Node:
    return gc.tanh(x * 2 + 1) * gc.sigmoid(x)


@each_dtype
@pytest.mark.parametrize(
    "layer",
    [_chain, gc.softmax, gc.log_softmax, gc.gelu, gc.silu, gc.elu, gc.softplus, gc.erf, gc.log1p, gc.cosh],
    ids=lambda f: getattr(f, "name", getattr(f, "__name__", str(f))),
)
def test_loops_are_vectors_and_call_nothing(
    layer: Callable[..., gc.Node], dtype: Any, fused: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_DIR", "")
    monkeypatch.setattr(numba.config, "BOUNDSCHECK", 0)  # a check in each turn leaves no vectors
    llvm = gc.compile(layer(gc.input("x", ("batch", 64), dtype))).stages["llvm"]
    assert re.search(r"call (?:contract )?<\d+ x (float|double)> @llvm\.fma", llvm)
    assert not LIBM.findall(llvm)


# ---- without the JIT ------------------------------------------------------------------------------------------------


@each_dtype
@each_case
def test_python_functions_are_the_meaning(case: Case, dtype: Any, rng: np.random.Generator) -> None:
    x = rng.uniform(0.1, 3, 50).astype(dtype)
    results = np.array([getattr(elementary, case.name)(each) for each in x])
    assert results.dtype == dtype
    np.testing.assert_allclose(results, case.of_array(x.astype(np.float64)), rtol=16 * np.finfo(dtype).eps)
