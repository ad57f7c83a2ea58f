"""Arithmetic: NumPy's names and meanings, one record each."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.constants import as_node, constant_value, promoted
from graphc.errors import DtypeError
from graphc.explained import teaching
from graphc.ir import Bound, Node, Op, Operand
from graphc.ops.choice import astype, equal, logical_and, logical_or, where
from graphc.ops.functions import log, sqrt
from graphc.ops.scalar import derived, elementwise

# A record reads best as one block.
# fmt: off

add = elementwise(
    "add", "{0} + {1}", np.add, lambda g, y, a, b: (g, g), wrapping="wrapping_add({0}, {1})",
    commutative=True, analytic=True, doc="`a + b`.",
)
subtract = elementwise(
    "subtract", "{0} - {1}", np.subtract, lambda g, y, a, b: (g, -g), wrapping="wrapping_subtract({0}, {1})",
    kinds="fiu", analytic=True, doc="`a - b`.",
)
multiply = elementwise(
    "multiply", "{0} * {1}", np.multiply, lambda g, y, a, b: (g * b, g * a), wrapping="wrapping_multiply({0}, {1})",
    commutative=True, analytic=True, doc="`a * b`.",
)
divide = elementwise(
    "divide", "{0} / {1}", np.divide, lambda g, y, a, b: (g / b, -g * y / b),
    floating=True, cost=4, analytic=True, domain=(0.5, 2.0), doc="`a / b`; integers become float64 first.",
)
floor_divide: Op = elementwise(
    "floor_divide", "floor_divide({0}, {1})", np.floor_divide, lambda g, y, a, b: (None, None),
    kinds="fiu", cost=12, domain=(0.5, 2.0), doc="`floor(a / b)`; an integer divided by 0 is 0. Also `a // b`.",
)
remainder = elementwise(
    "remainder", "remainder({0}, {1})", np.remainder, lambda g, y, a, b: (g, -g * floor_divide(a, b)),
    kinds="fiu", cost=12, domain=(0.5, 2.0),
    doc="`a - b * floor(a / b)`, with the sign of b; an integer divided by 0 leaves 0. Also `a % b`.",
)
negative = elementwise(
    "negative", "-{0}", np.negative, lambda g, y, a: (-g,), wrapping="wrapping_subtract(i64(0), {0})",
    kinds="fiu", analytic=True, doc="`-a`.",
)
absolute = elementwise(
    "abs", "abs({0})", np.abs, lambda g, y, a: (g * sign(a),),
    wrapping="wrapping_subtract(i64(0), {0}) if {0} < 0 else {0}",
    doc="`|a|`; its gradient at 0 is 0, as in PyTorch.",
)
sign: Op = elementwise(
    "sign", "{0} if {0} != {0} else {dtype}(1 if {0} > 0 else -1 if {0} < 0 else 0)", np.sign,
    lambda g, y, a: (None,), kinds="fiu", doc="-1, 0 or 1 by the sign of a.",
)
square = derived(
    "square", lambda a: a * a, np.square,
    kinds="fiu", analytic=True, doc="`a * a`.",
)
reciprocal = elementwise(
    "reciprocal", "{dtype}(1) / {0}", np.reciprocal, lambda g, y, a: (-g * y * y,),
    kinds="f", cost=4, analytic=True, domain=(0.5, 2.0), doc="`1 / a` of floats.",
)
rsqrt = derived(
    "rsqrt", lambda a: 1 / sqrt(a), lambda a: 1 / np.sqrt(a),
    analytic=True, domain=(0.5, 2.0), doc="`1 / sqrt(a)`.",
)



def _power_bind(a: Operand, b: Operand) -> Bound:
    base, exponent = promoted(a, b)
    value = constant_value(exponent)
    if base.dtype.kind in "iu" and value is not None and np.any(value < 0):
        raise DtypeError("integers have no negative powers here; cast the base first: a.astype('float64')")
    return (base, exponent), {}


def _power_grad(g: Node, y: Node, a: Node, b: Node) -> tuple[Node, Node]:
    """`b a^(b-1)` and `a^b log(a)`; 0 where b is 0, and where a is 0 and b is not negative: their limits."""
    value = constant_value(b)
    flat = where(equal(b, 0), 1, b - 1) if value is None or np.any(value == 0) else b - 1
    return g * b * a**flat, g * y * log(where(logical_and(equal(a, 0), b >= 0), 1, a))


power = elementwise(
    "power", "{0} ** {1}", np.power, _power_grad, bind=_power_bind,
    kinds="fiu", cost=100, analytic=True, domain=(0.5, 2.0),
    doc="`a ** b`. The gradient with respect to b is 0 where a is 0, and NaN where a is negative, as in PyTorch.",
)

# At a tie each operand gets half of the cotangent, as in PyTorch.
maximum: Op = elementwise(
    "maximum", "{0} if {0} >= {1} or {0} != {0} else {1}", np.maximum,
    lambda g, y, a, b: (g * _share(a, b), g * _share(b, a)),
    commutative=True, doc="The larger of a and b; NaN if either is. At a tie both get half of the gradient.",
)
minimum: Op = elementwise(
    "minimum", "{0} if {0} <= {1} or {0} != {0} else {1}", np.minimum,
    lambda g, y, a, b: (g * _share(b, a), g * _share(a, b)),
    commutative=True, doc="The smaller of a and b; NaN if either is. At a tie both get half of the gradient.",
)


def _share(a: Node, b: Node) -> Node:
    """1 where a > b, 1/2 where they are equal, else 0."""
    return (astype(a > b, a.dtype) + astype(a >= b, a.dtype)) * 0.5


# clip with one bound: maximum and minimum but for the gradient at a tie.
at_least = derived(
    "at_least", lambda a, low: maximum(a, low), np.maximum,
    lambda g, y, a, low: (where(a >= low, g, 0), where(a < low, g, 0)),
    arity=2, kinds="fiub", doc="a, no less than low; where they are equal a has gradient 1.",
)
at_most = derived(
    "at_most", lambda a, high: minimum(a, high), np.minimum,
    lambda g, y, a, high: (where(a <= high, g, 0), where(a > high, g, 0)),
    arity=2, kinds="fiub", doc="a, no more than high; where they are equal a has gradient 1.",
)


def _clip_bind(a: Operand, low: Operand = None, high: Operand = None) -> Bound:
    if low is None or high is None:
        if low is None and high is None:
            raise DtypeError("wants a lower bound, an upper bound, or both")
        return at_most(a, high) if low is None else at_least(a, low)
    return promoted(a, low, high), {}


clip = derived(
    "clip", lambda a, low, high: minimum(maximum(a, low), high),
    lambda a, low, high: np.minimum(np.maximum(a, low), high),
    lambda g, y, a, low, high: (
        where(logical_and(a >= low, a <= high), g, 0),
        where(logical_and(a < low, low < high), g, 0),
        where(logical_or(a > high, low > high), g, 0),
    ),
    bind=_clip_bind, arity=3, kinds="fiub",
    doc="a, no less than low and no more than high; at either bound a has gradient 1, as in PyTorch.",
)

# ---- to whole numbers -----------------------------------------------------------------------------------------------


def _whole(name: str, code: str, numpy: Callable[..., Any], doc: str) -> Op:
    """An op that rounds floats, and returns integers as they are."""

    def bind(a: Operand) -> Bound:
        node = as_node(a)
        return ((node,), {}) if node.type.floating else node

    return elementwise(name, code, numpy, lambda g, y, a: (None,), kinds="f", bind=bind, cost=2, doc=doc)


floor = _whole("floor", "np.floor({0})", np.floor, "The largest whole number that is at most a.")
ceil = _whole("ceil", "np.ceil({0})", np.ceil, "The smallest whole number that is at least a.")
trunc = _whole("trunc", "np.trunc({0})", np.trunc, "The whole number next to a on the side of 0.")
rint = elementwise(
    "rint", "np.rint({0})", np.rint, lambda g, y, a: (None,),
    floating=True, cost=2, doc="The nearest whole number; a half goes to the even one.",
)


@teaching
def round(a: Operand, decimals: int = 0) -> Node:
    """`a` rounded to `decimals` digits after the point (before it if negative), halves to even: NumPy's `round`."""
    node = as_node(a)
    if not decimals:
        return node if node.dtype.kind in "iu" else rint(node)
    scale = 10.0 ** builtins.abs(decimals)
    return rint(multiply(a, scale)) / scale if decimals > 0 else rint(divide(a, scale)) * scale
