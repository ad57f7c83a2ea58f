"""Files that are written whole or not at all: every call that can fail is made to fail."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graphc import atomic

CALLS = ("listdir", "open", "write", "fsync", "close", "replace")
ERRORS = [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EROFS, errno.EMFILE, errno.EDQUOT]


def failing(monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException) -> list[str]:
    """Makes one of the calls that graphc.atomic makes of the system fail; the list tells which were made."""
    made: list[str] = []

    def wrapped(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            made.append(name)
            if len(made) != number:
                return real(*args, **kwargs)
            if name == "close":
                real(*args, **kwargs)  # an error of close() says that data are lost, not that the file is still open
            raise error

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, wrapped(name, getattr(os, name)))
    return made


@pytest.mark.parametrize(
    "error",
    [*(OSError(code, os.strerror(code)) for code in ERRORS), KeyboardInterrupt()],
    ids=lambda error: repr(error),
)
def test_whichever_call_fails_the_old_file_stays(error: BaseException, tmp_path: Path) -> None:
    path, seen = tmp_path / "file", []
    for number in range(1, 100):
        path.write_bytes(b"old")
        with pytest.MonkeyPatch.context() as monkeypatch:
            made = failing(monkeypatch, number, error)
            raised = True
            with contextlib.suppress(type(error)):
                atomic.write(path, b"new")
                raised = False
        content, names = path.read_bytes(), os.listdir(tmp_path)
        assert names == ["file"]
        assert raised == (len(made) >= number)
        if not raised:
            assert content == b"new"
            break
        seen.append(made[number - 1])
        assert content == (b"new" if "replace" in seen[:-1] else b"old")
    assert seen == ["listdir", "open", "open", "write", "fsync", "close", "replace", "fsync", "close"]


def test_a_new_file_that_cannot_be_written_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, 4, OSError(errno.ENOSPC, "full"))
    with pytest.raises(OSError, match="full"):
        atomic.write(tmp_path / "file", b"new")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == []
    with pytest.raises(FileNotFoundError):
        atomic.write(tmp_path / "nowhere" / "file", b"new")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        atomic.write(tmp_path / "folder", b"new")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_file_system_without_fsync_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.fsync

    def fsync(file: int) -> None:
        if stat.S_ISDIR(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        real(file)

    monkeypatch.setattr(os, "fsync", fsync)
    atomic.write(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"


def test_the_system_may_write_a_few_bytes_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, content: real(file, content[:7]))
    atomic.write(tmp_path / "file", bytes(range(100)))
    assert (tmp_path / "file").read_bytes() == bytes(range(100))


def test_it_is_synced_before_it_gets_its_name_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = failing(monkeypatch, -1, OSError())
    atomic.write(tmp_path / "file", b"new")
    assert made[-6:] == ["write", "fsync", "close", "replace", "fsync", "close"]


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_any_new_file(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        atomic.write(tmp_path / "file", b"new")
        (tmp_path / "other").touch()
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_behind_a_link_the_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "file")
    atomic.write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk" / "file").read_bytes() == b"new"


def test_what_a_killed_write_has_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as living:
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        mine, theirs = os.getpid(), living.pid
        left = [
            f".file.{dead.pid}.0123abcd.partial",
            f".file.{mine}.0123abcd.partial",
        ]  # a process of our number before
        kept = [f".file.{theirs}.0123abcd.partial", f".file2.{dead.pid}.0123abcd.partial", ".file.partial", "file.tmp"]
        for name in left + kept:
            (tmp_path / name).touch()
        atomic.write(tmp_path / "file", b"new")
        assert sorted(os.listdir(tmp_path)) == sorted([*kept, "file"])


def test_threads_that_write_one_file_leave_one_of_their_files(tmp_path: Path) -> None:
    contents, failed = [bytes([n]) * 100_000 for n in range(4)], []

    def write(content: bytes) -> None:
        try:
            for _ in range(10):
                atomic.write(tmp_path / "file", content)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(content,)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert (tmp_path / "file").read_bytes() in contents
    assert os.listdir(tmp_path) == ["file"]
