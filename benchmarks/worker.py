"""A process of its own for whatever is measured: here is what starts one, and what runs in it."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
MARK = "measured: "
TIME_LIMIT = 900

Result = dict[str, Any]


class Failed(Exception):  # noqa: N818
    """A process that ended without a result; the message is the last line it wrote."""


def measured(
    task: str, arguments: Mapping[str, Any], environment: Mapping[str, str] | None = None, python: str = sys.executable
) -> tuple[Any, float]:
    """What `task` ("file.function") returns in a new process, and the seconds until it did, start included."""
    command = [python, str(Path(__file__)), task, json.dumps(dict(arguments))]
    variables = {**os.environ, "PYTHONPATH": _path(), **(environment or {})}
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
            assert process.stdout is not None
            alarm = threading.Timer(TIME_LIMIT, process.kill)
            alarm.start()
            try:
                line = _marked(process.stdout)
                seconds = time.perf_counter() - start
                process.wait()
            except KeyboardInterrupt:
                process.kill()
                raise
            finally:
                alarm.cancel()
        if line is None:
            raise Failed(_last_line(errors) or f"exit status {process.returncode}")
    return json.loads(line), seconds


def _path() -> str:
    """This checkout before whatever the path is."""
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def _marked(lines: IO[str]) -> str | None:
    return next((line.removeprefix(MARK) for line in lines if line.startswith(MARK)), None)


def _last_line(file: IO[str]) -> str:
    file.seek(0)
    return (file.read().strip().splitlines() or [""])[-1]


@functools.cache
def interpreter(package: str) -> str | None:
    """The Python that can import `package`, if one can.

    It is what BENCH_PYTHON_<PACKAGE> names, that of the environment .venv-<package> in this checkout, or this one.
    """
    others = [os.environ.get(f"BENCH_PYTHON_{package.upper()}"), str(ROOT / f".venv-{package}" / "bin" / "python")]
    for python in filter(None, others):
        if _finds(python, package):
            return python
    return sys.executable if importlib.util.find_spec(package) else None


def _finds(python: str, package: str) -> bool:
    asked = f"import importlib.util, sys; sys.exit(not importlib.util.find_spec({package!r}))"
    return Path(python).exists() and subprocess.run([python, "-c", asked], check=False).returncode == 0


def main() -> None:
    task, arguments = sys.argv[1:]
    file, _, function = task.partition(".")
    result = getattr(importlib.import_module(file), function)(**json.loads(arguments))
    print(f"{MARK}{json.dumps(result)}", flush=True)


if __name__ == "__main__":
    main()
