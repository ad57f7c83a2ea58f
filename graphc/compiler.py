"""compile(): runs the pipeline, binds memory, and makes the function that a user calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from graphc.arguments import as_input
from graphc.backend import emit
from graphc.backend.jit import jit
from graphc.constants import as_node
from graphc.errors import GraphcError, GraphError, InputError, NonFiniteError
from graphc.graph import Graph, Guard
from graphc.ir import INPUT, PARAM, Limit, Node, describe, made_for, symbols_in, toposort
from graphc.kernel import ALIGNMENT, Gemm, Kernel, Plan
from graphc.ops.choice import isfinite
from graphc.ops.index import in_range
from graphc.ops.reduce import count
from graphc.optim import Optimizer
from graphc.passes import GRAPH_PASSES, fuse, plan
from graphc.passes.differentiate import check_loss
from graphc.reference import concrete_shape, flattened, in_structure, needs_of, run, told
from graphc.sizes import Size, evaluate, symbols
from graphc.state import Param
from graphc.verify import verify

Array = np.ndarray[Any, Any]


def compile(
    outputs: Any,
    *,
    inputs: Sequence[Node] | None = None,
    optimizer: Optimizer | None = None,
    updates: Mapping[Param, Node] | None = None,
    threads: int | None = None,
    name: str | None = None,
    on_nonfinite: str = "raise",
) -> Function:
    """A native function of `outputs`: a node, or a list or dict of nodes, returned in the same structure.

    inputs: the order of the call's arguments; by default the order in which they were made.
    optimizer: `outputs` is, or starts with, the loss; each call also updates every trainable param that it depends on.
    updates: next values for params, all computed from the old ones.
    threads: an upper bound. graphc's own loops run on the calling thread; only BLAS, by its own settings, uses more.
    on_nonfinite: "raise" raises NonFiniteError, with the params unchanged, for a loss that is NaN or infinite; "ignore"
    goes on.
    Raises GraphError for a graph that cannot be compiled.
    """
    if threads is not None and threads < 1:
        raise ValueError(f"threads is at least 1, got {threads}")
    return Function(graph_of(outputs, inputs, optimizer, updates, name, on_nonfinite), outputs, optimizer)


def graph_of(
    outputs: Any,
    inputs: Sequence[Node] | None = None,
    optimizer: Optimizer | None = None,
    updates: Mapping[Param, Node] | None = None,
    name: str | None = None,
    on_nonfinite: str = "raise",
) -> Graph:
    """The graph that compile() takes through the passes, with its guards; GraphError if it cannot be compiled."""
    if on_nonfinite not in ("raise", "ignore"):
        raise ValueError(f'on_nonfinite is "raise" or "ignore", got {on_nonfinite!r}')
    nodes = flattened(outputs) if isinstance(outputs, (Node, list, tuple, Mapping)) else [outputs]
    for node in nodes:
        if not isinstance(node, Node):
            raise GraphError(f"outputs are nodes, got {node!r}")
    if not isinstance(optimizer, (Optimizer, type(None))):
        raise GraphError(f"an optimizer is one of gc's, such as gc.SGD(lr=0.1), got {optimizer!r}")
    next_values = tuple((param, as_node(value)) for param, value in (updates or {}).items())
    if optimizer is not None or updates:
        next_values += _advancing([*nodes, *(value for _, value in next_values)], updates or {})
    graph = Graph(
        name or "step",
        _ordered_inputs([*nodes, *(value for _, value in next_values)], inputs),
        tuple(nodes),
        next_values,
        update_rule=None if optimizer is None else optimizer.updates,
    )
    if optimizer is not None:
        if not nodes:
            raise GraphError("an optimizer wants a loss: the first of the outputs")
        check_loss(nodes[0])
    finite = optimizer is not None and on_nonfinite == "raise"
    graph = _guarded(graph, finite)
    check(graph)
    return graph


def _advancing(roots: Sequence[Node], updates: Mapping[Param, Node]) -> tuple[tuple[Param, Node], ...]:
    """The updates of params that change by themselves at each step that trains, such as a counter of steps."""
    used = [node for node in toposort(roots) if isinstance(node, Param) and node not in updates]
    return tuple((param, param.next_value) for param in used if param.next_value is not None)


def _ordered_inputs(roots: Sequence[Node], inputs: Sequence[Node] | None) -> tuple[Node, ...]:
    used = [node for node in toposort(roots) if node.op is INPUT]
    if inputs is None:
        return tuple(sorted(used, key=lambda node: node.options["serial"]))
    for node in inputs:
        if not isinstance(node, Node) or node.op is not INPUT:
            raise GraphError(f"inputs= takes inputs, got {node!r}")
    missing = [node for node in used if node not in inputs]
    if missing:
        raise GraphError("inputs= leaves out what the outputs need:\n  " + "\n  ".join(map(describe, missing)))
    return tuple(inputs)


# ---- guards ---------------------------------------------------------------------------------------------------------


def _guarded(graph: Graph, finite: bool) -> Graph:
    """The graph with a guard for each integer that indexes, and one for the loss."""
    guards: list[Guard] = []
    for node in graph.nodes:
        if node.op.limits is not None:
            with made_for(node):
                guards += [_index_guard(limit) for limit in node.op.limits(*node.args, **node.options)]
    guards = list(dict.fromkeys(guards))
    if finite:
        loss = graph.outputs[0]
        guards.append(Guard(isfinite(loss), "the loss is finite", loss))
    needs = dict.fromkeys((need, node.where) for node in graph.nodes for need in needs_of(node))
    return replace(graph, guards=tuple(guards), needs=tuple(needs))


def _index_guard(limit: Limit) -> Guard:
    condition = in_range(limit.index, limit.size, limit.from_end)
    return Guard(condition, f"{limit.index.name or 'labels'} in {_range(limit, limit.size)}", limit.index, limit)


def _range(limit: Limit, size: Any) -> str:
    return f"range(-{size}, {size})" if limit.from_end else f"range({size})"


# ---- what a graph must satisfy --------------------------------------------------------------------------------------


def check(graph: Graph) -> None:
    """GraphError if the graph cannot be compiled."""
    if not graph.outputs and not graph.updates:
        raise GraphError("nothing to compute: compile() wants an output, an optimizer or updates")
    if len(set(graph.inputs)) < len(graph.inputs):
        raise GraphError(f"inputs= names an input twice: {', '.join(str(node.name) for node in graph.inputs)}")
    _check_names(graph)
    for param, value in graph.updates:
        if param.op is not PARAM:
            raise GraphError(f"only params are updated, got\n  {describe(param)}")
        if param.type != value.type:
            raise GraphError(f"an update has its param's type, got\n  {describe(param)}\n  {describe(value)}")
    _check_sizes(graph)
    verify(graph)


def _check_names(graph: Graph) -> None:
    """Inputs and params have names of their own, so that a call and a text can tell them apart."""
    leaves: dict[str, Node] = {}
    for leaf in (*graph.inputs, *graph.params):
        other = leaves.setdefault(str(leaf.name), leaf)
        if other is not leaf:
            raise GraphError(
                f"two different leaves are called {leaf.name!r}:\n  {describe(other)}\n  {describe(leaf)}\n"
                "  give one of them another name"
            )


def _check_sizes(graph: Graph) -> None:
    """Every symbolic size is the size of some input's axis, so that a call tells its value."""
    bound = {str(size) for node in graph.inputs for size in node.shape if isinstance(size, Size)}
    for node in graph.nodes:
        for name in sorted(symbols_in(node)):
            if name not in bound:
                raise GraphError(
                    f"no input has an axis of size {name!r}, which is needed by\n  {describe(node)}\n"
                    "  name one that has: compile(..., inputs=[...])"
                )


