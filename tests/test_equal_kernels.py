"""Equal kernels are one function: the text does not grow with the depth of a net, and means what it meant."""

from __future__ import annotations

import ast
import re

import numpy as np
import pytest

import graphc as gc
from graphc import rewrite
from graphc.backend import emit
from graphc.compiler import graph_of
from graphc.kernel import Kernel, Let
from graphc.passes import GRAPH_PASSES

WIDTH, CLASSES, LR = 8, 3, 0.1


def deep(layers: int, seed: int = 0) -> tuple[gc.Node, list[gc.Node]]:
    """The loss of a net of so many equal layers, and its params."""
    rng = np.random.default_rng(seed)
    h, params = gc.input("x", ("batch", WIDTH)), []
    for at in range(layers + 1):
        wide = CLASSES if at == layers else WIDTH
        w = gc.param(f"W{at}", rng.standard_normal((WIDTH, wide)).astype("f4"))
        b = gc.param(f"b{at}", rng.standard_normal(wide).astype("f4"))
        params += [w, b]
        h = h @ w + b if at == layers else gc.relu(h @ w + b)
    return gc.softmax_cross_entropy(h, gc.input("y", ("batch",), "int32")), params


def functions(source: str) -> dict[str, ast.FunctionDef]:
    return {each.name: each for each in ast.parse(source).body if isinstance(each, ast.FunctionDef)}


def test_the_functions_of_a_deep_net_are_those_of_a_shallow_one(fused: None, python_mode) -> None:
    shallow, deeper = (functions(gc.compile(deep(n)[0], optimizer=gc.SGD(LR)).source) for n in (3, 30))
    assert len(deeper) == len(shallow)


def test_each_kernel_of_the_plan_is_in_the_text(fused: None, python_mode) -> None:
    """As a function, or behind the call of an equal one, with what it computes and the user's lines."""
    step = gc.compile(deep(5)[0], optimizer=gc.SGD(LR))
    planned = re.findall(r"kernel (\w+)", step.stages["tile"])
    shared = dict(re.findall(r"  # (k\d+): (.*)", step.source))
    assert len(shared) >= 5
    assert sorted([*shared, *(name for name in functions(step.source) if name.startswith("k"))]) == sorted(planned)
    assert all(re.search(r"%\d+ = \w+\(.*\)  \S+\.py:\d+", text) for text in shared.values())


def test_only_who_says_so_gets_one_memory_twice(fused: None, python_mode) -> None:
    """m1 and m1_1 are one memory: a call with both is of an overlapping kernel, whoever wrote that kernel first."""
    for layers in (1, 2, 5):
        found = functions(gc.compile(deep(layers)[0], optimizer=gc.SGD(LR)).source)
        for function in found.values():
            for call in (node for node in ast.walk(function) if isinstance(node, ast.Call)):
                name = ast.unparse(call.func)
                if name in found and ast.unparse(found[name].decorator_list[0]) == "kernel":
                    arrays = [a for a in map(ast.unparse, call.args) if re.fullmatch(r"[mpx]\d+(_\d+)?", a)]
                    stems = [each.partition("_")[0] for each in arrays]
                    assert len(set(stems)) == len(stems), ast.unparse(call)


@pytest.mark.parametrize("layers", [2, 6])
def test_a_step_of_shared_kernels_does_what_the_interpreter_does(either_mode: str, layers: int, rng) -> None:
    loss, params = deep(layers)
    feeds = {"x": rng.standard_normal((37, WIDTH)).astype("f4"), "y": rng.integers(0, CLASSES, 37).astype("i4")}
    value, *gradients = gc.evaluate([loss, *gc.grad(loss, params)], feeds)
    expected = [param.value - np.float32(LR) * gradient for param, gradient in zip(params, gradients, strict=True)]
    assert gc.compile(loss, optimizer=gc.SGD(LR))(**feeds) == pytest.approx(float(value), rel=1e-5)
    for param, after in zip(params, expected, strict=True):
        np.testing.assert_allclose(param.value, after, rtol=2e-4, atol=2e-4)


def test_the_passes_over_a_graph_take_time_in_proportion_to_its_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the nodes that they rebuild: four times the depth is four times the work, not sixteen."""
    counted = [0]
    rebuilt = rewrite.rebuilt

    def count(*args):
        counted[0] += 1
        return rebuilt(*args)

    monkeypatch.setattr(rewrite, "rebuilt", count)
    work = []
    for layers in (8, 32):
        counted[0] = 0
        graph = graph_of(deep(layers)[0], optimizer=gc.SGD(LR))
        for change in GRAPH_PASSES:
            graph = change(graph)
        work.append(counted[0])
    assert work[1] < 5 * work[0]


def test_a_kernel_that_may_overlap_is_no_other(python_mode) -> None:
    """The same statements under another decorator, or with one array in place of two, are another function."""
    apart = ["@kernel", "def k1(m1, m2):", "    v0 = m1[i]  # %0 = relu(x)  net.py:1", "    m2[i] = v0"]
    renamed = ["@kernel", "def k7(p5, m9):", "    v8 = p5[i]  # %8 = relu(y)  net.py:2", "    m9[i] = v8"]
    once = ["@kernel", "def k8(m2, m3):", "    v0 = m2[i]", "    m2[i] = v0"]
    overlapping = ["@overlapping_kernel", *apart[1:]]

    def key(name: str, args: list[str], variable: str, lines: list[str]) -> str:
        node = gc.input("x", (1,))
        return emit._but_for_names(Kernel([Let(variable, "", (), node)], name), args, lines)

    keys = [key("k1", ["m1", "m2"], "v0", apart), key("k7", ["p5", "m9"], "v8", renamed)]
    keys += [key("k8", ["m2", "m3"], "v0", once), key("k1", ["m1", "m2"], "v0", overlapping)]
    assert [keys.index(each) for each in keys] == [0, 0, 2, 3]
