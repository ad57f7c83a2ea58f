"""The graph IR: ops, and the nodes that apply them.

    node  := Node(op, args, attrs)                an op applied to nodes; interned, compared with `is`
    op    := Op(name, kind, type, numpy, grad)    one record per op, in graphc/ops; the kinds are in kinds.py

A node is a value: two nodes with the same op, args and attrs are one object, so common subexpressions are shared by
construction. Where a node comes from is kept beside it and is no part of its identity: the user's line (`where`), the
node of the user's expression that it was derived for (`origin`, None for that node itself), and the `phase` of the step
that it was made in. Inputs and params are never interned: each call of `input` or `param` makes a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias, TypeVar
from weakref import WeakValueDictionary

import numpy as np

from graphc.errors import GraphcError
from graphc.explained import check_call, describe as describe, explained
from graphc.kinds import Composite, Kind, Stored
from graphc.origin import Phase, made_for, made_now, user_line
from graphc.sizes import Dim, Shape, Size, symbols
from graphc.types import TensorType, symbols_of

# ---- ops ------------------------------------------------------------------------------------------------------------

Operand: TypeAlias = Any  # a Node, a Python number, or anything np.asarray takes
Bound: TypeAlias = "tuple[tuple[Node, ...], dict[str, Any]] | Node"


@dataclass(frozen=True)
class Limit:
    """Integers that a step uses as an index: those of `index` lie in range(size), or from -size if `from_end`."""

    index: Node
    size: Dim
    from_end: bool = False

    def range(self, size: Any) -> str:
        """The range in words, for a size."""
        return f"range(-{size}, {size})" if self.from_end else f"range({size})"


@dataclass(frozen=True)
class Need:
    """A size that must not be negative when a step is called, and the rule in words."""

    size: Dim
    rule: str


@dataclass(frozen=True, eq=False)
class Op:
    """All that graphc knows of one op. Calling the record makes a node: `OPS["add"](x, y)` is `gc.add(x, y)`.

    type(*arg_types, **attrs)      the result's TensorType; raises ShapeError or DtypeError naming the rule. None for a
                                   composite whose formula says it
    numpy(*arrays, **attrs)        the meaning, in NumPy: the reference interpreter runs it
    grad(g, y, *args, **attrs)     one cotangent (or None) per argument; calculus only, see passes/differentiate.py.
                                   None for a composite whose formula is differentiated instead
    bind(*operands, **options)     the call's operands as nodes and its options as attrs, or a node that is the result;
                                   by default the operands are nodes
    limits(*args, **attrs)         the integers that index, checked before a step acts
    needs(*types, **attrs)         what the symbolic sizes must satisfy, checked before a step acts
    arity                          of an element-wise op: how many operands broadcast against each other
    kinds                          the kinds of dtype that an element-wise op takes, by NumPy's letters
    domain                         where tests draw operands from: one (low, high) for all
    analytic                       `numpy` also holds for complex numbers, so that tests may take a complex step
    """

    name: str
    kind: Kind
    type: Callable[..., TensorType] | None
    numpy: Callable[..., Any] | None = None
    grad: Callable[..., tuple[Node | None, ...]] | None = None
    bind: Callable[..., Bound] = lambda *args: (args, {})
    limits: Callable[..., list[Limit]] | None = None
    needs: Callable[..., list[Need]] | None = None
    commutative: bool = False
    arity: int | None = None
    kinds: str = "fiub"
    domain: tuple[float, float] = (-2.0, 2.0)
    analytic: bool = False
    doc: str = ""

    def __post_init__(self) -> None:
        if self.name in OPS:
            raise ValueError(f"two ops are called {self.name}")
        OPS[self.name] = self
        object.__setattr__(self, "__doc__", self.doc)
        object.__setattr__(self, "__name__", self.name)

    def __call__(self, *operands: Operand, **options: Any) -> Node:
        try:
            bound = self.bind(*operands, **options)
            return bound if isinstance(bound, Node) else make(self, *bound)
        except GraphcError as error:
            raise explained(error, self.name, self, operands, options) from None
        except TypeError:
            check_call(self.name, self, operands, options)
            raise

    def __repr__(self) -> str:
        return f"<op {self.name}>"


OPS: dict[str, Op] = {}
METHODS: dict[str, Callable[..., Node]] = {}
"""Functions over ops that a node's operators and methods call; like the ops, they are defined above this floor."""


