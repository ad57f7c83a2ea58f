"""One epoch: the native loop over arrays, or an ordinary call for each batch of an iterable."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from graphc.arguments import as_input
from graphc.backend.build import Interpreted, Machine, build
from graphc.backend.table import ARENA_TOO_SMALL, STEPS as DONE
from graphc.errors import GraphcError, InputError
from graphc.runtime import native
from graphc.state import aligned
from graphc.training.data import (
    Rows,
    batch_sizes,
    is_iterable_of_batches,
    leading_symbols,
    rows_of,
    values_of_batch,
)
from graphc.training.interrupts import held
from graphc.training.loop import DRAWN, EPOCH, FIRST, PACE, READY, STEPS, Cut, emit
from graphc.training.step import Step

Array = np.ndarray[Any, Any]
Tell = Callable[[int, int, "list[float]", bool], None]
"""Is told how many steps were done, on how many samples, the means of the scalar results so far, and if all is done."""

RESPONSE = 0.1
"""Seconds of native code after which Python looks whether to stop."""

MOST_ROWS = 1 << 31
"""The most rows that can be shuffled: a word of 32 random bits times their number is an int64."""


class ArrayBatches:
    """Batches of arrays' rows: shuffled, gathered, cast and run in native code.

    what: a batch's name in an error. shuffled: in another order each epoch, which follows from `seed` and the epoch.
    keep: results that are arrays have a row for each row of a batch; all of them are put together in `results`.
    """

    def __init__(
        self,
        step: Step,
        rows: Rows,
        batch_size: int,
        what: str,
        shuffled: bool = False,
        seed: int = 0,
        keep: bool = False,
    ) -> None:
        if shuffled and rows.count > MOST_ROWS:
            raise InputError(f"at most {MOST_ROWS} rows can be shuffled, got {rows.count}; say shuffle=False")
        self.samples: int | None = rows.count
        self._step, self._rows, self._what, self._shuffled = step, rows, what, shuffled
        self._batch = min(batch_size, rows.count)
        self._kept, self._totals = step.table.copy(), np.zeros(step.outputs)
        self._order = np.arange(rows.count if shuffled else 0)  # touched here, not in the first step
        self._alive = self._bind_whole()
        self.results = [np.empty((rows.count, *each.shape[1:]), each.dtype) for each in self._alive] if keep else []
        self._cuts = [*(self._cut(at) for at in rows.batched), *(Cut(None, each.dtype) for each in self.results)]
        batched = [word for at, cut in zip(rows.batched, self._cuts) for word in self._bind(at, cut)]
        words = [*self._head(seed), *batched, *self._bind_results(), *(0 for _ in PACE)]
        self._table, self._share = np.array(words, np.int64), 1
        self._enter_loop(step.rate.schedule is not None)

    def _enter_loop(self, scheduled: bool) -> None:
        """Makes the loop, or takes it from the cache; `scheduled`: with a learning rate for each step."""
        step, self._scheduled = self._step, scheduled
        self._code = _code(step, emit(self._cuts, self._shuffled, scheduled))
        door = native.Door(
            *(self._code, self._table, step.busy, step.scalars, (), (), ()), step.grow, ARENA_TOO_SMALL, long=True
        )
        self._enter = door.function(np.zeros((1, len(step.scalars))))

    def epoch(self, number: int, tell: Tell) -> list[float]:
        """Runs all batches; the mean of each scalar result over the samples. Epochs count from 1; 0 is none.

        Raises what a step raises, saying which one, and KeyboardInterrupt after a whole number of steps: all have been
        told.
        """
        self._table[[FIRST, EPOCH, READY, DRAWN]], self._totals[:] = (0, number, 0, 0), 0
        while self._table[FIRST] < self._rows.count:
            with held():
                before, start = int(self._table[FIRST]), time.perf_counter()
                try:
                    error = self._run(number)
                except InputError as refused:  # of a schedule
                    raise _located(refused, self._what, self._next(), number) from refused
                samples = int(self._table[FIRST]) - before
                steps = -(-samples // self._batch)
                means = (self._totals / max(1, self._table[FIRST])).tolist()
                tell(steps, samples, means, bool(self._table[FIRST] == self._rows.count))
                if error is not None:
                    raise error
                possible = int(steps * RESPONSE / (time.perf_counter() - start))
                self._share = max(1, min(2 * self._share, possible))
        return list(means)

    def _run(self, epoch: int) -> BaseException | None:
        """Runs as many steps as are due; the error of the one that ended it, if one did."""
        with self._step.lock, self._step.rate.lock:
            rates = self._rates()  # which live as long as the call
            if self._scheduled != (rates is not None):
                self._enter_loop(rates is not None)
            self._table[STEPS] = self._share if rates is None else len(rates)
            answer = native.call(self._enter)
            if rates is not None:
                self._step.rate.read(self._step.live(self._step.rate.param))
            return None if type(answer) is float else self._error(int(answer), epoch)

    def _rates(self) -> Array | None:
        """The learning rates of the next steps, the last one first, now in its table; None without a schedule."""
        rate = self._step.rate
        if rate.schedule is None:
            return None
        left = -(-(self._rows.count - int(self._table[FIRST])) // self._batch)
        rates: Array = np.array(rate.rates(int(self._step.table[DONE]), min(self._share, left)))[::-1].copy()
        live = self._step.live(rate.param)
        models = (1, 1) if not live.ndim else (len(live), live.strides[0] // live.itemsize)
        self._table[-len(PACE) :] = live.ctypes.data, *models, rates.ctypes.data
        return rates

    def _chosen(self) -> Any:
        """The rows of the next batch."""
        first = int(self._table[FIRST])
        batch = slice(first, first + self._batch)
        return self._order[batch] if self._shuffled else batch

    def _error(self, status: int, epoch: int) -> BaseException:
        """Why the next batch's step left early."""
        if self._code.error is not None:
            return self._code.error
        chosen = self._chosen()
        arrays = [as_input(node, each) for node, each in zip(self._step.inputs, self._rows.of(chosen), strict=True)]
        error = self._step.error(status, arrays)
        row = ""
        if isinstance(error, InputError) and error.found is not None:
            node, position = error.found
            if position and node in [self._step.inputs[at] for at in self._rows.batched]:
                row = f" (row {np.arange(self._rows.count)[chosen][position[0]]} of the data)"
        return _located(error, self._what, self._next(), epoch, row)

    def _next(self) -> int:
        """The number of the next step, in its epoch."""
        return 1 + int(self._table[FIRST]) // self._batch

    # ---- the loop's table -------------------------------------------------------------------------------------------

    def _cut(self, at: int) -> Cut:
        """How an input's batch is made: in place if it lies there as the step wants it, and no step changes it."""
        node, array = self._step.inputs[at], self._rows.arrays[at]
        as_it_is = array.dtype == node.dtype and array.flags.c_contiguous and not self._shuffled
        if as_it_is and not any(np.may_share_memory(array, each) for each in self._step.written):
            return Cut(None, node.dtype)
        return Cut(array.dtype, node.dtype)

    def _head(self, seed: int) -> list[int]:
        step = self._step
        table, kept, scalars, totals, order = (
            array.ctypes.data for array in (step.table, self._kept, step.scalars, self._totals, self._order)
        )
        results = [scalars, totals, step.outputs]
        counts = [self._rows.count, self._batch, 0, 0]
        return [step.code.address, table, kept, step.end, *results, *counts, order, seed, 0, 0, 0]

    def _bind_whole(self) -> list[Array]:
        """Puts what is the same for all batches into the kept rows: shapes, whole inputs, memory for results."""
        for (address, shape), array in zip(self._step.input_rows, self._rows.arrays, strict=True):
            self._kept[address] = array.ctypes.data
            self._kept[shape : shape + array.ndim] = array.shape
        sizes = batch_sizes(self._rows.count, self._batch)
        results = [self._step.results(self._rows.of(slice(0, size))) for size in sizes]
        largest = [max(each, key=lambda array: array.nbytes) for each in zip(*results, strict=True)]
        for row, array in zip(self._step.result_rows, largest, strict=True):
            self._kept[row] = array.ctypes.data
        return largest

    def _bind(self, at: int, cut: Cut) -> list[int]:
        """The words of the table for a batched input."""
        array, rows = self._rows.arrays[at], self._step.input_rows[at]
        width = int(np.prod(array.shape[1:]))
        if cut.source is None:
            return [array.ctypes.data, width * array.itemsize, width, 0, rows[0], rows[1]]
        batch = aligned(np.empty((self._batch, width), cut.target))
        self._alive.append(batch)
        stride = width if array.flags.c_contiguous else array.strides[0] // array.itemsize
        return [array.ctypes.data, stride, width, batch.ctypes.data, rows[0], rows[1]]

    def _bind_results(self) -> list[int]:
        """The same for the rows of each result, as if they were rows that lie where the step wants them."""
        size = self._step.input_rows[self._rows.batched[0]][1]  # which the batch writes anyway
        rows = zip(self._step.result_rows, self.results)
        return [word for row, each in rows for word in (each.ctypes.data, each[:1].nbytes, 0, 0, row, size)]


