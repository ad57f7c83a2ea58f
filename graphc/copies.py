"""Many models in one call: one step, compiled once, runs on the params of each of them.

A step works on a table of addresses (backend/table.py). A call of many writes a table for each thread and moves it from
model to model: what differs between two models lies a stride apart. The models are shared out among the threads, each
one runs on one thread, with the machine code that it would have alone; so its bits are those that it would have alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphc.arguments import as_input, fitting, in_order
from graphc.backend.build import Interpreted, Machine, build
from graphc.backend.imports import import_lines
from graphc.backend.table import (
    ARENA,
    ARENA_BYTES,
    FIRST_GUARD,
    OK,
    SCALARS,
    STEPS,
    THREADS,
    Rows,
    array_results,
    scalar_results,
)
from graphc.errors import GraphcError, GraphError, InputError, NonFiniteError
from graphc.function import Function
from graphc.graph import Graph
from graphc.inspect.failure import guard_error
from graphc.ir import Node
from graphc.optim import Optimizer
from graphc.reference import concrete_shape, in_structure
from graphc.report import Watch
from graphc.state import Param, ParamCopies, aligned

Array = np.ndarray[Any, Any]

HEAD = ("code", "models", "shares", "width", "tables", "strides_at", "statuses_at", "counts")
"""The words before the table: the step's code; how many models there are, and in how many shares they are run; the
words of a table; the addresses of a table for each share, of what lies between one model's word and the next one's for
each word of the table, and of each model's status; 1 if a step changes params."""

SHARES = 4
"""Shares for each thread: few, since each has buffers of its own, but enough that no thread waits long for another."""

ALIGNED = 8
"""Words of a cache line."""

MOST_TOLD = 10
"""The most models that an error names."""


def _text() -> str:
    """The text of the module, the same for all steps."""
    words = [f"head[{at}]" for at in range(len(HEAD))]
    text = f"""
@region
def share(tile, address):
    head = array_at(address - {8 * len(HEAD)}, ({len(HEAD)},), i64)
    {", ".join(HEAD)} = {", ".join(words)}
    first, strides = array_at(address, (width,), i64), array_at(strides_at, (width,), i64)
    table_at = tables + 8 * width * tile
    table, statuses = array_at(table_at, (width,), i64), array_at(statuses_at, (models,), i64)
    arena_bytes = first[{ARENA_BYTES}] // shares
    for model in range(models * tile // shares, models * (tile + 1) // shares):
        for row in range(width):
            table[row] = first[row] + model * strides[row]
        table[{ARENA}], table[{ARENA_BYTES}] = first[{ARENA}] + tile * arena_bytes, arena_bytes
        table[{THREADS}] = 1
        statuses[model] = run_step(code, table_at)


@step_function
def step(address):
    head = array_at(address - {8 * len(HEAD)}, ({len(HEAD)},), i64)
    {", ".join(HEAD)} = {", ".join(words)}
    table, statuses = array_at(address, (width,), i64), array_at(statuses_at, (models,), i64)
    run_tiles(share, shares, address, table[{THREADS}])
    failed, done = {OK}, 0
    for model in range(models):
        if statuses[model] == {OK}:
            done = counts
        elif failed == {OK}:
            failed = statuses[model]
    table[{STEPS}] += done
    return failed
"""
    return f"{import_lines(text)}\n\n{text}"


