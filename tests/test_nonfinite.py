"""A loss that is NaN or infinite: the error says which value was the first, at which line, and from what."""

from __future__ import annotations

import inspect
import tracemalloc

import numpy as np
import pytest

import graphc as gc
from graphc.inspect.nonfinite import Replay, look, story
from graphc.request import graph_of


def line() -> int:
    """The caller's line number."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def told(step: gc.Function, *arrays: object) -> list[str]:
    """The lines of the error that a call raises; it changes nothing."""
    before = [param.value.tobytes() for param in step.params]
    with pytest.raises(gc.NonFiniteError) as caught:
        step(*arrays)
    assert [param.value.tobytes() for param in step.params] == before
    return str(caught.value).splitlines()


def here(number: int) -> str:
    return f"test_nonfinite.py:{number}"


def vector(*values: float) -> np.ndarray:
    return np.array(values, "f")


def test_the_first_value_its_line_and_what_it_reads(either_mode) -> None:
    x, w = gc.input("x", ("n",)), gc.param("w", np.ones((), "f"))
    scaled, at = x * w, line()
    loss = gc.mean(gc.log(scaled))
    lines = told(gc.compile(loss, optimizer=gc.SGD(0.1)), vector(3, 0.5, 0, 2))
    assert lines == [
        f"the loss is -inf (made at {here(at + 1)}); no param has changed",
        f"  log(multiply(x, w)) at {here(at + 1)} made the first value that is not finite: "
        "-inf at [2], in 1 of 4 elements; it reads",
        f"    multiply(x, w): f32[n], {here(at)}, in [0, 3]",
    ]


def test_a_value_that_overflows(python_mode) -> None:
    x, w = gc.input("x", ("n",)), gc.param("w", np.ones((), "f"))
    y, at = gc.exp(x * w), line()
    lines = told(gc.compile(gc.sum(gc.log(1 + y)), optimizer=gc.SGD(0.1)), vector(1, 90, 100))
    assert lines[1].startswith(
        f"  exp(multiply(x, w)) at {here(at)} made the first value that is not finite: inf at [1]"
    )
    assert lines[2].endswith(f"{here(at)}, in [1, 100]")


def test_inputs_and_params_that_are_not_finite_are_named(python_mode) -> None:
    x, at = gc.input("x", ("n", 3)), line()
    w = gc.param("w", np.ones(3, "f"))
    step = gc.compile(gc.sum(x * w), optimizer=gc.SGD(0.1))
    bad = np.ones((5, 3), "f")
    bad[4, 1] = bad[4, 2] = np.nan
    assert told(step, bad)[1:] == [f"  input x holds nan at [4, 1], in 2 of 15 elements ({here(at)})"]
    w.value = vector(1, np.inf, 1)
    fault = f"  param w holds inf at [1], in 1 of 3 elements ({here(at + 1)})"
    earlier = "; if a step wrote that, its gradient was not finite"
    assert told(step, np.ones((5, 3), "f"))[1:] == [fault + earlier]


def test_an_infinity_that_a_later_value_absorbs_is_not_blamed(python_mode) -> None:
    """A mask of -inf before a softmax is meant; the logarithm of 0 behind it is the fault."""
    x, w = gc.input("x", (2, 3)), gc.param("w", np.ones((), "f"))
    mask = gc.where(x > 0, x * w, -np.inf)
    weights = gc.sum(gc.exp(mask), -1)
    loss, at = gc.sum(gc.log(weights - weights[0])), line()
    lines = told(gc.compile(loss, optimizer=gc.SGD(0.1)), np.array([[1, -1, 2], [1, 2, -1]], "f"))
    assert lines[1].startswith(f"  log(subtract(sum(...), reshape(...))) at {here(at)} made the first value")


def test_what_the_compiler_made_of_an_expression_is_told_as_the_user_wrote_it(python_mode) -> None:
    """cross_entropy(softmax(z)) is compiled to log-sum-exp: the fault is the product behind z."""
    x, y, W = gc.input("x", ("n", 4)), gc.input("y", ("n",), "int64"), gc.param("W", np.full((4, 3), 1e30, "f"))
    z, at = x @ W, line()
    step = gc.compile(gc.cross_entropy(gc.softmax(z), y), optimizer=gc.SGD(0.1))
    lines = told(step, np.full((2, 4), 1e30, "f"), np.array([0, 1]))
    assert lines[1].startswith(
        f"  dot(x, W) at {here(at)} made the first value that is not finite: inf at [0, 0], in 6 of"
    )
    assert lines[2:] == [
        f"    x: f32[n,4], {here(at - 1)}, 1e+30",
        f"    W: f32[4,3], {here(at - 1)}, 1e+30",
    ]


# ---- logits instead of probabilities --------------------------------------------------------------------------------


def classified(loss, target: str, shape: tuple, prediction=lambda z: z) -> list[str]:
    x, t = gc.input("x", ("n", 3)), gc.input("t", shape, target)
    z = prediction(x * gc.param("w", np.ones((), "f")))
    step = gc.compile(loss(z, t), optimizer=gc.SGD(0.1))
    labels = np.array([0, 1]) if target == "int64" else np.full((2, 3), 0.5, "f")
    return told(step, np.array([[-3.25, 0, 5], [1, -2, 3]], "f"), labels)


@pytest.mark.parametrize(
    ("loss", "target", "shape", "instead"),
    [
        (gc.cross_entropy, "int64", ("n",), "softmax_cross_entropy"),
        (gc.cross_entropy, "float32", ("n", 3), "softmax_cross_entropy"),
        (gc.binary_cross_entropy, "float32", ("n", 3), "sigmoid_cross_entropy"),
    ],
    ids=["labels", "distributions", "yes or no"],
)
def test_logits_where_probabilities_are_wanted(loss, target: str, shape: tuple, instead: str, python_mode) -> None:
    lines = classified(loss, target, shape)
    assert lines[-1].endswith(f"has values from -3.25 to 5: logits? use gc.{instead}")
    assert lines[-1].startswith("  its prediction, multiply(x, w) at test_nonfinite.py:")
    assert hasattr(gc, instead)


def test_scores_that_do_not_sum_to_1(python_mode) -> None:
    lines = classified(gc.cross_entropy, "int64", ("n",), lambda z: gc.clip(z, 0, 0.75))
    assert lines[-1].endswith("has rows that sum to 0.75 up to 1.5: logits? use gc.softmax_cross_entropy")


def test_probabilities_are_not_taken_for_logits(python_mode) -> None:
    lines = classified(gc.cross_entropy, "int64", ("n",), lambda z: gc.one_hot(gc.argmax(z, -1), 3) * 1.0 + 0 * z)
    assert "made the first value that is not finite: -inf at [0]" in lines[1]
    assert not any("logits" in each for each in lines)


# ---- wherever steps run ---------------------------------------------------------------------------------------------


def test_the_replay_draws_the_same_mask(python_mode) -> None:
    """Each step drops other elements; the one that is told was kept in the step that failed."""
    x = gc.input("x", (64,))
    dropped = gc.nn.dropout(x, 0.5, name="drop")
    loss = gc.mean(gc.log(1 - dropped)) + 0 * gc.sum(gc.param("w", np.zeros(1, "f")))
    step = gc.compile(loss, optimizer=gc.SGD(0.1))
    masks = gc.compile(gc.nn.dropout(x, 0.5, name="drop") * 1)
    found = set()
    for number in range(8):
        for f in (step, masks):
            next(param for param in f.params if param.name == "drop.step").value = np.int64(number)
        kept = int(np.argmax(masks(np.ones(64, "f")) > 0))
        lines = told(step, np.full(64, 0.5, "f"))
        assert f"-inf at [{kept}]" in lines[1]
        found.add(kept)
    assert len(found) > 1


def test_run_and_fit_tell_it_too(either_mode) -> None:
    x, w = gc.input("x", ("n",)), gc.param("w", np.ones((), "f"))
    loss, at = gc.mean(gc.sqrt(x * w)), line()
    step = gc.compile(loss, optimizer=gc.SGD(0.01))
    words = rf"(?s)sqrt\(multiply\(x, w\)\) at {here(at)} made the first value that is not finite: nan at \[1\]"
    with pytest.raises(gc.NonFiniteError, match=words):
        step.run(5, vector(1, -1))
    data = vector(*[1] * 9, -1, 1, 1)
    with pytest.raises(gc.NonFiniteError, match=words + r".*in \[-.*\n  in step 5 of epoch 1") as caught:
        step.fit((data,), batch_size=2, shuffle=False, progress=False)
    assert caught.value.history.steps == 4
    with pytest.raises(gc.NonFiniteError, match=words + ".*\n  in step 1 of epoch 1"):
        step.fit([(vector(1, -1),)], progress=False)


def test_nothing_is_raised_instead_of_the_error(monkeypatch, python_mode) -> None:
    def fail(*args: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("graphc.inspect.nonfinite.applied", fail)
    x, w = gc.input("x", ("n",)), gc.param("w", np.ones((), "f"))
    lines = told(gc.compile(gc.mean(gc.log(x * w)), optimizer=gc.SGD(0.1)), vector(0, 1))
    assert lines[1] == (
        "  which value made it so is unknown: to compute the values again failed with MemoryError('no room')"
    )


def test_a_replay_that_finds_nothing_says_so() -> None:
    x = gc.input("x", ("n",))
    loss, at = gc.sum(x * 3), line()
    words = story(graph_of(loss), loss, [vector(1, -1e30)])
    assert words == (
        "\n  computed again by NumPy, which adds in another order and rounds otherwise, all values are finite; "
        f"the largest are those of multiply(x, 3.0) at {here(at)}, in [-3e+30, 3]"
    )


# ---- values ---------------------------------------------------------------------------------------------------------


def test_what_a_value_looks_like() -> None:
    assert str(look(np.array([[1.5, -2.0]]))) == "in [-2, 1.5]"
    assert str(look(np.array(0.25))) == "0.25"
    assert str(look(np.zeros((0, 3)))) == "empty"
    assert str(look(np.array([True, False]))) == "in [0, 1]"
    assert str(look(np.array(np.nan))) == "nan"
    assert str(look(np.array([1.0, np.inf, np.nan]))) == "1, but inf at [1], in 2 of 3 elements"
    assert str(look(np.full(3, -np.inf))) == "-inf at [0], in 3 of 3 elements"


def test_values_are_let_go_of() -> None:
    """A chain of 60 values of 800 kB: a few of them at a time."""
    x = node = gc.input("x", ("n",), "float64")
    for _ in range(30):
        node = gc.sqrt(node * 1.5 + 1)
    graph, array = graph_of(gc.sum(node)), np.ones(100_000)
    tracemalloc.start()
    seen, kept = Replay(graph, [array]).run(graph.outputs, [x])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(seen) > 60
    assert kept == {x: array}
    assert most < 5 * array.nbytes
