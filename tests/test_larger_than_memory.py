"""fit on a file that is larger than the memory that the process may have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, resource, signal, sys, threading, time
import numpy as np
import graphc as gc

signal.signal(signal.SIGINT, signal.default_int_handler)
ROWS, WIDTH = 1 << 22, 1 << 16
x, first = gc.input("x", ("batch", WIDTH), "uint8"), gc.input("first", ("batch",), "int64")
w, seen = gc.param("w", np.zeros(WIDTH, "f")), gc.param("seen", 0.0, dtype="float64")
step = gc.compile(
    gc.sum(gc.astype(x, "float32") @ w), updates={w: w + gc.sum(gc.astype(x, "float32"), 0), seen: seen + gc.sum(first)}
)
rows = np.memmap(sys.argv[1], np.uint8, "r", shape=(ROWS, WIDTH))
assert rows.nbytes == 1 << 38
ones = np.broadcast_to(np.int64(1), (ROWS,))

if sys.platform == "linux":
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 30), resource.RLIM_INFINITY))

def press():
    while seen.value < 300:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

for shuffle in (True, False):
    seen.value = np.zeros(())
    w.value = np.zeros(WIDTH, 'f')
    threading.Thread(target=press, daemon=True).start()
    history = step.fit((rows, ones), batch_size=8, shuffle=shuffle, progress=False)
    assert history.interrupted and history.loss == []
    assert seen.value == 8 * history.steps >= 300
print("the first row:", *w.value[:4].astype(int))
if sys.platform == "linux":
    try:
        np.array(rows)
    except MemoryError:
        sys.exit()
    sys.exit("the limit is none")
"""


def test_a_file_of_256_gigabytes(tmp_path: Path) -> None:
    """It is sparse: three bytes of it are on the disk. The process may have a gigabyte, and is stopped by Ctrl-C."""
    path = tmp_path / "rows"
    with path.open("wb") as file:
        file.write(b"\x01\x02\x03")
        file.truncate(1 << 38)
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "0"}
    made = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)], capture_output=True, text=True, env=environment, check=False
    )
    assert (made.stdout, made.returncode) == ("the first row: 1 2 3 0\n", 0), made.stderr
