"""What made a loss NaN or infinite: the step's values once more, one by one, by the reference interpreter.

The params and the random state are those that the step read, since a step that fails changes none. Each value is looked
at and let go of when nobody needs it any more.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.graph import Graph, axis_of_each_size
from graphc.ir import Node, toposort
from graphc.kinds import Constant, Stored
from graphc.ops.functions import log
from graphc.ops.index import pick
from graphc.ops.likelihood import bernoulli_nll, xlogy
from graphc.reference import applied

Array = np.ndarray[Any, Any]

LOGITS = {
    pick: (0, "softmax_cross_entropy"),
    xlogy: (1, "softmax_cross_entropy"),
    bernoulli_nll: (0, "sigmoid_cross_entropy"),
}
"""What reads a prediction of probabilities: which operand it is, and the loss that takes logits instead."""


def story(graph: Graph, loss: Node, arrays: Sequence[Array]) -> str:
    """Lines on where the loss of a step became NaN or infinite.

    graph: as compiled, its first output being the loss; loss: as the user built it. Raises nothing: if the values
    cannot be computed again, that is told.
    """
    try:
        return "".join(f"\n  {line}" for line in _lines(graph, loss, Replay(graph, arrays)))
    except Exception as error:  # the user waits for another error: what went wrong here is a part of it
        return f"\n  which value made it so is unknown: to compute the values again failed with {error!r}"


# ---- the values -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What a value looks like: the range of its finite elements, and of those that are not how many, and the first."""

    low: float
    high: float
    size: int
    wrong: int = 0
    what: float = 0.0
    first: tuple[int, ...] = ()

    def __str__(self) -> str:
        if self.size == 0:
            return "empty"
        finite = f"{self.low:.4g}" if self.low == self.high else f"in [{self.low:.4g}, {self.high:.4g}]"
        if not self.wrong:
            return finite
        return self.fault if self.wrong == self.size else f"{finite}, but {self.fault}"

    @property
    def fault(self) -> str:
        """`nan at [3, 0], in 2 of 640 elements`."""
        if not self.first:
            return str(self.what)
        return f"{self.what} at {[*self.first]}, in {self.wrong} of {self.size} elements"


def look(value: Array) -> Seen:
    """What a value looks like; NaN and infinities are looked for only where there are any."""
    if not value.size:
        return Seen(0, 0, 0)
    low, high = float(value.min()), float(value.max())
    if np.isfinite(low) and np.isfinite(high):
        return Seen(low, high, value.size)
    finite = np.isfinite(value)
    first = tuple(int(at) for at in np.unravel_index(int(np.argmin(finite)), value.shape))
    low = float(np.min(value, where=finite, initial=np.inf))
    high = float(np.max(value, where=finite, initial=-np.inf))
    return Seen(low, high, value.size, int(value.size - finite.sum()), float(value[first]), first)


class Replay:
    """A step's values from its arrays and the params as they are."""

    def __init__(self, graph: Graph, arrays: Sequence[Array]) -> None:
        self._fed = dict(zip(graph.inputs, arrays, strict=True))
        axes = axis_of_each_size(graph.inputs)
        self._sizes = {name: arrays[at].shape[axis] for name, (at, axis) in axes.items()}

    def seen(self, roots: Sequence[Node]) -> dict[Node, Seen]:
        """What each node that the roots need looks like, in the order in which they are computed."""
        return self.run(roots)[0]

    def run(self, roots: Sequence[Node], kept: Collection[Node] = ()) -> tuple[dict[Node, Seen], dict[Node, Array]]:
        """The same, and the values of `kept`."""
        order = toposort(roots)
        readers = Counter(arg for node in order for arg in node.args)
        values: dict[Node, Array] = {}
        seen: dict[Node, Seen] = {}
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            for node in order:
                values[node] = self._value(node, values)
                seen[node] = look(values[node])
                for arg in node.args:
                    readers[arg] -= 1
                    if not readers[arg] and arg not in kept:
                        del values[arg]
        return seen, {node: values[node] for node in kept}

    def _value(self, node: Node, values: Mapping[Node, Array]) -> Array:
        if isinstance(node.op.kind, Stored):
            return self._fed[node] if node in self._fed else np.asarray(node.value)  # type: ignore[attr-defined]
        return applied(node, [values[arg] for arg in node.args], self._sizes, None)


