"""Who trains: a contender is a row of data, and names the function that makes its steps.

The function's file is imported where it is made, so that no contender runs in a process with another's threads.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from workloads import Workload

Step = Callable[[], float]
"""Trains once; returns the loss before the update."""
Run = Callable[[int], Any]
"""Trains so many times in one call of native code; returns the losses, an array."""


class NotAvailable(Exception):  # noqa: N818 - it is no error
    """A contender cannot train this workload; the message says why."""


@dataclass(frozen=True)
class Setting:
    """One way to run a contender.

    make: "file.function" of what makes a Step or a Run from a workload and the options.
    environment: variables of its process.
    """

    name: str
    make: str
    options: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def imported(self) -> Any:
        """The function, whose file imports the contender's package."""
        file, _, function = self.make.partition(".")
        return getattr(importlib.import_module(file), function)

    def made(self, workload: Workload) -> Any:
        """A new Step or Run."""
        return self.imported()(workload, **self.options)


@dataclass(frozen=True)
class Contender:
    """A row of the table.

    kind: "call", one Python call a step; "loop", many steps in one native call; "bound", trains nothing.
    settings: the usually best one first.
    """

    name: str
    kind: str
    package: str
    settings: tuple[Setting, ...]

    def setting(self, name: str) -> Setting:
        return next(setting for setting in self.settings if setting.name == name)


ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
ONE_XLA_THREAD = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false", "NPROC": "1"}
THREADS: dict[str, Mapping[str, str]] = {"default threads": {}, "1 thread": ONE_THREAD}
XLA_THREADS: dict[str, Mapping[str, str]] = {"default threads": {}, "1 thread": ONE_XLA_THREAD}
TORCH_THREADS: dict[str, int | None] = {"default threads": None, "1 thread": 1}
if (os.cpu_count() or 1) > 2:
    TORCH_THREADS["2 threads"] = 2

NUMPY = tuple(
    Setting(f"by hand, in place, {rows}{count}", "with_numpy.call", {"rows": number}, environment)
    for rows, number in {"": 32, "whole columns, ": 4096}.items()
    for count, environment in THREADS.items()
)

TORCH_UPDATES = {
    "by hand": "autograd.grad and _foreach_add_",
    "fused": "SGD(fused=True), gradients set to None",
    "foreach": "SGD(foreach=True), gradients set to None",
    "zeroed": "SGD(fused=True), gradients zeroed",
}
TORCH = tuple(
    Setting(f"{what}, {count}", "with_torch.eager", {"update": update, "threads": threads})
    for update, what in TORCH_UPDATES.items()
    for count, threads in TORCH_THREADS.items()
)

INDUCTOR: dict[str, dict[str, Any]] = {
    "one graph": {"what": "step"},
    "one graph, C++ wrapper": {"what": "step", "options": {"cpp_wrapper": True}},
    "one graph, max_autotune": {"what": "step", "options": {"max_autotune": True}},
    "loss compiled, _foreach_add_": {"what": "loss"},
}
TORCH_COMPILE = tuple(
    Setting(f"{what}, {count}", "with_torch.compiled", {**options, "threads": threads})
    for what, options in INDUCTOR.items()
    for count, threads in TORCH_THREADS.items()
)

LABELS = {"one-hot labels": True, "gathered labels": False}
JAX = tuple(
    Setting(
        f"donated, {labels}{', asynchronous' if not wait else ''}, {count}",
        "with_jax.call",
        {"one_hot": one_hot, "wait": wait},
        environment,
    )
    for wait in (True, False)
    for labels, one_hot in LABELS.items()
    for count, environment in XLA_THREADS.items()
)
JAX_SCAN = tuple(
    Setting(
        f"donated, {labels}, unroll={unroll}, {count}",
        "with_jax.loop",
        {"one_hot": one_hot, "unroll": unroll},
        environment,
    )
    for unroll in (1, 4)
    for labels, one_hot in LABELS.items()
    for count, environment in XLA_THREADS.items()
)

PYTENSOR = tuple(
    Setting(f"Numba mode, {shapes}, {count}", "with_pytensor.call", {"static": static}, environment)
    for shapes, static in {"static shapes": True, "dynamic shapes": False}.items()
    for count, environment in THREADS.items()
)
TENSORFLOW = tuple(
    Setting(f"XLA, {count}", "with_tensorflow.call", {"threads": threads})
    for count, threads in {"default threads": 0, "1 thread": 1}.items()
)
BLAS = tuple(
    Setting(f"{what}, {count}", make, environment=environment)
    for what, make in {"np.matmul": "with_blas.by_numpy", "SciPy's sgemm": "with_blas.by_scipy"}.items()
    for count, environment in THREADS.items()
)

CONTENDERS = {
    row.name: row
    for row in [
        Contender("graphc", "call", "graphc", (Setting("", "with_graphc.call"),)),
        Contender("graphc run", "loop", "graphc", (Setting("", "with_graphc.loop"),)),
        Contender("NumPy", "call", "numpy", NUMPY),
        Contender("PyTorch eager", "call", "torch", TORCH),
        Contender("torch.compile", "call", "torch", TORCH_COMPILE),
        Contender("JAX jit", "call", "jax", JAX),
        Contender("JAX scan", "loop", "jax", JAX_SCAN),
        Contender("PyTensor", "call", "pytensor", PYTENSOR),
        Contender("TensorFlow", "call", "tensorflow", TENSORFLOW),
        Contender("its products alone", "bound", "scipy", BLAS),
    ]
}
OWN = ("graphc", "graphc run")
"""Contenders that are graphc; those that train and are not are its peers."""
