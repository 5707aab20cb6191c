"""Matches: two players in one compiled simulation, called through function pointers.

The kernel is compiled once for all tasks, a user's own included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tweann.genes import Flag, Float, Int
from tweann.kernels._jit import fused_kernel
from tweann.kernels.learning import learn
from tweann.kernels.network_batch import GENERAL, PLASTIC, NetworkBatch
from tweann.kernels.rollout import RolloutParameters, scale_outputs
from tweann.kernels.tick import TickState, clean_inputs, program, reset, run_general, run_sums

_NON_FINITE = int(Flag.NON_FINITE)


class MatchScratch(NamedTuple):
    """Room for one match."""

    player: TickState
    opponent: TickState
    task: Float  #: (s,) the task's state
    observations: Float  #: (2, n_inputs) by seat
    actions: Float  #: (2, n_outputs) by seat
    points: Float  #: (2,) by seat


class MatchResults(NamedTuple):
    """What matches find: n entries each."""

    scores: Float  #: (n, ≥ m) mean over the matches: 1 a win, ½ a draw, 0 a loss
    steps: Int  #: of all matches
    flags: Int


@fused_kernel
def think(
    net: NetworkBatch,
    k: int,
    state: TickState,
    observation: Float,
    p: RolloutParameters,
    action: Float,
) -> bool:
    """Let network ``k`` look at an observation, (n_inputs,), and write its action, (n_outputs,).

    Returns:
        Whether something was not finite, and taken as 0.
    """
    values, n_inputs = state.values, net.n_inputs
    first, last = np.uint64(net.node_start[k]), np.uint64(net.node_start[k + 1])
    for i in range(n_inputs):
        values[i] = observation[i]
    spoilt = False
    for _ in range(p.ticks):
        if clean_inputs(values, n_inputs):
            spoilt = True
        if net.kind[k] & GENERAL:
            if net.kind[k] & PLASTIC and learn(net, k, state, 1.0):
                spoilt = True
            if run_general(net, k, state, p.custom):
                spoilt = True
        else:
            edge = np.uint64(net.edge_start[k])
            if run_sums(program(net), first, last, edge, n_inputs, values, state.sums, p.custom):
                spoilt = True
    stop = n_inputs + net.node_start[k + 1] - net.node_start[k]
    scale_outputs(values[stop - net.n_outputs : stop], p.scaling, action)
    return spoilt


@fused_kernel
def play(
    net: NetworkBatch,
    others: NetworkBatch,
    scripted: bool,
    task_reset: Callable[..., Any],
    task_observe: Callable[..., Any],
    task_step: Callable[..., Any],
    task_score: Callable[..., Any],
    policy: Callable[..., Any],
    p: RolloutParameters,
    scratch: MatchScratch,
    out: MatchResults,
) -> None:
    """Let every network of a batch play against every other of another, or against one scripted player.

    For each opponent and episode there are two matches, one from either seat, which begin alike. Who has more points
    at the end wins; points that are not finite lose.

    Args:
        net: (n,) networks.
        others: (m,) opponents; of no importance if ``scripted``.
        scripted: the only opponent is ``policy``.
        task_reset, task_observe, task_step, task_score, policy: the task, compiled to the signatures of `_jit`.
        p: parameters, the same for both players.
        scratch: room, sized for the largest network of each batch.
        out: (n,) written.
    """
    state, params = scratch.task, p.params
    observations, actions, points = scratch.observations, scratch.actions, scratch.points
    m = 1 if scripted else others.kind.size
    for k in range(net.kind.size):
        steps, flags = 0, 0
        for j in range(m):
            score = 0.0
            for episode in range(p.keys.size):
                for seat in range(2):
                    other = 1 - seat
                    reset(net, k, scratch.player)
                    if not scripted:
                        reset(others, j, scratch.opponent)
                    state[:] = 0.0
                    task_reset(state, params, p.keys[episode])
                    for _ in range(p.max_steps):
                        task_observe(state, params, observations)
                        if think(net, k, scratch.player, observations[seat], p, actions[seat]):
                            flags |= _NON_FINITE
                        if scripted:
                            policy(state, params, observations[other], actions[other])
                        else:
                            theirs = scratch.opponent
                            think(others, j, theirs, observations[other], p, actions[other])
                        steps += 1
                        if task_step(state, params, actions):
                            break
                    points[:] = 0.0
                    task_score(state, params, points)
                    valid, opposed = np.isfinite(points[seat]), np.isfinite(points[other])
                    if valid and (not opposed or points[seat] > points[other]):
                        score += 1.0
                    elif valid == opposed and not (valid and points[seat] < points[other]):
                        score += 0.5
            out.scores[k, j] = score / (2.0 * p.keys.size)
        out.steps[k], out.flags[k] = steps, flags
