"""`f.njit`: a compiled step as a function of Numba's, for the user's own `@njit` code.

It is a short text, which Numba compiles for the types that it is called with: inputs are taken as the step wants them,
results are new arrays, `enter` calls the step's machine code at its address, and a status other than 0 has its error.
Addresses are dynamic globals of Numba's, which therefore keeps no caller in its disk cache.
"""

from __future__ import annotations

import itertools
import keyword
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.errors import NumbaNotImplementedError
from numba.extending import intrinsic, overload
from numba.np.numpy_support import as_dtype, from_dtype

from graphc.backend import table
from graphc.emitted import show_lines
from graphc.errors import GraphError, InputError, NonFiniteError
from graphc.graph import Graph, Guard, axis_of_each_size, printable
from graphc.ir import Node
from graphc.runtime.native import UNSUITABLE, Door, Fields, runtime
from graphc.spelling import size_code
from graphc.types import TensorType

OWN = ("_", "n_")
"""What the text's own names begin with."""

# ---- the text -------------------------------------------------------------------------------------------------------


def embedded(
    graph: Graph, structure: Any, results: Sequence[TensorType], scalars: int, door: Door
) -> Callable[..., Any]:
    """The step behind `door` as a function of Numba's, of the inputs in their order, or by name.

    structure: what compile() was given. results: the types of the outputs that are arrays; scalars: how many it stores.
    """
    outputs, fields = _tuple_class(structure), door.fields()
    address = fields.ctypes.data
    _doors[address] = fields
    text = "\n".join(_text(graph, structure, results, scalars, address))
    filename = f"<graphc njit {graph.name} {address}>"
    scope = {**NAMES, "_Outputs": outputs, "_fields": fields}  # which live until there is native code
    exec(compile(text, filename, "exec"), scope)
    made: Callable[..., Any] = njit(scope["step"])
    show_lines(filename, text, made)
    return made


def imitated(call: Callable[..., Any], structure: Any) -> Callable[..., Any]:
    """The same where Numba compiles nothing: a call's results as native code would return them."""
    outputs = _tuple_class(structure)

    def step(*args: Any, **kwargs: Any) -> Any:
        result = call(*args, **kwargs)
        if isinstance(structure, Node):
            return result
        values = result.values() if isinstance(structure, Mapping) else result
        return tuple(values) if outputs is None else outputs(*values)

    return step


def _tuple_class(structure: Any) -> Any:
    """The class of named tuples that outputs come in, None for plain ones; GraphError for keys that are no names."""
    if not isinstance(structure, Mapping):
        return type(structure) if hasattr(type(structure), "_make") else None
    wrong = [name for name in structure if not _is_word(name) or name.startswith("_")]
    if wrong:
        raise GraphError(
            f"njit returns a dict of outputs as a named tuple, which cannot have {wrong[0]!r} as a name; "
            "name the outputs like variables, or compile a list of them"
        )
    return namedtuple("Outputs", list(structure))


def _text(graph: Graph, structure: Any, results: Sequence[TensorType], scalars: int, address: int) -> Iterator[str]:
    """The function: its own names begin with an underscore, sizes with n_; inputs and results are _a0, _r0, _s0 ..."""
    names, sizes = _parameters(graph), axis_of_each_size(graph.inputs)
    yield f"def step({', '.join(names)}):"
    for at, (name, node) in enumerate(zip(names, graph.inputs, strict=True)):
        where = printable(node.where)
        yield f"    _a{at} = _taken({name}, {node.dtype.name!r}, {node.ndim}, {_wish(node)!r}, {where!r})"
    for size, (at, axis) in sizes.items():
        yield f"    n_{size} = _a{at}.shape[{axis}]"
    for at, result in enumerate(results):
        shape = "".join(f"_max(0, {size_code(size)}), " for size in result.shape)
        yield f"    _r{at} = _np.empty(({shape}), _np.{'bool_' if result.dtype.kind == 'b' else result.dtype.name})"
    inputs = [f"_a{at}" for at in range(len(names))]
    told = ", ".join(["_status", *(f"_s{at}" for at in range(scalars))])
    made = [f"_r{at}" for at in range(len(results))]
    yield f"    {told} = _enter({address}, {scalars}, {_tuple([*inputs, *made])})"
    yield f"    if _status == {UNSUITABLE}:"
    yield f"        {told} = _enter({address}, {scalars}, {_tuple([*(f'_apart({each})' for each in inputs), *made])})"
    yield f"    if _status != {table.OK}:"
    yield from ("        " + line for line in _errors(graph, sizes))
    yield f"    return {_answer(graph, structure)}"
    yield ""


