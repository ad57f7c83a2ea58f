"""Tables on a terminal or in a file: by rich where it is installed, else plain."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Sequence

Row = Sequence[str]
NUMBER = re.compile(r"[\d.,]*x?")


def show(title: str, header: Row, rows: Sequence[Row]) -> None:
    """Prints a table."""
    if importlib.util.find_spec("rich"):
        _show_rich(title, header, rows)
    else:
        print(plain(title, header, rows))


def plain(title: str, header: Row, rows: Sequence[Row]) -> str:
    """The table as text."""
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    right = _numbers(rows)
    lines = [title]
    for line in (header, *rows):
        cells = [cell.rjust(n) if is_number else cell.ljust(n) for cell, n, is_number in zip(line, widths, right)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _show_rich(title: str, header: Row, rows: Sequence[Row]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for name, is_number in zip(header, _numbers(rows)):
        table.add_column(name, justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*row)
    print(title)
    # Rich takes a pipe for 80 columns, which would break every row.
    Console(width=None if sys.stdout.isatty() else 160, markup=False, highlight=False).print(table)


def _numbers(rows: Sequence[Row]) -> list[bool]:
    """Which columns hold only numbers."""
    return [all(NUMBER.fullmatch(cell) for cell in column) for column in zip(*rows)]


def number(value: float | None, unit: str = "") -> str:
    """Four digits at most; empty for None."""
    if value is None:
        return ""
    return (f"{value:,.0f}" if value >= 1000 else f"{value:.3g}") + unit


def say(text: str) -> None:
    """A line of progress, which the next one overwrites."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
