"""The chapter's pages about tensors, their operations, geometry and gradients print and draw what is right.

Each script runs once, in a temporary directory; the numbers that it is compared with are NumPy's, or worked by hand.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture
def run(jit_mode, fused: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    """`run(name, *args)`: the names that a script defines, and what its main prints, with single spaces."""

    def run(name: str, *args: Any) -> tuple[dict[str, Any], str]:
        monkeypatch.chdir(tmp_path)
        names = runpy.run_path(str(EXAMPLES / f"{name}.py"))
        names["main"](*args)
        lines = capsys.readouterr().out.splitlines()
        return names, "\n".join(" ".join(line.split()) for line in lines)

    return run


def is_picture(path: str) -> bool:
    return Path(path).read_bytes().startswith(b"\x89PNG")


def test_tensors(run) -> None:
    names, printed = run("tensors", 1000)
    shapes = [(), (5,), (3, 5), (3, 3, 5), (2, 3, 3, 5), (2, 2, 3, 3, 5)]
    assert [array.shape for array in names["ranks"]()] == shapes
    for rank, shape in enumerate(shapes):
        assert f"{rank} {shape} int64 <const: i64" in printed
    for line in ("pixels + 1 uint8 uint8", "pixels / 255 float64 float64", "pixels > 0 bool bool"):
        assert line in printed
    assert "images[4] (28, 28) (28, 28), equal" in printed
    assert printed.count("(90, 28, 28) (90, 28, 28), equal") == 3
    assert printed.count("(samples, 14, 14) (1000, 14, 14), equal") == 2
    assert "1000 images are 8 batches of 128; the last one has 104" in printed
    mean = f"{names['stand_in'](1000).mean() / 255:.6f}"
    assert f"batch by batch: {mean}; of all at once in NumPy: {mean}" in printed
    assert "stock prices 3 (days, 390, 3) 1170*days" in printed
    assert "106,168,320 values: 405 MiB in float32" in printed


def test_slices_are_the_corners_and_the_middles() -> None:
    names = runpy.run_path(str(EXAMPLES / "tensors.py"))
    images = np.arange(5 * 784).reshape(5, 28, 28)
    parts = names["slices"](images)
    assert parts["images[:, 14:, 14:]"][0, 0, 0] == 14 * 28 + 14
    assert parts["images[:, 7:-7, 7:-7]"][0, [0, -1], [0, -1]].tolist() == [7 * 28 + 7, 20 * 28 + 20]
    assert [len(part) for part in names["batches"](np.zeros(300), 128)] == [128, 128, 44]


def test_elementwise(run) -> None:
    names, printed = run("elementwise", (3, 40))
    assert "X (32, 10) + y (10,): y becomes (1, 10), then (32, 10)" in printed
    assert "is X + Y in NumPy: True" in printed
    assert "(32, 10): (64, 3, 32, 10)" in printed
    assert "add: shapes do not broadcast" in printed
    table = printed[printed.index("microseconds") :].splitlines()
    assert [line.split()[-1] for line in table[1:]] == ["yes"] * 4
    x, y = np.array([[1.0, -2.0], [-3.0, 4.0]]), np.array([10.0, 2.0])
    assert names["naive_relu"](x).tolist() == [[1, 0], [0, 4]]
    assert names["naive_add"](x, x).tolist() == [[2, -4], [-6, 8]]
    assert names["naive_add_matrix_and_vector"](x, y).tolist() == [[11, 0], [7, 6]]
    assert names["naive_layer"](x, -y).tolist() == [[0, 0], [0, 2]]
    assert names["broadcast_by_hand"](y, 3).tolist() == [[10, 2]] * 3


def test_dot(run) -> None:
    names, printed = run("dot")
    rows = printed.splitlines()[1 : 1 + len(names["PAIRS"])]
    for (title, (left, right)), line in zip(names["PAIRS"].items(), rows, strict=True):
        shape = np.dot(np.zeros(left), np.zeros(right)).shape
        assert line == f"{title} {left} . {right} {shape} yes yes"
    assert "(a, b, c, d) . (d,) -> (a, b, c)" in printed
    assert "(a, b, c, d) . (d, e) -> (a, b, c, e)" in printed
    assert "x . y = [[2.0, 1.0], [4.0, 3.0]], y . x = [[3.0, 4.0], [1.0, 2.0]]" in printed
    assert printed.count("of b must be equal, got") == 3
    assert names["naive_matrix_dot"](np.array([[1, 2], [3, 4]]), np.array([[5, 6], [7, 8]])).tolist() == [
        [19, 22],
        [43, 50],
    ]


def test_reshape(run) -> None:
    _, printed = run("reshape", 60, 10)
    assert "x.reshape((2, 3)) has the shape (2, 3)\n[[0. 1. 2.]\n[3. 4. 5.]]" in printed
    assert "x.reshape((3, 1, -1)) has the shape (3, 1, 2)" in printed
    assert "reshape: 6 elements do not fit (4, 2), which has 8" in printed
    assert "reshape: 6 elements do not divide into (4, -1)" in printed
    assert "x.T has the shape (2, 3): its columns are the rows of x\n[[0. 2. 4.]\n[1. 3. 5.]]" in printed
    assert "transpose of (300, 20): (20, 300)" in printed
    assert "images (60, 28, 28) uint8 become rows (60, 784) float32" in printed
    assert printed.count("kernel k") == 2  # one loop for each of two functions: none is for a reshape or a transpose
    assert "vx0 = x[j, i]" in printed
    assert "gemm output 0 = x.T @ d" in printed
    assert "scratch" not in printed


def test_geometry(run, tmp_path: Path) -> None:
    names, printed = run("geometry")
    assert is_picture("out/geometry.png")
    corner = {
        "translation: x + b": "0.800, 1.500",
        "scaling: S · x": "2.250, 1.000",
        "linear: W · x": "2.550, 1.550",
        "affine: W · x + b": "1.850, 1.050",
        "affine, then relu": "1.850, 1.050",
    }
    for title, point in corner.items():
        assert f"{title} the corner (1.5, 2) goes to ( {point})" in printed
    figure = names["draw"](names["build"](), tmp_path / "again.png")
    panels = {axes.get_title(): axes for axes in figure.axes}
    outlines = {
        title: axes.patches[-1].get_xy()[0] for title, axes in panels.items()
    }  # where the letter starts: (0, 0)
    np.testing.assert_allclose(outlines["affine: W · x + b"], [-0.7, -0.5])
    np.testing.assert_allclose(outlines["affine 2 of affine 1"], [-0.7 + 0.2 + 1.2, -0.35 - 0.3 - 1])
    np.testing.assert_allclose(outlines["one affine map, the same"], outlines["affine 2 of affine 1"])
    np.testing.assert_allclose(outlines["affine, then relu"], [0, 0])
    turned = panels["rotation by 40°: R · x"].patches[-1].get_xy()
    straight = panels["the points x"].patches[-1].get_xy()
    np.testing.assert_allclose(turned @ [1, 1j], straight @ [1, 1j] * np.exp(1j * np.radians(40)))
    drawn = [line.get_ydata().min() for line in panels["affine, then relu"].lines[:14]]
    assert min(drawn) == 0


def test_slope(run, tmp_path: Path) -> None:
    names, printed = run("slope")
    assert is_picture("out/slope.png")
    assert "</html>" in Path("out/slope.html").read_text(encoding="utf-8")
    slope = 1.5 + 2 * np.sin(3)
    assert f"slope at 1.5: {slope:.9f} by gc.grad" in printed
    assert (
        "the loss is 3.0\ngrad(loss, x2) = 1.0\ngrad(loss, x1) = 1.0\ngrad(loss, w ) = 2.0\ngrad(loss, b ) = 1.0"
        in printed
    )
    assert names["difference_quotient"](np.square, 3.0, 0.5) == 6.0
    f, derivative = names["curve"]()
    near = names["draw"](f, derivative, tmp_path / "again.png").axes[1]
    (x, y), line = near.lines[0].get_data(), near.lines[1].get_ydata()
    np.testing.assert_allclose(y, x * x / 2 - np.cos(2 * x))
    np.testing.assert_allclose(line, 1.125 - np.cos(3) + slope * (x - 1.5))


def test_computation_graph(run, tmp_path: Path) -> None:
    names, printed = run("computation_graph")
    assert is_picture("out/computation_graph.png")
    for line in ("x1 = x · w 6", "x2 = x1 + b 7", "loss = |y_true - x2| 3", "grad(loss, y_true) -1", "grad(x1, x) 3"):
        assert line in printed
    assert "grad(loss, x2) * grad(x2, x1) * grad(x1, w) = 1 * 1 * 2 = 2\ngc.grad says 2" in printed
    assert "grad(loss, b) = grad(loss, x2) * grad(x2, b) = 1 * 1 = 1\ngc.grad says 1" in printed
    assert "graph two_layers(x: f32[batch,784]" in printed
    (returned,) = (line for line in printed.splitlines() if line.startswith("return"))
    assert returned.count("%") == 5  # the loss, and a gradient for each of four params
    nodes = names["scalar_graph"]()
    figure = names["draw"](names["forward"](nodes), names["backward"](nodes), tmp_path / "again.png")
    labels = [[text.get_text() for text in axes.texts if text.get_bbox_patch() is None] for axes in figure.axes]
    assert [text for text in labels[0] if text] == ["2", "3", "6", "1", "7", "4"]
    assert [text for text in labels[1] if text] == ["3", "2", "1", "1", "1", "-1"]
