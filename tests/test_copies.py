"""Many models in one call: each ends with the bits that it has when it is trained alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import graphc as gc

MODELS, ROWS = 5, 23
RATES = np.geomspace(0.01, 0.5, MODELS)


def small_net() -> tuple[gc.Node, gc.Node]:
    """A loss and its accuracy. Some params are not a whole number of cache lines, and dropout has a counter."""
    x, y = gc.input("x", ("batch", 6)), gc.input("y", ("batch",), "int64")
    h = gc.nn.dropout(gc.relu(x @ gc.param("W1", (6, 7)) + gc.param("b1", 7, init="zeros")), 0.2)
    z = h @ gc.param("W2", (7, 3)) + gc.param("b2", np.zeros(3, "float32"))
    return gc.softmax_cross_entropy(z, y), gc.mean(gc.equal(gc.argmax(gc.nn.inference(z), -1), y))


def data(rng: np.random.Generator, *leading: int) -> tuple[np.ndarray, np.ndarray]:
    return rng.normal(size=(*leading, ROWS, 6)).astype("float32"), rng.integers(0, 3, (*leading, ROWS))


def train(step: gc.Function, x: np.ndarray, y: np.ndarray) -> list[object]:
    """Calls of three batch sizes, so that the arena grows between."""
    return [step(x[..., :size, :], y[..., :size]) for size in (2, ROWS, 7)]


def models(loss: gc.Node | None = None, **options: object) -> gc.Function:
    return alone(loss, copies=MODELS, **options)


def alone(loss: gc.Node | None = None, **options: object) -> gc.Function:
    return gc.compile(small_net()[0] if loss is None else loss, optimizer=gc.SGD(0.1, momentum=0.9), **options)  # type: ignore[arg-type]


def assert_each_as_alone(
    many: gc.Function, alone: Callable[[], gc.Function], run: Callable[[gc.Function, int | None], list[object]]
) -> None:
    """Runs many models, and each alone from the same values: equal losses, and equal params, bit for bit.

    run: trains a function of many models, or of one, whose number it is given.
    """
    start = {name: array.copy() for name, array in many.state.items()}
    losses = np.array(run(many, None))
    for number in range(MODELS):
        one = alone()
        for name, array in one.state.items():
            array[...] = start[name][number]
        np.testing.assert_array_equal(np.array(run(one, number)), losses[:, number])
        for name, array in one.state.items():
            assert array.tobytes() == many.state[name][number].tobytes(), name


@pytest.mark.parametrize("threads", [1, 2])
def test_each_model_has_the_bits_that_it_has_alone(threads: int, rng, either_mode) -> None:
    x, y = data(rng)
    many = models(threads=threads)
    many.state["SGD.lr"][:] = RATES
    assert_each_as_alone(many, alone, lambda step, number: train(step, x, y))


OPTIMIZERS: dict[str, Callable[..., gc.Optimizer]] = {
    "SGD": lambda lr, some, few: gc.SGD(lr, momentum=some, weight_decay=few),
    "Nesterov": lambda lr, some, few: gc.SGD(lr, momentum=some, nesterov=True),
    "Adagrad": lambda lr, some, few: gc.Adagrad(lr, weight_decay=few, eps=few),
    "RMSprop": lambda lr, some, few: gc.RMSprop(lr, alpha=some, eps=few, momentum=some, clip_value=0.02),
    "Adam": lambda lr, some, few: gc.Adam(lr, betas=(some, 1 - few), eps=few, weight_decay=few, clip_norm=0.1),
    "AdamW": lambda lr, some, few: gc.AdamW(lr, betas=(0.9, 1 - few), weight_decay=few, accumulate=2),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_hyperparameters_may_be_arrays(name: str, rng, python_mode) -> None:
    assert_each_hyperparameter_as_alone(name, rng)


def test_hyperparameters_of_native_code_may_be_arrays(rng, jit_mode) -> None:
    assert_each_hyperparameter_as_alone("Adam", rng)


def assert_each_hyperparameter_as_alone(name: str, rng: np.random.Generator) -> None:
    """Arrays of hyperparameters give each model the bits of its own numbers alone, where they are constants."""
    x, y = data(rng)
    loss, made = small_net()[0], OPTIMIZERS[name]
    some, few = np.linspace(0.5, 0.95, MODELS), np.geomspace(1e-6, 1e-2, MODELS)
    many = gc.compile(loss, optimizer=made(RATES, some, few), copies=MODELS)
    start = {param.name: param.value.copy() for param in many.params}
    losses = np.array([many(x, y) for _ in range(6)])
    for number in (0, MODELS - 1):
        hyperparameters = (float(each[number]) for each in (RATES, some, few))
        one = gc.compile(loss, optimizer=made(*hyperparameters))
        for param in one.params:
            param.value = start[param.name][number]
        assert [one(x, y) for _ in range(6)] == losses[:, number].tolist()
        for name, array in one.state.items():
            if name in many.state and array.ndim:
                assert array.tobytes() == many.state[name][number].tobytes(), name


def test_rates_of_many_models_can_be_read_and_assigned(rng) -> None:
    x, y = data(rng)
    step = gc.compile(small_net()[0], optimizer=gc.SGD(RATES), copies=MODELS)
    np.testing.assert_array_equal(step.optimizer.lr, RATES)
    step.optimizer.lr = RATES[::-1]
    np.testing.assert_array_equal(step.state["SGD.lr"], RATES[::-1])
    step.optimizer.lr = 0.5
    np.testing.assert_array_equal(step.optimizer.lr, [0.5] * MODELS)
    before = step.state["b2"].copy()
    step.optimizer.lr = np.eye(MODELS)[1]
    step(x, y)
    moved = [not np.array_equal(*pair) for pair in zip(step.state["b2"], before, strict=True)]
    assert moved == [False, True, False, False, False]
    single = gc.compile(small_net()[0], optimizer=gc.SGD(0.1), copies=MODELS)
    single.optimizer.lr = RATES
    np.testing.assert_array_equal(single.state["SGD.lr"], RATES)
    np.testing.assert_array_equal(gc.SGD(0.1, momentum=RATES).momentum.values, RATES)


def test_a_schedule_is_for_all_models(rng) -> None:
    x, y = data(rng)
    step = gc.compile(small_net()[0], optimizer=gc.SGD(lambda step: 0.1 / (1 + step)), copies=MODELS)
    step(x, y)
    step.fit((x, y), batch_size=10, epochs=2, progress=False)
    assert step.steps == 7
    np.testing.assert_array_equal(step.optimizer.lr, 0.1 / 7)
    np.testing.assert_array_equal(step.state["SGD.lr"], [0.1 / 7] * MODELS)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: gc.compile(small_net()[0], optimizer=gc.SGD(RATES)), "of 5 models, and copies=None"),
        (lambda: gc.compile(small_net()[0], optimizer=gc.SGD(RATES), copies=4), "of 5 models, and copies=4"),
        (lambda: gc.compile(small_net()[0], optimizer=gc.Adam(0.1, eps=RATES)), "of 5 models, and copies=None"),
        (lambda: gc.SGD(-RATES), "not negative"),
        (lambda: gc.SGD(0.1, momentum=-RATES), "momentum is not negative"),
        (lambda: gc.Adam(0.1, betas=(RATES, RATES + 1)), "below 1"),
        (lambda: setattr(gc.SGD(0.1), "lr", RATES), r"lr is a number, got shape \(5,\)"),
        (lambda: setattr(gc.SGD(RATES), "lr", RATES[:2]), r"lr is a number or an array of 5, got shape \(2,\)"),
    ],
)
def test_hyperparameters_that_fit_no_model_are_told(make: Callable[[], object], words: str) -> None:
    with pytest.raises((gc.GraphError, ValueError), match=words):
        make()


def test_an_input_may_have_an_axis_for_the_models(rng) -> None:
    """And others be shared; an input that is not contiguous, or of another dtype, is taken too."""
    x, y = data(rng, MODELS)
    x = np.asfortranarray(x).astype("float16")
    assert_each_as_alone(models(), alone, lambda step, number: train(step, x if number is None else x[number], y[0]))


def test_fit_trains_many_models_on_the_same_batches(rng) -> None:
    x, y = data(rng)
    loss, accuracy = small_net()

    def run(step: gc.Function, number: int | None) -> list[object]:
        options = {"metrics": {"hits": accuracy}, "validation": (x[:9], y[:9])}
        history = step.fit((x, y), batch_size=4, epochs=2, progress=False, **options)
        return [*history.loss, *history.metrics["val_loss"], *history.metrics["hits"]]

    assert_each_as_alone(models(loss), lambda: alone(loss), run)


def test_run_gives_the_losses_of_each_step(rng) -> None:
    x, y = data(rng)
    assert_each_as_alone(models(), alone, lambda step, number: [*step.run(3, x, y)])


def test_results_have_a_leading_axis(rng) -> None:
    """Scalars and arrays, in their structure, beside NumPy."""
    x = gc.input("x", ("batch", 3))
    w = gc.param("w", np.ones(3, "float32"))
    w.copies(MODELS).value = scale = rng.normal(size=(MODELS, 3)).astype("float32")
    f = gc.compile({"scaled": x * w, "total": gc.sum(x)}, copies=MODELS)
    value = rng.normal(size=(4, 3)).astype("float32")
    result = f(value)
    np.testing.assert_array_equal(result["scaled"], value * scale[:, None])
    np.testing.assert_allclose(result["total"], np.full(MODELS, value.sum()), rtol=1e-6)
    each = rng.normal(size=(MODELS, 4, 3)).astype("float32")
    np.testing.assert_array_equal(f(x=each)["scaled"], each * scale[:, None])
    np.testing.assert_array_equal(f(value)["scaled"], value * scale[:, None])


def test_params_begin_with_values_of_their_own() -> None:
    drawn, given = gc.param("drawn", (4, 3), seed=7), gc.param("given", np.arange(3.0))
    values = drawn.copies(MODELS).value
    assert values.shape == (MODELS, 4, 3)
    np.testing.assert_array_equal(values[0], drawn.value)
    assert len({values[number].tobytes() for number in range(MODELS)}) == MODELS
    np.testing.assert_array_equal(values, gc.param("again", (4, 3), seed=7).copies(MODELS).value)
    np.testing.assert_array_equal(given.copies(2).value, [[0, 1, 2]] * 2)


def test_functions_of_as_many_models_share_params(rng) -> None:
    x = gc.input("x", 2)
    w = gc.param("w", np.zeros(2, "float32"))
    step = gc.compile(gc.mean(gc.square(x - w)), optimizer=gc.SGD(0.5), copies=3)
    look = gc.compile(w + 0, inputs=[x], copies=3)
    value = np.ones((3, 2), "float32") * [[1], [2], [3]]
    step(value.astype("float32"))
    np.testing.assert_allclose(look(value[0].astype("float32")), value * 0.5)
    assert not w.value.any()


def test_values_of_all_models_can_be_assigned() -> None:
    w = gc.param("w", (2, 3))
    w.copies(4).value = w.value
    np.testing.assert_array_equal(w.copies(4).value, np.broadcast_to(w.value, (4, 2, 3)))
    with pytest.raises(gc.ShapeError, match=r"has shape \(4, 2, 3\) or \(2, 3\), got \(3, 2, 3\)"):
        w.copies(4).value = np.zeros((3, 2, 3), "float32")
    with pytest.raises(gc.DtypeError, match="float32"):
        w.copies(4).value = np.zeros((4, 2, 3))


def test_an_input_without_axes_may_be_one_of_each_model() -> None:
    x, t = gc.input("x", 2), gc.input("t", ())
    f = gc.compile([gc.sum(x) * t, x * t], copies=4)
    total, scaled = f([1.0, 2.0], np.array([1, 2, 3, 4], "float32"))
    np.testing.assert_array_equal(total, [3, 6, 9, 12])
    np.testing.assert_array_equal(scaled, np.outer([1, 2, 3, 4], [1, 2]))
    np.testing.assert_array_equal(f([1.0, 2.0], 2.0)[0], [6] * 4)


def test_what_is_no_array_is_cast_as_for_one_model() -> None:
    i = gc.input("i", 1, "int64")
    f = gc.compile(i + 0, copies=3)
    np.testing.assert_array_equal(f([[0], [7], [2]]), [[0], [7], [2]])
    for wrong in ([[0], [1.7], [2]], [[0], [1, 2], [2]], np.ma.masked_array([[0], [1], [2]], [[0], [1], [0]])):
        with pytest.raises(gc.InputError, match="input i wants"):
            f(wrong)
    with pytest.raises(gc.InputError, match="input small wants"):
        gc.compile(gc.input("small", 1, "uint8") + 0, copies=2)([[0], [-1]])


def test_one_model_can_be_chosen(rng) -> None:
    x, y = data(rng)
    loss, _ = small_net()
    many, one = models(loss), gc.compile(loss)
    many(x, y)
    many.choose(3)
    assert one(x, y) == many(x, y)[3]


def test_steps_are_counted_if_any_model_makes_one(rng) -> None:
    x, y = data(rng)
    many = models()
    many.state["b2"][:2] = np.inf
    with pytest.raises(gc.NonFiniteError, match=r"2 of 5 models \(0, 1\)"):
        many(x, y)
    assert many.steps == 1
    many.state["b2"][:] = np.inf
    with pytest.raises(gc.NonFiniteError, match="5 of 5 models"):
        many(x, y)
    assert many.steps == 1


# ---- errors ---------------------------------------------------------------------------------------------------------


def test_a_model_that_diverges_stops_and_the_others_go_on(rng) -> None:
    x, y = data(rng)
    many = models()
    many.state["b2"][2] = np.inf
    before = {name: array.copy() for name, array in many.state.items()}
    with pytest.raises(gc.NonFiniteError, match=r"the loss of model 2 is nan .* 1 of 5 models \(2\)"):
        many(x, y)
    for name, array in many.state.items():
        np.testing.assert_array_equal(array[2], before[name][2])
    assert not np.array_equal(many.state["b2"][1], before["b2"][1])
    lenient = models(on_nonfinite="ignore")
    lenient.state["b2"][2] = np.inf
    assert np.isnan(lenient(x, y)).tolist() == [False, False, True, False, False]


def test_a_wrong_label_of_one_model_is_told_before_any_has_changed(rng) -> None:
    x, y = data(rng, MODELS)
    y[3, 4] = 3
    many = models()
    before = {name: array.copy() for name, array in many.state.items()}
    with pytest.raises(gc.InputError, match=r"of model 3: label 3 at \[4\] of y is outside range\(3\)"):
        many(x, y)
    with pytest.raises(gc.InputError, match=r"label 3 at \[4\] of y is outside range\(3\)"):
        many(x, y[3])
    for name, array in many.state.items():
        np.testing.assert_array_equal(array, before[name])


def test_what_does_not_fit_is_told(rng) -> None:
    x, y = data(rng, MODELS)
    many = models()
    with pytest.raises(gc.InputError, match="a leading axis of 5, one for each; got shape"):
        many(x[:4], y)
    with pytest.raises(gc.InputError, match="axis 0 is 7, not 23"):
        many(x, y[:, :7])
    with pytest.raises(gc.InputError, match="cannot be cast safely"):
        many(x.astype("float64"), y)
    with pytest.raises(gc.InputError, match="of one scalar"):
        gc.compile([gc.input("x", 2)], copies=2).run(3, x[0, 0, :2])
    with pytest.raises(gc.GraphError, match="without copies="):
        many.njit  # noqa: B018
    with pytest.raises(ValueError, match="at least 1, got 0"):
        gc.compile(small_net()[0], copies=0)
    with pytest.raises(gc.InputError, match="one model"):
        many.fit((x[0], y[0]), callbacks=[gc.EarlyStopping(monitor="loss")], progress=False)


def test_a_wrong_label_that_is_computed_is_told_of_its_model(rng) -> None:
    """What others' params are by then is not said to be as it was."""
    rows, w = gc.input("rows", ("batch", 2), "int64"), gc.param("w", (4, 1))
    step = gc.compile(gc.mean(gc.take(w, rows[:, 0] + 1, axis=0)), optimizer=gc.SGD(0.1), copies=2)
    given = np.zeros((2, 3, 2), "int64")
    given[1, 2, 0] = 3
    with pytest.raises(gc.InputError, match=r"of model 1: index 4 at \[2\].*its params are as before"):
        step(given)


