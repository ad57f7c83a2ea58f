"""Losses: `(prediction, target)`, the mean over all leading axes, a scalar.

Each takes sample `weights` whose shape is that of the first axes of the prediction, `(batch,)` for `(batch, C)`: a
sample's loss is multiplied by its weight, and the sum is divided by the number of samples, not of weights.
"""

from __future__ import annotations

from graphc.constants import as_node, cast
from graphc.errors import ShapeError
from graphc.explained import teaching
from graphc.ir import Node, Operand
from graphc.ops.arithmetic import absolute, negative
from graphc.ops.choice import where
from graphc.ops.functions import log
from graphc.ops.index import is_labels, pick
from graphc.ops.likelihood import bernoulli_nll, sigmoid_nll, softmax_nll, xlogy
from graphc.ops.reduce import mean, sum
from graphc.ops.shape import reshape
from graphc.ops.softmax import log_softmax

# ---- of numbers -----------------------------------------------------------------------------------------------------


@teaching
def mse(prediction: Operand, target: Operand, weights: Operand = None) -> Node:
    """The mean squared error over all elements; the shapes must be equal."""
    p, t = _pair(prediction, target)
    difference = p - t
    return _mean(difference * difference, weights)


@teaching
def mae(prediction: Operand, target: Operand, weights: Operand = None) -> Node:
    """The mean absolute error over all elements; the shapes must be equal."""
    p, t = _pair(prediction, target)
    return _mean(absolute(p - t), weights)


@teaching
def huber(prediction: Operand, target: Operand, delta: float = 1.0, weights: Operand = None) -> Node:
    """The mean of `d**2 / 2` for errors d up to delta, of `delta * (|d| - delta/2)` beyond (Huber 1964)."""
    if not delta > 0:
        raise ValueError(f"huber: delta is positive, got {delta}")
    p, t = _pair(prediction, target)
    error = absolute(p - t)
    return _mean(where(error <= delta, 0.5 * error * error, delta * (error - 0.5 * delta)), weights)


# ---- of yes and no --------------------------------------------------------------------------------------------------


@teaching
def binary_cross_entropy(probabilities: Operand, target: Operand, weights: Operand = None) -> Node:
    """The mean of `-t log(p) - (1 - t) log(1 - p)` over all elements; the shapes must be equal.

    A logarithm is at least -100, as in PyTorch. `binary_cross_entropy(sigmoid(z), t)` is compiled as
    `sigmoid_cross_entropy(z, t)`: finite and exact for any finite z.
    """
    return _mean(bernoulli_nll(*_pair(probabilities, target)), weights)


@teaching
def sigmoid_cross_entropy(logits: Operand, target: Operand, weights: Operand = None) -> Node:
    """`binary_cross_entropy(sigmoid(logits), target)` from the logits: `log(1 + exp(z)) - t z`."""
    return _mean(sigmoid_nll(*_pair(logits, target)), weights)


# ---- of classes -----------------------------------------------------------------------------------------------------


@teaching
def cross_entropy(
    probabilities: Operand, target: Operand, weights: Operand = None, label_smoothing: float = 0.0
) -> Node:
    """The mean of `-log(probability of the target)` over rows.

    probabilities: (..., C), each row sums to 1.
    target: class indices (...,) of an integer dtype, or probabilities (..., C).
    label_smoothing: the part of the target that is spread evenly over all classes (Szegedy et al. 2016).
    `cross_entropy(softmax(z), target)` is compiled as `softmax_cross_entropy(z, target)`: finite for any finite logits.
    """
    p, t = as_node(probabilities), as_node(target)
    each = negative(log(pick(p, t)) if is_labels(p, t) else sum(xlogy(cast(t, p.dtype), p), -1))
    return _mean(_smoothed(each, log(p), label_smoothing), weights)


@teaching
def softmax_cross_entropy(
    logits: Operand, target: Operand, weights: Operand = None, label_smoothing: float = 0.0
) -> Node:
    """`cross_entropy(softmax(logits), target)` from the logits (..., C): log-sum-exp less the target's logit."""
    z, t = as_node(logits), as_node(target)
    each = softmax_nll(z, t) if is_labels(z, t) else negative(sum(cast(t, z.dtype) * log_softmax(z), -1))
    return _mean(_smoothed(each, log_softmax(z), label_smoothing), weights)


def _smoothed(each: Node, log_p: Node, smoothing: float) -> Node:
    """Each row's loss for a target that is mixed with the even distribution."""
    if not 0 <= smoothing <= 1:
        raise ValueError(f"label_smoothing lies between 0 and 1, got {smoothing}")
    return each if smoothing == 0 else (1 - smoothing) * each - smoothing * mean(log_p, -1)


# ---- what a loss may be given ---------------------------------------------------------------------------------------


def _pair(prediction: Operand, target: Operand) -> tuple[Node, Node]:
    """Both as floats of the prediction's dtype; their shapes must be equal."""
    p, t = as_node(prediction), as_node(target)
    if p.shape != t.shape:
        raise ShapeError(
            f"prediction and target have the same shape, got {p.type} and {t.type}; to broadcast (n, 1) against (n,) "
            "would compare all pairs"
        )
    return p, cast(t, p.dtype)


def _mean(each: Node, weights: Operand) -> Node:
    """The mean of what each element or row costs, weighted by sample."""
    if weights is None:
        return mean(each)
    w = as_node(weights)
    if w.shape != each.shape[: w.ndim]:
        raise ShapeError(f"weights have the shape of the first axes of {each.type}, got {w.type}")
    return mean(reshape(cast(w, each.dtype), (*w.shape, *[1] * (each.ndim - w.ndim))) * each)
