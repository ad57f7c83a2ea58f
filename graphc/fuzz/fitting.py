"""Calls whose operands must fit each other, or whose text is not plainly `name(operands, options)`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from random import Random
from typing import Any

from graphc.fuzz.calls import (
    DTYPES,
    MAX_NDIM,
    NUMBERS,
    Candidate,
    Draw,
    Pool,
    Row,
    broadcasts,
    floating,
    has_axes,
    not_empty,
)
from graphc.fuzz.recipe import Leaf
from graphc.sizes import Size, symbols


def where_row(rng: Random, pool: Pool) -> Draw | None:
    value = pool.pick()
    if value is None:
        return None
    shape = value.shape
    condition = pool.pick(lambda c: c.kind == "b" and broadcasts(c.shape, shape)) or pool.leaf(shape, "bool", 0, 2)
    other = pool.pick(lambda c: broadcasts(c.shape, shape)) or Leaf("number", low=rng.choice(NUMBERS))
    values = [value, other] if rng.random() < 0.5 else [other, value]
    return None if condition is None else Draw([condition, *values])


def clip_row(rng: Random, pool: Pool) -> Draw | None:
    """Bounds that are apart: where they are equal, a convention takes the place of a gradient."""
    a = pool.pick(floating)
    if a is None:
        return None
    shape = a.shape[rng.randint(0, a.ndim) :]
    bounds = [pool.leaf(shape, str(a.node.dtype), *span) for span in ((-1.0, -0.2), (0.2, 1.0))]
    if rng.random() < 0.5 or None in bounds:
        return Draw(
            [a], {key: value for key, value in (("low", -0.5), ("high", 0.7)) if rng.random() < 0.8} or {"low": 0}
        )
    return Draw([a, *(bound for bound in bounds if bound is not None)])


def stretch_row(rng: Random, pool: Pool) -> Draw | None:
    """A tensor stretched to the shape of another, or to one with more axes."""
    found = pool.pick(lambda c: c.ndim < MAX_NDIM)
    if found is None:
        return None
    like = pool.pick(lambda c: broadcasts(c.shape, found.shape) and c.ndim >= found.ndim)
    if like is not None and rng.random() < 0.7:
        sizes = [f"{{0}}.shape[{at - like.ndim}]" for at in range(like.ndim)]
        for at, size in enumerate(like.shape):
            if size != 1:
                sizes[at] = f"{{1}}.shape[{at}]"
            elif at < like.ndim - found.ndim:
                sizes[at] = "1"
        return Draw([found, like], form=f"{{name}}({{{{0}}}}, shape={_tuple_text(sizes)})")
    sizes = [str(rng.randint(1, 3)), *(f"{{0}}.shape[{at}]" for at in range(found.ndim))]
    return Draw([found], form=f"{{name}}({{{{0}}}}, shape={_tuple_text(sizes)})")


def _tuple_text(sizes: Sequence[str]) -> str:
    """A shape as code that Draw.text() still formats once."""
    return ("(" + "".join(f"{size}, " for size in sizes) + ")").replace("{", "{{").replace("}", "}}")


def arange_row(rng: Random, pool: Pool) -> Draw | None:
    return Draw([], {"size": pool.size()})


def labels_row(takes_x: bool) -> Row:
    """Labels in range of the last axis of a tensor; with the tensor itself as the first operand or without."""

    def row(rng: Random, pool: Pool) -> Draw | None:
        x = pool.pick(lambda c: floating(c) and c.ndim > 0 and c.value.shape[-1] > 0 and not composed(c.shape))
        if x is None:
            return None
        size = str(x.shape[-1]) if isinstance(x.shape[-1], Size) else x.shape[-1]
        labels = pool.leaf(x.shape[:-1], rng.choice(("int64", "int64", "int32", "uint8")), 0, size)
        if labels is None:
            return None
        return Draw([x, labels]) if takes_x else Draw([labels, x], form="{name}({{0}}, size={{1}}.shape[-1])")

    return row


def composed(shape: Sequence[Any]) -> bool:
    """Whether some size is a formula of symbols (3*batch), which no leaf can have."""
    return any(isinstance(size, Size) and symbols(size) != {str(size)} for size in shape)


def dot_row(rng: Random, pool: Pool) -> Draw | None:
    """A vector or matrix times one that fits, which may be a new weight."""
    a = pool.pick(lambda c: floating(c) and c.ndim in (1, 2))
    if a is None:
        return None
    inner = a.shape[-1]
    b = pool.pick(lambda c: floating(c) and c.ndim in (1, 2) and c.shape[0] == inner)
    if b is not None and rng.random() < 0.5:
        return Draw([a, b])
    other = pool.leaf([inner, pool.size()] if rng.random() < 0.7 else [inner], str(a.node.dtype), -1.0, 1.0)
    return None if other is None else Draw([a, other])


def loss_row(rng: Random, pool: Pool) -> Draw | None:
    """A prediction and a target of one shape."""
    a = pool.pick(lambda c: floating(c) and not_empty(c))
    if a is None:
        return None
    other = pool.pick(lambda c: floating(c) and c.shape == a.shape) or pool.leaf(a.shape)
    return None if other is None else Draw([a, other])


def probable_row(rng: Random, pool: Pool) -> Draw | None:
    """Probabilities, and a target of their shape."""
    p = pool.pick(lambda c: floating(c) and not_empty(c) and c.within(0.02, 0.98))
    target = None if p is None else pool.leaf(p.shape, str(p.node.dtype), 0.0, 1.0)
    return Draw([p, target]) if p and target else None


def classified_row(rng: Random, pool: Pool) -> Draw | None:
    """A classifier's rows of logits or probabilities, and labels."""
    drawn = labels_row(takes_x=True)(rng, pool)
    return (
        drawn if drawn and all(isinstance(o, Leaf) or (o.ndim > 1 and not_empty(o)) for o in drawn.operands) else None
    )


