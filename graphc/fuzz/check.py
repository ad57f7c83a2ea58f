"""The oracles: what must hold of every graph, each compared with something that does not share its mistakes.

types       each value has the dtype and the shape that its node says
passes      after each pass the graph is valid, and has the values of the user's own nodes, in float64
gradients   a directional derivative is what central differences say, in float64
functions   one compiled function, called several times with other sizes, inputs and params, computes what the
            interpreter computes, within the bound of bounds.py; nothing else changes
guards      an index out of range, or a loss that is not finite, raises before any param changes
"""

from __future__ import annotations

import contextlib
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import graphc as gc
from graphc.backend.jit import as_python
from graphc.errors import GraphcError
from graphc.fuzz import script
from graphc.fuzz.bounds import distance, spread, ulps
from graphc.fuzz.gradients import GradientCrashError, wrong_gradient
from graphc.fuzz.recipe import Array, Built, Recipe, build
from graphc.graph import Graph, Guard
from graphc.ir import INPUT, Node
from graphc.passes import GRAPH_PASSES
from graphc.reference import concrete_shape, run, run_step
from graphc.request import graph_of
from graphc.verify import verify

HUGE = 1e6
"""Gradients and next values beyond this are not compared: they come from a kink or a pole."""


@dataclass(frozen=True)
class Failure:
    """What is wrong with a recipe. `kind` says which promise is broken; `tail` is code that fails after the graph's."""

    kind: str
    message: str
    tail: list[str]


