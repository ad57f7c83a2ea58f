"""`python -m graphc show`: runs a script and prints a step that it compiles, at any stage."""

from __future__ import annotations

import argparse
import contextlib
import os
import runpy
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from graphc.errors import GraphcError, InputError
from graphc.inspect.dump import watched
from graphc.inspect.face import Inspected
from graphc.inspect.stages import check_stage, language_of
from graphc.nearest import did_you_mean

LEXERS = {"python": "python", "llvm": "llvm", "asm": "gas"}
"""What rich calls the languages that it knows."""

COLOURS = (
    (r"(?m)#.*$", "dim"),
    (r"(?<![\w.])%\d+", "cyan"),
    (r"(?m)(?<== )[a-z_0-9]+(?=\()", "bold"),
    (r"\b(?:f32|f64|i32|i64|u8|bool)\b(?:\[[^\]]*\])?", "green"),
    (r"(?m)^ *(?:graph|program|plan|return|guard|need|region|kernel|gemm|for|tiles of|check|input|param)\b", "magenta"),
    (r"<-", "magenta"),
)
"""How the text of graphs and programs is coloured: what is found, and rich's style for it."""

CHANGES = ((r"(?m)^ *- .*$", "red"), (r"(?m)^ *\+ .*$", "green"), (r"(?m)^\S.*$", "bold"))
"""How a diff is coloured."""


def options(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "target",
        metavar="FILE[:NAME]",
        help="a script, which is run, and the global that holds a step (default: the last that it compiled)",
    )
    parser.add_argument("--stage", metavar="S", help="graph, differentiate, simplify, ...: the text of this stage")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--diff", nargs=2, metavar=("A", "B"), help="what has changed from stage A to stage B")
    what.add_argument("--dot", action="store_true", help="the graph of the stage for Graphviz")
    what.add_argument("--mermaid", action="store_true", help="the graph of the stage as a Mermaid flowchart")
    what.add_argument("--html", metavar="OUT", help="a file for one page with every stage, linked to each other")


def show(arguments: argparse.Namespace) -> int:
    """Runs the command; 1 if the script raises an exception, 2 for a file, name or stage that is not there.

    Raises OSError where the page cannot be written.
    """
    try:
        if arguments.stage is not None and (arguments.diff or arguments.html):
            raise InputError("--diff names its stages and --html shows all of them: leave --stage out")
        path, name = _target(arguments.target)
        with watched() as made:
            names = _ran(path)
        if names is None:
            return 1
        text, language = _asked(_chosen(path, name, names, made), arguments)
    except GraphcError as error:
        print(error, file=sys.stderr)
        return 2
    _print(text, language)
    return 0


def _target(target: str) -> tuple[str, str | None]:
    """The file and the name; the file may have a colon in its own."""
    if os.path.isfile(target):
        return target, None
    path, _, name = target.rpartition(":")
    if not os.path.isfile(path):
        raise InputError(f"there is no file {path or target}")
    return path, name


# ---- the script -----------------------------------------------------------------------------------------------------


def _ran(path: str) -> Mapping[str, Any] | None:
    """The globals of a script that ran to its end, or left by sys.exit(); None if it failed, after its own traceback.

    What it prints goes to stderr.
    """
    try:
        with _as_main(path), contextlib.redirect_stdout(sys.stderr):
            return runpy.run_path(path, run_name="__main__")
    except SystemExit as left:
        if left.code in (None, 0):
            return _globals_of(left, path)
        print(f"{path} ended with sys.exit({left.code!r})", file=sys.stderr)
    except Exception as error:
        own = error.__traceback__
        while own is not None and own.tb_frame.f_code.co_filename != path:
            own = own.tb_next
        traceback.print_exception(type(error), error, own)
    return None


@contextlib.contextmanager
def _as_main(path: str) -> Iterator[None]:
    """sys.path and sys.argv are as if Python ran the script."""
    before = sys.path[:], sys.argv[:]
    sys.path.insert(0, str(Path(path).resolve().parent))
    sys.argv[:] = [path]
    try:
        yield
    finally:
        sys.path[:], sys.argv[:] = before


def _globals_of(left: SystemExit, path: str) -> Mapping[str, Any]:
    """The globals of the script that an exception came out of."""
    frames = [frame for frame, _ in traceback.walk_tb(left.__traceback__) if frame.f_code.co_filename == path]
    return frames[0].f_globals if frames else {}


def _chosen(path: str, name: str | None, names: Mapping[str, Any], made: Sequence[Inspected]) -> Inspected:
    """The step called `name`, or the last one compiled: of the script's globals, else of all."""
    steps = {each: step for each, step in names.items() if isinstance(step, Inspected)}
    if not made:
        raise InputError(f"{path} compiles nothing: it never calls gc.compile()")
    if not steps:
        steps = _by_own_name(made)
    if name is not None and name not in steps:
        raise InputError(f"{path} has no step called {name!r}{did_you_mean(name, steps)}; it has {', '.join(steps)}")
    last = max(steps, key=lambda each: made.index(steps[each]) if steps[each] in made else -1)
    others = [each for each in steps if steps[each] is not steps[last]]
    if name is None and others:
        told = f"this is {last}; {path} also has {', '.join(others)}: python -m graphc show {path}:{others[-1]}"
        print(told, file=sys.stderr)
    return steps[name or last]


def _by_own_name(made: Sequence[Inspected]) -> dict[str, Inspected]:
    """Steps that live in functions, by what gc.compile(name=) calls them: step, step-2. None of fit's for metrics."""
    measured = [each for step in made for each in step._measured.values()]
    steps: dict[str, Inspected] = {}
    for step in made:
        if step not in measured:
            name, number = step._graph.name, 1
            while name in steps:
                number += 1
                name = f"{step._graph.name}-{number}"
            steps[name] = step
    return steps


# ---- the text -------------------------------------------------------------------------------------------------------


def _asked(step: Inspected, arguments: argparse.Namespace) -> tuple[str, str]:
    """The text that is asked for, and its language; a page is written, and the text says where."""
    stage = arguments.stage
    if arguments.diff:
        return step.diff(*arguments.diff), "diff"
    if arguments.html:
        step.to_html(arguments.html)
        return f"written: {arguments.html}", "text"
    if arguments.dot:
        return step.to_dot(stage or "graph"), "text"
    if arguments.mermaid:
        return step.to_mermaid(stage or "graph"), "text"
    if stage is None:
        return str(step), "graph"
    check_stage(step.stages, stage)
    return step.stages[stage].rstrip("\n"), language_of(step._passed, stage)


def _print(text: str, language: str) -> None:
    """In colours where a terminal shows them, else plain."""
    from rich.console import Console

    console = Console()
    try:
        if console.is_terminal:
            console.print(_coloured(text, language), soft_wrap=True)
        else:
            print(text, flush=True)
    except BrokenPipeError:  # whoever reads it has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _coloured(text: str, language: str) -> Any:
    from rich.syntax import Syntax
    from rich.text import Text

    if language in LEXERS:
        coloured = Syntax(text, LEXERS[language], theme="ansi_dark").highlight(text)
        coloured.rstrip()
        return coloured
    found = Text(text)
    for pattern, style in CHANGES if language == "diff" else COLOURS if language != "text" else ():
        found.highlight_regex(pattern, style)
    return found
