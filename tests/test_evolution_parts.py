"""What runs are made of: immigrants, the shape of genomes, warm starts, plugins' strategies and activations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import sample_plugins
from numpy.random import Generator
from pools import plain_genome
from pydantic import BaseModel
from reference import FIRST_OUTPUT, assert_valid
from small_runs import QUIET, external, members, members_of_size, python, weight

from tweann import hookimpl
from tweann.codec import encode
from tweann.errors import ConfigError, PluginError
from tweann.evolution import Evolution
from tweann.genes import Int, Operator, Origin
from tweann.genome import Genome
from tweann.interfaces import (
    BreedingPlan,
    Exchange,
    Immigrant,
    State,
    StrategyContext,
    Survivors,
)
from tweann.packing import pack, unpack
from tweann.plugins.sqlite import SqliteStorage
from tweann.pool import BroodView, PoolView
from tweann.records import Migrant
from tweann.registry import Registry
from tweann.tasks.python import PythonTask


class Ferry:
    """An exchange in memory between two runs."""

    class Settings(BaseModel):
        pass

    def __init__(self, mine: list[Genome], theirs: list[Genome]) -> None:
        self.mine, self.theirs, self.closed = mine, theirs, False
        self.asked: list[tuple[int, int]] = []

    def n_emigrants(self, ask: int, generation: int, n_evaluations: int) -> int:
        assert ask >= generation
        self.asked.append((generation, n_evaluations))
        return 3 if generation % 2 else 0

    def swap(self, pool: PoolView, offered: Int) -> Sequence[Immigrant]:
        self.theirs += [pool.genome(int(row)) for row in offered]
        arrived = [Immigrant(genome, "far") for genome in self.mine]
        self.mine.clear()
        return arrived

    def metrics(self) -> Mapping[str, float]:
        return {"bridge_waiting": float(len(self.mine))}

    def close(self) -> None:
        self.closed = True


class TestExchange:
    def test_two_runs_swap_their_best_which_are_evaluated_and_bred_there(self) -> None:
        a_box, b_box = list[Genome](), list[Genome]()
        ferries = Ferry(a_box, b_box), Ferry(b_box, a_box)
        assert isinstance(ferries[0], Exchange)
        task = PythonTask(weight, 2, 1)
        runs = [
            Evolution(
                QUIET | {"strategy": {"population": 12}, "run": {"seed": seed}},
                task=task, exchange=ferry,
            )
            for seed, ferry in zip((1, 2), ferries, strict=True)
        ]  # fmt: skip
        for _ in range(9):
            runs[0].step()
        assert ferries[0].asked == [(generation, 12 * generation) for generation in range(1, 9)]
        b_box.clear()
        runs[1].step()
        best = np.argsort(-runs[0].pool.view().fitness, kind="stable")[:3]
        sent = [runs[0].pool.view().genome(int(i)) for i in best]
        report = runs[0].step()
        assert report.metrics["bridge_waiting"] == 0.0
        assert b_box == sent
        b = runs[1]
        brood_births = b._breeder.births
        b.step()
        assert b.n_evaluations == 12 + 12 + 3  # immigrants are evaluated here
        guests = set(range(brood_births + 12, brood_births + 15))
        for _ in range(12):
            view = b.pool.view()
            arrived = view.origin == Origin.IMMIGRANT
            assert np.isfinite(view.fitness[arrived]).all()
            guests |= set(view.id[np.isin(view.parent_a, list(guests))].tolist())
            b.step()
        assert len(guests) > 3 + 5
        for run in runs:
            run.close()
        assert ferries[0].closed

    def test_emigrants_change_nothing_where_they_come_from(self) -> None:
        task = PythonTask(weight, 2, 1)
        found = []
        for ferry in (None, Ferry([], [])):
            run = Evolution(QUIET | {"strategy": {"population": 12}}, task=task, exchange=ferry)
            for _ in range(6):
                run.step()
            found.append(members(run))
            run.close()
        assert found[0] == found[1]

    def test_observers_and_the_storage_are_told_of_immigrants(self, tmp_path: Path) -> None:
        sample_plugins.HEARD.clear()
        registry = Registry.load()
        registry.register_module(sample_plugins, name="samples", distribution="samples")
        guest = next(iter(members_of_size(2, 1)))
        url = f"sqlite:///{tmp_path / 'run.db'}"
        run = Evolution(
            {
                "storage": {"url": url},
                "observers": {"diary": {}},
                "strategy": {"population": 12},
                "run": {"generations": 3},
            },
            task=PythonTask(weight, 2, 1),
            exchange=Ferry([guest], []),
            registry=registry,
        )
        result = run.run()
        ((_, _, heard),) = [
            entry for entry in sample_plugins.HEARD if entry[1] == "migrants_received"
        ]
        (migrant,) = heard
        assert (migrant.genome, migrant.peer, migrant.number) == (guest, "far", 0)
        assert (migrant.birth, migrant.ask) == (24, 1)
        assert migrant.fitness == weight(guest.network())
        storage = SqliteStorage(SqliteStorage.Settings(url=url), "run")
        (event,) = storage.events("immigrant")
        storage.close()
        assert event.genome == encode(guest)
        assert event.data == migrant.data()
        assert event.generation == 1
        assert result.n_evaluations == 3 * 12 + 1

    def test_immigrants_under_way_are_in_a_checkpoint(self) -> None:
        guest = next(iter(members_of_size(2, 1)))
        before = external()
        before._breeder.exchange = Ferry([guest], [])
        before.tell([0.0] * len(before.ask()))
        assert len(before.ask()) == 11
        after = external()
        after.restore(unpack(pack(before.state())))
        told = list[Migrant]()
        after._recorder.migrants = lambda migrants, generation: told.extend(migrants)  # type: ignore[method-assign]
        assert len(after.ask()) == 11
        after.tell([1.0] * 11)
        (migrant,) = told
        assert migrant.peer == "far"
        assert migrant.ask == 1
        assert migrant.genome == guest
        assert after.n_immigrants == 1
        for run in (before, after):
            run.close()

    def test_an_immigrant_that_does_not_fit_is_an_error_that_costs_nothing(self) -> None:
        stranger = next(iter(members_of_size(3, 1)))
        box = list[Genome]()
        evolution = Evolution(
            QUIET | {"strategy": {"population": 5}},
            task=PythonTask(weight, 2, 1),
            exchange=Ferry(box, []),
        )
        evolution.step()
        box.append(stranger)
        blocks = evolution.pool.n_blocks
        with pytest.raises(ValueError, match="3 inputs and 1 outputs, the task 2 and 1"):
            evolution.step()
        assert evolution.pool.n_blocks == blocks
        evolution.step()
        assert evolution.generation == 2


class TestGenomes:
    def grown(self, **genome: Any) -> Evolution:
        evolution = external(
            genome=genome,
            mutation={"mode": "all", "add_node_rate": 0.5, "add_connection_rate": 0.7},
            strategy={"population": 30},
        )
        for generation in range(25):
            rng = np.random.default_rng(generation)
            evolution.tell(rng.random(len(evolution.ask())).tolist())
        return evolution

    @pytest.mark.parametrize("recurrent", [False, True])
    def test_caps_and_bounds_hold_for_a_whole_run(self, recurrent: bool) -> None:
        evolution = self.grown(
            max_nodes=7, max_connections=14, weight_bound=1.5, recurrent=recurrent
        )
        genomes = members(evolution)
        for genome in genomes:
            plain = plain_genome(genome)
            assert_valid(
                plain, 2, 1, recurrent=recurrent, max_nodes=7, max_connections=14, weight_bound=1.5
            )
        assert any(genome.recurrent for genome in genomes) == recurrent
        assert max(genome.n_nodes for genome in genomes) == 7
        assert max(genome.n_connections for genome in genomes) == 14
        assert max(np.abs(genome.weight).max() for genome in genomes) == 1.5

    def test_births_are_the_generations_in_which_nodes_came_to_be(self) -> None:
        evolution = self.grown(column_groups=["births"])
        births = np.concatenate(
            [
                g.node_extra["birth"][(g.node_id > 1) & (g.node_id < FIRST_OUTPUT)]
                for g in members(evolution)
            ]
        )
        assert np.unique(births).size > 2
        assert births.min() >= 0
        assert births.max() == 24
        for genome in members(evolution):
            assert genome.node_extra["birth"][[0, 1, -1]].tolist() == [0.0, 0.0, 0.0]
        plain = self.grown()
        assert members(plain) == members(evolution)  # the column changes nothing else
        assert members(plain)[0].node_extra == {}

    def test_initial_connections_are_all_some_or_none(self) -> None:
        def first(**genome: Any) -> list[Genome]:
            evolution = external(
                task={"name": "external", "n_inputs": 10, "n_outputs": 2},
                strategy={"population": 60}, genome=genome,
            )  # fmt: skip
            evolution.tell([0.0] * len(evolution.ask()))
            return members(evolution)

        assert {g.n_connections for g in first()} == {20}
        assert {g.n_connections for g in first(initial="none")} == {0}
        counts = [g.n_connections for g in first(initial="partial", initial_rate=0.3)]
        assert abs(np.mean(counts) - 6.0) < 4 * math.sqrt(20 * 0.3 * 0.7 / 60)
        assert len(set(counts)) > 4
        named = first(unconnected_inputs=["x3", "x0"])
        assert set(named[0].source.tolist()) == set(range(10)) - {0, 3}
        assert named[0].n_nodes == 12

    def test_an_input_that_the_task_lacks_is_an_error_with_a_hint(self) -> None:
        with pytest.raises(ConfigError, match=r"no input 'x_1', did you mean 'x1'\?"):
            external(genome={"unconnected_inputs": ["x_1"]})

    def test_a_cap_below_the_seed_network_is_an_error_that_says_what_to_do(self) -> None:
        with pytest.raises(
            ConfigError, match=r"max_connections = 1 is less than the 2 connections"
        ):
            external(genome={"max_connections": 1})
        with pytest.raises(ConfigError, match="max_nodes must lie between 3"):
            external(genome={"max_nodes": 2})

    def test_without_biases_there_are_none(self) -> None:
        assert all(not genome.bias.any() for genome in members(self.grown(bias=False)))
        assert any(genome.bias.any() for genome in members(self.grown()))

    def test_mutation_is_of_one_kind_or_of_all_that_are_drawn(self) -> None:
        mutation = {"add_node_rate": 0.5, "add_connection_rate": 0.5, "weights_rate": 1.0}
        applied = {}
        for mode in ("one", "all"):
            evolution = external(
                mutation={"mode": mode, **mutation},
                strategy={"population": 50, "crossover_rate": 0.0, "elitism": 0},
            )
            for _ in range(9):
                evolution.tell([0.0] * len(evolution.ask()))
            counts = {name: n for name, (n, _) in evolution.mutations.items()}
            applied[mode] = counts
        children = 8 * 50
        assert sum(applied["one"].values()) == children  # weights take what nothing else took
        assert applied["all"]["weights"] == children
        assert applied["all"]["add_node"] + applied["all"]["add_connection"] > 0.6 * children
        assert applied["one"]["weights"] < children / 2


class TestWarmStart:
    def champion(self, **sections: Any) -> Genome:
        evolution = python(weight, run={"generations": 10}, **sections)
        evolution.run()
        assert evolution.champion is not None
        return evolution.champion.genome

    def start(self, path: Path, **genome: Any) -> Evolution:
        return python(weight, genome={"start": str(path), **genome})

    def test_the_first_genome_is_that_of_the_file_and_the_others_are_near(
        self, tmp_path: Path
    ) -> None:
        genome = self.champion()
        (tmp_path / "start.tweann").write_bytes(encode(genome))
        evolution = self.start(tmp_path / "start.tweann")
        evolution.step()
        found = members(evolution)
        assert found[0] == genome
        assert len({g.genome_id for g in found}) == 10
        for other in found[1:]:
            assert other.source.tolist() == genome.source.tolist()
            assert other.node_id.tolist() == genome.node_id.tolist()
        assert evolution.champion is not None
        assert evolution.champion.fitness >= weight(genome.network())

    def test_what_cannot_be_a_start_is_an_error_that_names_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "start.tweann"
        with pytest.raises(
            ConfigError, match=r"genome\.start: cannot read .*start\.tweann: No such"
        ):
            self.start(path)
        path.write_bytes(b"rubbish")
        with pytest.raises(ConfigError, match=r"genome\.start: .*start\.tweann: not a genome"):
            self.start(path)
        path.write_bytes(encode(members_of_size(3, 1)[0]))
        with pytest.raises(
            ConfigError, match=r"start\.tweann: the genome has 3 inputs and 1 outputs"
        ):
            self.start(path)
        genome = self.champion()
        path.write_bytes(encode(genome))
        bound = float(np.abs(genome.weight).max()) / 2
        with pytest.raises(ConfigError, match=r"is beyond genome\.weight_bound"):
            self.start(path, weight_bound=bound)


class Idle:
    """A strategy of a third party, as simple as can be: who is told stays; plans are what a test wants."""

    class Settings(BaseModel):
        population: int = 4

    columns: ClassVar[Mapping[str, Any]] = {"age": np.int32}
    plans: ClassVar[list[BreedingPlan]] = []

    def __init__(self, settings: Settings, context: StrategyContext) -> None:
        self.settings, self.context = settings, context

    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        return self.plans.pop() if self.plans else BreedingPlan.fresh(n)

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        index = np.arange(len(pool), len(pool) + len(brood))
        return Survivors(index, columns={"age": np.arange(len(brood))})

    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        return np.arange(0)

    def state(self) -> State:
        return {}

    def restore(self, state: State) -> None:
        pass

    def metrics(self) -> Mapping[str, float]:
        return {"idleness": 1.0}


class Plugins:
    @hookimpl
    def tweann_strategies(self) -> Mapping[str, str]:
        return {"idle": f"{__name__}:Idle"}

    @hookimpl
    def tweann_activations(self) -> Mapping[str, str]:
        return {"half": "toys:HALF", "shifted": "toys:SHIFTED", "raw": "toys:half"}


@pytest.fixture
def registry() -> Registry:
    registry = Registry.load()
    registry.register_module(Plugins(), name="test-plugins")
    return registry


class TestPlugins:
    def idle(self, registry: Registry, *plans: BreedingPlan) -> Evolution:
        Idle.plans[:] = reversed(plans)
        sections = QUIET | {"strategy": {"name": "idle"}}
        return Evolution(sections, task=PythonTask(weight, 2, 1), registry=registry)

    def test_a_strategy_of_a_third_party_runs(self, registry: Registry) -> None:
        evolution = self.idle(registry)
        evolution.step()
        report = evolution.step()
        assert report.metrics == {"idleness": 1.0}
        assert evolution.pool.view().age.tolist() == [0, 1, 2, 3]
        assert evolution.pool.view().id.tolist() == [4, 5, 6, 7]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"operator": [0]}, r"plan.parent_a must be 1 integers, came as int64 of shape \(4,\)"),
            ({"operator": [9, 1, 1, 1]}, "unknown operator 9"),
            ({"operator": np.array([-1, 1, 1, 1])}, "unknown operator -1"),
            (
                {"parent_a": [0, 1, 2, 4]},
                "parent_a of child 3 is 4, expected a row of the pool, 0 to 3",
            ),
            ({"parent_a": [0, -1, 2, 3]}, "parent_a of child 1 is -1"),
            ({"parent_b": [-1, -1, 77, -1]}, "parent_b of child 2 is 77.* or -1 for none"),
            ({"operator": [3, 1, 1, 1]}, "parent_b of child 0 is -1, expected a row"),
            ({"parent_a": [0.0, 1.0, 2.0, 3.0]}, "parent_a must be 4 integers, came as float64"),
            ({"strength": np.ones(3)}, "plan.strength must be 4 finite numbers >= 0"),
            ({"strength": np.array([1.0, np.nan, 1.0, 1.0])}, "plan.strength must be"),
            ({"strength": np.array([1.0, -1.0, 1.0, 1.0])}, "plan.strength must be"),
            (
                {"operator": [1] * 5, "parent_a": [0] * 5, "parent_b": [-1] * 5},
                "expected a plan for 1 to 4 children, came one for 5",
            ),
            ({"operator": [], "parent_a": [], "parent_b": []}, "came one for 0"),
        ],
    )
    def test_a_plan_that_cannot_be_bred_is_an_error_that_names_the_strategy(
        self, registry: Registry, changes: dict[str, Any], message: str
    ) -> None:
        columns: dict[str, Any] = {
            "operator": [1, 1, 1, 1], "parent_a": [0, 1, 2, 3], "parent_b": [-1] * 4,
        } | changes  # fmt: skip
        for name, dtype in (("operator", np.uint8), ("parent_a", np.int64), ("parent_b", np.int64)):
            if isinstance(columns[name], list):
                floats = columns[name][:1] and isinstance(columns[name][0], float)
                columns[name] = np.array(columns[name], None if floats else dtype)
        evolution = self.idle(registry, BreedingPlan.fresh(4), BreedingPlan(**columns))
        evolution.step()
        blocks = evolution.pool.n_blocks
        with pytest.raises(PluginError, match=f"^strategy idle: .*{message}"):
            evolution.step()
        assert evolution.pool.n_blocks == blocks

    def test_strength_scales_what_mutation_does(self, registry: Registry) -> None:
        n = np.arange(4)
        plan = BreedingPlan(
            np.full(4, Operator.MUTATE, np.uint8), n * 0, n * 0 - 1, strength=np.zeros(4)
        )
        Idle.plans[:] = [plan, BreedingPlan.fresh(4)]
        sections = QUIET | {
            "strategy": {"name": "idle"},
            "mutation": {
                "add_node_rate": 0.0, "add_connection_rate": 0.0, "weights_rate": 1.0,
                "weight_replace_rate": 0.0,
            },
        }  # fmt: skip
        evolution = Evolution(sections, task=PythonTask(weight, 2, 1), registry=registry)
        evolution.step()
        parent = members(evolution)[0]
        evolution.step()
        assert members(evolution) == [parent] * 4

    def test_activations_of_plugins_evolve_and_are_named_in_genomes(
        self, registry: Registry
    ) -> None:
        sections = QUIET | {
            "task": {"name": "parity", "bits": 2},
            "genome": {"activations": ["half", "shifted"], "output_activation": "half"},
            "mutation": {"add_node_rate": 0.8},
            "strategy": {"population": 20},
            "run": {"generations": 6},
        }
        evolution = Evolution(sections, registry=registry)
        result = evolution.run()
        genomes = members(evolution)
        used = {name for genome in genomes for name in genome.activation}
        assert used == {"identity", "half", "shifted"}
        assert result.champion is not None
        outputs = result.champion.network().activate([1.0, 0.0, 1.0])
        assert np.isfinite(outputs).all()

    def test_an_activation_that_is_not_compiled_or_not_known_is_an_error(
        self, registry: Registry
    ) -> None:
        sections = QUIET | {"genome": {"activations": ["raw"]}}
        with pytest.raises(
            PluginError, match=r"activation 'raw' of .* must be a compiled function"
        ):
            Evolution(sections, task=PythonTask(weight, 2, 1), registry=registry)
        sections = QUIET | {"genome": {"activations": ["halff"]}}
        with pytest.raises(ConfigError, match="did you mean 'half'"):
            Evolution(sections, task=PythonTask(weight, 2, 1), registry=registry)
