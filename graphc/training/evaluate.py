"""evaluate: a function's outputs over all data, in batches; the means of scalars, the rows of arrays."""

from __future__ import annotations

from typing import Any

from graphc.errors import InputError
from graphc.ir import Node, describe
from graphc.reference import flattened, in_structure
from graphc.sizes import symbols
from graphc.training.batches import batches_of
from graphc.training.data import batch_symbol, checked_int, is_iterable_of_batches
from graphc.training.progress import shown
from graphc.training.step import Step


def evaluate(step: Step, outputs: Any, models: int, data: Any, batch_size: int, progress: bool | None) -> Any:
    """Function.evaluate, for a step that has these outputs and is that of so many models."""
    size = checked_int("batch_size", batch_size, 1)
    if step.written:
        raise InputError(
            f"evaluate is for a function that changes nothing, {step.name} updates {len(step.written)} params; compile "
            "its outputs without optimizer= and updates=: they share the params"
        )
    nodes = flattened(outputs)
    arrays = [node for node in nodes if node.shape]
    if arrays and models > 1:
        raise InputError(f"evaluate of many models is for scalars, got\n  {describe(arrays[0])}")
    if arrays:
        _check_rows(arrays, batch_symbol(step.inputs) or (None if is_iterable_of_batches(data) else size))
    batches = batches_of(step, data, size, "batch", keep=True)
    with shown(progress, None, batches.samples) as bar:
        means = batches.epoch(0, lambda steps, samples, means, ended: bar.samples(samples, ""))
    rows, scalars = iter(batches.results), iter(step.by_output(means))
    return in_structure(outputs, [next(rows if node.shape else scalars) for node in nodes])


def _check_rows(arrays: list[Node], batch: str | int | None) -> None:
    """InputError for an array without a row for each sample; `batch` is a batch's size, None if that is unknown."""
    for node in arrays:
        inner = {symbol for size in node.shape[1:] for symbol in symbols(size)}
        if node.shape[0] != batch or batch in inner:
            raise InputError(
                "evaluate gives the means of scalars and the rows of arrays whose first axis alone is the batch's"
                f"{'' if batch is None else f', {batch}'}; call the function itself for\n  {describe(node)}"
            )
