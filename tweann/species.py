"""Speciation: which genomes are of a kind."""

from __future__ import annotations

from typing import Final

import numpy as np

from tweann.genes import Int
from tweann.kernels.distance import (
    SIGNATURE,
    DistanceCoefficients,
    distances,
    first_compatible,
    found_species,
)
from tweann.pool import GenomePool

_NOBODY: Final = np.zeros(0, np.int64)


def assign_species(
    pool: GenomePool,
    blocks: Int,
    representatives: Int,
    threshold: float,
    max_species: int,
    c: DistanceCoefficients,
) -> tuple[Int, Int]:
    """Put each genome into the first species whose representative is closer than ``threshold``.

    A genome that fits none founds a species, which later genomes may join; with ``max_species`` it joins the
    nearest, of equally near ones the first.

    Args:
        pool: where the genomes are.
        blocks: (n,) genomes to assign.
        representatives: (m,) blocks, one a species, in the order in which species are tried.
        threshold: compatibility distance, > 0.
        max_species: cap on all species together.
        c: coefficients of the distance.

    Returns:
        (n,) the position of each genome's species, those from m on being new; and the positions in ``blocks`` of
        the founders of the new ones.

    Source: Stanley & Miikkulainen (2002), section 3.3.
    """
    species = np.empty(blocks.size, np.int64)
    genes, n_unfit = pool.genes, list[int]()

    def assign_slice(start: int, stop: int) -> None:
        room = np.empty((representatives.size + 1, SIGNATURE), np.uint64)
        part, out = blocks[start:stop], species[start:stop]
        n_unfit.append(first_compatible(genes, part, representatives, threshold, c, room, out))

    if representatives.size:
        pool.workers.run("assign", assign_slice, blocks.size)
        if not any(n_unfit):
            return species, _NOBODY
    else:
        species[:] = -1
    unfit = species < 0
    founders = np.empty(blocks.size, np.int64)
    n = found_species(
        genes, blocks, representatives.size, threshold, max_species, c, founders, species
    )
    founders = founders[:n]
    if representatives.size + n >= max_species:
        # The kernel knew founders only. Rare, so a whole matrix of distances will do.
        rest = np.flatnonzero(unfit)
        kinds = np.concatenate((representatives, blocks[founders]))
        distance = np.empty((rest.size, kinds.size))
        distances(genes, blocks[rest], kinds, c, distance)
        far = distance.min(axis=1, initial=np.inf) >= threshold
        species[rest[far]] = distance[far].argmin(axis=1)
    return species, founders
