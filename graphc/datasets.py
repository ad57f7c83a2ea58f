"""MNIST and Fashion-MNIST, from IDX files in a folder or downloaded once, each checked by its SHA-256.

No file is trusted. Its array is made of bytes that were really there, and no more of them are unpacked than the shape
wants; a download is kept when it has turned out to be right.

    IDX file := 0, 0, code of the dtype, number of axes, size of each axis as 4 bytes, elements; the highest byte first
"""

from __future__ import annotations

import gzip
import hashlib
import io
import math
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np

from graphc import atomic
from graphc.errors import FileFormatError, InputError
from graphc.runtime import cache

Array: TypeAlias = np.ndarray[Any, Any]
Split: TypeAlias = tuple[Array, Array]

DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
"""NumPy's dtype for the code in an IDX file."""

GZIP = b"\x1f\x8b"
"""What a compressed file begins with."""

PIECE = 1 << 20
"""Bytes that are read at a time."""

TIMEOUT = 30.0
"""Seconds after which a silent server is given up."""


@dataclass(frozen=True)
class File:
    """An IDX file of bytes: its name, the shape of its array, and the SHA-256 of the file when it is not compressed."""

    name: str
    shape: tuple[int, ...]
    sha256: str


@dataclass(frozen=True)
class Dataset:
    """The function's name, the addresses of folders that have the files as `<name>.gz`, and the files.

    files: training images and labels, test images and labels.
    """

    name: str
    mirrors: tuple[str, ...]
    files: tuple[File, File, File, File]


def _four(sha256: tuple[str, str, str, str]) -> tuple[File, File, File, File]:
    """The files that MNIST and its followers consist of."""
    return (
        File("train-images-idx3-ubyte", (60000, 28, 28), sha256[0]),
        File("train-labels-idx1-ubyte", (60000,), sha256[1]),
        File("t10k-images-idx3-ubyte", (10000, 28, 28), sha256[2]),
        File("t10k-labels-idx1-ubyte", (10000,), sha256[3]),
    )