class GivenBatches:
    """Batches that an iterable gives, each run by an ordinary call. keep: as for ArrayBatches."""

    def __init__(self, step: Step, batches: Iterable[Any], what: str, keep: bool = False) -> None:
        symbols = leading_symbols(step.inputs)
        self._leads = [len(symbols) == 1 and bool(node.ndim) and node.shape[0] == symbols[0] for node in step.inputs]
        self.samples: int | None = None
        self.results: list[Array] = []
        self._step, self._batches, self._what, self._keep = step, batches, what, keep

    def epoch(self, number: int, tell: Tell) -> list[float]:
        """As ArrayBatches.epoch; where no one symbolic size leads most inputs, each batch counts as one."""
        totals, samples = np.zeros(self._step.outputs), 0
        results: list[list[Array]] = []
        for at, batch in enumerate(self._batches, 1):
            try:
                values = values_of_batch(self._step, batch)
                arrays = [as_input(node, value) for node, value in zip(self._step.inputs, values, strict=True)]
                with held():
                    scalars, made = self._step.call(arrays)
                    count = next((len(array) for array, leads in zip(arrays, self._leads, strict=True) if leads), 1)
                    totals, samples = totals + scalars * count, samples + count
                    tell(1, count, (totals / max(1, samples)).tolist(), False)
                results += [made] * self._keep
            except GraphcError as error:
                raise _located(error, self._what, at, number) from None
        if not samples:
            raise InputError(
                f"the data gave no samples{f' in epoch {number}' * bool(number)}; if it is a generator, it is used up "
                "after one pass: give a list, or an object whose __iter__ starts anew"
            )
        self.results = [np.concatenate(each) for each in zip(*results, strict=True)]
        means = (totals / samples).tolist()
        tell(0, 0, means, True)
        return list(means)


def batches_of(
    step: Step, data: Any, batch_size: int, what: str, shuffle: bool = False, seed: int = 0, keep: bool = False
) -> ArrayBatches | GivenBatches:
    """The batches of what a user gives: arrays, or an iterable of batches."""
    if is_iterable_of_batches(data):
        return GivenBatches(step, data, what, keep)
    return ArrayBatches(step, rows_of(step, data, batch_size), batch_size, what, shuffle, seed, keep)


def _located(error: Exception, what: str, number: int, epoch: int, row: str = "") -> Exception:
    """The error with its batch; epoch 0 is no epoch of a training."""
    place = f"of epoch {epoch}{row}; the steps before it are done: see error.history" if epoch else row.strip()
    return type(error)(f"{error}\n  in {what} {number} {place}".rstrip())


def _code(step: Step, source: str) -> Machine | Interpreted:
    """The loop's machine code, kept with the step that it was first made for."""
    if source not in step.loops:
        step.loops[source] = build(source, "epoch", "epoch")
    return step.loops[source]
