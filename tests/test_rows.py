"""Rows: joining those of a pool and of a brood."""

from __future__ import annotations

import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

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


@PROPERTY
@given(st.data(), st.integers(0, 12), st.integers(0, 8), st.booleans())
def test_joined_rows_are_those_asked_for_in_that_order(
    data: st.DataObject, n: int, m: int, replaced: bool
) -> None:
    if replaced:  # most rows stay where they are: a way of its own
        index = list(range(n))
        children = data.draw(st.permutations(range(n, n + m)))
        for child in children[: n // 3]:
            index[data.draw(st.integers(0, n - 1))] = child
        index += children[n // 3 : n // 3 + 2]
        index = list(dict.fromkeys(index))
    else:
        index = data.draw(st.permutations(range(n + m)))[: data.draw(st.integers(0, n + m))]
    a, b = rows(n, 1), rows(m, 2)
    before = {name: column.copy() for name, column in a.items()}
    found = a.joined(b, np.array(index, np.int64))
    assert found.n == len(index)
    for name in FORMAT.names:
        expected = np.concatenate((a[name], b[name]))[np.array(index, np.int64)]
        assert found[name].tolist() == expected.tolist()
        assert found[name].dtype == expected.dtype
        assert a[name].tolist() == before[name].tolist()


@pytest.mark.parametrize("index", [[0, 1, 2, 3, 4], [0, 5, 2, 3, 4], [0, 1, 2, 3, 4, 6]])
def test_a_row_that_is_written_to_is_nobody_elses(index: list[int]) -> None:
    a, b = rows(5, 1), rows(2, 2)
    found = a.joined(b, np.array(index))
    for name in FORMAT.names:
        expected = a[name].copy(), b[name].copy()
        found[name][:] = 77
        assert a[name].tolist() == expected[0].tolist()
        assert b[name].tolist() == expected[1].tolist()
