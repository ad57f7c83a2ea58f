"""Why a step refused a call: native code tells a number, this tells the facts. Nothing has changed by then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc.errors import GraphcError, InputError, NonFiniteError
from graphc.graph import Graph, Guard
from graphc.inspect.nonfinite import story
from graphc.ops.reduce import count
from graphc.reference import concrete_shape, run, told
from graphc.remedies import remedy_of_array
from graphc.sizes import evaluate

Array = np.ndarray[Any, Any]


def check_sizes(graph: Graph, axis_of: Mapping[str, tuple[int, int]], arrays: Sequence[Array]) -> dict[str, int]:
    """The symbolic sizes' values; InputError where two axes disagree or a need is not met.

    axis_of: the input and the axis that tell each size.
    """
    sizes = {name: arrays[at].shape[axis] for name, (at, axis) in axis_of.items()}
    source = {name: f"axis {axis} of {graph.inputs[at].name}" for name, (at, axis) in axis_of.items()}
    for node, array in zip(graph.inputs, arrays, strict=True):
        for axis, (size, wanted) in enumerate(zip(node.shape, concrete_shape(node.shape, sizes), strict=True)):
            if array.shape[axis] != wanted:
                why = f" ({size} is {wanted} in {source[str(size)]})" if str(size) in source else ""
                raise InputError(
                    f"input {node.name} wants {node.type}, got shape {array.shape}: "
                    f"axis {axis} is {array.shape[axis]}, not {wanted}{why}; {node.name} is made at {node.where}"
                    f"{remedy_of_array(node, array)}"
                )
    for need, where in graph.needs:
        if evaluate(need.size, sizes) < 0:
            raise InputError(f"{where} needs {need.rule}, got {told(need.size, sizes)}")
    return sizes


def guard_error(
    graph: Graph, guard: Guard, arrays: Sequence[Array], loss: float, kept: str = "no param has changed"
) -> GraphcError:
    """The error for a guard that does not hold for these arrays. kept: what of the params is as it was."""
    if guard.limit is None:
        told = f"the loss is {loss} (made at {guard.watched.where}); {kept}"
        return NonFiniteError(told + story(graph, guard.watched, arrays))
    return _index_error(graph, guard, arrays, kept)


def _index_error(graph: Graph, guard: Guard, arrays: Sequence[Array], kept: str) -> InputError:
    feeds = {str(node.name): array for node, array in zip(graph.inputs, arrays, strict=True)}
    assert guard.limit is not None
    labels, size, *_ = run([guard.watched, count(guard.limit.size, np.int64), *graph.inputs], feeds)
    outside = (labels < (-size if guard.limit.from_end else 0)) | (labels >= size)
    position = tuple(int(at) for at in np.argwhere(outside)[0])
    what = "index" if guard.limit.from_end else "label"
    hint = "" if guard.limit.from_end else "labels count from 0; "
    error = InputError(
        f"{what} {labels[position]} at {[*position]} of {guard.watched.name or 'labels'} is outside "
        f"{guard.limit.range(size)}; {hint}{kept} ({guard.watched.where})"
    )
    error.found = guard.watched, position
    return error
