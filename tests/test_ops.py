"""Every op, from its record: types against NumPy, emitted code against NumPy, gradients against numeric ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.constants import as_node
from graphc.errors import GraphcError
from graphc.ir import OPS, Op
from graphc.kinds import Stored
from graphc.passes.differentiate import gradients
from graphc.reference import evaluate

FLOAT, LABELS, BOOL, INT = "float", "labels", "bool", "int"


@dataclass
class Case:
    """One way of calling an op: a (kind, shape) for each operand, and the options."""

    op: Op
    operands: list[tuple[str, tuple[int, ...]]]
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        shapes = ", ".join(f"{kind}{list(shape)}" for kind, shape in self.operands)
        return f"{self.op.name}({shapes}, {self.options})"

    def arrays(self, rng: np.random.Generator, dtype: str = "float64") -> list[np.ndarray]:
        low, high = self.op.domain
        draw = {
            FLOAT: lambda shape: rng.uniform(low, high, shape).astype(dtype),
            LABELS: lambda shape: rng.integers(0, 3, shape),
            BOOL: lambda shape: rng.random(shape) < 0.5,
            INT: lambda shape: rng.integers(max(0, int(low)), 9, shape),
        }
        return [np.asarray(draw[kind](shape)) for kind, shape in self.operands]

    def node(self, arrays: list[np.ndarray]) -> tuple[list[gc.Node], gc.Node]:
        """Params that hold the operands, and the op applied to them."""
        params = [gc.param(f"p{k}", array) for k, array in enumerate(arrays)]
        return params, self.op(*params, **self.options)


SHAPES = {
    1: [[(3, 4)], [()], [(2, 1, 3)]],
    2: [[(3, 4), (3, 4)], [(3, 1), (4,)], [(), (2, 3)]],
    3: [[(3, 4), (3, 4), (3, 4)], [(3, 4), (), (4,)]],
}
REDUCTIONS = [
    {},
    {"axis": 0},
    {"axis": -1, "keepdims": True},
    {"axis": (0, 2)},
    {"axis": (1, 2), "keepdims": True},
    {"axis": 1},
]
AXES = [{"axis": -1}, {"axis": 0}, {"axis": 1}]


def calls(*operands: Any, **options: list[Any]) -> list[Any]:
    """The operands with each of the options in turn; an operand is the shape of floats, or a (kind, shape)."""
    typed = [each if each and isinstance(each[0], str) else (FLOAT, each) for each in operands]
    (name, values), *_ = [*options.items(), ("", [None])]
    return [(typed, {name: value} if name else {}) for value in values]


BOX, MATRIX = (2, 3, 4), (3, 4)

# Ops that are not element-wise on operands of one dtype: what to call them with.
SPECIAL: dict[str, list[tuple[list[tuple[str, tuple[int, ...]]], dict[str, Any]]]] = {
    "where": calls((BOOL, MATRIX), MATRIX, (4,)) + calls((BOOL, (3, 1)), (), (4,)),
    "astype": calls(MATRIX, dtype=["float32", "float64", "int32", "bool"]),
    "copy": calls(MATRIX, to=["there"]),
    "random_bits": calls((INT, MATRIX), (INT, ()), (INT, (4,))),
    "transpose": calls(BOX, axes=[None, (1, 0, 2), (2, 0, 1)]),
    "reshape": calls(BOX, shape=[(6, 4), -1, (4, -1, 2), (2, 1, 3, 4), (2, 3, 4, 1)]),
    "broadcast_to": calls((3, 1), shape=[(2, 3, 4)]) + calls((), shape=[(3,)]),
    "arange": [([], {"size": 5})],
    "slice": [
        ([(FLOAT, (5, 4))], {"starts": (1, 0), "steps": (2, 1), "sizes": (2, 3)}),
        ([(FLOAT, (5, 4))], {"starts": (4, 3), "steps": (-1, -2), "sizes": (5, 2)}),
        ([(FLOAT, (5, 4))], {"starts": (2, 3), "steps": (1, 1), "sizes": (0, 1)}),
    ],
    "paste": [
        ([(FLOAT, (2, 3))], {"shape": (5, 4), "starts": (1, 0), "steps": (2, 1)}),
        ([(FLOAT, (5, 1))], {"shape": (5, 4), "starts": (4, 3), "steps": (-1, -2)}),
    ],
    "concatenate": calls((2, 3), (1, 3), (4, 3), axis=[0]) + calls((2, 1, 3), (2, 2, 3), axis=[1]),
    "diagonal": calls((2, 4, 4), offset=[0, 1, -2]) + calls((3, 5), offset=[0, 3, -1, 7]),
    "recurrence": calls(MATRIX, MATRIX) + calls((2, 1), (2, 1)) + calls((5,), (5,)) + calls((), BOX),
    "sum": [*(([(FLOAT, BOX)], options) for options in REDUCTIONS), *calls((1, 1), axis=[0])],
    "max": [*(([(FLOAT, BOX)], options) for options in REDUCTIONS), *calls((1, 1), axis=[0])],
    "min": [([(FLOAT, BOX)], options) for options in REDUCTIONS],
    "prod": [([(FLOAT, BOX)], options) for options in REDUCTIONS],
    "any": [([(BOOL, BOX)], options) for options in REDUCTIONS],
    "all": [([(BOOL, BOX)], options) for options in REDUCTIONS],
    "mean": [([(FLOAT, BOX)], options) for options in REDUCTIONS],
    "var": [([(FLOAT, BOX)], options) for options in (*REDUCTIONS, {"ddof": 1})],
    "std": [([(FLOAT, BOX)], options) for options in (*REDUCTIONS, {"ddof": 1})],
    "length": [([(FLOAT, BOX)], options) for options in REDUCTIONS],
    "argmax": [([(FLOAT, BOX)], options) for options in (*AXES, {"keepdims": True, "axis": 1})],
    "argmin": [([(FLOAT, BOX)], options) for options in (*AXES, {"keepdims": True, "axis": 1})],
    "softmax": [([(FLOAT, BOX)], options) for options in AXES],
    "log_softmax": [([(FLOAT, BOX)], options) for options in AXES],
    "logsumexp": [([(FLOAT, BOX)], options) for options in REDUCTIONS],
    "standardize": [([(FLOAT, BOX)], options) for options in (*AXES, {"axis": (1, 2), "eps": 0.5})],
    "one_hot": [([(LABELS, (2, 4))], {"size": 3, "dtype": dtype}) for dtype in ("float32", "float64")],
    "in_range": calls((LABELS, (2, 4)), size=[3]) + calls((LABELS, (50,)), size=[2]),
    "pick": calls((4, 3), (LABELS, (4,))) + calls((2, 4, 3), (LABELS, (2, 4))),
    "softmax_nll": calls((4, 3), (LABELS, (4,))),
    "gather": [
        *calls((4, 3), (LABELS, (2, 5)), axes=[(0,), (1,)]),
        *calls((3, 4, 5), (LABELS, (2, 1)), (LABELS, (3,)), axes=[(0, 1), (0, 2)]),
    ],
    "scatter_add": [
        ([(FLOAT, (2, 5, 3)), (LABELS, (2, 5))], {"axes": (0,), "shape": (4, 3)}),
        ([(FLOAT, (2, 3, 4)), (LABELS, (2, 1)), (LABELS, (3,))], {"axes": (0, 2), "shape": (3, 4, 5)}),
    ],
    "dropout": [([(FLOAT, MATRIX), (INT, ())], {"rate": rate, "seed": 3}) for rate in (0.25, 0.5)],
    "dot": [
        call
        for a, b in [((3,), (3,)), ((4, 3), (3,)), ((3,), (3, 5)), ((4, 3), (3, 5)), ((1, 3), (3, 1)), ((4, 1), (1, 5))]
        for call in calls(a, b)
    ],
    "batched_dot": calls((2, 4, 3), (2, 3, 5)) + calls((3, 1, 2), (3, 2, 1)) + calls((1, 2, 3), (1, 3, 2)),
    "matmul": [
        call
        for a, b in [((2, 4, 3), (3, 5)), ((2, 4, 3), (3,)), ((3,), (2, 3, 5)), ((2, 1, 4, 3), (5, 3, 2))]
        for call in calls(a, b)
    ],
    "gemm": calls((4, 3), (3, 5), (4, 5), (), ()),
}
LEAVES = {"input", "param", "const", "extent", "custom_gradient"}  # the last: tests/test_custom_gradient.py
NO_GRADIENT = {"stop_gradient"}  # by definition


def cases_of(op: Op) -> list[Case]:
    if op.name in SPECIAL:
        return [Case(op, operands, options) for operands, options in SPECIAL[op.name]]
    assert op.arity is not None, f"{op} wants a row in SPECIAL"
    kind = FLOAT if "f" in op.kinds else INT
    return [Case(op, [(kind, shape) for shape in shapes]) for shapes in SHAPES[op.arity]]


CASES = [case for op in OPS.values() if op.name not in LEAVES for case in cases_of(op)]
each_case = pytest.mark.parametrize("case", CASES, ids=str)


def test_every_op_is_tested() -> None:
    assert {case.op.name for case in CASES} | LEAVES == set(OPS)
    assert all(op.doc for op in OPS.values())
    assert all(op.numpy for op in OPS.values() if not isinstance(op.kind, Stored) and op.name != "const")


@each_case
def test_the_type_rule_is_numpys(case: Case, rng: np.random.Generator) -> None:
    for dtype in ("float32", "float64"):
        arrays = case.arrays(rng, dtype)
        _, node = case.node(arrays)
        expected = node.op.numpy(*arrays, **node.options)
        assert node.shape == np.shape(expected)
        assert node.dtype == np.asarray(expected).dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted({case.op.name for case in CASES} - {"gemm"}))
def test_emitted_code_computes_what_numpy_does(
    name: str, dtype: str, rng: np.random.Generator, either_mode: str
) -> None:
    """All cases of an op as one compiled function; gemm, which only updates make, is tested with the optimizers."""
    arrays = [(case, case.arrays(rng, dtype)) for case in CASES if case.op.name == name]
    nodes = [renamed(case, values, number) for number, (case, values) in enumerate(arrays)]
    results = gc.compile(nodes)()
    for node, (case, values), result in zip(nodes, arrays, results, strict=True):
        expected = case.op.numpy(*values, **node.options)
        tolerance = 1e-5 if dtype == "float32" else 1e-12
        np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance, err_msg=str(case))


def renamed(case: Case, arrays: list[np.ndarray], number: int) -> gc.Node:
    return case.op(*(gc.param(f"p{number}_{k}", a) for k, a in enumerate(arrays)), **case.options)


SPECIAL_VALUES = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1e308, -1e308, 88.0, -745.0])


@pytest.mark.parametrize("op", [op for op in OPS.values() if op.arity is not None and "f" in op.kinds], ids=str)
def test_special_values_pass_as_in_numpy(op: Op, either_mode: str) -> None:
    """NaN, infinities, subnormals and the signs of zero, for every pair of operands."""
    grid = [np.array(a) for a in np.meshgrid(*[SPECIAL_VALUES] * op.arity)]
    arrays = [a.reshape(-1) for a in grid]
    node = op(*(gc.param(f"p{k}", a) for k, a in enumerate(arrays)))
    with np.errstate(all="ignore"):
        expected = op.numpy(*arrays, **node.options)
    result = gc.compile(node)()
    np.testing.assert_allclose(result, expected, rtol=1e-15, atol=0)
    if op.name not in ("maximum", "minimum", "clip", "at_least", "at_most"):  # which zero is larger is not defined
        zero = expected == 0
        np.testing.assert_array_equal(np.signbit(result[zero]), np.signbit(expected[zero]))


@each_case
def test_the_gradient_is_the_numeric_one(case: Case, rng: np.random.Generator) -> None:
    """A complex step, exact to rounding, where the op's meaning holds for complex numbers; else central differences."""
    arrays = case.arrays(rng)
    params, node = case.node(arrays)
    if not node.type.floating or case.op.name in NO_GRADIENT or node.dtype == np.float32:
        return
    weights = rng.normal(size=np.shape(case.op.numpy(*arrays, **node.options)))
    wrt = [k for k, array in enumerate(arrays) if array.dtype.kind == "f"]
    symbolic = evaluate(gradients(gc.sum(node * weights), [params[k] for k in wrt]))
    for k, gradient in zip(wrt, symbolic, strict=True):
        expected = numeric(case, arrays, k, weights, node.options)
        tolerance = 1e-12 if case.op.analytic else 1e-7
        np.testing.assert_allclose(gradient, expected, rtol=tolerance, atol=tolerance)


