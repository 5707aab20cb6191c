"""Speciation of a pool: the first compatible species, else a new one, and at the cap the nearest."""

from __future__ import annotations

import numpy as np
import pytest
import reference_variation as twins
from genomes import PROPERTY, relatives
from hypothesis import given
from hypothesis import strategies as st
from pools import N_INPUTS, N_OUTPUTS, Nursery, as_genome, plain_genome
from reference import FIRST_OUTPUT, Connection, Node
from reference import Genome as PlainGenome

from tweann.genes import Int, Operator
from tweann.genome import Genome
from tweann.kernels.distance import DistanceCoefficients
from tweann.layout import Layout
from tweann.pool import GenomePool
from tweann.species import assign_species
from tweann.workers import Workers

LAYOUT = Layout(N_INPUTS, N_OUTPUTS, recurrent=True)
C = DistanceCoefficients(1.0, 0.5, 20)
#: Weights whose differences add up without rounding, so that a threshold decides alike everywhere.
COARSE = st.integers(-8, 8).map(lambda i: i / 4.0)


def twin(
    family: list[Genome], representatives: list[Genome], threshold: float, cap: int
) -> tuple[list[int], list[int]]:
    """Return the species of each genome and the positions of founders, one genome after the other."""
    kinds = [plain_genome(genome) for genome in representatives]
    first = [twins.first_compatible(plain_genome(g), kinds, threshold, C) for g in family]
    founders: list[int] = []
    late = []
    for i, genome in enumerate(family):
        if first[i] >= 0:
            continue
        new = [plain_genome(family[f]) for f in founders]
        found = twins.first_compatible(plain_genome(genome), new, threshold, C)
        if found >= 0:
            first[i] = len(kinds) + found
        elif len(kinds) + len(founders) < cap:
            first[i] = len(kinds) + len(founders)
            founders.append(i)
        else:
            late.append(i)
    every = kinds + [plain_genome(family[f]) for f in founders]
    for i in late:
        far = [twins.compatibility_distance(plain_genome(family[i]), kind, *C) for kind in every]
        first[i] = far.index(min(far))
    return first, founders


def assigned(
    family: list[Genome], representatives: list[Genome], threshold: float, cap: int
) -> tuple[list[int], list[int]]:
    pool = GenomePool(LAYOUT)
    blocks = pool.insert([*representatives, *family])
    n = len(representatives)
    species, founders = assign_species(pool, blocks[n:], blocks[:n], threshold, cap, C)
    return species.tolist(), founders.tolist()


@PROPERTY
@given(
    relatives(9, values=COARSE),
    st.integers(0, 4),
    st.sampled_from([0.01, 1.1, 2.1, 3.1, 5.1, 1000.0]),
    st.integers(1, 6),
)
def test_each_genome_has_the_species_that_the_twin_gives_it(
    plain: list[PlainGenome], n: int, threshold: float, cap: int
) -> None:
    family = [as_genome(genome) for genome in plain]
    cap = max(cap, n)
    found = assigned(family[n:], family[:n], threshold, cap)
    assert found == twin(family[n:], family[:n], threshold, cap)
    assert len(set(found[0]) | set(range(n))) <= cap


def line(weights: list[float]) -> list[Genome]:
    """Return genomes of one connection, as far apart as half the difference of their weights."""
    nodes = [Node(0), Node(FIRST_OUTPUT)]
    return [
        as_genome(PlainGenome(nodes, [Connection(0, FIRST_OUTPUT, weight)])) for weight in weights
    ]


def test_the_first_that_is_close_enough_not_the_nearest() -> None:
    assert assigned(line([1.0]), line([2.0, 1.0]), 1.0, 9) == ([0], [])
    assert assigned(line([1.0]), line([1.0, 2.0]), 1.0, 9) == ([0], [])


def test_close_enough_is_closer_than_the_threshold() -> None:
    assert assigned(line([2.0]), line([0.0]), 1.0, 9) == ([1], [0])
    assert assigned(line([1.75]), line([0.0]), 1.0, 9) == ([0], [])


def test_founders_found_in_order_and_take_in_who_comes_later() -> None:
    assert assigned(line([0.0, 9.0, 0.5, 20.0, 8.5]), [], 1.0, 9) == ([0, 1, 0, 2, 1], [0, 1, 3])


@pytest.mark.parametrize(
    ("representatives", "species"), [([0.0, 10.0, 30.0], [2, 0, 1]), ([30.0, 10.0], [2, 1, 1])]
)
def test_at_the_cap_a_genome_joins_the_nearest_of_all(
    representatives: list[float], species: list[int]
) -> None:
    """Not the nearest founder, nor the oldest species: the documented rule of ``max_species``."""
    family = line([24.0, 2.0, 9.0]) if len(representatives) == 3 else line([33.0, -20.0, 12.5])
    assert assigned(family, line(representatives), 1.0, 3)[0] == species


def test_no_genome_at_all_is_no_trouble() -> None:
    assert assigned([], line([1.0]), 1.0, 1) == ([], [])
    assert assigned([], [], 1.0, 1) == ([], [])


def test_threads_give_the_same() -> None:
    found: list[tuple[list[int], list[int]]] = []
    for n in (1, 2, 3):
        workers = Workers(n, 1e-9)  # slices of any size
        nursery = Nursery(GenomePool(LAYOUT, workers=workers))
        pool = nursery.fill(203)
        parents = list(range(203))
        for _ in range(3):
            brood = nursery.breed([Operator.MUTATE] * 203, parents)
            pool.keep(203 + np.arange(203), None, {}, brood)
        blocks: Int = pool.rows["block"]
        species, founders = assign_species(pool, blocks[5:], blocks[:5], 2.0, 40, C)
        found.append((species.tolist(), founders.tolist()))
        workers.close()
    assert found[0] == found[1] == found[2]
    assert 5 < len(set(found[0][0])) <= 40
