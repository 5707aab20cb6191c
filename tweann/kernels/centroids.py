"""Centroids that share out a box: the cells of a CVT archive.

Source: Vassiliades, Chatzilygeroudis & Mouret, "Using centroidal Voronoi tessellations to scale up the
multidimensional archive of phenotypic elites algorithm" (IEEE Trans. Evol. Comp. 22:4, 2018); the tessellation is
Lloyd's algorithm on points drawn uniformly.
"""

from __future__ import annotations

import numpy as np

from tweann.genes import Float, Int
from tweann.kernels._jit import kernel


@kernel
def nearest_centroid(x: Float, centroids: Float) -> int:
    """Return the centroid nearest to ``x``, of equally near ones the first.

    Args:
        x: (d,) finite.
        centroids: (m, d), m >= 1, ascending in the first coordinate.

    From where ``x`` would stand in that order it looks both ways, until the first coordinate alone is further
    away than the best: some √m centroids in two dimensions instead of m.
    """
    m, d = centroids.shape
    low, high = 0, m
    while low < high:
        middle = (low + high) >> 1
        if centroids[middle, 0] < x[0]:
            low = middle + 1
        else:
            high = middle
    best = np.inf
    found: int = m
    up, down = low, low - 1
    while up < m or down >= 0:
        for side in range(2):
            i = up if side == 0 else down
            if i < 0 or i >= m:
                continue
            gap = centroids[i, 0] - x[0]
            total = gap * gap
            if total > best:  # as are all beyond
                if side == 0:
                    up = m
                else:
                    down = -1
                continue
            for j in range(1, d):
                e = centroids[i, j] - x[j]
                total += e * e
            if total < best or (total == best and i < found):
                best, found = total, i
            if side == 0:
                up += 1
            else:
                down -= 1
    return found


@kernel
def nearest_centroids(points: Float, centroids: Float, out: Int) -> None:
    """Write the nearest centroid of each point, (n,), by `nearest_centroid`."""
    for k in range(out.size):
        out[k] = nearest_centroid(points[k], centroids)


@kernel
def move_centroids(
    points: Float, nearest: Int, centroids: Float, sums: Float, counts: Int
) -> float:
    """Move each centroid to the mean of the points that are nearest to it; return the furthest move.

    Args:
        points: (n, d).
        nearest: (n,) the centroid of each.
        centroids: (m, d), changed; one without points stays.
        sums: (m, d) room. counts: (m,) room.

    Returns:
        The largest distance moved.
    """
    m, d = centroids.shape
    for i in range(m):
        counts[i] = 0
        for j in range(d):
            sums[i, j] = 0.0
    for k in range(nearest.size):
        i = nearest[k]
        counts[i] += 1
        for j in range(d):
            sums[i, j] += points[k, j]
    furthest = 0.0
    for i in range(m):
        if counts[i] == 0:
            continue
        moved = 0.0
        for j in range(d):
            mean = sums[i, j] / counts[i]
            moved += (mean - centroids[i, j]) ** 2
            centroids[i, j] = mean
        furthest = max(furthest, moved)
    return float(np.sqrt(furthest))
