"""A planned program as Python text: pure strings, no Numba.

The text is a module that stands alone: `step(address)` runs the whole step and returns a status. It runs the same under
`NUMBA_DISABLE_JIT=1`. No name of the user's is code, symbolic sizes aside, which are identifiers and become `n_<size>`;
the others appear in comments only.

What a step works on lies in a table of int64 at `address`; see table.py.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from graphc import config
from graphc.backend.imports import import_lines
from graphc.backend.table import (
    ARENA,
    ARENA_BYTES,
    ARENA_TOO_SMALL,
    FIRST_GUARD,
    OK,
    SCALARS,
    STEPS,
    THREADS,
    WRONG_SIZES,
    Rows,
    rows_of,
    scalar_results,
)
from graphc.graph import printable
from graphc.kernel import (
    START,
    STOP,
    TILE,
    Buffer,
    Check,
    Gemm,
    Item,
    Kernel,
    Let,
    Load,
    Loop,
    Notes,
    Place,
    Plan,
    Region,
    Role,
    Store,
    base,
    begins,
    notes_of,
    scalars_read,
    shape_of,
    variables,
    walk,
)
from graphc.sizes import Dim, Shape, symbols
from graphc.spelling import constructor, index_name, size_code

ALONE = 64 * 10_000
"""The price of a region, in 64ths of a nanosecond, up to which the calling thread runs it alone."""

FEW = 8
"""The most steps of an inner loop that is compiled as copies of its body (`few`), so that the loop around it runs in
vector lanes: LLVM brings up to eight interleaved columns together. A whole step of 4-32-3, batch 32, takes 1.1 µs so
instead of 1.8."""

Around = Callable[[Item, list[str]], list[str]]
"""What is made of an item's statements in the step or in a tile: the same, with others around them."""


@dataclass
class Names:
    """What places are called in the text. Buffers that agree in slot and type are one variable."""

    plan: Plan
    views: dict[tuple[str, Shape, str], tuple[str, Buffer]] = field(default_factory=dict)

    def of(self, place: Place) -> str:
        """The variable that holds a place."""
        buffer, shape = base(place), shape_of(place)
        if buffer.role is Role.OUTPUT and not shape:
            return "scalars"
        in_arena = buffer in self.plan.slot_of
        stem = f"m{self.plan.slot_of[buffer]}" if in_arena else buffer.name
        key = (stem, shape, buffer.type.dtype.name)
        if key not in self.views:
            others = sum(each[0] == stem for each in self.views)
            self.views[key] = f"{stem}_{others}" if others else stem, buffer
        return self.views[key][0]

    def element(self, place: Place, index: tuple[str, ...]) -> str:
        """One element of a place; a rank 0 param is an array of one element."""
        if index:
            return f"{self.of(place)}[{', '.join(index)}]"
        buffer = base(place)
        if buffer.role is Role.OUTPUT:
            return f"scalars[{scalar_results(self.plan).index(buffer)}]"
        return f"{self.of(place)}[0]"


def emit(plan: Plan, around: Around = lambda item, lines: lines) -> str:
    """The text of the module."""
    names, notes, body = Names(plan), notes_of(plan.program.graph), plan.program.body
    top_scalars = {each.name for each in body if isinstance(each, (Let, Load))}
    read_at = _readers(body)
    results = {item: _results(item, read_at, at) for at, item in enumerate(body) if isinstance(item, Kernel)}
    top_scalars.update(name for each in results.values() for name in each)
    functions = Functions(names, notes, around)
    statements: list[str] = []
    for item in body:
        if isinstance(item, Region):
            functions.texts.append("\n".join(_region(item, functions, top_scalars)))
            made = [_run(item)]
        elif isinstance(item, Kernel):
            made = [functions.call(item, _arguments(item, names, top_scalars), results[item])]
        else:
            made = [*_lines(item, names, notes)]
        statements += around(item, made)
    counted = [f"table[{STEPS}] += 1"] if plan.program.graph.updates else []
    lines = [*_arena(plan), *_views(names, statements), *statements, *counted, f"return {OK}"]
    step = [*_bound_sizes(plan), *_quotients_once(lines)]
    functions.texts.append("\n".join([*_signature(plan), *("    " + line for line in step)]))
    text = "\n\n\n".join(functions.texts)
    return f"{import_lines(text)}\n\n\n{text}\n"


