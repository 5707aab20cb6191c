"""What the built-in back-ends do beyond what every back-end must: `tests/test_contracts.py` holds that."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from tweann.errors import ConfigError, PluginError
from tweann.interfaces import Backend
from tweann.plugins.serial import SerialBackend
from tweann.plugins.threads import ThreadsBackend
from tweann.tasks.base import Evaluations
from tweann.testing import BackendContract
from tweann.testing.jobs import collect, evaluations, job
from tweann.workers import usable_cores


class TestSerial:
    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        backend = SerialBackend(SerialBackend.Settings(), 8)
        yield backend
        backend.close()

    def test_it_runs_in_the_callers_thread_and_in_order(self, backend: Backend) -> None:
        threads: list[int] = []

        def note(value: float) -> Evaluations:
            threads.append(threading.get_ident())
            return evaluations(value)

        for k in range(5):
            backend.submit(job(k, partial(note, float(k))))
        assert [f.job.start for f in collect(backend, 5)] == [0, 1, 2, 3, 4]
        assert set(threads) == {threading.get_ident()}
        assert backend.capacity == 1

    def test_an_interrupted_job_goes_through_and_is_not_lost(self, backend: Backend) -> None:
        attempts: list[int] = []

        def interrupted_once() -> Evaluations:
            attempts.append(1)
            if len(attempts) == 1:
                signal.raise_signal(signal.SIGINT)
            return evaluations(5.0)

        backend.submit(job(0, interrupted_once))
        with pytest.raises(KeyboardInterrupt):
            backend.collect()
        (finished,) = backend.collect()
        assert finished.evaluations is not None
        assert finished.evaluations.fitness[0] == 5.0


class TestThreads(BackendContract):
    """The contract with one worker and with many; `test_contracts.py` has two."""

    @pytest.fixture(params=[1, 8])
    def backend(self, request: pytest.FixtureRequest) -> Iterator[Backend]:
        backend = ThreadsBackend(ThreadsBackend.Settings(), request.param)
        yield backend
        backend.close()


@pytest.mark.parametrize("backend_class", [SerialBackend, ThreadsBackend])
def test_a_job_costs_little(backend_class: Callable[..., Backend]) -> None:
    backend = backend_class(SerialBackend.Settings(), 2)

    def seconds_per_job() -> float:
        jobs = [job(k) for k in range(8)]
        start = time.perf_counter()
        for _ in range(50):
            for each in jobs:
                backend.submit(each)
            collect(backend, 8)
        return (time.perf_counter() - start) / 400

    assert min(seconds_per_job() for _ in range(5)) < 100e-6
    backend.close()


@pytest.fixture
def two() -> Iterator[ThreadsBackend]:
    backend = ThreadsBackend(ThreadsBackend.Settings(), 2)
    yield backend
    backend.close()


def test_jobs_on_threads_run_at_the_same_time(two: ThreadsBackend) -> None:
    meeting = threading.Barrier(2, timeout=10.0)  # breaks unless both are there at once

    def meet() -> Evaluations:
        meeting.wait()
        return evaluations(0.0)

    two.submit(job(0, meet))
    two.submit(job(1, meet))
    assert [f.error for f in collect(two, 2)] == [None, None]


def test_no_workers_means_all_cores_this_process_may_use() -> None:
    backend = ThreadsBackend(ThreadsBackend.Settings(), 0)
    assert backend.capacity == usable_cores() >= 1
    backend.close()
    if hasattr(os, "sched_getaffinity"):
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(before)})
        try:
            assert usable_cores() == 1
        finally:
            os.sched_setaffinity(0, before)


def test_a_negative_number_of_workers_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"workers must be 0 .* came as -1"):
        ThreadsBackend(ThreadsBackend.Settings(), -1)


def test_collect_waits_no_longer_than_asked(two: ThreadsBackend) -> None:
    release = threading.Event()

    def wait() -> Evaluations:
        assert release.wait(30.0)
        return evaluations(0.0)

    two.submit(job(0, wait))
    start = time.monotonic()
    assert two.collect(timeout=0.05) == []
    assert two.collect(timeout=0.0) == []
    assert 0.05 <= time.monotonic() - start < 10.0
    release.set()
    assert len(two.collect()) == 1


def test_a_running_job_that_was_cancelled_ends_unseen(two: ThreadsBackend) -> None:
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()

    def wait() -> Evaluations:
        begun.set()
        assert release.wait(30.0)
        ended.set()
        return evaluations(0.0)

    running = job(0, wait)
    two.submit(running)
    assert begun.wait(30.0)
    two.cancel(running)
    assert two.collect() == []
    release.set()
    two.submit(job(1))
    assert [f.job.start for f in collect(two, 2)] == [1]
    assert ended.wait(30.0)


def test_close_waits_for_the_running_job_and_drops_the_rest() -> None:
    backend = ThreadsBackend(ThreadsBackend.Settings(), 1)
    begun = threading.Event()
    done: list[int] = []

    def slow() -> Evaluations:
        begun.set()
        time.sleep(0.05)
        done.append(1)
        return evaluations(0.0)

    backend.submit(job(0, slow))
    backend.submit(job(1, slow))
    assert begun.wait(30.0)
    backend.close()
    assert done == [1]


def test_the_same_job_twice_at_once_is_refused(two: ThreadsBackend) -> None:
    release = threading.Event()

    def wait() -> Evaluations:
        assert release.wait(30.0)
        return evaluations(0.0)

    same = job(3, wait)
    two.submit(same)
    with pytest.raises(PluginError, match="rows 3 to 4 is under way"):
        two.submit(same)
    release.set()
    assert len(two.collect()) == 1


def workers() -> int:
    return sum(thread.name.startswith("tweann-") for thread in threading.enumerate())


def test_a_backend_that_is_forgotten_leaves_no_threads() -> None:
    before = workers()
    backend = ThreadsBackend(ThreadsBackend.Settings(), 3)
    assert workers() == before + 3
    del backend
    gc.collect()
    deadline = time.monotonic() + 10.0
    while workers() > before and time.monotonic() < deadline:
        time.sleep(0.001)
    assert workers() == before


INTERRUPTED = """
import os, signal, threading, time
from tweann.interfaces import Job
from tweann.plugins.threads import ThreadsBackend

backend = ThreadsBackend(ThreadsBackend.Settings(), 2)
backend.submit(Job(0, 1, lambda: time.sleep(0.3)))
threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    backend.collect()
except KeyboardInterrupt:
    backend.close()
    print("closed", threading.active_count())
"""

NEVER_CLOSED = """
import threading
from tweann.interfaces import Job
from tweann.plugins.threads import ThreadsBackend

backend = ThreadsBackend(ThreadsBackend.Settings(), 2)
backend.submit(Job(0, 1, threading.Event().wait))
"""


def test_a_waiting_collect_can_be_interrupted_and_then_closed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "closed 1\n"
    assert done.stderr == ""


def test_a_process_ends_though_a_job_never_does() -> None:
    done = subprocess.run([sys.executable, "-c", NEVER_CLOSED], capture_output=True, timeout=60)
    assert done.returncode == 0
    assert done.stderr == b""
