"""Twenty-five bugs, each planted for the time of a test: what the fuzzer must find."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from graphc import rules
from graphc.ir import OPS
from graphc.ops.choice import where
from graphc.ops.product import dot, gemm
from graphc.ops.shape import broadcast_to, reshape, transpose

Planting = contextlib.AbstractContextManager[None]


@dataclass(frozen=True)
class Bug:
    name: str
    plant: Callable[[], Planting]


@contextlib.contextmanager
def record(op: str, field: str, value: Any) -> Iterator[None]:
    """Another value of one field of an op's record."""
    before = getattr(OPS[op], field)
    object.__setattr__(OPS[op], field, value)
    try:
        yield
    finally:
        object.__setattr__(OPS[op], field, before)


@contextlib.contextmanager
def scalar_code(op: str, old: str, new: str) -> Iterator[None]:
    """Another code of an element-wise op."""
    kind: Any = OPS[op].kind
    assert old in kind.code
    with record(op, "kind", replace(kind, code=kind.code.replace(old, new))):
        yield


@contextlib.contextmanager
def edited(module: str, name: str, old: str, new: str) -> Iterator[None]:
    """A function (or `Class.method`) whose text has `new` in place of `old`, whoever refers to it."""
    home = importlib.import_module(f"graphc.{module}")
    *path, attribute = name.split(".")
    owner: Any = home
    for each in path:
        owner = getattr(owner, each)
    before = getattr(owner, attribute)
    source = textwrap.dedent(inspect.getsource(before))
    assert source.count(old) == 1, f"{name} has {source.count(old)} times {old!r}"
    scope: dict[str, Any] = {}
    exec("from __future__ import annotations\n" + source.replace(old, new), vars(home), scope)
    kept = before.__code__
    try:
        before.__code__ = scope[attribute].__code__
        yield
    finally:
        before.__code__ = kept


@contextlib.contextmanager
def rule(name: str, **changes: Any) -> Iterator[None]:
    """Another right side or condition of a rule, in every table that has it."""
    found = next(each for table in (rules.RULES, rules.GEMM) for each in table if each.name == name)
    wrong = replace(found, **changes)
    tables = [
        (module, key, value)
        for module in (sys.modules[n] for n in list(sys.modules) if n.split(".")[0] == "graphc")
        for key, value in list(vars(module).items())
        if isinstance(value, tuple) and any(each is found for each in value)
    ]
    try:
        for module, key, table in tables:
            setattr(module, key, tuple(wrong if each is found else each for each in table))
        yield
    finally:
        for module, key, table in tables:
            setattr(module, key, table)


def _padded(g: Any, x: Any) -> Any:
    """g with axes put at its end, until it has as many as x: right only if the last axes were reduced."""
    return reshape(g, (*g.shape, *[1] * (x.ndim - g.ndim)))


def _dot_grad_of_symmetric(g: Any, y: Any, a: Any, b: Any) -> Any:
    if a.ndim == b.ndim == 1:
        return g * b, g * a
    if a.ndim == 1:
        return dot(g, b) if b.shape[0] == b.shape[1] else dot(b, g), reshape(a, (-1, 1)) * g
    if b.ndim == 1:
        return reshape(g, (-1, 1)) * b, dot(a if a.shape[0] == a.shape[1] else transpose(a), g)
    return dot(g, transpose(b)), dot(transpose(a), g)