def check(recipe: Recipe, native: bool = False) -> Failure | None:
    """The first promise that this recipe's graph breaks. `native`: compiled by Numba; else the emitted Python runs."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _first_failure(recipe, native)


def _first_failure(recipe: Recipe, native: bool) -> Failure | None:
    tail = script.compiling(recipe)
    try:
        built = build(recipe)
        tail = script.calling(built)
        graphs = passed(built)
        failure = wrong_type(built) or wrong_pass(built, graphs) or wrong_gradient(built)
        if failure is not None:
            return Failure(*failure)
        return _wrong_function(built, graphs, native)
    except GradientCrashError as crash:
        return _crash(crash.__cause__ or crash, crash.tail)
    except Exception as error:  # whatever it is, a graph that could be built must not end so
        return _crash(error, tail)


def _crash(error: BaseException, tail: list[str]) -> Failure:
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "fuzz" not in Path(frame.filename).parts]
    where = f"{Path(frames[-1].filename).stem}.{frames[-1].name}" if frames else "fuzz"
    where = "emitted code" if where.startswith("<") else where
    return Failure(f"{type(error).__name__} in {where}", "".join(traceback.format_exception(error)), tail)


# ---- types ----------------------------------------------------------------------------------------------------------


def wrong_type(built: Built) -> tuple[str, str, list[str]] | None:
    """A step whose value, as NumPy computes it, has not the dtype and shape that its node says."""
    steps = [(at, node) for at, node in enumerate(built.nodes) if isinstance(node, Node)]
    values = run([*(node for _, node in steps), *built.inputs], built.recipe.feeds(0))
    sizes = built.recipe.sizes_at(0)
    for (at, node), value in zip(steps, values, strict=False):
        if value.dtype != node.dtype or value.shape != concrete_shape(node.shape, sizes):
            message = f"n{at} is {node.type}, NumPy makes {value.dtype}{list(value.shape)}"
            return "type", message, script.typing(built, at)
    return None


# ---- passes ---------------------------------------------------------------------------------------------------------


def passed(built: Built) -> list[Graph]:
    """The graph as compile() makes it, and after each pass; every one valid."""
    graphs = [graph_of(built.outputs, **built.options)]
    for change in GRAPH_PASSES:
        graphs.append(change(graphs[-1]))
        verify(graphs[-1])
    return graphs


def wrong_pass(built: Built, graphs: Sequence[Graph]) -> tuple[str, str, list[str]] | None:
    """The first pass after which some value is another, at the first call."""
    feeds = built.recipe.feeds(0)
    truth = run([*built.roots, *built.inputs], feeds, "float64")[: len(built.roots)]
    allowed: list[float] | None = None
    for number, graph in enumerate(graphs[1:]):
        outputs, updates = run_step(graph, feeds, "float64")
        found = [*outputs, *(updates[param] for param, _ in built.rows)]
        for at, (value, true) in enumerate(zip(found, truth, strict=True)):
            if not comparable(true) or distance(value, true) <= 1e-13 * np.max(np.abs(true), initial=0.0):
                continue
            allowed = allowed or spread(built.roots, built.inputs, feeds, truth, double=True)
            roots = [*graph.outputs, *(dict(graph.updates)[param] for param, _ in built.rows)]
            bound = allowed[at] + spread([roots[at]], built.inputs, feeds, [value], double=True)[0]
            bound += ulps(true, np.dtype(float)) + float(np.finfo(np.float32).tiny)  # a folded constant may underflow
            if distance(value, true) > bound:
                name = GRAPH_PASSES[number].__name__
                message = f"after {name}, value {at} is off by {distance(value, true):.3g}, allowed are {bound:.3g}"
                return f"values after {name}", message, script.passing(built, number + 1, at, bound)
        unmet = _unmet(built, graph, feeds)
        if unmet is not None and _unmet(built, graphs[0], feeds) is None:  # in float32 a loss may be NaN by itself
            return "unmet guard", f"a guard does not hold: {unmet.rule}", script.calling(built)
    return None


def _unmet(built: Built, graph: Graph, feeds: dict[str, Array]) -> Guard | None:
    """The first guard that does not hold."""
    return next((guard for guard in graph.guards if not run([guard.condition, *built.inputs], feeds)[0]), None)


def comparable(true: Array) -> bool:
    """Whether a true value is one that a computation must come near to."""
    return true.dtype.kind != "f" or bool(np.max(np.abs(true), initial=0.0) < HUGE)


# ---- functions ------------------------------------------------------------------------------------------------------


def _wrong_function(built: Built, graphs: Sequence[Graph], native: bool) -> Failure | None:
    with contextlib.nullcontext() if native else as_python():
        function = gc.compile(built.outputs, **built.options)
    for call in range(built.recipe.calls):
        if not _guarded(built, graphs[0], built.recipe.feeds(call)):
            return None  # an earlier call made labels that are out of range
        with _unchanged(built, function) as changed:
            failure = _wrong_call(built, graphs[-1], function, call)
            if failure is not None:
                return failure
        if changed:
            return Failure("changed", f"{changed[0]} changed in call {call}", script.calling(built))
        if not all(comparable(param.value) for param, _ in built.rows if isinstance(param, gc.Param)):
            return None
    return _ignored_guard(built, graphs[0], function)


def _guarded(built: Built, graph: Graph, feeds: dict[str, Array]) -> bool:
    """Whether all guards hold."""
    conditions = [guard.condition for guard in graph.guards if guard.limit is not None]
    try:
        return all(run([*conditions, *built.inputs], feeds)[: len(conditions)])
    except IndexError:
        return False


@contextlib.contextmanager
def _unchanged(built: Built, function: gc.Function) -> Iterator[list[str]]:
    """Collects the params that changed without being updated."""
    updated = {param for param, _ in built.rows}
    before = {param: param.value.copy() for param in function.params if param not in updated}
    changed: list[str] = []
    yield changed
    changed += [str(param.name) for param, value in before.items() if not np.array_equal(param.value, value)]


def _wrong_call(built: Built, final: Graph, function: gc.Function, call: int) -> Failure | None:
    feeds = built.recipe.feeds(call)
    given = {name: array.copy() for name, array in feeds.items()}
    roots = [*built.roots, *built.inputs]
    truth = run(roots, feeds, "float64")[: len(built.roots)]
    plain = run(roots, feeds)[: len(built.roots)]
    if not all(map(comparable, (*truth, *plain))):
        return None  # an earlier call moved the params to where nothing is certain
    before = {param: param.value.copy() for param, _ in built.rows if isinstance(param, gc.Param)}
    results = function(**given)
    found = [*results, *(param.value for param, _ in built.rows if isinstance(param, gc.Param))]
    for name, array in given.items():
        if not np.array_equal(array, feeds[name]):
            return Failure("changed", f"input {name} changed in call {call}", script.calling(built))
    for at, (value, own, true) in enumerate(zip(found, plain, truth, strict=True)):
        bound = _bound(built, final, call, at, own, true, value, before)
        if distance(np.asarray(value), true if own.dtype.kind == "f" else own) > bound:
            error = distance(np.asarray(value), true)
            message = f"call {call}: value {at} is off by {error:.3g}, allowed are {bound:.3g}"
            return Failure("values of the function", message, script.calling(built, call, at, bound))
    return None


def _bound(
    built: Built,
    final: Graph,
    call: int,
    at: int,
    own: Array,
    true: Array,
    value: object,
    before: dict[gc.Param, Array],
) -> float:
    """How far this value may be off; see bounds.py. Where rounding decides an integer, it may be anything."""
    if own.dtype.kind != "f":
        return 0.0 if np.array_equal(own, true) or distance(np.asarray(value), own) == 0 else float("inf")
    bound = 2 * distance(own, true) + ulps(true, own.dtype)
    if distance(np.asarray(value), true) <= bound:
        return bound
    feeds = {**built.recipe.feeds(call), **{str(param.name): array for param, array in before.items()}}
    roots = [*final.outputs, *(dict(final.updates)[param] for param, _ in built.rows)]
    return bound + spread([roots[at]], built.inputs, feeds, [true])[0]


# ---- guards ---------------------------------------------------------------------------------------------------------


def _ignored_guard(built: Built, graph: Graph, function: gc.Function) -> Failure | None:
    """A call that must raise, and must leave all params as they are, but does not."""
    for feeds, name in _forbidden(built, graph):
        before = [param.value.copy() for param in function.params]
        try:
            function(**feeds)
        except GraphcError:
            if all(np.array_equal(p.value, value) for p, value in zip(function.params, before, strict=True)):
                continue
            return Failure("guard", f"a param changed though {name} is bad", script.raising(built, name, feeds[name]))
        return Failure("guard", f"no error though {name} is bad", script.raising(built, name, feeds[name]))
    return None


def _forbidden(built: Built, graph: Graph) -> Iterator[tuple[dict[str, Array], str]]:
    """Inputs with one index out of range; inputs that make the loss NaN."""
    call = built.recipe.calls - 1
    for guard in graph.guards:
        feeds = built.recipe.feeds(call)
        watched = guard.watched
        if guard.limit is not None and watched.op is INPUT and feeds[str(watched.name)].size:
            feeds[str(watched.name)].reshape(-1)[-1] = min(5000, np.iinfo(watched.dtype).max)
            if not run([guard.condition, *built.inputs], feeds)[0]:
                yield feeds, str(watched.name)
    floats = [node for node in built.inputs if node.type.floating]
    for node in floats if built.optimizer is not None else []:
        feeds = built.recipe.feeds(call)
        if not _guarded(built, graph, feeds):
            continue
        feeds[str(node.name)] = np.full_like(feeds[str(node.name)], np.nan)
        with contextlib.suppress(ValueError):  # a NaN made an integer may have no meaning
            if np.isnan(run([*built.roots, *built.inputs], feeds)[0]).all():
                yield feeds, str(node.name)
