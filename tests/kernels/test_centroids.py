"""Centroids: the nearest one, and Lloyd's move."""

from __future__ import annotations

import numpy as np
import pytest
import reference_diversity as twins
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from tweann.genes import Float
from tweann.kernels.centroids import move_centroids, nearest_centroids

#: Few values, so that many distances are equal.
COORDINATE = st.one_of(st.integers(-2, 2).map(float), st.floats(-3.0, 3.0))


def points(d: int, least: int = 0) -> st.SearchStrategy[list[list[float]]]:
    return st.lists(st.lists(COORDINATE, min_size=d, max_size=d), min_size=least, max_size=25)


def array(rows: list[list[float]], d: int) -> Float:
    return np.array(rows, dtype=np.float64).reshape(len(rows), d)


@PROPERTY
@given(st.data(), st.integers(1, 4))
def test_the_nearest_is_the_twins_of_equals_the_first(data: st.DataObject, d: int) -> None:
    centroids, asked = sorted(data.draw(points(d, 1))), data.draw(points(d))
    out = np.empty(len(asked), np.int64)
    nearest_centroids(array(asked, d), array(centroids, d), out)
    assert out.tolist() == [twins.nearest_centroid(x, centroids) for x in asked]


@PROPERTY
@given(st.data(), st.integers(1, 3))
def test_moves_are_the_twins(data: st.DataObject, d: int) -> None:
    centroids, there = data.draw(points(d, 1)), data.draw(points(d))
    nearest = [data.draw(st.integers(0, len(centroids) - 1)) for _ in there]
    found = array(centroids, d)
    m = len(centroids)
    furthest = move_centroids(
        array(there, d), np.array(nearest, np.int64), found, np.empty((m, d)), np.empty(m, np.int64)
    )
    expected = array(twins.moved_centroids(there, nearest, centroids), d)
    assert found == pytest.approx(expected, abs=1e-12)
    moved = np.sqrt(np.square(expected - array(centroids, d)).sum(axis=1))
    assert furthest == pytest.approx(moved.max(), abs=1e-12)
