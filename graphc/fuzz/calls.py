"""How to call ops at random: what a call may read, and the kinds of call that many ops share; see rows.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeAlias

import graphc as gc
from graphc.fuzz.recipe import Array, Leaf
from graphc.ir import OPS, Node, Op
from graphc.sizes import Size

NUMBERS = (0.0, 1.0, -1.0, 2.0, 0.5, 3.0, 1, 2)
DTYPES = ("float32", "float64", "int64", "int32", "uint8", "bool")
MAX_NDIM = 5
ANYTHING = (-2.0, 2.0)
"""The domain of ops that have none: it is no bound."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """A step that may be an operand, with its values at the first call, in float64."""

    at: int
    node: Node
    value: Array

    @property
    def shape(self) -> tuple[Any, ...]:
        return self.node.shape

    @property
    def ndim(self) -> int:
        return self.node.ndim

    @property
    def kind(self) -> str:
        """NumPy's letter for the kind of dtype: f, i, u or b."""
        return self.node.dtype.kind

    def within(self, low: float, high: float) -> bool:
        return self.value.size == 0 or bool(self.value.min() >= low and self.value.max() <= high)


class Code(str):
    """An option that is code: `{0}.shape[1]`."""


@dataclass(frozen=True)
class Draw:
    """One call: operands that are steps or new leaves, and options; `form` is how it is spelled if not plainly."""

    operands: Sequence[Candidate | Leaf]
    options: dict[str, Any] = field(default_factory=dict)
    form: str = "{name}({operands}{options})"

    def text(self, name: str) -> str:
        """The call as code, with {0}, {1}, ... for its operands."""
        operands = ", ".join(f"{{{at}}}" for at in range(len(self.operands)))
        options = [f"{key}={value if isinstance(value, Code) else repr(value)}" for key, value in self.options.items()]
        separator = ", " if options and self.operands else ""
        return self.form.format(name=spelled(name), operands=operands, options=separator + ", ".join(options))


@dataclass
class Pool:
    """The steps that a call may read, oldest first, and the sizes that new axes have; `newest`: always the last."""

    rng: Random
    candidates: list[Candidate]
    sizes: list[int | str]
    newest: bool = False

    def pick(self, fits: Callable[[Candidate], bool] = lambda c: True) -> Candidate | None:
        """A candidate that fits, more likely one of the last."""
        found = [c for c in self.candidates if fits(c)]
        if not found:
            return None
        recent = 1 if self.newest else self.rng.choices((1, 4, len(found)), (3, 4, 4))[0]
        return self.rng.choice(found[-recent:])

    def leaf(
        self, shape: Sequence[Any], dtype: str = "", low: float = ANYTHING[0], high: Any = ANYTHING[1]
    ) -> Leaf | None:
        """A new leaf of a shape that nodes have; None if the shape is not one that a leaf can have."""
        sizes = [str(size) if isinstance(size, Size) else size for size in shape]
        if any(isinstance(size, str) and not size.isidentifier() for size in sizes):
            return None
        fixed = not any(isinstance(size, str) for size in sizes) and not isinstance(high, str)
        kind = self.rng.choice(("input", "param", "param", "const") if fixed else ("input",))
        dtype = dtype or self.rng.choice(("float32", "float32", "float64"))
        whole = (low, high) == ANYTHING and self.rng.random() < 0.15
        return Leaf(kind, tuple(sizes), dtype, self.rng.randrange(10**6), low, high, whole)

    def shape(self) -> list[int | str]:
        """A random shape of few elements."""
        ndim = self.rng.choices(range(MAX_NDIM + 1), (2, 4, 7, 5, 2, 1))[0]
        return [self.size() for _ in range(ndim)]

    def size(self) -> int | str:
        return 1 if self.rng.random() < 0.15 else self.rng.choice(self.sizes)


Row: TypeAlias = "Callable[[Random, Pool], Draw | None]"
Options: TypeAlias = "Callable[[Random, Candidate], dict[str, Any] | None]"


def spelled(name: str) -> str:
    """The code that names an op or a function: `gc.sum`, or the table's record where gc does not export it."""
    if hasattr(gc, name):
        return f"gc.{name}"
    if name not in OPS:
        return name
    public = next((key for key, value in vars(gc).items() if value is OPS[name]), None)
    return f"gc.{public}" if public else f'gc.ir.OPS["{name}"]'


# ---- element by element ---------------------------------------------------------------------------------------------


def elementwise_row(op: Op) -> Row:
    """How to call an element-wise op, from its record."""
    assert op.arity is not None
    return elementwise(op.arity, op.domain, op.kinds)


def elementwise(
    arity: int = 1, domain: tuple[float, float] = ANYTHING, kinds: str = "fiub", **options: Sequence[Any]
) -> Row:
    """Operands of one kind that broadcast, mostly from the domain; of each option one of the values given."""
    taken = [each for each in ("f", "f", "f", "f", "f", "iu", "b") if set(each) <= set(kinds)]

    def row(rng: Random, pool: Pool) -> Draw | None:
        bounded = domain != ANYTHING and rng.random() < 0.85
        low, high = (domain[0] / 4, domain[1] * 2) if bounded else (-1e9, 1e9)
        kind = rng.choice(taken)
        first = pool.pick(lambda c: c.kind in kind and c.within(low, high)) or _fresh(pool, kind, domain)
        if first is None:
            return None
        operands: list[Candidate | Leaf] = [first]
        for _ in range(arity - 1):
            operands.append(_partner(rng, pool, first, kind, (low, high), domain))
        rng.shuffle(operands)
        return Draw(operands, {key: rng.choice(values) for key, values in options.items()})

    return row


