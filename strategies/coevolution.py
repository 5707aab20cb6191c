"""Competitive coevolution: NEAT whose genomes play against an archive of earlier ones.

The best of each generation enters the archive, which is bounded, and each generation plays against a sample of it: a
hall of fame (Rosin & Belew, "New methods for competitive coevolution", Evolutionary Computation 5:1, 1997). Players in
the archive have an Elo rating; the fitness of a child is the rating that its scores against them show.

Ratings of different generations are measured against different opponents. So nobody keeps a rating: the best of a
generation are cloned into the next brood, where they play again, against the same opponents as all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, cast

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import DTypeLike
from pydantic import BaseModel, Field

from tweann.genes import Bool, Float, Int, Operator, Role, UInt8
from tweann.interfaces import BreedingPlan, State, StrategyContext, Survivors
from tweann.kernels.elo import FIRST_RATING, update_ratings
from tweann.pool import BroodView, PoolView
from tweann.strategies.generational import Generational, GenerationalSettings, ranking_fitness

_MEMBER, _OPPONENT = int(Role.MEMBER), int(Role.OPPONENT)
_CLONE = int(Operator.CLONE)


class CoevolutionSettings(GenerationalSettings):
    """Settings of strategy ``coevolution``: those of ``generational``, and of the archive."""

    elitism: int = Field(
        0, ge=0, description="Best members of a large species that stay with the rating they have."
    )
    stagnation: int = Field(
        0,
        ge=0,
        description="Generations without a better best after which a species breeds no more; 0: never.",
    )
    population_stagnation: int = Field(
        0,
        ge=0,
        description="Generations without a better champion after which only the two best species "
        "breed; 0: never.",
    )
    archive: int = Field(
        100, ge=1, le=1_000_000, description="Cap on the archived players; the titleholder is one."
    )
    eviction: Literal["oldest", "weakest", "random"] = Field(
        "random",
        description="Who leaves a full archive: the first born, the lowest rated, or anybody; never the titleholder.",
    )
    k_factor: float = Field(
        32.0,
        ge=0,
        description="Points by which an archived player's rating moves, at most, in a generation.",
    )
    clones: int = Field(
        5,
        ge=1,
        description="Children of a brood that are copies of the best: the titleholder, then members. They play again.",
    )


class Coevolution:
    """Strategy ``coevolution``. For a task of one player it is NEAT with a hall of fame."""

    Settings: ClassVar[type[BaseModel]] = CoevolutionSettings
    columns: ClassVar[Mapping[str, DTypeLike]] = {"rating": np.float64}

    def __init__(self, settings: CoevolutionSettings, context: StrategyContext) -> None:
        self._settings = settings
        self._base = Generational(settings, context)
        self._plays = context.task.n_players > 1
        self._n_opponents = max(context.task.n_objectives, 1)
        self._episodes = context.task.episodes
        self._holder = -1  # row of the titleholder; -1: there is none
        self._met: Int = np.zeros(0, np.int64)  # rows that the next brood plays against
        self._draw = 0  # what chance in `tell` comes from, drawn in `ask`
        self._matches = 0
        self._best, self._mean, self._size = FIRST_RATING, FIRST_RATING, 0
        #: Rows, at most.
        self.max_rows = settings.population + settings.archive

    def opponents(self, pool: PoolView) -> tuple[Int, Float]:
        """Return whom the next children play against, and their ratings."""
        return self._met, pool["rating"][self._met]

    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        """Return clones of the best, and what NEAT asks for."""
        self._draw = int(rng.integers(2**63 - 1))
        n = min(n, self._settings.population)
        members = pool.members
        clones = self._originals(pool, members, min(self._settings.clones, n // 2))
        plan = self._base.ask(pool.part(members), n - clones.size, rng)
        homes = np.append(members, -1)  # -1, no parent, indexes the -1 at the end
        return BreedingPlan(
            np.concatenate((np.full(clones.size, _CLONE, np.uint8), plan.operator)),
            np.concatenate((clones, homes[plan.parent_a])),
            np.concatenate((np.full(clones.size, -1), homes[plan.parent_b])),
        )

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        """Let NEAT select, rate the archive anew, and let the best child enter it."""
        members, n, total = pool.members, len(pool), len(pool) + len(brood)
        found = self._base.tell(pool.part(members), brood)
        kept = np.concatenate((members, np.arange(n, total)))[found.index]
        rating = np.concatenate((pool["rating"], np.nan_to_num(brood.fitness, nan=FIRST_RATING)))
        self._rate(brood, rating)
        archived: Bool = np.zeros(total, np.bool_)
        archived[:n] = pool.role & _OPPONENT != 0
        entrants, holder = self._entrants(pool, brood)
        archived[entrants] = True
        age = np.concatenate((pool.id, brood.id))
        self._evict(archived, entrants, holder, age, rating)
        stays = archived.copy()
        stays[kept] = False
        index = np.concatenate((kept, stays.nonzero()[0]))
        role: UInt8 = np.full(index.size, _OPPONENT, np.uint8)
        role[: kept.size] = np.where(archived[kept], _MEMBER | _OPPONENT, _MEMBER)
        species = np.full(index.size, -1)
        species[: kept.size] = found.columns["species"]
        self._holder = int((index == holder).nonzero()[0][0]) if holder >= 0 else -1
        newest = (np.isin(index, entrants) & archived[index]).nonzero()[0]
        self._met = self._sample((role & _OPPONENT).nonzero()[0], newest)
        self._size = int(archived.sum())
        if self._size:
            self._best, self._mean = float(rating[archived].max()), float(rating[archived].mean())
        return Survivors(index, role, {"species": species, "rating": rating[index]})

    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        """Return the ``n`` best members."""
        del rng
        members = pool.members
        return members[np.argsort(-ranking_fitness(pool.fitness[members]), kind="stable")[:n]]

    def state(self) -> State:
        """Return what the strategy remembers."""
        own: dict[str, Float | Int | float | int | str | bool] = {
            "holder": self._holder,
            "met": self._met,
            "draw": self._draw,
            "matches": self._matches,
            "best": self._best,
            "mean": self._mean,
            "size": self._size,
        }
        return own | {f"base_{key}": value for key, value in self._base.state().items()}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._holder, self._met = cast(int, state["holder"]), cast(Int, state["met"])
        self._draw, self._matches = cast(int, state["draw"]), cast(int, state["matches"])
        self._best, self._mean = cast(float, state["best"]), cast(float, state["mean"])
        self._size = cast(int, state["size"])
        self._base.restore(
            {k.removeprefix("base_"): v for k, v in state.items() if k.startswith("base_")}
        )

    def max_bytes(self, n_values: int) -> int:
        """Return what the strategy that breeds holds; the archive is rows of the pool."""
        return self._base.max_bytes(n_values)

    def metrics(self) -> Mapping[str, float]:
        """Return the archive's size and ratings, the matches played, and the metrics of NEAT."""
        return {
            "archive": float(self._size),
            "rating_best": self._best,
            "rating_mean": self._mean,
            "matches": float(self._matches),
            **self._base.metrics(),
        }

    def _originals(self, pool: PoolView, members: Int, n: int) -> Int:
        """Return up to ``n`` rows to be cloned: the titleholder, then the best members that are no copy of it."""
        if self._holder < 0 or n == 0:
            return np.zeros(0, np.int64)
        holder = pool.id[self._holder]
        same = (pool.id == holder) | ((pool.parent_a == holder) & (pool.operator == _CLONE))
        others = members[~same[members] & np.isfinite(pool.fitness[members])]
        best = others[np.argsort(-pool.fitness[others], kind="stable")[: n - 1]]
        return np.concatenate((np.array([self._holder]), best))

    def _rate(self, brood: BroodView, rating: Float) -> None:
        """Count the matches, and change the ratings, (n,) of pool and brood, of those who were played against."""
        if not self._plays or len(brood) == 0:
            return
        bootstrap = self._met.size == 0
        met = min(self._n_opponents, len(brood)) if bootstrap else self._met.size
        self._matches += int(brood.n_evaluations.sum()) * met * 2 * self._episodes
        if not bootstrap:
            ratings = rating[self._met]
            scores = np.ascontiguousarray(brood.objectives)
            update_ratings(scores, brood.fitness.copy(), self._settings.k_factor, ratings)
            rating[self._met] = ratings

    def _entrants(self, pool: PoolView, brood: BroodView) -> tuple[Int, int]:
        """Return who enters the archive, and who now holds the title, counted on from the pool's rows.

        Into an empty archive the first of the brood enter, too, so that the second generation has opponents.
        """
        fitness = ranking_fitness(brood.fitness)
        nobody = np.zeros(0, np.int64)
        if not np.isfinite(fitness).any():
            return nobody, self._holder
        n, k = len(pool), int(np.argmax(fitness))
        archived = (pool.role & _OPPONENT).nonzero()[0]
        ids = pool.id[archived]
        copies = (brood.operator == _CLONE) & np.isin(brood.parent_a, ids)
        holder = n + k
        if copies[k]:
            holder = int(archived[(ids == brood.parent_a[k]).nonzero()[0][0]])
        new = (~copies & np.isfinite(fitness)).nonzero()[0]
        if new.size == 0:
            return nobody, holder
        best = new[np.argsort(-fitness[new], kind="stable")[:1]]
        if archived.size == 0:
            best = np.concatenate((best, new[new != best[0]][: self._n_opponents - 1]))
        return n + best, holder

    def _evict(self, archived: Bool, entrants: Int, holder: int, age: Int, rating: Float) -> None:
        """Take out of the archive, (n,) marks over pool and brood, as many as are too many."""
        excess = int(archived.sum()) - self._settings.archive
        if excess <= 0:
            return
        candidates = archived.nonzero()[0]
        candidates = candidates[candidates != holder]
        if self._settings.eviction == "oldest":
            order = age[candidates].astype(np.float64)
        elif self._settings.eviction == "weakest":
            order = rating[candidates]
        else:
            order = Generator(Philox(key=self._draw)).random(candidates.size)
        late = np.isin(candidates, entrants)
        archived[candidates[np.lexsort((order, late))[:excess]]] = False

    def _sample(self, rows: Int, newest: Int) -> Int:
        """Return rows of the archive to play against: the titleholder, the newest, and others by chance."""
        if rows.size <= self._n_opponents:
            return rows
        first = np.unique(np.append(newest, self._holder))[-self._n_opponents :]
        others = rows[~np.isin(rows, first)]
        rng = Generator(Philox(key=self._draw + 1))
        chosen = rng.permutation(others)[: self._n_opponents - first.size]
        return np.sort(np.concatenate((first, chosen)))
