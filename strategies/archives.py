"""The cells of a MAP-Elites archive: a grid, or a centroidal Voronoi tessellation (CVT)."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Protocol

import numpy as np

from tweann.errors import ConfigError
from tweann.genes import Bool, Float, Int
from tweann.kernels.archive import NOT_FINITE, REJECTED, grid_cells
from tweann.kernels.centroids import move_centroids, nearest_centroids

#: Lloyd's algorithm ends after that many rounds, or when no centroid moves by this much of the bounds' range.
_ROUNDS, _STILL = 100, 1e-4


class Cells(Protocol):
    """A division of descriptor space into numbered cells."""

    n_cells: int

    def of(self, descriptor: Float) -> Int:
        """Return the cell of each descriptor, (n, d), or `NOT_FINITE` or `REJECTED`."""
        ...

    def centres(self, cells: Int) -> Float:
        """Return (n, d) the middle of each cell."""
        ...

    def places(self, cells: Int) -> Int:
        """Return (n, k) where each cell stands: of a grid in each dimension, of a tessellation its centroid."""
        ...


class Grid:
    """Cells of equal size, numbered with the last dimension first.

    Args:
        low, high: (d,) bounds.
        bins: (d,) of each dimension.
        clip: what is out of bounds belongs to the cell at the bound; otherwise to none.
    """

    def __init__(self, low: Float, high: Float, bins: tuple[int, ...], clip: bool) -> None:
        self.n_cells = math.prod(bins)
        self._low, self._high, self._clip = low, high, clip
        self._bins: Int = np.array(bins, dtype=np.int64)

    def of(self, descriptor: Float) -> Int:
        cells = np.empty(len(descriptor), np.int64)
        grid_cells(descriptor, self._low, self._high, self._bins, self._clip, cells)
        return cells

    def centres(self, cells: Int) -> Float:
        width = (self._high - self._low) / self._bins
        centres: Float = self._low + (self.places(cells) + 0.5) * width
        return centres

    def places(self, cells: Int) -> Int:
        return np.stack(np.unravel_index(cells, tuple(self._bins.tolist())), axis=1)


class Voronoi:
    """Cells of equal share: each descriptor belongs to the nearest of the centroids.

    Args:
        low, high: (d,) bounds.
        n_cells, n_samples, seed: as for `centroids`.
        clip: what is out of bounds counts as on the bound; otherwise it belongs to no cell.
    """

    def __init__(
        self, low: Float, high: Float, n_cells: int, n_samples: int, seed: int, clip: bool
    ) -> None:
        self.n_cells = n_cells
        self._low, self._high, self._clip = low, high, clip
        self.centroids = centroids(n_cells, low.size, n_samples, seed)  # in the unit cube

    def of(self, descriptor: Float) -> Int:
        finite: Bool = np.asarray(np.isfinite(descriptor).all(axis=1))
        inside = np.clip(np.where(finite[:, None], descriptor, self._low), self._low, self._high)
        cells = np.empty(len(descriptor), np.int64)
        nearest_centroids((inside - self._low) / (self._high - self._low), self.centroids, cells)
        if not self._clip:
            outside = (descriptor < self._low) | (descriptor > self._high)
            cells[np.any(outside, axis=1)] = REJECTED
        cells[~finite] = NOT_FINITE
        return cells

    def centres(self, cells: Int) -> Float:
        centres: Float = self._low + self.centroids[cells] * (self._high - self._low)
        return centres

    def places(self, cells: Int) -> Int:
        return cells[:, None]


@lru_cache(maxsize=4)
def centroids(n_cells: int, d: int, n_samples: int, seed: int) -> Float:
    """Return (n_cells, d) centroids of the unit cube, ascending in the first coordinate.

    Kept for the process's later runs; it takes 0.1 s for 1,000 cells in two dimensions.

    Args:
        n_cells: how many.
        d: dimensions.
        n_samples: points that Lloyd's algorithm shares out, n_cells or more.
        seed: the same centroids for the same seed, whatever the run's.
    """
    points = np.random.Generator(np.random.PCG64(seed)).random((n_samples, d))
    found = points[:n_cells].copy()
    nearest = np.empty(n_samples, np.int64)
    sums, counts = np.empty((n_cells, d)), np.empty(n_cells, np.int64)
    for _ in range(_ROUNDS):
        found = _sorted(found)
        nearest_centroids(points, found, nearest)
        if move_centroids(points, nearest, found, sums, counts) < _STILL:
            break
    found = _sorted(found)
    found.setflags(write=False)
    return found


def _sorted(points: Float) -> Float:
    return np.ascontiguousarray(points[np.lexsort(points.T[::-1])])


def check_cells(n_cells: int, cap: int, what: str, remedy: str) -> None:
    """Raise `ConfigError` where an archive has more cells than the cap, before anything is made.

    Args:
        n_cells: of the archive. cap: ``strategy.max_cells``.
        what: what makes it so many, for the message. remedy: what else could be changed.
    """
    if n_cells > cap:
        raise ConfigError(
            f"an archive of {what} has {n_cells:,} cells, and strategy.max_cells = {cap:,} is the cap: {remedy}, "
            f"or raise strategy.max_cells (an elite may be kept for every cell)"
        )
