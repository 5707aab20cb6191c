"""Weights only: one topology, whose weights and biases an evolution strategy finds.

Source: Ros & Hansen, "A simple modification in CMA-ES achieving linear time and space complexity" (PPSN X, 2008):
sep-CMA-ES, a covariance matrix of which only the diagonal is learned, so that a step costs O(λ n). Default parameters
from Hansen, "The CMA evolution strategy: a tutorial" (arXiv:1604.00772, 2016), table 1, with the covariance's learning
rates times (n + 2) / 3 as Ros & Hansen have them (eq. 8).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar, Final, cast

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike
from pydantic import BaseModel, Field

from tweann.config.sections import Section
from tweann.genes import Float, Int, Operator
from tweann.interfaces import BreedingPlan, State, StrategyContext, Survivors
from tweann.pool import BroodView, PoolView

#: Steps beyond these are of no use, and would end in infinities: then the search begins anew around the best.
_MIN_SIGMA: Final = 1e-12
_MAX_SIGMA: Final = 1e6


class WeightsOnlySettings(Section):
    """Settings of strategy ``weights-only``."""

    population: int = Field(20, ge=1, description="Children a generation, λ.")
    sigma: float = Field(1.0, gt=0, description="The first step size.")


class WeightsOnly:
    """Strategy ``weights-only``: sep-CMA-ES on the weights and biases of the first generation's best network."""

    Settings: ClassVar[type[BaseModel]] = WeightsOnlySettings
    columns: ClassVar[Mapping[str, DTypeLike]] = {}
    max_rows = 1

    def __init__(self, settings: WeightsOnlySettings, context: StrategyContext) -> None:
        del context
        self._first_sigma = settings.sigma
        self._population = settings.population
        mu = max(1, settings.population // 2)
        weights = math.log((settings.population + 1) / 2) - np.log(np.arange(1, mu + 1))
        weights = np.maximum(weights, 0.0) if mu > 1 else np.ones(1)
        self._weights: Float = weights / weights.sum()
        self._mu_eff = float(1.0 / (self._weights**2).sum())
        self._steps: Float = np.zeros((0, 0))  # (λ, n) standard normal, of the children under way
        self._begin(np.zeros(0))

    def _begin(self, mean: Float) -> None:
        """Search around ``mean``."""
        self._mean, self._sigma = mean, self._first_sigma
        self._variance: Float = np.ones(mean.size)
        self._sigma_path: Float = np.zeros(mean.size)
        self._variance_path: Float = np.zeros(mean.size)
        self._generation = 0

    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        """Return a plan for ``n`` samples around the mean; the first are fresh networks."""
        if len(pool) == 0:
            self._steps = np.zeros((0, 0))
            return BreedingPlan.fresh(n)
        self._steps = rng.standard_normal((n, self._mean.size))
        return BreedingPlan(
            np.full(n, Operator.SET_VALUES, np.uint8),
            np.zeros(n, np.int64),
            np.full(n, -1),
            values=self._mean + self._sigma * np.sqrt(self._variance) * self._steps,
        )

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        """Move the mean toward the best children, adapt step size and variances, and keep the best network."""
        fitness = np.concatenate((pool.fitness, brood.fitness))
        best = np.argsort(-fitness, kind="stable")[:1]
        if len(pool) == 0 and len(brood):
            self._begin(_values(brood, int(best[0])))
        elif len(brood) >= self._steps.shape[0] > 0:
            told = brood.fitness[: self._steps.shape[0]]  # immigrants, behind them, are no samples
            order = np.argsort(-told, kind="stable")[: self._weights.size]
            if order.size == self._weights.size and np.isfinite(told[order]).all():
                self._update(self._steps[order])
            if not _MIN_SIGMA < self._sigma < _MAX_SIGMA:
                self._begin(_values(pool, 0))
        # An immigrant may have another structure, which the mean would not fit.
        own = best if best[0] < len(pool) + max(self._steps.shape[0], 1) else np.arange(1)
        return Survivors(best if len(pool) == 0 else own)

    def _update(self, z: Float) -> None:
        """Learn from the μ best steps, (μ, n), best first."""
        n, mu_eff, w = self._mean.size, self._mu_eff, self._weights
        c_sigma = (mu_eff + 2.0) / (n + mu_eff + 5.0)
        damping = 1.0 + 2.0 * max(0.0, math.sqrt((mu_eff - 1.0) / (n + 1.0)) - 1.0) + c_sigma
        c_c = (4.0 + mu_eff / n) / (n + 4.0 + 2.0 * mu_eff / n)
        faster = (n + 2.0) / 3.0
        c_1 = faster * 2.0 / ((n + 1.3) ** 2 + mu_eff)
        c_mu = faster * 2.0 * (mu_eff - 2.0 + 1.0 / mu_eff) / ((n + 2.0) ** 2 + mu_eff)
        c_1 = min(c_1, 0.5)
        c_mu = min(1.0 - c_1, max(c_mu, 0.0))
        expected = math.sqrt(n) * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n))  # of |N(0, I)|

        self._generation += 1
        scale = np.sqrt(self._variance)
        step = w @ z
        self._mean = self._mean + self._sigma * scale * step
        self._sigma_path = (1.0 - c_sigma) * self._sigma_path + math.sqrt(
            c_sigma * (2.0 - c_sigma) * mu_eff
        ) * step
        length = float(np.linalg.norm(self._sigma_path))
        decay = math.sqrt(1.0 - (1.0 - c_sigma) ** (2 * self._generation))
        moving = float(length / decay < (1.4 + 2.0 / (n + 1.0)) * expected)
        self._variance_path = (1.0 - c_c) * self._variance_path + moving * math.sqrt(
            c_c * (2.0 - c_c) * mu_eff
        ) * scale * step
        lost = (1.0 - moving) * c_c * (2.0 - c_c)
        self._variance = (
            (1.0 - c_1 - c_mu + c_1 * lost) * self._variance
            + c_1 * self._variance_path**2
            + c_mu * (w @ (scale * z) ** 2)
        )
        self._sigma *= math.exp(min(1.0, c_sigma / damping * (length / expected - 1.0)))

    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        """Return the best."""
        del rng
        return np.arange(min(n, len(pool)))

    def state(self) -> State:
        """Return what the strategy remembers."""
        return {
            "mean": self._mean,
            "sigma": float(self._sigma),
            "variance": self._variance,
            "sigma_path": self._sigma_path,
            "variance_path": self._variance_path,
            "generation": self._generation,
            "steps": self._steps,  # of children that may be under way
        }

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._mean = cast(Float, state["mean"])
        self._sigma = cast(float, state["sigma"])
        self._variance = cast(Float, state["variance"])
        self._sigma_path = cast(Float, state["sigma_path"])
        self._variance_path = cast(Float, state["variance_path"])
        self._generation = cast(int, state["generation"])
        self._steps = cast(Float, state["steps"])

    def max_bytes(self, n_values: int) -> int:
        """Return samples, their steps, and what is learned of each value."""
        return 8 * n_values * (2 * self._population + 5)

    def metrics(self) -> Mapping[str, float]:
        """Return the step size."""
        return {"sigma": float(self._sigma)}


def _values(rows: PoolView | BroodView, row: int) -> Float:
    """Return the weights, then biases of hidden and output nodes, of a genome."""
    genome = rows.genome(row)
    return np.concatenate((genome.weight, genome.bias[genome.n_inputs :]))
