"""What a refused call may have meant: another that fits.

A remedy is a call with an operand transposed, with one more axis, of another dtype. Each row of REMEDIES proposes some;
the first that the op accepts is told, so what an error tells to try can be made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from graphc.errors import DtypeError, GraphcError, ShapeError
from graphc.kinds import Scalar, Stored
from graphc.sizes import Size
from graphc.types import symbols_of

Node: TypeAlias = Any  # ir.Node; ir.py is above this file

# ---- calls ----------------------------------------------------------------------------------------------------------

SYMBOLS = {"dot": "@", "matmul": "@", "add": "+", "subtract": "-", "multiply": "*", "divide": "/"}
"""How a user spells a call of two operands."""

LETTERS = "abcdefghijklmnopqrstuvwxyz"
"""What operands without a name are called, as in the rules' own words."""


@dataclass(frozen=True)
class Term:
    """An operand of a call, or a list of operands, and how it is spelled."""

    value: Any
    text: str


@dataclass(frozen=True)
class Call:
    """A call of an op, or of a function over ops: its operands, and its other arguments by name.

    listed: the operands are spelled as one list.
    """

    name: str
    function: Callable[..., Any]
    terms: tuple[Term, ...]
    options: Mapping[str, Any]
    listed: bool = False

    def __str__(self) -> str:
        texts = [term.text for term in self.terms]
        if self.name in SYMBOLS and len(texts) == 2 and not self.options:
            return f" {SYMBOLS[self.name]} ".join(texts)
        operands = f"[{', '.join(texts)}]" if self.listed else ", ".join(texts)
        options = [f"{key}={_spelled(value)}" for key, value in self.options.items()]
        return f"gc.{self.name}({', '.join([operands, *options])})"

    @property
    def nodes(self) -> list[tuple[str, Node]]:
        """Each node and array among the operands, with what it is called."""
        found = [term.value for term in self.terms]
        values = [each for value in found for each in (value if isinstance(value, (list, tuple)) else [value])]
        called = [(label(value, at), value) for at, value in enumerate(values)]
        return [(word, value) for word, value in (*called, *self.options.items()) if is_tensor(value)]

    def changed(self, at: int, value: Any, text: str) -> Call:
        """The call with another operand in place of that number `at`."""
        return replace(self, terms=(*self.terms[:at], Term(value, text), *self.terms[at + 1 :]))

    def with_option(self, name: str, value: Any) -> Call:
        """The call with another value of an option."""
        return replace(self, options={**self.options, name: value})

    def made(self) -> Any:
        """What the call makes; None if it is refused."""
        try:
            return self.function(*(term.value for term in self.terms), **self.options)
        except (GraphcError, TypeError, ValueError):
            return None


def is_elementwise(function: Callable[..., Any]) -> bool:
    """Whether a function is an op whose operands broadcast."""
    return getattr(function, "arity", None) is not None or isinstance(getattr(function, "kind", None), Scalar)


def is_node(value: Any) -> bool:
    return hasattr(value, "op") and hasattr(value, "where")


def is_tensor(value: Any) -> bool:
    """Whether a value is a node or an array."""
    return is_node(value) or isinstance(value, np.ndarray)


def label(value: Any, at: int) -> str:
    """What operand number `at` is called."""
    return str(getattr(value, "name", None) or LETTERS[at % len(LETTERS)])


def _spelled(value: Any) -> str:
    """An option as code: a symbolic size is its name."""
    if isinstance(value, tuple):
        return f"({', '.join(map(_spelled, value))}{',' * (len(value) == 1)})"
    return repr(str(value)) if isinstance(value, Size) else repr(value)


# ---- remedies -------------------------------------------------------------------------------------------------------

trying: ContextVar[bool] = ContextVar("graphc_trying", default=False)
"""Whether a remedy is tried: then nobody reads what an error says."""


@dataclass(frozen=True)
class Remedy:
    """What a refused call may have meant: `calls` proposes others, likely ones first, for an error of this kind."""

    name: str
    wrong: tuple[type[GraphcError], ...]
    calls: Callable[[Call], Iterator[Call]]
    because: str = ""


def remedy_of(error: GraphcError, call: Call) -> list[str]:
    """The line that names the first proposal that can be made, if one can."""
    token = trying.set(True)
    try:
        for remedy in REMEDIES:
            for other in _proposals(remedy, error, call):
                if (made := other.made()) is not None:
                    told = f", which is {made.type}" if is_node(made) else ""
                    return [f"  try {other}{told}{remedy.because and ': ' + remedy.because}"]
    finally:
        trying.reset(token)
    return [f"  {each}" for each in _inputs_without_batch(call)] if isinstance(error, ShapeError) else []


