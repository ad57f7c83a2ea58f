"""A step's twin: the same plan, emitted once more with a stamp before and behind each kernel, product and region.

A stamp is the time and the thread, written to memory of the profile's own: a cache line for each tile, so that no
thread writes where another does. The step's own text and memory are not touched.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from graphc.backend.build import Interpreted, Machine, build
from graphc.backend.emit import emit
from graphc.backend.imports import import_lines
from graphc.backend.table import (
    ARENA,
    ARENA_BYTES,
    ARENA_TOO_SMALL,
    BUSY,
    FIRST_GUARD,
    OK,
    SCALARS,
    THREADS,
    array_results,
    rows_of,
    scalar_results,
)
from graphc.inspect.failure import guard_error
from graphc.ir import Node
from graphc.kernel import TILE, Gemm, Item, Kernel, Plan, Region
from graphc.reference import concrete_shape
from graphc.runtime import native
from graphc.sizes import Dim, evaluate
from graphc.state import Param, aligned

Array = np.ndarray[Any, Any]

LEAST_SECONDS, LEAST_STEPS, ENOUGH_SECONDS = 0.2, 10, 2.0
"""A profile takes so long and so many steps at least, but begins no step after so many seconds."""

WORDS = 8
"""Words of a tile's stamps: a cache line, four pairs."""

STARTED, THREAD, STOPPED = 0, 1, 2
"""What they hold: nanoseconds and the identity of the thread; the rest says nothing more."""

# ---- the text -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Part:
    """What has stamps: a kernel or a product, in so many `tiles` of its `region` or by itself; or a region."""

    item: Kernel | Gemm | Region
    region: Region | None
    tiles: Dim


@dataclass(frozen=True, eq=False)
class Twin:
    """The instrumented step of a plan; its parts are in the order of the text, a region behind what it holds."""

    plan: Plan
    parts: tuple[Part, ...]
    source: str
    code: Machine | Interpreted


def twin_of(plan: Plan) -> Twin:
    """The twin of a step, compiled, or from the cache."""
    parts = tuple(_parts(plan.program.body))
    source = _stamped(plan, parts)
    return Twin(plan, parts, source, build(source, f"{plan.program.graph.name} with clocks"))


def _parts(body: Sequence[Item]) -> Iterator[Part]:
    for item in body:
        if isinstance(item, Region):
            for strip in item.strips:
                yield from (replace(part, region=item, tiles=strip.tiles) for part in _parts(strip.body))
        if isinstance(item, (Kernel, Gemm, Region)):
            yield Part(item, None, 1)


def _stamped(plan: Plan, parts: Sequence[Part]) -> str:
    """The text of the step with two stamps for each part, whose memory is named by rows behind those of the step."""
    row_of = {part.item: (row, part) for row, part in enumerate(parts, rows_of(plan).count)}

    def around(item: Any, lines: list[str]) -> list[str]:
        if item not in row_of:
            return lines
        row, part = row_of[item]
        before, behind = ("0", "1") if part.region is None else (f"4 * {TILE}", f"4 * {TILE} + 1")
        return [f"stamp(address, {row}, {before})", *lines, f"stamp(address, {row}, {behind})"]

    return emit(plan, around)


# ---- running --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Times:
    """What was measured, an entry for each step.

    plain, whole: seconds of a call of the step and of its twin, in turns. began: when the twin was called, in
    nanoseconds. caller: the identity of the thread that called it. stamps: int64 (steps, tiles of all parts, WORDS).
    first: where in it each part's tiles begin, and the end. cost: nanoseconds from one stamp to the next.
    """

    plain: Array
    whole: Array
    began: Array
    caller: int
    stamps: Array
    first: tuple[int, ...]
    cost: float


def measured(
    twin: Twin, code: Machine | Interpreted, threads: int, arrays: Sequence[Array], sizes: Mapping[str, int]
) -> Times:
    """Runs the step `code` and its twin in turns, on copies of the params: each step begins with their present values.

    arrays: inputs that fit, whose symbolic sizes are `sizes`. Raises what a call of the step raises.
    """
    memory = _Memory(twin, threads, arrays, sizes)
    for each in (code, twin.code):  # the first time does not count: memory is touched, threads are woken
        memory.run(each)
    taken: list[tuple[float, float, int, Array]] = []
    start = time.perf_counter()
    while not taken or _goes_on(len(taken), time.perf_counter() - start):
        plain, _ = memory.run(code)
        whole, began = memory.run(twin.code)
        taken.append((plain, whole, began, memory.stamps.copy()))
    plains, wholes, begins, stamps = zip(*taken, strict=True)
    return Times(
        *(np.array(plains), np.array(wholes), np.array(begins), threading.get_ident()),
        *(np.stack(stamps), memory.first, stamp_cost()),
    )


