"""NEAT, generation by generation: species, fitness sharing, elites, stagnation.

Source: Stanley & Miikkulainen, "Evolving neural networks through augmenting topologies" (2002), and the program
published with it. Elites stay with the fitness that they have, so each generation's evaluations all
go to new genomes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, NamedTuple, cast

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike
from pydantic import BaseModel, Field

from tweann.config.sections import Rate, Section
from tweann.genes import Bool, Float, Int, Operator
from tweann.interfaces import BreedingPlan, State, StrategyContext, Survivors
from tweann.kernels.distance import DistanceCoefficients
from tweann.pool import BroodView, PoolView
from tweann.species import assign_species

#: A population of such fitness adds up to less than the largest float.
_LARGE: Final = 1e290
#: The threshold would sink for ever where genomes are too few, or too alike, for the species wanted.
_MIN_THRESHOLD: Final = 1e-6

_MUTATE, _CROSSOVER = np.uint8(Operator.MUTATE), np.uint8(Operator.CROSSOVER)
_CROSSOVER_MUTATE = np.uint8(Operator.CROSSOVER_MUTATE)


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
    speciation: bool = Field(True, description="False: the whole population is one species.")


class Ranking(NamedTuple):
    """Rows by species, best first."""

    order: Int  #: (n,) rows
    starts: Int  #: (m,) where in ``order`` each species begins
    sizes: Int  #: (m,)

    @classmethod
    def of(cls, species: Int, fitness: Float) -> Ranking:
        """Rank rows of the given species, (n,), and fitness, (n,) without NaN."""
        order = np.lexsort((-fitness, species))
        ranked = species[order]
        bounds = np.empty(order.size + 1, np.bool_)
        bounds[0] = bounds[-1] = True
        np.not_equal(ranked[1:], ranked[:-1], out=bounds[1:-1])
        edges = bounds.nonzero()[0]
        return cls(order, edges[:-1], edges[1:] - edges[:-1])


class Generational:
    """Strategy ``generational``."""

    Settings: ClassVar[type[BaseModel]] = GenerationalSettings
    columns: ClassVar[Mapping[str, DTypeLike]] = {}

    def __init__(self, settings: GenerationalSettings, context: StrategyContext) -> None:
        self._settings = settings
        species = context.species
        self._target, self._factor = species.target, species.threshold_factor
        self._max_species = species.max_species
        self._coefficients = DistanceCoefficients(species.c1, species.c3, species.small_genome)
        self._threshold = species.threshold
        self._generation = 0
        self._next_species = 0
        self._ids: Int = np.zeros(0, np.int64)  # species alive, oldest first
        self._best: Float = np.zeros(0)  # best fitness that each ever had
        self._improved: Int = np.zeros(0, np.int64)  # when it had it first
        self._champion, self._champion_improved = -np.inf, 0
        # Made in `ask` for `tell`: between the two the pool's rows stay as they are.
        self._ranking = Ranking(*(np.zeros(0, np.int64),) * 3)
        self._representatives: Int = np.zeros(0, np.int64)  # rows, one a species

    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        """Return a plan for ``population`` children, shared out among species by their fitness."""
        n = min(n, self._settings.population)
        if len(pool) == 0:
            return BreedingPlan.fresh(n)
        fitness = ranking_fitness(pool.fitness)
        self._ranking = order, starts, sizes = Ranking.of(pool.species, fitness)
        self._representatives = order[starts + (rng.random(sizes.size) * sizes).astype(np.int64)]
        shifted = above_least(pool.fitness)
        may_breed = self._may_breed()
        shares = np.where(may_breed, np.add.reduceat(shifted[order], starts) / sizes, 0.0)
        counts = share_out(shares if shares.any() else may_breed.astype(np.float64), n)
        species = np.repeat(np.arange(sizes.size), counts)
        parents = self._choose(np.tile(species, 2), order, starts, sizes, shifted, rng)
        a, b = parents[:n], parents[n:]
        chance = rng.random((3, n))
        elsewhere = chance[0] < self._settings.interspecies_rate
        if sizes.size > 1 and elsewhere.any():
            other = rng.integers(0, sizes.size - 1, int(elsewhere.sum()))
            other += other >= species[elsewhere]
            b[elsewhere] = order[starts[other]]
        crossover = (chance[1] < self._settings.crossover_rate) & (a != b)
        mutated = chance[2] < self._settings.crossover_mutate_rate
        operator = np.where(crossover, np.where(mutated, _CROSSOVER_MUTATE, _CROSSOVER), _MUTATE)
        # dominant: the fitter, of equals the smaller
        size = pool.n_connections
        swap = (fitness[b] > fitness[a]) | ((fitness[b] == fitness[a]) & (size[b] < size[a]))
        swap &= crossover
        return BreedingPlan(
            operator, np.where(swap, b, a), np.where(crossover, np.where(swap, a, b), -1)
        )

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        """Put the children into species; they replace all but the elites."""
        n_old, n_new = len(pool), len(brood)
        fitness = ranking_fitness(np.concatenate((pool.fitness, brood.fitness)))
        elites = self._elites(fitness[:n_old])
        children = n_old + np.arange(n_new)
        excess = elites.size + n_new - self._settings.population
        if self._settings.population == 1:  # no room for both: the better one, of equals the child
            best = np.append(children, elites)
            index = best[[np.argmax(fitness[best])]]
            elites, children = index[index < n_old], index[index >= n_old]
        elif excess > 0:  # the worst children make room for elites, the later first among equals
            rank = np.argsort(-fitness[children], kind="stable")
            children = np.sort(children[rank[: n_new - excess]])
        index = np.concatenate((elites, children))
        species = np.concatenate((pool.species, self._assign(pool, brood)))[index]
        self._generation += 1
        self._update(species, fitness[index])
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

    def metrics(self) -> Mapping[str, float]:
        """Return the number of species and the threshold that tells them apart."""
        return {"n_species": float(self._ids.size), "threshold": self._threshold}

    # ------------------------------------------------------------------ breeding

    def _may_breed(self) -> Bool:
        """Return which species breed: neither stagnant, nor, in a stagnant population, beyond the second."""
        may = np.ones(self._ids.size, np.bool_)
        if self._settings.stagnation:
            may = self._generation - self._improved <= self._settings.stagnation
        limit = self._settings.population_stagnation
        best = np.argsort(-self._best, kind="stable")
        if limit and self._generation - self._champion_improved > limit:
            may = np.zeros(self._ids.size, np.bool_)
            may[best[:2]] = True
        may[best[0]] = True
        return may

    def _choose(
        self, species: Int, order: Int, starts: Int, sizes: Int, shifted: Float, rng: Generator
    ) -> Int:
        """Return a parent for each child, given the child's species."""
        size, start = sizes[species], starts[species]
        if self._settings.selection == "truncation":
            breeders = np.ceil(self._settings.survival * size)
            rank = (rng.random(species.size) * breeders).astype(np.int64)
        elif self._settings.selection == "tournament":
            draws = rng.random((self._settings.tournament_size, species.size))
            rank = (draws * size).astype(np.int64).min(axis=0)
        else:
            # a little more than 0 each, so that the worst can be drawn and a species of equals breeds
            weight = shifted[order] + 1e-9 * (shifted.max() or 1.0)
            total = np.concatenate(([0.0], np.cumsum(weight)))
            low, high = total[start], total[start + size]
            point = low + rng.random(species.size) * (high - low)
            rank = np.clip(np.searchsorted(total, point, side="right") - 1 - start, 0, size - 1)
        parents: Int = order[start + rank]
        return parents

    # ------------------------------------------------------------------ survival

    def _elites(self, fitness: Float) -> Int:
        """Return the rows that stay: the best of each large species, and the best of all."""
        if fitness.size == 0 or self._settings.elitism == 0:
            return np.zeros(0, np.int64)
        order, starts, sizes = self._ranking
        rank = np.arange(order.size) - np.repeat(starts, sizes)
        large = np.repeat(sizes >= self._settings.elitism_min_size, sizes)
        stays = np.zeros(fitness.size, np.bool_)
        stays[order[large & (rank < self._settings.elitism)]] = True
        stays[np.argmax(fitness)] = True
        elites = np.flatnonzero(stays)
        # with many species elites must not crowd out the children
        room = max(1, self._settings.population // 2)
        if elites.size > room:
            elites = np.sort(elites[np.argsort(-fitness[elites], kind="stable")[:room]])
        return elites

    def _assign(self, pool: PoolView, brood: BroodView) -> Int:
        """Return the species of each child, founding new ones."""
        if not self._settings.speciation:
            if self._ids.size == 0:
                self._found(1)
            return np.full(len(brood), self._ids[0], np.int64)
        position, founders = assign_species(
            pool.pool,
            brood.blocks,
            pool.blocks[self._representatives],
            self._threshold,
            self._max_species,
            self._coefficients,
        )
        self._found(founders.size)
        return self._ids[position]

    def _found(self, n: int) -> None:
        self._ids = np.concatenate((self._ids, self._next_species + np.arange(n)))
        self._best = np.concatenate((self._best, np.full(n, -np.inf)))
        self._improved = np.concatenate((self._improved, np.full(n, self._generation)))
        self._next_species += n

    def _update(self, species: Int, fitness: Float) -> None:
        """Note who improved, forget the extinct, and steer the threshold."""
        position = np.searchsorted(self._ids, species)
        best = np.full(self._ids.size, -np.inf)
        np.maximum.at(best, position, fitness)
        better = best > self._best
        self._best = np.where(better, best, self._best)
        self._improved = np.where(better, self._generation, self._improved)
        alive = np.zeros(self._ids.size, np.bool_)
        alive[position] = True
        self._ids, self._best = self._ids[alive], self._best[alive]
        self._improved = self._improved[alive]
        champion = float(fitness.max(initial=-np.inf))
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


def above_least(fitness: Float) -> Float:
    """Return by how much each fitness is above the least finite one, >= 0; failures (NaN) count as that one.

    Scaled down where the sum would overflow.
    """
    known = np.flatnonzero(~np.isnan(fitness))
    shifted = np.zeros(fitness.size)
    if known.size:
        values = fitness[known]
        if np.abs(values).max() > _LARGE:
            values = values / _LARGE
        shifted[known] = values - values.min()
    return shifted


def share_out(shares: Float, n: int) -> Int:
    """Return whole numbers that sum to ``n``, in proportion to ``shares`` (m,) >= 0; evenly if all are 0.

    By largest remainder; of equals the first.
    """
    total = shares.sum()
    exact = (shares / total if total > 0.0 else np.full(shares.size, 1.0 / shares.size)) * n
    counts: Int = np.floor(exact).astype(np.int64)
    rest = np.argsort(counts - exact, kind="stable")[: n - int(counts.sum())]
    counts[rest] += 1
    return counts
