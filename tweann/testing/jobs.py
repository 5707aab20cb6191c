"""Jobs for the contract of back-ends: evaluations that are made up."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

import numpy as np

from tweann.genome import empty_genes, write_block
from tweann.interfaces import Backend, FinishedJob, Job
from tweann.layout import Layout
from tweann.network import NetworkSlice
from tweann.remote import Assignment
from tweann.seed import seed_network
from tweann.tasks.base import EvaluationKeys, Evaluations, Task, TaskInfo, output_scaling

_INFO = TaskInfo("contract", 1, "python", inputs=("x",), outputs=("y",))


class MadeUp(Task):
    """What those who evaluate in another process get: its fitness is the seed of the keys, or it raises ``error``."""

    info = _INFO

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error

    def evaluate(self, networks: NetworkSlice, keys: EvaluationKeys) -> Evaluations:
        """Return the seed, or raise."""
        if self.error is not None:
            raise self.error
        return evaluations(float(keys.seed))


@cache
def _network() -> NetworkSlice:
    layout = Layout(1, 1)
    genome = seed_network(layout, np.arange(1), "tanh")
    genes = empty_genes(1, genome.n_nodes, genome.n_connections, layout)
    write_block(genes, 0, genome, layout)
    return NetworkSlice(genes, np.zeros(1, np.int64), layout, output_scaling(_INFO, "tanh"))


@cache
def _assignment(error: BaseException | None = None) -> Assignment:
    networks = _network()
    return Assignment(MadeUp(error), networks.layout, networks.scaling)


def evaluations(value: float) -> Evaluations:
    """Return one evaluation with ``value`` as its fitness."""
    result = Evaluations.empty(1, _INFO)
    result.fitness[0] = value
    return result


def job(start: int, evaluate: Callable[[], Evaluations] | None = None) -> Job:
    """Return a job whose fitness is ``start``, unless it does something else.

    Args:
        start: the row of its one genome.
        evaluate: what it does in this process; elsewhere only `fail` with an error is known.
    """
    error = evaluate.args[0] if isinstance(evaluate, partial) and evaluate.func is fail else None
    return Job(
        start,
        start + 1,
        evaluate or partial(evaluations, float(start)),
        _network(),
        EvaluationKeys(start),
        _assignment(error),
    )


def fail(error: BaseException) -> Evaluations:
    """Raise what is given, as an evaluation that has a bug."""
    raise error


def collect(backend: Backend, n: int) -> list[FinishedJob]:
    """Collect ``n`` jobs, or fewer if the back-end says that there are no more."""
    finished: list[FinishedJob] = []
    while len(finished) < n and (more := backend.collect()):
        finished += more
    return finished