def _proposals(remedy: Remedy, error: GraphcError, call: Call) -> Iterator[Call]:
    """What a remedy proposes, up to a change that cannot be made: an empty axis has no largest element."""
    with contextlib.suppress(GraphcError, TypeError, ValueError):
        if isinstance(error, remedy.wrong):
            yield from remedy.calls(call)


def _last_first(call: Call) -> Iterator[tuple[int, Term]]:
    """The operands that are nodes or arrays; the last is most often the one to change."""
    for at in reversed(range(len(call.terms))):
        if is_tensor(call.terms[at].value):
            yield at, call.terms[at]


def _as_bools(call: Call) -> Iterator[Call]:
    for at, term in enumerate(call.terms):
        if is_tensor(term.value) and term.value.dtype.kind != "b":
            yield call.changed(at, term.value > 0, f"{term.text} > 0")


def _as_integers(call: Call) -> Iterator[Call]:
    for at, term in _last_first(call):
        if term.value.dtype.kind == "f":
            yield call.changed(at, term.value.astype("int64"), f"{term.text}.astype('int64')")


def _as_floats(call: Call) -> Iterator[Call]:
    for at, term in _last_first(call):
        if term.value.dtype.kind != "f":
            yield call.changed(at, term.value.astype("float32"), f"{term.text}.astype('float32')")


def _as_classes(call: Call) -> Iterator[Call]:
    """A target with an axis of size 1 too many, and rows with a number for each class as the classes' indices."""
    for at, term in _last_first(call):
        node = term.value
        if at and node.ndim and not is_elementwise(call.function):
            if node.shape[-1] == 1:
                yield call.changed(at, node[..., 0], f"{term.text}[{':' if node.ndim == 2 else '...'}, 0]")
            if node.shape == getattr(call.terms[0].value, "shape", None):
                yield call.changed(at, node.argmax(-1), f"{term.text}.argmax(-1)")


def _along_an_axis_that_is(call: Call) -> Iterator[Call]:
    """Instead of an axis that there is not, the one before, for who counts from 1, or the last."""
    axis, nodes = call.options.get("axis"), [value for _, value in call.nodes]
    if axis is None or not nodes:
        return
    ndim, each = nodes[0].ndim, axis if isinstance(axis, (tuple, list)) else (axis,)
    if all(isinstance(one, (int, np.integer)) for one in each) and not all(-ndim <= one < ndim for one in each):
        for other in ([one - (one == ndim) for one in each], [one - 1 for one in each], [-1]):
            yield call.with_option("axis", tuple(map(int, other)) if isinstance(axis, (tuple, list)) else int(other[0]))


def _joined_along_another_axis(call: Call) -> Iterator[Call]:
    axis, nodes = call.options.get("axis"), [value for _, value in call.nodes]
    if isinstance(axis, int) and len(nodes) > 1:
        yield from (call.with_option("axis", other) for other in range(nodes[0].ndim) if other != axis)


def _reshaped(call: Call) -> Iterator[Call]:
    """Another shape for the same elements: with one more axis in front, or with one size as it comes."""
    wanted = call.options.get("shape")
    if wanted is None or len(call.terms) != 1 or not is_tensor(call.terms[0].value):
        return
    entries = wanted if isinstance(wanted, (tuple, list)) else (wanted,)
    if -1 not in entries:
        yield call.with_option("shape", (-1, *entries))
    for at in range(len(entries)):
        yield call.with_option("shape", (*entries[:at], -1, *entries[at + 1 :]))
        if entries[at] == -1 and call.terms[0].value.ndim:
            yield call.with_option("shape", (*entries[:at], call.terms[0].value.shape[0], *entries[at + 1 :]))


def _transposed(call: Call) -> Iterator[Call]:
    """Matrices stored the other way round; beside operands of as many axes if they broadcast."""
    ranks = {getattr(term.value, "ndim", 0) for term in call.terms}
    if is_elementwise(call.function) and len(ranks) > 1:
        return
    for at, term in _last_first(call):
        node = term.value
        if any(_has_more_axes_of_batch(other.value, node) for other in call.terms):
            continue
        if node.ndim == 2:
            yield call.changed(at, node.T, f"{term.text}.T")
        elif node.ndim > 2:
            yield call.changed(at, _swapped(node), f"gc.swapaxes({term.text}, -1, -2)")


def _has_more_axes_of_batch(other: Any, node: Node) -> bool:
    """Whether both have the same symbolic size in front, and `other` has more axes."""
    shape: Any = getattr(other, "shape", ())
    return len(shape) > node.ndim > 0 and isinstance(shape[0], Size) and bool(shape[0] == node.shape[0])


def _swapped(node: Node) -> Node:
    return node.transpose(*range(node.ndim - 2), node.ndim - 1, node.ndim - 2)


