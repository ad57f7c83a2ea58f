"""A file that is written whole or not at all, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets

_own: set[str] = set()
"""The temporary files that this process is writing."""


def write(path: str | os.PathLike[str], content: bytes) -> None:
    """Makes `content` the file at `path`, with the permissions of any new file; an old one is replaced.

    Whoever opens the path sees the old file or the new one, also after kill -9 or a power cut, and when this returns
    the new one is on the disk. If it raises (an OSError, KeyboardInterrupt), the old file is as it was, unless it was
    the last step that failed: then the new file is there, but a power cut may still undo it.
    """
    path = os.path.realpath(path)  # behind a link, the file itself is replaced
    folder, name = os.path.split(path)
    _remove_left_over(folder, name)
    directory = os.open(folder, os.O_RDONLY)
    try:
        _replace(path, os.path.join(folder, f".{name}.{os.getpid()}.{secrets.token_hex(4)}.partial"), content)
        _sync_directory(directory)
    finally:
        os.close(directory)


def _replace(path: str, partial: str, content: bytes) -> None:
    """Writes beside the path, brings that to the disk, and gives it the path's name."""
    _own.add(partial)
    try:
        file = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            rest = memoryview(content)
            while rest:
                rest = rest[os.write(file, rest) :]
            os.fsync(file)
        finally:
            os.close(file)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)
        raise
    finally:
        _own.discard(partial)


def _sync_directory(directory: int) -> None:
    """Brings the new name to the disk, where the file system can do so."""
    try:
        os.fsync(directory)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


def _remove_left_over(folder: str, name: str) -> None:
    """Removes what writes of this file have left whose process was killed."""
    pattern = re.compile(rf"\.{re.escape(name)}\.(\d+)\.[0-9a-f]{{8}}\.partial")
    for entry in os.listdir(folder):
        found = pattern.fullmatch(entry)
        if found and not _is_written(os.path.join(folder, entry), int(found[1])):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(folder, entry))


def _is_written(partial: str, process: int) -> bool:
    """Whether a process of this number lives; our own number may have been another's before."""
    if process == os.getpid():
        return partial in _own
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
