"""Recipes: random graphs as plain data.

    recipe := step*, the steps that are outputs, an optimizer, updates, the sizes of symbolic axes
    step   := Leaf | Call           step number k is called n<k>, and reads only earlier steps

A step is built by evaluating its own text, so the graph that is checked and the script that is printed are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

import graphc as gc
from graphc.ir import Node
from graphc.optim import Optimizer
from graphc.passes.differentiate import trainable
from graphc.state import Param

Array = np.ndarray[Any, Any]

DRAW = """\
def draw(seed, shape, dtype, low, high, whole=False):
    rng = np.random.default_rng(seed)
    if whole or not dtype.startswith("float"):
        return rng.integers(low, high, shape).astype(dtype)
    return np.asarray(rng.uniform(low, high, shape)).astype(dtype)
"""
_drawing: dict[str, Any] = {"np": np}
exec(DRAW, _drawing)
draw = _drawing["draw"]


@dataclass(frozen=True)
class Leaf:
    """An input, a param, a const, or a Python number; its values are random between `low` and `high`.

    A text in `shape` names a symbolic size; so may `high` (labels of a symbolic number of classes). `whole` floats are
    whole numbers, so that some are equal.
    """

    kind: str
    shape: tuple[int | str, ...] = ()
    dtype: str = "float32"
    seed: int = 0
    low: float = -2.0
    high: float | str = 2.0
    whole: bool = False

    def drawing(self, sizes: Mapping[str, int], call: int) -> str:
        """The code of the values at one call."""
        shape = tuple(sizes[size] if isinstance(size, str) else size for size in self.shape)
        high = sizes[self.high] if isinstance(self.high, str) else self.high
        seed = [self.seed, call] if self.kind == "input" else self.seed
        return f'draw({seed}, {shape}, "{self.dtype}", {self.low}, {high}{", whole=True" * self.whole})'

    def array(self, sizes: Mapping[str, int], call: int) -> Array:
        """The values at one call."""
        values: Array = eval(self.drawing(sizes, call), {"draw": draw})
        return values

    def code(self, name: str) -> str:
        if self.kind == "number":
            return repr(self.low)
        if self.kind == "input":
            return f'gc.input("{name}", {self.shape}, "{self.dtype}")'
        values = self.drawing({}, 0)
        return f"gc.const({values})" if self.kind == "const" else f'gc.param("{name}", {values})'


@dataclass(frozen=True)
class Call:
    """An op or a function of graphc applied to steps; `text` has {0}, {1}, ... where its operands stand."""

    op: str
    operands: tuple[int, ...]
    text: str

    def code(self, name: str) -> str:
        return self.text.format(*(f"n{at}" for at in self.operands))


Step: TypeAlias = "Leaf | Call"


@dataclass(frozen=True)
class Recipe:
    """A random graph. `sizes` has each symbolic size's value at each call; `optimizer` is code: `gc.SGD(0.1)`."""

    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    calls: int = 1
    sizes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    optimizer: str = ""
    updates: tuple[tuple[int, int], ...] = ()
    name: str = ""

    @property
    def inputs(self) -> list[int]:
        return [at for at, step in enumerate(self.steps) if isinstance(step, Leaf) and step.kind == "input"]

    @property
    def ops(self) -> list[Call]:
        return [step for step in self.steps if isinstance(step, Call)]

    def sizes_at(self, call: int) -> dict[str, int]:
        return {name: values[call] for name, values in self.sizes}

    def feeds(self, call: int) -> dict[str, Array]:
        """The inputs' values at one call, by name."""
        leaves = [(f"n{at}", leaf) for at, leaf in enumerate(self.steps) if isinstance(leaf, Leaf)]
        return {name: leaf.array(self.sizes_at(call), call) for name, leaf in leaves if leaf.kind == "input"}

    def lines(self) -> list[str]:
        """The code that builds each step."""
        return [f"n{at} = {step.code(f'n{at}')}" for at, step in enumerate(self.steps)]

    def arguments(self) -> str:
        """The arguments that compile() is called with."""
        listed = [f"[{', '.join(f'n{at}' for at in each)}]" for each in (self.outputs, self.inputs)]
        optimizer = ", optimizer=optimizer" if self.optimizer else ""
        updates = ", ".join(f"n{param}: n{value}" for param, value in self.updates)
        return f"{listed[0]}, inputs={listed[1]}{optimizer}{f', updates={{{updates}}}' if updates else ''}"


@dataclass
class Built:
    """A recipe's nodes, and what to compile. `rows` are the updates by their own formulas: (param, next value)."""

    recipe: Recipe
    nodes: list[Any]
    inputs: list[Node]
    outputs: list[Node]
    optimizer: Optimizer | None
    updates: dict[Param, Node]
    rows: list[tuple[Node, Node]]
    trained: list[int]

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments of compile()."""
        return {"inputs": self.inputs, "optimizer": self.optimizer, "updates": self.updates}

    @property
    def roots(self) -> list[Node]:
        """What a call is compared by: the outputs, then the params' next values."""
        return [*self.outputs, *(value for _, value in self.rows)]


def step_of(step: Step, name: str, nodes: list[Any]) -> Any:
    """The node of one step, or the number that it is."""
    scope = {"gc": gc, "np": np, "draw": draw, **{f"n{at}": node for at, node in enumerate(nodes)}}
    return eval(step.code(name), scope)


def build(recipe: Recipe) -> Built:
    """The recipe's graph, made by calling graphc."""
    nodes: list[Any] = []
    for at, step in enumerate(recipe.steps):
        nodes.append(step_of(step, f"n{at}", nodes))
    outputs = [nodes[at] for at in recipe.outputs]
    updates = {nodes[param]: nodes[value] for param, value in recipe.updates}
    optimizer: Optimizer | None = eval(recipe.optimizer, {"gc": gc}) if recipe.optimizer else None
    trained: list[int] = []
    rows: list[tuple[Node, Node]] = list(updates.items())
    if optimizer is not None:
        found = [param for param in trainable(outputs[0]) if param not in updates]
        trained = [nodes.index(param) for param in found]
        rows += optimizer.updates(found, gc.grad(outputs[0], found))
    return Built(recipe, nodes, [nodes[at] for at in recipe.inputs], outputs, optimizer, updates, rows, trained)
