"""NEAT's generation: each published rule, and what happens at the edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from pools import N_INPUTS, N_OUTPUTS, Nursery

from tweann.config.sections import SpeciesSettings
from tweann.genes import Float, Operator
from tweann.interfaces import BreedingPlan, Strategy, StrategyContext
from tweann.layout import Layout
from tweann.pool import GenomePool
from tweann.strategies.generational import Generational, GenerationalSettings
from tweann.tasks.base import TaskInfo

LAYOUT = Layout(N_INPUTS, N_OUTPUTS)
TASK = TaskInfo("toy", 1, "external", ("a", "b", "c"), ("y", "z"))


def strategy(species: dict[str, Any] | None = None, **settings: Any) -> Generational:
    context = StrategyContext(TASK, SpeciesSettings(**(species or {})))
    return Generational(GenerationalSettings(**settings), context)


class Scene:
    """A pool whose species and fitness are given, and a strategy that knows of them."""

    def __init__(
        self,
        species: Sequence[int],
        fitness: Sequence[float],
        *,
        generation: int = 0,
        improved: dict[int, int] | None = None,
        champion_improved: int | None = None,
        distances: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        n = len(species)
        settings = {"population": n, "interspecies_rate": 0.0} | settings
        self.strategy = strategy(distances, **settings)
        self.nursery = Nursery(GenomePool(LAYOUT))
        self.pool = self.nursery.fill(n)
        self.pool.rows["species"][:] = species
        self.pool.rows["fitness"][:] = fitness
        ids = np.unique(species)
        best = [
            np.nanmax([f for s, f in zip(species, fitness, strict=True) if s == i]) for i in ids
        ]
        when = [(improved or {}).get(int(i), generation) for i in ids]
        self.strategy.restore(
            {
                **self.strategy.state(),
                "threshold": (distances or {}).get("threshold", 3.0),
                "generation": generation,
                "next_species": int(ids.max()) + 1,
                "ids": ids,
                "best": np.array(best),
                "improved": np.array(when),
                "champion": float(np.nanmax(fitness)),
                "champion_improved": generation if champion_improved is None else champion_improved,
                "order": np.zeros(0, np.int64),
                "starts": np.zeros(1, np.int64),
                "representatives": np.zeros(0, np.int64),
            }
        )

    def ask(self, n: int, seed: int = 1) -> BreedingPlan:
        plan = self.strategy.ask(self.pool.view(), n, np.random.default_rng(seed))
        plan.check(len(self.pool), "generational")
        return plan

    def counts(self, n: int, seed: int = 1) -> list[int]:
        """Return how many children each species gets."""
        found = self.pool.rows["species"][self.ask(n, seed).parent_a]
        return [int((found == i).sum()) for i in np.unique(self.pool.rows["species"])]

    def tell(self, fitness: Sequence[float]) -> list[int]:
        """Have the last plan's children told with this fitness; return who stays, by birth."""
        plan = self.ask(len(fitness))
        brood = self.nursery.breed(
            plan.operator.tolist(), plan.parent_a.tolist(), plan.parent_b.tolist()
        )
        brood.rows["fitness"][:] = fitness
        brood.rows["n_evaluations"][:] = 1
        found = self.strategy.tell(self.pool.view(), self.pool.brood_view(brood))
        self.pool.keep(found.index, found.role, found.columns, brood)
        ids: list[int] = self.pool.rows["id"].tolist()
        return ids


def close(share: float, expected: float, n: int) -> bool:
    """Return whether a share of n draws is within four standard deviations of what is expected."""
    return abs(share - expected) <= 4.0 * math.sqrt(expected * (1.0 - expected) / n)


def test_it_is_a_strategy() -> None:
    assert isinstance(strategy(), Strategy)


