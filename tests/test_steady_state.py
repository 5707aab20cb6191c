"""Steady state: who has to go, and that nobody waits while the run stays the same."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pools import N_INPUTS, N_OUTPUTS, Nursery
from small_runs import QUIET, members, weight

from tweann.config.sections import SpeciesSettings
from tweann.evolution import Evolution
from tweann.genes import Operator
from tweann.interfaces import Asynchronous, Strategy, StrategyContext
from tweann.layout import Layout
from tweann.network import Network
from tweann.pool import GenomePool
from tweann.strategies.steady_state import SteadyState, SteadyStateSettings
from tweann.tasks.base import TaskInfo
from tweann.tasks.python import PythonTask

LAYOUT = Layout(N_INPUTS, N_OUTPUTS)
TASK = TaskInfo("toy", 1, "external", ("a", "b", "c"), ("y", "z"))
STATE = {
    "asked": 10, "told": 10, "replaced": 0, "seed": 5,
    "next_species": 1, "ids": np.zeros(1, np.int64), "best": np.zeros(1),
    "improved": np.zeros(1, np.int64), "threshold": 3.0,
}  # fmt: skip


def strategy(**settings: Any) -> SteadyState:
    return SteadyState(SteadyStateSettings(**settings), StrategyContext(TASK, SpeciesSettings()))


def tell(chosen: SteadyState, fitness: list[float], children: list[float]) -> list[int]:
    """Fill a population, tell it of children of its first member, and return who is there then, by birth."""
    nursery = Nursery(GenomePool(LAYOUT))
    pool = nursery.fill(len(fitness))
    pool.rows["fitness"][:], pool.rows["species"][:] = fitness, 0
    chosen.restore(STATE | {"asked": len(fitness), "told": len(fitness)})
    brood = nursery.breed([Operator.CLONE] * len(children), [0] * len(children))
    brood.rows["fitness"][:] = children
    survivors = chosen.tell(pool.view(), pool.brood_view(brood))
    ids = np.concatenate((pool.rows["id"], brood.rows["id"]))
    found: list[int] = ids[survivors.index].tolist()
    return found


def run(function: Callable[[Network], Any], workers: int = 1, **settings: Any) -> Evolution:
    config = {
        **QUIET,
        "run": {"seed": 3, "generations": 4},
        "strategy": {"name": "steady-state", "population": 12, "window": 4, **settings},
        "evaluation": {"backend": "threads", "workers": workers},
    }
    return Evolution(config, task=PythonTask(function, 2, 1, serial=False))


def test_it_is_an_asynchronous_strategy() -> None:
    chosen = strategy(window=7, order="arrival")
    assert isinstance(chosen, Strategy)
    assert isinstance(chosen, Asynchronous)
    assert (chosen.window, chosen.in_birth_order) == (7, False)


class TestVictims:
    @pytest.mark.parametrize(
        ("victim", "after"), [("worst", [0, 4, 2, 3]), ("oldest", [4, 1, 2, 3])]
    )
    def test_a_child_takes_its_victims_row(self, victim: str, after: list[int]) -> None:
        assert tell(strategy(population=4, victim=victim), [5.0, 1.0, 9.0, 6.0], [7.0]) == after

    def test_failures_go_first_and_a_failed_child_takes_no_place(self) -> None:
        better = strategy(population=3, only_better=True)
        assert tell(better, [5.0, math.nan, -9.0], [-10.0, math.nan]) == [0, 3, 2]

    def test_a_worse_child_takes_no_place_unless_it_may(self) -> None:
        chosen = strategy(population=3, only_better=True)
        assert tell(chosen, [5.0, 4.0, 6.0], [3.0]) == [0, 1, 2]
        assert tell(strategy(population=3), [5.0, 4.0, 6.0], [3.0]) == [0, 3, 2]

    @pytest.mark.parametrize("victim", ["worst", "oldest", "random", "tournament"])
    def test_the_best_is_never_a_victim(self, victim: str) -> None:
        children = [float(i) for i in range(20)]
        chosen = strategy(population=4, victim=victim, only_better=False, lifespan=1)
        assert 2 in tell(chosen, [1.0, 2.0, 99.0, 3.0], children)

    def test_who_has_lived_too_long_goes_whatever_its_fitness(self) -> None:
        old = strategy(population=4, lifespan=3)
        assert tell(old, [8.0, 9.0, 7.0, 6.0], [1.0]) == [4, 1, 2, 3]
        young = strategy(population=4, lifespan=30)
        assert tell(young, [8.0, 9.0, 7.0, 6.0], [1.0]) == [0, 1, 2, 4]

    def test_a_population_of_one_keeps_the_better(self) -> None:
        assert tell(strategy(population=1), [5.0], [4.0, 6.0, 5.5]) == [2]

    def test_tournaments_favour_the_worse(self) -> None:
        gone = []
        for seed in range(60):
            chosen = strategy(population=10, victim="tournament", only_better=False)
            chosen.restore(STATE | {"seed": seed})
            nursery = Nursery(GenomePool(LAYOUT))
            pool = nursery.fill(10)
            pool.rows["fitness"][:], pool.rows["species"][:] = np.arange(10.0), 0
            brood = nursery.breed([Operator.CLONE], [0])
            brood.rows["fitness"][:] = 4.5
            index = chosen.tell(pool.view(), pool.brood_view(brood)).index
            gone.append(next(i for i in range(10) if i not in index))
        assert 9 not in gone
        assert np.mean(gone) < 2.5  # uniform: 4


class TestWindow:
    @pytest.mark.parametrize("batch", [1, 3])
    def test_results_do_not_depend_on_workers(self, batch: int) -> None:
        evolutions = [run(weight, workers, batch=batch) for workers in (1, 2, 3)]
        for evolution in evolutions:
            evolution.run()
        first = evolutions[0]
        assert first.generation == 4
        assert first.n_evaluations == 48
        for other in evolutions[1:]:
            assert members(other) == members(first)
            assert list(other.pool.rows["fitness"]) == list(first.pool.rows["fitness"])

    def test_as_many_are_under_way_as_the_window_has_and_no_more(self) -> None:
        release, started = threading.Event(), threading.Semaphore(0)
        first = [True]

        def function(network: Network) -> float:
            if first:
                first.clear()
                started.release()
                assert release.wait(20)
                return 0.0
            started.release()
            return weight(network)

        evolution = run(function, workers=2)
        runner = threading.Thread(target=evolution.run)
        runner.start()
        try:
            for _ in range(4):  # the first hangs, and three more are evaluated meanwhile
                assert started.acquire(timeout=20)
            assert not started.acquire(timeout=0.3)
        finally:
            release.set()
            runner.join(30)
        assert evolution.generation == 4

    def test_the_order_of_arrival_is_recorded(self) -> None:
        evolution = run(weight, workers=2, order="arrival")
        evolution.run()
        storage = evolution._recorder.storage
        assert storage is not None
        told = [birth for e in storage.events("arrivals") for birth in e.data["births"]]
        assert len(told) == len(set(told)) == 48
        # when the run ends, some that were born earlier may be under way still
        assert set(range(48 - evolution._window)) <= set(told) <= set(range(48 + evolution._window))

    def test_in_the_order_of_arrival_a_slow_one_holds_up_nobody(self) -> None:
        release = threading.Event()
        calls: list[int] = []

        def function(network: Network) -> float:
            calls.append(1)
            if len(calls) == 1:
                assert release.wait(20)
            if len(calls) == 40:
                release.set()
            return weight(network)

        evolution = run(function, workers=2, order="arrival")
        evolution.run()
        assert release.is_set()
        assert evolution.n_evaluations == 48


def test_a_restored_strategy_goes_on_as_if_nothing_had_been() -> None:
    whole, parted = run(weight), run(weight)
    for _ in range(3):
        whole.step()
    parted.step()
    before = parted._strategy
    parted._strategy = parted._breeder._strategy = strategy(population=12, window=4)
    parted._strategy.restore(before.state())
    parted.step()
    parted.step()
    assert members(parted) == members(whole)
    for evolution in (whole, parted):
        evolution.close()


def test_it_solves_xor_on_every_one_of_some_seeds() -> None:
    for seed in range(1, 6):
        config = {
            **QUIET,
            "run": {"seed": seed, "evaluations": 30_000},
            "task": {"name": "xor"},
            "strategy": {"name": "steady-state", "batch": 15, "window": 2},
        }
        result = Evolution(config).run()
        assert result.solved, seed
