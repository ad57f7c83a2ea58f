"""The chapter's second half as scripts: each trains by the formulas, and prints and draws what it has found."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from sklearn.linear_model import LogisticRegression

import graphc as gc

EXAMPLES = Path(__file__).parent.parent / "examples"

Example = dict[str, Any]


@pytest.fixture(autouse=True)
def in_a_new_folder(jit_mode, fused: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Pictures are saved in out/, relative to the working directory."""
    monkeypatch.chdir(tmp_path)


def example(name: str) -> Example:
    return runpy.run_path(str(EXAMPLES / f"{name}.py"))


def picture(name: str) -> np.ndarray:
    """The pixels (height, width, 4) of out/<name>.png; it is not blank."""
    pixels = imread(f"out/{name}.png")
    assert pixels.shape[1] >= 1000
    assert len(np.unique(pixels.reshape(-1, 4), axis=0)) > 20
    return pixels


# ---- descent_curve --------------------------------------------------------------------------------------------------


def slope(w: float) -> float:
    """The derivative of w**4 / 4 - w**2 - 0.3 w + 1.5, by hand."""
    return w**3 - 2 * w - 0.3


def test_the_curves_minima_are_where_its_slope_is_zero() -> None:
    of = example("descent_curve")
    low, _, high = np.sort(np.roots([1, 0, -2, -0.3]))
    assert (of["LOCAL"], of["GLOBAL"]) == (round(low, 2), round(high, 2))
    assert of["curve"](high) < of["curve"](low)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_ball_moves_by_its_slope_and_its_velocity(momentum: float) -> None:
    of = example("descent_curve")
    found = of["descend"]("", gc.SGD(lr=0.03, momentum=momentum), steps=20)
    w, velocity, weights = of["START"], 0.0, [of["START"]]
    for _ in range(20):
        velocity = momentum * velocity + slope(w)
        w -= 0.03 * velocity
        weights.append(w)
    np.testing.assert_allclose(found.weights, weights, rtol=1e-10)
    np.testing.assert_allclose(found.losses, [w**4 / 4 - w**2 - 0.3 * w + 1.5 for w in weights], rtol=1e-10)


def test_momentum_rolls_through_the_local_minimum_and_the_rate_matters() -> None:
    of = example("descent_curve")
    stuck, rolled, slow, wild = of["descents"]()
    assert abs(stuck.weights[-1] - of["LOCAL"]) < 0.01
    assert abs(rolled.weights[-1] - of["GLOBAL"]) < 0.1
    assert np.all(np.diff(slow.weights) > 0)
    assert slow.weights[-1] < -2
    assert wild.weights[1] > 2
    assert np.ptp(wild.weights[-10:]) > 0.4


def test_the_curves_picture_has_each_step_on_the_curve(capsys) -> None:
    of = example("descent_curve")
    path = of["Descent"]("a title", np.array([-2.0, -1.5, -1.2]), np.array([2.0, 1.0, 0.5]))
    axes = Figure().subplots()
    of["draw_descent"](axes, path)
    np.testing.assert_array_equal(axes.collections[0].get_offsets(), np.stack([path.weights, path.losses], axis=1))
    assert axes.get_title() == "a title"
    of["main"]()
    printed = capsys.readouterr().out
    assert re.search(r"stuck in the local minimum +after 60 steps w = -1.3\d, loss 0.912", printed)
    assert re.search(r"rolls through +after 60 steps w =  1.\d\d, loss 0.0", printed)
    picture("descent_curve")


# ---- descent_surface ------------------------------------------------------------------------------------------------


def by_hand(move: Callable[[np.ndarray, Example], np.ndarray], point: np.ndarray, steps: int) -> np.ndarray:
    """The path of (1 - x)**2 + 10 (y - x**2)**2; `move` gives a step from the gradient and what it keeps."""
    kept: Example = {"v": 0.0, "m": 0.0, "s": 0.0, "t": 0}
    path = [point]
    for _ in range(steps):
        x, y = path[-1]
        gradient = np.array([-2 * (1 - x) - 40 * x * (y - x**2), 20 * (y - x**2)])
        kept["t"] += 1
        path.append(path[-1] - move(gradient, kept))
    return np.array(path)


def momentum(g: np.ndarray, kept: Example) -> np.ndarray:
    kept["v"] = 0.9 * kept["v"] + g
    return 0.004 * kept["v"]


def nesterov(g: np.ndarray, kept: Example) -> np.ndarray:
    kept["v"] = 0.9 * kept["v"] + g
    return 0.004 * (g + 0.9 * kept["v"])


def rmsprop(g: np.ndarray, kept: Example) -> np.ndarray:
    kept["s"] = 0.9 * kept["s"] + 0.1 * g**2
    return 0.05 * g / (np.sqrt(kept["s"]) + 1e-8)


def adagrad(g: np.ndarray, kept: Example) -> np.ndarray:
    kept["s"] = kept["s"] + g**2
    return 0.3 * g / (np.sqrt(kept["s"]) + 1e-10)


