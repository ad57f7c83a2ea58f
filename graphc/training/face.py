"""How a compiled step is trained, and what of it lives on between steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from graphc.backend.table import STEPS
from graphc.errors import InputError
from graphc.graph import Graph
from graphc.ir import Node
from graphc.reference import flattened
from graphc.state import Param
from graphc.training.evaluate import evaluate
from graphc.training.fit import Callback, fit
from graphc.training.history import History
from graphc.training.step import Step

Array = np.ndarray[Any, Any]


class Trained:
    """The methods of a Function that train it. It sets the attributes."""

    outputs: Any
    models: int
    _graph: Graph
    _table: Array
    _written: list[Array]
    _step: Step
    _measuring: Callable[[Mapping[str, Node]], Step]
    _live: Callable[[Node], Array]

    @property
    def steps(self) -> int:
        """How many steps have changed params; may be assigned, as loading a checkpoint does."""
        return int(self._table[STEPS])

    @steps.setter
    def steps(self, value: int) -> None:
        self._table[STEPS] = value

    @property
    def state(self) -> dict[str, Array]:
        """The live arrays of all params by name: the user's, and what the optimizer keeps for them."""
        return {str(node.name): self._live(node) for node in self._graph.params if isinstance(node, Param)}

    def fit(
        self,
        data: Any,
        *,
        batch_size: int = 32,
        epochs: int = 1,
        initial_epoch: int = 0,
        shuffle: bool = True,
        seed: int = 0,
        validation: Any = None,
        metrics: Mapping[str, Node] | None = None,
        callbacks: Iterable[Callback] = (),
        progress: bool | None = None,
    ) -> History:
        """Trains on mini-batches: rows are shuffled, gathered and cast, and steps run, in one native loop.

        data: a dict of arrays by input, a tuple in the order of `inputs`, or the array of the only one. Those that
        share the leading symbolic size are cut into batches along it, others are given to each step as they are; the
        last batch may be smaller. Without a symbolic one, inputs of the leading size `batch_size` are cut, which has to
        divide the rows. Arrays keep their dtype (uint8 images, a memory map): each batch is cast as a call would. Or an
        iterable of batches, each such data; it is iterated in each epoch, and batch_size, shuffle and seed say nothing.
        epochs, initial_epoch: the number of the last epoch, and how many are already done, so that
        `fit(epochs=10, initial_epoch=5)` is the second half of `fit(epochs=10)`; see `gc.Checkpoint`.
        shuffle, seed: the order of the rows follows from the seed and the epoch's number.
        validation: data like `data`; its loss is measured after each epoch as `val_loss`, and so are the metrics.
        metrics: scalars by name over the same inputs, on the training data if there is no validation. Each is a mean
        over batches, weighted by samples; as the validation loss it is measured without dropout (`nn.inference`).
        callbacks: each is called with (epoch, history) after each epoch, from initial_epoch + 1 on; a true result ends
        training.
        progress: on stderr a bar in a terminal or notebook, else a line an epoch and a minute; False for none.

        Ctrl-C ends training after a whole number of steps, and the history so far is returned. Raises InputError before
        anything has changed; what a step raises says which it was, has the history, and leaves the params as before it.
        """
        return fit(
            self._step,
            self._loss(),
            self._measuring,
            data,
            batch_size=batch_size,
            epochs=epochs,
            initial_epoch=initial_epoch,
            shuffle=shuffle,
            seed=seed,
            validation=validation,
            metrics=metrics,
            callbacks=callbacks,
            progress=progress,
        )

    def _loss(self) -> Node:
        """What fit trains; InputError if there is no such thing."""
        loss = next(iter(flattened(self.outputs)), None)
        if loss is None or loss.shape or not self._written:
            raise InputError(
                f"fit trains a function whose first output is a scalar loss; {self._graph.name} returns {self.outputs} "
                f"and updates {len(self._written)} params: gc.compile(loss, optimizer=gc.SGD(lr=0.1))"
            )
        return loss

    def evaluate(self, data: Any, *, batch_size: int = 256, progress: bool | None = None) -> Any:
        """The outputs over all data, computed in batches by the native loop, in the structure of a call's.

        data: as for `fit`. A scalar output is the mean over the batches, weighted by samples: for what is a mean over
        samples, as losses and metrics are, the mean over all of them. An output whose first axis is the batch's, such
        as predictions, has the rows of all data.
        progress: a bar on stderr in a terminal or notebook, which goes away when all is done; False for none.

        Dropout is what it is in the function: leave it out by `nn.inference`. Raises InputError for a function that
        updates params, for other outputs, and for data that do not fit; what a batch raises says which it was.
        """
        return evaluate(self._step, self.outputs, self.models, data, batch_size, progress)
