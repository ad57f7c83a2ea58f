"""The dot product of tensors of every rank: which shapes fit, and the shape and the numbers of the result.

The last axis of the left operand meets the second last of the right one, or its only one, and both disappear. The shape
follows from the operands' shapes alone, sizes with a name included; nothing is computed for it. Run it with
`python examples/dot.py`.
"""

from __future__ import annotations

from itertools import chain

import numpy as np

import graphc as gc

PAIRS = {
    "scalar . scalar": ((), ()),
    "scalar . vector": ((), (3,)),
    "matrix . scalar": ((2, 3), ()),
    "vector . vector": ((3,), (3,)),
    "vector . matrix": ((3,), (3, 4)),
    "matrix . vector": ((2, 3), (3,)),
    "matrix . matrix": ((2, 3), (3, 4)),
    "vector . rank 3": ((3,), (5, 3, 4)),
    "matrix . rank 3": ((2, 3), (5, 3, 4)),
    "rank 3 . vector": ((5, 2, 3), (3,)),
    "rank 3 . matrix": ((5, 2, 3), (3, 4)),
    "rank 3 . rank 3": ((6, 2, 3), (5, 3, 4)),
    "rank 4 . vector": ((6, 5, 2, 3), (3,)),
    "rank 4 . matrix": ((6, 5, 2, 3), (3, 4)),
}

BY_NAME = [
    (("rows", "inner"), ("inner",)),
    (("rows", "inner"), ("inner", "columns")),
    (("a", "b", "c", "d"), ("d",)),
    (("a", "b", "c", "d"), ("d", "e")),
]

MISFITS = [((3,), (4,)), ((2, 3), (2, 4)), ((6, 5, 2, 3), (2, 4))]


def naive_vector_dot(x: np.ndarray, y: np.ndarray) -> float:
    """The sum of the products of entries; a number."""
    assert x.ndim == y.ndim == 1
    assert x.shape == y.shape
    total = 0.0
    for i in range(x.shape[0]):
        total += x[i] * y[i]
    return total


def naive_matrix_vector_dot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The dot product of y with each row of x."""
    return np.array([naive_vector_dot(row, y) for row in x])


def naive_matrix_dot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The dot products of the rows of x with the columns of y."""
    assert x.shape[1] == y.shape[0]
    return np.array([[naive_vector_dot(row, column) for column in y.T] for row in x])


def naive_dot(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The dot product of any two tensors: each row of x, along its last axis, with each column of y."""
    if not x.ndim or not y.ndim:
        return x * y
    rows = x.reshape(-1, x.shape[-1])
    columns = y.reshape(-1, 1) if y.ndim == 1 else np.moveaxis(y, -2, 0).reshape(y.shape[-2], -1)
    shape_of_columns = y.shape[:-2] + y.shape[-1:] if y.ndim > 1 else ()
    return naive_matrix_dot(rows, columns).reshape(x.shape[:-1] + shape_of_columns)


def dot_of(x: tuple[int | str, ...], y: tuple[int | str, ...], number: int = 0) -> gc.Node:
    """The dot product of two inputs of these shapes, as a node."""
    return gc.dot(gc.input(f"x{number}", x, "float64"), gc.input(f"y{number}", y, "float64"))


def written(shape: tuple[object, ...]) -> str:
    sizes = [str(size) for size in shape]
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"


def show_pairs(rng: np.random.Generator) -> None:
    nodes = [dot_of(*shapes, number) for number, shapes in enumerate(PAIRS.values())]
    operands = [[rng.standard_normal(shape) for shape in shapes] for shapes in PAIRS.values()]
    products = gc.compile(nodes)  # all in one native function
    results = products(*chain(*operands))
    print("operands         shapes                      result           as in NumPy   as in loops")
    for title, node, (x, y), result in zip(PAIRS, nodes, operands, results):
        shapes = f"{written(x.shape)} . {written(y.shape)}"
        numpy, loops = ("yes" if np.allclose(result, way(x, y)) else "NO" for way in (np.dot, naive_dot))
        print(f"{title}  {shapes:26}  {written(node.shape):15}  {numpy:12}  {loops}")


def show_names() -> None:
    print("\nwith names for sizes")
    for left, right in BY_NAME:
        print(f"  {written(left)} . {written(right)} -> {written(dot_of(left, right).shape)}")


def show_order() -> None:
    x, y = gc.const([[1.0, 2.0], [3.0, 4.0]]), gc.const([[0.0, 1.0], [1.0, 0.0]])
    one, other = gc.evaluate([gc.dot(x, y), gc.dot(y, x)])
    print(f"\nthe order matters: x . y = {one.tolist()}, y . x = {other.tolist()}")


def show_misfits() -> None:
    print("\nwhat does not fit is refused where it is written")
    for left, right in MISFITS:
        try:
            dot_of(left, right)
        except gc.ShapeError as error:
            print(error, end="\n\n")


def main() -> None:
    show_pairs(np.random.default_rng(0))
    show_names()
    show_order()
    show_misfits()


if __name__ == "__main__":
    main()
