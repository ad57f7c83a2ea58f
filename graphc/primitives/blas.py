"""Matrix products by BLAS: the primitive `gemm` of emitted code calls graphc_sgemm or graphc_dgemm of products.ll."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from graphc.primitives.arrays import members
from graphc.primitives.llvm import code_of


def gemm(
    alpha: Any,
    a: Any,
    a_transposed: bool,
    b: Any,
    b_transposed: bool,
    beta: Any,
    out: Any,
    rows: int,
    inner: int,
    columns: int,
) -> None:
    """`out = alpha * A @ B + beta * out` for row-major A (rows, inner), B (inner, columns), each stored as said.

    A transposed operand is stored (inner, rows) or (columns, inner). Shapes other than the products' are ignored: only
    the number of elements counts, so a vector is a row or a column. A part of a matrix keeps the matrix's distance from
    row to row.
    """
    left = a.reshape(inner, rows).T if a_transposed else a.reshape(rows, inner)
    right = b.reshape(columns, inner).T if b_transposed else b.reshape(inner, columns)
    target = out if out.shape == (rows, columns) else out.reshape(rows, columns)
    product = alpha * (left @ right)
    target[...] = product if beta == 0 else product + beta * target


@code_of(gemm, lambda alpha, a, a_transposed, b, b_transposed, beta, out, rows, inner, columns: types.none)
def _gemm(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kinds = signature.args
    number = context.get_value_type(kinds[6].dtype)
    rows, inner, columns = (context.cast(builder, args[at], kinds[at], types.int64) for at in (7, 8, 9))
    alpha, beta = (context.cast(builder, args[at], kinds[at], kinds[6].dtype) for at in (0, 5))

    def matrix(at: int, length: Any) -> tuple[Any, Any]:
        """The data, and how far it is from one row to the next: its length, but where it is a part of a longer one."""
        data, *_, last = members(builder, args[at])
        return data, length if kinds[at].layout == "C" else last

    left = matrix(1, builder.select(args[2], rows, inner))
    right = matrix(3, builder.select(args[4], inner, columns))
    operands = [args[4], args[2], columns, rows, inner, alpha, *right, *left, beta, *matrix(6, columns)]
    kind = ir.FunctionType(ir.VoidType(), [operand.type for operand in operands])
    symbol = "graphc_sgemm" if number == ir.FloatType() else "graphc_dgemm"
    builder.call(cgutils.get_or_insert_function(builder.module, kind, symbol), operands)
    return context.get_dummy_value()
