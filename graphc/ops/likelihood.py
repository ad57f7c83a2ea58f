"""Negative log-likelihoods: what classifiers' losses average, each finite where the naive formula overflows."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.constants import as_node
from graphc.errors import DtypeError
from graphc.ir import Limit, Node, Op
from graphc.kinds import Composite
from graphc.ops.activation import sigmoid
from graphc.ops.arithmetic import absolute, maximum
from graphc.ops.choice import equal, logical_and, where
from graphc.ops.functions import exp, log, log1p
from graphc.ops.index import one_hot, pick, pick_of_array, pick_type
from graphc.ops.scalar import derived, elementwise
from graphc.ops.shape import expand_dims
from graphc.ops.softmax import logsumexp, logsumexp_of_array, softmax
from graphc.types import TensorType

# ---- of a class label -----------------------------------------------------------------------------------------------


def _nll_type(z: TensorType, labels: TensorType) -> TensorType:
    if not z.floating:
        raise DtypeError(f"wants float logits, got {z}")
    return pick_type(z, labels)


def _nll(z: Any, labels: Any) -> Any:
    return logsumexp_of_array(z, (z.ndim - 1,)) - pick_of_array(z, labels)


def _nll_grad(g: Node, y: Node, z: Node, labels: Node) -> tuple[Node, None]:
    return expand_dims(g, -1) * (softmax(z) - one_hot(labels, z.shape[-1], z.dtype)), None


softmax_nll = Op(
    "softmax_nll",
    Composite(lambda z, labels: logsumexp(z, -1) - pick(z, labels)),
    _nll_type,
    _nll,
    _nll_grad,
    lambda z, labels: ((as_node(z), as_node(labels)), {}),
    limits=lambda z, labels: [Limit(labels, z.shape[-1])],
    analytic=True,
    doc="`-log(softmax(z))` at each row's label, finite for any finite logits; its gradient is `softmax - onehot`.",
)

# ---- of a probability -----------------------------------------------------------------------------------------------


def _xlogy(a: Any, b: Any) -> Any:
    from scipy.special import xlogy as of_arrays  # costs an import that most graphs never need

    return of_arrays(a, b)


xlogy = elementwise(
    "xlogy",
    "{dtype}(0) if {0} == 0 and {1} == {1} else {0} * log({1})",
    _xlogy,
    lambda g, y, a, b: (
        g * log(where(logical_and(equal(a, 0), b <= 0), 1, b)),
        g * a / where(equal(a, 0), 1, b),
    ),
    floating=True,
    cost=34,
    domain=(0.5, 2.0),
    doc="`a * log(b)`, and 0 where a is 0, also for b = 0.",
)

LEAST_LOG = -100.0
"""PyTorch's bound of a logarithm in its binary cross-entropy: a certain prediction that is wrong costs 100, not inf."""


def _bernoulli_nll(p: Node, t: Node) -> Node:
    return -(t * maximum(log(p), LEAST_LOG) + (1 - t) * maximum(log1p(-p), LEAST_LOG))


def _bernoulli_nll_grad(g: Node, y: Node, p: Node, t: Node) -> tuple[Node, Node]:
    slope = (p - t) / maximum(p * (1 - p), 1e-12)
    return g * slope, g * (maximum(log1p(-p), LEAST_LOG) - maximum(log(p), LEAST_LOG))


bernoulli_nll = derived(
    "bernoulli_nll",
    _bernoulli_nll,
    lambda p, t: -(t * np.maximum(np.log(p), LEAST_LOG) + (1 - t) * np.maximum(np.log1p(-p), LEAST_LOG)),
    _bernoulli_nll_grad,
    arity=2,
    domain=(0.1, 0.9),
    doc="`-t log(p) - (1 - t) log(1 - p)`, each logarithm at least -100, as in PyTorch.",
)
sigmoid_nll = derived(
    "sigmoid_nll",
    lambda z, t: maximum(z, 0) - z * t + log1p(exp(-absolute(z))),
    lambda z, t: np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z))),
    lambda g, y, z, t: (g * (sigmoid(z) - t), -g * z),
    arity=2,
    doc="bernoulli_nll of `sigmoid(z)`, from z itself: finite for any finite z; its gradient is `sigmoid(z) - t`.",
)
