"""What the documents show is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc.passes import PIPELINE

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text: str) -> list[str]:
    return re.findall(r"```(?:python)?\n(.*?)```", text, flags=re.DOTALL)


def test_the_readmes_examples_run_and_print_what_it_shows(capsys, python_mode, fused: None) -> None:
    first, shown, _, more, *_ = blocks(README)
    assert len([line for line in first.splitlines() if line.strip()]) <= 15
    names: dict[str, object] = {}
    exec(compile(first, "train.py", "exec"), names)
    assert capsys.readouterr().out == shown
    exec(compile(more, "train.py", "exec"), names)
    assert names["count"].value == 0.0  # type: ignore[attr-defined]


def test_the_readmes_error_is_the_error(python_mode) -> None:
    shown = next(block for block in blocks(README) if block.startswith("ShapeError"))
    source = "\n\n\nx = gc.input('x', ('batch', 784))\n\n\nW2 = gc.param('W2', (512, 10))\n\nx @ W2\n"
    with pytest.raises(gc.ShapeError) as caught:
        exec(compile(source, "train.py", "exec"), {"gc": gc})
    assert f"ShapeError: {caught.value}\n" == shown


def test_the_map_names_every_file_and_pass() -> None:
    architecture = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for path in (ROOT / "graphc").rglob("*.py"):
        if path.name != "__init__.py" and path.parent.name != "ops":
            assert path.name in architecture or f"`{path.stem}`" in architecture, path.name
    assert [f"`{each.__name__}`" in architecture for each in PIPELINE] == [True] * len(PIPELINE)


def test_the_recipe_for_an_op_works() -> None:
    """The record that CONTRIBUTING shows, made and differentiated."""
    from graphc.ir import OPS
    from graphc.ops import activation, arithmetic

    recipe = next(block for block in blocks((ROOT / "CONTRIBUTING.md").read_text()) if "softsign" in block)
    names = {**vars(arithmetic), **vars(activation)}
    try:
        exec(recipe, names)
        x = gc.param("x", np.array([0.5, -1.0]))
        gc.check_gradient(gc.sum(names["softsign"](x)), {})
    finally:
        OPS.pop("softsign", None)
