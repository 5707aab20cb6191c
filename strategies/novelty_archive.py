"""The archive of novelty search: where others have been."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.random import Generator

from tweann.genes import Float
from tweann.kernels import neighbours
from tweann.workers import Workers


class NoveltyArchive:
    """Descriptors of the past, and what fitness went with them, oldest first; genomes are not kept.

    Args:
        d: dimensions of a descriptor.
        cap: entries at most.

    Attributes:
        descriptor: (n, d) scaled.
        fitness: (n,).
    """

    def __init__(self, d: int, cap: int) -> None:
        self._cap = cap
        self.descriptor: Float = np.zeros((0, d))
        self.fitness: Float = np.zeros(0)

    def add(
        self,
        descriptor: Float,
        fitness: Float,
        eviction: Literal["oldest", "least_novel", "random"],
        k: int,
        rng: Generator,
    ) -> None:
        """Add entries; where there are too many, some leave, perhaps new ones.

        Args:
            descriptor: (m, d) finite. fitness: (m,).
            eviction: which leave: the oldest, those with the nearest neighbours in the archive, or any.
            k: neighbours that count for ``least_novel``.
            rng: for ``random``.
        """
        points = np.concatenate((self.descriptor, descriptor))
        values = np.concatenate((self.fitness, fitness))
        excess = values.size - self._cap
        if excess > 0:
            if eviction == "oldest":
                leaves = np.arange(excess)
            elif eviction == "random":
                leaves = rng.permutation(values.size)[:excess]
            else:
                novelty, _ = measure(points, values, values.size, k, Workers())
                leaves = np.argsort(novelty, kind="stable")[:excess]
            stays = np.ones(values.size, np.bool_)
            stays[leaves] = False
            points, values = points[stays], values[stays]
        self.descriptor, self.fitness = points, values


def measure(points: Float, fitness: Float, n: int, k: int, workers: Workers) -> tuple[Float, Float]:
    """Return novelty and local competition of the first ``n`` points among all.

    Args:
        points: (p, d) finite. fitness: (p,) not NaN.
        n: how many are asked for.
        k: neighbours.
        workers: threads; slices do not change results.

    Returns:
        (n,) mean distance to the k nearest; (n,) share of these with less fitness.
    """
    novelty, local = np.empty(n), np.empty(n)

    def measure_slice(start: int, stop: int) -> None:
        distances, nearest = np.empty(k), np.empty(k, np.int64)
        neighbours.novelty(points, fitness, k, start, stop, distances, nearest, novelty, local)

    workers.run("measure", measure_slice, n)
    return novelty, local
