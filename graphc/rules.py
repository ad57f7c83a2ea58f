"""What is true of ops: the simplification table.

A row holds for every operand that its `before` admits, gives the same type, and its right side is smaller: it has fewer
matrix products, or as many and fewer nodes, or as many of both and cheaper ones. So rewriting ends.
tests/test_rules.py runs both sides of each row.

STABLE rows replace a formula by one that cannot overflow. They are applied before differentiation too, because the
gradient of the better formula is the better gradient.
"""

from __future__ import annotations

import numpy as np

from graphc.ir import Node
from graphc.ops.activation import log_sigmoid
from graphc.ops.arithmetic import add, divide, multiply, negative
from graphc.ops.choice import astype
from graphc.ops.likelihood import sigmoid_nll, softmax_nll
from graphc.ops.pieces import window
from graphc.ops.product import dot, gemm
from graphc.ops.reduce import sum
from graphc.ops.shape import broadcast_to, reshape, transpose
from graphc.ops.softmax import log_softmax
from graphc.rewrite import Rule
from graphc.sizes import Shape, typical
from graphc.types import broadcast


def _last_axis(z: Node, axis: int) -> bool:
    return axis == z.ndim - 1


def _composed(x: Node, inner: tuple[int, ...], outer: tuple[int, ...]) -> Node:
    return transpose(x, tuple(inner[axis] for axis in outer))


SPAN = {"starts": "starts", "steps": "steps", "sizes": "sizes"}


def _sliced_twice(
    x: Node, a: Shape, s: tuple[int, ...], m: Shape, starts: Shape, steps: tuple[int, ...], sizes: Shape
) -> Node:
    first = tuple(start + step * then for start, step, then in zip(a, s, starts, strict=True))
    return window(x, first, tuple(one * other for one, other in zip(s, steps, strict=True)), sizes)


