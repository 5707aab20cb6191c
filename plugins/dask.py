"""The dask back-end: evaluation on a cluster, or on processes of this machine that dask looks after."""

from __future__ import annotations

import time
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, Final

from pydantic import BaseModel, Field

from tweann.chunks import Chunks, Piece
from tweann.config import Section
from tweann.errors import ConfigError, FormatError, MissingExtraError, PluginError, TaskError
from tweann.genes import Flag
from tweann.interfaces import FinishedJob, Job
from tweann.plugins.dask_worker import evaluate, keep
from tweann.remote import Assignment, pack_piece, unpack_evaluations
from tweann.workers import usable_cores

try:
    import distributed
except ImportError:
    raise MissingExtraError("back-end dask needs dask: pip install 'tweann[dask]'") from None

#: Pieces under way for each worker: one that it works on, and one that is on its way there.
_AHEAD: Final = 2
#: What becomes of what was under way, when a scheduler starts anew.
_FORGOTTEN: Final = ("cancelled", "lost")
#: Between two attempts to reach a scheduler that is away.
_PAUSE: Final = 0.5


class DaskSettings(Section):
    """Section [evaluation] with ``backend = "dask"``."""

    address: str | None = Field(
        None,
        description="Address of the scheduler, as in `tcp://host:8786`. By default a cluster of its own, on this "
        "machine.",
    )
    retries: int = Field(
        1, ge=0, le=100, description="How often a genome that ended its process is tried again."
    )
    chunk_seconds: float = Field(
        0.2, gt=0, le=3600, description="Work that is sent to a process at once, in seconds."
    )
    reconnect_seconds: float = Field(
        60.0, ge=0, description="Patience with a scheduler that went away, or has no workers."
    )
    max_jobs: int = Field(1_000, ge=1, description="Cap on the jobs that wait.")


