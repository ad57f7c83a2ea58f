"""Three models, each as a loss in graphc's words, in JAX's and in PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from rows import Array
from torch.nn import functional as nn

import graphc as gc

STEPS, BATCH = 100, 16
Tensors = Mapping[str, Any]  # by name: a peer's own tensors


@dataclass(frozen=True, eq=False)
class Model:
    """A loss in each one's words, as a function of the params and of a batch's x and y."""

    name: str
    shapes: dict[str, tuple[int, ...]]
    ours: Callable[[Tensors, Any, Any], gc.Node]
    jax: Callable[[Tensors, Any, Any], jax.Array]
    torch: Callable[[Tensors, Any, Any], torch.Tensor]
    sgd: dict[str, Any]  # lr, momentum, nesterov, weight_decay
    x: tuple[Any, ...]  # the dtype and the shape of one row
    y: tuple[Any, ...]

    def __str__(self) -> str:
        return self.name

    def initial(self) -> dict[str, Array]:
        rng = np.random.default_rng(1)
        return {name: rng.normal(0, 0.3, shape) for name, shape in self.shapes.items()}

    def batches(self) -> list[tuple[Array, Array]]:
        """A batch for each step, the last smaller than the others."""
        rng = np.random.default_rng(2)
        sizes = [BATCH] * (STEPS - 1) + [5]
        return [(drawn(rng, size, *self.x), drawn(rng, size, *self.y)) for size in sizes]


def drawn(rng: np.random.Generator, size: int, dtype: str, *shape: int) -> Array:
    """Ints in range(10), or floats."""
    return rng.integers(0, 10, (size, *shape)) if dtype == "int64" else rng.normal(size=(size, *shape))


# ---- a classifier ---------------------------------------------------------------------------------------------------


def mlp_ours(p: Tensors, x: gc.Node, y: gc.Node) -> gc.Node:
    h = gc.relu(x @ p["W1"] + p["b1"])
    h = gc.tanh(h @ p["W2"] + p["b2"])
    return gc.cross_entropy(gc.softmax(h @ p["W3"] + p["b3"]), y)


def mlp_jax(p: Tensors, x: jax.Array, y: jax.Array) -> jax.Array:
    h = jax.nn.relu(x @ p["W1"] + p["b1"])
    h = jnp.tanh(h @ p["W2"] + p["b2"])
    return nll_jax(h @ p["W3"] + p["b3"], y)


def mlp_torch(p: Tensors, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    h = nn.relu(x @ p["W1"] + p["b1"])
    h = torch.tanh(h @ p["W2"] + p["b2"])
    return nn.cross_entropy(h @ p["W3"] + p["b3"], y)


def nll_jax(z: jax.Array, labels: jax.Array) -> jax.Array:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), labels[:, None], 1))


# ---- an autoencoder -------------------------------------------------------------------------------------------------


def autoencoder_ours(p: Tensors, x: gc.Node, y: gc.Node) -> gc.Node:
    code = gc.sigmoid(x @ p["W1"] + p["b1"])
    return gc.mse(code @ p["W1"].T + p["b2"], y)


def autoencoder_jax(p: Tensors, x: jax.Array, y: jax.Array) -> jax.Array:
    code = jax.nn.sigmoid(x @ p["W1"] + p["b1"])
    return jnp.mean((code @ p["W1"].T + p["b2"] - y) ** 2)


def autoencoder_torch(p: Tensors, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    code = torch.sigmoid(x @ p["W1"] + p["b1"])
    return nn.mse_loss(code @ p["W1"].T + p["b2"], y)


# ---- words: an embedding, a residual block with layer norm ----------------------------------------------------------


def words_ours(p: Tensors, x: gc.Node, y: gc.Node) -> gc.Node:
    h = gc.mean(gc.embedding(p["table"], x), axis=1)
    h = h + gc.gelu(gc.layer_norm(h, p["scale"], p["shift"]) @ p["W1"] + p["b1"]) @ p["W2"]
    return gc.softmax_cross_entropy(gc.layer_norm(h) @ p["W3"], y)


def words_jax(p: Tensors, x: jax.Array, y: jax.Array) -> jax.Array:
    h = jnp.mean(p["table"][x], axis=1)
    normal = jax.nn.standardize(h) * p["scale"] + p["shift"]
    h = h + jax.nn.gelu(normal @ p["W1"] + p["b1"], approximate=False) @ p["W2"]
    return nll_jax(jax.nn.standardize(h) @ p["W3"], y)


def words_torch(p: Tensors, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    h = nn.embedding(x, p["table"]).mean(1)
    h = h + nn.gelu(nn.layer_norm(h, (8,), p["scale"], p["shift"]) @ p["W1"] + p["b1"]) @ p["W2"]
    return nn.cross_entropy(nn.layer_norm(h, (8,)) @ p["W3"], y)


MODELS = [
    Model(
        "mlp",
        {"W1": (20, 16), "b1": (16,), "W2": (16, 12), "b2": (12,), "W3": (12, 10), "b3": (10,)},
        *(mlp_ours, mlp_jax, mlp_torch),
        {"lr": 0.1},
        ("float64", 20),
        ("int64",),
    ),
    Model(
        "autoencoder",
        {"W1": (12, 5), "b1": (5,), "b2": (12,)},
        *(autoencoder_ours, autoencoder_jax, autoencoder_torch),
        {"lr": 0.05, "momentum": 0.9},
        ("float64", 12),
        ("float64", 12),
    ),
    Model(
        "words",
        {"table": (10, 8), "scale": (8,), "shift": (8,), "W1": (8, 16), "b1": (16,), "W2": (16, 8), "W3": (8, 10)},
        *(words_ours, words_jax, words_torch),
        {"lr": 0.05, "momentum": 0.8, "nesterov": True, "weight_decay": 1e-3},
        ("int64", 6),
        ("int64",),
    ),
]
