"""Pieces of work that several threads claim."""

from __future__ import annotations

from threading import Thread

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tweann.genes import Int, UInt8
from tweann.kernels._jit import kernel
from tweann.kernels.claims import new_claims, next_claimed, withdraw


@kernel
def count(claims: Int, counts: UInt8) -> int:
    """Add 1 to the count of each piece that this call claims; return how many those are."""
    k = stop = n = 0
    while True:
        k, stop = next_claimed(claims, k, stop)
        if k >= stop:
            return n
        counts[k] += 1
        k += 1
        n += 1


def run_on_threads(n_threads: int, claims: Int, counts: UInt8) -> list[int]:
    """Return how many pieces each thread had."""
    had: list[int] = []
    threads = [Thread(target=lambda: had.append(count(claims, counts))) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return had


@given(st.integers(0, 3000))
def test_one_thread_claims_every_piece_once(n: int) -> None:
    counts = np.zeros(n, np.uint8)
    assert count(new_claims(n), counts) == n
    assert (counts == 1).all()


@pytest.mark.parametrize("n", [3, 1000, 30_000_000])
def test_threads_claim_every_piece_once(n: int) -> None:
    counts = np.zeros(n, np.uint8)
    had = run_on_threads(4, new_claims(n), counts)
    assert len(had) == 4
    assert sum(had) == n
    assert (counts == 1).all()
    if n > 10_000_000:  # which takes far longer than starting the threads
        assert sum(pieces > 0 for pieces in had) > 1


def test_what_is_withdrawn_is_claimed_by_nobody() -> None:
    claims, counts = new_claims(100), np.zeros(100, np.uint8)
    withdraw(claims)
    assert count(claims, counts) == 0
    assert not counts.any()


def test_what_was_claimed_and_not_begun_is_withdrawn_too() -> None:
    claims = new_claims(10_000)
    first, stop = next_claimed(claims, 0, 0)
    assert (first, stop) == (0, 8)
    withdraw(claims)
    k, stop = next_claimed(claims, first + 1, stop)
    assert k >= stop
