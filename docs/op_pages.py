"""A page for each op, made from its record: what it computes, its gradient, its types, what it is to the compiler.

The sources of formulas are read from graphc/ops by their place there, since a record holds functions.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

import graphc as gc
from graphc.ir import Op
from graphc.kinds import Composite, Fold, Gather, Scalar, Scan, View
from graphc.primitives import elementary

ROOT = Path(__file__).parent.parent
DTYPES = ("float32", "float64", "int32", "int64", "uint8", "bool")
POINTS = 5


# ---- all pages ------------------------------------------------------------------------------------------------------


def families() -> dict[str, list[str]]:
    """The public names by the file of graphc/ops that `graphc/__init__.py` imports them from."""
    tree = ast.parse((ROOT / "graphc" / "__init__.py").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {
        str(node.module).split(".")[-1]: sorted("abs" if a.name == "absolute" else a.name for a in node.names)
        for node in imports
        if str(node.module).startswith("graphc.ops.")
    }


def write(folder: Path) -> None:
    """The pages, in folders by family; what was there before is gone."""
    shutil.rmtree(folder, ignore_errors=True)
    for family, names in families().items():
        (folder / family).mkdir(parents=True)
        (folder / family / "index.md").write_text(family_page(family, names), encoding="utf-8")
        for name in names:
            (folder / family / f"{name}.md").write_text(page(family, name), encoding="utf-8")


def linked(text: str) -> str:
    """docs/ops.md with a link from each op to its page, and the pages' place in the site."""
    family = ""
    lines = []
    for line in text.splitlines():
        family = line.removeprefix("## ") if line.startswith("## ") else family
        lines.append(re.sub(r"^\| `(\w+)` \|", rf"| [`\1`](ops/{family}/\1.md) |", line))
    return "\n".join([*lines, "", *_toctree([f"ops/{family}/index" for family in sorted(families())])])


def family_page(family: str, names: list[str]) -> str:
    """The ops of a family, each with the first sentences of its documentation."""
    doc = inspect.getdoc(importlib.import_module(f"graphc.ops.{family}")) or ""
    rows = [f"- [`{name}`]({name}.md): {_first_paragraph(_doc(getattr(gc, name)))}" for name in names]
    return "\n".join([f"# {family}", "", doc, "", f"File: `graphc/ops/{family}.py`.", "", *rows, "", *_toctree(names)])


def _toctree(pages: list[str]) -> list[str]:
    return ["```{toctree}", ":hidden:", "", *pages, "```", ""]


def _doc(what: Any) -> str:
    return what.doc if isinstance(what, Op) else inspect.getdoc(what) or ""


def _first_paragraph(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())


# ---- one page -------------------------------------------------------------------------------------------------------


def page(family: str, name: str) -> str:
    """The page of a public name: a record, or a function over records."""
    what = getattr(gc, name)
    parts = _of_record(what) if isinstance(what, Op) else _of_function(what)
    return "\n".join([f"# {name}", "", *parts, f"Defined in `graphc/ops/{family}.py`.", ""])


def _of_function(function: Callable[..., Any]) -> Iterator[str]:
    yield from _code(f"gc.{function.__name__}{_plain(inspect.signature(function))}")
    yield from [_doc(function), ""]
    yield from ["## Source", "", "It has no record of its own: it is a function that builds nodes of other ops.", ""]
    yield from _code(_source(function))


def _of_record(op: Op) -> Iterator[str]:
    yield from _code(f"gc.{op.name}({signature(op)})")
    yield from [op.doc, ""]
    if op.arity == 1 and "f" in op.kinds:
        yield from _values(op)
    yield from _meaning(op)
    yield from _gradient(op)
    yield from _types(op)
    yield from _to_the_compiler(op)
    yield from _accuracy(op)


def _code(text: str) -> Iterator[str]:
    yield from ["```{code-block} python", "", text, "```", ""]


def _values(op: Op) -> Iterator[str]:
    """The op and its slope at some points of its domain, by the reference interpreter."""
    points = np.linspace(*op.domain, POINTS)
    x = gc.param("x", points)
    y = op(x)
    rows = {"a": points, op.name: gc.evaluate(y, {})}
    if y.type.floating and (op.grad is not None or isinstance(op.kind, Composite)):
        rows["gradient"] = gc.evaluate(gc.grad(gc.sum(y), x), {})
    head, *rest = [f"| {label} | {' | '.join(_number(value) for value in values)} |" for label, values in rows.items()]
    yield from [head, "|---" * (POINTS + 1) + "|", *rest, ""]


def _number(value: Any) -> str:
    return str(value) if value.dtype == bool else f"{value + 0.0:.4g}"


def _meaning(op: Op) -> Iterator[str]:
    if op.numpy is not None:
        yield from ["## Meaning", "", "In NumPy; the reference interpreter runs this, and tests compare with it.", ""]
        yield from _code(_source(op.numpy))


def _gradient(op: Op) -> Iterator[str]:
    yield from ["## Gradient", ""]
    if op.grad is None:
        yield from ["That of its formula (below), which is differentiated instead.", ""]
        return
    yield from [
        "`g` is the gradient of the loss by the result `y`. One entry an operand; `None`: nothing flows there.",
        "",
    ]
    yield from _code(_source(op.grad))


