"""Memory: one arena for everything that a step stores between its own statements.

Afterwards each scratch buffer has a slot of the arena. Two buffers share a slot if the first is dead before the
second is born, or if the second overwrites the first, element by element or row by row, each after its last use.
"""

from __future__ import annotations

from graphc.kernel import (
    Alias,
    Buffer,
    Gemm,
    Item,
    Kernel,
    Load,
    Plan,
    Program,
    Region,
    Role,
    Store,
    base,
    index_code,
    walk,
)
from graphc.passes.cone import natural
from graphc.passes.rows import stays_in_its_rows
from graphc.sizes import Dim, typical, upper_bound


def plan(program: Program) -> Plan:
    """A slot for each scratch buffer, chosen item by item in the order in which the step runs."""
    used = [_buffers(item) for item in program.body]
    last_use = {buffer: at for at, buffers in enumerate(used) for buffer in buffers}
    slots: list[Dim] = []
    slot_of: dict[Buffer, int] = {}
    free: list[int] = []
    for at, item in enumerate(program.body):
        for buffer in used[at]:
            if buffer in slot_of:
                continue
            dying = (old for old in used[at] if old in slot_of and last_use[old] == at)
            old = next((old for old in dying if _may_overwrite(item, old, buffer)), None)
            if old is None:
                slot_of[buffer] = _slot_for(buffer.type.nbytes, slots, free)
            else:
                slot_of[buffer] = slot_of[old]
                last_use[old] = -1  # its slot lives on
        free += [slot_of[buffer] for buffer in used[at] if last_use[buffer] == at]
    return Plan(program, tuple(slots), slot_of)


def _buffers(item: Item) -> list[Buffer]:
    """The scratch buffers that an item touches, in order."""
    found: dict[Buffer, None] = {}
    for each in walk([item]):
        if isinstance(each, (Load, Store)):
            found[base(each.place)] = None
        elif isinstance(each, Gemm):
            found.update(dict.fromkeys([base(each.a.place), base(each.b.place), each.out]))
    return [buffer for buffer in found if buffer.role is Role.SCRATCH]


def _slot_for(size: Dim, slots: list[Dim], free: list[int]) -> int:
    """The free slot that has to grow least to hold `size` bytes, or a new one."""
    if not free:
        slots.append(size)
        return len(slots) - 1
    best = min(free, key=lambda slot: typical(upper_bound(slots[slot], size)) - typical(slots[slot]))
    free.remove(best)
    slots[best] = upper_bound(slots[best], size)
    return best


def _may_overwrite(item: Item, old: Buffer, new: Buffer) -> bool:
    """Whether `new` may be computed into the memory of `old`, which is needed no more after this item."""
    if old.type != new.type:
        return False
    if isinstance(item, Region):
        return _follows_in_rows(item, old, new)
    return isinstance(item, Kernel) and _follows_in_place(item, old, new)


def _follows_in_place(kernel: Kernel, old: Buffer, new: Buffer) -> bool:
    """Whether a kernel touches both only at its loops' own indices, `old` first."""
    own = tuple(map(index_code, natural(old.type.shape)))
    seen_new = False
    for each in walk([kernel]):
        if not isinstance(each, (Load, Store)) or base(each.place) not in (old, new):
            continue
        if isinstance(each.place, Alias) or each.index != own or (seen_new and base(each.place) is old):
            return False
        seen_new = seen_new or base(each.place) is new
    return True


def _follows_in_rows(region: Region, old: Buffer, new: Buffer) -> bool:
    """Whether one strip touches both, each tile in its own rows, and is done with `old` when it begins with `new`."""
    users = [(strip, item) for strip in region.strips for item in strip.body if {old, new} & set(_buffers(item))]
    if len({id(strip) for strip, _ in users}) > 1:
        return False
    if not all(stays_in_its_rows(item, buffer) for _, item in users for buffer in (old, new)):
        return False
    last = max(at for at, (_, item) in enumerate(users) if old in _buffers(item))
    first = min(at for at, (_, item) in enumerate(users) if new in _buffers(item))
    item = users[last][1]
    return last < first or (last == first and isinstance(item, Kernel) and _follows_in_place(item, old, new))