def grad_row(rng: Random, pool: Pool) -> Draw | None:
    loss = pool.pick(lambda c: floating(c) and c.ndim == 0)
    wrt = pool.pick(floating)
    return Draw([loss, wrt]) if loss and wrt else None


def joined_row(new_axis: bool) -> Row:
    """Several tensors that agree in all axes but one, or in all."""

    def row(rng: Random, pool: Pool) -> Draw | None:
        first = pool.pick(lambda c: (c.ndim > 0 or new_axis) and c.ndim + new_axis <= MAX_NDIM)
        if first is None:
            return None
        axis = rng.randrange(first.ndim + new_axis)
        parts: list[Candidate | Leaf] = [first]
        for _ in range(rng.randint(0, 2)):
            shape = list(first.shape)
            if not new_axis and rng.random() < 0.5:
                shape[axis] = pool.size()
            found = pool.pick(lambda c: c.ndim == first.ndim and _without(c.shape, axis) == _without(first.shape, axis))
            if found is not None and new_axis and found.shape != first.shape:
                found = None
            parts.append(
                found if found and rng.random() < 0.7 else pool.leaf(shape, str(first.node.dtype), 0, 2) or first
            )
        rng.shuffle(parts)
        return Draw(parts, {"axis": axis}, form="{name}([{operands}]{options})")

    return row


def _without(shape: Sequence[Any], axis: int) -> tuple[Any, ...]:
    return (*shape[:axis], *shape[axis + 1 :])


def split_row(rng: Random, pool: Pool) -> Draw | None:
    found = pool.pick(lambda c: any(isinstance(size, int) and size > 1 for size in c.shape))
    if found is None:
        return None
    axis = rng.choice([at for at, size in enumerate(found.shape) if isinstance(size, int) and size > 1])
    cut = rng.randint(0, found.shape[axis])
    return Draw([found], {"axis": axis}, form=f"{{name}}({{operands}}, [{cut}]{{options}})[{rng.randrange(2)}]")


def getitem_row(rng: Random, pool: Pool) -> Draw | None:
    """Basic indexing, with at most one array of indices."""
    x = pool.pick(lambda c: has_axes(c) and not_empty(c))
    if x is None:
        return None
    operands: list[Candidate | Leaf] = [x]
    keys: list[str] = []
    for axis in range(rng.randint(1, x.ndim)):
        size = x.value.shape[axis] if isinstance(x.shape[axis], int) else 1
        keys.append(_key(rng, size))
        if rng.random() < 0.15 and len(operands) == 1:
            keys[-1] = "{{1}}"
            indices = pool.leaf([pool.size() for _ in range(rng.randint(0, 2))], "int64", -size, size)
            operands += [indices] if indices else []
    keys = keys if len(operands) > 1 or "{{1}}" not in keys else [":"]
    if rng.random() < 0.2 and x.ndim < MAX_NDIM:
        keys.insert(rng.randint(0, len(keys)), "None")
    if rng.random() < 0.2:
        keys.insert(rng.choice((0, len(keys))), "...")
    return Draw(operands, form=f"{{{{0}}}}[{', '.join(keys)}]")


def _key(rng: Random, size: int) -> str:
    start, stop = sorted((rng.randint(0, size), rng.randint(0, size)))
    return rng.choice(
        (
            str(rng.randrange(-size, size)) if size else ":",
            ":",
            f"{start}:{stop}",
            f"{start}:",
            f":{-rng.randint(1, size)}" if size else ":",
            "::-1",
            f"::{rng.choice((2, 3, -2))}",
            f"{stop}:{start}:-1",
        )
    )


