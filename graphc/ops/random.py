"""Counter-based random numbers: each is a function of a seed, a step and its own position, whatever thread makes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphc.constants import as_node, cast, promoted
from graphc.errors import DtypeError, ShapeError
from graphc.ir import Bound, Node, Op, Operand
from graphc.kinds import Composite, Scalar
from graphc.ops.choice import where
from graphc.ops.reduce import count
from graphc.ops.shape import arange, reshape
from graphc.sizes import product
from graphc.types import TensorType, broadcast

INT64 = np.dtype(np.int64)
WORD = 1 << 32


def philox_of_array(position: Any, step: Any, seed: Any) -> Any:
    """Philox2x32-10 (Salmon et al. 2011): the first word for the counter (position, step) and the key seed."""
    low, high, key = (np.asarray(each).astype(np.uint64) & (WORD - 1) for each in (position, step, seed))
    for _ in range(10):
        wide = low * np.uint64(0xD256D193)
        low, high = (wide >> np.uint64(32)) ^ key ^ high, wide & np.uint64(WORD - 1)
        key = (key + np.uint64(0x9E3779B9)) & np.uint64(WORD - 1)
    return low.astype(np.int64)


def _bits_type(*types: TensorType) -> TensorType:
    if any(each.dtype != INT64 for each in types):
        raise DtypeError(f"wants int64 operands, got {', '.join(map(str, types))}")
    return TensorType(INT64, broadcast(*(each.shape for each in types)))


random_bits = Op(
    "random_bits",
    Scalar("philox({0}, {1}, {2})", cost=40),
    _bits_type,
    philox_of_array,
    lambda g, y, *args: (None, None, None),
    lambda position, step, seed: (tuple(cast(each, INT64) for each in (position, step, seed)), {}),
    doc="32 random bits for a position, a step and a seed, always the same: Philox2x32-10 (Salmon et al. 2011).",
)


def _positions(x: Node) -> Node:
    """The number of each element in row-major order."""
    total = as_node(0)
    for axis, size in enumerate(x.shape):
        along = reshape(arange(size), (-1, *[1] * (x.ndim - 1 - axis))) * count(product(x.shape[axis + 1 :]), INT64)
        total = along if axis == 0 else total + along
    return total


def _dropout_of(x: Node, step: Node, rate: float, seed: int) -> Node:
    kept = random_bits(_positions(x), step, seed) >= round(rate * WORD)
    return where(kept, x * (1 / (1 - rate)), 0)


def _dropout(x: Any, step: Any, rate: float, seed: int) -> Any:
    kept = philox_of_array(np.arange(x.size).reshape(x.shape), step, seed) >= round(rate * WORD)
    return np.where(kept, x * np.asarray(1 / (1 - rate), x.dtype), np.zeros_like(x))


def _dropout_bind(x: Operand, step: Operand, rate: float, seed: int = 0) -> Bound:
    node, counter = promoted(x, floating=True)[0], as_node(step)
    if not 0 <= rate < 1:
        raise ValueError(f"dropout: the rate is at least 0 and less than 1, got {rate}")
    if counter.shape:
        raise ShapeError(f"the step is a scalar, got {counter.type}")
    if counter.dtype.kind not in "iu":
        raise DtypeError(f"the step is an integer, got {counter.type}")
    return node if rate == 0 else ((node, counter), {"rate": float(rate), "seed": int(seed)})


dropout: Op = Op(
    "dropout",
    Composite(_dropout_of),
    lambda x, step, rate, seed: x,
    _dropout,
    lambda g, y, x, step, rate, seed: (dropout(g, step, rate=rate, seed=seed), None),
    _dropout_bind,
    analytic=True,
    doc="x with each element 0 with probability `rate`, else divided by 1 - rate (Srivastava et al. 2014). The mask "
    "follows from seed and step, so it is never stored: the backward pass computes it again.",
)
