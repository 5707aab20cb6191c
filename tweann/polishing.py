"""Polishing: a long search on the weights of one stored champion, with the `cmaes` package."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Final

import numpy as np

from tweann import assembly
from tweann.config import load
from tweann.errors import ConfigError, MissingExtraError
from tweann.genes import Bool, Float, Genes
from tweann.genome import Genome
from tweann.kernels.breed import get_values, set_values
from tweann.kernels.ids import HASH_BITS
from tweann.kernels.tuning import mark_values
from tweann.network import NetworkSlice
from tweann.registry import Registry, default_registry
from tweann.stored_run import CONFIG_FILE, StoredRun
from tweann.tasks.base import EvaluationKeys

#: Weights up to which a full covariance matrix is learned; beyond, its diagonal (sep-CMA-ES).
FULL_COVARIANCE: Final = 200


@dataclass(frozen=True, slots=True)
class Polished:
    """What polishing found.

    Attributes:
        genome: the best, the champion itself if nothing was better.
        before, fitness: what the champion and the best have.
        n_evaluations: how many it took.
        solved: whether the best solves the task, by its evaluation or the test of champions.
        interrupted: whether it was ended before its time.
    """

    genome: Genome
    before: float
    fitness: float
    n_evaluations: int
    solved: bool
    interrupted: bool

    def data(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "before": self.before,
            "fitness": self.fitness,
            "gain": self.fitness - self.before,
            "n_evaluations": self.n_evaluations,
            "solved": self.solved,
            "interrupted": self.interrupted,
            "genome_id": self.genome.genome_id,
        }


def polish(
    stored: StoredRun,
    *,
    evaluations: int = 1000,
    sigma: float = 0.3,
    seed: int = 1,
    registry: Registry | None = None,
    on_progress: Callable[[int, float], None] | None = None,
) -> Polished:
    """Search the enabled weights, and the biases if they evolve, of a run's champion by CMA-ES.

    Args:
        stored: the run.
        evaluations: how many at most, >= 1.
        sigma: the first step size, > 0.
        seed: the same seed gives the same result.
        registry: where the plugins are; by default the installed ones.
        on_progress: called after each generation with evaluations done and the best fitness.

    Returns:
        What it found; after a KeyboardInterrupt, what it had found until then.

    Raises:
        MissingExtraError: the `cmaes` package is not installed.
        ConfigError: an argument is out of range, or the champion has less than two weights to search.
        StorageError: the run has no champion.
    """
    if evaluations < 1 or not (math.isfinite(sigma) and sigma > 0):
        raise ConfigError(
            f"expected evaluations >= 1 and a finite sigma > 0, came {evaluations} and {sigma}"
        )
    try:
        cmaes: Any = import_module("cmaes")
    except ImportError as error:
        raise MissingExtraError(
            "polishing needs the package cmaes: pip install 'tweann[tuning]'"
        ) from error
    config = load(stored.folder / CONFIG_FILE, (), registry or default_registry())
    task = assembly.make_task(config, registry or default_registry())
    layout = assembly.make_layout(config, task.info, registry or default_registry())
    scaling = assembly.make_scaling(config, task.info)
    champion = stored.champion()
    generation = stored.champion_data()["generation"] if config.evaluation.resample else 0
    keys = EvaluationKeys(config.run.seed, generation)
    genes, bound = champion.genes(layout), config.genome.weight_bound
    everything = np.ones(champion.n_nodes, np.bool_)
    marks = np.empty(champion.n_nodes + champion.n_connections, np.bool_)
    n = int(mark_values(genes, 0, config.genome.bias, everything, marks))
    if n < 2:
        raise ConfigError(f"the champion has {n} weights to search: expected 2 or more")
    values: Float = np.empty(marks.size)
    n_values = int(get_values(genes, 0, values))
    values, free = values[:n_values], marks[:n_values]

    def evaluate(samples: list[Float]) -> tuple[Float, Bool]:
        """(k,) fitness of k vectors of the free values, NaN for failures, and whether they solve the task."""
        table = Genes._make(np.repeat(column, len(samples), axis=0) for column in genes)
        for k, sample in enumerate(samples):
            whole = values.copy()
            whole[free] = sample
            set_values(table, k, whole, bound)
        slice_ = NetworkSlice(table, np.arange(len(samples)), layout, scaling)
        result = task.evaluate(slice_, keys)
        return result.fitness, result.solved

    (fitness,), (solved,) = evaluate([values[free]])
    best, found, solves = values[free].copy(), float(fitness), bool(solved)
    before, done, interrupted = found, 1, False
    kind = cmaes.CMA if n <= FULL_COVARIANCE else cmaes.SepCMA
    bounds = np.tile([-bound, bound], (n, 1))
    search = kind(mean=np.clip(best, -bound, bound), sigma=sigma, bounds=bounds, seed=seed)
    try:
        while done < evaluations and not search.should_stop():
            n_samples = min(search.population_size, evaluations - done)
            samples = [search.ask() for _ in range(n_samples)]
            fitness, solved = evaluate(samples)
            done += n_samples
            k = int(np.argmax(np.where(np.isnan(fitness), -np.inf, fitness)))
            if fitness[k] > found or (math.isnan(found) and not math.isnan(fitness[k])):
                best, found, solves = samples[k], float(fitness[k]), bool(solved[k])
            if n_samples == search.population_size:  # the last generation may be cut short
                # it minimises; a failure is as bad as can be told apart
                losses = np.where(np.isnan(fitness), np.finfo(np.float64).max, -fitness)
                search.tell(list(zip(samples, losses.tolist(), strict=True)))
            if on_progress is not None:
                on_progress(done, found)
    except KeyboardInterrupt:
        interrupted = True
    whole = values.copy()
    whole[free] = best
    genome = with_values(champion, whole)
    if task.tests_champion:
        solves = task.test_champion(genome.as_slice(layout, scaling)).solved
    return Polished(genome, before, found, done, solves, interrupted)


def with_values(genome: Genome, values: Float) -> Genome:
    """Return a genome with other weights, then biases of hidden and output nodes, in gene order."""
    bias = genome.bias.copy()
    inputs = int(np.searchsorted(genome.node_id, 1 << HASH_BITS))
    bias[inputs:] = values[genome.n_connections :]
    return replace(genome, weight=values[: genome.n_connections].copy(), bias=bias)
