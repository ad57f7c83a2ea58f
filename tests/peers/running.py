"""What graphc, JAX and PyTorch make of a row, and whether it is the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import torch
from rows import Array, Row

import graphc as gc

jax.config.update("jax_enable_x64", True)

Values = list[Array]  # the result, and the gradient of sum(weights * result) by each float operand
TOLERANCE = 1e-12  # relative to the largest value of each tensor

# ---- graphc ---------------------------------------------------------------------------------------------------------


def our_nodes(row: Row) -> list[gc.Node]:
    params, result = row.node()
    if result.dtype.kind != "f":
        return [result]
    loss = gc.sum(result * row.weights(result.shape))
    return [result, *gc.grad(loss, [params[k] for k in row.floats])]


def our_hessian_nodes(row: Row) -> list[gc.Node]:
    """The Hessian of sum(weights * result), times the directions."""
    params, result = row.node()
    wrt = [params[k] for k in row.floats]
    slopes = gc.grad(gc.sum(result * row.weights(result.shape)), wrt)
    along = [gc.sum(slope * direction) for slope, direction in zip(slopes, row.directions())]
    return gc.grad(sum(along[1:], along[0]), wrt)


@cache
def compiled(row: Row) -> Values:
    return _run(our_nodes(row))


def _run(nodes: list[gc.Node]) -> Values:
    """What the compiled function returns; a scalar comes back as a float, whatever its dtype."""
    return [np.asarray(value, node.dtype) for value, node in zip(gc.compile(nodes)(), nodes, strict=True)]


@cache
def interpreted(row: Row) -> Values:
    return gc.evaluate(our_nodes(row))


def compiled_hessian(row: Row) -> Values:
    return _run(our_hessian_nodes(row))


def interpreted_hessian(row: Row) -> Values:
    return gc.evaluate(our_hessian_nodes(row))


# ---- the peers ------------------------------------------------------------------------------------------------------


def _jax_of_floats(row: Row) -> tuple[Callable[..., jax.Array], list[jax.Array]]:
    """JAX's function of the float operands alone, and these."""
    assert row.jax is not None
    call = row.jax
    operands = [jnp.asarray(operand) for operand in row.operands]

    def of_floats(*floats: jax.Array) -> jax.Array:
        given = dict(zip(row.floats, floats, strict=True))
        return call(*(given.get(k, operand) for k, operand in enumerate(operands)))

    return of_floats, [operands[k] for k in row.floats]


def in_jax(row: Row) -> Values:
    function, floats = _jax_of_floats(row)
    if jax.eval_shape(function, *floats).dtype.kind != "f":
        return [np.asarray(function(*floats))]
    result, pull_back = jax.vjp(function, *floats)
    return [np.asarray(result), *map(np.asarray, pull_back(jnp.asarray(row.weights(result.shape))))]


def hessian_in_jax(row: Row) -> Values:
    """The Hessian of sum(weights * result), times the directions."""
    function, floats = _jax_of_floats(row)
    weights = row.weights(jax.eval_shape(function, *floats).shape)
    slopes = jax.grad(lambda *xs: jnp.sum(function(*xs) * weights), argnums=tuple(range(len(floats))))
    return [np.asarray(each) for each in jax.jvp(slopes, tuple(floats), tuple(map(jnp.asarray, row.directions())))[1]]


def in_torch(row: Row) -> Values:
    assert row.torch is not None
    operands = [torch.tensor(operand, requires_grad=operand.dtype.kind == "f") for operand in row.operands]
    result = row.torch(*operands)
    values = [result.detach().numpy()]
    if result.dtype != torch.float64:
        return values
    wrt = [operands[k] for k in row.floats]
    if not result.requires_grad:
        return values + [np.zeros(each.shape) for each in wrt]
    weights = torch.tensor(row.weights(result.shape))
    slopes = torch.autograd.grad(result, wrt, weights, allow_unused=True, materialize_grads=True)
    return values + [slope.numpy() for slope in slopes]


# ---- comparing ------------------------------------------------------------------------------------------------------


def error_of(ours: Array, theirs: Array) -> float:
    """The largest difference relative to the peer's largest value; infinite unless NaN and infinities are equal."""
    assert ours.shape == theirs.shape, f"shape {ours.shape}, the peer has {theirs.shape}"
    assert ours.dtype.kind == theirs.dtype.kind, f"dtype {ours.dtype}, the peer has {theirs.dtype}"
    if ours.dtype.kind != "f":
        return 0.0 if np.array_equal(ours, theirs) else np.inf
    finite = np.isfinite(theirs)
    if not np.array_equal(ours[~finite], theirs[~finite], equal_nan=True):
        return np.inf
    largest = np.max(np.abs(theirs[finite]), initial=np.finfo(float).tiny)
    return float(np.max(np.abs(ours[finite] - theirs[finite]), initial=0) / largest)


def assert_same(ours: Values, theirs: Values, what: str) -> None:
    """Each tensor's error is below TOLERANCE."""
    assert len(ours) == len(theirs)
    for k, (own, other) in enumerate(zip(ours, theirs)):
        error = error_of(own, other)
        assert error <= TOLERANCE, f"{what}, tensor {k}: error {error:.2e}\n{own}\nthe peer has\n{other}"
