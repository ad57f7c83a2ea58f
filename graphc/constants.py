"""Constants, and Python values lifted into them by NumPy 2's promotion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.errors import DtypeError
from graphc.ir import OPS, Node, Op, Operand, make
from graphc.kinds import Constant
from graphc.types import TensorType, broadcast, supported_dtype


@dataclass(frozen=True)
class Literal:
    """The value of a constant, equal bit for bit: 0.0 is not -0.0, and a NaN is itself."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    data: bytes

    @staticmethod
    def of(array: np.ndarray[Any, Any]) -> Literal:
        return Literal(array.dtype, array.shape, array.tobytes())

    @property
    def array(self) -> np.ndarray[Any, Any]:
        """The value, read-only."""
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)

    def __str__(self) -> str:
        return str(self.array[()]) if not self.shape else f"<{self.array.size} values>"


CONST = Op(
    "const",
    Constant(),
    lambda literal: TensorType(literal.dtype, literal.shape),
    doc="A value known when the graph is built.",
)


def const(value: Any, dtype: Any = None) -> Node:
    """The constant `value`, of NumPy's dtype for it unless `dtype` is given; DtypeError if graphc has no such dtype."""
    if isinstance(value, Node):
        raise TypeError(f"{value!r} is a node already, not a value")
    try:
        array = np.asarray(value, dtype)
    except (OverflowError, ValueError, TypeError) as error:
        raise DtypeError(
            f"const: {value!r} is no {'array' if dtype is None else np.dtype(dtype).name}: {error}"
        ) from None
    supported_dtype(array.dtype)
    return make(CONST, (), {"literal": Literal.of(array)})


def constant_value(node: Node) -> np.ndarray[Any, Any] | None:
    """The value of a constant node, None for any other node."""
    return node.options["literal"].array if isinstance(node.op.kind, Constant) else None


class Weak:
    """A scalar node that takes the dtype of the tensors it meets, as a Python number does."""

    def __init__(self, node: Node) -> None:
        self.node = node


def as_node(value: Operand) -> Node:
    """`value` if it is a node, else the constant that it is."""
    return value if isinstance(value, Node) else const(value)


def common_dtype(*operands: Operand, floating: bool = False) -> np.dtype[Any]:
    """NumPy 2's promotion (NEP 50): Python numbers adapt to the tensors' dtype.

    `floating` asks for a float dtype: integers then become float64, as in NumPy.
    """
    adapting = (0.0 if isinstance(value, Weak) else value for value in operands)
    known = [value.dtype if isinstance(value, Node) else value for value in adapting]
    try:
        dtype = np.result_type(*(v if isinstance(v, (int, float, np.dtype)) else np.asarray(v).dtype for v in known))
    except TypeError as error:
        raise DtypeError(f"no dtype is common to the operands: {error}") from None
    return supported_dtype(np.float64 if floating and dtype.kind in "iub" else dtype)


def cast(value: Operand, dtype: np.dtype[Any]) -> Node:
    """`value` as a node of this dtype."""
    value = value.node if isinstance(value, Weak) else value
    if not isinstance(value, Node):
        return const(value, dtype)
    return value if value.dtype == dtype else OPS["astype"](value, dtype)


def promoted(*operands: Operand, floating: bool = False) -> tuple[Node, ...]:
    """Operands that broadcast against each other as nodes of their common dtype."""
    broadcast(*(value.shape for value in operands if isinstance(value, Node)))
    dtype = common_dtype(*operands, floating=floating)
    return tuple(cast(value, dtype) for value in operands)
