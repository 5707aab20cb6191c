"""Decoding: from genomes to networks, for a whole slice of a population at once.

Genes in sorted order are already in order of evaluation, so decoding is one pass over them: look up where each
connection reads, drop what reaches no output, number the rest.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tweann.genes import COLUMN_GROUPS, Float, Genes, Int, UInt8
from tweann.kernels._jit import allocating_kernel, inlined_kernel, kernel
from tweann.kernels.activation import DIFFERENCE, IDENTITY, SUM, TANH
from tweann.kernels.dynamics import IZHIKEVICH, N_CONSTANTS, STATIC, write_constants
from tweann.kernels.ids import FIRST_OUTPUT, is_input, is_output
from tweann.kernels.plasticity import ABCD, HEBBIAN, N_COEFFICIENTS, NONE, STDP, TRACE

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

#: For genomes without genes of these groups.
_IZHIKEVICH_DEFAULTS: Final = tuple(value for _, value in COLUMN_GROUPS["izhikevich"].node)
_STDP_DEFAULTS: Final = tuple(value for _, value in COLUMN_GROUPS["stdp"].connection)
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
    first_edge: NDArray[
        np.int32
    ]  #: (N + 1,) where each node's connection genes begin, where that is needed
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
    """Return a batch for ``n`` networks that have so many nodes and edges together; ``p`` as in `decode`."""
    timed_nodes, plastic_nodes, plastic_edges = 0, 0, 0
    if p is not None:
        if p.dynamics >= 0:
            timed_nodes = nodes
        if p.rule >= 0:
            plastic_nodes, plastic_edges = nodes, edges
    return NetworkBatch(
        shape.n_inputs,
        shape.n_outputs,
        np.empty(n + 1, np.int64),
        np.empty(n + 1, np.int64),
        np.empty(n, np.uint8),
        np.empty(nodes, np.uint32),
        np.empty(nodes, np.uint32),
        np.empty(nodes, np.uint8),
        np.empty(nodes, np.uint8),
        np.empty(nodes, np.float64),
        np.empty(edges, np.uint16),
        np.empty(edges, np.float64),
        np.empty(edges, np.uint32),
        shape.weight_bound,
        np.empty(timed_nodes, np.uint8),
        np.empty((timed_nodes, N_CONSTANTS), np.float64),
        np.empty(plastic_nodes, np.uint32),
        np.empty(plastic_edges, np.uint8),
        np.empty((plastic_edges, N_COEFFICIENTS), np.float64),
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


@kernel
def _link(genes: Genes, block: int, scratch: DecodeScratch) -> None:
    """Find the positions of both ends of each connection."""
    n_nodes, n_connections = genes.n_nodes[block], genes.n_connections[block]
    bits = 1
    while (1 << bits) < 4 * n_nodes:
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
    # Unsigned where it is hot: signed indices make the compiler allow for wrap-around.
    one, wrap = np.uint64(1), np.uint64(mask)
    node = np.uint64(0)
    for edge in range(np.uint64(n_connections)):
        wanted = genes.source[block, edge]
        place = (np.uint64(wanted) * _GOLDEN) >> shift
        while genes.node_id[block, np.uint32(scratch.table[place])] != wanted:
            place = (place + one) & wrap
        scratch.read[edge] = scratch.table[place]
        while genes.node_id[block, node] != genes.target[block, edge]:
            node += one
        scratch.write[edge] = node


@kernel
def _find_edges(genes: Genes, block: int, scratch: DecodeScratch) -> None:
    """Find where each node's connections begin."""
    n_nodes, edge = genes.n_nodes[block], genes.n_connections[block]
    scratch.first_edge[n_nodes] = edge
    for i in range(n_nodes - 1, -1, -1):
        while edge > 0 and scratch.write[edge - 1] == i:
            edge -= 1
        scratch.first_edge[i] = edge


