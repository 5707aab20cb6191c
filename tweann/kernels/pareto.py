"""Pareto dominance: fronts, crowding and hypervolume. Objectives are maximised; NaN is worse than all else.

Source: Deb, Pratap, Agarwal & Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II" (IEEE
Transactions on Evolutionary Computation 6:2, 2002), sections III-A and III-B.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tweann.genes import Float, Int
from tweann.kernels._jit import kernel
from tweann.kernels.sorting import sort_descending


class Fronts(NamedTuple):
    """What sorting into fronts writes, and works in: (n,) each."""

    rank: Int  #: 0 for the best front
    crowding: Float  #: infinite at the ends of a front
    order: Int  #: rows from the best to the worst: by rank, then by crowding, then as they came
    scratch: Int
    members: Int
    values: Float


@kernel
def dominates(objectives: Float, a: int, b: int) -> bool:
    """Return whether row ``a`` is no worse than row ``b`` in all, and better in one.

    Args:
        objectives: (n, m) without NaN.
        a, b: rows.
    """
    better = False
    for k in range(objectives.shape[1]):
        if objectives[a, k] < objectives[b, k]:
            return False
        better |= objectives[a, k] > objectives[b, k]
    return better


@kernel
def rank_fronts(objectives: Float, rank: Int, count: Int) -> int:
    """Write the front of each row, and return how many fronts there are.

    Counts of dominating rows are peeled off front by front; pairs are compared twice rather than kept, so that
    memory is O(n).

    Args:
        objectives: (n, m) without NaN; -inf for a failure.
        rank: (n,) written, 0 for rows that nobody dominates.
        count: (n,) to work in.

    Cost: O(m n²).
    """
    n = objectives.shape[0]
    for i in range(n):
        count[i] = 0
        rank[i] = -1
    for i in range(n):
        for j in range(i):
            if dominates(objectives, i, j):
                count[j] += 1
            elif dominates(objectives, j, i):
                count[i] += 1
    front, left = 0, n
    while left > 0:
        for i in range(n):
            if rank[i] < 0 and count[i] == 0:
                rank[i] = front
                left -= 1
        for i in range(n):
            if rank[i] == front:
                for j in range(n):
                    if rank[j] < 0 and dominates(objectives, i, j):
                        count[j] -= 1
        front += 1
    return front


@kernel
def crowd_front(
    objectives: Float, members: Int, out: Float, values: Float, order: Int, scratch: Int
) -> None:
    """Write the crowding distance of each member of a front.

    Args:
        objectives: (n, m).
        members: (k,) rows of one front.
        out: (n,) written at the members: the sum over objectives of the gap between the neighbours on either side,
            over the front's range; infinite for the extremes of an objective.
        values, order, scratch: (>= k,) to work in.

    Source: Deb et al. (2002), crowding-distance-assignment. Of members with the same objectives the first counts as
    the nearer to the better end.
    """
    k = members.size
    for i in range(k):
        out[members[i]] = 0.0
    for m in range(objectives.shape[1]):
        for i in range(k):
            values[i] = objectives[members[i], m]
        sort_descending(values[:k], order[:k], scratch[:k])
        best, worst = values[order[0]], values[order[k - 1]]
        out[members[order[0]]] = np.inf
        out[members[order[k - 1]]] = np.inf
        span = best - worst
        if not 0.0 < span < np.inf:
            continue
        for i in range(1, k - 1):
            gap = (values[order[i - 1]] - values[order[i + 1]]) / span
            out[members[order[i]]] += gap


@kernel
def sort_fronts(objectives: Float, f: Fronts) -> int:
    """Rank rows by front and crowding; return how many fronts there are.

    Args:
        objectives: (n, m); NaN in any makes a row a failure, worse than all others. They are written as -inf.
        f: written.
    """
    n = objectives.shape[0]
    for i in range(n):
        failed = False
        for m in range(objectives.shape[1]):
            failed |= np.isnan(objectives[i, m])
        if failed:
            for m in range(objectives.shape[1]):
                objectives[i, m] = -np.inf
    fronts = rank_fronts(objectives, f.rank, f.scratch)
    start = 0
    for front in range(fronts):
        stop = start
        for i in range(n):
            if f.rank[i] == front:
                f.members[stop] = i
                stop += 1
        members = f.members[start:stop]
        crowd_front(objectives, members, f.crowding, f.values, f.order[start:stop], f.scratch)
        for i in range(stop - start):
            f.values[i] = f.crowding[members[i]]
        # positions within the front first, then the rows that stand there
        sort_descending(f.values[: stop - start], f.order[start:stop], f.scratch)
        for i in range(start, stop):
            f.order[i] = f.members[start + f.order[i]]
        start = stop
    return fronts


@kernel
def hypervolume_2d(
    objectives: Float, reference: Float, order: Int, scratch: Int, values: Float
) -> float:
    """Return the area that rows dominate above a reference point.

    Args:
        objectives: (n, 2), maximised.
        reference: (2,) the worst values that count; rows that are not above both add nothing.
        order, scratch: (n,) to work in. values: (n,) to work in.

    Source: Zitzler & Thiele, "Multiobjective optimization using evolutionary algorithms" (PPSN V, 1998).
    """
    n = objectives.shape[0]
    for i in range(n):
        good = objectives[i, 0] > reference[0] and objectives[i, 1] > reference[1]
        values[i] = objectives[i, 0] if good else -np.inf
    sort_descending(values, order, scratch)
    area, height = 0.0, reference[1]
    for i in range(n):
        row = order[i]
        if values[row] == -np.inf:
            break
        if objectives[row, 1] > height:
            area += (objectives[row, 0] - reference[0]) * (objectives[row, 1] - height)
            height = objectives[row, 1]
    return area
