"""Work that several threads do together: each claims the next few pieces that nobody has.

They do so in compiled code, so the GIL is asked for once a thread, not once a piece.
"""

from __future__ import annotations

import numpy as np

from tweann.genes import Int
from tweann.kernels._jit import fetch_add, inlined_kernel

#: Pieces are claimed so that there are about this many claims, but no more than `_MOST` pieces at a time: few enough that
#: threads end together, and most lines of memory are one thread's.
_CLAIMS, _MOST = 128, 8


def new_claims(n: int) -> Int:
    """Return claims on ``n`` pieces of work: the next one, how many to take at a time, and where they end."""
    return np.array([0, max(1, min(n // _CLAIMS, _MOST)), n])


def withdraw(claims: Int) -> None:
    """Leave no piece to be begun, those that are claimed included."""
    claims[2] = 0


@inlined_kernel
def next_claimed(claims: Int, k: int, stop: int) -> tuple[int, int]:
    """Return the piece to do next, and where those that this thread has claimed stop; not before it if none is left.

    Args:
        claims: of `new_claims`.
        k, stop: what it returned before, and k + 1 of that; both 0 in the beginning.
    """
    if k == stop:
        k = fetch_add(claims, claims[1])
        stop = k + claims[1]
    return k, min(stop, claims[2])
