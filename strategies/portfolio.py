"""A portfolio: racing, memetic search and plain NEAT share a run's evaluations by their progress.

Nobody has to know beforehand which of them suits a task. Each *arm* is a strategy with individuals of its own, and at
each ask one of them has its turn: the one that is furthest behind its share of the evaluations. The arm with the largest
share has a head start. Shares start from the settings' and follow progress: an arm's weight halves for every ``half_life``
evaluations that it has used since its best individual was last surpassed, so what has come to a stand makes room for
the others; no share sinks below ``least_share``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Final, cast

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike
from pydantic import BaseModel, Field, model_validator

from tweann.config.sections import Section
from tweann.genes import Float, Int
from tweann.interfaces import BreedingPlan, State, Strategy, StrategyContext, Survivors
from tweann.migration import best
from tweann.pool import BroodView, PoolView
from tweann.strategies.generational import Generational, GenerationalSettings
from tweann.strategies.racing import Racing, RacingSettings
from tweann.strategies.tenants import Tenants

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
        2000,
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
        arms: tuple[Strategy, ...] = (
            Racing(settings.racing, context),
            Generational(settings.memetic, context),
            Generational(settings.neat, context),
        )
        self._arms = Tenants("arm", dict(zip(ARMS, arms, strict=True)))
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
        plan = self._arms.ask(pool, self._turn, n, rng)
        return replace(plan, tuned=np.full(len(plan), self._turn == _MEMETIC))

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        """Let the arm select among its own; those of the others stay as they are."""
        arm = self._turn
        self._account(arm, int(brood.n_evaluations.sum()), brood.fitness)
        return self._arms.tell(pool, brood, (arm,), np.full(len(brood), arm))

    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        """Return the ``n`` best of all arms."""
        del rng
        return best(pool, np.arange(len(pool)), n)

    def state(self) -> State:
        """Return what the strategy and its arms remember."""
        own: dict[str, Float | Int | float | int | str | bool] = {
            "spent": self._spent,
            "idle": self._idle,
            "best": self._best,
            "turn": self._turn,
        }
        return {**own, **self._arms.state()}

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._spent = cast(Int, state["spent"])
        self._idle, self._best = cast(Int, state["idle"]), cast(Float, state["best"])
        self._turn = cast(int, state["turn"])
        self._arms.restore(state)

    def max_bytes(self, n_values: int) -> int:
        """Return what all arms hold."""
        return self._arms.max_bytes(n_values)

    def metrics(self) -> Mapping[str, float]:
        """Return each arm's evaluations and share, and the metrics of the arms by their names."""
        shares = self._shares()
        figures: dict[str, float] = {}
        for i, name in enumerate(ARMS):
            figures[f"{name}_evaluations"] = float(self._spent[i])
            figures[f"{name}_share"] = float(shares[i])
        return {**figures, **self._arms.metrics()}

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