def take_row(along: bool) -> Row:
    """Indices for an axis: any of them, or for each place of the other axes."""

    def row(rng: Random, pool: Pool) -> Draw | None:
        x = pool.pick(lambda c: has_axes(c) and not_empty(c) and not composed(c.shape))
        if x is None:
            return None
        axis = rng.randrange(x.ndim)
        size = x.value.shape[axis] if isinstance(x.shape[axis], int) else 1
        shape = [*x.shape[:axis], pool.size(), *x.shape[axis + 1 :]] if along else pool.shape()[:2]
        indices = pool.leaf(shape, rng.choice(("int64", "int64", "int32")), rng.choice((0, -size)), size)
        return None if indices is None else Draw([x, indices], {"axis": axis})

    return row


def embedding_row(rng: Random, pool: Pool) -> Draw | None:
    table = pool.pick(lambda c: c.ndim == 2 and isinstance(c.shape[0], int) and not_empty(c))
    if table is None:
        return None
    ids = pool.leaf(pool.shape()[:3], "int64", 0, table.shape[0])
    return None if ids is None else Draw([table, ids])


def matmul_row(rng: Random, pool: Pool) -> Draw | None:
    """Stacks of matrices that fit; the second is mostly a new weight."""
    a = pool.pick(lambda c: floating(c) and has_axes(c) and not_empty(c))
    if a is None:
        return None
    inner = a.shape[-1]
    b = pool.pick(
        lambda c: floating(c) and c.ndim > 1 and c.shape[-2] == inner and broadcasts(c.shape[:-2], a.shape[:-2])
    )
    if b is not None and rng.random() < 0.5:
        return Draw([a, b])
    batch = [1 if rng.random() < 0.5 else size for size in a.shape[rng.randint(0, max(0, a.ndim - 2)) : -2]]
    other = pool.leaf([*batch, inner, pool.size()], str(a.node.dtype), -1.0, 1.0)
    return None if other is None else Draw([a, other])


def tensordot_row(rng: Random, pool: Pool) -> Draw | None:
    a = pool.pick(lambda c: floating(c) and c.ndim > 1)
    if a is None:
        return None
    count = rng.randint(0, min(2, a.ndim))
    shared = rng.sample(range(a.ndim), count)
    b = pool.leaf([*(a.shape[axis] for axis in shared), pool.size()], str(a.node.dtype), -1.0, 1.0)
    return None if b is None else Draw([a, b], {"axes": (tuple(shared), tuple(range(count)))})


SUBSCRIPTS = (
    "ij,jk->ik",
    "ij,ij->i",
    "i,j->ij",
    "bij,bjk->bik",
    "ij->ji",
    "ii->i",
    "ij,kj,k->i",
    "bij->b",
    "i,i->",
)


def einsum_row(rng: Random, pool: Pool) -> Draw | None:
    """One of some formulas; each label takes its size from the first operand that has it."""
    subscripts = rng.choice(SUBSCRIPTS)
    sizes: dict[str, Any] = {}
    operands: list[Candidate | Leaf] = []
    for term in subscripts.split("->")[0].split(","):
        each: Candidate | Leaf | None = pool.pick(partial(_spells, term, sizes))
        if each is None:
            each = pool.leaf([sizes.setdefault(label, pool.size()) for label in term], "", -1.0, 1.0)
        if each is None:
            return None
        sizes.update(zip(term, each.shape, strict=True))
        operands.append(each)
    return Draw(operands, form=f"{{name}}({subscripts!r}, {{operands}})")


def _spells(term: str, sizes: dict[str, Any], c: Candidate) -> bool:
    """Whether the axes of a candidate may have these labels, some of which have sizes."""
    pairs = set(zip(term, c.shape, strict=False))
    fits = floating(c) and c.ndim == len(term) and len(pairs) == len(set(term))
    return fits and all(sizes.get(label, size) == size for label, size in pairs)


def outer_row(rng: Random, pool: Pool) -> Draw | None:
    a, b = pool.pick(lambda c: c.value.size < 20), pool.pick(lambda c: c.value.size < 20)
    return Draw([a, b]) if a and b else None


def recurrence_row(rng: Random, pool: Pool) -> Draw | None:
    a = pool.pick(lambda c: floating(c) and has_axes(c) and c.within(-1, 1))
    b = pool.pick(lambda c: floating(c) and has_axes(c) and (a is None or broadcasts(c.shape, a.shape)))
    if b is None:
        return None
    return Draw([a or Leaf("number", low=rng.choice((0.5, 1.0, 0.0))), b])


def dropout_row(rng: Random, pool: Pool) -> Draw | None:
    x, step = pool.pick(floating), pool.leaf([], "int64", 0, 9)
    return Draw([x, step], {"rate": rng.choice((0.25, 0.5, 0.9)), "seed": rng.randrange(99)}) if x and step else None


def filled_row(*options: str) -> Row:
    """A tensor of one value, in the shape of another."""

    def row(rng: Random, pool: Pool) -> Draw | None:
        like = pool.pick()
        dtype = rng.choice(DTYPES)
        form = f"{{name}}({{{{0}}}}.shape, {', '.join((*options, f'dtype={dtype!r}'))})"
        return None if like is None else Draw([like], form=form)

    return row
