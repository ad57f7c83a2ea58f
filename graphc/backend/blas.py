"""Matrix products by BLAS: the primitive `gemm` of emitted code.

It calls Fortran's sgemm or dgemm with transposes, alpha and beta, and no temporary. BLAS is column-major; a row-major
C = A B is the column-major C' = B' A', so the operands change places and nothing is copied.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload


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


def _row_distance(matrix: Any, columns: int) -> int:
    """From one row to the next, in elements."""
    raise NotImplementedError("only compiled code asks for it")


@overload(_row_distance)
def _compiled_row_distance(matrix, columns):
    if matrix.layout == "C":
        return lambda matrix, columns: np.int32(max(1, columns))
    return lambda matrix, columns: np.int32(max(1, matrix.strides[0] // matrix.itemsize))


@overload(gemm)
def _gemm(alpha, a, a_transposed, b, b_transposed, beta, out, rows, inner, columns):
    normal, transposed = np.uint8(ord("n")), np.uint8(ord("t"))

    def implementation(alpha, a, a_transposed, b, b_transposed, beta, out, rows, inner, columns):
        _call(
            transposed if b_transposed else normal,
            transposed if a_transposed else normal,
            np.int32(columns),
            np.int32(rows),
            np.int32(inner),
            alpha,
            b,
            _row_distance(b, inner if b_transposed else columns),
            a,
            _row_distance(a, rows if a_transposed else inner),
            beta,
            out,
            _row_distance(out, columns),
        )

    return implementation


@intrinsic
def _call(typing_context, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
    """The column-major product of BLAS; everything is passed by address."""
    size, number = types.int32, c.dtype
    signature = types.void(transa, transb, size, size, size, number, a, size, b, size, number, c, size)
    symbol = "graphc_sgemm" if number == types.float32 else "graphc_dgemm"

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [pointer] * len(args)), symbol
        )

        def address(kind: Any, value: Any) -> Any:
            if isinstance(kind, types.Array):
                return builder.bitcast(context.make_array(kind)(context, builder, value).data, pointer)
            return builder.bitcast(cgutils.alloca_once_value(builder, value), pointer)

        builder.call(function, [address(*each) for each in zip(signature.args, args, strict=True)])
        return context.get_dummy_value()

    return signature, generate
