"""The compiled step against the interpreter, training against NumPy, and what a call accepts and returns."""

from __future__ import annotations

import ast
import gc as garbage
import sys
import threading

import numpy as np
import pytest
from models import batch, classifier

import graphc as gc
from graphc.primitives.loops import written_out
from graphc.reference import run_step


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-12)])
@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01}], ids=str
)
def test_a_step_equals_the_interpreter(dtype, tolerance, options, rng, either_mode) -> None:
    """One compiled function, batches of 1, 2, 7 and 128: loss and params, relative to each tensor's largest value."""
    model = classifier(dtype=dtype)
    step = gc.compile(model.loss, optimizer=gc.SGD(0.1, **options))
    source = step.source
    for size in (1, 2, 7, 128, 1):
        x, y = batch(rng, size, dtype=dtype)
        (loss,), values = run_step(step._graph, {"x": x, "y": y}, "float64")
        assert step(x, y) == pytest.approx(float(loss), rel=tolerance)
        for param, value in values.items():
            np.testing.assert_allclose(
                param.value, value, rtol=0, atol=tolerance * np.abs(value).max(), err_msg=param.name
            )
    assert step.source is source


def test_200_steps_stay_with_a_numpy_loop(rng) -> None:
    model = classifier()
    W1, b1, W2, b2 = (param.value.astype("float64") for param in model.params)
    step = gc.compile(model.loss, optimizer=gc.SGD(0.1))
    for _ in range(200):
        x, y = batch(rng, 32)
        h = np.maximum(x @ W1 + b1, 0)
        z = h @ W2 + b2
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        loss = -np.log(p[np.arange(32), y]).mean()
        dz = (p - np.eye(10)[y]) / 32
        dh = (dz @ W2.T) * (h > 0)
        W1, b1, W2, b2 = W1 - 0.1 * x.T @ dh, b1 - 0.1 * dh.sum(0), W2 - 0.1 * h.T @ dz, b2 - 0.1 * dz.sum(0)
        assert step(x, y) == pytest.approx(loss, rel=1e-4)
    for param, value in zip(model.params, (W1, b1, W2, b2), strict=True):
        np.testing.assert_allclose(param.value, value, rtol=1e-4, atol=1e-4 * np.abs(value).max())


def test_the_same_run_twice_gives_the_same_bits(rng) -> None:
    def run() -> list[bytes]:
        model = classifier()
        step = gc.compile(model.loss, optimizer=gc.SGD(0.1, momentum=0.9))
        numbers = np.random.default_rng(0)
        for _ in range(5):
            step(*batch(numbers, 16))
        return [param.value.tobytes() for param in model.params]

    assert run() == run()


# ---- results --------------------------------------------------------------------------------------------------------


def test_results_come_back_in_the_structure_that_was_given(python_mode) -> None:
    x = gc.input("x", ("n", 2))
    total, double, data = gc.sum(x), x * 2, np.ones((3, 2), "f")
    assert gc.compile(total)(data) == 6.0
    assert isinstance(gc.compile(total)(data), float)
    assert gc.compile([total])(data) == [6.0]
    both = gc.compile({"total": total, "double": double})(data)
    assert both["total"] == 6.0
    np.testing.assert_array_equal(both["double"], data * 2)


def test_results_are_new_arrays_each_time(either_mode) -> None:
    f = gc.compile(gc.input("x", ("n",)) * 2)
    first = f(np.ones(2, "f"))
    second = f(np.zeros(3, "f"))
    np.testing.assert_array_equal(first, [2, 2])
    np.testing.assert_array_equal(second, [0, 0, 0])


