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


class Front(NamedTuple):
    """Where the members of a front are counted, at most n at a time."""

    value: Float  #: (m, n) objectives of the members
    before: Int  #: (m, n) the next better member in an objective, or -1
    after: Int  #: (m, n) the next worse
    scale: Float  #: (m,) one over the span
    gap: Float  #: (n,) of those that are left
    order: Int  #: (n,)
    scratch: Int  #: (n,)


class Fronts(NamedTuple):
    """What sorting into fronts writes, and works in: (n,) each."""

    rank: Int  #: 0 for the best front
    crowding: Float  #: infinite at the ends of a front
    order: Int  #: rows from the best to the worst: by rank, then by crowding, then as they came
    scratch: Int
    members: Int
    values: Float
    front: Front


def make_fronts(n: int, n_objectives: int) -> Fronts:
    """Return room for ``n`` rows."""
    i, f = np.int64, np.float64
    front = Front(
        np.empty((n_objectives, n), f),
        np.empty((n_objectives, n), i),
        np.empty((n_objectives, n), i),
        np.empty(n_objectives, f),
        np.empty(n, f),
        np.empty(n, i),
        np.empty(n, i),
    )
    return Fronts(
        np.empty(n, i),
        np.zeros(n, f),
        np.empty(n, i),
        np.empty(n, i),
        np.empty(n, i),
        np.empty(n, f),
        front,
    )


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
def demote_copies(objectives: Float, rank: Int, fronts: int) -> bool:
    """Move rows whose objectives an earlier row has to a front of their own behind all; return whether there are any.

    Copies would fill the best front without adding to it, and hide from crowding how dense a place is.

    Args:
        objectives: (n, m) without NaN.
        rank: (n,) fronts, changed.
        fronts: how many there are.
    """
    found = False
    for i in range(objectives.shape[0]):
        for j in range(i):
            if rank[j] != rank[i]:
                continue
            same = True
            for k in range(objectives.shape[1]):
                same &= objectives[i, k] == objectives[j, k]
            if same:
                rank[i] = fronts
                found = True
                break
    return found


@kernel
def gap_of(i: int, front: Front) -> float:
    """Return the crowding distance of member ``i``: over objectives, the gap between its neighbours, by the span."""
    total = 0.0
    for m in range(front.value.shape[0]):
        before, after = front.before[m, i], front.after[m, i]
        if before < 0 or after < 0:
            return np.inf
        total += (front.value[m, before] - front.value[m, after]) * front.scale[m]
    return total


@kernel
def crowd_front(objectives: Float, members: Int, out: Float, front: Front) -> None:
    """Write how crowded each member of a front is: its crowding distance when it is the most crowded one left.

    The most crowded member is taken out, and its neighbours count anew, until only the ends of the objectives are left.
    So whoever takes the first few in descending order gets an even spread; with all distances counted once, a whole
    cluster goes at a time.

    Args:
        objectives: (n, m) without NaN.
        members: (k,) rows of one front.
        out: (n,) written at the members; infinite for the first and the last in an objective.
        front: to work in.

    Source: Kukkonen & Deb, "Improved pruning of non-dominated solutions based on crowding distance for bi-objective
    optimization problems" (CEC 2006); the distance is that of Deb et al. (2002). Cost: O(k² + m k log k).
    """
    k, n_objectives = members.size, objectives.shape[1]
    order, scratch = front.order[:k], front.scratch[:k]
    for m in range(n_objectives):
        for i in range(k):
            front.value[m, i] = objectives[members[i], m]
        sort_descending(front.value[m, :k], order, scratch)
        for at in range(k):
            front.before[m, order[at]] = order[at - 1] if at > 0 else -1
            front.after[m, order[at]] = order[at + 1] if at < k - 1 else -1
        span = front.value[m, order[0]] - front.value[m, order[k - 1]]
        front.scale[m] = 1.0 / span if 0.0 < span < np.inf else 0.0
        if (
            front.scale[m] == 0.0
        ):  # failures, or all alike: differences of infinities would be no numbers
            for i in range(k):
                front.value[m, i] = 0.0
    for i in range(k):
        front.gap[i] = gap_of(i, front)
        out[members[i]] = np.inf
    while True:
        most = -1
        for i in range(k):
            if front.gap[i] < np.inf and (most < 0 or front.gap[i] <= front.gap[most]):
                most = i
        if most < 0:
            break
        out[members[most]] = front.gap[most]
        front.gap[most] = np.inf
        for m in range(n_objectives):
            before, after = front.before[m, most], front.after[m, most]
            front.after[m, before], front.before[m, after] = after, before
        for m in range(n_objectives):
            for i in (front.before[m, most], front.after[m, most]):
                if out[members[i]] == np.inf:
                    front.gap[i] = gap_of(i, front)


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
    if demote_copies(objectives, f.rank, fronts):
        fronts += 1
    start = 0
    for front in range(fronts):
        stop = start
        for i in range(n):
            if f.rank[i] == front:
                f.members[stop] = i
                stop += 1
        members = f.members[start:stop]
        crowd_front(objectives, members, f.crowding, f.front)
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
