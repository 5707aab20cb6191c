"""Evaluations that several threads do together."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tweann.genes import Int
from tweann.kernels.claims import new_claims, withdraw
from tweann.network import NetworkSlice
from tweann.tasks.base import EvaluationKeys, Evaluations, Task


class SharedEvaluation:
    """The evaluation of a slice by one thread or several: each takes the next genomes that nobody has taken.

    Attributes:
        evaluations: (n,) what was found, whole after `result`.
    """

    def __init__(
        self,
        evaluations: Evaluations,
        passes: Sequence[Callable[[Int], object]],
        finish: Callable[[], None],
    ) -> None:
        """Put an evaluation together; nothing is evaluated yet.

        Args:
            evaluations: (n,) columns, written by passes and ``finish``.
            passes: each takes claims on the n genomes, see `tweann.kernels.claims`, and evaluates what it claims; on
                several threads at once.
            finish: writes what is made of the whole columns.
        """
        n = evaluations.fitness.size
        self.evaluations, self._finish = evaluations, finish
        self._passes = [(run, new_claims(n)) for run in passes]
        self._at_work: list[None] = []  # an entry a thread: appending and popping cannot be split

    def work(self) -> None:
        """Evaluate until there is no genome left that nobody has taken; for each thread to call once."""
        self._at_work.append(None)
        try:
            for run, claims in self._passes:
                run(claims)
        finally:
            self._at_work.pop()

    def stop(self) -> None:
        """Let no genome be begun any more. There will be no result."""
        for _, claims in self._passes:
            withdraw(claims)

    @property
    def at_work(self) -> bool:
        """Whether some thread is at it, and reads genes, which are to stay as they are."""
        return bool(self._at_work)

    def result(self) -> Evaluations:
        """Return what was found, once all that began to work are back."""
        self._finish()
        return self.evaluations

    def alone(self) -> Evaluations:
        """Do all of it on this thread."""
        self.work()
        return self.result()


class SharingTask(Task):
    """Base of tasks that say what their evaluation is made of, so that threads can share it."""

    def evaluation(self, networks: NetworkSlice, keys: EvaluationKeys) -> SharedEvaluation:
        """Return the evaluation of a slice; nothing is evaluated yet."""
        raise NotImplementedError

    def evaluate(self, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
        """Do all of `evaluation` on this thread."""
        return self.evaluation(networks, keys).alone()

    def share(self, networks: NetworkSlice, keys: EvaluationKeys) -> SharedEvaluation | None:
        """Return `evaluation`; None if a subclass makes something of it in an `evaluate` of its own."""
        plain = type(self).evaluate is SharingTask.evaluate
        return self.evaluation(networks, keys) if plain else None
