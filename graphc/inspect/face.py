"""What one can ask of a compiled step beside running it."""

from __future__ import annotations

import functools
import os
from collections.abc import Mapping
from typing import Any

from graphc.arguments import as_input, in_order
from graphc.backend.build import Interpreted, Machine
from graphc.explain import report_of
from graphc.graph import Graph, axis_of_each_size
from graphc.inspect.diff import diff
from graphc.inspect.export import dot, mermaid
from graphc.inspect.failure import check_sizes
from graphc.inspect.links import links_of
from graphc.inspect.page import write_page
from graphc.inspect.profile import Profile
from graphc.inspect.profiling import profile_of
from graphc.inspect.stages import graph_at
from graphc.inspect.svg import svg_of
from graphc.inspect.twin import Twin, twin_of
from graphc.inspect.values import values_of
from graphc.ir import Node
from graphc.kernel import Gemm, Kernel, Plan, walk
from graphc.report import Report, Stages


class Inspected:
    """The methods of a Function that look into it. It sets the attributes; see pipeline.Compiled for what they are."""

    inputs: tuple[Node, ...]
    stages: Stages
    threads: int
    models: int
    _graph: Graph
    _plan: Plan
    _code: Machine | Interpreted
    _passed: Mapping[str, Any]
    _seconds: Mapping[str, float]
    _measured: Mapping[Any, Any]
    _why_threads: str

    def __str__(self) -> str:
        return f"{self.stages['graph']}\n{self.summary()}"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook shows by itself: the graph as a picture that stands alone, or its text."""
        return {"text/plain": str(self), "image/svg+xml": svg_of(self._passed["graph"])}

    def summary(self) -> str:
        """One line: what was compiled to how much."""
        items, nodes = list(walk(self._plan.program.body)), len(self._plan.program.graph.nodes)
        kernels, products = (sum(isinstance(item, kind) for item in items) for kind in (Kernel, Gemm))
        many = f"; for each of {self.models} models" if self.models > 1 else ""
        slots = len(self._plan.slots)
        return f"# {nodes} nodes -> {kernels} kernels, {products} matrix products, {slots} arena slots{many}"

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

    def profile(self, *args: Any, **kwargs: Any) -> Profile:
        """Where the time of a call with these arrays goes: kernel by kernel, beside what the machine can do at best.

        An instrumented twin of the step, compiled when it is first asked for, and the step itself run in turns on
        copies of the params, for some 0.2 s: the params, the optimizer's state and all counters stay as they are.
        print() the profile, or read, plot() or to_chrome_trace() it. Raises what a call with these arrays raises.
        """
        values = in_order(self._graph.name, self.inputs, args, kwargs)
        arrays = [as_input(node, value) for node, value in zip(self.inputs, values, strict=True)]
        sizes = check_sizes(self._graph, axis_of_each_size(self.inputs), arrays)
        return profile_of(self._twin, self._code, self.threads, arrays, sizes)

    @functools.cached_property
    def _twin(self) -> Twin:
        return twin_of(self._plan)

    def to_html(
        self, path: str | os.PathLike[str], values: Mapping[str, Any] | None = None, profile: Profile | None = None
    ) -> None:
        """Writes one HTML file that shows every stage, linked to each other; it needs no network.

        values: arrays by the name of the input. Then the page also shows each node's value, and the gradient of the
        first output on each edge of the graph, computed in float64 by the reference interpreter with the params'
        present values; the step does not run. profile: what f.profile() returned; then kernels have their measured
        times, and nodes may be coloured by them. Raises InputError for arrays that the step would not take, or for a
        profile of another step.
        """
        links = links_of(self._passed, self.stages, self.report(), self.summary(), profile)
        numbers = None if values is None else values_of(self._passed, values)
        write_page(path, links, self.stages, numbers)
