"""Growing: one structural mutation after which the network does what it did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import reference_variation as twins
from genomes import PROPERTY, genomes, kernel_parameters, pack, random_genome, unpack, variations
from hypothesis import given
from hypothesis import strategies as st
from reference import (
    FIRST_OUTPUT,
    Connection,
    Genome,
    Node,
    State,
    Stream,
    assert_valid,
    outputs,
    split_id,
    tick,
)
from reference_variation import OPERATORS, Variation

from tweann.genes import Int
from tweann.kernels.edit import copy_genome
from tweann.kernels.grow import grow

EXTRA = (1, 2)
KEYS = st.integers(0, 2**64 - 1)


def grown(genome: Genome, wired: bool, v: Variation, key: int) -> tuple[Genome, Int]:
    """Return the kernel's child of a genome, and what it counted."""
    genes, (block,), (child,) = pack([genome], room=12, n_extra=EXTRA)
    copy_genome(genes, int(block), int(child))
    counts = np.zeros((len(OPERATORS), 2), np.int64)
    marks = np.empty(genes.node_id.shape[1], np.bool_)
    rng = np.array([key], np.uint64)
    grow(genes, int(block), int(child), wired, kernel_parameters(v), rng, marks, counts)
    assert unpack(genes, block) == genome
    return unpack(genes, child), counts


@PROPERTY
@given(genomes(n_extra=EXTRA), variations(n_extra=EXTRA), st.booleans(), KEYS)
def test_a_grown_child_is_the_twins(genome: Genome, v: Variation, wired: bool, key: int) -> None:
    expected = genome.copy()
    twins.grow(expected, wired, v, Stream(key))
    found, counts = grown(genome, wired, v, key)
    assert found == expected
    assert_valid(found, 3, 2, weight_bound=v.bound)
    assert counts[:, 0].sum() <= 1
    assert counts[OPERATORS.index("weights")].sum() == 0


def only(operator: str) -> Variation:
    rates = [0.0] * len(OPERATORS)
    rates[OPERATORS.index(operator)] = 1.0
    return Variation(rates=tuple(rates), node_extra=(0.0,), connection_extra=(0.0, 0.0))


@PROPERTY
@given(
    genomes(aggregations=("sum",), activations=("tanh",), n_extra=EXTRA),
    st.sampled_from(["add_node", "add_connection"]),
    KEYS,
)
def test_a_wired_node_or_a_new_connection_changes_no_output(
    genome: Genome, operator: str, key: int
) -> None:
    for gene in genome.connections:
        gene.enabled = True  # so that add_connection cannot enable one, which does change something
    child, _ = grown(genome, True, only(operator), key)
    before, after = State(), State()
    for row in ([1.0, -0.5, 0.3], [0.2, 0.7, -1.0], [0.0, 0.1, 0.0]):
        tick(genome, before, row)
        tick(child, after, row)
        assert outputs(after, 2) == pytest.approx(outputs(before, 2), rel=1e-12, abs=1e-12)


def test_without_a_structural_rate_nothing_grows() -> None:
    genome = random_genome(1, 3, 10)
    v = replace(only("weights"), node_extra=(), connection_extra=())
    genes, (block,), (child,) = pack([genome], room=12)
    copy_genome(genes, int(block), int(child))
    counts, marks = np.zeros((len(OPERATORS), 2), np.int64), np.empty(40, np.bool_)
    rng = np.array([7], np.uint64)
    grow(genes, int(block), int(child), True, kernel_parameters(v), rng, marks, counts)
    assert unpack(genes, child) == genome
    assert not counts.any()
    assert rng[0] == 7


def test_a_wired_node_reads_every_input_and_leaves_the_connection() -> None:
    output = FIRST_OUTPUT
    genome = Genome([Node(0), Node(1), Node(2), Node(output)], [Connection(1, output, 2.5)])
    v = replace(only("add_node"), node_extra=(), connection_extra=())
    genes, (block,), (child,) = pack([genome], room=12)
    copy_genome(genes, int(block), int(child))
    counts, marks = np.zeros((len(OPERATORS), 2), np.int64), np.empty(40, np.bool_)
    rng = np.array([7], np.uint64)
    grow(genes, int(block), int(child), True, kernel_parameters(v), rng, marks, counts)
    node = split_id(1, output, 0)
    assert unpack(genes, child).connections == [
        *(Connection(i, node, 0.0) for i in range(3)),
        Connection(1, output, 2.5),
        Connection(node, output, 0.0),
    ]
