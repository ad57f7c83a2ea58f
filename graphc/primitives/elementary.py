"""Elementary functions as polynomials, in LLVM code without branches or calls, so that loops over them vectorise.

A Python function is the meaning, and what runs without the JIT; a formula writes the code for float32 or float64. It
reduces its operand to a short interval, evaluates a polynomial there, and puts the result together. Both sides of a
choice are computed, and one is selected.

Errors are in ulp of the exact result, where one rounding costs 0.5; what is above 0.5 comes from the few operations
before the last that are not exact. Two tools keep them few. A fused multiply-add rounds once: `fma(a, b, -a * b)` is
what a product has lost. And `b - ((a + b) - a)` is what a sum has lost, if |a| >= |b| or a = 0 (Dekker 1971). NaN takes
part in the arithmetic and comes out. A CPU without FMA calls a function for each: right, but slow.

The polynomials have the least greatest error on their interval. tests/remez.py derives them, says what their errors are
relative to, and prints TABLES; the bounds are measured in tests/test_elementary.py, with all 2**32 float32 operands.

Sources: Cody & Waite 1980, Software Manual for the Elementary Functions (reductions, tanh, sinh); Muller 2016,
Elementary Functions (Remez, fma); Tang 1989, 1990, 1992 (exp, log, expm1: parts of unlike size, added last); Dekker
1971; Shepherd & Laframboise 1981 (erfc). Not here, but libm's: sin, cos and tan, whose reduction of a large angle takes
a branch or a table of digits of pi; the inverse functions; powers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.primitives.llvm import Value, at_least, at_most, fma, formula_of, magnitude, signed

# fmt: off

TABLES = {
    ("EXP", 32): (0.49999994, 0.16666521, 0.04166839, 0.008368713, 0.0013814578),
    ("EXP2", 32): (0.6931472, 0.2402265, 0.055504102, 0.009618038, 0.0013333936, 1.5466739e-04, 1.5195784e-05),
    ("LOG", 32): (0.3333333, -0.2500082, 0.20001224, -0.1662338, 0.14201833, -0.13160051, 0.12761047, -0.076342255),
    ("SINH", 32): (0.16666667, 0.00833335, 1.9836161e-04, 2.8169468e-06),
    ("TANH", 32): (-0.333333, 0.13331923, -0.05378376, 0.020795735, -0.0058948863),
    ("ERF", 32): (0.12837917, -0.37612626, 0.112835854, -0.026853813, 0.0051883287, -8.01021e-04, 7.853936e-05),
    ("ERF_TAIL", 32): (3.4236116e-04, 1.1270858, 0.6381505, 0.10310181, -0.021835707, 0.0029470734, -1.8632019e-04),
    ("ERFC", 32): (
        1.2648382, -3.575788e-08, -0.12235677, -0.099024355, 0.15763038, -0.102970906, 0.03275452, 9.596514e-04,
        -0.004344531, 4.0955952e-04, 5.2941014e-04),
    ("EXP", 64): (
        0.5000000000000011, 0.16666666666666413, 0.04166666666653028, 0.008333333333494643, 0.0013888888943603059,
        1.9841269506340285e-04, 2.480149312327854e-05, 2.75575864916632e-06, 2.76302405618968e-07,
        2.5000043412249932e-08),
    ("EXP2", 64): (
        0.6931471805599453, 0.24022650695910072, 0.05550410866482169, 0.00961812910762833, 0.0013333558146392682,
        1.540353039364018e-04, 1.5252733854324482e-05, 1.3215486595282855e-06, 1.017805193983446e-07,
        7.054974361410903e-09, 4.456570776757787e-10, 2.562555978534678e-11),
    ("LOG", 64): (
        0.6666666666666734, 0.3999999999941432, 0.2857142874246064, 0.22222198566289308, 0.18183564663137264,
        0.153140422354278, 0.1479603181250917),
    ("SINH", 64): (
        0.16666666666666669, 0.008333333333333148, 1.984126984143186e-04, 2.7557319157073576e-06,
        2.5052123136664138e-08, 1.6057259766653295e-10, 7.758748889193057e-13),
    ("TANH", 64): (
        -0.33333333333333126, 0.1333333333329962, -0.05396825394927677, 0.021869488002141387, -0.00886322677204576,
        0.003592037335952661, -0.001455215138528438, 5.871876529951063e-04, -2.3039523316542928e-04,
        7.931207046783964e-05, -1.7177753437079204e-05),
    ("ERF", 64): (
        0.1283791670955126, -0.3761263890318375, 0.11283791670954857, -0.026866170645072893, 0.005223977624780863,
        -8.548326978742416e-04, 1.2055331036917789e-04, -1.4925593507506796e-05, 1.6460972829373003e-06,
        -1.6350025379171372e-07, 1.4657881077146677e-08, -1.1365671494368894e-09, 5.945272483591063e-11),
    ("ERF_TAIL", 64): (
        1.7971457262043424e-07, 1.1283773283213685, 0.6366284933164628, 0.10274723938724233, -0.019078129306134773,
        -2.8052797749532967e-04, 0.0017690454056822026, -6.41212373235562e-04, 4.4850296064580396e-05,
        7.035105028087556e-05, -4.503039651036025e-05, 1.6511451115427177e-05, -4.326343539732907e-06,
        8.504220416506644e-07, -1.256797641375895e-07, 1.3623642758066987e-08, -1.0254431566342574e-09,
        4.794694765417505e-11, -1.0492951310672325e-12),
    ("ERFC", 64): (
        1.2329951186255526, -4.5867636436717966e-17, -0.1396211168405625, 0.015379652102619865, 0.06809705425468884,
        -0.10103906603631173, 0.0937328349985183, -0.06633036581204191, 0.03716751553409044, -0.016197734059973334,
        0.005031970015572893, -7.577732727897094e-04, -1.9925694738397116e-04, 1.5062160544772994e-04,
        -2.439812627386955e-05, -1.1221838522732435e-05, 5.706659737849894e-06, 2.935045981010008e-07,
        -8.197503037748509e-07, 7.489607449123213e-08, 1.034546723507266e-07, -1.801455155074105e-08,
        -9.721610893106096e-09, 1.8412335287031618e-09),
}
# Constants in two parts: the first is the nearest float; of log10(2) it is short, so that exponents times it are exact.
LN2 = {32: (0.6931471824645996, -1.9046542121259336e-09), 64: (0.6931471805599453, 2.3190468138462996e-17)}
LOG2_E = {32: (1.4426950216293335, 1.925963033500011e-08), 64: (1.4426950408889634, 2.0355273740931033e-17)}
LOG10_E = {32: (0.4342944920063019, -1.0103049952192578e-08), 64: (0.4342944819032518, 1.098319650216765e-17)}
LOG10_2 = {32: (0.301025390625, 4.605039066518657e-06), 64: (0.3010299956640665, -8.532344317057107e-14)}
EXP_IS_0, EXP_IS_INF = {32: -104.0, 64: -746.0}, {32: 89.0, 64: 710.0}
TANH_IS_1, ERF_IS_1, ERFC_IS_0 = {32: 10.0, 64: 20.0}, {32: 3.95, 64: 5.95}, {32: 10.5, 64: 27.5}
TANH_SMALL, SINH_SMALL, ERF_SMALL, ERFC_SMALL = 0.6, 1.0, 1.0, 0.5
ERFC_CENTRE = {32: 2.5, 64: 4.0}
# fmt: on


def polynomial(table: str, x: Value, start: int = 0) -> Value:
    """Horner's rule, for the coefficients from `start` on."""
    coefficients = TABLES[table, x.size][start:]
    total = x.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = fma(x, total, coefficient)
    return total


