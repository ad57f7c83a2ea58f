"""What classifier and regressor share: parameters, checks, and a fit that borrows a compiled net."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

import graphc as gc
from graphc.sklearn import lbfgs, stochastic
from graphc.sklearn.net import ACTIVATIONS, Form, Net, dense, drawn
from graphc.sklearn.pool import borrowed

Array = np.ndarray[Any, Any]
Coded = tuple[Array, str, int]
"""Targets as a net wants them, its head and the number of its outputs."""

FLOATS = (np.float64, np.float32)
SPARSE = ("csr", "csc")


def _from(least: float, most: float | None, kind: Any = Real, closed: str = "left") -> Interval:
    return Interval(kind, least, most, closed=closed)


class MultilayerPerceptron(BaseEstimator, ABC):
    """scikit-learn's parameters and attributes, trained by graphc; see MLPClassifier and MLPRegressor."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "hidden_layer_sizes": ["array-like", _from(1, None, Integral)],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions({"lbfgs", "sgd", "adam"})],
        "alpha": [_from(0, None)],
        "batch_size": [StrOptions({"auto"}), _from(1, None, Integral)],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [_from(0, None, closed="neither")],
        "power_t": [_from(0, None)],
        "max_iter": [_from(1, None, Integral)],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [_from(0, None)],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [_from(0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [_from(0, 1)],
        "beta_1": [_from(0, 1)],
        "beta_2": [_from(0, 1)],
        "epsilon": [_from(0, None, closed="neither")],
        "n_iter_no_change": [_from(1, None, Integral), Options(Real, {np.inf})],
        "max_fun": [_from(1, None, Integral)],
        "dropout": [_from(0, 1)],
        "network": [callable, None],
    }

    def _keep(self, parameters: dict[str, Any]) -> None:
        """Keeps what __init__ was given as it is, as scikit-learn wants it: fit checks it."""
        for name in self._parameter_constraints:
            setattr(self, name, parameters[name])

    # ---- what classifier and regressor do in their own way ----------------------------------------------------------

    @abstractmethod
    def _coded(self, y: Any, learns: bool) -> Coded:
        """Targets, which have been checked, as a net wants them; `learns` if their classes are not known before."""

    @abstractmethod
    def _score(self, outputs: Array, y: Array, weights: Array) -> float:
        """How good a net's outputs are for these targets: more is better."""

    def _weights(self, y: Any, weights: Array) -> Array:
        """The samples' weights, where there is more to them than what fit was given."""
        return weights

    # ---- fit --------------------------------------------------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Trains on rows X (samples, features), an array or a sparse matrix, and targets y; returns self.

        sample_weight: (samples,); a row of weight 2 counts as two of weight 1.
        Raises ValueError for data or parameters that cannot be trained with, and where the loss is NaN or infinite.
        """
        return self._fit(X, y, sample_weight, one_epoch=False)

    def _is_stochastic(self) -> bool:
        if self.solver == "lbfgs":
            raise AttributeError("partial_fit takes single batches, which solver='lbfgs' cannot; use 'sgd' or 'adam'")
        return True

    def _fit(self, X: Any, y: Any, sample_weight: Any, one_epoch: bool) -> Any:
        if one_epoch and self.early_stopping:
            raise ValueError("partial_fit does not support early_stopping=True")
        first = not hasattr(self, "coefs_") or not (self.warm_start or one_epoch)
        X, y = validate_data(
            self, X, y, accept_sparse=SPARSE, multi_output=True, dtype=FLOATS, reset=first, **self._of_targets()
        )
        X, y = X.tocsr() if hasattr(X, "tocsr") else X, dense(y)
        targets, head, outputs = self._coded(y, learns=first and not one_epoch)
        weights = self._weights(y, _check_sample_weight(sample_weight, X))
        if not weights.sum() > 0:
            raise ValueError("the sample weights sum to 0: nothing is left to train on")
        self._random_state = check_random_state(self.random_state)
        if first:
            self._form = self._asked(X, head, outputs)
        else:
            self._form = replace(self._form, solver=self.solver, nesterov=self._is_nesterov())
        dtype = self._form.dtype
        targets = targets if head == "softmax" else targets.astype(dtype, copy=False)
        rows = X.astype(dtype, copy=False), targets, weights.astype(dtype, copy=False)
        with borrowed(self._form) as net:
            if first:
                self._begin(net)
            self._train(net, rows, one_epoch)
        return self

    def _of_targets(self) -> dict[str, Any]:
        """More arguments of validate_data."""
        return {}

    def _asked(self, X: Any, head: str, outputs: int) -> Form:
        """The form of the net that the parameters describe."""
        sizes = self.hidden_layer_sizes if isinstance(self.hidden_layer_sizes, Iterable) else [self.hidden_layer_sizes]
        if any(size < 1 for size in sizes):
            raise ValueError(f"hidden_layer_sizes must be > 0, got {list(sizes)}.")
        if self.network is None:
            layers = {"hidden": tuple(map(int, sizes)), "activation": self.activation, "dropout": float(self.dropout)}
        elif self.dropout:
            raise ValueError("dropout is of the layers of hidden_layer_sizes; in a network of your own: gc.nn.dropout")
        else:
            layers = {"hidden": (), "activation": "", "dropout": 0.0}
        return Form(
            features=X.shape[1],
            outputs=outputs,
            head=head,
            dtype=X.dtype.name,
            network=self.network,
            solver=self.solver,
            nesterov=self._is_nesterov(),
            **layers,
        )

    def _is_nesterov(self) -> bool:
        return self.solver == "sgd" and bool(self.nesterovs_momentum)

    def _begin(self, net: Net) -> None:
        """Attributes and weights of a model that has learned nothing yet."""
        rng, form = self._random_state, net.form
        self.n_iter_ = self.t_ = self._no_improvement_count = 0
        self.n_outputs_, self.out_activation_ = form.outputs, form.head
        if form.network is None:
            self.coefs_, self.intercepts_ = drawn(form, rng)
        else:
            self.coefs_ = [each.copy() for each in net.initial[: len(net.coefs)]]
            self.intercepts_ = [each.copy() for each in net.initial[len(net.coefs) :]]
        self.n_layers_ = len(self.coefs_) + 1
        self._counts = [int(rng.randint(1 << 31)) for _ in net.counters]
        self._memory: dict[str, Any] | None = None
        self.loss_curve_: list[float] = []
        self.validation_scores_: Any = None
        self.best_validation_score_: Any = None
        self.best_loss_: Any = None

    def _train(self, net: Net, rows: stochastic.Rows, one_epoch: bool) -> None:
        """Trains the weights in a borrowed net and takes them out again."""
        net.load(self.coefs_, self.intercepts_)
        net.alpha.value = float(self.alpha)
        for param, count in zip(net.counters, self._counts, strict=True):
            param.value = count
        try:
            if self.solver == "lbfgs":
                lbfgs.minimize(self, net, rows)
            else:
                self._set_solver(net, goes_on=one_epoch)
                stochastic.train(self, net, rows, one_epoch)
        except gc.NonFiniteError as error:
            raise ValueError(
                f"{error}\n  the data may contain large values: scale them (sklearn.preprocessing.StandardScaler), or "
                "make learning_rate_init smaller"
            ) from error
        coefs, intercepts = net.weights()
        loss = getattr(self, "loss_", 0.0)  # there is none yet if Ctrl-C came in the first epoch
        if not all(np.isfinite(each).all() for each in [loss, *coefs, *intercepts]):
            raise ValueError(
                "training ended with weights or a loss that are not finite: the data may contain large values; scale "
                "them (sklearn.preprocessing.StandardScaler)"
            )
        self.coefs_, self.intercepts_ = coefs, intercepts
        self._counts = [int(param.value) for param in net.counters]
        if self.solver != "lbfgs":
            self._memory = {"solver": self.solver, "lr": net.solver.lr, "arrays": net.memory()}

    def _set_solver(self, net: Net, goes_on: bool) -> None:
        """The solver's hyperparameters; and its memory, empty unless it goes on from the call before."""
        names = ("momentum",) if self.solver == "sgd" else ("beta_1", "beta_2", "epsilon")
        net.solver.set(**{name: getattr(self, name) for name in names})
        known = self._memory if goes_on and self._memory and self._memory["solver"] == self.solver else None
        net.solver.lr = known["lr"] if known else self.learning_rate_init
        net.remember(known["arrays"] if known else None)

    def _say(self, line: str) -> None:
        if self.verbose:
            print(line)

    # ---- predict ----------------------------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> Array:
        """What the net predicts for rows that a user gave, `(samples, n_outputs_)`."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=SPARSE, reset=False)
        X = X.tocsr() if hasattr(X, "tocsr") else X
        with borrowed(self._form) as net:
            net.load(self.coefs_, self.intercepts_)
            return net.predict(X.astype(self._form.dtype, copy=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
