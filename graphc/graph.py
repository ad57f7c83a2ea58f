"""A whole graph, ready to compile, and its text.

One node a line, typed, numbered in topological order, the user's names kept and the user's line behind it:

    graph   := "graph" name "(" inputs ";" params ")" line* "return" values update* guard* need*
    line    := "%"n "=" (op "(" operands, attrs ")" | "const([" literal "])") ":" type "#" file ":" line
    operand := "%"n | name | literal ":" dtype         of a scalar; f32, i64 and bool are left out
    literal := numbers | "hex" their bytes in memory   where they are many, or a NaN has bits of its own
    update  := param "<-" value                        simultaneous, after every value has been read
    guard   := "guard" value "#" what it ensures       all hold before any param changes
    need    := "need" size ">= 0" "#" rule "#" line    of symbolic sizes: holds before anything is read

A name that could be taken for something else stands in quotes, as a Python string. `inspect/parse.py` reads it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, TypeVar

import numpy as np

from graphc.errors import GraphError
from graphc.ir import Limit, Need, Node, describe, toposort
from graphc.kinds import Constant, Stored
from graphc.sizes import Size, symbols

T = TypeVar("T")
Updates: TypeAlias = "list[tuple[Node, Node]]"
UpdateRule: TypeAlias = Callable[[Sequence[Node], Sequence[Node]], Updates]


@dataclass(frozen=True)
class Guard:
    """A scalar bool that must hold before any param changes.

    With a `limit`, the integers of `watched` are such indices; without one, `watched` is a loss and finite.
    """

    condition: Node
    rule: str
    watched: Node
    limit: Limit | None = None


@dataclass(frozen=True)
class Graph:
    """What one call of the step computes: outputs from inputs and params, and the params' next values.

    `needs` are what the symbolic sizes must satisfy, each with the user's line that asks for it. An `update_rule` makes
    updates of (params, gradients); differentiate applies it to the first output, the loss. `unfolded` are the params
    whose updates fold left out of the matrix products, each with the reason.
    """

    name: str
    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    updates: tuple[tuple[Node, Node], ...] = ()
    guards: tuple[Guard, ...] = ()
    needs: tuple[tuple[Need, str], ...] = ()
    update_rule: UpdateRule | None = None
    unfolded: tuple[tuple[Node, str], ...] = ()

    @property
    def roots(self) -> tuple[Node, ...]:
        """Every node that must be computed, in the order in which the step wants them."""
        early = [g.condition for g in self.guards if g.limit is not None]
        late = [g.condition for g in self.guards if g.limit is None]
        # The last layer's update first: what only it needs is free again before the next layer's gradient is made.
        return (*early, *self.outputs, *late, *(value for _, value in reversed(self.updates)))

    @property
    def nodes(self) -> list[Node]:
        """Every node, arguments before users."""
        return toposort(self.roots)

    @property
    def params(self) -> tuple[Node, ...]:
        """The params that are read or updated, in order of first use."""
        used = [node for node in self.nodes if isinstance(node.op.kind, Stored) and node not in self.inputs]
        return tuple(dict.fromkeys([*used, *(param for param, _ in self.updates)]))

    def mapped(self, change: Callable[[Node], Node]) -> Graph:
        """The graph with each root replaced by `change(root)`."""
        return replace(
            self,
            outputs=tuple(map(change, self.outputs)),
            updates=tuple((param, change(value)) for param, value in self.updates),
            guards=tuple(replace(g, condition=change(g.condition)) for g in self.guards),
        )

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def check_names(graph: Graph) -> None:
    """GraphError unless inputs and params have names of their own, so that a call and a text can tell them apart."""
    leaves: dict[str, Node] = {}
    for leaf in (*graph.inputs, *graph.params):
        other = leaves.setdefault(str(leaf.name), leaf)
        if other is not leaf:
            raise GraphError(
                f"two different leaves are called {leaf.name!r}:\n  {describe(other)}\n  {describe(leaf)}\n"
                "  give one of them another name"
            )


def axis_of_each_size(inputs: Sequence[Node]) -> dict[str, tuple[int, int]]:
    """For each symbolic size, the input and the axis that tell it: the first that have it."""
    found: dict[str, tuple[int, int]] = {}
    for at, node in enumerate(inputs):
        for axis, size in enumerate(node.shape):
            if isinstance(size, Size) and symbols(size) == {str(size)}:
                found.setdefault(str(size), (at, axis))
    return found


def names_of(graph: Graph) -> dict[Node, str]:
    """The text's name for each node: the user's for inputs and params, the value of a scalar constant, else %n."""
    names: dict[Node, str] = {node: quoted(str(node.name)) for node in (*graph.inputs, *graph.params)}
    number = 0
    for node in graph.nodes:
        if is_numbered(node):
            names[node] = f"%{number}"
            number += 1
        elif node not in names:
            names[node] = exact(node)
    return names


def quoted(name: str) -> str:
    """A user's name: as it is if it looks like nothing else, otherwise as a Python string."""
    plain = name not in ("nan", "inf", "True", "False") and all(part.isidentifier() for part in name.split("."))
    return name if plain else repr(name)