# ---- exponentials ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reduced:
    """`exp(x) = scale * exp(r + low)` with |r| <= ln(2) / 2, and `exp(r) = 1 + r + square * rest`."""

    scale: Value
    r: Value
    low: Value
    square: Value
    rest: Value

    def less_1(self) -> Value:
        """`exp(r) - 1`."""
        return fma(self.rest, self.square, self.r)

    def result(self) -> Value:
        """`exp(x)`, where low may be left out: 0.75 ulp, and what the polynomial adds."""
        return (self.less_1() + 1.0) * self.scale


def reduced(x: Value, exponent: Any = 0.0) -> Reduced:
    """Cody & Waite: `r = x - n * ln(2)`, exact with ln(2)'s first part: fma rounds once, and r needs no more bits.

    scale is `2 ** (n + exponent)`, which must be a normal number.
    """
    (log2_e, _), (ln2, ln2_low), shift = LOG2_E[x.size], LN2[x.size], shifter(x, exponent)
    shifted = fma(x, log2_e, shift)
    n = shifted - shift
    first = fma(n, -ln2, x)
    r = fma(n, -ln2_low, first)
    low = fma(n, -ln2_low, first - r)
    return Reduced(power_of_two(shifted), r, low, r * r, polynomial("EXP", r))


def shifter(x: Value, exponent: Any) -> Any:
    """Its neighbours are the whole numbers: adding it to n rounds n, and leaves that in the low bits.

    There it is an exponent, with its bias, to which `exponent` is added.
    """
    return exponent + (1.5 * 2.0**x.fraction + x.bias)


