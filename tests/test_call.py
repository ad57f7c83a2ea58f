"""The door from Python to a step: what it takes as it is, what it copies, and many steps in one call."""

from __future__ import annotations

import signal
import threading

import numpy as np
import pytest
from models import batch, classifier

import graphc as gc


def test_many_steps_in_one_call_are_as_many_calls(rng, either_mode) -> None:
    x, y = batch(rng, 16)
    losses, params = [], []
    for many in (False, True):
        model = classifier()
        step = gc.compile(model.loss, optimizer=gc.SGD(0.1, momentum=0.9))
        losses.append(step.run(20, x, y) if many else np.array([step(x, y) for _ in range(20)]))
        params.append([param.value.copy() for param in step.params])
    np.testing.assert_array_equal(*losses)
    for one, other in zip(*params, strict=True):
        np.testing.assert_array_equal(one, other)


def test_run_takes_names_and_says_what_it_cannot_do(rng, either_mode) -> None:
    x, y = batch(rng, 16)
    step = gc.compile(classifier().loss, optimizer=gc.SGD(0.1))
    assert step.run(3, x=x, y=y.astype(np.int32)).shape == (3,)
    assert step.run(0, x, y).shape == (0,)
    with pytest.raises(gc.InputError, match="label 10 at"):
        step.run(3, x, np.full_like(y, 10))
    z = gc.input("z", ("n",))
    with pytest.raises(gc.InputError, match="run\\(\\) is for a function of one scalar"):
        gc.compile([gc.sum(z)]).run(3, np.ones(2, np.float32))


def test_an_input_in_a_params_memory_is_read_before_it_changes(either_mode) -> None:
    w = gc.param("w", np.arange(4, dtype=np.float32))
    x = gc.input("x", (2,))
    step = gc.compile(gc.sum(x), updates={w: w * 0 + gc.sum(x)})
    assert step(w.value[1:3]) == 3
    np.testing.assert_array_equal(w.value, 3)
    assert step(w.value[:2]) == 6


@pytest.mark.parametrize("bad", [np.float64, np.int8])
def test_arrays_that_the_door_leaves_to_python(bad: type, rng, either_mode) -> None:
    x = gc.input("x", ("n", 3), "float64")
    f = gc.compile(gc.sum(x * 2))
    values = rng.integers(-4, 4, (6, 3))
    for given in (values.astype(bad), values.astype(bad)[::-1], np.asfortranarray(values.astype(bad)), values.tolist()):
        assert f(given) == 2 * values.sum()
    unaligned = np.zeros(6 * 3 * 8 + 1, np.uint8)[1:].view(np.float64).reshape(6, 3)
    unaligned[...] = values
    assert f(unaligned) == 2 * values.sum()


def test_calls_of_one_scalar_from_many_threads(rng, either_mode) -> None:
    """Steps run one after the other: none is lost, and no loss is another thread's."""
    w = gc.param("w", np.zeros(64, np.float32))
    x = gc.input("x", (64,))
    step = gc.compile(gc.sum(x), updates={w: w + 1})
    wrong: list[float] = []

    def work(number: int) -> None:
        values = np.full(64, number, np.float32)
        wrong.extend(loss for loss in (step(values) for _ in range(50)) if loss != 64 * number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    np.testing.assert_array_equal(w.value, 200)


def test_ctrl_c_while_the_arena_grows_is_neither_lost_nor_an_error(rng, jit_mode, monkeypatch) -> None:
    """Python calls a handler of signals where it likes: here inside the function that native code calls."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        step = gc.compile(classifier().loss, optimizer=gc.SGD(0.1))
        memory, pressed = type(step._plan).memory, []

        def interrupted(plan: object, sizes: dict[str, int]) -> int:
            if not pressed:
                pressed.append(True)
                raise KeyboardInterrupt
            return memory(plan, sizes)

        monkeypatch.setattr(type(step._plan), "memory", interrupted)

        def called() -> None:
            step(*batch(rng, 16))
            for _ in range(1000):  # somewhere here Python looks at signals
                pass

        with pytest.raises(KeyboardInterrupt):
            called()
        assert np.isfinite(step(*batch(rng, 16)))
    finally:
        signal.signal(signal.SIGINT, before)
