"""Novelty search: who behaves as nobody did before breeds, whatever it scores.

Source: Lehman & Stanley, "Abandoning objectives: evolution through the search for novelty alone" (Evolutionary
Computation 19:2, 2011). Novelty with fitness: Cuccu & Gomez, "When novelty is not enough" (EvoApplications 2011).
Local competition: Lehman & Stanley (GECCO 2011), here as a part of a sum, not as an objective.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self, cast

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import DTypeLike
from pydantic import BaseModel, Field, model_validator

from tweann.config.sections import Rate
from tweann.genes import Float, Int, Operator
from tweann.interfaces import BreedingPlan, State, StrategyContext, Survivors
from tweann.pool import BroodView, PoolView
from tweann.strategies.descriptors import Descriptors, DescriptorSettings
from tweann.strategies.novelty_archive import NoveltyArchive, measure

_MUTATE, _CROSSOVER = np.uint8(Operator.MUTATE), np.uint8(Operator.CROSSOVER)
_CROSSOVER_MUTATE = np.uint8(Operator.CROSSOVER_MUTATE)


class NoveltySettings(DescriptorSettings):
    """Settings of strategy ``novelty``."""

    population: int = Field(250, ge=1, description="Members, and evaluations a generation.")
    neighbours: int = Field(
        15,
        ge=1,
        le=1_000,
        description="Novelty is the mean distance to so many nearest neighbours.",
    )
    replacement: Literal["all", "children"] = Field(
        "all",
        description="Who stays: the best of parents and children by score, or only of the children. "
        "The fittest stays in any case.",
    )
    tournament_size: int = Field(3, ge=1, description="Contestants for each parent's place.")
    crossover_rate: Rate = Field(0.25, description="Share of children of two parents.")
    crossover_mutate_rate: Rate = Field(1.0, description="Share of these that are mutated as well.")
    fitness_weight: Rate = Field(
        0.0,
        description="Share of the fitness in the score by which parents and survivors are chosen. Novelty and "
        "fitness are scaled to 0 to 1.",
    )
    local_weight: Rate = Field(
        0.0,
        description="Share of local competition: how many of the neighbours are less fit. The rest is "
        "novelty's.",
    )
    archive_size: int = Field(
        2_500, ge=0, le=1_000_000, description="Cap on the archive of past descriptors."
    )
    admission: Literal["threshold", "probability", "both"] = Field(
        "threshold",
        description="Which children enter the archive: those of a novelty above a threshold that adapts, each "
        "by chance, or either way.",
    )
    threshold: float = Field(
        0.05, gt=0, description="The threshold at first, in units of the descriptor's range."
    )
    admissions: int = Field(
        8, ge=1, description="More admissions a generation raise the threshold by a fifth."
    )
    patience: int = Field(
        5, ge=1, description="So many generations without any lower it by a twentieth."
    )
    admission_rate: Rate = Field(0.02, description="Chance of a child, for `probability`.")
    eviction: Literal["oldest", "least_novel", "random"] = Field(
        "oldest", description="Who leaves a full archive."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.fitness_weight + self.local_weight > 1.0 + 1e-9:
            raise ValueError(
                "fitness_weight + local_weight must be at most 1, came "
                f"{self.fitness_weight + self.local_weight:g}"
            )
        return self


class Novelty:
    """Strategy ``novelty``."""

    Settings: ClassVar[type[BaseModel]] = NoveltySettings
    columns: ClassVar[Mapping[str, DTypeLike]] = {"novelty": np.float64, "score": np.float64}

    def __init__(self, settings: NoveltySettings, context: StrategyContext) -> None:
        self._settings = settings
        #: Rows, at most.
        self.max_rows = settings.population
        self._descriptors = Descriptors(settings, context, "novelty")
        self._archive = NoveltyArchive(len(self._descriptors), settings.archive_size)
        self._threshold = settings.threshold
        self._idle = 0  # generations without an admission
        self._key = 0  # of the draws that `tell` makes; from `ask`
        self._n_admitted = 0
        self._mean_novelty = 0.0

    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        """Return a plan for ``population`` children; parents win tournaments by score."""
        s = self._settings
        n = min(n, s.population)
        self._key = int(rng.integers(0, 2**63))
        if len(pool) == 0:
            return BreedingPlan.fresh(n)
        score = pool["score"]
        contestants = rng.integers(0, len(pool), (s.tournament_size, 2 * n))
        winner = np.argmax(score[contestants], axis=0)
        parents = contestants[winner, np.arange(2 * n)]
        a, b = parents[:n], parents[n:]
        chance = rng.random((2, n))
        crossover = (chance[0] < s.crossover_rate) & (a != b)
        kind = np.where(chance[1] < s.crossover_mutate_rate, _CROSSOVER_MUTATE, _CROSSOVER)
        swap = crossover & (score[b] > score[a])
        return BreedingPlan(
            np.where(crossover, kind, _MUTATE),
            np.where(swap, b, a),
            np.where(crossover, np.where(swap, a, b), -1),
        )

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        """Measure everybody's novelty anew, fill the archive, and keep who scores best."""
        s = self._settings
        n_old, total = len(pool), len(pool) + len(brood)
        descriptor = np.concatenate(
            (self._descriptors.scaled(pool), self._descriptors.scaled(brood))
        )
        fitness = np.concatenate((pool.fitness, brood.fitness))
        fitness[~np.isfinite(descriptor).all(axis=1)] = np.nan  # is nowhere, and so has failed
        valid = np.flatnonzero(~np.isnan(fitness))
        novelty = np.full(total, np.nan)
        local = np.full(total, np.nan)
        novelty[valid], local[valid] = measure(
            np.concatenate((descriptor[valid], self._archive.descriptor)),
            np.concatenate((fitness[valid], self._archive.fitness)),
            valid.size,
            s.neighbours,
            pool.pool.workers,
        )
        score = np.full(total, -np.inf)
        score[valid] = self._score(novelty[valid], fitness[valid], local[valid])
        self._mean_novelty = float(novelty[valid].mean()) if valid.size else 0.0
        children = valid[valid >= n_old]
        self._admit(descriptor[children], fitness[children], novelty[children])
        index = self._choose(score, fitness, n_old)
        return Survivors(index, columns={"novelty": novelty[index], "score": score[index]})

    def _score(self, novelty: Float, fitness: Float, local: Float) -> Float:
        """Return the weighted sum of novelty, fitness and local competition, each in [0, 1]."""
        s = self._settings
        score = (1.0 - s.fitness_weight - s.local_weight) * scaled_to_one(novelty)
        if s.fitness_weight:
            score += s.fitness_weight * scaled_to_one(fitness)
        if s.local_weight:
            score += s.local_weight * local
        return score

    def _choose(self, score: Float, fitness: Float, n_old: int) -> Int:
        """Return who stays: the fittest, and the best by score; of equals the earlier."""
        n = self._settings.population
        first = n_old if self._settings.replacement == "children" else 0
        candidates = first + np.argsort(-score[first:], kind="stable")
        if np.isnan(fitness).all():
            return candidates[:n]
        fittest = int(np.nanargmax(fitness))
        others = candidates[candidates != fittest]
        return np.sort(np.concatenate(([fittest], others[: n - 1])))

    def _admit(self, descriptor: Float, fitness: Float, novelty: Float) -> None:
        """Let children into the archive, and adapt the threshold."""
        s = self._settings
        rng = Generator(Philox(key=self._key))
        enters = np.zeros(novelty.size, np.bool_)
        if s.admission != "probability":
            enters |= novelty > self._threshold
            n = int(enters.sum())
            self._idle = 0 if n else self._idle + 1
            if n > s.admissions:
                self._threshold *= 1.2  # Lehman & Stanley (2011), section 4.2
            elif self._idle >= s.patience:
                self._threshold, self._idle = 0.95 * self._threshold, 0
        if s.admission != "threshold":
            enters |= rng.random(novelty.size) < s.admission_rate
        self._n_admitted = int(enters.sum())
        if self._n_admitted:
            self._archive.add(descriptor[enters], fitness[enters], s.eviction, s.neighbours, rng)

    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        """Return the ``n`` members that score best."""
        del rng
        return np.argsort(-pool["score"], kind="stable")[:n]

    def state(self) -> State:
        """Return the archive, the threshold, and what the last generation left."""
        return {
            "archive_descriptor": self._archive.descriptor,
            "archive_fitness": self._archive.fitness,
            "threshold": self._threshold,
            "idle": self._idle,
            "key": self._key,
            "n_admitted": self._n_admitted,
            "mean_novelty": self._mean_novelty,
        }

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._archive.descriptor = cast(Float, state["archive_descriptor"])
        self._archive.fitness = cast(Float, state["archive_fitness"])
        self._threshold = cast(float, state["threshold"])
        self._idle = cast(int, state["idle"])
        self._key = cast(int, state["key"])
        self._n_admitted = cast(int, state["n_admitted"])
        self._mean_novelty = cast(float, state["mean_novelty"])

    def max_bytes(self, n_values: int) -> int:
        """Return the archive, and the descriptors that are compared with it."""
        del n_values
        s = self._settings
        return 16 * (len(self._descriptors) + 2) * (s.archive_size + 3 * s.population)

    def metrics(self) -> Mapping[str, float]:
        """Return the archive's size, the threshold, and the last generation's novelty and admissions."""
        return {
            "archive_size": float(self._archive.fitness.size),
            "threshold": self._threshold,
            "mean_novelty": self._mean_novelty,
            "n_admitted": float(self._n_admitted),
        }


def scaled_to_one(values: Float) -> Float:
    """Return values scaled so that the least is 0 and the greatest 1; all 0 where they are equal."""
    if values.size == 0:
        return values
    low = values.min()
    # halved, so that the range of the largest floats is still one
    span = 0.5 * values.max() - 0.5 * low
    scaled: Float = (0.5 * values - 0.5 * low) / span if span > 0.0 else np.zeros(values.size)
    return scaled
