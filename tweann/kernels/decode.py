"""Decoding: from genomes to networks, for a whole slice of a population at once.

Genes in sorted order are already in order of evaluation, so decoding is one pass over them: look up where each
connection reads, drop what reaches no output, number the rest.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tweann.genes import Float, Genes, Int, UInt8
from tweann.kernels._jit import kernel
from tweann.kernels.activation import DIFFERENCE, IDENTITY, SUM
from tweann.kernels.ids import FIRST_OUTPUT, is_input, is_output

#: Bits of `NetworkBatch.kind`.
RECURRENT: Final = 1  #: some connection reads the tick before
MIXED: Final = 2  #: some node aggregates otherwise than by summing
REMEMBERS: Final = 4  #: some node needs what its connections delivered in the tick before

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


class NetworkBatch(NamedTuple):
    """Decoded networks, one after the other in contiguous arrays.

    Network k has nodes ``node_start[k]:node_start[k+1]`` (inputs are no nodes here) in order of evaluation,
    the outputs last, and edges ``edge_start[k]:edge_start[k+1]``. Its values lie in slots: slot i is input i,
    slot ``n_inputs + j`` its j-th node. One array of values serves both ticks: a forward edge reads
    a slot that this tick has written, a recurrent one a slot that it has not written yet.
    """

    n_inputs: int
    n_outputs: int
    node_start: Int  #: (n + 1,)
    edge_start: Int  #: (n + 1,)
    kind: UInt8  #: (n,) bits
    edge_stop: NDArray[
        np.uint32
    ]  #: (nodes,) where a node's edges end, counted from the network's first
    activation: UInt8  #: (nodes,)
    aggregation: UInt8  #: (nodes,)
    bias: Float  #: (nodes,)
    source: NDArray[np.uint16]  #: (edges,) the slot that an edge reads
    weight: Float  #: (edges,)


class DecodeScratch(NamedTuple):
    """Room for decoding one genome, reused for the whole slice."""

    table: NDArray[np.int32]  #: (a power of two > 2 N,) hash table from node id to position
    first_edge: NDArray[np.int32]  #: (N + 1,) where each node's connection genes begin
    read: NDArray[np.int32]  #: (C,) the position of each connection's source
    slot: NDArray[np.int32]  #: (N,) a node's slot, -1 while it is not known to matter
    stack: NDArray[np.int32]  #: (N,)


def decode_scratch(node_capacity: int, connection_capacity: int) -> DecodeScratch:
    """Return room for genomes of up to that many nodes and connections."""
    table = 1 << (2 * node_capacity + 1).bit_length()
    return DecodeScratch(
        np.empty(table, np.int32),
        np.empty(node_capacity + 1, np.int32),
        np.empty(connection_capacity, np.int32),
        np.empty(node_capacity, np.int32),
        np.empty(node_capacity, np.int32),
    )


@kernel
def _link(genes: Genes, block: int, scratch: DecodeScratch) -> None:
    """Find where each node's connections begin, and the position of each enabled one's source."""
    n_nodes, n_connections = genes.n_nodes[block], genes.n_connections[block]
    bits = 1
    while (1 << bits) < 2 * n_nodes:
        bits += 1
    mask = (1 << bits) - 1
    shift = np.uint64(64 - bits)
    for i in range(mask + 1):
        scratch.table[i] = -1
    for i in range(n_nodes):
        at = np.int64((np.uint64(genes.node_id[block, i]) * _GOLDEN) >> shift)
        while scratch.table[at] >= 0:
            at = (at + 1) & mask
        scratch.table[at] = i
    edge = 0
    for i in range(n_nodes):
        scratch.first_edge[i] = edge
        node = genes.node_id[block, i]
        while edge < n_connections and genes.target[block, edge] == node:
            if genes.enabled[block, edge]:
                wanted = genes.source[block, edge]
                at = np.int64((np.uint64(wanted) * _GOLDEN) >> shift)
                while genes.node_id[block, scratch.table[at]] != wanted:
                    at = (at + 1) & mask
                scratch.read[edge] = scratch.table[at]
            edge += 1
    scratch.first_edge[n_nodes] = edge


@kernel
def _mark(genes: Genes, block: int, scratch: DecodeScratch) -> None:
    """Set ``slot`` to 0 for every node from which an output can be reached, to -1 for others."""
    n_nodes = genes.n_nodes[block]
    depth = 0
    for i in range(n_nodes):
        if is_output(genes.node_id[block, i]):
            scratch.slot[i] = 0
            scratch.stack[depth] = i
            depth += 1
        else:
            scratch.slot[i] = -1
    while depth > 0:
        depth -= 1
        node = scratch.stack[depth]
        for edge in range(scratch.first_edge[node], scratch.first_edge[node + 1]):
            if genes.enabled[block, edge]:
                source = scratch.read[edge]
                if scratch.slot[source] < 0:
                    scratch.slot[source] = 0
                    scratch.stack[depth] = source
                    depth += 1


@kernel
def _emit(genes: Genes, block: int, scratch: DecodeScratch, out: NetworkBatch, k: int) -> None:
    """Number the nodes that matter and write network ``k``."""
    n_nodes = genes.n_nodes[block]
    first_node, first_edge = out.node_start[k], out.edge_start[k]
    slot = out.n_inputs
    hidden = 0
    for i in range(n_nodes):
        node = genes.node_id[block, i]
        if is_input(node):
            scratch.slot[i] = node
        elif is_output(node):
            scratch.slot[i] = out.n_inputs + hidden + (node - FIRST_OUTPUT)
        elif scratch.slot[i] >= 0:
            scratch.slot[i] = slot
            slot += 1
            hidden += 1
    for j in range(out.n_outputs):  # an output that the genome lacks stays at 0
        at = first_node + hidden + j
        out.activation[at], out.aggregation[at], out.bias[at] = IDENTITY, SUM, 0.0
    kind = 0
    edges = 0
    written = 0
    for i in range(n_nodes):
        slot = scratch.slot[i]
        if slot < out.n_inputs:  # an input, or a node that does not matter
            continue
        while written < slot - out.n_inputs:
            out.edge_stop[first_node + written] = edges
            written += 1
        for edge in range(scratch.first_edge[i], scratch.first_edge[i + 1]):
            if genes.enabled[block, edge]:
                source = scratch.slot[scratch.read[edge]]
                out.source[first_edge + edges] = source
                out.weight[first_edge + edges] = genes.weight[block, edge]
                edges += 1
                if source >= slot:
                    kind |= RECURRENT
        at = first_node + slot - out.n_inputs
        out.activation[at] = genes.activation[block, i]
        out.aggregation[at] = genes.aggregation[block, i]
        out.bias[at] = genes.bias[block, i]
        out.edge_stop[at] = edges
        written = slot - out.n_inputs + 1
        if genes.aggregation[block, i] != SUM:
            kind |= MIXED
        if genes.aggregation[block, i] == DIFFERENCE:
            kind |= REMEMBERS
    total = hidden + out.n_outputs
    while written < total:
        out.edge_stop[first_node + written] = edges
        written += 1
    out.kind[k] = kind
    out.node_start[k + 1] = first_node + total
    out.edge_start[k + 1] = first_edge + edges


@kernel
def decode(genes: Genes, blocks: Int, scratch: DecodeScratch, out: NetworkBatch) -> None:
    """Decode the genomes in ``blocks`` into ``out``.

    Nodes that no path of enabled connections leads on to an output are left out, and that changes no
    output. An input keeps its slot whether it is used or not.

    Args:
        genes: the table; the genomes must be valid.
        blocks: (n,) which genomes.
        scratch: room for the largest of them.
        out: arrays for n networks, with room for ``sum(n_nodes) + n * n_outputs`` nodes and
            ``sum(n_connections)`` edges.
    """
    out.node_start[0] = 0
    out.edge_start[0] = 0
    for k in range(blocks.size):
        _link(genes, blocks[k], scratch)
        _mark(genes, blocks[k], scratch)
        _emit(genes, blocks[k], scratch, out, k)
