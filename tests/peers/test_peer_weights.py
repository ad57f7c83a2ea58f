"""Weights there and back: PyTorch with graphc's weights computes the same, and graphc with PyTorch's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import graphc as gc

NAMES = {"words": "0", "norm": "2", "hidden": "3", "out": "5"}
IDS = np.random.default_rng(3).integers(0, 11, (20, 3))


def ours() -> gc.Node:
    ids = gc.input("ids", ("batch", 3), "int64")
    h = gc.reshape(gc.nn.embedding(ids, 11, 4, name="words"), ("batch", 12))
    h = gc.nn.dense(gc.nn.layer_norm(h, name="norm"), 7, activation="relu", name="hidden")
    return gc.nn.dense(h, 5, name="out")


def theirs() -> torch.nn.Sequential:
    nn = torch.nn
    return nn.Sequential(
        nn.Embedding(11, 4), nn.Flatten(), nn.LayerNorm(12), nn.Linear(12, 7), nn.ReLU(), nn.Linear(7, 5)
    )


def compared(z: gc.Node, model: torch.nn.Module) -> None:
    with torch.no_grad():
        expected = model(torch.from_numpy(IDS)).numpy()
    np.testing.assert_allclose(gc.compile(z)(IDS), expected, rtol=1e-5, atol=1e-5)


def test_from_graphc(tmp_path: Path) -> None:
    z, model = ours(), theirs()
    for param in gc.nn.params(z):
        param.value = np.random.default_rng(param.size).normal(size=param.shape).astype("f")
    gc.save_weights(tmp_path / "f", z, NAMES, layout="torch")
    model.load_state_dict(load_file(tmp_path / "f"))
    compared(z, model)


def test_from_pytorch(tmp_path: Path) -> None:
    torch.manual_seed(1)
    z, model = ours(), theirs()
    save_file(model.state_dict(), tmp_path / "f")
    assert gc.load_weights(tmp_path / "f", z, NAMES, layout="torch") == []
    compared(z, model)


def test_there_and_back_are_the_same_bits(tmp_path: Path) -> None:
    model, other = theirs(), theirs()
    save_file(model.state_dict(), tmp_path / "f")
    z = ours()
    gc.load_weights(tmp_path / "f", z, NAMES, layout="torch")
    gc.save_weights(tmp_path / "g", z, NAMES, layout="torch")
    other.load_state_dict(load_file(tmp_path / "g"))
    for mine, back in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, back)


def test_halves_of_pytorch(tmp_path: Path) -> None:
    z, model = ours(), theirs().half()
    save_file(model.state_dict(), tmp_path / "f")
    gc.load_weights(tmp_path / "f", z, NAMES, layout="torch")
    compared(z, model.float())
    save_file(model.bfloat16().state_dict(), tmp_path / "f")
    with pytest.raises(gc.FileFormatError, match=r"is BF16 .*, but .* wants float32 .*; cast it to float32 where it"):
        gc.load_weights(tmp_path / "f", z, NAMES, layout="torch")
