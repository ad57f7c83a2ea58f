"""What compile() returns: a function that binds memory, runs the step, and says what is wrong with a call."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc.arguments import as_input, in_order
from graphc.backend.build import Interpreted, Machine
from graphc.backend.table import (
    ARENA,
    ARENA_BYTES,
    ARENA_TOO_SMALL,
    BUSY,
    FIRST_GUARD,
    SCALARS,
    THREADS,
    Rows,
    array_results,
    rows_of,
    scalar_results,
)
from graphc.errors import GraphcError, InputError
from graphc.graph import Graph, axis_of_each_size
from graphc.inspect.dump import tell
from graphc.inspect.face import Inspected
from graphc.inspect.failure import check_sizes, guard_error
from graphc.ir import Node
from graphc.kernel import ALIGNMENT, Plan
from graphc.optim import LearningRate, Optimizer
from graphc.pipeline import run_pipeline
from graphc.reference import concrete_shape, in_structure
from graphc.report import Watch
from graphc.request import graph_of
from graphc.runtime import native
from graphc.runtime.threads import chosen, start
from graphc.state import Param, ParamCopies
from graphc.training.face import Trained
from graphc.training.step import Step

Array = np.ndarray[Any, Any]


RESPONSE = 0.1
"""Seconds of native code after which `run` looks whether to stop."""


class Function(Inspected, Trained):
    """A compiled step. Call it with arrays in the order of `inputs`, or by name.

    inputs, outputs, params, optimizer: what it was compiled from. stages: the text of each stage. source: the emitted
    Python. models: how many it trains.
    """

    models = 1

    def __init__(
        self, graph: Graph, structure: Any, optimizer: Optimizer | None, threads: int | None, watch: Watch
    ) -> None:
        compiled = run_pipeline(graph, watch)
        self.inputs = graph.inputs
        self.outputs = structure
        self.optimizer = optimizer
        self._rate = LearningRate("none", 0.0) if optimizer is None else optimizer.learning_rate
        self.params: tuple[Param | ParamCopies, ...] = tuple(node for node in graph.params if isinstance(node, Param))
        self.stages, self.source = compiled.stages, compiled.source
        self._graph, self._plan, self._code = compiled.graph, compiled.plan, compiled.code
        self._passed = compiled.passed
        self._result_types = [buffer.type for buffer in array_results(self._plan)]
        self._seconds = watch.seconds
        self.threads, self._why_threads = chosen(threads)
        start(self.threads)
        self._axis_of = axis_of_each_size(self.inputs)
        self._check_sizes = functools.partial(check_sizes, self._graph, self._axis_of)
        self._lock = threading.RLock()  # a schedule may look at the function
        self._njit: Callable[..., Any] | None = None
        self._measured: dict[tuple[Node, ...], Function] = {}
        self._bind_memory()
        self._step = self._as_step()
        tell(self)

    def _bind_memory(self) -> None:
        """The table that the step works on, and the doors to it; the arena follows at the first call."""
        program, rows = self._plan.program, rows_of(self._plan)
        self._scalars = np.zeros(max(1, self.models * len(scalar_results(self._plan))))
        self._told = np.zeros((1, len(self._scalars)))
        self._memory = [self._live(buffer.node) for buffer in program.stored]
        self._table, self._entry, shares = self._entered(rows)
        self._busy = self._table[BUSY : BUSY + 1]
        self._table[SCALARS] = self._scalars.ctypes.data
        self._table[THREADS] = self.threads
        for buffer, array in zip(program.stored, self._memory, strict=True):
            self._table[rows.address[buffer]] = array.ctypes.data
        slots = [
            native.Slot(buffer.type.dtype, len(buffer.type.shape), rows.address[buffer], rows.shape.get(buffer))
            for buffer in (*program.inputs, *array_results(self._plan))
        ]
        self._written = [self._live(param) for param, _ in self._graph.updates]
        self._arena = Arena(self._plan, self._table, shares)
        self._door = native.Door(
            self._entry,
            self._table,
            self._busy,
            self._scalars,
            slots,
            self._memory,
            self._written,
            self._arena.grow,
            ARENA_TOO_SMALL,
        )
        self._enter = self._door.function()  # for one scalar
        self._enter_locked = self._door.function(self._told)
        self._returns_a_float = isinstance(self.outputs, Node) and not self._result_types

    def _entered(self, rows: Rows) -> tuple[Array, Machine | Interpreted, int]:
        """A table, what is called with it, and for how many threads' steps at a time the arena is."""
        return np.zeros(rows.count, np.int64), self._code, 1

    def _live(self, node: Node) -> Array:
        """The memory of a param, or of a constant."""
        return node.value if isinstance(node, Param) else np.array(node.options["literal"].array)

    # ---- calling ----------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the step: scalars come back as floats, other values as new arrays.

        Raises InputError or NonFiniteError, in which case no param has changed.
        """
        if self._returns_a_float and not kwargs:
            if self._rate.schedule is None:
                loss = self._enter(*args)
            else:
                with self._rate.lock:  # so that a rate is for one step
                    self._rate.prepare(self.steps)
                    loss = self._enter(*args)
            if type(loss) is float:
                return loss
        arrays = self._arrays(args, kwargs)
        results = self._new_results(arrays)
        with self._lock:  # one array of told scalars
            self._run(self._enter_locked, arrays, results)
            return self._packed(results)

    def run(self, steps: int, *args: Any, **kwargs: Any) -> Array:
        """Runs the step so many times on the same inputs, in native code; the first output of each, as float64.

        Ctrl-C stops between two steps. Raises what a call raises; the steps before the one that fails are done.
        """
        if not self._returns_a_float:
            raise InputError(f"run() is for a function of one scalar, {self._graph.name} returns {self.outputs}")
        arrays = self._arrays(args, kwargs)
        losses = np.empty(steps)
        done, share = 0, 1
        with self._lock:
            while done < steps:
                start = time.perf_counter()
                enter = self._enter if share == 1 else self._door.function(losses[done : done + share, None])
                losses[done] = self._run(enter, arrays, [])
                done += share
                possible = 1 + int(share * RESPONSE / (time.perf_counter() - start))
                share = min(steps - done, possible if self._rate.schedule is None else 1)
        return losses

    def _run(self, enter: Callable[..., Any], arrays: Sequence[Array], results: Sequence[Array]) -> float:
        """Runs the step on arrays of its own types, at the rate that a schedule has for it; its first scalar result."""
        with self._rate.lock:
            self._rate.prepare(self.steps)
            answer = native.call(enter, *arrays, *results)
            if answer == native.UNSUITABLE and type(answer) is int:
                # They lie in memory that the step writes, and would change while they are read; or their dtype is an
                # object of its own, as an unpickled one is.
                arrays = [_copy(array, node) for node, array in zip(self.inputs, arrays, strict=True)]
                answer = native.call(enter, *arrays, *results)
        if type(answer) is int:
            raise self._error(answer, arrays)
        return answer

    def _arrays(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Array]:
        values = (
            args
            if not kwargs and len(args) == len(self.inputs)
            else in_order(self._graph.name, self.inputs, args, kwargs)
        )
        return [as_input(node, value) for node, value in zip(self.inputs, values, strict=True)]

    def _told_sizes(self, arrays: Sequence[Array]) -> dict[str, int]:
        """Each symbolic size's value by the first axis that has it; others may disagree."""
        return {name: arrays[at].shape[axis] for name, (at, axis) in self._axis_of.items()}

    def _new_results(self, arrays: Sequence[Array]) -> list[Array]:
        """Memory for the results; where axes disagree the step will say so before it writes."""
        sizes = self._told_sizes(arrays)
        shapes = [concrete_shape(t.shape, sizes) for t in self._result_types]
        return [
            np.empty([max(0, size) for size in s], t.dtype) for s, t in zip(shapes, self._result_types, strict=True)
        ]

    def _packed(self, results: list[Array]) -> Any:
        """The results in the structure that compile() was given."""
        if isinstance(self.outputs, Node) and not results:
            return float(self._told[0, 0])
        arrays, scalars = iter(results), iter(self._told[0].tolist())
        values = [next(arrays if node.shape else scalars) for node in self._graph.outputs]
        return in_structure(self.outputs, values)

    def _error(self, status: int, arrays: Sequence[Array]) -> GraphcError:
        """Why the step left early; nothing has changed."""
        raised = self._arena.error if status == ARENA_TOO_SMALL else self._code.error
        if raised is not None:
            raise raised
        if status < FIRST_GUARD:
            self._check_sizes(arrays)  # raises: it finds the axes that disagree
            raise AssertionError(f"status {status} for arrays that fit")
        return guard_error(self._graph, self._graph.guards[status - FIRST_GUARD], arrays, self._scalars[0])

    # ---- training ---------------------------------------------------------------------------------------------------

    def _measuring(self, scalars: Mapping[str, Node]) -> Step:
        """The step of a function of the same inputs that computes these nodes; compiled once."""
        key = tuple(scalars.values())
        if key not in self._measured:
            graph = graph_of(list(key), self.inputs, name=self._graph.name)
            self._measured[key] = self._like(graph, list(key))
        return self._measured[key]._step

    def _like(self, graph: Graph, outputs: list[Node]) -> Function:
        return Function(graph, outputs, None, self.threads, Watch())

    def _as_step(self) -> Step:
        program, rows = self._plan.program, rows_of(self._plan)
        return Step(
            name=self._graph.name,
            inputs=self.inputs,
            outputs=self.models * len(scalar_results(self._plan)),
            code=self._entry,
            table=self._table,
            busy=self._busy,
            scalars=self._scalars,
            end=rows.slots,
            input_rows=tuple((rows.address[buffer], rows.shape[buffer]) for buffer in program.inputs),
            result_rows=tuple(rows.address[buffer] for buffer in array_results(self._plan)),
            written=self._written,
            lock=self._lock,
            rate=self._rate,
            live=self._live,
            call=self._all_results,
            by_output=self._by_output,
            results=self._new_results,
            check=self._check_sizes,
            grow=self._arena.grow,
            error=self._error,
        )

    def _by_output(self, scalars: Sequence[float]) -> list[Any]:
        """The scalar results, a value for each output."""
        return [*scalars]

    def _all_results(self, arrays: Sequence[Array]) -> tuple[Array, list[Array]]:
        """Runs the step on arrays of its own types; its scalar results, and those that are arrays."""
        results = self._new_results(arrays)
        with self._lock:
            self._run(self._enter_locked, arrays, results)
            return np.array(self._told[0]), results

    @property
    def njit(self) -> Callable[..., Any]:
        """The same function for the user's own `@numba.njit` code; made, and Numba imported, when first asked for.

        Scalars come back as float64, arrays as new arrays, lists as tuples, dicts as named tuples. Raises what a call
        raises, from native code; for wrong dtypes and numbers of axes when Numba compiles the caller. GraphError if
        the outputs are a dict whose keys cannot name fields, or if the learning rate has a schedule.
        """
        if self._njit is None:
            self._rate.check_native()
            from graphc.embed import embedded, imitated

            if isinstance(self._code, Interpreted):
                self._njit = imitated(self, self.outputs)
            else:
                self._njit = embedded(self._graph, self.outputs, self._result_types, len(self._scalars), self._door)
            self._rate.in_native_code = True
        return self._njit

    # ---- memory -----------------------------------------------------------------------------------------------------

    def memory(self, **sizes: int) -> int:
        """The bytes of the step's own buffers for these symbolic sizes, beside params, inputs and results."""
        if set(sizes) != set(self._plan.program.sizes):
            wanted = ", ".join(self._plan.program.sizes) or "none"
            raise InputError(f"memory() wants the sizes {wanted}, got {', '.join(sizes) or 'none'}")
        return self._plan.memory(sizes)


