"""A gradient of the user's own."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from graphc.constants import as_node, cast
from graphc.errors import ShapeError
from graphc.ir import Node, Op, describe
from graphc.kinds import Composite


def _grad(g: Node, y: Node, value: Node, *args: Node, backward: Callable[[Node], Any]) -> tuple[Node | None, ...]:
    """What the user's function makes of g, one share an argument; nothing flows through the value itself."""
    shares = backward(g)
    shares = tuple(shares) if isinstance(shares, (tuple, list)) else (shares,)
    if len(shares) != len(args):
        raise ShapeError(f"custom_gradient: backward returned {len(shares)} cotangents for {len(args)} arguments")
    checked: list[Node | None] = [None]
    for share, arg in zip(shares, args, strict=True):
        node = None if share is None else cast(as_node(share), arg.dtype)
        if node is not None and node.shape != arg.shape:
            raise ShapeError(
                f"custom_gradient: a cotangent has its argument's shape, got {node.type} for {describe(arg)}"
            )
        checked.append(node)
    return tuple(checked)


_with_gradient = Op(
    "custom_gradient",
    Composite(lambda value, *args, backward: value),
    lambda value, *args, backward: value,
    lambda value, *args, backward: value,
    _grad,
    lambda value, *args, backward: ((value, *args), {"backward": backward}),
    doc="A value, with a gradient of the user's own.",
)


def custom_gradient(function: Callable[..., tuple[Any, Callable[[Node], Any]]]) -> Callable[..., Node]:
    """A function of nodes whose gradient is its own: it returns a value, and a function from the value's cotangent.

    `backward(g)` gives one cotangent (or None) for each argument, of the argument's shape:

        @gc.custom_gradient
        def clipped(x):
            return x, lambda g: gc.clip(g, -1.0, 1.0)

    Raises ShapeError when the gradient is asked for, if backward returns something else.
    """

    @functools.wraps(function)
    def call(*operands: Any) -> Node:
        args = tuple(as_node(each) for each in operands)
        value, backward = function(*args)
        return _with_gradient(as_node(value), *args, backward=backward)

    return call
