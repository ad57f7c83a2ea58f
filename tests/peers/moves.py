"""Shapes, slices and gathers in graphc's words, in JAX's and in PyTorch's: the same elements elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from rows import Array, Row, real
from torch.nn import functional as nn

import graphc as gc

M, BOX = (3, 4), (2, 3, 4)
LABELS = np.array([[0, 2, 1], [1, 1, 0]])


def numpys(name: str, call: Callable[..., Any], in_torch: Callable[..., torch.Tensor], *operands: Array) -> Row:
    """A call `call(module, *operands)` that graphc and JAX both spell as NumPy does."""
    return Row(name, lambda *xs: call(gc, *xs), lambda *xs: call(jnp, *xs), in_torch, operands)


def index(name: str, key: Any, *operands: Array, in_torch: bool = True) -> Row:
    """`x[key]`."""

    def call(x: Any) -> Any:
        return x[key]

    return Row(f"getitem: {name}", call, call, call if in_torch else None, operands or (real(4, 5, 3),))


SHAPES = [
    numpys("transpose", lambda m, x: m.transpose(x, (2, 0, 1)), lambda x: x.permute(2, 0, 1), real(*BOX)),
    numpys("reshape", lambda m, x: m.reshape(x, (4, -1)), lambda x: x.reshape(4, -1), real(*BOX)),
    numpys("ravel", lambda m, x: m.ravel(x), torch.ravel, real(*BOX)),
    numpys("expand_dims", lambda m, x: m.expand_dims(x, 1), lambda x: x.unsqueeze(1), real(*M)),
    numpys("squeeze", lambda m, x: m.squeeze(x, 1), lambda x: x.squeeze(1), real(3, 1, 4)),
    numpys("swapaxes", lambda m, x: m.swapaxes(x, 0, 2), lambda x: x.swapaxes(0, 2), real(*BOX)),
    numpys("moveaxis", lambda m, x: m.moveaxis(x, 0, -1), lambda x: x.moveaxis(0, -1), real(*BOX)),
    numpys("broadcast_to", lambda m, x: m.broadcast_to(x, BOX), lambda x: torch.broadcast_to(x, BOX), real(3, 1)),
    numpys("repeat", lambda m, x: m.repeat(x, 3, 1), lambda x: x.repeat_interleave(3, 1), real(*BOX)),
    numpys("tile", lambda m, x: m.tile(x, (2, 1, 3)), lambda x: x.tile(2, 1, 3), real(*M)),
    numpys("arange", lambda m: m.arange(5), lambda: torch.arange(5)),
    numpys("full", lambda m: m.full(M, 2.5), lambda: torch.full(M, 2.5, dtype=torch.float64)),
    numpys("zeros", lambda m: m.zeros(M, "float64"), lambda: torch.zeros(M, dtype=torch.float64)),
    numpys("ones", lambda m: m.ones(M, "float64"), lambda: torch.ones(M, dtype=torch.float64)),
    numpys("eye", lambda m: m.eye(3, 4, dtype="float64"), lambda: torch.eye(3, 4, dtype=torch.float64)),
]

PIECES = [
    numpys("concatenate", lambda m, *xs: m.concatenate(xs, 1), lambda *xs: torch.cat(xs, 1), real(*M), real(3, 2)),
    numpys("stack", lambda m, *xs: m.stack(xs, 1), lambda *xs: torch.stack(xs, 1), real(*M), real(*M)),
    numpys("split", lambda m, x: m.split(x, 2, 1)[1], lambda x: torch.split(x, 2, 1)[1], real(*M)),
    numpys("split: at", lambda m, x: m.split(x, [1, 3], 1)[1], lambda x: x.tensor_split([1, 3], 1)[1], real(*M)),
    numpys("flip", lambda m, x: m.flip(x, (0, 1)), lambda x: x.flip(0, 1), real(*M)),
    numpys("roll", lambda m, x: m.roll(x, 3, 1), lambda x: x.roll(3, 1), real(*M)),
    numpys("roll: ravelled", lambda m, x: m.roll(x, -5), lambda x: x.roll(-5), real(*M)),
    Row(
        "pad",
        lambda x: gc.pad(x, ((1, 2), (0, 3)), constant_values=1.5),
        lambda x: jnp.pad(x, ((1, 2), (0, 3)), constant_values=1.5),
        lambda x: nn.pad(x, (0, 3, 1, 2), value=1.5),
        (real(*M),),
    ),
]

DIAGONALS = [
    numpys("diag", lambda m, x: m.diag(x, 1), lambda x: x.diag(1), real(*M)),
    numpys("diag: of a vector", lambda m, x: m.diag(x, -1), lambda x: x.diag(-1), real(3)),
    numpys("diagonal", lambda m, x: m.diagonal(x, 1, 1, 2), lambda x: x.diagonal(1, 1, 2), real(*BOX)),
    numpys("tril", lambda m, x: m.tril(x, 1), lambda x: x.tril(1), real(*BOX)),
    numpys("triu", lambda m, x: m.triu(x, -1), lambda x: x.triu(-1), real(*BOX)),
]

INDICES = [
    index("an int", 1),
    index("the last", -1),
    index("slices", (slice(1, None), slice(None, -1, 2))),
    index("backwards", (slice(None, None, -2), slice(3, 0, -1)), in_torch=False),
    index("new axes", (None, ..., slice(1, 3), None)),
    index("integers", LABELS),
    index("two of them", (LABELS, slice(None), np.array([[0], [2]]))),
    index("apart", (slice(None), LABELS, np.array([2, 0, -1]))),
    numpys("take", lambda m, x, i: m.take(x, i, axis=1), lambda x, i: x[:, i], real(*M), LABELS),
    numpys("take: ravelled", lambda m, x, i: m.take(x, i), torch.take, real(*M), LABELS),
    numpys(
        "take_along_axis",
        lambda m, x, i: m.take_along_axis(x, i, axis=1),
        lambda x, i: torch.take_along_dim(x, i, 1),
        real(2, 4),
        LABELS,
    ),
    Row("embedding", gc.embedding, lambda t, i: t[i], lambda t, i: nn.embedding(i, t), (real(*M), LABELS)),
    Row(
        "one_hot",
        lambda i: gc.one_hot(i, 3, "float64"),
        lambda i: jax.nn.one_hot(i, 3, dtype="float64"),
        lambda i: nn.one_hot(i, 3).double(),
        (LABELS,),
    ),
    Row(
        "pick",
        gc.pick,
        lambda x, i: jnp.take_along_axis(x, i[..., None], -1)[..., 0],
        lambda x, i: torch.take_along_dim(x, i[..., None], -1)[..., 0],
        (real(2, 3, 4), LABELS),
    ),
]

MOVES = [*SHAPES, *PIECES, *DIAGONALS, *INDICES]
