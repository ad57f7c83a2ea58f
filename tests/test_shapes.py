"""NumPy's shape and dtype, or an error where NumPy has one, for calls drawn by hypothesis; symbolic sizes too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from calls import (
    Call,
    along_axis,
    axes,
    axis,
    axis_or_axes,
    axis_or_none,
    clipped,
    counts,
    cuts,
    dot_shapes,
    einsum,
    elementwise,
    flag,
    made,
    matmul_shapes,
    near_zero,
    new_axes,
    of_list,
    of_one,
    of_shapes,
    order,
    other_shape,
    positions,
    shifts,
    some_axes,
    tensordot,
    wider_shape,
    widths,
)
from hypothesis import given, settings

import graphc as gc

UNARY = """
    absolute negative sign square reciprocal floor ceil trunc rint round isfinite isnan isinf logical_not invert
    sqrt exp exp2 expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh
    zeros_like
"""
BINARY = """
    add subtract multiply divide floor_divide remainder power maximum minimum arctan2
    equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor
    bitwise_and bitwise_or bitwise_xor left_shift right_shift
"""
REDUCTIONS = ["sum", "prod", "max", "min", "any", "all", "mean"]
SHORT = st.lists(st.integers(0, 3), max_size=3).map(tuple)
WITH_ONES = st.lists(st.sampled_from([1, 1, 0, 3]), max_size=5).map(tuple)

CALLS: dict[str, st.SearchStrategy] = {
    **{name: elementwise(name, 1) for name in UNARY.split()},
    **{name: elementwise(name, 2) for name in BINARY.split()},
    "where": elementwise("where", 3, first=("bool", "bool", "int32")),
    "clip": clipped(),
    **{name: of_one(name, axis=axes, keepdims=flag) for name in REDUCTIONS},
    **{name: of_one(name, axis=axes, keepdims=flag, ddof=near_zero) for name in ("var", "std")},
    **{name: of_one(name, axis=axis_or_none, keepdims=flag) for name in ("argmax", "argmin")},
    "cumsum": of_one("cumsum", axis=axis_or_none),
    "reshape": of_one("reshape", other_shape),
    "ravel": of_one("ravel"),
    "transpose": of_one("transpose", order),
    "swapaxes": of_one("swapaxes", axis, axis),
    "moveaxis": of_one("moveaxis", axis_or_axes, axis_or_axes),
    "expand_dims": of_one("expand_dims", new_axes),
    "squeeze": of_one("squeeze", shapes=WITH_ONES, axis=axes),
    "broadcast_to": of_one("broadcast_to", wider_shape, shapes=WITH_ONES),
    "concatenate": of_list("concatenate"),
    "stack": of_list("stack"),
    "split": of_one("split", cuts, axis=axis),
    "tile": of_one("tile", counts, shapes=SHORT),
    "repeat": of_one("repeat", near_zero, axis=axis_or_none),
    "flip": of_one("flip", axis=axes),
    "pad": of_one("pad", widths, shapes=SHORT.filter(len), constant_values=near_zero),
    "roll": of_one("roll", shifts, axis=some_axes),
    "diag": of_one("diag", k=near_zero, shapes=SHORT),
    "diagonal": of_one("diagonal", offset=near_zero, axis1=axis, axis2=axis),
    "tril": of_one("tril", k=near_zero),
    "triu": of_one("triu", k=near_zero),
    "take": of_one("take", positions, axis=axis_or_none),
    "take_along_axis": along_axis(),
    "dot": of_shapes("dot", dot_shapes),
    "matmul": of_shapes("matmul", matmul_shapes),
    "outer": of_shapes("outer", dot_shapes),
    "tensordot": tensordot(),
    "einsum": einsum(),
    **{name: made(name) for name in ("arange", "zeros", "ones", "full", "eye")},
}


# ---- where graphc is not NumPy, and why ------------------------------------------------------------------------------

Arrays = list[np.ndarray]


@dataclass(frozen=True)
class Difference:
    """Calls that NumPy answers (as `wanted`), and that graphc refuses, or answers as `instead` says."""

    reason: str
    holds: Callable[[Call, Arrays], bool]
    example: Call
    instead: Callable[[Call, Arrays], Any] | None = None


def made_of(dtype: str) -> Callable[[Call, Arrays], bool]:
    return lambda call, wanted: any(array.dtype == dtype for array in wanted)


def is_product_of_integers(call: Call, wanted: Arrays) -> bool:
    return call.name in ("dot", "matmul", "tensordot", "einsum") and wanted[0].dtype.kind in "iub"


def is_axis_of_a_scalar(call: Call, wanted: Arrays) -> bool:
    axis = call.options.get("axis")
    makes_it = call.name in ("expand_dims", "stack")
    return not makes_it and isinstance(axis, (int, np.integer)) and not call.arrays[0].ndim


def is_negative_count(call: Call, wanted: Arrays) -> bool:
    least = -1 if call.name == "reshape" else 0
    return call.name in ("arange", "tile", "repeat", "reshape") and bool(np.any(np.less(call.after[0], least)))


def is_read_outside(call: Call, wanted: Arrays) -> bool:
    """Of nothing NumPy takes anything."""
    if call.name not in ("take", "take_along_axis"):
        return False
    at = call.options.get("axis", call.after[1] if len(call.after) > 1 else None)
    size = call.arrays[0].size if at is None else call.arrays[0].shape[at]
    return bool(np.any((call.after[0] < -size) | (call.after[0] >= size)))


def zeros(*shape: int, dtype: str = "float64") -> np.ndarray:
    return np.zeros(shape, dtype)


DIFFERENCES = [
    Difference("there is no int8", made_of("int8"), Call("power", [zeros(2, dtype="bool")] * 2)),
    Difference(
        "the inverse of an integer is an integer in NumPy, mostly 0: hardly what is meant",
        lambda call, wanted: call.name == "reciprocal" and wanted[0].dtype.kind in "iu",
        Call("reciprocal", [zeros(2, dtype="int32")]),
    ),
    Difference(
        "a condition is a bool: no number is taken for one",
        lambda call, wanted: call.name == "where" and call.arrays[0].dtype != bool,
        Call("where", [zeros(2)] * 3),
    ),
    Difference(
        "clip without bounds is a slip",
        lambda call, wanted: call.name == "clip" and all(bound is None for bound in call.after) and call.after != (),
        Call("clip", [zeros(2)], (None, None)),
    ),
    Difference(
        "a scalar has no axis 0 or -1",
        is_axis_of_a_scalar,
        Call("sum", [zeros()], options={"axis": 0}),
    ),
    Difference(
        "a size is not negative, not even where no element shows it",
        is_negative_count,
        Call("tile", [zeros(0)], ((2, -1),)),
    ),
    Difference(
        "a position outside an axis is refused, also where no result is read from it",
        is_read_outside,
        Call("take", [zeros(0, 2)], (np.array(5), 1)),
    ),
    Difference(
        "a constant that its dtype cannot hold is refused; NumPy's pad wraps it",
        lambda call, wanted: (
            call.name == "pad" and wanted[0].dtype == "uint8" and call.options.get("constant_values", 0) < 0
        ),
        Call("pad", [zeros(2, dtype="uint8")], (1,), {"constant_values": -1}),
    ),
    Difference(
        "several shifts want as many axes; NumPy gives one axis all of them",
        lambda call, wanted: (
            call.name == "roll" and np.size(call.after[0]) not in (1, np.size(call.options.get("axis")))
        ),
        Call("roll", [zeros(4)], ((1, 2),), {"axis": 0}),
    ),
    Difference(
        "a triangle is that of a matrix; NumPy makes one of a vector's copies",
        lambda call, wanted: call.name in ("tril", "triu") and call.arrays[0].ndim == 1,
        Call("tril", [zeros(2)]),
    ),
    Difference(
        "there is no float16: functions of uint8 and bool are computed in float64",
        made_of("float16"),
        Call("exp", [zeros(2, dtype="uint8")]),
        lambda call, wanted: call.in_numpy("float64"),
    ),
    Difference(
        "there is no uint64: integers are summed as int64",
        made_of("uint64"),
        Call("sum", [zeros(2, dtype="uint8")]),
        lambda call, wanted: [array.astype(np.int64) for array in wanted],
    ),
    Difference(
        "products are BLAS's: those of integers are computed in float64",
        is_product_of_integers,
        Call("dot", [zeros(2, dtype="int32")] * 2),
        lambda call, wanted: call.in_numpy("float64"),
    ),
]


def difference_in(call: Call, wanted: Any) -> Difference | None:
    if isinstance(wanted, Exception):
        return None
    return next((each for each in DIFFERENCES if each.holds(call, wanted)), None)


def agrees(call: Call) -> None:
    wanted = call.in_numpy()
    difference = difference_in(call, wanted)
    if difference is not None:
        wanted = difference.instead(call, wanted) if difference.instead else TypeError(difference.reason)
    operands = [gc.param(f"p{k}", array) for k, array in enumerate(call.arrays)]
    if isinstance(wanted, Exception):
        with pytest.raises((gc.ShapeError, gc.DtypeError)):
            call.of(gc, operands)
        return
    nodes = call.of(gc, operands)
    assert [node.shape for node in nodes] == [array.shape for array in wanted]
    assert [node.dtype for node in nodes] == [array.dtype for array in wanted]
    for got, array in zip(gc.evaluate(nodes), wanted, strict=True):
        tolerance = 1e-5 if array.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(got, array, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CALLS)
@settings(derandomize=True, deadline=None, max_examples=80)
@given(data=st.data())
def test_a_call_is_numpys(name: str, data: st.DataObject) -> None:
    agrees(data.draw(CALLS[name]))


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
@settings(derandomize=True, deadline=None, max_examples=1000)
@given(data=st.data())
def test_many_calls_are_numpys(name: str, data: st.DataObject) -> None:
    agrees(data.draw(CALLS[name]))


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.reason)
def test_a_difference_is_one(difference: Difference) -> None:
    wanted = difference.example.in_numpy()
    assert not isinstance(wanted, Exception), "NumPy refuses it too"
    assert difference_in(difference.example, wanted) is difference
    agrees(difference.example)


# ---- symbolic sizes -------------------------------------------------------------------------------------------------

# Read with graphc and with NumPy as np: x is (n, 3), y is (m, 3), q is (n, n), t is (n, 2, 4).
FORMULAS = """
    np.reshape(x, -1)
    np.reshape(x, (3, x.shape[0]))
    np.reshape(x, (x.shape[0], 1, 3))
    np.reshape(x, (-1, 1, x.shape[1]))
    np.reshape(t, (x.shape[0] * 2, 4))
    np.reshape(t[:, :, :3], (-1, 3)) + np.concatenate([x, x])
    np.concatenate([x, y])
    np.concatenate([y, x, y, x])
    np.concatenate([x, y * 2], None)
    np.concatenate([x.T, np.ones((3, 2)), y.T], 1)[1:, ::-1]
    np.concatenate([x, np.ones((2, 3))])[1:-1]
    np.stack([x, x + 1], -1)
    np.split(x, [1, 2], 1)[1]
    x[::-1]
    x[::2]
    x[::-3]
    x[:, ::-2]
    x[:, None, 1]
    x[..., [2, 0]]
    np.flip(x)
    np.flip(x, 0) + x
    np.roll(x, 1, 1)
    np.pad(x, ((1, 2), (0, 1)))
    np.pad(x, 1, constant_values=2)
    np.tile(x, 2)
    np.tile(x, (2, 3, 1))
    np.repeat(x, 2, 0)
    np.broadcast_to(x, (2, x.shape[0], 3))
    np.expand_dims(x, (0, -1))
    np.moveaxis(t, 0, -1)
    np.cumsum(x, 0)
    np.cumsum(t)
    np.sum(t, (0, 2))
    np.prod(x, 0)
    np.mean(t, 1)
    np.argmax(x, 1)
    np.matmul(t, np.ones((4, 2)))
    np.matmul(t, np.swapaxes(t, 1, 2))
    np.matmul(np.ones((5, 1, 3, 2)), t)
    np.matmul(x, y.T)
    np.dot(q, x)
    np.tensordot(x, x, ([0], [0]))
    np.outer(x[:, 0], y[:, 1])
    np.einsum("ni,mi->mn", x, y)
    np.einsum("nn,ni->i", q, x)
    np.diagonal(q)
    np.diag(x[:, 2], 1)
    np.tril(q, -1) + np.triu(q, 1)
    np.where(x > 0, x, np.sum(y, 0))
    np.take(t, [1, -1, 0], 2)
    np.arange(x.shape[0]) * np.ones((2, 1))
    np.eye(x.shape[0], k=1)
    np.full((x.shape[0], 2), 7)
