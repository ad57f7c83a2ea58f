"""What each pass promises: before -> after, as nodes and as text."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gc
from graphc.errors import GraphError
from graphc.graph import Graph
from graphc.ir import Node, toposort
from graphc.kernel import Buffer, Gemm, Kernel, Load, Loop, Program, Role, Store, walk
from graphc.passes import differentiate, fold, fuse, plan, simplify
from graphc.passes.differentiate import gradients
from graphc.passes.plan import _follows_in_place
from graphc.types import TensorType
from graphc.verify import verify

pytestmark = pytest.mark.usefixtures("fused")


def graph_of(*outputs: Node, updates: dict[Node, Node] | None = None) -> Graph:
    inputs = tuple(node for node in toposort([*outputs, *(updates or {}).values()]) if node.op.name == "input")
    return Graph("test", inputs, outputs, tuple((updates or {}).items()))


def kernels(program: Program) -> list[Kernel]:
    return [item for item in program.body if isinstance(item, Kernel)]


def loops(program: Program) -> list[str]:
    """Each kernel's loops as `i<n j<3`."""
    return [
        " ".join(f"{each.index}<{each.extent}" for each in walk([k]) if isinstance(each, Loop))
        for k in kernels(program)
    ]


@pytest.fixture
def x() -> Node:
    return gc.input("x", ("n", 3))


# ---- nodes ----------------------------------------------------------------------------------------------------------


def test_equal_nodes_are_one_node(x) -> None:
    assert x + 1 is x + 1
    assert gc.const(0.0) is not gc.const(-0.0)
    assert gc.const(np.nan) is gc.const(np.nan)
    assert gc.const(1) is not gc.const(1.0)
    assert gc.input("x", (2,)) is not gc.input("x", (2,))


def test_a_node_keeps_the_users_line(x) -> None:
    node = x * 2
    assert node.where.startswith("test_passes.py:")
    loss = gc.sum(node)
    gradient = gc.grad(loss, x)
    assert gradient.where.startswith("test_passes.py:")


@pytest.mark.slow
def test_a_chain_of_100_000_nodes_passes(x) -> None:
    """No pass recurses."""
    node = x
    for _ in range(50_000):
        node = -node + 1.0
    graph = graph_of(gc.sum(node))
    program = fuse(fold(simplify(graph)))
    assert len(kernels(program)) == 1


# ---- differentiate --------------------------------------------------------------------------------------------------


def test_gradients_are_nodes_of_their_arguments_types(x) -> None:
    w, b = gc.param("w", (3, 4)), gc.param("b", 4)
    for node, gradient in zip((w, b, x), gradients(gc.sum(x @ w + b), [w, b, x]), strict=True):
        assert gradient.type == node.type


def test_what_the_loss_does_not_depend_on_has_gradient_zero(x) -> None:
    w = gc.param("w", np.ones(3))
    np.testing.assert_array_equal(gc.evaluate(gc.grad(gc.sum(w), x), {"x": np.ones((2, 3), "f")}), np.zeros((2, 3)))
    np.testing.assert_array_equal(gc.evaluate(gc.grad(gc.sum(gc.stop_gradient(w)), w)), np.zeros(3))


def test_cotangents_accumulate_and_unstretch() -> None:
    b = gc.param("b", np.array([[1.0], [2.0]]))
    loss = gc.sum(b * np.ones((2, 3))) + gc.sum(b * b)
    np.testing.assert_array_equal(gc.evaluate(gc.grad(loss, b)), [[5.0], [7.0]])


def test_the_gradient_of_a_gradient() -> None:
    w = gc.param("w", np.array([1.0, 2.0]))
    cube = gc.sum(w * w * w)
    first = gc.grad(cube, w)
    np.testing.assert_array_equal(gc.evaluate(gc.grad(gc.sum(first), w)), [6.0, 12.0])


# ---- simplify -------------------------------------------------------------------------------------------------------


def test_simplify_leaves_no_composite_and_folds_constants(x) -> None:
    graph = simplify(graph_of(gc.softmax(x), gc.mean(x) + (gc.const(2.0) * 3.0 - 5.0)))
    verify(graph)
    names = [node.op.name for node in graph.nodes]
    assert "softmax" not in names
    assert "mean" not in names
    assert str(graph).count("1.0") == 1, "2 * 3 - 5 is 1"


# ---- fold -----------------------------------------------------------------------------------------------------------


def test_a_product_with_another_use_is_not_folded(x) -> None:
    """It would be computed twice."""
    w = gc.param("w", (3, 3))
    product = x.T @ x
    alone = fold(graph_of(updates={w: w - 0.1 * product}))
    shared = fold(graph_of(gc.sum(product), updates={w: w - 0.1 * product}))
    assert [node.op.name for node in alone.nodes].count("gemm") == 1
    assert [node.op.name for node in shared.nodes].count("gemm") == 0