def power_of_two(shifted: Value) -> Value:
    """2 to the power that is in the low bits."""
    return (shifted.bits() << shifted.fraction).as_float()


def far(x: Value) -> float:
    """By how much an exponent at an end of the range is moved towards its middle, from where a factor moves it back.

    2**n may leave the range where the result does not, and a subnormal result must be rounded once.
    """
    return (x.bias + 1) / 2


def moved(x: Value) -> tuple[Value, Value]:
    """What is added to the exponent of an exponential of x, and the factor that undoes it."""
    falls, by = x < 0.0, far(x)
    return falls.select(x.constant(by), -by), falls.select(x.constant(2.0**-by), 2.0**by)


def exp(x: Any) -> Any:
    """`e ** x`, to 1.1 ulp: `2**n * (1 + r + r**2 * EXP(r))`, see `reduced`; Tang 1989 without his table."""
    return np.exp(x)


@formula_of(exp)
def _exp(x: Value) -> Value:
    x = at_most(at_least(x, EXP_IS_0[x.size]), EXP_IS_INF[x.size])
    exponent, back = moved(x)
    return reduced(x, exponent).result() * back


def exp2(x: Any) -> Any:
    """`2 ** x`, to 1 ulp: `2**n * (1 + r * EXP2(r))` with `r = x - n`, which is exact."""
    return np.exp2(x)


@formula_of(exp2)
def _exp2(x: Value) -> Value:
    x = at_most(at_least(x, -2.0 - x.bias - x.fraction), 2.0 + x.bias)
    exponent, back = moved(x)
    shift = shifter(x, exponent)
    shifted = x + shift
    r = x - (shifted - shift)
    return fma(r, polynomial("EXP2", r), 1.0) * power_of_two(shifted) * back


def expm1(x: Any) -> Any:
    """`e ** x - 1`, to 1.1 ulp: `(2**n - 1) + 2**n * r` and what it lost, and `2**n * r**2 * EXP(r)` (Tang 1992).

    At half its size, so that 2**n stays in the range; tiny x, which might not bear that, are their own results.
    """
    return np.expm1(x)


@formula_of(expm1)
def _expm1(x: Value) -> Value:
    parts = reduced(at_most(at_least(x, EXP_IS_0[x.size] / 2), EXP_IS_INF[x.size]), -1.0)
    whole = parts.scale - 0.5
    first = fma(parts.scale, parts.r, whole)
    lost = fma(parts.scale, parts.r, whole - first)
    second = fma(parts.scale, fma(parts.rest, parts.square, parts.low), lost)
    return (magnitude(x) < 2.0 ** -(x.fraction + 2)).select(x, (first + second) * 2.0)


def sigmoid(x: Any) -> Any:
    """`1 / (1 + e ** -x)`, to 1.6 ulp, by `e = exp(-|x|)`: where x is negative `e / (1 + e)`.

    The quotient is corrected by its remainder, in which what 1 + e has lost is counted.
    """
    e = np.exp(-abs(x))
    return (e if x < 0 else type(x)(1)) / (type(x)(1) + e)


@formula_of(sigmoid)
def _sigmoid(x: Value) -> Value:
    e = reduced(at_least(-magnitude(x), EXP_IS_0[x.size]), far(x)).result() * 2.0 ** -far(x)
    below = e + 1.0
    lost = e - (below - 1.0)
    inverse = below.constant(1.0) / below
    above = (x < 0.0).select(e, 1.0)
    quotient = above * inverse
    return fma(fma(-quotient, lost, fma(-quotient, below, above)), inverse, quotient)


# ---- hyperbolic functions -------------------------------------------------------------------------------------------


def tanh(x: Any) -> Any:
    """The hyperbolic tangent, to 1.5 ulp: below 0.6 `x + x**3 * TANH(x**2)`, else `1 - 2 / (exp(2|x|) + 1)`."""
    return np.tanh(x)


