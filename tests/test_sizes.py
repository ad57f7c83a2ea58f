"""Symbolic sizes against the numbers that they stand for."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from graphc.errors import ShapeError
from graphc.sizes import Size, divide, evaluate, product, symbols, upper_bound
from graphc.types import broadcast

VALUES = {"batch": 5, "time": 3, "n": 1}


def sizes() -> st.SearchStrategy:
    leaf = st.integers(0, 6) | st.sampled_from(sorted(VALUES)).map(Size.symbol)
    return st.recursive(
        leaf, lambda s: st.builds(lambda a, b: a + b, s, s) | st.builds(lambda a, b: a * b, s, s), max_leaves=5
    )


@given(sizes(), sizes())
def test_arithmetic_is_that_of_the_values(a, b) -> None:
    x, y = evaluate(a, VALUES), evaluate(b, VALUES)
    assert evaluate(a + b, VALUES) == x + y
    assert evaluate(a * b, VALUES) == x * y
    assert evaluate(a - b, VALUES) == x - y
    assert evaluate(upper_bound(a, b), VALUES) >= max(x, y)


@given(sizes(), sizes(), sizes())
def test_equal_polynomials_are_one_size(a, b, c) -> None:
    assert (a + b) * c == a * c + b * c
    assert hash((a + b) * c) == hash(a * c + b * c)


@given(sizes(), st.integers(1, 6), st.sampled_from(sorted(VALUES)))
def test_division_undoes_multiplication(a, number, name) -> None:
    monomial = Size.symbol(name) * number
    assert divide(a * monomial, monomial) == a


def test_division_that_leaves_a_rest_is_no_size() -> None:
    batch = Size.symbol("batch")
    assert divide(batch * 3, 2) is None
    assert divide(batch, Size.symbol("time")) is None
    assert divide(batch + 1, batch) is None
    assert divide(0, 0) == 1
    assert divide(4, 0) is None


def test_a_size_reads_like_a_formula() -> None:
    batch = Size.symbol("batch")
    assert str(batch * 8 + 3) == "8*batch+3"
    assert str(batch * -1 + 3) == "3-batch"
    assert batch == "batch"
    assert symbols(batch * Size.symbol("time")) == {"batch", "time"}
    assert product([2, batch, 3]) == batch * 6
    assert isinstance(batch - batch, int)


dims = st.lists(st.integers(0, 3), max_size=4).map(tuple)


@given(st.lists(dims, min_size=1, max_size=3))
def test_broadcast_is_numpys(shapes) -> None:
    try:
        expected = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(ShapeError, match="do not broadcast"):
            broadcast(*shapes)
    else:
        assert broadcast(*shapes) == expected


def test_symbolic_sizes_broadcast_only_against_themselves_and_one() -> None:
    batch = Size.symbol("batch")
    assert broadcast((batch, 1), (4,)) == (batch, 4)
    with pytest.raises(ShapeError, match=r"7 and batch"):
        broadcast((batch,), (7,))