class TestShares:
    """Stanley & Miikkulainen (2002), section 3.3: offspring in proportion to the sum of f / size."""

    def test_offspring_are_shared_out_by_mean_fitness_above_the_worst(self) -> None:
        # above the worst, 1: species 0 has a mean of 4, species 3 of 1, species 7 of 3
        scene = Scene([0, 0, 3, 3, 3, 3, 7], [7.0, 3.0, 1.0, 3.0, 3.0, 1.0, 4.0], population=800)
        assert scene.counts(800) == [400, 100, 300]

    def test_a_large_species_gets_no_more_for_its_size(self) -> None:
        scene = Scene([0] * 9 + [1], [2.0] * 9 + [2.0], population=100)
        assert scene.counts(100) == [50, 50]

    def test_all_equal_fitness_gives_all_the_same(self) -> None:
        scene = Scene([0, 1, 1, 2, 2, 2], [5.0] * 6, population=90)
        assert scene.counts(90) == [30, 30, 30]

    def test_failures_count_as_the_worst_that_did_not_fail(self) -> None:
        nan = math.nan
        scene = Scene([0, 0, 1, 1], [nan, 3.0, 2.0, 1.0], population=300)
        assert scene.counts(300) == [200, 100]  # means above 1: (0 + 2) / 2 and (1 + 0) / 2

    @pytest.mark.parametrize("scale", [1e308, 1e300, 1.0, 1e-300])
    def test_fitness_of_any_size_is_shared_out(self, scale: float) -> None:
        scene = Scene([0, 0, 1, 1], [scale, -scale, 0.0, -scale], population=300)
        assert scene.counts(300) == [200, 100]
        for selection in ("tournament", "roulette"):
            again = Scene([0, 1], [scale, -scale], selection=selection, population=20)
            assert again.counts(20) == [20, 0]


class TestStagnation:
    def test_a_species_without_progress_breeds_no_more(self) -> None:
        fitness = [3.0, 1.0, 9.0, 1.0]
        for age, counts in ((15, [50, 150]), (16, [0, 200])):
            scene = Scene(
                [0, 0, 1, 1], fitness, generation=40, improved={0: 40 - age}, population=200
            )
            found = scene.counts(200)
            assert found == ([40, 160] if age == 15 else counts)

    def test_the_best_species_breeds_whatever_its_age(self) -> None:
        scene = Scene([0, 1], [9.0, 1.0], generation=90, improved={0: 0, 1: 0}, population=10)
        assert scene.counts(10) == [10, 0]

    def test_0_means_never(self) -> None:
        fitness = [3.0, 1.0, 9.0, 1.0]
        scene = Scene(
            [0, 0, 1, 1], fitness, generation=99, improved={0: 0, 1: 0}, population=200,
            stagnation=0, population_stagnation=0, champion_improved=0,
        )  # fmt: skip
        assert scene.counts(200) == [40, 160]

    def test_in_a_stagnant_population_only_the_two_best_species_breed(self) -> None:
        species, fitness = [0, 0, 1, 1, 2, 2], [5.0, 1.0, 9.0, 1.0, 7.0, 1.0]
        for since, counts in ((20, [40, 80, 60]), (21, [0, 103, 77])):
            scene = Scene(
                species, fitness, generation=50, champion_improved=50 - since, population=180
            )
            assert scene.counts(180) == counts

    def test_where_shares_say_nothing_the_stagnant_still_do_not_breed(self) -> None:
        scene = Scene([0, 1, 2], [4.0] * 3, generation=50, improved={1: 1}, population=10)
        assert scene.counts(10) == [5, 0, 5]

    def test_progress_is_noticed_and_the_extinct_are_forgotten(self) -> None:
        scene = Scene([0, 1], [4.0, 3.0], generation=7, elitism=0, distances={"threshold": 1e6})
        scene.tell([4.5, 1.0])
        state = scene.strategy.state()
        assert np.asarray(state["ids"]).tolist() == [0]
        assert np.asarray(state["best"]).tolist() == [4.5]
        assert np.asarray(state["improved"]).tolist() == [8]
        assert (state["champion"], state["champion_improved"]) == (4.5, 8)
        scene.tell([4.5, 4.5])
        state = scene.strategy.state()
        assert np.asarray(state["improved"]).tolist() == [8]
        assert state["champion_improved"] == 8

    def test_failures_are_no_progress(self) -> None:
        """A brood that fails as a whole must not pass for a fitness of 0, better than all before."""
        scene = Scene([0, 0], [-4.0, -3.0], generation=7, distances={"threshold": 1e6})
        scene.tell([math.nan, math.nan])
        state = scene.strategy.state()
        assert (state["champion"], state["champion_improved"]) == (-3.0, 7)
        assert np.asarray(state["best"]).tolist() == [-3.0]
        first = strategy(population=2)
        pool = GenomePool(LAYOUT)
        nursery = Nursery(pool)
        brood = nursery.breed([Operator.FRESH] * 2)
        first.ask(pool.view(), 2, np.random.default_rng(1))
        first.tell(pool.view(), pool.brood_view(brood))
        assert first.state()["champion"] == -math.inf


