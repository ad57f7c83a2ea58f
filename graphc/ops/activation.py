"""Activations: the non-linear functions between the layers of a network."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphc.constants import promoted
from graphc.ir import Bound, Node, Op, Operand
from graphc.kinds import Composite
from graphc.ops.arithmetic import absolute, clip, maximum, minimum
from graphc.ops.choice import where
from graphc.ops.functions import erfc, exp, expm1, log1p
from graphc.ops.scalar import derived, elementwise

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
"""Klambauer et al. 2017: chosen so that mean 0 and variance 1 are a fixed point."""


def _sigmoid(x: Any) -> Any:
    negative = np.real(x) < 0
    e = np.exp(np.where(negative, x, -x))  # at most 1: exp(-x) of large negative x is infinite
    return np.where(negative, e, 1) / (1 + e)


def _erfc_of_array(x: Any) -> Any:
    assert erfc.numpy is not None
    return erfc.numpy(x)


# A record reads best as one block.
# fmt: off

# `{0} <= 0` is false for NaN, so NaN passes through: max(0, x) written by hand would swallow it.
relu = elementwise(
    "relu", "{dtype}(0) if {0} <= 0 else {0}", lambda x: np.where(x <= 0, np.zeros_like(x), x),
    lambda g, y, a: (where(y <= 0, 0, g),),
    kinds="fiu", doc="`maximum(a, 0)`, the rectified linear unit; its gradient at 0 is 0, as in PyTorch.",
)
sigmoid: Op = elementwise(
    "sigmoid", "sigmoid({0})", _sigmoid,
    lambda g, y, a: (g * y * (1 - y),),
    floating=True, cost=25, analytic=True, doc="The logistic function `1 / (1 + exp(-a))`.",
)
hard_sigmoid = derived(
    "hard_sigmoid", lambda a: clip(a / 6 + 0.5, 0, 1), lambda a: np.minimum(np.maximum(a / 6 + 0.5, 0), 1),
    lambda g, y, a: (where(absolute(a) < 3, g / 6, 0),),
    doc="`clip(a / 6 + 1/2, 0, 1)`; at either corner its gradient is 0, as in PyTorch.",
)
leaky_relu = derived(
    "leaky_relu", lambda a, slope: where(a > 0, a, slope * a), lambda a, slope: np.where(a > 0, a, slope * a),
    options={"slope": 0.01}, doc="a where a > 0, else `slope * a`; at 0 its gradient is the slope, as in PyTorch.",
)
elu = derived(
    "elu", lambda a, alpha: where(a > 0, a, alpha * expm1(minimum(a, 0))),
    lambda a, alpha: np.where(a > 0, a, alpha * np.expm1(a)),
    lambda g, y, a, alpha: (where(a > 0, g, g * (alpha * exp(minimum(a, 0)))),),
    options={"alpha": 1.0}, doc="a where a > 0, else `alpha * (exp(a) - 1)` (Clevert et al. 2015).",
)
selu = derived(
    "selu", lambda a: SELU_SCALE * elu(a, alpha=SELU_ALPHA),
    lambda a: SELU_SCALE * np.where(a > 0, a, SELU_ALPHA * np.expm1(a)),
    doc="The scaled elu that keeps activations normal (Klambauer et al. 2017).",
)
silu = derived(
    "silu", lambda a: a * sigmoid(a), lambda a: a * _sigmoid(a),
    analytic=True, doc="`a * sigmoid(a)`, also called swish.",
)
softplus = derived(
    "softplus", lambda a: maximum(a, 0) + log1p(exp(-absolute(a))),
    lambda a: np.maximum(a, 0) + np.log1p(np.exp(-np.abs(a))),
    lambda g, y, a: (g * sigmoid(a),), doc="`log(1 + exp(a))`, finite wherever a is.",
)
log_sigmoid = derived(
    "log_sigmoid", lambda a: minimum(a, 0) - log1p(exp(-absolute(a))),
    lambda a: np.minimum(a, 0) - np.log1p(np.exp(-np.abs(a))),
    lambda g, y, a: (g * sigmoid(-a),), doc="`log(sigmoid(a))`, finite wherever a is.",
)

# fmt: on


# For negative a, `1 + tanh(u)` and `1 + erf(u)` are differences of almost equal numbers, 0 for a = -6 in float32;
# `2 * sigmoid(2 * u)` and `erfc(-u)` are the same, to the last digits.


def _gelu(a: Node, approximate: str) -> Node:
    if approximate == "tanh":
        return a * sigmoid(math.sqrt(8 / math.pi) * (a + 0.044715 * a * a * a))
    return 0.5 * a * erfc(a * -math.sqrt(0.5))


def _gelu_of_array(a: Any, approximate: str) -> Any:
    if approximate == "tanh":
        return a * _sigmoid(math.sqrt(8 / math.pi) * (a + 0.044715 * a * a * a))
    return 0.5 * a * _erfc_of_array(a * -math.sqrt(0.5))


def _gelu_bind(a: Operand, approximate: str = "none") -> Bound:
    if approximate not in ("none", "tanh"):
        raise ValueError(f'approximate is "none" or "tanh", got {approximate!r}')
    return promoted(a, floating=True), {"approximate": approximate}


gelu = Op(
    "gelu",
    Composite(_gelu),
    None,
    _gelu_of_array,
    bind=_gelu_bind,
    arity=1,
    kinds="f",
    analytic=True,
    doc='a times the normal distribution function of a, exact or by `approximate="tanh"` (Hendrycks & Gimpel 2016).',
)
