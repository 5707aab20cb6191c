"""The forward pass: one tick of a network, alone or many rows at once in lanes.

All paths add up in the order of genes and with the same contractions, so a network gives the same bits
whether it is activated once, in a rollout or over a table.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tweann.genes import Float, UInt8
from tweann.kernels._jit import fused_kernel
from tweann.kernels.activation import DIFFERENCE, TANH, aggregate, other_activation, tanh
from tweann.kernels.decode import MIXED, REMEMBERS, NetworkBatch

#: Rows that are evaluated side by side; more would leave the second-level cache with large networks.
LANES: Final = 128


#: Unsigned in the kernels: signed indices allow for wrap-around, which costs a third of the speed.
Index: TypeAlias = int | np.uint64


class TickState(NamedTuple):
    """What a network carries from tick to tick, and room to work in; sized for the largest of a batch."""

    values: Float  #: (slots,) value of each input and node
    delivered: Float  #: (edges,) value that each edge delivered last, for nodes of aggregation "difference"
    products: Float  #: (edges,) scratch
    sorted_products: Float  #: (edges,) scratch


class NodeProgram(NamedTuple):
    """The columns of a `NetworkBatch` that a network of plain sums needs."""

    edge_stop: NDArray[np.uint32]
    activation: UInt8
    bias: Float
    source: NDArray[np.uint16]
    weight: Float


class LaneState(NamedTuple):
    """The same for several rows side by side."""

    values: Float  #: (slots, lanes)
    delivered: Float  #: (edges, lanes)
    sums: Float  #: (lanes,) scratch
    products: Float  #: (edges,) scratch
    sorted_products: Float  #: (edges,) scratch


def tick_state(n_slots: int, n_edges: int) -> TickState:
    """Return a state of zeros for networks of up to ``n_slots`` values and ``n_edges`` edges."""
    return TickState(np.zeros(n_slots), np.zeros(n_edges), np.empty(n_edges), np.empty(n_edges))


def lane_state(n_slots: int, n_edges: int, lanes: int = LANES) -> LaneState:
    """Return a state of zeros for ``lanes`` rows of such networks."""
    return LaneState(
        np.zeros((n_slots, lanes)),
        np.zeros((n_edges, lanes)),
        np.empty(lanes),
        np.empty(n_edges),
        np.empty(n_edges),
    )


@fused_kernel
def reset(net: NetworkBatch, k: int, state: TickState) -> None:
    """Put network ``k`` at the beginning of time: no value, nothing delivered."""
    for i in range(net.n_inputs + net.node_start[k + 1] - net.node_start[k]):
        state.values[i] = 0.0
    if net.kind[k] & REMEMBERS:
        for e in range(net.edge_start[k + 1] - net.edge_start[k]):
            state.delivered[e] = 0.0


@fused_kernel
def aggregate_edges(
    net: NetworkBatch,
    node: Index,
    start: Index,
    stop: Index,
    first_edge: Index,
    state: TickState,
) -> float:
    """Return the aggregated input of a node of any kind."""
    n = 0
    if net.aggregation[node] == DIFFERENCE:
        for edge in range(start, stop):
            now = state.values[net.source[edge]]
            state.products[n] = net.weight[edge] * (now - state.delivered[edge - first_edge])
            state.delivered[edge - first_edge] = now
            n += 1
    else:
        for edge in range(start, stop):
            state.products[n] = net.weight[edge] * state.values[net.source[edge]]
            n += 1
    return aggregate(net.aggregation[node], state.products, n, state.sorted_products)


@fused_kernel
def aggregate_edges_in_lane(
    net: NetworkBatch,
    node: Index,
    start: Index,
    stop: Index,
    first_edge: Index,
    state: LaneState,
    lane: Index,
) -> float:
    """The same for one lane."""
    n = 0
    if net.aggregation[node] == DIFFERENCE:
        for edge in range(start, stop):
            now = state.values[net.source[edge], lane]
            before = state.delivered[edge - first_edge, lane]
            state.products[n] = net.weight[edge] * (now - before)
            state.delivered[edge - first_edge, lane] = now
            n += 1
    else:
        for edge in range(start, stop):
            state.products[n] = net.weight[edge] * state.values[net.source[edge], lane]
            n += 1
    return aggregate(net.aggregation[node], state.products, n, state.sorted_products)


@fused_kernel
def reset_lanes(net: NetworkBatch, k: int, state: LaneState) -> None:
    """Put network ``k`` at the beginning of time in all lanes."""
    for i in range(net.n_inputs + net.node_start[k + 1] - net.node_start[k]):
        for lane in range(state.sums.size):
            state.values[i, lane] = 0.0
    if net.kind[k] & REMEMBERS:
        for e in range(net.edge_start[k + 1] - net.edge_start[k]):
            for lane in range(state.sums.size):
                state.delivered[e, lane] = 0.0


@fused_kernel
def clean_inputs(values: Float, n_inputs: int) -> bool:
    """Take inputs that are not finite as 0, and say whether there was one."""
    spoilt = False
    for i in range(np.uint64(n_inputs)):
        if not math.isfinite(values[i]):
            values[i] = 0.0
            spoilt = True
    return spoilt


@fused_kernel
def run_sums(
    nodes: NodeProgram,
    first_node: np.uint64,
    last_node: np.uint64,
    first_edge: np.uint64,
    n_inputs: int,
    values: Float,
    custom: NDArray[np.uint64],
) -> bool:
    """Compute the nodes of one network all of which sum; the hottest loop of all.

    All indices are unsigned: signed ones make the compiler allow for wrap-around, and the loop 1.5 times
    as slow.
    """
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
def run_mixed(net: NetworkBatch, k: int, state: TickState, custom: NDArray[np.uint64]) -> bool:
    """Compute the nodes of network ``k``, some of which aggregate otherwise than by summing."""
    spoilt = False
    slot = np.uint64(net.n_inputs)
    first_edge = np.uint64(net.edge_start[k])
    edge = first_edge
    for node in range(np.uint64(net.node_start[k]), np.uint64(net.node_start[k + 1])):
        stop = first_edge + np.uint64(net.edge_stop[node])
        s = aggregate_edges(net, node, edge, stop, first_edge, state) + net.bias[node]
        edge = stop
        code = net.activation[node]
        v = tanh(s) if code == TANH else other_activation(code, s, custom)
        if not math.isfinite(v):
            v = 0.0
            spoilt = True
        state.values[slot] = v
        slot += np.uint64(1)
    return spoilt


@fused_kernel
def tick(net: NetworkBatch, k: int, state: TickState, custom: NDArray[np.uint64]) -> bool:
    """Compute one tick of network ``k``; the inputs stand in the first slots of ``state.values``.

    Returns:
        Whether some value was not finite and taken as 0.
    """
    spoilt = clean_inputs(state.values, net.n_inputs)
    if net.kind[k] & MIXED:
        return run_mixed(net, k, state, custom) or spoilt
    first, last = np.uint64(net.node_start[k]), np.uint64(net.node_start[k + 1])
    nodes = NodeProgram(net.edge_stop, net.activation, net.bias, net.source, net.weight)
    first_edge = np.uint64(net.edge_start[k])
    return run_sums(nodes, first, last, first_edge, net.n_inputs, state.values, custom) or spoilt


@fused_kernel
def activate_sums(
    inputs: Float,
    edge_stop: NDArray[np.uint32],
    activation: UInt8,
    bias: Float,
    source: NDArray[np.uint16],
    weight: Float,
    values: Float,
    custom: NDArray[np.uint64],
) -> None:
    """Compute one tick of a single network all of whose nodes sum.

    Arrays one by one, not as a tuple: that halves the cost of a call from Python.
    """
    for i in range(inputs.size):
        values[i] = inputs[i]
    clean_inputs(values, inputs.size)
    nodes = NodeProgram(edge_stop, activation, bias, source, weight)
    run_sums(nodes, np.uint64(0), np.uint64(bias.size), np.uint64(0), inputs.size, values, custom)


@fused_kernel
def add_edges_in_lanes(
    net: NetworkBatch, start: Index, stop: Index, values: Float, sums: Float
) -> None:
    """Write the sum of weight times value over edges ``start`` to ``stop`` to ``sums``, (lanes,).

    Four edges a pass, so that sums are loaded and stored once for four multiply-adds; in the order of
    genes all the same.
    """
    lanes = np.uint64(sums.size)
    for lane in range(lanes):
        sums[lane] = 0.0
    e = start
    while e + np.uint64(4) <= stop:
        w0, w1 = net.weight[e], net.weight[e + np.uint64(1)]
        w2, w3 = net.weight[e + np.uint64(2)], net.weight[e + np.uint64(3)]
        v0, v1 = net.source[e], net.source[e + np.uint64(1)]
        v2, v3 = net.source[e + np.uint64(2)], net.source[e + np.uint64(3)]
        for lane in range(lanes):
            s = sums[lane] + w0 * values[v0, lane]
            s += w1 * values[v1, lane]
            s += w2 * values[v2, lane]
            s += w3 * values[v3, lane]
            sums[lane] = s
        e += np.uint64(4)
    while e < stop:
        weight, source = net.weight[e], net.source[e]
        for lane in range(lanes):
            sums[lane] += weight * values[source, lane]
        e += np.uint64(1)


@fused_kernel
def tick_lanes(net: NetworkBatch, k: int, state: LaneState, custom: NDArray[np.uint64]) -> bool:
    """Compute one tick of network ``k`` for as many rows as ``state`` has lanes; otherwise as `tick`."""
    values = state.values
    sums = state.sums
    spoilt = False
    lanes = np.uint64(sums.size)
    slot = np.uint64(net.n_inputs)
    for i in range(slot):
        for lane in range(lanes):
            if not math.isfinite(values[i, lane]):
                values[i, lane] = 0.0
                spoilt = True
    first_edge = np.uint64(net.edge_start[k])
    mixed = net.kind[k] & MIXED
    edge = first_edge
    for node in range(np.uint64(net.node_start[k]), np.uint64(net.node_start[k + 1])):
        stop = first_edge + np.uint64(net.edge_stop[node])
        if mixed:
            for lane in range(lanes):
                sums[lane] = aggregate_edges_in_lane(net, node, edge, stop, first_edge, state, lane)
        else:
            add_edges_in_lanes(net, edge, stop, values, sums)
        edge = stop
        bias = net.bias[node]
        code = net.activation[node]
        wrong = np.uint64(
            0
        )  # counted, since a branch in the loop would keep it from being vectorised
        if code == TANH:
            for lane in range(lanes):
                v = tanh(sums[lane] + bias)
                values[slot, lane] = v
                wrong += np.uint64(not math.isfinite(v))
        else:
            for lane in range(lanes):
                v = other_activation(code, sums[lane] + bias, custom)
                values[slot, lane] = v
                wrong += np.uint64(not math.isfinite(v))
        if wrong > 0:
            spoilt = True
            for lane in range(lanes):
                if not math.isfinite(values[slot, lane]):
                    values[slot, lane] = 0.0
        slot += np.uint64(1)
    return spoilt
