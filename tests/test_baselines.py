"""The baselines: random search, and an evolution strategy on one topology's weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from tweann.evolution import Evolution
from tweann.genes import Float, Operator
from tweann.network import Network
from tweann.strategies.weights_only import WeightsOnly, WeightsOnlySettings
from tweann.tasks.base import TaskInfo
from tweann.tasks.python import PythonTask
from tweann.tasks.vector import VectorTask, task_vector

N = 8


@task_vector
def ellipsoid(values: Float, params: Float, key: np.uint64, out: Float) -> None:
    """Score minus an ellipsoid around 1, 2, 3, … with axes that differ by a factor of 1,000."""
    total = 0.0
    for i in range(values.size):
        total += 10.0 ** (6.0 * i / (values.size - 1)) * (values[i] - 1.0 - i) ** 2
    out[0] = -total


def evolution(strategy: dict[str, Any], task: Any = None, **sections: Any) -> Evolution:
    base = {
        "run": {"generations": 400, "stop_when_solved": False},
        "strategy": strategy,
        "storage": {"url": "memory:"},
        "observers": {},
    }
    return Evolution(base | sections, task=task)


def vector_task() -> VectorTask:
    names = tuple(f"y{i}" for i in range(N))
    return VectorTask(TaskInfo("ellipsoid", 1, "vector", (), names), ellipsoid)


def test_weights_only_finds_the_minimum_of_an_ellipsoid() -> None:
    """Separable, condition 10⁶: easy for an evolution strategy that learns each axis's scale, and for no other."""
    run = evolution({"name": "weights-only", "population": 12}, vector_task(), run={"generations": 700, "stop_when_solved": False})  # fmt: skip
    champion = run.run().champion
    assert champion is not None
    assert champion.fitness > -1e-6
    assert champion.genome.bias.tolist() == pytest.approx([1.0 + i for i in range(N)], abs=1e-3)


def test_random_search_does_not() -> None:
    champion = evolution({"name": "random-search", "population": 12}, vector_task()).run().champion
    assert champion is not None
    assert champion.fitness < -1.0


@pytest.mark.parametrize("name", ["random-search", "weights-only"])
def test_the_topology_stays_that_of_the_seed_network(name: str) -> None:
    sizes = set()

    def look(network: Network) -> float:
        sizes.add((network.n_nodes, network.n_connections))
        return float(network.activate([1.0, 0.5])[0])

    evolution(
        {"name": name, "population": 5}, PythonTask(look, 2, 1), run={"generations": 20}
    ).run()
    assert sizes == {(1, 2)}


def test_random_search_learns_nothing() -> None:
    run = evolution({"name": "random-search", "population": 10}, vector_task())
    for _ in range(5):
        run.step()
    view = run.pool.view()
    assert len(view) == 1
    assert view.operator.tolist() == [Operator.FRESH]
    assert view.fitness[0] == max(report.best for report in run.history)


def test_weights_only_solves_the_single_pole() -> None:
    sections = {
        "run": {"evaluations": 4_000},
        "task": {"name": "single-pole"},
        "strategy": {"name": "weights-only"},
        "storage": {"url": "memory:"},
        "observers": {},
    }
    assert Evolution(sections).run().solved


def test_the_recombination_weights_are_those_of_the_tutorial() -> None:
    """Hansen (2016), eqs. 48 to 53: log-linear, positive, summing to 1; μ_eff of λ = 10 is 3.17."""
    made = WeightsOnly(WeightsOnlySettings(population=10), None)  # type: ignore[arg-type] # unused
    raw = [math.log(5.5) - math.log(i) for i in range(1, 6)]
    assert made._weights.tolist() == pytest.approx([w / sum(raw) for w in raw])
    assert made._mu_eff == pytest.approx(3.167, abs=0.01)


def test_a_step_size_that_runs_away_begins_anew_around_the_best() -> None:
    run = evolution({"name": "weights-only", "population": 6, "sigma": 0.5}, vector_task())
    for _ in range(3):
        run.step()
    strategy = run._strategy
    strategy.restore({**strategy.state(), "sigma": 1e-13})
    run.step()
    state = strategy.state()
    assert state["sigma"] == 0.5
    assert state["generation"] == 0
