"""Losses: `(prediction, target)`, the mean over all leading axes, a scalar."""

from __future__ import annotations

from graphc.constants import as_node, cast
from graphc.errors import DtypeError, ShapeError
from graphc.ir import Node, Operand, describe
from graphc.ops.arithmetic import absolute, negative
from graphc.ops.functions import log
from graphc.ops.index import pick, softmax_nll
from graphc.ops.reduce import mean, sum
from graphc.ops.softmax import log_softmax


def mse(prediction: Operand, target: Operand) -> Node:
    """The mean squared error over all elements; the shapes must be equal."""
    difference = _difference("mse", prediction, target)
    return mean(difference * difference)


def mae(prediction: Operand, target: Operand) -> Node:
    """The mean absolute error over all elements; the shapes must be equal."""
    return mean(absolute(_difference("mae", prediction, target)))


def _difference(loss: str, prediction: Operand, target: Operand) -> Node:
    p, t = as_node(prediction), as_node(target)
    if p.shape != t.shape:
        # Broadcasting (batch, 1) against (batch,) would silently compare all pairs.
        raise ShapeError(
            f"{loss}: prediction and target have the same shape, got\n  {describe(p)}\n  {describe(t)}\n"
            "  reshape one of them: x.reshape(...)"
        )
    return p - cast(t, p.dtype)


def cross_entropy(probabilities: Operand, target: Operand) -> Node:
    """The mean of `-log(probability of the target)` over rows.

    probabilities: (..., C), each row sums to 1.
    target: class indices (...,) of an integer dtype, or probabilities (..., C).
    `cross_entropy(softmax(z), target)` is compiled as `softmax_cross_entropy(z, target)`: finite for any finite logits.
    """
    p, t = as_node(probabilities), as_node(target)
    if _is_labels("cross_entropy", p, t):
        return mean(negative(log(pick(p, t))))
    return mean(negative(sum(cast(t, p.dtype) * log(p), -1)))


def softmax_cross_entropy(logits: Operand, target: Operand) -> Node:
    """`cross_entropy(softmax(logits), target)` from the logits (..., C): log-sum-exp less the target's logit."""
    z, t = as_node(logits), as_node(target)
    if _is_labels("softmax_cross_entropy", z, t):
        return mean(softmax_nll(z, t))
    return mean(negative(sum(cast(t, z.dtype) * log_softmax(z), -1)))


def _is_labels(loss: str, prediction: Node, target: Node) -> bool:
    """True for class indices, False for probabilities; an error for anything else."""
    facts = f"got\n  {describe(prediction)}\n  {describe(target)}"
    if target.shape == prediction.shape[:-1] and prediction.ndim:
        if target.dtype.kind not in "iu":
            raise DtypeError(f"{loss}: class indices are integers, {facts}\n  cast them: y.astype('int64')")
        return True
    if target.shape != prediction.shape or not prediction.ndim:
        raise ShapeError(f"{loss}: the target is class indices (...,) or probabilities (..., C) for (..., C), {facts}")
    return False
