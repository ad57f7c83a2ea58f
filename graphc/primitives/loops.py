"""Loops of so few steps that compiled code has a copy of their body for each."""

from __future__ import annotations

import ast
import copy
from typing import Any

few = range


def written_out(source: str) -> ast.Module:
    """Emitted text with three bodies, for j = 0, 1 and 2, in place of `for j in few(3): body`."""
    module: ast.Module = _Copies().visit(ast.parse(source))
    return module


class _Copies(ast.NodeTransformer):
    def __init__(self) -> None:
        self.values: dict[str, int] = {}

    def visit_For(self, loop: ast.For) -> Any:
        match loop:
            case ast.For(ast.Name(index), ast.Call(ast.Name("few"), [ast.Constant(int(count))])):
                return [each for number in range(count) for each in self._copy(loop.body, index, number)]
        return self.generic_visit(loop)

    def _copy(self, body: list[ast.stmt], index: str, number: int) -> list[ast.stmt]:
        self.values[index] = number
        copies = [self.visit(copy.deepcopy(each)) for each in body]
        del self.values[index]
        return copies

    def visit_Name(self, name: ast.Name) -> ast.expr:
        return ast.copy_location(ast.Constant(self.values[name.id]), name) if name.id in self.values else name
