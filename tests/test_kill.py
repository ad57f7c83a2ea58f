"""kill -9 at random moments of a process that trains and saves: nothing is lost but the save under way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

KILLING = """
import os, signal, sys, time
from pathlib import Path
import numpy as np
import graphc as gc
from test_checkpoint import X, Y, bits, fit, net

path, kills = Path(sys.argv[1]), int(sys.argv[2])
rng, inside = np.random.default_rng(kills), 0

def killed(work):
    "Forks a process that works, kills it at a random moment, and returns the numbers that it has told till then."
    global inside
    listen, tell = os.pipe()
    child = os.fork()
    if not child:
        work(lambda number: os.write(tell, f"{number}\\n".encode()))
        os._exit(0)
    os.close(tell)
    time.sleep(rng.exponential(0.02))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    inside += any(name.endswith(".partial") for name in os.listdir(path.parent))
    with os.fdopen(listen) as lines:
        return [*map(int, lines.read().split())]
"""

BY_CALLS = """
def train(f):
    "A step, whose batch follows from the steps before it."
    rows = np.random.default_rng(f.steps).integers(0, len(X), 16)
    f(X[rows], Y[rows])

def saves(tell):
    while True:
        train(f)
        gc.save(path, f)
        tell(f.steps)

f = net()
for kill in range(kills):
    last = max([f.steps, *killed(saves)])
    if path.exists():  # goes on from what there is, as a script that is started again
        assert gc.load(path, f).steps in (last, last + 1), (f.steps, last)
    else:
        assert last == 0

gc.save(path, f)
assert os.listdir(path.parent) == [path.name]
whole = net()
while whole.steps < f.steps:
    train(whole)
assert bits(whole) == bits(f)
print(f"{kills} kills, {inside} inside a save, {f.steps} steps")
"""

BY_FIT = """
whole, f = net(), net()
history = fit(whole, 30)
fit(f, 0)  # all is compiled
checkpoint = gc.Checkpoint(path, f, best="val_loss")

def fits(tell):
    fit(f, 30, initial_epoch=checkpoint.resume(), callbacks=[checkpoint, lambda epoch, _: tell(epoch)])

done = 0
for kill in range(kills):
    done = max([done, *killed(fits)])
    assert checkpoint.resume() in (done, done + 1)
left = fit(f, 30, initial_epoch=checkpoint.resume(), callbacks=[checkpoint])
assert bits(whole) == bits(f)
assert left.metrics["val_loss"] == history.metrics["val_loss"][left.initial_epoch :]
best = 1 + int(np.argmin(history.metrics["val_loss"]))
assert gc.load(checkpoint.best_path, f).epoch == best
print(f"{kills} kills, {inside} inside a save, {left.initial_epoch} epochs")
"""


def killed(script: str, path: Path, kills: int) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    command = [sys.executable, "-c", KILLING + script, str(path), str(kills)]
    made = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    print(made.stdout)
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith(f"{kills} kills")


@pytest.mark.parametrize("kills", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_loop_that_saves_is_killed(kills: int, tmp_path: Path) -> None:
    killed(BY_CALLS, tmp_path / "f", kills)


@pytest.mark.parametrize("kills", [5, pytest.param(30, marks=pytest.mark.slow)])
def test_fit_is_killed_and_started_again(kills: int, tmp_path: Path) -> None:
    killed(BY_FIT, tmp_path / "f", kills)
