"""The pipeline: each pass is a function in the file of its name, and its result prints as the stage of that name."""

from __future__ import annotations

from graphc.passes.differentiate import differentiate
from graphc.passes.fold import fold
from graphc.passes.fuse import fuse
from graphc.passes.plan import plan
from graphc.passes.simplify import simplify

GRAPH_PASSES = (differentiate, simplify, fold)
"""Graph -> Graph, each verified."""

PIPELINE = (*GRAPH_PASSES, fuse, plan)
"""fuse: Graph -> Program. plan: Program -> Plan."""
