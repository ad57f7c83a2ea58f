"""Reads the text of a graph back: the grammar opens graph.py.

Inputs and params are new ones, since the text has their types alone; the user's lines are those of the text. A text
does not say what the optimizer of a step was, nor which of its nodes are forward and which backward.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc.constants import CONST, Literal
from graphc.errors import GraphError
from graphc.graph import Graph, Guard, printable
from graphc.inspect.line import WORDS, Line
from graphc.ir import OPS, Limit, Need, Node, Op, make
from graphc.kinds import Constant, Stored
from graphc.nearest import did_you_mean
from graphc.origin import Phase, made_for, user_line
from graphc.sizes import Dim, Size
from graphc.state import Param, input
from graphc.types import SHORT_NAMES, TensorType, symbols_of

DTYPES = {short: np.dtype(name) for name, short in SHORT_NAMES.items()}
SIZES = ("shape", "size", "sizes", "starts")
"""The attrs whose entries are sizes."""
LEAVES = {op.name for op in OPS.values() if isinstance(op.kind, (Constant, Stored))}
"""Ops that no line calls."""


def parse(text: str) -> Graph:
    """The graph whose text this is: `str(gc.parse(text)) == text`.

    `text` is that of a stage on graphs, such as `f.stages["differentiate"]`, or `print(f)`'s. Its inputs are new, and
    so are its params, which hold zeros. Raises GraphError with the number of the line that is not a graph's, or has
    what no text can hold, such as the function of a custom gradient.
    """
    lines = [Line(number, row) for number, row in enumerate(text.splitlines(), 1)]
    lines = [line for line in lines if line.kind not in ("", "comment")]
    if not lines:
        raise GraphError("an empty text: expected `graph name(inputs; params)`")
    reader = Reader()
    reader.header(lines[0])
    for line in lines[1:]:
        reader.line(line)
    return reader.graph()


# ---- a whole text ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Written:
    """Stands for the node that the nodes of a line are made for, so that they have the line's `where`."""

    where: str
    origin: None = None
    phase: Phase = "forward"


