"""Learning within a lifetime: what the last tick and its reward make of the weights of a plastic network."""

from __future__ import annotations

import math

import numpy as np

from tweann.kernels._jit import fused_kernel
from tweann.kernels.activation import clip
from tweann.kernels.decode import PLASTIC, NetworkBatch
from tweann.kernels.plasticity import ABCD, HEBBIAN, NONE, OJA, TRACE, spike_timing
from tweann.kernels.tick import Index, TickState


@fused_kernel
def learn(net: NetworkBatch, k: int, state: TickState, reward: float) -> bool:
    """Change the weights of network ``k`` by what its last tick was and brought; before the first tick nothing.

    Args:
        net, k: which network; nothing happens where it is not plastic.
        state: as `tick` left it.
        reward: for the last tick; one that is not finite counts as 0.

    Returns:
        Whether something was not finite: a reward, a weight, which is then as at birth, or a trace, then 0.
    """
    if not net.kind[k] & PLASTIC or state.clock[0] == 0.0:
        return False
    spoilt = False
    if not math.isfinite(reward):
        reward = 0.0
        spoilt = True
    first_edge = np.uint64(net.edge_start[k])
    slot = np.uint64(net.n_inputs)
    start = np.uint64(0)
    for node in range(np.uint64(net.node_start[k]), np.uint64(net.node_start[k + 1])):
        stop, middle = np.uint64(net.edge_stop[node]), np.uint64(net.modulatory_start[node])
        m = reward
        if middle < stop:
            s = 0.0
            for e in range(middle, stop):
                s += state.weight[e] * state.delivered[e]
            m *= s
        for e in range(start, stop):
            if net.rule[first_edge + e] != NONE and learn_edge(
                net, first_edge + e, e, slot, state, m
            ):
                spoilt = True
        start = stop
        slot += np.uint64(1)
    return spoilt


@fused_kernel
def learn_edge(
    net: NetworkBatch, edge: Index, e: Index, slot: Index, state: TickState, m: float
) -> bool:
    """Change the weight of one plastic edge, and say whether something was not finite.

    Args:
        net: the batch.
        edge: which of its edges.
        e: the same, counted from the network's first.
        slot: of the edge's target.
        state: of the network.
        m: reward times modulation.
    """
    rule, c = net.rule[edge], net.coefficients
    w, pre, post = state.weight[e], state.delivered[e], state.values[slot]
    rate = c[edge, 0] * m
    spoilt = False
    if rule == HEBBIAN:
        w += rate * pre * post - c[edge, 1] * w
    elif rule == OJA:
        w += rate * post * (pre - post * w)
    elif rule == ABCD:
        w += rate * (c[edge, 1] * pre * post + c[edge, 2] * pre + c[edge, 3] * post + c[edge, 4])
    elif rule == TRACE:
        trace = c[edge, 1] * state.trace[e] + pre * post
        if not math.isfinite(trace):
            trace = 0.0
            spoilt = True
        state.trace[e] = trace
        w += rate * trace
    else:
        w += rate * spike_timing(
            state.clock[0] - 1.0,
            state.pre_spike[e],
            state.post_spike[slot],
            c[edge, 1],
            c[edge, 2],
            c[edge, 3],
            c[edge, 4],
        )
    if not math.isfinite(w):
        w = net.weight[edge]
        spoilt = True
    state.weight[e] = clip(w, net.weight_bound)
    return spoilt
