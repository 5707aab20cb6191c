"""The dask back-end: the same results from a cluster, also when workers and scheduler die."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hostile
import numpy as np
import psutil
import pytest
from test_processes import evolution, job, outcome

distributed = pytest.importorskip("distributed")

from tweann.errors import PluginError  # noqa: E402 - what comes first decides whether there are any tests
from tweann.genes import Flag  # noqa: E402
from tweann.interfaces import Backend, Job  # noqa: E402
from tweann.plugins.dask import DaskBackend, DaskSettings  # noqa: E402

# What dask itself warns of while its own processes are killed.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def backend() -> Iterator[DaskBackend]:
    backend = DaskBackend(DaskSettings(retries=0), 2)
    yield backend
    backend.close()


def test_it_is_a_backend(backend: DaskBackend) -> None:
    assert isinstance(backend, Backend)
    assert backend.capacity == 2
    assert backend.collect() == backend.collect(timeout=60.0) == []


def test_jobs_come_back_once_with_what_they_give_here(backend: DaskBackend) -> None:
    jobs = [job(hostile.good, n) for n in (12, 1, 5)]
    for each in jobs:
        backend.submit(each)
    backend.submit(dropped := job(hostile.good))
    backend.cancel(dropped)
    found = {}
    while len(found) < 3:
        found |= {id(f.job): f.evaluations for f in backend.collect()}
    assert backend.collect() == []
    for each in jobs:
        np.testing.assert_array_equal(found[id(each)].fitness, each.evaluate().fitness)


def test_failures_are_marked(backend: DaskBackend) -> None:
    for function, flag in ((hostile.raises, Flag.RAISED), (hostile.exits, Flag.CRASHED)):
        sent = job(function, 40)
        bad = [hostile.is_bad(network) for network in sent.networks or ()]
        backend.submit(sent)
        (finished,) = backend.collect()
        assert finished.evaluations is not None
        assert (finished.evaluations.flags == flag).tolist() == bad


def test_a_worker_killed_in_the_middle_changes_nothing(backend: DaskBackend) -> None:
    sent = job(hostile.slow, 40)
    backend.submit(sent)
    assert backend.collect(timeout=0.1) == []
    pids = list(backend._client.run(os.getpid).values())
    psutil.Process(pids[0]).kill()
    (finished,) = backend.collect()
    assert finished.evaluations is not None
    np.testing.assert_array_equal(finished.evaluations.fitness, sent.evaluate().fitness)


def test_a_run_on_a_cluster_of_its_own_leaves_no_processes(tmp_path: Path) -> None:
    expected = outcome(evolution(hostile.good, "serial"))
    before = set(psutil.Process().children(recursive=True))
    assert outcome(evolution(hostile.good, "dask", workers=1)) == expected
    gone, alive = psutil.wait_procs(
        set(psutil.Process().children(recursive=True)) - before, timeout=10
    )
    # The one that Python's own multiprocessing keeps until this process ends is no worker.
    assert [p for p in alive if "resource_tracker" not in " ".join(p.cmdline())] == []
    del gone


def test_a_scheduler_that_is_not_there_is_named() -> None:
    settings = DaskSettings(address="tcp://127.0.0.1:9", reconnect_seconds=1.0)
    with pytest.raises(PluginError, match=r"is evaluation\.address right"):
        DaskBackend(settings)


def test_a_scheduler_that_is_started_anew_gets_all_again(backend: DaskBackend) -> None:
    sent = job(hostile.slow, 60)
    backend.submit(sent)
    assert backend.collect(timeout=0.1) == []
    backend._client.restart(timeout=60)  # forgets all that was under way, and ends the workers
    finished = backend.collect()
    assert finished[0].evaluations is not None
    np.testing.assert_array_equal(finished[0].evaluations.fitness, sent.evaluate().fitness)


def test_nothing_is_taken_after_close() -> None:
    backend = DaskBackend(DaskSettings(), 1)
    sent = job(hostile.good)
    with pytest.raises(PluginError, match="lacks networks"):
        backend.submit(Job(0, 1, sent.evaluate))
    backend.submit(sent)
    backend.close()
    backend.close()
    assert backend.collect() == []
    with pytest.raises(PluginError, match="submit after close"):
        backend.submit(sent)
