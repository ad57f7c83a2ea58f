"""JAX: jit of one step, and lax.scan over many. Buffers of params are donated."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from contenders import Run, Step
from workloads import Words, Workload

Pair = tuple[Any, Any]


def _dense(x: Any, weight: Any, bias: Any) -> Any:
    return x @ weight if bias is None else x @ weight + bias


def _gathered(logits: Any, labels: Any) -> Any:
    """Cross-entropy that picks by index; its gradient is a scatter."""
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1).mean()


def _one_hot(logits: Any, labels: Any) -> Any:
    """Cross-entropy that picks by comparing, which fuses."""
    hot = jax.nn.one_hot(labels, logits.shape[1], dtype=logits.dtype)
    return -(hot * jax.nn.log_softmax(logits)).sum(axis=1).mean()


def _mse(prediction: Any, target: Any) -> Any:
    return jnp.square(prediction - target).mean()


def _start(workload: Workload, one_hot: bool) -> tuple[Any, Any, Callable[..., Pair]]:
    """Params and inputs as trees, and the function of both, and a learning rate, that gives new params and the loss."""
    words = Words(_dense, jax.nn.relu, jnp.tanh, jax.nn.sigmoid, _one_hot if one_hot else _gathered, _mse)
    arrays, values = workload.inputs(), workload.params()

    def loss_of(params: Any, inputs: Any) -> Any:
        return workload.loss(words, dict(zip(arrays, inputs)), dict(zip(values, params)))

    def train(params: Any, inputs: Any, lr: Any = workload.lr) -> Pair:
        loss, gradients = jax.value_and_grad(loss_of)(params, inputs)
        return tuple(param - lr * gradient for param, gradient in zip(params, gradients)), loss

    return tuple(map(jnp.asarray, values.values())), tuple(map(jnp.asarray, arrays.values())), train


def call(workload: Workload, one_hot: bool = False, wait: bool = True) -> Step:
    """One step of jit a call. wait: a call returns when it is done, which costs less than handing it to a thread."""
    jax.config.update("jax_cpu_enable_async_dispatch", not wait)
    params, inputs, train = _start(workload, one_hot)
    fast = jax.jit(train, donate_argnums=0)

    def step() -> float:
        nonlocal params
        params, loss = fast(params, inputs)
        return float(loss.item())

    return step


def loop(workload: Workload, one_hot: bool = False, unroll: int = 1) -> Run:
    """lax.scan over the steps: one call trains them all.

    The barrier makes each step's batch a new one to XLA, as it is in training; else what depends on the batch alone
    (the chain's sigmoid) would be computed once, before the loop.
    """
    params, inputs, train = _start(workload, one_hot)

    @functools.partial(jax.jit, static_argnums=2, donate_argnums=0)
    def many(params: Any, inputs: Any, steps: int) -> Pair:
        def one(params: Any, _: None) -> Pair:
            return train(*jax.lax.optimization_barrier((params, inputs)))

        result: Pair = jax.lax.scan(one, params, None, length=steps, unroll=unroll)
        return result

    def run(steps: int) -> Any:
        nonlocal params
        params, losses = many(params, inputs, steps)
        return np.asarray(losses)

    return run


def vmap(workload: Workload, params: Sequence[Any], rates: Any, steps: int) -> Callable[[], Any]:
    """Many models, with one more axis of params, and a rate each: a call makes so many steps, and gives the losses."""
    _, inputs, train = _start(workload, one_hot=True)
    now, lr = tuple(map(jnp.asarray, params)), jnp.asarray(rates)
    step = jax.vmap(train, in_axes=(0, None, 0))

    @functools.partial(jax.jit, donate_argnums=0)
    def some(params: Any, inputs: Any, lr: Any) -> Pair:
        def one(params: Any, _: None) -> Pair:
            trained: Pair = step(*jax.lax.optimization_barrier((params, inputs, lr)))
            return trained

        result: Pair = step(params, inputs, lr) if steps == 1 else jax.lax.scan(one, params, None, length=steps)
        return result

    def run() -> Any:
        nonlocal now
        now, losses = some(now, inputs, lr)
        return np.atleast_2d(losses)

    return run
