"""The loop over batches as Python text, which is compiled like a step and calls one.

`epoch(address)` runs up to `steps` batches from row `first` on, and returns 0 or the status of the step that failed.
What it works on lies in a table of int64 at `address`: HEAD, then CUT for each input whose rows are cut into batches,
then PACE.
The text depends on dtypes alone, so functions share its machine code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.backend.imports import import_lines
from graphc.backend.table import FIRST_ARRAY, OK

HEAD = (
    *("code", "step_at", "kept_at", "end", "scalars_at", "totals_at", "outputs"),
    *("rows", "batch", "first", "steps", "order_at", "seed", "epoch_number", "ready", "drawn"),
)
"""The step's code and table; its table's rows as training wants them, and where they end; the scalar results, their
totals over the samples so far, and how many there are; how many rows there are, in all and in a batch; the first row of
the next batch, and how many steps are left to run; the order of the rows, the seed and the epoch's number, how
many places of the order are settled, and how many random words that took."""

CUT = ("source", "stride", "width", "batch", "address", "shape")
"""The address of the rows; elements, or bytes where nothing is copied, from one to the next; elements of a row; the
address of the batch's memory; the rows of the step's table for the batch's address and for its size."""

PACE = ("rate_at", "models", "apart", "rates_at")
"""Where a schedule is: the address of the learning rate that steps read, how many models have one, and how many float64
apart; the address of the rates of the steps to run, the last one first."""

FIRST, STEPS, ORDER, EPOCH, READY, DRAWN = map(
    HEAD.index, ("first", "steps", "order_at", "epoch_number", "ready", "drawn")
)


@dataclass(frozen=True)
class Cut:
    """How an input gets its batch: rows copied from `source` to `target`, or, without a source, where they are."""

    source: np.dtype[Any] | None
    target: np.dtype[Any]


def emit(cuts: Sequence[Cut], shuffled: bool, scheduled: bool = False) -> str:
    """The text of the module; `scheduled`: each step has a learning rate of its own."""
    functions = [list(_gather(number, cut, shuffled)) for number, cut in enumerate(cuts) if cut.source is not None]
    text = "\n\n\n".join("\n".join(lines) for lines in [*functions, list(_epoch(cuts, shuffled, scheduled))])
    return f"{import_lines(text)}\n\n\n{text}\n"


def _gather(number: int, cut: Cut, shuffled: bool) -> Iterator[str]:
    """The function that makes an input's batch."""
    yield "@kernel"
    yield f"def gather_{number}(batch, count, width, source, {'order, ' * shuffled}first):"
    yield "    for row in range(count):"
    yield f"        at = {'order[first + row]' if shuffled else 'first + row'}"
    yield "        for column in range(width):"
    value = "source[at, column]"
    yield f"            batch[row, column] = {value if cut.source == cut.target else f'{_number(cut.target)}({value})'}"


def _epoch(cuts: Sequence[Cut], shuffled: bool, scheduled: bool) -> Iterator[str]:
    end = len(HEAD) + len(CUT) * len(cuts)
    yield "@step_function"
    yield "def epoch(address):"
    yield f"    table = array_at(address, ({end + len(PACE) * scheduled},), i64)"
    yield from (f"    {name} = table[{row}]" for row, name in enumerate(HEAD) if shuffled or row < ORDER)
    yield "    step, kept = array_at(step_at, (end,), i64), array_at(kept_at, (end,), i64)"
    yield f"    for row in range({FIRST_ARRAY}, end):"
    yield "        step[row] = kept[row]"
    yield "    scalars = array_at(scalars_at, (outputs,), np.float64)"
    yield "    totals = array_at(totals_at, (outputs,), np.float64)"
    if shuffled:
        yield "    order = array_at(order_at, (rows,), i64)"
    if scheduled:
        yield from (f"    {name} = table[{end + row}]" for row, name in enumerate(PACE))
        yield "    rate = array_at(rate_at, (models * apart,), np.float64)"
        yield "    rates = array_at(rates_at, (steps,), np.float64)"
    yield "    while steps > 0 and first < rows:"
    yield "        count = min(batch, rows - first)"
    if shuffled:
        yield "        if ready < first + count:"
        yield "            drawn = shuffle(order, ready, first + count, drawn, seed, epoch_number)"
        yield "            ready = first + count"
        yield f"            table[{READY}], table[{DRAWN}] = ready, drawn"
    for number, cut in enumerate(cuts):
        yield from ("        " + line for line in _batch(number, cut, shuffled))
    if scheduled:
        yield "        for model in range(models):"
        yield "            rate[model * apart] = rates[steps - 1]"
    yield "        status = run_step(code, step_at)"
    yield f"        if status != {OK}:"
    yield "            return status"
    yield "        for scalar in range(outputs):"
    yield "            totals[scalar] += scalars[scalar] * count"
    yield "        first += count"
    yield "        steps -= 1"
    yield f"        table[{FIRST}], table[{STEPS}] = first, steps"
    yield f"    return {OK}"


def _batch(number: int, cut: Cut, shuffled: bool) -> Iterator[str]:
    """The statements that put an input's next batch before the step."""
    rows = range(len(HEAD) + len(CUT) * number, len(HEAD) + len(CUT) * (number + 1))
    source, stride, width, batch, address, shape = (f"table[{row}]" for row in rows)
    if cut.source is None:
        yield f"step[{address}] = {source} + first * {stride}"
    else:
        given = f"array_at({source}, (rows, {stride}), {_number(cut.source)})"
        made = f"array_at({batch}, (count, {width}), {_number(cut.target)})"
        yield f"gather_{number}({made}, count, {width}, {given}, {'order, ' * shuffled}first)"
        yield f"step[{address}] = {batch}"
    yield f"step[{shape}] = count"


def _number(dtype: np.dtype[Any]) -> str:
    """`np.float32`; a bool is copied as the byte that it is, or becomes 0 or 1."""
    return "np.uint8" if dtype.kind == "b" else f"np.{dtype.name}"
