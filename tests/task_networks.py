"""Networks for tests of tasks: small genomes by hand, and slices as tasks take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tweann.genes import Float
from tweann.genome import Genome, empty_genes, write_block
from tweann.kernels._jit import allocating_kernel
from tweann.kernels.ids import FIRST_OUTPUT
from tweann.layout import Layout
from tweann.network import NetworkSlice
from tweann.seed import seed_network
from tweann.tasks.base import EvaluationKeys, Task, output_scaling

KEYS = EvaluationKeys(seed=1)


@allocating_kernel
def call_step(step: Any, state: Float, action: Float) -> tuple[float, bool]:
    """Call a task's ``step`` as the rollout kernel does; it has no parameters."""
    reward, done = step(state, np.zeros(0), action)
    return reward, done


@allocating_kernel
def call_reset(reset: Any, state: Float, key: np.uint64) -> None:
    """Call a task's ``reset`` likewise."""
    reset(state, np.zeros(0), key)


@allocating_kernel
def call_observe(observe: Any, state: Float, out: Float) -> None:
    """Call a task's ``observe`` likewise."""
    observe(state, np.zeros(0), out)


def slice_of(task: Task, *genomes: Genome, activation: str = "") -> NetworkSlice:
    """Return genomes as the slice that ``task`` would get of them."""
    n_nodes = max(g.n_nodes for g in genomes)
    layout = Layout(
        task.info.n_inputs,
        task.info.n_outputs,
        max_nodes=max(n_nodes, task.info.n_inputs + task.info.n_outputs),
        recurrent=True,
    )
    n_connections = max(g.n_connections for g in genomes)
    genes = empty_genes(len(genomes), n_nodes, n_connections, layout)
    for block, genome in enumerate(genomes):
        write_block(genes, block, genome, layout)
    scaling = output_scaling(task.info, activation or task.info.output_activation)
    return NetworkSlice(genes, np.arange(len(genomes)), layout, scaling)


def linear(
    task: Task, weights: Sequence[float] | Float, bias: float = 0.0, activation: str = ""
) -> Genome:
    """Return a genome whose outputs see all inputs: weights by output, then by input."""
    layout = Layout(task.info.n_inputs, task.info.n_outputs)
    seed = seed_network(
        layout, np.arange(task.info.n_inputs), activation or task.info.output_activation
    )
    biases = np.where(seed.node_id >= FIRST_OUTPUT, bias, 0.0)
    return _changed(seed, weight=np.array(weights, dtype=np.float64), bias=biases)


def random_linear(task: Task, seed: int) -> Genome:
    """Return such a genome with normally distributed weights."""
    n = task.info.n_inputs * task.info.n_outputs
    rng = np.random.default_rng(seed)
    return linear(task, rng.normal(size=n), bias=float(rng.normal()))


def with_self_loop(task: Task, weights: Sequence[float]) -> Genome:
    """Return a genome whose only output sees the first inputs, one a weight, and, by the last weight, itself."""
    n = task.info.n_inputs
    inputs = np.arange(len(weights) - 1)
    return Genome(
        n_inputs=n,
        n_outputs=1,
        node_id=np.append(np.arange(n), FIRST_OUTPUT),
        activation=("identity",) * n + ("tanh",),
        aggregation=("sum",) * (n + 1),
        bias=np.zeros(n + 1),
        source=np.append(inputs, FIRST_OUTPUT),
        target=np.full(len(weights), FIRST_OUTPUT),
        weight=np.array(weights, dtype=np.float64),
        enabled=np.ones(len(weights), np.bool_),
    )


def _changed(genome: Genome, weight: Float, bias: Float) -> Genome:
    return Genome(
        n_inputs=genome.n_inputs,
        n_outputs=genome.n_outputs,
        node_id=genome.node_id,
        activation=genome.activation,
        aggregation=genome.aggregation,
        bias=bias,
        source=genome.source,
        target=genome.target,
        weight=weight,
        enabled=genome.enabled,
    )
