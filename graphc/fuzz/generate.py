"""Random recipes whose float32 and float64 values can be compared.

A step is kept only if its values in float64 are finite and moderate, and if they hardly move when all leaves move a
little: then no comparison, rounding or choice in the graph hangs on the last bits.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random
from typing import Any

import numpy as np

from graphc.errors import GraphcError
from graphc.fuzz.calls import MAX_NDIM, Candidate, Draw, Pool, Row, broadcasts
from graphc.fuzz.recipe import Array, Call, Leaf, Recipe, Step, step_of
from graphc.fuzz.rows import rows
from graphc.ir import Node
from graphc.reference import concrete_shape, run
from graphc.sizes import Shape
from graphc.types import shape_of

LARGEST = 1e3
"""No value of a recipe is larger."""

MOVED, MOVES = 1e-5, 2
"""Leaves are moved by this relative distance, this many times; about 100 roundings of float32."""

STEADY = 1e-3
"""How far a value may then move, relative to the largest of its tensor: an error may grow a hundredfold."""

MEANINGLESS = (GraphcError, IndexError, TypeError, ValueError, RuntimeWarning)
"""What graphc or NumPy raises for a step that has no value."""

ELEMENTS = 600
"""No tensor is larger, but for one long axis."""


def steady(value: Array, moved: Sequence[Array]) -> bool:
    """Whether a value is finite and moderate, and stays where it is when the leaves move."""
    if value.dtype.kind != "f":
        return all(np.array_equal(value, other) for other in moved) and bool(np.all(np.abs(value.astype(float)) < 1e9))
    largest = float(np.max(np.abs(value), initial=0.0))
    if not largest <= LARGEST:
        return False
    return all(float(np.max(np.abs(value - other), initial=0.0)) <= STEADY * largest for other in moved)


class BrokenError(Exception):
    """A step, the last of these, ended in an error that no step may end in: the recipe stops here, for check to see."""

    def __init__(self, steps: tuple[Step, ...]) -> None:
        super().__init__()
        self.steps = steps


@dataclass
class Growing:
    """A recipe under construction: its steps, their nodes and their values, as they are and moved."""

    rng: Random
    sizes: dict[str, list[int]]
    axis_sizes: list[int | str]
    steps: list[Step] = field(default_factory=list)
    nodes: list[Any] = field(default_factory=list)
    values: list[list[Array]] = field(default_factory=list)

    def pool(self, newest: bool = False) -> Pool:
        found = [
            Candidate(at, node, self.values[at][0]) for at, node in enumerate(self.nodes) if isinstance(node, Node)
        ]
        return Pool(self.rng, found, self.axis_sizes, newest)

    def add(self, step: Step) -> int | None:
        """The new step's number; None, with nothing added, if the step has no node or no steady values."""
        name = f"n{len(self.steps)}"
        try:
            if isinstance(step, Leaf) and not self.moderate(shape_of(step.shape)):
                return None
            node = step_of(step, name, self.nodes)
            if isinstance(node, Node) and not self.moderate(node.shape):
                return None
            values = self.values_of(step, node)
        except MEANINGLESS:
            return None
        except Exception as error:
            raise BrokenError((*self.steps, step)) from error
        if isinstance(node, Node) and not steady(values[0], values[1:]):
            return None
        self.steps.append(step)
        self.nodes.append(node)
        self.values.append(values)
        return len(self.steps) - 1

    def moderate(self, shape: Shape) -> bool:
        """Whether a tensor of this shape has not too many axes and elements."""
        sizes = concrete_shape(shape, {name: values[0] for name, values in self.sizes.items()})
        longest = max((size for size in self.axis_sizes if isinstance(size, int)), default=0)
        return len(sizes) <= MAX_NDIM and math.prod(sizes) <= max(ELEMENTS, 2 * longest)

    def values_of(self, step: Step, node: Any) -> list[Array]:
        if not isinstance(node, Node):
            return [np.asarray(node)] * (1 + MOVES)
        if isinstance(step, Leaf):
            return leaf_values(step, {name: values[0] for name, values in self.sizes.items()}, 0)
        known = [(each, values) for each, values in zip(self.nodes, self.values, strict=True) if isinstance(each, Node)]
        inputs = [n for n, s in zip(self.nodes, self.steps, strict=True) if isinstance(s, Leaf) and s.kind == "input"]
        return [
            run([node, *inputs], {}, "float64", {each: values[k] for each, values in known})[0]
            for k in range(1 + MOVES)
        ]

    def draw(self, drawn: Draw, name: str) -> int | None:
        """The number of the step that makes this call; its new leaves come first."""
        before = len(self.steps)
        operands: list[int | None] = []
        for each in drawn.operands:
            operands.append(self.add(each) if isinstance(each, Leaf) else each.at)
        if None not in operands:
            at = self.add(Call(name, tuple(o for o in operands if o is not None), drawn.text(name)))
            if at is not None:
                return at
        del self.steps[before:], self.nodes[before:], self.values[before:]
        return None