# ---- nodes ----------------------------------------------------------------------------------------------------------

Attrs: TypeAlias = "tuple[tuple[str, Any], ...]"


class Node:
    """One value of the graph: an op applied to nodes. Made by ops, never changed."""

    __slots__ = ("__weakref__", "args", "attrs", "name", "op", "origin", "phase", "type", "where")

    op: Op
    args: tuple[Node, ...]
    attrs: Attrs
    type: TensorType
    name: str | None
    origin: Node | None
    phase: Phase
    where: str

    def __init__(self, op: Op, args: tuple[Node, ...], attrs: Attrs, type: TensorType, name: str | None = None) -> None:
        origin, phase = made_now()
        where = user_line() if origin is None else origin.where
        made = {"op": op, "args": args, "attrs": attrs, "type": type, "name": name}
        for key, value in {**made, "origin": origin, "phase": phase, "where": where}.items():
            object.__setattr__(self, key, value)

    def __setattr__(self, key: str, value: Any) -> None:
        raise AttributeError(f"a node is a value: {key} cannot be set (params have .value)")

    @property
    def options(self) -> dict[str, Any]:
        """The attrs as a dict."""
        return dict(self.attrs)

    @property
    def shape(self) -> Shape:
        return self.type.shape

    @property
    def ndim(self) -> int:
        return self.type.ndim

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.type.dtype

    @property
    def size(self) -> Dim:
        return self.type.size

    @property
    def T(self) -> Node:  # noqa: N802  (NumPy's name)
        """The node with its axes reversed."""
        return OPS["transpose"](self)

    def __repr__(self) -> str:
        name = f"{self.name} = " if self.name else ""
        return f"<{name}{self.op.name}: {self.type}, {self.where}>"

    # Operators build nodes. `==` stays identity, so that nodes can be keys; see equal().
    def __add__(self, other: Operand) -> Node:
        return OPS["add"](self, other)

    def __radd__(self, other: Operand) -> Node:
        return OPS["add"](other, self)

    def __sub__(self, other: Operand) -> Node:
        return OPS["subtract"](self, other)

    def __rsub__(self, other: Operand) -> Node:
        return OPS["subtract"](other, self)

    def __mul__(self, other: Operand) -> Node:
        return OPS["multiply"](self, other)

    def __rmul__(self, other: Operand) -> Node:
        return OPS["multiply"](other, self)

    def __truediv__(self, other: Operand) -> Node:
        return OPS["divide"](self, other)

    def __rtruediv__(self, other: Operand) -> Node:
        return OPS["divide"](other, self)

    def __floordiv__(self, other: Operand) -> Node:
        return OPS["floor_divide"](self, other)

    def __rfloordiv__(self, other: Operand) -> Node:
        return OPS["floor_divide"](other, self)

    def __mod__(self, other: Operand) -> Node:
        return OPS["remainder"](self, other)

    def __rmod__(self, other: Operand) -> Node:
        return OPS["remainder"](other, self)

    def __pow__(self, other: Operand) -> Node:
        return OPS["power"](self, other)

    def __rpow__(self, other: Operand) -> Node:
        return OPS["power"](other, self)

    def __matmul__(self, other: Operand) -> Node:
        return OPS["matmul"](self, other)

    def __rmatmul__(self, other: Operand) -> Node:
        return OPS["matmul"](other, self)

    def __neg__(self) -> Node:
        return OPS["negative"](self)

    def __abs__(self) -> Node:
        return OPS["abs"](self)

    def __invert__(self) -> Node:
        return OPS["invert"](self)

    def __and__(self, other: Operand) -> Node:
        return OPS["bitwise_and"](self, other)

    def __rand__(self, other: Operand) -> Node:
        return OPS["bitwise_and"](other, self)

    def __or__(self, other: Operand) -> Node:
        return OPS["bitwise_or"](self, other)

    def __ror__(self, other: Operand) -> Node:
        return OPS["bitwise_or"](other, self)

    def __xor__(self, other: Operand) -> Node:
        return OPS["bitwise_xor"](self, other)

    def __rxor__(self, other: Operand) -> Node:
        return OPS["bitwise_xor"](other, self)

    def __getitem__(self, key: Any) -> Node:
        return METHODS["getitem"](self, key)

    def __lt__(self, other: Operand) -> Node:
        return OPS["less"](self, other)

    def __le__(self, other: Operand) -> Node:
        return OPS["less_equal"](self, other)

    def __gt__(self, other: Operand) -> Node:
        return OPS["greater"](self, other)

    def __ge__(self, other: Operand) -> Node:
        return OPS["greater_equal"](self, other)

    def sum(self, axis: Any = None, keepdims: bool = False) -> Node:
        return OPS["sum"](self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, keepdims: bool = False) -> Node:
        return OPS["mean"](self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, keepdims: bool = False) -> Node:
        return OPS["max"](self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, keepdims: bool = False) -> Node:
        return OPS["min"](self, axis=axis, keepdims=keepdims)

    def argmax(self, axis: int | None = None, keepdims: bool = False) -> Node:
        return OPS["argmax"](self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape: Any) -> Node:
        return OPS["reshape"](self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Node:
        return OPS["transpose"](self, axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes or None)

    def astype(self, dtype: Any) -> Node:
        return OPS["astype"](self, dtype)

    # What a symbolic value cannot do, and what to do instead.
    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no value yet, so it is neither true nor false: use gc.where(condition, a, b)")

    def __float__(self) -> NoReturn:
        raise TypeError(
            f"{self!r} has no value yet: gc.evaluate(node, feeds) computes it, gc.compile(node) compiles it"
        )

    __int__ = __index__ = __float__

    def __len__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no len(): use .shape[0], which may be symbolic")

    def __iter__(self) -> NoReturn:
        raise TypeError(f"{self!r} cannot be iterated over: its ops work on the whole tensor at once")

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(f"NumPy cannot compute on {self!r}: use the function of the same name in gc, e.g. gc.exp(x)")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Node:
        """`array + node` builds a node; `np.exp(node)` raises TypeError with what to do instead."""
        if method != "__call__" or len(inputs) != 2 or kwargs or ufunc.__name__ not in OPS:
            self.__array__()
        return OPS[ufunc.__name__](*inputs)


def symbols_in(node: Node) -> set[str]:
    """The symbolic sizes that a node's shape or attrs depend on."""
    entries = [each for _, value in node.attrs for each in (value if isinstance(value, tuple) else (value,))]
    return symbols_of(node.shape).union(*(symbols(each) for each in entries if isinstance(each, Size)))


_interned: WeakValueDictionary[tuple[Op, tuple[Node, ...], Attrs], Node] = WeakValueDictionary()


def make(op: Op, args: tuple[Node, ...], attrs: dict[str, Any]) -> Node:
    """The node `op(*args, **attrs)`: the same object for the same arguments, its type by the op's rule."""
    key = (op, args, tuple(attrs.items()))
    found = _interned.get(key)
    if found is None:
        found = _interned[key] = Node(op, args, key[2], type_of(op, args, attrs))
    return found


def type_of(op: Op, args: tuple[Node, ...], attrs: dict[str, Any]) -> TensorType:
    """The type of `op(*args, **attrs)` by the op's rule; ShapeError or DtypeError where it has none."""
    if op.type is not None:
        return op.type(*(arg.type for arg in args), **attrs)
    assert isinstance(op.kind, Composite), f"{op} has no type rule"
    expansion: Node = op.kind.expand(*args, **attrs)
    return expansion.type


def rebuilt(node: Node, args: tuple[Node, ...]) -> Node:
    """`node` with other arguments; made at the same line."""
    if args == node.args:
        return node
    with made_for(node):
        return make(node.op, args, node.options)


T = TypeVar("T", bound=Hashable)


def postorder(roots: Iterable[T], needs: Callable[[T], Sequence[T]]) -> list[T]:
    """Everything that `roots` need, each after what it needs itself, once."""
    order: list[T] = []
    seen: set[T] = set()
    stack = [(root, False) for root in reversed(list(roots))]
    while stack:
        each, ready = stack.pop()
        if ready:
            order.append(each)
        elif each not in seen:
            seen.add(each)
            stack.append((each, True))
            stack.extend((need, False) for need in reversed(needs(each)))
    return order


def toposort(roots: Iterable[Node]) -> list[Node]:
    """Every node that `roots` need, arguments before users, in an order that depends on the graph alone."""
    return postorder(roots, lambda node: node.args)


# ---- the leaves that a user names -----------------------------------------------------------------------------------

INPUT = Op("input", Stored(), lambda tensor_type: tensor_type, doc="A value given at each call.")
PARAM = Op("param", Stored(), lambda tensor_type: tensor_type, doc="State that lives between calls.")
