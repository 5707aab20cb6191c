"""Islands: who hears whom, what migrants are, and that each island is searched by a strategy of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_runs import python, weight

import tweann
from tweann.config import load
from tweann.errors import ConfigError
from tweann.evolution import Evolution
from tweann.genes import Operator, Role
from tweann.hookspecs import hookimpl
from tweann.interfaces import BreedingPlan
from tweann.packing import pack, unpack
from tweann.registry import Registry
from tweann.strategies.tenants import joined
from tweann.testing.subjects import trace

ROOT = Path(__file__).parent.parent

#: For each topology of four islands, who hears whom; "random": anybody.
HEARD: dict[str, dict[int, set[int]]] = {
    "ring": {0: {3}, 1: {0}, 2: {1}, 3: {2}},
    "full": {k: {0, 1, 2, 3} - {k} for k in range(4)},
    "star": {0: {1, 2, 3}, 1: {0}, 2: {0}, 3: {0}},
    "random": {k: {0, 1, 2, 3} - {k} for k in range(4)},
    "custom": {0: set(), 1: {3}, 2: {0, 1}, 3: set()},
}


def islands(**settings: Any) -> Evolution:
    strategy = {"name": "islands", "population": 48, "interval": 2, **settings}
    return python(weight, strategy=strategy, run={"stop_when_solved": False, "seed": 3})


def topology(name: str, **settings: Any) -> Evolution:
    routes = [[s, t] for t, sources in HEARD["custom"].items() for s in sorted(sources)]
    chosen = {"routes": routes} if name == "custom" else {}
    return islands(topology=name, **chosen, **settings)


@pytest.mark.parametrize("name", HEARD)
@pytest.mark.parametrize("emigrants", ["best", "random", "diverse"])
def test_migrants_enter_are_evaluated_and_have_descendants(name: str, emigrants: str) -> None:
    home: dict[int, int] = {}  # island of each birth
    genome: dict[int, str] = {}
    migrants: dict[int, int] = {}  # birth of each migrant: its island
    offspring: set[int] = set()  # islands where a migrant has a child
    with topology(name, emigrants=emigrants) as evolution:
        for _ in range(24):
            before = evolution.n_evaluations
            evolution.step()
            view = evolution.pool.view()
            assert evolution.n_evaluations - before == 48
            for row in range(len(view)):
                birth, island = int(view.id[row]), int(view["island"][row])
                sender = int(view["migrated_from"][row]) - 1
                parents = {int(view.parent_a[row]), int(view.parent_b[row])} - {-1}
                genome[birth] = view.genome(row).genome_id
                assert home.setdefault(birth, island) == island
                offspring |= {island for p in parents if p in migrants}
                if sender < 0:
                    assert all(home.get(p, island) == island for p in parents)
                    continue
                assert sender in HEARD[name][island]
                (original,) = parents
                assert view.operator[row] == Operator.CLONE
                assert np.isfinite(view.fitness[row])
                if original in home:  # seen among the survivors of some generation
                    assert home[original] == sender
                    assert genome[original] == genome[birth]
                    assert original not in migrants
                migrants[birth] = island
        received = [evolution.strategy.metrics()[f"island{k}_received"] for k in range(4)]
    hearing = {island for island, sources in HEARD[name].items() if sources}
    assert {island for island, n in enumerate(received) if n} == hearing
    assert set(migrants.values()) <= hearing
    assert set(migrants.values()) & offspring
    if emigrants == "best":
        assert set(migrants.values()) == offspring == hearing


def test_without_an_interval_nobody_migrates() -> None:
    with islands(interval=0, topology="full") as evolution:
        for _ in range(8):
            evolution.step()
            assert not evolution.pool.view()["migrated_from"].any()


def test_at_most_half_of_a_brood_are_migrants_and_all_senders_are_heard() -> None:
    with islands(interval=1, topology="full", migrants=5) as evolution:
        evolution.step()
        brood = evolution._breed()
        sender, home = brood.rows["migrated_from"], brood.rows["island"]
        for island in range(4):
            assert int((sender[home == island] > 0).sum()) == 6
            assert set(sender[home == island].tolist()) == {0, 1, 2, 3, 4} - {island + 1}
        evolution._pending.append(brood)


def test_migrants_may_come_beside_the_children() -> None:
    table = {"name": "generational", "count": 4, "settings": {"population": 6}}
    for replacement, children in (("children", 24), ("none", 28)):
        with islands(island=[table], interval=1, replacement=replacement) as evolution:
            evolution._pending.append(evolution._breed())
            evolution._tell(
                evolution._evaluator.next_evaluated(tuple(evolution._pending), True, int)
            )
            assert len(evolution._breed()) == children


MIXED = [
    {"name": "generational", "count": 2, "settings": {"population": 12}},
    {"name": "steady-state", "settings": {"population": 12, "batch": 4}},
    {"name": "racing", "settings": {"slots": 2}},
    {"name": "map-elites", "settings": {"population": 8, "descriptor": "size", "bins": 4}},
    {"name": "novelty", "settings": {"population": 8, "descriptor": "size"}},
    {"name": "nsga2", "settings": {"population": 8}},
    {"name": "random-search", "settings": {"population": 4}},
]


def test_any_strategies_stand_side_by_side_with_equal_progress() -> None:
    with islands(island=MIXED, population=200, topology="full") as evolution:
        for _ in range(6):
            evolution.step()
        strategy = evolution.strategy
        view = evolution.pool.view()
        assert set(view["island"].tolist()) == set(range(8))
        assert len(view) <= strategy.max_rows  # type: ignore[attr-defined]
        progress = strategy.state()["asked"] / strategy._populations  # type: ignore[attr-defined]
        assert np.ptp(progress) <= 1.0
        metrics = strategy.metrics()
        assert metrics["island4_n_elites"] > 0
        assert metrics["island0_n_species"] > 0
        evaluations = [metrics[f"island{k}_evaluations"] for k in range(8)]
        assert sum(evaluations) == evolution.n_evaluations


def test_a_resumed_run_and_one_with_more_workers_are_the_same() -> None:
    def traces(evolution: Evolution, n: int) -> list[dict[str, Any]]:
        found = []
        for _ in range(n):
            evolution.step()
            found.append(trace(evolution))
        return found

    def run(workers: int = 1) -> Evolution:
        sections = {
            "run": {"stop_when_solved": False},
            "task": {"name": "single-pole"},
            "strategy": {"name": "islands", "island": MIXED, "population": 200, "interval": 1},
            "evaluation": {"backend": "threads", "workers": workers},
            "storage": {"url": "memory:"},
            "observers": {},
        }
        return Evolution(sections)

    with run() as evolution:
        expected = traces(evolution, 3)
        state = unpack(pack(evolution.state()))
        expected += traces(evolution, 3)
    with run(2) as evolution:
        assert repr(traces(evolution, 6)) == repr(expected)
    with run(2) as evolution:
        evolution.restore(state)
        assert repr(traces(evolution, 3)) == repr(expected[3:])


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"island": [{"name": "generationl"}]}, "island.0.name.*did you mean 'generational'"),
        ({"island": [{"nam": "racing"}]}, "island.0.nam: no such key; did you mean 'name'"),
        (
            {"island": [{"name": "racing"}, {"name": "novelty", "settings": {"neighbors": 3}}]},
            "island.1.settings.neighbors: no such key; did you mean 'neighbours'",
        ),
        (
            {"island": [{"name": "generational", "settings": {"survival": 2.0}}]},
            "island.0.settings.survival: expected a number <= 1, came 2",
        ),
        ({"island": [{"name": "islands"}]}, "island.0.name: an island cannot be made of islands"),
        (
            {"island": [{"name": "random-search", "count": 65}]},
            "at most max_islands = 64 islands, came 65",
        ),
        (
            {"island": [{"name": "racing", "settings": {"population": 151}}]},
            "population = 151 is more than strategy.population = 150",
        ),
        ({"topology": "custom"}, "routes"),
        ({"topology": "custom", "routes": [[0, 4]]}, r"0 to 3, came \[0, 4\]"),
        ({"island": "racing"}, "island"),
        ({"island": [7]}, "island.0: expected a table"),
    ],
)
def test_faults_are_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        load({"task": {"name": "xor"}, "strategy": {"name": "islands", **wrong}})


def test_an_island_has_its_share_of_the_population_and_a_resolved_configuration_says_so() -> None:
    tables = [
        {"name": "generational", "count": 2},
        {"name": "racing", "settings": {"population": 9}},
    ]
    config = load({"task": {"name": "xor"}, "strategy": {"name": "islands", "island": tables}})
    found = config.data()["strategy"]["island"]
    assert [table["settings"]["population"] for table in found] == [50, 9]
    assert load(config.data()).data() == config.data()


class _Mine:
    """A stranger's strategy, registered by a program and not installed."""

    @hookimpl
    def tweann_strategies(self) -> dict[str, str]:
        return {"mine": "tweann.strategies.random_search:RandomSearch"}


