"""PyTensor in Numba mode; params are shared variables, the update is part of the function."""

from __future__ import annotations

import functools
from typing import Any

import pytensor
import pytensor.tensor as pt
from contenders import Step
from pytensor.tensor.special import log_softmax
from workloads import Words, Workload


def _dense(x: Any, weight: Any, bias: Any) -> Any:
    return x @ weight if bias is None else x @ weight + bias


def _relu(x: Any) -> Any:
    return pt.maximum(x, 0)


def _cross_entropy(logits: Any, labels: Any) -> Any:
    return -log_softmax(logits, axis=1)[pt.arange(labels.shape[0]), labels].mean()


def _mse(prediction: Any, target: Any) -> Any:
    return pt.sqr(prediction - target).mean()


WORDS = Words(_dense, _relu, pt.tanh, pt.sigmoid, _cross_entropy, _mse)


def call(workload: Workload, static: bool = True) -> Step:
    """static: the shapes are told, else only the number of axes."""
    pytensor.config.floatX = "float32"
    arrays = workload.inputs()
    inputs = {
        name: pt.tensor(name, dtype=str(array.dtype), shape=array.shape if static else (None,) * array.ndim)
        for name, array in arrays.items()
    }
    params = {
        name: pytensor.shared(array, name, shape=array.shape if static else None, borrow=True)
        for name, array in workload.params().items()
    }
    loss = workload.loss(WORDS, inputs, params)
    gradients = pytensor.grad(loss, list(params.values()))
    rate = pt.constant(workload.lr, dtype="float32")
    updates = [(param, param - rate * gradient) for param, gradient in zip(params.values(), gradients)]
    step = pytensor.function(list(inputs.values()), loss, updates=updates, mode="NUMBA")
    step.trust_input = True
    return functools.partial(_float_of, step, *arrays.values())


def _float_of(step: Any, *arrays: Any) -> float:
    return float(step(*arrays))
