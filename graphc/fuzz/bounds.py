"""How far a correct result may be from the truth.

The truth of a graph is its value in float64. A computation in the graph's own dtypes rounds each result, may round a
product and a sum at once, and may add in another order. So what it may be off is

    2 * what NumPy, which computes in the same dtypes, is off  +  2 ulp of the largest element  +  the spread

where the spread is how far the results move when every op reads its operands a little wrong: each element by itself, by
4 to 8 roundings of its dtype up or down. What an op accumulates in its own dtype, n terms, is read wrong by another
sqrt(n) times as much, all elements alike: roundings of equal terms all go one way, others drift. A sum that the numeric
contract calls wide has no such share. The spread is large exactly where a graph is badly conditioned: cancellation, or
a kink next to which both sides are right.

Between graphs evaluated in float64 the roundings are float64's, but for constants and what is made of them: a pass
may fold them in their own dtype, and the numbers in a formula such as gelu's are rounded to the dtype of its operands
when it is written out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc.constants import constant_value
from graphc.fuzz.recipe import Array
from graphc.ir import Node, toposort
from graphc.kinds import Constant, Fold, Product, Scan, Scatter, Stored
from graphc.reference import Reading, run

ROUNDINGS, SAMPLES = 8, 8


def spread(
    roots: Sequence[Node],
    inputs: Sequence[Node],
    feeds: Mapping[str, Any],
    truth: Sequence[Array],
    double: bool = False,
) -> list[float]:
    """How far each root moves when operands are read with errors; `double`: errors of float64 everywhere."""
    moved = [0.0] * len(roots)
    for sample in range(SAMPLES):
        values = run([*roots, *inputs], feeds, "float64", reading=_disturbed(sample, double))
        for at, (value, true) in enumerate(zip(values, truth, strict=False)):
            moved[at] = max(moved[at], distance(value, true))
    return [own + _folding(root, true) * double for own, root, true in zip(moved, roots, truth, strict=True)]


def _folding(root: Node, truth: Array) -> float:
    """What rounding in its own dtype may do to a tensor made of constants alone."""
    if not root.type.floating or any(isinstance(node.op.kind, Stored) for node in toposort([root])):
        return 0.0
    return float(ROUNDINGS * np.finfo(root.dtype).eps * np.max(np.abs(truth), initial=0.0))


def _disturbed(sample: int, double: bool) -> Reading:
    rng = np.random.default_rng(sample)
    folded: set[Node] = set()

    def reading(node: Node, operands: list[Array]) -> list[Array]:
        if node.args and all(isinstance(a.op.kind, Constant) or a in folded for a in node.args):
            folded.add(node)
        found: list[Array] = []
        for arg, value in zip(node.args, operands, strict=True):
            if value.dtype.kind == "f":
                dtype = np.float64 if double and arg not in folded and not _rounded(arg) else arg.dtype
                epsilon = np.finfo(dtype).eps * ROUNDINGS
                value = value * (1 + epsilon * _some(rng, value.shape))
                value = value * (1 + epsilon * _drift(node, value) * _some(rng, ()))
            found.append(value)
        return found

    return reading


def _some(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Numbers of either sign between 1/2 and 1: two of them hardly cancel each other."""
    found: Array = rng.uniform(0.5, 1.0, shape) * rng.choice((-1.0, 1.0), shape)
    return found


def _rounded(arg: Node) -> bool:
    """Whether this is a constant of more than a few bits, so that its dtype may have rounded it."""
    value = constant_value(arg)
    return value is not None and bool(np.any(value * 1024 != np.rint(value * 1024)))


def _drift(node: Node, operand: Array) -> float:
    """sqrt(n) for an accumulation of n terms in the node's own dtype, else 0."""
    kind = node.op.kind
    if isinstance(kind, (Product, Scan)):
        return float(np.sqrt(max(operand.shape[-2:], default=0)))
    if isinstance(kind, Scatter) and kind.adds:
        return float(np.sqrt(operand.size))
    if not isinstance(kind, Fold):
        return 0.0
    axes = node.options["axes"]
    wide = kind.wide and node.dtype == np.float32 and axes == tuple(range(operand.ndim - len(axes), operand.ndim))
    return 0.0 if wide else float(np.sqrt(np.prod([operand.shape[axis] for axis in axes])))


def ulps(truth: Array, dtype: np.dtype[Any]) -> float:
    """Two ulp of the largest element."""
    largest = np.max(np.abs(truth), initial=0.0)
    return 2 * float(np.spacing(largest.astype(dtype)))


def distance(a: Array, b: Array) -> float:
    """The largest difference of two elements; infinite if a NaN is only in one, or the shapes differ."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    if a.shape != b.shape:
        return float("inf")
    with np.errstate(invalid="ignore"):
        differences = np.where(a == b, 0.0, np.abs(a - b))
    return float(np.max(np.where(np.isnan(differences), np.inf, differences), initial=0.0))
