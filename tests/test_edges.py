"""Where a wrong compiler would go unnoticed: each test fails for one small mistake in a pass or a record."""

from __future__ import annotations

import re

import numpy as np
import pytest

import graphc as gc
from graphc.arguments import as_input
from graphc.kernel import Kernel
from graphc.rewrite import match

# ---- loops and memory -----------------------------------------------------------------------------------------------

PROGRAMS = {
    "read turned, where its memory could be taken over": lambda h, w, b: [(h + h.T) @ w],
    "read again after the result is begun": lambda h, w, b: [(gc.softmax(h) * h) @ w],
    "column sums, in loops as long as the rows": lambda h, w, b: [gc.exp(gc.sum(h, 0)) + 1.0],
    "needed after a loop, then before it": lambda h, w, b: [
        gc.exp(h) / gc.sum(gc.exp(h), 1, keepdims=True) + b,
        gc.exp(h) * 2 + b,
    ],
}


@pytest.mark.parametrize("make", PROGRAMS.values(), ids=PROGRAMS)
def test_values_are_read_while_they_are_there(make, rng, python_mode) -> None:
    h = gc.input("x", (3, 3), "float64") @ gc.const(rng.normal(size=(3, 3)))
    nodes = make(h, gc.param("w", rng.normal(size=(3, 3))), gc.param("b", rng.normal(size=(3, 1))))
    feeds = {"x": rng.normal(size=(3, 3))}
    for got, wanted in zip(gc.compile(nodes)(**feeds), gc.evaluate(nodes, feeds), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


UPDATES = {
    "a fold of itself": lambda a, b, v: {v: gc.sum(b * v.reshape(4, 1), 0)},
    "a fold of itself, turned": lambda a, b, v: {v: gc.sum((b * v).T, 0)},
    "a row sum of itself": lambda a, b, v: {v: gc.sum(b * v.reshape(4, 1), 1) + v},
    "a vector as beta": lambda a, b, v: {a: v * a + b @ b},
    "a vector as decay": lambda a, b, v: {a: a - v * (0.5 * a)},
    "a vector as start": lambda a, b, v: {a: v + b @ b},
    "a start with another reader": lambda a, b, v: {a: gc.tanh(b) + b @ b, v: gc.sum(gc.tanh(b), 0)},
}


@pytest.mark.parametrize("make", UPDATES.values(), ids=UPDATES)
def test_next_values_come_from_old_ones(make, rng, either_mode) -> None:
    a, b, v = (gc.param(name, rng.normal(size=shape)) for name, shape in [("a", (4, 4)), ("b", (4, 4)), ("v", 4)])
    updates = make(a, b, v)
    expected = gc.evaluate(updates)
    gc.compile([], updates=updates)()
    for param, value in expected.items():
        np.testing.assert_allclose(param.value, value, rtol=1e-13, atol=1e-13)


def test_a_param_read_under_another_shape_is_read_before_it_changes(rng, python_mode) -> None:
    w = gc.param("w", rng.normal(size=(3, 3)))
    old = w.value.copy()
    np.testing.assert_allclose(gc.compile(gc.exp(w.reshape(-1)), updates={w: w * 2})(), np.exp(old.reshape(-1)))


def test_a_start_is_computed_into_the_param(python_mode, fused: None) -> None:
    w, x, d = gc.param("w", np.ones((6, 4))), gc.input("x", ("n", 6), "float64"), gc.input("d", ("n", 4), "float64")
    assert not gc.compile([], updates={w: gc.tanh(w) - 0.1 * (x.T @ d)})._plan.program.scratch


def test_unrelated_loops_stay_apart(python_mode, fused: None) -> None:
    f = gc.compile([gc.exp(gc.input("x", (3,))), gc.exp(gc.input("y", (3,)))])
    assert sum(isinstance(item, Kernel) for item in f._plan.program.body) == 2


def test_a_deep_net_reuses_its_memory(python_mode, fused: None) -> None:
    """Two tensors a layer: its activations, and its gradient, which waits for the update of all weights together."""

    def slots(layers: int) -> int:
        h = gc.input("x", ("n", 8))
        for number in range(layers):
            h = gc.tanh(h @ gc.param(f"W{number}", (8, 8)))
        return len(gc.compile(gc.mean(h), optimizer=gc.SGD(0.1))._plan.slots)

    assert slots(12) - slots(6) == 12


def test_slots_are_aligned_and_inside_the_arena(python_mode) -> None:
    f = gc.compile(gc.tanh(gc.tanh(gc.input("x", ("n", 3)) @ np.ones((3, 3), "f")) @ np.ones((3, 3), "f")))
    for rows in (1, 5, 17):
        f(np.ones((rows, 3), "f"))
        start, size = f._table[:2]
        assert start % 64 == 0
        assert size % 64 == 0
        assert f._arena.memory.ctypes.data <= start
        assert start + size <= f._arena.memory.ctypes.data + f._arena.memory.nbytes


# ---- guards ---------------------------------------------------------------------------------------------------------


def test_no_update_runs_before_a_guard_that_stands_later(python_mode) -> None:
    """The state's next value is known before the loss is."""
    state, w = gc.param("state", np.zeros(3), trainable=False), gc.param("w", np.ones(3))
    following = gc.tanh(state + gc.input("x", (3,), "float64"))
    step = gc.compile([gc.sum(following * w), w * 2], optimizer=gc.SGD(0.1), updates={state: following})
    with pytest.raises(gc.NonFiniteError):
        step(np.array([1.0, np.nan, 1.0]))
    np.testing.assert_array_equal(state.value, np.zeros(3))
    np.testing.assert_array_equal(w.value, np.ones(3))


def test_no_label_is_used_before_its_check(either_mode) -> None:
    z, y, table = gc.input("z", ("n", 3)), gc.input("y", ("n",), "int64"), gc.input("t", ("n", 4), "int64")
    values, far = np.zeros((2, 3), "f"), np.array([0, 2**40])
    with pytest.raises(gc.InputError, match="label 1099511627776"):
        gc.compile(gc.pick(z, y))(values, far)
    chained = gc.compile(gc.pick(z, gc.pick(table, y)))
    with pytest.raises(gc.InputError, match="of y is outside"):
        chained(values, far, np.zeros((2, 4), int))
    with pytest.raises(gc.InputError, match="of labels is outside"):
        chained(values, np.array([0, 1]), np.full((2, 4), 7))


def test_an_optimizer_leaves_what_updates_claims(python_mode) -> None:
    w, v = gc.param("w", np.ones(3)), gc.param("v", np.ones(3))
    gc.compile(gc.sum(w * v), optimizer=gc.SGD(0.1), updates={w: w * 2})()
    np.testing.assert_array_equal(w.value, [2, 2, 2])
    np.testing.assert_allclose(v.value, 0.9)


def test_an_integer_param_is_not_trained(python_mode) -> None:
    w, labels = gc.param("w", np.ones((2, 3))), gc.param("labels", np.array([0, 2]))
    gc.compile(gc.cross_entropy(gc.softmax(w), labels), optimizer=gc.SGD(0.1))()
    np.testing.assert_array_equal(labels.value, [0, 2])


def test_sizes_are_compared_after_a_good_call_too(python_mode) -> None:
    f = gc.compile(gc.sum(gc.tanh(gc.input("x", ("n", 4))) @ np.ones((4, 2), "f")))
    f(np.ones((5, 4), "f"))
    with pytest.raises(gc.InputError, match="axis 1 is 3, not 4"):
        f(np.ones((2, 3), "f"))


def test_unaligned_memory_is_copied() -> None:
    raw = np.frombuffer(b"\0" + np.ones(3, "f").tobytes(), np.uint8)[1:].view("f")
    assert as_input(gc.input("x", (3,)), raw).flags.aligned


def test_a_foreign_view_of_a_params_memory_is_copied(rng, python_mode) -> None:
    p, y = gc.param("p", rng.normal(size=(3, 3))), gc.input("y", (3, 3), "float64")
    before = p.value.copy()
    gc.compile([], inputs=[y], updates={p: p + y.T})(np.asarray(memoryview(p.value)))
    np.testing.assert_array_equal(p.value, before + before.T)


# ---- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [0, 5, 11])
@pytest.mark.parametrize("op", [gc.max, gc.sum, gc.mean], ids=str)
def test_a_reduction_passes_nan(op, at: int, either_mode) -> None:
    x, values = gc.input("x", (3, 4)), np.full((3, 4), -9, "f")
    values.flat[at] = np.nan
    all_axes, rows, columns = gc.compile([op(x), op(x, 1), op(x, 0)])(values)
    assert np.isnan(all_axes)
    np.testing.assert_array_equal(np.isnan(rows), np.arange(3) == at // 4)
    np.testing.assert_array_equal(np.isnan(columns), np.arange(4) == at % 4)


@pytest.mark.parametrize("dtype", ["float32", "int32", "int64"])
def test_a_maximum_starts_below_everything(dtype: str, either_mode) -> None:
    assert gc.compile(gc.max(gc.input("x", (3,), dtype)))(np.array([-700, -500, -900], dtype)) == -500
    assert gc.compile(gc.max(gc.input("x", (2,))))(np.full(2, -np.inf, "f")) == -np.inf


def test_only_the_additions_of_a_sum_are_reordered(either_mode) -> None:
    """(x + y) - y is what its roundings make it, also inside a sum; infinities and NaN keep their meaning."""
    x, y = gc.input("x", (64,)), gc.input("y", (64,))
    inside, alone = gc.compile([gc.sum((x + y) - y), (x + y) - y]), np.ones(64, "f")
    total, elements = inside(alone, np.full(64, 1e9, "f"))
    assert total == 0
    np.testing.assert_array_equal(elements, np.zeros(64))
    assert np.isnan(inside(alone, np.full(64, np.inf, "f"))[0])
    assert gc.compile(gc.sum(gc.where(gc.isfinite(x), x, 0.0)))(np.r_[np.nan, np.inf, np.ones(62)].astype("f")) == 62


def test_no_flag_lets_llvm_forget_nan(jit_mode) -> None:
    f = gc.compile([gc.sum(gc.softmax(gc.input("z", (2, 4)))), gc.max(gc.input("y", (5,)))])
    arithmetic = [line for line in f.stages["llvm"].splitlines() if re.search(r"= f(add|sub|mul|div|cmp|neg)", line)]
    assert arithmetic
    assert not [line for line in arithmetic if re.search(r"\b(nnan|ninf|afn|arcp|fast) ", line)]


def test_sums_are_wide(either_mode) -> None:
    """float32 in float64; integers and bools in int64."""
    x, u = gc.input("x", ("n",)), gc.input("u", ("n",), "uint8")
    assert gc.compile(gc.sum(x))(np.r_[2.0**24, np.ones(1000)].astype("f")) == 2.0**24 + 1000
    assert gc.sum(x > 0).dtype == np.int64
    assert gc.compile([gc.sum(x > 0)])(np.ones(300, "f")) == [300]
    assert gc.compile(gc.sum(u))(np.full(300, 255, "u1")) == 300 * 255


# ---- rules and records ----------------------------------------------------------------------------------------------


def test_a_number_in_a_pattern_is_a_scalar_of_its_sign() -> None:
    x = gc.param("x", np.ones(3))
    assert match(("multiply", "x", 1.0), x * np.ones((2, 3)), {}) is None
    assert match(("subtract", "x", 0.0), x - (-0.0), {}) is None


def test_a_softmax_along_another_axis_is_not_a_rows_loss(rng, python_mode) -> None:
    z = gc.param("z", rng.normal(size=(3, 3)))
    picked = gc.log(gc.pick(gc.softmax(z, 0), np.array([0, 2, 1])))
    np.testing.assert_allclose(gc.compile(picked)(), gc.evaluate(picked))


def test_weight_decay_is_beta(python_mode) -> None:
    w = gc.param("w", np.ones((6, 4)))
    loss = gc.mse(gc.input("x", ("n", 6), "float64") @ w, gc.input("t", ("n", 4), "float64"))
    step = gc.compile(loss, optimizer=gc.SGD(0.1, weight_decay=0.1))
    assert ", w, " in next(line for line in step.stages["fold"].splitlines() if "gemm(" in line)


def test_one_class_is_a_class(either_mode) -> None:
    z, y = gc.input("z", ("n", 1)), gc.input("y", ("n",), "int64")
    np.testing.assert_array_equal(gc.compile(gc.pick(z, y))(np.ones((2, 1), "f"), np.zeros(2, int)), [1, 1])


def test_initializers_have_their_spread() -> None:
    """he_uniform's bound is sqrt(6 / fan_in), glorot_uniform's sqrt(6 / (fan_in + fan_out)); the seed is heard."""
    for init, bound in (("he_uniform", (6 / 400) ** 0.5), ("glorot_uniform", (6 / 500) ** 0.5)):
        assert np.abs(gc.param("w", (400, 100), init=init).value).max() == pytest.approx(bound, rel=1e-2)
    assert gc.param("w", (400, 100), init="he_normal").value.std() == pytest.approx((2 / 400) ** 0.5, rel=2e-2)
    one, two = (gc.param("w", (4, 4), seed=seed).value for seed in (1, 2))
    assert not np.array_equal(one, two)


def test_check_gradient_does_not_accept_nan() -> None:
    w = gc.param("w", np.array([-1.0]))
    with pytest.raises(gc.GradientError):
        gc.check_gradient(gc.sum(gc.sqrt(w)), {})


def test_a_shared_constant_is_shown_at_this_graphs_line(python_mode) -> None:
    """Sizes and numbers are shared by all graphs alive; a text shows the lines of its own."""
    texts, alive = [], []
    for name in ("one.py", "two.py"):
        names = {"gc": gc}
        exec(compile("x = gc.input('x', ('n', 3))\nf = gc.compile(gc.mean(x))", name, "exec"), names)
        alive.append(names)
        texts.append(names["f"].stages["simplify"])
    assert "two.py" not in texts[0]
    assert "one.py" not in texts[1]


def test_an_index_is_a_number_in_any_expression(either_mode: str) -> None:
    """The positions of a slice are `6 + i` in code, which an operator must not take apart."""
    n, x = gc.input("n", (1,), "int64"), gc.input("x", ("time",), "float64")
    i, late = gc.arange(8)[6:], gc.arange(x.shape[0])[-2:]
    step = gc.compile([gc.invert(i), gc.power(i, n), gc.power(n, i), gc.power(late, n), late[::-1] * 2], inputs=[n, x])
    for got, wanted in zip(
        step(np.array([3]), np.zeros(5)), [[-7, -8], [216, 343], [729, 2187], [27, 64], [8, 6]], strict=True
    ):
        np.testing.assert_array_equal(got, wanted)
