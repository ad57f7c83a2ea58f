"""The gradient tape beside the symbolic gradient: equal numbers, made in two ways.

A tape writes down every operation while it runs on numbers, and walks the record back: that is how TensorFlow's
GradientTape works, and PyTorch's autograd. The one below is some forty lines of Python. A symbolic gradient is made
before there are any numbers, as another expression: it can be read, simplified, compiled, and differentiated again. The
tape must write and walk for each call anew.

The expressions are the chapter's: 2 x + 3, for a scalar and for a (2, 2) array, and dot(x, W) + b by W and b. Where y
is an array, both give the gradient of the sum of its elements, as TensorFlow does.

Run it with `python examples/gradient_tape.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from timeit import repeat
from typing import Any

import numpy as np

import graphc as gc

Pull = Callable[[np.ndarray], np.ndarray]
"""From the gradient of an operation's result to that of an operand."""


@dataclass
class Tape:
    """What was computed, in order: each result with its operands, and how a gradient goes back to each of them."""

    record: list[tuple[Traced, list[tuple[Traced, Pull]]]] = field(default_factory=list)

    def variable(self, value: Any) -> Traced:
        return Traced(np.asarray(value, np.float64), self)

    def gradient(self, y: Traced, sources: list[Traced]) -> list[np.ndarray]:
        """The gradients of the sum of y's elements: from the last operation to the first, by the chain rule."""
        found = {y: np.ones_like(y.value)}
        for result, operands in reversed(self.record):
            if result not in found:
                continue  # y does not depend on it
            for operand, pull in operands:
                found[operand] = found.get(operand, 0) + unbroadcast(pull(found[result]), operand.value.shape)
        return [found.get(source, np.zeros_like(source.value)) for source in sources]


@dataclass(eq=False)
class Traced:
    """A number or an array whose operations are written on a tape."""

    value: np.ndarray
    tape: Tape

    def __add__(self, other: Any) -> Traced:
        other = self.lifted(other)
        return self.recorded(self.value + other.value, (self, lambda g: g), (other, lambda g: g))

    def __mul__(self, other: Any) -> Traced:
        other = self.lifted(other)
        return self.recorded(
            self.value * other.value, (self, lambda g: g * other.value), (other, lambda g: g * self.value)
        )

    def __matmul__(self, other: Traced) -> Traced:
        return self.recorded(
            self.value @ other.value, (self, lambda g: g @ other.value.T), (other, lambda g: self.value.T @ g)
        )

    __radd__, __rmul__ = __add__, __mul__

    def lifted(self, other: Any) -> Traced:
        return other if isinstance(other, Traced) else self.tape.variable(other)

    def recorded(self, value: Any, *operands: tuple[Traced, Pull]) -> Traced:
        result = self.tape.variable(value)
        self.tape.record.append((result, list(operands)))
        return result


def unbroadcast(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Summed over the axes along which an operand of this shape was repeated; no axis of it has size 1."""
    return gradient.sum(tuple(range(np.ndim(gradient) - len(shape))))


# ---- the chapter's expressions, for numbers, for a tape and for a graph ----------------------------------------------


def line(x: Any) -> Any:
    return 2 * x + 3


def dense(x: Any, kernel: Any, bias: Any) -> Any:
    return x @ kernel + bias


@dataclass
class Example:
    """An expression, its arguments, and the names of those by which it is differentiated."""

    title: str
    expression: Callable[..., Any]
    arguments: dict[str, np.ndarray]
    wrt: list[str]

    def by_tape(self) -> list[np.ndarray]:
        """Runs the expression on a new tape, and walks back."""
        tape = Tape()
        variables = {name: tape.variable(value) for name, value in self.arguments.items()}
        return tape.gradient(self.expression(*variables.values()), [variables[name] for name in self.wrt])

    def by_graph(self) -> gc.Function:
        """The symbolic gradient, compiled: a function of the arguments, whatever their values."""
        inputs = {name: gc.input(name, value.shape, "float64") for name, value in self.arguments.items()}
        total = gc.sum(self.expression(*inputs.values()))
        gradients = gc.grad(total, [inputs[name] for name in self.wrt])
        return gc.compile(gradients, inputs=list(inputs.values()), name="gradient")


def examples() -> list[Example]:
    rng = np.random.default_rng(0)
    x, W, b = rng.random((2, 2)), rng.random((2, 2)), np.zeros(2)
    return [
        Example("y = 2 * x + 3, x a scalar", line, {"x": np.array(0.0)}, ["x"]),
        Example("y = 2 * x + 3, x of shape (2, 2)", line, {"x": x}, ["x"]),
        Example("y = dot(x, W) + b", dense, {"x": x, "W": W, "b": b}, ["W", "b"]),
    ]


def micros(call: Callable[[], Any]) -> float:
    """Microseconds of a call: the fastest of five rounds."""
    return min(repeat(call, number=2000, repeat=5)) / 2000 * 1e6


def main() -> None:
    for example in examples():
        arrays = example.arguments.values()
        symbolic = example.by_graph()
        print(f"---- {example.title}")
        for name, taped, computed in zip(example.wrt, example.by_tape(), symbolic(*arrays), strict=True):
            print(f"by {name}   tape {np.round(taped, 3).tolist()}   graph {np.round(computed, 3).tolist()}")
        print(f"a call: tape {micros(example.by_tape):.1f} us, compiled {micros(partial(symbolic, *arrays)):.1f} us")
        print(symbolic.stages["fold"], end="\n\n")


if __name__ == "__main__":
    main()
