"""Competitive coevolution: matches, archive, ratings, champion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import match_toys
import numpy as np
import pytest
from reference_match import updated

import tweann
from tweann.errors import PluginError, TaskError
from tweann.evolution import Evolution
from tweann.genes import Operator, Role
from tweann.kernels.elo import FIRST_RATING
from tweann.packing import pack, unpack
from tweann.strategies.coevolution import Coevolution
from tweann.tasks.base import EvaluationKeys, Evaluations, TaskInfo
from tweann.tasks.duel import TEST_SEED, Duel
from tweann.tasks.match import CompiledMatch
from tweann.testing.subjects import trace

TASK = Duel(Duel.Settings())


def sections(generations: int = 8, seed: int = 1, **strategy: Any) -> dict[str, Any]:
    return {
        "run": {"generations": generations, "seed": seed, "stop_when_solved": False},
        "task": {"name": "duel", "opponents": 5, "episodes": 1, "max_steps": 60},
        "strategy": {"name": "coevolution", "population": 20, "archive": 7, **strategy},
        "storage": {"url": "memory:"},
        "observers": {},
        "evaluation": {"backend": "serial"},
    }


def traces(config: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    with Evolution(config) as run:
        while not run.finished:
            run.step()
            found.append(trace(run))
        assert run.champion is not None
        found.append({"champion": run.champion.genome.genome_id})
    return found


@pytest.fixture(scope="module")
def serial() -> str:
    return repr(traces(sections(population=150, generations=4)))


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what dask leaves to the collector
@pytest.mark.parametrize(
    ("backend", "workers"), [("threads", 1), ("threads", 2), ("processes", 2), ("dask", 2)]
)
def test_workers_and_back_ends_change_no_bit(serial: str, backend: str, workers: int) -> None:
    if backend == "dask":
        pytest.importorskip("distributed")
    evaluation = {"backend": backend, "workers": workers}
    config = sections(population=150, generations=4) | {"evaluation": evaluation}
    assert repr(traces(config)) == serial


@pytest.mark.parametrize("generation", [0, 3])
def test_a_checkpoint_changes_no_bit(generation: int) -> None:
    """Also one with children under way, who are then evaluated by the run that goes on."""
    expected = traces(sections())
    with Evolution(sections()) as run:
        for _ in range(generation):
            run.step()
        run._pending.append(run._breed())
        checkpoint = pack(run.state())
    with Evolution(sections()) as run:
        run.restore(unpack(checkpoint))
        found = []
        while not run.finished:
            run.step()
            found.append(trace(run))
    assert repr(found) == repr(expected[generation:-1])


@pytest.mark.parametrize("eviction", ["oldest", "weakest", "random"])
def test_the_archive_is_bounded_and_keeps_the_titleholder(eviction: str) -> None:
    with Evolution(sections(25, eviction=eviction)) as run:
        before: set[int] = set()
        while not run.finished:
            run.step()
            view = run.pool.view()
            archived = (view.role & Role.OPPONENT) != 0
            assert archived.sum() <= 7
            assert len(view) <= 27
            assert (view.role & Role.MEMBER != 0).sum() == 20
            strategy = run.strategy
            assert isinstance(strategy, Coevolution)
            rows, ratings = strategy.opponents(view)
            assert archived[rows].all()
            assert rows.size == min(5, archived.sum())
            assert strategy._holder in rows
            assert run.champion is not None
            assert view.genome(strategy._holder).genome_id == run.champion.genome.genome_id
            assert np.isfinite(ratings).all()
            now = set(view.id[archived].tolist())
            if run.generation > 3:  # then it is full
                lost = before - now
                assert len(lost) == len(now - before) <= 1
                others = before - lost - {int(view.id[strategy._holder])}
                if eviction == "oldest" and lost:
                    assert max(lost) < min(others)
            before = now
        assert run.history[-1].metrics["archive"] == 7.0


def test_an_archive_of_one_is_the_titleholder() -> None:
    with Evolution(sections(6, archive=1)) as run:
        while not run.finished:
            run.step()
            view = run.pool.view()
            assert (view.role & Role.OPPONENT != 0).sum() == 1
            assert run.strategy.opponents(view)[0].size == 1  # type: ignore[attr-defined] # Competitive


def test_fitness_and_ratings_come_of_the_matches() -> None:
    """Played again by hand: fitness of the children, and what the archive is rated afterwards."""
    with Evolution(sections()) as run:
        for _ in range(4):
            run.step()
        view = run.pool.view()
        rows, ratings = run.strategy.opponents(view)  # type: ignore[attr-defined] # Competitive
        ids = view.id[rows]
        others = [view.genome(int(row)).as_slice(run.layout, run.scaling) for row in rows]
        ratings = ratings.copy()
        brood = run._breed()
        run._pending.append(brood)
        children = [run.pool.genome(int(b)) for b in brood.rows["block"]]
        births, operators = brood.rows["id"].copy(), brood.rows["operator"].copy()
        run.step()
        task, keys = run.task, EvaluationKeys(1).episodes(1)
        assert isinstance(task, Duel)
        scores = np.hstack(
            [
                np.vstack(
                    [
                        task.play(c.as_slice(run.layout, run.scaling), o, keys).scores
                        for c in children
                    ]
                )
                for o in others
            ]
        )
        view = run.pool.view()
        by_id = dict(zip(view.id.tolist(), range(len(view)), strict=True))
        fitness = np.array(
            [view.fitness[by_id[b]] if b in by_id else np.nan for b in births.tolist()]
        )
        assert np.isfinite(fitness).all()  # no elites: all children are members
        for child, birth in enumerate(births.tolist()):
            found = view.objectives[by_id[birth]]
            assert found.tolist() == [*scores[child], *[0.0] * (5 - rows.size)]
        expected = updated(scores.tolist(), fitness.tolist(), 32.0, ratings.tolist())
        still = [(by_id[i], r) for i, r in zip(ids.tolist(), expected, strict=True) if i in by_id]
        assert len(still) >= 4
        for row, rating in still:
            assert view["rating"][row] == pytest.approx(rating)
        assert (operators[:5] == Operator.CLONE).all()
        assert run.history[-1].metrics["matches"] == 5 * 20 * 5 * 2


def test_the_first_generation_plays_against_its_first() -> None:
    with Evolution(sections(1)) as run:
        run.step()
        view = run.pool.view()
        first = run.champion
        assert first is not None
        assert view.fitness.mean() == pytest.approx(FIRST_RATING, abs=100.0)
        assert run.history[-1].metrics["matches"] == 20 * 5 * 2


def test_a_champion_that_is_beaten_makes_room_though_its_rating_was_higher() -> None:
    """Ratings of different generations are not compared: the champion plays again in every brood."""
    lower = 0
    for seed in range(1, 4):
        with Evolution(sections(30, seed)) as run:
            last = None
            while not run.finished:
                run.step()
                champion = run.champion
                assert champion is not None
                if last is not None and champion is not last:
                    assert champion.genome.genome_id != last.genome.genome_id
                    lower += champion.fitness < last.fitness
                last = champion
    assert lower > 0


def test_a_strategy_without_opponents_plays_against_the_scripted_players() -> None:
    config = sections(3) | {"strategy": {"name": "generational", "population": 20}}
    with Evolution(config) as run:
        while not run.finished:
            assert 0.0 <= run.step().best <= 1.0


def test_without_scripted_players_other_strategies_are_refused_with_the_remedy() -> None:
    toy = match_toys
    info = TaskInfo("ball", 1, "compiled", ("ball", "time"), ("push",), n_objectives=3, n_players=2)
    task = CompiledMatch(info, reset=toy.reset_ball, observe=toy.observe_ball, step=toy.push_ball, score=toy.score_ball, state_size=2, max_steps=9, params=(0.3, 0.6, 1.0))  # fmt: skip
    base = {key: value for key, value in sections(2).items() if key != "task"}
    with Evolution(base, task=task) as run:
        run.step()
        run.step()
    with (
        Evolution(base | {"strategy": {"population": 5}}, task=task) as run,
        pytest.raises(TaskError, match="has no scripted players: use strategy"),
    ):
        run.step()


class Wrong(Coevolution):
    """Chooses a row that is not there."""

    def opponents(self, pool: Any) -> Any:
        rows, ratings = super().opponents(pool)
        return rows + len(pool), ratings


def test_opponents_that_are_not_there_are_refused() -> None:
    with Evolution(sections()) as run:
        run.step()
        run._strategy.__class__ = Wrong
        with pytest.raises(PluginError, match=r"opponents\(\) must be 1 to 5 rows of the pool"):
            run.step()


def test_it_learns() -> None:
    """Three seeds, each: the champion beats random players, the chaser and the champion of the first generation."""
    path = Path(__file__).parent.parent / "examples" / "coevolution.toml"
    overrides = {"storage.url": "memory:", "observers.progress": False, "observers.metrics": False}
    for seed in (11, 12, 13):
        config = tweann.load_config(path, {**overrides, "run.seed": seed, "run.generations": 40, "run.stop_when_solved": False, "strategy.population": 60, "task.opponents": 5})  # fmt: skip
        with Evolution(config) as run:
            run.step()
            assert run.champion is not None
            first = run.champion.genome.as_slice(run.layout, run.scaling)
            while not run.finished:
                run.step()
            last = run.champion.genome.as_slice(run.layout, run.scaling)
            episodes = EvaluationKeys(TEST_SEED).episodes(50)
            scores = TASK.play_scripted(last, episodes, Evaluations.empty(1, TASK.info))
            assert scores["random"][0] >= 0.8
            assert scores["chaser"][0] >= 0.8
            assert TASK.play(last, first, episodes).scores[0, 0] >= 0.7
