"""Emitted text as people meet it: its lines in a traceback, and a report where it does not compile."""

from __future__ import annotations

import contextlib
import importlib.metadata
import linecache
import platform
import re
import tempfile
import weakref
from collections.abc import Iterator

from graphc.errors import CompilerError, GraphcError

# ---- lines ----------------------------------------------------------------------------------------------------------


def show_lines(filename: str, source: str, owner: object) -> None:
    """Tracebacks show the lines of `source` under this name as long as `owner` lives."""
    entry = (len(source), None, source.splitlines(keepends=True), filename)
    linecache.cache[filename] = entry
    weakref.finalize(owner, _forget, filename, entry).atexit = False


def _forget(filename: str, entry: object) -> None:
    """Another function with the same text may have come since."""
    if linecache.cache.get(filename) is entry:
        del linecache.cache[filename]


# ---- what does not compile ------------------------------------------------------------------------------------------


@contextlib.contextmanager
def compiling(source: str, name: str) -> Iterator[None]:
    """CompilerError for whatever is raised inside, where the text of the function `name` is compiled."""
    try:
        yield
    except (GraphcError, ImportError, MemoryError):
        raise
    except Exception as error:
        raise CompilerError(_words(error, source, name)) from error


def _words(error: Exception, source: str, name: str) -> str:
    lines = [f"{name} does not compile: a bug in graphc, not in your program"]
    number = _line_of(error)
    if number is not None and 0 < number <= len(text := source.splitlines()):
        where = [line for line in text[:number] if line.startswith("def ")]
        function = f"{where[-1][4:].partition('(')[0]}, " if where else ""
        lines.append(f"  in {function}line {number} of the emitted source: {text[number - 1].strip()}")
    said = [line.strip() for line in str(error).splitlines() if line.strip() and not line.startswith("Failed in ")]
    lines.append(f"  {type(error).__name__}: {said[0][:200] if said else 'without a word'}")
    lines.append(_kept(error, source, name))
    return "\n".join(lines)


def _line_of(error: Exception) -> int | None:
    """The line of the emitted text that an error is about: of Numba's, in its words the innermost, else its own."""
    if isinstance(error, SyntaxError):
        return error.lineno
    found = re.search(r'File "<graphc [^"]*>", line (\d+)', str(error))
    line: int | None = getattr(getattr(error, "loc", None), "line", None)
    return int(found[1]) if found else line


def _kept(error: Exception, source: str, name: str) -> str:
    """Where the report is; nobody looks for a bug without it."""
    told = "\n".join(f"# {line}" for line in [*_versions(), "", f"{type(error).__name__}:", *str(error).splitlines()])
    try:
        with tempfile.NamedTemporaryFile(
            "w",
            encoding="utf-8",
            prefix=f"graphc-{re.sub(r'[^0-9A-Za-z]', '_', name)[:40]}-",
            suffix=".py",
            delete=False,
        ) as file:
            file.write(f"{told}\n\n{source}")
    except OSError as failure:
        return f"  please report it with the text of this error; the source could not be written: {failure}"
    return f"  please report it with this file, which holds the source, the versions and the whole error: {file.name}"


def _versions() -> Iterator[str]:
    yield f"Python {platform.python_version()}, {platform.platform()}"
    for package in ("graphc", "numba", "llvmlite", "numpy"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield f"{package} {importlib.metadata.version(package)}"
