"""A compiled function's whole state in a file: saved, loaded, and saved again after each epoch of fit.

The file is a safetensors file. Its arrays are `f.state`, by name. Its metadata has one entry, "graphc", a JSON object:

    version  of graphc that wrote it        steps  `f.steps`, how many have been trained
    graph    a hash of the graph's text     epoch  how many epochs of fit are done, or null
    sha256   of all of this and the arrays  best   what gc.Checkpoint has measured in the best of them, or null
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import operator
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from graphc import tensorfile
from graphc.errors import InputError
from graphc.function import Function
from graphc.graph import is_numbered, lines_of, printable
from graphc.tensorfile import FilePath, TensorFile, listed, shown, told
from graphc.training.history import History
from graphc.training.stopping import sign_of
from graphc.version import __version__

Array = np.ndarray[Any, Any]
KEY = "graphc"


@dataclass(frozen=True)
class Saved:
    """What a checkpoint says beside its arrays.

    steps: how many had been trained. epoch: how many epochs of fit were done, None if save was not told. version: of
    graphc that wrote it. graph: a hash of the graph. best: the measure of the best epoch so far, where gc.Checkpoint
    watches one.
    """

    steps: int
    epoch: int | None
    version: str
    graph: str
    best: float | None = None


# ---- save and load --------------------------------------------------------------------------------------------------


def _check_function(f: Any, call: str) -> None:
    """InputError unless `f` is a compiled function."""
    if not isinstance(f, Function):
        raise InputError(f"{call}: the path comes first, then a compiled function; got {f!r}")


def save(path: FilePath, f: Function, epoch: int | None = None) -> None:
    """Writes all that `f` has learned: every param, what the optimizer keeps, its learning rate, and `f.steps`.

    The file is complete or not there at all: an old one at `path` is replaced at once when the new one is on the disk,
    and stays as it was if anything fails. Other threads may train meanwhile: the state is that after a whole step.
    epoch: how many epochs of fit are done, for `fit(..., initial_epoch=)`.

    Raises OSError as the system does, and InputError for a param whose name the format cannot hold.
    """
    _check_function(f, "gc.save(path, f)")
    if epoch is not None and operator.index(epoch) < 0:
        raise InputError(f"epoch is how many are done, got {epoch}")
    _save(path, f, None if epoch is None else operator.index(epoch), None)


def _save(path: FilePath, f: Function, epoch: int | None, best: float | None) -> None:
    def copied() -> tuple[dict[str, Array], int]:
        return {name: np.array(array, order="C") for name, array in f.state.items()}, f.steps

    arrays, steps = f._step.between(copied)
    facts = asdict(Saved(steps, epoch, __version__, _fingerprint(f), best))
    tensorfile.write(path, arrays, {KEY: json.dumps({**facts, "sha256": _digest(arrays, facts)})})


def load(path: FilePath, f: Function, same_graph: bool = True) -> Saved:
    """Sets the state of `f` to that of a file that `save` wrote; what else the file says is returned.

    All of the file is read and checked before anything changes. `f` has to be compiled from the graph that was saved:
    the same ops, names, shapes and dtypes; lines, files and hyperparameters may be others. The learning rate is the
    file's. same_graph: False takes the file of another graph too, if its params have the same names and types.

    Raises FileFormatError for a file that is damaged, or not of such a function, saying what differs; OSError as the
    system does. Nothing in a file is run, and reading it takes no more memory than its size and some tens of MB.
    """
    _check_function(f, "gc.load(path, f)")
    with tensorfile.opened(path) as file:
        saved, digest = _facts(file)
        _check_types(file, f)
        if same_graph and saved.graph != _fingerprint(f):
            raise file.error(
                "it has the function's params, but was saved from another graph (by graphc "
                f"{saved.version}, this is {__version__}); if it means the same, say load(..., same_graph=False)"
            )
        arrays = {name: file.array(name) for name in file.entries}
        if _digest(arrays, asdict(saved)) != digest:
            raise file.error("it is damaged: its contents do not have the checksum that was saved with them")

    def put() -> None:
        for name, array in f.state.items():
            array[...] = arrays[name]
        f.steps = saved.steps
        if f.optimizer is not None:
            f.optimizer.learning_rate.read(f._live(f.optimizer.learning_rate.param))

    f._step.between(put)
    return saved


def _fingerprint(f: Function) -> str:
    """A hash of what is computed: the graph's text as it was built, but for its name and the user's lines."""
    graph = replace(f._passed["graph"], name="", guards=(), needs=())
    lines = str(graph).split("\n")
    wheres = [where for node, where in lines_of(graph).items() if is_numbered(node)]
    for number, where in enumerate(wheres, 1):
        lines[number] = lines[number].removesuffix(printable(where))
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _digest(arrays: dict[str, Array], facts: dict[str, Any]) -> str:
    """The checksum of all that a file says."""
    made = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name, array in sorted(arrays.items()):
        made.update(f"\0{name}\0{array.dtype.str}{array.shape}\0".encode())
        made.update(np.ascontiguousarray(array).view(np.uint8).data)
    return made.hexdigest()


def _facts(file: TensorFile) -> tuple[Saved, str]:
    """What the metadata say, and the checksum; FileFormatError if they are not those of `save`."""
    if KEY not in file.metadata:
        raise file.error("a safetensors file that gc.save did not write; gc.load_weights reads params from it")
    try:
        facts = json.loads(file.metadata[KEY])
        digest = facts.pop("sha256")
        saved = Saved(**facts)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise file.error(f"its metadata are not those of gc.save in graphc {__version__}: {error!r:.200}") from None
    counts = [saved.steps] if saved.epoch is None else [saved.steps, saved.epoch]
    sound = all(type(count) is int and 0 <= count < 1 << 63 for count in counts)
    sound &= all(isinstance(text, str) for text in (saved.version, saved.graph, digest))
    sound &= saved.best is None or type(saved.best) is float
    if not sound:
        raise file.error(f"its metadata are not those of gc.save in graphc {__version__}: {saved!r:.200}")
    return saved, digest


def _check_types(file: TensorFile, f: Function) -> None:
    """FileFormatError unless the file has exactly the arrays of the function's state, with their shapes and dtypes."""
    state = f.state
    missing = sorted(name for name in state if name not in file.entries)
    more = sorted(name for name in file.entries if name not in state)
    if missing or more:
        lacks = f"it lacks {listed(missing)}" * bool(missing)
        has = f"it has {listed(more)}, which the function does not have" * bool(more)
        has_params = all(str(param.name) in file.entries for param in f.params)
        remedy = "; gc.load_weights reads the params alone, without what an optimizer kept" * has_params
        raise file.error(f"saved from another function: {'; '.join(filter(None, [lacks, has]))}{remedy}")
    for name, array in state.items():
        entry = file.entries[name]
        if entry.shape != array.shape or entry.dtype != array.dtype.name:
            fits_but_for_it = entry.shape == array.shape and entry.dtype in ("float32", "float64")
            remedy = f'; make its params with dtype="{entry.dtype}"' * fits_but_for_it
            raise file.error(
                f"{told(name)} is {entry} there, the function's is {shown(array.dtype, array.shape)}{remedy}"
            )


