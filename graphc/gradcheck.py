"""Symbolic gradients against numeric ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc.errors import GradientError
from graphc.ir import Node, describe
from graphc.passes.differentiate import gradients, trainable
from graphc.reference import evaluate

STEP = np.cbrt(np.finfo(np.float64).eps)
"""The relative step of a central difference that balances truncation against rounding (Press et al., section 5.7)."""


def check_gradient(
    loss: Node, feeds: Mapping[str, Any], wrt: Node | Sequence[Node] | None = None, tolerance: float = 1e-6
) -> None:
    """Compares `grad(loss, wrt)` with central differences, element by element, all in float64.

    wrt: nodes to differentiate by; by default every trainable param that the loss depends on.
    tolerance: the largest error allowed, relative to the gradient's largest element (or to 1, if that is larger).
    Raises GradientError naming the worst element; ShapeError or DtypeError where there is no gradient.
    """
    nodes = trainable(loss) if wrt is None else [wrt] if isinstance(wrt, Node) else list(wrt)
    for node, gradient in zip(nodes, gradients(loss, nodes), strict=True):
        at = np.array(evaluate(node, feeds, "float64"))
        symbolic = np.array(evaluate(gradient, feeds, "float64"))
        numeric = numeric_gradient(loss, feeds, node, at)
        error = np.abs(symbolic - numeric)
        allowed = tolerance * max(1.0, float(np.max(np.abs(numeric), initial=0.0)))
        if error.size and not float(np.max(error)) <= allowed:
            worst = np.unravel_index(int(np.argmax(np.where(np.isnan(error), np.inf, error))), error.shape)
            raise GradientError(
                f"the gradient by {describe(node)} is wrong at {[int(i) for i in worst]}: "
                f"symbolic {symbolic[worst]:.12g}, numeric {numeric[worst]:.12g}, allowed error {allowed:.3g}"
            )


def numeric_gradient(loss: Node, feeds: Mapping[str, Any], node: Node, at: Any) -> Any:
    """The gradient of `loss` by `node` at the value `at`, from central differences."""
    gradient = np.zeros(at.shape)
    for position in np.ndindex(at.shape):
        step = STEP * max(1.0, abs(float(at[position])))
        sides = []
        for sign in (1.0, -1.0):
            moved = at.copy()
            moved[position] += sign * step
            sides.append((moved[position], float(evaluate(loss, feeds, "float64", given={node: moved}))))
        gradient[position] = (sides[0][1] - sides[1][1]) / (sides[0][0] - sides[1][0])
    return gradient
