"""What could grow has a cap, and what is dropped is counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tweann.bridge.bounded import Bucket, DropOldest, RecentSet, Strikes


@given(st.integers(1, 5), st.lists(st.integers(0, 3), max_size=40))
def test_a_full_queue_drops_the_oldest_and_counts_them(size: int, takes: list[int]) -> None:
    queue, model, dropped = DropOldest[int](size), list[int](), 0
    for k, n in enumerate(takes):
        queue.put(k)
        model.append(k)
        if len(model) > size:
            del model[0]
            dropped += 1
        if n == 0:
            assert queue.take(2) == model[:2]
            del model[:2]
    assert (len(queue), queue.n_dropped) == (len(model), dropped)
    assert queue.take(100) == model


def test_a_recent_set_forgets_what_was_added_longest_ago() -> None:
    seen = RecentSet(3)
    seen.update("abc")
    seen.add("a")
    seen.add("d")
    assert [letter in seen for letter in "abcd"] == [True, False, True, True]
    assert len(seen) == 3


def test_a_bucket_lets_its_rate_pass_and_twice_that_in_a_burst() -> None:
    bucket = Bucket(10.0, 0.0)
    assert sum(bucket.take(0.0) for _ in range(100)) == 21
    assert sum(bucket.take(k / 100) for k in range(1, 1001)) in (99, 100)
    assert sum(bucket.take(1e6) for _ in range(100)) == 21


def test_a_clock_that_stands_still_gives_nothing() -> None:
    bucket = Bucket(10.0, 5.0)
    assert sum(bucket.take(4.0) for _ in range(100)) == 21


def test_strikes_are_forgiven_with_time() -> None:
    strikes = Strikes(3, 0.0)
    assert [strikes.strike(0.0) for _ in range(4)] == [False, False, True, False]
    patient = Strikes(3, 0.0)
    assert not any(patient.strike(2.0 * k) for k in range(50))
