"""Speciation: which genomes are of a kind."""

from __future__ import annotations

import numpy as np

from tweann.genes import Int
from tweann.kernels.distance import DistanceCoefficients, first_compatible, found_species
from tweann.pool import GenomePool


def assign_species(
    pool: GenomePool,
    blocks: Int,
    representatives: Int,
    threshold: float,
    max_species: int,
    c: DistanceCoefficients,
) -> tuple[Int, Int]:
    """Put each genome into the first species whose representative is closer than ``threshold``.

    A genome that fits none founds a species, which later genomes may join.

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
    genes = pool.genes

    def assign_slice(start: int, stop: int) -> None:
        first_compatible(
            genes, blocks[start:stop], representatives, threshold, c, species[start:stop]
        )

    if representatives.size:
        pool.workers.run(assign_slice, blocks.size)
    else:
        species[:] = -1
    founders = np.empty(blocks.size, np.int64)
    n = found_species(
        genes, blocks, representatives.size, threshold, max_species, c, founders, species
    )
    return species, founders[:n]
