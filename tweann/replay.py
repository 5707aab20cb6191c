"""A recorded run again, without a network: its immigrants come as they came then."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel

from tweann.codec import decode
from tweann.config import NoSettings, load
from tweann.errors import ConfigError, StorageError
from tweann.evolution import Evolution
from tweann.genes import Int
from tweann.interfaces import Immigrant
from tweann.pool import PoolView
from tweann.registry import Registry, default_registry
from tweann.stored_run import StoredRun


class Recorded:
    """An exchange that gives what a run recorded, at the asks at which it came."""

    Settings: ClassVar[type[BaseModel]] = NoSettings

    def __init__(self, arrivals: Mapping[int, Sequence[Immigrant]]) -> None:
        """Take the immigrants of each ask."""
        self._arrivals = arrivals
        self._ask = 0

    def n_emigrants(self, ask: int, generation: int, n_evaluations: int) -> int:
        """Return 0: nobody leaves."""
        del generation, n_evaluations
        self._ask = ask
        return 0

    def swap(self, pool: PoolView, offered: Int) -> Sequence[Immigrant]:
        """Return those who came before this ask."""
        del pool, offered
        return self._arrivals.get(self._ask, ())

    def metrics(self) -> Mapping[str, float]:
        """Return nothing."""
        return {}

    def close(self) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Replay:
    """How a replay went.

    Attributes:
        same: whether its champion has the genome and the fitness of the recorded one.
        recorded, replayed: ids of the genomes.
        fitness: of the replayed champion.
        generations, n_immigrants: how many were replayed.
    """

    same: bool
    recorded: str
    replayed: str | None
    fitness: float | None
    generations: int
    n_immigrants: int

    def data(self) -> dict[str, Any]:
        """Return the values by name, as JSON values."""
        return {name: getattr(self, name) for name in self.__slots__}


def replay(stored: StoredRun, registry: Registry | None = None) -> Replay:
    """Run a recorded run again up to its last generation, and compare the champions.

    Raises:
        ConfigError: its strategy tells children in the order of arrival.
        StorageError: it has no database or champion, or immigrants were dropped from it (``storage.max_events``).
    """
    registry = registry or default_registry()
    tables = tomllib.loads(stored.config)
    config = load({**tables, "storage": {"url": "memory:"}, "observers": {}}, registry=registry)
    generations = stored.generations()
    if not generations:
        raise StorageError(f"{stored.folder} has no finished generation to replay")
    last = generations[-1]["generation"]
    arrivals: dict[int, list[Immigrant]] = {}
    events = stored.immigrants()
    if events and events[0][0]["number"] != 0:
        raise StorageError(
            f"{stored.folder}: the first {events[0][0]['number']} immigrants are no longer stored: "
            "a longer run that is to be replayed needs a larger storage.max_events"
        )
    for data, genome in events:
        arrivals.setdefault(data["ask"], []).append(Immigrant(decode(genome), data["peer"]))
    changes = stored.control_changes()
    if changes and changes[0]["number"] != 0:
        raise StorageError(
            f"{stored.folder}: the first {changes[0]['number']} changes of settings are no longer stored: "
            "a longer run that is to be replayed needs a larger storage.max_events"
        )
    champion = stored.champion_data()
    with Evolution(config, registry=registry, exchange=Recorded(arrivals)) as evolution:
        if not evolution.in_birth_order:
            raise ConfigError(
                f"{stored.folder}: its strategy took children as they arrived, which depends on the clock: "
                "such a run cannot be replayed"
            )
        while evolution.generation <= last:
            report = evolution.step()
            for change in changes:
                if change["generation"] == report.generation:
                    evolution.desk.change(change["plugin"], change["name"], change["new"])
            evolution.desk.settle()
        found = evolution.champion
    replayed = None if found is None else found.genome.genome_id
    fitness = None if found is None else found.fitness
    return Replay(
        same=(replayed, fitness) == (champion["genome_id"], champion["fitness"]),
        recorded=champion["genome_id"],
        replayed=replayed,
        fitness=fitness,
        generations=last + 1,
        n_immigrants=len(events),
    )
