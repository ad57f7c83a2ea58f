"""Compiled nets that no estimator is using: the next one of the same form borrows one, and compiles nothing.

An estimator holds its weights as arrays and no compiled code, so that it can be copied and pickled.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from graphc.sklearn.net import Form, Net

MOST = 32
MOST_BYTES = 1 << 26
"""The idle nets that are kept are at most so many, with so many bytes of memory in all;
one is kept however large it is."""

_idle: list[Net] = []
_lock = threading.Lock()


@contextlib.contextmanager
def borrowed(form: Form) -> Iterator[Net]:
    """A net of this form for one user alone, with any weights; if the body raises, it does not come back."""
    with _lock:
        found = next((number for number, net in enumerate(_idle) if net.form == form), None)
        net = None if found is None else _idle.pop(found)
    net = Net(form) if net is None else net
    yield net
    with _lock:
        _idle.append(net)
        while len(_idle) > MOST or (len(_idle) > 1 and sum(each.bytes for each in _idle) > MOST_BYTES):
            del _idle[0]
