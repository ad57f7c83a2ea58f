"""Derives the coefficients of graphc/primitives/elementary.py: `python tests/remez.py` prints every table of that file.

Each polynomial is the one of its degree whose greatest error on an interval is least, by the exchange algorithm of
Remez (1934) in fifty digits; the error is weighted so that it is the relative error of the function that the polynomial
serves. The coefficients are then rounded to the format; `Table.bound` measures what has come of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mpmath
import numpy as np
from mpmath import mpf

Real = Callable[[mpf], mpf]

mpmath.mp.dps = 50
NEAR_0 = mpf("1e-30")


@dataclass(frozen=True)
class Table:
    """A polynomial `near` a function on [low, high] whose error counts `weight` times."""

    name: str
    bits: int
    near: Real
    weight: Real
    low: mpf
    high: mpf
    degree: int
    parts: int = 1

    def coefficients(self) -> list[float]:
        """Rounded to the format; the lowest first, which may have a second part."""
        dtype = np.dtype(f"float{self.bits}")
        constant, *others = remez(self)
        found = []
        for _ in range(self.parts):
            found.append(float(dtype.type(float(constant))))
            constant -= found[-1]
        return found + [float(dtype.type(float(each))) for each in others]

    def bound(self, coefficients: list[float], points: int = 997) -> float:
        """The greatest weighted error of these coefficients."""
        grid = chebyshev(self.low, self.high, points)
        coefficients = [mpmath.fsum(coefficients[: self.parts]), *coefficients[self.parts :]]
        return float(max(abs(self.weight(x) * (self.near(x) - value(coefficients, x))) for x in grid))


def value(coefficients: list[float] | list[mpf], x: mpf) -> mpf:
    total = mpf(0)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total


def chebyshev(low: mpf, high: mpf, points: int) -> list[mpf]:
    """Points that lie close together at the ends of the interval."""
    turns = [mpmath.pi * (2 * k + 1) / (2 * points) for k in range(points)]
    return [(low + high) / 2 - (high - low) / 2 * mpmath.cos(turn) for turn in turns]


def remez(table: Table, rounds: int = 40) -> list[mpf]:
    """The best coefficients: at degree + 2 points the weighted error is equally large, with alternating signs."""
    unknowns = table.degree + 2
    grid = chebyshev(table.low, table.high, 16 * unknowns)
    wanted, weights = [table.near(x) for x in grid], [table.weight(x) for x in grid]
    at = [16 * k + 8 for k in range(unknowns)]
    for _ in range(rounds):
        rows = [[grid[j] ** k for k in range(unknowns - 1)] + [(-1) ** n / weights[j]] for n, j in enumerate(at)]
        solution = mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix([wanted[j] for j in at]))
        best = list(solution[: unknowns - 1])
        errors = [w * (f - value(best, x)) for w, f, x in zip(weights, wanted, grid, strict=True)]
        peaks = _peaks(errors, unknowns)
        if len(peaks) < unknowns or peaks == at:
            break
        at = peaks
    return best


def _peaks(errors: list[mpf], count: int) -> list[int]:
    """Where the error is largest in each run of one sign; of too many peaks the lower end goes."""
    peaks: list[int] = []
    for j, error in enumerate(errors):
        if peaks and (errors[peaks[-1]] > 0) == (error > 0):
            peaks[-1] = max(peaks[-1], j, key=lambda each: abs(errors[each]))
        else:
            peaks.append(j)
    while len(peaks) > count:
        peaks.pop(0 if abs(errors[peaks[0]]) < abs(errors[peaks[-1]]) else -1)
    return peaks


# ---- the tables -----------------------------------------------------------------------------------------------------

HALF_LN2 = mpmath.log(2) / 2 * mpf("1.0001")
LOW, HIGH = mpmath.sqrt(0.5) - 1, mpmath.sqrt(2) - 1
SQUARE = (HIGH / (2 + HIGH)) ** 2 * mpf("1.0001")
TANH_SMALL = mpf("0.6")
CENTRES = {32: mpf("2.5"), 64: mpf(4)}
FARTHEST = {32: mpf("10.5"), 64: mpf("27.5")}


def _log_rest(f: mpf) -> mpf:
    return (mpmath.log1p(f) - f + f * f / 2) / f**3


def _atanh_rest(z: mpf) -> mpf:
    s = mpmath.sqrt(z)
    return (2 * mpmath.atanh(s) / s - 2) / z


def _sinh_rest(z: mpf) -> mpf:
    x = mpmath.sqrt(z)
    return (mpmath.sinh(x) / x - 1) / z


def _tanh_rest(z: mpf) -> mpf:
    x = mpmath.sqrt(z)
    return (mpmath.tanh(x) / x - 1) / z


def _erf_ratio(z: mpf) -> mpf:
    return mpmath.erf(mpmath.sqrt(z)) / mpmath.sqrt(z)


def _erfc_table(bits: int, degree: int) -> Table:
    centre = CENTRES[bits]

    def near(t: mpf) -> mpf:
        a = centre * (1 + t) / (1 - t)
        return (1 + 2 * a) * mpmath.exp(a * a) * mpmath.erfc(a)

    low, high = ((a - centre) / (a + centre) for a in (mpf("0.499"), FARTHEST[bits]))
    return Table("ERFC", bits, near, lambda t: 1 / near(t), low, high, degree, parts=2)


def _tables(bits: int, degrees: dict[str, int]) -> list[Table]:
    log = {
        32: (_log_rest, lambda f: abs(f**3 / mpmath.log1p(f)), LOW, HIGH),
        64: (_atanh_rest, lambda z: z / 2, NEAR_0, SQUARE),
    }
    shapes: dict[str, tuple[Real, Real, mpf, mpf]] = {
        "EXP": (lambda r: (mpmath.expm1(r) - r) / r**2, lambda r: r**2 / mpmath.exp(r), -HALF_LN2, HALF_LN2),
        "EXP2": (lambda r: (mpf(2) ** r - 1) / r, lambda r: abs(r) / mpf(2) ** r, mpf(-0.5), mpf(0.5)),
        "LOG": log[bits],
        "SINH": (_sinh_rest, lambda z: z / (1 + z * _sinh_rest(z)), NEAR_0, mpf(1)),
        "TANH": (_tanh_rest, lambda z: z / (1 + z * _tanh_rest(z)), NEAR_0, TANH_SMALL**2 * mpf("1.0001")),
        "ERF": (lambda z: _erf_ratio(z) - 1, lambda z: 1 / _erf_ratio(z), NEAR_0, mpf(1)),
        "ERF_TAIL": (
            lambda x: -mpmath.log(mpmath.erfc(x)),
            lambda x: mpmath.erfc(x) / mpmath.erf(x),
            mpf(1),
            mpf({32: "3.95", 64: "5.95"}[bits]),
        ),
    }
    return [
        *(Table(name, bits, *shape, degrees[name]) for name, shape in shapes.items()),
        _erfc_table(bits, degrees["ERFC"]),
    ]


TABLES = [
    *_tables(32, {"EXP": 4, "EXP2": 6, "LOG": 7, "SINH": 3, "TANH": 4, "ERF": 6, "ERF_TAIL": 6, "ERFC": 9}),
    *_tables(64, {"EXP": 9, "EXP2": 11, "LOG": 6, "SINH": 6, "TANH": 10, "ERF": 12, "ERF_TAIL": 18, "ERFC": 22}),
]


def main() -> None:
    for table in TABLES:
        found = table.coefficients()
        print(
            f"{table.name}, float{table.bits}: error {table.bound(found):.2g} (2 ** {np.log2(table.bound(found)):.1f})"
        )
        print("   ", ", ".join(map(spelled, zip(found, [table.bits] * len(found), strict=True))))


def spelled(number: tuple[float, int]) -> str:
    """The shortest decimal that is this number of the format."""
    return np.format_float_scientific(np.dtype(f"float{number[1]}").type(number[0]), unique=True, trim="0")


if __name__ == "__main__":
    main()
