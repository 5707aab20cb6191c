"""Memetic tuning: genomes search their own weights while they are evaluated.

All genomes of a slice are tuned side by side: one attempt of each is one evaluation of a slice, so every kind of task
is tuned at its own speed. Every attempt is an evaluation, and counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.random import Generator, Philox

from tweann.cma import CMA, offspring
from tweann.config import TuningSettings
from tweann.genes import Bool, Float, Genes, Int
from tweann.kernels.breed import get_values, set_values
from tweann.kernels.random import TUNING, UInt64Array, make_key
from tweann.kernels.tuning import (
    ACTIVE_AGE,
    Selection,
    TuningParameters,
    choose_nodes,
    copy_values,
    mark_values,
    node_age,
    propose,
)
from tweann.layout import Layout
from tweann.network import NetworkSlice
from tweann.tasks.base import EvaluationKeys, Evaluations, Task

_SELECTIONS: Final = {selection.name.lower(): int(selection) for selection in Selection}
#: Attempts by size: 10 + clip(round(W^p), 0, 100), W the values of nodes not older than `ACTIVE_AGE`.
_LEAST_ATTEMPTS, _MOST_MORE = 10, 100


class Tuner:
    """Tunes slices; immutable, so that threads may share it.

    Args:
        settings: section [tuning].
        layout: the shape of the genomes.
        seed, stream: of the run and its island.
        bound: weights and biases stay within ±.
        biases: they evolve.
    """

    def __init__(
        self,
        settings: TuningSettings,
        layout: Layout,
        seed: int,
        stream: int,
        bound: float,
        biases: bool,
    ) -> None:
        self._settings = settings
        self._seed, self._stream = np.uint64(seed), np.uint64(stream)
        columns = [name for name, _ in layout.node_columns]
        self._parameters = TuningParameters(
            selection=_SELECTIONS[settings.selection],
            birth=columns.index("birth") if "birth" in columns else -1,
            generation=0.0,
            spread=settings.range * math.pi,
            annealing=settings.annealing,
            sparse=settings.sparse,
            bound=bound,
            biases=biases,
        )

    def evaluate(
        self,
        task: Task,
        networks: NetworkSlice,
        keys: EvaluationKeys,
        births: Int,
        generation: int,
        wanted: Bool | None = None,
    ) -> Evaluations:
        """Evaluate a slice, and let its genomes search.

        Args:
            task: what to solve.
            networks: (n,) the slice; its genomes stay as they are.
            keys: of the evaluation, the same for each attempt.
            births: (n,) birth numbers, the keys of randomness.
            generation: now.
            wanted: (n,) who searches; None: all.

        Returns:
            What the best attempt of each found, with its tuned ``weights`` and ``biases`` if the run is
            Lamarckian. If not, ``solved`` is what the genome itself was found to be, since its weights are what is kept.
            ``n_evaluations`` and ``steps`` are of all attempts.
        """
        result = task.evaluate(networks, keys)
        n = len(networks)
        p = self._parameters._replace(generation=float(generation))
        # rows 0 … n-1: what each genome has found so far, and what it tries
        best = Genes._make(column[networks.blocks] for column in networks.genes)
        trial = Genes._make(column.copy() for column in best)
        attempts = np.array([self._attempts(best, k, p) for k in range(n)], np.int64)
        if wanted is not None:
            attempts[~wanted] = 0
        own_solved = result.solved.copy()

        def evaluate(rows: Int) -> Evaluations:
            return task.evaluate(NetworkSlice(trial, rows, networks.layout, networks.scaling), keys)

        search = self._climb if self._settings.method == "hill_climb" else self._adapt
        streams = np.array([self._key(birth) for birth in births.tolist()], np.uint64)
        search(best, trial, p, attempts, streams, evaluate, result)
        if self._settings.lamarckian:
            result.weights, result.biases = best.weight, best.bias
        else:
            result.solved[:] = own_solved
        return result

    def _key(self, birth: int) -> np.uint64:
        return np.uint64(make_key(self._seed, self._stream, np.uint64(birth), TUNING))

    def _attempts(self, genes: Genes, k: int, p: TuningParameters) -> int:
        """Return how often a genome may try."""
        if self._settings.attempts != "by_size":
            return int(self._settings.attempts)
        n = int(genes.n_nodes[k])
        young = np.array([node_age(genes, k, i, p) <= ACTIVE_AGE for i in range(n)])
        marks = np.empty(int(genes.n_connections[k]) + n, np.bool_)
        count = mark_values(genes, k, p.biases, young, marks)
        more = round(count**self._settings.size_power) if count else 0
        return _LEAST_ATTEMPTS + min(max(more, 0), _MOST_MORE)

    @staticmethod
    def _climb(
        best: Genes,
        trial: Genes,
        p: TuningParameters,
        attempts: Int,
        streams: UInt64Array,
        evaluate: Callable[[Int], Evaluations],
        result: Evaluations,
    ) -> None:
        """Hill climbing: perturb the best so far; what is strictly better becomes the best."""
        chosen = np.empty(best.node_id.shape[1], np.bool_)
        marks = np.empty(best.node_id.shape[1] + best.source.shape[1], np.bool_)
        for attempt in range(int(attempts.max(initial=0))):
            rows = np.flatnonzero((attempt < attempts) & ~result.solved)
            if rows.size == 0:
                return
            propose(trial, rows, p, streams, chosen, marks)
            better = take_better(result, rows, evaluate(rows))
            for row, is_better in zip(rows.tolist(), better.tolist(), strict=True):
                source, target = (trial, best) if is_better else (best, trial)
                copy_values(source, row, target)

    def _adapt(
        self,
        best: Genes,
        trial: Genes,
        p: TuningParameters,
        attempts: Int,
        streams: UInt64Array,
        evaluate: Callable[[Int], Evaluations],
        result: Evaluations,
    ) -> None:
        """CMA-ES: each genome has its own, on the values of the nodes that are selected at its beginning."""
        searches = {
            k: _Search(best, k, p, streams, self._settings)
            for k in range(attempts.size)
            if attempts[k] > 0
        }
        for attempt in range(int(attempts.max(initial=0))):
            rows = [k for k in searches if attempt < attempts[k] and not result.solved[k]]
            rows = [k for k in rows if searches[k].size]
            if not rows:
                return
            for k in rows:
                set_values(trial, k, searches[k].sample(), p.bound)
            found = evaluate(np.array(rows))
            better = take_better(result, np.array(rows), found)
            for j, k in enumerate(rows):
                if better[j]:
                    copy_values(trial, k, best)
                searches[k].tell(float(found.fitness[j]))


class _Search:
    """The CMA-ES of one genome, sample by sample.

    Attributes:
        size: how many values it moves.
    """

    def __init__(
        self,
        genes: Genes,
        k: int,
        p: TuningParameters,
        streams: UInt64Array,
        settings: TuningSettings,
    ) -> None:
        n_nodes, n = int(genes.n_nodes[k]), int(genes.n_nodes[k] + genes.n_connections[k])
        chosen, marks = np.empty(n_nodes, np.bool_), np.empty(n, np.bool_)
        choose_nodes(genes, k, p, streams[k : k + 1], chosen)
        self.size = int(mark_values(genes, k, p.biases, chosen, marks))
        values = np.empty(n)
        n_values = int(get_values(genes, k, values))
        self._values, self._marks = values[:n_values].copy(), marks[:n_values]
        self._rng = Generator(Philox(key=int(streams[k])))
        self._cma = CMA(
            self._values[self._marks], settings.sigma, self.size > settings.full_covariance
        )
        self._samples: Float = np.empty((0, self.size))
        self._fitness: list[float] = []

    def sample(self) -> Float:
        """Return the next values, in gene order."""
        if not self._fitness:
            normal = self._rng.standard_normal((offspring(self.size), self.size))
            self._samples = self._cma.ask(normal)
        values = self._values.copy()
        values[self._marks] = self._samples[len(self._fitness)]
        return values

    def tell(self, fitness: float) -> None:
        """Take the fitness of the last sample."""
        self._fitness.append(-np.inf if math.isnan(fitness) else fitness)
        if len(self._fitness) == len(self._samples):
            self._cma.tell(self._samples, np.array(self._fitness))
            self._fitness = []


def take_better(result: Evaluations, rows: Int, found: Evaluations) -> Bool:
    """Write to ``result[rows]`` what is strictly better in ``found``, and count all; return which were better.

    A failure is worse than anything.
    """
    before = np.where(np.isnan(result.fitness[rows]), -np.inf, result.fitness[rows])
    better: Bool = np.where(np.isnan(found.fitness), -np.inf, found.fitness) > before
    result.n_evaluations[rows] += found.n_evaluations
    result.steps[rows] += found.steps
    at = rows[better]
    for name in ("fitness", "validation", "solved", "flags", "descriptor", "objectives"):
        getattr(result, name)[at] = getattr(found, name)[better]
    for k in at.tolist():
        result.reasons.pop(k, None)
    return better
