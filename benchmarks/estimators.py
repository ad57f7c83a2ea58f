"""graphc's MLPClassifier beside scikit-learn's: the seconds of `fit` and the accuracy, with equal settings.

Both start from the same weights and train in epochs of shuffled batches until they converge by the same rule. Cold is
an empty cache directory, warm the same directory in another process. Imports are not counted. scikit-learn runs with
the BLAS threads that it takes by itself and with one; the faster of the two is what graphc is compared with.
"""

from __future__ import annotations

import statistics
import tempfile
import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tables import number, say, show
from worker import Failed, Result, measured

HEADER = ("data", "estimator", "fit, s", "min", "max", "faster", "accuracy", "epochs", "")


@dataclass(frozen=True)
class Data:
    """How rows and labels are made: scikit-learn's own sets, as float64."""

    name: str
    make: Callable[[], tuple[Any, Any]]


def _iris() -> tuple[Any, Any]:
    from sklearn.datasets import load_iris

    rows, labels = load_iris(return_X_y=True)
    return rows / rows.max(axis=0), labels


def _digits() -> tuple[Any, Any]:
    from sklearn.datasets import load_digits

    rows, labels = load_digits(return_X_y=True)
    return rows / 16, labels


def _synthetic() -> tuple[Any, Any]:
    from sklearn.datasets import make_classification

    made: tuple[Any, Any] = make_classification(
        20_000, 100, n_informative=20, n_redundant=20, n_classes=4, class_sep=1.5, random_state=0
    )
    return made


DATA = {data.name: data for data in (Data("iris", _iris), Data("digits", _digits), Data("20,000 x 100", _synthetic))}
MODULES = {"scikit-learn": "sklearn.neural_network", "graphc": "graphc.sklearn"}
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def main(options: Namespace) -> Result:
    """Seconds and accuracies of all estimators, in turns, each in a process of its own."""
    rows: list[Result] = []
    for data in DATA:
        found: list[Result] = []
        for turn in range(1 if options.quick else options.rounds):
            say(f"{data}: round {turn + 1} of {1 if options.quick else options.rounds}")
            found += [_fitted("scikit-learn", data, turn), _fitted("scikit-learn, 1 thread", data, turn, ONE_THREAD)]
            with tempfile.TemporaryDirectory() as directory:
                cache = {"GRAPHC_CACHE_DIR": directory, "NUMBA_CACHE_DIR": f"{directory}/numba"}
                found += [_fitted(f"graphc, {state}", data, turn, cache) for state in ("cold", "warm")]
        rows += _summaries(data, found)
    say("")
    show("fit to convergence, 100 hidden units, all other settings by default", HEADER, [_cells(row) for row in rows])
    return {"rows": rows, "failed": any(row["problem"] for row in rows)}


def _fitted(name: str, data: str, seed: int, environment: dict[str, str] | None = None) -> Result:
    asked = {"estimator": name.partition(",")[0], "data": data, "seed": seed}
    try:
        return {"name": name, "problem": "", **measured("estimators.fit", asked, environment)[0]}
    except Failed as failure:
        return {"name": name, "problem": f"failed: {failure}"}


def _summaries(data: str, found: Sequence[Result]) -> list[Result]:
    """A row for each estimator: medians, and scikit-learn's time over its own."""
    rows: list[Result] = []
    for name in dict.fromkeys(each["name"] for each in found):
        mine = [each for each in found if each["name"] == name]
        row: Result = {"data": data, "name": name, "problem": next((e["problem"] for e in mine if e["problem"]), "")}
        if not row["problem"]:
            seconds = [each["seconds"] for each in mine]
            row |= {"min": min(seconds), "max": max(seconds)}
            row |= {key: statistics.median(each[key] for each in mine) for key in ("seconds", "accuracy", "epochs")}
        rows.append(row)
    theirs = [row["seconds"] for row in rows if row["name"].startswith("scikit-learn") and not row["problem"]]
    for row in rows:
        if theirs and not row["problem"]:
            row["faster"] = min(theirs) / row["seconds"]
    return rows


def _cells(row: Result) -> tuple[str, ...]:
    times = (number(row.get(key)) for key in ("seconds", "min", "max"))
    faster, accuracy = number(row.get("faster"), "x"), f"{row['accuracy']:.2%}" if "accuracy" in row else ""
    return (row["data"], row["name"], *times, faster, accuracy, number(row.get("epochs")), row["problem"])


# ---- in a process of its own ----------------------------------------------------------------------------------------


def fit(estimator: str, data: str, seed: int) -> Result:
    """The seconds of fit on four fifths of the rows, its epochs, and the accuracy on the last fifth."""
    import importlib

    from sklearn.model_selection import train_test_split

    rows, labels = DATA[data].make()
    train, test, train_labels, test_labels = train_test_split(rows, labels, test_size=0.2, random_state=seed)
    model = importlib.import_module(MODULES[estimator]).MLPClassifier(random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 200 epochs are the default, whether it has converged or not
        start = time.perf_counter()
        model.fit(train, train_labels)
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "epochs": int(model.n_iter_), "accuracy": float(model.score(test, test_labels))}
