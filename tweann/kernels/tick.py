"""The forward pass: one tick of a network.

All paths add up in the order of genes and with the same contractions, so a network gives the same bits
whether it is activated once, in a rollout or over a table (`tweann.kernels.lanes`).

Before a tick of a plastic network comes `tweann.kernels.learning.learn`.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tweann.genes import Float, UInt8
from tweann.kernels._jit import allocating_kernel, fused_kernel, inlined_fused_kernel
from tweann.kernels.activation import DIFFERENCE, SUM, TANH, aggregate, other_activation, tanh
from tweann.kernels.dynamics import (
    CFC,
    CTRNN,
    DELAY,
    IZHIKEVICH,
    LEAKY,
    LTC,
    STATIC,
    approach,
    cfc,
    izhikevich,
    ltc,
)
from tweann.kernels.network_batch import (
    DYNAMIC,
    GENERAL,
    GROUPED,
    MODULATED,
    PLASTIC,
    REMEMBERS,
    TIMED,
    NetworkBatch,
)
from tweann.kernels.plasticity import (
    NEVER,
    STDP,
    spikes,
)

#: Unsigned in the kernels: signed indices allow for wrap-around, which costs a third of the speed.
Index: TypeAlias = int | np.uint64

_GROUPED: Final = np.uint64(GROUPED)


class TickState(NamedTuple):
    """What a network carries from tick to tick, and room to work in; sized for the largest of a batch."""

    values: Float  #: (slots,) value of each input and node
    delivered: (
        Float  #: (edges,) value that each edge delivered last; kept where the network needs it
    )
    products: Float  #: (edges,) scratch
    sorted_products: Float  #: (edges,) scratch
    sums: Float  #: (slots,) scratch
    # Of networks with dynamics:
    memory: Float  #: (slots,) what the dynamics of each node keep: x
    recovery: Float  #: (slots,) and u
    # Of plastic networks:
    weight: Float  #: (edges,) as it is now
    trace: Float  #: (edges,) of eligibility
    pre_spike: Float  #: (edges,) the tick in which it last delivered a spike, `NEVER` for none
    post_spike: Float  #: (slots,) the tick of the node's last spike
    clock: Float  #: (1,) ticks since the reset


class NodeProgram(NamedTuple):
    """The columns of a `NetworkBatch` that a network of plain sums needs."""

    edge_stop: NDArray[np.uint32]
    group_stop: NDArray[np.uint32]
    activation: UInt8
    bias: Float
    source: NDArray[np.uint16]
    weight: Float


@allocating_kernel
def tick_state(n_slots: int, n_edges: int) -> TickState:
    """Return a state for networks of up to ``n_slots`` values and ``n_edges`` edges.

    It is at the beginning of time for all that have neither dynamics nor plasticity; for those it needs `reset`.
    """
    edges = np.zeros((6, n_edges))
    slots = np.zeros((5, n_slots))
    return TickState(
        values=slots[0],
        delivered=edges[0],
        products=edges[1],
        sorted_products=edges[2],
        sums=slots[4],
        memory=slots[1],
        recovery=slots[2],
        weight=edges[3],
        trace=edges[4],
        pre_spike=edges[5],
        post_spike=slots[3],
        clock=np.zeros(1),
    )


@fused_kernel
def reset(net: NetworkBatch, k: int, state: TickState) -> None:
    """Put network ``k`` at the beginning of time: no value, nothing delivered, weights as at birth."""
    kind = net.kind[k]
    n_nodes = net.node_start[k + 1] - net.node_start[k]
    n_edges = net.edge_start[k + 1] - net.edge_start[k]
    for i in range(net.n_inputs + n_nodes):
        state.values[i] = 0.0
    if kind & (REMEMBERS | PLASTIC):
        for e in range(n_edges):
            state.delivered[e] = 0.0
    if kind & DYNAMIC:
        for i in range(n_nodes):
            reset_node(net, net.node_start[k] + i, net.n_inputs + i, state)
    if kind & PLASTIC:
        for e in range(n_edges):
            state.weight[e] = net.weight[net.edge_start[k] + e]
            state.trace[e] = 0.0
            state.pre_spike[e] = NEVER
        for i in range(net.n_inputs + n_nodes):
            state.post_spike[i] = NEVER
        state.clock[0] = 0.0


@fused_kernel
def reset_node(net: NetworkBatch, node: Index, slot: Index, state: TickState) -> None:
    """Put a node's dynamics at the beginning of time."""
    state.memory[slot] = state.recovery[slot] = 0.0
    if net.dynamics[node] == IZHIKEVICH:
        state.memory[slot] = net.constants[node, 2]
        state.recovery[slot] = net.constants[node, 1] * net.constants[node, 2]


