"""Plugins with one flaw each, for the tests that the contracts find it."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.random import Generator
from pydantic import Field

from tweann.config import Section
from tweann.errors import StorageError
from tweann.genes import Float, Int, Operator
from tweann.interfaces import BreedingPlan, Event, FinishedJob, Job, State, Survivors
from tweann.network import NetworkSlice
from tweann.plugins.memory import MemoryStorage
from tweann.plugins.serial import SerialBackend
from tweann.pool import BroodView, PoolView
from tweann.tasks import EvaluationKeys, Evaluations, Task, TaskInfo, TaskSettings


class Sound:
    """A (μ + λ) strategy without a flaw; it remembers its best fitness."""

    class Settings(Section):
        population: int = Field(10, ge=1, description="Children a generation.")

    columns: Mapping[str, Any] = {}

    def __init__(self, settings: Settings, context: object) -> None:
        self.settings, self.best = settings, -1e308

    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        if len(pool) == 0:
            return BreedingPlan.fresh(n)
        parent = rng.integers(0, len(pool), n)
        return BreedingPlan(np.full(n, Operator.MUTATE, np.uint8), parent, np.full(n, -1))

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        fitness = np.concatenate((pool.fitness, brood.fitness))
        self.best = max([self.best, *fitness[np.isfinite(fitness)]])
        return Survivors(np.argsort(-fitness, kind="stable")[: self.settings.population])

    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        return np.arange(min(n, len(pool)))

    def state(self) -> State:
        return {"best": float(self.best)}

    def restore(self, state: State) -> None:
        self.best = float(state["best"])

    def metrics(self) -> Mapping[str, float]:
        return {"best_so_far": float(self.best)}


class DrawsGlobally(Sound):
    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        return super().ask(pool, n, np.random.default_rng(random.getrandbits(32)))


class AsksTooMuch(Sound):
    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        return super().ask(pool, self.settings.population, rng)


class KeepsObjects(Sound):
    def state(self) -> State:
        return {"best": {self.best}}  # type: ignore[dict-item] # that is the flaw


class ForgetsTheBest(Sound):
    """What it breeds depends on the generation, which it does not keep."""

    def __init__(self, settings: Sound.Settings, context: object) -> None:
        super().__init__(settings, context)
        self.generation = 0

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        self.generation += 1
        found = super().tell(pool, brood)
        return Survivors(found.index[: 2 + self.generation])


class RestoresNothing(Sound):
    def restore(self, state: State) -> None:
        del state


class CountsLooks(Sound):
    looks = 0

    def state(self) -> State:
        self.looks += 1
        return super().state()

    def metrics(self) -> Mapping[str, float]:
        return {"looks": float(self.looks)}


class GivesItsArraysAway(Sound):
    def __init__(self, settings: Sound.Settings, context: object) -> None:
        super().__init__(settings, context)
        self.counts = np.zeros(3)

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        self.counts += 1.0
        return super().tell(pool, brood)

    def state(self) -> State:
        return {"counts": self.counts, **super().state()}


class RanksFailuresFirst(Sound):
    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        fitness = np.concatenate((pool.fitness, brood.fitness))
        best = np.argsort(-np.where(np.isnan(fitness), np.inf, fitness), kind="stable")
        return Survivors(best[: self.settings.population])


class StumblesOverEquals(Sound):
    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        fitness = brood.fitness[np.isfinite(brood.fitness)]
        span = fitness.max() - fitness.min() if fitness.size else 1.0
        return Survivors(super().tell(pool, brood).index[: int(4.0 * span / span)])


class WantsChildren(Sound):
    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        return Survivors(len(pool) + np.argsort(-brood.fitness, kind="stable"))


class WantsTwo(Sound):
    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        if len(pool) == 1:
            raise IndexError("nobody to cross with")
        return super().ask(pool, n, rng)


class ExpectsNoGuests(Sound):
    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        if len(brood) > self.settings.population:
            raise IndexError("who is this?")
        return super().tell(pool, brood)


class SendsTooMany(Sound):
    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        return np.arange(len(pool))


class CountsInWords(Sound):
    def metrics(self) -> Mapping[str, float]:
        return {"best_so_far": "high"}  # type: ignore[dict-item] # that is the flaw


class KeepsEverybody(Sound):
    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        return Survivors(np.arange(len(pool) + len(brood)))


class RemembersEverything(Sound):
    def __init__(self, settings: Sound.Settings, context: object) -> None:
        super().__init__(settings, context)
        self.diary: list[Float] = []

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        self.diary.append(brood.fitness.copy())
        return super().tell(pool, brood)


class WithoutDescriptions(Sound):
    class Settings(Section):
        population: int = 10


# --- storages


class Backwards(MemoryStorage):
    def events(self, kind: str | None = None) -> Iterator[Event]:
        return iter(list(super().events(kind))[::-1])


class LosesChampions(MemoryStorage):
    def append(self, events: Sequence[Event]) -> None:
        super().append(events)
        if events and events[-1].sequence > 50:
            self._apart["champion"].clear()


class TakesAnything(MemoryStorage):
    def append(self, events: Sequence[Event]) -> None:
        if self._closed:
            raise StorageError("closed")
        self._last_sequence = -1
        super().append(events)


class SaysItIsDurable(MemoryStorage):
    durable = True


class GrowsForEver(MemoryStorage):
    class Settings(Section):
        url: str = "memory:"
        max_events: int = 1
        max_champions: int = 1

    def __init__(self, settings: Settings, run: str) -> None:
        del settings
        super().__init__(MemoryStorage.Settings(), run)  # type: ignore[arg-type] # its own


# --- back-ends


class MixesUp(SerialBackend):
    """Hands back one job's result as another's."""

    def collect(self, timeout: float | None = None) -> list[FinishedJob]:
        found = super().collect(timeout)
        return [FinishedJob(Job(f.job.start, f.job.stop, f.job.evaluate), f.evaluations, f.error) for f in found]  # fmt: skip


class Rounds(SerialBackend):
    def collect(self, timeout: float | None = None) -> list[FinishedJob]:
        found = super().collect(timeout)
        for finished in found:
            if finished.evaluations is not None:
                finished.evaluations.fitness[:] = np.round(finished.evaluations.fitness)
        return found


class Hoards(SerialBackend):
    def __init__(self, settings: Any, workers: int = 1) -> None:
        super().__init__(settings, workers)
        self.done: list[FinishedJob] = []

    def collect(self, timeout: float | None = None) -> list[FinishedJob]:
        found = super().collect(timeout)
        self.done += found
        return found


class NeverCloses(SerialBackend):
    def close(self) -> None:
        pass


# --- tasks


class Sum(Task):
    """Sums a network's weights."""

    class Settings(TaskSettings):
        pass

    def __init__(self, settings: Settings) -> None:
        del settings
        self.info = TaskInfo("sum", 1, "python", ("a", "b"), ("y",))

    def evaluate(self, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
        found = Evaluations.empty(len(networks), self.info)
        for k, network in enumerate(networks):
            found.put(k, float(network.activate([1.0, -1.0])[0]))
        return found


class RemembersTheLast(Sum):
    last = 0.0

    def evaluate(self, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
        found = super().evaluate(networks, keys)
        found.fitness += self.last
        self.last += 1.0
        return found


class ComparesWithItsNeighbours(Sum):
    def evaluate(self, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
        found = super().evaluate(networks, keys)
        found.fitness -= found.fitness.mean() if len(networks) else 0.0
        return found


class FailsSilently(Sum):
    def evaluate(self, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
        found = super().evaluate(networks, keys)
        found.fitness[found.fitness < 0.0] = np.nan
        return found


class SharesItsDesk(Sum):
    """Its threads write into one array."""

    def __init__(self, settings: Sum.Settings) -> None:
        super().__init__(settings)
        self.desk = np.zeros(1)
        self.meeting = threading.Barrier(2, timeout=0.2)

    def evaluate(self, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
        self.desk[0] = threading.get_ident()
        try:
            self.meeting.wait()
        except threading.BrokenBarrierError:
            self.meeting.reset()
        found = super().evaluate(networks, keys)
        found.fitness += float(self.desk[0] != threading.get_ident())
        return found


class Secretive(Sum):
    class Settings(TaskSettings):
        depth: int = 3
