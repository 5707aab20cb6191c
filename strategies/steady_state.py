"""Steady state: a child at a time takes somebody's place, and nobody waits for the slowest.

Source: Stanley, Bryant & Miikkulainen, "Real-time neuroevolution in the NERO video game" (2005): species are chosen
by their mean fitness, and who is worst once fitness is shared among its species has to go. The window that keeps it
deterministic with any number of workers is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, cast

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike
from pydantic import BaseModel, Field

from tweann.config.sections import Rate, Section
from tweann.genes import Float, Int, Operator
from tweann.interfaces import BreedingPlan, State, StrategyContext, Survivors
from tweann.kernels.distance import DistanceCoefficients
from tweann.kernels.neat import above_least, follow_species
from tweann.pool import BroodView, PoolView
from tweann.species import assign_species

#: The threshold would sink for ever where genomes are too few, or too alike, for the species wanted.
_MIN_THRESHOLD: Final = 1e-6

_MUTATE, _CROSSOVER_MUTATE = int(Operator.MUTATE), int(Operator.CROSSOVER_MUTATE)


class SteadyStateSettings(Section):
    """Settings of strategy ``steady-state``."""

    population: int = Field(150, ge=1, description="Members, and evaluations a generation.")
    survival: float = Field(0.2, gt=0, le=1, description="Share of a species that breeds.")
    crossover_rate: Rate = Field(0.75, description="Share of children with two parents.")
    speciation: bool = Field(
        True, description="False: the whole population is one species, and fitness is not shared."
    )
    victim: Literal["worst", "oldest", "random", "tournament"] = Field(
        "worst",
        description="Whose place a child takes: the worst member's by shared fitness, the oldest's, a random one's, "
        "or the loser's of a tournament. The best member by fitness is never a victim.",
    )
    tournament_size: int = Field(3, ge=1, description="Contestants of that tournament.")
    only_better: bool = Field(
        False, description="A child whose fitness is below its victim's takes no place."
    )
    lifespan: int = Field(
        150,
        ge=0,
        description="Evaluations after which a member, the best aside, is a victim whatever its fitness; 0: never.",
    )
    stagnation: int = Field(
        2250,
        ge=0,
        description="Evaluations without a better best after which a species breeds no more, unless it has the best "
        "of all; 0: never.",
    )
    batch: int = Field(
        1,
        ge=1,
        description="Children bred and told together. More go faster where an evaluation takes less than a "
        "millisecond.",
    )
    window: int = Field(
        16,
        ge=1,
        description="Batches under way at once: batch n is bred when those up to n - window have been told. It "
        "decides what the run finds; the number of workers does not.",
    )
    order: Literal["birth", "arrival"] = Field(
        "birth",
        description="Children are told in the order of birth, which repeats, or as they arrive, which keeps every "
        "worker busy and does not repeat.",
    )


class SteadyState:
    """Strategy ``steady-state``."""

    Settings: ClassVar[type[BaseModel]] = SteadyStateSettings
    columns: ClassVar[Mapping[str, DTypeLike]] = {}

    def __init__(self, settings: SteadyStateSettings, context: StrategyContext) -> None:
        self._settings, self._species = settings, context.species
        #: Rows, and children of a batch, at most.
        self.max_rows, self.max_children = settings.population, settings.batch
        c = context.species
        self._coefficients = DistanceCoefficients(c.c1, c.c3, c.small_genome)
        self.window: int = settings.window
        self.in_birth_order: bool = settings.order == "birth"
        self._asked = 0  # children asked for so far
        self._told = 0
        self._replaced = 0  # members that had to go
        self._seed = 0  # of the draws in `tell`
        self._next_species = 0
        self._ids: Int = np.zeros(0, np.int64)  # species alive, oldest first
        self._best: Float = np.zeros(0)  # best fitness that each ever had
        self._improved: Int = np.zeros(0, np.int64)  # evaluations told when it had it first
        self._threshold = context.species.threshold

    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        """Return a plan for the next batch: fresh genomes until the population is full."""
        s = self._settings
        fresh = s.population - self._asked
        n = min(n, s.batch, fresh) if fresh > 0 else min(n, s.batch)
        self._asked += n
        self._seed = int(rng.integers(2**63))
        if fresh > 0 or len(pool) == 0:
            return BreedingPlan.fresh(n)
        fitness = _known(pool.fitness)
        a, b = self._parents(pool, fitness, n, rng)
        crossed = (rng.random(n) < s.crossover_rate) & (a != b)
        size = pool.n_connections
        swap = (fitness[b] > fitness[a]) | ((fitness[b] == fitness[a]) & (size[b] < size[a]))
        swap &= crossed
        return BreedingPlan(
            np.where(crossed, _CROSSOVER_MUTATE, _MUTATE).astype(np.uint8),
            np.where(swap, b, a),
            np.where(crossed, np.where(swap, a, b), -1),
        )

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        """Let each child in turn take a place: a free one, or its victim's."""
        n_old = len(pool)
        fitness = _known(np.concatenate((pool.fitness, brood.fitness)))
        born = np.concatenate((pool.id, brood.id))
        species = np.concatenate((pool.species, self._assign(pool, brood)))
        rng = np.random.Generator(np.random.Philox(key=[self._seed, self._told]))
        living = np.arange(n_old)
        for child in range(n_old, n_old + len(brood)):
            self._told += 1
            if living.size < self._settings.population:
                living = np.append(living, child)
                continue
            place = self._victim(living, fitness, born, species, child, rng)
            if place >= 0:
                living[place] = child  # in the victim's row: the others keep theirs
                self._replaced += 1
        species = species[living]
        self._follow(species, fitness[living])
        return Survivors(living, columns={"species": species})

    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        """Return the ``n`` best members."""
        del rng
        return np.argsort(-_known(pool.fitness), kind="stable")[:n]

    def state(self) -> State:
        """Return what the strategy remembers."""
        return {
            "asked": self._asked,
            "told": self._told,
            "replaced": self._replaced,
            "seed": self._seed,
            "next_species": self._next_species,
            "ids": self._ids,
            "best": self._best,
            "improved": self._improved,
            "threshold": self._threshold,
        }

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._asked, self._told = cast(int, state["asked"]), cast(int, state["told"])
        self._replaced, self._seed = cast(int, state["replaced"]), cast(int, state["seed"])
        self._next_species = cast(int, state["next_species"])
        self._ids, self._best = cast(Int, state["ids"]), cast(Float, state["best"])
        self._improved = cast(Int, state["improved"])
        self._threshold = cast(float, state["threshold"])

    def max_bytes(self, n_values: int) -> int:
        """Return 0: nothing that grows with genomes or generations."""
        del n_values
        return 0

    def metrics(self) -> Mapping[str, float]:
        """Return how many children have taken somebody's place, the number of species and their threshold."""
        return {
            "n_replaced": float(self._replaced),
            "n_species": float(self._ids.size),
            "threshold": self._threshold,
        }

    # ------------------------------------------------------------------ breeding

    def _parents(self, pool: PoolView, fitness: Float, n: int, rng: Generator) -> tuple[Int, Int]:
        """Return two parents of one species for each child, species drawn in proportion to their mean fitness."""
        order = np.lexsort((-fitness, pool.species))
        _, starts, sizes = np.unique(pool.species[order], return_index=True, return_counts=True)
        may_breed = self._told - self._improved <= (self._settings.stagnation or np.inf)
        may_breed[np.argmax(self._best)] = True
        shares = np.add.reduceat(_above_least(fitness)[order], starts) / sizes * may_breed
        shares = shares if shares.any() else may_breed.astype(np.float64)
        limits = np.cumsum(shares)
        chosen = np.searchsorted(limits, rng.random(n) * limits[-1], side="right")
        chosen = np.minimum(chosen, sizes.size - 1)  # a draw may round up to the whole
        breeders = np.ceil(self._settings.survival * sizes[chosen])
        ranks = (rng.random((2, n)) * breeders).astype(np.int64)
        parents: Int = order[starts[chosen] + ranks]
        return parents[0], parents[1]

    # ------------------------------------------------------------------ survival

    def _assign(self, pool: PoolView, brood: BroodView) -> Int:
        """Return the species of each child: that of the first kind whose oldest member it resembles, or a new one."""
        if not self._settings.speciation:
            return np.zeros(len(brood), np.int64)
        order = np.lexsort((pool.id, pool.species))
        starts = np.searchsorted(pool.species[order], self._ids)
        position, founders = assign_species(
            pool.pool,
            brood.blocks,
            pool.blocks[order[starts]],
            self._threshold,
            self._species.max_species,
            self._coefficients,
        )
        new = self._next_species + np.arange(founders.size)
        self._next_species += founders.size
        return np.concatenate((self._ids, new))[position]

    def _follow(self, species: Int, fitness: Float) -> None:
        """Note which species there are and how they do, and move the threshold toward the number wanted."""
        ids, which = np.unique(species, return_inverse=True)
        known = np.searchsorted(self._ids, ids)
        old = known < self._ids.size
        old[old] = self._ids[known[old]] == ids[old]
        best, improved = np.full(ids.size, -np.inf), np.full(ids.size, self._told)
        best[old], improved[old] = self._best[known[old]], self._improved[known[old]]
        follow_species(which.astype(np.int64), fitness, self._told, best, improved)
        self._ids, self._best, self._improved = ids, best, improved
        target, factor = self._species.target, self._species.threshold_factor
        if not target or not self._settings.speciation:
            return
        # a batch's share of what the factor does in a generation
        step = factor ** min(self._settings.batch / self._settings.population, 1.0)
        if ids.size > target:
            self._threshold *= step
        elif ids.size < target:
            self._threshold = max(self._threshold / step, _MIN_THRESHOLD)

    def _has_expired(self, born: int) -> bool:
        lifespan = self._settings.lifespan
        return lifespan > 0 and self._told - int(born) > lifespan

    def _victim(
        self, living: Int, fitness: Float, born: Int, species: Int, child: int, rng: Generator
    ) -> int:
        """Return the place in ``living`` that ``child`` may take, or -1."""
        values, births = fitness[living], born[living]
        rest = np.delete(np.arange(living.size), np.argmax(values))
        if rest.size == 0:  # a population of one: the better stays, of equals the child
            return 0 if fitness[child] >= values[0] else -1
        oldest = int(rest[np.argmin(births[rest])])
        if self._has_expired(births[oldest]):
            return oldest
        kind = self._settings.victim
        if kind == "oldest":
            chosen = oldest
        elif kind == "random":
            chosen = int(rest[rng.integers(rest.size)])
        else:
            everybody = np.append(living, child)
            _, which, sizes = np.unique(species[everybody], return_inverse=True, return_counts=True)
            shared = (_above_least(fitness[everybody]) / sizes[which])[:-1]
            if kind == "tournament":
                rest = rest[rng.integers(rest.size, size=self._settings.tournament_size)]
            # of equals by shared fitness the worse, then the older
            chosen = int(rest[np.lexsort((births[rest], values[rest], shared[rest]))[0]])
        if self._settings.only_better and fitness[child] < values[chosen]:
            return -1
        return chosen


def _known(fitness: Float) -> Float:
    """Return fitness with failures (NaN) as -inf, so that they rank last."""
    return np.where(np.isnan(fitness), -np.inf, fitness)


def _above_least(fitness: Float) -> Float:
    out = np.empty(fitness.size)
    above_least(fitness, out)
    return out
