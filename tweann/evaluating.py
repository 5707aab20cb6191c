"""Evaluating broods: into jobs, over the back-end, and back into their rows."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import numpy as np

from tweann import assembly
from tweann.config import Config
from tweann.errors import ConfigError, TaskError
from tweann.genes import Int
from tweann.inheritance import evaluate_lives, require_lifetimes
from tweann.interfaces import Backend, Job, Strategy
from tweann.matches import Matchmaker
from tweann.network import NetworkSlice
from tweann.pool import Brood, GenomePool
from tweann.registry import Registry
from tweann.remote import Assignment
from tweann.tasks.base import EvaluationKeys, Evaluations, Opponents
from tweann.tasks.shared import SharedEvaluation

#: The slices of a brood that is not shared for each worker, at most, and how large they are: each costs some 100 µs, and
#: the small ones at the end even out what the large ones left uneven.
_SHARES = (8, 3, 1)
#: Seconds of work that are worth a slice of their own.
_SLICE_SECONDS = 0.0005
#: The measured cost of an evaluation grows by no more at a time: one that waited for a core, or for the interpreter's
#: lock beside other slices, says little of the next.
_RISE = 1.1
#: What slices are timed by: this thread's own time, where it is known to microseconds (on Windows it is not). By the wall's
#: clock the slices of a first generation, which wait for the GIL, seem to be worth more threads than they are.
_clock = (
    time.thread_time if time.get_clock_info("thread_time").resolution < 1e-5 else time.perf_counter
)
#: Failures whose reasons are reported in full; more are only counted.
_MAX_REASONS = 20
#: Seconds between two looks at whether the run is to stop.
_PATIENCE = 0.1
#: Between two looks at whether a thread has finished its last genome.
_MOMENT = 0.001


@dataclass(slots=True)
class _Ticket:
    """What became of a brood's jobs.

    Attributes:
        jobs: one a slice; or all of the whole brood, which they share.
        shared: what they share; None: nothing.
        found: evaluations by where they begin in the brood.
        n_left: jobs that are not done.
        seconds: what each job took of its thread's time.
    """

    jobs: list[Job] = field(default_factory=list)
    shared: SharedEvaluation | None = None
    found: dict[int, Evaluations] = field(default_factory=dict)
    n_left: int = 0
    seconds: list[float] = field(default_factory=list)


class Evaluator:
    """Evaluates broods on the back-end of the configuration, several at a time if need be.

    Attributes:
        limit: jobs that a back-end in this process has at a time; None: all.
        reasons: why evaluations failed, the first few.
    """

    def __init__(
        self,
        config: Config,
        assignment: Assignment,
        pool: GenomePool,
        registry: Registry,
        strategy: Strategy,
    ) -> None:
        self._config, self._assignment, self._pool = config, assignment, pool
        self._task, self._registry = assignment.task, registry
        self._tuner = assembly.make_tuner(config, pool.layout)
        self._matches = Matchmaker.of(assignment, pool, strategy)
        noisy = config.evaluation.repeats > 1 or config.evaluation.reevaluate
        if self._tuner is not None and noisy:
            raise ConfigError(
                "evaluation.repeats and evaluation.reevaluate are for tasks with noise, which tuning would fit: set "
                "tuning.attempts = 0, or repeats = 1 and reevaluate = false"
            )
        if config.genome.lamarckian:
            require_lifetimes(config, self._task.info)
        self._backend: Backend | None = None
        self._tickets: dict[int, _Ticket] = {}  # by id of the brood
        self._owners: dict[int, _Ticket] = {}  # by id of the job
        self.limit: int | None = None
        self._cost: float | None = None  # seconds an evaluation, as last measured
        self.reasons: list[str] = []
        self._waiting: deque[tuple[Job, _Ticket]] = deque()  # not handed to the back-end yet
        #: Abandoned, and perhaps not left by all threads: a genome that was begun is finished, and its genes are read.
        self._stopped: list[SharedEvaluation] = []

    def networks(self, brood: Brood) -> NetworkSlice:
        """Return the networks of a brood."""
        return self._slice(brood.rows["block"])

    def next_evaluated(
        self, broods: Sequence[Brood], in_order: bool, check: Callable[[], None]
    ) -> Brood:
        """Evaluate all of ``broods``, and return the first that is ready; its rows say what was found.

        Args:
            broods: at least one; those that are under way already go on.
            in_order: wait for the first of them, whatever else is ready.
            check: called now and then while waiting; may raise to end it.
        """
        backend = self._backend
        if backend is None:
            backend = assembly.make_backend(self._config, self._task.info, self._registry)
            if not backend.in_process:
                self._require_no_weights(backend)
            self._backend = backend
        check()
        while any(shared.at_work for shared in self._stopped):
            time.sleep(_MOMENT)
            check()
        self._stopped.clear()
        try:
            for brood in broods:
                if id(brood) not in self._tickets:
                    self._submit(brood, backend, alone=len(broods) == 1)
            while True:
                for brood in broods[:1] if in_order else broods:
                    ticket = self._tickets[id(brood)]
                    if ticket.n_left == 0:
                        del self._tickets[id(brood)]
                        self._write_all(brood, ticket)
                        return brood
                check()
                for finished in backend.collect(_PATIENCE):
                    if finished.evaluations is None:
                        raise finished.error or TaskError("the back-end lost a job")
                    ticket = self._owners.pop(id(finished.job))
                    ticket.found[finished.job.start] = finished.evaluations
                    ticket.n_left -= 1
                self._hand_over(backend)
        except BaseException:
            self.abandon()
            raise

    def evaluate_again(
        self, rows: Int, generation: int, check: Callable[[], None]
    ) -> tuple[int, int]:
        """Evaluate rows of the pool once more; their fitness becomes the mean of all their evaluations.

        Args:
            rows: (n,) of the pool, told before.
            generation: now: it decides about the noise.
            check: as for `next_evaluated`.

        Returns:
            How many task runs that took, and how many genomes failed.
        """
        pool = self._pool
        again = Brood(pool.rows.joined(pool.make_rows(0), rows))
        before = again.rows["n_evaluations"].copy()
        again.rows["generation"][:] = generation
        self.next_evaluated([again], True, check)
        runs = again.rows["n_evaluations"]
        weight = before / (before + runs)
        for name in ("fitness", "validation"):
            old, new = pool.rows[name][rows], again.rows[name]
            pool.rows[name][rows] = weight * old + (1.0 - weight) * new
        for name in ("descriptor", "objectives"):
            old, new = pool.rows[name][rows], again.rows[name]
            pool.rows[name][rows] = weight[:, None] * old + (1.0 - weight)[:, None] * new
        pool.rows["n_evaluations"][rows] = before + runs
        pool.rows["flags"][rows] |= again.rows["flags"]
        return int(runs.sum()), int(np.isnan(again.rows["fitness"]).sum())

    def abandon(self) -> None:
        """Drop what is under way; the broods may be evaluated anew."""
        for ticket in self._tickets.values():
            if ticket.shared is not None:
                ticket.shared.stop()
                self._stopped.append(ticket.shared)
            for job in ticket.jobs:
                if self._backend is not None and id(job) in self._owners:
                    self._backend.cancel(job)
        self._tickets.clear()
        self._owners.clear()
        self._waiting.clear()

    def close(self) -> None:
        """End the back-end. Idempotent."""
        self.abandon()
        if self._backend is not None:
            self._backend.close()

    def _write_all(self, brood: Brood, ticket: _Ticket) -> None:
        """Write what a brood's jobs found."""
        if ticket.shared is not None:
            ticket.found = {0: ticket.shared.result()}
            self._note_cost(sum(ticket.seconds) / len(brood))
        for start in sorted(ticket.found):  # so that reasons come in the order of births
            self.write(brood, start, ticket.found[start])

    def _note_cost(self, seconds: float) -> None:
        """Remember what an evaluation took."""
        self._cost = seconds if self._cost is None else min(seconds, _RISE * self._cost)

    def write(self, brood: Brood, start: int, e: Evaluations) -> None:
        """Write evaluations to a brood's rows from ``start`` on."""
        rows, part = brood.rows, slice(start, start + e.fitness.size)
        for name in ("fitness", "validation", "solved", "steps", "flags", "n_evaluations"):
            rows[name][part] = getattr(e, name)
        for name, values in (("descriptor", e.descriptor), ("objectives", e.objectives)):
            if values.shape[1]:
                rows[name][part] = values
        genes, blocks = self._pool.genes, rows["block"][part]
        for column, own in ((genes.weight, e.weights), (genes.bias, e.biases)):
            if own is not None:
                column[blocks, : own.shape[1]] = own
        for k, reason in e.reasons.items():
            if len(self.reasons) < _MAX_REASONS:
                self.reasons.append(f"genome {rows['id'][start + k]}: {reason}")

    def stop_on_failure(self, brood: Brood) -> None:
        """Raise `TaskError` if one of an evaluated brood failed and the configuration says to stop then."""
        if self._config.evaluation.on_failure != "stop":
            return
        n_failed = int(np.isnan(brood.rows["fitness"]).sum())
        if n_failed:
            reason = self.reasons[-1] if self.reasons else "a fitness is not a finite number"
            raise TaskError(
                f"{n_failed} of {len(brood)} evaluations failed, and evaluation.on_failure says to stop; "
                f"the last reason: {reason}"
            )

    def without_failures(self, brood: Brood) -> Brood:
        """Return an evaluated brood, without those that failed if the configuration says so, unless all did."""
        if self._config.evaluation.on_failure != "drop":
            return brood
        failed = np.isnan(brood.rows["fitness"])
        return self._pool.dropped(brood, failed) if failed.any() and not failed.all() else brood

    def _require_no_weights(self, backend: Backend) -> None:
        """Raise `ConfigError` if evaluations are to bring weights back, which those in other processes do not."""
        for wanted, what, key in (
            (self._tuner is not None, "tune", "tuning.attempts = 0"),
            (
                self._config.genome.lamarckian,
                "bring back what networks learned",
                "genome.lamarckian = false",
            ),
        ):
            if wanted:
                backend.close()
                raise ConfigError(
                    f"evaluation.backend = {self._config.evaluation.backend!r} cannot {what}: set {key}, or "
                    'evaluation.backend = "threads" or "serial"'
                )

    def _submit(self, brood: Brood, backend: Backend, alone: bool) -> None:
        """Cut a brood into jobs and hand them over."""
        rows = brood.rows
        # By the generation of birth, which stays what it is when a brood is evaluated anew.
        generation = int(rows["generation"][0]) if self._config.evaluation.resample else 0
        keys = EvaluationKeys(self._config.run.seed, generation)
        opponents = None if self._matches is None else self._matches.opponents(brood)
        pieces = self._pieces(len(brood), backend)
        # A single job is not handed over, which would cost as much again.
        here = alone and pieces == 1 and backend.in_process and self._task.info.kind != "python"
        ticket = self._tickets[id(brood)] = _Ticket()
        if here:
            job = self._job(brood, 0, len(brood), keys, opponents)
            ticket.found[0] = job.evaluate()
            return
        if pieces > 1 and opponents is None:
            ticket.shared = self._shared(brood, keys)
        if ticket.shared is not None:
            workers = min(pieces, backend.capacity, self.limit or backend.capacity)
            jobs = [_shared_job(len(brood), ticket.shared, ticket.seconds) for _ in range(workers)]
        else:
            jobs = [
                self._job(brood, start, stop, keys, opponents)
                for start, stop in slices_of(len(brood), pieces, backend.capacity)
            ]
        ticket.jobs, ticket.n_left = jobs, len(jobs)
        self._waiting.extend((job, ticket) for job in jobs)
        self._hand_over(backend)

    def _hand_over(self, backend: Backend) -> None:
        """Give the back-end what waits, as much as it may have at a time."""
        limit = self.limit
        if limit is None or not backend.in_process or limit >= backend.capacity:
            limit = len(self._owners) + len(self._waiting)
        while self._waiting and len(self._owners) < limit:
            job, ticket = self._waiting.popleft()
            backend.submit(job)
            self._owners[id(job)] = ticket

    def _slice(self, blocks: Int) -> NetworkSlice:
        scaling = self._assignment.scaling
        return NetworkSlice(self._pool.genes, blocks, self._pool.layout, scaling)

    def _job(
        self,
        brood: Brood,
        start: int,
        stop: int,
        keys: EvaluationKeys,
        opponents: Opponents | None,
    ) -> Job:
        part, rows = slice(start, stop), brood.rows
        networks = self._slice(rows["block"][part])
        births, generation, tuned = (
            rows["id"][part],
            int(rows["generation"][0]),
            rows["tuned"][part],
        )
        tuner = self._tuner if self._tuner is not None and tuned.any() else None
        lamarckian = self._config.genome.lamarckian

        def evaluate() -> Evaluations:
            began = _clock()
            if lamarckian:
                result = evaluate_lives(self._task, networks, keys)
            elif tuner is None:
                result = self._assignment.evaluate(networks, keys, opponents)
            else:
                task = self._task if opponents is None else self._task.against(opponents)
                result = tuner.evaluate(task, networks, keys, births, generation, tuned)
            self._note_cost((_clock() - began) / len(networks))
            return result

        return Job(start, stop, evaluate, networks, keys, self._assignment, opponents)

    def _shared(self, brood: Brood, keys: EvaluationKeys) -> SharedEvaluation | None:
        """Return the evaluation of a brood as work that threads share; None: it is to be cut into slices."""
        tuned = self._tuner is not None and bool(brood.rows["tuned"].any())
        if tuned or self._config.genome.lamarckian:
            return None
        return self._assignment.share(self._slice(brood.rows["block"]), keys)

    def _pieces(self, n: int, backend: Backend) -> int:
        """Return how many jobs a brood is worth, none so small that handing it out costs more than it does.

        One a genome for Python tasks: their cost varies, and a Ctrl-C should not wait for all. The cost is measured, so
        slices differ from run to run; results do not depend on them.
        """
        capacity = backend.capacity
        if not backend.in_process:
            return 1  # it cuts by what sending costs
        if self._task.info.kind == "python":
            return n
        if capacity == 1:
            return 1
        worth = n if self._cost is None else int(n * self._cost / _SLICE_SECONDS)
        return max(1, min(capacity * len(_SHARES), worth))


def _shared_job(n: int, shared: SharedEvaluation, seconds: list[float]) -> Job:
    """Return one of the jobs that share the evaluation of a brood of ``n``; it adds what it took to ``seconds``.

    Not the ticket: a circle of references would keep the genes alive for long.
    """

    def evaluate() -> Evaluations:
        began = _clock()
        shared.work()
        seconds.append(_clock() - began)
        return shared.evaluations

    return Job(0, n, evaluate)


def slices_of(n: int, pieces: int, capacity: int) -> list[tuple[int, int]]:
    """Cut ``n`` into at most ``pieces`` slices, (start, stop) each, of which ``capacity`` at a time are of one size."""
    if pieces >= n:
        return [(i, i + 1) for i in range(n)]
    ends = list(accumulate(_SHARES[i // capacity] for i in range(pieces)))
    edges = [0, *(n * end // ends[-1] for end in ends)]
    return [(start, stop) for start, stop in pairwise(edges) if start < stop]
