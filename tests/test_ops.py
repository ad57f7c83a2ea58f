"""Every op, from its record: types against NumPy, emitted code against NumPy, gradients against numeric ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.errors import GraphcError
from graphc.ir import OPS, Op, Scalar, Stored
from graphc.passes.differentiate import gradients
from graphc.reference import evaluate

FLOAT, LABELS, BOOL = "float", "labels", "bool"


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
        }
        return [np.asarray(draw[kind](shape)) for kind, shape in self.operands]

    def node(self, arrays: list[np.ndarray]) -> tuple[list[gc.Node], gc.Node]:
        """Params that hold the operands, and the op applied to them."""
        params = [gc.param(f"p{k}", array) for k, array in enumerate(arrays)]
        return params, self.op(*params, **self.options)


SHAPES = {1: [[(3, 4)], [()], [(2, 1, 3)]], 2: [[(3, 4), (3, 4)], [(3, 1), (4,)], [(), (2, 3)]]}
REDUCTIONS = [
    {},
    {"axis": 0},
    {"axis": -1, "keepdims": True},
    {"axis": (0, 2)},
    {"axis": (1, 2), "keepdims": True},
    {"axis": 1},
]
AXES = [{"axis": -1}, {"axis": 0}, {"axis": 1}]

# Ops that are not element-wise on floats alone: what to call them with.
SPECIAL: dict[str, list[tuple[list[tuple[str, tuple[int, ...]]], dict[str, Any]]]] = {
    "where": [
        ([(BOOL, (3, 4)), (FLOAT, (3, 4)), (FLOAT, (4,))], {}),
        ([(BOOL, (3, 1)), (FLOAT, ()), (FLOAT, (4,))], {}),
    ],
    "astype": [([(FLOAT, (3, 4))], {"dtype": dtype}) for dtype in ("float32", "float64", "int32", "bool")],
    "copy": [([(FLOAT, (3, 4))], {"to": "there"})],
    "transpose": [([(FLOAT, (2, 3, 4))], {"axes": axes}) for axes in (None, (1, 0, 2), (2, 0, 1))],
    "reshape": [
        ([(FLOAT, (2, 3, 4))], {"shape": shape}) for shape in ((6, 4), -1, (4, -1, 2), (2, 1, 3, 4), (2, 3, 4, 1))
    ],
    "broadcast_to": [([(FLOAT, (3, 1))], {"shape": (2, 3, 4)}), ([(FLOAT, ())], {"shape": (3,)})],
    "arange": [([], {"size": 5})],
    "sum": [([(FLOAT, (2, 3, 4))], options) for options in REDUCTIONS] + [([(FLOAT, (1, 1))], {"axis": 0})],
    "max": [([(FLOAT, (2, 3, 4))], options) for options in REDUCTIONS] + [([(FLOAT, (1, 1))], {"axis": 0})],
    "mean": [([(FLOAT, (2, 3, 4))], options) for options in REDUCTIONS],
    "softmax": [([(FLOAT, (2, 3, 4))], options) for options in AXES],
    "log_softmax": [([(FLOAT, (2, 3, 4))], options) for options in AXES],
    "logsumexp": [([(FLOAT, (2, 3, 4))], options) for options in AXES],
    "one_hot": [([(LABELS, (2, 4))], {"size": 3, "dtype": dtype}) for dtype in ("float32", "float64")],
    "in_range": [([(LABELS, (2, 4))], {"size": 3}), ([(LABELS, (50,))], {"size": 2})],
    "pick": [([(FLOAT, (4, 3)), (LABELS, (4,))], {}), ([(FLOAT, (2, 4, 3)), (LABELS, (2, 4))], {})],
    "softmax_nll": [([(FLOAT, (4, 3)), (LABELS, (4,))], {})],
    "dot": [
        ([(FLOAT, a), (FLOAT, b)], {})
        for a, b in [((3,), (3,)), ((4, 3), (3,)), ((3,), (3, 5)), ((4, 3), (3, 5)), ((1, 3), (3, 1)), ((4, 1), (1, 5))]
    ],
    "gemm": [([(FLOAT, (4, 3)), (FLOAT, (3, 5)), (FLOAT, (4, 5)), (FLOAT, ()), (FLOAT, ())], {})],
}
LEAVES = {"input", "param", "const", "extent"}
NO_GRADIENT = {"stop_gradient"}  # by definition


def elementwise_cases(op: Op) -> list[Case]:
    assert isinstance(op.kind, Scalar)
    arity = 2 if "{1}" in op.kind.code else 1
    return [Case(op, [(FLOAT, shape) for shape in shapes]) for shapes in SHAPES[arity]]


def cases_of(op: Op) -> list[Case]:
    if op.name in SPECIAL:
        return [Case(op, operands, options) for operands, options in SPECIAL[op.name]]
    return elementwise_cases(op)


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


@pytest.mark.parametrize(
    "op", [op for op in OPS.values() if isinstance(op.kind, Scalar) and op.name not in SPECIAL], ids=str
)
def test_special_values_pass_as_in_numpy(op: Op, either_mode: str) -> None:
    """NaN, infinities, subnormals and the signs of zero, for every pair of operands."""
    arity = 2 if "{1}" in op.kind.code else 1
    grid = [np.array(a) for a in np.meshgrid(*[SPECIAL_VALUES] * arity)]
    arrays = [a.reshape(-1) for a in grid]
    node = op(*(gc.param(f"p{k}", a) for k, a in enumerate(arrays)))
    with np.errstate(all="ignore"):
        expected = op.numpy(*arrays)
    result = gc.compile(node)()
    np.testing.assert_allclose(result, expected, rtol=1e-15, atol=0)
    if op.name not in ("maximum", "minimum"):  # which zero is larger is not defined
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
