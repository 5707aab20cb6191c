"""Rollouts of networks in a compiled simulation, and genomes as vectors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import toys
from genomes import PROPERTY, Case, Claimed, cases, pack, random_genome
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import FIRST_OUTPUT, Connection, Genome, Node, is_input
from reference_evaluation import Scale, Simulation
from reference_evaluation import rollout as rollout_twin

from tweann.genes import Flag
from tweann.kernels.claims import new_claims
from tweann.kernels.rollout import (
    RolloutParameters,
    RolloutResults,
    RolloutScratch,
    Scaling,
    evaluate_vectors,
    run_rollouts,
)
from tweann.kernels.tick import tick_state

NO_CUSTOM = np.zeros(0, np.uint64)
WORDS = st.integers(0, 2**64 - 1)


def point(gain: float = 0.3, limit: float = 1.0, steps: float = 5.0) -> Simulation:
    return Simulation(
        toys.reset_point,
        toys.observe_point,
        toys.step_point,
        toys.score_point,
        params=(gain, limit, steps),
        n_state=2,
        n_inputs=2,
        n_descriptor=2,
        n_objectives=1,
    )


def evaluate(
    networks: Claimed,
    task: Simulation,
    keys: list[int],
    max_steps: int,
    ticks: int = 1,
    scale: Scale = Scale(),  # noqa: B008 - never changed
) -> RolloutResults:
    n, n_outputs = networks.blocks.size, networks.net.n_outputs
    scaling = Scaling(
        *(np.full(n_outputs, x) for x in (scale.scale, scale.offset, scale.low, scale.high))
    )
    p = RolloutParameters(
        np.array(task.params),
        np.array(keys, np.uint64),
        max_steps,
        ticks,
        scaling,
        NO_CUSTOM,
        False,
    )
    net = networks.net
    network = tick_state(net.n_inputs + net.bias.size, net.weight.size)
    sizes = (task.n_state, n_outputs, 2 + task.n_descriptor + task.n_objectives)
    scratch = RolloutScratch(network, *(np.full(size, np.nan) for size in sizes))
    for column in network:
        column.fill(np.nan)
    out = RolloutResults(
        np.full(n, -7.0),
        np.zeros(n, np.bool_),
        np.full(n, -7),
        np.full(n, -7),
        np.full((n, task.n_descriptor), np.nan),
        np.full((n, task.n_objectives), np.nan),
        np.empty((0, 0)),
    )
    networks.claims[:] = new_claims(n)
    finite = run_rollouts(*networks, *toys.POINT, p, scratch, out)
    assert finite == (np.isfinite(out.fitness).all() and np.isfinite(out.descriptor).all())
    return out


def claimed(genomes: list[Genome], n_outputs: int = 1) -> Claimed:
    return Claimed.of(genomes, 2, n_outputs)


CASES = cases(
    activations=("tanh", "sigmoid", "sin", "softsign", "clamped"),
    aggregations=("sum", "mean", "difference"),
    values=st.floats(-1.0, 1.0),
).filter(lambda c: c.n_inputs <= 2)


@PROPERTY
@given(
    st.lists(CASES, min_size=1, max_size=3),
    st.lists(WORDS, min_size=1, max_size=3),
    st.integers(1, 8),
    st.integers(1, 3),
    st.sampled_from([Scale(), Scale(2.0, 0.5, -1.0, 1.0)]),
)
def test_a_rollout_is_its_twin(
    drawn: list[Case], keys: list[int], max_steps: int, ticks: int, scale: Scale
) -> None:
    """Several networks in one state, several episodes, some ended by the task and some by the limit."""
    n_outputs = max(c.n_outputs for c in drawn)
    task = point()
    got = evaluate(
        claimed([c.genome for c in drawn], n_outputs), task, keys, max_steps, ticks, scale
    )
    for k, case in enumerate(drawn):
        twin = rollout_twin(case.genome, task, keys, max_steps, ticks, [scale] * n_outputs)
        assert got.steps[k] == twin.steps
        assert got.solved[k] == twin.solved
        assert got.flags[k] == twin.spoilt * Flag.NON_FINITE
        assert got.fitness[k] == pytest.approx(twin.fitness, rel=1e-9)
        assert got.descriptor[k].tolist() == pytest.approx(twin.descriptor, rel=1e-9, abs=1e-9)
        assert got.objectives[k].tolist() == pytest.approx(twin.objectives, rel=1e-9, abs=1e-9)


def identity(bias: float = 0.0) -> Genome:
    return Genome([Node(0), Node(1), Node(FIRST_OUTPUT, "identity", bias=bias)], [])


def test_an_episode_ends_where_the_task_says_or_at_the_limit() -> None:
    """From a key that starts at 0: a push of 0.25 a step passes 1 at the fifth."""
    key = 2**63
    networks = claimed([identity(1.0)])
    for max_steps, steps, solved in ((3, 3, False), (5, 5, True), (100, 5, True)):
        got = evaluate(networks, point(gain=0.25), [key], max_steps)
        assert (got.steps[0], got.solved[0]) == (steps, solved)
    rewards = [0.75, 0.5, 0.25, 0.0, -0.25]
    assert got.fitness[0] == sum(rewards) + 10.0
    assert got.descriptor[0].tolist() == [1.25, 5.0]
    assert got.objectives[0].tolist() == [-1.25]


def test_results_are_means_over_episodes_and_solved_is_all_of_them() -> None:
    networks = claimed([identity(1.0)])
    task = point(gain=0.25, steps=5.0)
    keys = [2**63, 2**64 - 1]  # from 0: five steps; from almost 0.5: three
    both = evaluate(networks, task, keys, 100)
    singles = [evaluate(networks, task, [key], 100) for key in keys]
    assert [s.solved[0] for s in singles] == [True, False]
    assert not both.solved[0]
    assert both.steps[0] == 8
    assert both.fitness[0] == pytest.approx(sum(s.fitness[0] for s in singles) / 2, rel=1e-15)
    mean = (singles[0].descriptor[0] + singles[1].descriptor[0]) / 2
    assert both.descriptor[0].tolist() == pytest.approx(mean.tolist(), rel=1e-15)


@settings(PROPERTY, max_examples=30)
@given(st.lists(CASES, min_size=2, max_size=4), st.lists(WORDS, min_size=1, max_size=3))
def test_a_batch_gives_the_bits_of_its_networks_one_by_one(
    drawn: list[Case], keys: list[int]
) -> None:
    together = evaluate(claimed([c.genome for c in drawn], 3), point(), keys, 10)
    for k, case in enumerate(drawn):
        alone = evaluate(claimed([case.genome], 3), point(), keys, 10)
        for a, b in zip(together[:-1], alone[:-1], strict=True):
            assert a[k].tobytes() == b[0].tobytes()


def test_an_episode_remembers_nothing_of_the_one_before() -> None:
    genome = random_genome(3, 10, 50, n_inputs=2, n_outputs=1, aggregations=("sum", "difference"))
    networks = claimed([genome])
    once, twice = (evaluate(networks, point(), [7] * n, 10) for n in (1, 2))
    assert twice.fitness[0] == once.fitness[0]
    assert twice.steps[0] == 2 * once.steps[0]


def test_several_ticks_see_one_observation() -> None:
    """A chain of recurrent links needs a tick a link."""
    a, b = 2**50, 2**40
    genome = Genome(
        [
            Node(0),
            Node(1),
            Node(b, "identity"),
            Node(a, "identity"),
            Node(FIRST_OUTPUT, "identity"),
        ],
        [Connection(a, b), Connection(0, a), Connection(b, FIRST_OUTPUT)],
    )
    position = 0.25
    key = int((position + 0.5) * 2**64)
    for ticks, action in ((1, 0.0), (2, position), (5, position)):
        got = evaluate(claimed([genome]), point(gain=1.0), [key], 1, ticks)
        assert got.descriptor[0, 0] == position + action


@pytest.mark.parametrize("gain", [math.nan, math.inf])
def test_a_fitness_that_is_not_finite_is_nan_unsolved_and_flagged(gain: float) -> None:
    got = evaluate(claimed([identity(1.0)]), point(gain=gain, limit=math.inf, steps=0.0), [5], 3)
    assert math.isnan(got.fitness[0])
    assert not got.solved[0]
    assert got.flags[0] & Flag.INVALID
    assert bool(got.flags[0] & Flag.NON_FINITE)  # the observation after the first step


def test_a_node_that_overflows_is_flagged_and_goes_on_as_zero() -> None:
    genome = Genome([Node(0), Node(1), Node(FIRST_OUTPUT, "cube", bias=1e150)], [])
    got = evaluate(claimed([genome]), point(), [2**63], 4)
    assert got.flags[0] == Flag.NON_FINITE
    assert got.descriptor[0].tolist() == [0.0, 4.0]
    assert got.fitness[0] == 14.0


# --- genomes as vectors ----------------------------------------------------------------------------


def evaluate_as_vectors(genomes: list[Genome], key: int) -> RolloutResults:
    genes, blocks, _ = pack(genomes)
    n = len(genomes)
    out = RolloutResults(
        np.full(n, -7.0),
        np.zeros(n, np.bool_),
        np.full(n, -7),
        np.full(n, -7),
        np.full((n, 1), np.nan),
        np.full((n, 1), np.nan),
        np.empty((0, 0)),
    )
    room: NDArray[np.float64] = np.full(genes.node_id.shape[1] + genes.source.shape[1], np.nan)
    score = np.full(4, np.nan)
    evaluate_vectors(
        genes,
        blocks,
        new_claims(n),
        toys.DESCRIBE_VECTOR,
        np.array([3.0]),
        np.uint64(key),
        room,
        score,
        out,
    )
    return out


@settings(PROPERTY, max_examples=40)
@given(st.lists(cases(), min_size=1, max_size=4), WORDS)
def test_a_vector_task_gets_weights_and_biases_and_the_key(drawn: list[Case], key: int) -> None:
    got = evaluate_as_vectors([c.genome for c in drawn], key)
    for k, (genome, _, _) in enumerate(drawn):
        values = [c.weight for c in genome.connections]
        values += [n.bias for n in genome.nodes if not is_input(n.id)]
        total = 0.0
        for v in values:
            total += v
        fitness = 3.0 / total if total else math.inf
        if math.isfinite(fitness):
            assert got.fitness[k] == fitness
            assert got.flags[k] == 0
            assert got.solved[k] == (len(values) > 2)
        else:
            assert math.isnan(got.fitness[k])
            assert got.flags[k] == Flag.INVALID
            assert not got.solved[k]
        assert got.steps[k] == 1
        assert got.descriptor[k].tolist() == [len(values)]
        assert got.objectives[k].tolist() == [float(key >> 40)]
