"""Decoding, a slice of genomes at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from networks import FIFTY, TWO_HUNDRED, Size, random_genome, slice_of
from numpy.random import Generator

from tweann.network import decode_genomes

Per = Callable[[Callable[[], object], int, str], None]


@pytest.mark.parametrize("recurrent", [False, True], ids=["feed-forward", "recurrent"])
@pytest.mark.parametrize(
    "size", [Size(1, 2, 2, 2, 1), FIFTY, TWO_HUNDRED], ids=lambda size: f"{size.hidden}-nodes"
)
def test_decode(per: Per, rng: Generator, size: Size, recurrent: bool) -> None:
    networks = slice_of([random_genome(rng, size, recurrent=recurrent) for _ in range(100)])
    genes, blocks, layout = networks.genes, networks.blocks, networks.layout
    per(lambda: decode_genomes(genes, blocks, layout), 100, "genome")