def test_leaves_and_views_can_be_results(rng, either_mode) -> None:
    x, w = gc.input("x", ("n", 2, 3)), gc.param("w", rng.normal(size=(3, 2)))
    value = rng.normal(size=(4, 2, 3)).astype("f")
    x1, x2, flat, turned, weight, const = gc.compile(
        [x, x, x.reshape(-1, 6), x.transpose(2, 0, 1), w.T, gc.const([1.0, 2.0])]
    )(value)
    np.testing.assert_array_equal(x1, value)
    np.testing.assert_array_equal(x2, value)
    np.testing.assert_array_equal(flat, value.reshape(4, 6))
    np.testing.assert_array_equal(turned, value.transpose(2, 0, 1))
    np.testing.assert_array_equal(weight, w.value.T)
    np.testing.assert_array_equal(const, [1.0, 2.0])
    assert not np.shares_memory(weight, w.value)


# ---- inputs ---------------------------------------------------------------------------------------------------------


def test_arrays_of_any_layout_are_read_right(rng, either_mode) -> None:
    f = gc.compile(gc.input("x", ("n", 4)) * 1.0)
    base = rng.normal(size=(6, 8)).astype("f")
    readonly = base[:, :4].copy()
    readonly.flags.writeable = False
    unaligned = np.frombuffer(b"\0" + readonly.tobytes(), np.uint8)[1:].view("f").reshape(6, 4)
    for value in (
        base[:, :4],
        base[:, ::2],
        base[::-1, :4],
        np.asfortranarray(base[:, :4]),
        readonly,
        unaligned,
        base[:0, :4],
    ):
        before = value.copy()
        np.testing.assert_array_equal(f(value), before)
        np.testing.assert_array_equal(value, before)


def test_safe_casts_and_python_values_are_taken(python_mode) -> None:
    f = gc.compile(gc.input("x", (2,)) * 2)
    for value in ([1.0, 2.0], [1, 2], np.array([1, 2], "uint8"), np.array([1, 2], "float16")):
        np.testing.assert_array_equal(f(value), [2, 4])


def test_inputs_by_position_by_name_and_in_a_given_order(python_mode) -> None:
    a, b = gc.input("a", ()), gc.input("b", ())
    f = gc.compile(b - a)
    assert f.params == ()
    assert f.inputs == (a, b), "the order in which they were made"
    assert f(1.0, 3.0) == f(b=3.0, a=1.0) == f(1.0, b=3.0) == 2.0
    assert gc.compile(b - a, inputs=[b, a])(3.0, 1.0) == 2.0


def test_uint8_images_are_cast_inside_the_graph(rng, either_mode) -> None:
    x = gc.input("x", ("n", 4), "uint8")
    f = gc.compile(gc.astype(x, "float32") / 255)
    value = rng.integers(0, 256, (3, 4)).astype("uint8")
    np.testing.assert_allclose(f(value), value / np.float32(255), rtol=1e-7)


# ---- params and updates ---------------------------------------------------------------------------------------------


def test_two_functions_share_a_params_memory(rng, python_mode) -> None:
    model = classifier()
    step, logits = gc.compile(model.loss, optimizer=gc.SGD(0.5, momentum=0.9)), gc.compile(model.logits)
    assert list(step.params) == list(logits.params) == model.params, "the optimizer's own are not among them"
    x, y = batch(rng, 8)
    before = logits(x)
    step(x, y)
    assert np.abs(logits(x) - before).max() > 1e-3


def test_a_value_can_be_assigned_and_its_memory_stays(python_mode) -> None:
    w = gc.param("w", np.zeros(3))
    f = gc.compile(w * 2)
    memory = w.value
    w.value = np.array([1.0, 2.0, 3.0])
    assert w.value is memory
    np.testing.assert_array_equal(f(), [2, 4, 6])
    w.value[0] = 5
    np.testing.assert_array_equal(f(), [10, 4, 6])


def square(rng: np.random.Generator, name: str) -> gc.Param:
    return gc.param(name, rng.normal(size=(4, 4)))


