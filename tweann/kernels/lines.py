"""Births and deaths: who was not selected, and who is on the line of somebody."""

from __future__ import annotations

from typing import Final

import numpy as np

from tweann.genes import Bool, Int, UInt8
from tweann.kernels._jit import inlined_kernel, kernel

#: Bytes of a record of a birth, and of a death: `tweann.lineage.BIRTH` and `DEATH`.
BIRTH_BYTES: Final = 50
DEATH_BYTES: Final = 12
_SPECIES: Final = 24  # where the species stands in a birth


@inlined_kernel
def _put_8(data: UInt8, at: int, value: int) -> None:
    for b in range(8):
        data[at + b] = (value >> (56 - 8 * b)) & 255


@inlined_kernel
def _put_4(data: UInt8, at: int, value: int) -> None:
    for b in range(4):
        data[at + b] = (value >> (24 - 8 * b)) & 255


@kernel
def record_selection(
    children: tuple[Int, Int, Int, Int],
    mutations: Int,
    operators: UInt8,
    origins: UInt8,
    fitness: Int,
    before: Int,
    told: Int,
    index: Int,
    species: Int,
    generation: int,
    stays: Bool,
    births: UInt8,
    deaths: UInt8,
) -> int:
    """Write the records of the children of a brood and of those who were not selected; return how many these are.

    Args:
        children: (n,) each: birth numbers, one behind the other, those of both parents, and the generation of birth.
        mutations: (n,) bits.
        operators, origins: (n,) codes.
        fitness: (n,) bits of the float64.
        before: (m,) birth numbers of the pool's rows until then.
        told: of the children that were told.
        index: who stays, of ``before`` and behind it ``told``.
        species: of those who stay.
        generation: now.
        stays: (>= m + n,) scratch.
        births: (>= n records,) written.
        deaths: (>= m + n records,) written.
    """
    ids, parents_a, parents_b, born = children
    m, n = before.size, ids.size
    for k in range(m + n):
        stays[k] = False
    for k in range(n):
        at = k * BIRTH_BYTES
        _put_8(births, at, ids[k])
        _put_8(births, at + 8, parents_a[k])
        _put_8(births, at + 16, parents_b[k])
        _put_8(births, at + _SPECIES, int(np.int64(-1)))
        _put_4(births, at + 32, born[k])
        _put_4(births, at + 36, mutations[k])
        births[at + 40] = operators[k]
        births[at + 41] = origins[k]
        _put_8(births, at + 42, fitness[k])
    for k in range(index.size):
        if index[k] < m:
            stays[index[k]] = True
        else:
            child = told[index[k] - m] - ids[0]
            stays[m + child] = True
            _put_8(births, child * BIRTH_BYTES + _SPECIES, species[k])
    n_died = 0
    for k in range(m + n):
        if not stays[k]:
            at = n_died * DEATH_BYTES
            _put_8(deaths, at, before[k] if k < m else ids[k - m])
            _put_4(deaths, at + 8, generation)
            n_died += 1
    return n_died


@kernel
def mark_lines(births: Int, parents: Int, marked: Bool) -> None:
    """Mark the parents of all that are marked, their parents, and so on.

    Args:
        births: (n,) birth numbers, growing.
        parents: (n,) that of each one's parent, less than its own; of one that is not here, or negative, nothing is marked.
        marked: (n,) from whom to start; written.
    """
    for k in range(births.size - 1, -1, -1):
        parent = parents[k]
        if not marked[k] or parent < births[0]:
            continue
        low, high = 0, k
        while low < high:
            middle = (low + high) // 2
            if births[middle] < parent:
                low = middle + 1
            else:
                high = middle
        if births[low] == parent:
            marked[low] = True
