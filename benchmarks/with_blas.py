"""The bound: a step's matrix products alone. They train nothing, and return 0."""

from __future__ import annotations

import numpy as np
from contenders import NotAvailable, Step
from scipy.linalg.blas import sgemm
from workloads import Array, Product, Workload


def _products(workload: Workload) -> list[Product]:
    products = workload.products()
    if not products:
        raise NotAvailable("it has no products")
    return products


def by_numpy(workload: Workload) -> Step:
    """By np.matmul, and so by NumPy's BLAS."""
    products = _products(workload)

    def step() -> float:
        for left, right, out in products:
            np.matmul(left, right, out=out)
        return 0.0

    return step


def by_scipy(workload: Workload) -> Step:
    """By the BLAS that SciPy brings."""
    calls = [_column_major(*product) for product in _products(workload)]

    def step() -> float:
        for a, b, out, trans_a, trans_b in calls:
            sgemm(1.0, a, b, 0.0, out, trans_a, trans_b, 1)
        return 0.0

    return step


def _column_major(left: Array, right: Array, out: Array) -> tuple[Array, Array, Array, bool, bool]:
    """sgemm's operands and transposes for out.T = right.T @ left.T, in which nothing is copied."""
    rows_of_right, rows_of_left = right.flags.c_contiguous, left.flags.c_contiguous
    a, b = right.T if rows_of_right else right, left.T if rows_of_left else left
    return a, b, out.T, not rows_of_right, not rows_of_left