class Arena:
    """The step's own buffers, for `shares` steps at a time.

    They are made at the first call, and anew at one that needs more; `table` says where they lie.
    """

    def __init__(self, plan: Plan, table: Array, shares: int) -> None:
        self.memory = np.empty(0, np.uint8)
        self.error: BaseException | None = None
        self._plan, self._table, self._row_of, self._shares = plan, table, rows_of(plan).sizes, shares

    def grow(self) -> int:
        """Makes the arena as large as the sizes in the table want; if it cannot, 0, and `error` says why.

        Native code calls it, through which nothing may be raised: it sees to a Ctrl-C.
        """
        self.error = None
        try:
            self._make()
        except KeyboardInterrupt:
            self._make()
            return native.INTERRUPTED
        except BaseException as error:  # the caller raises it
            self.error = error
            return 0
        return 1

    def _make(self) -> None:
        need = self._shares * self._plan.memory({name: int(self._table[row]) for name, row in self._row_of.items()})
        self.memory = np.empty(need + ALIGNMENT, np.uint8)
        start = -self.memory.ctypes.data // ALIGNMENT * -ALIGNMENT
        self._table[ARENA], self._table[ARENA_BYTES] = start, need


def _copy(array: Array, node: Node) -> Array:
    """In memory of its own, with the very dtype object that the node has."""
    made = np.empty(array.shape, node.dtype)
    made[...] = array
    return made