def test_a_third_partys_strategy_may_be_an_island() -> None:
    registry = Registry.load()
    registry.register_module(_Mine())
    sections: dict[str, Any] = {
        "run": {"generations": 3, "stop_when_solved": False},
        "task": {"name": "xor"},
        "strategy": {"name": "islands", "island": [{"name": "mine", "count": 2}]},
        "storage": {"url": "memory:"},
        "observers": {},
    }
    with Evolution(sections, registry=registry) as evolution:
        assert evolution.run().n_evaluations == 450
        assert len(evolution.pool) == 2


def test_joined_plans_are_wide_enough_and_keep_groups_apart() -> None:
    nobody = np.full(2, -1)
    one = BreedingPlan(np.full(2, Operator.FRESH, np.uint8), nobody, nobody)
    other = BreedingPlan(
        np.full(2, Operator.SET_VALUES, np.uint8),
        np.array([3, 4]),
        nobody,
        strength=np.array([2.0, 3.0]),
        values=np.ones((2, 3)),
        group=np.array([0, 1]),
        tuned=np.array([False, True]),
        columns={"cell": np.array([5, 6])},
    )
    plan = joined((other, one, other))
    plan.check(5, "s", ["cell"])
    assert plan.strength is not None
    assert plan.strength.tolist() == [2.0, 3.0, 1.0, 1.0, 2.0, 3.0]
    assert plan.values is not None
    assert plan.values.sum(axis=1).tolist() == [3.0, 3.0, 0.0, 0.0, 3.0, 3.0]
    assert plan.tuned is not None
    assert plan.tuned.tolist() == [False, True, True, True, False, True]
    assert plan.group is not None
    assert len(set(plan.group.tolist())) == 5
    assert plan.columns["cell"].tolist() == [5, 6, 0, 0, 5, 6]
    with pytest.raises(tweann.PluginError, match=r"plan.columns .*\(none\), came 'cell'"):
        plan.check(5, "s")


def test_rows_keep_their_roles() -> None:
    with islands() as evolution:
        for _ in range(3):
            evolution.step()
        assert (evolution.pool.view().role == Role.MEMBER).all()


def test_the_example_runs() -> None:
    config = load(
        ROOT / "examples" / "islands.toml", {"run.generations": 2, "storage.url": "memory:"}
    )
    with Evolution(config) as evolution:
        evolution.step()
        assert len(set(evolution.pool.view()["island"].tolist())) >= 3
