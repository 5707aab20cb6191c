"""The processes back-end: evaluation that cannot hang or crash the run."""

from __future__ import annotations

import json
import os
import pickle
import selectors
import signal
import socket
import subprocess
import sys
import weakref
from time import monotonic
from typing import Any, ClassVar, Final

import msgpack
from pydantic import BaseModel, Field

from tweann.chunks import Chunks, Piece
from tweann.config import Section
from tweann.errors import ConfigError, FormatError, PluginError, TaskError
from tweann.genes import Flag
from tweann.interfaces import FinishedJob, Job
from tweann.memory import available
from tweann.plugins import worker_server
from tweann.plugins.frames import FrameReader, send
from tweann.remote import Assignment, pack_piece, unpack_evaluations
from tweann.workers import usable_cores

#: What an answer may have beside its columns: reasons, names.
_ANSWER_BYTES: Final = 1 << 16
_BYTES_A_GENOME: Final = 1 << 13
#: How long a worker may take to read what it is sent, and the server to answer.
_SEND_SECONDS: Final = 60.0
#: Workers that end one after the other before any has loaded the task: then it is not the genomes' fault.
_MAX_FALSE_STARTS: Final = 3
#: How often the free memory is looked at.
_MEMORY_SECONDS: Final = 0.25
#: One thread for each library that would start as many as there are cores, in each worker.
_ONE_THREAD: Final = dict.fromkeys(
    ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)
#: What a worker may answer, and the types of what it says.
_ANSWERS: Final[dict[str, dict[str, type]]] = {
    "loaded": {},
    "done": {"seconds": float, "evaluations": bytes},
    "failed": {"reason": str},
    "error": {"reason": str},
}
_SERVER: Final = (
    "import json, socket, sys; sys.path[:] = json.loads(sys.argv[3]); "
    "from tweann.plugins.worker_server import serve; "
    "serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))"
)


class ProcessesSettings(Section):
    """Section [evaluation] with ``backend = "processes"``."""

    timeout_seconds: float | None = Field(
        None, gt=0, description="Longest time for one genome; beyond it the evaluation fails."
    )
    retries: int = Field(
        1, ge=0, le=100, description="How often a genome that ended its process is tried again."
    )
    chunk_seconds: float = Field(
        0.02, gt=0, le=3600, description="Work that is sent to a process at once, in seconds."
    )
    start_seconds: float = Field(
        120.0, gt=0, description="Longest time for a process to load the task and its kernels."
    )
    worker_bytes: int | None = Field(
        None, ge=1 << 27, description="Cap on the memory of one process, in bytes."
    )
    min_free_bytes: int = Field(
        100_000_000,
        ge=0,
        description="With less free memory, of the machine or of the control group, fewer processes work.",
    )
    max_jobs: int = Field(1_000, ge=1, description="Cap on the jobs that wait.")


class _Worker:
    """A worker process, seen from the run."""

    def __init__(self, channel: socket.socket, pid: int) -> None:
        self.channel, self.pid = channel, pid
        self.reader = FrameReader()
        self.loaded = False
        self.key: Assignment | None = None
        self.piece: Piece | None = None
        self.deadline: float | None = None


