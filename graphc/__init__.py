"""graphc: a symbolic graph becomes one native training step. Public names, no logic."""

from graphc.compiler import Function as Function, compile as compile
from graphc.constants import const as const
from graphc.errors import (
    DtypeError as DtypeError,
    GradientError as GradientError,
    GraphcError as GraphcError,
    GraphError as GraphError,
    InputError as InputError,
    NonFiniteError as NonFiniteError,
    ShapeError as ShapeError,
)
from graphc.gradcheck import check_gradient as check_gradient
from graphc.ir import Node as Node
from graphc.losses import (
    cross_entropy as cross_entropy,
    mae as mae,
    mse as mse,
    softmax_cross_entropy as softmax_cross_entropy,
)
from graphc.ops.elementwise import (
    absolute as absolute,
    add as add,
    astype as astype,
    divide as divide,
    equal as equal,
    exp as exp,
    greater as greater,
    greater_equal as greater_equal,
    isfinite as isfinite,
    less as less,
    less_equal as less_equal,
    log as log,
    logical_and as logical_and,
    logical_or as logical_or,
    maximum as maximum,
    minimum as minimum,
    multiply as multiply,
    negative as negative,
    not_equal as not_equal,
    power as power,
    relu as relu,
    sigmoid as sigmoid,
    sign as sign,
    sqrt as sqrt,
    stop_gradient as stop_gradient,
    subtract as subtract,
    tanh as tanh,
    where as where,
    zeros_like as zeros_like,
)
from graphc.ops.index import one_hot as one_hot, pick as pick
from graphc.ops.product import dot as dot
from graphc.ops.reduce import (
    log_softmax as log_softmax,
    logsumexp as logsumexp,
    max as max,
    mean as mean,
    softmax as softmax,
    sum as sum,
)
from graphc.ops.shape import (
    arange as arange,
    broadcast_to as broadcast_to,
    expand_dims as expand_dims,
    reshape as reshape,
    squeeze as squeeze,
    transpose as transpose,
)
from graphc.optim import SGD as SGD, Optimizer as Optimizer
from graphc.passes.differentiate import grad as grad
from graphc.reference import evaluate as evaluate
from graphc.state import Param as Param, input as input, param as param

abs = absolute
__version__ = "0.1.0"
