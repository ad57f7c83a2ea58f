"""What an op means and how it is differentiated, as the text of its record."""

from __future__ import annotations

import ast
import functools
import linecache
import textwrap
from collections.abc import Callable
from typing import Any

from graphc.ir import Op

Function = ast.FunctionDef | ast.Lambda


def formulas_of(op: Op) -> dict[str, str]:
    """The op's `doc`, its meaning in `numpy`, and its gradient rule `grad(g, y, *args)`; "" for what it has not."""
    return {"doc": op.doc, "numpy": source_of(op.numpy), "grad": source_of(op.grad)}


def source_of(function: Callable[..., Any] | None) -> str:
    """A function's text: that of the lambda or the def alone, or `np.exp` for one of NumPy's own; "" if it has none."""
    if function is None:
        return ""
    code = getattr(function, "__code__", None)
    if code is None:
        name = getattr(function, "__name__", type(function).__name__)
        return f"np.{name}" if type(function).__module__ == "numpy" else name
    lines = linecache.getlines(code.co_filename)
    arguments = code.co_varnames[: code.co_argcount]
    for found in _functions_at(tuple(lines)).get(code.co_firstlineno, []):
        if tuple(each.arg for each in (*found.args.posonlyargs, *found.args.args)) == arguments:
            return _segment(lines, found)
    return ""


@functools.lru_cache(maxsize=64)
def _functions_at(lines: tuple[str, ...]) -> dict[int, list[Function]]:
    """The functions and lambdas of a file by the line at which each starts."""
    found: dict[int, list[Function]] = {}
    for node in ast.walk(ast.parse("".join(lines))):
        if isinstance(node, (ast.FunctionDef, ast.Lambda)):
            first = node.decorator_list[0].lineno if isinstance(node, ast.FunctionDef) and node.decorator_list else None
            found.setdefault(first or node.lineno, []).append(node)
    return found


def _segment(lines: list[str], function: Function) -> str:
    """The text of a function, as if it stood at the left."""
    return textwrap.dedent(ast.get_source_segment("".join(lines), function, padded=True) or "").strip()
