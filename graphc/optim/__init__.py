"""Optimizers: each builds its update as nodes, simplified, fused and compiled like the rest of the graph."""

from graphc.optim.adaptive import (
    Adagrad as Adagrad,
    Adam as Adam,
    AdamW as AdamW,
    RMSprop as RMSprop,
)
from graphc.optim.base import Optimizer as Optimizer
from graphc.optim.descent import SGD as SGD
from graphc.optim.rate import LearningRate as LearningRate
