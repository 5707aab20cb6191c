"""Speciation: a population against the representatives of ten species."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from breeding import family
from networks import FIFTY_SPARSE, layout_for
from numpy.random import Generator

from tweann.kernels.distance import DistanceCoefficients
from tweann.pool import GenomePool
from tweann.species import assign_species
from tweann.workers import Workers

Per = Callable[[Callable[[], object], int, str], None]


@pytest.mark.parametrize("threads", [1, 2])
def test_assign_species(per: Per, rng: Generator, threads: int) -> None:
    genomes = [genome for _ in range(10) for genome in family(rng, FIFTY_SPARSE, 100)]
    workers = Workers(threads)
    pool = GenomePool(layout_for(genomes), workers=workers)
    blocks = pool.insert(genomes)
    coefficients = DistanceCoefficients(1.0, 0.4, 20)

    def assign() -> None:
        species, founders = assign_species(pool, blocks, blocks[::100], 1.5, 100, coefficients)
        assert founders.size == 0
        assert species.max() == 9

    per(assign, len(genomes), "genome")
    workers.close()
