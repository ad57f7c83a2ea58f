"""Functions whose result is made once in a process, though several threads may ask for it at a time."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from typing import TypeVar

Made = TypeVar("Made")


class _Turn:
    """The lock that all of them take; a new one in the child of a fork, where who held the old one is gone."""

    def __init__(self) -> None:
        self.renew()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        self.lock = threading.RLock()


_turn = _Turn()


def once(function: Callable[..., Made]) -> Callable[..., Made]:
    """functools.cache, but it never runs the function twice: what is made may be code, whose address others keep."""
    cached = functools.cache(function)

    @functools.wraps(function)
    def made(*args: str) -> Made:
        with _turn.lock:
            return cached(*args)

    return made