def leaf_values(leaf: Leaf, sizes: dict[str, int], call: int) -> list[Array]:
    """A leaf's values in float64, as they are and moved."""
    array = leaf.array(sizes, call)
    if array.dtype.kind != "f":
        return [array] * (1 + MOVES)
    value = array.astype(np.float64)
    moving = np.random.default_rng([leaf.seed, call, 1])
    return [value, *(value * (1 + MOVED * moving.normal(size=value.shape)) for _ in range(MOVES))]


@cache
def _rows() -> dict[str, Row]:
    return rows()


def generate(seed: int, number: int) -> Recipe:
    """Recipe `number` of this seed: always the same."""
    rng, name = Random(f"graphc/{seed}/{number}"), f"seed {seed}, graph {number}"
    growing = _start(rng)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _grow(growing)
            return _finished(growing, name)
    except BrokenError as broken:
        sizes = tuple((size, tuple(values)) for size, values in growing.sizes.items())
        return pruned(Recipe(broken.steps, (len(broken.steps) - 1,), 1, sizes, name=name))


def _grow(growing: Growing) -> None:
    """Adds 1 to 30 calls, as many as fit."""
    rng, names = growing.rng, sorted(_rows())
    wanted = rng.choice((1, 2, 3, 5, 8, 12, 16, 20, 25, 30))
    made, name = 0, ""
    for _ in range(4 * wanted):
        # What is done twice in a row is what many rules are about.
        again = bool(name) and rng.random() < 0.12
        name = name if again else rng.choice(names) if rng.random() < 0.8 else rng.choice(OFTEN)
        drawn = _rows()[name](rng, growing.pool(again))
        made += drawn is not None and growing.draw(drawn, name) is not None
        if made >= wanted:
            break


OFTEN = ("add", "dot", "dot", "multiply", "negative", "subtract", "sum", "sum", "transpose")


def _start(rng: Random) -> Growing:
    """The sizes of axes, and the first leaves."""
    sizes: dict[str, list[int]] = {}
    for name in ("a", "b")[: rng.choices((0, 1, 2), (5, 4, 1))[0]]:
        sizes[name] = rng.sample((1, 2, 3, 4, 5, 7, 9), 3)
        if rng.random() < 0.15:
            sizes[name][rng.randrange(3)] = 0
    fixed: list[int | str] = [*rng.sample((2, 3, 4, 5, 6, 8), 2)]
    odd = rng.random()
    fixed += [0] if odd < 0.04 else [40] if odd < 0.07 else [rng.choice((700, 2000, 6000))] if odd < 0.11 else []
    growing = Growing(rng, sizes, [*fixed, *sizes])
    pool = growing.pool()
    for _ in range(rng.randint(1, 5)):
        growing.add(_leaf(rng, pool, pool.shape()))
    if not growing.steps:
        growing.add(Leaf("param", (3,), "float32", rng.randrange(10**6)))
    return growing


def _leaf(rng: Random, pool: Pool, shape: list[int | str]) -> Leaf:
    dtype = rng.choices(("float32", "float64", "int64", "int32", "uint8", "bool"), (10, 4, 1, 1, 1, 1))[0]
    low, high = (-2, 2) if dtype.startswith("float") else (0, 2) if dtype == "bool" else (0, 6)
    if dtype.startswith("float") and rng.random() < 0.3:
        low, high = 0.5, 2  # type: ignore[assignment]
    leaf = pool.leaf(shape, dtype, low, high)
    assert leaf is not None
    return leaf


