"""NEAT, generation by generation: species, fitness sharing, elites, stagnation.

Source: Stanley & Miikkulainen, "Evolving neural networks through augmenting topologies" (2002), and the program
published with it. Elites stay with the fitness that they have, so each generation's evaluations all
go to new genomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, cast

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike
from pydantic import BaseModel, Field

from tweann.config.sections import Rate, Section
from tweann.genes import Float, Int
from tweann.interfaces import BreedingPlan, State, StrategyContext, Survivors
from tweann.kernels.distance import DistanceCoefficients
from tweann.kernels.neat import (
    NeatParameters,
    Ranking,
    SpeciesHistory,
    follow_species,
    plan_generation,
    select_generation,
)
from tweann.pool import BroodView, PoolView
from tweann.species import assign_species

#: The threshold would sink for ever where genomes are too few, or too alike, for the species wanted.
_MIN_THRESHOLD: Final = 1e-6

#: The names of the codes of `tweann.kernels.neat`.
_SELECTIONS: Final = ("truncation", "tournament", "roulette")


class GenerationalSettings(Section):
    """Settings of strategy ``generational``."""

    population: int = Field(150, ge=1, description="Members, and evaluations a generation.")
    selection: Literal["truncation", "tournament", "roulette"] = Field(
        "truncation",
        description="How parents are chosen within a species: evenly among its `survival` best, by "
        "tournament, or in proportion to fitness.",
    )
    survival: float = Field(
        0.2, gt=0, le=1, description="Share of a species that breeds, for `truncation`."
    )
    tournament_size: int = Field(3, ge=1, description="Contestants of a tournament.")
    elitism: int = Field(
        1, ge=0, description="Best members of a large species that stay as they are."
    )
    elitism_min_size: int = Field(5, ge=1, description="Members that make a species large.")
    stagnation: int = Field(
        15,
        ge=0,
        description="Generations without a better best after which a species breeds no more; 0: never.",
    )
    population_stagnation: int = Field(
        20,
        ge=0,
        description="Generations without a better champion after which only the two best species "
        "breed; 0: never.",
    )
    crossover_rate: Rate = Field(
        0.75,
        description="Share of children for whom two parents are drawn; where that is the same genome "
        "twice, the child has one.",
    )
    crossover_mutate_rate: Rate = Field(
        1.0,
        description="Share of these that are mutated as well; children of one parent always are.",
    )
    interspecies_rate: Rate = Field(
        0.001, description="Share of crossovers whose other parent is another species' best."
    )
    restart: int = Field(
        0,
        ge=0,
        description="Evaluations after which the population begins anew from the seed network; 0: never.",
    )
    speciation: bool = Field(True, description="False: the whole population is one species.")


class Generational:
    """Strategy ``generational``."""

    Settings: ClassVar[type[BaseModel]] = GenerationalSettings
    columns: ClassVar[Mapping[str, DTypeLike]] = {}

    def __init__(self, settings: GenerationalSettings, context: StrategyContext) -> None:
        self._settings = settings
        #: Rows, at most.
        self.max_rows = settings.population
        species = context.species
        self._target, self._factor = species.target, species.threshold_factor
        self._max_species = species.max_species
        self._coefficients = DistanceCoefficients(species.c1, species.c3, species.small_genome)
        self._first_threshold = species.threshold
        self._spent, self._anew = 0, False
        self._parameters = NeatParameters(
            _SELECTIONS.index(settings.selection),
            settings.survival,
            settings.tournament_size,
            settings.elitism,
            settings.elitism_min_size,
            settings.crossover_rate,
            settings.crossover_mutate_rate,
            settings.interspecies_rate,
            settings.stagnation,
            settings.population_stagnation,
        )
        self._forget()

    def _forget(self) -> None:
        """Begin as if there had been no population yet."""
        self._threshold = self._first_threshold
        self._generation = 0
        self._next_species = 0
        self._ids: Int = np.zeros(0, np.int64)  # species alive, oldest first
        self._best: Float = np.zeros(0)  # best fitness that each ever had
        self._improved: Int = np.zeros(0, np.int64)  # when it had it first
        self._champion, self._champion_improved = -np.inf, 0
        # Made in `ask` for `tell`: between the two the pool's rows stay as they are.
        self._ranking = Ranking(np.zeros(0, np.int64), np.zeros(1, np.int64))
        self._representatives: Int = np.zeros(0, np.int64)  # rows, one a species

    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        """Return a plan for ``population`` children, shared out among species by their fitness."""
        n = min(n, self._settings.population)
        if len(pool) == 0 or self._anew:
            self._forget()
            return BreedingPlan.fresh(n)
        plan, self._ranking, self._representatives = plan_generation(
            pool.fitness,
            self._ids.searchsorted(pool.species),
            pool.n_connections,
            SpeciesHistory(self._best, self._improved, self._generation, self._champion_improved),
            n,
            self._parameters,
            np.array([rng.bit_generator.random_raw()], np.uint64),
        )
        return BreedingPlan(*plan)

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        """Put the children into species; they replace all but the elites."""
        old, new = pool.fitness, brood.fitness
        before = self._ids.searchsorted(pool.species)
        restart = self._settings.restart
        spent = int(brood.n_evaluations.sum()) if restart else 0
        if self._anew:
            index = len(pool) + np.arange(len(brood))
        else:
            spent += self._spent
            index = select_generation(
                old, new, self._ranking, self._settings.population, self._parameters
            )
        self._spent, self._anew = spent, 0 < restart <= spent
        position = np.concatenate((before, self._assign(pool, brood)))[index]
        species = self._ids[position]
        self._update(position, np.concatenate((old, new))[index])
        return Survivors(index, columns={"species": species})

    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        """Return the ``n`` best members."""
        del rng
        return np.argsort(-ranking_fitness(pool.fitness), kind="stable")[:n]

    def state(self) -> State:
        """Return what the strategy remembers."""
        return {
            "threshold": self._threshold,
            "generation": self._generation,
            "next_species": self._next_species,
            "ids": self._ids,
            "best": self._best,
            "improved": self._improved,
            "champion": self._champion,
            "champion_improved": self._champion_improved,
            "spent": self._spent,
            "anew": self._anew,
            "order": self._ranking.order,
            "starts": self._ranking.starts,
            "representatives": self._representatives,
        }

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._threshold = cast(float, state["threshold"])
        self._generation = cast(int, state["generation"])
        self._next_species = cast(int, state["next_species"])
        self._ids = cast(Int, state["ids"])
        self._best = cast(Float, state["best"])
        self._improved = cast(Int, state["improved"])
        self._champion = cast(float, state["champion"])
        self._champion_improved = cast(int, state["champion_improved"])
        self._spent, self._anew = cast(int, state["spent"]), cast(bool, state["anew"])
        self._ranking = Ranking(cast(Int, state["order"]), cast(Int, state["starts"]))
        self._representatives = cast(Int, state["representatives"])

    def max_bytes(self, n_values: int) -> int:
        """Return 0: nothing that grows with genomes or generations."""
        del n_values
        return 0

    def metrics(self) -> Mapping[str, float]:
        """Return the number of species and the threshold that tells them apart."""
        return {"n_species": float(self._ids.size), "threshold": self._threshold}

    def _assign(self, pool: PoolView, brood: BroodView) -> Int:
        """Return the position of each child's species, founding new ones."""
        if not self._settings.speciation:
            if self._ids.size == 0:
                self._found(1)
            return np.zeros(len(brood), np.int64)
        position, founders = assign_species(
            pool.pool,
            brood.blocks,
            pool.blocks[self._representatives],
            self._threshold,
            self._max_species,
            self._coefficients,
        )
        self._found(founders.size)
        return position

    def _found(self, n: int) -> None:
        if n:
            self._ids = np.concatenate((self._ids, self._next_species + np.arange(n)))
            self._best = np.concatenate((self._best, np.full(n, -np.inf)))
            self._improved = np.concatenate((self._improved, np.full(n, self._generation)))
            self._next_species += n

    def _update(self, position: Int, fitness: Float) -> None:
        """Note who improved, forget the extinct, and steer the threshold."""
        self._generation += 1
        self._best, self._improved = self._best.copy(), self._improved.copy()  # may be a state's
        alive, champion = follow_species(
            position, fitness, self._generation, self._best, self._improved
        )
        if np.count_nonzero(alive) < alive.size:
            self._ids, self._best = self._ids[alive], self._best[alive]
            self._improved = self._improved[alive]
        if champion > self._champion:
            self._champion, self._champion_improved = champion, self._generation
        if self._target and self._settings.speciation:
            if self._ids.size > self._target:
                self._threshold *= self._factor
            elif self._ids.size < self._target:
                self._threshold = max(self._threshold / self._factor, _MIN_THRESHOLD)


def ranking_fitness(fitness: Float) -> Float:
    """Return fitness with failures (NaN) as -inf, so that they rank last."""
    return np.where(np.isnan(fitness), -np.inf, fitness)
