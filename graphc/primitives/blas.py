"""Matrix products by BLAS: the primitive `gemm` of emitted code.

It calls Fortran's sgemm or dgemm with transposes, alpha and beta, and no temporary. BLAS is column-major; a row-major
C = A B is the column-major C' = B' A', so the operands change places and nothing is copied.
"""

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
    pointer, char, number = ir.IntType(8).as_pointer(), ir.IntType(8), kinds[6].dtype
    rows, inner, columns = (context.cast(builder, args[at], kinds[at], types.int32) for at in (7, 8, 9))

    def address(value: Any) -> Any:
        return builder.bitcast(cgutils.alloca_once_value(builder, value), pointer)

    def transposition(at: int) -> Any:
        return address(builder.select(args[at], char(ord("t")), char(ord("n"))))

    def scalar(at: int) -> Any:
        return address(context.cast(builder, args[at], kinds[at], number))

    def matrix(at: int, length: Any) -> tuple[Any, Any]:
        """The data, and how far it is from one row to the next: its length, but where it is a part of a longer one."""
        data, *_, last = members(builder, args[at])
        if kinds[at].layout != "C":
            length = builder.trunc(last, ir.IntType(32))
        positive = builder.icmp_signed(">", length, length.type(1))
        return builder.bitcast(data, pointer), address(builder.select(positive, length, length.type(1)))

    left = matrix(1, builder.select(args[2], rows, inner))
    right = matrix(3, builder.select(args[4], inner, columns))
    operands = [transposition(4), transposition(2), address(columns), address(rows), address(inner)]
    operands += [scalar(0), *right, *left, scalar(5), *matrix(6, columns)]
    kind = ir.FunctionType(ir.VoidType(), [pointer] * len(operands))
    symbol = "graphc_sgemm" if number == types.float32 else "graphc_dgemm"
    builder.call(cgutils.get_or_insert_function(builder.module, kind, symbol), operands)
    return context.get_dummy_value()
