"""Islands: strategies side by side in one process, each with a population of its own, and genomes that migrate.

Every ``interval`` generations of its own an island gets clones of genomes of those islands that the topology lets it
hear. A migrant is a child there: evaluated, with its original as parent, and the island's strategy treats it as any
child. It does not migrate again; what descends from it may.

Source: the island model, in the words of Alba & Tomassini, "Parallelism and evolutionary algorithms" (2002): topology,
rate and frequency of migration, selection of emigrants, replacement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, Self, cast

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike
from pydantic import (
    BaseModel,
    Field,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
    model_validator,
)

from tweann.config.sections import Section
from tweann.config.validation import validate
from tweann.errors import TweannError
from tweann.genes import Float, Int, Operator, Origin
from tweann.interfaces import BreedingPlan, State, Strategy, StrategyContext, Survivors
from tweann.kernels.distance import DistanceCoefficients
from tweann.migration import best, bred_here, draw, most_diverse
from tweann.pool import BroodView, PoolView
from tweann.registry import Registry, default_registry
from tweann.strategies.tenants import Tenants, joined
from tweann.topologies import heard_by

_IMMIGRANT: Final = int(Origin.IMMIGRANT)
_NOBODY: Final[Int] = np.zeros(0, np.int64)
#: The columns of the pool: whose a row is, and for a migrant 1 + the island that it came from, otherwise 0.
HOME, SENDER = "island", "migrated_from"


class Island(Section):
    """One table [[strategy.island]]: so many islands of one strategy."""

    name: str = Field(description="Name of the strategy.")
    count: int = Field(1, ge=1, description="How many such islands.")
    settings: SerializeAsAny[BaseModel] = Field(description="Settings of the strategy.")


class _IslandTable(Section):
    """The same before the settings are checked by the strategy that they are for."""

    name: str
    count: int = Field(1, ge=1)
    settings: dict[str, Any] = Field(default_factory=dict)


class IslandsSettings(Section):
    """Settings of strategy ``islands``."""

    population: int = Field(
        150, ge=1, description="Evaluations a generation, of all islands together."
    )
    island: tuple[Island, ...] = Field(
        default_factory=tuple,
        validate_default=True,
        description="Tables `[[strategy.island]]` with `name`, `count` (1) and `settings`, those of the strategy; where "
        "they have no `population`, an island has its share of the whole. By default four of `generational`.",
    )
    topology: Literal["ring", "full", "star", "random", "custom"] = Field(
        "ring",
        description="Whom an island hears. `ring`: the one before. `full`: all others. `star`: the first island hears all, "
        "the others hear it. `random`: `degree` others, drawn anew each time. `custom`: as `routes` says.",
    )
    degree: int = Field(2, ge=1, description="How many an island hears, for `random`.")
    routes: tuple[tuple[int, int], ...] = Field(
        (), description="Pairs [from, to] of islands, counted from 0, for `custom`."
    )
    interval: int = Field(
        10,
        ge=0,
        description="Generations of an island after which migrants come again; 0: never.",
    )
    migrants: int = Field(1, ge=1, description="Migrants from each island that is heard.")
    emigrants: Literal["best", "random", "diverse"] = Field(
        "best",
        description="Who migrates. `diverse`: the best, then again and again the one farthest from those chosen.",
    )
    replacement: Literal["children", "none"] = Field(
        "children",
        description="`children`: migrants take the places of as many children, so that evaluations stay as they are. "
        "`none`: they come beside them. In either case at most half of an island's brood are migrants, and who makes "
        "room among its members is its strategy's affair.",
    )
    max_islands: int = Field(64, ge=1, le=10_000, description="Cap on the number of islands.")

    @field_validator("island", mode="before")
    @classmethod
    def _islands(cls, tables: Any, info: ValidationInfo) -> Any:
        """Check each table by the Settings of the strategy that it names."""
        if not isinstance(tables, Sequence) or isinstance(tables, str):
            return tables  # no list: the type says what was expected
        if not tables:
            tables = [{"name": "generational", "count": 4}]
        registry = (info.context or {}).get("registry") or default_registry()
        read = [
            table if isinstance(table, Island) else _read(table, k, registry)
            for k, table in enumerate(tables)
        ]
        n = sum(table.count for table in read)
        share = max(1, info.data.get("population", 1) // n)
        return tuple(
            table if isinstance(table, Island) else _checked(table, k, share, registry)
            for k, table in enumerate(read)
        )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        n = sum(table.count for table in self.island)
        if n > self.max_islands:
            raise ValueError(
                f"expected at most max_islands = {self.max_islands} islands, came {n}: lower a count or raise max_islands"
            )
        for k, table in enumerate(self.island):
            if _population(table) > self.population:
                raise ValueError(
                    f"island.{k}.settings.population = {_population(table)} is more than strategy.population = "
                    f"{self.population}, that of all islands together: lower the one or raise the other"
                )
        if (self.topology == "custom") != bool(self.routes):
            raise ValueError('expected routes with topology = "custom", and with no other')
        for source, target in self.routes:
            if source == target or not (0 <= source < n and 0 <= target < n):
                raise ValueError(
                    f"routes: expected pairs of two different islands, 0 to {n - 1}, came [{source}, {target}]"
                )
        return self


def _read(table: Any, k: int, registry: Registry) -> _IslandTable:
    if not isinstance(table, Mapping):
        raise ValueError(f"island.{k}: expected a table with name, count and settings")
    found, faults = validate(_IslandTable, (f"island.{k}",), table, registry)
    if found is None or faults:
        raise ValueError("; ".join(f"{'.'.join(fault.key)}: {fault.message}" for fault in faults))
    return found


def _checked(table: _IslandTable, k: int, share: int, registry: Registry) -> Island:
    """Return the table with its settings as the strategy's own model."""
    if table.name == "islands":
        raise ValueError(f"island.{k}.name: an island cannot be made of islands")
    try:
        model: type[BaseModel] = registry.resolve("strategy", table.name).Settings
    except TweannError as error:
        raise ValueError(f"island.{k}.name: {error}") from None
    settings, faults = validate(
        model, (f"island.{k}", "settings"), {"population": share, **table.settings}, registry
    )
    if settings is None or faults:
        raise ValueError("; ".join(f"{'.'.join(fault.key)}: {fault.message}" for fault in faults))
    return Island(name=table.name, count=table.count, settings=settings)


