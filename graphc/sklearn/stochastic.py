"""Training by sgd and adam: epochs of native batches, and what is decided after each."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import gen_batches

import graphc as gc
from graphc.sklearn.net import Net, dense

if TYPE_CHECKING:
    from graphc.sklearn.base import MultilayerPerceptron

Array = np.ndarray[Any, Any]
Rows = tuple[Any, Array, Array]
"""Rows of X, targets and weights."""

LEAST_RATE = 1e-6
"""An adaptive learning rate that is not above it ends training where it would be divided again."""


def train(model: MultilayerPerceptron, net: Net, rows: Rows, one_epoch: bool) -> None:
    """Trains the weights that the net has, at most `max_iter` epochs, and tells the model of each."""
    rng, held_out = model._random_state, None
    if model.early_stopping:
        rows, held_out = _split(model, rows, rng)
    count = rows[0].shape[0]
    batch = _batch_size(model.batch_size, count)
    after = AfterEpoch(model, net, held_out, count, one_epoch)
    data = rows if isinstance(rows[0], np.ndarray) else SparseBatches(rows, batch, model.shuffle, rng)
    history = net.used(net.step, batch).fit(
        data,
        batch_size=batch,
        epochs=1 if one_epoch else model.max_iter,
        shuffle=model.shuffle,
        seed=int(rng.randint(1 << 32, dtype=np.uint32)) if model.shuffle else 0,
        callbacks=[after],
        progress=False,
    )
    if history.interrupted:
        warnings.warn("Training interrupted by user.", stacklevel=2)
    if after.best is not None:
        net.load(*after.best)


def _split(model: MultilayerPerceptron, rows: Rows, rng: np.random.RandomState) -> tuple[Rows, Rows]:
    """Rows to train on, and rows to validate on; of two classes the same share each."""
    two_classes = model._form.head == "logistic" and model._form.outputs == 1
    parts = train_test_split(
        *rows, random_state=rng, test_size=model.validation_fraction, stratify=rows[1] if two_classes else None
    )
    if parts[1].shape[0] < 2:
        raise ValueError(
            f"The validation set is too small, {parts[1].shape[0]} rows. Increase 'validation_fraction' or the size "
            "of your dataset."
        )
    return (parts[0], parts[2], parts[4]), (parts[1], parts[3], parts[5])


def _batch_size(wanted: int | str, count: int) -> int:
    if isinstance(wanted, str):
        return min(200, count)
    if wanted > count:
        warnings.warn(f"batch_size={wanted} is larger than the {count} samples: it is clipped", stacklevel=2)
    return int(min(wanted, count))


class AfterEpoch:
    """The callback of `fit`: tells the model what an epoch gave, sets the learning rate, and ends training.

    best: with early stopping, the weights of the best score so far.
    """

    def __init__(self, model: MultilayerPerceptron, net: Net, held_out: Rows | None, count: int, one: bool) -> None:
        self._model, self._net, self._held_out, self._count, self._one = model, net, held_out, count, one
        self.best = None if held_out is None else net.weights()
        # A model that goes on may have been trained by the other measure before.
        if held_out is None and model.best_loss_ is None:
            model.best_loss_ = np.inf
        if held_out is not None and model.validation_scores_ is None:
            model.validation_scores_, model.best_validation_score_ = [], -np.inf

    def __call__(self, epoch: int, history: gc.History) -> bool:
        model = self._model
        model.n_iter_ = epoch
        model.t_ += self._count
        model.loss_ = history.loss[-1]
        model.loss_curve_.append(model.loss_)
        model._say(f"Iteration {epoch}, loss = {model.loss_:.8f}")
        better = self._loss_is_better() if self._held_out is None else self._score_is_better(self._held_out)
        model._no_improvement_count = 0 if better else model._no_improvement_count + 1
        if model.solver == "sgd" and model.learning_rate == "invscaling":
            self._net.solver.lr = model.learning_rate_init / (model.t_ + 1) ** model.power_t
        ends = model._no_improvement_count > model.n_iter_no_change and self._is_stuck()
        if epoch == model.max_iter and not ends and not self._one:
            warnings.warn(
                f"Stochastic Optimizer: Maximum iterations ({epoch}) reached and the optimization hasn't converged.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return ends

    def _loss_is_better(self) -> bool:
        model, loss = self._model, self._model.loss_
        better = loss <= model.best_loss_ - model.tol
        model.best_loss_ = min(loss, model.best_loss_)
        return bool(better)

    def _score_is_better(self, held_out: Rows) -> bool:
        model, (X, y, weights) = self._model, held_out
        score = model._score(self._net.predict(X), y, weights)
        model.validation_scores_.append(score)
        model._say(f"Validation score: {score:f}")
        better = score >= model.best_validation_score_ + model.tol
        if score > model.best_validation_score_:
            model.best_validation_score_, self.best = score, self._net.weights()
        return bool(better)

    def _is_stuck(self) -> bool:
        """Whether training ends where it no longer helps: an adaptive learning rate becomes smaller first."""
        model, solver = self._model, self._net.solver
        what = "Training loss" if self._held_out is None else "Validation score"
        said = f"{what} did not improve more than tol={model.tol:f} for {model.n_iter_no_change} consecutive epochs."
        if model.solver == "sgd" and model.learning_rate == "adaptive" and solver.lr > LEAST_RATE:
            solver.lr /= 5
            model._no_improvement_count = 0
            model._say(f"{said} Setting learning rate to {solver.lr:f}")
            return False
        model._say(f"{said} Stopping.")
        return True


class SparseBatches:
    """Batches of a CSR matrix's rows, each made dense when its turn comes; iterated anew in each epoch."""

    def __init__(self, rows: Rows, batch: int, shuffled: bool, rng: np.random.RandomState) -> None:
        self._rows, self._batch, self._shuffled, self._rng = rows, batch, shuffled, rng

    def __iter__(self) -> Iterator[Rows]:
        X, y, weights = self._rows
        order = self._rng.permutation(len(y)) if self._shuffled else np.arange(len(y))
        for batch in gen_batches(len(y), self._batch):
            chosen = order[batch]
            yield dense(X[chosen]), y[chosen], weights[chosen]
