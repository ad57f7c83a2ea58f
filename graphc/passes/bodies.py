"""Bodies of loops under construction: which scalars they know, where they find them, and where nodes lie in memory.

A value that is read in the loop body that made it stays a scalar; any other reader finds it in memory. What does not
depend on a loop's index is computed before that loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from graphc.graph import Graph, is_numbered, names_of, printable
from graphc.ir import Node
from graphc.kernel import (
    Alias,
    Buffer,
    Item,
    Kernel,
    Let,
    Load,
    Loop,
    Place,
    Program,
    Role,
    Store,
    base,
    variables,
    walk,
)
from graphc.kinds import (
    Affine,
    Constant,
    Entry,
    Extent,
    Position,
    Product,
    Read,
    Scalar,
    Stored,
)
from graphc.passes.cone import (
    Cell,
    cone,
    depth_of,
    is_alias,
    memory_of,
    natural,
    operands,
)
from graphc.sizes import Shape
from graphc.spelling import affine_code, element_code, index_code, number_code
from graphc.types import symbols_of


@dataclass(eq=False)
class Scope:
    """A body under construction: the step's own, or one loop's. `known` has the scalars that its items compute."""

    items: list[Item]
    holder: Item | None = None  # the item of the enclosing body that holds this one
    known: dict[Cell, tuple[str, Item]] = field(default_factory=dict)


Chain = list[Scope]  # the step's body, then one scope for each open loop, outermost first


class Bodies:
    """The bodies, and the memory that they use: what nest.py fills."""

    def __init__(self, graph: Graph, placed: Mapping[Node, str]) -> None:
        self.graph = graph
        self.placed = placed
        self.numbers = {node: name[1:] for node, name in names_of(graph).items() if is_numbered(node)}
        self.top = Scope([])
        self.made: dict[Node, tuple[Scope, Item, str]] = {}
        self.homes = _homes_of_leaves(graph)
        self.in_memory: set[Node] = set()  # placed nodes that are stored where they are made
        self.scratch: list[Buffer] = []
        self.taken: set[str] = set()
        self._claim_places()

    def _claim_places(self) -> None:
        """Outputs and next values are computed straight into the caller's memory."""
        for number, value in enumerate(self.graph.outputs):
            buffer = Buffer(f"out{number}", f"output {number}", value.type, Role.OUTPUT, value)
            self.homes[value] = buffer
            self.in_memory.add(value)
        for param, value in self.graph.updates:
            for writer in writers(param, value):
                self.homes[writer] = self.homes[param]
                self.in_memory.add(writer)

    # ---- values -----------------------------------------------------------------------------------------------------

    def values(self, cells: Sequence[Cell], chain: Chain) -> list[str]:
        """The scalars that hold `cells` in the innermost scope; what they need is computed as far out as it can be."""
        for cell in cone(cells, self.placed):
            self.value(cell, chain)
        return [self.value(cell, chain) for cell in cells]

    def value(self, cell: Cell, chain: Chain) -> str:
        node, index = cell
        kind = node.op.kind
        if isinstance(kind, Constant) and not node.shape:
            return number_code(node.options["literal"].array[()], node.dtype)
        if isinstance(kind, Position):
            code = self.index_code(index[0], chain)
            return code if code.isidentifier() else f"({code})"  # it may stand in any expression
        inlined = node not in self.placed and not is_alias(node, index)
        if inlined and not isinstance(kind, (Scalar, Extent, Stored, Constant)):
            return self.value(operands(node, index)[-1], chain)
        depth = depth_of(index)
        known = self._known(cell, chain, depth)
        if known is not None:
            return known
        if inlined and isinstance(kind, (Scalar, Extent)):
            names = [self.value(each, chain) for each in operands(node, index)]
            item: Let | Load = Let(self.fresh(node), element_code(node, names), tuple(names), node)
        else:
            codes = tuple(self.index_code(entry, chain) for entry in index)
            item = Load(self.fresh(node), self.place_of(node, node.shape), codes, node)
        self._insert(item, chain, depth)
        chain[depth].known[cell] = (item.name, item)
        return item.name

    def _known(self, cell: Cell, chain: Chain, depth: int) -> str | None:
        """The scalar that already holds `cell` at this point of the program."""
        for at in range(depth, -1, -1):
            scope = chain[at]
            if cell in scope.known:
                name, item = scope.known[cell]
                if scope.items.index(item) < _here(chain, at):
                    return name
        return None

    def _insert(self, item: Let | Load, chain: Chain, depth: int) -> None:
        first = isinstance(item.origin.op.kind, Extent)  # a size is known from the start
        chain[depth].items.insert(0 if first else _here(chain, depth), item)

    def index_code(self, entry: Entry, chain: Chain) -> str:
        if isinstance(entry, Affine):
            return affine_code(entry.start, entry.step, self.index_code(entry.entry, chain))
        return self.value((entry.node, entry.index), chain) if isinstance(entry, Read) else index_code(entry)

    # ---- memory -----------------------------------------------------------------------------------------------------

    def place_of(self, node: Node, shape: Shape) -> Place:
        """Where `node` is found in memory, under `shape`."""
        source = node if node in self.placed else memory_of(node)
        buffer = self.home(source)
        return buffer if buffer.type.shape == shape else Alias(buffer, shape)

    def home(self, node: Node) -> Buffer:
        """The memory of a leaf or of a placed node, which from now on is stored there."""
        self.in_memory.add(node)
        if node not in self.homes:
            number = self.numbers[node]
            self.homes[node] = Buffer(f"t{number}", f"%{number}", node.type, Role.SCRATCH, node)
            self.scratch.append(self.homes[node])
        return self.homes[node]

    def fresh(self, node: Node, prefix: str = "v") -> str:
        """A name for a scalar: v7 computes %7; its further copies are v7_2, v7_3."""
        stem = prefix + self.numbers.get(node, self.homes[node].name if node in self.homes else "")
        name, copies = stem, 1
        while name in self.taken:
            copies += 1
            name = f"{stem}_{copies}"
        self.taken.add(name)
        return name

    # ---- the result -------------------------------------------------------------------------------------------------

    def program(self) -> Program:
        """The finished program: every value that is read from memory is also stored there."""
        for node, (scope, item, name) in self.made.items():
            if node in self.in_memory:
                home = self.home(node)
                index = tuple(map(index_code, natural(node.shape)))
                scope.items.insert(scope.items.index(item) + 1, Store(home, index, name, node))
        kernels = [item for item in self.top.items if isinstance(item, Kernel)]
        for number, kernel in enumerate(kernels):
            kernel.name = f"k{number}"
            _read_early(kernel)
        leaves = [
            buffer for node, buffer in self.homes.items() if buffer.node is node and buffer.role is not Role.SCRATCH
        ]
        return Program(
            self.graph,
            tuple(dict.fromkeys(name for node in self.graph.inputs for name in sorted(symbols_of(node.shape)))),
            [buffer for buffer in leaves if buffer.role is Role.INPUT],
            [buffer for buffer in leaves if buffer.role in (Role.PARAM, Role.CONSTANT)],
            [buffer for buffer in leaves if buffer.role is Role.OUTPUT],
            self.scratch,
            self.top.items,
            self.placed,
        )


