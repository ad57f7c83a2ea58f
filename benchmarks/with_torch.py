"""PyTorch: eager, and by torch.compile."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from contenders import Step
from torch.nn import functional
from workloads import Words, Workload

# A matrix of params lies as in torch.nn.Linear: (outputs, inputs).
WORDS = Words(
    functional.linear, functional.relu, torch.tanh, torch.sigmoid, functional.cross_entropy, functional.mse_loss
)


def _start(workload: Workload, threads: int | None) -> tuple[list[Any], list[Any], Callable[..., Any]]:
    """Inputs, params, and the function of both that is the loss. threads: None for PyTorch's own default."""
    if threads is not None:
        torch.set_num_threads(threads)
    arrays, names = workload.inputs(), list(workload.params())
    inputs = [torch.from_numpy(array) for array in arrays.values()]
    params = [torch.tensor(array.T.copy() if array.ndim == 2 else array) for array in workload.params().values()]

    def loss_of(params: list[Any], inputs: list[Any]) -> Any:
        return workload.loss(WORDS, dict(zip(arrays, inputs)), dict(zip(names, params)))

    return inputs, params, loss_of


def eager(workload: Workload, update: str, threads: int | None = None) -> Step:
    """Eager mode without modules.

    update: "foreach" and "fused" are torch.optim.SGD's; "zeroed" is "fused" with gradients that are kept and zeroed
    instead of set to None; "by hand" is autograd.grad and one in-place operation on all params.
    """
    inputs, params, loss_of = _start(workload, threads)
    return _step(workload, inputs, [param.requires_grad_() for param in params], loss_of, update)


def _step(workload: Workload, inputs: list[Any], params: list[Any], loss_of: Callable[..., Any], update: str) -> Step:
    """A step by autograd and an update of that kind."""

    def step_by_hand() -> float:
        loss = loss_of(params, inputs)
        gradients = torch.autograd.grad(loss, params)
        with torch.no_grad():
            torch._foreach_add_(params, gradients, alpha=-workload.lr)
        return float(loss.item())

    if update == "by hand":
        return step_by_hand
    kind = {"foreach": {"foreach": True}, "fused": {"fused": True}, "zeroed": {"fused": True}}[update]
    optimizer = torch.optim.SGD(params, lr=workload.lr, **kind)

    def step() -> float:
        loss = loss_of(params, inputs)
        optimizer.zero_grad(set_to_none=update != "zeroed")
        loss.backward()
        optimizer.step()
        return float(loss.item())

    return step


def compiled(workload: Workload, what: str, threads: int | None = None, options: dict[str, Any] | None = None) -> Step:
    """What Inductor makes of it.

    what: "step" compiles forward, backward and update as one graph; "loss" compiles the loss, whose backward is
    compiled with it, and updates by hand. options: Inductor's.
    """
    inputs, params, loss_of = _start(workload, threads)
    if what == "loss":
        fast = torch.compile(loss_of, fullgraph=True, dynamic=False, options=options)
        return _step(workload, inputs, [param.requires_grad_() for param in params], fast, "by hand")

    def whole(params: list[Any], inputs: list[Any]) -> Any:
        gradients, loss = torch.func.grad_and_value(loss_of)(params, inputs)
        for param, gradient in zip(params, gradients):
            param.sub_(workload.lr * gradient)
        return loss

    train = torch.compile(whole, fullgraph=True, dynamic=False, options=options)

    def step() -> float:
        with torch.no_grad():
            return float(train(params, inputs).item())

    return step