def _summed_twice(x: Node, inner: tuple[int, ...], kept: bool, outer: tuple[int, ...], keepdims: bool) -> Node:
    """One sum over the axes of both; the outer ones are counted without the inner, if those are gone."""
    left = [axis for axis in range(x.ndim) if kept or axis not in inner]
    return sum(x, tuple({*inner, *(left[axis] for axis in outer)}), keepdims=keepdims)


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
    Rule("exp-less-one", ("subtract", ("exp", "x"), 1.0), ("expm1", "x")),
    Rule("log-of-one-more", ("log", ("add", 1.0, "x")), ("log1p", "x")),
    Rule("log1p-expm1", ("log1p", ("expm1", "x")), "x"),
    Rule("root-of-square", ("sqrt", ("multiply", "x", "x")), ("abs", "x")),
    Rule("square-of-abs", ("multiply", ("abs", "x"), ("abs", "x")), ("multiply", "x", "x")),
    Rule("square-of-root", ("multiply", ("sqrt", "x"), ("sqrt", "x")), "x", example=(("x", "positive"),)),
    Rule("abs-abs", ("abs", ("abs", "x")), ("abs", "x")),
    Rule("abs-neg", ("abs", ("negative", "x")), ("abs", "x")),
    Rule("relu-relu", ("relu", ("relu", "x")), ("relu", "x")),
    Rule("max-self", ("maximum", "x", "x"), "x"),
    Rule("min-self", ("minimum", "x", "x"), "x"),
    Rule("add-int-zero", ("add", "x", 0), "x", when=lambda x: not x.type.floating, example=(("x", "integers"),)),
    Rule("where-same", ("where", "c", "x", "x"), "x", example=(("c", "bools"),)),
    Rule(
        "where-not",
        ("where", ("logical_not", "c"), "x", "y"),
        ("where", "c", "y", "x"),
        when=lambda c, x, y: c.dtype == bool,
        example=(("c", "bools"),),
    ),
    Rule("not-not", ("logical_not", ("logical_not", "c")), "c", example=(("c", "bools"),)),
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
        "same-slice",
        ("slice", "x", SPAN),
        lambda x, starts, steps, sizes: x,
        when=lambda x, starts, steps, sizes: sizes == x.shape and set(steps) == {1},
        example=(("starts", (0, 0)), ("steps", (1, 1)), ("sizes", (3, 4))),
    ),
    Rule(
        "slice-slice",
        ("slice", ("slice", "x", {"starts": "a", "steps": "s", "sizes": "m"}), SPAN),
        _sliced_twice,
        example=(
            *(("a", (2, 3)), ("s", (-1, -2)), ("m", (3, 2))),
            *(("starts", (1, 1)), ("steps", (1, -1)), ("sizes", (2, 2))),
        ),
    ),
    Rule(
        "slice-of-paste",
        ("slice", ("paste", "x", {"starts": "starts", "steps": "steps", "shape": "shape"}), SPAN),
        lambda x, starts, steps, sizes, shape: x,
        when=lambda x, starts, steps, sizes, shape: sizes == x.shape,
        example=(("starts", (1, 0)), ("steps", (1, 2)), ("shape", (5, 8)), ("sizes", (3, 4))),
    ),
    Rule(
        "cast-cast",
        ("astype", ("astype", "x", {"dtype": "wide"}), {"dtype": "dtype"}),
        lambda x, wide, dtype: astype(x, dtype),
        when=lambda x, wide, dtype: np.can_cast(x.dtype, wide),
        example=(("x", "integers"), ("wide", "float64"), ("dtype", "float32")),
    ),
    Rule(
        "sum-sum",
        ("sum", ("sum", "x", {"axes": "inner", "keepdims": "kept"}), {"axes": "outer", "keepdims": "keepdims"}),
        _summed_twice,
        when=lambda x, inner, kept, outer, keepdims: kept == keepdims,
        example=(("inner", (0,)), ("kept", False), ("outer", (0,)), ("keepdims", False)),
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
    # BLAS reads its operands transposed or not at the same price; its result is then where it is wanted.
    Rule(
        "dot-of-transposes",
        ("dot", ("transpose", "x", {"axes": "axes"}), ("transpose", "y", {"axes": "axes"})),
        lambda x, y, axes: transpose(dot(y, x)),
        when=lambda x, y, axes: axes == (1, 0),
        example=(("x", (4, 3)), ("y", (5, 4)), ("axes", (1, 0))),
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

# ---- chains of products ---------------------------------------------------------------------------------------------
# Two affine maps without anything in between are one: simplify applies these rows to what does not train, where no one
# else wants the inner product and where it saves work. Symbolic sizes count as sizes.TYPICAL.


def _pays(x: Node, a: Node, b: Node, **rest: Node) -> bool:
    """Whether `x @ (a @ b)` has fewer multiplications than `(x @ a) @ b`."""
    if not x.ndim == a.ndim == b.ndim == 2 or any(node.ndim > 1 for node in rest.values()):
        return False
    rows, wide, inner, columns = (typical(size) for size in (*x.shape, a.shape[1], b.shape[1]))
    return wide * columns * (inner + rows) + inner * columns * len(rest) < rows * inner * (wide + columns)


CHAINS = (
    Rule(
        "product-of-product",
        ("dot", ("dot", "x", "a"), "b"),
        lambda x, a, b: dot(x, dot(a, b)),
        when=_pays,
        example=(("x", (50, 3)), ("a", (3, 40)), ("b", (40, 4))),
    ),
    Rule(
        "affine-after-affine",
        ("dot", ("add", ("dot", "x", "a"), "c"), "b"),
        lambda x, a, b, c: add(dot(x, dot(a, b)), dot(c, b)),
        when=lambda x, a, b, c: c.ndim == 1 and _pays(x, a, b, c=c),
        example=(("x", (50, 3)), ("a", (3, 40)), ("b", (40, 4)), ("c", (40,))),
    ),
)

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