@dataclass
class Reader:
    """What has been read of a text so far."""

    name: str = ""
    inputs: list[Node] = field(default_factory=list)
    leaves: dict[str, Node] = field(default_factory=dict)
    numbered: dict[str, Node] = field(default_factory=dict)
    symbols: set[str] = field(default_factory=set)
    outputs: list[Node] | None = None
    updates: list[tuple[Node, Node]] = field(default_factory=list)
    guards: list[tuple[Line, Node, str]] = field(default_factory=list)
    needs: list[tuple[Need, str]] = field(default_factory=list)

    def graph(self) -> Graph:
        if self.outputs is None:
            raise GraphError("the text has no line that begins with `return`")
        guards = tuple(self._guard(*each) for each in self.guards)
        needs = tuple(self.needs)
        return Graph(self.name, tuple(self.inputs), tuple(self.outputs), tuple(self.updates), guards, needs)

    def header(self, line: Line) -> None:
        """`graph step(x: f32[batch,3]; W: f32[3])`."""
        line.want("graph")
        self.name = line.name("the name of the graph")
        line.want("(")
        while not line.given(")"):
            if line.given(";"):
                line.several(lambda: self._leaf(line, is_input=False), ")")
                break
            if self.inputs:
                line.want(",")
            self._leaf(line, is_input=True)
        line.comment()

    def _leaf(self, line: Line, is_input: bool) -> None:
        name = line.name("the name of an input or a param")
        if name in self.leaves:
            line.fail(f"two leaves are called {name!r}")
        line.want(":")
        found = self._type(line, declaring=is_input)
        if is_input:
            self.inputs.append(input(name, found.shape, found.dtype))  # type: ignore[arg-type]
        self.leaves[name] = self.inputs[-1] if is_input else _param(line, name, found)

    def line(self, line: Line) -> None:
        """A node, what the graph returns, an update, a guard or a need."""
        if line.kind == "node":
            self._numbered(line)
        elif line.after == "<-":
            self._update(line)
        elif line.given("return"):
            if self.outputs is not None:
                line.fail("a second `return`")
            self.outputs = line.several(lambda: self._operand(line), "")
        elif line.given("guard"):
            self.guards.append((line, self._operand(line), line.comment()))
        elif line.given("need"):
            size = self._size(line)
            line.want(">=")
            line.want("0")
            rule, _, where = line.comment().rpartition("  # ")
            self.needs.append((Need(size, rule), where))
        else:
            line.expected("%n =, return, param <-, guard or need")

    def _update(self, line: Line) -> None:
        """`W <- %3`."""
        name = line.name("a param")
        param = self.leaves.get(name)
        if not isinstance(param, Param):
            line.fail(f"no param is called {name!r}{did_you_mean(name, self.leaves)}")
        line.want("<-")
        value = self._operand(line)
        line.comment()
        if value.type != param.type:
            line.fail(f"{name} is {param.type}, its next value {value.type}")
        self.updates.append((param, value))

    def _numbered(self, line: Line) -> None:
        """`%1 = sum(%0, axes=(0,), keepdims=False) : f32  # train.py:3`."""
        number = line.take()
        if number in self.numbered:
            line.fail(f"a second line makes {number}")
        line.want("=")
        name = line.taken("name", "an op")
        line.want("(")
        if name == CONST.name:
            line.want("[")
            values = line.several(lambda: _plain(line), "]")
            line.want(")")
            stated, where = self._stated(line)
            node = _made(line, where, CONST, [], {"literal": _literal(line, stated, values)})
        else:
            op = OPS.get(name)
            if op is None or name in LEAVES:
                line.fail(f"no op is called {name!r}{did_you_mean(name, OPS.keys() - LEAVES)}")
            args, attrs = list[Node](), dict[str, Any]()
            line.several(lambda: self._argument(line, op, args, attrs), ")")
            stated, where = self._stated(line)
            node = _made(line, where, op, args, attrs)
        if node.type != stated:
            line.fail(f"{name} makes {node.type} of these, the text says {stated}")
        self.numbered[number] = node

    def _stated(self, line: Line) -> tuple[TensorType, str]:
        """The type at the end of a line, and the user's line."""
        line.want(":")
        return self._type(line), line.comment() or user_line()

    def _argument(self, line: Line, op: Op, args: list[Node], attrs: dict[str, Any]) -> None:
        if line.kind == "name" and line.after == "=":
            key = line.take()
            line.want("=")
            attrs[key] = self._attr(line, op, key)
        else:
            args.append(self._operand(line))

    # ---- values -----------------------------------------------------------------------------------------------------

    def _operand(self, line: Line) -> Node:
        """A node by its number or its name, or a scalar constant."""
        if line.kind == "node":
            if line.next not in self.numbered:
                line.fail(f"no line before makes {line.next}")
            return self.numbered[line.take()]
        bytes_follow = line.next == "hex" and line.after[:1] == "'"
        if line.kind == "string" or (line.kind == "name" and line.next not in WORDS and not bytes_follow):
            name = line.name("an operand")
            if name not in self.leaves:
                line.fail(f"no input or param is called {name!r}{did_you_mean(name, self.leaves)}")
            return self.leaves[name]
        value = _plain(line)
        usual = {bool: "bool", int: "int64"}.get(type(value), "float32")
        dtype = _dtype(line) if line.given(":") else np.dtype(usual)
        return make(CONST, (), {"literal": _literal(line, TensorType(dtype, ()), [value])})

    def _attr(self, line: Line, op: Op, key: str) -> Any:
        if key in SIZES and line.next != "(":
            return self._size(line)
        if line.given("("):
            return tuple(line.several(lambda: self._entry(line, op, key), ")"))
        return self._entry(line, op, key)

    def _entry(self, line: Line, op: Op, key: str) -> Any:
        """A value of an attr, or one of several."""
        if key in SIZES:
            return self._size(line)
        if line.kind == "string":
            return line.string()
        if key == "dtype" and line.next in SHORT_NAMES:
            return np.dtype(line.take())
        if line.kind in ("name", "unknown") and line.next not in (*WORDS, "None"):
            value = line.rest.partition(",")[0].partition(")")[0]
            line.fail(f"{key}={value} of {op.name} cannot be read back: it is no number, string, dtype or size")
        return None if line.given("None") else line.number_or_word()

    def _type(self, line: Line, declaring: bool = False) -> TensorType:
        """`f32[batch,3]`."""
        dtype = _dtype(line)
        shape = line.several(lambda: self._size(line, declaring), "]") if line.given("[") else []
        if any(isinstance(size, int) and size < 0 for size in shape):
            line.fail("a size is negative")
        found = TensorType(dtype, tuple(shape))
        self.symbols |= symbols_of(found.shape)
        return found

    def _size(self, line: Line, declaring: bool = False) -> Dim:
        """`2*batch+1`: a sum of products."""
        total = self._product(line, declaring)
        while line.next in ("+", "-"):
            sign = 1 if line.take() == "+" else -1
            total = total + sign * self._product(line, declaring)
        return total

    def _product(self, line: Line, declaring: bool) -> Dim:
        total: Dim = -1 if line.given("-") else 1
        total = total * self._factor(line, declaring)
        while line.next in ("*", "//"):
            if line.take() == "*":
                total = total * self._factor(line, declaring)
            else:
                total = total // (_whole(line) or line.fail("a size is divided by 0"))
        return total

    def _factor(self, line: Line, declaring: bool) -> Dim:
        if line.given("("):
            inner = self._size(line, declaring)
            line.want(")")
            return inner
        if line.kind == "number":
            return _whole(line)
        name = line.taken("name", "a size")
        if not declaring and name not in self.symbols:
            line.fail(f"no input has an axis of size {name!r}{did_you_mean(name, self.symbols)}")
        return Size.symbol(name)

    def _guard(self, line: Line, condition: Node, rule: str) -> Guard:
        """What is watched is not in the text: the leaf that the rule names, else what the condition reads first."""
        found = re.fullmatch(r"(.*) in range\((-.*, )?(.*)\)", rule)
        if found is None:
            return Guard(condition, rule, (self.outputs or [condition])[0])
        named = [leaf for name, leaf in self.leaves.items() if printable(name) == found[1]]
        watched = [*named, *condition.args, condition][0]
        return Guard(condition, rule, watched, Limit(watched, self._size(Line(line.number, found[3])), bool(found[2])))


