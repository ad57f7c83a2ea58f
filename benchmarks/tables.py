"""Tables on a terminal or in a file: by rich where it is installed, else plain."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence

Row = Sequence[str]


def show(title: str, header: Row, rows: Sequence[Row], words: int = 1) -> None:
    """Prints a table. Its first column and all from the `words`-th from the end hold words; the others hold numbers."""
    if importlib.util.find_spec("rich"):
        _show_rich(title, header, rows, words)
    else:
        print(plain(title, header, rows, words))


def plain(title: str, header: Row, rows: Sequence[Row], words: int = 1) -> str:
    """The table as text."""
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    numbers = range(1, len(header) - words)
    lines = [title]
    for line in (header, *rows):
        cells = [cell.rjust(n) if i in numbers else cell.ljust(n) for i, (cell, n) in enumerate(zip(line, widths))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _show_rich(title: str, header: Row, rows: Sequence[Row], words: int) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    numbers = range(1, len(header) - words)
    for i, name in enumerate(header):
        table.add_column(name, justify="right" if i in numbers else "left")
    for row in rows:
        table.add_row(*row)
    # Rich takes a pipe for 80 columns, which would break every row.
    Console(width=None if sys.stdout.isatty() else 160, markup=False, highlight=False).print(table)


def number(value: float | None, unit: str = "") -> str:
    """Four digits at most; empty for None."""
    if value is None:
        return ""
    return (f"{value:,.0f}" if value >= 1000 else f"{value:.3g}") + unit


def say(text: str) -> None:
    """A line of progress, which the next one overwrites."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
