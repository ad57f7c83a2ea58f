"""Weights to and from other frameworks: a plain safetensors file with their names and their layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from graphc import nn, tensorfile
from graphc.errors import InputError
from graphc.function import Function
from graphc.state import Param, ParamCopies
from graphc.tensorfile import FilePath, TensorFile, listed, shown, told

Array = np.ndarray[Any, Any]
T = TypeVar("T")
Names = Mapping[str, str] | Callable[[str], str]

LAYOUTS: dict[str, dict[str, str]] = {
    # torch.nn's Linear (out, in), Embedding, LayerNorm
    "torch": {".W": ".weight", ".b": ".bias", ".table": ".weight", ".scale": ".weight", ".shift": ".bias"},
    # Keras 3's Dense (in, out), Embedding, LayerNormalization, as the end of a variable's path
    "keras": {".W": "/kernel", ".b": "/bias", ".table": "/embeddings", ".scale": "/gamma", ".shift": "/beta"},
}
"""What the params of gc.nn's layers are called elsewhere, by the ends of their names."""

TURNED = {"torch": ".W"}
"""The params whose last two axes stand the other way round."""


def save_weights(path: FilePath, params: Any, names: Names | None = None, layout: str | None = None) -> None:
    """Writes params as a plain safetensors file, for PyTorch, Keras or any other reader.

    params: a compiled function (its params, without optimizer state and counters), or nodes (all params that they are
    computed from). layout: "torch" or "keras" renames and turns the params of gc.nn's layers: `fc.W` of shape (in, out)
    is PyTorch's `fc.weight` of shape (out, in), and Keras's `fc/kernel`. Others are written as they are. names: what a
    layer is called there, a dict such as {"fc": "0"} or a function; names of params that belong to no layer, or, in a
    dict, whole names (`{"fc.W": "head.weight"}`) are changed too.

    `safetensors.torch.load_file(path)` is then a state dict. Written as gc.save writes: complete or not at all. Raises
    InputError for names that speak of nothing, or that two params would share.
    """
    arrays = _arrays(params)
    foreign = _foreign_names(arrays, names, layout)

    def copied() -> dict[str, Array]:
        return {foreign[name]: np.array(_turned(name, array, layout), order="C") for name, array in arrays.items()}

    tensorfile.write(path, _between_steps(params, copied), {})


def load_weights(path: FilePath, params: Any, names: Names | None = None, layout: str | None = None) -> list[str]:
    """Sets params from a safetensors file, such as PyTorch's `save_file(model.state_dict(), path)`, or gc.save's.

    params, names, layout: as `save_weights` has them. All of the file is checked before a param changes. float16 is
    read into float32 and float64, float32 into float64. The arrays have no checksum here. Returns the names in the file
    that none of the params has.

    Raises FileFormatError if the file is damaged, lacks a param or has one of another shape or dtype; InputError for
    names as `save_weights` does; OSError as the system does.
    """
    arrays = _arrays(params)
    foreign = _foreign_names(arrays, names, layout)
    with tensorfile.opened(path) as file:
        missing = [foreign[name] for name in arrays if foreign[name] not in file.entries]
        if missing:
            raise file.error(f"it lacks {listed(missing)}; it has {listed(file.entries) or 'nothing'}")
        for name, array in arrays.items():
            _check_type(file, foreign[name], name, _turned(name, array, layout))
        found = {name: file.array(foreign[name]) for name in arrays}
        unused = [name for name in file.entries if name not in foreign.values()]

    def put() -> None:
        for name, array in arrays.items():
            _turned(name, array, layout)[...] = found[name]

    _between_steps(params, put)
    return unused


def _arrays(params: Any) -> dict[str, Array]:
    """The live arrays by name, without those that count steps."""
    if isinstance(params, Function):
        ones = [each.param if isinstance(each, ParamCopies) else each for each in params.params]
        return {str(param.name): params.state[str(param.name)] for param in ones if param.next_value is None}
    by_name: dict[str, Param] = {}
    for param in nn.params(params):
        if param.next_value is None and by_name.setdefault(str(param.name), param) is not param:
            raise InputError(f"two different params are called {param.name!r}; a file has one of each name")
    return {name: param.value for name, param in by_name.items()}


def _between_steps(params: Any, work: Callable[[], T]) -> T:
    """What `work` returns, where no step of a function runs meanwhile."""
    return params._step.between(work) if isinstance(params, Function) else work()


# ---- names and layout -----------------------------------------------------------------------------------------------


def _foreign_names(arrays: Mapping[str, Array], names: Names | None, layout: str | None) -> dict[str, str]:
    """What each param is called in the file."""
    if layout is not None and layout not in LAYOUTS:
        raise InputError(f"layout is one of {', '.join(LAYOUTS)} or None, got {layout!r}")
    stems = {name: _split(name, layout) for name in arrays}
    given = names if isinstance(names, Mapping) else {}
    if given:
        known = {*arrays, *(stem for stem, _ in stems.values())}
        wrong = [name for name in given if name not in known]
        if wrong:
            raise InputError(f"names speaks of {listed(wrong)}, but there is only {', '.join(sorted(known))}")

    def renamed(stem: str) -> str:
        return names(stem) if callable(names) else given.get(stem, stem)

    found = {name: given.get(name, renamed(stem) + end) for name, (stem, end) in stems.items()}
    twice = [name for name in found if list(found.values()).count(found[name]) > 1]
    if twice:
        raise InputError(f"the file would have one name for {', '.join(twice)}: {told(found[twice[0]])}")
    return found


def _split(name: str, layout: str | None) -> tuple[str, str]:
    """A param's layer, and the layout's end of its name; the whole name and nothing if it is of no layer."""
    for end, foreign in LAYOUTS.get(layout or "", {}).items():
        if name.endswith(end):
            return name.removesuffix(end), foreign
    return name, ""


def _turned(name: str, array: Array, layout: str | None) -> Array:
    """The array as the layout has it: a view."""
    turned = array.ndim > 1 and name.endswith(TURNED.get(layout or "", "\0"))
    return array.swapaxes(-1, -2) if turned else array


def _check_type(file: TensorFile, foreign: str, name: str, array: Array) -> None:
    """FileFormatError unless the file's array fits into a param's, as the layout has it."""
    entry, wanted = file.entries[foreign], shown(array.dtype, array.shape)
    remedy = ""
    if entry.shape != array.shape:
        turned = entry.shape == array.shape[::-1]
        remedy = '; layout="torch" turns matrices (out, in) into (in, out), None leaves them' * turned
    elif entry.code not in tensorfile.DTYPES or not np.can_cast(entry.dtype, array.dtype, "safe"):
        remedy = f"; cast it to {array.dtype} where it was written"
    else:
        return
    raise file.error(f"{told(foreign)} is {entry}, but {told(name)} wants {wanted}{remedy}")
