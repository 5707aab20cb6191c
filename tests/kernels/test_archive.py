"""The MAP-Elites archive: cells of a grid, and who holds them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
import reference_diversity as twins
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from tweann.kernels.archive import NOT_FINITE, REJECTED, grid_cells, place

EXTREMES = [math.nan, math.inf, -math.inf, 1e308, -1e308, 0.0, -0.0, 1.0, 0.5, 1e-320]
COORDINATE = st.one_of(st.floats(-2.0, 3.0), st.sampled_from(EXTREMES), st.floats())
FITNESS = st.one_of(st.sampled_from([0.0, 1.0, 2.0, math.nan, -math.inf]), st.floats(-5.0, 5.0))


def cells_of(
    points: Sequence[Sequence[float]],
    low: Sequence[float],
    high: Sequence[float],
    bins: Sequence[int],
    clip: bool = True,
) -> list[int]:
    out = np.empty(len(points), np.int64)
    grid_cells(
        np.array(points, dtype=np.float64).reshape(len(points), len(low)),
        np.array(low, dtype=np.float64),
        np.array(high, dtype=np.float64),
        np.array(bins, dtype=np.int64),
        clip,
        out,
    )
    found: list[int] = out.tolist()
    return found


@PROPERTY
@given(st.data(), st.lists(st.integers(1, 12), min_size=1, max_size=4), st.booleans())
def test_cells_are_the_twins(data: st.DataObject, bins: list[int], clip: bool) -> None:
    d = len(bins)
    low = data.draw(st.lists(st.floats(-10.0, 0.5), min_size=d, max_size=d))
    high = [a + data.draw(st.floats(0.1, 10.0)) for a in low]
    points = data.draw(st.lists(st.lists(COORDINATE, min_size=d, max_size=d), max_size=20))
    expected = [twins.grid_cell(p, low, high, bins, clip) for p in points]
    assert cells_of(points, low, high, bins, clip) == expected
    assert all(-2 <= cell < math.prod(bins) for cell in expected)


def test_what_is_far_out_of_bounds_is_clipped_before_the_cast() -> None:
    huge = [[1e300], [-1e300], [1e19], [2.0], [-1.0]]
    assert cells_of(huge, [0.0], [1.0], [10]) == [9, 0, 9, 9, 0]


def test_the_upper_bound_belongs_to_the_last_bin_and_bounds_are_not_rejected() -> None:
    points = [[0.0], [1.0], [0.0999], [0.1], [1.0000001], [-1e-9]]
    expected = [0, 9, 0, 1, REJECTED, REJECTED]
    assert cells_of(points, [0.0], [1.0], [10], clip=False) == expected


@pytest.mark.parametrize("clip", [True, False])
def test_one_coordinate_that_is_no_number_is_enough(clip: bool) -> None:
    points = [[0.5, math.nan], [math.inf, 0.5], [9.0, math.nan], [-math.inf, -math.inf]]
    assert cells_of(points, [0.0, 0.0], [1.0, 1.0], [3, 3], clip) == [NOT_FINITE] * 4


def test_every_cell_has_one_number() -> None:
    points = [[(i + 0.5) / 3, (j + 0.5) / 4, (k + 0.5) / 2] for i in range(3) for j in range(4) for k in range(2)]  # fmt: skip
    assert cells_of(points, [0.0] * 3, [1.0] * 3, [3, 4, 2]) == list(range(24))


def placed(
    elites: Sequence[tuple[int, float]],
    children: Sequence[tuple[int, float]],
    extra: int = 0,
    scatter: bool = True,
) -> tuple[list[tuple[int, int, float]], int]:
    """Return (number, cell, fitness) of each row, and how many children are among them."""
    total = len(elites) + len(children)
    size = 1 << max(2 * total - 1, 1).bit_length() + extra
    index, cell, fitness = np.empty(total, np.int64), np.empty(total, np.int64), np.empty(total)
    n, among = place(
        np.array([c for c, _ in elites], dtype=np.int64),
        np.array([f for _, f in elites], dtype=np.float64),
        np.array([c for c, _ in children], dtype=np.int64),
        np.array([f for _, f in children], dtype=np.float64),
        scatter,
        np.full(size, 7, np.int32),
        index,
        cell,
        fitness,
    )
    rows = zip(index[:n].tolist(), cell[:n].tolist(), fitness[:n].tolist(), strict=True)
    return list(rows), among


@PROPERTY
@given(
    st.dictionaries(st.integers(0, 40), st.floats(-5.0, 5.0), max_size=20),
    st.lists(st.tuples(st.integers(-2, 40), FITNESS), max_size=40),
    st.integers(0, 2),
    st.booleans(),
)
def test_places_are_the_twins_whatever_the_size_of_the_table(
    elites: dict[int, float], children: list[tuple[int, float]], extra: int, scatter: bool
) -> None:
    there = list(elites.items())
    expected = twins.place(there, children)
    rows, among = placed(there, children, extra, scatter)
    assert rows == expected
    assert among == sum(number >= len(there) for number, _, _ in expected)


@PROPERTY
@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=50), st.booleans())
def test_cells_with_any_numbers_are_told_apart(cells: list[int], scatter: bool) -> None:
    rows, _ = placed([], [(cell, 1.0) for cell in cells], scatter=scatter)
    assert [cell for _, cell, _ in rows] == list(dict.fromkeys(cells))


@pytest.mark.parametrize("scatter", [True, False])
def test_elites_in_cells_that_cannot_be_stay_where_they_are(scatter: bool) -> None:
    """As a checkpoint might have them that somebody made."""
    elites = [(-7, 1.0), (2**63 - 1, 2.0), (-1, 3.0), (3, 4.0)]
    rows, among = placed(elites, [(3, 5.0), (2**40, 6.0)], scatter=scatter)
    stay = [(i, cell, fitness) for i, (cell, fitness) in enumerate(elites[:3])]
    assert rows == [*stay, (4, 3, 5.0), (5, 2**40, 6.0)]
    assert among == 2


def test_an_equal_child_does_not_replace_who_is_there() -> None:
    assert placed([(3, 1.0)], [(3, 1.0), (3, 1.5), (3, 1.5)])[0] == [(2, 3, 1.5)]


def test_failures_and_what_has_no_cell_are_never_placed() -> None:
    children = [(NOT_FINITE, 1.0), (REJECTED, 1.0), (4, math.nan)]
    assert placed([(1, 0.0)], children) == ([(0, 1, 0.0)], 0)
