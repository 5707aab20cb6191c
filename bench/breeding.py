"""Genomes that are related to one another, and breeding outside a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from networks import Size, layout_for, random_genome, table_of
from numpy.random import Generator

from tweann.assembly import make_breeding
from tweann.config import Config, load
from tweann.genes import Genes, Int, Operator
from tweann.genome import Genome, read_block
from tweann.interfaces import StrategyContext
from tweann.kernels.breed import BreedingParameters, Litter, breed
from tweann.kernels.mutation import MutationOperator
from tweann.layout import Layout
from tweann.pool import Brood, GenomePool
from tweann.strategies.generational import Generational
from tweann.tasks import TaskInfo
from tweann.workers import Workers

#: What neat-python does to a child, in tweann's terms: every gene by itself, structure as often.
LIKE_NEAT_PYTHON: dict[str, Any] = {
    "mode": "all",
    "add_node_rate": 0.1,
    "add_connection_rate": 0.2,
    "weights_rate": 1.0,
    "weight_replace_rate": 0.1,
    "weight_perturb_rate": 0.9,
    "weight_power": 0.5,
}
#: Only the operators named by a rate happen.
NO_MUTATION = {f"{operator.name.lower()}_rate": 0.0 for operator in MutationOperator}

#: Genes that relatives may grow by.
SPARE = 200


def config_for(layout: Layout, **sections: Mapping[str, Any]) -> Config:
    """Return a configuration for genomes of a layout, evaluated nowhere."""
    task = {"name": "external", "n_inputs": layout.n_inputs, "n_outputs": layout.n_outputs}
    genome = {
        "max_nodes": layout.max_nodes,
        "max_connections": layout.max_connections,
        "recurrent": layout.recurrent,
        **sections.get("genome", {}),
    }
    return load({**sections, "task": task, "genome": genome})


class Litters:
    """A table of parents, and room for one litter of as many children.

    Args:
        genomes: n parents; child i has parents i and i + 1.
        mutation: section [mutation].
        genome: further settings of section [genome].
    """

    def __init__(
        self,
        genomes: list[Genome],
        mutation: Mapping[str, Any],
        genome: Mapping[str, Any] | None = None,
    ) -> None:
        self.n = len(genomes)
        self.layout = layout_for(genomes, SPARE)
        self.genes, self.parents = table_of(genomes, self.layout, spare_blocks=self.n)
        self.children: Int = self.n + self.parents
        config = config_for(self.layout, mutation=mutation, genome=genome or {})
        self._parameters: BreedingParameters = make_breeding(config, self.layout, 0)
        self._marks = np.empty(self.layout.max_nodes, np.bool_)
        self._rng = np.empty(1, np.uint64)
        #: (n_operators, 2) mutations applied, without a legal place.
        self.counts = np.zeros((len(MutationOperator), 2), np.int64)
        self._births = 0

    def breed(self, operator: Operator) -> None:
        """Breed a litter of n children, each time another one."""
        litter = Litter(
            np.full(self.n, operator, np.uint8),
            self.parents,
            np.roll(self.parents, -1),
            self.children,
            np.arange(self._births, self._births + self.n),
            np.ones(self.n),
            np.zeros((0, 0)),
            np.zeros(self.n, np.int64),
        )
        self._births += self.n
        breed(self.genes, litter, 0, self.n, self._parameters, self._marks, self._rng, self.counts)

    def grow_up(self) -> None:
        """Let the children take the parents' place."""
        self.parents, self.children = self.children, self.parents

    def genomes(self) -> list[Genome]:
        """Return copies of the parents."""
        return [read_block(self.genes, int(block), self.layout) for block in self.parents]

    @property
    def table(self) -> tuple[Genes, Int]:
        """The gene table, and the blocks of the parents."""
        return self.genes, self.parents


def family(rng: Generator, size: Size, n: int, generations: int = 5) -> list[Genome]:
    """Return ``n`` descendants of one random genome, by mutation alone."""
    litters = Litters([random_genome(rng, size)] * n, LIKE_NEAT_PYTHON)
    for _ in range(generations):
        litters.breed(Operator.MUTATE)
        litters.grow_up()
    return litters.genomes()


class Reproduction:
    """Selection, breeding and speciation in tweann, the fitness being random: a generation without evaluation.

    Args:
        genomes: the population; families in it become species.
        threads: how many.
    """

    def __init__(self, genomes: list[Genome], rng: Generator, threads: int = 1) -> None:
        layout = layout_for(genomes, SPARE)
        config = config_for(
            layout,
            mutation=LIKE_NEAT_PYTHON,
            species={"threshold": 1.5, "target": 0},
            strategy={
                "population": len(genomes),
                "crossover_rate": 1.0,
                "crossover_mutate_rate": 1.0,
            },
        )
        info = TaskInfo("none", 1, "external", ("x",) * layout.n_inputs, ("y",) * layout.n_outputs)
        self._strategy = Generational(
            config.strategy.settings,  # type: ignore[arg-type] # checked on loading
            StrategyContext(info, config.species),
        )
        self._workers = Workers(threads)
        self._pool = GenomePool(layout, workers=self._workers)
        self._rng, self._births, self._generation = rng, len(genomes), 0
        rows = self._pool.make_rows(len(genomes))
        rows["block"][:], rows["id"][:] = self._pool.insert(genomes), np.arange(len(genomes))
        self._parameters = make_breeding(config, layout, int(rows["block"][0]))
        self._tell(Brood(rows))

    @property
    def n_species(self) -> int:
        """How many species there are."""
        return int(np.unique(self._pool.rows["species"]).size)

    @property
    def mean_connections(self) -> float:
        """Mean number of connection genes."""
        return float(self._pool.view().n_connections.mean())

    def advance(self) -> None:
        """Choose parents, breed, put the children into species, and let the parents go."""
        n, self._generation = len(self._pool), self._generation + 1
        plan = self._strategy.ask(self._pool.view(), n, self._rng)
        births = np.arange(self._births, self._births + n)
        self._births += n
        brood = self._pool.breed(
            plan.operator,
            plan.parent_a,
            plan.parent_b,
            plan.strength,
            plan.values,
            births,
            self._generation,
            self._parameters,
        )
        self._tell(brood)

    def close(self) -> None:
        """End the threads."""
        self._workers.close()

    def _tell(self, brood: Brood) -> None:
        brood.rows["fitness"][:] = self._rng.random(len(brood))
        survivors = self._strategy.tell(self._pool.view(), self._pool.brood_view(brood))
        self._pool.keep(survivors.index, survivors.role, survivors.columns, brood)
