"""Fusion: which nodes get a place of their own, in which order, and in which loops.

A node is *placed* if it needs a loop or a call (reductions, products), memory (what BLAS reads, results, next
values), or is too dear to compute twice; every other node is inlined where it is read. Placed nodes are then put, one
after another, into the earliest loops that may hold them (see nest.py), so that a group is convex by construction:
each node stands after everything it reads.

Afterwards the program computes what the graph means. Three orders make that so: a node comes after what it reads; a
param is overwritten after every read of its old value; and no param changes, and no label is used, before its check.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TypeAlias

from graphc import config
from graphc.graph import Graph, Guard
from graphc.ir import Node, rebuilt, toposort
from graphc.kernel import Program
from graphc.kinds import Constant, Fold, Gather, Product, Scalar, Scan, Scatter, Stored, View
from graphc.ops.choice import copy
from graphc.ops.product import dot
from graphc.passes.bodies import writers
from graphc.passes.cone import body_cells, cone, indexes_by_data, is_alias, is_leaf, matrix_source, memory_of, natural
from graphc.passes.nest import Nest
from graphc.rewrite import everywhere, replaced

CHEAP = 8
"""What may be computed again instead of stored, in additions: about the price of storing and loading a float."""

DEFERRED = "its old value is still needed when the next one is made"

LOOPS = {Fold: "is a reduction", Scan: "carries a value along an axis", Scatter: "is written piece by piece"}
"""What needs loops of its own, and why."""

Step: TypeAlias = "Node | Guard"


def fuse(graph: Graph) -> Program:
    """The graph as loops and calls, in an order in which they may run."""
    graph = _with_own_places(_in_memory(graph))
    early: set[Node] = set()
    while True:
        placed = _placed(graph, early)
        order, stuck = _order(graph, placed)
        if stuck is None:
            break
        graph, value = _deferred(graph, stuck)
        early.add(value)
    nest = Nest(graph, placed)
    for step in order:
        nest.check(step) if isinstance(step, Guard) else nest.place(step)
    return nest.program()


# ---- results and next values have places of their own ----------------------------------------------------------------


def _in_memory(graph: Graph) -> Graph:
    """Leaves that lie in no memory (an index, a number) are copied into some where they are needed there."""

    def stored(node: Node) -> Node:
        return node if _lies_in_memory(matrix_source(node)[0]) else copy(node, to="memory")

    def change(node: Node) -> Node:
        wanted = len(node.args[:2]) if isinstance(node.op.kind, Product) else int(is_alias(node, natural(node.shape)))
        return rebuilt(node, (*map(stored, node.args[:wanted]), *node.args[wanted:]))

    return everywhere(graph, change)


def _lies_in_memory(node: Node) -> bool:
    return (
        not is_leaf(node)
        or isinstance(node.op.kind, Stored)
        or (isinstance(node.op.kind, Constant) and bool(node.shape))
    )


def _with_own_places(graph: Graph) -> Graph:
    """Each output and each next value is a node that nothing else claims, so that it can be computed into its place."""
    for row in range(len(graph.updates)):
        param, value = graph.updates[row]
        started = _accumulating(value, param)
        graph = graph if started is value else replaced(graph, {value: started})
    # A scalar result lies among the other scalar results, where BLAS cannot read it.
    claimed = {each for node in graph.nodes for each, _ in _forced(node) if each is not node and not each.shape}

    def own(value: Node, to: str) -> Node:
        if is_leaf(value) or isinstance(value.op.kind, View) or value in claimed:
            value = copy(value, to=to)
        claimed.add(value)
        return value

    updates = tuple((param, own(value, f"next {param.name}")) for param, value in graph.updates)
    outputs = tuple(own(value, f"output {number}") for number, value in enumerate(graph.outputs))
    return replace(graph, updates=updates, outputs=outputs)


def _accumulating(value: Node, param: Node) -> Node:
    """A product that adds to something else than `param` itself gets that something copied into the param first."""
    if not isinstance(value.op.kind, Product) or len(value.args) == 2 or value.args[2] is param:
        return value
    a, b, c, alpha, beta = value.args
    return value.op(a, b, copy(c, to=f"start {param.name}"), alpha, beta)


def _deferred(graph: Graph, param: Node) -> tuple[Graph, Node]:
    """`param` gets its next value, now in memory of its own, by a copy that is made when nothing needs the old one."""
    folded = dict(graph.updates)[param]
    value = _unfolded(folded)
    graph = replaced(graph, {folded: value})
    late = copy(value, to=f"late {param.name}")
    updates = [(each, late if each is param else other) for each, other in graph.updates]
    return replace(graph, updates=tuple(updates), unfolded=(*graph.unfolded, (param, DEFERRED))), value


def _unfolded(value: Node) -> Node:
    """A product that adds to a param as the formula that it stands for."""
    if not isinstance(value.op.kind, Product) or len(value.args) == 2:
        return value
    a, b, c, alpha, beta = value.args
    return alpha * dot(a, b) + beta * c


# ---- which nodes are placed -----------------------------------------------------------------------------------------


def _placed(graph: Graph, early: Collection[Node]) -> dict[Node, str]:
    """The nodes that get a place, each with its first reason."""
    nodes = graph.nodes
    reasons = [each for node in nodes for each in _forced(node)]
    reasons += [(node, "is made before the old value of its param is free") for node in early]
    reasons += [(node, "is a result") for node in graph.outputs]
    reasons += [(value, f"is the next value of {param.name}") for param, value in graph.updates]
    reasons += [(guard.condition, "is a check") for guard in graph.guards]
    if not config.FUSION:
        reasons += [
            (node, "has loops of its own, since GRAPHC_FUSION is 0")
            for node in nodes
            if not isinstance(node.op.kind, (View, Gather))
        ]
    placed = {node: why for node, why in reversed(reasons) if not is_leaf(node)}
    users, weight = _users(nodes), dict.fromkeys(nodes, 0)
    for node in nodes:
        weight[node] = _weight(node, weight)
        if node not in placed and not is_leaf(node) and not isinstance(node.op.kind, View) and weight[node] > CHEAP:
            if len(users[node]) > 1:
                placed[node] = f"costs as much as {weight[node]} additions and is read {len(users[node])} times"
            elif _stretched(node, users):
                placed[node] = f"costs as much as {weight[node]} additions and is read by something larger"
        if node in placed:
            weight[node] = 0
    return placed


def _forced(node: Node) -> list[tuple[Node, str]]:
    """What must be placed because of `node`, and why: itself, or what it wants to find in memory."""
    if isinstance(node.op.kind, Product):
        starts = [(node.args[2], "is where BLAS adds a product")] if len(node.args) > 2 else []
        read = [(matrix_source(arg)[0], "is read by BLAS") for arg in node.args[:2]]
        return [(node, "is a matrix product"), *starts, *read]
    for kind, why in LOOPS.items():
        if isinstance(node.op.kind, kind):
            return [(node, why)]
    return [(memory_of(node), "is read under another shape")] if is_alias(node, natural(node.shape)) else []


def _weight(node: Node, weight: dict[Node, int]) -> int:
    """The price of one element of a node that is inlined."""
    own = node.op.kind.cost if isinstance(node.op.kind, Scalar) else 0
    return own + sum(weight[arg] for arg in node.args)


def _users(nodes: Sequence[Node]) -> dict[Node, list[Node]]:
    """Who reads each node; a view stands for its own users."""
    users: dict[Node, list[Node]] = {node: [] for node in nodes}
    for node in reversed(nodes):
        for arg in node.args:
            users[arg] += users[node] if isinstance(node.op.kind, View) else [node]
    return users


def _stretched(node: Node, users: dict[Node, list[Node]]) -> bool:
    """Whether some user is larger, so that an inlined node would be computed again and again."""
    return any(user.size != node.size and not isinstance(user.op.kind, (Fold, Gather)) for user in users[node])


# ---- in which order -------------------------------------------------------------------------------------------------


def _order(graph: Graph, placed: Collection[Node]) -> tuple[list[Step], Node | None]:
    """Placed nodes and guards in a legal order; or a param whose next value would overwrite what it still needs."""
    position = {node: at for at, node in enumerate(graph.nodes)}
    steps: list[Step] = [*(node for node in position if node in placed), *graph.guards]
    after = _constraints(graph, placed, steps)
    waiting = {step: len(after[step]) for step in steps}
    followers: dict[Step, list[Step]] = {step: [] for step in steps}
    for step, earlier in after.items():
        for each in earlier:
            followers[each].append(step)
    # The position in the graph's own order, with the position in `steps` to break ties and to find the step again.
    rank = {step: (position[step.condition if isinstance(step, Guard) else step], at) for at, step in enumerate(steps)}
    ready = [rank[step] for step in steps if not waiting[step]]
    heapq.heapify(ready)
    order: list[Step] = []
    while ready:
        step = steps[heapq.heappop(ready)[1]]
        order.append(step)
        for follower in followers[step]:
            waiting[follower] -= 1
            if not waiting[follower]:
                heapq.heappush(ready, rank[follower])
    if len(order) == len(steps):
        return order, None
    return order, next(p for p, value in graph.updates if _waits_for_itself(writers(p, value)[0], after))


def _waits_for_itself(step: Step, after: dict[Step, set[Step]]) -> bool:
    """Whether a step must come after itself: it would overwrite what it, or something before it, still needs."""
    seen: set[Step] = set()
    stack = list(after[step])
    while stack:
        each = stack.pop()
        if each is step:
            return True
        if each not in seen:
            seen.add(each)
            stack.extend(after[each])
    return False


def _constraints(graph: Graph, placed: Collection[Node], steps: Sequence[Step]) -> dict[Step, set[Step]]:
    """What each step must come after."""
    after: dict[Step, set[Step]] = {step: set() for step in steps}
    readers: dict[Node, set[Step]] = {}
    checks = _checks(graph)
    for guard in graph.guards:
        if guard.condition in placed:
            after[guard].add(guard.condition)
    for node in (step for step in steps if isinstance(step, Node)):
        for read, _ in cone(body_cells(node), placed):
            source = read if read in placed else memory_of(read)
            if source in placed:
                after[node].add(source)
            elif isinstance(source.op.kind, Stored):
                readers.setdefault(source, set()).add(node)
            after[node].update(checks(read))
        after[node].update(checks(node))
    for param, value in graph.updates:
        first, *rest = writers(param, value)
        after[first] |= (readers.get(param, set()) - {first, *rest}) | set(graph.guards)
        if any(_overwrites_what_it_reads(each, param, placed) for each in (first, *rest)):
            after[first].add(first)  # never ready: it will be deferred
    return after


def _checks(graph: Graph) -> Callable[[Node], Sequence[Guard]]:
    """The guards that must have passed before a node is computed.

    A check may itself use indices: those that the checks before it have passed.
    """
    guards = [guard for guard in graph.guards if guard.limit is not None]
    used_by: dict[Node, int] = {}
    for number, guard in enumerate(guards):
        for node in toposort([guard.condition]):
            used_by.setdefault(node, number)
    return lambda node: guards[: used_by.get(node)] if indexes_by_data(node) else []


def _overwrites_what_it_reads(writer: Node, param: Node, placed: Collection[Node]) -> bool:
    """Whether `writer`, computed into the param's memory, would read elements of it that it has overwritten."""
    own = natural(param.shape)
    read = [index for node, index in cone(body_cells(writer), placed) if memory_of(node) is param]
    if isinstance(writer.op.kind, Product):
        return len(read) > (param in writer.args[2:3])
    return any(isinstance(writer.op.kind, (Fold, Scatter)) or index != own for index in read)