@kernel
def _mark(genes: Genes, block: int, scratch: DecodeScratch) -> None:
    """Set ``slot`` to 0 for every node from which an output can be reached, to -1 for others."""
    n_nodes = genes.n_nodes[block]
    for i in range(n_nodes):
        scratch.slot[i] = 0 if is_output(genes.node_id[block, i]) else -1
    # A sweep from the last connection to the first sees all that forward ones reach; hardly a branch in it, for what a
    # network looks like is anybody's guess.
    missed = False
    edge = np.uint64(genes.n_connections[block])
    while edge > np.uint64(0):
        edge -= np.uint64(1)
        source, target = np.uint32(scratch.read[edge]), np.uint32(scratch.write[edge])
        before = scratch.slot[source]
        after = before
        if genes.enabled[block, edge] and scratch.slot[target] >= 0:
            after = np.int32(0)
        missed |= (after > before) & (source > target)
        scratch.slot[source] = after
    if missed:
        _mark_backward(genes, block, scratch)


@kernel
def _mark_backward(genes: Genes, block: int, scratch: DecodeScratch) -> None:
    """Mark what is reached against the order of evaluation too, from all nodes that are marked."""
    _find_edges(genes, block, scratch)
    depth = 0
    for i in range(genes.n_nodes[block]):
        if scratch.slot[i] >= 0:
            scratch.stack[depth] = i
            depth += 1
    while depth > 0:
        depth -= 1
        node = scratch.stack[depth]
        begin, end = np.uint64(scratch.first_edge[node]), np.uint64(scratch.first_edge[node + 1])
        for edge in range(begin, end):
            if genes.enabled[block, edge]:
                source = np.uint32(scratch.read[edge])
                if scratch.slot[source] < 0:
                    scratch.slot[source] = 0
                    scratch.stack[depth] = source
                    depth += 1


@kernel
def _emit(genes: Genes, block: int, scratch: DecodeScratch, out: NetworkBatch, k: int) -> None:
    """Number the nodes that matter and write network ``k``; dynamics and plasticity aside."""
    n_nodes = genes.n_nodes[block]
    first_node, first_edge = out.node_start[k], out.edge_start[k]
    hidden = 0
    for i in range(n_nodes):
        node = genes.node_id[block, i]
        if is_input(node):
            scratch.slot[i] = node
        elif is_output(node):
            scratch.slot[i] = out.n_inputs + hidden + (node - FIRST_OUTPUT)
        elif scratch.slot[i] >= 0:
            scratch.slot[i] = out.n_inputs + hidden
            hidden += 1
    total = hidden + out.n_outputs
    for at in range(first_node, first_node + total):
        out.edge_stop[at] = 0
    for j in range(out.n_outputs):  # an output that the genome lacks stays at 0
        at = first_node + hidden + j
        out.activation[at], out.aggregation[at], out.bias[at] = IDENTITY, SUM, 0.0
    kind = 0
    for i in range(n_nodes):
        slot = scratch.slot[i]
        if slot >= out.n_inputs:  # neither an input, nor a node that does not matter
            at = first_node + slot - out.n_inputs
            out.activation[at] = genes.activation[block, i]
            out.aggregation[at] = genes.aggregation[block, i]
            out.bias[at] = genes.bias[block, i]
            if genes.aggregation[block, i] != SUM:
                kind |= MIXED
            if genes.aggregation[block, i] == DIFFERENCE:
                kind |= REMEMBERS
    recurrent = False
    begin = np.uint64(first_edge)
    to = begin
    first_slot = np.uint64(first_node - out.n_inputs)
    for edge in range(np.uint64(genes.n_connections[block])):
        slot = scratch.slot[np.uint32(scratch.write[edge])]
        if genes.enabled[block, edge] and slot >= out.n_inputs:
            source = scratch.slot[np.uint32(scratch.read[edge])]
            out.source[to] = source
            out.weight[to] = genes.weight[block, edge]
            out.edge_gene[to] = edge
            to += np.uint64(1)
            out.edge_stop[first_slot + np.uint64(slot)] = to - begin
            recurrent |= source >= slot
    stop = np.uint32(0)
    for at in range(first_node, first_node + total):
        stop = max(
            stop, out.edge_stop[at]
        )  # of a node without connections: where the last one's end
        out.edge_stop[at] = stop
    out.kind[k] = kind | (RECURRENT if recurrent else 0)
    out.node_start[k + 1] = first_node + total
    out.edge_start[k + 1] = first_edge + np.int64(to - begin)


