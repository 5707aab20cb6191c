"""Learning within a lifetime: what the last tick and its reward make of the weights of a plastic network."""

from __future__ import annotations

import math

import numpy as np

from tweann.kernels._jit import fused_kernel
from tweann.kernels.activation import clip
from tweann.kernels.network_batch import PLASTIC, NetworkBatch
from tweann.kernels.plasticity import ABCD, HEBBIAN, NONE, OJA, STDP, TRACE, spike_timing
from tweann.kernels.tick import TickState


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
    rules, c, birth_weight = net.rule, net.coefficients, net.weight
    weight, delivered, traces = state.weight, state.delivered, state.trace
    now, bound = state.clock[0] - 1.0, net.weight_bound
    edge = np.uint64(net.edge_start[k])
    slot = np.uint64(net.n_inputs)
    start = np.uint64(0)
    for node in range(np.uint64(net.node_start[k]), np.uint64(net.node_start[k + 1])):
        stop, middle = np.uint64(net.edge_stop[node]), np.uint64(net.modulatory_start[node])
        m = reward
        if middle < stop:
            s = 0.0
            for e in range(middle, stop):
                s += weight[e] * delivered[e]
            m *= s
        post = state.values[slot]
        for e in range(start, stop):
            rule = rules[edge]
            w, pre, rate = weight[e], delivered[e], c[edge, 0] * m
            if rule == HEBBIAN:
                w += rate * pre * post - c[edge, 1] * w
            elif rule == OJA:
                w += rate * post * (pre - post * w)
            elif rule == ABCD:
                terms = c[edge, 1] * pre * post + c[edge, 2] * pre + c[edge, 3] * post
                w += rate * (terms + c[edge, 4])
            elif rule == TRACE:
                trace = c[edge, 1] * traces[e] + pre * post
                if not math.isfinite(trace):
                    trace = 0.0
                    spoilt = True
                traces[e] = trace
                w += rate * trace
            elif rule == STDP:
                ends = state.pre_spike[e], state.post_spike[slot]
                a_plus, a_minus = c[edge, 1], c[edge, 2]
                w += rate * spike_timing(now, *ends, a_plus, a_minus, c[edge, 3], c[edge, 4])
            if rule != NONE:
                if not math.isfinite(w):
                    w = birth_weight[edge]
                    spoilt = True
                weight[e] = clip(w, bound)
            edge += np.uint64(1)
        start = stop
        slot += np.uint64(1)
    return spoilt
