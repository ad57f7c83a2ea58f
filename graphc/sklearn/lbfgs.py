"""Training by L-BFGS: SciPy's search over the compiled loss and gradients of all rows at once."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import optimize
from sklearn.exceptions import ConvergenceWarning

from graphc.sklearn.net import Net, dense

if TYPE_CHECKING:
    from graphc.sklearn.base import MultilayerPerceptron
    from graphc.sklearn.stochastic import Rows

Array = np.ndarray[Any, Any]


def minimize(model: MultilayerPerceptron, net: Net, rows: Rows) -> None:
    """Trains the weights that the net has, at most `max_iter` iterations, and tells the model how it ended."""
    X, y, weights = rows
    data, params = (dense(X), y, weights), [*net.coefs, *net.intercepts]
    slope = net.used(net.slope, len(y))
    ends = np.cumsum([param.value.size for param in params])

    def load(point: Array) -> None:
        for param, part in zip(params, np.split(point, ends[:-1]), strict=True):
            param.value = part.reshape(param.shape).astype(param.dtype)

    def value_and_gradient(point: Array) -> tuple[float, Array]:
        load(point)
        trained, _, *gradients = slope(*data)
        return trained, np.concatenate([each.ravel() for each in gradients], dtype=np.float64)

    def told(intermediate_result: Any) -> None:
        model._say(f"Loss = {intermediate_result.fun:.8f}")

    result = optimize.minimize(
        value_and_gradient,
        np.concatenate([param.value.ravel() for param in params], dtype=np.float64),
        method="L-BFGS-B",
        jac=True,
        callback=told,
        options={"maxfun": model.max_fun, "maxiter": model.max_iter, "gtol": model.tol},
    )
    load(result.x)
    model.n_iter_, model.loss_ = min(result.nit, model.max_iter), slope(*data)[1]
    if result.status != 0:
        warnings.warn(
            f"lbfgs failed to converge after {result.nit} iteration(s) (status={result.status}): {result.message}\n"
            "Increase max_iter to improve the convergence, or scale the data.",
            ConvergenceWarning,
            stacklevel=2,
        )