"""
SIZES = [(1, 1), (2, 5), (4, 3), (1, 0), (0, 2), (0, 0)]


def read(module: Any, operands: dict[str, Any]) -> list[Any]:
    return [eval(formula, {"np": module, **operands}) for formula in FORMULAS.strip().splitlines()]


def symbolic() -> dict[str, gc.Node]:
    shapes = {"x": ("n", 3), "y": ("m", 3), "q": ("n", "n"), "t": ("n", 2, 4)}
    return {name: gc.input(name, shape, "float64") for name, shape in shapes.items()}


def test_one_compile_serves_all_sizes(either_mode: str, rng: np.random.Generator) -> None:
    operands = symbolic()
    nodes = read(gc, operands)
    compiled = gc.compile(nodes, inputs=list(operands.values()))
    for n, m in SIZES:
        feeds = {
            "x": rng.normal(size=(n, 3)),
            "y": rng.normal(size=(m, 3)),
            "q": rng.normal(size=(n, n)),
            "t": rng.normal(size=(n, 2, 4)),
        }
        wanted = read(np, feeds)
        for results in (compiled(**feeds), gc.evaluate(nodes, feeds)):
            for formula, got, array in zip(FORMULAS.strip().splitlines(), results, wanted, strict=True):
                np.testing.assert_allclose(
                    got, array, rtol=1e-12, atol=1e-12, err_msg=f"{formula} for n={n}, m={m}", strict=False
                )
                assert np.shape(got) == np.shape(array), f"{formula} for n={n}, m={m}"


def test_what_is_left_beside_a_symbolic_size_is_known() -> None:
    x = gc.input("x", ("n", 2, 3))
    assert x.reshape(x.shape[0], -1).shape == ("n", 6)
    assert gc.evaluate(x.reshape(x.shape[0], -1), {"x": np.ones((0, 2, 3))}).shape == (0, 6)


def test_sizes_that_are_concatenated_add_up() -> None:
    x, y = gc.input("x", ("n", 3)), gc.input("y", ("m", 3))
    assert [str(size) for size in gc.concatenate([x, y, np.ones((2, 3), "f")]).shape] == ["m+n+2", "3"]
    assert gc.concatenate([x, y]).shape == gc.concatenate([y, x]).shape


# What n must be for each of these; one less is refused.
WANTS: list[tuple[int, Callable[[gc.Node], gc.Node]]] = [
    (3, lambda x: x[:3]),
    (2, lambda x: x[1]),
    (2, lambda x: x[-2]),
    (2, lambda x: x[-2:]),
    (5, lambda x: x[2:5:2]),
    (3, lambda x: x[2::-1]),
    (2, lambda x: x[1:-1]),
    (2, lambda x: gc.roll(x, 2, 0)),
    (1, lambda x: gc.max(x, 0)),
    (1, lambda x: gc.argmin(x)),
    (2, lambda x: gc.split(x, [2])[1]),
    (1, lambda x: gc.logsumexp(x)),
]


@pytest.mark.parametrize(("least", "formula"), WANTS)
def test_a_size_that_is_too_small_is_an_error_before_anything_changes(
    least: int, formula: Callable[[gc.Node], gc.Node], python_mode: None
) -> None:
    w = gc.param("w", np.ones(3))
    step = gc.compile(formula(gc.input("x", ("n", 3), "float64")), updates={w: w + 1.0})
    here = f"test_shapes.py:{formula.__code__.co_firstlineno}"
    with pytest.raises(gc.InputError, match=rf"(?s)(?=.*{here})(?=.*\bn = {least - 1}\b)"):
        step(np.ones((least - 1, 3)))
    np.testing.assert_array_equal(w.value, np.ones(3))
    x = np.arange(3.0 * least).reshape(least, 3)
    np.testing.assert_array_equal(step(x), gc.evaluate(formula(gc.const(x))))
    np.testing.assert_array_equal(w.value, np.full(3, 2.0))


bound = st.none() | st.integers(-6, 6)


@settings(derandomize=True, deadline=None, max_examples=300)
@given(start=bound, stop=bound, step=st.sampled_from([None, 1, 2, 3, -1, -2, -3]))
def test_a_slice_of_a_symbolic_axis_is_numpys_or_refused(start: int | None, stop: int | None, step: int | None) -> None:
    """Refused at the call for the sizes at which NumPy would cut the slice short; never wrong."""
    key = slice(start, stop, step)
    node = gc.input("x", ("n",), "float64")[key]
    for n in range(8):
        values = np.arange(float(n))
        inside = all(each is None or -n <= each <= n - (each > 0 and (step or 1) < 0) for each in (start, stop))
        try:
            got = gc.evaluate(node, {"x": values})
        except gc.InputError:
            assert not inside or len(range(*key.indices(n))) == 0, f"x[{key}] is all there for n = {n}"
        else:
            np.testing.assert_array_equal(got, values[key], err_msg=f"x[{key}] for n = {n}")
