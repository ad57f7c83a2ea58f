"""Weights as plain safetensors: names, layouts, and what does not fit. tests/peers has PyTorch's own reader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import graphc as gc


def model(seed: int = 0) -> gc.Node:
    """One of each layer that has params."""
    ids = gc.input("ids", ("batch",), "int64")
    h = gc.nn.embedding(ids, 5, 4, name="words")
    h = gc.nn.layer_norm(h, name="norm")
    h = gc.nn.dropout(gc.nn.dense(h, 3, activation="relu", name="body.hidden"), 0.5)
    z = gc.nn.dense(h, 2, name="out") * gc.param("temperature", 1.0)
    rng = np.random.default_rng(seed)
    for param in gc.nn.params(z):
        if param.next_value is None:
            param.value = rng.random(param.shape).astype("f")
    return z


def values(z: object) -> dict[str, np.ndarray]:
    return {str(param.name): param.value for param in gc.nn.params(z) if param.next_value is None}


LAYOUTS = {
    None: {
        "words.table": (5, 4),
        "norm.scale": (4,),
        "norm.shift": (4,),
        "body.hidden.W": (4, 3),
        "body.hidden.b": (3,),
        "out.W": (3, 2),
        "out.b": (2,),
        "temperature": (),
    },
    # torch.nn.Embedding(5, 4), LayerNorm(4), Linear(4, 3), Linear(3, 2)
    "torch": {
        "words.weight": (5, 4),
        "norm.weight": (4,),
        "norm.bias": (4,),
        "body.hidden.weight": (3, 4),
        "body.hidden.bias": (3,),
        "out.weight": (2, 3),
        "out.bias": (2,),
        "temperature": (),
    },
    # keras.layers.Embedding, LayerNormalization, Dense: the names of their add_weight, behind the layer's own
    "keras": {
        "words/embeddings": (5, 4),
        "norm/gamma": (4,),
        "norm/beta": (4,),
        "body.hidden/kernel": (4, 3),
        "body.hidden/bias": (3,),
        "out/kernel": (3, 2),
        "out/bias": (2,),
        "temperature": (),
    },
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_names_and_shapes_of_each_layout(layout: str | None, tmp_path: Path) -> None:
    ours, others, path = model(), model(1), tmp_path / "f"
    gc.save_weights(path, ours, layout=layout)
    arrays = load_file(path)
    assert {name: array.shape for name, array in arrays.items()} == LAYOUTS[layout]
    turned = arrays["out.weight"].T if layout == "torch" else arrays.get("out/kernel", arrays.get("out.W"))
    np.testing.assert_array_equal(turned, values(ours)["out.W"])
    assert gc.load_weights(path, others, layout=layout) == []
    assert {name: each.tobytes() for name, each in values(others).items()} == {
        name: each.tobytes() for name, each in values(ours).items()
    }


def test_names_of_layers_and_of_params(tmp_path: Path) -> None:
    ours, path = model(), tmp_path / "f"
    names = {"words": "0", "norm": "1", "body.hidden": "2", "out.W": "head.matrix", "temperature": "scale"}
    gc.save_weights(path, ours, names, layout="torch")
    expected = {"0.weight", "1.weight", "1.bias", "2.weight", "2.bias", "head.matrix", "out.bias", "scale"}
    assert set(load_file(path)) == expected
    assert load_file(path)["head.matrix"].shape == (2, 3)
    gc.save_weights(path, ours, lambda layer: f"net/{layer}", layout="keras")
    assert {"net/out/kernel", "net/body.hidden/bias", "net/temperature"} <= set(load_file(path))
    gc.save_weights(path, ours, str.upper)
    assert {"OUT.W", "TEMPERATURE"} <= set(load_file(path))
    with pytest.raises(gc.InputError, match=r"names speaks of 'hiden', but there is only body.hidden, body.hidden.W,"):
        gc.save_weights(path, ours, {"hiden": "0"}, layout="torch")
    with pytest.raises(gc.InputError, match=r"one name for norm.scale, .*, body.hidden.b: '0.weight'"):
        gc.load_weights(path, ours, {"norm": "0", "body.hidden": "0"}, layout="torch")
    with pytest.raises(gc.InputError, match="layout is one of torch, keras or None, got 'jax'"):
        gc.save_weights(path, ours, layout="jax")


def test_of_a_function_without_what_its_optimizer_keeps(tmp_path: Path, python_mode) -> None:
    z = model()
    f = gc.compile(gc.mean(z), optimizer=gc.Adam(0.1))
    gc.save_weights(tmp_path / "f", f)
    assert set(load_file(tmp_path / "f")) == set(values(z))
    before = {name: array.copy() for name, array in f.state.items()}
    f(np.arange(5))
    gc.load_weights(tmp_path / "f", f)
    for name, array in values(z).items():
        np.testing.assert_array_equal(array, before[name])
    assert f.optimizer.lr == 0.1
    assert f.steps == 1


def test_a_part_of_a_model(tmp_path: Path) -> None:
    gc.save_weights(tmp_path / "f", model())
    x = gc.input("x", ("batch", 3))
    head = gc.nn.dense(x, 2, name="out")
    unused = gc.load_weights(tmp_path / "f", head)
    assert sorted(unused) == sorted(set(LAYOUTS[None]) - {"out.W", "out.b"})
    np.testing.assert_array_equal(values(head)["out.W"], load_file(tmp_path / "f")["out.W"])


def test_what_does_not_fit(tmp_path: Path) -> None:
    path, w, b = tmp_path / "f", gc.param("w.W", (2, 3)), gc.param("w.b", 3, "zeros")
    before = w.value.copy()
    for wrong, message in (
        ({"w.W": w.value, "v.b": b.value}, "it lacks 'w.b'; it has 'v.b', 'w.W'|it lacks 'w.b'; it has 'w.W', 'v.b'"),
        ({}, "it lacks 'w.W', 'w.b'; it has nothing"),
        ({"w.W": w.value, "w.b": np.zeros(4, "f")}, r"'w.b' is float32 \(4,\), but 'w.b' wants float32 \(3,\)$"),
        (
            {"w.W": np.zeros((3, 2), "f"), "w.b": b.value},
            r"is float32 \(3, 2\), .* wants float32 \(2, 3\); layout=\"torch\" turns matrices",
        ),
        ({"w.W": w.value.astype("d"), "w.b": b.value}, "is float64 .*; cast it to float32 where it was written"),
        ({"w.W": w.value, "w.b": np.zeros(3, np.int32)}, "is int32 .*; cast it to float32 where it was written"),
    ):
        save_file({name: np.ones_like(array) for name, array in wrong.items()}, path)
        with pytest.raises(gc.FileFormatError, match=message):
            gc.load_weights(path, [w, b])
        np.testing.assert_array_equal(w.value, before)
        assert not b.value.any()
    path.write_bytes(b"no file of weights at all")
    with pytest.raises(gc.FileFormatError, match="no whole safetensors file"):
        gc.load_weights(path, [w, b])
    with pytest.raises(gc.InputError, match=r"two different params are called 'w.W'"):
        gc.save_weights(path, [w, gc.param("w.W", 2)])


def test_narrower_floats_are_read(tmp_path: Path) -> None:
    w, d = gc.param("w", 3), gc.param("d", 3, dtype="float64")
    save_file({"w": np.array([1, 2, 0.5], np.float16), "d": np.array([0.1, 2, 3], np.float32)}, tmp_path / "f")
    gc.load_weights(tmp_path / "f", [w, d])
    assert w.value.tolist() == [1, 2, 0.5]
    assert d.value.tolist() == np.array([0.1, 2, 3], np.float32).tolist()
