"""Who plays against whom, where genomes play against each other."""

from __future__ import annotations

from typing import Self

import numpy as np

from tweann.errors import PluginError
from tweann.interfaces import Competitive, Strategy
from tweann.kernels.elo import FIRST_RATING
from tweann.network import NetworkSlice
from tweann.pool import Brood, GenomePool
from tweann.remote import Assignment
from tweann.tasks.base import Opponents, Task


def plays(task: Task, strategy: Strategy) -> bool:
    """Return whether a run's genomes play against each other: the task has two players, and the strategy opponents."""
    return task.info.n_players > 1 and isinstance(strategy, Competitive)


class Matchmaker:
    """Finds the opponents of a brood.

    Args:
        assignment: with the task.
        pool: whose rows the opponents are.
        strategy: who chooses them.
    """

    def __init__(self, assignment: Assignment, pool: GenomePool, strategy: Competitive) -> None:
        self._scaling, self._pool, self._strategy = assignment.scaling, pool, strategy
        self._most = assignment.info.n_objectives

    @classmethod
    def of(cls, assignment: Assignment, pool: GenomePool, strategy: Strategy) -> Self | None:
        """Return the run's matchmaker, None where nobody plays against anybody."""
        if isinstance(strategy, Competitive) and plays(assignment.task, strategy):
            return cls(assignment, pool, strategy)
        return None

    def opponents(self, brood: Brood) -> Opponents:
        """Return whom all of a brood play against: the strategy's choice, or the first of the brood itself.

        Raises:
            PluginError: the strategy chose rows that are not there, or more than the task takes.
        """
        pool = self._pool
        rows, ratings = self._strategy.opponents(pool.view())
        if rows.size:
            fits = rows.size == ratings.size <= self._most
            if not fits or rows.min() < 0 or rows.max() >= len(pool):
                raise PluginError(
                    f"opponents() must be 1 to {self._most} rows of the pool, 0 to {len(pool) - 1}, and as many "
                    f"ratings; came rows {rows.tolist()} and {ratings.size} ratings"
                )
            blocks = pool.rows["block"][rows]
        else:
            blocks = brood.rows["block"][: self._most].copy()
            ratings = np.full(blocks.size, FIRST_RATING)
        networks = NetworkSlice(pool.genes, blocks, pool.layout, self._scaling)
        _ = networks.batch  # decoded here, once, not by each of the threads that share it
        return Opponents(networks, ratings)
