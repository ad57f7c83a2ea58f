"""What the documents show is what the code does."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from op_pages import families

import graphc as gc
from graphc.ir import Op
from graphc.passes import PIPELINE

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text: str) -> list[str]:
    return re.findall(r"```(?:python)?\n(.*?)```", text, flags=re.DOTALL)


def test_the_readmes_examples_run_and_print_what_it_shows(
    capsys, python_mode, fused: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, shown, _, more, layers, optimizer, training, resuming, many, *_ = blocks(README)
    assert len([line for line in first.splitlines() if line.strip()]) <= 15
    names: dict[str, object] = {}
    exec(compile(first, "train.py", "exec"), names)
    assert capsys.readouterr().out == shown
    exec(compile(more, "train.py", "exec"), names)
    assert names["count"].value == 0.0  # type: ignore[attr-defined]
    exec(compile(layers, "train.py", "exec"), names)
    assert names["classes"](x=names["images"]).shape == (128,)  # type: ignore[operator]
    exec(compile(optimizer, "train.py", "exec"), names)
    w = gc.param("w", np.array([1.0, -1.0]))
    gc.compile(gc.sum(w * w), optimizer=names["SignSGD"](lr=0.5))()  # type: ignore[operator]
    np.testing.assert_array_equal(w.value, [0.5, -0.5])
    exec(compile(training, "train.py", "exec"), names)
    assert names["history"].steps == 8  # type: ignore[attr-defined]
    assert list(names["history"].metrics) == ["val_loss", "accuracy"]  # type: ignore[attr-defined]
    exec(compile(resuming, "train.py", "exec"), names)
    assert names["checkpoint"].resume() == 4  # type: ignore[attr-defined]
    assert Path("weights.safetensors").exists()
    exec(compile(many, "train.py", "exec"), names)
    assert names["many"].params[0].value.shape == (8, 784, 512)  # type: ignore[attr-defined]


def test_the_readmes_links_lead_somewhere() -> None:
    """And every example is linked."""
    links = re.findall(r"\]\(([\w/.-]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []
    assert {f"examples/{path.name}" for path in (ROOT / "examples").glob("*.py")} <= {*links, "examples/digits.py"}


def test_the_readmes_native_loop_runs(jit_mode, fused: None) -> None:
    first, native = blocks(README)[0], next(block for block in blocks(README) if "@numba.njit" in block)
    names: dict[str, Any] = {}
    exec(compile(first, "train.py", "exec"), names)
    before = names["W2"].value.copy()
    exec(compile(native, "train.py", "exec"), names)
    assert not np.array_equal(names["W2"].value, before)
    order = np.arange(70)
    batches = (order[:32], order[32:64], order[64:])
    names["step"].optimizer.lr = 0.0
    total = names["epoch"](names["images"], names["labels"], order)
    assert total == sum(names["step"](names["images"][each], names["labels"][each]) for each in batches)


def test_the_readmes_report_is_the_report(capsys, python_mode, fused: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for its times, the cache, and where the number of threads comes from."""
    monkeypatch.setenv("GRAPHC_NUM_THREADS", "2")
    found = blocks(README)
    at = next(number for number, block in enumerate(found) if block.startswith("print(step.report())"))
    names: dict[str, object] = {}
    exec(compile(found[0], "train.py", "exec"), names)
    capsys.readouterr()
    exec(compile(found[at], "train.py", "exec"), names)
    here = re.compile(r"^(compiled in|  graph|threads: 2,) .*$", re.MULTILINE)
    shown, printed = (here.subn(r"\1", text) for text in (found[at + 1], capsys.readouterr().out))
    assert printed == shown
    assert printed[1] == 3


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


# ---- docs/ops.md ----------------------------------------------------------------------------------------------------

OPS_PAGE = ROOT / "docs" / "ops.md"
GENERATED = "<!-- Below: from the records, by `pytest tests/test_docs.py --update-golden`. -->\n"


def ops_page() -> str:
    """The page's own introduction, then a table for each family."""
    lines = [OPS_PAGE.read_text(encoding="utf-8").split(GENERATED)[0] + GENERATED]
    for family, names in sorted(families().items()):
        title = inspect.getdoc(importlib.import_module(f"graphc.ops.{family}")) or ""
        lines += [f"## {family}\n", f"{first_paragraph(title)}\n", "| op | |", "|---|---|"]
        for name in names:
            each = getattr(gc, name)
            doc = first_paragraph(each.doc if isinstance(each, Op) else inspect.getdoc(each) or "")
            lines.append(f"| `{name}` | {doc} |")
        lines.append("")
    return "\n".join(lines)


def first_paragraph(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def test_the_page_of_ops_is_the_table(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-golden"):
        OPS_PAGE.write_text(ops_page(), encoding="utf-8")
    assert OPS_PAGE.read_text(encoding="utf-8") == ops_page()
