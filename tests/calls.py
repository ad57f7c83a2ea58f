"""Calls of NumPy's functions, drawn by hypothesis, that graphc is asked for too."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import hypothesis.strategies as st
import numpy as np

DTYPES = ("float32", "float64", "int32", "int64", "uint8", "bool")


@dataclass
class Call:
    """`np.name(*before, *arrays, *after, **options)`; with `listed`, the arrays are one argument, a list."""

    name: str
    arrays: list[np.ndarray]
    after: tuple[Any, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)
    before: tuple[Any, ...] = ()
    listed: bool = False

    def of(self, module: Any, operands: list[Any]) -> list[Any]:
        """What a module's function of this name makes of the operands, as a list: split makes several."""
        given = [operands] if self.listed else operands
        made = getattr(module, self.name)(*self.before, *given, *self.after, **self.options)
        return list(made) if isinstance(made, (list, tuple)) else [made]

    def in_numpy(self, dtype: str | None = None) -> list[np.ndarray] | Exception:
        """NumPy's results, or the error that it raises; of the arrays cast to `dtype`, if given."""
        arrays = self.arrays if dtype is None else [array.astype(dtype) for array in self.arrays]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return [np.asarray(each) for each in self.of(np, arrays)]
            except (ValueError, TypeError, IndexError, ZeroDivisionError) as error:
                return error

    def __str__(self) -> str:
        arrays = [f"{array.dtype}{list(array.shape)}" for array in self.arrays]
        options = [f"{key}={value!r}" for key, value in self.options.items()]
        return f"{self.name}({', '.join([*map(repr, self.before), *arrays, *map(repr, self.after), *options])})"

    __repr__ = __str__


# ---- arrays ---------------------------------------------------------------------------------------------------------

SHAPES = st.lists(st.integers(0, 4), max_size=5).map(tuple)
SOME = st.lists(st.integers(1, 4), max_size=4).map(tuple)


