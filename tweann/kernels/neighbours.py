"""Nearest neighbours among descriptors, exact: every distance is computed.

For some 50,000 points that is quicker than building and asking a tree.
"""

from __future__ import annotations

import numpy as np

from tweann.genes import Float, Int
from tweann.kernels._jit import kernel


@kernel
def novelty(
    points: Float,
    fitness: Float,
    k: int,
    start: int,
    stop: int,
    distances: Float,
    nearest: Int,
    out: Float,
    out_local: Float,
) -> None:
    """Write how far each of the points ``start`` to ``stop`` is from its ``k`` nearest among all others.

    Args:
        points: (p, d) finite.
        fitness: (p,) not NaN.
        k: >= 1; with fewer other points it is all of them.
        start, stop: which points are asked for.
        distances, nearest: (k,) room.
        out: (p,) written from start to stop: the mean distance to the neighbours, 0 without any.
        out_local: (p,) likewise: the share of the neighbours with less fitness, 0 without any.

    Of equally near points the first are neighbours.
    Source: Lehman & Stanley (2011), eq. 1; local competition: Lehman & Stanley, "Evolving a diversity of virtual
    creatures through novelty search and local competition" (GECCO 2011).
    """
    n, d = points.shape
    for q in range(start, stop):
        found = 0
        worst = np.inf
        for i in range(n):
            total = 0.0
            for j in range(d):
                e = points[i, j] - points[q, j]
                total += e * e
            if total >= worst or i == q:
                continue
            at = found if found < k else k - 1
            while at > 0 and distances[at - 1] > total:
                distances[at], nearest[at] = distances[at - 1], nearest[at - 1]
                at -= 1
            distances[at], nearest[at] = total, i
            found = min(found + 1, k)
            if found == k:
                worst = distances[k - 1]
        mean, less = 0.0, 0
        for i in range(found):
            mean += np.sqrt(distances[i])
            less += fitness[nearest[i]] < fitness[q]
        out[q] = mean / found if found > 0 else 0.0
        out_local[q] = less / found if found > 0 else 0.0
