"""How exact compiled functions are, in units in the last place (ulp) of the exact result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import exact
import numpy as np
import pytest

import graphc as gc

Array = np.ndarray
BITS = {"float32": np.uint32, "float64": np.uint64}
each_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])

# ---- NumPy's own vectors --------------------------------------------------------------------------------------------
# Each row of umath-validation-set-<function>.csv: dtype, input and exact result as hexadecimal words, allowed ulp.

VECTORS = Path(np.__file__).parent / "_core" / "tests" / "data"
SHARED = (
    *("arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh", "cos", "cosh", "sin", "sinh", "tan", "tanh"),
    *("exp", "exp2", "expm1", "log", "log10", "log1p", "log2"),
)


def vectors(function: str, dtype: str) -> tuple[Array, Array, Array]:
    """Inputs, exact results and allowed errors for one function."""
    path = VECTORS / f"umath-validation-set-{function}.csv"
    assert path.exists(), f"NumPy {np.__version__} is installed without its test data: there is no {path}"
    rows = [line.split(",") for line in path.read_text().splitlines() if line.startswith(f"np.{dtype},")]
    assert len(rows) > 100, f"{path} has only {len(rows)} rows for {dtype}"
    inputs, results = (np.array([int(row[at], 16) for row in rows], BITS[dtype]).view(dtype) for at in (1, 2))
    return inputs, results, np.array([int(row[3]) for row in rows])


@each_dtype
def test_functions_stay_inside_numpys_own_bounds(dtype: str, jit_mode: None) -> None:
    rows = {name: vectors(name, dtype) for name in SHARED}
    nodes = {name: getattr(gc, name)(gc.param(f"x_{name}", inputs)) for name, (inputs, _, _) in rows.items()}
    results = gc.compile(nodes)()
    for name, (inputs, expected, allowed) in rows.items():
        error = steps_between(results[name], expected)
        worst = int(np.argmax(error - allowed))
        assert np.all(error <= allowed), (
            f"{name}({inputs[worst]!r}) is {results[name][worst]!r}, {error[worst]:.0f} ulp from {expected[worst]!r}; "
            f"{allowed[worst]} are allowed"
        )


def test_no_vectors_of_a_function_that_graphc_has_are_left_out() -> None:
    names = {path.stem.rpartition("-")[2] for path in VECTORS.glob("umath-validation-set-*.csv")}
    assert {name for name in names if hasattr(gc, name)} == set(SHARED)


def steps_between(a: Array, b: Array) -> Array:
    """How many floats apart a and b are; 0 for two NaNs, infinite for one."""
    places = [_place(each) for each in (a, b)]
    # Unsigned numbers wrap, so their difference is right however far the two are apart.
    steps = np.maximum(*places).view(np.uint64) - np.minimum(*places).view(np.uint64)
    return np.where(np.isnan(a) | np.isnan(b), np.where(np.isnan(a) & np.isnan(b), 0, np.inf), steps.astype(float))


def _place(x: Array) -> Array:
    """The number of each float in the order of all floats, from 0 at zero."""
    words = x.view(f"int{8 * x.itemsize}")
    return np.where(words < 0, np.iinfo(words.dtype).min - words, words).astype(np.int64)


# ---- all the others, against decimal arithmetic ---------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """A function, what it is exactly, and how many ulp a result may be away from that."""

    name: str
    ours: Callable[..., gc.Node]
    exact: exact.Exact
    bound: float
    operands: tuple[str, ...] = ("any",)  # what each of them may be: any, or positive
    amplified: exact.Exact | None = None  # how many more at x: the rounding of an inner value grows on its way out

    def __str__(self) -> str:
        return self.name


def _selu(x: Decimal) -> Decimal:
    return Decimal("1.0507009873554805") * (x if x > 0 else Decimal("1.6732632423543772") * exact.expm1(x))


def _inside_gelu(x: Decimal) -> Decimal:
    return (8 / exact.pi()).sqrt() * (x + Decimal("0.044715") * x**3)


MEASURED = [
    Measured("sigmoid", gc.sigmoid, exact.sigmoid, 1.6),
    # Below -87 the sigmoid is subnormal in float32: half a step of it, times x.
    Measured("silu", gc.silu, lambda x: x * exact.sigmoid(x), 3, amplified=lambda x: -x / 2 if x < -87 else Decimal(0)),
    Measured("softplus", gc.softplus, exact.softplus, 2),
    Measured("elu", gc.elu, lambda x: x if x > 0 else exact.expm1(x), 1.1),
    Measured("selu", gc.selu, _selu, 3),
    # The relative error of erfc(u) is 2 * u**2 times that of u.
    Measured("gelu", gc.gelu, lambda x: x * exact.normal(x), 4, amplified=lambda x: x * x if x < 0 else Decimal(0)),
    Measured(
        "gelu by tanh",
        lambda x: gc.gelu(x, approximate="tanh"),
        lambda x: x * exact.sigmoid(_inside_gelu(x)),
        4,
        amplified=lambda x: -2 * _inside_gelu(x) if x < 0 else Decimal(0),
    ),
    Measured("erf", gc.erf, exact.erf, 1.2),
    Measured("erfc", gc.erfc, lambda x: 2 * exact.normal(-x * Decimal(2).sqrt()), 2),
    Measured("exp", gc.exp, Decimal.exp, 1.1),
    Measured("exp2", gc.exp2, exact.exp2, 1),
    Measured("expm1", gc.expm1, exact.expm1, 1.1),
    Measured("log", gc.log, Decimal.ln, 1, ("positive",)),
    Measured("log2", gc.log2, exact.log2, 1.2, ("positive",)),
    Measured("sqrt", gc.sqrt, Decimal.sqrt, 0.5, ("positive",)),
    Measured("rsqrt", gc.rsqrt, lambda x: 1 / x.sqrt(), 1.5, ("positive",)),
    Measured("reciprocal", gc.reciprocal, lambda x: 1 / x, 0.5),
    Measured("power", gc.power, exact.power, 1, ("positive", "any")),
    Measured("arctan2", gc.arctan2, exact.arctan2, 1, ("any", "any")),
]


@each_dtype
@pytest.mark.parametrize("case", MEASURED, ids=str)
def test_functions_are_exact_to_a_few_ulp(case: Measured, dtype: str, rng: np.random.Generator, jit_mode: None) -> None:
    operands = [wide_range(dtype, rng, kind) for kind in case.operands]
    node = case.ours(*(gc.param(f"x{k}", values) for k, values in enumerate(operands)))
    for at, result in zip(zip(*operands, strict=True), gc.compile(node)(), strict=True):
        floats = [float(each) for each in at]
        more = exact.of_floats(case.amplified, *floats) if case.amplified else 0
        error, wanted = ulp_from(result, exact.of_floats(case.exact, *floats))
        assert error <= case.bound + float(more), f"{case}{at} is {result!r}, {error:.3g} ulp from {wanted!r}"


def wide_range(dtype: str, rng: np.random.Generator, kind: str, quarter: int = 75) -> Array:
    """Floats of every magnitude from the smallest subnormal to the largest, and more of them where functions bend."""
    info = np.finfo(dtype)
    smallest, largest = float(info.smallest_subnormal), float(info.max)
    sizes = [
        [smallest, float(info.smallest_normal), 1.0, largest],
        2 ** rng.uniform(np.log2(smallest), np.log2(largest), quarter),
        10 ** rng.uniform(-3, 3, quarter),
        rng.uniform(0, 6, quarter),
        rng.uniform(0, -np.log(smallest), quarter),  # exp of these leaves the range of floats on either side
    ]
    values = rng.permutation(np.concatenate(sizes)).astype(dtype)
    return values if kind == "positive" else values * rng.choice([-1, 1], values.size).astype(dtype)


def ulp_from(result: np.floating, wanted: Decimal) -> tuple[float, np.floating]:
    """How many ulp of the exact result lie between it and `result`, and the exact result as a float."""
    with np.errstate(over="ignore"):
        rounded = result.dtype.type(float(wanted))
    if not (np.isfinite(rounded) and np.isfinite(result)):
        return (0.0 if rounded == result else np.inf), rounded
    info = np.finfo(result.dtype)
    exponent = np.frexp(max(abs(rounded), info.smallest_normal))[1]
    ulp = Decimal(2) ** int(exponent - info.nmant - 1)
    return float(abs(Decimal(float(result)) - wanted) / ulp), rounded