class ProcessesBackend:
    """Runs jobs in processes of its own, in pieces by their measured cost.

    What a genome does to its process, crash, hang, eat all memory, costs that genome alone: it is marked and the run
    goes on. All workers end with the run, however it ends. To be used from one thread.
    """

    Settings: ClassVar[type[BaseModel]] = ProcessesSettings

    name: ClassVar[str] = "processes"
    in_process: bool = False

    def __init__(self, settings: ProcessesSettings, workers: int = 0) -> None:
        """Make one; processes are started when there is something to do.

        Args:
            settings: what to allow.
            workers: how many processes; 0: as many as this process may use cores.

        Raises:
            ConfigError: ``workers`` is negative, or this is no place for processes.
        """
        if workers < 0:
            raise ConfigError(
                f"evaluation.workers must be 0 (all cores) or more, came as {workers}"
            )
        if not hasattr(os, "fork"):
            raise ConfigError(
                'back-end processes needs a system with fork: use evaluation.backend = "threads"'
            )
        _refuse_in_worker()
        self.settings = settings
        self.capacity: int = workers or usable_cores()
        self._allowed = self.capacity  # how many may work at once, as memory permits
        self._memory_looked = -1.0
        self.n_pauses = 0  #: how often memory was short
        self._chunks = Chunks(
            self.capacity, settings.chunk_seconds, settings.retries, settings.max_jobs
        )
        self._server: _Server | None = None
        self._workers: list[_Worker] = []
        self._selector = selectors.DefaultSelector()
        self._false_starts = 0
        self._closed = False

    @property
    def chunks(self) -> Chunks:
        """The jobs under way, and what is known of their cost."""
        return self._chunks

    @property
    def pids(self) -> list[int]:
        """The numbers of the worker processes there are."""
        return [worker.pid for worker in self._workers]

    def submit(self, job: Job) -> None:
        """Queue a job.

        Raises:
            PluginError: the back-end is closed, or the job cannot be taken.
            ConfigError: its task cannot be sent to another process.
        """
        if self._closed:
            raise PluginError("back-end processes: submit after close; make a new back-end")
        if job.assignment is not None:
            _ = job.assignment.payload  # raises now, not in the middle
        self._chunks.add(job)

    def collect(self, timeout: float | None = None) -> list[FinishedJob]:
        """Return finished jobs, waiting up to ``timeout`` seconds (None: for ever) for the first.

        With nothing under way it returns an empty list at once.
        """
        deadline = None if timeout is None else monotonic() + timeout
        while not self._closed:
            self._hand_out()
            if self._chunks.any_finished or not self._chunks.n_jobs:
                break
            now = monotonic()
            if deadline is not None and now >= deadline:
                break
            self._wait(self._patience(now, deadline))
            self._end_late_workers()
        return self._chunks.take()

    def cancel(self, job: Job) -> None:
        """Drop a job; what a process is doing of it ends unseen."""
        self._chunks.cancel(job)

    def close(self) -> None:
        """End all processes at once. Idempotent."""
        self._closed = True
        self._chunks.clear()
        self._let_go()
        self._selector.close()

    # ---------------------------------------------------------------- processes

    def _let_go(self) -> None:
        """End the server, and with it all workers."""
        for worker in self._workers:
            self._selector.unregister(worker.channel)
            worker.channel.close()
        self._workers = []
        if self._server is not None:
            self._server.close()
            self._server = None

    def _start_worker(self) -> _Worker:
        if self._server is None:
            self._server = _Server()
        channel, pid = self._server.fork()
        channel.settimeout(_SEND_SECONDS)
        worker = _Worker(channel, pid)
        self._workers.append(worker)
        self._selector.register(channel, selectors.EVENT_READ, worker)
        return worker

    def _lose(self, worker: _Worker, flag: Flag, reason: str | None) -> None:
        """End a worker; what it was doing has failed.

        Args:
            reason: None: it ended by itself, the server knows how.
        """
        self._selector.unregister(worker.channel)
        worker.channel.close()
        self._workers.remove(worker)
        status = None if self._server is None else self._server.end(worker.pid)
        if status is None:
            self._let_go_of_a_dead_server()
        reason = reason or f"its process {_ending(status)}"
        if worker.loaded:
            self._false_starts = 0
        else:
            self._false_starts += 1
        if worker.piece is not None:
            if self._false_starts >= _MAX_FALSE_STARTS:
                self._chunks.broken(
                    worker.piece,
                    PluginError(
                        f"back-end processes: {self._false_starts} processes ended before they had loaded the task; "
                        f"the last: {reason}. Does importing it end the process? Look for its message above"
                    ),
                )
            else:
                blameless = not worker.loaded or status is None
                self._chunks.failed(worker.piece, flag, reason, blameless=blameless)

    def _let_go_of_a_dead_server(self) -> None:
        workers = list(self._workers)
        self._let_go()
        for worker in workers:
            if worker.piece is not None:
                reason = "the server of processes ended"
                self._chunks.failed(worker.piece, Flag.CRASHED, reason, blameless=True)

    # ---------------------------------------------------------------------- work

    def _hand_out(self) -> None:
        """Give pieces to workers that have nothing to do, as far as memory permits."""
        if not self._chunks.any_waiting:
            return
        self._look_at_memory()
        while self._chunks.any_waiting:
            busy = sum(worker.piece is not None for worker in self._workers)
            if busy >= self._allowed:
                return
            idle = next((w for w in self._workers if w.piece is None), None)
            try:
                worker = idle or self._start_worker()
            except (OSError, EOFError):
                self._false_starts += 1
                self._let_go_of_a_dead_server()
                if self._false_starts >= _MAX_FALSE_STARTS:
                    raise PluginError(
                        "back-end processes: cannot start processes; look for their messages above"
                    ) from None
                continue
            piece = self._chunks.next_piece()
            if piece is not None:
                self._send(worker, piece)

    def _send(self, worker: _Worker, piece: Piece) -> None:
        assignment = piece.job.assignment
        if assignment is None:
            return  # `Chunks.add` has seen to it
        worker.piece = piece
        try:
            if worker.key is not assignment:
                worker.key, worker.loaded = assignment, False
                content = (assignment.payload, self.settings.worker_bytes)
                send(worker.channel, pickle.dumps(("load", content), protocol=5))
            message = ("evaluate", pack_piece(piece.job, piece.start, piece.stop))
            send(worker.channel, pickle.dumps(message, protocol=5))
        except OSError:
            self._lose(worker, Flag.CRASHED, None)
            return
        self._start_clock(worker)

    def _start_clock(self, worker: _Worker) -> None:
        seconds = self.settings.timeout_seconds if worker.loaded else self.settings.start_seconds
        worker.deadline = None if seconds is None else monotonic() + seconds

    def _wait(self, seconds: float | None) -> None:
        """Wait until a worker says something, and listen."""
        for key, _ in self._selector.select(seconds):
            worker: _Worker = key.data
            if worker not in self._workers:
                continue
            n = 1 if worker.piece is None else len(worker.piece)
            try:
                limit = _ANSWER_BYTES + n * _BYTES_A_GENOME
                for message in worker.reader.read(worker.channel, limit):
                    self._hear(worker, message)
            except (EOFError, OSError):
                self._lose(worker, Flag.CRASHED, None)
            except FormatError as error:
                self._lose(worker, Flag.CRASHED, f"its process answered nonsense: {error}")

    def _hear(self, worker: _Worker, message: bytes) -> None:
        """Take a worker's answer.

        Raises:
            FormatError: it is none.
        """
        answer, piece = _answer(message), worker.piece
        if piece is None or piece.job.assignment is None:
            raise FormatError("an answer to nothing")
        status, info = answer["status"], piece.job.assignment.info
        if status == "loaded" and not worker.loaded:
            worker.loaded = True
            self._false_starts = 0
            self._start_clock(worker)
            return
        if status == "done" and worker.loaded:
            found = unpack_evaluations(answer["evaluations"], len(piece), info)
            self._chunks.done(piece, found, answer["seconds"])
        elif status == "failed" and worker.loaded:
            self._chunks.failed(piece, Flag.CRASHED, answer["reason"])
        elif status == "error" and worker.loaded:
            reason = f"task {info.name} failed in a worker process:\n{answer['reason']}"
            self._chunks.broken(piece, TaskError(reason))
        elif status == "error":
            self._chunks.broken(piece, PluginError(answer["reason"]))
            worker.key = None
            self._lose(
                worker, Flag.CRASHED, answer["reason"]
            )  # its second message cannot be answered
            return
        else:
            raise FormatError(f"an answer {status!r}")
        worker.piece, worker.deadline = None, None

    def _end_late_workers(self) -> None:
        now = monotonic()
        for worker in list(self._workers):
            if worker.deadline is not None and now >= worker.deadline and worker in self._workers:
                seconds = self.settings.timeout_seconds
                reason = (
                    f"took longer than evaluation.timeout_seconds = {seconds:g}"
                    if worker.loaded
                    else f"loading the task took longer than evaluation.start_seconds = "
                    f"{self.settings.start_seconds:g}"
                )
                self._lose(worker, Flag.TIMED_OUT, reason)

    def _patience(self, now: float, deadline: float | None) -> float | None:
        """Return how long to wait for workers at most."""
        moments = [worker.deadline for worker in self._workers if worker.deadline is not None]
        if deadline is not None:
            moments.append(deadline)
        if self._allowed < self.capacity and self._chunks.any_waiting:
            moments.append(now + _MEMORY_SECONDS)
        return max(0.0, min(moments) - now) if moments else None

    def _look_at_memory(self) -> None:
        """Allow fewer workers while memory is short, and more when it is not."""
        now = monotonic()
        if now - self._memory_looked < _MEMORY_SECONDS:
            return
        self._memory_looked = now
        free = available().free
        if free is None:
            return
        if free < self.settings.min_free_bytes:
            busy = sum(worker.piece is not None for worker in self._workers)
            self.n_pauses += 1
            self._allowed = max(1, min(self._allowed, busy) - 1)
        elif free > 1.5 * self.settings.min_free_bytes and self._allowed < self.capacity:
            self._allowed += 1


