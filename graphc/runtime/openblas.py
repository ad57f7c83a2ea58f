"""A matrix product that starts no threads: a private copy of the OpenBLAS that SciPy brings.

OpenBLAS gives every product above 64 * 64 * 64 multiplications to threads of its own, and its only limit is one for the
whole process, which is the user's to set. A second copy of the library in the process has a limit of its own: here it
is one thread, since graphc cuts its products into tiles itself. NumPy's and SciPy's BLAS stay as they are.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

from graphc.runtime.once import once

PREFIXES = ("scipy_", "")
"""What the names of the library's functions may begin with."""


@once
def gemms() -> dict[str, int]:
    """The addresses of sgemm and dgemm by Fortran's convention: those of the private copy, or else SciPy's."""
    return _private() or _scipys()


def single_threaded() -> bool:
    """Whether the products start no threads of their own."""
    return _private() is not None


@once
def _private() -> dict[str, int] | None:
    library = _library()
    if library is None:
        return None
    copy = _copy(library)
    for prefix in PREFIXES:
        if hasattr(copy, f"{prefix}sgemm_") and not _counts_in_64_bits(copy, prefix):
            getattr(copy, f"{prefix}openblas_set_num_threads")(1)
            names = {"sgemm": f"{prefix}sgemm_", "dgemm": f"{prefix}dgemm_"}
            return {ours: _address(copy, theirs) for ours, theirs in names.items()}
    return None


def _library() -> Path | None:
    """Where SciPy's wheel keeps OpenBLAS; found without importing SciPy."""
    scipy = importlib.util.find_spec("scipy")
    if scipy is None or scipy.origin is None:
        return None
    package = Path(scipy.origin).parent
    folders = (package.parent / "scipy.libs", package / ".dylibs")
    found = [path for folder in folders for path in sorted(folder.glob("libscipy_openblas-*"))]
    return found[0] if found else None


def _copy(library: Path) -> ctypes.CDLL:
    """The library once more: the linker tells libraries apart by their files."""
    ctypes.CDLL(str(library))  # brings what both copies need
    handle, name = tempfile.mkstemp(library.suffix)
    os.close(handle)
    try:
        shutil.copyfile(library, name)
        return ctypes.CDLL(name)
    finally:
        os.unlink(name)  # the memory stays


def _counts_in_64_bits(copy: ctypes.CDLL, prefix: str) -> bool:
    config = getattr(copy, f"{prefix}openblas_get_config")
    config.restype = ctypes.c_char_p
    return b"USE64BITINT" in config()


def _address(copy: ctypes.CDLL, name: str) -> int:
    return int(ctypes.cast(getattr(copy, name), ctypes.c_void_p).value or 0)


def _scipys() -> dict[str, int]:
    """What SciPy itself calls, whichever BLAS that is; it may start threads as its own settings say."""
    from scipy.linalg import cython_blas

    capsules = cython_blas.__pyx_capi__
    name_of, pointer_of = ctypes.pythonapi.PyCapsule_GetName, ctypes.pythonapi.PyCapsule_GetPointer
    name_of.restype, name_of.argtypes = ctypes.c_char_p, (ctypes.py_object,)
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
    return {name: int(pointer_of(capsules[name], name_of(capsules[name]))) for name in ("sgemm", "dgemm")}
