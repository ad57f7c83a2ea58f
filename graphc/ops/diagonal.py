"""Diagonals and triangles of matrices: of the last two axes, for each of the others."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.constants import as_node, const
from graphc.errors import ShapeError
from graphc.explained import teaching
from graphc.ir import Need, Node, Op, Operand
from graphc.kinds import Index, View, affine
from graphc.ops.choice import astype, equal, where
from graphc.ops.pieces import paste
from graphc.ops.shape import arange, expand_dims, moveaxis, reshape
from graphc.sizes import Dim, Shape
from graphc.types import TensorType, shape_of


def _diagonal_size(rows: Dim, columns: Dim, offset: int) -> Dim:
    """How many elements the diagonal has that starts `offset` columns to the right of the corner."""
    rows, columns = rows - max(0, -offset), columns - max(0, offset)
    if isinstance(rows, int) and isinstance(columns, int):
        return max(0, min(rows, columns))
    if rows != columns:
        raise ShapeError(f"the diagonal of a ({rows}, {columns}) matrix has no known size; slice the matrix first")
    return rows


def _diagonal_index(node: Node, index: Index) -> Index:
    offset = node.options["offset"]
    down, right = max(0, -offset), max(0, offset)
    return (*index[:-1], affine(down, 1, index[-1]), affine(right, 1, index[-1]))


def _diagonal_type(x: TensorType, offset: int) -> TensorType:
    if x.ndim < 2:
        raise ShapeError(f"wants a matrix, got {x}")
    return TensorType(x.dtype, (*x.shape[:-2], _diagonal_size(x.shape[-2], x.shape[-1], offset)))


diagonal_of_last: Op = Op(
    "diagonal",
    View(_diagonal_index),
    _diagonal_type,
    lambda x, offset: np.diagonal(x, offset, -2, -1),
    lambda g, y, x, offset: (_on_diagonal(g, x.shape[-2:], offset),),
    lambda x, offset=0: ((as_node(x),), {"offset": int(offset)}),
    needs=lambda x, offset: [Need(_diagonal_size(x.shape[-2], x.shape[-1], offset), f"a diagonal at {offset}")],
    analytic=True,
    doc="The diagonal of each matrix of the last two axes, as the last axis.",
)


def _on_diagonal(x: Node, shape: Shape, offset: int) -> Node:
    """Matrices of this shape that are 0 but for `x` on a diagonal."""
    down = max(0, -offset)
    column = expand_dims(paste(x, (*x.shape[:-1], shape[0]), starts=(0,) * (x.ndim - 1) + (down,)), -1)
    return where(_band(shape, offset), column, const(0, x.dtype))


def _band(shape: Shape, offset: int) -> Node:
    """True on the diagonal `offset` of a matrix of this shape."""
    rows, columns = reshape(arange(shape[0]), (-1, 1)), arange(shape[1])
    return equal(rows + offset, columns)


@teaching
def diagonal(x: Operand, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Node:
    """The elements of `x` at equal positions of two axes, `offset` later on the second; they are the last axis."""
    return diagonal_of_last(moveaxis(x, (axis1, axis2), (-2, -1)), offset=offset)


@teaching
def diag(x: Operand, k: int = 0) -> Node:
    """The diagonal of a matrix, or the matrix with the vector `x` on its diagonal, and 0 elsewhere."""
    node = as_node(x)
    if node.ndim not in (1, 2):
        raise ShapeError(f"diag: wants a vector or a matrix, got {node.type}")
    if node.ndim == 2:
        return diagonal(node, k)
    size = node.shape[0] + abs(k)
    return _on_diagonal(node, (size, size), k)


@teaching
def tril(x: Operand, k: int = 0) -> Node:
    """`x` with 0 above the diagonal `k` of its last two axes."""
    node = _matrix("tril", x)
    rows, columns = reshape(arange(node.shape[-2]), (-1, 1)), arange(node.shape[-1])
    return where(columns <= rows + k, node, const(0, node.dtype))


@teaching
def triu(x: Operand, k: int = 0) -> Node:
    """`x` with 0 below the diagonal `k` of its last two axes."""
    node = _matrix("triu", x)
    rows, columns = reshape(arange(node.shape[-2]), (-1, 1)), arange(node.shape[-1])
    return where(columns >= rows + k, node, const(0, node.dtype))


def _matrix(name: str, x: Operand) -> Node:
    node = as_node(x)
    if node.ndim < 2:
        raise ShapeError(f"{name}: wants a matrix, got {node.type}")
    return node


def eye(rows: Any, columns: Any = None, k: int = 0, dtype: Any = "float32") -> Node:
    """A matrix with ones on the diagonal `k`, and zeros elsewhere."""
    shape = shape_of((rows, rows if columns is None else columns))
    return astype(_band(shape, k), dtype)
