"""graphc: a symbolic graph becomes one native training step. Public names, no logic."""

from typing import TYPE_CHECKING

from graphc import datasets as datasets, metrics as metrics, nn as nn, schedules as schedules
from graphc.checkpoint import Checkpoint as Checkpoint, Saved as Saved, load as load, save as save
from graphc.compiler import compile as compile
from graphc.constants import const as const
from graphc.copies import Copies as Copies
from graphc.errors import (
    CompilerError as CompilerError,
    DtypeError as DtypeError,
    FileFormatError as FileFormatError,
    GradientError as GradientError,
    GraphcError as GraphcError,
    GraphError as GraphError,
    InputError as InputError,
    NonFiniteError as NonFiniteError,
    ShapeError as ShapeError,
)
from graphc.function import Function as Function
from graphc.gradcheck import check_gradient as check_gradient
from graphc.inspect.parse import parse as parse
from graphc.ir import Node as Node
from graphc.losses import (
    binary_cross_entropy as binary_cross_entropy,
    cross_entropy as cross_entropy,
    huber as huber,
    mae as mae,
    mse as mse,
    sigmoid_cross_entropy as sigmoid_cross_entropy,
    softmax_cross_entropy as softmax_cross_entropy,
)
from graphc.nearest import no_attribute as _no_attribute
from graphc.ops.activation import (
    elu as elu,
    gelu as gelu,
    hard_sigmoid as hard_sigmoid,
    leaky_relu as leaky_relu,
    log_sigmoid as log_sigmoid,
    relu as relu,
    selu as selu,
    sigmoid as sigmoid,
    silu as silu,
    softplus as softplus,
)
from graphc.ops.arithmetic import (
    absolute as absolute,
    add as add,
    ceil as ceil,
    clip as clip,
    divide as divide,
    floor as floor,
    floor_divide as floor_divide,
    maximum as maximum,
    minimum as minimum,
    multiply as multiply,
    negative as negative,
    power as power,
    reciprocal as reciprocal,
    remainder as remainder,
    rint as rint,
    round as round,
    rsqrt as rsqrt,
    sign as sign,
    square as square,
    subtract as subtract,
    trunc as trunc,
)
from graphc.ops.choice import (
    astype as astype,
    bitwise_and as bitwise_and,
    bitwise_or as bitwise_or,
    bitwise_xor as bitwise_xor,
    equal as equal,
    greater as greater,
    greater_equal as greater_equal,
    invert as invert,
    isfinite as isfinite,
    isinf as isinf,
    isnan as isnan,
    left_shift as left_shift,
    less as less,
    less_equal as less_equal,
    logical_and as logical_and,
    logical_not as logical_not,
    logical_or as logical_or,
    logical_xor as logical_xor,
    not_equal as not_equal,
    right_shift as right_shift,
    stop_gradient as stop_gradient,
    where as where,
    zeros_like as zeros_like,
)
from graphc.ops.custom import custom_gradient as custom_gradient
from graphc.ops.diagonal import (
    diag as diag,
    diagonal as diagonal,
    eye as eye,
    tril as tril,
    triu as triu,
)
from graphc.ops.einsum import einsum as einsum
from graphc.ops.functions import (
    arccos as arccos,
    arccosh as arccosh,
    arcsin as arcsin,
    arcsinh as arcsinh,
    arctan as arctan,
    arctan2 as arctan2,
    arctanh as arctanh,
    cos as cos,
    cosh as cosh,
    erf as erf,
    erfc as erfc,
    exp as exp,
    exp2 as exp2,
    expm1 as expm1,
    log as log,
    log1p as log1p,
    log2 as log2,
    log10 as log10,
    sin as sin,
    sinh as sinh,
    sqrt as sqrt,
    tan as tan,
    tanh as tanh,
)
from graphc.ops.index import (
    embedding as embedding,
    one_hot as one_hot,
    pick as pick,
    take as take,
    take_along_axis as take_along_axis,
)
from graphc.ops.likelihood import xlogy as xlogy
from graphc.ops.pieces import (
    concatenate as concatenate,
    flip as flip,
    pad as pad,
    roll as roll,
    split as split,
    stack as stack,
)
from graphc.ops.product import (
    dot as dot,
    matmul as matmul,
    outer as outer,
    tensordot as tensordot,
)
from graphc.ops.random import dropout as dropout
from graphc.ops.reduce import (
    all as all,
    any as any,
    argmax as argmax,
    argmin as argmin,
    max as max,
    mean as mean,
    min as min,
    norm as norm,
    prod as prod,
    std as std,
    sum as sum,
    var as var,
)
from graphc.ops.scan import (
    cumsum as cumsum,
    recurrence as recurrence,
)
from graphc.ops.shape import (
    arange as arange,
    broadcast_to as broadcast_to,
    expand_dims as expand_dims,
    full as full,
    moveaxis as moveaxis,
    ones as ones,
    ravel as ravel,
    repeat as repeat,
    reshape as reshape,
    squeeze as squeeze,
    swapaxes as swapaxes,
    tile as tile,
    transpose as transpose,
    zeros as zeros,
)
from graphc.ops.softmax import (
    layer_norm as layer_norm,
    log_softmax as log_softmax,
    logsumexp as logsumexp,
    softmax as softmax,
    standardize as standardize,
)
from graphc.optim import (
    SGD as SGD,
    Adagrad as Adagrad,
    Adam as Adam,
    AdamW as AdamW,
    Optimizer as Optimizer,
    RMSprop as RMSprop,
)
from graphc.passes.differentiate import grad as grad
from graphc.reference import evaluate as evaluate
from graphc.state import Param as Param, input as input, param as param
from graphc.training.history import History as History
from graphc.training.stopping import EarlyStopping as EarlyStopping
from graphc.version import __version__ as __version__
from graphc.weights import load_weights as load_weights, save_weights as save_weights

abs = absolute

if not TYPE_CHECKING:  # a checker says itself what is missing

    def __getattr__(name):
        raise _no_attribute(name, globals())
