"""A compiled step, as training sees it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from graphc.backend.build import Interpreted, Machine
from graphc.backend.table import ARENA_TOO_SMALL, OK
from graphc.ir import Node
from graphc.optim import LearningRate
from graphc.runtime import native
from graphc.training.interrupts import held

Array = np.ndarray[Any, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """A step, the table that it works on, and what its function does around it.

    code: the step. busy: the word of the table that is 1 while a thread runs it. scalars: where it leaves its
    results of rank 0, as float64; `outputs` of them. end: the row of the table behind arrays and shapes.
    input_rows: for each input the rows of the table for its address and for its shape. result_rows: for the address of
    each result that is an array. written: the params that it changes.
    rate: the learning rate that it reads. live: the memory of a param; of many models (models, *shape). call: runs it
    on arrays of its own types and returns the scalars and the arrays. by_output: scalars as a user sees them: for each
    output a number, or an array with one for each of many models. results: memory for results that are arrays. check:
    raises InputError if shapes disagree. grow: gives it the scratch memory that the sizes in its table want, and tells
    whether there is so much. error: what a status means. loops: the code of batch loops so far, by their text.
    """

    name: str
    inputs: tuple[Node, ...]
    outputs: int
    code: Machine | Interpreted
    table: Array
    busy: Array
    scalars: Array
    end: int
    input_rows: tuple[tuple[int, int], ...]
    result_rows: tuple[int, ...]
    written: Sequence[Array]
    lock: contextlib.AbstractContextManager[Any]
    rate: LearningRate
    live: Callable[[Node], Array]
    call: Callable[[Sequence[Array]], tuple[Array, list[Array]]]
    by_output: Callable[[Sequence[float]], list[Any]]
    results: Callable[[Sequence[Array]], list[Array]]
    check: Callable[[Sequence[Array]], object]
    grow: Callable[[], int]
    error: Callable[[int, Sequence[Array]], Exception]
    loops: dict[str, Machine | Interpreted] = field(default_factory=dict)

    def between(self, work: Callable[[], T]) -> T:
        """What `work` returns, called while no thread is inside the step, when a whole number of steps is done.

        It goes through a door of the step's own, as if it were a step. What it raises is raised; Ctrl-C waits for it.
        """
        made: list[T] = []

        def as_step(table: int) -> int:
            made.append(work())
            return OK

        code = Interpreted(as_step)
        door = native.Door(code, self.table, self.busy, self.scalars, (), (), (), lambda: 0, ARENA_TOO_SMALL)
        with held():
            native.call(door.function(np.zeros((1, len(self.scalars)))))
        if code.error is not None:
            raise code.error
        return made[0]