# ---- kernels --------------------------------------------------------------------------------------------------------


@dataclass
class Functions:
    """The functions written so far. Kernels that are equal but for names are one of them."""

    names: Names
    notes: Notes
    around: Around
    texts: list[str] = field(default_factory=list)
    kernels: dict[str, str] = field(default_factory=dict)

    def call(self, kernel: Kernel, args: Sequence[str], results: Sequence[str]) -> str:
        """The statement that calls a kernel, whose function is written unless an equal one is there.

        Who calls another's function says which kernel that is in the plan, and what it computes.
        """
        lines = list(_function(kernel, args, results, self.names, self.notes))
        function = self.kernels.setdefault(_but_for_names(kernel, args, lines), kernel.name)
        call = f"{', '.join(results)}{' = ' * bool(results)}{function}({', '.join(args)})"
        if function != kernel.name:
            origins = dict.fromkeys(item.origin for item in walk([kernel]) if isinstance(item, (Let, Store)))
            return f"{call}  # {kernel.name}: {'; '.join(self.notes[node] for node in origins)}"
        self.texts.append("\n".join(lines))
        return call


def _function(
    kernel: Kernel, args: Collection[str], results: Collection[str], names: Names, notes: Notes
) -> Iterator[str]:
    # m1 and m1_1 are one memory under two shapes.
    stems = [name.partition("_")[0] for name in args if not name.startswith("n_")]
    yield "@kernel" if len(set(stems)) == len(stems) else "@overlapping_kernel"
    yield f"def {kernel.name}({', '.join(args)}):"
    for item in kernel.body:
        yield from ("    " + line for line in _lines(item, names, notes))
    if results:
        yield f"    return {', '.join(results)}"


def _but_for_names(kernel: Kernel, args: Sequence[str], lines: Sequence[str]) -> str:
    """A kernel's function without comments, its own name, arguments and variables numbered as they appear."""
    own = {kernel.name, *args, *(item.name for item in walk([kernel]) if isinstance(item, (Let, Load)))}
    number: dict[str, str] = {}

    def numbered(word: re.Match[str]) -> str:
        name = word[0]
        return number.setdefault(name, f"${len(number)}") if name in own else name

    return "\n".join(re.sub(r"[^\W\d]\w*", numbered, line.partition("  #")[0]) for line in lines)


def _arguments(kernel: Kernel, names: Names, top_scalars: Collection[str]) -> list[str]:
    """Sizes, arrays and scalars that a kernel takes from the step, in order of use."""
    found: dict[str, None] = {}
    for item in walk([kernel]):
        if isinstance(item, Loop):
            names_of_bounds = (START, STOP) if item.tiled else (f"n_{name}" for name in sorted(symbols(item.extent)))
            found.update(dict.fromkeys(names_of_bounds))
        if isinstance(item, (Let, Load, Store)):
            code = (item.code,) if isinstance(item, Let) else item.index
            found.update(dict.fromkeys(name for name in variables(code) if name.startswith("n_")))
        if isinstance(item, (Load, Store)):
            found[names.of(item.place)] = None
        found.update(dict.fromkeys(name for name in scalars_read(item) if name in top_scalars))
    own = {item.name for item in walk([kernel]) if isinstance(item, (Let, Load))}
    return [name for name in found if name not in own]


# ---- regions --------------------------------------------------------------------------------------------------------

TILED = (TILE, START, STOP)


