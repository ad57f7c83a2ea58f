"""Comparisons, logic, bits and choice; and the ops that only pass values on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.constants import as_node, promoted
from graphc.errors import DtypeError
from graphc.ir import Node, Op
from graphc.kinds import Scalar
from graphc.ops.scalar import BOOL, elementwise, one_dtype
from graphc.types import TensorType, broadcast, supported_dtype


def _no_grad(g: Node, y: Node, *args: Node) -> tuple[None, ...]:
    return tuple(None for _ in args)


# ---- comparisons ----------------------------------------------------------------------------------------------------


def _comparison(name: str, symbol: str, numpy: Callable[..., Any]) -> Op:
    doc = f"`a {symbol} b`, element by element; a bool."
    return elementwise(name, f"{{0}} {symbol} {{1}}", numpy, _no_grad, result=BOOL, doc=doc)


equal = _comparison("equal", "==", np.equal)
not_equal = _comparison("not_equal", "!=", np.not_equal)
less = _comparison("less", "<", np.less)
less_equal = _comparison("less_equal", "<=", np.less_equal)
greater = _comparison("greater", ">", np.greater)
greater_equal = _comparison("greater_equal", ">=", np.greater_equal)

# A record reads best as one block.
# fmt: off

isfinite = elementwise(
    "isfinite", "np.isfinite({0})", np.isfinite, _no_grad,
    result=BOOL, floating=True, doc="True where a is neither NaN nor infinite.",
)
isnan = elementwise(
    "isnan", "{0} != {0}", np.isnan, _no_grad, result=BOOL, floating=True, doc="True where a is NaN.",
)
isinf = elementwise(
    "isinf", "np.isinf({0})", np.isinf, _no_grad, result=BOOL, floating=True, doc="True where a is infinite.",
)

# ---- logic and bits -------------------------------------------------------------------------------------------------

logical_and = elementwise(
    "logical_and", "{0} != 0 and {1} != 0", np.logical_and, _no_grad,
    result=BOOL, commutative=True, doc="True where both operands are true (not zero).",
)
logical_or = elementwise(
    "logical_or", "{0} != 0 or {1} != 0", np.logical_or, _no_grad,
    result=BOOL, commutative=True, doc="True where one operand or both are true (not zero).",
)
logical_xor = elementwise(
    "logical_xor", "({0} != 0) != ({1} != 0)", np.logical_xor, _no_grad,
    result=BOOL, commutative=True, doc="True where exactly one operand is true (not zero).",
)
logical_not = elementwise(
    "logical_not", "{0} == 0", np.logical_not, _no_grad, result=BOOL, doc="True where a is false (zero).",
)
bitwise_and = elementwise(
    "bitwise_and", "{0} & {1}", np.bitwise_and, _no_grad,
    kinds="iub", commutative=True, doc="The bits set in both integers; of bools, logical and. Also `a & b`.",
)
bitwise_or = elementwise(
    "bitwise_or", "{0} | {1}", np.bitwise_or, _no_grad,
    kinds="iub", commutative=True, doc="The bits set in either integer; of bools, logical or. Also `a | b`.",
)
bitwise_xor = elementwise(
    "bitwise_xor", "{0} ^ {1}", np.bitwise_xor, _no_grad,
    kinds="iub", commutative=True, doc="The bits set in one of the integers; of bools, logical xor. Also `a ^ b`.",
)
invert = elementwise(
    "invert", "~{0}", np.invert, _no_grad, kinds="iub", doc="Every bit flipped; of bools, logical not. Also `~a`.",
)
# Shifts by all bits or more are defined here as in NumPy; in machine code, which shifts 64 bits, they are not.
left_shift = elementwise(
    "left_shift", "{0} << {1} if 0 <= {1} < 64 else {dtype}(0)", np.left_shift, _no_grad,
    kinds="iu", domain=(0, 8), doc="`a << b`: a moved up by b bits; 0 where none is left.",
)
right_shift = elementwise(
    "right_shift", "{0} >> {1} if 0 <= {1} < 64 else {dtype}(-1 if {0} < 0 else 0)", np.right_shift, _no_grad,
    kinds="iu", domain=(0, 8), doc="`a >> b`: a moved down by b bits; the sign stays.",
)

# fmt: on

# ---- choice ---------------------------------------------------------------------------------------------------------


def _where_type(condition: TensorType, a: TensorType, b: TensorType) -> TensorType:
    one_dtype((a, b))
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

# ---- the same values ------------------------------------------------------------------------------------------------


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
    arity=1,
    doc="The same values, through which no gradient flows.",
)

zeros_like = Op(
    "zeros_like",
    Scalar("{dtype}(0)", cost=0),
    lambda a: a,
    lambda x: np.zeros_like(x),
    lambda g, y, a: (None,),
    bind=lambda x: ((as_node(x),), {}),
    arity=1,
    doc="Zeros of the shape and dtype of x, whatever x holds.",
)