@formula_of(tanh)
def _tanh(x: Value) -> Value:
    size, square = magnitude(x), x * x
    small = fma(size * square, polynomial("TANH", square), size)
    e = reduced(at_most(size, TANH_IS_1[x.size]) * 2.0).result()
    large = -(x.constant(2.0) / (e + 1.0)) + 1.0
    return signed((size < TANH_SMALL).select(small, large), x)


def sinh(x: Any) -> Any:
    """The hyperbolic sine, to 1.1 ulp: below 1 `x + x**3 * SINH(x**2)`, else `h - 1 / (4 h)` by `h = exp(|x|) / 2`."""
    return np.sinh(x)


@formula_of(sinh)
def _sinh(x: Value) -> Value:
    size, square = magnitude(x), x * x
    small = fma(size * square, polynomial("SINH", square), size)
    half, low = half_exp(size)
    return signed((size < SINH_SMALL).select(small, half + (low - half.constant(0.25) / half)), x)


def cosh(x: Any) -> Any:
    """The hyperbolic cosine, to 1.1 ulp: `h + 1 / (4 h)` with `h = exp(|x|) / 2`."""
    return np.cosh(x)


@formula_of(cosh)
def _cosh(x: Value) -> Value:
    half, low = half_exp(magnitude(x))
    return half + (low + half.constant(0.25) / half)


def half_exp(size: Value) -> tuple[Value, Value]:
    """`exp(size) / 2` for size >= 0, and what its last sum has lost; finite for a little longer than exp."""
    parts = reduced(at_most(size, EXP_IS_INF[size.size] + 1.0), -far(size))
    e, back = parts.less_1() + 1.0, 2.0 ** (far(size) - 1)
    return e * parts.scale * back, (parts.less_1() - (e - 1.0)) * parts.scale * back


# ---- logarithms -----------------------------------------------------------------------------------------------------


def taken_apart(x: Value, more: Any = 0.0) -> tuple[Value, Value, Value]:
    """`x = 2**k * m` with m in [sqrt(1/2), sqrt(2)): k less `more`, m, and k with its bias as a word; x is normal."""
    root, one, whole = (x.constant(each).bits() for each in (math.sqrt(0.5), 1.0, 2.0**x.fraction))
    word = x.bits() + (one - root)
    exponent = word >> x.fraction
    m = ((word & ((1 << x.fraction) - 1)) + root).as_float()
    return (exponent | whole).as_float() - (more + (2.0**x.fraction + x.bias)), m, exponent


def parts_of_log(x: Value) -> tuple[Value, Value, Value]:
    """k, f and rest with `log(x) = k * ln(2) + f + rest`, for 0 < x < inf; subnormal x are scaled first."""
    more = x.fraction + 2.0
    small = x < 2.0 ** (1 - x.bias)
    k, m, _ = taken_apart(small.select(x * 2.0**more, x), small.select(x.constant(more), 0.0))
    f = m - 1.0
    return k, f, log_rest(f)


def log_rest(f: Value) -> Value:
    """`log(1 + f) - f`: `f**2 * (f * LOG(f) - 1/2)`; in float64, which would need twice as many terms, by atanh.

    With `s = f / (2 + f)` that is `s * (f**2/2 + s**2 * LOG(s**2)) - f**2/2`.
    """
    square = f * f
    if f.size == 32:
        return square * fma(f, polynomial("LOG", f), -0.5)
    s, half = f / (f + 2.0), square * 0.5
    return fma(s, fma(s * s, polynomial("LOG", s * s), half), -half)


def with_ends(x: Value, inside: Value, pole: float = 0.0) -> Value:
    """The logarithm that is -inf at its pole and NaN below it, and infinite at infinity."""
    inside = (x < math.inf).select(inside, x)
    return (x > pole).select(inside, x.compared("==", pole).select(x.constant(-math.inf), math.nan))


def log(x: Any) -> Any:
    """The natural logarithm, to 1 ulp: `x = 2**k * (1 + f)`, then `k * ln(2) + f` and what it lost, and the rest."""
    return np.log(x)


@formula_of(log)
def _log(x: Value) -> Value:
    return with_ends(x, log_sum(*parts_of_log(x)))


def log_sum(k: Value, f: Value, rest: Value) -> Value:
    first = fma(k, LN2[f.size][0], f)
    return first + (fma(k, LN2[f.size][1], rest) + (f - fma(k, -LN2[f.size][0], first)))


