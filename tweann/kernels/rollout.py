"""Rollouts: networks in compiled simulations, called through function pointers.

The kernel is compiled once for all tasks, a user's own included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tweann.genes import Flag, Float, Genes, Int
from tweann.kernels._jit import allocating_kernel, fused_kernel
from tweann.kernels.breed import get_values
from tweann.kernels.claims import next_claimed
from tweann.kernels.decode import decode_network
from tweann.kernels.learning import learn
from tweann.kernels.network_batch import (
    GENERAL,
    PLASTIC,
    DecodeParameters,
    DecodeScratch,
    NetworkBatch,
    NetworkShape,
    count_room,
    decode_scratch,
    network_room,
)
from tweann.kernels.random import UInt64Array
from tweann.kernels.tick import (
    TickState,
    clean_inputs,
    program,
    reset,
    run_general,
    run_sums,
    tick_state,
)

_INVALID, _NON_FINITE = int(Flag.INVALID), int(Flag.NON_FINITE)


class Scaling(NamedTuple):
    """How a network's outputs become what a task takes: clip(scale·out + offset, low, high), (n_outputs,) each."""

    scale: Float
    offset: Float
    low: Float
    high: Float


class RolloutParameters(NamedTuple):
    """What all rollouts of a task have in common."""

    params: Float  #: (p,) the task's constants
    keys: UInt64Array  #: (episodes,) one random key an episode
    max_steps: int  #: at which an episode ends if it has not by itself
    ticks: int  #: of the network for one observation
    scaling: Scaling
    custom: NDArray[np.uint64]  #: addresses of plugins' activations
    reward_modulation: bool  #: the last step's reward modulates plasticity; otherwise 1 does


class RolloutScratch(NamedTuple):
    """Room for one rollout."""

    network: TickState
    task: Float  #: (s,) the task's state
    action: Float  #: (n_outputs,)
    score: Float  #: (2 + d + m,) fitness, solved, descriptor, objectives


class RolloutResults(NamedTuple):
    """What rollouts find: n entries each, means over the episodes."""

    fitness: Float
    solved: NDArray[np.bool_]  #: in every episode
    steps: Int  #: of all episodes
    flags: Int
    descriptor: Float  #: (n, d)
    objectives: Float  #: (n, m)
    learned: Float  #: (n, C) in gene order: weights that plastic networks ended with; or (0, 0): nobody asks


@fused_kernel
def scale_outputs(outputs: Float, scaling: Scaling, out: Float) -> None:
    """Write the action that ``outputs`` mean, (n_outputs,)."""
    for j in range(out.size):
        a = outputs[j] * scaling.scale[j] + scaling.offset[j]
        out[j] = min(max(a, scaling.low[j]), scaling.high[j])


@fused_kernel
def run_rollouts(
    genes: Genes,
    blocks: Int,
    claims: Int,
    decoding: DecodeParameters | None,
    room: DecodeScratch,
    net: NetworkBatch,
    task_reset: Callable[..., Any],
    task_observe: Callable[..., Any],
    task_step: Callable[..., Any],
    task_score: Callable[..., Any],
    p: RolloutParameters,
    scratch: RolloutScratch,
    out: RolloutResults,
) -> bool:
    """Decode genomes, as many as are left to claim, and run each through all episodes of a task.

    One after the other in the same room, so that a network is still in the cache when it runs. An episode: reset the
    network and the task; then observe, tick, step until the task is done or ``max_steps`` is reached; then score. Plastic
    networks learn before each tick, with the last step's reward, 0 before the first, where it modulates, and with 1 where
    it does not; all ticks of a step get the same. The score array comes to the task with the sum of rewards in [0] and
    zeros behind it: [0] fitness, [1] not 0 if solved, then descriptor, then objectives.

    Args:
        genes, blocks: (n,) the genomes.
        claims: see `tweann.kernels.claims`.
        decoding: as in `tweann.kernels.decode.decode`.
        room, net, scratch: room, sized for the largest genome; that for one network.
        task_reset, task_observe, task_step, task_score: the task, compiled to the signatures of `_jit`.
        p: parameters.
        out: (n,) written where a genome was claimed.

    Returns:
        Whether all fitness and descriptors are finite.
    """
    # What the innermost loop needs, taken out of its tuples once: that makes it twice as fast.
    state, params, action, values = scratch.task, p.params, scratch.action, scratch.network.values
    scaling, custom, n_inputs = p.scaling, p.custom, net.n_inputs
    nodes, sums = program(net), scratch.network.sums
    observation = values[:n_inputs]
    d = out.descriptor.shape[1]
    episodes = p.keys.size
    zero, finite = np.uint64(0), True
    net.node_start[0], net.edge_start[0] = 0, 0
    k = stop = 0
    while True:
        k, stop = next_claimed(claims, k, stop)
        if k >= stop:
            break
        decode_network(genes, blocks[k], room, decoding, net, 0)
        last = np.uint64(net.node_start[1])
        general, plastic = net.kind[0] & GENERAL, net.kind[0] & PLASTIC
        first_output = net.n_inputs + net.node_start[1] - net.n_outputs
        outputs = values[first_output : first_output + net.n_outputs]
        fitness, steps, flags, solved = 0.0, 0, 0, True
        out.descriptor[k] = 0.0
        out.objectives[k] = 0.0
        for episode in range(episodes):
            reset(net, 0, scratch.network)
            state[:] = 0.0  # so that nothing leaks from one genome's episode into the next
            task_reset(state, params, p.keys[episode])
            total = 0.0
            modulation = 0.0 if p.reward_modulation else 1.0
            for _ in range(p.max_steps):
                task_observe(state, params, observation)
                for _ in range(p.ticks):
                    spoilt = clean_inputs(values, n_inputs)
                    if general:
                        if plastic and learn(net, 0, scratch.network, modulation):
                            spoilt = True
                        if run_general(net, 0, scratch.network, custom):
                            spoilt = True
                    elif run_sums(nodes, zero, last, zero, n_inputs, values, sums, custom):
                        spoilt = True
                    if spoilt:
                        flags |= _NON_FINITE
                scale_outputs(outputs, scaling, action)
                reward, done = task_step(state, params, action)
                total += reward
                steps += 1
                if p.reward_modulation:
                    modulation = reward
                if done:
                    break
            scratch.score[:] = 0.0
            scratch.score[0] = total
            task_score(state, params, scratch.score)
            fitness += scratch.score[0]
            solved = solved and scratch.score[1] != 0.0
            for i in range(d):
                out.descriptor[k, i] += scratch.score[2 + i] / episodes
            for i in range(out.objectives.shape[1]):
                out.objectives[k, i] += scratch.score[2 + d + i] / episodes
        if plastic and out.learned.size:
            for e in range(net.edge_start[1]):
                out.learned[k, net.edge_gene[e]] = scratch.network.weight[e]
        fitness /= episodes
        if not np.isfinite(fitness):
            fitness, solved, finite = np.nan, False, False
            flags |= _INVALID
        for i in range(d):
            finite = finite and np.isfinite(out.descriptor[k, i])
        out.fitness[k], out.steps[k], out.flags[k], out.solved[k] = fitness, steps, flags, solved
        k += 1
    return bool(finite)


