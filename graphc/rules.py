"""What is true of ops: the simplification table.

A row holds for every operand that its `before` admits, gives the same type, and its right side is smaller: it has fewer
matrix products, or as many and fewer nodes, or as many of both and cheaper ones. So rewriting ends.
tests/test_rules.py runs both sides of each row.

STABLE rows replace a formula by one that cannot overflow. They are applied before differentiation too, because the
gradient of the better formula is the better gradient.
"""

from __future__ import annotations

from graphc.ir import Node
from graphc.ops.activation import log_sigmoid
from graphc.ops.arithmetic import divide, multiply, negative
from graphc.ops.likelihood import sigmoid_nll, softmax_nll
from graphc.ops.product import gemm
from graphc.ops.reduce import sum
from graphc.ops.shape import broadcast_to, reshape, transpose
from graphc.ops.softmax import log_softmax
from graphc.rewrite import Rule
from graphc.types import broadcast


def _last_axis(z: Node, axis: int) -> bool:
    return axis == z.ndim - 1


def _composed(x: Node, inner: tuple[int, ...], outer: tuple[int, ...]) -> Node:
    return transpose(x, tuple(inner[axis] for axis in outer))


STABLE = (
    Rule(
        "nll-of-softmax",
        ("negative", ("log", ("pick", ("softmax", "z", {"axis": "axis"}), "labels"))),
        lambda z, labels, axis: softmax_nll(z, labels),
        when=lambda z, labels, axis: _last_axis(z, axis),
        example=(("labels", "labels"), ("axis", -1)),
    ),
    Rule(
        "log-of-picked-softmax",
        ("log", ("pick", ("softmax", "z", {"axis": "axis"}), "labels")),
        lambda z, labels, axis: negative(softmax_nll(z, labels)),
        when=lambda z, labels, axis: _last_axis(z, axis),
        example=(("labels", "labels"), ("axis", -1)),
    ),
    Rule(
        "log-of-softmax",
        ("log", ("softmax", "z", {"axis": "axis"})),
        lambda z, axis: log_softmax(z, axis),
        example=(("axis", -1),),
    ),
    Rule(
        "xlogy-of-softmax",
        ("xlogy", "t", ("softmax", "z", {"axis": "axis"})),
        lambda t, z, axis: multiply(t, log_softmax(z, axis)),
        when=lambda t, z, axis: broadcast(t.shape, z.shape) == z.shape,
        example=(("axis", -1),),
    ),
    Rule(
        "nll-of-sigmoid",
        ("bernoulli_nll", ("sigmoid", "z"), "t"),
        lambda z, t: sigmoid_nll(z, t),
        example=(("z", "moderate"),),  # where p is neither 0 nor 1, whose logarithms are cut off
    ),
    Rule("log-of-sigmoid", ("log", ("sigmoid", "z")), lambda z: log_sigmoid(z)),
    Rule("log-of-one-minus-sigmoid", ("log", ("subtract", 1.0, ("sigmoid", "z"))), lambda z: log_sigmoid(negative(z))),
    Rule("log1p-of-minus-sigmoid", ("log1p", ("negative", ("sigmoid", "z"))), lambda z: log_sigmoid(negative(z))),
)

