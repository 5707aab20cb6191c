"""Fronts, crowding, hypervolume: the twins, and figures by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from reference_pareto import hypervolume, sorted_fronts

from tweann.kernels.pareto import hypervolume_2d, make_fronts, sort_fronts

#: Few different values: ties, equal rows and failures are frequent.
VALUE = st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0, math.nan])


def fronts(rows: list[tuple[float, ...]]) -> tuple[list[int], list[float], list[int]]:
    n = len(rows)
    objectives = np.array(rows, dtype=np.float64).reshape(n, len(rows[0]) if rows else 2)
    found = make_fronts(n, objectives.shape[1])
    n_fronts = sort_fronts(objectives, found)
    rank: list[int] = found.rank.tolist()
    assert n_fronts == len(set(rank))
    return rank, found.crowding.tolist(), found.order.tolist()


def area(rows: list[tuple[float, float]], reference: tuple[float, float]) -> float:
    n = len(rows)
    order, scratch = np.empty(n, np.int64), np.empty(n, np.int64)
    objectives = np.array(rows, dtype=np.float64).reshape(n, 2)
    return float(hypervolume_2d(objectives, np.array(reference), order, scratch, np.empty(n)))


@PROPERTY
@given(st.integers(1, 3).flatmap(lambda m: st.lists(st.tuples(*[VALUE] * m), max_size=40)))
def test_fronts_are_those_of_the_twin(rows: list[tuple[float, ...]]) -> None:
    rank, crowd, order = fronts(rows)
    expected = sorted_fronts(rows)
    assert rank == expected[0]
    assert crowd == pytest.approx(expected[1])
    assert order == expected[2]


def test_crowding_by_hand() -> None:
    """A front of four on a line of slope -1, and one that it dominates. Without the second the third has more room."""
    rows = [(0.0, 10.0), (2.0, 8.0), (3.0, 7.0), (10.0, 0.0), (-1.0, -1.0)]
    rank, crowd, order = fronts(rows)
    assert rank == [0, 0, 0, 0, 1]
    assert crowd[:4] == [math.inf, pytest.approx(0.6), pytest.approx(2.0), math.inf]
    assert order == [0, 3, 2, 1, 4]


def test_a_copy_comes_behind_all_fronts() -> None:
    rank, _, order = fronts([(1.0, 0.0), (1.0, 0.0), (0.0, 0.0), (0.0, 1.0)])
    assert rank == [0, 2, 1, 0]
    assert order == [0, 3, 2, 1]


def test_who_failed_comes_last() -> None:
    rank, _, order = fronts([(math.nan, 9.0), (0.0, 0.0), (1.0, 1.0)])
    assert rank == [2, 1, 0]
    assert order == [2, 1, 0]


@PROPERTY
@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(-3, 3)), max_size=30))
def test_hypervolume_is_that_of_the_twin(rows: list[tuple[float, float]]) -> None:
    assert area(rows, (-1.0, -2.0)) == pytest.approx(hypervolume(rows, (-1.0, -2.0)), abs=1e-12)


def test_hypervolume_by_hand() -> None:
    assert area([(1.0, 3.0), (2.0, 1.0), (0.5, 0.5), (5.0, -1.0)], (0.0, 0.0)) == 3.0 + 1.0
    assert area([], (0.0, 0.0)) == 0.0
