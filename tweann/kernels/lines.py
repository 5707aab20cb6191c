"""Births and deaths: who was not selected, and who is on the line of somebody."""

from __future__ import annotations

from tweann.genes import Bool, Int
from tweann.kernels._jit import kernel


@kernel
def follow_selection(
    before: Int,
    told: Int,
    index: Int,
    species: Int,
    first: int,
    stays: Bool,
    of_children: Int,
    died: Int,
) -> int:
    """Write the species of the children, and the birth numbers of those who were not selected; return how many these are.

    Args:
        before: (m,) birth numbers of the pool's rows.
        told: (n,) of the children that were told.
        index: who stays, of ``before`` and behind it ``told``.
        species: of those who stay.
        first: birth number of the first child of the brood.
        stays: (>= m + n,) scratch.
        of_children: (children of the brood,) written: -1 for those who were not selected.
        died: (>= m + n,) written.
    """
    m, total = before.size, before.size + told.size
    for k in range(total):
        stays[k] = False
    for k in range(of_children.size):
        of_children[k] = -1
    for k in range(index.size):
        stays[index[k]] = True
        if index[k] >= m:
            of_children[told[index[k] - m] - first] = species[k]
    n_died = 0
    for k in range(total):
        if not stays[k]:
            died[n_died] = before[k] if k < m else told[k - m]
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
