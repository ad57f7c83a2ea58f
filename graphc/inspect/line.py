"""One line of a graph's text, token by token; what is not as it should be is a GraphError with the line's number."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from graphc.errors import GraphError

T = TypeVar("T")

WORDS = {"True": True, "False": False, "nan": float("nan"), "inf": float("inf")}
"""Values that look like names."""

_TOKEN = re.compile(
    r"""(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")|(?P<node>%\d+)|(?P<comment>\#.*)"""
    r"""|(?P<number>\d+(?:\.\d*)?(?:e[+-]?\d+)?)|(?P<mark><-|>=|//|[-+*()\[\],;:=])"""
    r"""|(?P<name>[^\s'"()\[\],;:=\#<>+\-*/%]+)|(?P<unknown>\S)"""
)


class Line:
    """One line of a text, read token by token."""

    def __init__(self, number: int, text: str) -> None:
        self.number, self.text = number, text
        self._tokens = [(str(found.lastgroup), found.group(), found.start()) for found in _TOKEN.finditer(text)]
        self._tokens += [("", "", len(text))] * 2
        self._at = 0

    @property
    def kind(self) -> str:
        """What the next token is; "" at the end."""
        return self._tokens[self._at][0]

    @property
    def next(self) -> str:
        """The next token; "" at the end."""
        return self._tokens[self._at][1]

    @property
    def after(self) -> str:
        """The token behind the next one."""
        return self._tokens[self._at + 1][1]

    @property
    def rest(self) -> str:
        """The text from the next token on."""
        return self.text[self._tokens[self._at][2] :]

    def take(self) -> str:
        token = self.next
        self._at += bool(token)
        return token

    def given(self, token: str) -> bool:
        """Takes the next token if it is this one."""
        found = self.next == token
        self._at += found
        return found

    def want(self, token: str) -> None:
        if not self.given(token):
            self.expected(repr(token))

    def taken(self, kind: str, what: str) -> str:
        """The next token, which is of this kind."""
        return self.take() if self.kind == kind else self.expected(what)

    def expected(self, what: str) -> NoReturn:
        self.fail(f"expected {what}, got {repr(self.next) if self.next else 'the end of the line'}")

    def fail(self, why: str) -> NoReturn:
        shown = self.text.strip()
        raise GraphError(f"line {self.number}: {why}\n  {shown[:120] + '...' * (len(shown) > 120)}")

    def several(self, one: Callable[[], T], end: str) -> list[T]:
        """What stands before `end`, with commas between; takes the end."""
        found: list[T] = []
        while not (self.given(end) if end else self.kind == ""):
            if found:
                self.want(",")
                if self.given(end):  # (1,)
                    break
            found.append(one())
        return found

    def name(self, what: str) -> str:
        """A user's name: plain, or a Python string."""
        return (self.string() if self.kind == "string" else self.taken("name", what)) or self.fail("an empty name")

    def string(self) -> str:
        try:
            found = str(ast.literal_eval(self.next))
        except (SyntaxError, ValueError):
            self.expected("a string")
        self.take()
        return found

    def comment(self) -> str:
        """What stands behind `#`, at the end of the line."""
        if self.kind not in ("comment", ""):
            self.expected("the end of the line")
        return self.take().removeprefix("#").strip()

    def number_or_word(self) -> Any:
        """An int, a float, True, False, nan or inf; a number may have a minus."""
        negative = self.given("-")
        if self.kind == "number":
            text = self.take()
            value: Any = int(text) if text.isdigit() else float(text)
        elif self.kind == "name" and self.next in WORDS:
            value = WORDS[self.take()]
        else:
            self.expected("a number")
        return -value if negative else value
