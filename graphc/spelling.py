"""The spelling of scalars, indices and sizes as code: what loops say, and what the emitted text says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.ir import Node
from graphc.kinds import Affine, Entry, Extent, Read, Scalar
from graphc.sizes import Dim, Floor, Size
from graphc.types import SHORT_NAMES


def index_name(level: int) -> str:
    """The index variable of a loop: i, j, k, l, m, then i5, i6, ..."""
    return "ijklm"[level] if level < 5 else f"i{level}"


def size_code(size: Dim) -> str:
    """A size as code: the symbol `batch` is the variable `n_batch`."""
    if not isinstance(size, Size):
        return str(size)
    return " + ".join(_term_code(*term) for term in size.terms).replace("+ -", "- ")


def _term_code(factors: tuple[str, ...], coefficient: int) -> str:
    if factors and abs(coefficient) == 1:
        return "-" * (coefficient < 0) + "*".join(map(_factor_code, factors))
    return "*".join([str(coefficient), *map(_factor_code, factors)])


def _factor_code(factor: str) -> str:
    return f"(({size_code(factor.size)}) // {factor.by})" if isinstance(factor, Floor) else f"n_{factor}"


def constructor(dtype: np.dtype[Any]) -> str:
    """`f32`: what makes a number of this dtype in emitted code."""
    return "np.bool_" if dtype.kind == "b" else SHORT_NAMES[dtype.name]


def number_code(value: Any, dtype: np.dtype[Any]) -> str:
    """`f32(0.5)`: a number as code, exactly."""
    number = dtype.type(value).item()
    text = repr(number) if np.isfinite(number) else f"np.{number}" if number > 0 or number != number else "-np.inf"
    return f"{constructor(dtype)}({text})"


def code_for(dtype: np.dtype[Any], code: str, wrapping: str | None) -> str:
    """The code of an op for this dtype."""
    return wrapping if wrapping is not None and dtype == np.int64 else code


def index_code(entry: Entry) -> str:
    """`i` for the outermost loop's index, `0` for an axis of size 1."""
    assert not isinstance(entry, (Affine, Read))
    return "0" if entry is None else index_name(entry)


def affine_code(start: Dim, step: int, inner: str) -> str:
    """`n_time - 1 - 2*i`: the index `start + step * inner` as code."""
    term = {0: "", 1: f"+ {inner}", -1: f"- {inner}"}.get(step, f"{'-' if step < 0 else '+'} {abs(step)}*{inner}")
    text = size_code(start) if start != 0 or not term else ""
    return f"{text} {term}".strip().removeprefix("+ ")


def element_code(node: Node, operand_names: Sequence[str]) -> str:
    """One element of a node as code."""
    kind = node.op.kind
    if isinstance(kind, Extent):
        return f"{constructor(node.dtype)}({size_code(node.options['size'])})"
    assert isinstance(kind, Scalar)
    code = code_for(node.dtype, kind.code, kind.wrapping).format(*operand_names, dtype=constructor(node.dtype))
    # Arithmetic on small integers and on bools is done in 64 bits; its result is not.
    narrow = node.args[0].dtype == node.dtype and node.dtype.name in ("int32", "uint8", "bool")
    return f"{constructor(node.dtype)}({code})" if narrow else code
