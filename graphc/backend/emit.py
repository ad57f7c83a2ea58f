"""A planned program as Python text: pure strings, no Numba.

The text is a module that stands alone: `step(address)` runs the whole step and returns a status. It runs the same under
`NUMBA_DISABLE_JIT=1`. No name of the user's is code, symbolic sizes aside, which are identifiers and become `n_<size>`;
the others appear in comments only.

What a step works on lies in a table of int64 at `address`; see `Rows`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from graphc.graph import lines_of, names_of, printable, spelled
from graphc.ir import Node
from graphc.kernel import (
    ALIGNMENT,
    Buffer,
    Check,
    Gemm,
    Item,
    Kernel,
    Let,
    Load,
    Loop,
    Operand,
    Place,
    Plan,
    Program,
    Role,
    Store,
    base,
    constructor,
    shape_of,
    size_code,
    walk,
)
from graphc.kinds import Fold, Scan, Scatter
from graphc.sizes import Dim, Shape, Size, symbols

OK, WRONG_SIZES, ARENA_TOO_SMALL, FIRST_GUARD = 0, 1, 2, 3
"""What a step returns: guard number n that does not hold is FIRST_GUARD + n."""

ARENA, ARENA_BYTES, SCALARS, BUSY, FIRST_ARRAY = 0, 1, 2, 3, 4
"""The table's first rows: addresses of the arena and of the scalar results, and 1 while a thread runs the step."""


@dataclass(frozen=True)
class Rows:
    """The rows of the table after the first: each array's address, then the inputs' shapes, then the arena's slots."""

    address: dict[Buffer, int]
    shape: dict[Buffer, int]
    slots: int
    count: int


def rows_of(plan: Plan) -> Rows:
    program = plan.program
    arrays = [*program.stored, *program.inputs, *array_results(plan)]
    address = {buffer: FIRST_ARRAY + at for at, buffer in enumerate(arrays)}
    end, shape = FIRST_ARRAY + len(arrays), {}
    for buffer in program.inputs:
        shape[buffer] = end
        end += len(buffer.type.shape)
    return Rows(address, shape, end, end + len(plan.slots))


IMPORTS = {
    "blas": ("gemm",),
    "jit": ("kernel", "step_function"),
    "primitives": (
        *("array_at", "f32", "f64", "floor_divide", "fold_add", "i32", "i64", "philox", "remainder", "u8"),
        *("wrapping_add", "wrapping_multiply", "wrapping_subtract"),
    ),
}
"""What emitted code may import of this package, by file."""

Notes = Mapping[Node, str]


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
        others = sum(each[0] == stem for each in self.views)
        return self.views.setdefault(key, (f"{stem}_{others}" if others else stem, buffer))[0]

    def element(self, place: Place, index: tuple[str, ...]) -> str:
        """One element of a place; a rank 0 param is an array of one element."""
        if index:
            return f"{self.of(place)}[{', '.join(index)}]"
        buffer = base(place)
        if buffer.role is Role.OUTPUT:
            return f"scalars[{scalar_results(self.plan).index(buffer)}]"
        return f"{self.of(place)}[0]"


def scalar_results(plan: Plan) -> list[Buffer]:
    """The results of rank 0, which share one array of float64."""
    return [buffer for buffer in plan.program.outputs if not buffer.type.shape]


def array_results(plan: Plan) -> list[Buffer]:
    """The results that have axes: arguments of the step."""
    return [buffer for buffer in plan.program.outputs if buffer.type.shape]


