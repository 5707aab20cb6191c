"""Decoding: from genomes to networks, for a whole slice of a population at once.

Genes in sorted order are already in order of evaluation, so decoding is one pass over them: look up where each
connection reads, drop what reaches no output, number the rest.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tweann.genes import COLUMN_GROUPS, Genes, Int
from tweann.kernels._jit import allocating_kernel, inlined_kernel, kernel
from tweann.kernels.activation import DIFFERENCE, IDENTITY, SUM, TANH
from tweann.kernels.dynamics import IZHIKEVICH, N_CONSTANTS, STATIC, write_constants
from tweann.kernels.ids import FIRST_OUTPUT, is_input, is_output
from tweann.kernels.network_batch import (
    DYNAMIC,
    GROUPED,
    MIXED,
    MODULATED,
    PLASTIC,
    RECURRENT,
    REMEMBERS,
    TIMED,
    DecodeParameters,
    DecodeScratch,
    NetworkBatch,
    NetworkShape,
    count_room,
    decode_scratch,
    network_room,
)
from tweann.kernels.plasticity import ABCD, HEBBIAN, N_COEFFICIENTS, NONE, STDP, TRACE

#: For genomes without genes of these groups.
_IZHIKEVICH_DEFAULTS: Final = tuple(value for _, value in COLUMN_GROUPS["izhikevich"].node)
_STDP_DEFAULTS: Final = tuple(value for _, value in COLUMN_GROUPS["stdp"].connection)
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)


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
        # of a node without connections: where those of the last one end
        stop = max(stop, out.edge_stop[at])
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
