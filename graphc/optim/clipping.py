"""Gradients cut to a size, with PyTorch's formulas."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from graphc.constants import cast
from graphc.ir import Node
from graphc.ops.arithmetic import add, clip, minimum
from graphc.ops.functions import sqrt
from graphc.ops.reduce import sum


def clipped(gradients: Sequence[Node], most: float | None, norm: float | None) -> Sequence[Node]:
    """The gradients by value, then by norm: so no one element makes all others small, and both bounds hold."""
    if most is not None:
        gradients = [clip(g, -most, most) for g in gradients]
    return gradients if norm is None else _by_norm(gradients, norm)


def _by_norm(gradients: Sequence[Node], most: float) -> Sequence[Node]:
    """All by one factor, so that the norm of all elements together is at most `most`: `torch.nn.utils.clip_grad_norm_`.

    `g * min(1, most / (norm + 1e-6))`; the norm is a float64 whatever the gradients are.
    """
    squares = [cast(sum(g * g), np.dtype(np.float64)) for g in gradients]
    if not squares:
        return gradients
    factor = minimum(most / (sqrt(functools.reduce(add, squares)) + 1e-6), 1.0)
    return [g * cast(factor, g.dtype) for g in gradients]