class _Server:
    """The process that forks workers, seen from the run."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._control.settimeout(_SEND_SECONDS)
        with theirs:
            arguments = [str(theirs.fileno()), str(os.getpid()), json.dumps(sys.path)]
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SERVER, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=2,
                pass_fds=[theirs.fileno()],
                env={**_ONE_THREAD, **os.environ},
            )
        self._finalizer = weakref.finalize(self, _end_server, self._control, self._process)

    def fork(self) -> tuple[socket.socket, int]:
        """Return the channel and the number of a new worker.

        Raises:
            OSError, EOFError: the server is gone.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            request = worker_server.REQUEST.pack(worker_server.FORK, 0)
            try:
                socket.send_fds(self._control, [request], [theirs.fileno()])
                return ours, self._answer()
            except BaseException:
                ours.close()
                raise

    def end(self, pid: int) -> int | None:
        """End a worker and return how it ended, as `os.waitpid` does; None: the server is gone."""
        try:
            self._control.sendall(worker_server.REQUEST.pack(worker_server.KILL, pid))
            return self._answer()
        except (OSError, EOFError):
            return None

    def _answer(self) -> int:
        data = b""
        while len(data) < worker_server.ANSWER.size:
            more = self._control.recv(worker_server.ANSWER.size - len(data))
            if not more:
                raise EOFError
            data += more
        return int(worker_server.ANSWER.unpack(data)[0])

    def close(self) -> None:
        """End it and all workers; they are gone when this returns. Idempotent."""
        self._finalizer()