def log2(x: Any) -> Any:
    """The binary logarithm, to 1.2 ulp and exact for powers of two: as log, with f and the rest times `1 / ln(2)`."""
    return np.log2(x)


@formula_of(log2)
def _log2(x: Value) -> Value:
    k, f, rest = parts_of_log(x)
    return with_ends(x, scaled_sum(k, f, rest, LOG2_E[x.size]))


def log10(x: Any) -> Any:
    """The decimal logarithm, to 1.2 ulp: as log2, with k times `log10(2)` in two parts."""
    return np.log10(x)


@formula_of(log10)
def _log10(x: Value) -> Value:
    k, f, rest = parts_of_log(x)
    (high, low), scale = LOG10_2[x.size], LOG10_E[x.size]
    return with_ends(x, scaled_sum(k * high, f, fma(k, low / scale[0], rest), scale))


def scaled_sum(whole: Value, f: Value, rest: Value, scale: tuple[float, float]) -> Value:
    """`whole + (f + rest) * scale`."""
    product = f * scale[0]
    first = whole + product
    lost = (whole - first) + product
    return first + (fma(rest, scale[0], fma(f, scale[1], fma(f, scale[0], -product))) + lost)


def log1p(x: Any) -> Any:
    """`log(1 + x)`, to 1 ulp: as log of u = 1 + x, with what u has lost added to f; for |x| < 0.29 f is then x."""
    return np.log1p(x)


@formula_of(log1p)
def _log1p(x: Value) -> Value:
    u = x + 1.0
    lost = (x > 1.0).select(-(u - x) + 1.0, x - (u - 1.0))
    k, m, exponent = taken_apart(u)
    lost = lost * ((-exponent + (2 * x.bias + 1)) << x.fraction).as_float() * 0.5  # 2 ** (1 - k): no k overflows
    f = m - 1.0
    whole = f + lost
    return signed(with_ends(x, log_sum(k, whole, log_rest(whole) + ((f - whole) + lost)), -1.0), x)


# ---- the error function ---------------------------------------------------------------------------------------------


def erf(x: Any) -> Any:
    """The error function, to 1.2 ulp: below 1 `x + x * ERF(x**2)`, else `1 - exp(-ERF_TAIL(|x|))`."""
    return type(x)(math.erf(x))


@formula_of(erf)
def _erf(x: Value) -> Value:
    size = magnitude(x)
    small = fma(size, polynomial("ERF", x * x), size)
    large = -reduced(-polynomial("ERF_TAIL", at_most(size, ERF_IS_1[x.size]))).result() + 1.0
    return signed((size < ERF_SMALL).select(small, large), x)


def erfc(x: Any) -> Any:
    """`1 - erf(x)`, to 2 ulp: with a = |x|, `exp(-a**2) * ERFC((a - c) / (a + c)) / (1 + 2 a)`, or 2 less that.

    Shepherd & Laframboise 1981. What `a**2`, 1 + exp(r)'s sum and the quotient have lost is put back. Below 0.5 it is
    1 - erf(x), as `1/2 - ((x - 1/2) + x * ERF(x**2))`.
    """
    return type(x)(math.erfc(x))


@formula_of(erfc)
def _erfc(x: Value) -> Value:
    a, centre = at_most(magnitude(x), ERFC_IS_0[x.size]), ERFC_CENTRE[x.size]
    square = a * a
    parts = reduced(-square, far(x))
    e = parts.less_1() + 1.0
    e_low = fma(e, parts.low - fma(a, a, -square), parts.less_1() - (e - 1.0))
    below = fma(a, 2.0, 1.0)
    lost = fma(a, 2.0, -(below - 1.0))
    inverse = a.constant(1.0) / below
    t, (first, second, *_) = (a - centre) / (a + centre), TABLES["ERFC", x.size]
    others = fma(t, polynomial("ERFC", t, 2), second)
    above = others + first
    quotient = above * inverse
    low = fma(-quotient, lost, fma(-quotient, below, above) + (others - (above - first))) * inverse
    size = fma(e, quotient, fma(e, low, e_low * quotient)) * parts.scale * 2.0 ** -far(x)
    large = (x < 0.0).select(-size + 2.0, size)
    return (a < ERFC_SMALL).select(-fma(x, polynomial("ERF", x * x), x - 0.5) + 0.5, large)
