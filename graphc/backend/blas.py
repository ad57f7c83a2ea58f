"""Matrix products by BLAS, through the symbol that Numba itself exports for `np.dot`.

`numba_xxgemm` forwards to the GEMM of SciPy's BLAS: transposes, alpha and beta, no temporary. It is column-major; a
row-major C = A B is the column-major C' = B' A', so the operands change places and nothing is copied.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload
from numba.np.linalg import ensure_blas

ensure_blas()  # raises where SciPy's BLAS is missing, or counts in another integer width than Numba's


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
    the number of elements counts, so a vector is a row or a column.
    """
    left = a.reshape(inner, rows).T if a_transposed else a.reshape(rows, inner)
    right = b.reshape(columns, inner).T if b_transposed else b.reshape(inner, columns)
    target = out.reshape(rows, columns)
    product = alpha * (left @ right)
    target[...] = product if beta == 0 else product + beta * target


@overload(gemm)
def _gemm(alpha, a, a_transposed, b, b_transposed, beta, out, rows, inner, columns):
    kind = np.uint8(ord("s" if out.dtype == types.float32 else "d"))
    normal, transposed = np.uint8(ord("n")), np.uint8(ord("t"))

    def implementation(alpha, a, a_transposed, b, b_transposed, beta, out, rows, inner, columns):
        _xxgemm(
            kind,
            transposed if b_transposed else normal,
            transposed if a_transposed else normal,
            columns,
            rows,
            inner,
            alpha,
            b,
            max(1, inner if b_transposed else columns),
            a,
            max(1, rows if a_transposed else inner),
            beta,
            out,
            max(1, columns),
        )

    return implementation


@intrinsic
def _xxgemm(typing_context, kind, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc):
    """The column-major GEMM of BLAS; scalars and arrays are passed by address."""
    number = c.dtype
    signature = types.int32(
        types.uint8, types.uint8, types.uint8, types.intp, types.intp, types.intp,
        number, a, types.intp, b, types.intp, number, c, types.intp,
    )  # fmt: skip

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        char, size, pointer = ir.IntType(8), context.get_value_type(types.intp), ir.IntType(8).as_pointer()
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(
                ir.IntType(32),
                [char, char, char, size, size, size, pointer, pointer, size, pointer, size, pointer, pointer, size],
            ),
            "numba_xxgemm",
        )

        def address(at: int) -> Any:
            return builder.bitcast(cgutils.alloca_once_value(builder, args[at]), pointer)

        def data(at: int) -> Any:
            array = context.make_array(signature.args[at])(context, builder, args[at])
            return builder.bitcast(array.data, pointer)

        return builder.call(
            function,
            [*args[:6], address(6), data(7), args[8], data(9), args[10], address(11), data(12), args[13]],
        )

    return signature, generate
