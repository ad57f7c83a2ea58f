"""What a call is given, as arrays that native code takes: cast if that is safe, copied if need be, else refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc.errors import InputError
from graphc.ir import Node
from graphc.nearest import did_you_mean
from graphc.remedies import remedy_of_array

Array = np.ndarray[Any, Any]


def as_input(node: Node, value: Any) -> Array:
    """`value` as an array that native code takes: itself if it can be, else a copy; InputError if it does not fit."""
    if (
        type(value) is np.ndarray
        and value.dtype is node.dtype
        and value.ndim == node.ndim
        and value.flags.c_contiguous
        and value.flags.aligned
    ):
        return value
    return np.require(fitting(node, value), node.dtype, ["C", "ALIGNED"])


def fitting(node: Node, value: Any) -> Array:
    """`value` as an array with the node's axes, of a dtype that may be cast to the node's; InputError if it is none."""
    array = _as_array(node, value)
    if array.ndim != node.ndim:
        raise InputError(
            f"input {node.name} wants {node.type}, got {array.ndim} axes: shape {array.shape} ({node.where})"
            f"{remedy_of_array(node, array)}"
        )
    if hasattr(value, "dtype"):
        fits = np.can_cast(array.dtype, node.dtype, "safe")
    elif array.dtype.kind == "i":  # Python numbers and lists adapt where they fit, arrays of any kind do not
        fits = node.type.floating or (node.dtype.kind in "iu" and np.array_equal(array.astype(node.dtype), array))
    else:
        fits = np.can_cast(array.dtype, node.dtype, "same_kind")
    if not fits:
        raise InputError(
            f"input {node.name} wants {node.type}, got dtype {array.dtype}, which cannot be cast safely; "
            f"say so if you mean it: {node.name}.astype({node.dtype.name!r}) ({node.where})"
        )
    return array


def in_order(name: str, inputs: Sequence[Node], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """The values of a call of the function `name` in the order of its inputs; InputError if they are not those."""
    names = [str(node.name) for node in inputs]
    if len(args) > len(names):
        raise InputError(f"{name} takes {len(names)} inputs ({', '.join(names)}), got {len(args)}")
    given = dict(zip(names, args, strict=False))
    for key, value in kwargs.items():
        if key not in names:
            near = did_you_mean(key, names)
            raise InputError(f"{name} has no input {key!r}; its inputs are {', '.join(names)}{near}")
        if key in given:
            raise InputError(f"input {key} is given twice")
        given[key] = value
    missing = [key for key in names if key not in given]
    if missing:
        raise InputError(f"{name} also wants {', '.join(missing)}; its inputs are {', '.join(names)}")
    return [given[key] for key in names]


def _as_array(node: Node, value: Any) -> Array:
    """What a call was given as an array; InputError for what is none, or not all of one."""
    if isinstance(value, Node):
        raise InputError(f"input {node.name} wants a value, got the node {value!r}; to compute it, gc.evaluate it")
    if np.ma.is_masked(value):
        raise InputError(f"input {node.name} wants all its values, got a masked array; fill it: x.filled(0)")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise InputError(f"input {node.name} wants {node.type}, got what is no array: {error} ({node.where})") from None