MNIST = Dataset(
    "mnist",
    (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    _four(
        (
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        )
    ),
)
FASHION_MNIST = Dataset(
    "fashion_mnist",
    (
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    ),
    _four(
        (
            "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        )
    ),
)


def mnist(folder: str | os.PathLike[str] | None = None) -> tuple[Split, Split]:
    """Handwritten digits: (images, labels) to train with and (images, labels) to test with (LeCun, Cortes & Burges).

    Images are uint8 (60000, 28, 28) and (10000, 28, 28), 0 is paper and 255 ink; labels are uint8 (60000,) and
    (10000,), the digits 0 to 9.
    folder: has the four IDX files, with or without .gz; nothing is downloaded. By default they are downloaded at the
    first call and kept in `datasets/mnist` of graphc's cache folder (GRAPHC_CACHE_DIR, else the user's).
    Raises FileFormatError, which says what to do, for a file that is missing, damaged or another one, and where none
    of the servers gives it.
    """
    return _loaded(MNIST, folder)


def fashion_mnist(folder: str | os.PathLike[str] | None = None) -> tuple[Split, Split]:
    """Photographs of clothes of ten kinds, of the shapes and in the form of `mnist` (Xiao, Rasul & Vollgraf 2017).

    The labels are T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot.
    """
    return _loaded(FASHION_MNIST, folder)


def read_idx(path: str | os.PathLike[str]) -> Array:
    """The array of an IDX file, plain or compressed by gzip, in the machine's byte order.

    Raises FileFormatError for a file that is not whole or has more than its header says, OSError if it cannot be read.
    """
    return _read(Path(path), None)


def _loaded(dataset: Dataset, folder: str | os.PathLike[str] | None) -> tuple[Split, Split]:
    place = _kept_in(dataset) if folder is None else Path(folder)
    missing = [file for file in dataset.files if not _path(place, file).exists()]
    if missing and folder is not None:
        names = ", ".join(file.name for file in missing)
        raise FileFormatError(f"{place} has no {names}\n  {_by_hand(dataset, missing, place)}")
    for file in missing:
        _download(dataset, file, place)
    again = "the next call downloads it again" if folder is None else ""
    images, labels, test_images, test_labels = (
        _checked(_path(place, file), file, again or _by_hand(dataset, [file], place)) for file in dataset.files
    )
    return (images, labels), (test_images, test_labels)


def _path(place: Path, file: File) -> Path:
    """Where the file lies, compressed if it is there so."""
    packed = place / f"{file.name}.gz"
    return packed if packed.exists() else place / file.name


def _checked(path: Path, file: File, remedy: str) -> Array:
    try:
        return _read(path, file)
    except FileFormatError as error:
        raise FileFormatError(f"{error}\n  remove it; {remedy}") from None


def _by_hand(dataset: Dataset, files: Sequence[File], place: Path) -> str:
    """How to get files without graphc."""
    names = ", ".join(f"{file.name}.gz" for file in files)
    return (
        f"put {names} into {place}, from {' or '.join(dataset.mirrors)}; or name a folder that has all four files, "
        f'with or without .gz: gc.datasets.{dataset.name}(folder="...")'
    )


# ---- reading --------------------------------------------------------------------------------------------------------


def _read(path: Path, wanted: File | None) -> Array:
    try:
        with path.open("rb") as file:
            return _unpacked(file, wanted)
    except FileFormatError as error:
        raise FileFormatError(f"{path}: {error}") from None


def _unpacked(file: BinaryIO, wanted: File | None) -> Array:
    """The array of an open file; the one that is wanted, if one is."""
    packed = file.read(len(GZIP)) == GZIP
    file.seek(0)
    if not packed:
        return _array(file, wanted)
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as unpacking:
            return _array(unpacking, wanted)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileFormatError(f"its gzip data are damaged: {error}") from None


def _array(file: io.BufferedIOBase | BinaryIO, wanted: File | None) -> Array:
    start = file.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in DTYPES:
        raise FileFormatError(f"it is no IDX file: it begins with the bytes {start.hex(' ') or 'of nothing'}")
    sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise FileFormatError("it ends in the middle of its header")
    shape = tuple(int.from_bytes(sizes[at : at + 4], "big") for at in range(0, len(sizes), 4))
    dtype = np.dtype(DTYPES[start[2]])
    if wanted and (shape, dtype.itemsize) != (wanted.shape, 1):
        raise FileFormatError(f"it has an array of shape {shape}, {dtype.name}, not of {wanted.shape}, uint8")
    size = math.prod(shape) * dtype.itemsize
    content = bytearray()
    for piece in _pieces(file, size + 1):
        content += piece
    if len(content) != size:
        found = "more" if len(content) > size else f"{len(content):,}"
        raise FileFormatError(f"its header says {size:,} bytes for an array of shape {shape}, and there are {found}")
    digest = hashlib.sha256(start + sizes)
    digest.update(content)
    if wanted and digest.hexdigest() != wanted.sha256:
        raise FileFormatError(f"it is another file: its SHA-256 is {digest.hexdigest()}, not {wanted.sha256}")
    try:
        array = np.frombuffer(content, dtype).reshape(shape)
    except ValueError as error:  # more axes, or larger empty ones, than NumPy has
        raise FileFormatError(f"it has an array of shape {shape}: {error}") from None
    return array.astype(dtype.newbyteorder("="), copy=False)


def _pieces(file: io.BufferedIOBase | BinaryIO, most: int) -> Iterator[bytes]:
    """What is left of a file, up to so many bytes: never more memory than it has bytes."""
    while most and (piece := file.read(min(PIECE, most))):
        yield piece
        most -= len(piece)


# ---- downloading ----------------------------------------------------------------------------------------------------


def _kept_in(dataset: Dataset) -> Path:
    """The folder for downloads; made as the cache wants it, which others may not write to."""
    root = cache.folder()
    if root is None:
        raise InputError(
            f'GRAPHC_CACHE_DIR is empty, so nothing is kept; name a folder: gc.datasets.{dataset.name}(folder="...")'
        )
    return root / "datasets" / dataset.name


def _download(dataset: Dataset, file: File, place: Path) -> None:
    """Puts the file into the folder: all of it, and the right one, or nothing."""
    from http.client import HTTPException  # 40 ms that a program without downloads can spare

    faults = []
    for mirror in dataset.mirrors:
        address = f"{mirror}{file.name}.gz"
        print(f"graphc: downloading {address}", file=sys.stderr)
        try:
            content = _fetched(address, file)
            _unpacked(io.BytesIO(content), file)
        except (OSError, HTTPException, FileFormatError) as error:
            faults.append(f"\n    {address}: {error}")
        else:
            _keep(content, place / f"{file.name}.gz")
            return
    raise FileFormatError(
        f"{file.name}.gz could not be downloaded:{''.join(faults)}\n  without a network, make the folder {place}; "
        f"{_by_hand(dataset, dataset.files, place)}"
    )


def _fetched(address: str, file: File) -> bytes:
    """What the server sends; no more of it than such a file can need."""
    from urllib.request import urlopen

    size = math.prod(file.shape)
    most = size + size // 100 + 4096  # what cannot be compressed grows by less than that
    with urlopen(address, timeout=TIMEOUT) as response:
        content = b"".join(_pieces(response, most + 1))
    if len(content) > most:
        raise FileFormatError(f"it is longer than {most:,} bytes, which would be enough")
    return content


def _keep(content: bytes, path: Path) -> None:
    """Writes a file; a reader sees all of it or nothing."""
    path.parents[2].mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(path, content)
