"""How broods are cut into slices."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tweann.evaluating import slices_of


@given(st.integers(1, 500), st.integers(1, 5), st.data())
def test_slices_are_whole_and_never_grow(n: int, capacity: int, data: st.DataObject) -> None:
    pieces = data.draw(st.integers(1, 3 * capacity))
    slices = slices_of(n, pieces, capacity)
    assert [i for start, stop in slices for i in range(start, stop)] == list(range(n))
    assert 1 <= len(slices) <= pieces
    sizes = [stop - start for start, stop in slices]
    first, last = sizes[:capacity], sizes[capacity:]
    assert max(first) - min(first) <= 1 or len(slices) < pieces
    assert all(size <= min(first) + 1 for size in last)


def test_a_large_brood_ends_with_small_slices() -> None:
    sizes = [stop - start for start, stop in slices_of(2400, 6, 2)]
    assert sizes == [800, 800, 300, 300, 100, 100]


def test_as_many_slices_as_there_are_genomes_are_of_one_each() -> None:
    assert slices_of(7, 7, 7) == [(i, i + 1) for i in range(7)]
