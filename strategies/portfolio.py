"""A portfolio: racing, memetic search and plain NEAT share a run's evaluations by their progress.

Nobody has to know beforehand which of them suits a task. Each *arm* is a strategy with individuals of its own, and at
each ask one of them has its turn: the one that is furthest behind its share of the evaluations. The arm with the largest
share has a head start. Shares start from the settings' and follow progress: an arm's weight halves for every ``half_life``
evaluations that it has used since its best individual was last surpassed, so what has come to a stand makes room for
the others; no share sinks below ``least_share``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, cast

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike
from pydantic import BaseModel, Field, model_validator

from tweann.config.sections import Section
from tweann.genes import Float, Int
from tweann.interfaces import BreedingPlan, State, Strategy, StrategyContext, Survivors
from tweann.pool import BroodView, PoolView
from tweann.strategies.generational import Generational, GenerationalSettings
from tweann.strategies.racing import Racing, RacingSettings

#: The arms, in the order of the settings' shares; positions are the values of the column ``arm``.
ARMS: Final = ("racing", "memetic", "neat")
_MEMETIC: Final = ARMS.index("memetic")


class Shares(Section):
    """Shares of the evaluations at the start; their sum counts as 1."""

    racing: float = Field(0.8, ge=0, description="Share of `racing`.")
    memetic: float = Field(0.1, ge=0, description="Share of the memetic arm.")
    neat: float = Field(0.1, ge=0, description="Share of plain NEAT.")

    @model_validator(mode="after")
    def _some(self) -> Shares:
        if self.racing + self.memetic + self.neat <= 0:
            raise ValueError("expected at least one share above 0")
        return self


class PortfolioSettings(Section):
    """Settings of strategy ``portfolio``. The memetic arm is one only if `[tuning]` says how its genomes are tuned."""

    population: int = Field(150, ge=4, description="Children a generation, at most.")
    shares: Shares = Field(Shares(), description="Shares of the evaluations at the start.")
    head_start: int = Field(
        1000,
        ge=0,
        description="Evaluations of the arm with the largest share before another has a turn.",
    )
    least_share: float = Field(0.05, ge=0, le=1 / 3, description="No arm's share sinks below it.")
    half_life: int = Field(
        2000,
        ge=1,
        description="Evaluations of an arm without a better best that halve its weight.",
    )
    racing: RacingSettings = Field(RacingSettings(), description="Settings of the racing arm.")
    memetic: GenerationalSettings = Field(
        GenerationalSettings(population=10, restart=2000),
        description="Settings of the memetic arm: a small NEAT whose genomes are tuned.",
    )
    neat: GenerationalSettings = Field(
        GenerationalSettings(), description="Settings of plain NEAT, whose genomes are not tuned."
    )


class Portfolio:
    """A strategy: three strategies that share the evaluations by progress."""

    Settings: ClassVar[type[BaseModel]] = PortfolioSettings
    columns: ClassVar[Mapping[str, DTypeLike]] = {"arm": np.int64}

    def __init__(self, settings: PortfolioSettings, context: StrategyContext) -> None:
        self._settings = settings
        self._arms: tuple[Strategy, ...] = (
            Racing(settings.racing, context),
            Generational(settings.memetic, context),
            Generational(settings.neat, context),
        )
        given = np.array([getattr(settings.shares, name) for name in ARMS])
        self._priors: Float = given / given.sum()
        self._spent = np.zeros(len(ARMS), np.int64)
        self._idle = np.zeros(len(ARMS), np.int64)  # evaluations since its best was surpassed
        self._best = np.full(len(ARMS), -np.inf)
        self._turn = 0
        #: Rows of all arms, at most.
        self.max_rows = (
            settings.racing.slots + settings.memetic.population + settings.neat.population
        )

    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        """Return the plan of the arm whose turn it is."""
        self._turn = self._choose()
        rows = self._rows(pool, self._turn)
        plan = self._arms[self._turn].ask(pool.part(rows), n, rng)
        size = len(plan)
        tuned = np.full(size, self._turn == _MEMETIC)
        homes = np.append(rows, -1)  # -1, no parent, indexes the -1 at the end
        return BreedingPlan(
            plan.operator,
            homes[plan.parent_a],
            homes[plan.parent_b],
            plan.strength,
            plan.values,
            plan.group,
            tuned,
        )

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        """Let the arm select among its own; those of the others stay as they are."""
        arm = self._turn
        rows = self._rows(pool, arm)
        found = self._arms[arm].tell(pool.part(rows), brood)
        self._account(arm, int(brood.n_evaluations.sum()), brood.fitness)
        own = np.asarray(found.index)
        own = np.concatenate((rows, len(pool) + np.arange(len(brood))))[own]
        others = np.flatnonzero(pool["arm"] != arm)
        index = np.concatenate((own, others))
        given = found.columns.get("species", np.full(own.size, -1))
        columns = {
            "arm": np.concatenate((np.full(own.size, arm), pool["arm"][others])),
            "species": np.concatenate((np.asarray(given), pool.species[others])),
        }
        return Survivors(index, columns=columns)

    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        """Return the ``n`` best of all arms."""
        del rng
        fitness = np.where(np.isnan(pool.fitness), -np.inf, pool.fitness)
        return np.argsort(-fitness, kind="stable")[:n]

    def state(self) -> State:
        """Return what the strategy and its arms remember."""
        own: dict[str, Float | Int | float | int | str | bool] = {
            "spent": self._spent,
            "idle": self._idle,
            "best": self._best,
            "turn": self._turn,
        }
        arms = {
            f"{name}_{key}": value
            for name, arm in zip(ARMS, self._arms, strict=True)
            for key, value in arm.state().items()
        }
        return {**own, **arms}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._spent = cast(Int, state["spent"])
        self._idle, self._best = cast(Int, state["idle"]), cast(Float, state["best"])
        self._turn = cast(int, state["turn"])
        for name, arm in zip(ARMS, self._arms, strict=True):
            prefix = f"{name}_"
            arm.restore(
                {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
            )

    def metrics(self) -> Mapping[str, float]:
        """Return each arm's evaluations and share, and the metrics of the arms by their names."""
        shares = self._shares()
        figures: dict[str, float] = {}
        for i, (name, arm) in enumerate(zip(ARMS, self._arms, strict=True)):
            figures[f"{name}_evaluations"] = float(self._spent[i])
            figures[f"{name}_share"] = float(shares[i])
            figures |= {f"{name}_{key}": value for key, value in arm.metrics().items()}
        return figures

    # ------------------------------------------------------------------- shares

    def _shares(self) -> Float:
        """Return each arm's share of the evaluations, in sum 1."""
        weights = self._priors * 0.5 ** (self._idle / self._settings.half_life)
        total = weights.sum()
        weights = weights / total if total > 0 else self._priors
        least = np.where(self._priors > 0, self._settings.least_share, 0.0)
        shares: Float = least + (1.0 - least.sum()) * weights
        return shares

    def _choose(self) -> int:
        """Return the arm that is furthest behind its share."""
        total = int(self._spent.sum())
        if total < self._settings.head_start:
            return int(np.argmax(self._priors))
        return int(np.argmax(self._shares() * total - self._spent))

    def _account(self, arm: int, n_evaluations: int, fitness: Float) -> None:
        # copies: a state that was given out must not change
        self._spent, self._idle, self._best = (
            self._spent.copy(),
            self._idle.copy(),
            self._best.copy(),
        )
        self._spent[arm] += n_evaluations
        best = float(np.nan_to_num(fitness, nan=-np.inf).max(initial=-np.inf))
        if best > self._best[arm]:
            self._best[arm], self._idle[arm] = best, 0
        else:
            self._idle[arm] += n_evaluations

    def _rows(self, pool: PoolView, arm: int) -> Int:
        if len(pool) == 0:
            return np.zeros(0, np.int64)
        return np.flatnonzero(pool["arm"] == arm)
