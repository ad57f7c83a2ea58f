"""The site's hand-written pages show what their code prints, and each op has a page. No Sphinx needed."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path
from types import CodeType, FunctionType

import op_pages
import pytest
from running import MismatchError, excerpt, filled

from graphc.ir import OPS, Op

DOCS = Path(__file__).parent.parent / "docs"
WRITTEN = sorted(path for path in DOCS.rglob("*.md") if DOCS / "ops" not in path.parents)
RUN = [page for page in WRITTEN if "```python" in page.read_text(encoding="utf-8")]
ADDS_OPS = DOCS / "how-to-add-an-op.md"


# ---- hand-written pages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [page for page in RUN if page != ADDS_OPS], ids=lambda page: page.stem)
def test_a_page_shows_what_its_code_prints(page: Path, jit_mode, fused: None) -> None:
    text = filled(page.read_text(encoding="utf-8"), page)
    assert "```python" not in text
    assert "```output" not in text


def test_the_worked_example_adds_its_ops_and_leaves_none_behind(tmp_path: Path) -> None:
    """In a process of its own: value, gradient, compiled against interpreted, and a wrong gradient that is found."""
    script = (
        "import sys; from pathlib import Path; from running import filled\n"
        "page = Path(sys.argv[1]); print(filled(page.read_text(encoding='utf-8'), page))"
    )
    paths = f"sys.path[:0] = [{str(DOCS)!r}, {str(DOCS.parent)!r}]"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {paths}\n{script}", str(ADDS_OPS)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "the gradient by x: f32[n], input, softsign.py:" in done.stdout
    assert re.search(r"v\d+ = v\w+ / \(f32\(1\) \+ abs\(v\w+\)\)", done.stdout)  # the op's code, in the emitted loop
    assert not {"softsign", "wrong_softsign", "logit"} & set(OPS)


def test_every_page_is_in_the_site() -> None:
    named = {
        (page.parent / name).resolve()
        for page in WRITTEN
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for name in re.findall(r"(?:^|<)([a-z][\w/-]*)>?$", tree, flags=re.MULTILINE)
    }
    assert named | {DOCS / "index"} == {page.with_suffix("") for page in WRITTEN}


# ---- what is shown of what is printed -------------------------------------------------------------------------------


def test_a_block_without_an_ellipsis_is_all_that_is_printed() -> None:
    assert excerpt("a\nb\n", "a\nb\n") == "a\nb\n"
    for shown in ("a\n", "a\nB\n", "a\nb\nc\n", ""):
        with pytest.raises(MismatchError):
            excerpt(shown, "a\nb\n")


def test_an_ellipsis_stands_for_lines_that_the_site_shows() -> None:
    printed = "a\nb\nc\nd\ne\n"
    assert excerpt("...\n", printed) == printed
    assert excerpt("a\n...\n", printed) == printed
    assert excerpt("b\n...\nd\n", printed) == "...\nb\nc\nd\n...\n"
    assert excerpt("...\nb\nc\n", printed) == "a\nb\nc\n...\n"
    assert excerpt("b\n...\n", printed) == "...\nb\nc\nd\ne\n"


@pytest.mark.parametrize("shown", ["x\n...\n", "d\n...\nb\n", "a\nc\n...\n", "...\ne\nf\n"])
def test_lines_that_are_not_printed_in_that_order_are_a_mismatch(shown: str) -> None:
    with pytest.raises(MismatchError):
        excerpt(shown, "a\nb\nc\nd\ne\n")


def test_a_mismatch_names_the_page_and_the_line() -> None:
    text = "Words.\n\n```python\nprint(1 + 1)\n```\n\n```output\n3\n```\n"
    with pytest.raises(MismatchError, match=re.escape("page.md:7: ")):
        filled(text, Path("page.md"))


def test_a_file_goes_on_from_block_to_block() -> None:
    where = "import sys; print(sys._getframe().f_code.co_filename, sys._getframe().f_lineno)\n"
    text = f"```python a.py\n\n{where}```\n```output\na.py 2\n```\n"
    text += f"```python b.py\n{where}```\n```python a.py\n{where}```\n```output\na.py 3\n```\n"
    shown = filled(text, Path("page.md"))
    assert shown.count(":caption: a.py") == 2
    assert ":lineno-start: 3" in shown


# ---- ops ------------------------------------------------------------------------------------------------------------

PUBLIC = [(family, name) for family, names in op_pages.families().items() for name in names]


def test_each_op_has_a_page_that_the_table_links(tmp_path: Path) -> None:
    op_pages.write(tmp_path)
    made = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.md") if path.stem != "index"}
    table = op_pages.linked((DOCS / "ops.md").read_text(encoding="utf-8"))
    assert made == {f"{family}/{name}.md" for family, name in PUBLIC} == set(re.findall(r"\]\(ops/(.*?)\)", table))


@pytest.mark.parametrize("op", OPS.values(), ids=lambda op: op.name)
def test_the_source_of_a_record_is_found(op: Op) -> None:
    """Each lambda's text is compiled to what the record's own has: names, arguments, constants."""
    for function in (op.numpy, op.grad, op.type, getattr(op.kind, "expand", None), getattr(op.kind, "index", None)):
        if isinstance(function, FunctionType) and function.__name__ == "<lambda>":
            assert facts(eval(f"({op_pages._of_lambda(function)})").__code__) == facts(function.__code__)


def facts(code: CodeType) -> tuple[object, ...]:
    constants = tuple(facts(each) if isinstance(each, CodeType) else each for each in code.co_consts)
    names = {*code.co_names, *code.co_freevars}
    return names, code.co_varnames, tuple(each for each in constants if not isinstance(each, str))


def test_a_page_has_the_records_formulas() -> None:
    page = op_pages.page("activation", "relu")
    assert "gc.relu(a)" in page
    assert "np.where(x <= 0, np.zeros_like(x), x)" in page
    assert "(where(y <= 0, 0, g),)" in page
    assert "| bool | `DtypeError`: wants float or integer operands, got bool |" in page
    assert "slope=0.01" in op_pages.page("activation", "leaky_relu")
    assert "_share(a, b)" in (maximum := op_pages.page("arithmetic", "maximum"))
    assert "def _share(a: Node, b: Node)" in maximum


def test_a_pages_values_are_the_functions() -> None:
    rows = re.findall(r"^\| (\w+) \| (.*) \|$", op_pages.page("functions", "tanh"), flags=re.MULTILINE)
    table = {name: [float(each) for each in cells.split(" | ")] for name, cells in rows[:3]}
    assert table["a"] == [-2, -1, 0, 1, 2]
    for x, y, slope in zip(table["a"], table["tanh"], table["gradient"], strict=True):
        assert y == float(f"{math.tanh(x):.4g}")
        assert slope == float(f"{1 - math.tanh(x) ** 2:.4g}")


def test_a_page_has_the_bound_of_its_code() -> None:
    assert "at most 1.5 ulp" in op_pages.page("functions", "tanh")
    assert "Accuracy" not in op_pages.page("functions", "sin")  # libm's
