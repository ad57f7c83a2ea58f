"""Golden text: the digits step at every stage, as a reader sees it.

`pytest --update-golden` rewrites the files; read the diff before you commit it.
"""

from __future__ import annotations

import pytest
from models import classifier

import graphc as gc

STAGES = ["graph", "differentiate", "simplify", "fold", "fuse", "tile", "plan", "emit"]


@pytest.fixture
def digits(fused: None, python_mode: None):
    return gc.compile(classifier().loss, optimizer=gc.SGD(lr=0.1), name="digits")


@pytest.mark.parametrize("stage", STAGES)
def test_the_digits_step(digits, stage: str, golden) -> None:
    golden(f"digits/{STAGES.index(stage)}-{stage}", digits.stages[stage].rstrip("\n"))


def test_momentum_with_weight_decay(golden, fused, python_mode) -> None:
    """The start of the velocity's next value is written first, then BLAS adds the product to it."""
    step = gc.compile(classifier().loss, optimizer=gc.SGD(lr=0.1, momentum=0.9, weight_decay=1e-4), name="momentum")
    golden("momentum/4-fuse", step.stages["fuse"])