def _types(op: Op) -> Iterator[str]:
    yield from ["## Types", ""]
    if op.arity is None:
        if op.type is not None:
            yield from ["The type rule, from the types of the operands to that of the result:", ""]
            yield from _code(_source(op.type))
        else:
            yield from ["Those that its formula gives.", ""]
        return
    if op.arity > 1:
        yield from ["Shapes broadcast as in NumPy, dtypes are promoted as in NumPy 2.", ""]
    yield from [f"| operand{'s' * (op.arity > 1)} | result |", "|---|---|"]
    yield from [f"| {dtype} | {_result(op, dtype)} |" for dtype in DTYPES]
    yield ""


def _result(op: Op, dtype: str) -> str:
    """The dtype that an element-wise op gives for operands of this dtype."""
    try:
        return str(op(*(gc.input(f"a{at}", (), dtype) for at in range(op.arity or 0))).dtype)
    except gc.DtypeError as error:
        return f"`DtypeError`: {str(error).splitlines()[0].partition(': ')[2]}"


def _to_the_compiler(op: Op) -> Iterator[str]:
    yield from [
        "## To the compiler",
        "",
        f"`{type(op.kind).__name__}`: {_first_paragraph(inspect.getdoc(op.kind) or '')}",
        "",
    ]
    if isinstance(op.kind, Composite):
        yield from _code(_source(op.kind.expand))
    elif isinstance(op.kind, Scalar):
        yield from _code(op.kind.code)
        yield from [f"Its price is {op.kind.cost} addition{'s' * (op.kind.cost > 1)}.", ""]
    elif isinstance(op.kind, (Fold, Scan)):
        yield from _code(f"acc = {op.kind.step}")
    elif isinstance(op.kind, (View, Gather)):
        yield from _code(_source(op.kind.index))


def _accuracy(op: Op) -> Iterator[str]:
    """What graphc/primitives/elementary.py says of the function that the element's code calls."""
    called = re.fullmatch(r"(\w+)\(\{0\}\)", op.kind.code) if isinstance(op.kind, Scalar) else None
    doc = inspect.getdoc(getattr(elementary, called[1], None)) if called else None
    bound = re.search(r"to ([\d.]+) ulp", doc or "")
    if doc and bound:
        yield from [
            "## Accuracy",
            "",
            f"The error of compiled code is at most {bound[1]} ulp, float32 and float64.",
            "",
        ]
        yield from ["How it is computed (`graphc/primitives/elementary.py`):", "", doc, ""]


# ---- signatures -----------------------------------------------------------------------------------------------------


def signature(op: Op) -> str:
    """The operands and options of a call."""
    declared = inspect.signature(op.bind)
    if not any(each.kind is each.VAR_POSITIONAL for each in declared.parameters.values()) or op.arity is None:
        return _plain(declared)[1:-1]
    formula = op.kind.expand if isinstance(op.kind, Composite) else None
    names = [*inspect.signature(formula).parameters] if formula else ["a", "b", "c"]
    dtype = "float32" if "f" in op.kinds else "int64" if "i" in op.kinds else "bool"
    options = op(*(gc.input(name, (), dtype) for name in names[: op.arity])).options
    return ", ".join([*names[: op.arity], *(f"{name}={value!r}" for name, value in options.items())])


def _plain(declared: inspect.Signature) -> str:
    """Without annotations."""
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in declared.parameters.values()]
    return str(inspect.Signature(bare))


# ---- sources --------------------------------------------------------------------------------------------------------


def _source(function: Callable[..., Any]) -> str:
    """A function's text, after that of the private helpers that it calls."""
    texts: dict[str, str] = {}
    _collect(function, texts)
    return "\n\n".join(texts.values())


def _collect(function: Any, texts: dict[str, str]) -> None:
    if not isinstance(function, FunctionType):
        texts[repr(function)] = f"np.{function.__name__}"
        return
    text = (
        _of_lambda(function)
        if function.__name__ == "<lambda>"
        else textwrap.dedent(inspect.getsource(function)).strip()
    )
    if text in texts:
        return
    texts[text] = text
    found = inspect.getclosurevars(function)
    for name, value in found.globals.items():
        if name.startswith("_") and isinstance(value, FunctionType):
            _collect(value, texts)
    for name, value in found.nonlocals.items():
        if callable(value) and not isinstance(value, FunctionType):
            texts[name] = f"# {name} is {'np.' * (getattr(np, value.__name__, None) is value)}{value.__name__}"


def _of_lambda(function: FunctionType) -> str:
    """The text of a lambda: the one on its line with its arguments, and if there are several, with the same names."""
    code = function.__code__
    arguments = sorted(inspect.signature(function).parameters)
    same = [
        (node, text)
        for node, text in _lambdas(code.co_filename)
        if node.lineno == code.co_firstlineno and _arguments(node) == arguments
    ]
    if len(same) > 1:
        names = {*code.co_names, *code.co_freevars}
        same = [(node, text) for node, text in same if _read_by(node, {*arguments}) == names]
    ((_, text),) = same
    return text


def _arguments(node: ast.Lambda) -> list[str]:
    return sorted(each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg))


@cache
def _lambdas(path: str) -> list[tuple[ast.Lambda, str]]:
    text = Path(path).read_text(encoding="utf-8")
    found = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Lambda)]
    return [(node, textwrap.dedent(ast.get_source_segment(text, node) or "")) for node in found]


def _read_by(node: ast.Lambda, arguments: set[str]) -> set[str]:
    """The names and attributes in a lambda's body, its arguments aside."""
    names = {each.id for each in ast.walk(node.body) if isinstance(each, ast.Name)} - arguments
    return names | {each.attr for each in ast.walk(node.body) if isinstance(each, ast.Attribute)}
