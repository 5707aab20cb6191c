"""Decoding: which nodes and connections a network has, and where they read."""

from __future__ import annotations

from typing import Any

import pytest
from genomes import PROPERTY, Case, cases, decoded, genomes, pack, random_genome, table_bytes
from hypothesis import given
from hypothesis import strategies as st
from reference import FIRST_OUTPUT, Connection, Genome, Network, Node, live_nodes
from reference import decode as decode_twin

from tweann.genes import ACTIVATIONS, AGGREGATIONS
from tweann.kernels.decode import _group
from tweann.kernels.network_batch import GROUPED, MIXED, RECURRENT, REMEMBERS, NetworkBatch


def network(batch: NetworkBatch, k: int) -> dict[str, Any]:
    """Return network ``k`` of a batch in plain lists, edges by node."""
    nodes = range(int(batch.node_start[k]), int(batch.node_start[k + 1]))
    first = start = int(batch.edge_start[k])
    edges = []
    for node in nodes:
        stop = first + int(batch.edge_stop[node])
        edges.append(
            list(
                zip(
                    batch.source[start:stop].tolist(),
                    batch.weight[start:stop].tolist(),
                    strict=True,
                )
            )
        )
        start = stop
    assert start == batch.edge_start[k + 1]
    if len(nodes) < GROUPED:
        _group(batch, k)  # decoding leaves it out: it works all the same
    return {
        "groups": [int(batch.group_stop[n]) for n in nodes],
        "activation": [ACTIVATIONS[batch.activation[n]] for n in nodes],
        "aggregation": [AGGREGATIONS[batch.aggregation[n]] for n in nodes],
        "bias": [float(batch.bias[n]) for n in nodes],
        "edges": edges,
        "kind": int(batch.kind[k]),
    }


def groups(twin: Network, n_inputs: int) -> list[int]:
    """Return where the group of each node ends, for those that begin one; 0 for others."""
    stops, start = [0] * len(twin.nodes), 0
    for i, node in enumerate(twin.nodes):
        read = {source - n_inputs for source, _ in node.edges}
        waits = any(start <= j < i for j in read)
        other = (node.activation == "tanh") != (twin.nodes[start].activation == "tanh")
        if waits or other:
            stops[start], start = i, i
    stops[start] = len(twin.nodes)
    return stops


def expected(twin: Network, n_inputs: int) -> dict[str, Any]:
    return {
        "groups": groups(twin, n_inputs),
        "activation": [n.activation for n in twin.nodes],
        "aggregation": [n.aggregation for n in twin.nodes],
        "bias": [n.bias for n in twin.nodes],
        "edges": [n.edges for n in twin.nodes],
        "kind": RECURRENT * twin.recurrent | MIXED * twin.mixed | REMEMBERS * twin.remembers,
    }


def decode_one(genome: Genome, n_inputs: int, n_outputs: int) -> dict[str, Any]:
    genes, blocks, _ = pack([genome])
    return network(decoded(genes, blocks, n_inputs, n_outputs), 0)


@PROPERTY
@given(st.lists(cases(missing=True), min_size=1, max_size=4), st.integers(0, 99))
def test_a_slice_decodes_to_the_twins_networks_in_order(drawn: list[Case], seed: int) -> None:
    n_inputs = max(c.n_inputs for c in drawn)
    n_outputs = max(c.n_outputs for c in drawn)
    genes, blocks, _ = pack([c.genome for c in drawn], seed)
    batch = decoded(genes, blocks, n_inputs, n_outputs)
    for k, case in enumerate(drawn):
        assert network(batch, k) == expected(
            decode_twin(case.genome, n_inputs, n_outputs), n_inputs
        )


@pytest.mark.parametrize("n_hidden", [0, 1, 2, 3, 7, 11, 27, 58, 59, 60, 251, 700])
def test_genomes_of_any_size_decode_to_the_twins_networks(n_hidden: int) -> None:
    """Sizes around powers of two fill the table of ids to its limit."""
    genome = random_genome(n_hidden, n_hidden, 5 + 2 * n_hidden, activations=ACTIVATIONS)
    assert decode_one(genome, 3, 2) == expected(decode_twin(genome, 3, 2), 3)


