"""Metrics: `(scores, target)`, a scalar: the mean over all leading axes.

A metric is a node like a loss, and `gc.mae` and `gc.mse` are metrics too. What is no mean over samples is none:
precision, recall and R2 of all data are not the means of those of its batches. The first two can be read from
`confusion` of all data, R2 is `1 - mse / variance of the targets`.
"""

from __future__ import annotations

import operator

import numpy as np

from graphc.constants import as_node, cast
from graphc.errors import DtypeError, ShapeError
from graphc.explained import teaching
from graphc.ir import Node, Operand
from graphc.ops.choice import equal, greater, less, less_equal, logical_and, logical_not, logical_or
from graphc.ops.index import is_labels, one_hot, pick
from graphc.ops.product import dot
from graphc.ops.reduce import argmax, mean, sum
from graphc.ops.shape import arange, expand_dims, ravel, transpose


@teaching
def accuracy(scores: Operand, target: Operand) -> Node:
    """The part of the rows whose largest score is the target's: logits or probabilities, it makes no difference.

    scores: (..., C). target: class indices (...,) of an integer dtype, or probabilities (..., C), whose largest counts.
    Of equal scores the first is the largest, and so is a NaN, as for `argmax`; but a row whose target has the score NaN
    is wrong. A float64.
    """
    return _among_best(scores, target, 1)


@teaching
def top_k(scores: Operand, target: Operand, k: int = 5) -> Node:
    """The part of the rows in which fewer than k scores are larger than the target's; with k = 1, `accuracy`.

    scores: (..., C) with a C that is fixed and at least k. target, equal scores and NaN: as for `accuracy`.
    """
    z, k = as_node(scores), operator.index(k)
    if not z.ndim or not isinstance(z.shape[-1], int) or not 1 <= k <= z.shape[-1]:
        raise ShapeError(f"k lies between 1 and the number of classes, a fixed one; got k={k} for scores {z.type}")
    return _among_best(z, target, k)


@teaching
def binary_accuracy(scores: Operand, target: Operand, threshold: float = 0.5) -> Node:
    """The part of the elements where `score > threshold` is what the target says; the shapes must be equal.

    threshold: 0.5 is for probabilities; say 0 for logits. target: 0 and 1, of any dtype, or bools. A score that is NaN
    is wrong. A float64.
    """
    z, t = as_node(scores), as_node(target)
    if z.shape != t.shape:
        raise ShapeError(f"scores and target have the same shape, got {z.type} and {t.type}")
    hits = equal(cast(greater(z, threshold), t.dtype), t)
    return mean(logical_and(hits, equal(z, z)))


@teaching
def confusion(scores: Operand, target: Operand) -> Node:
    """How often which class was taken for which: int64 (C, C), a row for each target, a column for each largest score.

    scores: (..., C). target: class indices (...,) of an integer dtype. Equal scores and NaN: as for `argmax`. It is a
    sum over samples, not a mean: compute it from all data in one call. `m.diagonal() / m.sum(0)` is the precision of
    each class, `m.diagonal() / m.sum(1)` its recall.
    """
    z, t = as_node(scores), as_node(target)
    if not is_labels(z, t):
        raise DtypeError(f"the target is class indices (...,) of an integer dtype, got {t.type}")
    told, meant = (one_hot(ravel(each), z.shape[-1], "float64") for each in (argmax(z, -1), t))
    return cast(dot(transpose(meant), told), np.dtype(np.int64))


def _among_best(scores: Operand, target: Operand, k: int) -> Node:
    """The part of the rows in which fewer than k scores come before the target's: larger ones, equal ones before it."""
    z, t = as_node(scores), as_node(target)
    if not z.ndim or (z.ndim == 1 and not isinstance(z.shape[0], int)) or (z.type == t.type and z.dtype.kind in "iu"):
        raise ShapeError(f"scores have a number for each class, (..., C); give them, not their argmax: got {z.type}")
    labels = t if is_labels(z, t) else argmax(t, -1)
    own, at = expand_dims(pick(z, labels), -1), expand_dims(labels, -1)
    not_larger = less_equal(z, own)  # False for a NaN on either side
    tied_before = logical_and(equal(z, own), less(arange(z.shape[-1]), at))
    before = sum(logical_or(logical_not(not_larger), tied_before), -1)
    return mean(less(before, k))
