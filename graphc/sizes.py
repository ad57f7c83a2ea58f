"""Sizes of axes: an `int`, or a polynomial in named symbols such as `8*batch`.

A symbolic size is known only when the compiled step is called. Arithmetic on sizes is exact and canonical, so two sizes
are the same size if and only if they compare equal:

    size   := int | Size        Size := sum of coefficient * product of factors
    factor := symbol | (size // int)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

Monomial: TypeAlias = tuple[str, ...]


class Floor(str):
    """The factor `size // by`, rounded down: how many steps of `by` fit. It is its own text, and sorts as one."""

    __slots__ = ("by", "size")

    size: Size
    by: int

    def __new__(cls, size: Size, by: int) -> Floor:
        made = super().__new__(cls, f"(({size})//{by})")
        made.size, made.by = size, by
        return made


class Size:
    """A polynomial with integer coefficients in symbolic sizes; equal by value, and equal to its own text."""

    __slots__ = ("_text", "terms")

    def __init__(self, terms: Mapping[Monomial, int]) -> None:
        ordered = sorted(((m, c) for m, c in terms.items() if c), key=lambda term: (term[1] < 0, not term[0], term[0]))
        self.terms: tuple[tuple[Monomial, int], ...] = tuple(ordered)  # as people write it: batch-1, 3-batch
        text = "+".join(_spell(monomial, coefficient) for monomial, coefficient in self.terms)
        self._text = text.replace("+-", "-")

    @staticmethod
    def symbol(name: str) -> Size:
        """The size that is called `name`."""
        return Size({(name,): 1})

    def __add__(self, other: Dim) -> Dim:
        total = dict(self.terms)
        for monomial, coefficient in _terms(other):
            total[monomial] = total.get(monomial, 0) + coefficient
        return _simplest(total)

    def __mul__(self, other: Dim) -> Dim:
        total: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in _terms(other):
                monomial = tuple(sorted(left + right))
                total[monomial] = total.get(monomial, 0) + a * b
        return _simplest(total)

    def __sub__(self, other: Dim) -> Dim:
        return self + other * -1

    def __floordiv__(self, by: int) -> Dim:
        exact = divide(self, by)
        return Size({(Floor(self, by),): 1}) if exact is None else exact

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: int) -> Dim:
        return self * -1 + other

    def __eq__(self, other: object) -> bool:
        return str(self) == str(other) if isinstance(other, (Size, str)) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Size({self})"


Dim: TypeAlias = int | Size
Shape: TypeAlias = tuple[Dim, ...]


def _spell(monomial: Monomial, coefficient: int) -> str:
    if monomial and abs(coefficient) == 1:
        return "-" * (coefficient < 0) + "*".join(monomial)
    return "*".join([str(coefficient), *monomial])


def _terms(size: Dim) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(size, Size):
        return size.terms
    return (((), size),) if size else ()


def _simplest(terms: Mapping[Monomial, int]) -> Dim:
    """The size with these terms, as an `int` where no symbol is left."""
    size = Size(terms)
    if not size.terms:
        return 0
    return size.terms[0][1] if size.terms == (((), size.terms[0][1]),) else size


def product(sizes: Iterable[Dim]) -> Dim:
    """The number of elements of a tensor with these axes."""
    total: Dim = 1
    for size in sizes:
        total = size * total
    return total


def divide(size: Dim, by: Dim) -> Dim | None:
    """`size / by` where it is a size again (`8*batch / batch`), else None."""
    if size == by:
        return 1
    divisor = _terms(by)
    if len(divisor) != 1:
        return None
    factors, scale = divisor[0]
    quotient: dict[Monomial, int] = {}
    for monomial, coefficient in _terms(size):
        rest = list(monomial)
        for factor in factors:
            if factor not in rest:
                return None
            rest.remove(factor)
        if coefficient % scale:
            return None
        quotient[tuple(rest)] = coefficient // scale
    return _simplest(quotient)


def upper_bound(a: Dim, b: Dim) -> Dim:
    """A size that is at least `a` and at least `b` whatever the symbols' values (symbols are never negative)."""
    one, other = dict(_terms(a)), dict(_terms(b))
    return _simplest({monomial: max(one.get(monomial, 0), other.get(monomial, 0)) for monomial in one | other})


def may_be_negative(size: Dim) -> bool:
    """Whether some values of the symbols, none of them negative, might make `size` negative."""
    return any(
        coefficient < 0 or any(isinstance(factor, Floor) and may_be_negative(factor.size) for factor in monomial)
        for monomial, coefficient in _terms(size)
    )


def evaluate(size: Dim, values: Mapping[str, int]) -> int:
    """The number that `size` is for these values of its symbols; KeyError names a symbol without a value."""
    total = 0
    for monomial, coefficient in _terms(size):
        for factor in monomial:
            coefficient *= evaluate(factor.size, values) // factor.by if isinstance(factor, Floor) else values[factor]
        total += coefficient
    return total


TYPICAL = 64
"""What a symbol counts for where sizes are weighed before they are known."""


def typical(size: Dim) -> int:
    """A size as a number to compare by."""
    return evaluate(size, dict.fromkeys(symbols(size), TYPICAL))


def symbols(size: Dim) -> set[str]:
    """The names that occur in `size`."""
    factors = {factor for monomial, _ in _terms(size) for factor in monomial}
    inner = [symbols(factor.size) for factor in factors if isinstance(factor, Floor)]
    return {factor for factor in factors if not isinstance(factor, Floor)}.union(*inner)