def _goes_on(steps: int, seconds: float) -> bool:
    return seconds < LEAST_SECONDS or (steps < LEAST_STEPS and seconds < ENOUGH_SECONDS)


class _Memory:
    """All that a step works on: copies of the params, an arena, results, and a table with rows for the stamps.

    stamps: (tiles of all parts, WORDS). first: where in it each part's tiles begin, and the end.
    """

    def __init__(self, twin: Twin, threads: int, arrays: Sequence[Array], sizes: Mapping[str, int]) -> None:
        plan, program = twin.plan, twin.plan.program
        present = [_present(buffer.node) for buffer in program.stored]
        copies = [aligned(array) for array in present]
        changed = {param for param, _ in program.graph.updates}
        self._restored = [
            (copy, array.copy())
            for buffer, copy, array in zip(program.stored, copies, present, strict=True)
            if buffer.node in changed
        ]
        results = [np.empty(concrete_shape(each.type.shape, sizes), each.type.dtype) for each in array_results(plan)]
        self._graph, self._arrays, self._scalars = program.graph, arrays, np.zeros(max(1, len(scalar_results(plan))))
        counts = [evaluate(part.tiles, sizes) for part in twin.parts]
        self.first = tuple(int(at) for at in np.cumsum([0, *counts]))
        self.stamps = aligned(np.zeros((self.first[-1], WORDS), np.int64))
        arena = aligned(np.empty(plan.memory(sizes), np.uint8))
        self._table = self._rows(plan, threads, [*copies, *arrays, *results], arena)
        self._kept, self._alive = [*copies, *arrays], [*results, arena]
        self._doors: dict[Machine | Interpreted, Any] = {}

    def _rows(self, plan: Plan, threads: int, arrays: Sequence[Array], arena: Array) -> Array:
        """The table: of stored arrays, inputs and results, in this order, and behind it the places of the stamps."""
        rows, program = rows_of(plan), plan.program
        table = np.zeros(rows.count + len(self.first) - 1, np.int64)
        table[[ARENA, ARENA_BYTES]] = arena.ctypes.data, arena.nbytes
        table[[SCALARS, THREADS]] = self._scalars.ctypes.data, threads
        buffers = [*program.stored, *program.inputs, *array_results(plan)]
        for buffer, array in zip(buffers, arrays, strict=True):
            table[rows.address[buffer]] = array.ctypes.data
            if buffer in rows.shape:
                table[rows.shape[buffer] : rows.shape[buffer] + array.ndim] = array.shape
        table[rows.count :] = self.stamps.ctypes.data + 8 * WORDS * np.array(self.first[:-1], np.int64)
        return table

    def run(self, code: Machine | Interpreted) -> tuple[float, int]:
        """One step, as a call would run it: its seconds, and when it began in nanoseconds."""
        enter = self._door(code)
        for copy, array in self._restored:
            copy[...] = array
        start = time.perf_counter_ns()
        answer = enter()
        seconds = (time.perf_counter_ns() - start) / 1e9
        if type(answer) is int:
            raise self._error(answer, code)
        return seconds, start

    def _door(self, code: Machine | Interpreted) -> Any:
        if code not in self._doors:
            busy = self._table[BUSY : BUSY + 1]
            door = native.Door(
                *(code, self._table, busy, self._scalars, (), self._kept, (), _no_larger_arena, ARENA_TOO_SMALL)
            )
            self._doors[code] = door.function(np.zeros((1, len(self._scalars))))
        return self._doors[code]

    def _error(self, status: int, code: Machine | Interpreted) -> BaseException:
        """Why a step left early."""
        if code.error is not None:
            return code.error
        assert status >= FIRST_GUARD, f"status {status} for arrays that fit"
        return guard_error(self._graph, self._graph.guards[status - FIRST_GUARD], self._arrays, self._scalars[0])


def _present(node: Node) -> Array:
    """The memory of a param, or of a constant."""
    array: Array = node.value if isinstance(node, Param) else node.options["literal"].array
    return array


def _no_larger_arena() -> int:
    """It is as large as the sizes want from the start."""
    return 0


# ---- what the clocks take -------------------------------------------------------------------------------------------

STAMPS = 1000


def stamp_cost() -> float:
    """Nanoseconds from one stamp to the next with nothing in between: the median of many."""
    text = f"@step_function\ndef step(address):\n    for place in range({STAMPS}):\n"
    text += f"        stamp(address, 0, place)\n    return {OK}\n"
    code = build(f"{import_lines(text)}\n\n\n{text}", "stamps")
    pairs, status = np.zeros((STAMPS, 2), np.int64), ctypes.c_int64()
    table = np.array([pairs.ctypes.data], np.int64)
    for _ in range(2):  # the first time does not count
        native.STEP(code.address)(ctypes.byref(status), None, table.ctypes.data)
    if code.error is not None:
        raise code.error
    return float(np.median(np.diff(pairs[:, 0])))
