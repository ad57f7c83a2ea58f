"""The values that params begin with: Glorot and Bengio's (2010) formulas, and He et al.'s (2015)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphc.nearest import did_you_mean

Array = np.ndarray[Any, Any]
Initializer = Callable[[np.random.Generator, tuple[int, ...]], Any]


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many values feed one output, and how many outputs one value feeds, of a weight (in, out)."""
    if len(shape) < 2:
        return (shape[0], shape[0]) if shape else (1, 1)
    return int(np.prod(shape[:-1])), shape[-1]


def _uniform(limit: Callable[[int, int], float]) -> Initializer:
    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        bound = limit(*_fans(shape))
        return rng.uniform(-bound, bound, shape)

    return draw


INITIALIZERS: dict[str, Initializer] = {
    "zeros": lambda rng, shape: np.zeros(shape),
    "ones": lambda rng, shape: np.ones(shape),
    "normal": lambda rng, shape: rng.normal(0.0, 0.05, shape),
    "glorot_uniform": _uniform(lambda fan_in, fan_out: (6.0 / (fan_in + fan_out)) ** 0.5),
    "he_normal": lambda rng, shape: rng.normal(0.0, (2.0 / _fans(shape)[0]) ** 0.5, shape),
    "he_uniform": _uniform(lambda fan_in, fan_out: (6.0 / fan_in) ** 0.5),
}


def initializer(init: str | Initializer) -> Initializer:
    """The initializer of this name, or the callable itself; ValueError for another name."""
    if callable(init):
        return init
    if init not in INITIALIZERS:
        near = did_you_mean(init, INITIALIZERS)
        raise ValueError(f"init is one of {', '.join(INITIALIZERS)} or a callable (rng, shape), got {init!r}{near}")
    return INITIALIZERS[init]
