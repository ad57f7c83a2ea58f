"""graphc: forward, backward and update in one native call."""

from __future__ import annotations

import functools
from typing import Any

from contenders import Run, Step
from workloads import Words, Workload

import graphc as gc


def _dense(x: Any, weight: Any, bias: Any) -> Any:
    return x @ weight if bias is None else x @ weight + bias


WORDS = Words(_dense, gc.relu, gc.tanh, gc.sigmoid, gc.softmax_cross_entropy, gc.mse)


def loss_of(workload: Workload) -> tuple[Any, dict[str, Any]]:
    """The loss as a graph, and its params, which start where the workload's do."""
    inputs = {
        name: gc.input(name, ("batch", *array.shape[1:]), str(array.dtype)) for name, array in workload.inputs().items()
    }
    params = {name: gc.param(name, array) for name, array in workload.params().items()}
    return workload.loss(WORDS, inputs, params), params


def _compiled(workload: Workload) -> Any:
    return gc.compile(loss_of(workload)[0], optimizer=gc.SGD(lr=workload.lr))


def call(workload: Workload) -> Step:
    """A Python call for each step."""
    return functools.partial(_compiled(workload), *workload.inputs().values())


def loop(workload: Workload) -> Run:
    """Many steps in one native call."""
    step, arrays = _compiled(workload), list(workload.inputs().values())
    return lambda steps: step.run(steps, *arrays)
