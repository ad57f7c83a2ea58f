"""Where a node comes from: the user's line, the node that it is made for, the phase of the step."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, Literal, TypeAlias

Node: TypeAlias = Any  # ir.Node; ir.py is above this file

Phase: TypeAlias = Literal["forward", "backward", "update", "guard"]
"""What a node is made for: values, gradients, the params' next values, or a check of the step."""

_now: ContextVar[tuple[Node | None, Phase]] = ContextVar("graphc_origin", default=(None, "forward"))
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def made_now() -> tuple[Node | None, Phase]:
    """The user's node that nodes are made for at present, and the phase."""
    return _now.get()


@contextlib.contextmanager
def made_for(node: Node | None, phase: Phase | None = None) -> Iterator[None]:
    """Nodes made inside come from the user's expression that `node` comes from; without another phase, from its own."""
    origin = node if node is None or node.origin is None else node.origin
    token = _now.set((origin, phase or ("forward" if node is None else node.phase)))
    try:
        yield
    finally:
        _now.reset(token)


def user_line() -> str:
    """`train.py:12`: the innermost line outside graphc that led here, or that of the node that nodes are made for."""
    origin, _ = _now.get()
    if origin is not None:
        return str(origin.where)
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