def emit(plan: Plan) -> str:
    """The text of the module."""
    graph = plan.program.graph
    numbered = names_of(graph)
    where = lines_of(graph)
    notes = {node: printable(f"{numbered[node]} = {spelled(node, numbered)}  {where[node]}") for node in graph.nodes}
    names = Names(plan)
    top_scalars = {each.name for each in plan.program.body if isinstance(each, (Let, Load))}
    read_at, body = _readers(plan.program.body), enumerate(plan.program.body)
    results = {item: _results(item, read_at, at) for at, item in body if isinstance(item, Kernel)}
    top_scalars.update(name for each in results.values() for name in each)
    functions: list[str] = []
    statements: list[str] = []
    for item in plan.program.body:
        if isinstance(item, Kernel):
            args = _arguments(item, names, top_scalars)
            functions.append("\n".join(_function(item, args, results[item], names, notes)))
            call = f"{item.name}({', '.join(args)})"
            statements.append(f"{', '.join(results[item])} = {call}" if results[item] else call)
        else:
            statements += _lines(item, names, notes)
    # The prologue comes last: by now every view that the statements use has its name.
    step = [*_prologue(plan, names), *statements, f"return {OK}"]
    functions.append("\n".join([*_signature(plan), *("    " + line for line in step)]))
    text = "\n\n\n".join(functions)
    return f"{_imports(text)}\n\n\n{text}\n"


def _imports(text: str) -> str:
    """The import statements that the functions need."""
    used = set(re.findall(r"\w+", text))
    lines = ["import math", ""] if "math" in used else []
    lines += ["import numpy as np", ""]
    for file, names in IMPORTS.items():
        if needed := [name for name in names if name in used]:
            lines.append(f"from graphc.backend.{file} import {', '.join(needed)}")
    return "\n".join(lines)


# ---- kernels --------------------------------------------------------------------------------------------------------


def _function(
    kernel: Kernel, args: Collection[str], results: Collection[str], names: Names, notes: Notes
) -> Iterator[str]:
    yield "@kernel"
    yield f"def {kernel.name}({', '.join(args)}):"
    for item in kernel.body:
        yield from ("    " + line for line in _lines(item, names, notes))
    if results:
        yield f"    return {', '.join(results)}"


def _arguments(kernel: Kernel, names: Names, top_scalars: Collection[str]) -> list[str]:
    """Sizes, arrays and scalars that a kernel takes from the step, in order of use."""
    found: dict[str, None] = {}
    for item in walk([kernel]):
        if isinstance(item, Loop):
            found.update(dict.fromkeys(f"n_{name}" for name in sorted(symbols(item.extent))))
        if isinstance(item, (Let, Load, Store)):
            code = (item.code,) if isinstance(item, Let) else item.index
            found.update(dict.fromkeys(name for name in _variables(code) if name.startswith("n_")))
        if isinstance(item, (Load, Store)):
            found[names.of(item.place)] = None
        found.update(dict.fromkeys(name for name in _read(item) if name in top_scalars))
    own = {item.name for item in walk([kernel]) if isinstance(item, (Let, Load))}
    return [name for name in found if name not in own]


def _read(item: Item) -> tuple[str, ...]:
    """The scalars that an item reads."""
    if isinstance(item, Let):
        return item.uses
    if isinstance(item, Store):
        return (item.name, *_variables(item.index))
    if isinstance(item, Load):
        return _variables(item.index)
    if isinstance(item, Gemm):
        return (item.alpha, item.beta)
    return (item.condition,) if isinstance(item, Check) else ()


def _variables(codes: Iterable[str]) -> tuple[str, ...]:
    """The names in pieces of code: `i + n_time` has two."""
    return tuple(name for code in codes for name in re.findall(r"[^\W\d]\w*", code))


def _results(kernel: Kernel, read_at: Mapping[str, set[int]], at: int) -> list[str]:
    """The scalars made by a kernel's own statements that other items of the step read."""
    return [item.name for item in kernel.body if isinstance(item, Let) and read_at.get(item.name, set()) - {at}]


def _readers(body: list[Item]) -> dict[str, set[int]]:
    """The positions of the items that read each scalar."""
    found: dict[str, set[int]] = {}
    for at, item in enumerate(body):
        for each in walk([item]):
            for name in _read(each):
                found.setdefault(name, set()).add(at)
    return found


# ---- the step -------------------------------------------------------------------------------------------------------


def _signature(plan: Plan) -> Iterator[str]:
    yield "@step_function"
    yield "def step(address):"
    for buffer in (*plan.program.inputs, *plan.program.stored, *plan.program.outputs):
        yield printable(f"    # {buffer.name}: {buffer.label} {buffer.type}")