UPDATES = {
    "swap": lambda a, b: {a: b, b: a},
    "crossed": lambda a, b: {a: b + 1, b: a * 2},
    "crossed through a transpose": lambda a, b: {a: b.T + 1, b: a * 2},
    "own transpose": lambda a, b: {a: a.T},
    "sum with its own transpose": lambda a, b: {a: a + a.T},
    "crossed products": lambda a, b: {a: a - 0.1 * (b.T @ b), b: b - 0.1 * (a.T @ a)},
    "product with itself": lambda a, b: {a: a - 0.1 * (a.T @ b)},
    "one value for both": lambda a, b: {a: a + b, b: a + b},
    "minus its mean": lambda a, b: {a: a - a.mean(0), b: b - b.mean(1, keepdims=True)},
    "softmax of itself": lambda a, b: {a: a * gc.softmax(a)},
    "two products": lambda a, b: {a: a - 0.1 * (b @ b + b.T @ b)},
    "one waits for the other": lambda a, b: {a: a * 2, b: b.T + a},
    "a product read by another update": lambda a, b: {a: a + b @ b, b: a.T + (a + b @ b)},
    "plus a vector": lambda a, b: {a: a + b @ np.arange(4.0)},
    "a product of itself": lambda a, b: {a: a @ b},
    "a start that is another": lambda a, b: {a: b - 0.1 * (b @ b)},
    "crossed, scaled products": lambda a, b: {a: 0.5 * a + b @ b, b: 0.25 * b + a @ a},
    "a factor read from the param": lambda a, b: {a: b - gc.pick(a.reshape(-1), np.array(3)) * (b @ b)},
    "a row of itself": lambda a, b: {a: b * a.T.sum(0)},
    "momentum by hand": lambda a, b: {a: a - 0.1 * (0.9 * b + a @ a), b: 0.9 * b + a @ a},
}


@pytest.mark.parametrize("make", UPDATES.values(), ids=UPDATES)
def test_updates_are_simultaneous(make, rng, either_mode) -> None:
    """Every next value is computed from the old ones, though all are written in place."""
    a, b = square(rng, "a"), square(rng, "b")
    updates = make(a, b)
    expected, before = gc.evaluate(updates), a.value.sum()
    assert gc.compile(a.sum(), updates=updates)() == pytest.approx(before, rel=1e-12)
    for param, value in expected.items():
        np.testing.assert_allclose(param.value, value, rtol=1e-13, atol=1e-13)


def test_a_shared_weight_is_trained_right(rng, either_mode) -> None:
    """Two products make one gradient."""
    w, x = gc.param("w", rng.normal(size=(4, 4))), rng.normal(size=(5, 4))
    loss = gc.mean(gc.tanh(gc.input("x", ("n", 4), "float64") @ w) @ w)
    expected = w.value - 0.1 * gc.evaluate(gc.grad(loss, w), {"x": x})
    gc.compile(loss, optimizer=gc.SGD(0.1))(x)
    np.testing.assert_allclose(w.value, expected, rtol=1e-13)


def test_a_params_own_memory_can_be_an_input(rng, python_mode) -> None:
    p, y = square(rng, "p"), gc.input("y", (4, 4), "float64")
    for given in (lambda: p.value, lambda: p.value[:]):
        before = p.value.copy()
        gc.compile([], inputs=[y], updates={p: p + y.T})(given())
        np.testing.assert_array_equal(p.value, before + before.T)


# ---- shapes at the edge ---------------------------------------------------------------------------------------------


