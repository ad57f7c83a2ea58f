"""The functions of analysis: roots, exponentials, logarithms, trigonometry, the error function; one record each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphc.ir import Op
from graphc.ops.scalar import Gradient, elementwise


def _function(name: str, grad: Gradient, doc: str, **record: Any) -> Op:
    """A function of one operand that Numba knows by NumPy's name: mostly a call of libm for each element."""
    record = {"code": f"np.{name}({{0}})", "numpy": getattr(np, name, None), "cost": 100, "analytic": True, **record}
    return elementwise(name, grad=grad, floating=True, doc=doc, **record)


def _polynomial(name: str, grad: Gradient, doc: str, **record: Any) -> Op:
    """A function of backend/elementary.py; its cost is the count of its instructions, which vectorise."""
    return _function(name, grad, doc, **{"code": f"{name}({{0}})", **record})


# A record reads best as one block.
# fmt: off

sqrt: Op = _function("sqrt", lambda g, y, a: (g / (2 * y),), "The square root.", cost=4, domain=(0.5, 2.0))

# ---- exponentials and logarithms ------------------------------------------------------------------------------------

exp: Op = _polynomial("exp", lambda g, y, a: (g * y,), "`e ** a`.", cost=20)
exp2: Op = _polynomial("exp2", lambda g, y, a: (g * y * math.log(2),), "`2 ** a`.", cost=20)
expm1: Op = _polynomial(
    "expm1", lambda g, y, a: (g * (y + 1),), "`e ** a - 1`, exact for small a.", cost=25, analytic=False,
)
log: Op = _polynomial("log", lambda g, y, a: (g / a,), "The natural logarithm.", cost=30, domain=(0.5, 2.0))
log2: Op = _polynomial(
    "log2", lambda g, y, a: (g / (a * math.log(2)),), "The binary logarithm.", cost=35, domain=(0.5, 2.0),
)
log10: Op = _polynomial(
    "log10", lambda g, y, a: (g / (a * math.log(10)),), "The decimal logarithm.", cost=35, domain=(0.5, 2.0),
)
log1p: Op = _polynomial(
    "log1p", lambda g, y, a: (g / (1 + a),), "`log(1 + a)`, exact for small a.",
    cost=40, analytic=False, domain=(-0.5, 2.0),
)

# ---- trigonometry ---------------------------------------------------------------------------------------------------

sin: Op = _function("sin", lambda g, y, a: (g * cos(a),), "The sine of an angle in radians.")
cos: Op = _function("cos", lambda g, y, a: (-g * sin(a),), "The cosine of an angle in radians.")
tan: Op = _function("tan", lambda g, y, a: (g * (1 + y * y),), "The tangent, of radians.", domain=(-1.0, 1.0))
arcsin: Op = _function(
    "arcsin", lambda g, y, a: (g / sqrt(1 - a * a),), "The angle in [-pi/2, pi/2] whose sine is a.", domain=(-0.9, 0.9),
)
arccos: Op = _function(
    "arccos", lambda g, y, a: (-g / sqrt(1 - a * a),), "The angle in [0, pi] whose cosine is a.", domain=(-0.9, 0.9),
)
arctan: Op = _function("arctan", lambda g, y, a: (g / (1 + a * a),), "The angle in [-pi/2, pi/2] whose tangent is a.")
arctan2 = elementwise(
    "arctan2", "np.arctan2({0}, {1})", np.arctan2,
    lambda g, y, a, b: (g * b / (a * a + b * b), -g * a / (a * a + b * b)),
    floating=True, cost=100, domain=(0.5, 2.0), doc="The angle in [-pi, pi] of the point (b, a).",
)

# ---- hyperbolic functions -------------------------------------------------------------------------------------------

sinh: Op = _polynomial("sinh", lambda g, y, a: (g * cosh(a),), "The hyperbolic sine.", cost=35)
cosh: Op = _polynomial("cosh", lambda g, y, a: (g * sinh(a),), "The hyperbolic cosine.", cost=25)
tanh: Op = _polynomial("tanh", lambda g, y, a: (g * (1 - y * y),), "The hyperbolic tangent.", cost=35)
arcsinh: Op = _function("arcsinh", lambda g, y, a: (g / sqrt(a * a + 1),), "The inverse of sinh.", analytic=False)
arccosh: Op = _function(
    "arccosh", lambda g, y, a: (g / sqrt(a * a - 1),), "The inverse of cosh, for a >= 1.", domain=(1.5, 3.0),
)
arctanh: Op = _function(
    "arctanh", lambda g, y, a: (g / (1 - a * a),), "The inverse of tanh, for |a| < 1.", domain=(-0.9, 0.9),
)

# ---- the error function ---------------------------------------------------------------------------------------------


def _erf(x: Any) -> Any:
    from scipy.special import erf as of_array  # costs an import that most graphs never need

    return of_array(x)


def _erfc(x: Any) -> Any:
    from scipy.special import erfc as of_array

    return of_array(x)


erf: Op = _polynomial(
    "erf", lambda g, y, a: (g * exp(-a * a) * (2 / math.sqrt(math.pi)),),
    "The error function, `2/sqrt(pi)` times the integral of `exp(-t**2)` from 0 to a.",
    cost=40, numpy=_erf,
)
erfc: Op = _polynomial(
    "erfc", lambda g, y, a: (g * exp(-a * a) * (-2 / math.sqrt(math.pi)),), "`1 - erf(a)`, exact for large a.",
    cost=80, numpy=_erfc,
)
