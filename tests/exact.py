"""Functions of analysis to fifty digits and more, in decimal arithmetic: what rounded results are measured against."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal, InvalidOperation, localcontext
from functools import cache

# exp(-1e308) is 0 and exp(1e308) is infinite, without an exception.
QUIET = Context(prec=60, traps=[InvalidOperation])
DEEP = Context(prec=900, traps=[InvalidOperation])  # what is left of 1 + erf(-40) has 700 zeros before its first digit
ZERO, ONE, TWO, HALF = Decimal(0), Decimal(1), Decimal(2), Decimal("0.5")

Exact = Callable[..., Decimal]


def of_floats(function: Exact, *values: float) -> Decimal:
    """The function of floats, taken as the numbers that they are."""
    with localcontext(QUIET):
        return function(*map(Decimal, values))


@cache
def pi() -> Decimal:
    """Machin 1706: `pi = 16 arctan(1/5) - 4 arctan(1/239)`."""
    with localcontext(DEEP):
        return 16 * _arctan_series(ONE / 5) - 4 * _arctan_series(ONE / 239)


def log1p(x: Decimal) -> Decimal:
    """`log(1 + x)`; for small x by its series, which loses no digit."""
    if abs(x) > Decimal("1e-25"):
        return (ONE + x).ln()
    return x - x * x / 2 + x * x * x / 3


def expm1(x: Decimal) -> Decimal:
    """`exp(x) - 1`; for small x by its series, which loses no digit."""
    if abs(x) > Decimal("1e-25"):
        return x.exp() - ONE
    return x + x * x / 2 + x * x * x / 6


def exp2(x: Decimal) -> Decimal:
    return (x * TWO.ln()).exp()


def log2(x: Decimal) -> Decimal:
    return x.ln() / TWO.ln()


def power(a: Decimal, b: Decimal) -> Decimal:
    return (b * a.ln()).exp()


def sigmoid(x: Decimal) -> Decimal:
    return ONE / (ONE + (-x).exp())


def softplus(x: Decimal) -> Decimal:
    return max(x, ZERO) + log1p((-abs(x)).exp())


# ---- the inverse tangent --------------------------------------------------------------------------------------------


def _arctan_series(x: Decimal) -> Decimal:
    """Gregory's series, for small |x|."""
    return _summed(x, lambda term, n: -term * x * x, lambda term, n: term / (2 * n + 1))


def arctan(x: Decimal) -> Decimal:
    """By halving the angle three times: `arctan(x) = 2 arctan(x / (1 + sqrt(1 + x^2)))`."""
    for _ in range(3):
        x = x / (ONE + (ONE + x * x).sqrt())
    return 8 * _arctan_series(x)


def arctan2(y: Decimal, x: Decimal) -> Decimal:
    """The angle in [-pi, pi] of the point (x, y), which is not (0, 0)."""
    if abs(y) > abs(x):
        return (pi() / 2).copy_sign(y) - arctan(x / y)
    return arctan(y / x) + (pi().copy_sign(y) if x < 0 else ZERO)


# ---- the normal distribution ----------------------------------------------------------------------------------------


def erf(x: Decimal) -> Decimal:
    """Abramowitz & Stegun 7.1.6, `2/sqrt(pi) exp(-x^2)` times the sum of `2^n x^(2n+1) / (2n+1)!!`: no term cancels."""
    if abs(x) > 40:
        return ONE.copy_sign(x)
    total = _summed(x, lambda term, n: term * 2 * x * x / (2 * n + 1), lambda term, n: term)
    return TWO / pi().sqrt() * (-x * x).exp() * total


def normal(x: Decimal) -> Decimal:
    """The distribution function of the normal law."""
    with localcontext(DEEP if x < -5 else QUIET):
        return (ONE + erf(x * HALF.sqrt())) / 2


def _summed(
    first: Decimal, after: Callable[[Decimal, int], Decimal], weighed: Callable[[Decimal, int], Decimal]
) -> Decimal:
    """The sum of `weighed(term, n)` from n = 0 until it no longer changes; `after(term, n)` is term number n."""
    term, total, n = first, weighed(first, 0), 0
    while True:
        n += 1
        term = after(term, n)
        larger = total + weighed(term, n)
        if larger == total:
            return total
        total = larger
