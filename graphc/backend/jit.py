"""Numba: the decorators of emitted code, and its compilation to an object."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Iterator
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import _dynfunc, types
from numba.core.codegen import CPUCodeLibrary, JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager
from numba.core.cpu import CPUContext
from numba.core.registry import cpu_target
from numba.core.typed_passes import IRLegalization, NativeLowering, NoPythonBackend, NopythonTypeInference
from numba.core.typing.context import BaseContext
from numba.core.untyped_passes import FixupArgs, IRProcessing, TranslateByteCode
from numba.np import linalg

from graphc.emitted import show_lines
from graphc.primitives.loops import written_out
from graphc.runtime.cache import Entry
from graphc.runtime.native import target

# A multiplication and an addition may be rounded once; nothing else may change what the code says.
FLAGS = {"contract"}

OPTIONS = {
    "error_model": "numpy",
    "fastmath": FLAGS,
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "_nrt": False,
}


PASSES = (
    TranslateByteCode,
    FixupArgs,
    IRProcessing,
    NopythonTypeInference,
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
)
"""Of Numba's passes those that translate. Emitted code has no closures, no array expressions, no `raise`, and no name
of two types, which is what the others are for; and LLVM sees to constants and branches."""


class _Translator(CompilerBase):  # type: ignore[misc]
    """Numba as a translator of emitted functions."""

    def define_pipelines(self) -> list[PassManager]:
        passes = PassManager("graphc")
        for each in PASSES:
            passes.add_pass(each, each.__name__)
        passes.finalize()
        return [passes]


class _Apart(_Translator):
    """The same for functions whose array arguments do not overlap."""

    def __init__(
        self, typing_context: Any, target_context: Any, library: Any, args: Any, result: Any, flags: Any, names: Any
    ) -> None:
        flags.noalias = True
        super().__init__(typing_context, target_context, library, args, result, flags, names)


kernel = numba.njit(pipeline_class=_Apart, **OPTIONS)
overlapping_kernel = region = step_function = numba.njit(pipeline_class=_Translator, **OPTIONS)
"""An overlapping kernel may take the same memory twice: under two shapes."""


@contextlib.contextmanager
def as_python() -> Iterator[None]:
    """Steps made inside run as the Python that they are: no time to compile, the same text."""
    before = numba.config.DISABLE_JIT
    numba.config.DISABLE_JIT = True
    try:
        yield
    finally:
        numba.config.DISABLE_JIT = before


def made(source: str, name: str, function: str) -> Any:
    """A function of emitted text; its lines show in tracebacks."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:8]  # two steps of one name are two files
    filename = f"<graphc {name} {digest}>"
    names: dict[str, Any] = {"__name__": f"graphc.emitted.{digest}"}
    exec(compile(source if numba.config.DISABLE_JIT else written_out(source), filename, "exec"), names)
    show_lines(filename, source, names[function])
    return names[function]


def jit(source: str, name: str, function: str = "step") -> Entry:
    """A function of an emitted module that takes the address of its table, compiled."""
    step = made(source, name, function)
    _prepare()
    with global_compiler_lock, _front_end_only():
        step.compile((types.int64,))
        (result,) = step.overloads.values()
        result.library._ensure_finalized()
    linked, symbol = result.library._final_module, result.fndesc.llvm_func_name
    for each in linked.functions:
        if not each.is_declaration and each.name != symbol:
            each.linkage = "internal"
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_unrolling = False  # a loop over ten columns would be unrolled before it could be vectorised
    options.inlining_threshold = 0  # what is called once is inlined nevertheless; equal kernels are optimised once
    passes = llvm.create_pass_builder(target(), options)
    passes.getModulePassManager().run(linked, passes)
    return Entry(target().emit_object(linked), symbol, str(linked))


@functools.cache
def _prepare() -> None:
    """Loads what Numba knows, but not SciPy, which takes half of that time.

    Numba imports SciPy to see whether it is there, and once more where a function calls it: no emitted one does.
    """
    with global_compiler_lock:
        import_scipy = linalg.ensure_blas
        linalg.ensure_blas = lambda: None
        try:
            cpu_target.typing_context.refresh()  # first: it asks what came first first
            cpu_target.target_context.refresh()
        finally:
            linalg.ensure_blas = import_scipy


@contextlib.contextmanager
def _front_end_only() -> Iterator[None]:
    """Numba translates to LLVM IR and links, but does not optimise or emit.

    It would do so for each kernel, again for the region that calls it, and once more for the step. Here the whole step
    is optimised and emitted once, afterwards. What Numba keeps for others (the code of its own overloads) is IR to link
    in any case.
    """

    def take_layout(self: Any, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def finish(self: Any) -> None:
        self._finalized = True

    def unbound(self: Any, library: Any, fndesc: Any, env: Any) -> Any:
        """What Numba knows the function by, each by its own; nobody calls it from Python."""
        return _dynfunc.make_function(fndesc.lookup_module(), fndesc.qualname, "", 0, env, (library,))

    known: dict[Any, Any] = {}

    def resolve_once(self: Any, function: Any, args: Any, kws: Any) -> Any:
        """The signature of a call: the same each time for the same types. No primitive asks for a literal."""
        key = function, tuple(map(types.unliteral, args))
        if key not in known:
            known[key] = resolve(self, function, key[1], kws)
        return known[key]

    resolve = BaseContext.resolve_function_type
    instead = {
        (BaseContext, "resolve_function_type"): resolve_once,
        (CPUCodeLibrary, "_optimize_functions"): take_layout,
        (CPUCodeLibrary, "_optimize_final_module"): lambda self: None,
        (JITCodeLibrary, "_finalize_final_module"): finish,
        (CPUContext, "get_executable"): unbound,
    }
    before = {place: getattr(*place) for place in instead}
    try:
        for place, function in instead.items():
            setattr(*place, function)
        yield
    finally:
        for place, function in before.items():
            setattr(*place, function)
