"""Element-wise ops in graphc's words, in JAX's and in PyTorch's."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import torch
from rows import Row, positive, real, same, truth, whole
from torch.nn import functional as nn

import graphc as gc

M, V = (3, 4), (4,)

ARITHMETIC = [
    *(same(name, real(*M), real(*V)) for name in ("add", "subtract", "multiply", "maximum", "minimum")),
    *(same(name, real(*M), positive(*V)) for name in ("divide", "remainder", "arctan2")),
    Row("floor_divide", gc.floor_divide, jnp.floor_divide, None, (real(*M), positive(*V))),
    *(same(name, real(*M)) for name in ("negative", "absolute", "sign", "square", "floor", "ceil", "trunc", "round")),
    Row("rint", gc.rint, jnp.rint, torch.round, (real(*M),)),
    Row("round: 2 digits", lambda x: gc.round(x, 2), None, lambda x: torch.round(x, decimals=2), (real(*M),)),
    same("reciprocal", positive(*M)),
    Row("rsqrt", gc.rsqrt, jax.lax.rsqrt, torch.rsqrt, (positive(*M),)),
    Row("power", gc.power, jnp.power, torch.pow, (positive(*M), real(*V))),
    Row("power: by 3", lambda x: x**3, lambda x: x**3, lambda x: x**3, (real(*M),)),
    Row("power: of 2", lambda x: 2.0**x, lambda x: 2.0**x, lambda x: 2.0**x, (real(*M),)),
    Row("clip", gc.clip, jnp.clip, torch.clamp, (real(*M), real(*V, high=-0.5), positive(*V))),
    Row(
        "clip: from below",
        lambda x: gc.clip(x, 0.5),
        lambda x: jnp.clip(x, 0.5),
        lambda x: torch.clamp(x, 0.5),
        (real(*M),),
    ),
]

FUNCTIONS = [
    *(same(name, real(*M)) for name in ("exp", "exp2", "expm1", "sin", "cos", "sinh", "cosh", "tanh", "arcsinh")),
    *(same(name, positive(*M)) for name in ("sqrt", "log", "log2", "log10")),
    same("log1p", real(*M, low=-0.5)),
    same("tan", real(*M, low=-1, high=1)),
    *(same(name, real(*M, low=-0.9, high=0.9)) for name in ("arcsin", "arccos", "arctanh")),
    same("arctan", real(*M)),
    same("arccosh", real(*M, low=1.5, high=3)),
    Row("erf", gc.erf, jax.scipy.special.erf, torch.erf, (real(*M),)),
    Row("erfc", gc.erfc, jax.scipy.special.erfc, torch.erfc, (real(*M),)),
]


def hard_sigmoid_in_torch(x: torch.Tensor) -> torch.Tensor:
    """nn.hardsigmoid is the same, but its gradient has 1/6 as a float32."""
    return nn.relu6(x + 3) / 6


ACTIVATIONS = [
    Row("relu", gc.relu, jax.nn.relu, nn.relu, (real(*M),)),
    Row("sigmoid", gc.sigmoid, jax.nn.sigmoid, nn.sigmoid, (real(*M, low=-9, high=9),)),
    # nn.hardsigmoid's own gradient has 1/6 as a float32.
    Row(
        "hard_sigmoid", gc.hard_sigmoid, jax.nn.hard_sigmoid, lambda x: nn.relu6(x + 3) / 6, (real(*M, low=-6, high=6),)
    ),
    Row("leaky_relu", gc.leaky_relu, jax.nn.leaky_relu, nn.leaky_relu, (real(*M),)),
    Row(
        "leaky_relu: 0.3",
        lambda x: gc.leaky_relu(x, slope=0.3),
        lambda x: jax.nn.leaky_relu(x, 0.3),
        lambda x: nn.leaky_relu(x, 0.3),
        (real(*M),),
    ),
    Row("elu", gc.elu, jax.nn.elu, nn.elu, (real(*M),)),
    Row(
        "elu: 0.3", lambda x: gc.elu(x, alpha=0.3), lambda x: jax.nn.elu(x, 0.3), lambda x: nn.elu(x, 0.3), (real(*M),)
    ),
    Row("selu", gc.selu, jax.nn.selu, nn.selu, (real(*M),)),
    Row("silu", gc.silu, jax.nn.silu, nn.silu, (real(*M, low=-9, high=9),)),
    Row("log_sigmoid", gc.log_sigmoid, jax.nn.log_sigmoid, nn.logsigmoid, (real(*M, low=-9, high=9),)),
    Row("xlogy", gc.xlogy, jax.scipy.special.xlogy, torch.xlogy, (real(*M), positive(*V))),
    Row("softplus", gc.softplus, jax.nn.softplus, nn.softplus, (real(*M, low=-9, high=9),)),
    Row("gelu", gc.gelu, lambda x: jax.nn.gelu(x, approximate=False), nn.gelu, (real(*M),)),
    Row(
        "gelu: tanh",
        lambda x: gc.gelu(x, approximate="tanh"),
        jax.nn.gelu,
        lambda x: nn.gelu(x, approximate="tanh"),
        (real(*M),),
    ),
]

CHOICE = [
    Row("equal", gc.equal, jnp.equal, torch.eq, (whole(*M), whole(*V))),
    *(same(name, whole(*M), whole(*V)) for name in ("not_equal", "less", "less_equal", "greater", "greater_equal")),
    *(same(name, np.array([0.0, -1.0, np.nan, np.inf, -np.inf])) for name in ("isfinite", "isnan", "isinf")),
    *(same(name, truth(*M), truth(*V)) for name in ("logical_and", "logical_or", "logical_xor")),
    same("logical_not", truth(*M)),
    *(same(f"bitwise_{name}", whole(*M, low=-9, high=9), whole(*V, high=9)) for name in ("and", "or", "xor")),
    Row("invert", gc.invert, jnp.invert, torch.bitwise_not, (whole(*M),)),
    Row("left_shift", gc.left_shift, jnp.left_shift, torch.bitwise_left_shift, (whole(*M, low=-9, high=9), whole(*V))),
    Row(
        "right_shift",
        gc.right_shift,
        jnp.right_shift,
        torch.bitwise_right_shift,
        (whole(*M, low=-9, high=9), whole(*V)),
    ),
    same("where", truth(*M), real(*M), real(*V)),
    Row(
        "astype", lambda x: gc.astype(x, "int64"), lambda x: x.astype("int64"), lambda x: x.to(torch.int64), (real(*M),)
    ),
    Row("stop_gradient", gc.stop_gradient, jax.lax.stop_gradient, torch.detach, (real(*M),)),
    same("zeros_like", real(*M)),
]


ELEMENTWISE = [*ARITHMETIC, *FUNCTIONS, *ACTIVATIONS, *CHOICE]
