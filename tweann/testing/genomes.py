"""Random networks that any task can be given: for the contract of tasks."""

from __future__ import annotations

import numpy as np

from tweann import assembly
from tweann.config import Config, load
from tweann.genes import Operator
from tweann.network import NetworkSlice
from tweann.pool import GenomePool
from tweann.registry import default_registry
from tweann.tasks.base import Task

#: Of each genome: fresh ones, then as many rounds of mutation.
_ROUNDS = 12


def _config(bound: float) -> Config:
    sections = {
        "genome": {
            "recurrent": True,
            "max_nodes": 10_000,
            "init_power": bound,
            "weight_bound": max(bound, 1.0),
            "activations": ["tanh", "sin", "relu"],
        },
        "mutation": {"mode": "all", "add_node_rate": 0.5, "add_connection_rate": 0.8},
        "task": {"name": "external", "n_inputs": 1, "n_outputs": 1},  # its sizes are not used
    }
    return load(sections)


def random_networks(task: Task, n: int, seed: int = 1, power: float = 1.0) -> NetworkSlice:
    """Return ``n`` networks of a task's sizes, with hidden nodes and recurrent connections.

    Args:
        task: whose inputs and outputs they have.
        n: how many.
        seed: of all that is drawn.
        power: scale of the weights.
    """
    config, registry = _config(power), default_registry()
    layout = assembly.make_layout(config, task.info, registry)
    pool = GenomePool(layout, {}, len(task.info.descriptor), task.info.n_objectives)
    template = int(pool.insert([assembly.make_seed(config, task.info, layout)])[0])
    parameters = assembly.make_breeding(config, layout, template)._replace(seed=np.uint64(seed))
    rows, nobody = np.arange(n), np.full(n, -1)
    for generation in range(_ROUNDS):
        operator = Operator.MUTATE if generation else Operator.FRESH
        brood = pool.breed(
            np.full(n, operator, np.uint8),
            rows if generation else nobody,
            nobody,
            None,
            None,
            generation * n + rows,
            generation,
            parameters,
        )
        pool.keep(rows + len(pool), None, {}, brood)
    scaling = assembly.make_scaling(config, task.info)
    return NetworkSlice(pool.genes, pool.rows["block"].copy(), layout, scaling)


def part(networks: NetworkSlice, index: list[int]) -> NetworkSlice:
    """Return some networks of a slice, in the order of ``index``."""
    return NetworkSlice(
        networks.genes,
        networks.blocks[np.array(index, np.int64)],
        networks.layout,
        networks.scaling,
    )