@fused_kernel
def aggregate_edges(
    net: NetworkBatch,
    node: Index,
    start: Index,
    stop: Index,
    first_edge: Index,
    weight: Float,
    first_weight: Index,
    state: TickState,
) -> float:
    """Return the aggregated input of a node that does not sum.

    Args:
        net: the batch.
        node: which of its nodes.
        start, stop: its edges, counted from the network's first.
        first_edge: where the network's edges begin in the batch.
        weight, first_weight: of the edges, and where the network's begin there.
        state: of the network.
    """
    n = int(np.int64(0))  # as in `tweann.kernels.lanes`
    changes = net.aggregation[node] == DIFFERENCE
    for e in range(start, stop):
        value = state.values[net.source[first_edge + e]]
        if changes:
            value -= state.delivered[e]
        state.products[n] = weight[first_weight + e] * value
        n += 1
    return aggregate(net.aggregation[node], state.products, n, state.sorted_products)


@fused_kernel
def clean_inputs(values: Float, n_inputs: int) -> bool:
    """Take inputs that are not finite as 0, and say whether there was one."""
    spoilt = False
    for i in range(np.uint64(n_inputs)):
        if not math.isfinite(values[i]):
            values[i] = 0.0
            spoilt = True
    return spoilt


@inlined_fused_kernel
def program(net: NetworkBatch) -> NodeProgram:
    """Return what networks of plain sums need of a batch."""
    return NodeProgram(
        net.edge_stop, net.group_stop, net.activation, net.bias, net.source, net.weight
    )


@fused_kernel
def run_groups(
    nodes: NodeProgram,
    first_node: np.uint64,
    last_node: np.uint64,
    first_edge: np.uint64,
    n_inputs: int,
    values: Float,
    sums: Float,
    custom: NDArray[np.uint64],
) -> bool:
    """Compute the nodes of one network all of which sum, group by group: no node of a group waits for another.

    First a group's sums, then its activations side by side.
    """
    spoilt = False
    slot = np.uint64(n_inputs)
    edge = first_edge
    node = first_node
    while node < last_node:
        n = first_node + np.uint64(nodes.group_stop[node]) - node
        for i in range(n):
            stop = first_edge + np.uint64(nodes.edge_stop[node + i])
            s = 0.0
            for e in range(edge, stop):
                s += nodes.weight[e] * values[nodes.source[e]]
            edge = stop
            sums[i] = s + nodes.bias[node + i]
        wrong = np.uint64(0)  # counted, as in `tweann.kernels.lanes`
        if nodes.activation[node] == TANH:
            for i in range(n):
                v = tanh(sums[i])
                values[slot + i] = v
                wrong += np.uint64(not math.isfinite(v))
        else:
            for i in range(n):
                v = other_activation(nodes.activation[node + i], sums[i], custom)
                values[slot + i] = v
                wrong += np.uint64(not math.isfinite(v))
        if wrong > 0:
            spoilt = True
            for i in range(n):
                if not math.isfinite(values[slot + i]):
                    values[slot + i] = 0.0
        node += n
        slot += n
    return spoilt


@inlined_fused_kernel
def run_sums(
    nodes: NodeProgram,
    first_node: np.uint64,
    last_node: np.uint64,
    first_edge: np.uint64,
    n_inputs: int,
    values: Float,
    sums: Float,
    custom: NDArray[np.uint64],
) -> bool:
    """Compute the nodes of one network all of which sum; the hottest loop of all.

    Small networks node by node, with the bits of `run_groups`. Inlined: a call takes as long as a small network.
    All indices are unsigned: signed ones make the compiler allow for wrap-around, and the loop 1.5 times
    as slow.
    """
    if last_node - first_node >= _GROUPED:
        return run_groups(nodes, first_node, last_node, first_edge, n_inputs, values, sums, custom)
    spoilt = False
    slot = np.uint64(n_inputs)
    edge = first_edge
    for node in range(first_node, last_node):
        stop = first_edge + np.uint64(nodes.edge_stop[node])
        s = 0.0
        for e in range(edge, stop):
            s += nodes.weight[e] * values[nodes.source[e]]
        edge = stop
        s += nodes.bias[node]
        code = nodes.activation[node]
        v = tanh(s) if code == TANH else other_activation(code, s, custom)
        if not math.isfinite(v):
            v = 0.0
            spoilt = True
        values[slot] = v
        slot += np.uint64(1)
    return spoilt


@fused_kernel
def note_spikes(net: NetworkBatch, k: int, start: Index, stop: Index, state: TickState) -> None:
    """Keep when edges of rule "stdp" deliver a spike; counted from the network's first edge."""
    first_edge = np.uint64(net.edge_start[k])
    spiking_kinds = bool(net.kind[k] & DYNAMIC)
    for e in range(start, stop):
        slot = net.source[first_edge + e]
        if net.rule[first_edge + e] == STDP:
            spiking = False
            if spiking_kinds and slot >= net.n_inputs:
                spiking = net.dynamics[net.node_start[k] + slot - net.n_inputs] == IZHIKEVICH
            if spikes(state.delivered[e], state.values[slot], spiking):
                state.pre_spike[e] = state.clock[0]


