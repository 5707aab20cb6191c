"""Nearest neighbours among descriptors: novelty and local competition."""

from __future__ import annotations

import numpy as np
import pytest
import reference_diversity as twins
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from tweann.genes import Float
from tweann.kernels.neighbours import novelty

#: Few values, so that many distances are equal.
COORDINATE = st.one_of(st.integers(-2, 2).map(float), st.floats(-3.0, 3.0))


def measured(
    points: Float, fitness: Float, k: int, start: int, stop: int
) -> tuple[list[float], list[float]]:
    n = len(points)
    far, local = np.full(n, np.nan), np.full(n, np.nan)
    novelty(points, fitness, k, start, stop, np.empty(k), np.empty(k, np.int64), far, local)
    untouched = np.r_[0:start, stop:n]
    assert np.isnan(far[untouched]).all()
    assert np.isnan(local[untouched]).all()
    return far[start:stop].tolist(), local[start:stop].tolist()


@PROPERTY
@given(st.data(), st.integers(1, 3), st.integers(1, 8))
def test_it_is_the_twins(data: st.DataObject, d: int, k: int) -> None:
    rows = data.draw(
        st.lists(st.lists(COORDINATE, min_size=d, max_size=d), min_size=1, max_size=25)
    )
    fitness = [data.draw(st.integers(0, 3).map(float)) for _ in rows]
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    points = np.array(rows, dtype=np.float64)
    far, local = measured(points, np.array(fitness), k, start, stop)
    expected = [twins.novelty(rows, fitness, k, q) for q in range(start, stop)]
    assert far == pytest.approx([e for e, _ in expected], rel=1e-14)
    assert local == [e for _, e in expected]


def test_it_is_exact_among_thousands_of_points() -> None:
    rng = np.random.default_rng(1)
    points, fitness = rng.random((3_000, 2)), rng.random(3_000)
    far, _ = measured(points, fitness, 15, 0, 20)
    distances = np.sqrt(np.square(points[:20, None] - points).sum(axis=2))
    assert far == pytest.approx(np.sort(distances)[:, 1:16].mean(axis=1), rel=1e-12)


def test_who_is_alone_is_not_novel() -> None:
    assert measured(np.zeros((1, 2)), np.zeros(1), 3, 0, 1) == ([0.0], [0.0])