def _population(table: Island) -> int:
    population: int = getattr(table.settings, "population", 0)
    return population


class Islands:
    """Strategy ``islands``."""

    Settings: ClassVar[type[BaseModel]] = IslandsSettings
    columns: Mapping[str, DTypeLike] = {HOME: np.int64, SENDER: np.int64}

    def __init__(self, settings: IslandsSettings, context: StrategyContext) -> None:
        self._settings = settings
        registry = context.registry or default_registry()
        strategies: dict[str, Strategy] = {}
        populations = []
        #: Rows of all islands, at most.
        self.max_rows = 0
        for table in settings.island:
            strategy_class = registry.resolve("strategy", table.name)
            for _ in range(table.count):
                strategy = strategies[f"island{len(strategies)}"] = strategy_class(
                    table.settings, context
                )
                population = _population(table)
                populations.append(population)
                self.max_rows += int(getattr(strategy, "max_rows", 2 * population))
        self._tenants = Tenants(HOME, strategies)
        self.columns = {**self._tenants.columns, SENDER: np.int64}
        self._populations: Int = np.array(populations, np.int64)
        n = len(populations)
        species = context.species
        self._coefficients = DistanceCoefficients(species.c1, species.c3, species.small_genome)
        self._turn: Int = _NOBODY  # who was asked last
        self._asked, self._exchanges, self._received, self._spent = np.zeros((4, n), np.int64)
        self._best: Float = np.full(n, -np.inf)

    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        """Return the plans of those islands that are least far, as many as there is room for, as one."""
        self._asked, self._exchanges = self._asked.copy(), self._exchanges.copy()
        self._received = self._received.copy()
        progress = self._asked / self._populations
        turn: list[int] = []
        plans: list[BreedingPlan] = []
        room = n
        for island in np.flatnonzero(progress == progress.min()).tolist():
            wanted = int(self._populations[island])
            if turn and wanted > room:
                break
            guests = self._guests(pool, island, min(wanted, room), rng)
            beside = self._settings.replacement == "none"
            places = min(wanted, room - guests.size) if beside else min(wanted, room) - guests.size
            plan = self._tenants.ask(pool, island, places, rng)
            self._asked[island] += len(plan) + (0 if beside else guests.size)
            self._received[island] += guests.size
            plans.append(_with_guests(plan, pool, guests, island))
            turn.append(island)
            room -= len(plans[-1])
        self._turn = np.array(turn)
        return joined(plans)

    def _guests(self, pool: PoolView, island: int, room: int, rng: Generator) -> Int:
        """Return the rows of those who come to an island now: of each sender its best first, at most half of ``room``."""
        s = self._settings
        if s.interval == 0:
            return _NOBODY
        exchange = int(self._asked[island] // self._populations[island]) // s.interval
        if exchange <= self._exchanges[island]:
            return _NOBODY
        self._exchanges[island] = exchange
        chosen = [self._emigrants_of(pool, source, rng) for source in self._heard(island, exchange)]
        # by rank, so that where they are too many all senders are heard
        ranked = [(rank, row) for rows in chosen for rank, row in enumerate(rows.tolist())]
        ranked.sort(key=lambda entry: entry[0])
        return np.array([row for _, row in ranked[: room // 2]], np.int64)

    def _heard(self, island: int, exchange: int) -> list[int]:
        """Return the islands whose genomes come to ``island`` at its exchange of that number."""
        s, n = self._settings, len(self._tenants)
        # of equal length, so that their order is that of the numbers; with the exchange, so that "random" changes
        names = [f"{exchange} {k:05}" for k in range(n)]
        custom = [names[source] for source, target in s.routes if target == island]
        heard = heard_by(names[island], names, s.topology, degree=s.degree, custom=custom)
        return [names.index(name) for name in heard]

    def _emigrants_of(self, pool: PoolView, source: int, rng: Generator) -> Int:
        rows = bred_here(pool, self._tenants.rows(pool, source))
        rows = rows[pool[SENDER][rows] == 0]
        n, how = self._settings.migrants, self._settings.emigrants
        if how == "random":
            return draw(rows, n, rng)
        if how == "best":
            return best(pool, rows, n)
        return most_diverse(pool, best(pool, rows, rows.size), n, self._coefficients)

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        """Let each island select among its own."""
        home = brood[HOME].copy()
        foreign = brood.origin == _IMMIGRANT  # by the bridge: shared out evenly
        home[foreign] = self._turn[brood.id[foreign] % self._turn.size]
        survivors = self._tenants.tell(pool, brood, self._turn.tolist(), home)
        self._best, self._spent = self._best.copy(), self._spent.copy()
        np.add.at(self._spent, home, brood.n_evaluations)
        np.fmax.at(self._best, home, brood.fitness)
        return survivors

    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        """Return the ``n`` best of all islands."""
        del rng
        return best(pool, np.arange(len(pool)), n)

    def state(self) -> State:
        """Return what the strategy and its islands remember."""
        return {
            "turn": self._turn,
            "asked": self._asked,
            "exchanges": self._exchanges,
            "received": self._received,
            "spent": self._spent,
            "best": self._best,
            **self._tenants.state(),
        }

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._turn, self._asked = cast(Int, state["turn"]), cast(Int, state["asked"])
        self._exchanges, self._received = (
            cast(Int, state["exchanges"]),
            cast(Int, state["received"]),
        )
        self._spent, self._best = cast(Int, state["spent"]), cast(Float, state["best"])
        self._tenants.restore(state)

    def max_bytes(self, n_values: int) -> int:
        """Return what all islands hold."""
        return self._tenants.max_bytes(n_values)

    def metrics(self) -> Mapping[str, float]:
        """Return for each island its evaluations, the best fitness it found and the migrants it got, and its own metrics."""
        figures = self._tenants.metrics()
        for k in range(len(self._tenants)):
            figures[f"island{k}_evaluations"] = float(self._spent[k])
            figures[f"island{k}_best"] = float(self._best[k])
            figures[f"island{k}_received"] = float(self._received[k])
        return figures


def _with_guests(plan: BreedingPlan, pool: PoolView, guests: Int, island: int) -> BreedingPlan:
    """Return an island's plan and behind it clones of the rows ``guests``, a group of their own."""
    n = guests.size
    if n == 0:
        return plan
    clones = BreedingPlan(
        np.full(n, Operator.CLONE, np.uint8),
        guests,
        np.full(n, -1),
        group=None if plan.group is None else np.full(n, plan.group[-1] + 1),
        columns={HOME: np.full(n, island), SENDER: pool[HOME][guests] + 1},
    )
    return joined((plan, clones), groups=0)