def _prologue(plan: Plan, names: Names) -> Iterator[str]:
    rows = rows_of(plan)
    yield f"table = array_at(address, ({rows.count},), i64)"
    yield from _bound_sizes(plan.program, rows)
    end = f"table[{ARENA}]"
    for row, size in enumerate(plan.slots, rows.slots):
        yield f"table[{row}] = {end}"
        end = f"table[{row}] + ({size_code(size)} + {ALIGNMENT - 1}) // {ALIGNMENT} * {ALIGNMENT}"
    if plan.slots:
        yield f"if {end} - table[{ARENA}] > table[{ARENA_BYTES}]:"
        yield f"    return {ARENA_TOO_SMALL}"
    scalars = len(scalar_results(plan))
    if scalars:
        yield f"scalars = array_at(table[{SCALARS}], ({scalars},), f64)"
    for (_, shape, _), (name, buffer) in names.views.items():
        row = rows.slots + plan.slot_of[buffer] if buffer in plan.slot_of else rows.address[buffer]
        yield f"{name} = array_at(table[{row}], {_tuple(shape or (1,))}, {constructor(buffer.type.dtype)})"


def _tuple(shape: Shape) -> str:
    return f"({', '.join(map(size_code, shape))}{',' * (len(shape) == 1)})"


def _bound_sizes(program: Program, rows: Rows) -> Iterator[str]:
    """Each symbolic size from the first axis that has it; every other axis is compared, and what is needed checked."""
    known: set[str] = set()
    compared: list[tuple[str, Dim]] = []
    for buffer in program.inputs:
        for axis, size in enumerate(buffer.type.shape):
            here = f"table[{rows.shape[buffer] + axis}]"
            if isinstance(size, Size) and symbols(size) == {str(size)} and str(size) not in known:
                known.add(str(size))
                yield f"n_{size} = {here}"
            else:
                compared.append((here, size))
    wrong = [f"{here} != {size_code(size)}" for here, size in compared]
    wrong += dict.fromkeys(f"{size_code(need.size)} < 0" for need, _ in program.graph.needs)
    if wrong:
        yield f"if {' or '.join(wrong)}:"
        yield f"    return {WRONG_SIZES}"


# ---- items ----------------------------------------------------------------------------------------------------------


def _lines(item: Item, names: Names, notes: Notes) -> Iterator[str]:
    if isinstance(item, Loop):
        yield f"for {item.index} in range({size_code(item.extent)}):"
        for each in item.body:
            yield from ("    " + line for line in _lines(each, names, notes))
    elif isinstance(item, Let):
        code = f"{item.name} = {item.code}"
        # A fold or a scan is several statements; the note stands at its start.
        repeated = isinstance(item.origin.op.kind, (Fold, Scan)) and item.uses
        yield code if repeated else _noted(code, item.origin, notes)
    elif isinstance(item, Load):
        yield f"{item.name} = {names.element(item.place, item.index)}"
    elif isinstance(item, Store):
        code = f"{names.element(item.place, item.index)} = {item.name}"
        yield _noted(code, item.origin, notes) if isinstance(item.origin.op.kind, Scatter) else code
    elif isinstance(item, Gemm) and item.batch is not None:
        yield _noted(f"for b in range({size_code(item.batch)}):", item.origin, notes)
        yield f"    {_gemm(item, names, '[b]')}"
    elif isinstance(item, Gemm):
        yield _noted(_gemm(item, names), item.origin, notes)
    elif isinstance(item, Check):
        yield printable(f"if not {item.condition}:  # {item.rule}")
        yield f"    return {FIRST_GUARD + item.number}"


def _noted(code: str, origin: Node, notes: Notes) -> str:
    return f"{code}  # {notes[origin]}"


def _gemm(item: Gemm, names: Names, at: str = "") -> str:
    sizes = ", ".join(map(size_code, (item.rows, item.inner, item.columns)))
    left, right = _matrix(item.a, names, at), _matrix(item.b, names, at)
    return f"gemm({item.alpha}, {left}, {right}, {item.beta}, {names.of(item.out)}{at}, {sizes})"


def _matrix(operand: Operand, names: Names, at: str) -> str:
    return f"{names.of(operand.place)}{at}, {operand.transposed}"