# ---- leaves and nodes -----------------------------------------------------------------------------------------------


def _param(line: Line, name: str, found: TensorType) -> Param:
    if symbols_of(found.shape):
        line.fail(f"a param has a fixed size, got {name}: {found}")
    return Param(name, np.zeros(_fixed(found), found.dtype), trainable=True)


def _fixed(found: TensorType) -> tuple[int, ...]:
    return tuple(int(str(size)) for size in found.shape)


def _made(line: Line, where: str, op: Op, args: list[Node], attrs: dict[str, Any]) -> Node:
    """The node of a line, as the user's line `where` made it."""
    if op.arity is not None and len(args) != op.arity:
        line.fail(f"{op.name} takes {op.arity} operands, got {len(args)}")
    written: Any = Written(where)
    try:
        with made_for(written):
            node = make(op, tuple(args), attrs)
    except Exception as error:  # a type rule trusts the attrs, which its op's bind has made elsewhere
        line.fail(f"{op.name} does not take these: {error}")
    if node.origin is written:
        object.__setattr__(node, "origin", None)
    return node


def _dtype(line: Line) -> np.dtype[Any]:
    return DTYPES[line.take()] if line.next in DTYPES else line.expected(f"a dtype ({', '.join(DTYPES)})")


def _whole(line: Line) -> int:
    return int(line.take()) if line.next.isdigit() else line.expected("a whole number")


def _plain(line: Line) -> Any:
    """A number of a constant, or all its bytes."""
    if not line.given("hex"):
        return line.number_or_word()
    try:
        return bytes.fromhex(line.string())
    except ValueError:
        line.fail("expected hexadecimal digits behind hex")


def _literal(line: Line, stated: TensorType, values: list[Any]) -> Literal:
    """The constant of this type that has these values, or these bytes."""
    if symbols_of(stated.shape):
        line.fail(f"a constant has a fixed size, got {stated}")
    try:
        with np.errstate(over="raise"):
            if values and isinstance(values[0], bytes):
                array = np.frombuffer(values[0], stated.dtype)
            else:
                array = np.array(values, stated.dtype)
        return Literal.of(array.reshape(_fixed(stated)))
    except (ArithmeticError, TypeError, ValueError) as error:
        line.fail(f"no constant of type {stated}: {error}")
