"""The threads back-end: compiled tasks let go of the GIL, so threads use all cores."""

from __future__ import annotations

import weakref
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import ClassVar

from pydantic import BaseModel

from tweann.config import NoSettings
from tweann.errors import ConfigError, PluginError
from tweann.interfaces import FinishedJob, Job
from tweann.workers import usable_cores


class _Ticket:
    """A job under way. ``cancelled`` is only ever set, so that no lock is needed to read it."""

    __slots__ = ("cancelled", "job")

    def __init__(self, job: Job) -> None:
        self.job = job
        self.cancelled = False


_Todo = SimpleQueue[_Ticket | None]  # None: go home
_Done = SimpleQueue[tuple[_Ticket, FinishedJob]]


class ThreadsBackend:
    """Runs jobs on threads of its own, in the order in which they were submitted.

    To be used from one thread. Own threads rather than an executor: two C queues cost a few µs a job, and
    they are daemons, so a job that never returns cannot keep the process from ending.
    """

    Settings: ClassVar[type[BaseModel]] = NoSettings

    name: ClassVar[str] = "threads"
    in_process: bool = True

    def __init__(self, settings: BaseModel, workers: int = 0) -> None:
        """Start the threads.

        Args:
            settings: none yet.
            workers: how many; 0: as many as this process may use cores.

        Raises:
            ConfigError: ``workers`` is negative.
        """
        del settings
        if workers < 0:
            raise ConfigError(
                f"evaluation.workers must be 0 (all cores) or more, came as {workers}"
            )
        self.capacity: int = workers or usable_cores()
        self._todo: _Todo = SimpleQueue()
        self._done: _Done = SimpleQueue()
        self._under_way: dict[int, _Ticket] = {}  # by id of the job, which the ticket keeps alive
        self._closed = False
        # The threads hold the queues, not this object: one that is forgotten sends them home when collected.
        self._threads = [
            Thread(target=_work, args=(self._todo, self._done), name=f"tweann-{n}", daemon=True)
            for n in range(self.capacity)
        ]
        for thread in self._threads:
            thread.start()
        self._dismiss = weakref.finalize(self, _dismiss, self._todo, self.capacity)

    def submit(self, job: Job) -> None:
        """Queue a job.

        Raises:
            PluginError: the back-end is closed, or this very job is under way.
        """
        if self._closed:
            raise PluginError("back-end threads: submit after close; make a new back-end")
        if id(job) in self._under_way:
            raise PluginError(
                f"back-end threads: the job for rows {job.start} to {job.stop} is under way already"
            )
        ticket = self._under_way[id(job)] = _Ticket(job)
        self._todo.put(ticket)

    def collect(self, timeout: float | None = None) -> list[FinishedJob]:
        """Return finished jobs, waiting up to ``timeout`` seconds (None: for ever) for the first.

        With nothing under way it returns an empty list at once.
        """
        finished: list[FinishedJob] = []
        deadline = None if timeout is None else monotonic() + timeout
        while self._under_way:
            wait = None if deadline is None else max(0.0, deadline - monotonic())
            try:
                ticket, result = self._done.get(not finished, wait)
            except Empty:
                break
            if not ticket.cancelled:
                del self._under_way[id(ticket.job)]
                finished.append(result)
        return finished

    def cancel(self, job: Job) -> None:
        """Drop a job that has not begun; one that has is left to end and is not returned.

        A job that is not under way is no error.
        """
        ticket = self._under_way.pop(id(job), None)
        if ticket is not None:
            ticket.cancelled = True

    def close(self) -> None:
        """Drop what has not begun, wait for what has, end all threads. Idempotent."""
        self._closed = True
        for ticket in self._under_way.values():
            ticket.cancelled = True
        self._under_way.clear()
        self._dismiss()
        for thread in self._threads:
            thread.join()


def _work(todo: _Todo, done: _Done) -> None:
    while (ticket := todo.get()) is not None:
        if not ticket.cancelled:
            try:
                finished = FinishedJob(ticket.job, ticket.job.evaluate())
            except BaseException as error:  # SystemExit too: a thread that ends would lose jobs
                finished = FinishedJob(ticket.job, None, error)
            if not ticket.cancelled:
                done.put((ticket, finished))
            del finished
        del ticket  # or the last job's genomes would stay in memory until the next job


def _dismiss(todo: _Todo, n: int) -> None:
    for _ in range(n):
        todo.put(None)
