"""MAP-Elites: the best of each cell, and how its children are made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from diversity_runs import Scene, context, interrupted, maze, run
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from reference_diversity import nearest_centroid
from small_runs import QUIET

from tweann.errors import ConfigError
from tweann.evolution import Evolution
from tweann.genes import Operator
from tweann.interfaces import Strategy
from tweann.strategies.archives import centroids
from tweann.strategies.descriptors import TASKS_WITH_DESCRIPTOR
from tweann.strategies.map_elites import MapElites, MapElitesSettings

NAN = math.nan


def strategy(descriptor: Any = None, bias: bool = True, **settings: Any) -> MapElites:
    there = context(bias=bias) if descriptor is None else context(descriptor, bias)
    return MapElites(MapElitesSettings(**({"bins": 4} | settings)), there)


def scene(**settings: Any) -> Scene:
    return Scene(strategy(**settings))


def test_it_is_a_strategy() -> None:
    assert isinstance(strategy(), Strategy)


class TestArchive:
    def test_the_first_generation_is_fresh_and_the_best_of_each_cell_stay(self) -> None:
        s = scene()
        assert (s.ask(5).operator == Operator.FRESH).all()
        points = [[0.1, 0.1], [0.9, 0.9], [0.1, 0.2], [0.9, 0.8], [0.6, 0.1]]
        assert s.tell([1.0, 5.0, 2.0, 4.0, 0.0], points) == [2, 1, 4]
        assert s.pool.rows["cell"].tolist() == [0, 15, 8]

    def test_who_stays_keeps_the_row_who_is_better_takes_it_and_new_cells_come_behind(self) -> None:
        s = scene()
        s.tell([1.0, 1.0, 1.0], [[0.1, 0.1], [0.3, 0.1], [0.6, 0.1]])
        assert s.tell([0.5, 2.0, 1.0], [[0.1, 0.1], [0.3, 0.1], [0.9, 0.9]]) == [0, 4, 2, 5]
        assert s.tell([1.0, 1.0, 0.0], [[0.1, 0.1], [0.6, 0.1], [0.6, 0.6]]) == [0, 4, 2, 5, 8]

    @PROPERTY
    @given(
        st.lists(
            st.lists(
                st.tuples(
                    st.one_of(st.floats(-1.0, 1.0), st.just(NAN)),
                    st.floats(-0.5, 1.5),
                    st.floats(-0.5, 1.5),
                ),
                min_size=1,
                max_size=12,
            ),
            max_size=4,
        )
    )
    def test_after_any_generations_each_cell_has_the_best_that_ever_fell_into_it(
        self, generations: list[list[tuple[float, float, float]]]
    ) -> None:
        s = scene()
        best: dict[tuple[int, int], float] = {}
        for children in generations:
            s.tell([f for f, _, _ in children], [[x, y] for _, x, y in children])
            for f, x, y in children:
                i, j = (min(max(math.floor(4 * v), 0), 3) for v in (x, y))
                if not math.isnan(f):
                    best[i, j] = max(f, best.get((i, j), -math.inf))
        rows = s.pool.rows
        assert {
            divmod(cell, 4): f
            for cell, f in zip(rows["cell"].tolist(), rows["fitness"].tolist(), strict=True)
        } == best
        metrics = s.strategy.metrics()
        if generations:
            assert metrics["coverage"] == len(best) / 16
            assert metrics["qd_score"] == pytest.approx(sum(best.values()))
            if best:
                assert metrics["archive_best"] == max(best.values())

    def test_descriptors_that_are_no_numbers_are_counted_and_never_stored(self) -> None:
        s = scene()
        assert s.tell([1.0, 2.0, 3.0], [[NAN, 0.5], [0.5, math.inf], [0.5, 0.5]]) == [2]
        assert s.strategy.metrics()["n_not_finite"] == 2.0

    def test_what_is_out_of_bounds_is_clipped_or_rejected_as_set(self) -> None:
        points = [[-3.0, 0.1], [0.1, 1e300], [0.1, 0.1]]
        assert scene().tell([2.0, 2.0, 1.0], points) == [0, 1]
        strict = scene(out_of_bounds="reject")
        assert strict.tell([2.0, 2.0, 1.0], points) == [2]
        assert strict.strategy.metrics()["n_rejected"] == 2.0

    def test_all_failures_leave_it_empty_and_it_begins_anew(self) -> None:
        s = scene()
        assert s.tell([NAN, NAN], [[0.5, 0.5]] * 2) == []
        assert (s.ask(3).operator == Operator.FRESH).all()
        assert math.isnan(s.strategy.metrics()["archive_best"])
        assert s.tell([1.0], [[0.5, 0.5]]) == [2]

    def test_the_offset_is_taken_from_each_elite(self) -> None:
        s = scene(qd_offset=-10.0)
        s.tell([-1.0, -2.0, -3.0], [[0.1, 0.1], [0.1, 0.2], [0.9, 0.9]])
        assert s.strategy.metrics()["qd_score"] == pytest.approx(-1.0 - 3.0 + 2 * 10.0)

    def test_the_heat_map_says_where_who_is_and_how_good(self) -> None:
        s = scene(bins=(4, 2))
        s.tell([1.0, 2.0, 3.0], [[0.9, 0.9], [0.1, 0.1], [0.3, 0.6]])
        assert isinstance(s.strategy, MapElites)
        found = s.strategy.heat_map(s.pool.view())
        assert found.cell.tolist() == [0, 3, 7]
        assert found.centre.tolist() == [[0.125, 0.25], [0.375, 0.75], [0.875, 0.75]]
        assert found.fitness.tolist() == [2.0, 3.0, 1.0]
        assert found.row.tolist() == [1, 2, 0]


class TestCells:
    def test_too_many_are_refused_before_anything_is_made(self) -> None:
        with pytest.raises(ConfigError) as error:
            strategy(bins=(200, 51))
        for part in (
            "2 dimensions",
            "200 x 51 bins",
            "10,200 cells",
            "max_cells = 10,000",
            "lower strategy.bins",
        ):
            assert part in str(error.value)
        with pytest.raises(ConfigError, match="has 1,000,000,000,000,000,000 cells"):
            strategy(bins=(1_000_000,) * 3, descriptor=[(n, 0.0, 1.0) for n in "xyz"])
        with pytest.raises(ConfigError, match=r"strategy.cells = 10,001.*lower strategy.cells"):
            strategy(archive="cvt", cells=10_001)
        strategy(bins=100)
        strategy(bins=(200, 51), max_cells=10_200)

    def test_a_high_cap_takes_no_memory_for_cells_that_nobody_holds(self) -> None:
        s = scene(bins=(10_000, 10_000), max_cells=100_000_000)
        assert s.tell([1.0, 2.0, 0.5], [[0.1, 0.1], [0.1, 0.2], [0.1, 0.1]]) == [0, 1]
        arrays = [*s.pool.rows.values(), s.strategy._slots]  # type: ignore[attr-defined]
        assert sum(array.nbytes for array in arrays) < 10_000

    def test_bins_of_another_number_of_dimensions_are_refused(self) -> None:
        with pytest.raises(ConfigError, match=r"a number for each dimension .* \(x, y\), came 3"):
            strategy(bins=(4, 4, 4))

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"bins": 0}, "bins must be 1 or more"),
            ({"bins": (4, 0)}, "bins must be 1 or more"),
            ({"bins": ()}, "bins must be 1 or more"),
            (
                {"crossover_rate": 0.5, "iso_line_rate": 0.4, "random_rate": 0.2},
                "at most 1, came 1.1",
            ),
            ({"archive": "cvt", "cells": 50, "cvt_samples": 49}, "at least cells = 50, came 49"),
            ({"bounds": ((0.0, 1.0), (2.0, 2.0))}, "a lower bound below the upper one"),
        ],
    )
    def test_settings_that_contradict_each_other_are_refused(
        self, settings: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ValidationError, match=message):
            MapElitesSettings(**settings)

    def test_centroids_are_the_same_for_a_seed_spread_evenly_and_kept(self) -> None:
        found = centroids(64, 2, 5_000, 3)
        assert centroids(64, 2, 5_000, 3) is found
        centroids.cache_clear()
        assert centroids(64, 2, 5_000, 3).tobytes() == found.tobytes()
        assert centroids(64, 2, 5_000, 4).tobytes() != found.tobytes()
        assert (np.diff(found[:, 0]) >= 0.0).all()
        assert (found > 0.0).all()
        assert (found < 1.0).all()
        gaps = np.sqrt(np.square(found[:, None] - found).sum(axis=2))
        np.fill_diagonal(gaps, np.inf)
        assert (
            gaps.min() > 0.05
        )  # 64 points on a square grid lie 0.125 apart, random ones 0.008 at the least
        for i in range(20):
            centroids(2 + i, 1, 50, 1)
        assert centroids.cache_info().currsize <= 4

    def test_each_descriptor_belongs_to_the_nearest_centroid(self) -> None:
        bounds = (("x", -2.0, 2.0), ("y", 0.0, 10.0))
        s = Scene(strategy(bounds, archive="cvt", cells=20, cvt_samples=500))
        rng = np.random.default_rng(1)
        points = rng.uniform([-3.0, -1.0], [3.0, 11.0], (30, 2))
        s.tell(list(range(30)), points.tolist())
        unit = (np.clip(points, [-2.0, 0.0], [2.0, 10.0]) - [-2.0, 0.0]) / [4.0, 10.0]
        there = centroids(20, 2, 500, 1).tolist()
        best: dict[int, int] = {}
        for child, x in enumerate(unit.tolist()):
            best[nearest_centroid(x, there)] = child
        found = dict(zip(s.pool.rows["cell"].tolist(), s.pool.rows["id"].tolist(), strict=True))
        assert found == best

    def test_a_tessellation_rejects_and_counts_as_a_grid_does(self) -> None:
        s = scene(archive="cvt", cells=5, cvt_samples=100, out_of_bounds="reject")
        assert s.tell([1.0, 1.0, 1.0], [[1.1, 0.5], [NAN, 0.5], [1.0, 0.5]]) == [2]
        metrics = s.strategy.metrics()
        assert (metrics["n_rejected"], metrics["n_not_finite"], metrics["coverage"]) == (1, 1, 0.2)


class TestChildren:
    POINTS: Sequence[Sequence[float]] = [[i / 8, j / 8] for i in range(8) for j in range(8)]

    def filled(self, **settings: Any) -> Scene:
        s = scene(population=4_000, bins=8, **settings)
        s.tell([float(i) for i in range(64)], self.POINTS)
        assert len(s.pool) == 64
        return s

    def test_shares_are_those_set(self) -> None:
        s = self.filled(
            crossover_rate=0.4, crossover_mutate_rate=0.25, iso_line_rate=0.3, random_rate=0.1
        )
        counts = np.bincount(s.ask(4_000).operator, minlength=6) / 4_000
        expected = {
            Operator.FRESH: 0.1, Operator.CLONE: 0.0, Operator.MUTATE: 0.2, Operator.CROSSOVER: 0.3,
            Operator.CROSSOVER_MUTATE: 0.1, Operator.SET_VALUES: 0.3,
        }  # fmt: skip
        for operator, share in expected.items():
            assert abs(counts[operator] - share) <= 4.0 * math.sqrt(share * (1.0 - share) / 4_000)

    @pytest.mark.parametrize(
        ("settings", "operator"),
        [
            ({"crossover_rate": 0.0}, Operator.MUTATE),
            ({"crossover_rate": 1.0}, Operator.CROSSOVER_MUTATE),
            ({"crossover_rate": 0.0, "iso_line_rate": 1.0}, Operator.SET_VALUES),
            ({"crossover_rate": 0.0, "random_rate": 1.0}, Operator.FRESH),
        ],
    )
    def test_a_share_of_all_is_all(self, settings: dict[str, Any], operator: Operator) -> None:
        assert (self.filled(**settings).ask(500).operator == operator).all()

    def test_every_elite_is_as_likely_a_parent(self) -> None:
        plan = self.filled(crossover_rate=0.0).ask(4_000)
        counts = np.bincount(plan.parent_a, minlength=64)
        assert ((counts - 62.5) ** 2 / 62.5).sum() < 110.0  # chi-square, 63 degrees: 1 in 5,000

    def test_the_fitter_parent_is_dominant(self) -> None:
        s = self.filled(crossover_rate=1.0)
        plan = s.ask(500)
        fitness = s.pool.rows["fitness"]
        assert (fitness[plan.parent_a] >= fitness[plan.parent_b]).all()
        assert (plan.parent_a != plan.parent_b).any()

    def test_lines_lead_to_another_elite_and_leave_structure_and_foreign_biases_alone(self) -> None:
        s = Scene(
            strategy(
                bias=False, crossover_rate=0.0, iso_line_rate=1.0, iso_sigma=0.0, line_sigma=0.5
            )
        )
        s.tell([1.0, 2.0], [[0.1, 0.1], [0.9, 0.9]])
        plan = s.ask(40)
        brood = s.nursery.breed(
            plan.operator.tolist(),
            plan.parent_a.tolist(),
            plan.parent_b.tolist(),
            values=plan.values,
        )
        children, elites = s.pool.brood_view(brood), [s.pool.view().genome(i) for i in range(2)]
        for k in range(40):
            child = children.genome(k)
            a, b = elites[plan.parent_a[k]], elites[plan.parent_b[k]]
            assert child.bias.tolist() == a.bias.tolist()
            steps = (child.weight - a.weight) / np.where(
                b.weight == a.weight, np.inf, b.weight - a.weight
            )
            assert steps == pytest.approx(steps[0], abs=1e-9)
        assert len({tuple(children.genome(k).weight) for k in range(40)}) > 10

    def test_noise_alone_is_gaussian_mutation(self) -> None:
        s = Scene(
            strategy(
                crossover_rate=0.0, iso_line_rate=1.0, iso_sigma=0.5, line_sigma=0.0, population=900
            )
        )
        s.tell([1.0], [[0.1, 0.1]])
        plan = s.ask(900)
        assert plan.values is not None
        elite = s.pool.view().genome(0)
        there = np.concatenate((elite.weight, elite.bias[elite.n_inputs :]))
        noise = plan.values[:, : there.size] - there
        assert noise.std() == pytest.approx(0.5, rel=0.05)
        assert abs(noise.mean()) < 0.03

    def test_emigrants_are_different_elites(self) -> None:
        s = self.filled()
        found = s.strategy.emigrants(s.pool.view(), 10, np.random.default_rng(1))
        assert len(set(found.tolist())) == 10
        assert s.strategy.emigrants(s.pool.view(), 100, np.random.default_rng(1)).size == 64


class TestDescriptors:
    def test_a_task_without_one_is_refused_with_those_that_have_one(self) -> None:
        with pytest.raises(ConfigError) as error:
            Evolution(QUIET | {"task": {"name": "xor"}, "strategy": {"name": "map-elites"}})
        assert "task xor has none" in str(error.value)
        assert all(name in str(error.value) for name in TASKS_WITH_DESCRIPTOR)
        assert 'strategy.descriptor = "size"' in str(error.value)

    def test_sizes_describe_any_task(self) -> None:
        sections = QUIET | {
            "run": {"generations": 15, "stop_when_solved": False},
            "task": {"name": "xor"},
            "mutation": {"add_node_rate": 0.5, "add_connection_rate": 0.5},
            "strategy": {"name": "map-elites", "descriptor": "size", "bins": [15, 60], "population": 60},
        }  # fmt: skip
        with Evolution(sections) as evolution:
            while not evolution.finished:
                evolution.step()
            view = evolution.pool.view()
            cells = [
                60 * min(genome.n_nodes - 4, 14) + min(genome.n_connections, 59)
                for genome in map(view.genome, range(len(view)))
            ]
            assert view["cell"].tolist() == cells
            assert len(set(cells)) == len(cells) > 10

    def test_bounds_may_be_set(self) -> None:
        s = scene(bounds=((0.0, 100.0), (-1.0, 0.0)))
        s.tell([1.0, 1.0], [[60.0, -0.9], [0.9, 0.9]])
        assert s.pool.rows["cell"].tolist() == [8, 3]
        with pytest.raises(ConfigError, match=r"expected 2 pairs.*\(x, y\), came 1"):
            scene(bounds=((0.0, 1.0),))

    def test_infinite_bounds_of_a_task_have_to_be_set(self) -> None:
        endless = (("x", 0.0, math.inf), ("y", 0.0, 1.0))
        with pytest.raises(ConfigError, match="bounds that are infinite"):
            strategy(endless)
        strategy(endless, bounds=((0.0, 1.0), (0.0, 1.0)))


SETTINGS = {"name": "map-elites", "bins": 12, "iso_line_rate": 0.3, "random_rate": 0.1}


@pytest.mark.parametrize("archive", ["grid", "cvt"])
def test_one_worker_and_two_find_the_same(archive: str) -> None:
    strategy = SETTINGS | {"population": 600, "archive": archive, "cells": 100}
    found = [
        run(maze(strategy, evaluation={"workers": workers}), generations=4) for workers in (1, 2)
    ]
    assert found[0] == found[1]
    assert len(found[0][0]) > 10


@pytest.mark.parametrize("at", [0, 1, 7])
def test_a_strategy_made_from_its_state_goes_on_as_the_old_one_would(at: int) -> None:
    sections = maze(SETTINGS)
    assert interrupted(sections, at) == run(sections)


def test_memory_stays_once_the_archive_is_full() -> None:
    sections = QUIET | {
        "run": {"generations": 1_500, "stop_when_solved": False, "history": 10},
        "task": {"name": "sphere-projection", "dimensions": 4},
        "strategy": {"name": "map-elites", "bins": 5, "population": 30},
    }
    with Evolution(sections) as evolution:
        held = []
        while not evolution.finished:
            evolution.step()
            rows, genes = evolution.pool.rows, evolution.pool.genes
            strategy = evolution.strategy
            assert isinstance(strategy, MapElites)
            arrays = [*rows.values(), *genes, strategy._slots]
            held.append([sum(array.nbytes for array in arrays), evolution.pool.n_blocks])
        assert len(evolution.pool) == 25
        assert held[700:] == held[700:701] * 800
