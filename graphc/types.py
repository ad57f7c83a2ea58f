"""Tensor types: a dtype and a shape, NumPy's broadcasting and promotion."""

from __future__ import annotations

import operator
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.errors import DtypeError, ShapeError
from graphc.nearest import did_you_mean
from graphc.sizes import Dim, Shape, Size, product, symbols

SHORT_NAMES = {"float32": "f32", "float64": "f64", "int32": "i32", "int64": "i64", "uint8": "u8", "bool": "bool"}


@dataclass(frozen=True)
class TensorType:
    """What is known of a value before the step runs: its dtype and the size of each axis."""

    dtype: np.dtype[Any]
    shape: Shape

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Dim:
        """The number of elements."""
        return product(self.shape)

    @property
    def nbytes(self) -> Dim:
        return self.size * self.dtype.itemsize

    @property
    def floating(self) -> bool:
        return self.dtype.kind == "f"

    def __str__(self) -> str:
        name = SHORT_NAMES[self.dtype.name]
        return f"{name}[{','.join(map(str, self.shape))}]" if self.shape else name


def supported_dtype(dtype: Any) -> np.dtype[Any]:
    """`dtype` as NumPy's; DtypeError where graphc does not compute in it."""
    try:
        found: np.dtype[Any] = np.dtype(dtype)
    except TypeError:
        near = did_you_mean(dtype, SHORT_NAMES)
        raise DtypeError(f"no dtype is called {dtype!r}: graphc computes in {', '.join(SHORT_NAMES)}{near}") from None
    if found.name not in SHORT_NAMES:
        remedy = "; cast to float32 first: x.astype('float32')" if found.kind in "fV" else ""
        raise DtypeError(f"dtype {found.name} is not supported: graphc computes in {', '.join(SHORT_NAMES)}{remedy}")
    return found


def shape_of(entries: Sequence[int | str | Size] | int | str) -> Shape:
    """The shape that a user wrote: ints are sizes, strings are names of symbolic sizes."""
    if isinstance(entries, (int, np.integer, str, Size)):
        entries = (entries,)
    return tuple(_dim_of(entry) for entry in entries)


def _dim_of(entry: Any) -> Dim:
    if isinstance(entry, str):
        if not entry.isidentifier():
            raise ShapeError(f"a symbolic size is named like a variable ('batch'), got {entry!r}")
        return Size.symbol(unicodedata.normalize("NFKC", entry))  # as Python does with identifiers
    if isinstance(entry, Size):
        return entry
    if isinstance(entry, (int, np.integer)) and not isinstance(entry, bool):
        if entry < 0:
            raise ShapeError(f"a size is not negative, got {entry}")
        return int(entry)
    raise ShapeError(f"a shape entry is an int or the name of a symbolic size, got {entry!r}")


def broadcast(*shapes: Shape) -> Shape:
    """The common shape of operands by NumPy's rule: aligned at the right, two sizes are equal or one of them is 1."""
    if all(shape == shapes[0] for shape in shapes):
        return shapes[0] if shapes else ()
    ndim = max(map(len, shapes))
    result: list[Dim] = []
    for axis in range(ndim):
        sizes = {s[axis - ndim + len(s)] for s in shapes if axis - ndim + len(s) >= 0} - {1}
        if len(sizes) > 1:
            listed = " and ".join(sorted(map(str, sizes)))
            raise ShapeError(
                f"shapes do not broadcast: axis {axis - ndim} has sizes {listed}; sizes must be equal, or one of them 1"
            )
        result.append(sizes.pop() if sizes else 1)
    return tuple(result)


def ints_of(value: Any) -> list[int]:
    """An int, or several, as a list."""
    try:
        return [operator.index(each) for each in (value if isinstance(value, Iterable) else [value])]
    except TypeError:
        raise DtypeError(f"an axis or a count is an int, or several, got {value!r}") from None


def normal_axis(axis: int, ndim: int) -> int:
    """`axis` counted from the front; ShapeError if there is none such."""
    (axis,) = ints_of([axis])
    if not -ndim <= axis < ndim:
        raise ShapeError(f"axis {axis} is outside a tensor of {ndim} axes")
    return axis % ndim


def normal_axes(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """NumPy's `axis=` as a sorted tuple; None means all axes."""
    if axis is None:
        return tuple(range(ndim))
    normal = tuple(sorted(normal_axis(each, ndim) for each in ints_of(axis)))
    if len(set(normal)) < len(normal):
        raise ShapeError(f"axis={axis} names an axis twice")
    return normal


def symbols_of(shape: Shape) -> set[str]:
    """The names of the symbolic sizes in `shape`."""
    return {name for size in shape for name in symbols(size)}