class DaskBackend:
    """Sends pieces of jobs to a dask cluster. To be used from one thread.

    The task is sent to each worker once. A worker that is lost loses nothing: dask runs its pieces elsewhere, and a
    genome that ends one worker after the other is marked. When the scheduler is started anew, all that was under way is
    sent again.
    """

    Settings: ClassVar[type[BaseModel]] = DaskSettings

    name: ClassVar[str] = "dask"
    in_process: bool = False

    def __init__(self, settings: DaskSettings, workers: int = 0) -> None:
        """Connect, or start a cluster.

        Args:
            settings: what to allow.
            workers: how many processes a cluster of its own has; 0: as many as this process may use cores.

        Raises:
            ConfigError: ``workers`` is negative.
            PluginError: the scheduler cannot be reached, or has no workers.
        """
        if workers < 0:
            raise ConfigError(
                f"evaluation.workers must be 0 (all cores) or more, came as {workers}"
            )
        self.settings = settings
        self._cluster: Any = None
        if settings.address is None:
            self._cluster = distributed.LocalCluster(
                n_workers=workers or usable_cores(),
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
            )
        self._client: Any = None
        self._payloads: dict[int, Any] = {}  # futures of the assignments, by their keys
        self._under_way: dict[
            str, tuple[Any, Piece]
        ] = {}  # futures and pieces, by the future's key
        self._done: SimpleQueue[Any] = SimpleQueue()
        self._n_sent = 0
        self._closed = False
        try:
            self.capacity: int = max(1, sum(self._connect().nthreads().values()))
        except BaseException:
            self.close()
            raise
        self._chunks = Chunks(
            self.capacity, settings.chunk_seconds, settings.retries, settings.max_jobs
        )

    def submit(self, job: Job) -> None:
        """Queue a job.

        Raises:
            PluginError: the back-end is closed, or the job cannot be taken.
            ConfigError: its task cannot be sent to another process.
        """
        if self._closed:
            raise PluginError("back-end dask: submit after close; make a new back-end")
        if job.assignment is not None:
            _ = job.assignment.payload  # raises now, not in the middle
        self._chunks.add(job)

    def collect(self, timeout: float | None = None) -> list[FinishedJob]:
        """Return finished jobs, waiting up to ``timeout`` seconds (None: for ever) for the first.

        With nothing under way it returns an empty list at once.

        Raises:
            PluginError: the scheduler went away and did not return.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._closed:
            self._hand_out()
            if self._chunks.any_finished or not self._chunks.n_jobs:
                break
            wait = 1.0 if deadline is None else min(1.0, max(0.0, deadline - time.monotonic()))
            try:
                future = self._done.get(timeout=wait)
            except Empty:
                if self._client.status != "running":
                    self._start_again()
                    continue
                self._look_for_silent_ones()
                if deadline is not None and time.monotonic() >= deadline:
                    break
                continue
            self._hear(future)
        return self._chunks.take()

    def cancel(self, job: Job) -> None:
        """Drop a job; what a worker is doing of it ends unseen."""
        self._chunks.cancel(job)
        for key, (future, piece) in list(self._under_way.items()):
            if piece.job is job:
                del self._under_way[key]
                future.cancel()

    def close(self) -> None:
        """Let go of the cluster; end it if it is its own. Idempotent."""
        self._closed = True
        if hasattr(self, "_chunks"):
            self._chunks.clear()
        self._under_way.clear()
        self._payloads.clear()
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._cluster is not None:
            self._cluster.close()
            self._cluster = None

    def _connect(self) -> Any:
        """Connect to the scheduler, wait for a first worker, and return the client."""
        patience = max(1.0, self.settings.reconnect_seconds)
        place = self._cluster or self.settings.address
        try:
            self._client = distributed.Client(place, timeout=patience, set_as_default=False)
            self._client.wait_for_workers(1, timeout=patience)
        except (OSError, TimeoutError) as error:
            raise PluginError(
                f"back-end dask: no worker at {self.settings.address or 'a cluster of its own'} within "
                f"{patience:g} s: {error}; are scheduler and workers up, and is evaluation.address right?"
            ) from error
        return self._client

    def _start_again(self) -> None:
        """Connect anew and send again what was under way."""
        pieces = [piece for _, piece in self._under_way.values()]
        self._under_way.clear()
        self._payloads.clear()
        self._client.close(timeout=1.0)
        self._done = SimpleQueue()  # what comes of the old connection is of no interest
        deadline = time.monotonic() + self.settings.reconnect_seconds
        while True:
            try:
                self._connect()
                break
            except PluginError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE)
        for piece in pieces:
            self._chunks.failed(piece, Flag.CRASHED, "the scheduler went away", blameless=True)

    def _hand_out(self) -> None:
        while len(self._under_way) < _AHEAD * self.capacity:
            piece = self._chunks.next_piece()
            if piece is None or piece.job.assignment is None:
                return
            self._n_sent += 1
            future = self._client.submit(
                evaluate,
                self._payload(piece.job.assignment),
                pack_piece(piece.job, piece.start, piece.stop),
                key=f"tweann-{id(self):x}-{self._n_sent}",
                pure=False,
            )
            self._under_way[future.key] = (future, piece)
            future.add_done_callback(self._done.put)

    def _look_for_silent_ones(self) -> None:
        """Hear of what ended without a word: dask says nothing where the scheduler forgot all."""
        for future, _ in list(self._under_way.values()):
            if future.status in _FORGOTTEN:
                self._hear(future)

    def _payload(self, assignment: Assignment) -> Any:
        """Return the future of an assignment's bytes: a task of its own, so that dask can make them again."""
        key = id(assignment)
        if key not in self._payloads or self._payloads[key].status in _FORGOTTEN:
            self._payloads.clear()  # of runs that are over
            self._payloads[key] = self._client.submit(
                keep, assignment.payload, key=f"tweann-task-{id(self):x}-{self._n_sent}"
            )
        return self._payloads[key]

    def _hear(self, future: Any) -> None:
        """Take what came of a piece."""
        future, piece = self._under_way.pop(future.key, (None, None))
        if future is None or piece is None or piece.job.assignment is None:
            return  # cancelled
        info = piece.job.assignment.info
        if future.status != "finished":
            self._hear_of_failure(piece, future)
            return
        try:
            status, seconds, content = future.result()
            if status == "done":
                found = unpack_evaluations(content, len(piece), info)
                self._chunks.done(piece, found, float(seconds))
            elif status == "failed":
                self._chunks.failed(piece, Flag.CRASHED, str(content))
            elif status == "unloadable":
                self._chunks.broken(piece, PluginError(str(content)))
            else:
                reason = f"task {info.name} failed on the cluster:\n{content}"
                self._chunks.broken(piece, TaskError(reason))
        except (FormatError, TypeError, ValueError) as error:
            reason = f"its process answered nonsense: {error}"
            self._chunks.failed(piece, Flag.CRASHED, reason)

    def _hear_of_failure(self, piece: Piece, future: Any) -> None:
        error = None if future.status in _FORGOTTEN else future.exception()
        if error is None:  # dask has forgotten it
            self._chunks.failed(piece, Flag.CRASHED, "the scheduler lost it", blameless=True)
        elif isinstance(error, distributed.KilledWorker):
            self._chunks.failed(piece, Flag.CRASHED, "it ended one process after the other")
        else:
            reason = f"back-end dask: {type(error).__name__}: {error}"
            self._chunks.broken(piece, PluginError(reason))
