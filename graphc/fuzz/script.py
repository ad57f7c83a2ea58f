"""A failing recipe as a Python script that stands alone: it builds the graph, and asserts what failed."""

from __future__ import annotations

import numpy as np

from graphc.fuzz.recipe import DRAW, Array, Built, Leaf, Recipe
from graphc.state import Param

COMPARED = """\
    error = np.max(np.abs(np.subtract(found[{at}], true[{at}], dtype=float)), initial=0)
    assert error <= {bound!r}, f"call {{call}}: off by {{error}}"
"""


def text(recipe: Recipe, kind: str, tail: list[str], native: bool) -> str:
    """The script: imports, the graph, what failed."""
    lines = [f'"""{recipe.name}: {kind}."""', ""]
    if not native:
        lines += ["import os", "", 'os.environ["NUMBA_DISABLE_JIT"] = "1"  # found in the emitted Python', ""]
    lines += [
        "import numpy as np",
        "",
        "import graphc as gc",
        "",
        "",
        *DRAW.splitlines(),
        "",
        "",
        *recipe.lines(),
        *tail,
    ]
    return "\n".join(lines) + "\n"


def direction(seed: int, shape: tuple[int, ...]) -> Array:
    """Along which a derivative is taken."""
    return np.random.default_rng(seed).normal(size=shape)


def _feeds(recipe: Recipe, call: int) -> str:
    sizes = recipe.sizes_at(call)
    leaves = [(at, leaf) for at, leaf in enumerate(recipe.steps) if isinstance(leaf, Leaf) and leaf.kind == "input"]
    return "{" + ", ".join(f'"n{at}": {leaf.drawing(sizes, call)}' for at, leaf in leaves) + "}"


def _prelude(built: Built) -> list[str]:
    """The optimizer, and the updates by their own formulas."""
    recipe = built.recipe
    updates = [f"(n{param}, n{value})" for param, value in recipe.updates]
    lines = [f"optimizer = {recipe.optimizer}"] if recipe.optimizer else []
    if built.trained:
        params = ", ".join(f"n{at}" for at in built.trained)
        updates.append(f"*optimizer.updates([{params}], gc.grad(n{recipe.outputs[0]}, [{params}]))")
    return [*lines, f"updates = [{', '.join(updates)}]"]


def _compared(recipe: Recipe, at: int | None, bound: float) -> list[str]:
    return [] if at is None else COMPARED.format(at=at, bound=float(bound)).splitlines()


def compiling(recipe: Recipe) -> list[str]:
    """Compiles the graph."""
    return [*([f"optimizer = {recipe.optimizer}"] if recipe.optimizer else []), f"gc.compile({recipe.arguments()})"]


def calling(built: Built, call: int | None = None, at: int | None = None, bound: float = 0.0) -> list[str]:
    """Calls the compiled function; value `at` of call number `call` is compared with the interpreter's in float64."""
    recipe = built.recipe
    outputs = ", ".join(f"n{each}" for each in recipe.outputs)
    calls = range(recipe.calls if call is None else call + 1)
    lines = [*_prelude(built), f"step = gc.compile({recipe.arguments()})"]
    lines += ["for call, feeds in enumerate([", *(f"    {_feeds(recipe, each)}," for each in calls), "]):"]
    if at is not None:
        kept = [f"n{each}" for each in recipe.inputs]
        wanted = ", ".join([outputs, "*(value for _, value in updates)", *kept])
        lines.append(f'    true = gc.evaluate([{wanted}], feeds, dtype="float64")')
    lines.append("    found = [*step(**feeds), *(param.value for param, _ in updates)]")
    compared = _compared(recipe, at, bound)
    if compared and call:
        compared = [f"    if call == {call}:", *("    " + line for line in compared)]
    return [*lines, *compared]


def typing(built: Built, at: int) -> list[str]:
    """Compares the type of one step with that of its value."""
    inputs = "".join(f", n{each}" for each in built.recipe.inputs)
    return [
        f"value = gc.evaluate([n{at}{inputs}], {_feeds(built.recipe, 0)})[0]",
        f"assert value.dtype == n{at}.dtype and value.ndim == n{at}.ndim, (value.dtype, n{at})",
    ]


def passing(built: Built, passes: int, at: int, bound: float) -> list[str]:
    """Runs the first passes by hand, and compares one value with that of the user's nodes."""
    recipe = built.recipe
    outputs = ", ".join([*(f"n{each}" for each in recipe.outputs), "*(value for _, value in updates)"])
    outputs = ", ".join([outputs, *(f"n{each}" for each in recipe.inputs)])
    return [
        "from graphc.request import graph_of",
        "from graphc.passes import GRAPH_PASSES",
        "from graphc.reference import run_step",
        "",
        *_prelude(built),
        f"graph = graph_of({recipe.arguments()})",
        f"for change in GRAPH_PASSES[:{passes}]:",
        "    graph = change(graph)",
        f"for call, feeds in enumerate([{_feeds(recipe, 0)}]):",
        f'    true = gc.evaluate([{outputs}], feeds, dtype="float64")',
        '    results, next_values = run_step(graph, feeds, "float64")',
        "    found = [*results, *(next_values[param] for param, _ in updates)]",
        *_compared(recipe, at, bound),
    ]


def sloping(built: Built, loss: int, wrt: int, seed: int, fixed: list[int], allowed: float) -> list[str]:
    """Compares a directional derivative with a central difference."""
    recipe = built.recipe
    held = ", ".join(f"n{at}" for at in fixed)
    inputs = "".join(f", n{at}" for at in recipe.inputs)
    at_step = f"{{**fixed, n{wrt}: value + h * direction}}"
    return [
        f"feeds = {_feeds(recipe, 0)}",
        f'gradient, value = gc.evaluate([gc.grad(n{loss}, n{wrt}), n{wrt}{inputs}], feeds, dtype="float64")[:2]',
        f"direction = np.random.default_rng({seed}).normal(size=value.shape)",
        f'fixed = dict(zip([{held}], gc.evaluate([{held}{inputs if held else inputs[2:]}], feeds, dtype="float64")))',
        "sides = [",
        f'    gc.evaluate([n{loss}{inputs}], feeds, dtype="float64", given={at_step})[0]',
        "    for h in (2.5e-6, -2.5e-6)",
        "]",
        "numeric, symbolic = (sides[0] - sides[1]) / 5e-6, np.sum(gradient * direction)",
        f'assert abs(symbolic - numeric) <= {allowed!r}, f"symbolic {{symbolic}}, numeric {{numeric}}"',
    ]


def raising(built: Built, name: str, bad: Array) -> list[str]:
    """Calls the compiled function with one bad input: it must raise, and leave the params as they are."""
    recipe = built.recipe
    params = ", ".join(f"n{at}" for at, node in enumerate(built.nodes) if isinstance(node, Param))
    worst = bad.reshape(-1)[-1].item()
    return [
        *_prelude(built)[:-1],
        f"step = gc.compile({recipe.arguments()})",
        f"feeds = {_feeds(recipe, recipe.calls - 1)}",
        f'feeds["{name}"] = np.full_like(feeds["{name}"], {worst if worst == worst else "np.nan"})',
        f"before = [param.value.copy() for param in [{params}]]",
        "try:",
        "    step(**feeds)",
        "except gc.GraphcError:",
        f"    assert all(np.array_equal(p.value, v) for p, v in zip([{params}], before)), 'a param changed'",
        "else:",
        "    raise AssertionError('no error')",
    ]