def adam(g: np.ndarray, kept: Example) -> np.ndarray:
    kept["m"], kept["s"] = 0.9 * kept["m"] + 0.1 * g, 0.999 * kept["s"] + 0.001 * g**2
    m, s = kept["m"] / (1 - 0.9 ** kept["t"]), kept["s"] / (1 - 0.999 ** kept["t"])
    return 0.25 * m / (np.sqrt(s) + 1e-8)


MOVES = {
    "SGD": lambda g, kept: 0.004 * g,
    "SGD with momentum": momentum,
    "Nesterov": nesterov,
    "RMSprop": rmsprop,
    "Adagrad": adagrad,
    "Adam": adam,
}


def test_each_optimizer_takes_the_path_of_its_formulas() -> None:
    of = example("descent_surface")
    optimizers = of["optimizers"]()
    assert optimizers.keys() == MOVES.keys() == of["COLOURS"].keys()
    for name, move in MOVES.items():
        path = of["descend"](optimizers[name])
        np.testing.assert_allclose(path, by_hand(move, np.array(of["START"]), 100), rtol=1e-6, atol=1e-9, err_msg=name)


def test_the_surfaces_map_shows_each_path(capsys) -> None:
    of = example("descent_surface")
    paths = {name: np.array([[0.0, 1.0], [0.5, 0.5]]) + k / 10 for k, name in enumerate(of["COLOURS"])}
    axes = Figure().subplots()
    of["draw_map"](axes, paths)
    lines = {line.get_label(): line for line in axes.lines}
    for name, path in paths.items():
        np.testing.assert_array_equal(lines[name].get_xydata(), path)
        assert lines[name].get_color() == of["COLOURS"][name]
    assert lines["lowest point"].get_xydata().tolist() == [[1.0, 1.0]]
    of["main"]()
    ends = dict(re.findall(r"(.+?) +\( *.+loss (.+)", capsys.readouterr().out))
    assert float(ends["SGD"]) > 1 > 0.05 > float(ends["SGD with momentum"])
    assert float(ends["start"]) == pytest.approx(1.6**2 + 10 * (2.1 - 0.36) ** 2)
    picture("descent_surface")


# ---- gradient_tape --------------------------------------------------------------------------------------------------


def test_the_tape_walks_back_by_the_chain_rule(rng) -> None:
    tape = example("gradient_tape")["Tape"]()
    x, w, b = (tape.variable(rng.normal(size=shape)) for shape in ((3, 4), (4, 2), (2,)))
    middle = x @ w
    y = (middle + b) * (middle * 0.5 + 1)
    of_x, of_w, of_b, of_middle, of_y = tape.gradient(y, [x, w, b, middle, y])
    expected = middle.value * 0.5 + 1 + 0.5 * (middle.value + b.value)
    np.testing.assert_allclose(of_middle, expected, rtol=1e-12)
    np.testing.assert_allclose(of_x, expected @ w.value.T, rtol=1e-12)
    np.testing.assert_allclose(of_w, x.value.T @ expected, rtol=1e-12)
    np.testing.assert_allclose(of_b, (middle.value * 0.5 + 1).sum(0), rtol=1e-12)
    np.testing.assert_array_equal(of_y, np.ones((3, 2)))


def test_the_tape_leaves_out_what_the_result_does_not_need(rng) -> None:
    tape = example("gradient_tape")["Tape"]()
    x, other = tape.variable(3.0), tape.variable(rng.normal(size=(2, 2)))
    y = x * x
    other @ other
    of_x, of_other = tape.gradient(y, [x, other])
    assert of_x == 6
    np.testing.assert_array_equal(of_other, np.zeros((2, 2)))


def test_tape_and_graph_give_the_chapters_numbers(capsys) -> None:
    of = example("gradient_tape")
    scalar, array, dense = of["examples"]()
    x, W = dense.arguments["x"], dense.arguments["W"]
    gradients = [[2.0], [np.full((2, 2), 2.0)], [np.outer(x.sum(0), [1, 1]), [2.0, 2.0]]]
    for each, expected in zip((scalar, array, dense), gradients, strict=True):
        symbolic = each.by_graph()(*each.arguments.values())
        for taped, computed, by_hand in zip(each.by_tape(), symbolic, expected, strict=True):
            np.testing.assert_allclose(taped, by_hand, rtol=1e-14)
            np.testing.assert_allclose(computed, by_hand, rtol=1e-14)
    np.testing.assert_array_equal(of["dense"](x, W, np.ones(2)), x @ W + 1)


def test_the_text_of_the_gradient_is_printed(capsys, monkeypatch) -> None:
    of = example("gradient_tape")
    monkeypatch.setitem(of["main"].__globals__, "micros", lambda call: call() and 1.0)
    of["main"]()
    printed = capsys.readouterr().out
    assert printed.count("tape 1.0 us, compiled 1.0 us") == 3
    assert "graph gradient(x: f64)\n  return 2.0:f64\n" in printed
    assert "by b   tape [2.0, 2.0]   graph [2.0, 2.0]" in printed


# ---- from_scratch and with_fit --------------------------------------------------------------------------------------


