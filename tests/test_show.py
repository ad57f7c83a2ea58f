"""`python -m graphc show`: a step of a script, at any stage."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import graphc as gc
from graphc.__main__ import main

SCRIPT = """\
import graphc as gc

x = gc.input("x", ("n", 3))
W = gc.param("W", (3, 2))
h = gc.tanh(x @ W)
predict = gc.compile(h, name="a_name")
step = gc.compile(gc.mean(h * h), optimizer=gc.SGD(lr=0.1))
print("the script's own words")
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python_mode: None) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "train.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


class Ran:
    """What a command printed, and its exit status."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> None:
        self.status = main(["show", *arguments])
        self.out, self.err = capsys.readouterr()


def test_the_last_step_is_printed(script: Path, capsys) -> None:
    ran = Ran(capsys, "train.py")
    assert ran.status == 0
    assert ran.out.startswith("graph step(x: f32[n,3]; W: f32[3,2])\n")
    assert re.search(r"%0 = dot\(x, W\) +: f32\[n,2\]  # train.py:5\n", ran.out)
    assert re.search(r"\n# \d+ nodes -> .*\n$", ran.out)
    assert ran.err.splitlines() == [
        "the script's own words",
        "this is step; train.py also has predict: python -m graphc show train.py:predict",
    ]


@pytest.mark.parametrize("path", ["train.py", "{folder}/train.py", "./train.py"])
def test_a_step_by_name(script: Path, path: str, capsys) -> None:
    ran = Ran(capsys, f"{path.format(folder=script.parent)}:predict")
    assert (ran.status, ran.err) == (0, "the script's own words\n")
    assert ran.out.startswith("graph a_name(x: f32[n,3]; W: f32[3,2])\n")


def test_each_stage(script: Path, capsys) -> None:
    texts = {}
    for stage in ("graph", "differentiate", "simplify", "fold", "fuse", "tile", "plan", "emit", "llvm", "asm"):
        ran = Ran(capsys, "train.py:step", "--stage", stage)
        assert ran.status == 0
        texts[stage] = ran.out
    assert "W <- %" in texts["differentiate"]
    assert texts["fuse"].startswith("program step(n)\n")
    assert "import numpy as np\n" in texts["emit"]
    compile(texts["emit"], "emitted.py", "exec")
    assert str(gc.parse(texts["fold"])) + "\n" == texts["fold"]


def test_a_diff(script: Path, capsys) -> None:
    ran = Ran(capsys, "train.py:step", "--diff", "graph", "differentiate")
    assert ran.out.startswith("graph -> differentiate: 0 lines removed, ")
    assert "tanh, backward\n" in ran.out


def test_drawings(script: Path, capsys) -> None:
    assert Ran(capsys, "train.py", "--dot").out.startswith('digraph "step" {\n')
    ran = Ran(capsys, "train.py", "--stage", "differentiate", "--mermaid")
    assert ran.out.startswith("flowchart TD\n")
    assert ":::backward\n" in ran.out


def test_a_page(script: Path, capsys) -> None:
    ran = Ran(capsys, "train.py:predict", "--html", "step.html")
    assert ran.out == "written: step.html\n"
    page = (script.parent / "step.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "a_name" in page


def test_in_a_terminal_it_is_coloured(script: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text, but for the colours."""
    asked = [[], ["--stage", "fuse"], ["--stage", "emit"], ["--stage", "llvm"], ["--diff", "graph", "fold"], ["--dot"]]
    plain = [Ran(capsys, "train.py", *each).out for each in asked]
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "30")
    coloured = [Ran(capsys, "train.py", *each).out for each in asked]
    for each, one, other in zip(asked, plain, coloured, strict=True):
        assert "\x1b[" not in one
        assert re.sub(r"\x1b\[[\d;]*m", "", other).split() == one.split(), each
        assert len(other.splitlines()) == len(one.splitlines()), "no line is broken"
        assert ("\x1b[" in other) == (each != ["--dot"])


def test_a_script_that_keeps_its_steps_in_functions(script: Path, capsys) -> None:
    lines = SCRIPT.splitlines()
    body = "\n".join(["def main():", *("    " + line for line in lines[1:]), "    return 0"])
    script.write_text(f"import sys\nimport graphc as gc\n{body}\nif __name__ == '__main__':\n    sys.exit(main())\n")
    ran = Ran(capsys, "train.py")
    assert (ran.status, ran.out[:11]) == (0, "graph step(")
    assert "train.py also has a_name" in ran.err
    assert Ran(capsys, "train.py:a_name", "--stage", "fold").out.startswith("graph a_name(")


def test_globals_are_found_though_the_script_exits(script: Path, capsys) -> None:
    script.write_text(SCRIPT + "raise SystemExit\n")
    assert Ran(capsys, "train.py:predict").out.startswith("graph a_name(")


def test_steps_of_one_name(script: Path, capsys) -> None:
    script.write_text("import graphc as gc\nfor n in 2, 3:\n    [gc.compile(gc.input('x', n) * 2)]\n")
    assert Ran(capsys, "train.py").out.startswith("graph step(x: f32[3])")
    assert Ran(capsys, "train.py:step").out.startswith("graph step(x: f32[2])")
    assert Ran(capsys, "train.py:step-2").out.startswith("graph step(x: f32[3])")


