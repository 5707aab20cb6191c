"""Tuning's kernels against their twins, and what a selection means."""

from __future__ import annotations

import math

import numpy as np
import pytest
import reference_tuning as twins
from genomes import PROPERTY, genomes, pack, random_genome, unpack
from hypothesis import given
from hypothesis import strategies as st
from reference import Genome, Stream, is_input

from tweann.kernels.tuning import (
    Selection,
    TuningParameters,
    choose_nodes,
    copy_values,
    mark_values,
    perturb,
    propose,
)

KEYS = st.integers(0, 2**64 - 1)
SELECTIONS = [selection.name.lower() for selection in Selection]


def parameters(selection: str = "all", **changes: object) -> TuningParameters:
    made = TuningParameters(
        int(Selection[selection.upper()]), 0, 5.0, 2.0 * math.pi, 0.7, True, 8.0, True
    )
    return made._replace(**changes)  # type: ignore[arg-type] # by name


def aged(genome: Genome, seed: int) -> Genome:
    """Give every node a birth, 0 to 5."""
    rng = np.random.default_rng(seed)
    for node in genome.nodes:
        node.extra = (float(rng.integers(0, 6)),)
    return genome


@PROPERTY
@given(
    genomes(n_extra=(1, 0)),
    st.integers(0, 99),
    st.sampled_from(SELECTIONS),
    st.booleans(),
    st.booleans(),
    st.sampled_from([-1, 0]),
    KEYS,
)
def test_a_move_is_the_twins(
    genome: Genome, seed: int, selection: str, sparse: bool, biases: bool, birth: int, key: int
) -> None:
    aged(genome, seed)
    genes, (block,), _ = pack([genome], n_extra=(1, 0))
    n, c = genes.node_id.shape[1], genes.source.shape[1]
    p = parameters(selection, sparse=sparse, biases=biases, birth=birth)
    rng = np.array([key], np.uint64)
    perturb(genes, int(block), p, rng, np.empty(n, np.bool_), np.empty(n + c, np.bool_))
    expected, stream = genome.copy(), Stream(key)
    twins.perturb(expected, selection, birth, 5.0, 2.0 * math.pi, 0.7, sparse, 8.0, biases, stream)
    found = unpack(genes, block)
    assert [(x.source, x.target, x.enabled) for x in found.connections] == [
        (x.source, x.target, x.enabled) for x in genome.connections
    ]
    assert [x.weight for x in found.connections] == pytest.approx(
        [x.weight for x in expected.connections], rel=1e-12, abs=1e-12
    )
    assert [x.bias for x in found.nodes] == pytest.approx(
        [x.bias for x in expected.nodes], rel=1e-12, abs=1e-12
    )


@PROPERTY
@given(genomes(n_extra=(1, 0)), st.integers(0, 99), st.sampled_from(SELECTIONS), KEYS)
def test_nodes_and_values_are_the_twins(
    genome: Genome, seed: int, selection: str, key: int
) -> None:
    aged(genome, seed)
    genes, (block,), _ = pack([genome], n_extra=(1, 0))
    n, c = genes.node_id.shape[1], genes.source.shape[1]
    chosen, marks, rng = (
        np.zeros(n, np.bool_),
        np.zeros(n + c, np.bool_),
        np.array([key], np.uint64),
    )
    choose_nodes(genes, int(block), parameters(selection), rng, chosen)
    expected = twins.chosen_nodes(genome, selection, 0, 5.0, Stream(key))
    assert [
        node for node, is_chosen in zip(genome.nodes, chosen, strict=False) if is_chosen
    ] == expected
    count = mark_values(genes, int(block), True, chosen, marks)
    genes_in_order = [*genome.connections, *(x for x in genome.nodes if not is_input(x.id))]
    movable = twins.movable(genome, expected, True)
    marked = [gene for gene, mark in zip(genes_in_order, marks, strict=False) if mark]
    assert marked == movable
    assert count == len(movable)


def test_half_of_the_young_nodes_move_and_never_none() -> None:
    genome = random_genome(1, 6, 20)
    for node in genome.nodes:
        node.extra = (5.0,)
    genes, (block,), _ = pack([genome], n_extra=(1, 0))
    chosen, rng = np.zeros(genes.node_id.shape[1], np.bool_), np.array([1], np.uint64)
    for _ in range(50):
        choose_nodes(genes, int(block), parameters("dynamic_random"), rng, chosen)
        assert chosen[: len(genome.nodes)].sum() == 4  # of 6 hidden and 2 output nodes


def test_where_no_node_is_young_the_first_one_moves() -> None:
    genome = random_genome(1, 3, 10)
    for node in genome.nodes:
        node.extra = (0.0,)
    genes, (block,), _ = pack([genome], n_extra=(1, 0))
    chosen, rng = np.zeros(genes.node_id.shape[1], np.bool_), np.array([1], np.uint64)
    choose_nodes(genes, int(block), parameters("current"), rng, chosen)
    assert np.flatnonzero(chosen).tolist() == [3]  # behind the three inputs


def test_each_genome_has_its_own_stream_whoever_else_is_moved() -> None:
    several = [random_genome(seed, 3, 12) for seed in range(3)]
    for genome in several:
        aged(genome, 1)

    def moved(rows: list[int]) -> list[Genome]:
        genes, blocks, _ = pack(several, n_extra=(1, 0))
        order = np.argsort(blocks)
        assert (blocks[order] == np.sort(blocks)).all()
        n, c = genes.node_id.shape[1], genes.source.shape[1]
        streams = np.arange(genes.node_id.shape[0], dtype=np.uint64)
        which = np.array([blocks[i] for i in rows])
        propose(
            genes, which, parameters(), streams, np.empty(n, np.bool_), np.empty(n + c, np.bool_)
        )
        return [unpack(genes, blocks[i]) for i in rows]

    assert moved([0, 1, 2])[1:] == moved([1, 2])
    assert moved([1]) != [several[1]]


def test_values_are_copied_and_nothing_else() -> None:
    genome = random_genome(1, 3, 12)
    genes, (block,), _ = pack([genome])
    other = genes._replace(weight=np.zeros_like(genes.weight), bias=np.zeros_like(genes.bias))
    copy_values(genes, int(block), other)
    assert unpack(other, block) == genome