BUGS = [
    # ops: gradients and code
    Bug("the gradient of tanh has the wrong sign", lambda: record("tanh", "grad", lambda g, y, a: (-g * (1 - y * y),))),
    Bug(
        "the gradient of multiply takes one factor twice",
        lambda: record("multiply", "grad", lambda g, y, a, b: (g * b,) * 2),
    ),
    Bug(
        "the gradients of where change places",
        lambda: record("where", "grad", lambda g, y, c, a, b: (None, where(c, 0, g), where(c, g, 0))),
    ),
    Bug(
        "the gradient of a sum forgets keepdims",
        lambda: record("sum", "grad", lambda g, y, x, axes, keepdims: (broadcast_to(_padded(g, x), x.shape),)),
    ),
    Bug(
        "the gradient of a matrix times a vector is not transposed",
        lambda: record("dot", "grad", _dot_grad_of_symmetric),
    ),
    Bug("minimum is compared the other way round", lambda: scalar_code("minimum", "<=", ">=")),
    Bug("relu keeps what is negative", lambda: scalar_code("relu", "<= 0", ">= 0")),
    # rules
    Bug("x - -y becomes x - y", lambda: rule("sub-neg", after=("subtract", "x", "y"))),
    Bug("x ** 2 becomes x * 2", lambda: rule("power-two", after=("multiply", "x", 2.0))),
    Bug("every transpose is dropped that keeps the shape", lambda: rule("same-order", when=lambda x, axes: True)),
    Bug(
        "a folded product is added where it is subtracted",
        lambda: rule("gemm-descent", after=lambda c, s, a, b: gemm(a, b, c, s, 1.0)),
    ),
    Bug(
        "weight decay is lost where it becomes beta",
        lambda: rule("gemm-beta", after=("gemm", "a", "b", "c", "alpha", 1.0)),
    ),
    # differentiate
    Bug(
        "cotangents are not added up",
        lambda: edited(
            "passes.differentiate", "_propagate", "cotangents[arg] + share if arg in cotangents else share", "share"
        ),
    ),
    Bug(
        "a cotangent is not summed over axes that were 1",
        lambda: edited(
            "passes.differentiate", "_unstretched", "sum(cotangent, axes)", "__import__('graphc').max(cotangent, axes)"
        ),
    ),
    # simplify
    Bug(
        "folded constants are rounded to whole numbers",
        lambda: edited(
            "passes.simplify",
            "_folded",
            "np.asarray(node.op.numpy(*values, **node.options))",
            "np.rint(node.op.numpy(*values, **node.options))",
        ),
    ),
    # fuse, cone, nest
    Bug(
        "params are overwritten before their last read",
        lambda: edited("passes.fuse", "_constraints", "(readers.get(param, set()) - {first, *rest}) | ", ""),
    ),
    Bug(
        "an update may overwrite what it reads at other indices",
        lambda: edited("passes.fuse", "_overwrites_what_it_reads", "or index != own", "or False"),
    ),
    Bug(
        "guards are not checked",
        lambda: edited(
            "passes.nest",
            "Nest.check",
            "self.value((guard.condition, ()), [self.top])",
            '"np.bool_(True)"',
        ),
    ),
    Bug(
        "a broadcast operand is read at its first axes' indices",
        lambda: edited("ops.shape", "stretched", "index[len(index) - len(shape) :]", "index[: len(shape)]"),
    ),
    Bug(
        "float32 sums are not wide",
        lambda: edited("passes.nest", "Nest._fold_to_scalar", "kind.accumulator(node.dtype)", "node.dtype"),
    ),
    Bug(
        "a reduction in memory is not filled first",
        lambda: edited("passes.nest", "Nest._fold_to_memory", "around.insert(around.index(loop), fill)", "pass"),
    ),
    # plan
    Bug(
        "a slot is free before its buffer's last use",
        lambda: edited(
            "passes.plan", "plan", "in enumerate(used) for buffer", "in reversed(list(enumerate(used))) for buffer"
        ),
    ),
    Bug(
        "a buffer that is still read is overwritten",
        lambda: edited(
            "passes.plan",
            "_follows_in_place",
            "return last < first",
            "return True",
        ),
    ),
    # emit
    Bug(
        "BLAS is told that no second operand is transposed",
        lambda: edited(
            "backend.emit", "_gemm", "{item.a.transposed}, {right}, {item.b.transposed}", "False, {right}, False"
        ),
    ),
    Bug(
        "loops end one short",
        lambda: edited("backend.emit", "_range", "({size_code(loop.extent)})", "({size_code(loop.extent)} - 1)"),
    ),
]
