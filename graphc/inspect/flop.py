"""How many floating-point operations a kernel or a product takes: those of its statements, times their trips."""

from __future__ import annotations

import ast
import functools
from collections.abc import Sequence

from graphc.kernel import Gemm, Item, Kernel, Let, Loop
from graphc.sizes import Dim, product

CONVERSIONS = {"f32", "f64", "i32", "i64", "u8", "np.bool_", "float", "int"}
"""Calls that only change a number's type."""


def flop(item: Kernel | Gemm, tiles: Dim) -> Dim:
    """The floating-point operations of a kernel or a product on all of its tiles.

    A product has two for each multiplication. In a kernel each `+ - * / // % **` of a floating value is one, and so is
    each call: of exp, log or tanh as of maximum, though it takes some twenty instructions. Comparisons, choices,
    conversions and arithmetic on integers are none; of a choice both sides count, since vector lanes compute both.
    """
    if isinstance(item, Gemm):
        return product([2, item.rows, item.inner, item.columns, 1 if item.batch is None else item.batch])
    return _flop(item.body, tiles)


def _flop(items: Sequence[Item], times: Dim) -> Dim:
    """The operations of items that run so many times; the rows of a tiled loop are those of all tiles together."""
    total: Dim = 0
    for item in items:
        if isinstance(item, Loop):
            total = _flop(item.body, item.extent if item.tiled else product([times, item.extent])) + total
        elif isinstance(item, Let) and item.origin.type.floating:
            total = times * operations(item.code) + total
    return total


@functools.cache
def operations(code: str) -> int:
    """The operations of one expression of emitted code."""
    return sum(map(_counts, ast.walk(ast.parse(code, mode="eval"))))


def _counts(node: ast.AST) -> bool:
    match node:
        case ast.BinOp():
            return True
        case ast.UnaryOp(ast.USub(), operand):
            return not isinstance(operand, (ast.Constant, ast.Attribute))  # -1 and -np.inf are literals
        case ast.Call(function):
            return ast.unparse(function) not in CONVERSIONS
    return False