# ---- what the graph is for ------------------------------------------------------------------------------------------


def _finished(growing: Growing, name: str) -> Recipe:
    """The recipe with a loss, updates and outputs."""
    rng = growing.rng
    read = {at for step in growing.steps if isinstance(step, Call) for at in step.operands}
    sinks = [at for at, step in enumerate(growing.steps) if isinstance(step, Call) and at not in read]
    loss = _loss(growing, sinks)
    optimizer = ""
    if loss is not None and rng.random() < 0.45:
        optimizer = rng.choice(OPTIMIZERS)
    updates = _updates(growing) if rng.random() < 0.35 else ()
    outputs = [at for at in sinks if loss is None or rng.random() < 0.5][:4]
    if rng.random() < 0.15:
        outputs.append(rng.choice([at for at, node in enumerate(growing.nodes) if isinstance(node, Node)]))
    if loss is not None:
        outputs.insert(0 if optimizer else rng.randint(0, len(outputs)), loss)
    if not outputs and not updates:
        outputs = [len(growing.nodes) - 1]
    recipe = Recipe(tuple(growing.steps), tuple(outputs), 1, (), optimizer, updates, name)
    return pruned(_with_calls(recipe, growing))


OPTIMIZERS = (
    "gc.SGD(0.1)",
    "gc.SGD(0.1, weight_decay=0.3)",
    "gc.SGD(0.05, weight_decay=0.2)",
    "gc.SGD(0.1, momentum=0.9)",
    "gc.SGD(0.1, momentum=0.9, weight_decay=0.2)",
    "gc.SGD(0.1, momentum=0.8, nesterov=True)",
    "gc.SGD(0.1, momentum=0.8, nesterov=True, weight_decay=0.1)",
    "gc.SGD(0.1, clip_value=0.5, clip_norm=1.0)",
    "gc.SGD(0.1, momentum=0.9, accumulate=2)",
)


def _loss(growing: Growing, sinks: list[int]) -> int | None:
    """A scalar step that depends on some of the last results."""
    rng = growing.rng
    floats = [at for at in sinks if growing.nodes[at].type.floating]
    terms: list[int] = []
    for at in rng.sample(floats, min(len(floats), rng.randint(1, 4))):
        term = _scalar(growing, at)
        if term is not None:
            terms.append(term)
    if len(terms) < 2:
        return terms[0] if terms else None
    return growing.add(Call("add", tuple(terms), " + ".join(f"{{{at}}}" for at in range(len(terms)))))


def _scalar(growing: Growing, at: int) -> int | None:
    """A scalar of one step: a weighted sum, or a mean."""
    node = growing.nodes[at]
    if not node.shape:
        return at
    weights = growing.pool().leaf(node.shape, str(node.dtype), -1.0, 1.0)
    weight = growing.add(weights) if weights is not None and growing.rng.random() < 0.7 else None
    if weight is not None:
        found = growing.add(Call("sum", (at, weight), "gc.sum({0} * {1})"))
        if found is not None:
            return found
    return growing.add(Call("mean", (at,), growing.rng.choice(("gc.mean({0})", "gc.sum({0})", "gc.mean({0} * {0})"))))


def _updates(growing: Growing) -> tuple[tuple[int, int], ...]:
    """Next values for some params: other steps of their type, or formulas of them."""
    rng = growing.rng
    params = [at for at, step in enumerate(growing.steps) if isinstance(step, Leaf) and step.kind == "param"]
    found: list[tuple[int, int]] = []
    for param in rng.sample(params, min(len(params), rng.randint(1, 2))):
        own = growing.nodes[param]
        same = [at for at, node in enumerate(growing.nodes) if isinstance(node, Node) and node.type == own.type]
        near = [
            at
            for at, node in enumerate(growing.nodes)
            if isinstance(node, Node) and node.dtype == own.dtype and broadcasts(node.shape, own.shape)
        ]
        value: int | None = rng.choice(same)
        if rng.random() < 0.5:
            text = rng.choice(
                ("{0} + {1}", "{1} * {0}", "{0} - 0.5 * {1}", "{1} - {0}.T", "{0}.T", "gc.max({0}) - {1}")
            )
            value = growing.add(Call("update", (param, rng.choice(near)), text))
        if value is not None and growing.nodes[value].type == own.type:
            found.append((param, value))
    return tuple(found)