def exact(node: Node) -> str:
    """A constant's value; where it would be lost, the dtype of a scalar."""
    values = node.options["literal"].array.flat[:17]
    few = len(values) < 17 and all(v == v or v.tobytes() == type(v)(np.nan).tobytes() for v in values)
    text = ", ".join(map(str, values)) if few else f"hex'{node.options['literal'].data.hex()}'"
    return text if node.shape or str(node.type) in ("f32", "i64", "bool") else f"{text}:{node.type}"


def printable(text: str) -> str:
    """A user's text as it may stand in a line: it cannot leave the line, nor hide what else stands there."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def is_numbered(node: Node) -> bool:
    """Whether the text has a line for a node: it is no leaf that the user named, and no scalar constant."""
    kind = node.op.kind
    return not (isinstance(kind, Stored) or (isinstance(kind, Constant) and not node.shape))


def lines_of(graph: Graph) -> dict[Node, str]:
    """The user's line for each node."""
    return in_this_graph(graph.nodes, lambda node: node.where)


def in_this_graph(nodes: Sequence[Node], fact: Callable[[Node], T]) -> dict[Node, T]:
    """A fact of each node, such as the line that asks for it; `nodes` are a graph's, arguments before users.

    What is made of constants and sizes alone is one node for all graphs that need it, whichever made it first: it has
    the fact of its first user in this one.
    """
    found = {node: fact(node) for node in nodes}
    own: set[Node] = set()
    for node in nodes:
        if isinstance(node.op.kind, Stored) or any(arg in own for arg in node.args):
            own.add(node)
    for node in reversed(nodes):
        found.update((arg, found[node]) for arg in node.args if arg not in own)
    return found


def _lines(graph: Graph) -> Iterator[str]:
    names, lines = names_of(graph), lines_of(graph)
    inputs, params = (", ".join(f"{names[n]}: {n.type}" for n in group) for group in (graph.inputs, graph.params))
    yield f"graph {quoted(graph.name)}({inputs}{'; ' + params if params else ''})"
    rows = [(f"  {names[n]} = {_right(n, names)}", str(n.type), lines[n]) for n in graph.nodes if is_numbered(n)]
    wide = max((len(text) for text, _, _ in rows if len(text) < 120), default=0)
    wide_type = max((len(text) for _, text, _ in rows), default=0)
    for text, type_text, where in rows:
        yield f"{text:<{wide}} : {type_text:<{wide_type}}  # {printable(where)}"
    yield f"  return {', '.join(names[n] for n in graph.outputs)}"
    for param, value in graph.updates:
        yield f"  {names[param]} <- {names[value]}"
    for guard in graph.guards:
        yield f"  guard {names[guard.condition]}  # {printable(guard.rule)}"
    for need, where in graph.needs:
        yield f"  need {need.size} >= 0  # {printable(need.rule)}  # {printable(where)}"


def _right(node: Node, names: dict[Node, str]) -> str:
    return f"const([{exact(node)}])" if isinstance(node.op.kind, Constant) else spelled(node, names)


def spelled(node: Node, names: dict[Node, str]) -> str:
    """`sum(%2, axes=(0,), keepdims=False)`."""
    attrs = [f"{key}={spelled_attr(value)}" for key, value in node.attrs]
    return f"{node.op.name}({', '.join([*(names[a] for a in node.args), *attrs])})"


def spelled_attr(value: Any) -> str:
    if isinstance(value, np.dtype):
        return str(value.name)
    if callable(value):
        return printable(str(getattr(value, "__name__", type(value).__name__)))
    if isinstance(value, tuple):
        return f"({', '.join(map(spelled_attr, value))}{',' * (len(value) == 1)})"
    return repr(value) if isinstance(value, str) else str(value)
