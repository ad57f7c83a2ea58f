"""MLPClassifier: classes, several labels at once, and class weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassifierMixin, _fit_context
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

import graphc as gc
from graphc.sklearn.base import Array, Coded, MultilayerPerceptron


class MLPClassifier(ClassifierMixin, MultilayerPerceptron):
    """scikit-learn's MLPClassifier, trained by a compiled step: the same parameters, attributes and formulas.

    More than scikit-learn's: `dropout`, the rate of zeros behind each hidden layer. `class_weight`, None, "balanced" or
    a dict of class -> weight: factors of the samples' weights. `network`, in place of hidden_layer_sizes and
    activation: a function `(x, n_outputs)` that makes a graph of x (batch, features) and returns the logits
    (batch, n_outputs); one logit for two classes. Params of two axes or more are its `coefs_`, which alpha makes
    smaller, the others its `intercepts_`. It is called again for each net that is compiled, and depends on its
    arguments alone; its params start as it makes them, whatever `random_state` is.

    float32 data train a float32 net, all else is float64. Attributes are scikit-learn's: `classes_`, `coefs_`,
    `intercepts_`, `loss_curve_` and the others.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **MultilayerPerceptron._parameter_constraints,
        "class_weight": [dict, list, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
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
        class_weight: Mapping[Any, float] | str | None = None,
        dropout: float = 0.0,
        network: Callable[[gc.Node, int], gc.Node] | None = None,
    ) -> None:
        self._keep(locals())

    @available_if(lambda self: self._is_stochastic())
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """Trains for one epoch on these rows, going on from what was learned before; returns self.

        classes: all that there will ever be; wanted at the first call. Not with solver="lbfgs".
        """
        if self.class_weight == "balanced":
            raise ValueError("partial_fit sees not all of the data: give class_weight a dict, not 'balanced'")
        if classes is not None:
            known: Array = unique_labels(classes)
            before: Array = getattr(self, "classes_", known)
            if not np.array_equal(before, known):
                raise ValueError(f"`classes={classes!r}` are not those of the first call, {before}")
            self.classes_ = known
        elif not hasattr(self, "classes_"):
            raise ValueError("classes must be passed on the first call to partial_fit.")
        return self._fit(X, y, sample_weight, one_epoch=True)

    def predict(self, X: Any) -> Array:
        """The class of each row, (samples,); of several labels at once 0 or 1 for each, `(samples, n_outputs_)`."""
        outputs = self._outputs(X)
        if self.out_activation_ == "softmax":
            return self.classes_[outputs.argmax(axis=1)]  # type: ignore[no-any-return]
        yes = (outputs > 0.5).astype(int)
        return yes if self.n_outputs_ > 1 else self.classes_.take(yes[:, 0], mode="clip")

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, (samples, classes), in the order of `classes_`."""
        outputs = self._outputs(X)
        return np.hstack([1 - outputs, outputs]) if self.n_outputs_ == 1 else outputs

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithm of `predict_proba`."""
        return np.log(self.predict_proba(X))

    # ---- classes as numbers -----------------------------------------------------------------------------------------

    def _coded(self, y: Any, learns: bool) -> Coded:
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if y.ndim == 2 and type_of_target(y) != "multilabel-indicator":
            raise ValueError("Multioutput target data is not supported: of several columns, each is 0 or 1")
        classes = unique_labels(y)
        if learns:
            self.classes_ = classes
        else:
            self._check_known(classes)
        if y.ndim == 2:
            return y != 0, "logistic", y.shape[1]
        numbers = np.searchsorted(self.classes_, y)
        if len(self.classes_) > 2:
            return numbers.astype(np.int64), "softmax", len(self.classes_)
        return numbers[:, None].astype(bool), "logistic", 1

    def _check_known(self, classes: Array) -> None:
        """ValueError for classes that were not there before."""
        if self.warm_start and set(classes) != set(self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {self.classes_}, `y` has {classes}"
            )
        if not set(classes) <= set(self.classes_):
            raise ValueError(f"`y` has classes not in `self.classes_`, {self.classes_}: {classes}")

    def _weights(self, y: Any, weights: Array) -> Array:
        return weights if self.class_weight is None else weights * compute_sample_weight(self.class_weight, y)

    def _score(self, outputs: Array, y: Array, weights: Array) -> float:
        """The accuracy."""
        hits = outputs.argmax(axis=1) == y if y.ndim == 1 else ((outputs > 0.5) == (y > 0.5)).all(axis=1)
        return float(np.average(hits, weights=weights))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