def test_a_product_that_reads_what_it_would_overwrite_is_not_folded() -> None:
    w = gc.param("w", (3, 3))
    assert "gemm" not in [node.op.name for node in fold(graph_of(updates={w: w - 0.1 * (w.T @ w)})).nodes]


# ---- fuse -----------------------------------------------------------------------------------------------------------


def test_bias_and_relu_are_one_loop(x) -> None:
    w, b = gc.param("w", (3, 4)), gc.param("b", 4)
    program = fuse(graph_of(gc.relu(x @ w + b)))
    assert [type(item) for item in program.body] == [Gemm, Kernel]
    assert loops(program) == ["i<n j<4"]


def test_softmax_loss_and_gradient_are_one_pass_over_the_rows(x) -> None:
    z, y = gc.param("z", np.ones((5, 3))), gc.input("y", (5,), "int64")
    loss = gc.cross_entropy(gc.softmax(z), y)
    program = fuse(fold(simplify(graph_of(loss, gc.grad(loss, z)))))
    assert loops(program) == ["i<5 j<3 j<3 j<3"], "maximum; exp and its sum; gradient"


def test_relus_mask_is_recomputed_where_it_is_used(x) -> None:
    """The mask is one comparison: cheaper again than stored."""
    w, v, t = gc.param("w", (3, 4)), gc.param("v", (4, 2)), gc.input("t", ("n", 2))
    loss = gc.mse(gc.relu(x @ w) @ v, t)
    program = fuse(fold(simplify(graph_of(updates={w: gc.grad(loss, w)}))))
    assert not [buffer for buffer in program.scratch if buffer.type.dtype == bool]


def test_forward_and_backward_of_a_chain_are_one_pass() -> None:
    """loss = mean((tanh(x*a + b) * sigmoid(x) - t)^2) and its gradients by a and b: one loop over x and t."""
    x, t = gc.input("x", ("n", 8)), gc.input("t", ("n", 8))
    a, b = gc.param("a", 2.0), gc.param("b", 1.0)
    loss = gc.mean((gc.tanh(x * a + b) * gc.sigmoid(x) - t) ** 2)
    program = fuse(fold(simplify(graph_of(loss, *gc.grad(loss, [a, b])))))
    assert loops(program) == ["i<n j<8"]
    assert program.scratch == []


def test_a_group_that_is_not_convex_is_split(x) -> None:
    """tanh(exp(x)) + sum(exp(x)): the sum must end before the addition begins, so one loop would be a cycle."""
    e = gc.exp(x)
    program = fuse(graph_of(gc.tanh(e) + gc.sum(e)))
    assert loops(program) == ["i<n j<3", "i<n j<3"]


def test_an_expensive_value_with_two_readers_is_computed_once(x) -> None:
    e = gc.exp(x)
    program = fuse(graph_of(e + 1, e * 2))
    assert str(program).count(" = exp(v") == 1
    w = gc.param("w", (3, 3))
    program = fuse(graph_of(e @ w, e @ w.T))
    assert str(program).count(" = exp(v") == 1


def test_a_value_that_broadcasting_repeats_is_computed_once(x) -> None:
    w = gc.param("w", 3)
    program = fuse(graph_of(x + gc.exp(w)))
    assert loops(program) == ["i<3", "i<n j<3"]


def test_a_views_operand_is_read_in_place(x) -> None:
    program = fuse(graph_of(x.T * 2, gc.expand_dims(x, 1) + 1))
    assert program.scratch == []


def test_a_param_is_written_after_its_last_read(x) -> None:
    w, v = gc.param("w", (3, 3)), gc.param("v", (3, 3))
    h = gc.relu(x @ w) @ v
    loss = gc.mse(h, x)
    updates = {p: p - 0.1 * g for p, g in zip((v, w), gc.grad(loss, [v, w]), strict=True)}
    program = fuse(fold(simplify(graph_of(loss, updates=updates))))
    products = [str(item.out.label) for item in program.body if isinstance(item, Gemm)]
    assert products[-2:] in (["v", "w"], ["w", "v"])
    reads_v = [
        at
        for at, item in enumerate(program.body)
        if isinstance(item, Gemm) and "v" in (item.a.place.label, item.b.place.label)
    ]
    writes_v = [at for at, item in enumerate(program.body) if isinstance(item, Gemm) and item.out.label == "v"]
    assert max(reads_v) < min(writes_v)


# ---- plan -----------------------------------------------------------------------------------------------------------


def test_buffers_share_slots_by_liveness(x) -> None:
    """Three products in a row need two slots: each reads one while it writes the other."""
    w = gc.param("w", (3, 3))
    h = x
    for _ in range(5):
        h = gc.tanh(h @ w)
    planned = plan(fuse(graph_of(gc.sum(h @ w))))
    assert len(planned.slots) == 2


