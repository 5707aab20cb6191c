"""Identity without a counter: what a gene is gives its number.

A node id is a non-negative int64: the node's depth as a 39-bit fixed-point number, then 24 bits of
hash. Input i is i (depth 0), output j is ``FIRST_OUTPUT + j`` (depth 1). So ids in order are nodes in
order of evaluation, and two processes that never met give one split the same number.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tweann.genes import Int
from tweann.kernels._jit import kernel
from tweann.kernels.random import mix

HASH_BITS: Final = 24
DEPTH_ONE: Final = (1 << 39) - 1
FIRST_OUTPUT: Final = DEPTH_ONE << HASH_BITS
#: How often one connection may be split anew in one genome.
MAX_SPLITS: Final = 8
#: Version of the hash; part of the genome format.
HASH_VERSION: Final = 1

_S40, _S17 = np.uint64(40), np.uint64(17)
_MASK23 = np.uint64(0x7FFFFF)


@kernel
def hash_pair(source: int, target: int) -> np.uint64:
    """Return the innovation number of a connection, 64 bits: ``mix(mix(source) + target)``."""
    return mix(mix(np.uint64(source)) + np.uint64(target))


@kernel
def depth(node: int) -> int:
    """Return a node's depth as a fixed-point number in [0, ``DEPTH_ONE``]."""
    return node >> HASH_BITS


@kernel
def is_input(node: int) -> bool:
    """Return whether a node id is an input's."""
    return node < (1 << HASH_BITS)


@kernel
def is_output(node: int) -> bool:
    """Return whether a node id is an output's."""
    return node >= FIRST_OUTPUT


@kernel
def split_id(source: int, target: int, k: int) -> int:
    """Return the id of the node that splits a connection for the k-th time, or -1.

    The depth lies between the ends (a recurrent connection's: between 0 and its target), at a share
    u in [0.25, 0.75) of the way that the hash gives. -1: no depth is left.
    """
    h = mix(hash_pair(source, target) + np.uint64(k))
    low = depth(source) if source < target else 0
    high = depth(target)
    share = (1 << 22) + np.int64((h >> _S17) & _MASK23)  # u * 2^24; products stay below 2^63
    middle = low + (((high - low) * share) >> 24)
    if middle <= low or middle >= high:
        return -1
    return int((middle << HASH_BITS) | np.int64(h >> _S40))


@kernel
def find_node(ids: Int, n: int, node: int) -> int:
    """Return the position of ``node`` in the sorted ``ids[:n]``, or -1 - (where it belongs).

    Args:
        ids: (>= n,) node ids, ascending.
        n: how many of them count.
        node: the id to look for.
    """
    low, high = 0, n
    while low < high:
        middle = (low + high) >> 1
        if ids[middle] < node:
            low = middle + 1
        else:
            high = middle
    if low < n and ids[low] == node:
        return low
    return -1 - low