# ---- a callback -----------------------------------------------------------------------------------------------------


class Checkpoint:
    """A callback for fit: saves `f` after each epoch (or each `every` epochs), so that training can be resumed.

    A script that is killed goes on where it was, with the same bits as if it had never stopped, if it is started again:

        checkpoint = gc.Checkpoint("digits.safetensors", step)
        step.fit(data, epochs=30, initial_epoch=checkpoint.resume(), callbacks=[checkpoint])

    EarlyStopping counts from the epoch that it is resumed at. The learning rate is the file's.
    best: the name of a measure, "val_loss", "loss" or a metric. After an epoch in which it is better than ever, `f` is
    also saved to `best_path`, which is `path` with ".best" before its suffix. mode: "min" if less is better, as it is
    for losses, "max" if more is; to be said for a metric. A NaN is never the best.

    Raises FileNotFoundError if there is no such folder.
    """

    def __init__(
        self, path: FilePath, f: Function, every: int = 1, best: str | None = None, mode: str | None = None
    ) -> None:
        _check_function(f, "gc.Checkpoint(path, f)")
        if every < 1:
            raise ValueError(f"every is at least 1, got {every}")
        self.path = Path(path)
        self.best_path = self.path.with_name(f"{self.path.stem}.best{self.path.suffix}")
        self._f, self._every, self.monitor = f, every, best
        self._sign = 1 if best is None else sign_of(best, mode)
        self._best: float | None = None
        os.stat(self.path.parent)  # now, not after an epoch's work

    def resume(self) -> int:
        """Loads the file if there is one, and tells how many epochs are done: 0 if there is none."""
        try:
            saved = load(self.path, self._f)
        except FileNotFoundError:
            return 0
        if saved.epoch is None:
            raise InputError(f"{self.path} does not say how many epochs are done: gc.save(path, f, epoch=...) does")
        self._best = saved.best
        with contextlib.suppress(FileNotFoundError), tensorfile.opened(self.best_path) as file:
            self._best = _facts(file)[0].best  # which is newer than `path`, if that is not saved after each epoch
        return saved.epoch

    def __call__(self, epoch: int, history: History) -> None:
        if self.monitor is not None and self._is_best(history):
            _save(self.best_path, self._f, epoch, self._best)
        if epoch % self._every == 0:
            _save(self.path, self._f, epoch, self._best)

    def _is_best(self, history: History) -> bool:
        """Whether the epoch that has ended is better than all before."""
        try:
            value = history.values(str(self.monitor))[-1]
        except KeyError as error:
            raise InputError(f"Checkpoint: {error.args[0]}") from None
        if np.ndim(value):
            raise InputError(f"Checkpoint(best=) is for one model, and {self.monitor!r} has a value for each of many")
        better = value == value and (self._best is None or self._sign * value < self._sign * self._best)
        self._best = float(value) if better else self._best
        return better
