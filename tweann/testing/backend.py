"""What every evaluation back-end must do."""

from __future__ import annotations

import time
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import pytest

from tweann.errors import PluginError
from tweann.evolution import Evolution
from tweann.interfaces import Backend
from tweann.tasks.base import Evaluations
from tweann.tasks.python import PythonTask
from tweann.testing.jobs import collect, evaluations, fail, job
from tweann.testing.subjects import DESCRIPTOR, difference, score, trace

#: How long a back-end may take to let go of what is over.
PATIENCE_SECONDS = 10.0


class BackendContract:
    """Subclass it and set ``backend_class``; all of these tests must then hold.

    A fixture ``backend`` that is overridden does instead of the attributes. Jobs are those of this process; where
    they run elsewhere (``in_process`` is False), what is only promised within a process is not tested.

    Attributes:
        backend_class: your class.
        settings: of the section [evaluation], beside its own keys.
        workers: how many it is made with.
    """

    backend_class: ClassVar[type[Any]]
    settings: ClassVar[Mapping[str, Any]] = {}
    workers: ClassVar[int] = 2

    @pytest.fixture
    def backend(self) -> Iterator[Backend]:
        """The back-end under test."""
        assert hasattr(self, "backend_class"), (
            f"set `backend_class = YourBackend` in class {type(self).__name__}, or override the fixture backend"
        )
        made: Backend = self.backend_class(
            self.backend_class.Settings(**self.settings), self.workers
        )
        yield made
        made.close()

    def test_it_is_a_backend(self, backend: Backend) -> None:
        """It has Settings, capacity, in_process and all methods."""
        assert isinstance(backend, Backend), (
            "a back-end needs Settings, capacity, in_process, submit, collect, cancel and close"
        )
        assert backend.capacity >= 1, f"capacity is {backend.capacity}: one job at least can run"

    def test_every_job_comes_back_once_with_its_own_result(self, backend: Backend) -> None:
        """Every job comes back once, with its own result, in whatever order."""
        jobs = [job(k) for k in range(100)]
        for each in jobs:
            backend.submit(each)
        finished = collect(backend, 100)
        assert backend.collect() == [], "more jobs came back than were submitted"
        assert {id(f.job) for f in finished} == {id(j) for j in jobs}, (
            "FinishedJob.job must be the very object that was submitted"
        )
        for one in finished:
            assert one.error is None
            assert one.evaluations is not None
            np.testing.assert_array_equal(one.evaluations.fitness, [one.job.start])

    def test_jobs_may_be_submitted_while_others_are_under_way(self, backend: Backend) -> None:
        """Jobs may be submitted while others are under way."""
        done: list[int] = []
        backend.submit(job(0))
        for k in range(1, 50):
            backend.submit(job(k))
            done += [f.job.start for f in backend.collect()]
        done += [f.job.start for f in collect(backend, 50 - len(done))]
        assert sorted(done) == list(range(50))

    def test_collect_with_nothing_under_way_returns_at_once(self, backend: Backend) -> None:
        """Collect with nothing under way returns an empty list at once."""
        start = time.monotonic()
        assert backend.collect() == []
        assert backend.collect(timeout=60.0) == []
        assert time.monotonic() - start < 10.0, "collect() waited though no job was under way"

    @pytest.mark.parametrize(
        "error", [ValueError("no"), MemoryError("full"), SystemExit(3), RecursionError("deep")]
    )
    def test_what_a_job_raises_is_its_result(self, backend: Backend, error: BaseException) -> None:
        """What a job raises, whatever it is, is its result, and hurts no other job."""
        backend.submit(job(0, partial(fail, error)))
        backend.submit(job(1))
        finished = {f.job.start: f for f in collect(backend, 2)}
        assert finished[1].error is None
        found, failed = finished[0].error, finished[0].evaluations
        if not backend.in_process and failed is not None:
            # Elsewhere, what ends a process is a failure of that genome; its reason is all that there is.
            assert np.isnan(failed.fitness).all()
            assert failed.flags.all(), "a genome that failed has no flag"
            assert failed.reasons, "a genome that failed has no reason"
            return
        if not backend.in_process:
            assert type(error).__name__ in str(found), f"{error!r} is not named in {found!r}"
            return
        assert type(found) is type(error), f"a job that raised {error!r} came back with {found!r}"
        assert str(found) == str(error)
        assert found is error
        assert finished[0].evaluations is None

    def test_a_failing_job_costs_no_worker(self, backend: Backend) -> None:
        """A job that fails costs no worker."""
        for k in range(4 * backend.capacity):
            backend.submit(job(k, partial(fail, SystemExit())))
        assert len(collect(backend, 4 * backend.capacity)) == 4 * backend.capacity
        backend.submit(job(7))
        (finished,) = backend.collect()
        assert finished.error is None

    def test_a_job_that_was_cancelled_is_not_returned(self, backend: Backend) -> None:
        """A job that was cancelled is not returned."""
        jobs = [job(k) for k in range(20)]
        for each in jobs:
            backend.submit(each)
        for each in jobs[::2]:
            backend.cancel(each)
        assert sorted(f.job.start for f in collect(backend, 20)) == list(range(1, 20, 2))

    def test_an_equal_job_is_another_job(self, backend: Backend) -> None:
        """Jobs are told apart by identity: an equal one is another one."""
        first = job(0)
        second = replace(first)
        backend.submit(first)
        backend.submit(second)
        backend.cancel(first)
        (finished,) = collect(backend, 2)
        assert finished.job is second

    def test_cancelling_what_is_not_under_way_does_nothing(self, backend: Backend) -> None:
        """Cancelling a job that is done, or was never submitted, does nothing."""
        done = job(0)
        backend.submit(done)
        backend.collect()
        backend.cancel(done)
        backend.cancel(job(1))
        backend.submit(job(2))
        assert [f.job.start for f in backend.collect()] == [2]

    def test_a_job_may_be_submitted_again_when_it_is_done(self, backend: Backend) -> None:
        """A job may be submitted again when it is done."""
        same = job(0)
        for _ in range(3):
            backend.submit(same)
            assert [f.job for f in backend.collect()] == [same]

    def test_close_ends_it_for_good_however_often(self, backend: Backend) -> None:
        """Close may be called twice; a closed back-end takes no job and has none."""
        backend.submit(job(0))
        backend.close()
        backend.close()
        assert backend.collect() == [], "collect() after close() gave jobs: drop what has not begun"
        with pytest.raises(PluginError, match="submit after close"):
            backend.submit(job(1))

    def test_it_does_not_keep_the_genomes_of_a_job_that_is_over(self, backend: Backend) -> None:
        """It lets go of a job that is over, and so of its genomes."""
        if not backend.in_process:
            pytest.skip("its jobs run elsewhere")

        class Genomes:
            def evaluate(self) -> Evaluations:
                return evaluations(0.0)

        genomes = Genomes()
        gone = weakref.ref(genomes)
        backend.submit(job(0, genomes.evaluate))
        assert len(backend.collect()) == 1
        del genomes
        deadline = time.monotonic() + PATIENCE_SECONDS
        while gone() is not None and time.monotonic() < deadline:
            time.sleep(0.001)  # the worker may just be letting go
        assert gone() is None, "a finished job is still referred to: delete it from your tables"

    def test_a_run_gives_what_the_serial_backend_gives(self, backend: Backend) -> None:
        """A run gives, to the last bit, what it gives on the serial back-end."""

        # Jobs of a Python task are never done by the core itself; elsewhere only a named task is known.
        task = PythonTask(score, 2, 1, name="contract", descriptor=DESCRIPTOR, n_objectives=2)

        def figures(other: Backend | None) -> list[dict[str, Any]]:
            sections: dict[str, Any] = {
                "run": {"seed": 3, "stop_when_solved": False},
                "strategy": {"population": 20},
                "evaluation": {"backend": "serial"},
                "storage": {"url": "memory:"},
                "observers": {},
            }
            if not backend.in_process:
                sections["task"] = {"name": "single-pole"}
            found = []
            with Evolution(sections, task=task if backend.in_process else None) as run:
                if other is not None:
                    run._evaluator._backend = other
                for _ in range(4):
                    run.step()
                    found.append(trace(run))
            return found

        for generation, (one, two) in enumerate(zip(figures(None), figures(backend), strict=True)):
            name = difference(one, two)
            assert not name, (
                f"generation {generation} differs in {name} from the serial back-end: hand each job's "
                "evaluations back as they are, with the job that they belong to"
            )