def _read_early(kernel: Kernel) -> None:
    """Moves what a loop reads beside its inner loops, such as `z[i, label]`, ahead of them.

    One of them may then compute its result into the memory of `z`.
    """
    stored = {base(each.place) for each in walk([kernel]) if isinstance(each, Store)}
    for loop in [each for each in walk([kernel]) if isinstance(each, Loop)]:
        if not any(isinstance(item, Loop) for item in loop.body):
            continue
        late = {item.name for item in loop.body if isinstance(item, (Let, Load))}
        early: list[Item] = []
        for item in loop.body:
            if isinstance(item, Load) and base(item.place) not in stored and late.isdisjoint(variables(item.index)):
                early.append(item)
                late.remove(item.name)
        loop.body[:] = [*early, *(item for item in loop.body if item not in early)]


def writers(param: Node, value: Node) -> list[Node]:
    """The nodes that write into a param's memory, in order: its next value, or a product's start and the product."""
    starts = value.args[2:3] if isinstance(value.op.kind, Product) else ()
    return [*(start for start in starts if start is not param), value]


def _homes_of_leaves(graph: Graph) -> dict[Node, Buffer]:
    homes: dict[Node, Buffer] = {}
    for number, node in enumerate(graph.inputs):
        homes[node] = Buffer(f"x{number}", printable(str(node.name)), node.type, Role.INPUT, node)
    for number, node in enumerate(graph.params):
        homes[node] = Buffer(f"p{number}", printable(str(node.name)), node.type, Role.PARAM, node)
    for node in graph.nodes:
        if isinstance(node.op.kind, Constant) and node.shape:
            homes[node] = Buffer(f"c{len(homes)}", f"constant {len(homes)}", node.type, Role.CONSTANT, node)
    return homes


def _here(chain: Chain, depth: int) -> int:
    """Where the next item belongs in the body at `depth`: before the item that holds the open loop, else at the end."""
    items = chain[depth].items
    if depth == len(chain) - 1:
        return len(items)
    holder = chain[depth + 1].holder
    assert holder is not None
    return items.index(holder)
