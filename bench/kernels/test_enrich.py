"""Breeding's second pass: each mutation operator of optional columns by itself, all of a usual child."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from breeding import Litters
from dynamics import with_dynamics, with_rule
from networks import FIFTY_SPARSE, random_genome
from numpy.random import Generator

from tweann.assembly import make_enrichment
from tweann.config import load
from tweann.genes import DYNAMICS, PLASTICITY_RULES, Operator
from tweann.genome import Genome
from tweann.kernels.breed import Litter
from tweann.kernels.enrich import EnrichParameters, enrich
from tweann.kernels.mutation import N_PLAIN, MutationOperator
from tweann.tasks import TaskInfo

Per = Callable[[Callable[[], object], int, str], None]
N = 100
ENDS = 3  # inputs and outputs that no genome has yet


def lively(genome: Genome) -> Genome:
    """Return the genome with dynamics of all kinds, and connections that learn."""
    learns = with_rule(genome, "abcd")
    kinds = with_dynamics(genome, [kind for kind in DYNAMICS if kind != "izhikevich"])
    return replace(learns, node_extra={**learns.node_extra, **kinds.node_extra})


class Enriched(Litters):
    """Litters whose children are clones, and then enriched as the children of mutation are."""

    def __init__(self, genomes: list[Genome]) -> None:
        super().__init__(genomes, {})
        sections = {
            "task": {"name": "external", "n_inputs": 4, "n_outputs": 1},
            "genome": {
                "dynamics": [kind for kind in DYNAMICS if kind != "izhikevich"],
                "plasticity": [rule for rule in PLASTICITY_RULES if rule != "stdp"],
                "modulatory": True,
            },
        }
        info = TaskInfo("none", 1, "external", ("x",) * 4, ("y",))
        made = make_enrichment(load(sections), info, self.layout)
        assert made is not None
        n_inputs, n_outputs = made.n_inputs + ENDS, made.n_outputs + ENDS
        self.enrichment: EnrichParameters = made._replace(n_inputs=n_inputs, n_outputs=n_outputs)

    def enrich(self) -> None:
        """Breed a litter of n children, each time another one."""
        self.breed(Operator.CLONE)
        litter = Litter(
            np.full(self.n, Operator.MUTATE, np.uint8),
            self.parents,
            self.parents,
            self.children,
            np.arange(self._births, self._births + self.n),
            np.ones(self.n),
            np.zeros((0, 0)),
            np.zeros(self.n, np.int64),
        )
        enrich(
            self.genes,
            litter,
            0,
            self.n,
            self._parameters,
            self.enrichment,
            self._rng,
            self.counts,
        )


@pytest.fixture
def litters(rng: Generator) -> Enriched:
    return Enriched([lively(random_genome(rng, FIFTY_SPARSE)) for _ in range(N)])


# spiking nodes are left out: their columns are a group of their own
@pytest.mark.parametrize(
    "operator",
    [o for o in list(MutationOperator)[N_PLAIN:] if o.name != "IZHIKEVICH"],
    ids=lambda o: str(o.name).lower(),
)
def test_mutation_operator(per: Per, litters: Enriched, operator: MutationOperator) -> None:
    rates = np.zeros_like(litters.enrichment.rates)
    rates[operator - N_PLAIN] = 1.0
    litters.enrichment = litters.enrichment._replace(rates=rates)
    per(litters.enrich, N, "child, copied and mutated")
    assert litters.counts[operator, 0] > 0


def test_usual_child(per: Per, litters: Enriched) -> None:
    per(litters.enrich, N, "child, copied and mutated")
    assert litters.counts[N_PLAIN:, 0].sum() > 0