class Copies(Function):
    """What compile(..., copies=n) returns: a Function whose call runs the step of n models.

    params: each with a live array `.value` of shape `(n, *shape)`. An input is shared by all models, or has one more
    leading axis, of n. What a call returns has that axis too: n losses, as a float64 array. profile() and to_html() are
    of the step of one model.
    """

    def __init__(
        self,
        graph: Graph,
        structure: Any,
        optimizer: Optimizer | None,
        threads: int | None,
        watch: Watch,
        models: int,
    ) -> None:
        self.models = models
        self._given: list[Array] | None = None  # the inputs of the call that is running
        super().__init__(graph, structure, optimizer, threads, watch)
        self.params = tuple(node.copies(models) for node in graph.params if isinstance(node, Param))

    def _entered(self, rows: Rows) -> tuple[Array, Machine | Interpreted, int]:
        shares = 1 if self.threads == 1 else min(self.models, SHARES * self.threads)
        width = -(-rows.count // ALIGNED) * ALIGNED
        self._rows, self._statuses = rows, np.zeros(self.models, np.int64)
        self._tables, self._strides = aligned(np.zeros((shares, width), np.int64)), np.zeros(width, np.int64)
        addresses = [each.ctypes.data for each in (self._tables, self._strides, self._statuses)]
        memory = np.zeros(len(HEAD) + width, np.int64)
        memory[: len(HEAD)] = [self._code.address, self.models, shares, width, *addresses, bool(self._graph.updates)]
        self._strides[SCALARS] = 8 * len(scalar_results(self._plan))
        for buffer in self._plan.program.stored:
            if isinstance(buffer.node, Param):
                self._strides[rows.address[buffer]] = self._live(buffer.node).strides[0]
        return memory[len(HEAD) :], build(_text(), f"{self._graph.name}, many times"), shares

    def _live(self, node: Node) -> Array:
        return node.copies(self.models).value if isinstance(node, Param) else super()._live(node)

    def _like(self, graph: Graph, outputs: list[Node]) -> Function:
        return Copies(graph, outputs, None, self.threads, Watch(), self.models)

    # ---- calling ----------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs one step of each model: scalars come back as arrays (models,), others as `(models, *shape)`.

        Raises InputError, in which case no param has changed; and NonFiniteError, if a model's loss is not finite: then
        that model's params have not, while the other models have taken the step.
        """
        arrays = self._arrays(args, kwargs)
        self._check_labels(arrays)
        ones = _of_model(0, self.inputs, arrays)
        results = [np.empty((self.models, *one.shape), one.dtype) for one in self._new_results(ones)]
        rows = [self._rows.address[buffer] for buffer in (*self._plan.program.inputs, *array_results(self._plan))]
        stacks = [
            *(array.ndim > node.ndim for node, array in zip(self.inputs, arrays, strict=True)),
            *(True for _ in results),
        ]
        with self._lock:
            self._strides[rows] = [
                array.strides[0] if stack else 0 for stack, array in zip(stacks, [*arrays, *results], strict=True)
            ]
            self._given = arrays
            try:
                self._run(self._enter_locked, ones, [result[0] for result in results])
            finally:
                self._strides[rows], self._given = 0, None
            return self._packed(results)

    def run(self, steps: int, *args: Any, **kwargs: Any) -> Array:
        """As Function.run; the losses are (steps, models)."""
        super().run(0, *args, **kwargs)  # checks what it is given
        losses = np.empty((steps, self.models))
        for step in range(steps):
            losses[step] = self(*args, **kwargs)
        return losses

    def _arrays(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Array]:
        values = in_order(self._graph.name, self.inputs, args, kwargs)
        return [self._array(node, value) for node, value in zip(self.inputs, values, strict=True)]

    def _array(self, node: Node, value: Any) -> Array:
        """An input as the step takes it, of all models or of each; in memory that no step writes."""
        array = self._stack(node, value) if _axes(value) == node.ndim + 1 else as_input(node, value)
        if array.dtype is node.dtype and not any(np.may_share_memory(array, each) for each in self._written):
            return array
        made = np.empty(array.shape, node.dtype)
        made[...] = array
        return made

    def _stack(self, node: Node, value: Any) -> Array:
        """An input of each model."""
        if len(value) != self.models:
            raise InputError(
                f"input {node.name} wants {node.type} for all models, or the same with a leading axis of "
                f"{self.models}, one for each; got shape {np.shape(value)} ({node.where})"
            )
        if isinstance(value, np.ndarray):
            fitting(node, value[0])
            return np.require(value, node.dtype, ["C", "ALIGNED"])
        return np.stack([as_input(node, each) for each in value])

    def _packed(self, results: list[Array]) -> Any:
        arrays, scalars = iter(results), iter(self._by_output(self._told[0]))
        return in_structure(self.outputs, [next(arrays if node.shape else scalars) for node in self._graph.outputs])

    def _by_output(self, scalars: Sequence[float] | Array) -> list[Array]:
        """The scalar results of all models, an array for each output."""
        count = len(scalar_results(self._plan))
        return [*np.array(scalars)[: self.models * count].reshape(self.models, count).T.copy()]

    def memory(self, **sizes: int) -> int:
        return len(self._tables) * super().memory(**sizes)

    def choose(self, model: int) -> None:
        """Gives the params themselves the values of one model, so that functions of one model have them."""
        for each in self.params:
            assert isinstance(each, ParamCopies)
            each.param.value = each.value[model]

    # ---- errors -----------------------------------------------------------------------------------------------------

    def _check_labels(self, arrays: Sequence[Array]) -> None:
        """InputError for labels of one model that are out of range, before another has taken its step."""
        given = dict(zip(self.inputs, arrays, strict=True))
        sizes = self._told_sizes(_of_model(0, self.inputs, arrays))
        for guard in self._graph.guards:
            labels = given.get(guard.watched)
            if guard.limit is None or labels is None or labels.ndim == guard.watched.ndim:
                continue
            (size,) = concrete_shape((guard.limit.size,), sizes)
            outside = (labels < (-size if guard.limit.from_end else 0)) | (labels >= size)
            if outside.any():
                model = int(np.argwhere(outside)[0][0])
                error = guard_error(self._graph, guard, _of_model(model, self.inputs, arrays), 0.0)
                raise InputError(f"of model {model}: {error}")

    def _error(self, status: int, arrays: Sequence[Array]) -> GraphcError:
        if status < FIRST_GUARD:
            return super()._error(status, arrays)
        failed = np.flatnonzero(self._statuses)
        guard = self._graph.guards[self._statuses[failed[0]] - FIRST_GUARD]
        if guard.limit is not None:
            own = arrays if self._given is None else _of_model(failed[0], self.inputs, self._given)
            error = guard_error(self._graph, guard, own, 0.0, "its params are as before, which others may not be")
            return InputError(f"of model {failed[0]}: {error}")
        losses = self._scalars.reshape(self.models, -1)[failed, 0]
        which = ", ".join(map(str, failed[:MOST_TOLD])) + ", ..." * (len(failed) > MOST_TOLD)
        return NonFiniteError(
            f"the loss of model {failed[0]} is {losses[0]} (made at {guard.watched.where}); not finite: "
            f"{len(failed)} of {self.models} models ({which}). Their params are as before this step, which the others "
            'have taken; compile(..., on_nonfinite="ignore") lets all go on'
        )

    @property
    def njit(self) -> Callable[..., Any]:
        """GraphError: native code takes the step of one model."""
        raise GraphError("f.njit is the step of one model, and this function has many: compile it without copies=")


def _axes(value: Any) -> int:
    """How many axes an input has; -1 if that is not to be told: as_input says why."""
    try:
        return -1 if np.ma.is_masked(value) else np.ndim(value)
    except ValueError:
        return -1


def _of_model(model: int, inputs: Sequence[Node], arrays: Sequence[Array]) -> list[Array]:
    """The inputs of one model."""
    return [array[model, ...] if array.ndim > node.ndim else array for node, array in zip(inputs, arrays, strict=True)]
