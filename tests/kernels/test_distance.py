"""Compatibility distance and what speciation makes of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import reference_variation as twins
from genomes import PROPERTY, genomes, pack, random_genome, relatives, table_bytes
from hypothesis import given
from hypothesis import strategies as st
from reference import FIRST_OUTPUT, Connection, Genome, Node

from tweann.kernels.distance import (
    SIGNATURE,
    DistanceCoefficients,
    compatibility_distance,
    differing_bits,
    distances,
    first_compatible,
    found_species,
    sign,
)

PAIRS = relatives() | st.lists(genomes(missing=True), min_size=2, max_size=2)
#: Weights whose differences add up without rounding, so that a threshold decides alike everywhere.
COARSE = st.integers(-8, 8).map(lambda i: i / 4.0)
COEFFICIENTS = st.builds(
    DistanceCoefficients,
    c1=st.sampled_from([0.0, 1.0, 1.5]),
    c3=st.sampled_from([0.0, 0.4, 3.0]),
    small_genome=st.sampled_from([0, 5, 20]),
)


def distance(a: Genome, b: Genome, c: DistanceCoefficients) -> float:
    genes, blocks, _ = pack([a, b])
    result = compatibility_distance(genes, blocks[0], blocks[1], c, math.inf)
    assert isinstance(result, float)
    return result


@PROPERTY
@given(PAIRS, COEFFICIENTS)
def test_distance_is_the_twins(pair: list[Genome], c: DistanceCoefficients) -> None:
    a, b = pair
    expected = twins.compatibility_distance(a, b, *c)
    assert distance(a, b, c) == pytest.approx(expected, rel=1e-12)


@PROPERTY
@given(PAIRS, COEFFICIENTS, st.floats(0.0, 20.0))
def test_a_limit_changes_no_distance_below_it_and_none_to_one_below_it(
    pair: list[Genome], c: DistanceCoefficients, limit: float
) -> None:
    genes, (a, b), _ = pack(pair)
    whole = compatibility_distance(genes, a, b, c, math.inf)
    for near in (limit, whole, np.nextafter(whole, np.inf), np.nextafter(whole, 0.0)):
        found = compatibility_distance(genes, a, b, c, near)
        assert found == whole if whole < near else found >= near


@PROPERTY
@given(PAIRS, COEFFICIENTS)
def test_distance_is_symmetric_to_the_last_bit_and_never_negative(
    pair: list[Genome], c: DistanceCoefficients
) -> None:
    a, b = pair
    assert distance(a, b, c) == distance(b, a, c) >= 0.0


@PROPERTY
@given(genomes(missing=True), COEFFICIENTS)
def test_equal_structure_and_weights_are_no_distance_apart(
    genome: Genome, c: DistanceCoefficients
) -> None:
    other = genome.copy()
    for gene in other.connections:
        gene.enabled = not gene.enabled
    for node in other.nodes:
        node.bias += 1.0
    assert distance(genome, other, c) == 0.0


def fan(n: int, weight: float) -> Genome:
    """Return ``n`` inputs that feed one output."""
    return Genome(
        [*(Node(i) for i in range(n)), Node(FIRST_OUTPUT)],
        [Connection(i, FIRST_OUTPUT, weight) for i in range(n)],
    )


@pytest.mark.parametrize(
    ("n_a", "n_b", "small", "divisor"),
    [
        (19, 10, 20, 1),  # both have fewer than 20 genes
        (20, 10, 20, 20),  # one has not
        (10, 25, 20, 25),
        (10, 4, 0, 10),  # the rule switched off
        (0, 0, 0, 1),
    ],
)
def test_n_is_the_larger_genomes_gene_count_or_1_if_both_are_small(
    n_a: int, n_b: int, small: int, divisor: int
) -> None:
    """Stanley & Miikkulainen (2002), below eq. 1, with footnote: N = 1 under 20 genes."""
    c = DistanceCoefficients(1.0, 0.4, small)
    expected = abs(n_a - n_b) / divisor + (0.4 * 0.5 if min(n_a, n_b) else 0.0)
    assert distance(fan(n_a, 1.0), fan(n_b, 1.5), c) == pytest.approx(expected, rel=1e-15)


def test_large_genomes_too_are_as_far_apart_as_the_twins_say() -> None:
    a, b = random_genome(1, 50, 300), random_genome(2, 50, 300)
    b.connections += [c for c in a.connections[::2] if b.connection(c.source, c.target) is None]
    b.connections.sort(key=lambda c: (c.target, c.source))
    c = DistanceCoefficients(1.0, 3.0, 20)
    expected = twins.compatibility_distance(a, b, *c)
    assert distance(a, b, c) == pytest.approx(expected, rel=1e-12)


@PROPERTY
@given(relatives(4), COEFFICIENTS, st.integers(0, 99))
def test_a_matrix_of_distances_is_that_of_the_pairs_and_only_reads(
    drawn: list[Genome], c: DistanceCoefficients, seed: int
) -> None:
    genes, blocks, _ = pack(drawn, seed)
    before = table_bytes(genes)
    out = np.full((len(drawn), len(drawn)), np.nan)
    distances(genes, blocks, blocks, c, out)
    assert out.tolist() == [
        [compatibility_distance(genes, a, b, c, math.inf) for b in blocks] for a in blocks
    ]
    assert table_bytes(genes) == before


POPULATIONS = relatives(7, values=COARSE)
THRESHOLDS = st.sampled_from([0.01, 1.1, 2.1, 3.1, 5.1, 1000.0])
C = DistanceCoefficients(1.0, 0.5, 20)


@PROPERTY
@given(POPULATIONS)
def test_signatures_differ_in_no_more_bits_than_genes_are_unmatched(family: list[Genome]) -> None:
    genes, blocks, _ = pack(family)
    signatures = np.full((len(blocks), SIGNATURE), 2**64 - 1, np.uint64)
    for block, signature in zip(blocks, signatures, strict=True):
        sign(genes, block, signature)
    pairs = [{(c.source, c.target) for c in genome.connections} for genome in family]
    for i, a in enumerate(pairs):
        for j, b in enumerate(pairs):
            bits = differing_bits(signatures[i], signatures[j])
            assert bits <= len(a ^ b)
            assert bits > 0 or len(a ^ b) < 4


@PROPERTY
@given(POPULATIONS, st.integers(0, 7), THRESHOLDS)
def test_a_genome_belongs_to_the_first_representative_that_is_close_enough(
    family: list[Genome], n: int, threshold: float
) -> None:
    population, representatives = family[:n], family[n:]
    genes, blocks, _ = pack(family)
    out = np.full(n, 99)
    room = np.empty((len(blocks) - n + 1, SIGNATURE), np.uint64)
    unfit = first_compatible(genes, blocks[:n], blocks[n:], threshold, C, room, out)
    assert unfit == (out < 0).sum()
    assert out.tolist() == [
        twins.first_compatible(g, representatives, threshold, C) for g in population
    ]


@PROPERTY
@given(POPULATIONS, st.data(), THRESHOLDS, st.integers(0, 3), st.integers(1, 5))
def test_who_has_no_species_joins_a_founder_or_founds_one_up_to_the_cap(
    population: list[Genome],
    data: st.DataObject,
    threshold: float,
    n_species: int,
    max_species: int,
) -> None:
    n_species = min(n_species, max_species)
    given_ = [data.draw(st.integers(-1, n_species - 1)) for _ in population]
    genes, blocks, _ = pack(population)
    out = np.array(given_, np.int64)
    founders = np.full(len(population), -7)
    founded = found_species(genes, blocks, n_species, threshold, max_species, C, founders, out)
    species, expected = twins.found_species(
        population, given_, n_species, threshold, max_species, C
    )
    assert out.tolist() == species
    assert founders[:founded].tolist() == expected
    assert all(0 <= s < max_species for s in species)


def test_at_the_cap_the_nearest_founder_is_joined_of_equally_near_ones_the_first() -> None:
    population = [fan(1, 1.0), fan(3, 1.0), fan(2, 1.0), fan(4, 1.0)]
    genes, blocks, _ = pack(population)
    founders, out = np.full(4, -7), np.full(4, -1)
    assert found_species(genes, blocks, 0, 0.5, 2, C, founders, out) == 2
    assert out.tolist() == [0, 1, 0, 1]
    assert founders[:2].tolist() == [0, 1]