def test_live_buffers_never_share(x, rng) -> None:
    """Replays the plan: between a buffer's first store and last load, no other buffer of its slot is touched."""
    w = gc.param("w", (3, 3))
    a, b = gc.tanh(x @ w), gc.exp(x @ w.T)
    loss = gc.sum(gc.softmax(a @ w) * b) + gc.sum(b @ a.T)
    program = fuse(fold(simplify(graph_of(loss, *gc.grad(loss, [w, x])))))
    planned = plan(program)
    for one in planned.slot_of:
        for other in planned.slot_of:
            if one is not other and planned.slot_of[one] == planned.slot_of[other]:
                assert last_use(program, one) <= first_use(program, other) or last_use(program, other) <= first_use(
                    program, one
                )


def uses(program: Program, buffer) -> list[int]:
    found = []
    for at, item in enumerate(walk(program.body)):
        places = [item.place] if hasattr(item, "place") else []
        places += [item.a.place, item.b.place, item.out] if isinstance(item, Gemm) else []
        if buffer in places:
            found.append(at)
    return found


def first_use(program: Program, buffer) -> int:
    return min(uses(program, buffer))


def last_use(program: Program, buffer) -> int:
    return max(uses(program, buffer))


def test_an_element_wise_result_overwrites_a_dead_operand(x) -> None:
    w = gc.param("w", (3, 3))
    program = fuse(graph_of(gc.sum(gc.relu(x @ w) @ w)))
    assert len(program.scratch) == 3
    assert len(plan(program).slots) == 2


def test_a_softmax_and_its_gradient_overwrite_the_logits(x) -> None:
    """The row's own label is read before the exponentials are written where the logits were; in long rows."""
    w, y = gc.param("w", (3, 64)), gc.input("y", ("n",), "int64")
    loss = gc.softmax_cross_entropy(x @ w, y)
    planned = plan(fuse(simplify(graph_of(loss, gc.grad(loss, w)))))
    wide = [buffer for buffer in planned.slot_of if buffer.type.shape == (x.shape[0], 64)]
    assert len(wide) > 1
    assert len({planned.slot_of[buffer] for buffer in wide}) == 1


@pytest.mark.parametrize("other_row", [0, 1])
def test_a_row_that_is_read_in_another_turn_is_not_overwritten(x, other_row: int) -> None:
    """`h[0]` and `h` upside down are read in every turn of the loop that would overwrite h."""
    w = gc.param("w", (3, 3))
    h = x @ w
    other = h[0] if other_row == 0 else h[::-1]
    planned = plan(fuse(graph_of((gc.exp(h) + other) @ w)))
    assert len(planned.slots) == 2


def test_an_operand_that_a_later_loop_of_the_row_reads_is_not_overwritten(x) -> None:
    """h is read again when its exponentials have been stored and summed."""
    w = gc.param("w", (3, 3))
    h = x @ w
    powers = gc.exp(h)
    planned = plan(fuse(graph_of((powers / gc.sum(powers, axis=1, keepdims=True) + h) @ w)))
    slot = {buffer.node: slot for buffer, slot in planned.slot_of.items()}
    assert slot[powers] != slot[h]


def test_an_element_that_is_touched_in_several_turns_of_a_loop_is_not_overwritten() -> None:
    """`new[i] = old[i]` in each turn of a loop over j: the second turn would read what the first has written."""
    buffers = [Buffer(name, name, TensorType(np.dtype("float32"), (4,)), Role.SCRATCH, gc.const(0)) for name in "ab"]
    old, new = buffers
    body = [Load("v", old, ("i",), old.node), Store(new, ("i",), "v", new.node)]
    assert _follows_in_place([Loop("i", 4, body)], old, new)
    assert not _follows_in_place([Loop("i", 4, [Loop("j", 2, body)])], old, new)
    assert not _follows_in_place([Loop("j", 2, [Loop("i", 4, body)])], old, new)


# ---- verify ---------------------------------------------------------------------------------------------------------


def test_verify_finds_a_node_of_the_wrong_type(x) -> None:
    bad = Node((x + 1).op, (x, x), (), TensorType(np.dtype("float64"), (2,)))
    with pytest.raises(GraphError, match="an invalid node"):
        verify(graph_of(bad))


def test_differentiate_adds_an_update_for_each_trainable_param(x) -> None:
    w, frozen = gc.param("w", 3), gc.param("frozen", 3, trainable=False)
    loss = gc.sum(x * w + frozen)
    graph = differentiate(Graph("test", (x,), (loss,), update_rule=gc.SGD(0.1).updates))
    assert [param.name for param, _ in graph.updates] == ["w"]
    assert not any(
        isinstance(item, Store) and item.place.label == "frozen" for item in walk(fuse(simplify(graph)).body)
    )