@kernel
def _group(out: NetworkBatch, k: int) -> None:
    """Divide the nodes of network ``k`` into groups: runs of nodes none of which reads another's value of this tick.

    All nodes of a group have tanh, or none.
    """
    one = np.uint64(1)
    first, last = np.uint64(out.node_start[k]), np.uint64(out.node_start[k + 1])
    first_edge = np.uint64(out.edge_start[k])
    group, begin = first, first_edge
    slot, group_slot = np.uint64(out.n_inputs), np.uint64(out.n_inputs)
    for node in range(first, last):
        end = first_edge + np.uint64(out.edge_stop[node])
        edge = end
        while edge > begin and out.source[edge - one] >= slot:
            edge -= one
        # sources ascend, so the last forward edge reads the latest node
        waits = edge > begin and out.source[edge - one] >= group_slot
        if waits or (out.activation[node] == TANH) != (out.activation[group] == TANH):
            out.group_stop[group] = node - first
            group, group_slot = np.uint64(node), slot
        out.group_stop[node] = 0
        begin = end
        slot += one
    out.group_stop[group] = last - first


@kernel
def _emit_dynamics(
    genes: Genes,
    block: int,
    scratch: DecodeScratch,
    p: DecodeParameters,
    out: NetworkBatch,
    k: int,
) -> None:
    """Write the dynamics of the nodes of network ``k``."""
    kind = 0
    first, last = out.node_start[k], out.node_start[k + 1]
    for at in range(last - out.n_outputs, last):  # an output that the genome lacks
        out.dynamics[at] = STATIC
    for i in range(genes.n_nodes[block]):
        slot = scratch.slot[i]
        if slot < out.n_inputs:
            continue
        at = first + slot - out.n_inputs
        code = int(genes.node_extra[block, p.dynamics, i])
        out.dynamics[at] = code
        if code != STATIC:
            kind = DYNAMIC
        if code == IZHIKEVICH:
            for c in range(N_CONSTANTS):
                if p.izhikevich >= 0:
                    out.constants[at, c] = genes.node_extra[block, p.izhikevich + c, i]
                else:
                    out.constants[at, c] = _IZHIKEVICH_DEFAULTS[c]
        else:
            tau = genes.node_extra[block, p.dynamics + 1, i]
            bound = genes.node_extra[block, p.dynamics + 2, i]
            time_bias = genes.node_extra[block, p.dynamics + 3, i]
            write_constants(code, tau, bound, time_bias, p.dt, out.constants, at)
    out.kind[k] |= kind


@kernel
def _emit_rule(
    genes: Genes, block: int, gene: int, p: DecodeParameters, out: NetworkBatch, at: int
) -> int:
    """Write rule and coefficients of edge ``at``, and return its bits of the network's kind."""
    code = int(genes.connection_extra[block, p.rule, gene])
    out.rule[at] = code
    for c in range(N_COEFFICIENTS):
        out.coefficients[at, c] = 0.0
    out.coefficients[at, 0] = genes.connection_extra[block, p.rule + 1, gene]
    if code == HEBBIAN:
        out.coefficients[at, 1] = genes.connection_extra[block, p.rule + 2, gene]
    elif code == TRACE:
        out.coefficients[at, 1] = genes.connection_extra[block, p.rule + 3, gene]
    elif code == ABCD:
        for c in range(4):
            out.coefficients[at, 1 + c] = genes.connection_extra[block, p.rule + 4 + c, gene]
    elif code == STDP:
        for c in range(4):
            value = _STDP_DEFAULTS[c]
            if p.stdp >= 0:
                value = genes.connection_extra[block, p.stdp + c, gene]
            out.coefficients[at, 1 + c] = value if c < 2 else 1.0 / value
    if code == STDP:
        return PLASTIC | TIMED
    return 0 if code == NONE else PLASTIC


