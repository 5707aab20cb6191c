"""Decoded networks as arrays, and room for them.

What `tweann.kernels.decode` writes and the forward pass reads.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tweann.genes import Float, Int, UInt8
from tweann.kernels._jit import allocating_kernel, kernel
from tweann.kernels.dynamics import N_CONSTANTS
from tweann.kernels.plasticity import N_COEFFICIENTS

#: Bits of `NetworkBatch.kind`.
RECURRENT: Final = 1  #: some connection reads the tick before
MIXED: Final = 2  #: some node aggregates otherwise than by summing
REMEMBERS: Final = 4  #: some node needs what its connections delivered in the tick before
DYNAMIC: Final = 8  #: some node is not static
PLASTIC: Final = 16  #: some connection has a rule
MODULATED: Final = 32  #: some connection comes from a modulatory node
TIMED: Final = 64  #: some connection's rule is about the times of spikes
#: Networks with none of these are plain sums, and take the fast path.
GENERAL: Final = MIXED | DYNAMIC | PLASTIC | MODULATED
#: Networks with one of these run row by row, not in lanes.
ROW_BY_ROW: Final = DYNAMIC | PLASTIC | MODULATED

#: Nodes from which on a network has groups: in smaller ones they would be of one or two nodes.
GROUPED: Final = 16


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
    group_stop: NDArray[
        np.uint32
    ]  #: (nodes,) of the first node of a group: where the group ends, counted from the network's first; else 0; of
    #: networks of `GROUPED` nodes and more
    activation: UInt8  #: (nodes,)
    aggregation: UInt8  #: (nodes,)
    bias: Float  #: (nodes,)
    source: NDArray[np.uint16]  #: (edges,) the slot that an edge reads
    weight: Float  #: (edges,) at birth
    edge_gene: NDArray[np.uint32]  #: (edges,) which of its genome's connection genes an edge is
    weight_bound: float  #: of what plasticity makes of a weight
    # The rest is of size 0 where the layout has no such column group.
    dynamics: UInt8  #: (nodes,) codes
    constants: Float  #: (nodes, 4) of the dynamics, see `tweann.kernels.dynamics`
    modulatory_start: NDArray[
        np.uint32
    ]  #: (nodes,) where a node's edges from modulatory nodes begin
    rule: UInt8  #: (edges,) codes
    coefficients: Float  #: (edges, 5) of the rule, see `tweann.kernels.plasticity`


class DecodeParameters(NamedTuple):
    """What decoding needs to know of a run: where its column groups begin, -1 for one that it lacks."""

    dynamics: int  #: among the optional node columns
    izhikevich: int
    modulatory: int
    rule: int  #: among the optional connection columns
    stdp: int
    dt: float  #: the task's time step


class NetworkShape(NamedTuple):
    """What all networks of a run have in common."""

    n_inputs: int
    n_outputs: int
    weight_bound: float


class DecodeScratch(NamedTuple):
    """Room for decoding one genome, reused for the whole slice."""

    table: NDArray[np.int32]  #: (a power of two > 4 N,) hash table from node id to position
    first_edge: NDArray[np.int32]  #: (N + 1,) where each node's connections begin, if needed
    read: NDArray[np.int32]  #: (C,) the position of each connection's source
    write: NDArray[np.int32]  #: (C,) and of its target
    slot: NDArray[np.int32]  #: (N,) a node's slot, -1 while it is not known to matter
    stack: NDArray[np.int32]  #: (N,)


@allocating_kernel
def decode_scratch(node_capacity: int, connection_capacity: int) -> DecodeScratch:
    """Return room for genomes of up to that many nodes and connections."""
    table = 1
    while table <= 4 * node_capacity:
        table *= 2
    return DecodeScratch(
        np.empty(table, np.int32),
        np.empty(node_capacity + 1, np.int32),
        np.empty(connection_capacity, np.int32),
        np.empty(connection_capacity, np.int32),
        np.empty(node_capacity, np.int32),
        np.empty(node_capacity, np.int32),
    )


@allocating_kernel
def network_room(
    n: int, nodes: int, edges: int, shape: NetworkShape, p: DecodeParameters | None
) -> NetworkBatch:
    """Return a batch for ``n`` networks that have so many nodes and edges together.

    Args:
        n: networks.
        nodes, edges: of all of them.
        shape: of the run.
        p: where columns of dynamics and plasticity are; None: there are none.
    """
    timed_nodes, plastic_nodes, plastic_edges = 0, 0, 0
    if p is not None:
        if p.dynamics >= 0:
            timed_nodes = nodes
        if p.rule >= 0:
            plastic_nodes, plastic_edges = nodes, edges
    return NetworkBatch(
        n_inputs=shape.n_inputs,
        n_outputs=shape.n_outputs,
        node_start=np.empty(n + 1, np.int64),
        edge_start=np.empty(n + 1, np.int64),
        kind=np.empty(n, np.uint8),
        edge_stop=np.empty(nodes, np.uint32),
        group_stop=np.empty(nodes, np.uint32),
        activation=np.empty(nodes, np.uint8),
        aggregation=np.empty(nodes, np.uint8),
        bias=np.empty(nodes, np.float64),
        source=np.empty(edges, np.uint16),
        weight=np.empty(edges, np.float64),
        edge_gene=np.empty(edges, np.uint32),
        weight_bound=shape.weight_bound,
        dynamics=np.empty(timed_nodes, np.uint8),
        constants=np.empty((timed_nodes, N_CONSTANTS), np.float64),
        modulatory_start=np.empty(plastic_nodes, np.uint32),
        rule=np.empty(plastic_edges, np.uint8),
        coefficients=np.empty((plastic_edges, N_COEFFICIENTS), np.float64),
    )


@kernel
def count_room(n_nodes: Int, n_connections: Int, blocks: Int) -> tuple[int, int, int, int]:
    """Return the nodes and the connections of the genomes in ``blocks`` together, and the most of one of them."""
    nodes, connections, most_nodes, most_connections = 0, 0, 0, 0
    for block in blocks:
        nodes += n_nodes[block]
        connections += n_connections[block]
        most_nodes = max(most_nodes, n_nodes[block])
        most_connections = max(most_connections, n_connections[block])
    return nodes, connections, most_nodes, most_connections


@kernel
def longest_part(starts: Int) -> int:
    """Return the length of the longest part, part i being ``starts[i]:starts[i + 1]``."""
    longest = 0
    for i in range(starts.size - 1):
        longest = max(longest, starts[i + 1] - starts[i])
    return longest