def _region(region: Region, functions: Functions, top_scalars: Collection[str]) -> Iterator[str]:
    """The function of one tile: it finds its strip, and runs the strip's items on its rows."""
    names, notes, body = functions.names, functions.notes, list[str]()
    for load in region.prelude:
        body += _lines(load, names, notes)
    for number, strip in enumerate(region.strips):
        lines = [
            f"{START} = {TILE} * {strip.rows}",
            f"{STOP} = smaller({START} + {strip.rows}, {size_code(strip.extent)})",
        ]
        for item in strip.body:
            if isinstance(item, Kernel):
                made = [functions.call(item, _arguments(item, names, {*top_scalars, *TILED}), ())]
            else:
                made = [*_lines(item, names, notes)]
            lines += functions.around(item, made)
        if number + 1 < len(region.strips):
            tiles = size_code(strip.tiles)
            body += [f"if {TILE} < {tiles}:", *("    " + line for line in [*lines, "return"]), f"{TILE} -= {tiles}"]
        else:
            body += lines
    rows = rows_of(names.plan)
    yield "@region"
    yield f"def {region.name}({TILE}, address):"
    yield f"    table = array_at(address, ({rows.count},), i64)"
    lines = [*_views(names, body), *body]
    yield from ("    " + line for line in (*_sizes_used(rows, lines), *_quotients_once(lines)))


def _run(region: Region) -> str:
    """The statement that runs a region."""
    tiles: Dim = 0
    for strip in region.strips:
        tiles = strip.tiles + tiles
    threads = f"table[{THREADS}]"
    if not config.SMALL_TILES:
        threads += f" if {size_code(region.work)} > {ALONE} else 1"
    return f"run_tiles({region.name}, {size_code(tiles)}, address, {threads})"


def _sizes_used(rows: Rows, lines: Sequence[str]) -> Iterator[str]:
    used = set(variables(lines))
    for name, row in rows.sizes.items():
        if f"n_{name}" in used:
            yield f"n_{name} = table[{row}]"


def _quotients_once(lines: Sequence[str]) -> Iterator[str]:
    """The lines, with names for the quotients of sizes that stand in them more than once."""
    counts = Counter(found for line in lines for found in re.findall(r"\(\([^()]*\) // \d+\)", line))
    names = {text: f"q{at}" for at, text in enumerate(text for text, count in counts.items() if count > 1)}
    for text, name in names.items():
        yield f"{name} = {text[1:-1]}"
    for line in lines:
        for text, name in names.items():
            line = line.replace(text, name)
        yield line


def _results(kernel: Kernel, read_at: Mapping[str, set[int]], at: int) -> list[str]:
    """The scalars made by a kernel's own statements that other items of the step read."""
    return [item.name for item in kernel.body if isinstance(item, Let) and read_at.get(item.name, set()) - {at}]


def _readers(body: list[Item]) -> dict[str, set[int]]:
    """The positions of the items that read each scalar."""
    found: dict[str, set[int]] = {}
    for at, item in enumerate(body):
        for each in walk([item]):
            for name in scalars_read(each):
                found.setdefault(name, set()).add(at)
    return found


# ---- the step -------------------------------------------------------------------------------------------------------


def _signature(plan: Plan) -> Iterator[str]:
    yield "@step_function"
    yield "def step(address):"
    for buffer in (*plan.program.inputs, *plan.program.stored, *plan.program.outputs):
        yield printable(f"    # {buffer.name}: {buffer.label} {buffer.type}")


def _arena(plan: Plan) -> Iterator[str]:
    """The addresses of the slots, one behind the other."""
    rows = rows_of(plan)
    end = f"table[{ARENA}]"
    for row, size in enumerate(plan.slots, rows.slots):
        yield f"table[{row}] = {end}"
        end = f"after(table[{row}], {size_code(size)})"
    if plan.slots:
        yield f"if {end} - table[{ARENA}] > table[{ARENA_BYTES}]:"
        yield f"    return {ARENA_TOO_SMALL}"


def _views(names: Names, lines: Sequence[str]) -> Iterator[str]:
    """The arrays that lines of code use, each at its address in the table."""
    rows, used = rows_of(names.plan), set(variables(lines))
    if "scalars" in used:
        yield f"scalars = array_at(table[{SCALARS}], ({len(scalar_results(names.plan))},), f64)"
    for (_, shape, _), (name, buffer) in names.views.items():
        slot = names.plan.slot_of.get(buffer)
        row = rows.address[buffer] if slot is None else rows.slots + slot
        if name in used:
            yield f"{name} = array_at(table[{row}], {_tuple(shape or (1,))}, {constructor(buffer.type.dtype)})"


