"""Safetensors files: arrays by name, written whole or not at all, read without trust.

    file := length of the header (8 bytes, little-endian), header (JSON), the arrays one behind the other

The library `safetensors` judges the format. What it lets pass (names twice, a header of 100 MB) is judged here.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc import atomic
from graphc.errors import FileFormatError, InputError

Array = np.ndarray[Any, Any]
FilePath = str | os.PathLike[str]

LONGEST_HEADER = 4 << 20
"""Bytes: some 30,000 arrays, and a bound for what a file can make Python allocate beside its arrays."""

DTYPES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "I64": "int64",
    "I32": "int32",
    "U8": "uint8",
    "BOOL": "bool",
}
"""The format's names of dtypes that are read."""


@dataclass(frozen=True)
class Entry:
    """What a file says of an array: the format's name of its dtype, and its shape."""

    code: str
    shape: tuple[int, ...]

    @property
    def dtype(self) -> str:
        """NumPy's name, or the format's for what is not read."""
        return DTYPES.get(self.code, self.code)

    def __str__(self) -> str:
        return shown(self.dtype, self.shape)


class TensorFile:
    """A file whose header has been judged: what it holds, and the arrays themselves once they are asked for."""

    def __init__(self, path: FilePath, opened: Any) -> None:
        self.path = path
        self.metadata: dict[str, str] = opened.metadata() or {}
        slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 (no dict)
        self.entries = {name: Entry(each.get_dtype(), tuple(each.get_shape())) for name, each in slices.items()}
        self._opened = opened

    def array(self, name: str) -> Array:
        """The array of this name, whose dtype is one of DTYPES: memory for it alone is allocated."""
        array: Array = self._opened.get_tensor(name)
        if array.dtype == bool and array.size and array.view(np.uint8).max() > 1:
            raise self.error(f"{told(name)} is bool and holds other bytes than 0 and 1")
        return array

    def error(self, what: str) -> FileFormatError:
        return _error(self.path, what)


@contextlib.contextmanager
def opened(path: FilePath) -> Iterator[TensorFile]:
    """The file for reading; FileFormatError for what is no sound safetensors file, OSError as the system raises it."""
    from safetensors import SafetensorError, safe_open

    _check_header(path)
    try:
        # Read, not mapped: a mapped file that becomes shorter, or that a disk fails to read, kills the process.
        with safe_open(os.fspath(path), framework="numpy", backend="pread") as file:
            yield TensorFile(path, file)
    except SafetensorError as error:
        raise _error(path, f"no sound safetensors file: {plain(str(error))}") from None


def _check_header(path: FilePath) -> None:
    """FileFormatError for a header that is longer than the file, or than it may be, or that has a name twice."""
    with open(path, "rb", opener=_without_waiting) as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if start.startswith(b"PK\3\4"):
            raise _error(
                path,
                "a zip file, as torch.save and np.savez write them; graphc reads what "
                "safetensors.torch.save_file(state, path) writes",
            )
        if size < 8 or length > size - 8:
            raise _error(path, f"no whole safetensors file: its {size} bytes are to begin with a header of {length}")
        if length > LONGEST_HEADER:
            raise _error(path, f"its header has {length} bytes, at most {LONGEST_HEADER} are read")
        header = file.read(length)
    try:
        json.loads(header.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _error(path, f"no sound safetensors file: its header: {plain(str(error))}") from None


def _without_waiting(path: str, flags: int) -> int:
    """Opens a pipe, too, at once."""
    return os.open(path, flags | os.O_NONBLOCK)


def _error(path: FilePath, what: str) -> FileFormatError:
    return FileFormatError(f"{os.fspath(path)}: {what}")


def _once(pairs: list[tuple[str, Any]]) -> None:
    names: set[str] = set()
    for name, _ in pairs:
        if name in names:
            raise ValueError(f"{told(name)} stands in it twice")
        names.add(name)


def write(path: FilePath, arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Writes the arrays, which are contiguous, with graphc.atomic. Raises OSError, InputError for a name it cannot."""
    from safetensors.numpy import save

    if "__metadata__" in arrays:
        raise InputError("no array in a safetensors file can be called '__metadata__': give the param another name")
    content = save(dict(arrays), metadata=dict(metadata))
    if int.from_bytes(content[:8], "little") > LONGEST_HEADER:
        raise InputError(
            f"{len(arrays)} arrays have a header of more than {LONGEST_HEADER} bytes, which is not read back"
        )
    atomic.write(path, content)


# ---- for errors -----------------------------------------------------------------------------------------------------


def told(name: str) -> str:
    """A name from a file, as an error may show it."""
    return repr(plain(name))


def plain(text: str) -> str:
    """A text from a file on one line, without control characters, and not without end."""
    short = text if len(text) < 200 else text[:200] + "..."
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in short)


def listed(names: Iterable[str]) -> str:
    """The first few names."""
    all_names = list(names)
    more = f", and {len(all_names) - 5} more" if len(all_names) > 5 else ""
    return ", ".join(map(told, all_names[:5])) + more


def shown(dtype: object, shape: tuple[int, ...]) -> str:
    """`float32 (64, 10)`, or `float32 scalar`."""
    return f"{dtype} {shape if shape else 'scalar'}" if len(shape) <= 32 else f"{dtype} of {len(shape)} axes"
