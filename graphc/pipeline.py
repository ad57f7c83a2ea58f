"""A graph through all stages, to code that can be called."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from graphc.backend.build import Interpreted, Machine, build
from graphc.backend.emit import emit
from graphc.graph import Graph, check_names
from graphc.kernel import Plan
from graphc.passes import GRAPH_PASSES, fuse, plan, tile
from graphc.verify import verify


class Stages(Mapping[str, str]):
    """The text of each stage by name, in order; a text is made when it is asked for."""

    def __init__(self, makers: Mapping[str, Callable[[], str]]) -> None:
        self._makers = dict(makers)

    def __getitem__(self, stage: str) -> str:
        return self._makers[stage]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


class Watch:
    """Seconds from one lap to the next, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """What was done since the last lap has this name."""
        now = time.perf_counter()
        self.seconds[name], self._last = now - self._last, now


@dataclass(frozen=True)
class Compiled:
    """What the stages make of a graph: itself as the last pass on graphs leaves it, the planned program, the code."""

    graph: Graph
    plan: Plan
    source: str
    code: Machine | Interpreted
    stages: Stages


def run_pipeline(graph: Graph, watch: Watch) -> Compiled:
    """Each stage's text is kept, and its time is a lap of the watch."""
    texts: dict[str, Callable[[], str]] = {"graph": graph.__str__}
    for change in GRAPH_PASSES:
        graph = change(graph)
        verify(graph)
        check_names(graph)  # an optimizer's state is new
        texts[change.__name__] = graph.__str__
        watch.lap(change.__name__)
    fused = fuse(graph)
    watch.lap("fuse")
    tiled = tile(fused)
    watch.lap("tile")
    planned = plan(tiled)
    watch.lap("plan")
    source = emit(planned)
    watch.lap("emit")
    code = build(source, graph.name)
    watch.lap("build")
    texts |= {"fuse": fused.__str__, "tile": tiled.__str__, "plan": planned.__str__, "emit": lambda: source}
    return Compiled(graph, planned, source, code, Stages({**texts, "llvm": code.llvm, "asm": code.assembly}))
