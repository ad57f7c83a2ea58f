"""The primitive that shuffles: the same permutation for a seed and an epoch on every machine."""

from __future__ import annotations

from numba.extending import overload

from graphc.backend.primitives import WORD, philox


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
