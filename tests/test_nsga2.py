"""NSGA-II: who stays, what it optimises, and that it finds the published fronts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from diversity_runs import interrupted, maze, run

from tweann.errors import ConfigError
from tweann.evolution import Evolution
from tweann.kernels.random import make_key
from tweann.network import Network
from tweann.pool import BroodView, PoolView
from tweann.strategies.descriptors import Descriptors
from tweann.tasks.base import Evaluation
from tweann.tasks.python import PythonTask
from tweann.tasks.zdt import Zdt, evaluate


def zdt(problem: int, evaluations: int = 5_000, **strategy: Any) -> Evolution:
    return Evolution(
        {
            "run": {"evaluations": evaluations, "stop_when_solved": False},
            "task": {"name": "zdt", "problem": problem},
            "genome": {"init_distribution": "uniform", "init_power": 1.0},
            "strategy": {"name": "nsga2", "variation": "vector", "reference": [-1.1, -1.1], **strategy},
            "storage": {"url": "memory:"},
            "observers": {},
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("problem", "f2"),
    [
        (1, lambda f1: 1.0 - math.sqrt(f1)),
        (2, lambda f1: 1.0 - f1**2),
        (3, lambda f1: 1.0 - math.sqrt(f1) - f1 * math.sin(10.0 * math.pi * f1)),
    ],
)
def test_the_task_is_as_published(problem: int, f2: Any) -> None:
    """Zitzler, Deb & Thiele (2000): with all but the first x 0, g is 1; with all 1, g is 10."""
    key = make_key(np.uint64(1), np.uint64(1), np.uint64(1), np.uint64(1))
    for f1 in (0.0, 0.25, 0.8, 1.0):
        values, out = np.full(30, -1.0), np.zeros(4)
        values[0] = 2.0 * f1 - 1.0
        evaluate(values, np.array([float(problem)]), key, out)
        assert out.tolist() == pytest.approx([-f1 - f2(f1), 0.0, -f1, -f2(f1)])
    values, out = np.full(30, 7.0), np.zeros(4)  # clipped to 1
    evaluate(values, np.array([1.0]), key, out)
    assert out[3] == pytest.approx(-10.0 * (1.0 - math.sqrt(0.1)))
    assert Zdt(Zdt.Settings(problem=problem)).info.n_outputs == 30


@pytest.mark.parametrize(("problem", "least"), [(1, 0.85), (2, 0.51), (3, 1.30)])
def test_it_finds_the_front(problem: int, least: float) -> None:
    """Of 0.877, 0.543 and 1.332 that the true fronts have; the usual number of evaluations is 25,000."""
    run = zdt(problem, 15_000, population=100)
    result = run.run()
    assert result.metrics["hypervolume"] >= least
    assert result.metrics["front_size"] >= 40


def test_the_hypervolume_never_falls_while_the_front_fits() -> None:
    run = zdt(1, 2_000, population=100)
    run.run()
    values = [report.metrics["hypervolume"] for report in run.history]
    sizes = [report.metrics["front_size"] for report in run.history]
    for before, after, size in zip(values, values[1:], sizes[1:], strict=False):
        if size < 100:
            assert after >= before - 1e-12


def test_rows_are_sorted_by_front_and_crowding() -> None:
    run = zdt(1, 500)
    run.run()
    view = run.pool.view()
    keys = list(zip(view["front"].tolist(), (-view["crowding"]).tolist(), strict=True))
    assert keys == sorted(keys)
    assert len(view) == 100


def count(network: Network) -> Evaluation:
    """More connections are better."""
    return Evaluation(float(network.n_connections))


def small(**strategy: Any) -> dict[str, Any]:
    return {
        "run": {"generations": 15},
        "mutation": {"add_node_rate": 0.5},
        "strategy": {"name": "nsga2", "population": 20, **strategy},
        "storage": {"url": "memory:"},
        "observers": {},
    }


def test_without_objectives_it_trades_fitness_for_size() -> None:
    run = Evolution(small(), task=PythonTask(count, 2, 1))
    run.run()
    view = run.pool.view()
    front = view["front"] == 0
    assert np.unique(view.n_connections[front]).size > 3
    assert (view.n_connections[front].min(), view.fitness[front].min()) == (2, 2.0)


def test_networks_of_different_structure_have_no_vector() -> None:
    sections = small(variation="vector") | {"genome": {"initial": "partial"}}
    with pytest.raises(ConfigError, match=r"needs networks of one structure: set genome\.initial"):
        Evolution(sections, task=PythonTask(count, 6, 1)).run()


def test_a_reference_point_is_for_two_objectives() -> None:
    task = PythonTask(lambda network: Evaluation(1.0, (), (1.0, 2.0, 3.0)), 2, 1, n_objectives=3)
    with pytest.raises(ConfigError, match="for two objectives, here are 4: 3 of the task, size"):
        Evolution(small(reference=[0.0, 0.0], size=True), task=task)


def test_bounds_must_be_in_order() -> None:
    with pytest.raises(ConfigError, match="expected the lower one first"):
        Evolution(small(bounds=[1.0, -1.0]), task=PythonTask(count, 2, 1))


NOVEL: dict[str, Any] = {
    "name": "nsga2",
    "population": 20,
    "fitness": True,
    "novelty": True,
    "neighbours": 3,
    "archive_size": 10,
    "admission_rate": 0.2,
}


def test_novelty_is_an_objective_with_a_bounded_archive() -> None:
    with Evolution(maze(NOVEL)) as evolution:
        strategy: Any = evolution.strategy
        measured = strategy._novelty
        seen: list[tuple[Any, Any]] = []

        def watched(pool: PoolView, brood: BroodView, descriptors: Descriptors) -> Any:
            points = np.concatenate((descriptors.scaled(pool), descriptors.scaled(brood)))
            others = np.concatenate((points, strategy._archive.descriptor))
            seen.append((points, others))
            found = measured(pool, brood, descriptors)
            # of a point that stands among the others itself, the nearest is another one
            away = np.sort(np.linalg.norm(points[:, None] - others[None], axis=2), axis=1)[:, 1:4]
            np.testing.assert_allclose(found, away.mean(axis=1), rtol=1e-12)
            return found

        strategy._novelty = watched
        for _ in range(30):
            evolution.step()
            assert strategy._archive.fitness.size <= 10
        assert len(seen) == 30
        assert strategy._archive.fitness.size == 10
        n = 30 * 20
        assert len({tuple(point) for points, _ in seen for point in points}) > n / 10


@pytest.mark.parametrize("at", [0, 1, 7])
def test_a_strategy_made_from_its_state_goes_on_as_the_old_one_would(at: int) -> None:
    sections = maze(NOVEL)
    assert interrupted(sections, at) == run(sections)


def test_novelty_needs_a_behaviour() -> None:
    with pytest.raises(ConfigError, match="strategy nsga2 needs a behaviour descriptor"):
        Evolution({"task": {"name": "xor"}, "strategy": NOVEL, "storage": {"url": "memory:"}})
    with Evolution(
        {
            "task": {"name": "xor"},
            "strategy": {**NOVEL, "behaviour": {"descriptor": "size"}},
            "storage": {"url": "memory:"},
            "observers": {},
        }
    ) as evolution:
        evolution.step()
        evolution.step()
        assert evolution.strategy.metrics()["n_fronts"] >= 1.0
