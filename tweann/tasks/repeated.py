"""Several evaluations of each genome, for tasks with noise: what the fitness is of their values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tweann.genes import Flag, Float
from tweann.network import NetworkSlice
from tweann.tasks.base import EvaluationKeys, Evaluations, Task


@dataclass(frozen=True, slots=True)
class Repeats:
    """How often, and what becomes of the values.

    Attributes:
        n: evaluations of each genome, >= 1.
        fitness_of: what the fitness is of their values.
        quantile: in [0, 1]; between two values it is interpolated linearly.
    """

    n: int = 1
    fitness_of: Literal["mean", "median", "worst", "quantile"] = "mean"
    quantile: float = 0.25

    def value(self, values: Float) -> Float:
        """Return (n,) what the values, (repeats, n), add up to; NaN where one of them is."""
        if self.fitness_of == "mean":
            return values.mean(axis=0)  # type: ignore[no-any-return] # numpy's types do not say
        if self.fitness_of == "worst":
            return values.min(axis=0)  # type: ignore[no-any-return]
        q = 0.5 if self.fitness_of == "median" else self.quantile
        return np.quantile(values, q, axis=0)


def evaluate_repeatedly(
    task: Task, networks: NetworkSlice, keys: EvaluationKeys, repeats: Repeats
) -> Evaluations:
    """Evaluate a slice several times, each time with other random numbers, the same for all genomes.

    Steps and evaluations add up; descriptor and objectives are means; a genome solves the task if it does each time,
    and fails if it does once.
    """
    if repeats.n == 1:
        return task.evaluate(networks, keys)
    found = [task.evaluate(networks, replace(keys, repeat=k)) for k in range(repeats.n)]
    result = Evaluations.empty(len(networks), task.info)
    result.fitness[:] = repeats.value(np.array([e.fitness for e in found]))
    result.validation[:] = repeats.value(np.array([e.validation for e in found]))
    result.descriptor[:] = np.mean([e.descriptor for e in found], axis=0)
    result.objectives[:] = np.mean([e.objectives for e in found], axis=0)
    result.solved[:] = np.logical_and.reduce([e.solved for e in found])
    result.steps[:] = np.sum([e.steps for e in found], axis=0)
    result.n_evaluations[:] = np.sum([e.n_evaluations for e in found], axis=0)
    for evaluations in found:
        result.flags |= evaluations.flags
        for k, reason in evaluations.reasons.items():
            result.reasons.setdefault(k, reason)
    for k in np.flatnonzero(np.isnan(result.fitness)).tolist():
        result.fail(k, Flag(int(result.flags[k])), result.reasons.get(k, "it is not a number"))
    return result