def _tuple(shape: Shape) -> str:
    return f"({', '.join(map(size_code, shape))}{',' * (len(shape) == 1)})"


def _bound_sizes(plan: Plan) -> Iterator[str]:
    """Each symbolic size from the first axis that has it; every other axis is compared, and what is needed checked."""
    program, rows = plan.program, rows_of(plan)
    yield f"table = array_at(address, ({rows.count},), i64)"
    for name, row in rows.sizes.items():
        yield f"n_{name} = table[{row}]"
    compared = [
        (rows.shape[buffer] + axis, size) for buffer in program.inputs for axis, size in enumerate(buffer.type.shape)
    ]
    wrong = [f"table[{row}] != {size_code(size)}" for row, size in compared if rows.sizes.get(str(size)) != row]
    wrong += dict.fromkeys(f"{size_code(need.size)} < 0" for need, _ in program.graph.needs)
    if wrong:
        yield f"if {' or '.join(wrong)}:"
        yield f"    return {WRONG_SIZES}"


# ---- items ----------------------------------------------------------------------------------------------------------


def _lines(item: Item, names: Names, notes: Notes) -> Iterator[str]:
    if isinstance(item, Loop):
        yield f"for {item.index} in {_range(item)}:"
        for each in item.body:
            yield from ("    " + line for line in _lines(each, names, notes))
    elif isinstance(item, Let):
        yield _noted(f"{item.name} = {item.code}", item, notes)
    elif isinstance(item, Load):
        yield f"{item.name} = {names.element(item.place, item.index)}"
    elif isinstance(item, Store):
        yield _noted(f"{names.element(item.place, item.index)} = {item.name}", item, notes)
    elif isinstance(item, Gemm) and item.batch is not None:
        bounds = f"{START}, {STOP}" if item.split else size_code(item.batch)
        yield _noted(f"for b in range({bounds}):", item, notes)
        yield f"    {_gemm(item, names)}"
    elif isinstance(item, Gemm):
        yield _noted(_gemm(item, names), item, notes)
    elif isinstance(item, Check):
        yield printable(f"if not {item.condition}:  # {item.rule}")
        yield f"    return {FIRST_GUARD + item.number}"


def _range(loop: Loop) -> str:
    """What the index runs through."""
    if loop.tiled:
        return f"range({START}, {STOP})"
    short = isinstance(loop.extent, int) and 0 < loop.extent <= FEW and loop.index != index_name(0)
    innermost = not any(isinstance(each, Loop) for each in loop.body)
    return f"{'few' if short and innermost else 'range'}({size_code(loop.extent)})"


def _noted(code: str, item: Let | Store | Gemm, notes: Notes) -> str:
    return f"{code}  # {notes[item.origin]}" if begins(item) else code


def _gemm(item: Gemm, names: Names) -> str:
    sizes = {"rows": item.rows, "inner": item.inner, "columns": item.columns}
    counts = [f"{STOP} - {START}" if item.split == axis else size_code(size) for axis, size in sizes.items()]
    left = _matrix(names, item.a.place, item, "rows", last=item.a.transposed)
    right = _matrix(names, item.b.place, item, "columns", last=not item.b.transposed)
    out = _matrix(names, item.out, item, item.split, last=item.split == "columns")
    alpha, beta = (re.sub(r"f\d\d\(([-+.e\d]+)\)", r"\1", code) for code in (item.alpha, item.beta))  # cast by gemm
    operands = f"{left}, {item.a.transposed}, {right}, {item.b.transposed}, {beta}, {out}"
    return f"gemm({alpha}, {operands}, {', '.join(counts)})"


def _matrix(names: Names, place: Place, item: Gemm, axis: str | None, last: bool) -> str:
    """A place, or the tile's part of it if `axis` is cut: of its first axis or its `last`."""
    name = names.of(place)
    if item.batch is not None:
        return f"{name}[b]"
    if item.split is None or axis != item.split:
        return name
    return f"{'columns' if last and len(shape_of(place)) > 1 else 'rows'}({name}, {START}, {STOP})"
