"""Every public op and loss beside JAX's and PyTorch's: values, gradients, and gradients of gradients."""

from __future__ import annotations

import inspect

import pytest
from elementwise import ACTIVATIONS, ELEMENTWISE
from moves import MOVES
from rows import Row
from running import (
    assert_same,
    compiled,
    compiled_hessian,
    hessian_in_jax,
    in_jax,
    in_torch,
    interpreted,
    interpreted_hessian,
)
from tensors import LOSSES, NORMALISATION, TENSORS

import graphc as gc

TABLE = [*ELEMENTWISE, *TENSORS, *MOVES]
RUN = {"compiled": compiled, "interpreted": interpreted}
each_way = pytest.mark.parametrize("way", RUN)

NOT_COMPARED = {
    "dropout": "which elements it drops is graphc's own choice",
    **dict.fromkeys(("Function", "Node", "Optimizer", "Param", "SGD"), "classes"),
    **dict.fromkeys(("check_gradient", "compile", "custom_gradient", "evaluate", "grad"), "work on graphs"),
    **dict.fromkeys(("const", "input", "param"), "leaves of every graph"),
}


def test_every_public_name_is_in_the_table() -> None:
    public = {name for name, value in vars(gc).items() if callable(value) and not name.startswith("_")}
    errors = {name for name in public if inspect.isclass(vars(gc)[name]) and issubclass(vars(gc)[name], Exception)}
    compared = {row.name.partition(":")[0] for row in TABLE}
    assert public - errors - {"abs"} - compared == set(NOT_COMPARED)


def test_no_name_stands_for_two_rows() -> None:
    names = [row.name for row in TABLE]
    assert len(set(names)) == len(names), sorted({name for name in names if names.count(name) > 1})


@each_way
@pytest.mark.parametrize("row", [row for row in TABLE if row.jax], ids=str)
def test_values_and_gradients_are_jaxs(row: Row, way: str) -> None:
    assert_same(RUN[way](row), in_jax(row), str(row))


@each_way
@pytest.mark.parametrize("row", [row for row in TABLE if row.torch], ids=str)
def test_values_and_gradients_are_pytorchs(row: Row, way: str) -> None:
    assert_same(RUN[way](row), in_torch(row), str(row))


@pytest.mark.parametrize("row", [row for row in TABLE if row.jax and row.differentiable], ids=str)
def test_gradients_of_gradients_are_jaxs(row: Row) -> None:
    assert_same(interpreted_hessian(row), hessian_in_jax(row), str(row))


@pytest.mark.parametrize("row", [*ACTIVATIONS, *NORMALISATION, *LOSSES], ids=str)
def test_compiled_gradients_of_gradients_are_jaxs(row: Row) -> None:
    """Of what networks are made of: a compile takes seconds."""
    assert_same(compiled_hessian(row), hessian_in_jax(row), str(row))
