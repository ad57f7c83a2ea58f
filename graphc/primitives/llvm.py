"""LLVM code in place of a Python function: a formula of floats in Python's operators, or instructions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import lower_builtin, type_callable

UNFUSED = ("",)
"""The flags of sums and products: none, but not an empty list, to which Numba would add emitted code's `contract`. A
product contracted into one sum and not into another makes nonsense of what a formula takes for its rounding error."""


class Value:
    """A number in LLVM code that is being written: each operator writes the next instruction."""

    def __init__(self, builder: Any, llvm: Any) -> None:
        self.builder, self.llvm = builder, llvm
        self.whole = isinstance(llvm.type, ir.IntType)
        self.size = llvm.type.width if self.whole else 32 if isinstance(llvm.type, ir.FloatType) else 64
        self.fraction, self.bias = (23, 127) if self.size == 32 else (52, 1023)

    def constant(self, number: float) -> Value:
        return Value(self.builder, self._of(number))

    def _of(self, other: Any) -> Any:
        """Another value, or a Python number in this one's format, as LLVM has it."""
        return other.llvm if isinstance(other, Value) else ir.Constant(self.llvm.type, other)

    def _write(self, floats: str, integers: str, other: Any) -> Value:
        write = getattr(self.builder, integers if self.whole else floats)
        return Value(self.builder, write(self.llvm, self._of(other), flags=() if self.whole else UNFUSED))

    def __add__(self, other: Any) -> Value:
        return self._write("fadd", "add", other)

    def __sub__(self, other: Any) -> Value:
        return self._write("fsub", "sub", other)

    def __mul__(self, other: Any) -> Value:
        return self._write("fmul", "mul", other)

    def __truediv__(self, other: Any) -> Value:
        return Value(self.builder, self.builder.fdiv(self.llvm, self._of(other)))

    def __neg__(self) -> Value:
        return Value(self.builder, (self.builder.neg if self.whole else self.builder.fneg)(self.llvm))

    def __and__(self, other: Any) -> Value:
        return Value(self.builder, self.builder.and_(self.llvm, self._of(other)))

    def __or__(self, other: Any) -> Value:
        return Value(self.builder, self.builder.or_(self.llvm, self._of(other)))

    def __lshift__(self, bits: int) -> Value:
        return Value(self.builder, self.builder.shl(self.llvm, self._of(bits)))

    def __rshift__(self, bits: int) -> Value:
        return Value(self.builder, self.builder.lshr(self.llvm, self._of(bits)))

    def compared(self, how: str, other: Any) -> Value:
        """False for NaN."""
        return Value(self.builder, self.builder.fcmp_ordered(how, self.llvm, self._of(other)))

    def __lt__(self, other: Any) -> Value:
        return self.compared("<", other)

    def __gt__(self, other: Any) -> Value:
        return self.compared(">", other)

    def select(self, a: Any, b: Any) -> Value:
        """a where this is true, else b; at least one of them is a value."""
        one = a if isinstance(a, Value) else b
        return Value(self.builder, self.builder.select(self.llvm, one._of(a), one._of(b)))

    def bits(self) -> Value:
        """The word of a float."""
        return Value(self.builder, self.builder.bitcast(self.llvm, ir.IntType(self.size)))

    def as_float(self) -> Value:
        """The float that a word is."""
        return Value(
            self.builder, self.builder.bitcast(self.llvm, ir.FloatType() if self.size == 32 else ir.DoubleType())
        )


Formula = Callable[[Value], Value]


def intrinsic(name: str, first: Value, *others: Any) -> Value:
    """LLVM's function of floats of one format."""
    kind, count = first.llvm.type, 1 + len(others)
    function = first.builder.module.declare_intrinsic(f"llvm.{name}", [kind], ir.FunctionType(kind, [kind] * count))
    return Value(first.builder, first.builder.call(function, [first.llvm, *(first._of(each) for each in others)]))


def fma(a: Value, b: Any, c: Any) -> Value:
    """`a * b + c`, rounded once: an instruction where the CPU has it, else a slow call."""
    return intrinsic("fma", a, b, c)


def magnitude(x: Value) -> Value:
    return intrinsic("fabs", x)


def signed(size: Value, sign: Value) -> Value:
    """|size| with the sign of `sign`."""
    return intrinsic("copysign", size, sign)


def at_least(x: Value, low: float) -> Value:
    """NaN stays."""
    return (x < low).select(low, x)


def at_most(x: Value, high: float) -> Value:
    """NaN stays."""
    return (x > high).select(high, x)


def formula_of(function: Callable[[Any], Any]) -> Callable[[Formula], Formula]:
    """Compiled code has the decorated formula in place of calls of `function`.

    LLVM prefers vectors of 256 bits on CPUs whose clock slows down for those of 512. What is as dense as a polynomial
    is faster in 512 all the same, so the function around it asks for them.
    """

    def register(formula: Formula) -> Formula:
        @type_callable(function)
        def _typed(context):
            return lambda x: x if isinstance(x, types.Float) else None

        @lower_builtin(function, types.Float)
        def _written(context, builder, signature, args):
            set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # its own add refuses what has a value
            return formula(Value(builder, args[0])).llvm

        return formula

    return register


Typer = Callable[..., Any]
Writer = Callable[..., Any]


def code_of(function: Callable[..., Any], typer: Typer) -> Callable[[Writer], Writer]:
    """Compiled code has what the decorated writer writes in place of calls of `function`.

    typer(*types): the result's type. The writer gets Numba's (context, builder, signature, args). There is nothing to
    infer or to compile on the way, so this costs far less than an overload.
    """

    def register(writer: Writer) -> Writer:
        @type_callable(function)
        def _typed(context):
            return typer

        lower_builtin(function, types.VarArg(types.Any))(writer)
        return writer

    return register
