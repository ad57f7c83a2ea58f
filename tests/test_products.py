"""Products in panels and blocks, beside NumPy: every way to turn the operands, every way to be cut."""

from __future__ import annotations

import ctypes
import itertools

import numpy as np
import pytest

from graphc.runtime.products import product


def multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray, alpha: float, beta: float) -> None:
    """`out = alpha * a @ b + beta * out` for matrices that lie in rows, or are turned views of such."""
    number = ctypes.c_float if out.dtype == np.float32 else ctypes.c_double
    symbol = "graphc_sgemm" if out.dtype == np.float32 else "graphc_dgemm"
    sizes, matrix = [ctypes.c_int64] * 3, [ctypes.c_void_p, ctypes.c_int64]
    kinds = [ctypes.c_bool, ctypes.c_bool, *sizes, number, *matrix, *matrix, number, *matrix]
    function = ctypes.CFUNCTYPE(None, *kinds)(product(symbol)[symbol])

    def turned(matrix: np.ndarray) -> bool:
        return matrix.strides[1] != matrix.itemsize

    def memory(matrix: np.ndarray) -> tuple[int, int]:
        length = matrix.shape[0 if turned(matrix) else 1]
        return matrix.ctypes.data, max(length, *(stride // matrix.itemsize for stride in matrix.strides))

    sizes = b.shape[1], a.shape[0], a.shape[1]
    function(turned(b), turned(a), *sizes, alpha, *memory(b), *memory(a), beta, *memory(out))


# rows, inner, columns: one panel as it is, several panels, a rest in each direction, too long, too few rows or columns.
SHAPES = [(130, 784, 500), (65, 256, 128), (8, 300, 700), (7, 300, 700), (300, 1024, 48), (300, 1025, 48)]
SHAPES += [(300, 900, 200), (300, 1025, 150), (300, 900, 520)]  # short pieces, or whole, where a is transposed
SHAPES += [(1, 16, 64), (1, 64, 4), (1, 200, 10), (1, 50, 127), (1, 300, 300), (1, 1, 1)]  # one row
SHAPES += [(64, 1, 4), (5, 1, 127), (700, 1, 500), (37, 40, 1), (37, 200, 1), (300, 300, 1)]  # one step, one column
SHAPES += [(1, 0, 5), (0, 4, 1), (3, 1, 0), (4, 0, 1)]  # nothing
SHAPES += [(300, 400, 15), (200, 70, 150), (257, 129, 131), (40, 1000, 33), (20, 2500, 40), (600, 16, 300)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products_of_all_shapes(shape: tuple[int, int, int], dtype: str, rng) -> None:
    rows, inner, columns = shape
    for a_turned, b_turned, part in [(0, 0, 0), (0, 1, 0), (1, 0, 0), (1, 1, 0), (0, 0, 1), (1, 1, 1)]:
        # A part of a larger matrix keeps that matrix's distance from row to row, and does not start with a cache line.
        a = rng.standard_normal((inner, rows + part) if a_turned else (rows, inner + part)).astype(dtype)
        b = rng.standard_normal((columns, inner + part) if b_turned else (inner, columns + part)).astype(dtype)
        a, b = a.T if a_turned else a, b.T if b_turned else b
        a, b = a[:rows, :inner], b[:inner, :columns]
        for margin, (alpha, beta) in itertools.product((0, 3), [(1, 0), (-0.5, 1), (2, 0.25)]):
            around = rng.standard_normal((rows, columns + margin)).astype(dtype)
            middle = slice(min(margin, 1), columns + min(margin, 1))
            found = around.copy()
            if beta == 0:
                found[:, middle] = np.nan  # what is not added to is not read
            multiply(a, b, found[:, middle], alpha, beta)
            expected = around.astype(float)
            expected[:, middle] = alpha * (a.astype(float) @ b.astype(float)) + beta * expected[:, middle]
            bound = 4 * max(inner, 1) * np.finfo(dtype).eps
            np.testing.assert_allclose(found, expected, rtol=0, atol=bound * np.abs(expected).max(initial=0))
            outside = np.delete(np.arange(columns + margin), middle)
            np.testing.assert_array_equal(found[:, outside], around[:, outside])
