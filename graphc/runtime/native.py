"""Native code without Numba: objects are loaded, and called, through llvmlite alone."""

from __future__ import annotations

import ctypes
import itertools
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import llvmlite.binding as llvm
import numpy as np
from numpy.lib.array_utils import byte_bounds

from graphc.runtime import cache
from graphc.runtime.once import once

Array = np.ndarray[Any, Any]

UNSUITABLE, IS_BUSY = -1, -2
"""What a door answers when Python must see to the arrays, and when another thread is inside."""

INTERRUPTED = 2
"""What a function that makes a larger arena answers if it has, and Ctrl-C was pressed meanwhile."""

LONG = 1 << 15
"""Bytes of params and inputs above which a step lets other Python threads run: some 10 µs of work."""

SPINS, YIELDS = 400, 500
"""How long a thread with nothing to do spins, and then yields, before it sleeps: some 20 µs, and some 50 more."""

PAUSE = {"x86_64": "@llvm.x86.sse2.pause()", "AMD64": "@llvm.x86.sse2.pause()", "aarch64": "@llvm.aarch64.hint(i32 1)"}
PAUSE["arm64"] = PAUSE["aarch64"]


STEP = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.POINTER(ctypes.c_int64), ctypes.c_void_p, ctypes.c_int64)
"""A step as native code calls it: where its status goes, where an exception would, its table."""


@dataclass(frozen=True)
class Loaded:
    """Code in memory: the addresses of its exported functions. It is unloaded when nothing holds this."""

    tracker: llvm.ResourceTracker

    def __getitem__(self, symbol: str) -> int:
        return int(self.tracker[symbol])


@once
def target() -> llvm.TargetMachine:
    """This machine."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    features = llvm.get_host_cpu_features().flatten()
    triple = llvm.Target.from_default_triple()
    return triple.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3, jit=True)


def vectors() -> tuple[str, int]:
    """What LLVM calls this CPU, and the bits of its vector registers."""
    features = llvm.get_host_cpu_features()
    wide = ((512, "avx512f"), (256, "avx"))
    return llvm.get_host_cpu_name(), next((bits for bits, name in wide if features.get(name)), 128)


@once
def _linker() -> llvm.LLJIT:
    return llvm.create_lljit_compiler(target())


_numbers = itertools.count()


def load(image: bytes, exports: Sequence[str], imports: Mapping[str, int]) -> Loaded:
    """An object file's image as code in memory; what it calls is in `imports`, or in the process."""
    library = llvm.JITLibraryBuilder().add_object_img(image).add_current_process()
    for symbol in exports:
        library.export_symbol(symbol)
    for symbol, address in imports.items():
        library.import_symbol(symbol, address)
    return Loaded(library.link(_linker(), f"graphc{next(_numbers)}"))


def assembly(text: str) -> str:
    """LLVM IR as this machine's assembly."""
    return str(target().emit_assembly(llvm.parse_assembly(text)))


@once
def runtime() -> Loaded:
    """runtime.ll, compiled."""
    pause = PAUSE.get(platform.machine(), "@llvm.donothing()")
    constants = {
        "HEADER": object.__basicsize__,
        "TYPE": object.__basicsize__ - 8,  # the last field of the header
        "UNSUITABLE": UNSUITABLE,
        "IS_BUSY": IS_BUSY,
        "INTERRUPTED": INTERRUPTED,
        "LONG": LONG,
        "SPINS": SPINS,
        "YIELDS": YIELDS,
        "PAUSE": pause,
    }
    text = f"{filled('runtime.ll', constants)}\ndeclare void {pause.replace('i32 1', 'i32')}\n"
    functions = ("graphc_enter", "graphc_step", "graphc_run", "graphc_work", "graphc_reset")
    loaded = compiled(text, functions, {})
    ctypes.CFUNCTYPE(None)(loaded["graphc_reset"])()
    return loaded


def filled(name: str, constants: Mapping[str, object]) -> str:
    """A file of LLVM IR with its constants."""
    text = Path(__file__).with_name(name).read_text(encoding="utf-8")
    for key, value in constants.items():
        text = text.replace(f"{{{key}}}", str(value))
    return text


