"""The arrays of emitted code: an address and sizes, and nothing else.

Numba's own arrays carry an owner, strides and counts, take negative indices, and cost some ten instructions an element,
which LLVM removes again. These are C-ordered, own nothing, and are indexed by numbers that are not negative.
"""

from __future__ import annotations

import ctypes
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import lower_builtin, models, register_model

from graphc.primitives.llvm import code_of

Array = np.ndarray[Any, Any]

WORD = ir.IntType(64)


class Block(types.Array):  # type: ignore[misc]
    """Numba's type of such an array. One of layout "A" is a matrix's columns: `step` elements lie from row to row."""

    def __init__(self, dtype: Any, ndim: int, layout: str = "C") -> None:
        super().__init__(dtype, ndim, layout, name=f"block({dtype}, {ndim}, {layout})")

    def copy(self, dtype: Any = None, ndim: Any = None, layout: Any = None, readonly: Any = None) -> Block:
        """What indexing by fewer numbers than there are axes gives."""
        return Block(dtype or self.dtype, self.ndim if ndim is None else ndim, layout or self.layout)


@register_model(Block)
class _BlockModel(models.StructModel):  # type: ignore[misc]
    """The address, the sizes of the axes, and the step of columns."""

    def __init__(self, manager: Any, kind: Block) -> None:
        sizes = [(f"size{axis}", types.intp) for axis in range(kind.ndim)]
        step = [("step", types.intp)] if kind.layout != "C" else []
        super().__init__(manager, kind, [("data", types.CPointer(kind.dtype)), *sizes, *step])


def block(context: Any, builder: Any, kind: Block, members: Sequence[Any]) -> Any:
    """The array of an address, sizes, and a step where there is one."""
    value = ir.Constant(context.get_value_type(kind), ir.Undefined)
    for at, member in enumerate(members):
        value = builder.insert_value(value, member, at)
    return value


def members(builder: Any, array: Any) -> list[Any]:
    """The address, the sizes, and the step where there is one."""
    return [builder.extract_value(array, at) for at in range(len(array.type.elements))]


def array_at(address: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    """The C-ordered array that lies at an address; it does not own its memory."""
    count = int(np.prod(shape))
    memory = (ctypes.c_byte * (count * np.dtype(dtype).itemsize)).from_address(int(address))
    return np.frombuffer(memory, dtype, count).reshape(shape)


@code_of(array_at, lambda address, shape, dtype: Block(dtype.dtype, len(shape)))
def _array_at(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    kind = signature.return_type
    sizes = zip(cgutils.unpack_tuple(builder, args[1]), signature.args[1], strict=True)
    data = builder.inttoptr(args[0], context.get_data_type(kind.dtype).as_pointer())
    return block(context, builder, kind, [data, *(context.cast(builder, *each, types.intp) for each in sizes)])


def rows(matrix: Any, start: int, stop: int) -> Any:
    """`matrix[start:stop]`."""
    return matrix[start:stop]


@code_of(rows, lambda matrix, start, stop: matrix)
def _rows(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    data, length, *inner = members(builder, args[0])
    first = _place(builder, data, [args[1]], [length, *inner])
    return block(context, builder, signature.return_type, [first, builder.sub(args[2], args[1]), *inner])


def columns(matrix: Any, start: int, stop: int) -> Any:
    """`matrix[:, start:stop]`."""
    return matrix[:, start:stop]


@code_of(columns, lambda matrix, start, stop: matrix.copy(layout="A"))
def _columns(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    data, length, step = members(builder, args[0])
    first = builder.gep(data, [args[1]], inbounds=True)
    return block(context, builder, signature.return_type, [first, length, builder.sub(args[2], args[1]), step])


def _place(builder: Any, data: Any, index: Sequence[Any], sizes: Sequence[Any]) -> Any:
    """The address of the element, or of the inner array, at an index."""
    offset = index[0]
    for axis, size in enumerate(sizes[1:], 1):
        offset = builder.mul(offset, size, flags=("nsw",))
        if axis < len(index):
            offset = builder.add(offset, index[axis], flags=("nsw",))
    return builder.gep(data, [offset], inbounds=True)


def _indexed(context: Any, builder: Any, kinds: Any, args: Any) -> tuple[Any, list[Any]]:
    """The address at an index, and the sizes of the axes that it leaves."""
    data, *sizes = members(builder, args[0])
    tuples = isinstance(kinds[1], types.BaseTuple)
    given = zip(cgutils.unpack_tuple(builder, args[1]), kinds[1], strict=True) if tuples else [(args[1], kinds[1])]
    index = [context.cast(builder, *each, types.intp) for each in given]
    if context.enable_boundscheck:
        for axis, (at, size) in enumerate(zip(index, sizes, strict=False)):
            cgutils.do_boundscheck(context, builder, at, size, axis)
    return _place(builder, data, index, sizes), sizes[len(index) :]


def _getitem(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    data, sizes = _indexed(context, builder, signature.args, args)
    if sizes:
        return block(context, builder, signature.return_type, [data, *sizes])
    return context.unpack_value(builder, signature.return_type, data)


def _setitem(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    data, _ = _indexed(context, builder, signature.args, args)
    kind = signature.args[0].dtype
    context.pack_value(builder, kind, context.cast(builder, args[2], signature.args[2], kind), data)
    return context.get_dummy_value()


@lower_builtin(len, Block)
def _length(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    return members(builder, args[0])[1]


lower_builtin(operator.getitem, Block, types.Integer)(_getitem)
lower_builtin(operator.getitem, Block, types.BaseTuple)(_getitem)
lower_builtin(operator.setitem, Block, types.Any, types.Any)(_setitem)
