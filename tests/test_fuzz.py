"""The fuzzer: its graphs are always the same, graphc passes, and a planted bug is found and shown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from planted import BUGS, Bug, record

import graphc as gc
from graphc.__main__ import main
from graphc.fuzz import check, examine, generate
from graphc.fuzz.bounds import distance, spread
from graphc.fuzz.calls import spelled
from graphc.fuzz.generate import pruned
from graphc.fuzz.recipe import Call, Leaf, Recipe, build
from graphc.fuzz.rows import EXEMPT, rows
from graphc.ir import OPS
from graphc.reference import run

# What gc exports that makes no node of other nodes.
NO_OPS = {"check_gradient", "compile", "evaluate", "load", "load_weights", "parse", "save", "save_weights"}


def graphs(count: int, seed: int = 7) -> list[Recipe]:
    return [generate(seed, number) for number in range(count)]


# ---- recipes --------------------------------------------------------------------------------------------------------


def test_the_same_seed_makes_the_same_graphs() -> None:
    first = graphs(20)
    assert first == [generate(7, number) for number in reversed(range(20))][::-1]
    assert first != graphs(20, seed=8)


def test_every_op_can_be_drawn() -> None:
    assert set(OPS) - set(rows()) == set(EXEMPT)
    called = [eval(spelled(name), {"gc": gc}) for name in rows() if name != "getitem"]
    public = {name: value for name, value in vars(gc).items() if name[0].islower() and not isinstance(value, type(sys))}
    uncalled = {name for name, value in public.items() if callable(value) and value not in called}
    assert uncalled == NO_OPS | {"input", "param", "const", "custom_gradient"}


def test_every_op_is_drawn() -> None:
    missing = set(rows())
    number = 0
    while missing and number < 2000:
        missing -= {call.op for call in generate(7, number).ops}
        number += 1
    assert not missing


def test_graphs_are_of_every_sort() -> None:
    made = graphs(300)
    leaves = [step for recipe in made for step in recipe.steps if isinstance(step, Leaf)]
    assert {len(leaf.shape) for leaf in leaves} == {0, 1, 2, 3, 4, 5}
    assert {leaf.dtype for leaf in leaves} == {"float32", "float64", "int64", "int32", "uint8", "bool"}
    assert {leaf.kind for leaf in leaves} == {"input", "param", "const", "number"}
    assert {0, 1} <= {size for leaf in leaves for size in leaf.shape}
    assert max(len(recipe.ops) for recipe in made) > 20
    for wanted in ("sizes", "updates", "optimizer"):
        assert any(getattr(recipe, wanted) for recipe in made)
    assert any(len(recipe.outputs) > 2 for recipe in made)
    assert any(0 in values for recipe in made for _, values in recipe.sizes)


def test_a_recipe_without_what_nothing_needs() -> None:
    steps = (Leaf("param", (2,)), Leaf("param", (3,)), Call("exp", (1,), "gc.exp({0})"))
    assert pruned(Recipe(steps, (2,))) == Recipe((steps[1], Call("exp", (0,), "gc.exp({0})")), (1,))


# ---- oracles --------------------------------------------------------------------------------------------------------


def test_graphs_pass() -> None:
    for recipe in graphs(60):
        failure = check(recipe)
        assert failure is None, f"{recipe.name}: {failure.kind}: {failure.message}"


def test_a_native_graph_passes(jit_mode) -> None:
    assert check(next(recipe for recipe in graphs(100) if recipe.sizes and recipe.optimizer), native=True) is None


def test_the_spread_is_as_large_as_cancellation_makes_it() -> None:
    x = gc.param("x", np.full(4, 100.0, "float32"))
    roots = [x * 2, (x * 2 + 1) - x * 2]
    smooth, cancelled = spread(roots, [], {}, run(roots, {}, "float64"))
    assert 200 * 2**-24 < smooth < 200 * 2**-18
    assert smooth / 2 < cancelled < smooth * 4


def test_distance() -> None:
    inf, nan = float("inf"), float("nan")
    assert distance([1.0, inf], [1.5, inf]) == 0.5
    assert distance([nan], [1.0]) == inf
    assert distance([1.0], [1.0, 1.0]) == inf
    assert distance([], []) == 0


# ---- planted bugs ---------------------------------------------------------------------------------------------------


def test_there_are_twenty_five_bugs() -> None:
    assert len({bug.name for bug in BUGS}) == 25
    for bug in BUGS:
        with bug.plant():  # fails where the text that it edits is no longer there
            pass


@pytest.mark.slow
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_is_found(bug: Bug) -> None:
    with bug.plant():
        assert any(check(generate(11, number)) for number in range(1000))


def test_a_planted_bug_is_reduced_to_a_script_that_fails_by_itself(python_mode) -> None:
    with record("tanh", "grad", lambda g, y, a: (-g * (1 - y * y),)):
        found = next(found for number in range(1000) if (found := examine(11, number)))
        assert found.kind == "gradient"
        assert len(found.recipe.ops) <= 3
        assert "gc.tanh(" in found.script
        with pytest.raises(AssertionError, match="symbolic"):
            exec(found.script, {})
    exec(found.script, {})  # without the bug it passes


@pytest.mark.parametrize("bug", [bug for bug in BUGS if "minimum" in bug.name or "guards" in bug.name], ids=str)
def test_a_script_shows_what_a_compiled_function_does(bug: Bug, python_mode) -> None:
    with bug.plant():
        found = next(found for number in range(1000) if (found := examine(11, number)))
        assert len(found.recipe.ops) <= 4
        with pytest.raises(AssertionError):
            exec(found.script, {})
    exec(found.script, {})


def test_a_crash_is_a_failure_too(python_mode) -> None:
    def crash(g: gc.Node, y: gc.Node, a: gc.Node) -> None:
        raise RuntimeError("no gradient today")

    with record("tanh", "grad", crash):
        found = next(found for number in range(1000) if (found := examine(11, number)))
        assert found.kind.startswith("RuntimeError")
        with pytest.raises(RuntimeError, match="no gradient today"):
            exec(found.script, {})


# ---- the command ----------------------------------------------------------------------------------------------------


def test_the_command(capsys, tmp_path: Path) -> None:
    assert main(["fuzz", "--seed", "7", "--graphs", "3"]) == 0
    assert "3 graphs of seed 7: no failure" in capsys.readouterr().out
    script = tmp_path / "found.py"
    with record("tanh", "grad", lambda g, y, a: (g * y,)):
        assert main(["fuzz", "--seed", "11", "--graphs", "1000", "--out", str(script)]) == 1
    assert "gc.tanh" in script.read_text()
    assert script.read_text() in capsys.readouterr().out
    assert subprocess.run([sys.executable, str(script)], check=False, timeout=120).returncode == 0


def test_the_command_as_a_module() -> None:
    command = [sys.executable, "-m", "graphc", "fuzz", "--graphs", "1"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (shown.returncode, shown.stdout) == (0, "1 graphs of seed 0: no failure\n")


def test_a_recipe_and_its_text_draw_the_same(tmp_path: Path) -> None:
    recipe = next(recipe for recipe in graphs(50) if recipe.inputs and recipe.sizes)
    assert build(recipe).nodes[-1].type == build(recipe).nodes[-1].type
    again = recipe.feeds(0)
    assert all(np.array_equal(value, again[name]) for name, value in recipe.feeds(0).items())
