"""How element-wise ops are stated: NumPy's broadcasting and promotion around one expression.

In gradients `g` is the cotangent of the result `y`. They are written for the broadcast shape: differentiate sums a
cotangent over the axes along which its operand was stretched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from graphc.constants import promoted
from graphc.errors import DtypeError
from graphc.ir import Bound, Node, Op, Operand
from graphc.kinds import Composite, Scalar
from graphc.nearest import did_you_mean
from graphc.types import TensorType, broadcast

BOOL = np.dtype(bool)

Gradient = Callable[..., tuple[Node | None, ...]]


def elementwise(
    name: str,
    code: str,
    numpy: Callable[..., Any],
    grad: Gradient | None = None,
    *,
    result: np.dtype[Any] | None = None,
    kinds: str = "fiub",
    floating: bool = False,
    cost: int = 1,
    wrapping: str | None = None,
    bind: Callable[..., Bound] | None = None,
    **record: Any,
) -> Op:
    """The record of an op on operands of one dtype; the result has that dtype unless `result` is given.

    floating: integers become float64 first. kinds: NumPy's letters for the kinds of dtype that the op takes.
    """

    def type_rule(*types: TensorType) -> TensorType:
        one_dtype(types, "f" if floating else kinds)
        return TensorType(result or types[0].dtype, broadcast(*(t.shape for t in types)))

    def bind_all(*operands: Operand) -> Bound:
        if len(operands) != arity:
            raise DtypeError(f"takes {arity} operand{'s' * (arity > 1)}, got {len(operands)}")
        return promoted(*operands, floating=floating), {}

    arity = 1 + max(n for n in range(3) if f"{{{n}}}" in code)
    taken = "f" if floating else kinds
    return Op(
        name, Scalar(code, cost, wrapping), type_rule, numpy, grad, bind or bind_all, arity=arity, kinds=taken, **record
    )


def derived(
    name: str,
    formula: Callable[..., Node],
    numpy: Callable[..., Any],
    grad: Gradient | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    arity: int = 1,
    kinds: str = "f",
    bind: Callable[..., Bound] | None = None,
    **record: Any,
) -> Op:
    """The record of an element-wise op that is a formula over others; `options` are its attrs with their defaults.

    Without a gradient of its own the formula's is taken. kinds: as for elementwise; with "f" integers become float64.
    """
    defaults = dict(options or {})

    def bind_all(*operands: Operand, **given: Any) -> Bound:
        if unknown := set(given) - set(defaults):
            wrong = min(unknown)
            raise TypeError(
                f"{name} has no option {wrong!r}; it has {', '.join(defaults) or 'none'}{did_you_mean(wrong, defaults)}"
            )
        if len(operands) != arity:
            raise DtypeError(f"takes {arity} operand{'s' * (arity > 1)}, got {len(operands)}")
        attrs = {key: type(default)(given.get(key, default)) for key, default in defaults.items()}
        nodes = promoted(*operands, floating=kinds == "f")
        one_dtype(tuple(node.type for node in nodes), kinds)
        return nodes, attrs

    return Op(
        name,
        Composite(formula),
        None,
        numpy,
        grad,
        bind or bind_all,
        arity=arity,
        kinds=kinds,
        **record,
    )


def one_dtype(types: tuple[TensorType, ...], kinds: str = "fiub") -> None:
    """DtypeError unless all operands have one dtype, of one of these kinds."""
    if len({t.dtype for t in types}) > 1:
        raise DtypeError(f"operands have different dtypes: {', '.join(map(str, types))}")
    if types[0].dtype.kind not in kinds:
        names = {"f": "float", "i": "integer", "u": "", "b": "bool"}
        wanted = " or ".join(names[kind] for kind in kinds if names[kind])
        raise DtypeError(f"wants {wanted} operands, got {types[0]}")
