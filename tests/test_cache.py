"""The cache of compiled steps: found again, never trusted blindly, never in the way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from models import batch, classifier

import graphc as gc
from graphc.__main__ import main
from graphc.backend import build, imports
from graphc.runtime import cache, native
from graphc.runtime.products import product

ENTRY = cache.Entry(b"machine code" * 50, "step", "define i32 @step()")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of this test's own, for steps alone: what runs beneath them is there."""
    native.runtime()
    product("graphc_sgemm")
    folder = tmp_path / "cache"
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(folder))
    monkeypatch.setattr(cache, "_warned", set())
    return folder


def test_an_entry_comes_back_as_it_was(place: Path) -> None:
    assert cache.find("k") == (None, "miss: never compiled here, or with another version, CPU or setting")
    cache.keep("k", ENTRY)
    assert cache.find("k") == (ENTRY, "hit")
    assert place.stat().st_mode & 0o777 == 0o700
    count, size = cache.size()
    assert (count, size) == (1, (place / "k.step").stat().st_size)
    assert cache.clear() == 1
    assert cache.size() == (0, 0)


def test_no_damage_goes_unnoticed(place: Path) -> None:
    """Every byte of the file, flipped; every length, cut off."""
    cache.keep("k", ENTRY)
    file = place / "k.step"
    content = file.read_bytes()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for at in range(len(content)):
            file.write_bytes(content[:at] + bytes([content[at] ^ 1 << at % 8]) + content[at + 1 :])
            assert cache.find("k")[0] is None, at
        for length in range(len(content)):
            file.write_bytes(content[:length])
            assert cache.find("k")[0] is None, length
    assert [str(each.message).startswith("graphc's cache: ") for each in told] == [True], "one warning a process"
    file.write_bytes(content)
    assert cache.find("k") == (ENTRY, "hit")


def test_a_folder_that_others_can_write_to_is_not_used(place: Path) -> None:
    cache.keep("k", ENTRY)
    place.chmod(0o777)
    with pytest.warns(RuntimeWarning, match="is open to others; chmod 700 it"):
        assert cache.find("k")[0] is None
    cache.keep("other", ENTRY)
    assert not (place / "other.step").exists()


def test_a_cache_that_cannot_be_is_only_a_warning(place: Path, rng, jit_mode) -> None:
    place.write_text("a file")
    x = gc.input("x", (3,))
    with pytest.warns(RuntimeWarning, match="steps are compiled anew"):
        f = gc.compile(gc.sum(x * 2))
    assert f(np.ones(3, np.float32)) == 6


def test_an_empty_name_switches_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_CACHE_DIR", "")
    cache.keep("k", ENTRY)
    assert cache.find("k") == (None, "off: GRAPHC_CACHE_DIR is empty")
    assert (cache.size(), cache.clear()) == ((0, 0), 0)


def test_the_entries_not_used_for_longest_go_first(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in "abc":
        cache.keep(key, ENTRY)
    now = time.time()
    for key, age in {"a": 30, "b": 10, "c": 20}.items():
        os.utime(place / f"{key}.step", (now - age, now - age))
    monkeypatch.setattr(cache, "LIMIT", 3 * (place / "a.step").stat().st_size + 1)
    cache.keep("d", ENTRY)
    assert sorted(file.stem for file in place.iterdir()) == ["b", "c", "d"]


def test_the_key_is_all_that_machine_code_depends_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NUMBA_BOUNDSCHECK", raising=False)
    imported = (tmp_path / "numbers.py",)
    imported[0].write_text("one")
    cache._environment.cache_clear()
    keys = {cache.key_of("text", imported), cache.key_of("another text", imported)}
    imported[0].write_text("two")
    cache._environment.cache_clear()
    keys.add(cache.key_of("text", imported))
    monkeypatch.setenv("NUMBA_BOUNDSCHECK", "1")
    cache._environment.cache_clear()
    keys.add(cache.key_of("text", imported))
    assert len(keys) == 4
    cache._environment.cache_clear()


def test_comments_are_no_part_of_the_key(place: Path, jit_mode) -> None:
    """A step is found again when its lines in the user's file, and the names of what is not code, are others."""

    def told(name: str) -> str:
        x = gc.input(name, ("n", 7))
        return gc.compile(gc.sum(x * 3)).report().cache

    assert told("x").startswith("miss")
    assert told("another") == "hit"


def test_the_key_knows_each_file_that_emitted_text_imports() -> None:
    package = Path(build.__file__).parent.parent
    assert {package / f"{file.replace('.', '/')}.py" for file in imports.IMPORTS} <= set(build.IMPORTED)


SECOND_PROCESS = """
import sys
sys.path.insert(0, {tests!r})
import numpy as np
import graphc as gc
from models import batch, classifier
step = gc.compile(classifier().loss, optimizer=gc.SGD(0.1))
losses = step.run(5, *batch(np.random.default_rng(0), 40))
print(step._code.told, "numba" in sys.modules, losses.tobytes().hex())
"""


def test_a_second_process_needs_no_numba(place: Path, request: pytest.FixtureRequest) -> None:
    script = SECOND_PROCESS.format(tests=str(request.path.parent))
    environment = {**os.environ, "PYTHONPATH": str(request.config.rootpath), "NUMBA_DISABLE_JIT": "0"}
    runs = [
        subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    first, second = (run.split() for run in runs)
    assert "True" in first
    assert second[:2] == ["hit", "False"]
    assert first[-1] == second[-1], "the same losses, bit by bit"


BENEATH = """
from graphc.runtime import native
from graphc.runtime.products import product
from llvmlite import binding
compiled = []
emit = binding.TargetMachine.emit_object
binding.TargetMachine.emit_object = lambda *args: compiled.append(args) or emit(*args)
native.runtime(), product("graphc_sgemm")
print(len(compiled))
"""


def test_what_runs_beneath_is_compiled_once(place: Path, request: pytest.FixtureRequest) -> None:
    environment = {**os.environ, "PYTHONPATH": str(request.config.rootpath)}
    command = [sys.executable, "-c", BENEATH]
    runs = [
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout for _ in range(2)
    ]
    assert runs == ["2\n", "0\n"]
    assert cache.size()[0] == 2
    for file in place.iterdir():
        file.write_bytes(file.read_bytes()[:-1])
    again = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert again.stdout == "2\n", "damaged files are not used"
    assert "its checksum is wrong" in again.stderr


def test_a_damaged_step_is_compiled_again(place: Path, rng, jit_mode) -> None:
    x, y = batch(rng, 40)
    expected = gc.compile(classifier().loss)(x, y)
    (file,) = place.iterdir()
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 16
    file.write_bytes(content)
    with pytest.warns(RuntimeWarning, match="its checksum is wrong"):
        step = gc.compile(classifier().loss)
    assert step._code.told == "miss: its checksum is wrong"
    assert step(x, y) == expected
    assert gc.compile(classifier().loss)._code.told == "hit"


def test_the_command_line_shows_and_empties_it(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache.keep("k", ENTRY)
    size = (place / "k.step").stat().st_size
    assert main(["cache", "info"]) == 0
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out == f"{place}\n1 steps, {size:,} bytes\n1 steps removed\n"
    assert cache.size() == (0, 0)
