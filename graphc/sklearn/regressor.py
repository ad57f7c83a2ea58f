"""MLPRegressor: one number a row, or several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin, _fit_context
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if

import graphc as gc
from graphc.sklearn.base import Array, Coded, MultilayerPerceptron


class MLPRegressor(RegressorMixin, MultilayerPerceptron):
    """scikit-learn's MLPRegressor, trained by a compiled step: the same parameters, attributes and formulas.

    More than scikit-learn's: `dropout` and `network`, as MLPClassifier has them. `loss`: "squared_error", or "poisson",
    for targets that are not negative, whose mean is `exp` of what the net computes.

    float32 data train a float32 net, all else is float64. Attributes are scikit-learn's: `coefs_`, `intercepts_`,
    `loss_curve_` and the others.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MultilayerPerceptron._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"})],
    }

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: int | np.random.RandomState | None = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: int | float = 10,
        max_fun: int = 15000,
        dropout: float = 0.0,
        network: Callable[[gc.Node, int], gc.Node] | None = None,
    ) -> None:
        self._keep(locals())

    @available_if(lambda self: self._is_stochastic())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Trains for one epoch on these rows, going on from what was learned before; returns self.

        Not with solver="lbfgs".
        """
        return self._fit(X, y, sample_weight, one_epoch=True)

    def predict(self, X: Any) -> Array:
        """A number for each row, (samples,), or several, `(samples, n_outputs_)`."""
        outputs = self._outputs(X)
        return outputs.ravel() if self.n_outputs_ == 1 else outputs

    def _of_targets(self) -> dict[str, Any]:
        return {"y_numeric": True}

    def _coded(self, y: Any, learns: bool) -> Coded:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        if self.loss == "poisson" and y.min() < 0:
            raise ValueError(f"loss='poisson' is of targets that are not negative, got {y.min()}")
        y = y.reshape(len(y), -1)
        return y, "exp" if self.loss == "poisson" else "identity", y.shape[1]

    def _score(self, outputs: Array, y: Array, weights: Array) -> float:
        """The coefficient of determination."""
        return float(r2_score(y, outputs, sample_weight=weights))
