"""Crossover: the child of two genomes."""

from __future__ import annotations

import math

import numpy as np
import reference_variation as twins
from genomes import PROPERTY, genomes, pack, random_genome, relatives, table_bytes, unpack
from hypothesis import given
from hypothesis import strategies as st
from reference import Genome, Stream, assert_valid

from tweann.kernels.crossover import crossover

EXTRA = (1, 2)
PARENTS = relatives(n_extra=EXTRA)
KEYS = st.integers(0, 2**64 - 1)
RATES = st.sampled_from([0.0, 0.5, 0.75, 1.0])


def child_of(a: Genome, b: Genome, rate: float, key: int) -> tuple[Genome, int]:
    """Return the child and the state of the stream after it."""
    genes, blocks, free = pack([a, b], n_extra=EXTRA if a.nodes[0].extra else (0, 0))
    rng = np.array([key], np.uint64)
    crossover(genes, blocks[0], blocks[1], free[0], rate, rng)
    return unpack(genes, free[0]), int(rng[0])


@PROPERTY
@given(PARENTS, RATES, KEYS)
def test_the_child_is_the_twins(parents: list[Genome], rate: float, key: int) -> None:
    a, b = parents
    stream = Stream(key)
    expected = twins.crossover(a, b, rate, stream)
    assert child_of(a, b, rate, key) == (expected, stream.state)


@PROPERTY
@given(PARENTS, KEYS)
def test_the_child_is_valid_and_has_the_dominant_parents_structure(
    parents: list[Genome], key: int
) -> None:
    a, b = parents
    child, _ = child_of(a, b, 0.75, key)
    assert_valid(child, 3, 2)
    assert child.nodes == a.nodes
    assert [(c.source, c.target) for c in child.connections] == [
        (c.source, c.target) for c in a.connections
    ]


@PROPERTY
@given(PARENTS, RATES, KEYS)
def test_every_gene_is_inherited_whole_from_one_parent(
    parents: list[Genome], rate: float, key: int
) -> None:
    a, b = parents
    child, _ = child_of(a, b, rate, key)
    for gene in child.connections:
        matching = [p.connection(gene.source, gene.target) for p in (a, b)]
        there = [c for c in matching if c is not None]
        assert (gene.weight, gene.extra) in [(c.weight, c.extra) for c in there]
        if all(c.enabled for c in there):
            assert gene.enabled
        elif rate == 1.0:
            assert not gene.enabled
        elif rate == 0.0:
            assert gene.enabled


@PROPERTY
@given(genomes(n_extra=EXTRA), KEYS)
def test_a_genome_crossed_with_itself_is_itself(genome: Genome, key: int) -> None:
    assert child_of(genome, genome, 1.0, key)[0] == genome


@PROPERTY
@given(PARENTS, KEYS)
def test_parents_and_bystanders_stay_as_they_are(parents: list[Genome], key: int) -> None:
    genes, blocks, free = pack(parents, n_free=2, n_extra=EXTRA)
    before = table_bytes(genes, without=free[:1])
    crossover(genes, blocks[0], blocks[1], free[0], 0.75, np.array([key], np.uint64))
    assert table_bytes(genes, without=free[:1]) == before


def test_matching_genes_come_from_either_parent_with_one_half() -> None:
    """ "The matching genes are inherited randomly" (Stanley & Miikkulainen 2002, figure 4): 4 standard
    errors of 40,000 fair coins."""
    a = random_genome(1, 20, 200)
    for c in a.connections:
        c.weight, c.enabled = 1.0, True
    b = a.copy()
    for c in b.connections:
        c.weight = -1.0
    n = from_a = 0
    for key in range(200):
        child, _ = child_of(a, b, 0.75, key)
        n += len(child.connections)
        from_a += sum(c.weight == 1.0 for c in child.connections)
    assert n == 40_000
    assert abs(from_a - n / 2) < 4.0 * math.sqrt(n / 4)


def test_a_gene_disabled_in_either_parent_is_disabled_with_three_quarters() -> None:
    """ "There was a 75% chance that an inherited gene was disabled if it was disabled in either parent"
    (Stanley & Miikkulainen 2002, section 4.1): disabled in a, in b, in both, in neither; 4 standard errors."""
    a = random_genome(1, 20, 200)
    b = a.copy()
    for i, (x, y) in enumerate(zip(a.connections, b.connections, strict=True)):
        x.enabled, y.enabled = i % 4 in (1, 3), i % 4 in (2, 3)
    disabled = [0, 0, 0, 0]
    for key in range(200):
        child, _ = child_of(a, b, 0.75, key)
        for i, c in enumerate(child.connections):
            disabled[i % 4] += not c.enabled
    assert disabled[3] == 0
    for count in disabled[:3]:
        assert abs(count - 7_500) < 4.0 * math.sqrt(10_000 * 0.75 * 0.25)
