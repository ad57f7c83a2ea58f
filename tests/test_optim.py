"""The optimizers against PyTorch's formulas, written out in NumPy, in float64; tests/peers has PyTorch itself."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import graphc as gc

VARIANTS = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "weight decay": {"weight_decay": 0.05},
    "momentum and weight decay": {"momentum": 0.9, "weight_decay": 0.05},
    "all": {"momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
}


def reference(w, x, t, steps, lr, momentum=0.0, nesterov=False, weight_decay=0.0):
    """torch.optim.SGD's algorithm, as its documentation states it, on mse(x @ w, t)."""
    buffer = None
    for _ in range(steps):
        g = x.T @ (2 * (x @ w - t) / t.size) + weight_decay * w
        if momentum:
            buffer = g if buffer is None else momentum * buffer + g
            g = g + momentum * buffer if nesterov else buffer
        w = w - lr * g
    return w


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
@pytest.mark.parametrize("shape", [(6, 4), (6, 1)])
def test_sgd_is_pytorchs(options: dict, shape: tuple[int, int], rng: np.random.Generator, either_mode: str) -> None:
    start, x, t = rng.normal(size=shape), rng.normal(size=(7, 6)), rng.normal(size=(7, shape[1]))
    w = gc.param("w", start)
    loss = gc.mse(gc.input("x", ("n", 6), "float64") @ w, gc.input("t", ("n", shape[1]), "float64"))
    step = gc.compile(loss, optimizer=gc.SGD(lr=0.05, **options))
    for _ in range(50):
        step(x, t)
    np.testing.assert_allclose(w.value, reference(start, x, t, 50, 0.05, **options), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "folded"),
    [("plain", 1), ("momentum", 1), ("weight decay", 1), ("momentum and weight decay", 1), ("nesterov", 0)],
)
def test_the_update_is_inside_the_product(name: str, folded: int, python_mode: None, fused: None) -> None:
    """Nesterov's form reads the gradient twice, so there it is stored."""
    w = gc.param("w", np.ones((6, 4)))
    loss = gc.mse(gc.input("x", ("n", 6), "float64") @ w, gc.input("t", ("n", 4), "float64"))
    step = gc.compile(loss, optimizer=gc.SGD(0.1, **VARIANTS[name]))
    assert step.stages["fold"].count("= gemm(") == folded
    stored = [buffer.type.shape for buffer in step._plan.program.scratch]
    assert ((6, 4) in stored) != bool(folded)


def test_the_learning_rate_changes_without_a_compile(rng: np.random.Generator, either_mode: str) -> None:
    start, x, t = rng.normal(size=(6, 4)), rng.normal(size=(7, 6)), rng.normal(size=(7, 4))
    w = gc.param("w", start)
    step = gc.compile(gc.mse(gc.input("x", (7, 6), "float64") @ w, t), optimizer=gc.SGD(lr=0.05))
    step(x)
    first = reference(start, x, t, 1, 0.05)
    np.testing.assert_allclose(w.value, first, rtol=1e-12)
    source = step.source
    step.optimizer.lr = 0.01
    assert step.optimizer.lr == 0.01
    step(x)
    np.testing.assert_allclose(w.value, reference(first, x, t, 1, 0.01), rtol=1e-12)
    assert step.source is source


def test_params_that_are_not_trainable_stay(rng: np.random.Generator, python_mode: None) -> None:
    w, frozen = gc.param("w", rng.normal(size=(6, 4))), gc.param("frozen", rng.normal(size=4), trainable=False)
    before = frozen.value.copy()
    step = gc.compile(gc.mse(gc.input("x", (7, 6), "float64") @ w + frozen, np.ones((7, 4))), optimizer=gc.SGD(0.1))
    step(rng.normal(size=(7, 6)))
    np.testing.assert_array_equal(frozen.value, before)


# ---- those that keep the gradients' squares --------------------------------------------------------------------------


def adagrad(w, grad, steps, lr, weight_decay=0.0, eps=1e-10):
    """torch.optim.Adagrad's algorithm, as its documentation states it."""
    total = np.zeros_like(w)
    for _ in range(steps):
        g = grad(w) + weight_decay * w
        total = total + g**2
        w = w - lr * g / (np.sqrt(total) + eps)
    return w


def rmsprop(w, grad, steps, lr, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0):
    """torch.optim.RMSprop's."""
    mean, buffer = np.zeros_like(w), np.zeros_like(w)
    for _ in range(steps):
        g = grad(w) + weight_decay * w
        mean = alpha * mean + (1 - alpha) * g**2
        buffer = momentum * buffer + g / (np.sqrt(mean) + eps)
        w = w - lr * buffer
    return w


def adam(w, grad, steps, lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=0.0):
    """torch.optim.Adam's; `decoupled` is the weight_decay of torch.optim.AdamW."""
    m, v = np.zeros_like(w), np.zeros_like(w)
    for t in range(1, steps + 1):
        g = grad(w) + weight_decay * w
        w = w - lr * decoupled * w
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        w = w - lr * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + eps)
    return w


