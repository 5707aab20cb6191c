"""Novelty search: what is novel, who enters the archive, who stays and who breeds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from diversity_runs import Scene, context, interrupted, maze, run
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from reference_diversity import novelty as twin
from small_runs import QUIET

from tweann.errors import ConfigError
from tweann.evolution import Evolution
from tweann.genes import Operator
from tweann.interfaces import Strategy
from tweann.strategies.novelty import Novelty, NoveltySettings, scaled_to_one
from tweann.strategies.novelty_archive import NoveltyArchive
from tweann.tasks import Evaluation, PythonTask

NAN = math.nan


def strategy(descriptor: Any = None, **settings: Any) -> Novelty:
    there = context() if descriptor is None else context(descriptor)
    return Novelty(NoveltySettings(**settings), there)


def scene(**settings: Any) -> Scene:
    return Scene(strategy(**({"population": 4, "neighbours": 2} | settings)))


def archived(s: Scene) -> list[list[float]]:
    found: list[list[float]] = np.asarray(s.strategy.state()["archive_descriptor"]).tolist()
    return found


def test_it_is_a_strategy() -> None:
    assert isinstance(strategy(), Strategy)


def test_the_first_generation_is_fresh() -> None:
    assert (scene().ask(4).operator == Operator.FRESH).all()


class TestNovelty:
    @PROPERTY
    @given(
        st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)), min_size=4, max_size=4),
        st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)), min_size=4, max_size=4),
    )
    def test_it_is_the_distance_to_neighbours_in_population_brood_and_archive(
        self, first: list[tuple[float, float]], second: list[tuple[float, float]]
    ) -> None:
        s = scene(threshold=0.3)
        s.tell([0.0] * 4, first)
        there = [list(p) for p in archived(s)]
        points = [*s.pool.rows["descriptor"].tolist(), *map(list, second), *there]
        born = [*s.pool.rows["id"].tolist(), 4, 5, 6, 7]
        s.tell([0.0] * 4, second)
        expected = {
            birth: twin(points, [0.0] * len(points), 2, q)[0] for q, birth in enumerate(born)
        }
        for birth, novelty in zip(
            s.pool.rows["id"].tolist(), s.pool.rows["novelty"].tolist(), strict=True
        ):
            assert novelty == pytest.approx(expected[birth], abs=1e-12)

    def test_each_dimension_counts_in_units_of_its_range(self) -> None:
        s = Scene(
            strategy(
                (("x", 0.0, 1000.0), ("y", -0.5, 0.5)), population=2, neighbours=1, threshold=9.0
            )
        )
        s.tell([0.0, 0.0], [[0.0, 0.0], [300.0, 0.4]])
        assert s.pool.rows["novelty"] == pytest.approx([0.5, 0.5])

    def test_the_most_novel_stay_and_the_fittest_whatever_its_novelty(self) -> None:
        s = scene(threshold=9.0, population=3)
        points = [[0.5, 0.5], [0.5, 0.5], [0.5, 0.51], [0.0, 0.0], [1.0, 1.0]]
        assert s.tell([1.0, 9.0, 2.0, 0.0, 0.0], points) == [1, 3, 4]

    def test_parents_and_children_compete_or_only_children(self) -> None:
        for replacement, expected in (("all", [0, 2, 3, 7]), ("children", [3, 5, 6, 7])):
            s = scene(threshold=9.0, replacement=replacement)
            corners = [[0.0, 0.0], [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]
            s.tell([0.0, 0.0, 0.0, 5.0], corners)
            middle = [[0.5, 0.5], [0.5, 0.51], [0.51, 0.5], [1.0, 1.0]]
            assert s.tell([1.0] * 4, middle) == expected

    def test_failures_rank_last_and_never_enter_the_archive(self) -> None:
        s = scene(admission="probability", admission_rate=1.0, population=3)
        points = [[0.0, 0.0], [NAN, 0.5], [1.0, 1.0], [0.5, 0.5], [0.4, 0.5]]
        assert s.tell([NAN, 3.0, 1.0, 1.0, 1.0], points) == [2, 3, 4]
        assert archived(s) == [[1.0, 1.0], [0.5, 0.5], [0.4, 0.5]]

    def test_a_brood_all_of_which_failed_does_not_stop_it(self) -> None:
        s = scene()
        assert s.tell([NAN] * 4, [[0.5, 0.5]] * 4) == [0, 1, 2, 3]
        assert archived(s) == []
        assert s.tell([1.0] * 4, [[0.1 * i, 0.5] for i in range(4)]) == [4, 5, 6, 7]

    def test_one_individual_is_enough(self) -> None:
        s = scene(population=1)
        assert s.tell([1.0], [[0.5, 0.5]]) == [0]
        assert s.tell([2.0], [[0.5, 0.5]]) == [1]
        assert (s.ask(1).operator == Operator.MUTATE).all()


class TestScore:
    POINTS = ((0.0, 0.0), (0.1, 0.0), (0.5, 0.0), (1.0, 0.0))

    def scores(self, fitness: list[float], **settings: Any) -> list[float]:
        s = scene(neighbours=1, threshold=9.0, **settings)
        s.tell(fitness, self.POINTS)
        found: list[float] = s.pool.rows["score"].tolist()
        return found

    def test_it_is_novelty_scaled_to_one(self) -> None:
        # nearest: 0.1, 0.1, 0.4, 0.5
        assert self.scores([3.0, 2.0, 1.0, 0.0]) == pytest.approx([0.0, 0.0, 0.75, 1.0])

    def test_fitness_may_have_a_share(self) -> None:
        """Cuccu & Gomez (2011), eq. 3: both are scaled to [0, 1] first."""
        found = self.scores([30.0, 20.0, 10.0, 0.0], fitness_weight=0.25)
        expected = [0.25, 0.25 * 2 / 3, 0.75 * 0.75 + 0.25 / 3, 0.75]
        assert found == pytest.approx(expected)

    def test_local_competition_counts_neighbours_that_are_less_fit(self) -> None:
        found = self.scores([3.0, 2.0, 1.0, 5.0], local_weight=1.0)
        assert found == pytest.approx([1.0, 0.0, 0.0, 1.0])

    def test_shares_over_one_are_refused(self) -> None:
        with pytest.raises(ValidationError, match=r"at most 1, came 1\.1"):
            NoveltySettings(fitness_weight=0.6, local_weight=0.5)

    def test_scaling_takes_any_floats(self) -> None:
        values = np.array([-1.7e308, 0.0, 1.7e308])
        assert scaled_to_one(values).tolist() == [0.0, 0.5, 1.0]
        assert scaled_to_one(np.full(3, 7.0)).tolist() == [0.0] * 3
        assert scaled_to_one(np.zeros(0)).size == 0


class TestAdmission:
    def test_who_is_more_novel_than_the_threshold_enters(self) -> None:
        s = scene(neighbours=1, threshold=0.3)
        s.tell([0.0] * 4, [[0.0, 0.0], [0.1, 0.0], [0.5, 0.0], [1.0, 0.0]])
        assert archived(s) == [[0.5, 0.0], [1.0, 0.0]]
        s.tell([0.0] * 4, [[0.0, 0.0]] * 3 + [[0.0, 1.0]])
        assert archived(s) == [[0.5, 0.0], [1.0, 0.0], [0.0, 1.0]]

    def test_the_threshold_rises_after_many_admissions_and_sinks_after_none(self) -> None:
        """Lehman & Stanley (2011), section 4.2: a fifth up, a twentieth down."""
        s = scene(neighbours=1, threshold=0.1, admissions=3, patience=3)
        corners = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
        s.tell([0.0] * 4, corners)
        thresholds = [s.strategy.metrics()["threshold"]]
        for _ in range(7):
            s.tell([0.0] * 4, corners)
            thresholds.append(s.strategy.metrics()["threshold"])
        raised = 0.1 * 1.2
        assert thresholds == pytest.approx(
            [raised] * 3 + [raised * 0.95] * 3 + [raised * 0.95**2] * 2
        )

    def test_by_chance_each_child_enters_with_the_rate(self) -> None:
        s = scene(
            admission="probability", admission_rate=0.3, population=2_000, archive_size=10_000
        )
        s.tell([0.0] * 2_000, [[0.5, 0.5]] * 2_000)
        assert abs(len(archived(s)) - 600) < 4 * math.sqrt(2_000 * 0.3 * 0.7)
        assert s.strategy.metrics()["threshold"] == 0.05

    def test_either_way_in(self) -> None:
        s = scene(
            admission="both",
            admission_rate=0.3,
            threshold=0.4,
            population=2_000,
            archive_size=10_000,
        )
        s.tell([0.0] * 2_000, [[0.5, 0.5]] * 1_999 + [[0.0, 0.0]])
        found = archived(s)
        assert found[-1] == [0.0, 0.0]
        assert abs(len(found) - 600) < 4 * math.sqrt(2_000 * 0.3 * 0.7)

    def test_the_archive_may_be_none(self) -> None:
        s = scene(archive_size=0)
        s.tell([0.0] * 4, [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        assert archived(s) == []


class TestEviction:
    OLD = ((0.0, 0.0), (0.1, 0.0), (0.5, 0.0))
    NEW = ((0.9, 0.0), (0.11, 0.0))

    def after(self, eviction: Any, seed: int = 1) -> list[float]:
        archive, rng = NoveltyArchive(2, 3), np.random.default_rng(seed)
        archive.add(np.array(self.OLD), np.array([1.0, 2.0, 3.0]), eviction, 1, rng)
        assert archive.descriptor.tolist() == [list(p) for p in self.OLD]
        archive.add(np.array(self.NEW), np.array([4.0, 5.0]), eviction, 1, rng)
        by_place = dict(zip((0.0, 0.1, 0.5, 0.9, 0.11), (1.0, 2.0, 3.0, 4.0, 5.0), strict=True))
        places: list[float] = archive.descriptor[:, 0].tolist()
        assert archive.fitness.tolist() == [by_place[x] for x in places]
        return places

    def test_the_oldest_leave(self) -> None:
        assert self.after("oldest") == [0.5, 0.9, 0.11]

    def test_the_least_novel_leave(self) -> None:
        assert self.after("least_novel") == [0.0, 0.5, 0.9]

    def test_any_leave(self) -> None:
        kept = [self.after("random", seed) for seed in range(200)]
        assert all(len(places) == 3 for places in kept)
        counts = [sum(x in places for places in kept) for x in (0.0, 0.1, 0.5, 0.9, 0.11)]
        assert all(abs(n - 120) < 4 * math.sqrt(200 * 0.6 * 0.4) for n in counts)


class TestParents:
    def filled(self, **settings: Any) -> Scene:
        s = scene(population=60, threshold=9.0, neighbours=5, **settings)
        rng = np.random.default_rng(3)
        s.tell([0.0] * 60, rng.random((60, 2)).tolist())
        return s

    def test_tournaments_prefer_the_novel(self) -> None:
        s = self.filled(crossover_rate=0.0, tournament_size=2)
        score = s.pool.rows["score"]
        chosen = np.concatenate([score[s.ask(60).parent_a] for _ in range(50)])
        ordered = np.sort(score)
        # the better of two drawn: rank r of n wins with probability (2r + 1) / n²
        expected = (ordered * (2 * np.arange(60) + 1) / 3_600).sum()
        assert chosen.mean() == pytest.approx(expected, abs=4 * score.std() / math.sqrt(3_000))

    def test_shares_are_those_set(self) -> None:
        s = self.filled(crossover_rate=0.5, crossover_mutate_rate=0.4, tournament_size=1)
        operators = np.concatenate([s.ask(60).operator for _ in range(50)])
        counts = np.bincount(operators, minlength=6) / operators.size
        crossed = 0.5 * 59 / 60  # the same twice has no crossover
        for operator, share in (
            (Operator.MUTATE, 1.0 - crossed),
            (Operator.CROSSOVER, 0.6 * crossed),
            (Operator.CROSSOVER_MUTATE, 0.4 * crossed),
        ):
            assert abs(counts[operator] - share) <= 4.0 * math.sqrt(share * (1.0 - share) / 3_000)

    def test_the_better_score_is_dominant(self) -> None:
        s = self.filled(crossover_rate=1.0)
        plan, score = s.ask(60), s.pool.rows["score"]
        crossed = plan.parent_b >= 0
        assert crossed.sum() > 40
        assert (score[plan.parent_a[crossed]] >= score[plan.parent_b[crossed]]).all()

    def test_emigrants_score_best(self) -> None:
        s = self.filled()
        found = s.strategy.emigrants(s.pool.view(), 5, np.random.default_rng(1))
        assert s.pool.rows["score"][found].tolist() == sorted(s.pool.rows["score"].tolist())[:-6:-1]


def test_the_champion_by_fitness_is_in_the_population_all_along() -> None:
    def evaluate(network: Any) -> Evaluation:
        (y,) = network.activate([0.3])
        return Evaluation(fitness=-abs(y - 0.123), descriptor=[y])

    task = PythonTask(evaluate, 1, 1, descriptor=[("y", -1.0, 1.0)])
    sections = QUIET | {
        "strategy": {"name": "novelty", "population": 12},
        "run": {"generations": 30},
    }
    for replacement in ("all", "children"):
        strategy = sections["strategy"] | {"replacement": replacement}
        with Evolution(sections | {"strategy": strategy}, task=task) as evolution:
            while not evolution.finished:
                evolution.step()
                assert evolution.champion is not None
                assert evolution.champion.birth in evolution.pool.rows["id"].tolist()


def test_a_task_without_a_descriptor_is_refused() -> None:
    with pytest.raises(ConfigError, match="strategy novelty needs a behaviour descriptor"):
        Evolution(QUIET | {"task": {"name": "xor"}, "strategy": {"name": "novelty"}})


SETTINGS: dict[str, Any] = {
    "name": "novelty",
    "admission": "both",
    "eviction": "random",
    "archive_size": 60,
    "fitness_weight": 0.2,
    "local_weight": 0.2,
    "threshold": 0.02,
}


def test_one_worker_and_two_find_the_same() -> None:
    strategy = SETTINGS | {"population": 600}
    found = [run(maze(strategy, evaluation={"workers": n}), generations=4) for n in (1, 2)]
    assert found[0] == found[1]


@pytest.mark.parametrize("at", [0, 1, 7])
def test_a_strategy_made_from_its_state_goes_on_as_the_old_one_would(at: int) -> None:
    sections = maze(SETTINGS)
    assert interrupted(sections, at) == run(sections)


@pytest.mark.parametrize("eviction", ["oldest", "least_novel", "random"])
def test_memory_stays_once_the_archive_is_full(eviction: str) -> None:
    sections = QUIET | {
        "run": {"generations": 400, "stop_when_solved": False, "history": 10},
        "task": {"name": "sphere-projection", "dimensions": 4},
        "strategy": SETTINGS | {"population": 30, "archive_size": 100, "eviction": eviction},
    }
    with Evolution(sections) as evolution:
        held = []
        while not evolution.finished:
            evolution.step()
            state = evolution.strategy.state().values()
            arrays = [*evolution.pool.rows.values(), *evolution.pool.genes, *state]
            held.append([sum(np.asarray(a).nbytes for a in arrays), evolution.pool.n_blocks])
        assert evolution.strategy.metrics()["archive_size"] == 100
        assert held[200:] == held[200:201] * 200