@kernel
def _emit_plasticity(
    genes: Genes,
    block: int,
    scratch: DecodeScratch,
    p: DecodeParameters,
    out: NetworkBatch,
    k: int,
) -> None:
    """Write the rules of the edges of network ``k``, and put each node's edges from modulatory nodes behind the others."""
    kind = 0
    first_node, first_edge = out.node_start[k], out.edge_start[k]
    for at in range(first_node, out.node_start[k + 1]):
        out.modulatory_start[at] = out.edge_stop[at]
    for i in range(genes.n_nodes[block]):
        slot = scratch.slot[i]
        if slot < out.n_inputs:
            continue
        at = first_node + slot - out.n_inputs
        edges = 0 if at == first_node else np.int64(out.edge_stop[at - 1])
        for modulatory in range(2):
            if modulatory == 1:
                out.modulatory_start[at] = edges
                if edges < out.edge_stop[at]:
                    kind |= MODULATED
            for edge in range(scratch.first_edge[i], scratch.first_edge[i + 1]):
                source = scratch.read[edge]
                if not genes.enabled[block, edge]:
                    continue
                if (genes.node_extra[block, p.modulatory, source] != 0.0) != (modulatory == 1):
                    continue
                out.source[first_edge + edges] = scratch.slot[source]
                out.weight[first_edge + edges] = genes.weight[block, edge]
                out.edge_gene[first_edge + edges] = edge
                kind |= _emit_rule(genes, block, edge, p, out, first_edge + edges)
                edges += 1
    out.kind[k] |= kind


@kernel
def _emit_time(
    genes: Genes,
    block: int,
    scratch: DecodeScratch,
    p: DecodeParameters,
    out: NetworkBatch,
    k: int,
) -> None:
    """Write dynamics and plasticity of network ``k``."""
    if p.dynamics >= 0:
        _emit_dynamics(genes, block, scratch, p, out, k)
    if p.rule >= 0:
        _find_edges(genes, block, scratch)
        _emit_plasticity(genes, block, scratch, p, out, k)


@inlined_kernel
def decode_network(
    genes: Genes,
    block: int,
    scratch: DecodeScratch,
    p: DecodeParameters | None,
    out: NetworkBatch,
    k: int,
) -> None:
    """Decode one genome to network ``k`` of a batch, behind those before it; otherwise as `decode`."""
    _link(genes, block, scratch)
    _mark(genes, block, scratch)
    _emit(genes, block, scratch, out, k)
    if out.node_start[k + 1] - out.node_start[k] >= GROUPED:
        _group(out, k)
    if p is not None:
        _emit_time(genes, block, scratch, p, out, k)


@kernel
def decode(
    genes: Genes,
    blocks: Int,
    scratch: DecodeScratch,
    p: DecodeParameters | None,
    out: NetworkBatch,
) -> None:
    """Decode the genomes in ``blocks`` into ``out``.

    Nodes that no path of enabled connections leads on to an output are left out, and that changes no
    output. An input keeps its slot whether it is used or not.

    Args:
        genes: the table; the genomes must be valid.
        blocks: (n,) which genomes.
        scratch: room for the largest of them.
        p: where the columns of dynamics and plasticity are; None: there are none, and nothing is compiled for them.
        out: arrays for n networks, with room for ``sum(n_nodes) + n * n_outputs`` nodes and
            ``sum(n_connections)`` edges.
    """
    out.node_start[0] = 0
    out.edge_start[0] = 0
    for k in range(blocks.size):
        decode_network(genes, blocks[k], scratch, p, out, k)


@allocating_kernel
def decoded(
    genes: Genes, blocks: Int, shape: NetworkShape, p: DecodeParameters | None
) -> NetworkBatch:
    """Return the networks of the genomes in ``blocks``, (n,), in arrays of their own; ``p`` as in `decode`."""
    nodes, edges, most_nodes, most_edges = count_room(genes.n_nodes, genes.n_connections, blocks)
    n = blocks.size
    out = network_room(n, nodes + n * shape.n_outputs, edges, shape, p)
    decode(genes, blocks, decode_scratch(most_nodes, most_edges), p, out)
    return out