# ---- several calls --------------------------------------------------------------------------------------------------


def _with_calls(recipe: Recipe, growing: Growing) -> Recipe:
    """The recipe with up to three calls, each of other sizes and inputs, as long as its values are steady."""
    sizes = {name: [values[0]] for name, values in growing.sizes.items()}
    calls = 1
    for call in (1, 2):
        told = {name: values[call] for name, values in growing.sizes.items()}
        first = {name: values[0] for name, values in growing.sizes.items()}
        usable = next((each for each in (told, first) if _steady_at(recipe, growing.nodes, each, call)), None)
        if usable is None:
            break
        calls += 1
        for name, size in usable.items():
            sizes[name].append(size)
    kept = tuple((name, tuple(values)) for name, values in sizes.items())
    return Recipe(recipe.steps, recipe.outputs, calls, kept, recipe.optimizer, recipe.updates, recipe.name)


def _steady_at(recipe: Recipe, nodes: Sequence[Any], sizes: dict[str, int], call: int) -> bool:
    """Whether every step has steady values, and not too many, for these sizes and this call's inputs."""
    wanted = [node for node in nodes if isinstance(node, Node)]
    if any(np.prod(concrete_shape(node.shape, sizes)) > 100 * ELEMENTS for node in wanted):
        return False  # the product of symbolic sizes may outgrow the memory
    leaves: dict[Node, list[Array]] = {}
    for step, node in zip(recipe.steps, nodes, strict=True):
        if isinstance(step, Leaf) and step.kind != "number":
            if isinstance(step.high, str) and sizes[step.high] <= step.low:
                return False
            leaves[node] = leaf_values(step, sizes, call)
    try:
        variants = [run(wanted, {}, "float64", {n: v[k] for n, v in leaves.items()}) for k in range(1 + MOVES)]
    except MEANINGLESS:
        return False
    return all(steady(value, moved) for value, *moved in zip(*variants, strict=True))


# ---- less of a recipe -----------------------------------------------------------------------------------------------


def pruned(recipe: Recipe) -> Recipe:
    """The recipe without the steps that nothing needs, numbered anew."""
    needed: set[int] = set()
    stack = [*recipe.outputs, *(at for row in recipe.updates for at in row)]
    while stack:
        at = stack.pop()
        if at not in needed:
            needed.add(at)
            step = recipe.steps[at]
            stack += step.operands if isinstance(step, Call) else ()
    needed |= _telling(recipe, needed)
    return renumbered(recipe, sorted(needed), lambda at: at)


def _telling(recipe: Recipe, needed: set[int]) -> set[int]:
    """One more input for each symbolic size that the needed inputs do not tell."""
    told = {size for at in needed & set(recipe.inputs) for size in _shape(recipe, at)}
    more: set[int] = set()
    for name, _ in recipe.sizes:
        teller = next((at for at in recipe.inputs if name in _shape(recipe, at)), None)
        if name not in told and teller is not None:
            more.add(teller)
            told.update(_shape(recipe, teller))
    return more


def _shape(recipe: Recipe, at: int) -> tuple[int | str, ...]:
    step = recipe.steps[at]
    return step.shape if isinstance(step, Leaf) else ()


def renumbered(recipe: Recipe, kept: Sequence[int], instead: Callable[[int], int]) -> Recipe:
    """The recipe of the steps `kept`, in which what was read at `at` is read at `instead(at)`."""
    number = {at: new for new, at in enumerate(kept)}

    def new(at: int) -> int:
        return number[instead(at)]

    steps = [recipe.steps[at] for at in kept]
    return Recipe(
        tuple(s if isinstance(s, Leaf) else Call(s.op, tuple(map(new, s.operands)), s.text) for s in steps),
        tuple(map(new, recipe.outputs)),
        recipe.calls,
        recipe.sizes,
        recipe.optimizer,
        tuple((new(param), new(value)) for param, value in recipe.updates),
        recipe.name,
    )
