"""Pages that run: the Python of a hand-written page is executed, and what it prints is compared and shown.

    ```python [step.py]      runs after the page's blocks before it, in their namespace. With a name it is the next
                             lines of that file, so that `# step.py:9` in what graphc prints can be found on the page
    ```output [language]     is what the block before it prints

An output block without a line `...` is all of that, letter by letter. In one with it, `...` stands for lines that the
site shows and the page's source leaves out; what is printed before the first line and after the last is left out on the
site too. A line that ends with `...` is the beginning of one. So no long text is pasted into a page, and none that is
there can be wrong: `conf.py` fills the blocks when the site is built, and tests/test_docs_pages.py without Sphinx.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FENCE = re.compile(r"^```(?P<kind>python|output)(?: (?P<info>\S+))?\n(?P<body>.*?)^```$", re.DOTALL | re.MULTILINE)
CUT = "..."


class MismatchError(AssertionError):
    """A page that shows something else than its code prints."""


def filled(text: str, page: Path) -> str:
    """The page's text with each output block as it is printed. Raises MismatchError, or what the code raises."""
    names: dict[str, Any] = {"__name__": page.stem}
    lines: Counter[str] = Counter()
    printed = ""

    def block(found: re.Match[str]) -> str:
        nonlocal printed
        info, body = found["info"], found["body"]
        if found["kind"] == "output":
            try:
                return _fence(info or "text", excerpt(body, printed), ":class: output")
            except MismatchError as error:
                at = text.count("\n", 0, found.start()) + 1
                raise MismatchError(f"{page}:{at}: {error}") from None
        file = info or f"{page.stem}.py"
        first = lines[file] + 1
        lines[file] += body.count("\n")
        printed = _run(body, file, first, names)
        return _fence("python", body, *([f":caption: {file}", f":lineno-start: {first}"] if info else []))

    with _importing_from(page.parent):
        return FENCE.sub(block, text)


def _run(body: str, file: str, first: int, names: dict[str, Any]) -> str:
    """What lines of a file print, the first of which has this number."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile("\n" * (first - 1) + body, file, "exec"), names)
    return out.getvalue()


def excerpt(pattern: str, printed: str) -> str:
    """The part of what is printed that a pattern stands for."""
    wanted, lines = _lines(pattern), _lines(printed)
    if CUT not in wanted:
        if len(wanted) != len(lines) or not all(map(_same, wanted, lines)):
            raise MismatchError(f"the page shows\n{pattern}\nits code prints\n{printed}")
        return printed
    start = None if wanted[0] != CUT else 0
    at, anywhere = 0, True
    for line in wanted:
        if line != CUT:
            at = _position(line, lines, at, anywhere)
            start = at if start is None else start
            at += 1
        anywhere = line == CUT
    end = len(lines) if wanted[-1] == CUT else at
    before, after = [CUT] * (start != 0), [CUT] * (end < len(lines))
    return "\n".join([*before, *lines[start:end], *after]) + "\n"


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").splitlines()]


def _same(wanted: str, line: str) -> bool:
    """Whether a line is as the page has it, or begins so."""
    return line == wanted or (wanted.endswith(CUT) and line.startswith(wanted.removesuffix(CUT)))


def _position(wanted: str, lines: list[str], start: int, anywhere: bool) -> int:
    """Where a line stands from `start` on: right there, or anywhere after it."""
    for at in range(start, len(lines) if anywhere else min(start + 1, len(lines))):
        if _same(wanted, lines[at]):
            return at
    where = f"from line {start + 1} on" if anywhere else f"as line {start + 1}"
    raise MismatchError(f"the page shows\n{wanted}\nwhich is not printed {where}:\n" + "\n".join(lines))


def _fence(language: str, body: str, *options: str) -> str:
    """A directive of MyST's; the longest fence inside has three backticks."""
    head = "".join(f"{option}\n" for option in options)
    return f"````{{code-block}} {language}\n{head}\n{body.rstrip()}\n````"


@contextlib.contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """A page's code may import the files beside the page."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
