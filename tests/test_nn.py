"""Layers: what they compute, how their params are called, and dropout's masks."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc


def values(nodes: gc.Node) -> dict[str, np.ndarray]:
    return {str(param.name): param.value for param in gc.nn.params(nodes)}


def test_dense_is_an_affine_map_and_an_activation(rng: np.random.Generator) -> None:
    x = gc.input("x", ("batch", "time", 6), "float64")
    y = gc.nn.dense(x, 4, activation="relu", name="hidden")
    p = values(y)
    assert {name: value.shape for name, value in p.items()} == {"hidden.W": (6, 4), "hidden.b": (4,)}
    assert all(value.dtype == np.float64 for value in p.values())
    p["hidden.b"][:] = rng.normal(size=4)
    given = rng.normal(size=(2, 3, 6))
    expected = np.maximum(given @ p["hidden.W"] + p["hidden.b"], 0)
    np.testing.assert_allclose(gc.compile(y)(given), expected, rtol=1e-12)


def test_layers_without_names_get_the_next_free_one() -> None:
    x = gc.input("x", ("batch", 6))
    y = gc.nn.dense(gc.nn.dropout(gc.nn.dense(gc.nn.dense(x, 5), 4), 0.5), 3, use_bias=False)
    assert list(values(y)) == ["dense.W", "dense.b", "dense_2.W", "dense_2.b", "dropout.step", "dense_3.W"]


def test_embedding_and_layer_norm(rng: np.random.Generator) -> None:
    ids = gc.input("ids", ("batch", "time"), "int64")
    y = gc.nn.layer_norm(gc.nn.embedding(ids, 7, 5))
    p = values(y)
    assert p["embedding.table"].shape == (7, 5)
    p["layer_norm.scale"][:], p["layer_norm.shift"][:] = rng.normal(size=5), rng.normal(size=5)
    given = rng.integers(0, 7, (2, 3))
    rows = p["embedding.table"][given].astype(np.float64)
    normal = (rows - rows.mean(-1, keepdims=True)) / np.sqrt(rows.var(-1, keepdims=True) + 1e-5)
    expected = normal * p["layer_norm.scale"] + p["layer_norm.shift"]
    f = gc.compile(y)
    np.testing.assert_allclose(f(given), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(gc.InputError, match="outside range"):
        f(given + 6)


def test_layer_norm_over_axes_before_the_last(rng: np.random.Generator) -> None:
    x = gc.input("x", ("batch", 4, "time", 3), "float64")
    y = gc.nn.layer_norm(x, axis=(1, 3))
    given = rng.normal(size=(2, 4, 5, 3))
    centred = given - given.mean((1, 3), keepdims=True)
    np.testing.assert_allclose(
        gc.evaluate(y, {"x": given}), centred / np.sqrt(given.var((1, 3), keepdims=True) + 1e-5), rtol=1e-12
    )
    assert values(y)["layer_norm.scale"].shape == (4, 1, 3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x: gc.nn.dense(x.T, 3), gc.ShapeError, "dense: wants a fixed size of axis -1"),
        (lambda x: gc.nn.dense(x, 3, activation="rleu"), ValueError, "activation is one of relu"),
        (lambda x: gc.nn.dropout(x, 1.0), ValueError, "rate is at least 0 and less than 1"),
        (lambda x: gc.nn.layer_norm(x, axis=0), gc.ShapeError, "layer_norm: wants a fixed size of axis 0"),
    ],
)
def test_what_layers_refuse(make, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make(gc.input("x", ("batch", 6)))


# ---- dropout --------------------------------------------------------------------------------------------------------


def test_dropout_scales_what_it_keeps_and_drops_by_its_rate() -> None:
    y = gc.nn.dropout(gc.input("x", ("n",), "float64"), 0.3)
    result = gc.compile(y)(np.ones(200_000))
    assert set(np.unique(result)) == {0.0, 1 / 0.7}
    share = (result == 0).mean()
    assert abs(share - 0.3) < 5 * np.sqrt(0.3 * 0.7 / 200_000), "five standard deviations"


def test_each_training_step_draws_another_mask_and_backward_has_the_same(either_mode: str) -> None:
    """The gradient of sum(dropout(w)) is the mask itself, as the forward pass drew it."""
    w = gc.param("w", np.ones((5, 7)))
    dropped = gc.nn.dropout(w, 0.5, name="drop")
    step = gc.compile([gc.sum(dropped), dropped], optimizer=gc.SGD(lr=1.0))
    masks = []
    for _ in range(3):
        w.value[...] = 1
        _, mask = step()
        np.testing.assert_array_equal(w.value, 1 - mask)
        masks.append(mask)
    assert not (masks[0] == masks[1]).all()
    assert not (masks[1] == masks[2]).all()
    assert values(dropped)["drop.step"] == 3


def test_a_mask_follows_from_seed_name_and_step_alone() -> None:
    def mask(**options: object) -> np.ndarray:
        return gc.compile(gc.nn.dropout(gc.const(np.ones(64)), 0.5, **options))()

    np.testing.assert_array_equal(mask(), mask())
    assert not (mask() == mask(seed=1)).all()
    assert not (mask() == mask(name="other")).all()


def test_a_mask_is_the_same_inside_any_batch(rng: np.random.Generator) -> None:
    """An element's mask depends on its position in row-major order."""
    f = gc.compile(gc.nn.dropout(gc.input("x", ("n", 8), "float64"), 0.5))
    np.testing.assert_array_equal(f(np.ones((3, 8))), f(np.ones((9, 8)))[:3])


def test_what_does_not_train_draws_no_new_mask_and_inference_none() -> None:
    x = gc.input("x", ("n",), "float64")
    y = gc.nn.dropout(x, 0.5)
    f = gc.compile(y)
    np.testing.assert_array_equal(f(np.ones(50)), f(np.ones(50)))
    assert gc.nn.inference(y) is x
    np.testing.assert_array_equal(gc.compile({"y": gc.nn.inference(y * 2)})(np.ones(3))["y"], [2, 2, 2])


def test_random_bits_are_philoxs() -> None:
    """The known answers of Random123's philox2x32-10, and the JIT's against the interpreter's."""
    from graphc.ops.random import random_bits

    counters = [(0, 0, 0), (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF), (0x243F6A88, 0x85A308D3, 0x13198A2E)]
    position, step, key = (np.array(each) for each in zip(*counters, strict=True))
    expected = [0xFF1DAE59, 0x2C3F628B, 0xDD7CE038]
    bits = random_bits(*(gc.param(n, each) for n, each in (("p", position), ("s", step), ("k", key))))
    np.testing.assert_array_equal(gc.evaluate(bits), expected)
    np.testing.assert_array_equal(gc.compile(bits)(), expected)
