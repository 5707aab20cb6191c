"""A generation without evaluation: parents chosen, children bred, put into species, kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from breeding import Reproduction, family
from networks import FIFTY_SPARSE
from numpy.random import Generator

Per = Callable[[Callable[[], object], int, str], None]


@pytest.mark.parametrize("threads", [1, 2])
def test_reproduce_and_speciate(per: Per, rng: Generator, threads: int) -> None:
    genomes = [genome for _ in range(10) for genome in family(rng, FIFTY_SPARSE, 100)]
    reproduction = Reproduction(genomes, rng, threads)
    per(reproduction.advance, len(genomes), "child")
    reproduction.close()