def _parameters(graph: Graph) -> list[str]:
    """The inputs' names; a name by position where the text could not use the input's own as a variable."""
    names = [str(node.name) for node in graph.inputs]
    return [name if _is_word(name) and not name.startswith(OWN) else f"_input{at}" for at, name in enumerate(names)]


def _is_word(name: Any) -> bool:
    return isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)


def _tuple(values: Sequence[str]) -> str:
    return f"({''.join(f'{value}, ' for value in values)})"


def _answer(graph: Graph, structure: Any) -> str:
    """The results in their structure."""
    arrays, scalars = itertools.count(), itertools.count()
    found = [f"_r{next(arrays)}" if node.shape else f"_s{next(scalars)}" for node in graph.outputs]
    if isinstance(structure, Node):
        return found[0]
    return _tuple(found) if _tuple_class(structure) is None else f"_Outputs({', '.join(found)})"


def _wish(node: Node) -> str:
    return printable(f"input {node.name} wants {node.type}")


# ---- errors ---------------------------------------------------------------------------------------------------------


def _errors(graph: Graph, sizes: Mapping[str, tuple[int, int]]) -> Iterator[str]:
    """A statement for each status: exceptions of constant words."""
    for at, node in enumerate(graph.inputs):
        for axis, size in enumerate(node.shape):
            if sizes.get(str(size)) != (at, axis):
                first, its_axis = sizes.get(str(size), (at, axis))
                source = f" ({size} is axis {its_axis} of {graph.inputs[first].name})" if str(size) in sizes else ""
                words = f"{_wish(node)}: its axis {axis} is not {size}{source}; it is made at {node.where}"
                yield f"if _status == {table.WRONG_SIZES} and _a{at}.shape[{axis}] != {size_code(size)}:"
                yield f"    {_raise('InputError', words)}"
    for need, where in graph.needs:
        yield f"if _status == {table.WRONG_SIZES} and {size_code(need.size)} < 0:"
        yield f"    {_raise('InputError', f'{where} needs {need.rule}')}"
    for number, guard in enumerate(graph.guards, table.FIRST_GUARD):
        yield f"if _status == {number}:"
        yield f"    {_guard_error(guard)}"
    words = f"there is no memory for the buffers of {graph.name}; its memory() tells how much it needs"
    yield _raise("MemoryError", words)


def _raise(error: str, words: str) -> str:
    return f"raise _{error}({printable(words)!r})"


def _guard_error(guard: Guard) -> str:
    if guard.limit is None:
        where = guard.watched.where
        return _raise("NonFiniteError", f"the loss is not finite (made at {where}); no param has changed")
    what, hint = ("an index", "") if guard.limit.from_end else ("a label", "labels count from 0; ")
    return _raise(
        "InputError",
        f"{what} of {guard.watched.name or 'labels'} is outside {guard.limit.range(guard.limit.size)}; "
        f"{hint}no param has changed ({guard.watched.where})",
    )


# ---- what the text calls --------------------------------------------------------------------------------------------


def taken(value: Any, dtype: str, ndim: int, wish: str, where: str) -> Any:
    """`value` as the step takes it: itself, or a copy cast as a call from Python casts it. Numba's only.

    Numbers are taken where the input has no axes: an int64 and a float64 as Python's own, which adapt.
    """
    raise NotImplementedError


@overload(taken, prefer_literal=True)
def _taken(value, dtype, ndim, wish, where):
    kind, wanted = types.unliteral(value), np.dtype(dtype.literal_value)
    wish, remark = wish.literal_value, f"({where.literal_value})"
    is_number = isinstance(kind, (types.Integer, types.Float, types.Boolean))
    if not isinstance(kind, types.Array) and not (is_number and ndim.literal_value == 0):
        raise InputError(f"{wish}, got {kind}; make an array of it: np.array(...) {remark}")
    fits = _number_fits(kind, wanted) if is_number else _array_fits(kind, wanted)
    if not is_number and kind.ndim != ndim.literal_value:
        raise InputError(f"{wish}, got {kind.ndim} axes {remark}")
    if not fits:
        got = f"{kind}" if is_number else f"dtype {kind.dtype}"
        raise InputError(
            f"{wish}, got {got}, which cannot be cast safely; cast it to np.{wanted.name} if you mean it {remark}"
        )
    if is_number:
        return _as_number(wanted, isinstance(kind, types.Integer), f"{wish}, got an integer that is none {remark}")
    return _as_array(wanted, kind.dtype == from_dtype(wanted) and kind.layout == "C" and kind.aligned)