def test_numbers_and_positions_can_be_reshaped_into_memory(either_mode) -> None:
    x = gc.input("x", (2, 3))
    grid, product = gc.compile([gc.arange(6).reshape(2, 3) * x, (gc.sum(x) + 1).reshape(1, 1) @ np.ones((1, 2), "f")])(
        np.ones((2, 3), "f")
    )
    np.testing.assert_array_equal(grid, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(product, [[7, 7]])


def test_a_batch_of_one_and_one_output_are_sizes_like_any(rng, either_mode) -> None:
    w = gc.param("w", rng.normal(size=(3, 1)))
    x = rng.normal(size=(1, 3))
    expected = w.value - 0.1 * x.T
    gc.compile(gc.sum(gc.input("x", (1, 3), "float64") @ w), optimizer=gc.SGD(0.1))(x)
    np.testing.assert_allclose(w.value, expected, rtol=1e-14)


def test_a_scalar_result_can_also_be_an_operand_of_blas(either_mode) -> None:
    x = gc.input("x", (3,))
    total = gc.sum(x)
    scalar, row = gc.compile([total, total.reshape(1, 1) @ np.ones((1, 2), "f")])(np.ones(3, "f"))
    assert scalar == 3.0
    np.testing.assert_array_equal(row, [[3, 3]])


def test_the_number_of_classes_can_be_symbolic(rng, python_mode) -> None:
    z, y = gc.input("z", ("n", "c"), "float64"), gc.input("y", ("n",), "int64")
    loss = gc.softmax_cross_entropy(z, y)
    f = gc.compile([loss, gc.grad(loss, z)])
    for classes in (2, 5):
        values, labels = rng.normal(size=(3, classes)), rng.integers(0, classes, 3)
        value, gradient = f(values, labels)
        p = np.exp(values) / np.exp(values).sum(1, keepdims=True)
        assert value == pytest.approx(-np.log(p[np.arange(3), labels]).mean())
        np.testing.assert_allclose(gradient, (p - np.eye(classes)[labels]) / 3, rtol=1e-12)
    with pytest.raises(gc.InputError, match=r"label 4 at \[0\] of y is outside range\(4\)"):
        f(np.zeros((1, 4)), np.array([4]))


def test_a_gradient_that_forgot_its_argument_still_has_its_size(python_mode) -> None:
    x = gc.input("x", ("n", 3))
    ones = gc.compile(gc.grad(gc.sum(x), x))
    np.testing.assert_array_equal(ones(np.zeros((2, 3), "f")), np.ones((2, 3)))


def test_many_axes(rng, python_mode) -> None:
    x = gc.input("x", (2,) * 12)
    value = rng.normal(size=(2,) * 12).astype("f")
    np.testing.assert_array_equal(gc.compile(x * 2)(value), value * 2)


def test_a_constant_loss_compiles(python_mode) -> None:
    assert gc.compile(gc.const(1.0) * 2, optimizer=gc.SGD(0.1))() == 2.0


def test_empty_batches(python_mode) -> None:
    x = gc.input("x", ("n", 3))
    total, rows, product = gc.compile([gc.sum(x, 0), x * 2, x @ np.ones((3, 2), "f")])(np.ones((0, 3), "f"))
    np.testing.assert_array_equal(total, np.zeros(3))
    assert rows.shape == (0, 3)
    assert product.shape == (0, 2)


# ---- memory ---------------------------------------------------------------------------------------------------------


def test_memory_is_a_formula_of_the_sizes(rng, python_mode) -> None:
    model = classifier(784, 512)
    step = gc.compile(model.loss, optimizer=gc.SGD(0.1))
    assert step.memory(batch=128) < 0.95e6
    step(*batch(rng, 128, 784))
    assert step._table[1] == step.memory(batch=128)
    step(*batch(rng, 3, 784))
    assert step._table[1] == step.memory(batch=128), "a smaller batch fits"
    with pytest.raises(gc.InputError, match="wants the sizes batch, got none"):
        step.memory()
    with pytest.raises(gc.InputError, match="wants the sizes batch, got batch, time"):
        step.memory(batch=1, time=2)


def test_a_step_allocates_nothing(jit_mode) -> None:
    """Neither memory through Numba's runtime, in any of the step's functions, nor a temporary around BLAS."""
    native = gc.compile(classifier().loss, optimizer=gc.SGD(0.1, momentum=0.9)).stages["llvm"]
    assert "graphc_sgemm" in native
    assert "NRT_MemInfo_alloc" not in native
    assert "NRT_Allocate" not in native


def test_calls_leave_nothing_behind(rng, jit_mode) -> None:
    model = classifier()
    step = gc.compile(model.loss, optimizer=gc.SGD(0.1))
    x, y = batch(rng, 16)
    step(x, y)
    garbage.collect()
    count = len(garbage.get_objects())
    for _ in range(50):
        step(x, y)
    assert len(garbage.get_objects()) <= count + 5


def test_calls_from_two_threads_do_not_meet(rng, either_mode) -> None:
    """The arena and the scalar results are one: calls run one after the other, up to their last result."""
    x = gc.input("x", ("n", 8))
    e = gc.exp(x) @ np.eye(8, dtype="f")
    f = gc.compile([gc.sum(e), gc.softmax(e)])
    values = [rng.random((rows, 8)).astype("f") for rows in (3, 9)]
    expected = [f(value) for value in values]
    failures: list[int] = []

    def work(which: int) -> None:
        for _ in range(300):
            total, rows = f(values[which])
            if total != expected[which][0] or not np.array_equal(rows, expected[which][1]):
                failures.append(which)

    threads = [threading.Thread(target=work, args=(which,)) for which in (0, 1)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not failures


# ---- stages ---------------------------------------------------------------------------------------------------------


def test_every_stage_prints(jit_mode) -> None:
    f = gc.compile(gc.relu(gc.input("x", ("n", 3)) * 2))
    assert list(f.stages) == [
        "graph",
        "differentiate",
        "simplify",
        "fold",
        "fuse",
        "tile",
        "plan",
        "emit",
        "llvm",
        "asm",
    ]
    assert all(f.stages.values())
    assert f.stages["graph"] in str(f)
    assert "define" in f.stages["llvm"]
    assert "ret" in f.stages["asm"]
    assert f.stages["emit"] == f.source


def test_names_of_the_users_are_never_code(either_mode) -> None:
    """Hostile names stand in comments, on one line."""
    name = "x\n    raise SystemExit  # \u202e"
    params = gc.param("import os", np.ones(1, "f")) * gc.param("%0 = exit()", np.ones(1, "f"))
    f = gc.compile(gc.input(name, ("n",)) + params, name="a b")
    np.testing.assert_array_equal(f(np.zeros(2, "f")), [1, 1])
    assert "exit" not in "".join(line.split("#")[0] for line in f.source.splitlines())
    assert not any(line.strip().startswith("raise") for line in f.source.splitlines())
    assert "\u202e" not in f.source


LOOPS = """
for i in range(n):
    for j in few(2):
        a = m[i, j]
        m[i, j] = a + j
for j in range(2):
    m[j] = j
"""

COPIES = """
for i in range(n):
    a = m[i, 0]
    m[i, 0] = a + 0
    a = m[i, 1]
    m[i, 1] = a + 1
for j in range(2):
    m[j] = j
"""


def test_loops_of_few_steps_are_copies() -> None:
    assert ast.unparse(written_out(LOOPS)) == COPIES.strip()


def test_inner_loops_of_few_columns_are_written_out(rng, either_mode, fused: None) -> None:
    """Eight columns are few, nine and a first loop are not; one needs no loop, and none stays one."""
    for columns in (0, 1, 8, 9):
        x = gc.input("x", ("n", columns))
        f = gc.compile([gc.exp(x) + 1, gc.sum(x, 1), gc.cumsum(x, 1), gc.exp(gc.input("z", 3))])
        assert ("few(" in f.source) == (columns == 8)
        array, z = rng.standard_normal((33, columns)).astype("f"), np.zeros(3, np.float32)
        found = f(array, z)
        expected = [np.exp(array) + 1, array.sum(1), array.cumsum(1), np.ones(3)]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)
