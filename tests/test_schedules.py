"""Learning-rate schedules: their numbers, worked by hand, and the rate that each step had, however it was run."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest

import graphc as gc
from graphc.backend.table import ARENA_BYTES
from graphc.training.loop import Cut, emit


def first(schedule, count: int) -> list[float]:
    return [schedule(step) for step in range(count)]


def test_the_numbers_of_each_schedule() -> None:
    assert first(gc.schedules.constant(0.5), 3) == [0.5, 0.5, 0.5]
    assert first(gc.schedules.step_decay(8.0, every=2, factor=0.5), 6) == [8, 8, 4, 4, 2, 2]
    half = math.sqrt(0.5) / 2
    falling = [1, 0.5 + half, 0.5, 0.5 - half, 0, 0, 0]
    assert first(gc.schedules.cosine(1.0, steps=4), 7) == pytest.approx(falling, abs=1e-15)
    assert first(gc.schedules.cosine(3.0, steps=2, end=1.0), 4) == pytest.approx([3, 2, 1, 1])
    assert first(gc.schedules.warm_up(4, then=2.0), 6) == [0, 0.5, 1, 1.5, 2, 2]
    decay = gc.schedules.step_decay(3.0, every=2, factor=0.5)
    assert first(gc.schedules.warm_up(2, then=decay, start=1.0), 7) == [1, 2, 3, 3, 1.5, 1.5, 0.75]
    assert first(gc.schedules.warm_up(2, then=lambda step: 4.0 + step), 5) == [0, 2, 4, 5, 6]


def test_schedules_print_as_they_were_made_and_check_their_numbers() -> None:
    made = gc.schedules.warm_up(5, then=gc.schedules.cosine(0.1, steps=20))
    assert repr(made) == "warm_up(5, then=cosine(0.1, steps=20, end=0.0), start=0.0)"
    assert repr(gc.schedules.step_decay(1.0, every=3)) == "step_decay(1.0, every=3, factor=0.1)"
    with pytest.raises(ValueError, match="rate is a number, finite and not negative; got -1"):
        gc.schedules.constant(-1)
    with pytest.raises(ValueError, match="end is a number, finite and not negative; got nan"):
        gc.schedules.cosine(1.0, steps=3, end=math.nan)
    with pytest.raises(ValueError, match="steps is at least 1, got 0"):
        gc.schedules.warm_up(0, then=1.0)
    with pytest.raises(ValueError, match="every is at least 1, got 0"):
        gc.schedules.step_decay(1.0, every=0)


# ---- the rate of each step ------------------------------------------------------------------------------------------


class Digits(gc.Optimizer):
    """Writes the rate of each step behind those before: after rates 1, 2, 3 a param is 123."""

    def update(self, param, gradient):
        return [(param, param * 10 + self.rate(param))]


def written(lr) -> tuple[gc.Function, gc.Param]:
    w = gc.param("w", 0.0, dtype="float64")
    return gc.compile(gc.mean(gc.input("x", ("n",))) + w, optimizer=Digits(lr)), w


X = np.arange(6, dtype="f")


def test_each_way_of_training_has_the_schedules_rates(either_mode) -> None:
    f, w = written(lambda step: step % 10)
    assert f.optimizer.lr == 0
    f(X)
    f.run(2, X)
    f.fit((X,), batch_size=2, progress=False)
    f.fit([(X,), (X[:3],)], progress=False)
    with pytest.raises(gc.NonFiniteError):
        f(X * np.float32("nan"))
    f(x=X)
    assert (w.value, f.optimizer.lr, f.steps) == (12345678, 8, 9)
    f.optimizer.lr = 0.5
    f(X)
    assert (w.value, f.optimizer.lr, f.optimizer.schedule) == (123456780.5, 0.5, None)


def test_a_function_of_several_outputs(python_mode) -> None:
    w = gc.param("w", 0.0, dtype="float64")
    x = gc.input("x", ("n",))
    f = gc.compile({"loss": gc.mean(x) + w, "x": x * 2}, optimizer=Digits(lambda step: step + 1))
    f(X)
    f(X)
    assert w.value == 12


def test_many_models_share_it(either_mode) -> None:
    w = gc.param("w", 0.0, dtype="float64")
    f = gc.compile(gc.mean(gc.input("x", ("n",))) + w, optimizer=Digits(lambda step: step + 1), copies=3)
    f(X)
    f.run(1, X)
    f.fit((X,), batch_size=2, progress=False)
    f.fit([(X,), (X[:3],)], progress=False)
    np.testing.assert_array_equal(f.state["w"], [1234567] * 3)
    f.optimizer.lr = 8.0
    f(X)
    np.testing.assert_array_equal(f.state["w"], [12345678] * 3)


def test_a_schedule_comes_and_goes_while_fit_trains(either_mode) -> None:
    f, w = written(5.0)
    f(X)
    source, counting = f.source, [lambda step: step, 7.0, gc.schedules.constant(8.0), 9.0]

    def change(epoch: int, history: gc.History) -> None:
        f.optimizer.lr = counting[epoch - 1]

    f.fit((X,), batch_size=3, epochs=4, callbacks=[change], progress=False)
    assert w.value == 555347788
    assert f.optimizer.lr == 9
    assert f.source is source


def test_without_a_schedule_the_loop_knows_nothing_of_rates() -> None:
    cut = Cut(np.dtype(np.uint8), np.dtype(np.float32))
    assert "rate" in emit([cut], shuffled=True, scheduled=True)
    assert "rate" not in emit([cut], shuffled=True)


class Halves(gc.Optimizer):
    """A param that remembers the last fifty rates, all bits of it."""

    def update(self, param, gradient):
        return [(param, param * 0.5 + self.rate(param))]


def test_long_training_has_each_rate_in_its_place(jit_mode) -> None:
    """Native code runs more and more steps at a time."""
    w = gc.param("w", 0.0, dtype="float64")
    schedule = gc.schedules.warm_up(30, then=gc.schedules.cosine(0.1, steps=200))
    f = gc.compile(gc.mean(gc.input("x", ("n",))) + w, optimizer=Halves(schedule))
    expected = 0.0
    for step in range(202):
        expected = expected * 0.5 + schedule(step)
    f.fit((np.arange(101, dtype="f"),), batch_size=1, epochs=2, progress=False)
    assert w.value == expected


def test_rates_stay_in_place_where_a_step_is_repeated_for_more_memory(jit_mode, fused) -> None:
    """The last batch is the smallest, but needs the largest buffer; it is not the first step of its native call."""
    x, w = gc.input("x", ("n",)), gc.param("w", 0.0, dtype="float64")
    many = gc.exp(gc.astype(gc.arange(4000)[x.shape[0] :], "float64") * 1e-9)
    loss = gc.mean(x) + w + gc.sum(many / gc.sum(many))
    f = gc.compile(loss, optimizer=Digits(lambda step: step + 1))
    f(np.zeros(1000, "f"))
    before = int(f._table[ARENA_BYTES])
    f.fit((np.zeros(2001, "f"),), batch_size=1000, shuffle=False, progress=False)
    assert f._table[ARENA_BYTES] > before
    assert w.value == 1234


class Sum(gc.Optimizer):
    def update(self, param, gradient):
        return [(param, param + self.rate(param))]


def test_threads_share_out_the_rates(jit_mode) -> None:
    """However calls and fit follow each other, each step has the rate of its number."""
    w = gc.param("w", 0.0, dtype="float64")
    f = gc.compile(gc.mean(gc.input("x", ("n",))) + w * 0, optimizer=Sum(lambda step: step))
    threads = [threading.Thread(target=lambda: [f(X) for _ in range(300)]) for _ in range(2)]
    for thread in threads:
        thread.start()
    f.fit((X,), batch_size=1, epochs=100, progress=False)
    f.run(100, X)
    for thread in threads:
        thread.join()
    assert f.steps == 1300
    assert w.value == sum(range(1300))


# ---- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf, "fast", None])
def test_a_rate_that_is_none_is_an_error_before_the_step(bad, python_mode) -> None:
    f, w = written(lambda step: bad if step == 2 else 3.0)
    f.run(2, X)
    for run in (lambda: f(X), lambda: f(x=X), lambda: f.run(2, X)):
        with pytest.raises(gc.InputError, match="for step 2, counted from 0"):
            run()
    assert (w.value, f.steps, f.optimizer.lr) == (33, 2, 3)


def test_the_steps_before_a_bad_rate_are_done(either_mode) -> None:
    rates = [1.0, 2.0, 3.0, 4.0]
    f, w = written(rates.__getitem__)
    for given in ((X,), [(X,)] * 7):
        f.steps, w.value = 0, 0.0
        with pytest.raises(
            gc.InputError, match=r"no rate for step 4, .*IndexError.*\n  in step 5 of epoch 1"
        ) as caught:
            f.fit(given, batch_size=1, progress=False)
        assert (w.value, f.steps, caught.value.history.steps) == (1234, 4, 4)


def test_the_first_rate_is_checked_when_an_optimizer_is_made() -> None:
    with pytest.raises(gc.InputError, match=r"it gives -2\.0 for step 0"):
        gc.SGD(lambda step: -2.0)


def test_njit_and_a_schedule_exclude_each_other(python_mode) -> None:
    f, w = written(gc.schedules.constant(1.0))
    with pytest.raises(gc.GraphError, match=r"f\.optimizer\.lr = schedule\(f\.steps\)"):
        _ = f.njit
    f.optimizer.lr = 2.0
    assert f.njit is not None
    with pytest.raises(gc.GraphError, match="is asked from Python"):
        f.optimizer.lr = gc.schedules.constant(1.0)
    f.optimizer.lr = 3.0
    f(X)
    assert w.value == 3
