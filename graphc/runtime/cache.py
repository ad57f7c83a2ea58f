"""Compiled steps, and what runs beneath them, on disk: one file each, found by a hash of all that it depends on.

An entry is loaded into the process and run, so it is trusted like the program itself: the folder belongs to the user
and is closed to others, and a checksum is compared before anything in a file is used. Whatever goes wrong, the step is
compiled again, with one warning at most.

    file    := MAGIC, checksum of the rest, length of the object, object, symbol and LLVM IR (compressed JSON)
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
import os
import stat
import sys
import tempfile
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
import numpy as np
import platformdirs

MAGIC = b"graphc 1\n"
SUFFIX = ".step"

LIMIT = 256 << 20
"""Bytes that all entries may take together; the ones not used for longest go first."""


@dataclass(frozen=True)
class Entry:
    """A step's object file, the name of its function, and the LLVM IR that it was made of."""

    image: bytes
    symbol: str
    llvm: str


class _MissError(Exception):
    """Why an entry cannot be used."""


def folder() -> Path | None:
    """Where entries lie: GRAPHC_CACHE_DIR (empty: nowhere), else the user's cache folder."""
    named = os.environ.get("GRAPHC_CACHE_DIR")
    if named is None:
        return Path(platformdirs.user_cache_dir("graphc"))
    return Path(named) if named else None


def key_of(source: str, imported: tuple[Path, ...]) -> str:
    """The hash of emitted text and of all else that its machine code depends on, such as the files that it imports."""
    return hashlib.sha256(f"{_environment(imported)}\n{source}".encode()).hexdigest()


def key_of_llvm(text: str) -> str:
    """The hash of LLVM IR and of the machine that it is compiled for."""
    return hashlib.sha256(repr([_machine(), text]).encode()).hexdigest()


def _machine() -> list[str]:
    triple, cpu, features = llvm.get_process_triple(), llvm.get_host_cpu_name(), llvm.get_host_cpu_features()
    return [llvmlite.__version__, triple, cpu, features.flatten()]


@functools.cache
def _environment(imported: tuple[Path, ...]) -> str:
    """Versions, the machine, Numba's settings, and what emitted text imports."""
    numba = importlib.util.find_spec("numba")
    version = Path(str(numba and numba.origin)).with_name("_version.py").read_text(encoding="utf-8")
    settings = sorted(item for item in os.environ.items() if item[0].startswith("NUMBA_"))
    texts = [file.read_text(encoding="utf-8") for file in imported]
    return repr([sys.version, np.__version__, version, _machine(), settings, texts])


def find(key: str) -> tuple[Entry | None, str]:
    """The entry of this key, or None; and what is to be said about it."""
    place = folder()
    if place is None:
        return None, "off: GRAPHC_CACHE_DIR is empty"
    file = place / f"{key}{SUFFIX}"
    try:
        _check_private(place)
        content = file.read_bytes()
        entry = _unpacked(content)
        os.utime(file)
        return entry, "hit"
    except FileNotFoundError:
        return None, "miss: never compiled here, or with another version, CPU or setting"
    except (_MissError, OSError) as error:
        _warn(f"{file} is not used: {error}")
        return None, f"miss: {error}"


def keep(key: str, entry: Entry) -> None:
    """Stores an entry; a reader sees all of it or nothing."""
    place = folder()
    if place is None:
        return
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_private(place)
        handle, name = tempfile.mkstemp(dir=place)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_packed(entry))
            os.replace(name, place / f"{key}{SUFFIX}")
        except OSError:
            os.unlink(name)
            raise
        _shrink(place)
    except (_MissError, OSError) as error:
        _warn(f"nothing is kept in {place}: {error}")


def _packed(entry: Entry) -> bytes:
    told = zlib.compress(json.dumps({"symbol": entry.symbol, "llvm": entry.llvm}).encode(), 1)
    rest = len(entry.image).to_bytes(8, "little") + entry.image + told
    return MAGIC + hashlib.sha256(rest).digest() + rest


def _unpacked(content: bytes) -> Entry:
    start = len(MAGIC) + 32
    if content[: len(MAGIC)] != MAGIC:
        raise _MissError("it is no entry of this version")
    rest = content[start:]
    if hashlib.sha256(rest).digest() != content[len(MAGIC) : start]:
        raise _MissError("its checksum is wrong")
    end = 8 + int.from_bytes(rest[:8], "little")
    told = json.loads(zlib.decompress(rest[end:]))
    return Entry(rest[8:end], told["symbol"], told["llvm"])


def _check_private(place: Path) -> None:
    """Refuses a folder that someone else could write to."""
    state = place.stat()
    if not stat.S_ISDIR(state.st_mode):
        raise _MissError("the cache is not a folder")
    if hasattr(os, "getuid") and (state.st_uid != os.getuid() or state.st_mode & 0o022):
        raise _MissError(f"{place} belongs to someone else or is open to others; chmod 700 it")


def _shrink(place: Path) -> None:
    """Removes the entries not used for longest, until the rest fits."""
    entries = sorted(_entries(place), key=lambda entry: entry[1].st_mtime, reverse=True)
    total = 0
    for file, state in entries:
        total += state.st_size
        if total > LIMIT:
            file.unlink(missing_ok=True)


def _entries(place: Path) -> list[tuple[Path, os.stat_result]]:
    return [(file, file.stat()) for file in place.glob(f"*{SUFFIX}")] if place.is_dir() else []


def size() -> tuple[int, int]:
    """How many entries there are, and their bytes."""
    place = folder()
    entries = _entries(place) if place is not None else []
    return len(entries), sum(state.st_size for _, state in entries)


def clear() -> int:
    """Removes all entries; how many there were."""
    place = folder()
    entries = _entries(place) if place is not None else []
    for file, _ in entries:
        file.unlink(missing_ok=True)
    return len(entries)


_warned: set[str] = set()


def _warn(message: str) -> None:
    """The first thing that is wrong with the cache, once a process."""
    if not _warned:
        _warned.add(message)
        warnings.warn(f"graphc's cache: {message}; steps are compiled anew", RuntimeWarning, stacklevel=2)
