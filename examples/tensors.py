"""Tensors: rank, shape and dtype; slices and batches; the shapes that real data have.

A graphc node has all three attributes before anything is computed, and they are those of the NumPy array that it stands
for. One size may be a name, such as "samples", that each call fills in. Run it with `python examples/tensors.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

import graphc as gc

SAMPLES, BATCH = 60_000, 128

REAL_DATA = {
    "people": ("samples", 3),  # age, gender, income
    "documents": ("samples", 20_000),  # how often each word of a dictionary occurs
    "stock prices": ("days", 390, 3),  # minutes of a day; price, highest, lowest
    "tweets": ("tweets", 280, 128),  # characters, each a one-hot vector
    "gray images": ("samples", 256, 256, 1),  # height, width, channels
    "colour images": ("samples", 256, 256, 3),
    "videos": ("samples", 240, 144, 256, 3),  # frames, height, width, channels
}


def ranks() -> list[np.ndarray]:
    """Tensors of rank 0 to 5; from the matrix on, each packs several of the one before."""
    scalar = np.array(12)
    vector = np.array([12, 3, 6, 14, 7])
    matrix = np.array([[5, 78, 2, 34, 0], [6, 79, 3, 35, 1], [7, 80, 4, 36, 2]])
    cube = np.stack([matrix, matrix, matrix])
    cubes = np.stack([cube, cube])
    return [scalar, vector, matrix, cube, cubes, np.stack([cubes, cubes])]


def slices(images: Any) -> dict[str, Any]:
    """Parts of an array of images, or of a node: both are sliced by the same expressions."""
    return {
        "images[4]": images[4],
        "images[10:100]": images[10:100],
        "images[10:100, :, :]": images[10:100, :, :],
        "images[10:100, 0:28, 0:28]": images[10:100, 0:28, 0:28],
        "images[:, 14:, 14:]": images[:, 14:, 14:],  # the bottom right corners
        "images[:, 7:-7, 7:-7]": images[:, 7:-7, 7:-7],  # the middles
    }


def casts(pixels: Any) -> dict[str, Any]:
    """What becomes of bytes, by NumPy's rules of promotion."""
    return {
        "pixels": pixels,
        "pixels + 1": pixels + 1,
        "pixels / 255": pixels / 255,
        "pixels > 0": pixels > 0,
        'pixels.astype("float32")': pixels.astype("float32"),
    }


def batches(images: np.ndarray, size: int) -> list[np.ndarray]:
    """The images cut along axis 0, the batch axis; the last batch may be smaller."""
    return [images[start : start + size] for start in range(0, len(images), size)]


def stand_in(samples: int) -> np.ndarray:
    """Bytes of the shape of MNIST's images: (samples, 28, 28)."""
    return np.random.default_rng(0).integers(0, 256, (samples, 28, 28), np.uint8)


def written(shape: Iterable[Any]) -> str:
    sizes = [str(size) for size in shape]
    return f"({sizes[0]},)" if len(sizes) == 1 else f"({', '.join(sizes)})"


def show_ranks() -> None:
    print("rank  shape            dtype  a node of the same value")
    for array in ranks():
        node = gc.const(array)
        print(f"{node.ndim:4d}  {written(node.shape):15}  {node.dtype}  {node}")
    print("A 5-dimensional vector has one axis of 5 entries; a 5D tensor has 5 axes.\n")


def show_dtypes() -> None:
    pixels, node = np.array([0, 128, 255], np.uint8), gc.input("pixels", (3,), "uint8")
    print(f"{'expression':24}  in NumPy  in graphc")
    arrays = casts(pixels)
    for text, cast in casts(node).items():
        print(f"{text:24}  {arrays[text].dtype!s:8}  {cast.dtype}")
    print()


def show_slices(images: np.ndarray) -> None:
    node = gc.input("images", ("samples", 28, 28), "uint8")
    print(f"{'slice':26}  {'shape of the node':19}  in NumPy")
    arrays = slices(images)
    for text, part in slices(node).items():
        same = np.array_equal(gc.evaluate(part, {"images": images}), arrays[text])
        print(
            f"{text:26}  {written(part.shape):19}  {written(arrays[text].shape)}{', equal' if same else ', DIFFERENT'}"
        )
    print()


def show_batches(images: np.ndarray) -> None:
    batch = gc.input("batch", ("size", 28, 28), "uint8")
    brightness = gc.compile(gc.mean(batch / 255))  # compiled once, for batches of every size
    parts = batches(images, BATCH)
    measured = [brightness(part) for part in parts]
    mean = np.average(measured, weights=[len(part) for part in parts])
    print(f"{len(images)} images are {len(parts)} batches of {BATCH}; the last one has {len(parts[-1])}")
    print(f"mean brightness, batch by batch: {mean:.6f}; of all at once in NumPy: {np.mean(images) / 255:.6f}\n")


def show_real_data() -> None:
    print(f"{'data':13}  rank  {'shape':29}  values")
    for name, shape in REAL_DATA.items():
        node = gc.input(name, shape)
        print(f"{name:13}  {node.ndim:4d}  {written(node.shape):29}  {node.size}")
    clips = gc.input("clips", (4, 240, 144, 256, 3))
    size = clips.size * clips.dtype.itemsize
    print(f"Four clips of 60 seconds are {clips.size:,} values: {size / 2**20:.0f} MiB in {clips.dtype}!")


def main(samples: int = SAMPLES) -> None:
    images = stand_in(samples)
    show_ranks()
    show_dtypes()
    show_slices(images)
    show_batches(images)
    show_real_data()


if __name__ == "__main__":
    main()
