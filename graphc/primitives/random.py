"""Random bits, and the shuffle: the same for a seed on every machine."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.extending import overload

ROUNDS, MULTIPLIER, WEYL, WORD = 10, 0xD256D193, 0x9E3779B9, 0xFFFFFFFF


def philox(position: Any, step: Any, seed: Any) -> int:
    """Philox2x32-10 (Salmon et al. 2011): the first word for the counter (position, step) and the key seed."""
    low, high, key = int(position) & WORD, int(step) & WORD, int(seed) & WORD
    for _ in range(ROUNDS):
        wide = low * MULTIPLIER
        low, high = (wide >> 32) ^ key ^ high, wide & WORD
        key = (key + WEYL) & WORD
    return low


@overload(philox)
def _philox(position, step, seed):
    word, multiplier, weyl, half = np.uint64(WORD), np.uint64(MULTIPLIER), np.uint64(WEYL), np.uint64(32)

    def implementation(position, step, seed):
        low, high, key = np.uint64(position) & word, np.uint64(step) & word, np.uint64(seed) & word
        for _ in range(ROUNDS):
            wide = low * multiplier
            low, high = (wide >> half) ^ key ^ high, wide & word
            key = (key + weyl) & word
        return np.int64(low)

    return implementation


def shuffle(order, start, stop, drawn, seed, epoch):
    """Puts rows that were not chosen before at order[start:stop]; after all of `order`, each permutation is as likely.

    order: int64, whose first `start` places are done. drawn: how many random words those took; what is returned
    counts on. It is Fisher and Yates's method (Durstenfeld 1964), piece by piece, so that the rows of a batch are
    chosen when it is their turn. The bounded integers are Lemire's (2019, Fast random integer generation in an
    interval): the high word of `word * bound`, unbiased since words whose low part lies below 2**32 % bound are drawn
    again. The words are philox(0, epoch, seed), philox(1, epoch, seed), ...
    """
    if start == 0:
        for row in range(len(order)):
            order[row] = row
    for place in range(start, stop):
        bound = len(order) - place
        scaled = philox(drawn, epoch, seed) * bound
        drawn += 1
        if scaled & WORD < bound:
            biased = (WORD + 1) % bound
            while scaled & WORD < biased:
                scaled = philox(drawn, epoch, seed) * bound
                drawn += 1
        other = place + (scaled >> 32)
        order[place], order[other] = order[other], order[place]
    return drawn


@overload(shuffle)
def _shuffle(order, start, stop, drawn, seed, epoch):
    return shuffle
