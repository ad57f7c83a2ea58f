"""What emitted text imports."""

from __future__ import annotations

import re

IMPORTS = {
    "backend.jit": ("kernel", "overlapping_kernel", "region", "step_function"),
    "primitives.arrays": ("array_at", "columns", "rows"),
    "primitives.blas": ("gemm",),
    "primitives.calls": ("run_step", "run_tiles"),
    "primitives.clock": ("stamp",),
    "primitives.elementary": (
        *("cosh", "erf", "erfc", "exp", "exp2", "expm1", "log", "log10", "log1p", "log2", "sigmoid", "sinh", "tanh"),
    ),
    "primitives.loops": ("few",),
    "primitives.numbers": (
        *("after", "f32", "f64", "floor_divide", "fold_add", "fold_max", "fold_min", "i32", "i64"),
        *("remainder", "smaller", "u8", "wrapping_add", "wrapping_multiply", "wrapping_subtract"),
    ),
    "primitives.random": ("philox", "shuffle"),
}
"""What emitted code may import of this package, by file."""


def import_lines(text: str) -> str:
    """The import statements that the functions need."""
    used = set(re.findall(r"\w+", text))
    lines = ["import math", ""] if "math" in used else []
    lines += ["import numpy as np", ""]
    for file, names in IMPORTS.items():
        if needed := [name for name in names if name in used]:
            lines.append(f"from graphc.{file} import {', '.join(needed)}")
    return "\n".join(lines)