ALGEBRA = (
    Rule("neg-neg", ("negative", ("negative", "x")), "x"),
    Rule("sub-zero", ("subtract", "x", 0.0), "x"),
    Rule("mul-one", ("multiply", "x", 1.0), "x"),
    Rule("div-one", ("divide", "x", 1.0), "x"),
    Rule("add-neg", ("add", "x", ("negative", "y")), ("subtract", "x", "y")),
    Rule("sub-neg", ("subtract", "x", ("negative", "y")), ("add", "x", "y")),
    Rule("mul-neg-neg", ("multiply", ("negative", "x"), ("negative", "y")), ("multiply", "x", "y")),
    Rule("mul-minus-one", ("multiply", "x", -1.0), ("negative", "x")),
    Rule("power-one", ("power", "x", 1.0), "x"),
    Rule("power-two", ("power", "x", 2.0), ("multiply", "x", "x")),
    Rule("power-half", ("power", "x", 0.5), ("sqrt", "x"), example=(("x", "positive"),)),
    Rule("power-minus-one", ("power", "x", -1.0), lambda x: divide(1, x)),
    Rule("log-exp", ("log", ("exp", "x")), "x"),
    Rule("same-dtype", ("astype", "x", {"dtype": "dtype"}), lambda x, dtype: x, example=(("dtype", "float64"),)),
    Rule("same-shape", ("reshape", "x", {"shape": "shape"}), lambda x, shape: x, example=(("shape", (3, 4)),)),
    Rule("same-stretch", ("broadcast_to", "x", {"shape": "shape"}), lambda x, shape: x, example=(("shape", (3, 4)),)),
    Rule(
        "same-order",
        ("transpose", "x", {"axes": "axes"}),
        lambda x, axes: x,
        when=lambda x, axes: axes == tuple(range(x.ndim)),
        example=(("axes", (0, 1)),),
    ),
    Rule(
        "transpose-transpose",
        ("transpose", ("transpose", "x", {"axes": "inner"}), {"axes": "outer"}),
        _composed,
        example=(("inner", (1, 0)), ("outer", (1, 0))),
    ),
    Rule(
        "reshape-reshape",
        ("reshape", ("reshape", "x", {"shape": "inner"}), {"shape": "outer"}),
        lambda x, inner, outer: reshape(x, outer),
        example=(("inner", (4, 3)), ("outer", (2, 6))),
    ),
    Rule(
        "stretch-stretch",
        ("broadcast_to", ("broadcast_to", "x", {"shape": "inner"}), {"shape": "outer"}),
        lambda x, inner, outer: broadcast_to(x, outer),
        example=(("inner", (3, 4)), ("outer", (2, 3, 4))),
    ),
    # A loop that fuses with its neighbours beats a call of BLAS for one number.
    Rule(
        "dot-of-vectors",
        ("dot", "x", "y"),
        lambda x, y: sum(multiply(x, y)),
        when=lambda x, y: x.ndim == y.ndim == 1,
        example=(("x", (4,)), ("y", (4,))),
    ),
    # multiply broadcasts by itself: a stretched factor need not be stretched first.
    Rule(
        "multiply-stretched",
        ("multiply", "x", ("broadcast_to", "y", {"shape": "shape"})),
        lambda x, y, shape: multiply(x, y),
        when=lambda x, y, shape: broadcast(x.shape, y.shape) == broadcast(x.shape, shape),
        example=(("shape", (3, 4)),),
    ),
)

RULES = STABLE + ALGEBRA

# ---- updates as matrix products -------------------------------------------------------------------------------------
# An update that adds a scaled product to a weight is one BLAS call: passes/fold.py applies these rows where it pays.


def _scalar(**operands: Node) -> bool:
    return all(not node.shape for node in operands.values())


def _adds(c: Node, a: Node, b: Node, r: Node | None = None) -> bool:
    """Whether `c` has the shape of `dot(a, b)`, a matrix, and `r` does not stretch it."""
    matrix = a.ndim == b.ndim == 2 and c.shape == (a.shape[0], b.shape[1])
    return matrix and (r is None or broadcast(c.shape, r.shape) == c.shape)


GEMM = (
    Rule(
        "gemm-descent",
        ("subtract", "c", ("multiply", "s", ("dot", "a", "b"))),
        lambda c, s, a, b: gemm(a, b, c, -s, 1.0),
        when=lambda c, s, a, b: _scalar(s=s) and _adds(c, a, b),
        example=(("s", "scalar"), ("a", (3, 5)), ("b", (5, 4))),
    ),
    Rule(
        "gemm-descent-with-rest",
        ("subtract", "c", ("multiply", "s", ("add", "r", ("dot", "a", "b")))),
        lambda c, s, r, a, b: gemm(a, b, c - s * r, -s, 1.0),
        when=lambda c, s, r, a, b: _scalar(s=s) and _adds(c, a, b, r),
        example=(("s", "scalar"), ("a", (3, 5)), ("b", (5, 4))),
    ),
    Rule(
        "gemm-accumulate",
        ("add", "c", ("dot", "a", "b")),
        lambda c, a, b: gemm(a, b, c, 1.0, 1.0),
        when=lambda c, a, b: _adds(c, a, b),
        example=(("a", (3, 5)), ("b", (5, 4))),
    ),
    Rule(
        "gemm-accumulate-with-rest",
        ("add", "c", ("add", "r", ("dot", "a", "b"))),
        lambda c, r, a, b: gemm(a, b, c + r, 1.0, 1.0),
        when=lambda c, r, a, b: _adds(c, a, b, r),
        example=(("a", (3, 5)), ("b", (5, 4))),
    ),
    Rule(
        "gemm-beta",
        ("gemm", "a", "b", ("multiply", "s", "c"), "alpha", 1.0),
        ("gemm", "a", "b", "c", "alpha", "s"),
        when=lambda a, b, s, c, alpha: _scalar(s=s),
        example=(("s", "scalar"), ("a", (3, 5)), ("b", (5, 4)), ("alpha", "scalar")),
    ),
    Rule(
        "decay",
        ("subtract", "c", ("multiply", "s", ("multiply", "w", "c"))),
        lambda c, s, w: (1 - s * w) * c,
        when=lambda c, s, w: _scalar(s=s, w=w),
        example=(("s", "scalar"), ("w", "scalar")),
    ),
)
