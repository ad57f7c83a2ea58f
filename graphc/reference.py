"""The reference interpreter: each op by its NumPy meaning, one at a time. Every test's oracle."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.errors import InputError
from graphc.graph import Graph
from graphc.ir import Need, Node, toposort
from graphc.kinds import Constant, Stored
from graphc.sizes import Dim, Shape, Size, evaluate as evaluate_size, may_be_negative, symbols

Array = np.ndarray[Any, Any]


def evaluate(
    nodes: Any, feeds: Mapping[str, Any] | None = None, dtype: Any = None, given: Mapping[Node, Any] | None = None
) -> Any:
    """The values of a node, or of a list or dict of nodes, without compiling.

    feeds: the inputs' values by name; a param's value may be given too, else it is the param's own.
    dtype: "float64" computes every float in float64, whatever the graph says.
    given: values of any nodes, taken instead of computing them.
    """
    return in_structure(nodes, run(flattened(nodes), feeds or {}, dtype, given))


def flattened(structure: Any) -> list[Node]:
    """The nodes of a node, or of a list, tuple or dict of nodes."""
    if isinstance(structure, Node):
        return [structure]
    return list(structure.values() if isinstance(structure, Mapping) else structure)


def in_structure(structure: Any, values: list[Any]) -> Any:
    """Values for the nodes of a structure, in the same structure."""
    if isinstance(structure, Node):
        return values[0]
    if isinstance(structure, Mapping):
        return dict(zip(structure, values, strict=True))
    make = getattr(type(structure), "_make", type(structure))  # a named tuple is made from an iterable
    return make(values)


Reading = Callable[[Node, list[Array]], list[Array]]


def run(
    roots: Sequence[Node],
    feeds: Mapping[str, Any],
    dtype: Any = None,
    given: Mapping[Node, Any] | None = None,
    reading: Reading | None = None,
) -> list[Array]:
    """The value of each root. `reading(node, operands)` is what the op of `node` reads instead of its operands."""
    order = toposort(roots)
    wide = None if dtype is None else np.dtype(dtype)
    values: dict[Node, Array] = {node: np.asarray(value) for node, value in (given or {}).items()}
    for node in order:
        if isinstance(node.op.kind, Stored) and node not in values:
            values[node] = _widened(_fed(node, feeds), wide)
    sizes: dict[str, int] = {}
    for node in (n for n in order if isinstance(n.op.kind, Stored)):
        _bind_sizes(node, values[node].shape, sizes)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the mean of nothing is NaN, here as in native code
        for node in order:
            if node not in values:
                args = [values[arg] for arg in node.args]
                values[node] = applied(node, reading(node, args) if reading else args, sizes, wide)
    return [np.array(values[root]) for root in roots]  # copies: a param's memory changes when a step runs


def run_step(graph: Graph, feeds: Mapping[str, Any], dtype: Any = None) -> tuple[list[Array], dict[Node, Array]]:
    """A whole step: the outputs, and the params' next values. Nothing is changed."""
    next_values = [value for _, value in graph.updates]
    # The inputs are asked for too: one that nothing reads any more may still tell a size.
    values = iter(run([*graph.outputs, *next_values, *graph.inputs], feeds, dtype))
    outputs = [next(values) for _ in graph.outputs]
    return outputs, {param: next(values) for param, _ in graph.updates}


def _fed(node: Node, feeds: Mapping[str, Any]) -> Any:
    if str(node.name) in feeds:
        return feeds[str(node.name)]
    value = getattr(node, "value", None)
    if value is None:
        raise InputError(f"no value is given for input {node.name} ({node.where}); feeds has {sorted(feeds)}")
    return value


def _widened(value: Any, wide: np.dtype[Any] | None) -> Array:
    array = np.asarray(value)
    return array.astype(wide) if wide is not None and array.dtype.kind == "f" else array


def _bind_sizes(node: Node, shape: tuple[int, ...], sizes: dict[str, int]) -> None:
    if len(shape) != node.ndim:
        raise InputError(f"{node.name} has {len(shape)} axes, wants {node.type}")
    for size, actual in zip(node.shape, shape, strict=True):
        expected = sizes.setdefault(str(size), actual) if isinstance(size, Size) else size
        if expected != actual:
            raise InputError(f"{node.name} has shape {shape}, wants {node.type} where {size} is {expected}")


def applied(node: Node, args: list[Array], sizes: Mapping[str, int], wide: np.dtype[Any] | None) -> Array:
    """The value of a node that is no input or param, from its operands' values; `wide` instead of its float dtype."""
    if isinstance(node.op.kind, Constant):
        return _widened(node.options["literal"].array, wide)
    attrs = {key: _concrete(value, sizes, wide) for key, value in node.attrs}
    assert node.op.numpy is not None, f"{node.op} has no NumPy meaning"
    for need in needs_of(node):
        if _concrete(need.size, sizes, wide) < 0:
            raise InputError(f"{node.op.name} needs {need.rule}, got {told(need.size, sizes)} ({node.where})")
    value = np.asarray(node.op.numpy(*args, **attrs))
    assert value.ndim == node.ndim, f"{node.op} made shape {value.shape} for {node.type}"
    return value


def needs_of(node: Node) -> list[Need]:
    """What the symbolic sizes must satisfy for `node`, less what they always do."""
    needs = node.op.needs(*(arg.type for arg in node.args), **node.options) if node.op.needs is not None else []
    return [need for need in needs if may_be_negative(need.size)]


def told(size: Dim, sizes: Mapping[str, int]) -> str:
    """`batch = 2, time = 3`: the values of a size's symbols."""
    return ", ".join(f"{name} = {sizes[name]}" for name in sorted(symbols(size)))


def _concrete(value: Any, sizes: Mapping[str, int], wide: np.dtype[Any] | None) -> Any:
    """An attr with numbers in place of symbolic sizes, and `wide` in place of float dtypes."""
    if isinstance(value, Size):
        try:
            return evaluate_size(value, sizes)
        except KeyError as error:
            raise InputError(
                f"the size {error} is the size of no input of this graph, so its value is unknown"
            ) from None
    if isinstance(value, tuple):
        return tuple(_concrete(v, sizes, wide) for v in value)
    if isinstance(value, np.dtype) and value.kind == "f" and wide is not None:
        return wide
    return value


def concrete_shape(shape: Shape, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """A shape with numbers in place of symbolic sizes."""
    return tuple(evaluate_size(size, sizes) for size in shape)