def test_what_fit_compiles_for_itself_is_not_the_last_step(script: Path, capsys) -> None:
    script.write_text(
        "import graphc as gc, numpy as np\n"
        "def main():\n"
        "    x = gc.input('x', ('n', 2))\n"
        "    loss = gc.mean((x @ gc.param('w', 2)) ** 2)\n"
        "    step = gc.compile(loss, optimizer=gc.SGD(0.1))\n"
        "    step.fit({'x': np.ones((4, 2), 'f')}, metrics={'m': loss}, progress=False)\n"
        "main()\n"
    )
    ran = Ran(capsys, "train.py")
    assert ran.out.startswith("graph step(")
    assert "metrics" not in ran.err


def test_the_script_is_as_if_python_ran_it(script: Path, capsys) -> None:
    """Its folder is on sys.path, sys.argv is its own; afterwards all is as before."""
    (script.parent / "own_helper_of_train.py").write_text("SIZE = 7\n")
    folder = script.parent / "elsewhere"
    folder.mkdir()
    text = "import sys\nfrom own_helper_of_train import SIZE\nimport graphc as gc\nassert __name__ == '__main__'\n"
    script.write_text(text + "step = gc.compile(gc.input('x', SIZE) * 2, name=f'args_{len(sys.argv)}')\n")
    before = sys.path[:], sys.argv[:]
    os.chdir(folder)
    try:
        ran = Ran(capsys, "../train.py")
    finally:
        sys.modules.pop("own_helper_of_train", None)
    assert ran.out.startswith("graph args_1(x: f32[7])")
    assert (sys.path, sys.argv) == before


# ---- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian.py"], "there is no file trian.py"),
        (["trian.py:step"], "there is no file trian.py"),
        (["."], "there is no file ."),
        (["train.py:stap"], "train.py has no step called 'stap'; did you mean 'step'?; it has predict, step"),
        (["train.py:W"], "train.py has no step called 'W'; it has predict, step"),
        (["train.py", "--stage", "fuze"], "no stage is called 'fuze'; did you mean 'fuse'?; there are graph, "),
        (["train.py", "--diff", "plan", "emit"], "plan is a program and emit is Python: they have no line in common"),
        (["train.py", "--stage", "fuse", "--dot"], "stage fuse is no graph; those are graph, "),
        (["train.py", "--stage", "fuse", "--diff", "graph", "fold"], "--diff names its stages and --html shows all"),
        (["train.py", "--stage", "fuse", "--html", "step.html"], "--diff names its stages and --html shows all"),
    ],
)
def test_an_error_says_what_there_is(script: Path, arguments: list[str], message: str, capsys) -> None:
    ran = Ran(capsys, *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.splitlines()[-1].startswith(message)


def test_a_script_that_compiles_nothing(script: Path, capsys) -> None:
    script.write_text("import graphc as gc\nx = gc.input('x', 3)\n")
    ran = Ran(capsys, "train.py")
    assert (ran.status, ran.out, ran.err) == (2, "", "train.py compiles nothing: it never calls gc.compile()\n")


def test_a_script_that_raises_shows_its_own_traceback(script: Path, capsys) -> None:
    script.write_text(SCRIPT + "def broken():\n    x @ gc.param('V', (4, 2))\nbroken()\n")
    ran = Ran(capsys, "train.py")
    assert (ran.status, ran.out) == (1, "")
    told = ran.err.splitlines()[1:]
    assert told[0] == "Traceback (most recent call last):"
    assert told[1] == '  File "train.py", line 11, in <module>'
    assert "runpy" not in ran.err
    assert "graphc.errors.ShapeError: dot: the last axis of a and the first of b must be equal, got 3 and 4" in told


def test_a_script_that_is_no_python(script: Path, capsys) -> None:
    script.write_text("x = = 3\n")
    ran = Ran(capsys, "train.py")
    assert (ran.status, ran.out) == (1, "")
    assert 'File "train.py", line 1' in ran.err
    assert "SyntaxError" in ran.err
    assert "Traceback" not in ran.err


def test_a_script_that_exits_with_an_error(script: Path, capsys) -> None:
    script.write_text(SCRIPT + "import sys\nsys.exit('no data')\n")
    ran = Ran(capsys, "train.py")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.endswith("train.py ended with sys.exit('no data')\n")


def test_as_a_command_into_a_closed_pipe(script: Path) -> None:
    """`show train.py | head -1`: no traceback when the reader has seen enough."""
    text = "import graphc as gc, numpy as np\nx = gc.input('x', 100000, 'float64')\n"
    script.write_text(text + "step = gc.compile(x * np.arange(100000.0))\n")  # the graph has a long line
    env = {**os.environ, "NUMBA_DISABLE_JIT": "1", "GRAPHC_FUSION": "1"}
    command = [sys.executable, "-m", "graphc", "show", "train.py", "--stage", "graph"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith("graph step(")
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait() == 0
