"""What one can ask of a compiled step beside running it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphc.backend.build import Interpreted, Machine
from graphc.explain import report_of
from graphc.graph import Graph
from graphc.inspect.diff import diff
from graphc.inspect.export import dot, mermaid
from graphc.inspect.stages import graph_at
from graphc.kernel import Gemm, Kernel, Plan, walk
from graphc.report import Report, Stages


class Inspected:
    """The methods of a Function that look into it. It sets the attributes; see pipeline.Compiled for what they are."""

    stages: Stages
    threads: int
    _graph: Graph
    _plan: Plan
    _code: Machine | Interpreted
    _passed: Mapping[str, Any]
    _seconds: Mapping[str, float]
    _measured: Mapping[Any, Any]
    _why_threads: str

    def __str__(self) -> str:
        return f"{self.stages['graph']}\n{self.summary()}"

    def summary(self) -> str:
        """One line: what was compiled to how much."""
        items, nodes = list(walk(self._plan.program.body)), len(self._plan.program.graph.nodes)
        kernels, products = (sum(isinstance(item, kind) for item in items) for kind in (Kernel, Gemm))
        return f"# {nodes} nodes -> {kernels} kernels, {products} matrix products, {len(self._plan.slots)} arena slots"

    def report(self) -> Report:
        """What the compiler did and why, and how long it took: print it, or read its attributes."""
        return report_of(self._plan, self._seconds, self._code.told, self.threads, self._why_threads)

    def diff(self, before: str, after: str) -> str:
        """What has changed from one stage to another, as text: `print(f.diff("simplify", "fold"))`.

        Two graphs, two programs, or the last graph and a program, where each line of the graph stands under the kernel
        that computes it. InputError for other stages.
        """
        return diff(self._passed, [*self.stages], before, after)

    def to_dot(self, stage: str = "graph") -> str:
        """The graph of a stage in Graphviz's language: `dot -Tsvg`. InputError if that stage is no graph."""
        return dot(graph_at(self._passed, self.stages, stage))

    def to_mermaid(self, stage: str = "graph") -> str:
        """The graph of a stage as a Mermaid flowchart, which GitHub draws. InputError if that stage is no graph."""
        return mermaid(graph_at(self._passed, self.stages, stage))
