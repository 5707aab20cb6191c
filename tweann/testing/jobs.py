"""Jobs for the contract of back-ends: evaluations that are made up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tweann.interfaces import Backend, FinishedJob, Job
from tweann.tasks.base import Evaluations, TaskInfo

_INFO = TaskInfo("contract", 1, "python", inputs=("x",), outputs=("y",))


def evaluations(value: float) -> Evaluations:
    """Return one evaluation with ``value`` as its fitness."""
    result = Evaluations.empty(1, _INFO)
    result.fitness[0] = value
    return result


def job(start: int, evaluate: Callable[[], Evaluations] | None = None) -> Job:
    """Return a job whose fitness is ``start``, unless it does something else."""
    return Job(start, start + 1, evaluate or partial(evaluations, float(start)))


def fail(error: BaseException) -> Evaluations:
    """Raise what is given, as an evaluation that has a bug."""
    raise error


def collect(backend: Backend, n: int) -> list[FinishedJob]:
    """Collect ``n`` jobs, or fewer if the back-end says that there are no more."""
    finished: list[FinishedJob] = []
    while len(finished) < n and (more := backend.collect()):
        finished += more
    return finished