def _end_server(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    control.close()
    try:
        process.wait(10.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _answer(message: bytes) -> dict[str, Any]:
    """Return a worker's answer, with its keys of the types that they have.

    Raises:
        FormatError: it is something else.
    """
    try:
        found = msgpack.unpackb(message, raw=False, max_map_len=3, max_array_len=0, max_ext_len=0)
    except (ValueError, msgpack.UnpackException) as error:
        raise FormatError(f"no answer: {error}") from None
    status = found.get("status") if isinstance(found, dict) else None
    expected = _ANSWERS.get(status) if isinstance(status, str) else None
    if expected is None or found.keys() != {"status", *expected}:
        raise FormatError("no answer that a worker gives")
    if not all(isinstance(found[key], kind) for key, kind in expected.items()):
        raise FormatError("an answer of wrong types")
    answer: dict[str, Any] = found
    return answer


def _ending(status: int | None) -> str:
    """Return in words how a process ended."""
    if status is None:
        return "ended"
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended with exit status {code}"
    try:
        return f"was ended by signal {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _refuse_in_worker() -> None:
    worker = sys.modules.get("tweann.plugins.worker")
    if worker is not None and worker.is_worker:
        raise ConfigError(
            "a run was started in a worker process, by a script that the worker imports: put the call behind "
            'if __name__ == "__main__": in the script, or the fitness function into a module of its own'
        )