def adamw(w, grad, steps, lr, weight_decay=1e-2, **options):
    return adam(w, grad, steps, lr, decoupled=weight_decay, **options)


ADAPTIVE = [
    (gc.Adagrad, adagrad, {}),
    (gc.Adagrad, adagrad, {"weight_decay": 0.1, "eps": 1e-3}),
    (gc.RMSprop, rmsprop, {}),
    (gc.RMSprop, rmsprop, {"alpha": 0.8, "eps": 1e-3, "weight_decay": 0.1, "momentum": 0.7}),
    (gc.Adam, adam, {}),
    (gc.Adam, adam, {"betas": (0.7, 0.95), "eps": 1e-3, "weight_decay": 0.1}),
    (gc.AdamW, adamw, {}),
    (gc.AdamW, adamw, {"betas": (0.7, 0.95), "weight_decay": 0.0}),
]


@pytest.mark.parametrize(
    ("kind", "by_hand", "options"), ADAPTIVE, ids=lambda each: getattr(each, "__name__", str(each))
)
def test_adaptive_optimizers_are_pytorchs(kind, by_hand, options: dict, rng: np.random.Generator, either_mode) -> None:
    start, x, t = rng.normal(size=(6, 4)), rng.normal(size=(7, 6)), rng.normal(size=(7, 4))
    w = gc.param("w", start)
    step = gc.compile(gc.mse(gc.input("x", (7, 6), "float64") @ w, t), optimizer=kind(lr=0.002, **options))
    for _ in range(200):  # on the way: around the minimum each rounding grows from step to step
        step(x)
    expected = by_hand(start, lambda w: x.T @ (2 * (x @ w - t) / t.size), 200, 0.002, **options)
    np.testing.assert_allclose(w.value, expected, rtol=1e-9)


def test_steps_are_counted_once_for_all_params_and_over_calls(rng: np.random.Generator, python_mode: None) -> None:
    start, x = rng.normal(size=(3, 2)), rng.normal(size=(5, 3))
    a, b = gc.param("a", start), gc.param("b", start)
    inputs = gc.input("x", (5, 3), "float64")
    step = gc.compile(gc.mean(gc.tanh(inputs @ a)) + gc.mean(gc.tanh(inputs @ b)), optimizer=gc.Adam(lr=0.1))
    step(x)
    step.run(2, x)
    assert step.optimizer._count.value == 3
    slope = lambda w: x.T @ ((1 - np.tanh(x @ w) ** 2) / 10)  # noqa: E731
    np.testing.assert_allclose(a.value, adam(start, slope, 3, 0.1), rtol=1e-9)
    np.testing.assert_array_equal(a.value, b.value)


def test_float32_params_keep_float32_states(rng: np.random.Generator, either_mode) -> None:
    w = gc.param("w", rng.normal(size=(6, 4)).astype("f"))
    step = gc.compile(gc.mean(gc.tanh(gc.input("x", ("n", 6)) @ w)), optimizer=gc.AdamW(lr=0.01))
    before = w.value.copy()
    step(rng.normal(size=(8, 6)).astype("f"))
    # The first step of Adam is lr times the gradient's sign, but for eps.
    np.testing.assert_allclose(np.abs(w.value - before * (1 - 1e-4)), 0.01, rtol=1e-3)
    assert step.optimizer.state(w, "mean").dtype == np.float32


class Sign(gc.Optimizer):
    """A user's own: signSGD."""

    def update(self, param, gradient):
        return [(param, param - self.rate(param) * gc.sign(gradient))]


def test_an_optimizer_of_ones_own(rng: np.random.Generator, python_mode: None) -> None:
    w = gc.param("w", np.array([1.0, -2.0, 0.5]))
    step = gc.compile(gc.sum(w * w), optimizer=Sign(lr=0.25))
    step()
    np.testing.assert_array_equal(w.value, [0.75, -1.75, 0.25])
    assert "Sign.steps" not in step.stages["differentiate"], "nothing is counted that nobody reads"


def test_hyperparameters_are_checked() -> None:
    with pytest.raises(ValueError, match="eps is not negative, got -1"):
        gc.Adagrad(lr=1, eps=-1)
    with pytest.raises(ValueError, match=r"alpha is at least 0 and below 1, got 1\.0"):
        gc.RMSprop(lr=1, alpha=1.0)
    with pytest.raises(ValueError, match=r"betas\[1\] is at least 0 and below 1, got 2"):
        gc.Adam(lr=1, betas=(0.9, 2))
    with pytest.raises(ValueError, match="lr is a number, finite and not negative, or a schedule; got -1"):
        gc.SGD(lr=-1)
    with pytest.raises(ValueError, match="lr is a number, finite and not negative, or a schedule; got -2"):
        gc.SGD(lr=1).lr = -2
    with pytest.raises(ValueError, match="lr is a number, finite and not negative, or a schedule; got inf"):
        gc.SGD(lr=float("inf"))
    with pytest.raises(ValueError, match="weight_decay is not negative, got -1"):
        gc.SGD(lr=1, momentum=0.1, weight_decay=-1)
    with pytest.raises(AttributeError):
        gc.SGD(lr=1, momentum=0.9).momentum = 0.5  # type: ignore[misc]
    with pytest.raises(ValueError, match="momentum > 0"):
        gc.SGD(lr=0.1, nesterov=True)


