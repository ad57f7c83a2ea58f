"""The table of int64 that a step works on, and what a step returns."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.graph import axis_of_each_size
from graphc.kernel import Buffer, Plan

OK, WRONG_SIZES, ARENA_TOO_SMALL, FIRST_GUARD = 0, 1, 2, 3
"""What a step returns: guard number n that does not hold is FIRST_GUARD + n."""

ARENA, ARENA_BYTES, SCALARS, BUSY, THREADS, STEPS, FIRST_ARRAY = 0, 1, 2, 3, 4, 5, 6
"""The table's first rows: the addresses of the arena and of the scalar results, 1 while a thread runs the step, how
many threads it may use, and how many steps have changed params."""


@dataclass(frozen=True)
class Rows:
    """The rows of the table after the first: each array's address, then the inputs' shapes, then the arena's slots.

    sizes: where a symbolic size's value is read, in the shape of the first input that has it.
    """

    address: dict[Buffer, int]
    shape: dict[Buffer, int]
    sizes: dict[str, int]
    slots: int
    count: int


def rows_of(plan: Plan) -> Rows:
    program = plan.program
    arrays = [*program.stored, *program.inputs, *array_results(plan)]
    address = {buffer: FIRST_ARRAY + at for at, buffer in enumerate(arrays)}
    end, shape = FIRST_ARRAY + len(arrays), {}
    for buffer in program.inputs:
        shape[buffer] = end
        end += len(buffer.type.shape)
    told = axis_of_each_size([buffer.node for buffer in program.inputs])
    sizes = {name: shape[program.inputs[at]] + axis for name, (at, axis) in told.items()}
    return Rows(address, shape, sizes, end, end + len(plan.slots))


def scalar_results(plan: Plan) -> list[Buffer]:
    """The results of rank 0, which share one array of float64."""
    return [buffer for buffer in plan.program.outputs if not buffer.type.shape]


def array_results(plan: Plan) -> list[Buffer]:
    """The results that have axes: arguments of the step."""
    return [buffer for buffer in plan.program.outputs if buffer.type.shape]
