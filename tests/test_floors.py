"""The house rules that can be read from the source: imports go down, passes and backend ask what an op is."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "graphc"

# Lowest first. A file imports only from lower floors, or from its own package.
FLOORS = (
    ("atomic", "config", "errors", "sizes", "nearest", "version"),
    ("emitted", "initializers", "kinds", "origin", "report", "tensorfile", "types"),
    ("remedies",),
    ("explained",),
    ("ir",),
    ("arguments", "constants", "graph", "spelling", "state", "runtime"),
    ("kernel", "primitives", "reference", "rewrite", "verify"),
    ("ops",),
    ("datasets", "losses", "metrics", "nn", "optim", "rules", "schedules"),
    ("passes", "backend"),
    ("embed", "explain", "pipeline", "request", "training"),
    ("inspect",),
    ("function",),
    ("copies",),
    ("checkpoint", "compiler", "gradcheck", "weights"),
    ("__init__",),
    ("doctor", "fuzz", "sklearn"),
    ("__main__",),
)
NUMBA_OR_LLVM = ("jit.py", "native.py", "cache.py", "embed.py")
TOOLS = ("doctor", "fuzz", "__main__")
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}
FILES = sorted(PACKAGE.rglob("*.py"))


def top_name(path: Path) -> str:
    """The floor's name for a file: its package below graphc, or itself."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    own = top_name(path)
    for name in imported(path):
        if not name.startswith("graphc."):
            continue
        other = name.split(".")[1]
        assert other in FLOOR_OF, f"{name} has no floor"
        assert other == own or FLOOR_OF[other] < FLOOR_OF[own], f"{own} imports {name}, which is not below it"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_only_the_backend_and_its_primitives_know_numba(path: Path) -> None:
    known = {name.split(".")[0] for name in imported(path)} & {"numba", "llvmlite"}
    assert not known or path.name in NUMBA_OR_LLVM or top_name(path) == "primitives"


@pytest.mark.parametrize("path", [p for p in FILES if top_name(p) in ("passes", "backend")], ids=lambda p: p.name)
def test_passes_and_backend_never_ask_for_an_op_by_name(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Compare):
            compared = ast.unparse(node)
            assert ".op is " not in compared, compared
            assert ".op ==" not in compared, compared
            assert "op.name" not in compared, compared
        if isinstance(node, ast.Subscript):
            assert ast.unparse(node.value) != "OPS", ast.unparse(node)


# Public names; the op table, which grows with NumPy; what is built on it; training; tools; a step's faces; the words of
# errors.
LIBRARY = (
    "__init__",
    "initializers",
    "ops",
    "datasets",
    "losses",
    "metrics",
    "nn",
    "optim",
    "schedules",
    "training",
    "gradcheck",
    "doctor",
    "fuzz",
    "sklearn",
    "__main__",
)
LIBRARY += ("copies", "embed", "explain", "inspect", "report")
LIBRARY += ("emitted", "explained", "remedies", "nearest")
LIBRARY += ("atomic", "tensorfile", "checkpoint", "weights", "version")
BENEATH = ("primitives", "runtime")


def test_the_compiler_stays_small() -> None:
    """4,000 lines of code for the compiler, 1,500 for what its code calls; 420 lines of text a file."""
    core = [path for path in FILES if top_name(path) not in (*LIBRARY, *BENEATH)]
    assert sum(len(code_lines(path)) for path in core) < 4000
    assert sum(len(code_lines(path)) for path in FILES if top_name(path) in BENEATH) < 1500
    assert max(len(path.read_text().splitlines()) for path in FILES) <= 420


def code_lines(path: Path) -> set[int]:
    """The lines that hold more than comments and documentation."""
    kept: set[int] = set()
    source = path.read_text()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.string.strip() and token.type != tokenize.COMMENT:
            kept.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            kept.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))
    return kept


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_functions_are_short_and_documented(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, f"{node.name} is long"
    assert ast.get_docstring(ast.parse(path.read_text())), "a file says what it is for"
