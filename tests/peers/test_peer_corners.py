"""Where a function bends, breaks or ties: graphc promises what PyTorch does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from elementwise import hard_sigmoid_in_torch
from rows import Row
from running import assert_same, compiled, in_torch, interpreted
from torch.nn import functional as nn

import graphc as gc

AROUND = [-1.0, -0.0, 0.0, 1.0]
TIES = [[1.0, 3.0, 3.0], [2.0, 2.0, 2.0], [5.0, 4.0, 3.0]]
HUGE = [-np.inf, -1e4, -800.0, 0.0, 800.0, 1e4, np.inf]


def corner(name: str, ours: Callable[..., gc.Node], theirs: Callable[..., torch.Tensor], *operands: Any) -> Row:
    return Row(name, ours, None, theirs, tuple(np.array(operand, np.float64) for operand in operands))


ACTIVATIONS = [
    corner("relu at 0", gc.relu, nn.relu, AROUND),
    corner("leaky_relu at 0", gc.leaky_relu, nn.leaky_relu, AROUND),
    corner("elu at 0", lambda x: gc.elu(x, alpha=0.3), lambda x: nn.elu(x, 0.3), AROUND),
    corner("selu at 0", gc.selu, nn.selu, AROUND),
    corner("hard_sigmoid at its corners", gc.hard_sigmoid, hard_sigmoid_in_torch, [-4, -3, 0, 3, 4]),
    corner("relu of infinity", gc.relu, nn.relu, [np.inf, -np.inf]),
    corner("sigmoid of huge numbers", gc.sigmoid, torch.sigmoid, HUGE),
    corner("tanh of huge numbers", gc.tanh, torch.tanh, HUGE),
    corner("softplus of huge numbers", gc.softplus, nn.softplus, HUGE),
    corner("elu of huge numbers", gc.elu, nn.elu, HUGE),
    corner("silu of huge numbers", gc.silu, nn.silu, HUGE[1:-1]),
    corner("gelu of huge numbers", gc.gelu, nn.gelu, HUGE[1:-1]),
]

CHOICES = [
    corner("abs at 0", gc.abs, torch.abs, AROUND),
    corner("sign at 0", gc.sign, torch.sign, AROUND),
    corner("maximum at a tie", gc.maximum, torch.maximum, [1, 3, 4, -0.0], [2, 3, 3, 0.0]),
    corner("minimum at a tie", gc.minimum, torch.minimum, [1, 3, 4, -0.0], [2, 3, 3, 0.0]),
    corner("clip at its bounds", gc.clip, torch.clamp, [-2, -1, 0, 1, 2], [-1] * 5, [1] * 5),
    corner("clip with equal bounds", gc.clip, torch.clamp, [-2, 1, 2], [1] * 3, [1] * 3),
    corner("clip with crossed bounds", gc.clip, torch.clamp, [-2, 0, 2, 5], [1, 1, 1, 1], [-1, -1, -1, -1]),
    corner("clip at numbers", lambda x: gc.clip(x, 0, 1), lambda x: torch.clamp(x, 0, 1), [-1, 0, 0.5, 1, 2]),
    corner("clip from below", lambda x: gc.clip(x, 0), lambda x: torch.clamp(x, min=0), AROUND),
    corner("clip from above", lambda x: gc.clip(x, None, 0), lambda x: torch.clamp(x, max=0), AROUND),
    corner("clip from below by a tensor", gc.clip, torch.clamp, AROUND, [-2, 0, 0, 3]),
    corner("where NaN is not chosen", lambda x: gc.where(x > 0, x, 0), lambda x: torch.where(x > 0, x, 0), [np.nan, 1]),
    corner("remainder of negatives", gc.remainder, torch.remainder, [-3, -3.5, 3.5, 4], [2, 2, -2, -2]),
]


def _to_the(exponent: float) -> Callable[[Any], Any]:
    return lambda x: x**exponent


def _power_of(base: float) -> Callable[[Any], Any]:
    return lambda x: base**x


def _both(name: str, call: Callable[[Any], Any], *operands: Any) -> Row:
    """A call by an operator, the same for both."""
    return corner(name, call, call, *operands)


POWERS = [
    corner("power with 0", gc.power, torch.pow, [0, 0, 0, 0, 2, -2, -2], [0, 2, 0.5, 1, 0, 0, 2]),
    corner("power of 0 by a negative", gc.power, torch.pow, [0.0], [-1.0]),
    *(
        corner(f"0 to the {p}", lambda x, p=p: x**p, lambda x, p=p: x**p, [-1, 0, 1])
        for p in (0, 1, 2, 3, -1, 0.5, 2.5)
    ),
    *(corner(f"{b} to a power", lambda x, b=b: b**x, lambda x, b=b: b**x, [0, 1, 2.5]) for b in (0.0, 1.0, 3.0)),
    corner("sqrt at 0", gc.sqrt, torch.sqrt, [0, 1]),
    corner("rsqrt at 0", gc.rsqrt, torch.rsqrt, [0, 1]),
    corner("log at 0", gc.log, torch.log, [0, 1, -1]),
    corner("log1p at -1", gc.log1p, torch.log1p, [-1, 0, -2]),
    corner("division by 0", gc.divide, torch.divide, [1, 0, -1], [0, 0, -0.0]),
    corner("arctan2 at 0", gc.arctan2, torch.arctan2, [0, 0, 1], [1, -1, 0]),
]


def _norm_of_rows(ord: float) -> Row:
    rows = [[0, 0, 0], [3, 0, -4], [2, -2, 2]]
    return corner(f"norm {ord}", lambda x: gc.norm(x, ord, 1), lambda x: torch.linalg.norm(x, ord, 1), rows)


REDUCTIONS = [
    corner("max of ties", lambda x: gc.max(x, 1), lambda x: torch.amax(x, 1), TIES),
    corner("max of all", gc.max, lambda x: torch.amax(x, (0, 1)), [[2, 2], [2, 1]]),
    corner("min of ties", lambda x: gc.min(x, 1), lambda x: torch.amin(x, 1), TIES),
    corner("max with infinity", gc.max, torch.max, [1, np.inf, 2]),
    corner("prod with one 0", lambda x: gc.prod(x, 1), lambda x: torch.prod(x, 1), [[2, 0, 3], [0, 0, 4], [1, 2, 3]]),
    corner("var of equal elements", lambda x: gc.var(x, 1), lambda x: torch.var(x, 1, correction=0), TIES),
    corner("std of equal elements", lambda x: gc.std(x, 1), lambda x: torch.std(x, 1, correction=0), TIES),
    corner("std with ddof", lambda x: gc.std(x, 1, ddof=1), lambda x: torch.std(x, 1), TIES),
    corner("norm of zeros", gc.norm, torch.linalg.norm, [0, 0, 0]),
    *(_norm_of_rows(ord) for ord in (1, 2, 3, np.inf)),
    corner("logsumexp of -inf", gc.logsumexp, lambda x: torch.logsumexp(x, 0), [-np.inf, 0, 1]),
    corner("logsumexp of -inf alone", gc.logsumexp, lambda x: torch.logsumexp(x, 0), [-np.inf, -np.inf]),
    corner("softmax of -inf", gc.softmax, lambda x: torch.softmax(x, 0), [-np.inf, 0, 1]),
    corner("softmax of -inf alone", gc.softmax, lambda x: torch.softmax(x, 0), [-np.inf, -np.inf]),
    corner("softmax of huge numbers", gc.softmax, lambda x: torch.softmax(x, 0), HUGE[1:-1]),
    corner("log_softmax of huge numbers", gc.log_softmax, lambda x: torch.log_softmax(x, 0), HUGE[1:-1]),
    corner("layer_norm of equal elements", gc.layer_norm, lambda x: nn.layer_norm(x, (3,)), TIES),
    corner("mae at 0", gc.mae, nn.l1_loss, [1, 2, 3], [1, 3, 2]),
]

CORNERS = [*ACTIVATIONS, *CHOICES, *POWERS, *REDUCTIONS]


@pytest.mark.parametrize("row", CORNERS, ids=str)
def test_corners_are_pytorchs(row: Row) -> None:
    expected = in_torch(row)
    assert_same(interpreted(row), expected, f"{row}, interpreted")
    assert_same(compiled(row), expected, f"{row}, compiled")
