"""Products in panels and blocks, beside NumPy: every way to turn the operands, every way to be cut."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from graphc.runtime.native import product


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
        return matrix.ctypes.data, max(matrix.strides) // matrix.itemsize

    sizes = b.shape[1], a.shape[0], a.shape[1]
    function(turned(b), turned(a), *sizes, alpha, *memory(b), *memory(a), beta, *memory(out))


# rows, inner, columns: one panel as it is, several panels, a rest in each direction, too long, too few rows or columns.
SHAPES = [(130, 784, 500), (65, 256, 128), (8, 300, 700), (7, 300, 700), (300, 1024, 48), (300, 1025, 48)]
SHAPES += [(300, 900, 200), (300, 1025, 150)]  # whole where a is transposed
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
        around = rng.standard_normal((rows, columns + 3)).astype(dtype)
        for alpha, beta in [(1, 0), (-0.5, 1), (2, 0.25)]:
            found = around.copy()
            if beta == 0:
                found[:, 1:-2] = np.nan  # what is not added to is not read
            multiply(a, b, found[:, 1:-2], alpha, beta)
            expected = alpha * (a.astype(float) @ b.astype(float)) + beta * around[:, 1:-2].astype(float)
            bound = 4 * inner * np.finfo(dtype).eps
            np.testing.assert_allclose(found[:, 1:-2], expected, rtol=0, atol=bound * np.abs(expected).max())
            np.testing.assert_array_equal(found[:, :1], around[:, :1])
            np.testing.assert_array_equal(found[:, -2:], around[:, -2:])
