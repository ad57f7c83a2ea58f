"""`python -m graphc <command>`: tools around the compiler."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from graphc.doctor import doctor
from graphc.fuzz import examine
from graphc.inspect import show
from graphc.runtime import cache

Arguments = argparse.Namespace


@dataclass(frozen=True)
class Command:
    """A subcommand: its help, its options, and what runs it and returns the exit status.

    own_options: False if whatever stands after its name is somebody else's to parse; `run` finds it in `.rest`.
    """

    help: str
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Arguments], int]
    own_options: bool = True


def _fuzz_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, default=0, help="the graphs follow from it (default 0)")
    parser.add_argument("--graphs", type=int, default=100, help="how many graphs (default 100)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first graph (default 0)")
    parser.add_argument("--native", type=int, default=0, help="the first so many are compiled; others run as Python")
    parser.add_argument("--out", type=Path, help="a file for the script of the first failure")


def _fuzz(arguments: Arguments) -> int:
    for done in range(arguments.graphs):
        found = examine(arguments.seed, arguments.first + done, native=done < arguments.native)
        if found is None:
            continue
        print(f"{found.recipe.name}: {found.kind}\n{found.message}\n\n{found.script}")
        if arguments.out is not None:
            arguments.out.write_text(found.script, encoding="utf-8")
        return 1
    print(f"{arguments.graphs} graphs of seed {arguments.seed}: no failure")
    return 0


def _bench_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("rest", nargs="*")


def _bench(arguments: Arguments) -> int:
    root = Path(__file__).resolve().parent.parent
    script = root / "benchmarks" / "run.py"
    if not script.exists():
        print(
            "The benchmarks are not part of an installed graphc. In a checkout of graphc's source, run\n"
            "`python -m graphc bench`, or `make bench`, which installs what graphc is compared with.",
            file=sys.stderr,
        )
        return 2
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, str(script), *arguments.rest]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=False).returncode


def _cache_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=("info", "clear"), help="info: where it is and how large; clear: empty it")


def _cache(arguments: Arguments) -> int:
    if arguments.what == "clear":
        print(f"{cache.clear()} steps removed")
    else:
        count, size = cache.size()
        print(cache.folder() or "off: GRAPHC_CACHE_DIR is empty")
        print(f"{count} steps, {size:,} bytes")
    return 0


COMMANDS = {
    "show": Command("a step that a script compiles, at any stage", show.options, show.show),
    "doctor": Command("what graphc runs on here, and a short test of it", lambda parser: None, lambda _: doctor()),
    "cache": Command("compiled steps on disk", _cache_options, _cache),
    "fuzz": Command("look for wrong programs with random graphs", _fuzz_options, _fuzz),
    "bench": Command("graphc beside its peers: race, sweep, compile or stability", _bench_options, _bench, False),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status is 1 if it found a failure."""
    parser = argparse.ArgumentParser(prog="python -m graphc", description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="command")
    for name, command in COMMANDS.items():
        # No option begins with a NUL, so that each is passed on.
        others: dict[str, Any] = {} if command.own_options else {"prefix_chars": "\0", "add_help": False}
        sub = subparsers.add_parser(name, help=command.help, description=command.help, **others)
        command.options(sub)
        sub.set_defaults(run=command.run)
    arguments = parser.parse_args(argv)
    status: int = arguments.run(arguments)
    return status


if __name__ == "__main__":
    sys.exit(main())
