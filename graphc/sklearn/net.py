"""A net as graphs and compiled functions: what it trains, predicts and differentiates."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphc as gc
from graphc.ops.likelihood import sigmoid_nll, softmax_nll
from graphc.sklearn.solvers import SGD, Adam
from graphc.state import counter

Array = np.ndarray[Any, Any]

ROWS = 1024
"""Rows that are predicted at a time: the memory of a prediction does not grow with the data."""

ACTIVATIONS: dict[str, Callable[[gc.Node], gc.Node]] = {
    "identity": lambda x: x,
    "logistic": gc.sigmoid,
    "tanh": gc.tanh,
    "relu": gc.relu,
}
HEADS: dict[str, Callable[[gc.Node], gc.Node]] = {
    "softmax": gc.softmax,
    "logistic": gc.sigmoid,
    "identity": lambda z: z,
    "exp": gc.exp,
}
"""From what the net computes to what is predicted, by the name of `out_activation_`."""

LOSSES: dict[str, Callable[[gc.Node, gc.Node], gc.Node]] = {
    "softmax": softmax_nll,
    "logistic": lambda z, y: gc.sum(sigmoid_nll(z, y), axis=-1),
    "identity": lambda z, y: 0.5 * gc.sum((z - y) ** 2, axis=-1),
    "exp": lambda z, y: gc.sum(gc.xlogy(y, y) - y * z - y + gc.exp(z), axis=-1),
}
"""Each row's loss, by the name of `out_activation_`: the heads' canonical losses, as scikit-learn sums them."""


@dataclass(frozen=True)
class Form:
    """All that a net's machine code depends on.

    head: of HEADS. dtype: of rows, weights and targets; those of a softmax are class numbers, int64.
    network: makes the graph in place of `hidden`, `activation` and `dropout`.
    """

    features: int
    outputs: int
    head: str
    dtype: str
    hidden: tuple[int, ...]
    activation: str
    dropout: float
    network: Callable[[gc.Node, int], gc.Node] | None
    solver: str
    nesterov: bool


class Net:
    """Params, and the functions over them; each is compiled when it is first used.

    coefs: trainable params of two axes or more, which alpha makes smaller. intercepts: the other trainable ones.
    initial: their values when they were made. counters: count the steps, for dropout.
    """

    def __init__(self, form: Form) -> None:
        self.form = form
        self.x = gc.input("x", ("batch", form.features), form.dtype)
        self.z = _of_layers(form, self.x) if form.network is None else _of_network(form, self.x)
        made = gc.nn.params(self.z)
        self.coefs = [param for param in made if param.trainable and param.ndim > 1]
        self.intercepts = [param for param in made if param.trainable and param.ndim <= 1]
        self.initial = [param.value.copy() for param in self._weights]
        self.counters = [param for param in made if param.next_value is not None]
        self.alpha = gc.param("alpha", 0.0, dtype=form.dtype, trainable=False)
        self.solver = SGD(form.nesterov) if form.solver == "sgd" else Adam()
        self._scratch: dict[gc.Function, int] = {}

    @property
    def _weights(self) -> list[gc.Param]:
        return [*self.coefs, *self.intercepts]

    # ---- what may be lent -------------------------------------------------------------------------------------------

    def load(self, coefs: Sequence[Array], intercepts: Sequence[Array]) -> None:
        """Copies weights into the net."""
        for param, value in zip(self._weights, [*coefs, *intercepts], strict=True):
            param.value = value

    def weights(self) -> tuple[list[Array], list[Array]]:
        """Copies of the coefs and of the intercepts."""
        return [each.value.copy() for each in self.coefs], [each.value.copy() for each in self.intercepts]

    def remember(self, memory: Sequence[Array] | None) -> None:
        """Copies a solver's memory into the step's, or makes it empty."""
        params = self._solver_memory
        for param, value in zip(params, memory or [np.zeros_like(each.value) for each in params], strict=True):
            param.value = value

    def memory(self) -> list[Array]:
        """Copies of what the solver keeps from step to step."""
        return [param.value.copy() for param in self._solver_memory]

    @property
    def _solver_memory(self) -> list[gc.Param]:
        """Known once the step is compiled: something for each weight, as the solver wants it."""
        assert self.step.optimizer is self.solver
        return self.solver.memory

    def used(self, function: gc.Function, rows: int) -> gc.Function:
        """The function, which is about to be called on so many rows."""
        self._scratch[function] = max(self._scratch.get(function, 0), function.memory(batch=rows))
        return function

    @property
    def bytes(self) -> int:
        """The memory that it holds: scratch memory of the largest calls so far, and params."""
        held = [*gc.nn.params(self.z), *self.solver.memory]
        return sum(self._scratch.values()) + sum(param.value.nbytes for param in held)

    # ---- compiled ---------------------------------------------------------------------------------------------------

    @functools.cached_property
    def step(self) -> gc.Function:
        """A step of training: (x, y, weights) to the loss of the batch."""
        trained, loss = self._objective
        # Its value is the loss, its gradient is that of what is trained.
        shown = trained - gc.stop_gradient(trained - loss) if loss is not trained else loss
        return gc.compile(shown, inputs=self._inputs, optimizer=self.solver, name="fit")

    @functools.cached_property
    def slope(self) -> gc.Function:
        """(x, y, weights) to what is trained, the loss, and the gradients of coefs and intercepts."""
        trained, loss = self._objective
        trained, loss, *gradients = gc.nn.inference([trained, loss, *gc.grad(trained, self._weights)])
        return gc.compile([trained, loss, *gradients], inputs=self._inputs, name="slope")

    @functools.cached_property
    def _predict(self) -> gc.Function:
        return gc.compile(HEADS[self.form.head](gc.nn.inference(self.z)), inputs=[self.x], name="predict")

    def predict(self, X: Any) -> Array:
        """The outputs (rows, outputs) for all rows of an array or of a CSR matrix."""
        made = np.empty((X.shape[0], self.form.outputs), self.form.dtype)
        predict = self.used(self._predict, min(ROWS, X.shape[0]))
        for first in range(0, X.shape[0], ROWS):
            made[first : first + ROWS] = predict(dense(X[first : first + ROWS]))
        return made

    @functools.cached_property
    def _inputs(self) -> list[gc.Node]:
        form = self.form
        classes = form.head == "softmax"
        y = gc.input("y", ("batch",) if classes else ("batch", form.outputs), "int64" if classes else form.dtype)
        return [self.x, y, gc.input("weights", ("batch",), form.dtype)]

    @functools.cached_property
    def _objective(self) -> tuple[gc.Node, gc.Node]:
        """What is trained, and the loss that scikit-learn tells: they differ for the squares of several outputs.

        scikit-learn's loss is their mean over the outputs, its gradient that of their sum.
        """
        _, y, weights = self._inputs
        total = gc.sum(weights)
        total = gc.where(gc.equal(total, 0), 1, total)  # a batch may have no weight: it costs nothing
        error = gc.sum(weights * LOSSES[self.form.head](self.z, y)) / total
        penalty = gc.const(0.0, self.form.dtype)
        for W in self.coefs:
            penalty = penalty + gc.sum(W * W)
        penalty = 0.5 * self.alpha * penalty / total
        trained = error + penalty
        if self.form.head != "identity" or self.form.outputs == 1:
            return trained, trained
        return trained, error / self.form.outputs + penalty


def dense(X: Any) -> Array:
    """Rows as an array, whether they are one or sparse."""
    made: Array = X.toarray() if hasattr(X, "toarray") else X
    return made


def _of_layers(form: Form, x: gc.Node) -> gc.Node:
    """Dense layers, with dropout behind each hidden one; all masks follow from one counter of steps."""
    steps, sizes = counter("steps"), (form.features, *form.hidden, form.outputs)
    for number, (before, behind) in enumerate(itertools.pairwise(sizes), 1):
        if number > 1:
            x = gc.dropout(ACTIVATIONS[form.activation](x), steps, rate=form.dropout, seed=number)
        W = gc.param(f"W{number}", np.zeros((before, behind), form.dtype))
        x = x @ W + gc.param(f"b{number}", np.zeros(behind, form.dtype))
    return x


def _of_network(form: Form, x: gc.Node) -> gc.Node:
    """The user's graph; ValueError if it is none that can be trained."""
    assert form.network is not None
    z = form.network(x, form.outputs)
    if not isinstance(z, gc.Node) or z.shape != (x.shape[0], form.outputs) or z.dtype != x.dtype:
        raise ValueError(
            f"network(x, n_outputs) returns a node {form.dtype}[batch,{form.outputs}] for x {x.type}, without the "
            f"output's activation; got {z.type if isinstance(z, gc.Node) else repr(z)}"
        )
    if not any(param.trainable for param in gc.nn.params(z)):
        raise ValueError("network(x, n_outputs) has no params to train")
    return z


def drawn(form: Form, rng: np.random.RandomState) -> tuple[list[Array], list[Array]]:
    """First weights of dense layers, the numbers that scikit-learn draws: uniform, by Glorot and Bengio (2010)."""
    coefs, intercepts, sizes = [], [], (form.features, *form.hidden, form.outputs)
    for before, behind in itertools.pairwise(sizes):
        bound = np.sqrt((2.0 if form.activation == "logistic" else 6.0) / (before + behind))
        coefs.append(rng.uniform(-bound, bound, (before, behind)).astype(form.dtype))
        intercepts.append(rng.uniform(-bound, bound, behind).astype(form.dtype))
    return coefs, intercepts
