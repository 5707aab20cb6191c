"""Rollouts of networks with dynamics and plasticity: which reward modulates, and that each episode is a lifetime."""

from __future__ import annotations

import numpy as np
import pytest
import toys
from genomes import PROPERTY, Claimed
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import FIRST_OUTPUT, Connection, Genome, Node
from timed_genomes import (
    ALL_GROUPS,
    batch_of,
    connection_extra,
    new_state,
    node_extra,
    timed_genomes,
)

from tweann.genes import Flag, Float
from tweann.kernels.learning import learn
from tweann.kernels.network_batch import PLASTIC, NetworkBatch
from tweann.kernels.rollout import (
    RolloutParameters,
    RolloutResults,
    RolloutScratch,
    Scaling,
    run_rollouts,
)
from tweann.kernels.tick import tick, tick_state

NO_CUSTOM = np.zeros(0, np.uint64)
PARAMS = np.array([0.1, 10.0, 3.0])
NOT_ASKED = np.zeros((0, 0))


def evaluate(
    networks: Claimed,
    keys: list[int],
    steps: int,
    ticks: int,
    modulation: bool,
    learned: Float = NOT_ASKED,
) -> RolloutResults:
    ones, wide = np.ones(1), np.full(1, np.inf)
    scaling = Scaling(ones, 0 * ones, -wide, wide)
    p = RolloutParameters(
        PARAMS, np.array(keys, np.uint64), steps, ticks, scaling, NO_CUSTOM, modulation
    )
    net = networks.net
    network = tick_state(net.n_inputs + net.bias.size, net.weight.size)
    for column in network:
        column.fill(np.nan)
    scratch = RolloutScratch(network, np.zeros(2), np.zeros(1), np.zeros(5))
    n = networks.blocks.size
    out = RolloutResults(
        np.zeros(n),
        np.zeros(n, np.bool_),
        np.zeros(n, np.int64),
        np.zeros(n, np.int64),
        np.zeros((n, 2)),
        np.zeros((n, 1)),
        learned,
    )
    run_rollouts(*networks, *toys.POINT, p, scratch, out)
    return out


def by_hand(
    net: NetworkBatch, k: int, key: int, steps: int, ticks: int, modulation: bool
) -> tuple[float, bool, Float]:
    """Return fitness of one episode, whether it was spoilt, and the last weights, tick by tick in Python."""
    state, task, observation = new_state(net, k), np.zeros(2), np.zeros(2)
    toys.reset_point(task, PARAMS, np.uint64(key))
    last = net.n_inputs + int(net.node_start[k + 1] - net.node_start[k]) - 1
    total, spoilt, reward = 0.0, False, 0.0 if modulation else 1.0
    for _ in range(steps):
        toys.observe_point(task, PARAMS, observation)
        for _ in range(ticks):
            spoilt |= bool(learn(net, k, state, reward))
            state.values[:2] = observation
            spoilt |= bool(tick(net, k, state, NO_CUSTOM))
        gained, done = toys.step_point(task, PARAMS, state.values[last : last + 1])
        total += gained
        reward = gained if modulation else 1.0
        if done:
            break
    return total + 10.0, spoilt, state.weight[: net.edge_start[k + 1] - net.edge_start[k]]


@settings(PROPERTY, max_examples=60)
@given(
    st.lists(timed_genomes(ALL_GROUPS, n_inputs=2, n_outputs=1), min_size=1, max_size=3),
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=3),
    st.integers(1, 6),
    st.integers(1, 3),
    st.booleans(),
)
def test_a_rollout_is_learn_and_tick_by_turns_in_every_episode_from_birth(
    drawn: list[Genome], keys: list[int], steps: int, ticks: int, modulation: bool
) -> None:
    net = batch_of(drawn, 2, 1, ALL_GROUPS, weight_bound=3.0)
    networks = Claimed.of(drawn, 2, 1, ALL_GROUPS, weight_bound=3.0)
    learned = networks.genes.weight[networks.blocks]
    born = learned.copy()
    found = evaluate(networks, keys, steps, ticks, modulation, learned)
    for k in range(len(drawn)):
        alone = [by_hand(net, k, key, steps, ticks, modulation) for key in keys]
        assert found.fitness[k] == pytest.approx(np.mean([f for f, _, _ in alone]), rel=1e-12)
        assert found.flags[k] == Flag.NON_FINITE * any(spoilt for _, spoilt, _ in alone)
        own = slice(net.edge_start[k], net.edge_start[k + 1])
        last = alone[-1][2] if net.kind[k] & PLASTIC else net.weight[own]
        genes = net.edge_gene[own]
        np.testing.assert_allclose(learned[k, genes], last, rtol=1e-12, atol=1e-300)
        others = np.delete(np.arange(born.shape[1]), genes)
        np.testing.assert_array_equal(learned[k, others], born[k, others])


@pytest.mark.parametrize("modulation", [True, False])
def test_the_reward_of_the_last_step_modulates_where_the_task_says_so(modulation: bool) -> None:
    """D = 1: the weight from the second input, 1/(1 + t), grows by the modulation of each tick but the first."""
    groups = ("plasticity",)
    gene = connection_extra(groups, rule="abcd", learning_rate=1.0, coefficient_d=1.0)
    genome = Genome(
        [Node(i, "identity", extra=node_extra(groups)) for i in (0, 1, FIRST_OUTPUT)],
        [Connection(1, FIRST_OUTPUT, 0.0, extra=gene)],
    )
    key, ticks = 2**63, 2  # the position begins at 0
    networks = Claimed.of([genome], 2, 1, groups)
    found = evaluate(networks, [key], 3, ticks, modulation)
    position, weight, reward, total = 0.0, 0.0, 0.0, 0.0
    for t in range(3):
        for tick_of_step in range(ticks):
            if t > 0 or tick_of_step > 0:
                weight += reward if modulation else 1.0
        position += 0.1 * weight / (1.0 + t)
        reward = 1.0 - abs(position)
        total += reward
    assert found.fitness[0] == pytest.approx(total + 10.0, rel=1e-12)
    assert total != 3.0  # the point was moved, so the weight was changed