def _as_number(wanted, from_integer, words):
    """What takes a number."""
    number = wanted.type

    def checked(value, dtype, ndim, wish, where):
        if number(value) != value:
            raise InputError(words)
        return number(value)

    if from_integer and wanted.kind in "iu":
        return checked
    return lambda value, dtype, ndim, wish, where: number(value)


def _as_array(wanted, as_it_is):
    """What takes an array."""
    number = wanted.type

    def copied(value, dtype, ndim, wish, where):
        made = np.empty(value.shape, number)
        made[...] = value
        return made

    return (lambda value, dtype, ndim, wish, where: value) if as_it_is else copied


def _number_fits(kind: Any, wanted: np.dtype[Any]) -> bool:
    """Whether any number of this type may be cast, as Python's are; integers are looked at when they come."""
    lowest = {types.Boolean: "biuf", types.Integer: "iuf", types.Float: "f"}
    return any(isinstance(kind, each) and wanted.kind in kinds for each, kinds in lowest.items())


def _array_fits(kind: Any, wanted: np.dtype[Any]) -> bool:
    try:
        return bool(np.can_cast(as_dtype(kind.dtype), wanted, "safe"))
    except NumbaNotImplementedError:
        return False


def apart(value: Any) -> Any:
    """A copy of an array, in memory of its own; a number is itself. Numba's only."""
    raise NotImplementedError


@overload(apart)
def _apart(value):
    return (lambda value: value.copy()) if isinstance(value, types.Array) else lambda value: value


_doors: WeakValueDictionary[int, Fields] = WeakValueDictionary()
"""The doors that text names by their addresses."""


@intrinsic(prefer_literal=True)
def enter(typing_context, door, scalars, given):
    """Runs the step behind the door at this address, on values of its own types: the status and its scalars."""
    result = types.Tuple([types.int64] + [types.float64] * scalars.literal_value)
    return result(door, scalars, given), _call_of_step


def _call_of_step(context, builder, signature, args):
    """The LLVM code of a call of graphc_step in runtime.ll."""
    word, pointer = ir.IntType(64), ir.IntType(8).as_pointer()
    fields = _doors[signature.args[0].literal_value]
    # The code that is being made, and what it is linked into, keep the step's memory.
    vars(context.active_code_library).setdefault("graphc_doors", []).append(fields)
    values = cgutils.unpack_tuple(builder, args[2])
    given = cgutils.alloca_once(builder, ir.ArrayType(ir.ArrayType(word, 2), len(values)))
    for at, (kind, value) in enumerate(zip(signature.args[2], values, strict=True)):
        data, shape = _address_and_shape(context, builder, kind, value)
        for column, each in enumerate((data, shape)):
            builder.store(builder.ptrtoint(each, word), cgutils.gep_inbounds(builder, given, 0, at, column))
    count = signature.args[1].literal_value
    scalars = cgutils.alloca_once(builder, ir.ArrayType(ir.DoubleType(), count))
    kind = ir.FunctionType(word, [pointer] * 3)
    address = context.add_dynamic_addr(builder, runtime()["graphc_step"], info="graphc_step")
    door = context.add_dynamic_addr(builder, fields.ctypes.data, info="the door of a step")
    call = builder.bitcast(address, kind.as_pointer())
    status = builder.call(call, [door, builder.bitcast(given, pointer), builder.bitcast(scalars, pointer)])
    numbers = [builder.load(cgutils.gep_inbounds(builder, scalars, 0, at)) for at in range(count)]
    return context.make_tuple(builder, signature.return_type, [status, *numbers])


def _address_and_shape(context, builder, kind, value):
    """Where the elements of an array, or a number, lie in memory, and where its shape; pointers."""
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        return array.data, cgutils.alloca_once_value(builder, array.shape)
    memory = cgutils.alloca_once_value(builder, context.get_value_as_data(builder, kind, value))  # bool: a byte
    return memory, memory


NAMES = {
    "_np": np,
    "_max": max,
    "_taken": taken,
    "_apart": apart,
    "_enter": enter,
    "_InputError": InputError,
    "_NonFiniteError": NonFiniteError,
    "_MemoryError": MemoryError,
}
"""What the text calls its globals by."""
