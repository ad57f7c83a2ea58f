"""`python -m graphc <command>`: tools around the compiler."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from graphc.fuzz import examine

Arguments = argparse.Namespace


@dataclass(frozen=True)
class Command:
    """A subcommand: its help, its options, and what runs it and returns the exit status."""

    help: str
    options: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Arguments], int]


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


COMMANDS = {"fuzz": Command("look for wrong programs with random graphs", _fuzz_options, _fuzz)}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status is 1 if it found a failure."""
    parser = argparse.ArgumentParser(prog="python -m graphc", description=__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="command")
    for name, command in COMMANDS.items():
        sub = subparsers.add_parser(name, help=command.help, description=command.help)
        command.options(sub)
        sub.set_defaults(run=command.run)
    arguments = parser.parse_args(argv)
    status: int = arguments.run(arguments)
    return status


if __name__ == "__main__":
    sys.exit(main())
