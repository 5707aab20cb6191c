"""Lamarckian inheritance: what networks learn in their lifetimes is in their genomes, and in their children."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_runs import QUIET, external, members, python

from tweann.checkpoints import decode, encode
from tweann.config import load
from tweann.errors import ConfigError
from tweann.evolution import Evolution
from tweann.genome import Genome
from tweann.network import Network

#: A mutation that moves nothing, so that only learning changes weights.
STILL = {
    "add_connection_rate": 0.0,
    "add_node_rate": 0.0,
    "weights_rate": 0.0,
    "change_plasticity_rate": 0.0,
    "coefficients_rate": 0.0,
}
LEARNING: dict[str, Any] = {"plasticity": ["none", "hebbian", "abcd"], "weight_bound": 3.0}
INHERITING = {**LEARNING, "lamarckian": True}


def live(network: Network) -> float:
    """Learn for three ticks, from rewards of 1."""
    for _ in range(3):
        network.activate([1.0, 0.5])
    return float(network.activate([1.0, 0.5])[0])


def lived(genome: Genome, evolution: Evolution) -> list[float]:
    """Return the weights of a genome after a lifetime."""
    network = genome.network(evolution.layout)
    live(network)
    return network.learned(genome.weight).tolist()


def weights(evolution: Evolution) -> list[list[float]]:
    return [genome.weight.tolist() for genome in members(evolution)]


def bandit(**sections: Any) -> Evolution:
    base = {
        "task": {"name": "reversal-bandit"},
        "genome": INHERITING,
        "strategy": {"population": 40},
    }
    return Evolution(QUIET | base | sections)


def test_a_genome_ends_with_what_its_network_learned_only_if_the_run_is_lamarckian() -> None:
    with (
        python(live, genome=INHERITING, mutation=STILL) as evolution,
        python(live, genome=LEARNING, mutation=STILL) as plain,
    ):
        evolution.step()
        plain.step()
        born = members(plain)
        assert weights(evolution) == [lived(genome, plain) for genome in born]
        assert weights(evolution) != weights(plain)
        assert evolution.pool.rows["fitness"].tolist() == plain.pool.rows["fitness"].tolist()
        assert np.abs(np.concatenate(weights(evolution))).max() <= 3.0


def test_children_begin_where_their_parents_ended() -> None:
    """Of the second generation, the elites apart, each has lived on from one of the first."""
    only_children = {"population": 10, "crossover_rate": 0.0}
    with python(live, genome=INHERITING, mutation=STILL, strategy=only_children) as evolution:
        evolution.step()
        parents = dict(zip(evolution.pool.rows["id"].tolist(), members(evolution), strict=True))
        evolution.step()
        rows = evolution.pool.rows
        children = np.flatnonzero(rows["generation"] == 1).tolist()
        assert len(children) >= 5
        for i in children:
            parent = parents[int(rows["parent_a"][i])]
            assert members(evolution)[i].weight.tolist() == lived(parent, evolution)


def test_of_a_compiled_task_the_last_episode_is_inherited() -> None:
    with (
        bandit(mutation=STILL) as evolution,
        bandit(mutation=STILL, genome=LEARNING) as plain,
    ):
        evolution.step()
        plain.step()
        changed = 0
        solved = evolution.pool.rows["solved"]
        for k, (after, born) in enumerate(zip(members(evolution), members(plain), strict=True)):
            expected = born.weight if solved[k] else _after_last_episode(born, evolution)
            if not solved[k]:
                assert after.weight.tolist() == pytest.approx(expected.tolist(), rel=1e-12)
                changed += not np.array_equal(after.weight, born.weight)
            plastic = born.connection_extra["rule"] != 0.0
            assert (after.weight[~plastic] == born.weight[~plastic]).all()
        assert changed >= 10


def _after_last_episode(genome: Genome, evolution: Evolution) -> Any:
    """Return a genome's weights after 60 pulls of the reversal bandit; the second episode begins with the other arm."""
    from tweann.tasks.base import EvaluationKeys

    task: Any = evolution.task
    key = task.episode_keys(EvaluationKeys(evolution.config.run.seed))[-1]
    simulation = task.simulation
    network, state, no = genome.network(evolution.layout), np.zeros(2), np.zeros(0)
    simulation.reset(state, no, key)
    reward = 0.0
    for _ in range(task._max_steps):
        action = network.activate([1.0], reward=reward)
        reward, done = simulation.step(state, no, action)
        if done:
            break
    return network.learned(genome.weight)


def solves_once(network: Network) -> Any:
    """Solve the task with small weights only, and learn none."""
    from tweann.tasks.base import Evaluation

    small = bool(np.abs(network.weights).max(initial=0.0) < 100.0)
    network.weights = network.weights + 0.125
    return Evaluation(float(network.weights.sum()), solved=small)


