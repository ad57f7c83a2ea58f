"""Checkpoints that are damaged, cut short, hostile or foreign: FileFormatError, nothing changed, no memory for lies."""

from __future__ import annotations

import os
import random
import re
import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import damage
import numba
import numpy as np
import pytest

import graphc as gc

TESTS = Path(__file__).parent
MB = 1 << 20


@dataclass
class Target:
    """A function, a file of its state in which all is known, and the state that it has before each load."""

    f: gc.Function
    sound: bytes
    arrays: dict[str, np.ndarray]
    path: Path

    def __post_init__(self) -> None:
        self.state = self.bits()

    def bits(self) -> dict[str, bytes]:
        return {name: array.tobytes() for name, array in self.arrays.items()}

    def load(self, content: bytes) -> bool:
        """Whether a file is loaded; it is if it says what the sound one says, else nothing changes."""
        self.path.write_bytes(content)
        self.f.steps = 3
        for array in self.arrays.values():
            array[...] = 1
        before = self.bits()
        told = ""
        try:
            gc.load(self.path, self.f)
        except gc.FileFormatError as error:
            told = str(error)
        if told:
            assert told.startswith(f"{self.path}: ")
            assert told.isprintable()
            assert len(told) < 1000
        assert (self.bits(), self.f.steps) == ((before, 3) if told else (self.state, 7))
        return not told


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    path = tmp_path_factory.mktemp("files") / "f"
    rng = np.random.default_rng(5)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
        w, b = gc.param("w", rng.random((4, 6), np.float32)), gc.param("flags", np.array([True, False, True]))
        x = gc.input("x", ("batch", 4))
        loss = gc.mean(gc.square(x @ w)) + gc.sum(b)
        f = gc.compile(loss, optimizer=gc.SGD(0.1, momentum=0.9))
        f.steps = 7
        gc.save(path, f, epoch=1)
        yield Target(f, path.read_bytes(), f.state, path)


def test_cut_short_at_each_length(target: Target) -> None:
    assert target.load(target.sound)
    assert not any(target.load(target.sound[:length]) for length in range(len(target.sound)))


def test_each_byte_is_changed(target: Target) -> None:
    """Nothing that the file says can be changed unseen; spaces behind the header say nothing."""
    taken = []
    for at in range(len(target.sound)):
        content = bytearray(target.sound)
        content[at] ^= 1 << at % 8
        if target.load(bytes(content)):
            taken.append(bytes(content))
    assert taken == []


CRAFTED_TELL = {
    "nothing": "no whole safetensors file: its 0 bytes",
    "a header of 100000000": "no whole safetensors file: its [0-9]+ bytes are to begin with a header of 100000000",
    "shape [6, 4]": r"'w' is float32 \(6, 4\) there, the function's is float32 \(4, 6\)",
    "dtype BF16": "safetensors|'w' is BF16",
    "an array less": "safetensors|it lacks 'w'",
    "no metadata": "gc.save did not write",
    "a name twice": "'w' stands in it twice",
    "a field twice": "'dtype' stands in it twice",
    "metadata twice": "'__metadata__' stands in it twice",
    "bytes that are missing": "no sound safetensors file",
    "a deep list": "no sound safetensors file",
}


def test_headers_that_lie(target: Target) -> None:
    assert target.load(damage.packed(*damage.unpacked(target.sound)))  # what `crafted` starts from
    told = {}
    for lie, content in damage.crafted(target.sound):
        assert not target.load(content), lie
        with pytest.raises(gc.FileFormatError) as caught:
            gc.load(target.path, target.f)
        told[lie] = str(caught.value)
    for lie, pattern in CRAFTED_TELL.items():
        assert re.search(pattern, told[lie]), told[lie]


def test_flags_that_are_no_flags(target: Target) -> None:
    header, data = damage.unpacked(target.sound)
    at = header["flags"]["data_offsets"][0]
    content = bytearray(target.sound)
    content[len(content) - len(data) + at] = 2
    assert not target.load(bytes(content))
    with pytest.raises(gc.FileFormatError, match="'flags' is bool and holds other bytes than 0 and 1"):
        gc.load(target.path, target.f)


def test_what_is_no_file(target: Target, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", "/dev/null"):
        with pytest.raises(gc.FileFormatError, match="no whole safetensors file: its 0 bytes"):
            gc.load(path, target.f)


def mutate(target: Target, seed: int, count: int) -> int:
    """How many of so many mutated files are loaded, because they still say the same."""
    rng = random.Random(seed)
    return sum(target.load(damage.mutated(target.sound, rng)) for _ in range(count))


def test_mutated_files(target: Target) -> None:
    assert mutate(target, 1, 3000) < 100


@pytest.mark.slow
def test_many_mutated_files_and_no_memory_is_lost(target: Target) -> None:
    mutate(target, 2, 2000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tracemalloc.start()
    held = tracemalloc.get_traced_memory()[0]
    try:
        mutate(target, 3, 20_000)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept - held < MB
    assert peak - held < 4 * MB
    mutate(target, 4, 180_000)
    unit = 1 if sys.platform == "darwin" else 1024
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit < 64 * MB


# ---- memory ---------------------------------------------------------------------------------------------------------

MEASURED = """
import os, resource, sys
from pathlib import Path
import numpy as np
import damage
import graphc as gc

MB = 1 << 20
path, size = Path(sys.argv[1]), 48 * MB
w = gc.param("w", np.zeros((size // 24, 6), np.float32))
f = gc.compile(gc.sum(w), updates={w: w * 0.5})
gc.save(path, f)
gc.load(path, f)
sound = path.read_bytes()
header, _ = damage.unpacked(sound)
del sound

LINUX = Path("/proc/self/clear_refs").exists()

def peak():
    if LINUX:  # what getrusage tells there is that of the process that started this one, too
        return int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

def taken(load):
    "The bytes by which the peak of memory has risen; Linux lets it start anew, elsewhere it is that of all before."
    if LINUX:
        Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    load()
    return peak() - before

def tried():
    try:
        gc.load(path, f)
    except gc.FileFormatError:
        pass

print(taken(lambda: gc.load(path, f)) / size, "of the file")

entry = header["w"]
huge = {**header, "w": {"dtype": "F32", "shape": [1 << 38, 6], "data_offsets": [0, 24 << 38]}}
same = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
lies = {
    "terabytes": (damage.packed(huge), 24 << 38),
    "many arrays": (damage.packed({**header, **{f"{n:09}": same for n in range(50_000)}}), entry["data_offsets"][1]),
    "a list": (damage.packed({**header, "w": {**entry, "z": [{}] * 1_000_000}}), entry["data_offsets"][1]),
    "a header": ((3 * MB).to_bytes(8, "little") + b"{", 10 * MB),
    "a longer header": ((1 << 40).to_bytes(8, "little") + b"{", 1 << 41),
}
for lie, (content, more) in lies.items():
    with open(path, "wb") as file:
        file.write(content)
        file.truncate(len(content) + more)  # a hole: it takes no disk
    del content
    print(taken(tried) / MB, "MB", lie)
"""


def test_memory_is_that_of_the_file(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent)])}
    command = [sys.executable, "-c", MEASURED, str(tmp_path / "f")]
    made = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert made.returncode == 0, made.stderr
    figures = [float(line.split()[0]) for line in made.stdout.splitlines()]
    print(made.stdout)
    assert figures[0] < 1.2, made.stdout
    assert len(figures) == 6
    assert max(figures[1:]) < 100, made.stdout
