"""Names that do not exist: each error suggests the nearest, and none where none is near."""

from __future__ import annotations

import re

import numpy as np
import pytest

import graphc as gc
from graphc.nearest import ELSEWHERE, did_you_mean


def compiled() -> gc.Function:
    x = gc.input("x", ("n", 3))
    return gc.compile(gc.mean(x * gc.param("w", 3)), optimizer=gc.SGD(0.1))


X = np.ones((4, 3), "f")

CASES = [
    (lambda: gc.cros_entropy, AttributeError, "has no attribute 'cros_entropy'; did you mean gc.cross_entropy?"),
    (lambda: gc.amax, AttributeError, "did you mean gc.max?"),
    (lambda: gc.placeholder, AttributeError, "did you mean gc.input?"),
    (lambda: gc.Variable, AttributeError, "did you mean gc.param?"),
    (lambda: gc.sgd, AttributeError, "did you mean gc.SGD?"),
    (lambda: gc.SGD(learning_rate=0.1), TypeError, "SGD has no argument 'learning_rate', only lr, momentum"),
    (lambda: gc.SGD(learning_rate=0.1), TypeError, "; did you mean 'lr'?\n  in SGD at test_nearest.py:"),
    (lambda: gc.SGD(0.1, momentun=0.9), TypeError, "did you mean 'momentum'?"),
    (lambda: gc.sum(gc.const([1.0]), axes=0), TypeError, "sum has no argument 'axes', only x, axis, keepdims; did you"),
    (lambda: gc.mse(1.0, 2.0, weight=1.0), TypeError, "mse has no argument 'weight', only prediction, target, weights"),
    (
        lambda: gc.elu(gc.const([1.0]), alfa=2),
        TypeError,
        "elu has no option 'alfa'; it has alpha; did you mean 'alpha'",
    ),
    (
        lambda: gc.param("w", 3, init="glorot_unifrom"),
        ValueError,
        "got 'glorot_unifrom'; did you mean 'glorot_uniform'?",
    ),
    (lambda: gc.nn.dense(gc.input("x", ("n", 3)), 2, "Relu"), ValueError, "got 'Relu'; did you mean 'relu'?"),
    (lambda: gc.input("x", 3, "flaot32"), gc.DtypeError, "no dtype is called 'flaot32': graphc computes in float32"),
    (lambda: gc.input("x", 3, "flaot32"), gc.DtypeError, "; did you mean 'float32'?"),
    (lambda: compiled()(X=X), gc.InputError, "step has no input 'X'; its inputs are x; did you mean 'x'?"),
    (lambda: compiled().fit({"X": X}, progress=False), gc.InputError, "did you mean 'x'?"),
    (lambda: compiled().fit((X,), validation={"X": X}, progress=False), gc.InputError, "validation data: step has no"),
    (
        lambda: compiled().stages["simplfy"],
        KeyError,
        "no stage is called 'simplfy', only graph, differentiate, simplify",
    ),
    (lambda: compiled().stages["simplfy"], KeyError, "did you mean 'simplify'?"),
    (lambda: gc.History([1.0], {"val_loss": [2.0]}).values("val_los"), KeyError, "did you mean 'val_loss'?"),
    (lambda: gc.History([1.0]).values("val_loss"), KeyError, "only loss; fit(..., validation=...) adds it"),
]


@pytest.mark.parametrize(("use", "kind", "words"), CASES, ids=[words[-30:] for _, _, words in CASES])
def test_the_nearest_name_is_suggested(use, kind: type[Exception], words: str, python_mode) -> None:
    with pytest.raises(kind, match=re.escape(words)):
        use()


def test_none_is_suggested_where_none_is_near() -> None:
    assert did_you_mean("quaternion", ["x", "y"]) == ""
    with pytest.raises(AttributeError, match=r"has no attribute 'quaternion'$"):
        gc.quaternion  # noqa: B018
    with pytest.raises(AttributeError, match=r"has no attribute '__wrapped__'$"):
        gc.__wrapped__  # noqa: B018


def test_what_others_call_it_exists_here() -> None:
    options = {"axis", "keepdims", "lr"}
    for name, ours in ELSEWHERE.items():
        assert not hasattr(gc, name), name
        assert ours in options or callable(getattr(gc, ours)), ours


def test_a_right_call_with_a_wrong_value_says_what_it_said() -> None:
    """Only what a function does not take is about names."""
    with pytest.raises(TypeError, match=r"gc\.where"):
        gc.sum(gc.const([1.0]), keepdims=gc.const(True))
    with pytest.raises(TypeError, match="mse: missing a required argument: 'target'; its arguments are prediction"):
        gc.mse(1.0)
