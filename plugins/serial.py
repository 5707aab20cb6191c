"""The serial back-end: one job at a time, in the caller's thread."""

from __future__ import annotations

from collections import deque
from typing import ClassVar

from pydantic import BaseModel

from tweann.config import NoSettings
from tweann.errors import PluginError
from tweann.interfaces import FinishedJob, Job


class SerialBackend:
    """Runs each job within `collect`: for user code that is not safe in threads, and for debugging.

    A Ctrl-C during a job goes through `collect` to the caller; the job stays first in the queue.
    """

    Settings: ClassVar[type[BaseModel]] = NoSettings

    capacity: int = 1
    in_process: bool = True
    name: ClassVar[str] = "serial"

    def __init__(self, settings: BaseModel, workers: int = 1) -> None:
        """Make one; ``workers`` means nothing here, so that one configuration serves any back-end."""
        del settings, workers
        self._queue: deque[Job] = deque()
        self._closed = False

    def submit(self, job: Job) -> None:
        """Queue a job.

        Raises:
            PluginError: the back-end is closed.
        """
        if self._closed:
            raise PluginError("back-end serial: submit after close; make a new back-end")
        self._queue.append(job)

    def collect(self, timeout: float | None = None) -> list[FinishedJob]:
        """Run the next job and return it; an empty list if there is none.

        ``timeout`` cannot be kept: a job in this thread is over when it is over. One job a call, so that
        the caller can look at the clock between two.
        """
        del timeout
        if not self._queue:
            return []
        job = self._queue[0]
        try:
            finished = FinishedJob(job, job.evaluate())
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: user code must not end the run
            finished = FinishedJob(job, None, error)
        self._queue.popleft()
        return [finished]

    def cancel(self, job: Job) -> None:
        """Drop a job that has not begun; one that is not queued is no error."""
        self._queue = deque(queued for queued in self._queue if queued is not job)

    def close(self) -> None:
        """Drop what is queued. Idempotent."""
        self._closed = True
        self._queue.clear()
