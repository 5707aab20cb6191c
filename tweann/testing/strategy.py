"""What every strategy must do."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
from pydantic import BaseModel

from tweann.controlling import CHILDREN
from tweann.evolution import Evolution
from tweann.interfaces import Strategy
from tweann.network import Network
from tweann.packing import pack, unpack
from tweann.pool import Brood
from tweann.tasks.base import Evaluation
from tweann.testing.subjects import (
    Echo,
    copied,
    difference,
    evolution,
    held_bytes,
    same_state,
    score,
    trace,
)

_PLAIN = (bool, int, float, str, np.ndarray)


class StrategyContract:
    """Subclass it and set ``strategy``; all of these tests must then hold.

    Attributes:
        strategy: your class, at the top level of a module.
        settings: of the section [strategy], beside ``population``.
        population: for most of the tests.
        smallest_population: the least that the strategy can work with; by default what Settings allow.
        max_rows: cap on the pool's rows; by default what the strategy says, in an attribute of that name, or two
            populations. A strategy with an archive gives the archive a small cap in ``settings``.
        generations: how long the compared runs are.
    """

    strategy: ClassVar[type[Any]]
    settings: ClassVar[Mapping[str, Any]] = {}
    population: ClassVar[int] = 12
    smallest_population: ClassVar[int | None] = None
    max_rows: ClassVar[int | None] = None
    generations: ClassVar[int] = 8

    def evolution(self, population: int | None = None, **options: Any) -> Evolution:
        """Return a run of the strategy; options are those of `tweann.testing.subjects.evolution`."""
        assert hasattr(self, "strategy"), (
            f"set `strategy = YourStrategy` in class {type(self).__name__}"
        )
        settings = {"population": population or self.population, **self.settings}
        if population is not None:
            settings["population"] = population
        return evolution(self.strategy, settings, **options)

    def traces(self, run: Evolution) -> list[dict[str, Any]]:
        """Return what each generation of a run computes."""
        found = []
        with run:
            for _ in range(self.generations):
                run.step()
                found.append(trace(run))
        return found

    def assert_same(
        self, one: list[dict[str, Any]], other: list[dict[str, Any]], advice: str
    ) -> None:
        """Fail with ``advice`` unless two runs are the same, generation by generation."""
        for generation, (a, b) in enumerate(zip(one, other, strict=True)):
            name = difference(a, b)
            assert not name, f"generation {generation} differs in {name}: {advice}"

    def test_it_has_all_that_a_strategy_needs(self) -> None:
        """It has Settings with described fields, columns, and all methods."""
        with self.evolution() as run:
            assert isinstance(run._strategy, Strategy), (
                "a strategy needs Settings, columns, ask, tell, emigrants, state, restore and metrics"
            )
        settings = self.strategy.Settings
        assert isinstance(settings, type)
        assert issubclass(settings, BaseModel)
        for name, field in settings.model_fields.items():
            assert field.description, (
                f"give field {name!r} of Settings a description: the reference of configurations is made of them"
            )

    def test_the_same_seed_gives_the_same_run(self) -> None:
        """The same seed gives the same run."""
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002 - a strategy that draws from the global state is to be caught
        one = self.traces(self.evolution())
        random.seed(2)
        np.random.seed(2)  # noqa: NPY002
        other = self.traces(self.evolution())
        self.assert_same(
            one,
            other,
            "draw from the `rng` that `ask` is given and from nothing else, read no clock, and keep "
            "nothing in the class or the module",
        )

    def test_the_number_of_workers_changes_nothing(self) -> None:
        """One worker or three give the same run."""

        def uneven(network: Network) -> Evaluation:
            time.sleep(0.0005 * (network.n_connections % 3))
            return score(network)

        self.assert_same(
            self.traces(self.evolution()),
            self.traces(self.evolution(workers=3, function=uneven)),
            "decide by the columns of pool and brood alone, never by the order or time of arrival",
        )

    def test_it_asks_for_no_more_children_than_it_may(self) -> None:
        """A plan has at most the number of children that were asked for, and one at least."""
        with self.evolution() as run:
            for n in (1, self.population, 1, 2, self.population):
                allowed = min(n, self.population)
                run.desk.change("contract", CHILDREN, allowed)
                run.desk.settle()
                run.step()  # raises PluginError for a plan that is too long, or empty

    def test_its_state_is_plain_data(self) -> None:
        """A state is made of plain arrays, numbers, strings and booleans."""
        with self.evolution() as run:
            for _ in range(3):
                run.step()
            for name, value in run._strategy.state().items():
                assert isinstance(name, str), f"state() has the key {name!r}: use strings"
                kind = value.dtype.kind if isinstance(value, np.ndarray) else "i"
                plain = type(value) in _PLAIN and kind in "biuf"
                assert plain, (
                    f"state()[{name!r}] is a {type(value).__name__}: a checkpoint keeps arrays of numbers, "
                    "float, int, str and bool; turn it into these"
                )

    def test_looking_at_the_state_changes_nothing(self) -> None:
        """Asking for the state does not change the run, and the run does not change the state."""
        expected = self.traces(self.evolution())
        found = []
        with self.evolution() as run:
            for _ in range(self.generations):
                state = run._strategy.state()
                before = copied(state)
                run.step()
                assert same_state(state, before), (
                    "a state that was given out changed later: give copies of arrays, or replace your "
                    "arrays instead of writing into them"
                )
                found.append(trace(run))
        self.assert_same(
            expected, found, "state() must only read: no draw, no counter, nothing cleared"
        )

    @pytest.mark.parametrize("generation", [1, 2, 5])
    def test_a_restored_strategy_goes_on_in_the_same_way(self, generation: int) -> None:
        """A run restored from a checkpoint goes on exactly as the old one would."""
        self.assert_restored(generation)

    @pytest.mark.parametrize("generation", [0, 3])
    def test_a_strategy_restored_between_ask_and_tell_goes_on_in_the_same_way(
        self, generation: int
    ) -> None:
        """A checkpoint may lie between an ask and its tell: the children under way are told to the restored one."""
        self.assert_restored(generation, under_way=True)

    def assert_restored(self, generation: int, under_way: bool = False) -> None:
        """Fail unless a run that is restored after some generations goes on in the same way.

        Args:
            generation: when.
            under_way: with children that have been asked for and not told.
        """
        expected = self.traces(self.evolution())
        with self.evolution() as run:
            for _ in range(generation):
                run.step()
            if under_way and not run._pending:
                run._pending.append(run._breed())
            checkpoint = pack(run.state())
            state = copied(run._strategy.state())
        with self.evolution() as run:
            run.restore(unpack(checkpoint))
            assert same_state(run._strategy.state(), state), (
                "state() after restore(state) differs from that state: restore every entry"
            )
            found = []
            for _ in range(generation, self.generations):
                run.step()
                found.append(trace(run))
        self.assert_same(
            expected[generation:],
            found,
            "something that matters from one generation to the next is missing in state(), or is not "
            "set by restore()",
        )

    def test_failed_evaluations_do_not_stop_it(self) -> None:
        """Generations that fail, in part or as a whole, do not stop it."""
        calls = 0

        def failing(network: Network) -> Evaluation:
            nonlocal calls
            calls += 1
            generation = (calls - 1) // self.population
            if generation in (0, 1, 4) or calls % 2:
                return Evaluation(math.nan)
            return score(network)

        with self.evolution(function=failing) as run:
            for _ in range(self.generations):
                run.step()
            assert len(run.pool) >= 1, (
                "nobody survived: let failures stay where there is nobody else"
            )
            finite = np.isfinite(run.pool.view().fitness)
            assert finite.any(), (
                "only failures survived, though half of the evaluations were good: rank NaN last, as "
                "np.argsort(-fitness, kind='stable') does"
            )

    @pytest.mark.parametrize("fitness", [0.0, -1e300, 1e300])
    def test_equal_fitness_does_not_stop_it(self, fitness: float) -> None:
        """A population of equals, of any size of fitness, does not stop it."""
        with self.evolution(
            function=lambda network: Evaluation(fitness, (0.0, 0.0), (0.0, 0.0))
        ) as run:
            for _ in range(self.generations):
                run.step()
            assert len(run.pool) >= 1, "nobody survived among equals"

    def test_a_generation_without_children_does_not_stop_it(self) -> None:
        """A generation none of whose children came back does not stop it."""
        with self.evolution() as run:
            for _ in range(3):
                run.step()
            brood = run._breed()
            run.pool.release(brood.rows["block"])
            nobody = Brood(run.pool.make_rows(0))
            survivors = run._strategy.tell(run.pool.view(), run.pool.brood_view(nobody))
            assert len(survivors.index) >= 1, (
                "tell() with an empty brood let nobody stay: keep some of the pool"
            )
            run.pool.keep(survivors.index, survivors.role, survivors.columns, nobody)
            for _ in range(3):
                run.step()

    def test_the_smallest_population_works(self) -> None:
        """The smallest population that it allows works."""
        schema = self.strategy.Settings.model_json_schema()["properties"]["population"]
        smallest = self.smallest_population or schema.get("minimum", 1)
        with self.evolution(population=smallest) as run:
            for _ in range(3 * self.generations):
                run.step()
            assert len(run.pool) >= 1, "nobody survived"

    def test_it_takes_immigrants(self) -> None:
        """Genomes from elsewhere, which join the brood, are treated as any child."""
        exchange = Echo(3)
        with self.evolution(exchange=exchange) as run:
            for _ in range(self.generations):
                run.step()
        assert exchange.n_sent, "emigrants() gave nobody in a whole run: give the best, at least"

    @pytest.mark.parametrize("n", [0, 1, 1_000_000])
    def test_emigrants_are_rows_of_the_pool(self, n: int) -> None:
        """Emigrants are at most as many rows of the pool as were asked for, each once."""
        with self.evolution() as run:
            for _ in range(3):
                run.step()
            view = run.pool.view()
            rows = np.asarray(run._strategy.emigrants(view, n, np.random.default_rng(1)))
            assert rows.size <= n, f"emigrants(pool, {n}, rng) gave {rows.size} rows"
            assert rows.size == 0 or rows.dtype.kind in "iu", "emigrants must be integers: rows"
            assert np.unique(rows).size == rows.size, "a row occurs twice among the emigrants"
            assert ((rows >= 0) & (rows < len(view))).all(), (
                f"emigrants must be rows 0 to {len(view) - 1}, came {rows.tolist()}"
            )

    def test_metrics_are_numbers(self) -> None:
        """Metrics are numbers by name."""
        with self.evolution() as run:
            for _ in range(3):
                metrics = run.step().metrics
            for name, value in metrics.items():
                assert isinstance(name, str), f"metrics() has the key {name!r}: use strings"
                assert isinstance(value, (int, float, np.integer, np.floating)), (
                    f"metrics()[{name!r}] is a {type(value).__name__}: give a number"
                )

    def test_memory_is_capped(self) -> None:
        """Memory stays once the caps are reached: rows, state, and all else that it holds."""
        half = 200
        held: list[int] = []
        with self.evolution(function=_quick) as run:
            own: int = getattr(run._strategy, "max_rows", 2 * self.population)
            cap = self.max_rows or own
            for generation in range(2 * half):
                run.step()
                assert len(run.pool) <= cap, (
                    f"the pool has {len(run.pool)} rows in generation {generation}, expected at most {cap}: let "
                    "tell() return fewer survivors; a strategy with an archive has an attribute "
                    "`max_rows`: its cap and the population"
                )
                if generation % 10 == 9:
                    held.append(held_bytes(run._strategy))
        first, second = max(held[: len(held) // 2]), max(held[len(held) // 2 :])
        assert second <= 1.25 * first + 1_000, (
            f"the strategy holds {first} bytes after {half} generations and {second} after {2 * half}: "
            "give what grows a cap, with a key in Settings"
        )


def _quick(network: Network) -> Evaluation:
    """Return something that differs from network to network and costs one tick."""
    out = float(network.activate([1.0, -0.5])[0])
    return Evaluation(out, (out, -out), (out, -out))
