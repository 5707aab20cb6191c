"""Genomes and pools of the core for tests, made of the twins' plain genomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import reference
from genomes import genomes, kernel_parameters
from hypothesis import strategies as st
from reference_variation import Variation

from tweann.genes import COLUMN_GROUPS
from tweann.genome import Genome
from tweann.kernels.breed import BreedingParameters
from tweann.layout import Layout
from tweann.pool import Brood, GenomePool
from tweann.seed import seed_network

N_INPUTS, N_OUTPUTS = 3, 2

#: A bit of everything; the caps are the layout's.
VARIATION = Variation(rates=(0.4, 0.6, 0.1, 0.1, 0.1, 0.1, 0.1, 0.8), recurrent_share=0.5)


def as_genome(
    plain: reference.Genome,
    n_inputs: int = N_INPUTS,
    n_outputs: int = N_OUTPUTS,
    node_extra: Sequence[str] = (),
) -> Genome:
    """Return a plain genome as one of the core's, its inputs as inputs have to be."""
    nodes = [
        reference.Node(n.id, "identity", extra=n.extra) if reference.is_input(n.id) else n
        for n in plain.nodes
    ]
    links = plain.connections
    return Genome(
        n_inputs=n_inputs,
        n_outputs=n_outputs,
        node_id=np.array([n.id for n in nodes], np.int64),
        activation=tuple(n.activation for n in nodes),
        aggregation=tuple(n.aggregation for n in nodes),
        bias=np.array([n.bias for n in nodes], np.float64),
        source=np.array([c.source for c in links], np.int64),
        target=np.array([c.target for c in links], np.int64),
        weight=np.array([c.weight for c in links], np.float64),
        enabled=np.array([c.enabled for c in links], np.bool_),
        node_extra={
            name: np.array([n.extra[i] for n in nodes]) for i, name in enumerate(node_extra)
        },
    )


def core_genomes(**options: Any) -> st.SearchStrategy[Genome]:
    """Draw genomes of the core; options are those of `genomes.genomes`."""
    return genomes(N_INPUTS, N_OUTPUTS, **options).map(as_genome)


def plain_genome(genome: Genome) -> reference.Genome:
    """Return a genome of the core as a plain one."""
    return reference.Genome(
        [
            reference.Node(int(i), act, agg, float(bias))
            for i, act, agg, bias in zip(
                genome.node_id, genome.activation, genome.aggregation, genome.bias, strict=True
            )
        ],
        [
            reference.Connection(int(s), int(t), float(w), bool(e))
            for s, t, w, e in zip(
                genome.source, genome.target, genome.weight, genome.enabled, strict=True
            )
        ],
    )


def with_births(genome: Genome) -> Genome:
    """Return the genome with the optional column of births, all 0."""
    births = {name: np.full(genome.n_nodes, v) for name, v in COLUMN_GROUPS["births"].node}
    return changed(genome, node_extra=births)


def changed(genome: Genome, **columns: Any) -> Genome:
    """Return the genome with some columns replaced."""
    return replace(genome, **columns)


def seed_of(layout: Layout) -> Genome:
    """Return the seed network of a layout, all inputs connected."""
    return seed_network(layout, np.arange(layout.n_inputs), "tanh")


def parameters(
    pool: GenomePool, variation: Variation = VARIATION, seed: int = 1
) -> BreedingParameters:
    """Return breeding parameters; the seed network is put into a block of its own."""
    layout = pool.layout
    mutation = kernel_parameters(variation)._replace(
        max_nodes=layout.max_nodes,
        max_connections=layout.max_connections,
        node_extra=layout.node_defaults,
        connection_extra=layout.connection_defaults,
        recurrent_share=variation.recurrent_share if layout.recurrent else 0.0,
    )
    return BreedingParameters(
        seed=np.uint64(seed),
        stream=np.uint64(0),
        template=int(pool.insert([seed_of(layout)])[0]),
        keep_rate=1.0,
        warm=False,
        disable_rate=0.75,
        mutation=mutation,
    )


class Nursery:
    """Breeds in a pool and counts the births."""

    def __init__(self, pool: GenomePool, variation: Variation = VARIATION, seed: int = 1) -> None:
        self.pool, self.parameters = pool, parameters(pool, variation, seed)
        self.births = 0

    def breed(
        self,
        operators: Sequence[int],
        a: Sequence[int] | None = None,
        b: Sequence[int] | None = None,
        immigrants: Sequence[Genome] = (),
        values: Any = None,
        generation: int = 0,
    ) -> Brood:
        n = len(operators)
        births = np.arange(self.births, self.births + n + len(immigrants))
        self.births += births.size
        nobody = np.full(n, -1)
        return self.pool.breed(
            np.array(operators, np.uint8),
            nobody if a is None else np.array(a, np.int64),
            nobody if b is None else np.array(b, np.int64),
            None,
            values,
            births,
            generation,
            self.parameters,
            immigrants,
        )

    def fill(self, n: int) -> GenomePool:
        """Put ``n`` fresh genomes into the empty pool."""
        brood = self.breed([0] * n)
        self.pool.keep(np.arange(n), None, {}, brood)
        return self.pool