def test_hyperparameters_can_be_read_and_printed() -> None:
    made = [
        gc.SGD(0.5, 0.9, nesterov=True, clip_norm=1.0),
        gc.Adagrad(0.5, eps=1e-9, accumulate=4),
        gc.RMSprop(0.5, momentum=0.25),
        gc.AdamW(gc.schedules.cosine(0.5, steps=9), betas=(0.8, 0.9), clip_value=2.0),
    ]
    assert [repr(each) for each in made] == [
        "SGD(lr=0.5, momentum=0.9, nesterov=True, weight_decay=0.0, clip_norm=1.0)",
        "Adagrad(lr=0.5, weight_decay=0.0, eps=1e-09, accumulate=4)",
        "RMSprop(lr=0.5, alpha=0.99, eps=1e-08, weight_decay=0.0, momentum=0.25)",
        "AdamW(lr=cosine(0.5, steps=9, end=0.0), betas=(0.8, 0.9), eps=1e-08, weight_decay=0.01, clip_value=2.0)",
    ]
    for each in made:
        options = inspect.signature(type(each)).parameters
        assert list(options)[-3:] == ["clip_value", "clip_norm", "accumulate"]
        assert all(f"{name}=" in repr(each) for name in list(options)[:-3])
        for name in (*options, "schedule"):
            if name != "lr":
                value = getattr(each, name)
                with pytest.raises(AttributeError):
                    setattr(each, name, value)
    with pytest.raises(AttributeError, match=r"momentum is fixed when an optimizer is made; only lr may change: SGD\("):
        made[0].momentum = 0.5


class Lazy(gc.Optimizer):
    """A user's own, with an option of its own."""

    def __init__(self, lr, every=2, **common):
        super().__init__(lr, **common)
        self.every = every

    def update(self, param, gradient):
        return [(param, gc.where(gc.equal(self.t % self.every, 0), param - self.rate(param) * gradient, param))]


def test_an_own_optimizer_has_what_all_have(python_mode: None) -> None:
    w = gc.param("w", np.array([4.0, 0.0]))
    optimizer = Lazy(lambda step: step + 1.0, clip_value=1.5)
    assert repr(optimizer).endswith(", every=2, clip_value=1.5)")
    step = gc.compile(gc.sum(w * w), optimizer=optimizer)
    for expected in (4.0, 1.0, 1.0, -5.0):
        step()
        np.testing.assert_array_equal(w.value, [expected, 0])
    with pytest.raises(AttributeError, match="every is fixed"):
        optimizer.every = 3


def test_steps_are_counted_for_one_set_of_params() -> None:
    """Adam's step depends on their number, SGD's does not."""
    a, b = (gc.param(name, np.ones(2, "float32")) for name in "ab")
    for optimizer in (gc.SGD(0.1, momentum=0.9), gc.Adam(0.1)):
        gc.compile(gc.sum(a * a), optimizer=optimizer)
        gc.compile(gc.sum(a), optimizer=optimizer)
    gc.compile(gc.sum(b), optimizer=gc.SGD(0.1, momentum=0.9))
    with pytest.raises(gc.GraphError, match="Adam has counted the steps of other params"):
        gc.compile(gc.sum(b), optimizer=optimizer)


def test_a_schedule_that_runs_its_own_step_is_told() -> None:
    w = gc.param("w", np.ones(2, "float32"))
    step = gc.compile(gc.sum(w * w), optimizer=gc.SGD(0.1))
    step.optimizer.lr = lambda number: step()
    with pytest.raises(gc.InputError, match="no rate for step 0"):
        step()
    with pytest.raises(gc.InputError, match="no rate for step 0"):
        step.run(2)
    step.optimizer.lr = 0.5
    assert step() == 2


def test_a_loss_whose_params_are_all_frozen_is_refused() -> None:
    x, w = gc.input("x", ("batch", 2)), gc.param("w", (2, 1), trainable=False)
    loss = gc.mean(gc.nn.dropout(x, 0.5) @ w)
    with pytest.raises(gc.GraphError, match=r"nothing to train: trainable=False for all params of the loss \(w\)"):
        gc.compile(loss, optimizer=gc.SGD(0.1))
    w.trainable = True
    gc.compile(loss, optimizer=gc.SGD(0.1))