def solves_as_born(network: Network) -> Any:
    """Solve with weights that are no multiples of 1/1024, which learning makes of them."""
    from tweann.tasks.base import Evaluation

    own = network.weights
    network.weights = np.round(own * 1024.0) / 1024.0
    return Evaluation(float(own.sum()), solved=not np.array_equal(own, network.weights))


ALL_LEARN: dict[str, Any] = {"plasticity": ["hebbian"], "lamarckian": True}


def test_who_solves_is_tried_again_as_it_is_kept_and_counted() -> None:
    with (
        python(solves_once, genome=ALL_LEARN, mutation=STILL) as evolution,
        python(solves_once, genome=ALL_LEARN | {"lamarckian": False}, mutation=STILL) as plain,
    ):
        evolution.step()
        plain.step()
        rows = evolution.pool.rows
        assert rows["n_evaluations"].tolist() == [2] * 10
        assert evolution.n_evaluations == 20
        assert rows["solved"].all()
        kept, born = np.array(weights(evolution)), np.array(weights(plain))
        np.testing.assert_allclose(kept, born + 0.125)
        # the fitness is of the genome as it is kept: of the second life, at the end of which it has learned again
        np.testing.assert_allclose(rows["fitness"], (kept + 0.125).sum(axis=1))


def test_who_solves_no_more_after_learning_stays_as_it_was_born() -> None:
    with (
        python(solves_as_born, genome=ALL_LEARN, mutation=STILL) as evolution,
        python(solves_as_born, genome=ALL_LEARN | {"lamarckian": False}, mutation=STILL) as plain,
    ):
        evolution.step()
        plain.step()
        assert evolution.pool.rows["solved"].all()
        assert evolution.pool.rows["fitness"].tolist() == plain.pool.rows["fitness"].tolist()
        assert weights(evolution) == weights(plain)


def test_who_fails_stays_as_it_was_born() -> None:
    def fails(network: Network) -> float:
        live(network)
        raise ValueError("no")

    with (
        python(fails, genome=INHERITING, mutation=STILL) as evolution,
        python(fails, genome=LEARNING, mutation=STILL) as plain,
    ):
        evolution.step()
        plain.step()
        assert np.isnan(evolution.pool.rows["fitness"]).all()
        assert weights(evolution) == weights(plain)


def test_serial_and_threads_agree() -> None:
    def genomes(**evaluation: Any) -> list[str]:
        # 150 a generation: enough for several slices
        with bandit(strategy={"population": 150}, evaluation=evaluation) as evolution:
            for _ in range(4):
                evolution.step()
            return [genome.genome_id for genome in members(evolution)]

    expected = genomes(backend="serial")
    for workers in (1, 2, 3):
        assert genomes(backend="threads", workers=workers) == expected


@pytest.mark.parametrize("strategy", ["steady-state", "racing", "map-elites", "novelty"])
def test_every_strategy_runs_and_weights_keep_their_bound(strategy: str) -> None:
    described = {"descriptor": "size"} if strategy in ("map-elites", "novelty") else {}
    run = {"run": {"stop_when_solved": False}}
    with bandit(strategy={"name": strategy, **described}, **run) as evolution:
        for _ in range(5):
            evolution.step()
        for genome in members(evolution):
            assert np.abs(genome.weight).max(initial=0.0) <= 3.0


def test_a_checkpoint_keeps_what_was_learned() -> None:
    with bandit(mutation=STILL) as evolution, bandit(mutation=STILL) as again:
        evolution.step()
        again.restore(decode(encode(evolution.state())))
        assert weights(again) == weights(evolution)
        evolution.step()
        again.step()
        assert members(again) == members(evolution)


@pytest.mark.parametrize(
    ("sections", "named"),
    [
        ({"genome": {"lamarckian": True}}, r"genome\.plasticity"),
        ({"task": {"name": "xor"}}, "kind 'table'"),
        ({"task": {"name": "duel"}}, "match"),
        ({"tuning": {"attempts": 2}}, r"tuning\.attempts = 0"),
        ({"evaluation": {"repeats": 2}}, "repeats = 1"),
        ({"evaluation": {"resample": True, "reevaluate": True}}, "reevaluate = false"),
    ],
)
def test_what_cannot_be_inherited_is_refused(sections: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        bandit(**sections)


def test_other_processes_do_not_bring_weights_back() -> None:
    with (
        bandit(evaluation={"backend": "processes", "workers": 1}) as evolution,
        pytest.raises(
            ConfigError, match=r'genome\.lamarckian = false, or evaluation\.backend = "thr'
        ),
    ):
        evolution.step()


def test_who_evaluates_outside_is_told_that_weights_cannot_come_back() -> None:
    with pytest.raises(ConfigError, match="kind 'external'"):
        external(genome=INHERITING)
    with (
        python(live, genome=INHERITING) as evolution,
        pytest.raises(ConfigError, match=r"genome\.lamarckian = false"),
    ):
        evolution.ask()


def test_by_default_nothing_learned_is_inherited() -> None:
    assert load({"task": {"name": "reversal-bandit"}}).genome.lamarckian is False
