"""Reshaping and transposing: the same numbers under another shape, and why graphc does neither.

To reshape is to read the same entries, row after row, as another shape; to transpose is to exchange rows and columns.
In compiled code neither takes any time: the loop, or the matrix product, that wants the result reads the operand by
other indices. The kernels that are printed show it. Run it with `python examples/reshape.py`.
"""

from __future__ import annotations

import numpy as np

import graphc as gc

X = [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
TRAINING, TEST = 60_000, 10_000
"""MNIST's images."""


def show_reshapes() -> None:
    x = gc.const(X)
    print(f"x {x.shape}")
    print(gc.evaluate(x))
    for shape in ((6, 1), (2, 3), (-1,), (3, 1, -1)):
        reshaped = x.reshape(shape)
        print(f"x.reshape({shape}) has the shape {reshaped.shape}")
        print(gc.evaluate(reshaped))
    print("the number of entries stays:")
    for shape in ((4, 2), (4, -1)):
        try:
            x.reshape(shape)
        except gc.ShapeError as error:
            print(error)


def show_transposes() -> None:
    x = gc.const(X)
    print(f"\nx.T has the shape {x.T.shape}: its columns are the rows of x")
    print(gc.evaluate(x.T))
    print(f"transpose of (300, 20): {gc.transpose(gc.zeros((300, 20))).shape}")
    volume = gc.zeros((2, 3, 4))
    print(f"of (2, 3, 4): {volume.T.shape}; by the axes (0, 2, 1): {gc.transpose(volume, (0, 2, 1)).shape}")
    print(f"x.reshape(2, 3) is not x.T: {gc.evaluate(x.reshape((2, 3))).tolist()}, {gc.evaluate(x.T).tolist()}")


def vectors() -> gc.Function:
    """Images of bytes as rows of floats between 0 and 1, compiled once for any number of images."""
    images = gc.input("images", ("samples", 28, 28), "uint8")
    return gc.compile(gc.reshape(images, (-1, 28 * 28)).astype("float32") / 255, name="vectors")


def transposed_layer() -> gc.Function:
    """relu(x.T + 1): the transpose is an operand of a loop."""
    x = gc.input("x", (300, 20))
    return gc.compile(gc.relu(x.T + 1), name="transposed_layer")


def transposed_product() -> gc.Function:
    """x.T @ d, the gradient of a dense layer's weights: the transpose is an operand of a product."""
    x, d = gc.input("x", (300, 20)), gc.input("d", (300, 10))
    return gc.compile(x.T @ d, name="transposed_product")


def show_images(*counts: int) -> None:
    flat = vectors()
    print()
    for samples in counts:
        images = np.zeros((samples, 28, 28), np.uint8)
        rows = flat(images)
        print(f"images {images.shape} {images.dtype} become rows {rows.shape} {rows.dtype}")


def show_cost() -> None:
    for function, why in (
        (vectors(), "the loop runs over both axes of the images as one: i, j of a row is i, j of the images"),
        (transposed_layer(), "the loop reads x[j, i] where it writes [i, j]"),
        (transposed_product(), "BLAS is told that its operand is transposed"),
    ):
        print(f"\n{why}\n{function.stages['fuse']}")


def main(*counts: int) -> None:
    show_reshapes()
    show_transposes()
    show_images(*counts)
    show_cost()


if __name__ == "__main__":
    main(TRAINING, TEST)
