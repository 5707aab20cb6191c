"""Editing: genes go in and out in order, with all their columns, and nothing else moves."""

from __future__ import annotations

import bisect

import numpy as np
from genomes import POOL, PROPERTY, genomes, pack, table_bytes, unpack
from hypothesis import given
from hypothesis import strategies as st
from reference import FIRST_OUTPUT, Connection, Genome, Node, assert_valid
from reference_variation import remove_orphans

from tweann.genes import ACTIVATIONS, AGGREGATIONS
from tweann.kernels import edit

EXTRA = (2, 1)
GENOMES = genomes(missing=True, n_extra=EXTRA)
IDS = st.sampled_from([0, 1, 2, *POOL, FIRST_OUTPUT, FIRST_OUTPUT + 1])


@PROPERTY
@given(GENOMES, GENOMES, st.integers(0, 99))
def test_a_copy_equals_its_original_and_touches_no_other_block(
    genome: Genome, other: Genome, seed: int
) -> None:
    genes, blocks, free = pack([genome, other], seed, n_extra=EXTRA)
    before = table_bytes(genes, without=free)
    edit.copy_genome(genes, blocks[0], free[0])
    assert unpack(genes, free[0]) == genome
    assert table_bytes(genes, without=free) == before


@PROPERTY
@given(GENOMES, GENOMES)
def test_copied_nodes_leave_the_connections_alone(genome: Genome, other: Genome) -> None:
    genes, blocks, _ = pack([genome, other], n_extra=EXTRA)
    edit.copy_nodes(genes, blocks[0], blocks[1])
    assert unpack(genes, blocks[1]) == Genome(genome.nodes, other.connections)


@PROPERTY
@given(GENOMES, GENOMES, IDS, st.sampled_from(ACTIVATIONS), st.sampled_from(AGGREGATIONS))
def test_a_node_is_inserted_in_its_place_once(
    genome: Genome, other: Genome, node: int, activation: str, aggregation: str
) -> None:
    genes, blocks, _ = pack([genome, other], room=1, n_extra=EXTRA)
    before = table_bytes(genes, without=blocks[:1])
    inserted = edit.insert_node(
        genes,
        blocks[0],
        node,
        ACTIVATIONS.index(activation),
        AGGREGATIONS.index(aggregation),
        np.array([3.0, 4.0]),
    )
    assert inserted == (genome.node(node) is None)
    if inserted:
        genome.add(Node(node, activation, aggregation, 0.0, (3.0, 4.0)))
    assert unpack(genes, blocks[0]) == genome
    assert table_bytes(genes, without=blocks[:1]) == before


@PROPERTY
@given(GENOMES, GENOMES, IDS, IDS)
def test_a_connection_is_found_where_bisection_finds_it_and_inserted_there_once(
    genome: Genome, other: Genome, source: int, target: int
) -> None:
    genes, blocks, _ = pack([genome, other], room=1, n_extra=EXTRA)
    before = table_bytes(genes, without=blocks[:1])
    pairs = [(c.target, c.source) for c in genome.connections]
    for t, s in [*pairs, (target, source)]:
        at = bisect.bisect_left(pairs, (t, s))
        expected = at if (t, s) in pairs else -1 - at
        assert edit.find_connection(genes, blocks[0], s, t) == expected
    inserted = edit.insert_connection(genes, blocks[0], source, target, 0.5, np.array([9.0]))
    assert inserted == ((target, source) not in pairs)
    if inserted:
        genome.add(Connection(source, target, 0.5, True, (9.0,)))
    assert unpack(genes, blocks[0]) == genome
    assert table_bytes(genes, without=blocks[:1]) == before


@PROPERTY
@given(GENOMES, GENOMES, st.data())
def test_a_removed_connection_is_gone_and_all_others_stay(
    genome: Genome, other: Genome, data: st.DataObject
) -> None:
    genes, blocks, _ = pack([genome, other], n_extra=EXTRA)
    before = table_bytes(genes, without=blocks[:1])
    while genome.connections:
        at = data.draw(st.integers(0, len(genome.connections) - 1))
        del genome.connections[at]
        edit.remove_connection(genes, blocks[0], at)
        assert unpack(genes, blocks[0]) == genome
    assert table_bytes(genes, without=blocks[:1]) == before


@PROPERTY
@given(GENOMES, IDS)
def test_all_connections_of_a_node_go_at_once(genome: Genome, node: int) -> None:
    genes, blocks, _ = pack([genome], n_extra=EXTRA)
    candidates = [node, *(n.id for n in genome.nodes)]
    for gone in candidates[:3]:
        edit.remove_connections_of(genes, blocks[0], gone)
        genome.connections = [c for c in genome.connections if gone not in (c.source, c.target)]
        assert unpack(genes, blocks[0]) == genome


@PROPERTY
@given(GENOMES)
def test_hidden_nodes_that_no_gene_names_go_and_no_other(genome: Genome) -> None:
    genes, blocks, _ = pack([genome], n_extra=EXTRA)
    marks = np.resize([True, False], genes.node_id.shape[1])  # rubbish
    edit.remove_unnamed_nodes(genes, blocks[0], marks)
    remove_orphans(genome)
    assert unpack(genes, blocks[0]) == genome
    assert_valid(genome, 3, 2, orphans=False)


def test_a_disabled_gene_names_its_ends_too() -> None:
    a = POOL[0]
    genome = Genome([Node(0), Node(a)], [Connection(0, a, enabled=False)])
    genes, blocks, _ = pack([genome])
    edit.remove_unnamed_nodes(genes, blocks[0], np.zeros(genes.node_id.shape[1], np.bool_))
    assert unpack(genes, blocks[0]) == genome
