"""fit: epochs of mini-batches, what is measured after each, and who is told."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from graphc import nn
from graphc.errors import InputError
from graphc.ir import INPUT, Node, describe, toposort
from graphc.training.batches import batches_of
from graphc.training.data import checked_int, is_iterable_of_batches
from graphc.training.history import History
from graphc.training.progress import shown, told
from graphc.training.step import Step
from graphc.training.stopping import EarlyStopping, Restoring, restore_best

Callback = Callable[[int, History], object]
Measure = Callable[[int], dict[str, float]]


def fit(
    step: Step,
    loss: Node,
    compiled: Callable[[Mapping[str, Node]], Step],
    data: Any,
    *,
    batch_size: int,
    epochs: int,
    initial_epoch: int,
    shuffle: bool,
    seed: int,
    validation: Any,
    metrics: Mapping[str, Node] | None,
    callbacks: Iterable[Callback],
    progress: bool | None,
) -> History:
    """Function.fit, for a step whose first result is `loss`; `compiled` makes a step of scalars without updates."""
    batch_size = checked_int("batch_size", batch_size, 1)
    numbers, seed = _numbers(initial_epoch, epochs), _checked_seed(seed)
    callbacks = _checked_callbacks(step, callbacks, validation is not None, metrics or {})
    batches = batches_of(step, data, batch_size, "step", shuffle, seed)
    measure = _measure(step, loss, compiled, data, validation, metrics or {}, batch_size, len(numbers))
    history = History(initial_epoch=numbers.start - 1)

    def tell(steps: int, samples: int, means: list[float], ended: bool) -> None:
        history.steps += steps
        loss = step.by_output(means)[0]
        bar.samples(samples, f"loss {told(loss)}")
        if ended:
            history.loss.append(loss)
            history.seconds.append(time.perf_counter() - start)

    try:
        with shown(progress, numbers, batches.samples) as bar:
            for epoch in numbers:
                start = time.perf_counter()
                batches.epoch(epoch, tell)
                for name, value in measure(epoch).items():
                    history.metrics.setdefault(name, []).append(value)
                bar.epoch(history)
                answers = [callback(epoch, history) for callback in callbacks]
                if any(answers):
                    break
    except KeyboardInterrupt:
        history.interrupted = True
    except Exception as error:
        vars(error)["history"] = history
        raise
    restore_best(callbacks)
    return history


def _measure(
    step: Step,
    loss: Node,
    compiled: Callable[[Mapping[str, Node]], Step],
    data: Any,
    validation: Any,
    metrics: Mapping[str, Node],
    batch_size: int,
    epochs: int,
) -> Measure:
    """What is measured after an epoch, without dropout: the metrics, and the loss of validation data."""
    _check_metrics(step, metrics)
    _check_repeats(data, epochs, validation is None and bool(metrics))
    wanted = dict(metrics) if validation is None else {"val_loss": loss, **metrics}
    if not wanted:
        return lambda epoch: {}
    what = "metrics batch" if validation is None else "validation batch"
    with _said_of(validation):
        _check_repeats(validation, epochs, False)
        measuring = compiled(nn.inference(wanted))
        batches = batches_of(measuring, data if validation is None else validation, batch_size, what)

    def measure(epoch: int) -> dict[str, float]:
        with _said_of(validation):
            means = batches.epoch(epoch, lambda *told: None)
            return dict(zip(wanted, measuring.by_output(means), strict=True))

    return measure


@contextlib.contextmanager
def _said_of(validation: Any) -> Iterator[None]:
    """What is wrong inside is said of the validation data, if there is any."""
    try:
        yield
    except InputError as error:
        if validation is None:
            raise
        raise InputError(f"validation data: {error}") from None


# ---- checks ---------------------------------------------------------------------------------------------------------


def _numbers(initial_epoch: Any, epochs: Any) -> range:
    """The numbers of the epochs that are still to be trained, the first of all being 1."""
    return range(checked_int("initial_epoch", initial_epoch, 0) + 1, checked_int("epochs", epochs, 0) + 1)


def _checked_seed(seed: Any) -> int:
    number = checked_int("seed", seed, 0)
    if number >= 1 << 32:
        raise InputError(f"seed is at least 0 and below 2**32, got {seed}")
    return number


def _checked_callbacks(
    step: Step, callbacks: Iterable[Callback], validated: bool, metrics: Mapping[str, Node]
) -> list[Callback]:
    measured = [*["val_loss"] * validated, *metrics]
    made = list(callbacks) if isinstance(callbacks, Iterable) else [callbacks]
    for callback in made:
        if not callable(callback) or isinstance(callback, type):
            raise InputError(f"a callback is called with (epoch, history), got {callback!r}")
        try:
            History(metrics={name: [] for name in measured}).values(getattr(callback, "monitor", None) or "loss")
        except KeyError as error:
            raise InputError(f"{type(callback).__name__}: {error.args[0]}") from None
    return [
        Restoring(each, step.written) if isinstance(each, EarlyStopping) and each.restore_best else each
        for each in made
    ]


def _check_metrics(step: Step, metrics: Mapping[str, Node]) -> None:
    if not isinstance(metrics, Mapping):
        raise InputError(f"metrics is a dict of name -> node, got {metrics!r}")
    for name, node in metrics.items():
        if name in ("loss", "val_loss"):
            raise InputError(f"the metric {name!r} is measured anyway; give yours another name")
        if not isinstance(node, Node):
            raise InputError(f"the metric {name!r} is a node, got {node!r}")
        if node.shape:
            raise InputError(f"the metric {name!r} is a scalar, such as gc.mean(...), got\n  {describe(node)}")
        for leaf in toposort([node]):
            if leaf.op is INPUT and leaf not in step.inputs:
                raise InputError(
                    f"the metric {name!r} needs an input that the function does not take:\n  {describe(leaf)}\n"
                    f"  add it: compile(..., inputs=[..., {leaf.name}])"
                )


def _check_repeats(data: Any, epochs: int, measured: bool) -> None:
    """InputError for an iterator that would be used up before the last pass over it."""
    if is_iterable_of_batches(data) and iter(data) is data and (epochs > 1 or measured):
        raise InputError(
            f"an iterator gives its batches once, and fit wants them in each of {epochs} epochs"
            f"{', and again for the metrics' * measured}; give a list, or an object whose __iter__ starts anew"
        )
