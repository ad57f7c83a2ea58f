"""Building loops: each placed node goes into the earliest loops that may hold it.

Two placed nodes share the loops in which the later one reads the earlier one at the loops' own indices; from there on
the later one comes strictly after. What the bodies of the loops hold is in bodies.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphc import config
from graphc.graph import Graph, Guard
from graphc.ir import Node
from graphc.kernel import Check, Gemm, Item, Kernel, Let, Load, Loop, Operand, Store, main_loop
from graphc.kinds import (
    Fold,
    Index,
    Product,
    Scalar,
    Scan,
    Scatter,
    Stored,
)
from graphc.passes.bodies import Bodies, Chain, Scope, writers
from graphc.passes.cone import (
    Cell,
    body_cells,
    cone,
    entry_cells,
    first_reduced,
    indexes_by_data,
    loops_of,
    matrix_source,
    memory_of,
    natural,
    pieces,
)
from graphc.sizes import Dim, Shape
from graphc.spelling import code_for, constructor, element_code, index_code, index_name, number_code


class Nest(Bodies):
    """The program under construction: place() and check() in order, then program()."""

    def __init__(self, graph: Graph, placed: Mapping[Node, str]) -> None:
        super().__init__(graph, placed)
        self.scopes: dict[Item, Scope] = {}
        self.touched: dict[Item, set[Node]] = {}  # what is read or made in each loop
        # Where each step stands: the item that holds it in the step's body, in that item's loop, and so on.
        self.paths: dict[Node | Guard, list[Item]] = {}
        self.readers: dict[Node, list[tuple[Node, Index | None]]] = {}
        self.first_writes = {writers(param, value)[0]: param for param, value in graph.updates}

    # ---- placing ----------------------------------------------------------------------------------------------------

    def check(self, guard: Guard) -> None:
        """Leaves the step here if the guard's condition does not hold."""
        item = Check(self.value((guard.condition, ()), [self.top]), self.graph.guards.index(guard), guard.rule)
        self.top.items.append(item)
        self.paths[guard] = [item]

    def place(self, node: Node) -> None:
        """Puts `node` into the earliest loops that may hold it; everything that it must come after is placed."""
        if isinstance(node.op.kind, Product):
            self._place_product(node)
        elif isinstance(node.op.kind, Fold):
            self._place_fold(node)
        elif isinstance(node.op.kind, Scan):
            self._place_scan(node)
        elif isinstance(node.op.kind, Scatter):
            self._place_scatter(node)
        else:
            self._place_elements(node)
        for read, index in cone(body_cells(node), self.placed):
            if isinstance(memory_of(read).op.kind, Stored):
                whole = read is not memory_of(read) or isinstance(node.op.kind, Product)
                self.readers.setdefault(memory_of(read), []).append((node, None if whole else index))

    def _place_product(self, node: Node) -> None:
        a, b, *rest = node.args
        scalars = self.values([(arg, ()) for arg in rest[1:]], [self.top])
        alpha, beta = scalars or (number_code(1, node.dtype), number_code(0, node.dtype))
        batch = a.shape[0] if a.ndim == 3 else None
        rows, columns = (a.shape[-2] if a.ndim > 1 else 1), (b.shape[-1] if b.ndim > 1 else 1)
        left, right = self._operand(a), self._operand(b)
        item = Gemm(self.home(node), left, right, alpha, beta, rows, a.shape[-1], columns, batch, node)
        self.top.items.append(item)
        self.paths[node] = [item]

    def _operand(self, node: Node) -> Operand:
        source, shape, transposed = matrix_source(node)
        return Operand(self.place_of(source, shape), transposed)

    def _place_elements(self, node: Node) -> None:
        chain, path = self._open(node)
        names = self.values(body_cells(node), chain)
        code = names[-1] if not isinstance(node.op.kind, Scalar) else element_code(node, names)
        item = Let(self.fresh(node), code, tuple(names), node)
        chain[-1].items.append(item)
        self._made(node, chain[-1], item, item.name, [*path, item])

    def _made(self, node: Node, scope: Scope, item: Item, name: str, path: list[Item]) -> None:
        scope.known[node, natural(node.shape)] = (name, item)
        self.made[node] = (scope, item, name)
        self.paths[node] = path

    def _place_fold(self, node: Node) -> None:
        chain, path = self._open(node)
        (x,) = self.values(body_cells(node), chain)
        outer, depth = first_reduced(node), len(chain) - 1
        if outer == depth:  # only axes of size 1 are reduced
            item = Let(self.fresh(node), x, (x,), node)
            chain[-1].items.append(item)
            self._made(node, chain[-1], item, item.name, [*path, item])
            return
        around, loop = _around(chain, path, outer)
        if len(_reduced_levels(node)) == depth - outer:
            self._fold_to_scalar(node, x, chain, path, around, loop)
        else:
            self._fold_to_memory(node, x, chain, around, loop)
            self.paths[node] = path[: outer + 1]

    def _fold_to_scalar(
        self, node: Node, x: str, chain: Chain, path: list[Item], around: list[Item], loop: Loop
    ) -> None:
        """`acc = init` before the loop, a step inside, the rounded result after it."""
        kind, outer = node.op.kind, first_reduced(node)
        assert isinstance(kind, Fold)
        name, acc = self.fresh(node), self.fresh(node, "acc")
        number = kind.accumulator(node.dtype)
        rounded = number != node.dtype
        around.insert(around.index(loop), Let(acc, number_code(kind.init(node.dtype), number), (), node))
        step = code_for(number, kind.step, kind.wrapping).format(
            acc=acc, x=f"{constructor(number)}({x})" if rounded else x
        )
        chain[-1].items.append(Let(acc, step, (acc, x), node))
        result = Let(name, f"{constructor(node.dtype)}({acc})" if rounded else acc, (acc,), node)
        around.insert(around.index(loop) + 1, result)
        if outer == 0:
            self._made(node, self.top, path[0], name, path[:1])
        else:
            self._made(node, chain[outer], result, name, [*path[:outer], result])

    def _fold_to_memory(self, node: Node, x: str, chain: Chain, around: list[Item], loop: Loop) -> None:
        """One accumulator for each element of the result, in the result's own memory, set before the loop."""
        kind, levels, axes = node.op.kind, natural(node.args[0].shape), node.options["axes"]
        assert isinstance(kind, Fold)
        kept: Index = tuple(
            None if axis in axes else level
            for axis, level in enumerate(levels)
            if axis not in axes or node.options["keepdims"]
        )
        home, index = self.home(node), tuple(map(index_code, kept))
        fill: Item = Store(home, index, number_code(kind.init(node.dtype), node.dtype), node)
        extents = loops_of(node)
        for level in sorted((e for e in kept if isinstance(e, int) and e >= first_reduced(node)), reverse=True):
            fill = Loop(index_name(level), extents[level], [fill])
        around.insert(around.index(loop), fill)
        old, new = self.fresh(node), self.fresh(node)
        chain[-1].items += [
            Load(old, home, index, node),
            Let(new, code_for(node.dtype, kind.step, kind.wrapping).format(acc=old, x=x), (old, x), node),
            Store(home, index, new, node),
        ]

    def _place_scan(self, node: Node) -> None:
        """`acc = 0` before the innermost loop, a step inside it; each element is known as soon as it is made."""
        chain, path = self._open(node)
        names = self.values(body_cells(node), chain)
        kind, acc = node.op.kind, number_code(0, node.dtype)
        assert isinstance(kind, Scan)
        step = code_for(node.dtype, kind.step, kind.wrapping)
        if node.shape[-1] != 1:
            acc = self.fresh(node, "acc")
            around, loop = _around(chain, path, len(chain) - 2)
            around.insert(around.index(loop), Let(acc, number_code(0, node.dtype), (), node))
            chain[-1].items.append(Let(acc, step.format(*names, acc=acc), (acc, *names), node))
            item = Let(self.fresh(node), acc, (acc,), node)
        else:
            item = Let(self.fresh(node), step.format(*names, acc=acc), tuple(names), node)
        chain[-1].items.append(item)
        self._made(node, chain[-1], item, item.name, [*path, item])

    def _place_scatter(self, node: Node) -> None:
        """Zeros unless the pieces cover all, then loops of its own for each piece."""
        kind, home = node.op.kind, self.home(node)
        assert isinstance(kind, Scatter)
        if not kind.covers:
            chain = self._loops(node, node.shape)
            index = tuple(map(index_code, natural(node.shape)))
            chain[-1].items.append(Store(home, index, number_code(0, node.dtype), node))
        for (source, own), goes in pieces(node):
            chain = self._loops(node, source.shape)
            name = self.value((source, own), self._prepared((source, own), goes, chain))
            index = tuple(self.index_code(entry, chain) for entry in goes)
            if kind.adds:
                old, new = self.fresh(node), self.fresh(node)
                code = f"{constructor(node.dtype)}({old} + {name})"
                chain[-1].items += [Load(old, home, index, node), Let(new, code, (old, name), node)]
                name = new
            chain[-1].items.append(Store(home, index, name, node))
        self.paths[node] = [self.top.items[-1]]

    def _prepared(self, source: Cell, goes: Index, chain: Chain) -> Chain:
        """The chain, with all that a piece needs computed as far out as it can be."""
        for cell in cone([source, *entry_cells(goes)], self.placed):
            self.value(cell, chain)
        return chain

    def _loops(self, node: Node, shape: Shape) -> Chain:
        """New loops over a shape, at the end of the step."""
        chain = [self.top]
        for level, extent in enumerate(size for size in shape if size != 1):
            item = self._new_loop(extent, level, f"they write a piece of {self.home(node).label}")
            self.touched[item] = {node}
            chain[-1].items.append(item)
            chain.append(self.scopes[item])
        return chain

    # ---- choosing loops ---------------------------------------------------------------------------------------------

    def _open(self, node: Node) -> tuple[Chain, list[Item]]:
        """The scopes of the loops that `node` runs in, found or new, and the items that hold them.

        Only a kernel that already touches something that `node` reads is worth joining.
        """
        cells = cone(body_cells(node), self.placed)
        earlier = self._earlier(node, cells)
        touches = {memory_of(read) for read, index in cells if index}
        chain, path = [self.top], list[Item]()
        for level, extent in enumerate(loops_of(node)):
            items = chain[-1].items
            start = max((items.index(p[level]) + (shared <= level) for p, shared in earlier), default=0)
            item = next((i for i in items[start:] if self._runs_over(i, extent) and touches & self.touched[i]), None)
            if item is None:
                item = self._new_loop(extent, level, self._why_apart(earlier, extent, touches) if level == 0 else "")
                items.append(item)
            self.touched[item] |= {node, *touches}
            path.append(item)
            chain.append(self.scopes[item])
            earlier = [(p, shared) for p, shared in earlier if p[level] is item and shared > level]
        return chain, path

    def _why_apart(self, earlier: Sequence[tuple[list[Item], int]], extent: Dim, touches: set[Node]) -> str:
        """Why loops over `extent` join none of the step's kernels; `earlier` is what they must come after."""
        if not config.FUSION:
            return "GRAPHC_FUSION is 0"
        place = self.top.items.index
        last = max((path[0] for path, _ in earlier), key=place, default=None)
        near = [i for i in self.top.items if isinstance(i, Kernel) and touches & self.touched.get(i, set())]
        joinable = [item for item in near if last is None or place(item) >= place(last)]
        if joinable and not any(self._runs_over(item, extent) for item in joinable):
            other = main_loop(joinable[-1]).extent
            return f"they run over {extent}; the last loops that touch what they read run over {other}"
        if isinstance(last, (Gemm, Let)):
            kind = "a matrix product" if isinstance(last, Gemm) else "a scalar that the step computes first"
            return f"they wait for %{self.numbers[last.origin]}, {kind}"
        if isinstance(last, Check):
            return f"they wait for the check that {last.rule}"
        if not near:
            return "no loops before them that can be joined touch what they read"
        return "they need all that the loops before them make" if last in near else "they wait for other loops"

    def _runs_over(self, item: Item, extent: Dim) -> bool:
        loop = main_loop(item) if isinstance(item, Kernel) else item
        return config.FUSION and item in self.scopes and isinstance(loop, Loop) and loop.extent == extent

    def _new_loop(self, extent: Dim, level: int, apart: str) -> Item:
        loop = Loop(index_name(level), extent)
        item: Item = Kernel([loop], apart=apart) if level == 0 else loop
        self.scopes[item] = Scope(loop.body, item)
        self.touched[item] = set()
        return item

    def _earlier(self, node: Node, cells: Sequence[Cell]) -> list[tuple[list[Item], int]]:
        """What `node`, which reads `cells`, must come after, each with the number of loops that both may share."""
        found: list[tuple[list[Item], int]] = []
        for read, index in cells:
            source = read if read in self.placed else memory_of(read)
            if source in self.paths:
                found.append((self.paths[source], shared_loops(source, index) if source is read else 0))
        gathers = any(indexes_by_data(each) for each in (node, *(read for read, _ in cells)))
        param = self.first_writes.get(node)
        if param is not None:
            for reader, at in self.readers.get(param, []):
                path = self.paths[reader]
                found.append((path, min(self._shared_with_reader(node, at), len(path) - 1)))
        if param is not None or gathers:
            found += [(path, 0) for guard, path in self.paths.items() if isinstance(guard, Guard)]
        return found

    def _shared_with_reader(self, writer: Node, index: Index | None) -> int:
        """The loops that a param's writer may share with one who reads its old value at `index`."""
        if index is None or isinstance(writer.op.kind, (Fold, Scatter)):
            return 0
        return shared_loops(writer, index)


def shared_loops(source: Node, index: Index) -> int:
    """The outer loops that a reader of `source` at `index` may share with it: those whose index is the same in both."""
    if isinstance(source.op.kind, (Product, Scatter)):
        return 0
    limit = first_reduced(source) if isinstance(source.op.kind, Fold) else len(loops_of(source))
    shared = 0
    for entry, level in zip(index, natural(source.shape), strict=True):
        if not isinstance(level, int):
            continue
        if level >= limit or entry != level:
            break
        shared += 1
    return shared


def _reduced_levels(fold: Node) -> list[int]:
    levels = natural(fold.args[0].shape)
    return [level for axis in fold.options["axes"] if isinstance(level := levels[axis], int)]


def _around(chain: Chain, path: list[Item], level: int) -> tuple[list[Item], Loop]:
    """The open loop at `level`, and the items around it; the outermost loop stands inside its kernel."""
    kernel = path[0]
    assert isinstance(kernel, Kernel)
    items = kernel.body if level == 0 else chain[level].items
    return items, next(item for item in items if isinstance(item, Loop) and item.body is chain[level + 1].items)
