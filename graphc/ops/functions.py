"""The functions of analysis: roots, exponentials, logarithms, trigonometry, the error function; one record each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.ir import Node, Op
from graphc.ops.scalar import elementwise


def _function(name: str, grad: Callable[..., tuple[Node | None, ...]], doc: str, **record: Any) -> Op:
    """A function of one operand that Numba knows by NumPy's name."""
    record = {"code": f"np.{name}({{0}})", "numpy": getattr(np, name, None), "cost": 20, "analytic": True, **record}
    return elementwise(name, grad=grad, floating=True, doc=doc, **record)


# A record reads best as one block.
# fmt: off

sqrt: Op = _function("sqrt", lambda g, y, a: (g / (2 * y),), "The square root.", cost=4, domain=(0.5, 2.0))

# ---- exponentials and logarithms ------------------------------------------------------------------------------------

exp: Op = _function("exp", lambda g, y, a: (g * y,), "`e ** a`.")
exp2: Op = _function("exp2", lambda g, y, a: (g * y * math.log(2),), "`2 ** a`.")
expm1: Op = _function("expm1", lambda g, y, a: (g * (y + 1),), "`e ** a - 1`, exact for small a.", analytic=False)
log: Op = _function("log", lambda g, y, a: (g / a,), "The natural logarithm.", domain=(0.5, 2.0))
log2: Op = _function("log2", lambda g, y, a: (g / (a * math.log(2)),), "The binary logarithm.", domain=(0.5, 2.0))
log10: Op = _function("log10", lambda g, y, a: (g / (a * math.log(10)),), "The decimal logarithm.", domain=(0.5, 2.0))
log1p: Op = _function(
    "log1p", lambda g, y, a: (g / (1 + a),), "`log(1 + a)`, exact for small a.", analytic=False, domain=(-0.5, 2.0),
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
    floating=True, cost=40, domain=(0.5, 2.0), doc="The angle in [-pi, pi] of the point (b, a).",
)

# ---- hyperbolic functions -------------------------------------------------------------------------------------------

sinh: Op = _function("sinh", lambda g, y, a: (g * cosh(a),), "The hyperbolic sine.")
cosh: Op = _function("cosh", lambda g, y, a: (g * sinh(a),), "The hyperbolic cosine.")
tanh: Op = _function("tanh", lambda g, y, a: (g * (1 - y * y),), "The hyperbolic tangent.", cost=40)
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


erf: Op = _function(
    "erf", lambda g, y, a: (g * exp(-a * a) * (2 / math.sqrt(math.pi)),),
    "The error function, `2/sqrt(pi)` times the integral of `exp(-t**2)` from 0 to a.",
    code="math.erf({0})", numpy=_erf,
)
erfc: Op = _function(
    "erfc", lambda g, y, a: (g * exp(-a * a) * (-2 / math.sqrt(math.pi)),), "`1 - erf(a)`, exact for large a.",
    code="math.erfc({0})", numpy=_erfc,
)