class TestElites:
    def test_the_best_of_a_large_species_stay_with_the_fitness_that_they_have(self) -> None:
        species = [0] * 5 + [1] * 4
        fitness = [1.0, 5.0, 2.0, 3.0, 4.0, 6.0, 9.0, 7.0, 8.0]
        scene = Scene(species, fitness)
        stay = scene.tell([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
        assert stay[:2] == [1, 6]  # of species 0 for its size, and the best of all
        assert scene.pool.rows["fitness"][:2].tolist() == [5.0, 9.0]
        assert scene.pool.rows["species"][:2].tolist() == [0, 1]
        assert scene.pool.rows["generation"][:2].tolist() == [0, 0]
        assert len(stay) == 9
        assert stay[2:] == [11, 12, 13, 14, 15, 16, 17]  # the two worst children made room

    def test_more_elites_or_none(self) -> None:
        fitness = [1.0, 5.0, 2.0, 3.0, 4.0, 0.0]
        assert Scene([0] * 6, fitness, elitism=3).tell([0.0] * 6)[:3] == [1, 3, 4]
        assert Scene([0] * 6, fitness, elitism=0).tell([0.0] * 6) == [6, 7, 8, 9, 10, 11]

    def test_many_elites_leave_half_the_room_to_children(self) -> None:
        scene = Scene([0] * 6, [1.0, 5.0, 2.0, 3.0, 4.0, 0.0], elitism=6)
        assert scene.tell([0.0] * 6) == [1, 3, 4, 6, 7, 8]

    def test_who_failed_is_no_elite(self) -> None:
        scene = Scene([0] * 6, [math.nan, -5.0, math.nan, -7.0, -6.0, math.nan], elitism=1)
        assert scene.tell([math.nan, -9.0, -9.0, -9.0, -9.0, -9.0]) == [1, 7, 8, 9, 10, 11]

    def test_immigrants_take_the_place_of_the_worst_children(self) -> None:
        scene = Scene([0, 0], [1.0, 2.0], elitism=1, elitism_min_size=1)
        plan = scene.ask(2)
        guest = scene.pool.view().genome(0)
        brood = scene.nursery.breed(
            plan.operator.tolist(), plan.parent_a.tolist(), plan.parent_b.tolist(), [guest]
        )
        brood.rows["fitness"][:] = [0.5, 0.25, 0.75]
        found = scene.strategy.tell(scene.pool.view(), scene.pool.brood_view(brood))
        assert found.index.tolist() == [1, 4]


class TestParents:
    def rank_shares(self, selection: str, n: int = 20_000, **settings: Any) -> Float:
        """Return how often each rank, the best first, is the parent of a mutation."""
        fitness = [1.0, 4.0, 2.0, 3.0, 0.0]
        scene = Scene(
            [0] * 5, fitness, selection=selection, crossover_rate=0.0, population=n, **settings
        )
        found: Float = np.bincount(scene.ask(n).parent_a, minlength=5)[[1, 3, 2, 0, 4]] / n
        return found

    def test_truncation_takes_the_best_share_evenly(self) -> None:
        """As in the program of Stanley & Miikkulainen (2002): survival threshold 0.2."""
        assert self.rank_shares("truncation").tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
        found = self.rank_shares("truncation", survival=0.5)  # 2.5 of 5: 3 breed
        assert all(close(share, 1 / 3, 20_000) for share in found[:3])
        assert found[3:].tolist() == [0.0, 0.0]

    def test_tournament_takes_the_best_of_some(self) -> None:
        found = self.rank_shares("tournament", tournament_size=3)
        for rank, share in enumerate(found):
            expected = ((5 - rank) / 5) ** 3 - ((4 - rank) / 5) ** 3
            assert close(share, expected, 20_000)

    def test_roulette_takes_in_proportion_to_fitness_above_the_worst(self) -> None:
        found = self.rank_shares("roulette")
        for share, expected in zip(found, (0.4, 0.3, 0.2, 0.1), strict=False):
            assert close(share, expected, 20_000)
        assert found[4] < 1e-3

    @pytest.mark.parametrize("fitness", [0.0, -3.0, 1e-12, math.nan])
    def test_a_roulette_of_equals_takes_all_alike(self, fitness: float) -> None:
        scene = Scene(
            [0] * 4, [fitness] * 3 + [0.0 if math.isnan(fitness) else fitness],
            selection="roulette", crossover_rate=0.0, population=8_000,
        )  # fmt: skip
        found = np.bincount(scene.ask(8_000).parent_a, minlength=4) / 8_000
        assert all(close(share, 0.25, 8_000) for share in found)

    @pytest.mark.parametrize("selection", ["truncation", "tournament", "roulette"])
    def test_parents_are_of_one_species(self, selection: str) -> None:
        species = [0, 1, 2, 0, 1, 2, 0, 1, 2]
        scene = Scene(species, range(9), selection=selection, survival=1.0, population=500)
        plan = scene.ask(500)
        crossed = plan.parent_b >= 0
        kinds = scene.pool.rows["species"]
        assert crossed.sum() > 100
        assert (kinds[plan.parent_a] == kinds[plan.parent_b])[crossed].all()

    def test_who_failed_breeds_last(self) -> None:
        fitness = [math.nan, -1.0, math.nan, -3.0, -2.0]
        scene = Scene([0] * 5, fitness, survival=0.6, population=300)
        assert set(scene.ask(300).parent_a.tolist()) == {1, 3, 4}

    def test_where_all_failed_all_breed(self) -> None:
        scene = Scene([0] * 3 + [1], [1.0, 1.0, 1.0, 1.0], survival=1.0, population=300)
        scene.pool.rows["fitness"][:] = math.nan
        assert set(scene.ask(300).parent_a.tolist()) == {0, 1, 2, 3}


class TestOperators:
    N = 20_000

    def plan(self, **settings: Any) -> BreedingPlan:
        species = [0] * 50 + [1] * 50
        settings = {"population": self.N, "survival": 1.0} | settings
        return Scene(species, [1.0] * 100, **settings).ask(self.N)

    def test_crossover_and_mutation_have_their_shares(self) -> None:
        plan = self.plan(crossover_rate=0.6, crossover_mutate_rate=0.7)
        crossed = plan.parent_b >= 0
        both = plan.operator == Operator.CROSSOVER_MUTATE
        assert close(
            crossed.mean(), 0.6 * 49 / 50, self.N
        )  # one of 50 times it is one parent twice
        assert close(both[crossed].mean(), 0.7, int(crossed.sum()))
        assert (plan.operator[crossed & ~both] == Operator.CROSSOVER).all()
        assert (plan.operator[~crossed] == Operator.MUTATE).all()
        assert (plan.parent_a != plan.parent_b).all()

    def test_without_crossover_all_are_mutated(self) -> None:
        plan = self.plan(crossover_rate=0.0)
        assert (plan.operator == Operator.MUTATE).all()
        assert (plan.parent_b == -1).all()

    def test_some_mates_are_another_species_best(self) -> None:
        species = [0] * 50 + [1] * 50 + [2] * 50
        fitness = np.ones(150)
        fitness[[3, 60, 140]] = 1.0 + 1e-9
        scene = Scene(
            species, fitness.tolist(), population=self.N, survival=1.0, crossover_rate=1.0,
            interspecies_rate=0.3,
        )  # fmt: skip
        plan = scene.ask(self.N)
        kinds = scene.pool.rows["species"]
        abroad = kinds[plan.parent_a] != kinds[plan.parent_b]
        abroad &= plan.parent_b >= 0
        assert close(abroad.mean(), 0.3, self.N)
        best = np.isin(plan.parent_a, [3, 60, 140]) | np.isin(plan.parent_b, [3, 60, 140])
        assert best[abroad].all()
        pairs = np.stack((kinds[plan.parent_a], kinds[plan.parent_b]))[:, abroad]
        for a, b in ((0, 1), (0, 2), (1, 2)):  # all pairs of species alike
            share = ((pairs.min(axis=0) == a) & (pairs.max(axis=0) == b)).mean()
            assert close(float(share), 1 / 3, int(abroad.sum()))

    def test_with_one_species_there_is_no_other(self) -> None:
        scene = Scene([0] * 9, range(9), population=200, interspecies_rate=1.0, survival=1.0)
        plan = scene.ask(200)
        assert len(set(plan.parent_b.tolist())) > 5

    def test_the_fitter_parent_is_dominant_and_of_equals_the_smaller(self) -> None:
        scene = Scene([0] * 4, [2.0, 1.0, 2.0, math.nan], survival=1.0, population=2_000)
        size = scene.pool.genes.n_connections
        blocks = scene.pool.rows["block"]
        size[blocks[0]], size[blocks[3]] = (
            4,
            2,
        )  # of equals the first is smaller; who failed, smallest
        plan = scene.ask(2_000)
        crossed = plan.parent_b >= 0
        pairs = set(
            zip(plan.parent_a[crossed].tolist(), plan.parent_b[crossed].tolist(), strict=True)
        )
        assert pairs == {(0, 1), (0, 2), (0, 3), (2, 1), (2, 3), (1, 3)}


class TestThreshold:
    def steered(self, n_species: int, target: int, **settings: Any) -> float:
        scene = Scene(
            range(n_species), [1.0] * n_species, elitism=n_species, elitism_min_size=1,
            distances={"target": target, "threshold_factor": 1.25}, **settings,
        )  # fmt: skip
        scene.strategy.ask(scene.pool.view(), n_species, np.random.default_rng(1))
        scene.strategy._update(np.arange(n_species), np.ones(n_species))
        threshold = scene.strategy.state()["threshold"]
        assert isinstance(threshold, float)
        return threshold

    def test_it_rises_with_too_many_species_and_sinks_with_too_few(self) -> None:
        assert self.steered(8, 5) == 3.0 * 1.25
        assert self.steered(4, 5) == 3.0 / 1.25
        assert self.steered(5, 5) == 3.0

    def test_it_stays_without_a_target_or_species(self) -> None:
        assert self.steered(8, 0) == 3.0
        assert self.steered(2, 5, speciation=False) == 3.0

    def test_it_never_sinks_to_0_from_where_it_could_not_rise(self) -> None:
        scene = Scene([0] * 4, [1.0] * 4, distances={"target": 3, "c1": 0.0, "c3": 0.0})
        for _ in range(400):
            scene.tell([1.0] * 4)
        assert scene.strategy.metrics() == {"n_species": 1.0, "threshold": 1e-6}

    def test_the_number_of_species_comes_to_the_target(self) -> None:
        late = []
        for seed in range(4):
            scene = Scene([0] * 120, [1.0] * 120, distances={"target": 8, "threshold": 9.0})
            rng = np.random.default_rng(seed)
            numbers = []
            for _ in range(80):
                scene.tell(rng.random(120).tolist())
                numbers.append(scene.strategy.metrics()["n_species"])
            assert numbers[0] < 8
            late.append(np.mean(numbers[30:]))
        assert 6.0 <= np.mean(late) <= 10.0

    def test_the_cap_on_species_holds(self) -> None:
        scene = Scene(
            [0] * 60, [1.0] * 60,
            distances={"target": 0, "threshold": 1e-5, "max_species": 7}, stagnation=0,
        )  # fmt: skip
        for _ in range(10):
            scene.tell(np.random.default_rng(3).random(60).tolist())
            assert scene.strategy.metrics()["n_species"] <= 7
        assert scene.strategy.metrics()["n_species"] > 3


class TestEdges:
    def test_without_speciation_all_are_one_species(self) -> None:
        alone = strategy(population=30, speciation=False)
        nursery = Nursery(GenomePool(LAYOUT))
        for generation in range(5):
            pool = nursery.pool
            plan = alone.ask(pool.view(), 30, np.random.default_rng(generation))
            brood = nursery.breed(
                plan.operator.tolist(), plan.parent_a.tolist(), plan.parent_b.tolist()
            )
            brood.rows["fitness"][:] = np.random.default_rng(generation).random(30)
            found = alone.tell(pool.view(), pool.brood_view(brood))
            pool.keep(found.index, found.role, found.columns, brood)
            assert set(pool.rows["species"].tolist()) == {0}
        assert alone.metrics()["n_species"] == 1.0

    def test_a_population_of_one_keeps_the_better_of_equals_the_child(self) -> None:
        scene = Scene([0], [2.0])
        assert scene.tell([1.0]) == [0]
        assert scene.tell([2.0]) == [2]
        assert scene.tell([math.nan]) == [2]
        assert scene.tell([3.0]) == [4]
        assert Scene([0], [2.0], elitism=0).tell([1.0]) == [1]

    def test_a_population_of_two_keeps_the_best_and_the_better_child(self) -> None:
        scene = Scene([0, 0], [2.0, 1.0])
        assert scene.tell([0.5, 0.75]) == [0, 3]
        assert scene.tell([3.0, 0.1]) == [0, 4]
        assert scene.tell([0.1, 0.2]) == [4, 7]

    def test_the_first_generation_is_fresh(self) -> None:
        plan = strategy(population=5).ask(GenomePool(LAYOUT).view(), 9, np.random.default_rng(1))
        assert plan.operator.tolist() == [Operator.FRESH] * 5

    def test_no_more_children_than_asked_for(self) -> None:
        assert len(Scene([0] * 6, range(6)).ask(4)) == 4

    def test_emigrants_are_the_best_failures_last(self) -> None:
        scene = Scene([0] * 5, [math.nan, 1.0, -3.0, 7.0, math.nan])
        view = scene.pool.view()
        for n, expected in ((2, [3, 1]), (4, [3, 1, 2, 0]), (9, [3, 1, 2, 0, 4])):
            found = scene.strategy.emigrants(view, n, np.random.default_rng(1))
            assert found.tolist() == expected

    @PROPERTY
    @given(
        st.lists(
            st.floats(-1e308, 1e308) | st.just(math.nan) | st.sampled_from([0.0, 1.0]),
            min_size=1,
            max_size=8,
        ),
        st.data(),
        st.sampled_from(["truncation", "tournament", "roulette"]),
    )
    def test_whatever_the_fitness_generations_go_on_at_full_size(
        self, fitness: list[float], data: st.DataObject, selection: str
    ) -> None:
        scene = Scene([0] * len(fitness), [0.0] * len(fitness), selection=selection)
        told = fitness
        for _ in range(3):
            scene.tell(told)
            assert len(scene.pool) == len(fitness)
            told = data.draw(st.permutations(fitness))


class TestState:
    def test_a_strategy_put_back_makes_the_same_plan(self) -> None:
        scene = Scene([0] * 40, range(40), distances={"target": 6, "threshold": 2.0})
        rng = np.random.default_rng(5)
        for _ in range(12):
            scene.tell(rng.random(40).tolist())
        state = {
            name: value.copy() if isinstance(value, np.ndarray) else value
            for name, value in scene.strategy.state().items()
        }
        for value in state.values():
            assert isinstance(value, (int, float, np.ndarray))
        again = strategy({"target": 6, "threshold": 2.0}, population=40, interspecies_rate=0.0)
        again.restore(state)
        view = scene.pool.view()
        one = scene.strategy.ask(view, 40, np.random.default_rng(9))
        other = again.ask(view, 40, np.random.default_rng(9))
        assert one.operator.tolist() == other.operator.tolist()
        assert one.parent_a.tolist() == other.parent_a.tolist()
        assert one.parent_b.tolist() == other.parent_b.tolist()
        brood = scene.nursery.breed(
            one.operator.tolist(), one.parent_a.tolist(), one.parent_b.tolist()
        )
        brood.rows["fitness"][:] = rng.random(40)
        results = [s.tell(view, scene.pool.brood_view(brood)) for s in (scene.strategy, again)]
        assert results[0].index.tolist() == results[1].index.tolist()
        species = [r.columns["species"].tolist() for r in results]
        assert species[0] == species[1]
        for a, b in zip(scene.strategy.state().values(), again.state().values(), strict=True):
            assert np.array_equal(a, b)

    def test_a_plan_follows_from_its_generator_alone(self) -> None:
        plans = [Scene([0] * 30, range(30)).ask(30, seed) for seed in (1, 1, 2)]
        assert plans[0].parent_a.tolist() == plans[1].parent_a.tolist()
        assert plans[0].parent_a.tolist() != plans[2].parent_a.tolist()
