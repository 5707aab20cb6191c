"""The forward pass of many rows side by side, in lanes: with the bits of `tweann.kernels.tick` for each.

Networks with dynamics or plasticity run row by row: their states would fill the cache.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tweann.genes import Float
from tweann.kernels._jit import allocating_kernel, fused_kernel, inlined_fused_kernel
from tweann.kernels.activation import DIFFERENCE, SUM, TANH, aggregate, other_activation, tanh
from tweann.kernels.learning import learn
from tweann.kernels.network_batch import RECURRENT, REMEMBERS, ROW_BY_ROW, NetworkBatch
from tweann.kernels.tick import Index, TickState, clean_inputs, reset, run_general

#: Rows that are evaluated side by side; more would leave the second-level cache with large networks.
LANES: Final = 128
#: As many as the smallest tables fill, XOR among them: there is a forward pass for just these, twice as fast.
FEW: Final = 4


class LaneState(NamedTuple):
    """What a network carries from tick to tick in several rows side by side, and room to work in."""

    values: Float  #: (slots, lanes)
    delivered: Float  #: (edges, lanes)
    sums: Float  #: (lanes,) scratch
    products: Float  #: (edges,) scratch
    sorted_products: Float  #: (edges,) scratch


@allocating_kernel
def lane_state(n_slots: int, n_edges: int, lanes: int = LANES) -> LaneState:
    """Return a state of zeros for ``lanes`` rows of networks of up to that many values and edges."""
    return LaneState(
        np.zeros((n_slots, lanes)),
        np.zeros((n_edges, lanes)),
        np.empty(lanes),
        np.empty(n_edges),
        np.empty(n_edges),
    )


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
    """Return the aggregated input of a node that does not sum, in one lane."""
    n = int(np.int64(0))  # else all that takes it is compiled for a literal 0 first
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


@inlined_fused_kernel
def add_edges_in_lanes(
    source: NDArray[np.uint16],
    weight: Float,
    start: Index,
    stop: Index,
    values: Float,
    sums: Float,
    lanes: np.uint64,
) -> None:
    """Write the sum of weight times value over edges ``start`` to ``stop`` to ``sums``, (lanes,).

    Four edges a pass, so that sums are loaded and stored once for four multiply-adds; in the order of
    genes all the same.
    """
    for lane in range(lanes):
        sums[lane] = 0.0
    e = start
    while e + np.uint64(4) <= stop:
        w0, w1 = weight[e], weight[e + np.uint64(1)]
        w2, w3 = weight[e + np.uint64(2)], weight[e + np.uint64(3)]
        v0, v1 = source[e], source[e + np.uint64(1)]
        v2, v3 = source[e + np.uint64(2)], source[e + np.uint64(3)]
        for lane in range(lanes):
            s = sums[lane] + w0 * values[v0, lane]
            s += w1 * values[v1, lane]
            s += w2 * values[v2, lane]
            s += w3 * values[v3, lane]
            sums[lane] = s
        e += np.uint64(4)
    while e < stop:
        w0, v0 = weight[e], source[e]
        for lane in range(lanes):
            sums[lane] += w0 * values[v0, lane]
        e += np.uint64(1)


@inlined_fused_kernel
def tick_lanes(
    net: NetworkBatch, k: int, state: LaneState, custom: NDArray[np.uint64], lanes: np.uint64
) -> bool:
    """Compute one tick of network ``k``, neither dynamic nor plastic, for as many rows as ``state`` has ``lanes``.

    Otherwise as `tick`. Inlined: where ``lanes`` is a constant, loops over it become single instructions.
    """
    values, sums = state.values, state.sums
    source, weight = net.source, net.weight
    spoilt = False
    slot = np.uint64(net.n_inputs)
    for i in range(slot):
        for lane in range(lanes):
            if not math.isfinite(values[i, lane]):
                values[i, lane] = 0.0
                spoilt = True
    first_edge = np.uint64(net.edge_start[k])
    edge = first_edge
    for node in range(np.uint64(net.node_start[k]), np.uint64(net.node_start[k + 1])):
        stop = first_edge + np.uint64(net.edge_stop[node])
        if net.aggregation[node] != SUM:
            for lane in range(lanes):
                sums[lane] = aggregate_edges_in_lane(net, node, edge, stop, first_edge, state, lane)
        else:
            add_edges_in_lanes(source, weight, edge, stop, values, sums, lanes)
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


@fused_kernel
def run_rows(
    net: NetworkBatch,
    k: int,
    inputs: Float,
    n_rows: int,
    ticks: int,
    values: Float,
    state: TickState,
    custom: NDArray[np.uint64],
) -> bool:
    """Do the work of `run_block` row by row; ``values``, (slots, lanes), gets the outputs."""
    spoilt = False
    n_slots = net.n_inputs + net.node_start[k + 1] - net.node_start[k]
    for lane in range(n_rows):
        reset(net, k, state)
        for _ in range(ticks):
            if learn(net, k, state, 1.0):
                spoilt = True
            for i in range(net.n_inputs):
                state.values[i] = inputs[i, lane]
            if clean_inputs(state.values, net.n_inputs):
                spoilt = True
            if run_general(net, k, state, custom):  # not `tick`, which would be compiled once more
                spoilt = True
        for i in range(n_slots - net.n_outputs, n_slots):
            values[i, lane] = state.values[i]
    return spoilt


@fused_kernel
def run_block(
    net: NetworkBatch,
    k: int,
    inputs: Float,
    n_rows: int,
    ticks: int,
    state: LaneState,
    single: TickState | None,
    custom: NDArray[np.uint64],
) -> bool:
    """Run network ``k`` on a block of rows, each from the beginning of time, its inputs held for some ticks.

    Args:
        net, k: which network.
        inputs: (n_inputs, lanes).
        n_rows: how many lanes count; the others may be computed or not.
        ticks: >= 1.
        state: (slots, lanes); the outputs' slots are written.
        single: for networks with dynamics or plasticity; None: there is none, and nothing is compiled for them.
        custom: addresses of plugins' activations.

    Returns:
        As `tick`.
    """
    spoilt = False
    lanes = state.sums.size
    if single is not None:  # noqa: SIM102 - in a line of its own the compiler decides it
        if net.kind[k] & ROW_BY_ROW:
            return run_rows(net, k, inputs, n_rows, ticks, state.values, single, custom)
    if ticks > 1 or net.kind[k] & (RECURRENT | REMEMBERS):
        reset_lanes(net, k, state)
    for i in range(net.n_inputs):
        for lane in range(lanes):
            state.values[i, lane] = inputs[i, lane]
    few = np.uint64(FEW)
    for _ in range(ticks):
        if lanes == FEW:
            spoilt |= tick_lanes(net, k, state, custom, few)
        else:
            spoilt |= tick_lanes(net, k, state, custom, np.uint64(lanes))
    return spoilt
