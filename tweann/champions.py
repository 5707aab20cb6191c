"""The champion: the best genome of a run so far."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from tweann.codec import decode, encode
from tweann.interfaces import Strategy
from tweann.kernels.rollout import Scaling
from tweann.kernels.summary import Summary
from tweann.matches import plays
from tweann.network import NetworkSlice
from tweann.pool import Brood, GenomePool
from tweann.records import Champion
from tweann.tasks.base import Task


class ChampionFinder:
    """Finds the champion, brood by brood.

    What is solved is told by the evaluation, then it is the first such genome that counts; or, where the task tests
    champions, by the test of the brood's best. A champion that solves the task makes room only for a better one that
    solves it, too.

    Where genomes play against each other, fitness of one brood says nothing of another's: champion is who did best in
    the last brood, in which the champion before it plays again, as a clone, against the same opponents.

    Attributes:
        champion: the best genome so far, or None.
    """

    def __init__(self, task: Task, pool: GenomePool, scaling: Scaling, strategy: Strategy) -> None:
        self._task, self._pool, self._scaling = task, pool, scaling
        self._plays = plays(task, strategy)
        self._value = -np.inf
        self.champion: Champion | None = None

    def look(
        self, brood: Brood, found: Summary, generation: int, n_evaluations: int
    ) -> Champion | None:
        """Replace the champion by the brood's best, if that is better, or the first that solves the task.

        Args:
            brood: evaluated.
            found: what its evaluations add up to.
            generation: now.
            n_evaluations: task runs before this brood.

        Returns:
            The new champion; None: it is still the old one.
        """
        done = n_evaluations + found.n_evaluations
        value = brood.rows["validation"]
        if self._plays and self.champion is not None and found.best_valid >= 0:
            best = self._pool.genome(int(brood.rows["block"][found.best_valid]))
            if best.genome_id == self.champion.genome.genome_id:
                return None
            self._value = -np.inf
        if self.champion is not None and self.champion.solved:
            k = found.best_valid if self._task.tests_champion else found.best_solved
            if k < 0 or value[k] <= self._value:
                return None
            solved, metrics = self._solves(brood, k)
            if not solved:
                return None
        elif found.first_solved >= 0:
            k, solved, metrics = found.first_solved, True, dict[str, float]()
            done = n_evaluations + found.evaluations_to_first_solved
        else:
            k = found.best_valid
            if k < 0:
                return None
            solved, metrics = False, {}
            if self._task.tests_champion:
                k, last, solved, metrics = self._try_groups(brood, k)
                done = n_evaluations + int(brood.rows["n_evaluations"][:last].sum())
            if not solved and value[k] <= self._value:
                return None
        self._value = float(value[k])
        self.champion = Champion(
            genome=self._pool.genome(int(brood.rows["block"][k])),
            fitness=float(brood.rows["fitness"][k]),
            birth=int(brood.rows["id"][k]),
            generation=generation,
            n_evaluations=done,
            solved=solved,
            metrics=metrics,
            layout=self._pool.layout,
        )
        return self.champion

    def state(self) -> dict[str, Any]:
        """Return the champion as plain values."""
        c = self.champion
        if c is None:
            return {}
        return {
            "value": self._value,
            "genome": encode(c.genome),
            "fitness": c.fitness,
            "birth": c.birth,
            "generation": c.generation,
            "n_evaluations": c.n_evaluations,
            "solved": c.solved,
            "metrics": dict(c.metrics),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state``.

        Raises:
            FormatError: the genome is none, or does not fit the pool's layout.
        """
        if state:
            layout = self._pool.layout
            figures = {name: state[name] for name in state if name not in ("value", "genome")}
            self._value = state["value"]
            self.champion = Champion(decode(state["genome"], layout), **figures, layout=layout)

    def _try_groups(self, brood: Brood, best: int) -> tuple[int, int, bool, Mapping[str, float]]:
        """Test the best of each group, one group after the other, until one passes the task's test of champions.

        Args:
            brood: none of it is solved by its evaluation.
            best: the best of all.

        Returns:
            Who solves it, the end of its group, True and what the test found; or, if none does, ``best``, the end of the
            brood, False and what its test found.
        """
        value, n = np.nan_to_num(brood.rows["validation"], nan=-np.inf), len(brood)
        edges = (np.flatnonzero(np.diff(brood.rows["group"])) + 1).tolist()
        found: Mapping[str, float] = {}
        for first, last in pairwise([0, *edges, n]):
            k = first + int(np.argmax(value[first:last]))
            if value[k] == -np.inf:
                continue
            solved, metrics = self._solves(brood, k)
            if solved:
                return k, last, True, metrics
            if k == best:
                found = metrics
        return best, n, False, found

    def _solves(self, brood: Brood, k: int) -> tuple[bool, Mapping[str, float]]:
        """Return whether a genome of the brood solves the task, by its evaluation or a test, and what that found."""
        if brood.rows["solved"][k]:
            return True, {}
        if not self._task.tests_champion:
            return False, {}
        blocks = brood.rows["block"][k : k + 1]
        test = self._task.test_champion(
            NetworkSlice(self._pool.genes, blocks, self._pool.layout, self._scaling)
        )
        return test.solved, dict(test.metrics)