# ---- the words ------------------------------------------------------------------------------------------------------


def _lines(graph: Graph, loss: Node, replay: Replay) -> Iterator[str]:
    seen = replay.seen(graph.outputs[:1])
    made = _sources(graph.outputs[0], seen)
    stored = [node for node in made if isinstance(node.op.kind, Stored)]
    if stored:
        updated = {param for param, _ in graph.updates}
        for node in stored:
            earlier = "; if a step wrote that, its gradient was not finite" if node in updated else ""
            yield f"{node.op.name} {node.name} holds {seen[node].fault} ({node.where}){earlier}"
    elif made:
        yield from _of_node(made[0], seen[made[0]], replay)
    else:
        floats = [node for node in seen if node.type.floating]
        most = max(floats, key=lambda node: max(abs(seen[node].low), abs(seen[node].high)))
        yield (
            "computed again by NumPy, which adds in another order and rounds otherwise, all values are finite; "
            f"the largest are those of {formula(_asked_for(most))} at {most.where}, {seen[most]}"
        )


def _sources(loss: Node, seen: Mapping[Node, Seen]) -> list[Node]:
    """The nodes that are not finite though all that they read is, in order, if it reaches the loss."""
    reached = {loss} if seen[loss].wrong else set()
    for node in reversed(list(seen)):
        if node in reached:
            reached.update(arg for arg in node.args if seen[arg].wrong)
    return [node for node in seen if node in reached and not any(seen[arg].wrong for arg in node.args)]


def _asked_for(node: Node) -> Node:
    """The node of the user's expression that a node was made for."""
    return node if node.origin is None else node.origin


def _of_node(node: Node, fault: Seen, replay: Replay) -> Iterator[str]:
    asked = _asked_for(node)
    what = f"the gradient of {formula(asked)}" if node.phase == "backward" else formula(asked)
    yield f"{what} at {asked.where} made the first value that is not finite: {fault.fault}; it reads"
    prediction = _prediction(asked)
    kept = [] if prediction is None else [prediction[0]]
    seen, values = replay.run([*asked.args, *kept], kept)
    for arg in dict.fromkeys(asked.args):
        if not isinstance(arg.op.kind, Constant) or arg.shape:
            yield f"  {formula(arg, 1)}: {arg.type}, {arg.where}, {seen[arg]}"
    if prediction is not None:
        yield from _logits(*prediction, seen[prediction[0]], values[prediction[0]])


def formula(node: Node, depth: int = 2) -> str:
    """`log(pick(softmax(...), y))`: a node as the user wrote it, so many calls deep."""
    if isinstance(node.op.kind, Constant):
        return str(node.options["literal"])
    if not node.args:
        return str(node.name or node.op.name)
    inner = [formula(arg, depth - 1) for arg in node.args] if depth else ["..."]
    return f"{node.op.name}({', '.join(inner)})"


def _prediction(node: Node) -> tuple[Node, str] | None:
    """The prediction whose logarithm a loss takes in `node`, and the loss that takes logits."""
    reader = node.args[0] if node.op is log else node
    if reader.op not in LOGITS:
        return None
    at, instead = LOGITS[reader.op]
    return reader.args[at], instead


def _logits(prediction: Node, instead: str, seen: Seen, value: Array) -> Iterator[str]:
    """A question, if a prediction cannot be probabilities."""
    if seen.wrong:
        return
    facts = f"values from {seen.low:.4g} to {seen.high:.4g}"
    if seen.low >= 0 and seen.high <= 1:
        sums = look(value.sum(-1, dtype=np.float64)) if instead.startswith("softmax") else Seen(1, 1, 1)
        if abs(sums.low - 1) < 1e-3 and abs(sums.high - 1) < 1e-3:
            return
        facts = f"rows that sum to {sums.low:.4g} up to {sums.high:.4g}"
    yield f"its prediction, {formula(prediction, 1)} at {prediction.where}, has {facts}: logits? use gc.{instead}"