@allocating_kernel
def rollout(
    genes: Genes,
    blocks: Int,
    claims: Int,
    shape: NetworkShape,
    decoding: DecodeParameters | None,
    task_reset: Callable[..., Any],
    task_observe: Callable[..., Any],
    task_step: Callable[..., Any],
    task_score: Callable[..., Any],
    state_size: int,
    p: RolloutParameters,
    out: RolloutResults,
) -> bool:
    """Do the work of `run_rollouts` in room of its own; ``state_size`` is that of the task."""
    _, _, nodes, edges = count_room(genes.n_nodes, genes.n_connections, blocks)
    nodes += shape.n_outputs
    scratch = RolloutScratch(
        tick_state(shape.n_inputs + nodes, edges),
        np.empty(state_size, np.float64),
        np.empty(shape.n_outputs, np.float64),
        np.empty(2 + out.descriptor.shape[1] + out.objectives.shape[1], np.float64),
    )
    return run_rollouts(
        genes,
        blocks,
        claims,
        decoding,
        decode_scratch(nodes, edges),
        network_room(1, nodes, edges, shape, decoding),
        task_reset,
        task_observe,
        task_step,
        task_score,
        p,
        scratch,
        out,
    )


@fused_kernel
def evaluate_vectors(
    genes: Genes,
    blocks: Int,
    claims: Int,
    function: Callable[..., Any],
    params: Float,
    key: np.uint64,
    values: Float,
    score: Float,
    out: RolloutResults,
) -> bool:
    """Evaluate genomes, as many as are left to claim, as vectors of weights and biases, in gene order.

    Args:
        genes, blocks: (n,) the genomes.
        claims: see `tweann.kernels.claims`.
        function: ``(values, params, key, score)``, compiled to the signature ``VECTOR`` of `_jit`; ``score`` as in
            `rollout`.
        params: (p,) the task's constants.
        key: where the task's randomness comes from.
        values: room for the largest vector.
        score: (2 + d + m,) room.
        out: (n,) written where a genome was claimed.

    Returns:
        Whether all fitness and descriptors are finite.
    """
    d, finite = out.descriptor.shape[1], True
    k = stop = 0
    while True:
        k, stop = next_claimed(claims, k, stop)
        if k >= stop:
            break
        n = get_values(genes, blocks[k], values)
        score[:] = 0.0
        function(values[:n], params, key, score)
        valid = np.isfinite(score[0])
        out.fitness[k] = score[0] if valid else np.nan
        out.solved[k] = valid and score[1] != 0.0
        out.flags[k] = 0 if valid else _INVALID
        out.steps[k] = 1
        finite = finite and valid
        for i in range(d):
            out.descriptor[k, i] = score[2 + i]
            finite = finite and np.isfinite(score[2 + i])
        for i in range(out.objectives.shape[1]):
            out.objectives[k, i] = score[2 + d + i]
        k += 1
    return bool(finite)
