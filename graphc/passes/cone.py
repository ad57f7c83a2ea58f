"""What a placed node reads: its cone of inlined nodes, each at the index at which it is needed.

Indices are pulled from the result to the operands: an element-wise op reads its operands where it writes, a view reads
its operand elsewhere, a gather reads at an index that is itself read. So a view costs nothing, and a cheap formula
can be computed again wherever it is read instead of being stored.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeAlias

from graphc.ir import Node, postorder
from graphc.kinds import (
    Affine,
    Constant,
    Entry,
    Extent,
    Fold,
    Gather,
    Index,
    Position,
    Product,
    Read,
    Scatter,
    Stored,
    View,
    affine,
)
from graphc.ops.shape import stretched
from graphc.sizes import Dim, Shape

Cell: TypeAlias = tuple[Node, Index]


def natural(shape: Shape) -> Index:
    """The index of a tensor in loops over its own axes: one level for each axis that is not of size 1."""
    entries: list[Entry] = []
    level = 0
    for size in shape:
        entries.append(None if size == 1 else level)
        level += size != 1
    return tuple(entries)


def loops_of(node: Node) -> tuple[Dim, ...]:
    """The extents of the loops that compute a node: a fold runs over its operand's axes."""
    shape = node.args[0].shape if isinstance(node.op.kind, Fold) else node.shape
    return tuple(size for size in shape if size != 1)


def first_reduced(fold: Node) -> int:
    """The level of the outermost loop that a fold reduces; its result is known once that loop has ended."""
    levels = natural(fold.args[0].shape)
    reduced = (levels[axis] for axis in fold.options["axes"])
    return min((level for level in reduced if isinstance(level, int)), default=len(loops_of(fold)))


def depth_of(index: Index) -> int:
    """How many loops must be open to know this index."""
    return max((_entry_depth(entry) for entry in index), default=0)


def _entry_depth(entry: Entry) -> int:
    if isinstance(entry, Affine):
        return _entry_depth(entry.entry)
    if isinstance(entry, Read):
        return depth_of(entry.index)
    return 0 if entry is None else entry + 1


def is_alias(node: Node, index: Index) -> bool:
    """Whether a view can only be read as its operand's memory under another shape."""
    kind = node.op.kind
    return isinstance(kind, View) and kind.contiguous and kind.index(node, index) is None


def operands(node: Node, index: Index) -> list[Cell]:
    """The operands of an inlined node, each at the index at which it is read for the element at `index`."""
    kind = node.op.kind
    if isinstance(kind, View):
        source = kind.index(node, index)
        assert source is not None, f"{node} is an alias"
        return [(node.args[0], source)]
    if isinstance(kind, Gather):
        source = tuple(_plain(entry) for entry in kind.index(node, index))
        return [*entry_cells(source), (node.args[0], source)]
    return [(arg, stretched(arg.shape, index)) for arg in node.args]


def entry_cells(index: Index) -> list[Cell]:
    """The cells that an index is read from."""
    inner = [entry.entry if isinstance(entry, Affine) else entry for entry in index]
    return [(entry.node, entry.index) for entry in inner if isinstance(entry, Read)]


def _plain(entry: Entry) -> Entry:
    """An entry that reads an index from a leaf of indices, as that index."""
    if isinstance(entry, Affine):
        return affine(entry.start, entry.step, _plain(entry.entry))
    while isinstance(entry, Read):
        node, index, kind = entry.node, entry.index, entry.node.op.kind
        if isinstance(kind, Position):
            return index[0]
        source = kind.index(node, index) if isinstance(kind, View) else None
        if source is None:
            return entry
        entry = Read(node.args[0], source)
    return entry


def indexes_by_data(node: Node) -> bool:
    """Whether a node reads or writes at indices that are themselves read, so that these must have been checked."""
    kind = node.op.kind
    return isinstance(kind, Gather) or (isinstance(kind, Scatter) and kind.adds)


def pieces(scatter: Node) -> list[tuple[Cell, Index]]:
    """What a scatter writes: each operand at its own index, and where that goes."""
    kind = scatter.op.kind
    assert isinstance(kind, Scatter)
    found: list[tuple[Cell, Index]] = []
    for piece in range(kind.pieces(scatter)):
        own = natural(scatter.args[piece].shape)
        goes = tuple(_plain(entry) for entry in kind.index(scatter, piece, own))
        found.append(((scatter.args[piece], own), goes))
    return found


def is_leaf(node: Node) -> bool:
    return isinstance(node.op.kind, (Stored, Constant, Extent, Position))


def cone(targets: Sequence[Cell], placed: Collection[Node]) -> list[Cell]:
    """Every cell that `targets` need, operands first; it ends at leaves, placed nodes and aliases."""

    def needs(cell: Cell) -> list[Cell]:
        node, index = cell
        ends = is_leaf(node) or node in placed or is_alias(node, index)
        return entry_cells(index) if ends else operands(node, index)

    return postorder(targets, needs)


def body_cells(node: Node) -> list[Cell]:
    """What the innermost loop of a placed node reads; a product reads whole operands, each a cell without an index."""
    if isinstance(node.op.kind, Product):
        a, b, *rest = node.args
        return [(matrix_source(a)[0], ()), (matrix_source(b)[0], ()), *((arg, ()) for arg in rest)]
    if isinstance(node.op.kind, Fold):
        return [(node.args[0], natural(node.args[0].shape))]
    if isinstance(node.op.kind, Scatter):
        return [cell for source, goes in pieces(node) for cell in (source, *entry_cells(goes))]
    return operands(node, natural(node.shape))


def memory_of(node: Node) -> Node:
    """The node in whose memory a chain of contiguous views lies."""
    while isinstance(node.op.kind, View) and node.op.kind.contiguous:
        node = node.args[0]
    return node


def matrix_source(node: Node) -> tuple[Node, Shape, bool]:
    """The node in whose memory a matrix lies, the shape under which it is read there, and whether transposed."""
    transposed = False
    while _is_swap(node):
        transposed, node = not transposed, node.args[0]
    return memory_of(node), node.shape, transposed


def _is_swap(node: Node) -> bool:
    kind = node.op.kind
    if not isinstance(kind, View) or kind.contiguous or node.ndim not in (2, 3) or node.args[0].ndim != node.ndim:
        return False
    *batch, row, column = range(node.ndim)
    return kind.index(node, (*batch, row, column)) == (*batch, column, row)
