"""Memetic tuning in whole runs: counted, kept or not, and the same with any number of workers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_runs import QUIET, external, members, python

from tweann.codec import encode
from tweann.config import load
from tweann.errors import ConfigError
from tweann.evolution import Evolution
from tweann.interfaces import Survivors
from tweann.network import Network
from tweann.tasks.base import Evaluation, EvaluationKeys
from tweann.tuning import Tuner

#: A mutation that moves nothing, so that only tuning changes weights.
STILL = {"add_connection_rate": 0.0, "add_node_rate": 0.0, "weights_rate": 0.0}


def near(network: Network) -> float:
    """The nearer the output to 0.25 the better."""
    return -abs(float(network.activate([1.0, 0.5])[0]) - 0.25)


def tuned(**settings: Any) -> Evolution:
    return python(near, tuning={"attempts": 8, **settings}, mutation=STILL)


def fitness_now(evolution: Evolution) -> list[float]:
    return [near(genome.network()) for genome in members(evolution)]


@pytest.mark.parametrize("method", ["hill_climb", "cmaes"])
def test_lamarckian_weights_are_the_genomes_own(method: str) -> None:
    with tuned(method=method) as evolution, python(near, mutation=STILL) as plain:
        evolution.step()
        plain.step()
        found, view = fitness_now(evolution), evolution.pool.view()
        assert found == pytest.approx(view.fitness.tolist(), abs=1e-12)
        assert np.sum(np.array(found) > np.array(fitness_now(plain))) >= 8
        assert evolution.n_evaluations == 10 * 9
        assert view.n_evaluations.tolist() == [9] * 10


@pytest.mark.parametrize("method", ["hill_climb", "cmaes"])
def test_baldwinian_genomes_stay_as_they_were_born(method: str) -> None:
    with (
        tuned(lamarckian=False, method=method) as evolution,
        tuned(method=method) as lamarckian,
        python(near, mutation=STILL) as plain,
    ):
        for run in (evolution, lamarckian, plain):
            run.step()
        assert members(evolution) == members(plain)
        assert evolution.pool.rows["fitness"].tolist() == lamarckian.pool.rows["fitness"].tolist()
        assert (evolution.pool.rows["fitness"] >= plain.pool.rows["fitness"]).all()
        assert evolution.n_evaluations == 90


def test_who_solves_the_task_stops_and_is_not_solved_by_what_it_forgets() -> None:
    task = {"solved_at": -0.02}
    counts = {}
    for lamarckian in (True, False):
        settings = {"attempts": 200, "lamarckian": lamarckian}
        with python(near, task, tuning=settings, mutation=STILL) as evolution:
            evolution.step()
            rows = evolution.pool.rows
            assert (rows["fitness"] >= -0.02).all()
            assert (rows["n_evaluations"] < 200).all()
            counts[lamarckian] = rows["n_evaluations"].tolist()
            own = [near(genome.network()) >= -0.02 for genome in members(evolution)]
            assert rows["solved"].tolist() == own
            assert all(own) == lamarckian
    assert counts[True] == counts[False]


def test_a_solution_counts_from_the_attempt_that_found_it() -> None:
    with python(near, {"solved_at": -0.02}, tuning={"attempts": 200}, mutation=STILL) as evolution:
        evolution.step()
        assert evolution.champion is not None
        first = int(evolution.pool.rows["n_evaluations"][0])
        assert evolution.champion.n_evaluations == first


def test_better_is_strictly_better_and_failures_are_worst() -> None:
    calls: list[int] = []

    def failing_at_first(network: Network) -> float:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("not yet")
        return 1.0

    with python(
        failing_at_first, strategy={"population": 1}, tuning={"attempts": 3}, mutation=STILL
    ) as evolution:
        evolution.step()
        rows = evolution.pool.rows
        assert rows["fitness"].tolist() == [1.0]
        assert rows["n_evaluations"].tolist() == [4]
        assert evolution.n_failed == 0
        assert evolution.reasons == []


def test_steps_and_reported_evaluations_of_all_attempts_count() -> None:
    def report(network: Network) -> Evaluation:
        return Evaluation(near(network), steps=5, n_evaluations=3)

    with python(report, tuning={"attempts": 2}, mutation=STILL) as evolution:
        evolution.step()
        assert evolution.pool.rows["steps"].tolist() == [15] * 10
        assert evolution.pool.rows["n_evaluations"].tolist() == [9] * 10


@pytest.mark.parametrize("task", ["xor", "double-pole-no-velocities", "single-pole"])
@pytest.mark.parametrize("method", ["hill_climb", "cmaes"])
def test_every_kind_of_task_is_tuned_alike_with_any_number_of_workers(
    task: str, method: str
) -> None:
    found = []
    for workers in (1, 3):
        sections = QUIET | {
            "task": {"name": task},
            "genome": {"recurrent": task == "double-pole-no-velocities"},
            "strategy": {"population": 12},
            "tuning": {"attempts": 6, "method": method, "selection": "dynamic_random"},
            "evaluation": {"backend": "threads", "workers": workers},
        }
        with Evolution(sections) as evolution:
            for _ in range(3):
                evolution.step()
            found.append((evolution.n_evaluations, [encode(g) for g in members(evolution)]))
    assert found[0] == found[1]
    assert 36 < found[0][0] <= 36 * 7


def test_a_tuned_genome_of_a_compiled_task_has_the_fitness_that_is_reported() -> None:
    sections = QUIET | {
        "task": {"name": "double-pole"},
        "strategy": {"population": 10},
        "tuning": {"attempts": 10},
    }
    with Evolution(sections) as evolution:
        evolution.step()
        view = evolution.pool.view()
        for row in range(len(view)):
            networks = view.genome(row).as_slice(evolution.layout, evolution.scaling)
            again = evolution.task.evaluate(networks, EvaluationKeys(1))
            assert again.fitness[0] == view.fitness[row]


def test_the_number_of_attempts_may_follow_the_size() -> None:
    # 2 inputs and a bias at the output, all born in generation 0: 10 + round(3^0.5) attempts
    with python(near, tuning={"attempts": "by_size"}, mutation=STILL) as evolution:
        evolution.step()
        assert evolution.pool.rows["n_evaluations"].tolist() == [1 + 10 + 2] * 10
        assert "births" in evolution.layout.groups
        for _ in range(4):
            evolution.step()
        # four generations later nothing is young: the least number
        young = evolution.pool.rows["generation"] == 4
        assert evolution.pool.rows["n_evaluations"][young].tolist() == [11] * int(young.sum())


def test_births_are_carried_only_where_ages_matter() -> None:
    for settings, carried in (
        ({}, False),
        ({"attempts": 3}, False),
        ({"attempts": 3, "selection": "current"}, True),
        ({"attempts": 3, "annealing": 0.5}, True),
        ({"selection": "current"}, False),
    ):
        with python(near, tuning=settings) as evolution:
            assert ("births" in evolution.layout.groups) == carried


def test_without_biases_only_weights_are_tuned() -> None:
    with python(near, tuning={"attempts": 5}, genome={"bias": False}) as evolution:
        evolution.step()
        assert all((genome.bias == 0.0).all() for genome in members(evolution))


def test_a_plan_may_leave_children_untuned() -> None:
    with tuned() as evolution:
        evolution.step()
        strategy: Any = evolution.strategy
        ask = strategy.ask

        def half(*args: Any) -> Any:
            from dataclasses import replace

            plan = ask(*args)
            return replace(plan, tuned=np.arange(len(plan)) < 5)

        def keep_children(pool: Any, brood: Any) -> Survivors:
            return Survivors(len(pool) + np.arange(len(brood)), columns={"species": np.zeros(10)})

        strategy.ask, strategy.tell = half, keep_children
        with pytest.raises(Exception, match="species"):
            evolution.step()  # species are integers: the column is refused, the evaluations are known
        assert evolution.n_evaluations == 90 + 5 * 9 + 5


def test_who_evaluates_outside_cannot_tune() -> None:
    with (
        external(tuning={"attempts": 3}) as evolution,
        pytest.raises(ConfigError, match=r"tuning\.attempts = 0"),
    ):
        evolution.ask()


def test_a_wrong_setting_is_named() -> None:
    for settings, named in (
        ({"attempts": -1}, "tuning.attempts"),
        ({"attempts": 5, "selection": "young"}, "tuning.selection"),
        ({"range": 0.0}, "tuning.range"),
        ({"lamarkian": True}, "lamarckian"),
    ):
        with pytest.raises(ConfigError, match=named):
            load({"task": {"name": "xor"}, "tuning": settings})


def test_the_slice_that_is_tuned_stays_as_it_is() -> None:
    with python(near) as evolution:
        evolution.step()
        config = load({"task": {"name": "xor"}, "tuning": {"attempts": 5}})
        tuner = Tuner(config.tuning, evolution.layout, 1, 0, 30.0, True)
        view = evolution.pool.view()
        networks = view.genome(0).as_slice(evolution.layout, evolution.scaling)
        before = networks.genes.weight.copy()
        found = tuner.evaluate(evolution.task, networks, EvaluationKeys(1), np.array([7]), 0)
        assert (networks.genes.weight == before).all()
        assert found.weights is not None
        assert not np.array_equal(found.weights, before) or not np.array_equal(
            found.biases, networks.genes.bias
        )
