"""Which genomes go to another process together, and what comes of those that go wrong there.

Used by back-ends that send jobs away. It cuts jobs into pieces by what an evaluation was measured to cost, puts the
pieces' results together again, and isolates genomes that break their process: a piece that fails is tried again genome
by genome, so only the guilty one is marked, and all others have the results that they have anywhere.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from tweann.errors import PluginError
from tweann.genes import Flag
from tweann.interfaces import FinishedJob, Job
from tweann.tasks.base import Evaluations

#: Seconds of work below which a piece is not cut smaller for the sake of even shares: sending one costs some 0.2 ms.
LEAST_SECONDS: Final = 0.002
#: Genomes in one piece, at most: its message stays below some megabytes.
MAX_GENOMES: Final = 1000
#: How the measured cost follows a slower measurement; a faster one counts at once.
_INERTIA: Final = 0.7


@dataclass(slots=True, eq=False)
class Piece:
    """A part of a job: rows ``start`` to ``stop``, counted from the job's first.

    Attributes:
        attempts: how often it has broken a process, alone.
    """

    job: Job
    start: int
    stop: int
    attempts: int = 0

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(slots=True, eq=False)
class _Entry:
    """A job under way."""

    job: Job
    evaluations: Evaluations
    missing: int


class Chunks:
    """The jobs of a back-end, in pieces.

    Args:
        capacity: how many pieces are worked on at once.
        chunk_seconds: how long a piece is to take.
        retries: how often a genome that broke a process alone is tried again.
        max_jobs: cap on the jobs under way.

    Attributes:
        cost: seconds an evaluation, as measured; None: not known yet.
        n_retried, n_flagged: pieces tried again, and genomes given up, so far.
    """

    def __init__(self, capacity: int, chunk_seconds: float, retries: int, max_jobs: int) -> None:
        self._capacity, self._seconds = capacity, chunk_seconds
        self._retries, self._max_jobs = retries, max_jobs
        self._entries: dict[int, _Entry] = {}  # by id of the job, which the entry keeps alive
        self._waiting: deque[Piece] = deque()
        self._finished: list[FinishedJob] = []
        self.cost: float | None = None
        self.n_retried = self.n_flagged = 0

    @property
    def n_jobs(self) -> int:
        """Jobs that are neither finished nor cancelled."""
        return len(self._entries)

    @property
    def any_waiting(self) -> bool:
        """Whether there is a piece to hand out."""
        return bool(self._waiting)

    def add(self, job: Job) -> None:
        """Take a job.

        Raises:
            PluginError: it lacks what is to be sent, is under way already, or there are too many.
        """
        if job.networks is None or job.assignment is None:
            raise PluginError(
                f"the job for rows {job.start} to {job.stop} cannot be sent to another process: it lacks networks "
                "or assignment"
            )
        if id(job) in self._entries:
            raise PluginError(f"the job for rows {job.start} to {job.stop} is under way already")
        if len(self._entries) >= self._max_jobs:
            raise PluginError(
                f"{self._max_jobs} jobs are under way: collect some before submitting more"
            )
        n = len(job.networks)
        if n == 0:
            self._finished.append(FinishedJob(job, Evaluations.empty(0, job.assignment.info)))
            return
        self._entries[id(job)] = _Entry(job, Evaluations.empty(n, job.assignment.info), n)
        self._waiting.append(Piece(job, 0, n))

    def cancel(self, job: Job) -> None:
        """Forget a job: what is under way of it ends unseen."""
        if self._entries.pop(id(job), None) is not None:
            self._waiting = deque(piece for piece in self._waiting if piece.job is not job)

    def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self._waiting.clear()
        self._finished.clear()

    def take(self) -> list[FinishedJob]:
        """Return what has finished since the last call."""
        finished, self._finished = self._finished, []
        return finished

    @property
    def any_finished(self) -> bool:
        """Whether `take` would return something."""
        return bool(self._finished)

    def next_piece(self) -> Piece | None:
        """Return a piece to be worked on; None: there is none."""
        if not self._waiting:
            return None
        piece = self._waiting[0]
        n = min(self._size(), len(piece))
        if n == len(piece):
            return self._waiting.popleft()
        cut = Piece(piece.job, piece.start, piece.start + n)
        piece.start += n
        return cut

    def _size(self) -> int:
        """Return how many genomes the next piece may have: as many as fill its time, fewer towards the end."""
        if self.cost is None:
            return 1
        left = sum(len(piece) for piece in self._waiting)
        cost = max(self.cost, 1e-9)
        even = max(-(-left // (2 * self._capacity)), int(LEAST_SECONDS / cost))
        return max(1, min(int(self._seconds / cost), even, MAX_GENOMES))

    def done(self, piece: Piece, evaluations: Evaluations, seconds: float) -> None:
        """Take the result of a piece, and what it took."""
        cost = seconds / len(piece)
        slower = self.cost is not None and cost > self.cost
        self.cost = _INERTIA * self.cost + (1 - _INERTIA) * cost if slower and self.cost else cost
        self._put(piece, evaluations)

    def _put(self, piece: Piece, evaluations: Evaluations) -> None:
        entry = self._entries.get(id(piece.job))
        if entry is None or entry.job is not piece.job:
            return  # cancelled
        for column in fields(Evaluations):
            values = getattr(entry.evaluations, column.name)
            if isinstance(values, np.ndarray):
                values[piece.start : piece.stop] = getattr(evaluations, column.name)
        for k, reason in evaluations.reasons.items():
            entry.evaluations.reasons[piece.start + k] = reason
        entry.missing -= len(piece)
        if entry.missing == 0:
            del self._entries[id(piece.job)]
            entry.evaluations.reasons = dict(sorted(entry.evaluations.reasons.items()))
            self._finished.append(FinishedJob(piece.job, entry.evaluations))

    def failed(self, piece: Piece, flag: Flag, reason: str, *, blameless: bool = False) -> None:
        """Take note that a piece broke its process, or took too long: it is tried again, or given up.

        Args:
            flag: `Flag.CRASHED`, or `Flag.TIMED_OUT`, for which a genome alone is not tried again.
            reason: what happened, for people.
            blameless: it was not the genomes: tried again as it is.
        """
        job = piece.job
        if id(job) not in self._entries:
            return
        if blameless:
            self._again([piece])
        elif len(piece) > 1:
            self._again([Piece(job, k, k + 1) for k in range(piece.start, piece.stop)])
        elif flag != Flag.TIMED_OUT and piece.attempts < self._retries:
            piece.attempts += 1
            self._again([piece])
        elif job.assignment is not None:
            self.n_flagged += 1
            marked = Evaluations.empty(1, job.assignment.info)
            marked.fail(0, flag, reason)
            self._put(piece, marked)

    def _again(self, pieces: list[Piece]) -> None:
        self.n_retried += len(pieces)
        self._waiting.extendleft(reversed(pieces))

    def broken(self, piece: Piece, error: BaseException) -> None:
        """Take note that evaluation itself is broken, not a genome: the whole job ends with ``error``."""
        entry = self._entries.get(id(piece.job))
        if entry is not None:
            self.cancel(piece.job)
            self._finished.append(FinishedJob(piece.job, None, error))