def compiled(text: str, exports: Sequence[str], imports: Mapping[str, int]) -> Loaded:
    """LLVM IR as code in memory, from the cache if it was ever compiled."""
    key = cache.key_of_llvm(text)
    entry, _ = cache.find(key)
    if entry is None:
        module = llvm.parse_assembly(text)
        module.verify()
        passes = llvm.create_pass_builder(target(), llvm.create_pipeline_tuning_options(speed_level=2))
        passes.getModulePassManager().run(module, passes)
        entry = cache.Entry(target().emit_object(module), exports[0], str(module))
        cache.keep(key, entry)
    return load(entry.image, exports, imports)


# ---- doors: calling a step -------------------------------------------------------------------------------------------


class _Method(ctypes.Structure):
    """CPython's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


METH_FASTCALL = 0x80


@dataclass(frozen=True)
class Slot:
    """An array that a door takes: its type, and the rows of the table for its address and its shape (None: none)."""

    dtype: np.dtype[Any]
    ndim: int
    address: int
    shape: int | None


class Code(Protocol):
    """A step that lives as long as this does, and its address."""

    address: int


class Door:
    """Calls a step: `function()` is a builtin that takes the arrays; see graphc_enter in runtime.ll.

    busy: the word that is 1 while a thread is inside. kept: params and constants. written: those of them that the step
    changes.
    grow: makes a larger arena, and tells whether it could (0, 1 or INTERRUPTED); called when a step's status is
    `too_small`, while no other thread is inside.
    long: whether other Python threads run meanwhile even if the arrays are small.
    """

    def __init__(
        self,
        code: Code,
        table: Array,
        busy: Array,
        scalars: Array,
        slots: Sequence[Slot],
        kept: Sequence[Array],
        written: Sequence[Array],
        grow: Callable[[], int],
        too_small: int,
        long: bool = False,
    ) -> None:
        ranges = np.array([byte_bounds(array) for array in written], np.int64).reshape(-1, 2)
        larger = ctypes.CFUNCTYPE(ctypes.c_int64)(grow)
        row = table.ctypes.data
        self._head = [code.address, row, busy.ctypes.data, scalars.ctypes.data, len(scalars)]
        self._head += [int(ctypes.cast(larger, ctypes.c_void_p).value or 0), too_small]
        self._head += [sum(array.nbytes for array in kept) + long * (LONG + 1), len(ranges), ranges.ctypes.data]
        self._tail = [id(np.ndarray), len(slots)]
        for slot in slots:
            shape = 0 if slot.shape is None else row + 8 * slot.shape
            self._tail += [id(slot.dtype), slot.ndim, slot.dtype.itemsize, row + 8 * slot.address, shape]
        self._alive = (code, table, busy, scalars, slots, tuple(kept), ranges, larger)

    def fields(self, results: Array | None = None) -> Fields:
        """The door as runtime.ll reads it. `results`, float64 (steps, scalars), takes the scalars of as many steps."""
        run = [1, 0] if results is None else [len(results), results.ctypes.data]
        fields = np.array([*self._head, *run, *self._tail], np.int64).view(Fields)
        fields.alive = (self._alive, results)
        return fields

    def function(self, results: Array | None = None) -> Callable[..., Any]:
        """Runs one step, or as many as `results` is long; its answer is the first scalar, or a status."""
        method = _Method(b"step", runtime()["graphc_enter"], METH_FASTCALL, None)
        fields = self.fields(results)
        fields.alive = (fields.alive, method)
        new = ctypes.pythonapi.PyCFunction_NewEx
        new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
        function: Callable[..., Any] = new(ctypes.addressof(method), fields, None)
        return function


BUSY_WAIT = 1e-5
"""Seconds between two looks at a step that another thread runs."""


def call(enter: Callable[..., Any], *arrays: Array) -> float | int:
    """What a door answers when no other thread is inside: a float, or as an int a status or UNSUITABLE."""
    while (answer := enter(*arrays)) == IS_BUSY and type(answer) is int:
        time.sleep(BUSY_WAIT)
    made: float | int = answer
    return made


class Fields(Array):
    """A door as runtime.ll reads it, with what must live as long."""

    alive: Any
