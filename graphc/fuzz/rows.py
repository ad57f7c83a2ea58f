"""The table of calls: how to call each op, and each function that builds nodes of several ops, at random.

Element-wise ops are called by their record: as many operands as their code reads, drawn from their domain. Everything
else has a row in ROWS: its name, and a function of (rng, pool) that gives the operands and options of one call, or None
where no candidate fits. Most rows are made by `unary` or `elementwise`.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from graphc.fuzz.calls import (
    DTYPES,
    Candidate,
    Code,
    Draw,
    Options,
    Row,
    an_order,
    another_shape,
    axis_of_one,
    elementwise,
    elementwise_row,
    floating,
    has_axes,
    new_axis,
    not_empty,
    one_axis,
    some_axes,
    unary,
)
from graphc.fuzz.fitting import (
    arange_row,
    classified_row,
    clip_row,
    dot_row,
    dropout_row,
    einsum_row,
    embedding_row,
    filled_row,
    getitem_row,
    grad_row,
    joined_row,
    labels_row,
    loss_row,
    matmul_row,
    outer_row,
    probable_row,
    recurrence_row,
    split_row,
    stretch_row,
    take_row,
    tensordot_row,
    where_row,
)
from graphc.ir import OPS


def norm_axes(rng: Random, c: Candidate) -> dict[str, Any]:
    return {"ord": Code(rng.choice(("1", "2", "3", "np.inf"))), **one_axis(rng, c)}


def spread_axes(rng: Random, c: Candidate) -> dict[str, Any]:
    return {**some_axes(rng, c), **({"ddof": 1} if rng.random() < 0.3 else {})}


def moved_axes(rng: Random, c: Candidate) -> dict[str, Any]:
    count = rng.randint(1, c.ndim)
    axes = [tuple(rng.sample(range(c.ndim), count)) for _ in range(2)]
    return {"source": axes[0], "destination": axes[1]}


def two_axes(rng: Random, c: Candidate) -> dict[str, Any]:
    return {"axis1": rng.randrange(c.ndim), "axis2": rng.randrange(-c.ndim, 0)}


def diagonal_axes(rng: Random, c: Candidate) -> dict[str, Any]:
    axes = rng.sample(range(c.ndim), 2)
    return {"offset": rng.randint(-2, 2), "axis1": axes[0], "axis2": axes[1]}


def matrix_like(c: Candidate) -> bool:
    return c.ndim > 1


NEAR = {"k": range(-2, 3)}


def one_of(**options: Sequence[Any]) -> Options:
    """Each option with one of its values."""
    return lambda rng, c: {key: rng.choice(values) for key, values in options.items()}


ROWS: dict[str, Row] = {
    # element by element, with options
    "astype": unary(lambda rng, c: {"dtype": rng.choice(DTYPES if c.within(0, 200) else DTYPES[:4])}),
    "clip": clip_row,
    "elu": elementwise(kinds="f", alpha=(0.5, 1.0, 2.0)),
    "gelu": elementwise(kinds="f", approximate=("none", "tanh")),
    "leaky_relu": elementwise(kinds="f", slope=(0.01, 0.3)),
    "round": elementwise(kinds="fiu", decimals=(0, 1, -1)),
    "where": where_row,
    # shapes
    "broadcast_to": stretch_row,
    "concatenate": joined_row(new_axis=False),
    "diag": unary(one_of(**NEAR), lambda c: c.ndim in (1, 2)),
    "diagonal": unary(diagonal_axes, matrix_like),
    "expand_dims": unary(new_axis),
    "flip": unary(one_axis, has_axes),
    "getitem": getitem_row,
    "moveaxis": unary(moved_axes, has_axes),
    "pad": unary(one_of(widths=(0, 1, (0, 2), (3, 1)), constant_values=(0, 0, 1)), has_axes),
    "ravel": unary(),
    "repeat": unary(lambda rng, c: {"repeats": rng.randint(0, 3), **one_axis(rng, c)}, has_axes),
    "reshape": unary(another_shape),
    "roll": unary(lambda rng, c: {"shift": rng.randint(-3, 3), **one_axis(rng, c)}, has_axes),
    "split": split_row,
    "squeeze": unary(axis_of_one),
    "stack": joined_row(new_axis=True),
    "swapaxes": unary(two_axes, has_axes),
    "tile": unary(lambda rng, c: {"reps": tuple(rng.randint(1, 3) for _ in range(c.ndim))}),
    "transpose": unary(an_order),
    "tril": unary(one_of(**NEAR), matrix_like),
    "triu": unary(one_of(**NEAR), matrix_like),
    # tensors from nothing
    "arange": arange_row,
    "eye": lambda rng, pool: Draw([], {"rows": pool.size(), "columns": pool.size(), "k": rng.randint(-2, 2)}),
    "full": filled_row("value=3"),
    "ones": filled_row(),
    "zeros": filled_row(),
    # reductions
    "all": unary(some_axes),
    "any": unary(some_axes),
    "argmax": unary(one_axis, lambda c: has_axes(c) and not_empty(c)),
    "argmin": unary(one_axis, lambda c: has_axes(c) and not_empty(c)),
    "cumsum": unary(one_axis, has_axes),
    "length": unary(some_axes, floating),
    "logsumexp": unary(some_axes, not_empty),
    "max": unary(some_axes, not_empty),
    "mean": unary(some_axes, not_empty),
    "min": unary(some_axes, not_empty),
    "norm": unary(norm_axes, lambda c: floating(c) and has_axes(c)),
    "prod": unary(some_axes),
    "recurrence": recurrence_row,
    "std": unary(spread_axes, lambda c: floating(c) and not_empty(c)),
    "sum": unary(some_axes),
    "var": unary(spread_axes, lambda c: floating(c) and not_empty(c)),
    # along an axis
    "layer_norm": unary(one_axis, lambda c: floating(c) and has_axes(c)),
    "log_softmax": unary(one_axis, has_axes),
    "softmax": unary(one_axis, has_axes),
    "standardize": unary(one_axis, lambda c: floating(c) and has_axes(c)),
    # products
    "dot": dot_row,
    "einsum": einsum_row,
    "matmul": matmul_row,
    "outer": outer_row,
    "tensordot": tensordot_row,
    # indices that are data
    "embedding": embedding_row,
    "in_range": labels_row(takes_x=False),
    "one_hot": labels_row(takes_x=False),
    "pick": labels_row(takes_x=True),
    "softmax_nll": labels_row(takes_x=True),
    "take": take_row(along=False),
    "take_along_axis": take_row(along=True),
    # losses
    "binary_cross_entropy": probable_row,
    "cross_entropy": classified_row,
    "huber": loss_row,
    "mae": loss_row,
    "mse": loss_row,
    "sigmoid_cross_entropy": loss_row,
    "softmax_cross_entropy": classified_row,
    # the rest
    "dropout": dropout_row,
    "grad": grad_row,
}

EXEMPT = {
    "input": "a leaf",
    "param": "a leaf",
    "const": "a leaf",
    "extent": "made by mean of a symbolic axis",
    "copy": "made by fuse",
    "gemm": "made by fold",
    "batched_dot": "made by matmul",
    "gather": "made by take and x[...]",
    "scatter_add": "made by the gradient of take",
    "slice": "made by x[...]",
    "paste": "made by pad and the gradient of x[...]",
    "wrap_index": "made by take",
    "random_bits": "made by dropout",
    "custom_gradient": "its gradient is what the user says",
}
"""What of the op table is never called by itself, and why."""


def rows() -> dict[str, Row]:
    """How to call everything that can be called, by name."""
    records = {name: elementwise_row(op) for name, op in OPS.items() if op.arity is not None and name not in EXEMPT}
    return {**records, **ROWS}
