"""Growing: one structural mutation after which the network does what it did."""

from __future__ import annotations

import numpy as np
import reference_variation as twins
from genomes import PROPERTY, genomes, kernel_parameters, pack, random_genome, unpack, variations
from hypothesis import given
from hypothesis import strategies as st
from reference import Genome, State, Stream, assert_valid, is_input, tick
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


@PROPERTY
@given(st.integers(0, 200), st.booleans(), KEYS)
def test_new_connections_and_wired_nodes_change_no_output(seed: int, wired: bool, key: int) -> None:
    genome = random_genome(seed, 3, 10, n_extra=EXTRA)
    for node in genome.nodes:
        node.aggregation = 0 if isinstance(node.aggregation, int) else "sum"
    rates = [0.0] * len(OPERATORS)
    rates[OPERATORS.index("add_node" if wired else "add_connection")] = 1.0
    disabled = [c for c in genome.connections if not c.enabled]
    for gene in disabled:
        genome.connections.remove(gene)
    v = Variation(
        rates=tuple(rates), recurrent_share=0.5, node_extra=(0.0,), connection_extra=(0.0, 0.0)
    )
    child, _ = grown(genome, wired, v, key)
    before, after = State(), State()
    for inputs in np.random.default_rng(seed).normal(size=(5, 3)):
        one = tick(genome, before, inputs.tolist())
        two = tick(child, after, inputs.tolist())
        assert two == one


def test_without_a_structural_rate_nothing_grows_and_nothing_is_drawn() -> None:
    genome = random_genome(1, 3, 10, n_extra=EXTRA)
    rates = [0.0] * len(OPERATORS)
    rates[OPERATORS.index("weights")] = 1.0
    v = Variation(rates=tuple(rates), node_extra=(0.0,), connection_extra=(0.0, 0.0))
    child, counts = grown(genome, True, v, 1)
    assert child == genome
    assert not counts.any()


def test_a_wired_node_reads_every_input_and_leaves_the_connection() -> None:
    genome = random_genome(1, 0, 4, n_extra=EXTRA)
    rates = [0.0] * len(OPERATORS)
    rates[OPERATORS.index("add_node")] = 1.0
    v = Variation(rates=tuple(rates), node_extra=(0.0,), connection_extra=(0.0, 0.0))
    child, _ = grown(genome, True, v, 3)
    (node,) = {n.id for n in child.nodes} - {n.id for n in genome.nodes}
    inputs = {n.id for n in genome.nodes if is_input(n.id)}
    assert inputs <= {c.source for c in child.connections if c.target == node}
    kept = [(c.source, c.target, c.weight, c.enabled) for c in genome.connections]
    assert [
        x
        for x in kept
        if x not in [(c.source, c.target, c.weight, c.enabled) for c in child.connections]
    ] == []