def _fresh(pool: Pool, kinds: str, domain: tuple[float, float], shape: Sequence[Any] | None = None) -> Leaf | None:
    names = {"f": ("float32", "float64"), "iu": ("int64", "int32", "uint8"), "b": ("bool",)}
    dtype = pool.rng.choice(names[kinds])
    low, high = (0, 2) if kinds == "b" else domain if kinds == "f" else (max(0, int(domain[0])), int(domain[1]) + 2)
    return pool.leaf(pool.shape() if shape is None else shape, dtype, low, high)


def _partner(
    rng: Random,
    pool: Pool,
    first: Candidate | Leaf,
    kinds: str,
    bounds: tuple[float, float],
    domain: tuple[float, float],
) -> Candidate | Leaf:
    """What broadcasts against `first`: another candidate, a number or a new leaf."""
    numbers = [number for number in NUMBERS if bounds[0] <= number <= bounds[1]]
    if rng.random() < 0.15 and numbers and isinstance(first, Candidate):
        return Leaf("number", low=rng.choice(numbers))
    shape = first.shape
    found = pool.pick(lambda c: c.kind in kinds and c.within(*bounds) and broadcasts(c.shape, shape))
    if found is not None and rng.random() < 0.8:
        return found
    kept = shape[rng.randint(0, len(shape)) :] if rng.random() < 0.5 else shape
    return _fresh(pool, kinds, domain, [1 if rng.random() < 0.2 else size for size in kept]) or first


def broadcasts(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether tensors of these shapes broadcast."""
    return all(x == y or 1 in (x, y) for x, y in zip(tuple(a)[::-1], tuple(b)[::-1], strict=False))


# ---- one operand and options ----------------------------------------------------------------------------------------


def unary(options: Options = lambda rng, c: {}, fits: Callable[[Candidate], bool] = lambda c: True) -> Row:
    """A call of one operand that fits, with the options that `options(rng, operand)` gives."""

    def row(rng: Random, pool: Pool) -> Draw | None:
        found = pool.pick(fits)
        given = None if found is None else options(rng, found)
        return None if found is None or given is None else Draw([found], given)

    return row


def some_axes(rng: Random, c: Candidate) -> dict[str, Any]:
    """`axis=` as None, an int or several, and `keepdims=`."""
    axes = rng.sample(range(-c.ndim, 0), rng.randint(0, c.ndim)) if c.ndim else []
    axes = [axis % c.ndim if rng.random() < 0.7 else axis for axis in axes]
    axis = None if not axes or rng.random() < 0.2 else axes[0] if len(axes) == 1 else tuple(axes)
    return {"axis": axis, **({"keepdims": True} if rng.random() < 0.4 else {})}


def one_axis(rng: Random, c: Candidate) -> dict[str, Any]:
    return {"axis": rng.randrange(-c.ndim, c.ndim)}


def an_order(rng: Random, c: Candidate) -> dict[str, Any]:
    return {"axes": None if rng.random() < 0.3 else tuple(rng.sample(range(c.ndim), c.ndim))}


def another_shape(rng: Random, c: Candidate) -> dict[str, Any]:
    """Some neighbouring axes joined, and some axes of size 1 put in or taken out; or one axis split in two."""
    sizes = [f"{{0}}.shape[{axis}]" for axis in range(c.ndim) if c.shape[axis] != 1 or rng.random() < 0.5]
    if len(sizes) > 1 and rng.random() < 0.7:
        at = rng.randrange(len(sizes) - 1)
        sizes[at : at + 2] = ["-1"]
    elif c.ndim and isinstance(c.shape[-1], int) and c.shape[-1] in (4, 6, 8):
        sizes[-1:] = ["2", str(c.shape[-1] // 2)]
    if rng.random() < 0.3 and len(sizes) < MAX_NDIM:
        sizes.insert(rng.randint(0, len(sizes)), "1")
    return {"shape": Code(f"({', '.join(sizes)}{',' * (len(sizes) == 1)})")}


def new_axis(rng: Random, c: Candidate) -> dict[str, Any] | None:
    return {"axis": rng.randrange(-c.ndim - 1, c.ndim + 1)} if c.ndim < MAX_NDIM else None


def axis_of_one(rng: Random, c: Candidate) -> dict[str, Any] | None:
    axes = [axis for axis, size in enumerate(c.shape) if size == 1]
    return {"axis": rng.choice(axes)} if axes else None


def has_axes(c: Candidate) -> bool:
    return c.ndim > 0


def not_empty(c: Candidate) -> bool:
    return c.value.size > 0


def floating(c: Candidate) -> bool:
    return c.kind == "f"
