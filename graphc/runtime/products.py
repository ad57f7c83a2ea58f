"""Matrix products on one thread: products.ll with its parts for squares of a matrix and for thin products."""

from __future__ import annotations

from collections.abc import Iterator

from graphc.runtime.native import Loaded, compiled, filled
from graphc.runtime.once import once
from graphc.runtime.openblas import gemms

LINE = 64
"""Bytes of a cache line, and of the widest vector register."""

WIDTHS = (1, 4, 16, 64)
"""Numbers that thin.ll's parts take at a time; each width takes some 10 ms to compile."""

CUT = {"SMALL": 1_000_000, "PANEL": 1 << 16, "FEW": 8, "LONGEST": 1024}
"""Multiplications of a product that OpenBLAS takes as it is; elements of a panel; products of fewer rows are not worth
panels; a longer inner axis is multiplied in pieces."""

TURNED = {"TURNED": 1 << 18, "NARROW": 512, "LARGE": 1 << 20}
"""Where the first matrix is transposed: of more elements than these it is no use to turn it over for each panel of the
other; up to so many columns are one panel, with shorter pieces, unless the result has more elements than these."""

THIN = {"OUTER": 1 << 18, "SHORT": 64, "COPIED": 1 << 16}
"""Elements of the largest outer product that BLAS does not make faster; the longest inner axis of so few columns
that BLAS has nothing to gain, or of columns that are rows in memory; elements of a transposed matrix beyond which BLAS
copies it."""


@once
def product(symbol: str) -> Loaded:
    """The code of graphc_sgemm or graphc_dgemm."""
    blas = symbol.removeprefix("graphc_")
    number, size = {"s": ("float", 4), "d": ("double", 8)}[blas[0]]
    side = LINE // size
    names = {"NAME": symbol, "BLAS": blas, "FLOAT": number, "BYTES": size, "SIDE": side}
    thin = [filled("thin.ll", {**names, "W": width, "KIND": f"f{8 * size}"}) for width in WIDTHS]
    constants = {**CUT, **TURNED, **THIN, **names}
    text = [filled("products.ll", constants), *thin, *_square(f"{symbol}_turned", number, side)]
    return compiled("\n".join(text), [symbol], gemms())


def _square(name: str, number: str, side: int) -> Iterator[str]:
    """LLVM code of name(to, row of to, from, row of from): turns a square of a matrix over, in registers.

    Squares of one, two, four, ... elements change places across the diagonal of the squares twice as wide.
    """
    vector = f"<{side} x {number}>"
    yield f"define internal void @{name}(ptr %to, i64 %to.row, ptr %from, i64 %from.row) {{"
    for row in range(side):
        yield f"  %from.{row} = mul i64 %from.row, {row}"
        yield f"  %read.{row} = getelementptr {number}, ptr %from, i64 %from.{row}"
        yield f"  %v.{row} = load {vector}, ptr %read.{row}, align {LINE // side}"
    rows, width = [f"%v.{row}" for row in range(side)], 1
    while width < side:
        below = [column if not column & width else side + column - width for column in range(side)]
        above = [column + width if not column & width else side + column for column in range(side)]
        before = list(rows)
        for row in range(side):
            first, order = (row, below) if not row & width else (row - width, above)
            picks = ", ".join(f"i32 {column}" for column in order)
            rows[row] = f"%v.{row}.{width}"
            pair = f"{vector} {before[first]}, {vector} {before[first + width]}"
            yield f"  {rows[row]} = shufflevector {pair}, <{side} x i32> <{picks}>"
        width *= 2
    for row in range(side):
        yield f"  %to.{row} = mul i64 %to.row, {row}"
        yield f"  %write.{row} = getelementptr {number}, ptr %to, i64 %to.{row}"
        yield f"  store {vector} {rows[row]}, ptr %write.{row}, align {LINE // side}"
    yield "  ret void\n}"
