"""Rows: joining those of a pool and of a brood."""

from __future__ import annotations

import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from tweann.genes import Int
from tweann.rows import RowFormat, Rows

FORMAT = RowFormat(
    {"a": (np.int64, -1), "b": (np.float64, 0.5), "c": (np.int64, 0), "d": (np.uint8, 1)},
    {"wide": 3, "none": 0},
)


def rows(n: int, seed: int) -> Rows:
    made, rng = FORMAT.make(n), np.random.default_rng(seed)
    for column in made.values():
        column[:] = rng.integers(0, 200, column.shape)
    return made


def joined(a: Rows, b: Rows, index: Int) -> dict[str, list[object]]:
    return {name: np.concatenate((a[name], b[name]))[index].tolist() for name in FORMAT.names}


def as_lists(found: Rows) -> dict[str, list[object]]:
    return {name: column.tolist() for name, column in found.items()}


@PROPERTY
@given(st.data(), st.integers(0, 12), st.integers(0, 8))
def test_joined_rows_are_those_asked_for_in_that_order(data: st.DataObject, n: int, m: int) -> None:
    index = data.draw(st.permutations(range(n + m)))[: data.draw(st.integers(0, n + m))]
    a, b = rows(n, 1), rows(m, 2)
    before = as_lists(a)
    found = a.joined(b, np.array(index, np.int64))
    assert found.n == len(index)
    assert as_lists(found) == joined(a, b, np.array(index, np.int64))
    assert {name: found[name].dtype for name in found} == {name: a[name].dtype for name in a}
    assert as_lists(a) == before


@PROPERTY
@given(
    st.integers(0, 2**31),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 700), st.booleans()), max_size=4),
)
def test_replaced_rows_are_the_joined_ones_generation_after_generation(
    seed: int, generations: list[tuple[int, int, bool]]
) -> None:
    """Few or many replaced, none or many more, now and then in another order."""
    rng = np.random.default_rng(seed)
    there = rows(1200, 1)
    for joining, replaced, shuffled in generations:
        children = rows(1000, int(rng.integers(2**31)))
        index = np.arange(there.n + 100 * joining)
        newcomers = there.n + rng.permutation(1000)
        index[there.n :] = newcomers[: 100 * joining]
        places = rng.permutation(there.n)[: min(replaced, 1000 - 100 * joining)]
        index[places] = newcomers[100 * joining :][: places.size]
        if shuffled:
            index = rng.permutation(index)[: rng.integers(1000, index.size + 1)]
        expected = joined(there, children, index)
        there = there.replaced(children, index)
        assert as_lists(there) == expected


def test_where_few_are_replaced_the_columns_stay_where_they_are() -> None:
    there = rows(2000, 1).replaced(rows(10, 2), np.arange(2001))
    index = np.arange(2001)
    index[[5, 1999]] = 2004, 2002
    later = there.replaced(rows(10, 3), index)
    assert all(np.shares_memory(later[name], there[name]) for name in "abcd")


@pytest.mark.parametrize("index", [[0, 1, 2, 3, 4], [0, 5, 2, 3, 4], [0, 1, 2, 3, 4, 6]])
def test_a_row_that_is_written_to_is_nobody_elses(index: list[int]) -> None:
    a, b = rows(5, 1), rows(2, 2)
    found = a.joined(b, np.array(index))
    for name in FORMAT.names:
        expected = a[name].copy(), b[name].copy()
        found[name][:] = 77
        assert a[name].tolist() == expected[0].tolist()
        assert b[name].tolist() == expected[1].tolist()