@fused_kernel
def run_general(net: NetworkBatch, k: int, state: TickState, custom: NDArray[np.uint64]) -> bool:
    """Compute the nodes of network ``k``, of any kind."""
    kind = net.kind[k]
    dynamic, plastic = bool(kind & DYNAMIC), bool(kind & PLASTIC)
    modulated, timed = bool(kind & MODULATED), bool(kind & TIMED)
    values, delivered, source = state.values, state.delivered, net.source
    memory, recovery, constants = state.memory, state.recovery, net.constants
    first_edge = np.uint64(net.edge_start[k])
    weight, first_weight = net.weight, first_edge
    if plastic:
        weight, first_weight = state.weight, np.uint64(0)
    spoilt = False
    slot = np.uint64(net.n_inputs)
    start = np.uint64(0)
    for node in range(np.uint64(net.node_start[k]), np.uint64(net.node_start[k + 1])):
        stop = np.uint64(net.edge_stop[node])
        middle = np.uint64(net.modulatory_start[node]) if modulated else stop
        aggregation = net.aggregation[node]
        if aggregation == SUM:
            s = 0.0
            for e in range(start, middle):
                s += weight[first_weight + e] * values[source[first_edge + e]]
        else:
            s = aggregate_edges(net, node, start, middle, first_edge, weight, first_weight, state)
        s += net.bias[node]
        if timed:
            note_spikes(net, k, start, stop, state)
        if plastic or aggregation == DIFFERENCE:
            for e in range(start, stop):
                delivered[e] = values[source[first_edge + e]]
        start = stop
        code = net.dynamics[node] if dynamic else np.uint8(STATIC)
        activated = code == STATIC
        if code == CTRNN:
            s = approach(s, memory[slot], constants[node, 0])
            memory[slot] = s
            activated = True
        if activated:
            activation = net.activation[node]
            v = tanh(s) if activation == TANH else other_activation(activation, s, custom)
        elif code == CFC:
            v = cfc(s, memory[slot], constants[node, 0], constants[node, 1], constants[node, 2])
            memory[slot] = v
        elif code == LTC:
            v = ltc(s, memory[slot], constants[node, 0], constants[node, 1], constants[node, 2])
            memory[slot] = v
        elif code == LEAKY:
            v = approach(s, memory[slot], constants[node, 0])
            memory[slot] = v
        elif code == DELAY:
            v = memory[slot]
            memory[slot] = s
        else:
            a, b = constants[node, 0], constants[node, 1]
            c, d = constants[node, 2], constants[node, 3]
            memory[slot], recovery[slot], v = izhikevich(
                s, memory[slot], recovery[slot], a, b, c, d
            )
        wrong = not math.isfinite(v)
        if code != STATIC and not (math.isfinite(memory[slot]) and math.isfinite(recovery[slot])):
            reset_node(net, node, slot, state)
            wrong = True
        if wrong:
            v = 0.0
            spoilt = True
        if plastic and spikes(values[slot], v, code == IZHIKEVICH):
            state.post_spike[slot] = state.clock[0]
        values[slot] = v
        slot += np.uint64(1)
    if plastic:
        state.clock[0] += 1.0
    return spoilt


@fused_kernel
def tick(net: NetworkBatch, k: int, state: TickState, custom: NDArray[np.uint64]) -> bool:
    """Compute one tick of network ``k``; the inputs stand in the first slots of ``state.values``.

    Returns:
        Whether some value or state was not finite; the value was taken as 0, the state is as after a reset.
    """
    spoilt = clean_inputs(state.values, net.n_inputs)
    if net.kind[k] & GENERAL:
        return run_general(net, k, state, custom) or spoilt
    first, last = np.uint64(net.node_start[k]), np.uint64(net.node_start[k + 1])
    values, sums, n_inputs = state.values, state.sums, net.n_inputs
    first_edge = np.uint64(net.edge_start[k])
    return run_sums(program(net), first, last, first_edge, n_inputs, values, sums, custom) or spoilt


@fused_kernel
def activate_sums(
    inputs: Float,
    edge_stop: NDArray[np.uint32],
    group_stop: NDArray[np.uint32],
    activation: UInt8,
    bias: Float,
    source: NDArray[np.uint16],
    weight: Float,
    values: Float,
    sums: Float,
    custom: NDArray[np.uint64],
) -> None:
    """Compute one tick of a single network all of whose nodes sum.

    Arrays one by one, not as a tuple: that halves the cost of a call from Python.
    """
    for i in range(inputs.size):
        values[i] = inputs[i]
    clean_inputs(values, inputs.size)
    nodes = NodeProgram(edge_stop, group_stop, activation, bias, source, weight)
    zero, last = np.uint64(0), np.uint64(bias.size)
    run_sums(nodes, zero, last, zero, inputs.size, values, sums, custom)
