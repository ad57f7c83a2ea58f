"""What GRAPHC_DEBUG and GRAPHC_DUMP ask for: each step that is compiled, told on stderr or written to files."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from graphc import config
from graphc.errors import InputError
from graphc.graph import printable
from graphc.inspect.face import Inspected
from graphc.inspect.stages import SUFFIXES, language_of
from graphc.report import seconds_text

LEVELS = ("0", "1", "2", "3", "4")

_watching: list[list[Inspected]] = []


@contextlib.contextmanager
def watched() -> Iterator[list[Inspected]]:
    """The steps that are compiled inside, in that order."""
    made: list[Inspected] = []
    _watching.append(made)
    try:
        yield made
    finally:
        _watching.remove(made)


def tell(step: Inspected) -> None:
    """Tells of a step that was just compiled whoever wants to know.

    Raises InputError for a GRAPHC_DEBUG that is no level, OSError where GRAPHC_DUMP cannot be written to.
    """
    if config.DEBUG not in LEVELS:
        raise InputError(f"GRAPHC_DEBUG is a number from 0 to 4, got {config.DEBUG!r}")
    for made in _watching:
        made.append(step)
    if config.DEBUG != "0":
        print("\n".join(_told(step, int(config.DEBUG))), file=sys.stderr)
    if config.DUMP:
        _write(step, Path(config.DUMP))


def _told(step: Inspected, level: int) -> Iterator[str]:
    """1: a line; 2: the report; 3: the stages up to the plan; 4: the source and the machine's code."""
    summary = step.summary().removeprefix("# ")
    seconds = seconds_text(sum(step._seconds.values()))
    yield f"graphc: {printable(step._graph.name)}: {summary}; compiled in {seconds}; cache {step._code.told}"
    if level >= 2:
        yield str(step.report())
    for stage in step.stages:
        if level >= (3 if stage in step._passed else 4):
            yield from [f"---- {stage} ----", step.stages[stage].rstrip("\n")]


def _write(step: Inspected, folder: Path) -> None:
    """A file for each stage, in a folder of this step alone."""
    folder.mkdir(parents=True, exist_ok=True)
    own = _new_folder(folder, re.sub(r"[^A-Za-z0-9_-]+", "_", step._graph.name)[:60].lstrip("-") or "step")
    for number, (stage, text) in enumerate(step.stages.items()):
        path = own / f"{number}-{stage}{SUFFIXES[language_of(step._passed, stage)]}"
        path.write_text(text, encoding="utf-8", errors="replace")


def _new_folder(folder: Path, name: str) -> Path:
    """`name-1`, or `name-2`, ...: the first that is not there. Nobody else makes the same one."""
    number = 0
    while True:
        number += 1
        with contextlib.suppress(FileExistsError):
            made = folder / f"{name}-{number}"
            made.mkdir()
            return made
