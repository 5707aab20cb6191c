"""Sorting without allocation."""

from __future__ import annotations

import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from reference_selection import best_first

from tweann.kernels.sorting import sort_descending

#: Few different values: ties must stay in order.
VALUES = st.lists(st.sampled_from([-np.inf, -2.0, -0.0, 0.0, 0.5, 3.0, np.inf]), max_size=300)


def positions(values: list[float]) -> list[int]:
    order = np.full(len(values), -1)
    sort_descending(np.array(values), order, np.empty(len(values), np.int64))
    found: list[int] = order.tolist()
    return found


@PROPERTY
@given(VALUES | st.lists(st.floats(allow_nan=False), max_size=100))
def test_positions_are_those_of_the_twin(values: list[float]) -> None:
    assert positions(values) == best_first(values)


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 31, 32, 33, 48, 1000, 4097])
def test_every_length_is_sorted_stably(n: int) -> None:
    values = np.random.default_rng(n).integers(0, 50, n).astype(float)
    assert positions(values.tolist()) == np.argsort(-values, kind="stable").tolist()
