"""The table's rows: one call in graphc's words, in JAX's and in PyTorch's, and what it is called with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

import graphc as gc

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Row:
    """One call and its operands; a peer that has no such function is None."""

    name: str  # graphc's public name; after a colon, what is special
    ours: Callable[..., gc.Node]
    jax: Callable[..., jax.Array] | None
    torch: Callable[..., torch.Tensor] | None
    operands: tuple[Array, ...]

    def __str__(self) -> str:
        return self.name

    @property
    def floats(self) -> list[int]:
        """Which operands have gradients."""
        return [k for k, operand in enumerate(self.operands) if operand.dtype.kind == "f"]

    def node(self) -> tuple[list[gc.Node], gc.Node]:
        """Params that hold the operands, and the call."""
        params: list[gc.Node] = [gc.param(f"x{k}", operand) for k, operand in enumerate(self.operands)]
        return params, self.ours(*params)

    @property
    def differentiable(self) -> bool:
        return bool(self.floats) and self.node()[1].dtype.kind == "f"

    def weights(self, shape: Sequence[int]) -> Array:
        """What the result's elements are multiplied by before they are summed; the same for every peer."""
        return np.random.default_rng(len(self.name)).normal(size=shape)

    def directions(self) -> list[Array]:
        """Where the gradients are differentiated along, one for each float operand."""
        rng = np.random.default_rng(1)
        return [rng.normal(size=self.operands[k].shape) for k in self.floats]


# ---- operands and calls that all three spell alike ------------------------------------------------------------------

RNG = np.random.default_rng(20240)


def real(*shape: int, low: float = -2.0, high: float = 2.0) -> Array:
    return RNG.uniform(low, high, shape)


def positive(*shape: int) -> Array:
    return real(*shape, low=0.5)


def whole(*shape: int, low: int = 0, high: int = 3) -> Array:
    return RNG.integers(low, high, shape)


def truth(*shape: int) -> Array:
    return RNG.random(shape) < 0.5


def probabilities(*shape: int) -> Array:
    rows = positive(*shape)
    return rows / rows.sum(-1, keepdims=True)


def same(name: str, *operands: Array) -> Row:
    """A function that all three have by one name, and call in one way."""
    return Row(name, *(getattr(module, name) for module in (gc, jnp, torch)), operands)


def axis(name: str, *operands: Array, torch_name: str = "", **options: Any) -> Row:
    """A function over axes, which are `axis` in NumPy's words and `dim` in PyTorch's."""
    words = {"axis": "dim", "keepdims": "keepdim"}
    spelled = {words.get(key, key): value for key, value in options.items()}
    special = ": " + ", ".join(f"{key}={value}" for key, value in options.items()) if options else ""
    return Row(
        name + special,
        lambda *xs: getattr(gc, name)(*xs, **options),
        lambda *xs: getattr(jnp, name)(*xs, **options),
        lambda *xs: getattr(torch, torch_name or name)(*xs, **spelled),
        operands,
    )