def _flattened(call: Call) -> Iterator[Call]:
    """Samples of several axes, such as images, as rows."""
    for at, term in _last_first(call):
        if term.value.ndim > 2 and len(call.terms) > 1:
            rows = term.value.reshape(term.value.shape[0], -1)
            yield call.changed(at, rows, f"{term.text}.reshape({term.text}.shape[0], -1)")


def _with_more_axes(call: Call) -> Iterator[Call]:
    """An operand of fewer axes than another with as many, of size 1: at the end, or one of them elsewhere."""
    most = max((getattr(term.value, "ndim", 0) for term in call.terms), default=0)
    for at, term in _last_first(call):
        node = term.value
        missing = most - node.ndim
        if missing and node.ndim:
            words = [":" if node.ndim == 1 else "...", *["None"] * missing]
            key: Any = (..., *[None] * missing)
            yield call.changed(at, node[key], f"{term.text}[{', '.join(words)}]")
            for place in reversed(range(node.ndim)):
                key = (*[slice(None)] * place, None)
                yield call.changed(at, node[key], f"{term.text}[{', '.join([':'] * place + ['None'])}]")


REMEDIES = (
    Remedy("a condition", (DtypeError,), _as_bools),
    Remedy("integers", (DtypeError,), _as_integers),
    Remedy("floats", (DtypeError,), _as_floats),
    Remedy("classes", (DtypeError, ShapeError), _as_classes),
    Remedy("an axis that is", (ShapeError,), _along_an_axis_that_is, "axes count from 0"),
    Remedy("another axis", (ShapeError,), _joined_along_another_axis),
    Remedy("another shape", (ShapeError,), _reshaped),
    Remedy("the transpose", (ShapeError,), _transposed),
    Remedy("rows", (ShapeError,), _flattened),
    Remedy("more axes", (ShapeError,), _with_more_axes),
)


def _inputs_without_batch(call: Call) -> Iterator[str]:
    """The inputs behind an operand of fixed sizes beside one whose first axis is symbolic, where they are paired."""
    if hasattr(call.function, "kind") and not is_elementwise(call.function):
        return
    nodes = [value for _, value in call.nodes if is_node(value)]
    leading = [node.shape[0] for node in nodes if node.ndim and isinstance(node.shape[0], Size)]
    for node in nodes:
        if leading and node.ndim and not symbols_of(node.shape):
            for leaf in _inputs_of(node):
                shape = ", ".join([repr(str(leading[0])), *map(str, leaf.shape)])
                yield f"{leaf.name} has no axis {leading[0]}: make it gc.input({leaf.name!r}, ({shape}))"


def _inputs_of(node: Node) -> list[Node]:
    """The inputs that a node is computed from."""
    seen, stack = {node: None}, [node]
    while stack:
        for arg in stack.pop().args:
            if arg not in seen:
                seen[arg] = None
                stack.append(arg)
    return [each for each in seen if isinstance(each.op.kind, Stored) and getattr(each, "value", None) is None]


# ---- values ---------------------------------------------------------------------------------------------------------


def remedy_of_array(node: Node, array: np.ndarray[Any, Any]) -> str:
    """`; try x[None]`: how an array with other axes than an input fits it, if one of the usual changes does."""
    if _has_shape(array.shape, node.shape):
        return ""  # its axes are as they should be: it is a size that disagrees with another array's
    return next((f"; try {text}" for text, other in _changes(node, array) if _has_shape(other.shape, node.shape)), "")


def _changes(node: Node, array: np.ndarray[Any, Any]) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """What is usually done to an array of other axes, and what it makes of this one."""
    name = node.name
    yield f"{name}[None]" if array.ndim else f"[{name}]", array[None]
    if array.ndim == 1:
        yield f"{name}[:, None]", array[:, None]
    if array.ndim == 2 and array.shape[1] == 1:
        yield f"{name}[:, 0]", array[:, 0]
    if node.dtype.kind in "iu" and array.ndim > 1:
        yield f"{name}.argmax(-1)", array[..., 0]
    if array.ndim > 2 and len(array):
        yield f"{name}.reshape(len({name}), -1)", array.reshape(len(array), -1)
    if array.ndim > 1:
        yield f"{name}.T", array.T


def _has_shape(shape: tuple[int, ...], wanted: Sequence[Any]) -> bool:
    """Whether an array has these sizes; symbolic ones may be any."""
    return len(shape) == len(wanted) and all(
        isinstance(size, Size) or own == size for own, size in zip(shape, wanted, strict=True)
    )


def remedy_of_update(param: Node, value: Node) -> str:
    """How a value of another dtype becomes a param's next one."""
    return f"\n  try .astype({param.dtype.name!r}) on the value" if param.shape == value.shape else ""
