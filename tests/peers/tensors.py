"""Reductions, products, losses and moved elements in graphc's words, in JAX's and in PyTorch's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import torch
from rows import Row, axis, probabilities, real, same, truth, whole
from torch.nn import functional as nn

import graphc as gc

M, BOX = (3, 4), (2, 3, 4)


def _spread(name: str, ddof: int) -> Row:
    """var or std."""
    return Row(
        f"{name}: ddof={ddof}",
        lambda x: getattr(gc, name)(x, (0, 2), ddof=ddof),
        lambda x: getattr(jnp, name)(x, (0, 2), ddof=ddof),
        lambda x: getattr(torch, name)(x, dim=(0, 2), correction=ddof),
        (real(*BOX),),
    )


def _norm(ord: float) -> Row:
    return Row(
        f"norm: ord={ord}",
        lambda x: gc.norm(x, ord, axis=1, keepdims=True),
        lambda x: jnp.linalg.norm(x, ord, axis=1, keepdims=True),
        lambda x: torch.linalg.norm(x, ord, dim=1, keepdim=True),
        (real(*M),),
    )


def _einsum(subscripts: str, *shapes: tuple[int, ...]) -> Row:
    return Row(
        f"einsum: {subscripts}",
        lambda *xs: gc.einsum(subscripts, *xs),
        lambda *xs: jnp.einsum(subscripts, *xs),
        lambda *xs: torch.einsum(subscripts, *xs),
        tuple(real(*shape) for shape in shapes),
    )


def _recurrence_in_jax(a: jax.Array, b: jax.Array) -> jax.Array:
    def step(last: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        last = now[0] * last + now[1]
        return last, last

    return jax.lax.scan(step, jnp.zeros(a.shape[:-1]), (a.T, b.T))[1].T


def _recurrence_in_torch(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    last, all_of_them = torch.zeros(a.shape[:-1], dtype=a.dtype), []
    for t in range(a.shape[-1]):
        last = a[..., t] * last + b[..., t]
        all_of_them.append(last)
    return torch.stack(all_of_them, -1)


def _nll_in_jax(z: jax.Array, labels: jax.Array) -> jax.Array:
    return -jnp.mean(jnp.take_along_axis(z, labels[..., None], -1))


REDUCTIONS = [
    *(axis(name, real(*BOX)) for name in ("sum", "mean", "prod")),
    *(axis(name, real(*BOX), axis=1, keepdims=True) for name in ("sum", "mean", "prod")),
    *(axis(name, real(*BOX), axis=(0, 2)) for name in ("sum", "mean")),
    *(axis(name, real(*BOX), torch_name=f"a{name}", axis=(0, 2)) for name in ("max", "min")),
    Row(
        "prod: zeros",
        lambda x: gc.prod(x, 1),
        lambda x: jnp.prod(x, 1),
        lambda x: torch.prod(x, 1),
        (real(*M) * [[1], [0], [0]],),
    ),
    *(axis(name, truth(*BOX), axis=1) for name in ("any", "all")),
    *(axis(name, real(*BOX), axis=1) for name in ("argmax", "argmin")),
    *(axis(name, whole(*BOX)) for name in ("argmax", "argmin")),
    Row(
        "logsumexp",
        lambda x: gc.logsumexp(x, (0, 2)),
        lambda x: jax.nn.logsumexp(x, (0, 2)),
        lambda x: torch.logsumexp(x, (0, 2)),
        (real(*BOX),),
    ),
    Row(
        "softmax", lambda x: gc.softmax(x, 1), lambda x: jax.nn.softmax(x, 1), lambda x: nn.softmax(x, 1), (real(*BOX),)
    ),
    Row("log_softmax", gc.log_softmax, jax.nn.log_softmax, lambda x: nn.log_softmax(x, -1), (real(*BOX),)),
    *(_spread(name, ddof) for name in ("var", "std") for ddof in (0, 1)),
    Row("norm", gc.norm, jnp.linalg.norm, torch.linalg.norm, (real(5),)),
    *(_norm(ord) for ord in (1, 2, 3, np.inf)),
    Row("cumsum", lambda x: gc.cumsum(x, 1), lambda x: jnp.cumsum(x, 1), lambda x: torch.cumsum(x, 1), (real(*BOX),)),
    Row("recurrence", gc.recurrence, _recurrence_in_jax, _recurrence_in_torch, (real(*M), real(*M))),
]

PRODUCTS = [
    *(
        Row(f"dot: {list(a)}, {list(b)}", gc.dot, jnp.dot, torch.matmul, (real(*a), real(*b)))
        for a, b in [((3,), (3,)), ((4, 3), (3,)), ((3,), (3, 5)), ((4, 3), (3, 5)), ((2, 4, 3), (3, 5))]
    ),
    Row("dot: of boxes", gc.dot, jnp.dot, lambda a, b: torch.tensordot(a, b, ([2], [1])), (real(*BOX), real(5, 4, 2))),
    *(
        Row(f"matmul: {list(a)}, {list(b)}", gc.matmul, jnp.matmul, torch.matmul, (real(*a), real(*b)))
        for a, b in [((2, 4, 3), (2, 3, 5)), ((4, 3), (2, 3, 5)), ((3,), (2, 3, 5)), ((2, 1, 4, 3), (5, 3, 2))]
    ),
    Row(
        "tensordot",
        lambda a, b: gc.tensordot(a, b, [(2, 0), (1, 2)]),
        lambda a, b: jnp.tensordot(a, b, [(2, 0), (1, 2)]),
        lambda a, b: torch.tensordot(a, b, [(2, 0), (1, 2)]),
        (real(*BOX), real(5, 4, 2)),
    ),
    same("outer", real(3), real(4)),
    _einsum("ij,jk->ik", (3, 4), (4, 5)),
    _einsum("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    _einsum("...ij,j->...i", (2, 3, 4), (4,)),
    _einsum("ii->i", (3, 3)),
    _einsum("ij->ji", (3, 4)),
    _einsum("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
    _einsum("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)),
]

NORMALISATION = [
    Row(
        "standardize",
        lambda x: gc.standardize(x, (1, 2), eps=1e-3),
        lambda x: jax.nn.standardize(x, (1, 2), epsilon=1e-3),
        lambda x: nn.layer_norm(x, x.shape[1:], eps=1e-3),
        (real(*BOX),),
    ),
    Row(
        "layer_norm",
        gc.layer_norm,
        lambda x, scale, shift: jax.nn.standardize(x) * scale + shift,
        lambda x, scale, shift: nn.layer_norm(x, (4,), scale, shift),
        (real(*BOX), real(4), real(4)),
    ),
]


def _huber_in_jax(d: jax.Array, delta: float) -> jax.Array:
    return jnp.where(jnp.abs(d) <= delta, 0.5 * d * d, delta * (jnp.abs(d) - 0.5 * delta))


LOSSES = [
    Row("mse", gc.mse, lambda p, t: jnp.mean((p - t) ** 2), nn.mse_loss, (real(*M), real(*M))),
    Row("mae", gc.mae, lambda p, t: jnp.mean(jnp.abs(p - t)), nn.l1_loss, (real(*M), real(*M))),
    Row(
        "cross_entropy",
        gc.cross_entropy,
        lambda p, labels: _nll_in_jax(jnp.log(p), labels),
        lambda p, labels: nn.nll_loss(torch.log(p), labels),
        (probabilities(5, 3), whole(5)),
    ),
    Row(
        "cross_entropy: of softmax",
        lambda z, labels: gc.cross_entropy(gc.softmax(z), labels),
        lambda z, labels: _nll_in_jax(jax.nn.log_softmax(z), labels),
        nn.cross_entropy,
        (real(5, 3, low=-5, high=5), whole(5)),
    ),
    Row(
        "softmax_cross_entropy",
        gc.softmax_cross_entropy,
        lambda z, labels: _nll_in_jax(jax.nn.log_softmax(z), labels),
        nn.cross_entropy,
        (real(5, 3), whole(5)),
    ),
    Row(
        "softmax_cross_entropy: probabilities",
        gc.softmax_cross_entropy,
        lambda z, p: -jnp.mean(jnp.sum(p * jax.nn.log_softmax(z), -1)),
        nn.cross_entropy,
        (real(5, 3), probabilities(5, 3)),
    ),
    Row(
        "softmax_cross_entropy: smoothed",
        lambda z, labels: gc.softmax_cross_entropy(z, labels, label_smoothing=0.1),
        lambda z, labels: 0.9 * _nll_in_jax(jax.nn.log_softmax(z), labels) - 0.1 * jnp.mean(jax.nn.log_softmax(z)),
        lambda z, labels: nn.cross_entropy(z, labels, label_smoothing=0.1),
        (real(5, 3), whole(5)),
    ),
    Row(
        "mse: weighted",
        lambda p, t, w: gc.mse(p, t, weights=w),
        lambda p, t, w: jnp.mean(w[:, None] * (p - t) ** 2),
        lambda p, t, w: torch.mean(w[:, None] * nn.mse_loss(p, t, reduction="none")),
        (real(*M), real(*M), real(3)),
    ),
    Row(
        "huber",
        lambda p, t: gc.huber(p, t, delta=0.7),
        lambda p, t: jnp.mean(_huber_in_jax(p - t, 0.7)),
        lambda p, t: nn.huber_loss(p, t, delta=0.7),
        (real(*M), real(*M)),
    ),
    Row(
        "binary_cross_entropy",
        gc.binary_cross_entropy,
        lambda p, t: -jnp.mean(t * jnp.log(p) + (1 - t) * jnp.log1p(-p)),
        nn.binary_cross_entropy,
        (probabilities(5, 3), probabilities(5, 3)),
    ),
    Row(
        "sigmoid_cross_entropy",
        gc.sigmoid_cross_entropy,
        lambda z, t: jnp.mean(jax.nn.softplus(z) - z * t),
        nn.binary_cross_entropy_with_logits,
        (real(5, 3, low=-30, high=30), probabilities(5, 3)),
    ),
]

TENSORS = [*REDUCTIONS, *PRODUCTS, *NORMALISATION, *LOSSES]