# ---- the compiled function ------------------------------------------------------------------------------------------


class Stages(Mapping[str, str]):
    """The text of each stage by name, in order; a text is made when it is asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], str]]) -> None:
        self._makers = dict(makers)

    def __getitem__(self, stage: str) -> str:
        return self._makers[stage]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


class Function:
    """A compiled step. Call it with arrays in the order of `inputs`, or by name.

    inputs, outputs, params, optimizer: what it was compiled from. stages: the text of each stage. source: the emitted
    Python.
    """

    def __init__(self, graph: Graph, structure: Any, optimizer: Optimizer | None) -> None:
        self.inputs = graph.inputs
        self.outputs = structure
        self.optimizer = optimizer
        self.params = tuple(node for node in graph.params if isinstance(node, Param))
        makers: dict[str, Callable[[], str]] = {"graph": graph.__str__}
        for change in GRAPH_PASSES:
            graph = change(graph)
            verify(graph)
            _check_names(graph)  # an optimizer's state is new
            makers[change.__name__] = graph.__str__
        program = fuse(graph)
        self._graph = graph
        self._plan: Plan = plan(program)
        self.source = emit.emit(self._plan)
        array_results = emit.array_results(self._plan)
        self._result_types = [buffer.type for buffer in array_results]
        types = [node.type for node in self.inputs]
        self._compiled = jit(self.source, graph.name, types, self._result_types)
        makers |= {"fuse": program.__str__, "plan": self._plan.__str__, "emit": lambda: self.source}
        self.stages = Stages({**makers, "llvm": self._compiled.llvm, "asm": self._compiled.assembly})
        self._axis_of = _axis_of_each_size(self.inputs)
        self._lock = threading.Lock()
        self._bind_memory()

    def _bind_memory(self) -> None:
        """The table of addresses that the native code reads; the arena follows at the first call."""
        self._scalars = np.zeros(max(1, len(emit.scalar_results(self._plan))))
        self._memory = [_live_array(buffer.node) for buffer in self._plan.program.stored]
        self._updated = [param.value for param, _ in self._graph.updates if isinstance(param, Param)]
        self._arena = np.empty(0, np.uint8)
        addresses = [array.ctypes.data for array in self._memory]
        self._table = np.array([0, 0, self._scalars.ctypes.data, *addresses], np.int64)

    def __str__(self) -> str:
        return f"{self.stages['graph']}\n{self.summary()}"

    def summary(self) -> str:
        """One line: what was compiled to how much."""
        items, nodes = self._plan.program.body, len(self._graph.nodes)
        kernels, products = (sum(isinstance(item, kind) for item in items) for kind in (Kernel, Gemm))
        return f"# {nodes} nodes -> {kernels} kernels, {products} matrix products, {len(self._plan.slots)} arena slots"

    # ---- calling ----------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the step: scalars come back as floats, other values as new arrays.

        Raises InputError or NonFiniteError, in which case no param has changed.
        """
        arrays = self._arrays(args, kwargs)
        results = self._new_results(arrays) if self._result_types else []
        with self._lock:  # one arena, one array of scalar results
            status = self._compiled.call(*arrays, *results, self._table)
            if status == emit.ARENA_TOO_SMALL:
                self._grow_arena(arrays)
                status = self._compiled.call(*arrays, *results, self._table)
            if status != emit.OK:
                raise self._error(status, arrays)
            return self._packed(results)

    def _arrays(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Array]:
        values = args if not kwargs and len(args) == len(self.inputs) else self._in_order(args, kwargs)
        arrays = [as_input(node, value) for node, value in zip(self.inputs, values, strict=True)]
        if self._updated:
            # A param's own memory given as an input would change while it is read.
            arrays = [array.copy() if self._overwrites(array) else array for array in arrays]
        return arrays

    def _overwrites(self, array: Array) -> bool:
        """Whether the step writes into this array's memory."""
        owner: Any = array
        while isinstance(owner, np.ndarray) and owner.base is not None:
            owner = owner.base
        if isinstance(owner, np.ndarray):
            return any(owner is memory for memory in self._updated)
        return any(np.may_share_memory(array, memory) for memory in self._updated)

    def _in_order(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        names = [str(node.name) for node in self.inputs]
        if len(args) > len(names):
            raise InputError(f"{self._graph.name} takes {len(names)} inputs ({', '.join(names)}), got {len(args)}")
        given = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name not in names:
                raise InputError(f"{self._graph.name} has no input {name!r}; its inputs are {', '.join(names)}")
            if name in given:
                raise InputError(f"input {name} is given twice")
            given[name] = value
        missing = [name for name in names if name not in given]
        if missing:
            raise InputError(f"{self._graph.name} also wants {', '.join(missing)}; its inputs are {', '.join(names)}")
        return [given[name] for name in names]

    def _told_sizes(self, arrays: Sequence[Array]) -> dict[str, int]:
        """Each symbolic size's value by the first axis that has it; others may disagree."""
        return {name: arrays[at].shape[axis] for name, (at, axis) in self._axis_of.items()}

    def _sizes(self, arrays: Sequence[Array]) -> dict[str, int]:
        """The symbolic sizes' values; InputError where two axes disagree."""
        sizes = self._told_sizes(arrays)
        source = {name: f"axis {axis} of {self.inputs[at].name}" for name, (at, axis) in self._axis_of.items()}
        for node, array in zip(self.inputs, arrays, strict=True):
            for axis, (size, wanted) in enumerate(zip(node.shape, concrete_shape(node.shape, sizes), strict=True)):
                if array.shape[axis] != wanted:
                    why = f" ({size} is {wanted} in {source[str(size)]})" if str(size) in source else ""
                    raise InputError(
                        f"input {node.name} wants {node.type}, got shape {array.shape}: "
                        f"axis {axis} is {array.shape[axis]}, not {wanted}{why}; {node.name} is made at {node.where}"
                    )
        for need, where in self._graph.needs:
            if evaluate(need.size, sizes) < 0:
                raise InputError(f"{where} needs {need.rule}, got {told(need.size, sizes)}")
        return sizes

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
            return float(self._scalars[0])
        arrays, scalars = iter(results), iter(self._scalars.tolist())
        values = [next(arrays if node.shape else scalars) for node in self._graph.outputs]
        return in_structure(self.outputs, values)

    def _error(self, status: int, arrays: Sequence[Array]) -> GraphcError:
        """Why the step left early; nothing has changed."""
        if status < emit.FIRST_GUARD:
            self._sizes(arrays)  # raises: it finds the axes that disagree
            raise AssertionError(f"status {status} for arrays that fit")
        guard = self._graph.guards[status - emit.FIRST_GUARD]
        if guard.limit is None:
            value = self._scalars[0]
            return NonFiniteError(f"the loss is {value} (made at {guard.watched.where}); no param has changed")
        return self._index_error(guard, arrays)

    def _index_error(self, guard: Guard, arrays: Sequence[Array]) -> InputError:
        feeds = {str(node.name): array for node, array in zip(self.inputs, arrays, strict=True)}
        assert guard.limit is not None
        labels, size, *_ = run([guard.watched, count(guard.limit.size, np.int64), *self.inputs], feeds)
        outside = (labels < (-size if guard.limit.from_end else 0)) | (labels >= size)
        position = tuple(int(at) for at in np.argwhere(outside)[0])
        what = "index" if guard.limit.from_end else "label"
        hint = "" if guard.limit.from_end else "labels count from 0; "
        return InputError(
            f"{what} {labels[position]} at {[*position]} of {guard.watched.name or 'labels'} is outside "
            f"{_range(guard.limit, size)}; {hint}no param has changed ({guard.watched.where})"
        )

    # ---- memory -----------------------------------------------------------------------------------------------------

    def memory(self, **sizes: int) -> int:
        """The bytes of the step's own buffers for these symbolic sizes, beside params, inputs and results."""
        if set(sizes) != set(self._plan.program.sizes):
            wanted = ", ".join(self._plan.program.sizes) or "none"
            raise InputError(f"memory() wants the sizes {wanted}, got {', '.join(sizes) or 'none'}")
        return self._plan.memory(sizes)

    def _grow_arena(self, arrays: Sequence[Array]) -> None:
        need = self._plan.memory(self._sizes(arrays))
        self._arena = np.empty(need + ALIGNMENT, np.uint8)
        start = -self._arena.ctypes.data // ALIGNMENT * -ALIGNMENT
        self._table[emit.ARENA], self._table[emit.ARENA_BYTES] = start, need


def _axis_of_each_size(inputs: Sequence[Node]) -> dict[str, tuple[int, int]]:
    """For each symbolic size, the input and the axis that tell it: the first that have it."""
    found: dict[str, tuple[int, int]] = {}
    for at, node in enumerate(inputs):
        for axis, size in enumerate(node.shape):
            if isinstance(size, Size) and symbols(size) == {str(size)}:
                found.setdefault(str(size), (at, axis))
    return found


def _live_array(node: Node) -> Array:
    """The memory of a param, or of a constant."""
    return node.value if isinstance(node, Param) else np.array(node.options["literal"].array)
