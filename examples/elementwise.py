"""Element-wise operations and broadcasting: naive loops, NumPy and graphc compute the same.

The naive functions are what the operations mean, written with nothing but loops over scalars. Numba makes them fast as
they are. graphc writes such loops by itself, one for a whole expression, where NumPy makes one pass for each operation.
Run it with `python examples/elementwise.py`; the times that it prints are of your machine.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numba
import numpy as np

import graphc as gc

SHAPE = (100, 1000)
ENOUGH = 0.02
"""Seconds for which each function is measured."""


def naive_relu(x: np.ndarray) -> np.ndarray:
    """max(x, 0), entry by entry of a matrix."""
    result = np.empty_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            result[i, j] = max(x[i, j], 0)
    return result


def naive_add(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x + y of two matrices of one shape."""
    assert x.shape == y.shape
    result = np.empty_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            result[i, j] = x[i, j] + y[i, j]
    return result


def naive_add_matrix_and_vector(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x + y of a matrix and a vector that is as long as its rows: y is added to each row."""
    assert x.shape[1] == y.shape[0]
    result = np.empty_like(x)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            result[i, j] = x[i, j] + y[j]
    return result


def naive_layer(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """relu(x + y) of a matrix and a vector."""
    return naive_relu(naive_add_matrix_and_vector(x, y))


def compiled(function: Callable[..., gc.Node], *shapes: tuple[str, ...]) -> gc.Function:
    """The graph of a function, compiled for inputs of these symbolic shapes."""
    return gc.compile(function(*(gc.input(f"operand {k}", shape) for k, shape in enumerate(shapes))))


def ways() -> dict[str, tuple[Callable[..., Any], ...]]:
    """Each expression as naive loops, the same under Numba, in NumPy, and in graphc."""
    matrix, vector = ("rows", "columns"), ("columns",)
    native_relu, native_add, native_add_vector = map(numba.njit, (naive_relu, naive_add, naive_add_matrix_and_vector))
    return {
        "relu(X)": (naive_relu, native_relu, lambda x: np.maximum(x, 0), compiled(gc.relu, matrix)),
        "X + Y": (naive_add, native_add, np.add, compiled(gc.add, matrix, matrix)),
        "X + y": (naive_add_matrix_and_vector, native_add_vector, np.add, compiled(gc.add, matrix, vector)),
        "relu(X + y)": (
            naive_layer,
            lambda x, y: native_relu(native_add_vector(x, y)),
            lambda x, y: np.maximum(x + y, 0),
            compiled(lambda x, y: gc.relu(x + y), matrix, vector),
        ),
    }


def micros(function: Callable[..., Any], operands: tuple[np.ndarray, ...]) -> float:
    """Microseconds of a call: the fastest of those that fit into the time that is enough."""
    fastest, end = float("inf"), perf_counter() + ENOUGH
    while (start := perf_counter()) < end:
        function(*operands)
        fastest = min(fastest, perf_counter() - start)
    return fastest * 1e6


def broadcast_by_hand(y: np.ndarray, rows: int) -> np.ndarray:
    """The two steps of broadcasting: y gets an axis, and is repeated along it, so many times."""
    row = np.expand_dims(y, 0)
    return np.concatenate([row] * rows, axis=0)


def show_broadcasting(rng: np.random.Generator) -> None:
    X, y = rng.random((32, 10)), rng.random(10)
    Y = broadcast_by_hand(y, 32)
    print(f"X {X.shape} + y {y.shape}: y becomes {np.expand_dims(y, 0).shape}, then {Y.shape}")
    print(f"  X + y in graphc is X + Y in NumPy: {np.array_equal(gc.evaluate(gc.const(X) + y), X + Y)}")
    print(f"maximum of (64, 3, 32, 10) and (32, 10): {gc.maximum(gc.ones((64, 3, 32, 10)), gc.ones((32, 10))).shape}")
    try:
        gc.input("X", (32, 10)) + gc.input("y", (32,))
    except gc.ShapeError as error:
        print(f"what does not fit is refused where it is written:\n{error}")


def show_times(rng: np.random.Generator, shape: tuple[int, int]) -> None:
    X, Y, y = (rng.standard_normal(each, np.float32) for each in (shape, shape, shape[1]))
    operands = {"relu(X)": (X,), "X + Y": (X, Y), "X + y": (X, y), "relu(X + y)": (X, y)}
    print(f"\nmicroseconds, X {shape}   naive Python   naive in Numba   NumPy   graphc   all equal")
    for expression, functions in ways().items():
        results = [function(*operands[expression]) for function in functions]
        equal = all(np.array_equal(result, results[0]) for result in results)
        naive, native, numpy, graphc = (micros(function, operands[expression]) for function in functions)
        print(
            f"{expression:27} {naive:12,.0f} {native:16,.0f} {numpy:7,.0f} {graphc:8,.0f}   {'yes' if equal else 'NO'}"
        )


def main(shape: tuple[int, int] = SHAPE) -> None:
    rng = np.random.default_rng(0)
    show_broadcasting(rng)
    show_times(rng, shape)


if __name__ == "__main__":
    main()
