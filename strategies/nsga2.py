"""NSGA-II: several objectives at once, by fronts and crowding.

Source: Deb, Pratap, Agarwal & Meyarivan, "A fast and elitist multiobjective genetic algorithm: NSGA-II" (IEEE
Transactions on Evolutionary Computation 6:2, 2002). Networks vary by crossover and mutation as anywhere; vectors by
simulated binary crossover and polynomial mutation, as in the paper. Otherwise than there, crowding counts anew after
each one that goes (Kukkonen & Deb 2006), and copies in all objectives come behind all fronts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, cast

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import DTypeLike
from pydantic import BaseModel, Field, model_validator

from tweann.config.sections import Rate, Section
from tweann.errors import ConfigError
from tweann.genes import Float, Int, Operator
from tweann.interfaces import BreedingPlan, State, StrategyContext, Survivors
from tweann.kernels.bounded import BoundedVariation, vary_pairs
from tweann.kernels.breed import get_values
from tweann.kernels.pareto import hypervolume_2d, make_fronts, sort_fronts
from tweann.pool import BroodView, PoolView
from tweann.strategies.descriptors import Descriptors, DescriptorSettings
from tweann.strategies.novelty_archive import NoveltyArchive, measure


class Nsga2Settings(Section):
    """Settings of strategy ``nsga2``."""

    population: int = Field(100, ge=1, description="Members, and children a generation.")
    fitness: bool = Field(
        False,
        description="Fitness is an objective too. It always is for a task without objectives.",
    )
    size: bool = Field(
        False,
        description="Few connections are an objective too. They always are for a task without objectives.",
    )
    novelty: bool = Field(
        False,
        description="Novelty of behaviour is an objective too: the mean distance to the `neighbours` nearest in "
        "population, brood and an archive.",
    )
    behaviour: DescriptorSettings = Field(
        DescriptorSettings(), description="For `novelty`: what tells genomes apart."
    )
    neighbours: int = Field(15, ge=1, le=1_000, description="For `novelty`: how many count.")
    archive_size: int = Field(
        2_500, ge=0, le=1_000_000, description="For `novelty`: cap on the archive; the oldest go."
    )
    admission_rate: Rate = Field(
        0.02, description="For `novelty`: chance of a child to enter the archive."
    )
    variation: Literal["network", "vector"] = Field(
        "network",
        description="`network`: crossover and mutation of networks. `vector`: weights and biases only, within "
        "`bounds`, by simulated binary crossover and polynomial mutation.",
    )
    crossover_rate: Rate = Field(0.9, description="Share of pairs of parents that are crossed.")
    crossover_index: float = Field(
        15.0,
        ge=0,
        le=1000,
        description="For `vector`: the greater, the nearer children are to parents.",
    )
    mutation_index: float = Field(
        20.0, ge=0, le=1000, description="For `vector`: likewise, for mutation."
    )
    mutation_rate: float | None = Field(
        None,
        ge=0,
        le=1,
        description="For `vector`: of a value; by default one value a child in the mean.",
    )
    bounds: tuple[float, float] = Field(
        (-1.0, 1.0), description="For `vector`: the least and the greatest weight and bias."
    )
    reference: tuple[float, float] | None = Field(
        None,
        description="The worst values of two objectives that count, for the metric `hypervolume`.",
    )

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Nsga2Settings:
        if not self.bounds[0] < self.bounds[1]:
            raise ValueError(f"bounds: expected the lower one first, came {list(self.bounds)}")
        return self


class Nsga2:
    """Strategy ``nsga2``."""

    Settings: ClassVar[type[BaseModel]] = Nsga2Settings
    columns: ClassVar[Mapping[str, DTypeLike]] = {"front": np.int64, "crowding": np.float64}

    def __init__(self, settings: Nsga2Settings, context: StrategyContext) -> None:
        self._settings = settings
        #: Rows, at most.
        self.max_rows = settings.population
        given = context.task.n_objectives
        self._with_fitness = settings.fitness or given == 0
        self._with_size = settings.size or given == 0
        self._descriptors: Descriptors | None = None
        self._archive = NoveltyArchive(0, 0)
        if settings.novelty:
            self._descriptors = Descriptors(settings.behaviour, context, "nsga2")
            self._archive = NoveltyArchive(len(self._descriptors), settings.archive_size)
        self._key = 0  # of the draws that `tell` makes; from `ask`
        n = given + self._with_fitness + self._with_size + settings.novelty
        if settings.reference is not None and n != 2:
            raise ConfigError(
                f"strategy.reference is for two objectives, here are {n}: {given} of the task"
                f"{', fitness' * self._with_fitness}{', size' * self._with_size}{', novelty' * settings.novelty}"
            )
        self._metrics: dict[str, float] = {}

    def ask(self, pool: PoolView, n: int, rng: Generator) -> BreedingPlan:
        """Return a plan for ``n`` children of parents chosen by binary tournaments."""
        if self._descriptors is not None:
            self._key = int(rng.integers(0, 2**63))
        if len(pool) == 0:
            return BreedingPlan.fresh(n)
        s = self._settings
        # Rows are best first: by front, then by crowding. Of two the lower one wins.
        parents = rng.integers(0, len(pool), (2, 2, n)).min(axis=0)
        nobody = np.full(n, -1)
        if s.variation == "vector":
            a = parents[0]
            values = self._vary(pool, a, rng)
            return BreedingPlan(np.full(n, Operator.SET_VALUES, np.uint8), a, nobody, values=values)
        a, b = np.minimum(*parents), np.maximum(*parents)
        crossed = (rng.random(n) < s.crossover_rate) & (a != b)
        operator = np.where(crossed, Operator.CROSSOVER_MUTATE, Operator.MUTATE).astype(np.uint8)
        return BreedingPlan(operator, a, np.where(crossed, b, nobody))

    def _vary(self, pool: PoolView, parents: Int, rng: Generator) -> Float:
        """Return the values of the children of pairs of parents, (n, d)."""
        genes, blocks = pool.pool.genes, pool.blocks[parents]
        width = int((genes.n_nodes[blocks] + genes.n_connections[blocks]).max())
        values = np.zeros((parents.size, width))
        sizes = {
            get_values(genes, int(block), row) for block, row in zip(blocks, values, strict=True)
        }
        if len(sizes) > 1:
            raise ConfigError(
                'strategy.variation = "vector" needs networks of one structure: set genome.initial to '
                '"full" or "none"'
            )
        values = np.ascontiguousarray(values[:, : sizes.pop()])
        s, (low, high) = self._settings, self._settings.bounds
        rate = s.mutation_rate if s.mutation_rate is not None else 1.0 / max(values.shape[1], 1)
        how = BoundedVariation(
            low, high, s.crossover_rate, s.crossover_index, s.mutation_index, rate
        )
        np.clip(values, low, high, out=values)
        vary_pairs(values, how, np.array([rng.bit_generator.random_raw()], np.uint64))
        return values

    def tell(self, pool: PoolView, brood: BroodView) -> Survivors:
        """Keep the best of parents and children by front, and within the last front by crowding."""
        objectives = np.concatenate((self._objectives(pool), self._objectives(brood)))
        if self._descriptors is not None:
            novelty = self._novelty(pool, brood, self._descriptors)
            objectives = np.concatenate((objectives, novelty[:, None]), axis=1)
            objectives[np.isnan(novelty)] = np.nan
        n = objectives.shape[0]
        fronts = make_fronts(n, objectives.shape[1])
        sort_fronts(objectives, fronts)
        index = fronts.order[: self._settings.population]
        rank = fronts.rank[index]
        self._metrics = {
            "front_size": float((rank == 0).sum()),
            "n_fronts": float(rank.max(initial=-1) + 1),
        }
        if self._settings.reference is not None:
            self._metrics["hypervolume"] = hypervolume_2d(
                objectives[index],
                np.array(self._settings.reference),
                np.empty(index.size, np.int64),
                np.empty(index.size, np.int64),
                np.empty(index.size),
            )
        return Survivors(index, columns={"front": rank, "crowding": fronts.crowding[index]})

    def _objectives(self, rows: PoolView | BroodView) -> Float:
        """Return what is maximised, (n, m); NaN where the evaluation failed."""
        columns = [rows["objectives"]]
        if self._with_fitness:
            columns.append(rows.fitness[:, None])
        if self._with_size:
            columns.append(-rows.n_connections[:, None].astype(np.float64))
        found = np.concatenate(columns, axis=1)
        found[np.isnan(rows.fitness)] = np.nan
        return found

    def _novelty(self, pool: PoolView, brood: BroodView, descriptors: Descriptors) -> Float:
        """Return everybody's novelty, (n,), NaN for those that failed, and let some children into the archive."""
        archive, k = self._archive, self._settings.neighbours
        found = np.concatenate((descriptors.scaled(pool), descriptors.scaled(brood)))
        fitness = np.concatenate((pool.fitness, brood.fitness))
        valid = np.flatnonzero(np.isfinite(found).all(axis=1) & ~np.isnan(fitness))
        novelty = np.full(fitness.size, np.nan)
        novelty[valid], _ = measure(
            np.concatenate((found[valid], archive.descriptor)),
            np.concatenate((fitness[valid], archive.fitness)),
            valid.size,
            k,
            pool.pool.workers,
        )
        rng = Generator(Philox(key=self._key))
        children = valid[valid >= len(pool)]
        enters = children[rng.random(children.size) < self._settings.admission_rate]
        if enters.size:
            archive.add(found[enters], fitness[enters], "oldest", k, rng)
        return novelty

    def emigrants(self, pool: PoolView, n: int, rng: Generator) -> Int:
        """Return the first ``n`` rows: of the best front, the least crowded first."""
        del rng
        return np.arange(min(n, len(pool)))

    def state(self) -> State:
        """Return the metrics and what novelty is measured by: all else is in the pool."""
        return {
            "key": self._key,
            "archive_descriptor": self._archive.descriptor,
            "archive_fitness": self._archive.fitness,
            **{f"metric_{name}": value for name, value in self._metrics.items()},
        }

    def restore(self, state: State) -> None:
        """Go on from ``state``."""
        self._key = cast(int, state["key"])
        self._archive.descriptor = cast(Float, state["archive_descriptor"])
        self._archive.fitness = cast(Float, state["archive_fitness"])
        self._metrics = {
            name.removeprefix("metric_"): cast(float, value)
            for name, value in state.items()
            if name.startswith("metric_")
        }

    def max_bytes(self, n_values: int) -> int:
        """Return the archive of novelty, and the fronts."""
        del n_values
        s = self._settings
        n_archive = s.archive_size if s.novelty else 0
        return 16 * 8 * (n_archive + 2 * s.population)

    def metrics(self) -> Mapping[str, float]:
        """Return the size of the best front, the number of fronts and, with a reference, the hypervolume."""
        return dict(self._metrics)