@each_case
def test_the_second_derivative_is_the_numeric_one(case: Case, rng: np.random.Generator) -> None:
    """The gradient of the slope along a direction, against the difference of the first gradients on either side."""
    arrays = case.arrays(rng)
    params, node = case.node(arrays)
    if not node.type.floating or case.op.name in NO_GRADIENT or node.dtype == np.float32:
        return
    wrt = [k for k, array in enumerate(arrays) if array.dtype.kind == "f"]
    weights = rng.normal(size=np.shape(case.op.numpy(*arrays, **node.options)))
    first = gradients(gc.sum(node * weights), [params[k] for k in wrt])
    direction = {k: rng.normal(size=arrays[k].shape) for k in wrt}
    slope = as_node(0.0)
    for k, gradient in zip(wrt, first, strict=True):
        slope = slope + gc.sum(gradient * direction[k])
    sides = [evaluate(first, {f"p{k}": arrays[k] + step * direction[k] for k in wrt}) for step in (1e-5, -1e-5)]
    for second, right, left in zip(evaluate(gradients(slope, [params[k] for k in wrt])), *sides, strict=True):
        np.testing.assert_allclose(second, (right - left) / 2e-5, rtol=1e-6, atol=1e-6)


def numeric(case: Case, arrays: list[np.ndarray], k: int, weights: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    """The gradient of `sum(weights * op)` with respect to operand k."""
    result = np.zeros(arrays[k].shape)
    for position in np.ndindex(arrays[k].shape):

        def moved(step: complex, at: tuple[int, ...] = position) -> complex:
            changed = [a.copy() for a in arrays]
            changed[k] = changed[k].astype(type(step))
            changed[k][at] += step
            return np.sum(weights * case.op.numpy(*changed, **options))

        if case.op.analytic:
            result[position] = moved(1e-30j).imag / 1e-30
        else:
            result[position] = (moved(1e-6) - moved(-1e-6)) / 2e-6
    return result


# ---- what the table alone does not say ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum", "minimum", "less", "equal"])
@pytest.mark.parametrize("a", ["float32", "float64", "int32", "int64", "uint8", "bool"])
@pytest.mark.parametrize("b", ["float32", "float64", "int32", "int64", "uint8", "bool"])
def test_promotion_is_numpys(name: str, a: str, b: str) -> None:
    x, y = np.ones(2, a), np.ones(2, b)
    try:
        expected = getattr(np, name)(x, y).dtype
    except TypeError:  # NumPy does not subtract bools
        return
    operands = gc.param("x", x), gc.param("y", y)
    if expected == np.float16:
        with pytest.raises(GraphcError, match="float16 is not supported"):
            OPS[name](*operands)
    else:
        assert OPS[name](*operands).dtype == expected


def test_python_numbers_adapt_to_the_tensor() -> None:
    x = gc.input("x", (3,), "float32")
    assert (x * 2.0).dtype == np.float32
    assert (2 - x).dtype == np.float32
    assert (gc.input("n", (3,), "int64") * 2.0).dtype == np.float64
    assert (x * np.float64(2)).dtype == np.float64


def test_ties_share_the_gradient_as_in_pytorch() -> None:
    x = gc.param("x", np.array([1.0, 3.0, 3.0]))
    np.testing.assert_array_equal(evaluate(gc.grad(x.max(), x)), [0, 0.5, 0.5])
    y = gc.param("y", np.array([1.0, 3.0, 4.0]))
    np.testing.assert_array_equal(evaluate(gc.grad(gc.sum(gc.maximum(x, y)), x)), [0.5, 0.5, 0])
    z = gc.param("z", np.array([-1.0, 0.0, 2.0]))
    np.testing.assert_array_equal(evaluate(gc.grad(gc.sum(gc.relu(z)), z)), [0, 0, 1])
    np.testing.assert_array_equal(evaluate(gc.grad(gc.sum(abs(z)), z)), [-1, 0, 1])
    np.testing.assert_array_equal(evaluate(gc.grad(gc.sum(gc.clip(z, 0.0, None)), z)), [0, 1, 1])
    np.testing.assert_array_equal(evaluate(gc.grad(gc.sum(gc.clip(z, None, 0.0)), z)), [1, 1, 0])


@pytest.mark.parametrize("order", [None, 1, 2, 3, np.inf])
def test_the_norm_of_zeros_has_gradient_0(order: float | None) -> None:
    x = gc.param("x", np.zeros(3))
    np.testing.assert_array_equal(evaluate(gc.grad(gc.norm(x, order), x)), [0, 0, 0])


def test_operators_and_methods_are_the_ops() -> None:
    x = gc.param("x", np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert x + 1 is gc.add(x, 1)
    assert 1 - x is gc.subtract(1, x)
    assert x @ x is gc.dot(x, x)
    assert x.T is gc.transpose(x)
    assert x.transpose(1, 0) is x.transpose((1, 0))
    assert x.reshape(4) is x.reshape(-1)
    assert x.sum(0) is gc.sum(x, axis=0)
    assert np.float64(2) * x is gc.multiply(np.float64(2), x)
    assert np.ones((2, 2)) @ x is gc.dot(np.ones((2, 2)), x)
    np.testing.assert_array_equal(evaluate(-(x**2) / 2 + abs(x)), -(x.value**2) / 2 + x.value)
