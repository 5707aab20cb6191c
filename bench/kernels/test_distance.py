"""Compatibility distance, of relatives and of strangers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from breeding import family
from networks import FIFTY_SPARSE, layout_for, random_genome, table_of
from numpy.random import Generator

from tweann.kernels.distance import DistanceCoefficients, distances

Per = Callable[[Callable[[], object], int, str], None]
N = 50


@pytest.mark.parametrize("related", [True, False], ids=["relatives", "strangers"])
def test_distance(per: Per, rng: Generator, related: bool) -> None:
    if related:
        genomes = family(rng, FIFTY_SPARSE, N)
    else:
        genomes = [random_genome(rng, FIFTY_SPARSE) for _ in range(N)]
    genes, blocks = table_of(genomes, layout_for(genomes))
    coefficients, out = DistanceCoefficients(1.0, 0.4, 20), np.empty((N, N))
    per(lambda: distances(genes, blocks, blocks, coefficients, out), N * N, "pair")
