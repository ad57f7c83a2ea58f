"""Random graphs that look for wrong programs: `python -m graphc fuzz`.

recipe.py     a random graph as plain data: it builds the graph, and prints it
rows.py       how to call each op at random; calls.py and fitting.py have what its rows are made of
generate.py   makes recipes
check.py      the oracles, with gradients.py, and bounds.py: how far a correct result may be off
reduce.py     shrinks a recipe that fails
script.py     prints it as a script that fails by itself
"""

from __future__ import annotations

from dataclasses import dataclass

from graphc.fuzz.check import check as check
from graphc.fuzz.generate import generate as generate
from graphc.fuzz.recipe import Recipe as Recipe
from graphc.fuzz.reduce import reduced as reduced
from graphc.fuzz.script import text


@dataclass(frozen=True)
class Finding:
    """A failure: the smallest recipe that shows it, what it is, and the script."""

    recipe: Recipe
    kind: str
    message: str
    script: str


def examine(seed: int, number: int, native: bool = False) -> Finding | None:
    """Checks one random graph; a failure is reduced."""
    recipe = generate(seed, number)
    failure = check(recipe, native)
    if failure is None:
        return None
    recipe, failure = reduced(recipe, failure, native)
    return Finding(recipe, failure.kind, failure.message, text(recipe, failure.kind, failure.tail, native))