def test_a_step_from_scratch_is_worked_out_by_hand() -> None:
    of = example("from_scratch")
    step, predict = of["build"](np.random.default_rng(0))
    W1, b1, W2, b2 = (param.value.astype("f8") for param in step.params)
    images, _, labels, _ = of["load_data"]()
    x, y = images[:32], labels[:32]

    h = np.maximum(x @ W1 + b1, 0)
    exps = np.exp(h @ W2 + b2)
    p = exps / exps.sum(1, keepdims=True)
    np.testing.assert_allclose(predict(x), p, rtol=1e-4)
    assert step(x, y) == pytest.approx(-np.log(p[np.arange(32), y]).mean(), rel=1e-5)

    d = (p - np.eye(10)[y]) / 32
    back = d @ W2.T * (h > 0)
    steps = [x.T @ back, back.sum(0), h.T @ d, d.sum(0)]
    for param, old, gradient in zip(step.params, (W1, b1, W2, b2), steps, strict=True):
        np.testing.assert_allclose(param.value, old - of["RATE"] * gradient, rtol=1e-4, atol=1e-5, err_msg=param.name)


def test_batches_by_hand_have_every_row_once(rng) -> None:
    of = example("from_scratch")
    rows = np.arange(100)
    parts = list(of["batches"](rows[:, None], rows, rng))
    assert [len(labels) for _, labels in parts] == [32, 32, 32, 4]
    assert all((images[:, 0] == labels).all() for images, labels in parts)
    order = np.concatenate([labels for _, labels in parts])
    assert order.tolist() != rows.tolist()
    assert sorted(order) == rows.tolist()


def test_from_scratch_and_with_fit_end_with_the_same_accuracy(capsys) -> None:
    example("from_scratch")["main"]()
    by_hand = capsys.readouterr().out
    example("with_fit")["main"]()
    fitted = capsys.readouterr().out
    assert "W1 <-" in by_hand
    accuracies = [float(each) for each in re.findall(r"test accuracy (.+)%", by_hand + fitted)]
    assert len(accuracies) == 40 // 5 + 1
    assert min(accuracies[-2:]) > 95
    assert abs(accuracies[-1] - accuracies[-2]) < 1.5
    assert int(re.findall(r"(\d+) epochs, validation", fitted)[0]) < 100  # it was stopped early
    picture("with_fit")


def test_no_digit_is_in_two_of_the_parts() -> None:
    parts = example("with_fit")["load_data"]()
    sizes = [len(labels) for _, labels in parts]
    assert sum(sizes) == 1797
    assert sizes[2] == len(example("from_scratch")["load_data"]()[3])
    rows = np.concatenate([images for images, _ in parts])
    assert len(np.unique(rows, axis=0)) == 1797


# ---- spirals --------------------------------------------------------------------------------------------------------


def test_a_layer_shoves_each_point_along_its_units_lines(rng) -> None:
    of = example("spirals")
    x = gc.input("x", ("points", 2))
    *stages, last = of["moved"](x)
    params = {param.name: param for param in gc.nn.params(last)}
    W, length = params["W"], params["length"]
    length.value = rng.normal(0, 0.1, length.shape).astype("f")
    points = rng.normal(size=(5, 2)).astype("f")
    first = gc.evaluate(stages[1], {"x": points})
    shoves = [
        length.value[k, 0] * np.tanh(points @ column)[:, None] * [column[1], -column[0]]
        for k, column in enumerate(W.value.T)
    ]
    np.testing.assert_allclose(first, points + np.sum(shoves, axis=0), rtol=1e-4, atol=1e-5)
    assert len(stages) == of["LAYERS"]


def test_the_spirals_are_uncrumpled(capsys) -> None:
    """A linear classifier of scikit-learn's fails on what goes in, and parts all of what comes out."""
    of = example("spirals")
    points, labels = of["spirals"](np.random.default_rng(of["SEED"]))
    step, look = of["build"]()
    losses = of["train"](step, points, labels)
    assert losses.shape == (4000,)
    assert losses[-1] < 0.1
    *stages, last, logits = look(points)
    assert LogisticRegression().fit(points, labels).score(points, labels) < 0.8
    assert LogisticRegression(C=1e4).fit(last, labels).score(last, labels) == 1
    np.testing.assert_array_equal(logits > 0, labels == 1)
    np.testing.assert_array_equal(stages[0], points)

    for curve in of["border"](look):
        straight = look(curve.astype("f"))[-2]
        _, (along, across), _ = np.linalg.svd(straight - straight.mean(0))
        assert across < 0.02 * along
    of["main"]()
    assert "parts 100.0% of the points rightly" in capsys.readouterr().out
    picture("spirals")


# ---- cart_pole ------------------------------------------------------------------------------------------------------


def test_the_mean_length_runs_over_the_last_episodes() -> None:
    of = example("cart_pole")
    lengths = np.arange(120) ** 2
    means = of["running_mean"](lengths)
    assert len(means) == 71
    assert means[0] == pytest.approx(lengths[:50].mean())
    assert means[-1] == pytest.approx(lengths[70:].mean())
    of["draw"](lengths, Path("out/cart_pole.png"))
    picture("cart_pole")
