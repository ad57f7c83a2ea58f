"""Element-wise ops: NumPy's names, broadcasting and promotion; one record each.

In gradients `g` is the cotangent of the result `y`. They are written for the broadcast shape: differentiate sums a
cotangent over the axes along which its operand was stretched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.constants import as_node, promoted
from graphc.errors import DtypeError
from graphc.ir import Bound, Node, Op, Operand, Scalar
from graphc.types import TensorType, broadcast, supported_dtype

BOOL = np.dtype(bool)


def elementwise(
    name: str,
    code: str,
    numpy: Callable[..., Any],
    grad: Callable[..., tuple[Node | None, ...]] | None = None,
    *,
    result: np.dtype[Any] | None = None,
    floating: bool = False,
    cost: int = 1,
    **record: Any,
) -> Op:
    """The record of an op on operands of one dtype; the result has that dtype unless `result` is given."""

    def type_rule(*types: TensorType) -> TensorType:
        _one_dtype(types, floating)
        return TensorType(result or types[0].dtype, broadcast(*(t.shape for t in types)))

    def bind(*operands: Operand) -> Bound:
        if len(operands) != arity:
            raise DtypeError(f"takes {arity} operand{'s' * (arity > 1)}, got {len(operands)}")
        return promoted(*operands, floating=floating), {}

    arity = 1 + max(n for n in range(3) if f"{{{n}}}" in code)
    return Op(name, Scalar(code, cost), type_rule, numpy, grad, bind, **record)


def _one_dtype(types: tuple[TensorType, ...], floating: bool) -> None:
    if len({t.dtype for t in types}) > 1:
        raise DtypeError(f"operands have different dtypes: {', '.join(map(str, types))}")
    if floating and not types[0].floating:
        raise DtypeError(f"wants float operands, got {types[0]}")


# A record reads best as one block.
# fmt: off

# ---- arithmetic -----------------------------------------------------------------------------------------------------

add = elementwise(
    "add", "{0} + {1}", np.add, lambda g, y, a, b: (g, g),
    commutative=True, analytic=True, doc="`a + b`.",
)
subtract = elementwise(
    "subtract", "{0} - {1}", np.subtract, lambda g, y, a, b: (g, -g),
    analytic=True, doc="`a - b`.",
)
multiply = elementwise(
    "multiply", "{0} * {1}", np.multiply, lambda g, y, a, b: (g * b, g * a),
    commutative=True, analytic=True, doc="`a * b`.",
)
divide = elementwise(
    "divide", "{0} / {1}", np.divide, lambda g, y, a, b: (g / b, -g * y / b),
    floating=True, cost=4, analytic=True, domain=(0.5, 2.0), doc="`a / b`; integers become float64 first.",
)
negative = elementwise(
    "negative", "-{0}", np.negative, lambda g, y, a: (-g,),
    analytic=True, doc="`-a`.",
)
power = elementwise(
    "power", "{0} ** {1}", np.power, lambda g, y, a, b: (g * b * a ** (b - 1), g * y * log(a)),
    cost=20, analytic=True, domain=(0.5, 2.0), doc="`a ** b`. The gradient with respect to b holds for a > 0.",
)
absolute = elementwise(
    "abs", "abs({0})", np.abs, lambda g, y, a: (g * sign(a),),
    doc="`|a|`; its gradient at 0 is 0, as in PyTorch.",
)
sign: Op = elementwise(
    "sign", "{0} if {0} != {0} else {dtype}(1 if {0} > 0 else -1 if {0} < 0 else 0)", np.sign,
    lambda g, y, a: (None,), doc="-1, 0 or 1 by the sign of a.",
)
sqrt = elementwise(
    "sqrt", "np.sqrt({0})", np.sqrt, lambda g, y, a: (g / (2 * y),),
    floating=True, cost=4, analytic=True, domain=(0.5, 2.0), doc="The square root.",
)
exp = elementwise(
    "exp", "np.exp({0})", np.exp, lambda g, y, a: (g * y,),
    floating=True, cost=20, analytic=True, doc="`e ** a`.",
)
log: Op = elementwise(
    "log", "np.log({0})", np.log, lambda g, y, a: (g / a,),
    floating=True, cost=20, analytic=True, domain=(0.5, 2.0), doc="The natural logarithm.",
)
# At a tie each operand gets half of the cotangent, as in PyTorch.
maximum = elementwise(
    "maximum", "{0} if {0} >= {1} or {0} != {0} else {1}", np.maximum,
    lambda g, y, a, b: (g * _share(a, b), g * _share(b, a)),
    commutative=True, doc="The larger of a and b; NaN if either is. At a tie both get half of the gradient.",
)
minimum = elementwise(
    "minimum", "{0} if {0} <= {1} or {0} != {0} else {1}", np.minimum,
    lambda g, y, a, b: (g * _share(b, a), g * _share(a, b)),
    commutative=True, doc="The smaller of a and b; NaN if either is. At a tie both get half of the gradient.",
)


def _share(a: Node, b: Node) -> Node:
    """1 where a > b, 1/2 where they are equal, else 0."""
    return (astype(a > b, a.dtype) + astype(a >= b, a.dtype)) * 0.5


# ---- activations ----------------------------------------------------------------------------------------------------


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


# `{0} <= 0` is false for NaN, so NaN passes through: max(0, x) written by hand would swallow it.
relu = elementwise(
    "relu", "{dtype}(0) if {0} <= 0 else {0}", lambda x: np.where(x <= 0, np.zeros_like(x), x),
    lambda g, y, a: (where(y > 0, g, 0),),
    doc="`maximum(a, 0)`, the rectified linear unit; its gradient at 0 is 0, as in PyTorch.",
)
sigmoid = elementwise(
    "sigmoid", "{dtype}(1) / ({dtype}(1) + np.exp(-{0}))", _sigmoid, lambda g, y, a: (g * y * (1 - y),),
    floating=True, cost=24, analytic=True, doc="The logistic function `1 / (1 + exp(-a))`.",
)
tanh = elementwise(
    "tanh", "np.tanh({0})", np.tanh, lambda g, y, a: (g * (1 - y * y),),
    floating=True, cost=40, analytic=True, doc="The hyperbolic tangent.",
)

# fmt: on

# ---- comparisons and choice -----------------------------------------------------------------------------------------


def _comparison(name: str, symbol: str, numpy: Callable[..., Any]) -> Op:
    return elementwise(
        name,
        f"{{0}} {symbol} {{1}}",
        numpy,
        lambda g, y, a, b: (None, None),
        result=BOOL,
        doc=f"`a {symbol} b`, element by element; a bool.",
    )


equal = _comparison("equal", "==", np.equal)
not_equal = _comparison("not_equal", "!=", np.not_equal)
less = _comparison("less", "<", np.less)
less_equal = _comparison("less_equal", "<=", np.less_equal)
greater = _comparison("greater", ">", np.greater)
greater_equal = _comparison("greater_equal", ">=", np.greater_equal)
isfinite = elementwise(
    "isfinite",
    "np.isfinite({0})",
    np.isfinite,
    lambda g, y, a: (None,),
    result=BOOL,
    floating=True,
    doc="True where a is neither NaN nor infinite.",
)
logical_and = elementwise(
    "logical_and",
    "{0} != 0 and {1} != 0",
    np.logical_and,
    lambda g, y, a, b: (None, None),
    result=BOOL,
    commutative=True,
    doc="True where both operands are true (not zero).",
)


logical_or = elementwise(
    "logical_or",
    "{0} != 0 or {1} != 0",
    np.logical_or,
    lambda g, y, a, b: (None, None),
    result=BOOL,
    commutative=True,
    doc="True where one operand or both are true (not zero).",
)


def _where_type(condition: TensorType, a: TensorType, b: TensorType) -> TensorType:
    _one_dtype((a, b), floating=False)
    if condition.dtype != BOOL:
        raise DtypeError(f"the condition is a bool, got {condition}; compare it with something")
    return TensorType(a.dtype, broadcast(condition.shape, a.shape, b.shape))


where: Op = Op(
    "where",
    Scalar("{1} if {0} else {2}"),
    _where_type,
    np.where,
    lambda g, y, c, a, b: (None, where(c, g, 0), where(c, 0, g)),
    bind=lambda condition, a, b: ((as_node(condition), *promoted(a, b)), {}),
    doc="a where the condition holds, else b.",
)


def _astype_grad(g: Node, y: Node, a: Node, dtype: np.dtype[Any]) -> tuple[Node | None]:
    return (astype(g, a.dtype) if a.type.floating else None,)


astype = Op(
    "astype",
    Scalar("{dtype}({0})"),
    lambda a, dtype: TensorType(dtype, a.shape),
    lambda x, dtype: np.asarray(x).astype(dtype),
    _astype_grad,
    bind=lambda x, dtype: ((as_node(x),), {"dtype": supported_dtype(dtype)}),
    doc="The same values as another dtype.",
)

copy = Op(
    "copy",
    Scalar("{0}"),
    lambda a, to: a,
    lambda x, to: x,
    lambda g, y, a, to: (g,),
    bind=lambda x, to: ((as_node(x),), {"to": to}),
    doc="The same values in memory of their own, which `to` names.",
)

stop_gradient = Op(
    "stop_gradient",
    Scalar("{0}", cost=0),
    lambda a: a,
    lambda x: x,
    lambda g, y, a: (None,),
    bind=lambda x: ((as_node(x),), {}),
    doc="The same values, through which no gradient flows.",
)

zeros_like = Op(
    "zeros_like",
    Scalar("{dtype}(0)", cost=0),
    lambda a: a,
    lambda x: np.zeros_like(x),
    lambda g, y, a: (None,),
    bind=lambda x: ((as_node(x),), {}),
    doc="Zeros of the shape and dtype of x, whatever x holds.",
)
