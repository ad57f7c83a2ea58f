"""Memory: one arena for everything that a step stores between its own statements.

Afterwards each scratch buffer has a slot of the arena. Two buffers share a slot if the first is dead before the
second is born, or if the second overwrites the first, element by element or row by row, each after its last use.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeAlias

from graphc.kernel import Alias, Buffer, Gemm, Item, Kernel, Load, Loop, Plan, Program, Region, Role, Store, base, walk
from graphc.passes.cone import natural
from graphc.passes.rows import stays_in_its_rows
from graphc.sizes import Dim, product, typical, upper_bound
from graphc.spelling import index_code

APART = 256
"""Bytes of a row that may be overwritten right before the next one is read: a vector that is loaded across the end of
what has just been stored waits until that is in the cache."""


def plan(program: Program) -> Plan:
    """A slot for each scratch buffer, chosen item by item in the order in which the step runs."""
    touched: Touched = functools.cache(_buffers)
    used = [touched(item) for item in program.body]
    last_use = {buffer: at for at, buffers in enumerate(used) for buffer in buffers}
    slots: list[Dim] = []
    slot_of: dict[Buffer, int] = {}
    free: list[int] = []
    for at, item in enumerate(program.body):
        for buffer in used[at]:
            if buffer in slot_of:
                continue
            dying = (old for old in used[at] if old in slot_of and last_use[old] == at)
            old = next((old for old in dying if _may_overwrite(item, old, buffer, touched)), None)
            if old is None:
                slot_of[buffer] = _slot_for(buffer.type.nbytes, slots, free)
            else:
                slot_of[buffer] = slot_of[old]
                last_use[old] = -1  # its slot lives on
        free += [slot_of[buffer] for buffer in used[at] if last_use[buffer] == at]
    return Plan(program, tuple(slots), slot_of)


Touched: TypeAlias = Callable[[Item], list[Buffer]]


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


def _may_overwrite(item: Item, old: Buffer, new: Buffer, touched: Touched) -> bool:
    """Whether `new` may be computed into the memory of `old`, which is needed no more after this item."""
    if old.type != new.type:
        return False
    if isinstance(item, Region):
        return _follows_in_rows(item, old, new, touched)
    return isinstance(item, Kernel) and _follows_in_place(item.body, old, new)


def _follows_in_place(items: list[Item], old: Buffer, new: Buffer, loops: tuple[str, ...] = ()) -> bool:
    """Whether the items, which run once for each turn of `loops`, are done with an element of `old` before they touch
    that element of `new`: in two items, one after the other, or in a loop of which each turn has elements of its own.
    """
    own = tuple(map(index_code, natural(old.type.shape)))
    for touch in _touches(items, old, new):
        at_home = [index == mine for index, mine in zip(touch.index, own, strict=False) if mine in loops]
        if isinstance(touch.place, Alias) or not all(at_home):
            return False
    last = max(at for at, item in enumerate(items) if _touches([item], old))
    first = min(at for at, item in enumerate(items) if _touches([item], new))
    row = [size for size, index in zip(old.type.shape, own, strict=True) if index not in loops]
    ahead = loops and any(size != 1 for size in row) and _touches(items[:first], old)
    if ahead and typical(product([*row, old.type.dtype.itemsize])) < APART:
        return False
    item = items[last]
    if last == first and isinstance(item, Loop):
        return item.index in own and _follows_in_place(item.body, old, new, (*loops, item.index))
    return last < first


def _touches(items: list[Item], *buffers: Buffer) -> list[Load | Store]:
    """The loads and stores of these buffers."""
    return [each for each in walk(items) if isinstance(each, (Load, Store)) and base(each.place) in buffers]


def _follows_in_rows(region: Region, old: Buffer, new: Buffer, touched: Touched) -> bool:
    """Whether one strip touches both, each tile in its own rows, and is done with `old` when it begins with `new`."""
    users = [(strip, item) for strip in region.strips for item in strip.body if {old, new} & set(touched(item))]
    if len({id(strip) for strip, _ in users}) > 1:
        return False
    if not all(stays_in_its_rows(item, buffer) for _, item in users for buffer in (old, new)):
        return False
    last = max(at for at, (_, item) in enumerate(users) if old in touched(item))
    first = min(at for at, (_, item) in enumerate(users) if new in touched(item))
    item = users[last][1]
    return last < first or (last == first and isinstance(item, Kernel) and _follows_in_place(item.body, old, new))
