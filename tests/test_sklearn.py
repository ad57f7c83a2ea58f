"""graphc.sklearn beside scikit-learn's own: its estimator checks, and the same numbers from the same start."""

from __future__ import annotations

import copy
import inspect
import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn import neural_network
from sklearn.base import clone
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

import graphc as gc
from graphc.sklearn import MLPClassifier, MLPRegressor, pool, stochastic

THEIRS = {MLPClassifier: neural_network.MLPClassifier, MLPRegressor: neural_network.MLPRegressor}

# Most of these tests train for some epochs, fewer than it takes to converge.
pytestmark = [
    pytest.mark.usefixtures("jit_mode"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]


@parametrize_with_checks([MLPClassifier(), MLPRegressor()])
def test_estimator_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize("ours", THEIRS)
def test_parameters_defaults_and_tags_are_theirs(ours: type) -> None:
    mine = inspect.signature(ours).parameters
    for name, parameter in inspect.signature(THEIRS[ours]).parameters.items():
        assert (mine[name].default, mine[name].kind) == (parameter.default, parameter.kind), name
    assert get_tags(ours()) == get_tags(THEIRS[ours]())


# ---- the same numbers -----------------------------------------------------------------------------------------------


def iris() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_iris(return_X_y=True)
    return X - X.mean(axis=0), y


def both(ours: type, **parameters: Any) -> tuple[Any, Any]:
    """An estimator of graphc's and one of scikit-learn's, which see the rows in the same order."""
    same = {"random_state": 3, "shuffle": False, "max_iter": 12, "batch_size": 40, **parameters}
    return ours(**same), THEIRS[ours](**same)


def assert_same(mine: Any, theirs: Any, rtol: float = 1e-8) -> None:
    assert mine.loss_ == pytest.approx(theirs.loss_, rel=rtol)
    for names in ("coefs_", "intercepts_"):
        for a, b in zip(getattr(mine, names), getattr(theirs, names), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol)
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(mine, name) == getattr(theirs, name), name


def assert_same_curve(mine: Any, theirs: Any) -> None:
    np.testing.assert_allclose(mine.loss_curve_, theirs.loss_curve_, rtol=1e-8)
    assert mine.best_loss_ == pytest.approx(theirs.best_loss_)


@pytest.mark.parametrize(
    "parameters",
    [
        {"alpha": 0.5},
        {"solver": "sgd", "learning_rate_init": 0.05},
        {"solver": "sgd", "learning_rate_init": 0.05, "nesterovs_momentum": False, "learning_rate": "invscaling"},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "n_iter_no_change": 2, "max_iter": 60},
        {"solver": "lbfgs", "alpha": 0.1, "max_iter": 8},
        {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1, "tol": 0.5, "n_iter_no_change": 3},
        {"hidden_layer_sizes": (7, 5), "activation": "tanh"},
    ],
    ids=str,
)
def test_classes_as_scikit_learn_trains_them(parameters: dict[str, Any]) -> None:
    X, y = iris()
    weights = np.random.default_rng(0).uniform(0.5, 2, len(y))
    mine, theirs = both(MLPClassifier, **parameters)
    mine.fit(X, y, weights)
    theirs.fit(X, y, weights)
    assert_same(mine, theirs)
    if mine.solver != "lbfgs":
        assert_same_curve(mine, theirs)
    np.testing.assert_allclose(mine.predict_proba(X), theirs.predict_proba(X), rtol=1e-7)
    np.testing.assert_allclose(mine.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(mine.predict(X), theirs.predict(X))
    assert mine.score(X, y) == theirs.score(X, y)


def test_labels_of_any_kind() -> None:
    X = iris()[0][:, :3]
    two = np.where(X[:, 0] > 0.1, "yes", "no")
    mine, theirs = (each.fit(X, two) for each in both(MLPClassifier))
    assert_same(mine, theirs)
    np.testing.assert_array_equal(mine.predict(X), theirs.predict(X))
    np.testing.assert_allclose(mine.predict_proba(X), theirs.predict_proba(X), rtol=1e-7)
    X, many = make_multilabel_classification(60, 2, n_classes=5, random_state=0)
    mine, theirs = (each.fit(X, many) for each in both(MLPClassifier))
    assert_same(mine, theirs)
    np.testing.assert_array_equal(mine.predict(X), theirs.predict(X))
    np.testing.assert_array_equal(mine.classes_, theirs.classes_)


@pytest.mark.parametrize(
    "parameters", [{}, {"loss": "poisson", "activation": "logistic"}, {"solver": "lbfgs", "max_iter": 8}]
)
def test_numbers_as_scikit_learn_trains_them(parameters: dict[str, Any]) -> None:
    X, y = iris()
    mine, theirs = (each.fit(X, y.astype(float)) for each in both(MLPRegressor, **parameters))
    assert_same(mine, theirs)
    np.testing.assert_allclose(mine.predict(X), theirs.predict(X), rtol=1e-6)


def test_several_numbers_of_float32() -> None:
    """The loss is the mean over the outputs, the gradient that of their sum, as scikit-learn has it."""
    X, y = iris()
    X, two = X.astype("f"), np.column_stack([y, -2 * y]).astype("f")
    mine, theirs = (each.fit(X, two) for each in both(MLPRegressor, hidden_layer_sizes=(6,), activation="identity"))
    assert_same(mine, theirs, 1e-4)
    assert mine.predict(X).dtype == np.float32
    np.testing.assert_allclose(mine.predict(X), theirs.predict(X), atol=1e-4)


def test_early_stopping_holds_the_same_rows_out() -> None:
    X, y = iris()
    settings = {"early_stopping": True, "n_iter_no_change": 4, "max_iter": 100, "validation_fraction": 0.2}
    mine, theirs = (each.fit(X, y) for each in both(MLPClassifier, **settings))
    assert_same(mine, theirs)
    assert mine.validation_scores_ == theirs.validation_scores_
    assert mine.best_validation_score_ == theirs.best_validation_score_ == max(mine.validation_scores_)
    assert mine.best_loss_ is None
    assert mine.n_iter_ < 100
    mine, theirs = (each.fit(X, y) for each in both(MLPRegressor, **settings))
    np.testing.assert_allclose(mine.validation_scores_, theirs.validation_scores_, rtol=1e-6)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        mine.partial_fit(X, y)


def test_partial_fit_and_warm_start_go_on() -> None:
    """Also through a pickle: the solver's memory goes with the weights."""
    X, y = iris()
    mine, theirs = both(MLPClassifier, solver="sgd", learning_rate="invscaling", learning_rate_init=0.05)
    for rows in (slice(0, 90), slice(60, 150), slice(0, 50)):
        mine.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        theirs.partial_fit(X[rows], y[rows], classes=[0, 1, 2])
        assert_same(mine, theirs)
        mine = pickle.loads(pickle.dumps(mine))
    assert_same_curve(mine, theirs)
    mine, theirs = both(MLPClassifier, warm_start=True, max_iter=3)
    for _ in range(2):
        mine.fit(X, y)
        theirs.fit(X, y)
    assert_same(mine, theirs)
    assert len(mine.loss_curve_) == 6
    with pytest.raises(ValueError, match="same classes as in the previous call"):
        mine.fit(X[:60], y[:60])
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        MLPClassifier().partial_fit(X, y)
    with pytest.raises(ValueError, match=r"not in `self.classes_`"):
        MLPClassifier().partial_fit(X, y, classes=[0, 1])
    assert not hasattr(MLPClassifier(solver="lbfgs"), "partial_fit")


def test_going_on_by_another_solver_and_another_measure() -> None:
    X, y = iris()
    model = MLPClassifier(random_state=0, max_iter=3).partial_fit(X, y, classes=[0, 1, 2])
    model.set_params(solver="sgd").partial_fit(X, y)
    model.set_params(solver="lbfgs", warm_start=True).fit(X, y)
    loss = model.loss_
    model.set_params(solver="adam", early_stopping=True).fit(X, y)
    assert model.loss_curve_[-1] < 2 * loss
    assert len(model.validation_scores_) == 3


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_sparse_rows_are_rows(solver: str) -> None:
    X, y = iris()
    X[abs(X) < 0.5] = 0
    plain, thin = (
        MLPClassifier(random_state=0, shuffle=False, max_iter=5, solver=solver).fit(rows, y)
        for rows in (X, sparse.csc_array(X))
    )
    np.testing.assert_allclose(plain.coefs_[0], thin.coefs_[0], rtol=1e-9)
    np.testing.assert_allclose(plain.predict_proba(X), thin.predict_proba(sparse.csr_array(X)), rtol=1e-9)
    shuffled = [MLPClassifier(random_state=0, max_iter=5).fit(sparse.csr_array(X), y).loss_curve_ for _ in range(2)]
    assert shuffled[0] == shuffled[1] != plain.loss_curve_


def test_many_rows_are_predicted_in_parts(rng: np.random.Generator) -> None:
    X, y = iris()
    model = MLPClassifier(random_state=0, max_iter=2).fit(X, y)
    many = rng.standard_normal((2100, 4))
    alone = np.vstack([model.predict_proba(many[first : first + 7]) for first in range(0, 2100, 7)])
    np.testing.assert_allclose(model.predict_proba(many), alone, rtol=1e-12)


# ---- more than scikit-learn's ---------------------------------------------------------------------------------------


def test_weights_are_repeated_rows_and_classes_have_weights() -> None:
    X, y = iris()
    model = MLPClassifier(random_state=1, solver="sgd", shuffle=False, batch_size=500, max_iter=4)
    times = np.random.default_rng(0).integers(0, 4, len(y))
    with pytest.warns(UserWarning, match="batch_size=500 is larger than the 150 samples"):
        weighted = clone(model).fit(X, y, times)
    repeated = clone(model).set_params(batch_size=times.sum()).fit(X.repeat(times, axis=0), y.repeat(times))
    np.testing.assert_allclose(weighted.coefs_[0], repeated.coefs_[0], rtol=1e-9)
    model.set_params(batch_size=150)
    by_hand = clone(model).fit(X, y, np.where(y == 2, 5.0, 1.0) * (1 + times))
    by_class = clone(model).set_params(class_weight={2: 5.0}).fit(X, y, 1 + times)
    np.testing.assert_allclose(by_hand.coefs_[0], by_class.coefs_[0], rtol=1e-12)
    rows = np.r_[0:10, 50:150]
    balanced = clone(model).set_params(class_weight="balanced", batch_size=110).fit(X[rows], y[rows])
    by_hand = clone(model).set_params(batch_size=110).fit(X[rows], y[rows], np.where(rows < 50, 110 / 30, 110 / 150))
    np.testing.assert_allclose(balanced.coefs_[0], by_hand.coefs_[0], rtol=1e-12)
    with pytest.raises(ValueError, match="partial_fit sees not all of the data"):
        balanced.partial_fit(X, y)


def test_a_batch_may_have_no_weight() -> None:
    """It costs nothing, and moves the weights by the momentum of the batches before it alone."""
    X, y = iris()
    model = MLPClassifier(
        random_state=0, solver="sgd", shuffle=False, batch_size=50, alpha=0.0, max_iter=1, momentum=0.0
    )
    last = clone(model).fit(X, y, y == 2)
    alone = clone(model).set_params(max_iter=1).partial_fit(X[100:], y[100:], classes=[0, 1, 2])
    np.testing.assert_allclose(last.coefs_[0], alone.coefs_[0], rtol=1e-12)
    assert last.loss_ == pytest.approx(alone.loss_ / 3)


def test_dropout_follows_from_the_random_state_and_is_left_out_of_predictions() -> None:
    X, y = iris()
    first, again, other = (
        MLPClassifier((20, 20), dropout=0.5, random_state=seed, max_iter=20).fit(X, y) for seed in (0, 0, 1)
    )
    assert first.loss_curve_ == again.loss_curve_ != other.loss_curve_
    hidden = X
    for W, b in zip(first.coefs_[:-1], first.intercepts_[:-1]):
        hidden = np.maximum(hidden @ W + b, 0)
    z = hidden @ first.coefs_[-1] + first.intercepts_[-1]
    expected = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(first.predict_proba(X), expected, rtol=1e-9)
    # Half of the units are missing when it trains: it is never as sure as it is then.
    error = -np.log(expected[np.arange(len(y)), y]).mean()
    assert first.loss_ > 1.1 * error


def test_dropout_goes_on_through_a_pickle() -> None:
    X, y = iris()
    kept = MLPClassifier((20, 20), dropout=0.5, random_state=0, shuffle=False)
    kept.partial_fit(X, y, classes=[0, 1, 2])
    copied = pickle.loads(pickle.dumps(kept))
    for model in (kept, copied):
        model.partial_fit(X, y).partial_fit(X, y)
    assert kept.loss_curve_ == copied.loss_curve_


def layers(x: gc.Node, n_outputs: int) -> gc.Node:
    """The net of `hidden_layer_sizes=6`, by graphc's layers."""
    return gc.nn.dense(gc.nn.dense(x, 6, activation="relu", name="first"), n_outputs, name="last")


def noisy(x: gc.Node, n_outputs: int) -> gc.Node:
    return gc.nn.dense(gc.nn.dropout(gc.nn.layer_norm(x), 0.5), n_outputs)


def test_a_network_of_ones_own() -> None:
    """Trained as the same net of scikit-learn's, from the weights that its params are made with."""
    X, y = iris()
    x = gc.input("x", ("batch", 4), "float64")
    W1, b1, W2, b2 = (param.value for param in gc.nn.params(layers(x, 3)))
    mine = MLPClassifier(network=layers, max_iter=5, shuffle=False, alpha=0.3).fit(X, y)
    theirs = neural_network.MLPClassifier(6, max_iter=1, shuffle=False, alpha=0.3, warm_start=True)
    theirs.partial_fit(X, y, classes=[0, 1, 2])
    theirs.coefs_, theirs.intercepts_, theirs.loss_curve_ = [W1.copy(), W2.copy()], [b1.copy(), b2.copy()], []
    theirs.set_params(max_iter=5).fit(X, y)
    np.testing.assert_allclose(mine.loss_curve_, theirs.loss_curve_, rtol=1e-8)
    np.testing.assert_allclose(mine.coefs_[1], theirs.coefs_[1], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(mine.predict_proba(X), theirs.predict_proba(X), rtol=1e-7)
    again = pickle.loads(pickle.dumps(mine))
    np.testing.assert_array_equal(mine.predict_proba(X), again.predict_proba(X))
    assert clone(mine).get_params() == mine.get_params()


def test_a_network_with_dropout_and_vectors() -> None:
    X, y = iris()
    first, again, other = (
        MLPRegressor(network=noisy, random_state=seed, shuffle=False, max_iter=5).fit(X, y) for seed in (0, 0, 1)
    )
    assert first.loss_curve_ == again.loss_curve_ != other.loss_curve_
    assert [each.shape for each in first.coefs_ + first.intercepts_] == [(4, 1), (4,), (4,), (1,)]
    np.testing.assert_array_equal(first.predict(X), again.predict(X))


# ---- compiled nets are lent -----------------------------------------------------------------------------------------


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the functions that are compiled from here on, with no net to be borrowed."""
    names: list[str] = []
    compile_, kept = gc.compile, []
    monkeypatch.setattr(pool, "_idle", kept)
    monkeypatch.setattr(
        gc, "compile", lambda *args, **named: (names.append(named["name"]), compile_(*args, **named))[1]
    )
    return names


def test_a_search_over_numbers_compiles_once(compiled: list[str]) -> None:
    X, y = iris()
    model = make_pipeline(StandardScaler(), MLPClassifier(max_iter=5, random_state=0))
    grid = {
        "mlpclassifier__alpha": [1e-4, 1.0],
        "mlpclassifier__learning_rate_init": [1e-3, 0.1],
        "mlpclassifier__beta_1": [0.9, 0.5],
        "mlpclassifier__batch_size": [20, 50],
    }
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.best_params_["mlpclassifier__learning_rate_init"] == 0.1
    assert sorted(compiled) == ["fit", "predict"]


def test_a_search_in_other_processes() -> None:
    X, y = iris()
    model = make_pipeline(StandardScaler(), MLPClassifier(max_iter=3, random_state=0))
    alone, shared = (
        GridSearchCV(model, {"mlpclassifier__alpha": [1e-4, 1.0]}, cv=2, n_jobs=jobs).fit(X, y) for jobs in (1, 2)
    )
    np.testing.assert_array_equal(alone.cv_results_["mean_test_score"], shared.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(alone.predict_proba(X), shared.predict_proba(X))


def test_models_hold_no_compiled_code(compiled: list[str]) -> None:
    X, y = iris()
    one, other = (MLPClassifier(max_iter=3, random_state=seed).fit(X, y) for seed in (0, 1))
    expected = [model.predict_proba(X) for model in (one, other, one)]
    assert len(compiled) == 2
    for model in (copy.deepcopy(one), pickle.loads(pickle.dumps(one))):
        np.testing.assert_array_equal(model.predict_proba(X), expected[0])
    np.testing.assert_array_equal(expected[0], expected[2])
    assert not np.array_equal(expected[0], expected[1])
    assert len(compiled) == 2
    one.coefs_[-1][:] = 0  # the weights are the model's own: what it predicts follows from them
    one.intercepts_[-1][:] = 0
    np.testing.assert_allclose(one.predict_proba(X), 1 / 3)


def test_threads_do_not_share_a_net() -> None:
    X, y = iris()
    alone = [MLPClassifier(max_iter=30, random_state=seed).fit(X, y).loss_curve_ for seed in range(4)]
    models = [MLPClassifier(max_iter=30, random_state=seed) for seed in range(4)]
    threads = [threading.Thread(target=model.fit, args=(X, y)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [model.loss_curve_ for model in models] == alone


def test_what_is_kept_has_a_bound(compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = iris()
    MLPClassifier(max_iter=2, random_state=0).fit(X, y)
    (kept,) = pool._idle
    weights = sum(param.value.nbytes for param in (*kept.coefs, *kept.intercepts))
    assert kept.bytes > 3 * weights + kept.step.memory(batch=150)  # Adam keeps two arrays more for each
    monkeypatch.setattr(pool, "MOST_BYTES", kept.bytes + 8000)
    for units, names in [(101, [100, 101]), (105, [101, 105]), (10_000, [10_000]), (100, [100])]:
        with pool.borrowed(replace(kept.form, hidden=(units,))):
            pass
        assert [net.form.hidden[0] for net in pool._idle] == names


# ---- what is told ---------------------------------------------------------------------------------------------------


def test_it_says_when_it_has_not_converged(capsys: pytest.CaptureFixture[str]) -> None:
    X, y = iris()
    for solver, told in [("adam", r"Maximum iterations \(2\) reached"), ("lbfgs", "lbfgs failed to converge after 2")]:
        with pytest.warns(ConvergenceWarning, match=told):
            MLPClassifier(max_iter=2, solver=solver, verbose=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" = ")[0] for line in lines] == ["Iteration 1, loss", "Iteration 2, loss", "Loss", "Loss"]
    MLPClassifier(max_iter=9, tol=10, n_iter_no_change=1, verbose=True, solver="sgd").fit(X, y)
    assert "did not improve more than tol=10.000000 for 1 consecutive epochs. Stopping." in capsys.readouterr().out


def test_ctrl_c_keeps_what_was_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = iris()
    told = stochastic.AfterEpoch.__call__

    def pressed(self: Any, epoch: int, history: gc.History) -> bool:
        told(self, epoch, history)
        if epoch == 3:
            raise KeyboardInterrupt
        return False

    monkeypatch.setattr(stochastic.AfterEpoch, "__call__", pressed)
    with pytest.warns(UserWarning, match="Training interrupted"):
        model = MLPClassifier(random_state=0, shuffle=False).fit(X, y)
    monkeypatch.undo()
    expected = MLPClassifier(random_state=0, shuffle=False, max_iter=3).fit(X, y)
    np.testing.assert_array_equal(model.coefs_[0], expected.coefs_[0])


def wide(x: gc.Node, n_outputs: int) -> gc.Node:
    return gc.nn.dense(x, n_outputs + 1)


def test_errors_say_what_is_wrong() -> None:
    X, y = iris()
    for model, told in [
        (MLPClassifier(network=wide), r"network\(x, n_outputs\) returns a node .*\[batch,3\].*got f64\[batch,4\]"),
        (MLPClassifier(network=lambda x, n: x[:, :3]), "no params to train"),
        (MLPClassifier(network=layers, dropout=0.5), r"in a network of your own: gc\.nn\.dropout"),
        (MLPClassifier((5, 0)), "hidden_layer_sizes must be > 0"),
        (MLPClassifier(dropout=1.0), "'dropout' parameter"),
        (MLPClassifier(solver="newton"), "'solver' parameter"),
        (MLPClassifier(solver="sgd", learning_rate_init=1e300), "scale them"),
        (MLPClassifier(early_stopping=True, validation_fraction=0.001), "validation set is too small"),
        (MLPRegressor(loss="poisson"), r"not negative, got -1"),
    ]:
        with pytest.raises(ValueError, match=told), np.errstate(all="ignore"):
            model.fit(X, y - 1)
    with pytest.raises(ValueError, match="ended with weights or a loss that are not finite"):
        MLPRegressor(solver="lbfgs", max_iter=3).fit(X, np.full(len(y), 1e200))
    with pytest.raises(ValueError, match="sum to 0"):
        MLPClassifier(class_weight=dict.fromkeys(range(3), 0)).fit(X, y)


def test_import_graphc_is_light() -> None:
    asked = "import graphc, sys; sys.exit('sklearn' in sys.modules or 'graphc.sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
    missing = "import sys; sys.modules['sklearn'] = None; import graphc.sklearn"
    done = subprocess.run([sys.executable, "-c", missing], check=False, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1].startswith("ImportError: graphc.sklearn builds on scikit-learn")
