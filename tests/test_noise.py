"""Noisy fitness: repeats, what the fitness is of them, and survivors that are evaluated again; all counted."""

from __future__ import annotations

import hashlib
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import QUIET, python, weight

from tweann.config import FaultyConfigError
from tweann.errors import ConfigError
from tweann.evolution import Evolution
from tweann.genes import Flag, Float
from tweann.network import Network, NetworkSlice
from tweann.tasks.base import EvaluationKeys, Evaluations, Task, TaskInfo
from tweann.tasks.repeated import Repeats, evaluate_repeatedly

INFO = TaskInfo("noisy", 1, "python", ("x",), ("y",), descriptor=(("d", 0, 1),), n_objectives=1)


def draw(keys: EvaluationKeys) -> float:
    """Return a number in [0, 1) of the keys."""
    digest = hashlib.blake2b(keys.episodes(1).tobytes(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


class Noisy(Task):
    """Fitness is the key's draw for all genomes; entry ``fails`` fails in the second repeat."""

    info = INFO

    def __init__(self, fails: int = -1) -> None:
        self.fails = fails
        self.calls: list[EvaluationKeys] = []

    def evaluate(self, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
        self.calls.append(keys)
        found = Evaluations.empty(len(networks), self.info)
        found.fitness[:] = found.validation[:] = found.descriptor[:, 0] = draw(keys)
        found.objectives[:, 0] = -draw(keys)
        found.steps[:], found.solved[:] = 3, keys.repeat > 0
        if keys.repeat == 1 and self.fails >= 0:
            found.fail(self.fails, Flag.RAISED, "unlucky")
        return found


def networks(n: int) -> NetworkSlice:
    run = Evolution(
        QUIET
        | {
            "task": {"name": "external", "n_inputs": 1, "n_outputs": 1},
            "strategy": {"population": n},
        }
    )
    return run._evaluator.networks(run._breed())


TWINS: dict[str, Callable[[list[float], float], float]] = {
    "mean": lambda values, q: statistics.fmean(values),
    "median": lambda values, q: statistics.median(values),
    "worst": lambda values, q: min(values),
    "quantile": lambda values, q: _quantile(values, q),
}


def _quantile(values: list[float], q: float) -> float:
    ordered = sorted(values)
    at = q * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


@given(
    name=st.sampled_from(sorted(TWINS)),
    values=st.lists(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3), min_size=2, max_size=9),
    q=st.floats(0, 1),
)
def test_the_fitness_of_several_values(name: Any, values: list[list[float]], q: float) -> None:
    found = Repeats(len(values), name, q).value(np.array(values))
    for k in range(3):
        expected = TWINS[name]([row[k] for row in values], q)
        assert found[k] == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_repeats_differ_from_one_another_and_not_from_genome_to_genome() -> None:
    task = Noisy()
    found = evaluate_repeatedly(task, networks(4), EvaluationKeys(7, 2), Repeats(3))
    draws = [draw(EvaluationKeys(7, 2, k)) for k in range(3)]
    assert len(set(draws)) == 3
    assert [keys.repeat for keys in task.calls] == [0, 1, 2]
    np.testing.assert_allclose(found.fitness, statistics.fmean(draws))
    np.testing.assert_allclose(found.validation, found.fitness)
    np.testing.assert_allclose(found.descriptor[:, 0], statistics.fmean(draws))
    np.testing.assert_allclose(found.objectives[:, 0], -statistics.fmean(draws))
    assert found.steps.tolist() == [9] * 4
    assert found.n_evaluations.tolist() == [3] * 4
    assert found.solved.tolist() == [False] * 4  # not in the first


def test_episodes_of_repeats_go_on_counting() -> None:
    together = EvaluationKeys(7, 2).episodes(6)
    parts = [EvaluationKeys(7, 2, k).episodes(2) for k in range(3)]
    np.testing.assert_array_equal(np.concatenate(parts), together)


@pytest.mark.parametrize("name", sorted(TWINS))
def test_a_genome_that_fails_once_fails(name: Any) -> None:
    found = evaluate_repeatedly(Noisy(fails=2), networks(4), EvaluationKeys(1), Repeats(3, name))
    assert np.isnan(found.fitness).tolist() == [False, False, True, False]
    assert found.flags.tolist() == [0, 0, Flag.RAISED, 0]
    assert found.reasons == {2: "unlucky"}
    assert found.n_evaluations.tolist() == [3] * 4


def test_one_evaluation_is_what_it_was() -> None:
    task = Noisy()
    found = evaluate_repeatedly(task, networks(3), EvaluationKeys(5, 1), Repeats())
    assert task.calls == [EvaluationKeys(5, 1)]
    assert found.n_evaluations.tolist() == [1] * 3


def test_a_run_counts_every_repeat() -> None:
    run = python(weight, evaluation={"repeats": 4, "fitness_of": "median"}, run={"generations": 3})
    assert run.run().n_evaluations == 3 * 10 * 4


def test_survivors_are_evaluated_again_and_all_is_counted() -> None:
    calls: list[float] = []

    def noisy(network: Network) -> float:
        calls.append(0.0)
        return weight(network) + 0.1 * np.sin(len(calls) * 12.9898)

    run = python(
        noisy,
        evaluation={"reevaluate": True},
        strategy={"population": 12, "elitism": 2, "elitism_min_size": 1},
    )
    seen: dict[int, list[float]] = {}
    for _ in range(6):
        run.step()
        view = run.pool.view()
        for birth, fitness, n in zip(view.id, view.fitness, view.n_evaluations, strict=True):
            seen.setdefault(int(birth), []).append(float(fitness))
            assert n == len(seen[int(birth)])  # one evaluation a generation
    assert run.n_evaluations == len(calls) > 6 * 12
    several = [values for values in seen.values() if len(values) > 1]
    assert several
    assert any(len(set(values)) > 1 for values in several)


def test_a_mean_of_several_evaluations_is_one() -> None:
    values = iter(range(1000))

    def counting(network: Network) -> float:
        return float(next(values))

    run = python(counting, strategy={"population": 4})
    run.step()
    members = run.pool.view().members
    first: Float = run.pool.rows["fitness"][members].copy()
    for k in range(3):
        before = run.pool.rows["fitness"][members].copy()
        runs, failed = run._evaluator.evaluate_again(members, 1 + k, lambda: None)
        assert (runs, failed) == (members.size, 0)
        new = run.pool.rows["fitness"][members]
        again = 4.0 + members.size * k + np.arange(members.size)
        np.testing.assert_allclose(new, before + (again - before) / (k + 2))
    assert run.pool.rows["n_evaluations"][members].tolist() == [4] * members.size
    assert (run.pool.rows["fitness"][members] > first).all()


def test_reevaluation_is_the_same_on_threads() -> None:
    sections = QUIET | {
        "task": {"name": "single-pole"},
        "run": {"generations": 5, "seed": 4, "stop_when_solved": False},
        "evaluation": {"reevaluate": True, "resample": True, "repeats": 2},
        "strategy": {"population": 60},
    }
    found = []
    for backend in ("serial", "threads"):
        evaluation = sections["evaluation"] | {"backend": backend, "workers": 2}
        run = Evolution(sections | {"evaluation": evaluation})
        result = run.run()
        found.append((result.n_evaluations, run.pool.view().fitness.tobytes()))
    assert found[0] == found[1]


def test_settings_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(FaultyConfigError, match="repeats"):
        python(weight, evaluation={"repeats": 0})
    with pytest.raises(FaultyConfigError, match="fitness_of"):
        python(weight, evaluation={"fitness_of": "best"})
    with pytest.raises(ConfigError, match="reevaluate needs a strategy that breeds whole"):
        python(
            weight,
            evaluation={"reevaluate": True},
            strategy={"name": "steady-state", "population": 10},
        ).run()
