"""Random search: the baseline that every claim needs. Each child is the seed network with new random values.

Source: "random weight guessing" in the comparisons of Gomez, Schmidhuber & Miikkulainen, "Accelerated neural evolution
through cooperatively coevolved synapses" (JMLR 9, 2008).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.random import Generator
from numpy.typing import DTypeLike
from pydantic import BaseModel, Field

from tweann.config.sections import Section
from tweann.genes import Int
from tweann.interfaces import BreedingPlan, State, StrategyContext, Survivors
from tweann.pool import BroodView, PoolView


class RandomSearchSettings(Section):
    """Settings of strategy ``random-search``."""

    population: int = Field(150, ge=1, description="Evaluations a generation.")


class RandomSearch:
    """Strategy ``random-search``: keeps the best network, and learns nothing from it."""

    Settings: ClassVar[type[BaseModel]] = RandomSearchSettings
    columns: ClassVar[Mapping[str, DTypeLike]] = {}
    max_rows = 1

    def __init__(self, settings: RandomSearchSettings, context: StrategyContext) -> None:
        del settings, context

    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        """Return a plan for ``n`` fresh networks."""
        del pool, rng
        return BreedingPlan.fresh(n)

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        """Keep the best so far."""
        fitness = np.concatenate((pool.fitness, brood.fitness))
        return Survivors(np.argsort(-fitness, kind="stable")[:1])

    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        """Return the best."""
        del rng
        return np.arange(min(n, len(pool)))

    def state(self) -> State:
        """Return nothing: the best is in the pool."""
        return {}

    def restore(self, state: State) -> None:
        """Go on from nothing."""
        del state

    def max_bytes(self, n_values: int) -> int:
        """Return 0: nothing that grows with genomes or generations."""
        del n_values
        return 0

    def metrics(self) -> Mapping[str, float]:
        """Return nothing."""
        return {}
