"""What an error says where a node cannot be made: the op, the rule, the operands, the user's line, and a remedy."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeAlias, TypeVar

import numpy as np

from graphc.errors import GraphcError
from graphc.nearest import did_you_mean
from graphc.origin import user_line
from graphc.remedies import Call, Term, is_elementwise, is_tensor, label, remedy_of, trying
from graphc.types import SHORT_NAMES

Node: TypeAlias = Any  # ir.Node; ir.py is above this file

_EXPLAINED = "\n  in "


def explained(
    error: GraphcError, name: str, function: Callable[..., Any], operands: Sequence[Any], options: Mapping[str, Any]
) -> GraphcError:
    """`error` with the op, each operand's name, type and line, the line that asked for the op, and a remedy."""
    if trying.get() or _EXPLAINED in str(error):
        return error
    call, text = _call_of(name, function, operands, options), str(error)
    lines = [text if text.startswith(f"{name}: ") else f"{name}: {text}"]
    lines += [f"  {describe(value, word)}" for word, value in call.nodes]
    lines += [f"  in {name} at {user_line()}", *remedy_of(error, call)]
    return type(error)("\n".join(lines))


def describe(value: Node, word: str = "operand") -> str:
    """`W1: f32[784,512], param, train.py:5`; `word` is what a node without a name is called. An array has no line."""
    if isinstance(value, np.ndarray):
        sizes = ",".join(map(str, value.shape))
        return f"{word}: {SHORT_NAMES.get(value.dtype.name, value.dtype.name)}[{sizes}], an array"
    return f"{value.name or word}: {value.type}, {value.op.name}, {value.where}"


def check_call(name: str, function: Callable[..., Any], operands: Sequence[Any], options: Mapping[str, Any]) -> None:
    """TypeError in a user's words if a call has arguments that the op does not take."""
    signature = _signature(function)
    try:
        signature.bind(*operands, **options)
    except TypeError as error:
        variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        known = [
            each.name for each in signature.parameters.values() if each.name != "self" and each.kind not in variadic
        ]
        wrong = [key for key in options if key not in known]
        words = f"{name}: {error}; its arguments are {', '.join(known)}"
        if wrong:
            others = ", ".join(known) or "operands"
            words = f"{name} has no argument {wrong[0]!r}, only {others}{did_you_mean(wrong[0], known)}"
        raise TypeError(f"{words}{_EXPLAINED}{name} at {user_line()}") from None


P = ParamSpec("P")
R = TypeVar("R")


def teaching(function: Callable[P, R]) -> Callable[P, R]:
    """A function over ops with errors as an op's: they name it, its operands and the user's line."""
    name = function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except GraphcError as error:
            raise explained(error, name, function, args, kwargs) from None
        except TypeError:
            check_call(name, function, args, kwargs)
            raise

    return called


# ---- calls ----------------------------------------------------------------------------------------------------------


def _call_of(name: str, function: Callable[..., Any], operands: Sequence[Any], options: Mapping[str, Any]) -> Call:
    """What a function was called with: operands while they come first, then options by name."""
    signature = _signature(function)
    terms: list[Any] = []
    rest: dict[str, Any] = {}
    given = signature.bind(*operands, **options).arguments
    variadic = False
    for parameter in signature.parameters.values():
        value = given.get(parameter.name)
        if parameter.kind is parameter.VAR_POSITIONAL:
            terms, variadic = [*terms, *(value or ())], True
        elif parameter.kind is parameter.VAR_KEYWORD:
            rest.update(value or {})
        elif parameter.name in given:
            if not rest and parameter.kind is not parameter.KEYWORD_ONLY and _is_operand(value):
                terms.append(value)
            elif value is not parameter.default:
                rest[parameter.name] = value
    listed = variadic and not is_elementwise(function)
    return Call(name, function, tuple(Term(value, _text(value, at)) for at, value in enumerate(terms)), rest, listed)


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(getattr(function, "bind", function))  # an op's arguments are those of its bind


def _is_operand(value: Any) -> bool:
    return is_tensor(value) or (isinstance(value, (list, tuple)) and any(map(is_tensor, value)))


def _text(value: Any, at: int) -> str:
    if is_tensor(value):
        return label(value, at)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(_text(each, number) for number, each in enumerate(value))}]"
    return repr(value)
