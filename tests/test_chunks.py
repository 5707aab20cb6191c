"""Pieces of jobs: every genome gets its own result once, whatever goes wrong on the way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import external

from tweann.chunks import MAX_GENOMES, Chunks, Piece
from tweann.errors import PluginError
from tweann.genes import Flag
from tweann.interfaces import Job
from tweann.tasks.base import EvaluationKeys, Evaluations

RUN = external(strategy={"population": 5000})
NETWORKS = RUN._evaluator.networks(RUN._breed())
ASSIGNMENT = RUN._evaluator._assignment


def job(start: int, n: int) -> Job:
    networks = RUN._evaluator._slice(NETWORKS.blocks[:n])
    return Job(start, start + n, lambda: found(start, n), networks, EvaluationKeys(0), ASSIGNMENT)


def found(start: int, n: int) -> Evaluations:
    """Return evaluations whose fitness is the row."""
    result = Evaluations.empty(n, ASSIGNMENT.info)
    result.fitness[:] = result.validation[:] = np.arange(start, start + n)
    return result


def result_of(piece: Piece) -> Evaluations:
    return found(piece.job.start + piece.start, len(piece))


@given(
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=4),
    bad=st.sets(st.integers(0, 240)),
    once=st.sets(st.integers(0, 240)),
    cost=st.sampled_from([1e-7, 1e-3, 0.5]),
    capacity=st.integers(1, 5),
    retries=st.integers(0, 2),
    order=st.randoms(use_true_random=False),
)
def test_every_genome_has_its_result_and_only_bad_ones_fail(
    sizes: list[int],
    bad: set[int],
    once: set[int],
    cost: float,
    capacity: int,
    retries: int,
    order: object,
) -> None:
    chunks = Chunks(capacity, 0.02, retries, 100)
    jobs = [job(100 * k, n) for k, n in enumerate(sizes)]
    for each in jobs:
        chunks.add(each)
    transient, under_way, done = set(once), [], {}
    tries: dict[int, int] = {}
    while len(done) < len(jobs):
        while len(under_way) < capacity and (piece := chunks.next_piece()) is not None:
            under_way.append(piece)
        if under_way:
            piece = under_way.pop(order.randrange(len(under_way)))  # type: ignore[attr-defined]
            first = piece.job.start + piece.start
            rows = set(range(first, first + len(piece)))
            if rows & transient and len(piece) > 1:
                transient -= rows
                chunks.failed(piece, Flag.CRASHED, "once")
            elif rows & transient:
                transient -= rows
                chunks.failed(piece, Flag.CRASHED, "once", blameless=True)
            elif rows & bad:
                if len(piece) == 1:
                    tries[first] = tries.get(first, 0) + 1
                chunks.failed(piece, Flag.CRASHED, "always")
            else:
                chunks.done(piece, result_of(piece), cost * len(piece))
        done |= {finished.job.start: finished for finished in chunks.take()}
    assert chunks.n_jobs == 0
    assert not chunks.any_waiting
    for each in jobs:
        evaluations = done[each.start].evaluations
        assert evaluations is not None
        rows = np.arange(each.start, each.stop)
        failed = np.isin(rows, sorted(bad))
        np.testing.assert_array_equal(evaluations.fitness, np.where(failed, np.nan, rows))
        np.testing.assert_array_equal(evaluations.flags, np.where(failed, Flag.CRASHED, 0))
        assert list(evaluations.reasons) == np.flatnonzero(failed).tolist()
    assert all(n == 1 + retries for n in tries.values())


def test_pieces_fill_their_time_and_shrink_towards_the_end() -> None:
    chunks = Chunks(2, 0.02, 0, 10)
    chunks.add(job(0, 1000))
    piece = chunks.next_piece()
    assert piece is not None
    assert len(piece) == 1  # nothing is known of the cost
    chunks.done(piece, result_of(piece), 0.001)
    sizes = []
    while (piece := chunks.next_piece()) is not None:
        sizes.append(len(piece))
    assert sum(sizes) == 999
    assert sizes[0] == 20
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] <= 2


def test_pieces_of_cheap_genomes_stay_below_a_cap() -> None:
    chunks = Chunks(1, 10.0, 0, 10)
    chunks.add(job(0, 5000))
    piece = chunks.next_piece()
    assert piece is not None
    chunks.done(piece, result_of(piece), 1e-9)
    piece = chunks.next_piece()
    assert piece is not None
    assert len(piece) == MAX_GENOMES


def test_the_cost_follows_what_is_measured_a_faster_time_at_once() -> None:
    chunks = Chunks(1, 1.0, 0, 10)
    for cost, low, high in ((0.5, 0.5, 0.5), (0.1, 0.1, 0.1), (0.2, 0.1, 0.2)):
        chunks.add(job(0, 1))
        piece = chunks.next_piece()
        assert piece is not None
        chunks.done(piece, result_of(piece), cost)
        assert chunks.cost is not None
        assert low <= chunks.cost <= high


def test_a_cancelled_job_is_forgotten_also_where_it_is_under_way() -> None:
    chunks = Chunks(1, 1.0, 0, 10)
    first, second = job(0, 3), job(100, 1)
    chunks.add(first)
    piece = chunks.next_piece()
    assert piece is not None
    chunks.add(second)
    chunks.cancel(first)
    chunks.cancel(first)
    chunks.done(piece, result_of(piece), 1.0)
    chunks.failed(piece, Flag.CRASHED, "late")
    assert chunks.take() == []
    assert chunks.n_jobs == 1
    last = chunks.next_piece()
    assert last is not None
    assert last.job is second
    assert chunks.next_piece() is None


def test_a_genome_that_takes_too_long_alone_is_not_tried_again() -> None:
    chunks = Chunks(1, 1.0, 5, 10)
    chunks.add(job(0, 1))
    piece = chunks.next_piece()
    assert piece is not None
    chunks.failed(piece, Flag.TIMED_OUT, "slow")
    (finished,) = chunks.take()
    assert finished.evaluations is not None
    assert finished.evaluations.reasons == {0: "slow"}
    assert (chunks.n_flagged, chunks.n_retried) == (1, 0)


def test_a_broken_evaluation_ends_its_job() -> None:
    chunks = Chunks(1, 1.0, 0, 10)
    chunks.add(job(0, 3))
    piece = chunks.next_piece()
    assert piece is not None
    chunks.broken(piece, ValueError("bug"))
    (finished,) = chunks.take()
    assert isinstance(finished.error, ValueError)
    assert chunks.next_piece() is None


def test_too_many_jobs_are_refused() -> None:
    chunks = Chunks(1, 1.0, 0, 1)
    chunks.add(job(0, 3))
    with pytest.raises(PluginError, match="1 jobs are under way"):
        chunks.add(job(1, 3))
