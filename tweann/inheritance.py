"""Lamarckian inheritance: what networks learned in their lifetimes becomes their genomes' own weights.

Source: Whitley, Gordon & Mathias, "Lamarckian evolution, the Baldwin effect and function optimization" (PPSN 1994).
"""

from __future__ import annotations

import numpy as np

from tweann.config import Config
from tweann.errors import ConfigError
from tweann.genes import Genes
from tweann.network import NetworkSlice
from tweann.tasks.base import EvaluationKeys, Evaluations, Task, TaskInfo

#: Of tasks in which a network lives on from step to step, and whose evaluation sees it.
_KINDS = ("compiled", "python")


def require_lifetimes(config: Config, info: TaskInfo) -> None:
    """Raise `ConfigError` where nothing that a network learns could be inherited."""
    if "plasticity" not in config.genome.groups():
        raise ConfigError(
            "genome.lamarckian = true, but no connection learns: set genome.plasticity, for example to "
            '["none", "hebbian"]'
        )
    if info.kind not in _KINDS or info.n_players > 1:
        raise ConfigError(
            f"genome.lamarckian = true needs a task in which a network lives on from step to step, alone; task "
            f"{info.name} is {'a match' if info.n_players > 1 else f'of kind {info.kind!r}'}: set it to false"
        )
    if config.tuning.attempts != 0:
        raise ConfigError(
            "genome.lamarckian and section [tuning] would both set the genomes' weights: set tuning.attempts = 0, or "
            "genome.lamarckian = false"
        )
    if config.evaluation.repeats > 1 or config.evaluation.reevaluate:
        raise ConfigError(
            "evaluation.repeats and evaluation.reevaluate compare lives that begin alike, which "
            "genome.lamarckian = true would change: set it to false, or repeats = 1 and reevaluate = false"
        )


def evaluate_lives(task: Task, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
    """Evaluate a slice, and return with it the weights that its plastic networks ended with.

    Who solves the task is evaluated once more with them, and counted: it keeps what it learned, and what was found
    of it then, if it still solves; otherwise it stays as it was born. Who fails stays so, too.

    Args:
        task: of a kind that `require_lifetimes` admits.
        networks: (n,) the slice; its genomes stay as they are.
        keys: of the evaluation.

    Returns:
        What was found, with ``weights``, finite and within the layout's bound.
    """
    genes, blocks, bound = networks.genes, networks.blocks, networks.layout.weight_bound
    birth = genes.weight[blocks]
    networks.learned = birth.copy()
    result = task.evaluate(networks, keys)
    # As bits: behind a genome's last gene stands anything, NaN included.
    changed = networks.learned.view(np.int64) != birth.view(np.int64)
    changed[np.isnan(result.fitness)] = False
    weights = result.weights = np.where(changed, np.clip(networks.learned, -bound, bound), birth)
    again = np.flatnonzero(changed.any(axis=1) & result.solved)
    if again.size:
        as_kept = Genes._make(column[blocks[again]] for column in genes)
        as_kept = as_kept._replace(weight=weights[again])
        rows = np.arange(again.size)
        found = task.evaluate(NetworkSlice(as_kept, rows, networks.layout, networks.scaling), keys)
        result.n_evaluations[again] += found.n_evaluations
        result.steps[again] += found.steps
        still = found.solved
        weights[again[~still]] = birth[again[~still]]
        for name in ("fitness", "validation", "flags", "descriptor", "objectives"):
            getattr(result, name)[again[still]] = getattr(found, name)[still]
    return result