@PROPERTY
@given(genomes(missing=True))
def test_what_reaches_no_output_leaves_no_trace(genome: Genome) -> None:
    """A genome without dead nodes and disabled connections decodes to the same network."""
    live = live_nodes(genome)
    stripped = Genome(
        [n for n in genome.nodes if n.id in live or n.id < 3],
        [c for c in genome.connections if c.enabled and c.target in live],
    )
    assert decode_one(genome, 3, 2) == decode_one(stripped, 3, 2)


def test_a_chain_whose_last_link_is_disabled_is_left_out_as_a_whole() -> None:
    a, b = 2**40, 2**50
    genome = Genome(
        [Node(0), Node(a), Node(b), Node(FIRST_OUTPUT, bias=0.5)],
        [
            Connection(0, a),
            Connection(a, a),
            Connection(a, b),
            Connection(b, FIRST_OUTPUT, enabled=False),
        ],
    )
    assert decode_one(genome, 1, 1) == {
        "groups": [1],
        "activation": ["tanh"],
        "aggregation": ["sum"],
        "bias": [0.5],
        "edges": [[]],
        "kind": 0,
    }


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("activations", [("tanh",), ("tanh", "tanh", "tanh", "relu")])
def test_nodes_of_a_group_do_not_wait_for_each_other(
    seed: int, activations: tuple[str, ...]
) -> None:
    genome = random_genome(seed, 60, 200, recurrent=seed % 2 == 0, activations=activations)
    got = decode_one(genome, 3, 2)
    assert got == expected(decode_twin(genome, 3, 2), 3)
    stops = [stop for stop in got["groups"] if stop]
    assert stops[-1] == len(got["groups"])
    assert len(stops) < len(got["groups"])  # some are larger than one node


def test_nodes_and_edges_keep_the_order_of_genes() -> None:
    """Inputs have the first slots, used or not, hidden nodes follow by id, outputs come last."""
    early, late = 2**40, 2**60
    genome = Genome(
        [Node(0), Node(2), Node(early), Node(late), Node(FIRST_OUTPUT + 1)],
        [
            Connection(2, early, 1.0),
            Connection(late, early, 2.0),  # recurrent
            Connection(0, late, 3.0),
            Connection(early, late, 4.0),
            Connection(0, FIRST_OUTPUT + 1, 5.0),
            Connection(late, FIRST_OUTPUT + 1, 6.0),
            Connection(FIRST_OUTPUT + 1, FIRST_OUTPUT + 1, 7.0),
        ],
    )
    got = decode_one(genome, 3, 2)
    assert got["edges"] == [
        [(2, 1.0), (4, 2.0)],
        [(0, 3.0), (3, 4.0)],
        [],  # output 0, which the genome lacks
        [(0, 5.0), (4, 6.0), (6, 7.0)],
    ]
    assert got["activation"] == ["tanh", "tanh", "identity", "tanh"]
    assert got["kind"] == RECURRENT


def test_kind_counts_only_what_is_left_after_pruning() -> None:
    dead = Node(2**40, aggregation="difference")
    genome = Genome(
        [Node(0), dead, Node(FIRST_OUTPUT)],
        [Connection(dead.id, dead.id), Connection(0, FIRST_OUTPUT)],
    )
    assert decode_one(genome, 1, 1)["kind"] == 0
    genome.add(Connection(dead.id, FIRST_OUTPUT))
    assert decode_one(genome, 1, 1)["kind"] == RECURRENT | MIXED | REMEMBERS


def test_an_empty_genome_decodes_to_silent_outputs() -> None:
    assert decode_one(Genome(), 2, 2)["activation"] == ["identity", "identity"]
    assert decode_one(Genome(), 2, 2)["edges"] == [[], []]


@PROPERTY
@given(st.lists(genomes(missing=True), min_size=2, max_size=5), st.integers(0, 99))
def test_a_batch_equals_its_genomes_one_by_one_and_decoding_only_reads(
    drawn: list[Genome], seed: int
) -> None:
    genes, blocks, _ = pack(drawn, seed)
    before = table_bytes(genes)
    batch = decoded(genes, blocks, 3, 2)
    singles = [decoded(genes, blocks[k : k + 1], 3, 2) for k in range(len(drawn))]
    assert [network(batch, k) for k in range(len(drawn))] == [network(s, 0) for s in singles]
    assert table_bytes(genes) == before