def test_a_shared_input_may_lie_in_a_param_beside_one_of_each_model(rng) -> None:
    x, t = gc.input("x", 8), gc.input("t", 8)
    w = gc.param("w", rng.normal(size=8).astype("float32"))
    step = gc.compile(gc.sum((x + t) * w), optimizer=gc.SGD(0.1), copies=3)
    each = rng.normal(size=(3, 8)).astype("float32")
    before = w.copies(3).value.copy()
    step(each, w.copies(3).value[0])
    np.testing.assert_allclose(w.copies(3).value, before - 0.1 * (each + before[0]), rtol=1e-5, atol=1e-6)


def test_inputs_may_lie_in_the_memory_of_params(rng) -> None:
    x = gc.input("x", 16)
    w = gc.param("w", rng.normal(size=16).astype("float32"))
    step = gc.compile(gc.sum(gc.square(x + w)), optimizer=gc.SGD(0.1), copies=3)
    w.copies(3).value[:] *= np.array([[1], [2], [3]], "float32")
    before = w.copies(3).value.copy()
    step(w.copies(3).value)
    np.testing.assert_allclose(w.copies(3).value, before - 0.1 * 2 * 2 * before, rtol=1e-5)
    before = w.copies(3).value.copy()
    step(w.copies(3).value[1])
    np.testing.assert_allclose(w.copies(3).value, before - 0.1 * 2 * (before + before[1]), rtol=1e-5, atol=1e-6)


def test_memory_is_that_of_the_threads_shares() -> None:
    one, many = alone().memory(batch=64), models(threads=1).memory(batch=64)
    assert one == many
    two = models(threads=2)
    assert two.memory(batch=64) == (MODELS if two.threads == 2 else 1) * one
