"""The errors that graphc raises: each message names the op, the rule, the facts and the user's line."""

from __future__ import annotations

from typing import Any


class GraphcError(Exception):
    """The root of every error that graphc raises on purpose.

    history: of an error that ended `f.fit`, the History of what was done until then.
    """

    history: Any = None


class ShapeError(GraphcError, ValueError):
    """Operands whose shapes do not fit, found when the node is made."""


class DtypeError(GraphcError, TypeError):
    """Operands whose dtypes do not fit, found when the node is made."""


class GraphError(GraphcError, ValueError):
    """A graph that cannot be compiled: two inputs of one name, an update of something that is not a param, ..."""


class InputError(GraphcError, ValueError):
    """An array that a call cannot use: wrong name, rank, size or dtype, or a label outside its range.

    found: for such a label, the node whose value it is in, and its position there.
    """

    found: tuple[object, tuple[int, ...]] | None = None


class FileFormatError(GraphcError, ValueError):
    """A file that is damaged, cut short, hostile, or not what it is taken for; nothing has changed."""


class NonFiniteError(GraphcError, ArithmeticError):
    """A loss that is NaN or infinite; the params of that model are as they were before the call."""


class CompilerError(GraphcError):
    """A step that graphc emitted but that does not compile: a bug in graphc; the message says how to report it."""


class GradientError(GraphcError, AssertionError):
    """A symbolic gradient that disagrees with the numeric one."""