def filled(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Numbers of both signs, small enough for any power, and no negative integers: those have no powers."""
    rng = np.random.default_rng([seed, *shape])
    if dtype.startswith("float"):
        return rng.uniform(-2, 2, shape).astype(dtype)
    return rng.integers(0, 2 if dtype == "bool" else 7, shape).astype(dtype)


def arrays(shapes: st.SearchStrategy = SHAPES, dtypes: Any = DTYPES) -> st.SearchStrategy:
    return st.builds(filled, shapes, st.sampled_from(dtypes), st.integers(0, 9))


@st.composite
def broadcastable(draw: Callable, count: int) -> list[tuple[int, ...]]:
    """Shapes that mostly broadcast: parts of one shape, with some sizes made 1, and now and then another size."""
    whole = draw(SHAPES)
    shapes = []
    for _ in range(count):
        part = list(whole[draw(st.integers(0, len(whole))) :])
        for axis in range(len(part)):
            kind = draw(st.sampled_from("====11x"))
            part[axis] = {"=": part[axis], "1": 1, "x": draw(st.integers(0, 4))}[kind]
        shapes.append(tuple(part))
    return shapes


@st.composite
def operands(draw: Callable, count: int, first: Sequence[str] = DTYPES) -> list[np.ndarray]:
    """Arrays that mostly broadcast; `first`: the dtypes of the first one."""
    dtypes = [draw(st.sampled_from(DTYPES if k else first)) for k in range(count)]
    return [filled(shape, dtypes[k], k) for k, shape in enumerate(draw(broadcastable(count)))]


# ---- options --------------------------------------------------------------------------------------------------------

ANY_AXIS = st.integers(-6, 5)
KEEPDIMS = st.fixed_dictionaries({}, optional={"keepdims": st.booleans()})


def axis_of(ndim: int) -> st.SearchStrategy:
    """An axis that mostly exists, as an int or an integer of NumPy's."""
    inside = st.integers(-ndim, ndim - 1) if ndim else st.just(0)
    return inside | inside.map(np.int64) | inside | ANY_AXIS


def axes_of(ndim: int) -> st.SearchStrategy:
    return axis_of(ndim) | st.lists(axis_of(ndim), max_size=3).map(tuple)


def axis(x: np.ndarray) -> st.SearchStrategy:
    return axis_of(x.ndim)


def axis_or_none(x: np.ndarray) -> st.SearchStrategy:
    return axis_of(x.ndim) | st.none()


def axis_or_axes(x: np.ndarray) -> st.SearchStrategy:
    return axes_of(x.ndim)


def axes(x: np.ndarray) -> st.SearchStrategy:
    return axes_of(x.ndim) | st.none()


def some_axes(x: np.ndarray) -> st.SearchStrategy:
    return axes(x).filter(np.size)


def flag(x: np.ndarray) -> st.SearchStrategy:
    return st.booleans()


def near_zero(x: np.ndarray) -> st.SearchStrategy:
    return st.integers(-5, 5)


def shifts(x: np.ndarray) -> st.SearchStrategy:
    return near_zero(x) | st.lists(near_zero(x), min_size=1, max_size=3).map(tuple)


@st.composite
def other_shape(draw: Callable, x: np.ndarray) -> Any:
    """Mostly a shape of as many elements: the sizes in another order, some multiplied, ones put in, one a -1."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.lists(st.integers(-1, 4), max_size=3).map(tuple) | st.integers(-2, 9))
    sizes = draw(st.permutations(x.shape))
    while len(sizes) > 1 and draw(st.booleans()):
        sizes[:2] = [sizes[0] * sizes[1]]
    if draw(st.booleans()):
        sizes.insert(draw(st.integers(0, len(sizes))), 1)
    if sizes and draw(st.booleans()):
        sizes[draw(st.integers(0, len(sizes) - 1))] = -1
    return draw(st.sampled_from([tuple, list]))(sizes)


@st.composite
def wider_shape(draw: Callable, x: np.ndarray) -> tuple[int, ...]:
    """Mostly a shape that x stretches to."""
    stretched = [draw(st.integers(0, 4)) if size == 1 or draw(st.integers(0, 9)) == 0 else size for size in x.shape]
    return (*draw(st.lists(st.integers(0, 3), max_size=2)), *stretched[draw(st.sampled_from([0, 0, 0, 1])) :])


def order(x: np.ndarray) -> st.SearchStrategy:
    signed = st.permutations(range(x.ndim)).flatmap(
        lambda axes: st.tuples(*(st.sampled_from([axis, axis - x.ndim]) for axis in axes))
    )
    return st.none() | signed | signed | st.lists(ANY_AXIS, max_size=3).map(tuple)


def new_axes(x: np.ndarray) -> st.SearchStrategy:
    return axis_of(x.ndim + 1) | st.lists(axis_of(x.ndim + 2), max_size=2).map(tuple)


def widths(x: np.ndarray) -> st.SearchStrategy:
    width = st.sampled_from([0, 1, 2, 1, 2, 1, 2, -1])
    pair = st.tuples(width, width)
    return width | pair | st.tuples(*[pair] * x.ndim) | st.lists(pair, max_size=3)


def counts(x: np.ndarray) -> st.SearchStrategy:
    count = st.sampled_from([1, 2, 1, 2, 1, 2, 0, 1, 2, -1])
    return count | count.map(np.int64) | st.lists(count, max_size=4).map(tuple)


def positions(x: np.ndarray) -> st.SearchStrategy:
    """Integers as an array of rank 0 to 2."""
    inside = st.integers(-2, 1) if x.size else st.just(0)
    return st.builds(
        lambda shape, value: np.full(shape, value), st.lists(st.integers(0, 3), max_size=2), inside | st.integers(-5, 5)
    )


def cuts(x: np.ndarray) -> st.SearchStrategy:
    """A number of parts, or positions in order; NumPy makes empty parts of others, graphc refuses them."""
    return st.integers(0, 4) | st.lists(st.integers(0, 5), max_size=3).map(sorted)


# ---- calls ----------------------------------------------------------------------------------------------------------


@st.composite
def of_one(draw: Callable, name: str, *after: Callable, shapes: Any = SHAPES, **options: Callable) -> Call:
    """A call on one array; what follows it and its options are drawn for that array, options not always."""
    x = draw(arrays(shapes))
    chosen = {key: draw(make(x)) for key, make in options.items() if draw(st.booleans())}
    return Call(name, [x], tuple(draw(make(x)) for make in after), chosen)


@st.composite
def of_shapes(draw: Callable, name: str, shapes: Callable[[Callable], list[tuple[int, ...]]]) -> Call:
    return Call(name, [filled(shape, draw(st.sampled_from(DTYPES)), k) for k, shape in enumerate(shapes(draw))])


@st.composite
def elementwise(draw: Callable, name: str, count: int, first: Sequence[str] = DTYPES) -> Call:
    return Call(name, draw(operands(count, first)))


@st.composite
def of_list(draw: Callable, name: str) -> Call:
    """concatenate or stack: shapes that differ along the axis, now and then along another one."""
    x = draw(arrays())
    at, parts = draw(axis(x)), [x]
    for seed in range(draw(st.integers(0, 2))):
        shape = list(x.shape)
        if shape and name == "concatenate":
            shape[at % len(shape)] = draw(st.integers(0, 4))
        if shape and draw(st.integers(0, 9)) == 0:
            shape[draw(st.integers(0, len(shape) - 1))] = draw(st.integers(0, 4))
        parts.append(filled(tuple(shape), draw(st.sampled_from(DTYPES)), seed))
    if name == "concatenate" and draw(st.integers(0, 4)) == 0:
        at = None
    return Call(name, parts, options={"axis": at}, listed=True)


@st.composite
def clipped(draw: Callable) -> Call:
    x, low, high = draw(operands(3))
    kept = draw(st.sampled_from(["both", "both", "low", "high", "none"]))
    bounds = {"low": (low, None), "high": (None, high), "none": (None, None)}.get(kept)
    return Call("clip", [x, low, high]) if bounds is None else Call("clip", [x], bounds)


@st.composite
def along_axis(draw: Callable) -> Call:
    x = draw(arrays(SHAPES.filter(len)))
    at = draw(axis(x))
    shape = [draw(st.sampled_from([size, size, size, 1])) for size in x.shape]
    shape[at % x.ndim] = draw(st.integers(0, 4))
    limit = x.shape[at % x.ndim] + (draw(st.integers(0, 9)) == 0)
    indices = np.random.default_rng(0).integers(-limit, max(1, limit), shape)
    return Call("take_along_axis", [x], (indices, at))


SIZE = st.integers(0, 4)
MOSTLY = st.integers(0, 9).map(bool)


def dot_shapes(draw: Callable) -> list[tuple[int, ...]]:
    """Every pair of ranks from 0 to 4; the sizes that meet are mostly equal."""
    a, b = (draw(st.lists(SIZE, max_size=4)) for _ in range(2))
    if a and b and draw(MOSTLY):
        b[-2 if len(b) > 1 else 0] = a[-1]
    return [tuple(a), tuple(b)]


def matmul_shapes(draw: Callable) -> list[tuple[int, ...]]:
    batches = draw(broadcastable(2))
    n, k, m = (draw(SIZE) for _ in range(3))
    kinds = draw(st.tuples(*[st.sampled_from(["matrix", "matrix", "vector"])] * 2))
    a = (k,) if kinds[0] == "vector" else (*batches[0][-2:], n, k)
    inner = k if draw(MOSTLY) else draw(SIZE)
    b = (inner,) if kinds[1] == "vector" else (*batches[1][-2:], inner, m)
    return [a, b] if draw(MOSTLY) else draw(broadcastable(2))


@st.composite
def tensordot(draw: Callable) -> Call:
    """The sizes to be summed over are put at drawn places of both operands."""
    shared = draw(st.lists(SIZE, max_size=2))
    a, b = (draw(st.lists(SIZE, max_size=2)) for _ in range(2))
    if draw(st.booleans()):
        shapes, axes = [(*a, *shared), (*shared, *b)], len(shared)
    else:
        first = list(range(len(shared)))
        shapes, axes = [(*shared, *a), (*b, *shared)], (first, [axis - len(shared) for axis in first])
    if not draw(MOSTLY):
        axes = draw(st.integers(-1, 4) | st.tuples(st.lists(ANY_AXIS, max_size=2), st.lists(ANY_AXIS, max_size=2)))
    if draw(st.booleans()) and isinstance(axes, tuple) and len(axes[0]) == 1:
        axes = (axes[0][0], axes[1][0])
    return Call("tensordot", [filled(s, draw(st.sampled_from(DTYPES)), k) for k, s in enumerate(shapes)], (axes,))


SUBSCRIPTS = """
    i-> ->  i->i ij->ji ij->i ij-> ii->i ii-> iij->j iji->j iji->ij ij,jk->ik ij,jk ij,ij-> ij,ij->ij i,j->ij i,i
    ij,j->i bij,bjk->bik bij,bjk->ik ij,jk,kl->il ij,jk,ki-> i,i,i->i ,ij->ij ...i->... ...ij,...jk->...ik
    ij...,jk...->ik... ...,...->... i...,i...->... ab,bc,cd,de->ae ij,kl->ijkl iij,jk->ik ij ba
    ij->k ii->ii ij,jk->ij, i->ii
"""


@st.composite
def einsum(draw: Callable) -> Call:
    subscripts = draw(st.sampled_from(SUBSCRIPTS.split()))
    sizes = {label: draw(SIZE) for label in "abcdeijkl"}
    dots = tuple(draw(st.lists(SIZE, max_size=2)))
    shapes = []
    for term in subscripts.split("->")[0].split(","):
        shape = [dots if label == "." else (sizes[label],) for label in term.replace("...", ".")]
        flat = tuple(size for part in shape for size in part)
        shapes.append(flat if draw(MOSTLY) else draw(st.sampled_from([flat[1:], (*flat[:-1], 1), (2, *flat)])))
    operands = [filled(shape, draw(st.sampled_from(DTYPES)), k) for k, shape in enumerate(shapes)]
    return Call("einsum", operands, before=(subscripts,))


@st.composite
def made(draw: Callable, name: str) -> Call:
    """Calls that take no array."""
    dtype, size = draw(st.sampled_from(DTYPES)), st.integers(-1, 4)
    if name == "arange":
        return Call(name, [], (draw(st.integers(-2, 5)),))
    if name == "eye":
        after = (draw(size), draw(st.none() | size), draw(st.integers(-5, 5)))
        return Call(name, [], after, {"dtype": dtype})
    shape = draw(size | st.lists(size, max_size=3).map(tuple))
    value = (draw(st.sampled_from([0, 1, 2.5, True])),) if name == "full" else ()
    return Call(name, [], (shape, *value), {"dtype": dtype} if name != "full" or draw(st.booleans()) else {})
