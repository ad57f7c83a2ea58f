"""Names that do not exist: the nearest that does."""

from __future__ import annotations

from collections.abc import Callable, Iterable

ELSEWHERE = {
    "Constant": "const",
    "CrossEntropyLoss": "softmax_cross_entropy",
    "Input": "input",
    "L1Loss": "mae",
    "MSELoss": "mse",
    "Parameter": "param",
    "Variable": "param",
    "acos": "arccos",
    "acosh": "arccosh",
    "amax": "max",
    "amin": "min",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atan2": "arctan2",
    "atanh": "arctanh",
    "axes": "axis",
    "bce": "binary_cross_entropy",
    "bitwise_not": "invert",
    "cast": "astype",
    "cat": "concatenate",
    "concat": "concatenate",
    "constant": "const",
    "detach": "stop_gradient",
    "dim": "axis",
    "div": "divide",
    "fabs": "abs",
    "flatten": "ravel",
    "gather": "take_along_axis",
    "jit": "compile",
    "keepdim": "keepdims",
    "l1_loss": "mae",
    "learning_rate": "lr",
    "mm": "matmul",
    "mod": "remainder",
    "mse_loss": "mse",
    "mul": "multiply",
    "neg": "negative",
    "parameter": "param",
    "permute": "transpose",
    "placeholder": "input",
    "pow": "power",
    "shared": "param",
    "sub": "subtract",
    "swish": "silu",
    "tensor": "const",
    "true_divide": "divide",
    "unsqueeze": "expand_dims",
    "value_and_grad": "grad",
    "variable": "param",
    "view": "reshape",
}
"""What NumPy, PyTorch, JAX, Keras or Theano call something that has another name here."""


def did_you_mean(name: object, known: Iterable[str], spelled: Callable[[str], str] = repr) -> str:
    """`; did you mean 'axis'?` for the nearest of the known names, nothing if none is near."""
    import difflib  # which a program without mistakes does not need

    names = [*known]
    if ELSEWHERE.get(str(name)) in names:
        return f"; did you mean {spelled(ELSEWHERE[str(name)])}?"
    lower = {each.lower(): each for each in names}
    found = difflib.get_close_matches(str(name).lower(), lower, 1)
    return f"; did you mean {spelled(lower[found[0]])}?" if found else ""


def no_attribute(name: str, module: dict[str, object]) -> AttributeError:
    """The error for a public name that graphc does not have."""
    known = [each for each, value in module.items() if callable(value) and not each.startswith("_")]
    near = "" if name.startswith("_") else did_you_mean(name, known, "gc.{}".format)
    return AttributeError(f"module 'graphc' has no attribute {name!r}{near}")
