"""The primitive that shuffles: the same permutation for a seed and an epoch on every machine."""

from __future__ import annotations

from numba.extending import overload

from graphc.backend.primitives import WORD, philox


def shuffle(order, seed, epoch):
    """Makes `order`, int64, a permutation of range(len(order)), each as likely as any other.

    Fisher and Yates's method (Durstenfeld 1964). The bounded integers are Lemire's (2019, Fast random integer
    generation in an interval): the high word of `word * bound`, unbiased since words whose low part lies below
    2**32 % bound are drawn again. The words are philox(0, epoch, seed), philox(1, epoch, seed), ...
    """
    for row in range(len(order)):
        order[row] = row
    drawn = 0
    for last in range(len(order) - 1, 0, -1):
        bound = last + 1
        scaled = philox(drawn, epoch, seed) * bound
        drawn += 1
        if scaled & WORD < bound:
            biased = (WORD + 1) % bound
            while scaled & WORD < biased:
                scaled = philox(drawn, epoch, seed) * bound
                drawn += 1
        other = scaled >> 32
        order[last], order[other] = order[other], order[last]


@overload(shuffle)
def _shuffle(order, seed, epoch):
    return shuffle
