"""Who leaves for another island: a choice among rows, for the bridge and for islands in one process."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from tweann.genes import Float, Int, Origin
from tweann.kernels.distance import DistanceCoefficients
from tweann.pool import PoolView

_IMMIGRANT = int(Origin.IMMIGRANT)


def bred_here(pool: PoolView, rows: Int) -> Int:
    """Return those rows whose genomes were not immigrants themselves: a migrant does not migrate again."""
    found: Int = rows[pool.origin[rows] != _IMMIGRANT]
    return found


def best(pool: PoolView, rows: Int, n: int) -> Int:
    """Return the ``n`` fittest of the rows, failures last; of equals those that stand first."""
    fitness = pool.fitness[rows]
    order = np.argsort(-np.where(np.isnan(fitness), -np.inf, fitness), kind="stable")
    return rows[order[:n]]


def draw(rows: Int, n: int, rng: Generator) -> Int:
    """Return ``n`` of the rows, any."""
    return rng.permutation(rows)[:n]


def most_diverse(pool: PoolView, rows: Int, n: int, c: DistanceCoefficients) -> Int:
    """Return ``n`` of the rows: the first, then again and again the one that is farthest from those chosen.

    Source: Gonzalez, "Clustering to minimize the maximum intercluster distance" (1985): at most twice as bad as
    the best choice. Cost: n distances to all rows.
    """
    if rows.size <= n:
        return rows
    chosen = [0]
    nearest = pool.distances(rows, pool, rows[:1], c)[:, 0]
    while len(chosen) < n:
        k = int(np.argmax(nearest))
        if nearest[k] <= 0.0:
            break
        chosen.append(k)
        nearest = np.minimum(nearest, pool.distances(rows, pool, rows[k : k + 1], c)[:, 0])
    return rows[chosen]


def one_a_cell(
    pool: PoolView, rows: Int, n: int, low: Float, high: Float, cells: int, rng: Generator
) -> Int:
    """Return up to ``n`` of the rows from different cells of the descriptor space, the first of each cell.

    Args:
        pool: with a ``descriptor``, (n_rows, d).
        rows: the best first.
        n: how many.
        low, high: (d,) ranges of the descriptor.
        cells: of each dimension.
        rng: draws the cells.
    """
    width = np.where(high > low, high - low, 1.0)
    share = np.nan_to_num((pool.descriptor[rows] - low) / width)
    index = (np.clip(share, 0.0, 1.0) * cells).astype(np.int64).clip(0, cells - 1)
    _, first = np.unique(index, axis=0, return_index=True)
    chosen: Int = rows[rng.permutation(first)[:n]]
    return chosen
