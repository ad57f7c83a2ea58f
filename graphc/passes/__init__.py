"""The pipeline: each pass is a function in the file of its name, and its result prints as the stage of that name."""

from __future__ import annotations

from graphc.passes.differentiate import differentiate as differentiate
from graphc.passes.fold import fold as fold
from graphc.passes.fuse import fuse as fuse
from graphc.passes.plan import plan as plan
from graphc.passes.simplify import simplify as simplify
from graphc.passes.tile import tile as tile

GRAPH_PASSES = (differentiate, simplify, fold)
"""Graph -> Graph, each verified."""

PIPELINE = (*GRAPH_PASSES, fuse, tile, plan)
"""fuse: Graph -> Program. tile: Program -> Program. plan: Program -> Plan."""
