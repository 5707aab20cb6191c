"""Random networks of a known size in which every node matters, as tweann sees them.

"50 nodes" is 50 hidden nodes with 5 inputs each and 9 connections into the outputs: 259 connections; "200 nodes"
likewise has 1,010. No node may be prunable: a decoder that prunes would otherwise seem faster than one that does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from tweann.genes import Genes, Int
from tweann.genome import Genome, empty_genes, write_block
from tweann.kernels.ids import FIRST_OUTPUT
from tweann.kernels.rollout import Scaling
from tweann.layout import Layout
from tweann.network import NetworkSlice
from tweann.tasks import CompiledTask, TaskInfo, task_observe, task_reset, task_step

Edges = dict[int, list[int]]

#: Depths between inputs and outputs from which hidden nodes are drawn.
_LOWEST, _HIGHEST = 1 << 60, FIRST_OUTPUT - (1 << 40)


@dataclass(frozen=True, slots=True)
class Size:
    """How large a random network is."""

    hidden: int
    in_degree: int = 5
    into_outputs: int = 9
    n_inputs: int = 5
    n_outputs: int = 2

    @property
    def n_connections(self) -> int:
        """All connections of such a network."""
        return self.hidden * self.in_degree + self.into_outputs


FIFTY = Size(50)
TWO_HUNDRED = Size(200, into_outputs=10)
#: "50 nodes, 200 connections": what mutation, crossover and distance are measured on.
FIFTY_SPARSE = Size(50, in_degree=4, into_outputs=5, n_inputs=4, n_outputs=1)


def random_genome(
    rng: Generator,
    size: Size,
    *,
    recurrent: bool = False,
    weight: float = 1.0,
    activation: str = "tanh",
) -> Genome:
    """Return a random genome of exactly that size, whose hidden nodes all lead on to an output.

    Args:
        rng: source of randomness.
        size: how large.
        recurrent: hidden nodes read any hidden node, themselves included; otherwise only those before them.
        weight: standard deviation of weights and biases.
        activation: of hidden and output nodes.
    """
    while True:
        edges = _random_edges(rng, size, recurrent)
        if _all_matter(edges, size):
            break
    first_output = size.n_inputs + size.hidden
    ids = np.concatenate(
        (
            np.arange(size.n_inputs),
            np.sort(rng.choice(_HIGHEST - _LOWEST, size.hidden, replace=False)) + _LOWEST,
            FIRST_OUTPUT + np.arange(size.n_outputs),
        )
    )
    pairs = sorted((target, source) for target, sources in edges.items() for source in sources)
    target, source = np.array(pairs).T
    n_computed = size.hidden + size.n_outputs
    bias = np.concatenate((np.zeros(size.n_inputs), rng.normal(0.0, weight, n_computed)))
    return Genome(
        n_inputs=size.n_inputs,
        n_outputs=size.n_outputs,
        node_id=ids,
        activation=("identity",) * size.n_inputs + (activation,) * n_computed,
        aggregation=("sum",) * (first_output + size.n_outputs),
        bias=bias,
        source=ids[source],
        target=ids[target],
        weight=rng.normal(0.0, weight, len(pairs)),
        enabled=np.ones(len(pairs), np.bool_),
    )


def _random_edges(rng: Generator, size: Size, recurrent: bool) -> Edges:
    """Return the sources of each node, by position: inputs, hidden nodes, outputs."""
    first, end = size.n_inputs, size.n_inputs + size.hidden
    edges: Edges = {
        node: rng.choice(end if recurrent else node, size.in_degree, replace=False).tolist()
        for node in range(first, end)
    }
    used = np.bincount([s for sources in edges.values() for s in sources], minlength=end)
    unused = [node for node in range(first, end) if used[node] == 0]
    # the last nodes lead to the outputs: nothing else could read them
    into_outputs = unused[-size.into_outputs :]
    others = [node for node in range(end) if node not in into_outputs]
    more = rng.choice(others, size.into_outputs - len(into_outputs), replace=False).tolist()
    for i, node in enumerate(into_outputs + more):
        edges.setdefault(end + i % size.n_outputs, []).append(node)
    # the others take the place of a source that is read elsewhere too: the depth stays about the same
    for node in unused[: -size.into_outputs]:
        for reader in rng.permutation(np.arange(first if recurrent else node + 1, end)).tolist():
            sources = edges[reader]
            spare = [i for i, s in enumerate(sources) if s < first or used[s] > 1]
            if spare and node not in sources:
                used[sources[spare[0]]] -= 1
                sources[spare[0]] = node
                used[node] += 1
                break
    return edges


def _all_matter(edges: Edges, size: Size) -> bool:
    """Return whether an output can be reached from every hidden node."""
    end = size.n_inputs + size.hidden
    stack, reached = list(range(end, end + size.n_outputs)), set()
    while stack:
        for source in edges.get(stack.pop(), ()):
            if source >= size.n_inputs and source not in reached:
                reached.add(source)
                stack.append(source)
    return len(reached) == size.hidden


def with_activation(genome: Genome, activation: str) -> Genome:
    """Return the genome with another activation in all nodes but the inputs."""
    n = genome.n_nodes - genome.n_inputs
    columns: dict[str, Any] = {name: getattr(genome, name) for name in genome.__dataclass_fields__}
    columns["activation"] = ("identity",) * genome.n_inputs + (activation,) * n
    return Genome(**columns)


def layout_for(genomes: list[Genome], spare: int = 0) -> Layout:
    """Return a layout with room for all these genomes, and ``spare`` genes more."""
    return Layout(
        genomes[0].n_inputs,
        genomes[0].n_outputs,
        max_nodes=max(g.n_nodes for g in genomes) + spare,
        max_connections=max(g.n_connections for g in genomes) + spare,
        recurrent=any(g.recurrent for g in genomes),
        groups=genomes[0].layout().groups,
    )


def table_of(genomes: list[Genome], layout: Layout, spare_blocks: int = 0) -> tuple[Genes, Int]:
    """Return a gene table with one block a genome, and the numbers of these blocks."""
    n = len(genomes)
    genes = empty_genes(n + spare_blocks, layout.max_nodes, layout.max_connections, layout)
    for block, genome in enumerate(genomes):
        write_block(genes, block, genome, layout)
    return genes, np.arange(n)


def slice_of(genomes: list[Genome]) -> NetworkSlice:
    """Return genomes as the networks that a task gets, outputs unscaled."""
    layout = layout_for(genomes)
    genes, blocks = table_of(genomes, layout)
    n = layout.n_outputs
    no_scaling = Scaling(np.ones(n), np.zeros(n), np.full(n, -np.inf), np.full(n, np.inf))
    return NetworkSlice(genes, blocks, layout, no_scaling)


@task_reset
def _reset(state: Any, params: Any, key: Any) -> None:
    """Leave the state at 0."""


@task_observe
def _observe(state: Any, params: Any, observation: Any) -> None:
    """Give the parameters."""
    for i in range(observation.size):
        observation[i] = params[i]


@task_step
def _step(state: Any, params: Any, action: Any) -> Any:
    """Go on for ever."""
    return action[0], False


class ForwardPasses(CompiledTask):
    """A task that is nothing but forward passes: ``ticks`` of them, all with the same inputs.

    It runs in the rollout kernel, as every compiled task does, so what is measured is what a run pays.
    """

    def __init__(self, inputs: list[float], n_outputs: int, ticks: int) -> None:
        info = TaskInfo(
            name="forward-passes",
            version=1,
            kind="compiled",
            inputs=tuple(f"x{i}" for i in range(len(inputs))),
            outputs=tuple(f"y{i}" for i in range(n_outputs)),
        )
        super().__init__(
            info,
            reset=_reset,
            observe=_observe,
            step=_step,
            state_size=1,
            max_steps=ticks,
            params=inputs,
        )
