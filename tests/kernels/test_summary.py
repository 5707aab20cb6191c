"""What a generation adds up to, and the checks of what strategies say, against plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from tweann.genes import Operator, Role
from tweann.kernels.breed import find_parents, largest_genome
from tweann.kernels.checks import find_leavers, first_bad_child, first_bad_survivor
from tweann.kernels.summary import count_genes, summarise

ENTRY = st.tuples(
    st.sampled_from([math.nan, 0.0, 1.0]) | st.floats(-1e3, 1e3),
    st.sampled_from([math.nan, -math.inf, 0.0, 1.0]) | st.floats(-1e3, 1e3),
    st.booleans(),
    st.integers(1, 5),
)


@PROPERTY
@given(st.lists(ENTRY, min_size=1, max_size=30))
def test_the_summary_is_that_of_plain_python(
    entries: list[tuple[float, float, bool, int]],
) -> None:
    fitness, validation, solved, runs = map(list, zip(*entries, strict=True))
    found = summarise(np.array(fitness), np.array(validation), np.array(solved), np.array(runs))
    known = [f for f in fitness if not math.isnan(f)]
    assert found.n_failed == len(fitness) - len(known)
    assert found.n_evaluations == sum(runs)
    if known:
        assert (found.best, found.worst) == (max(known), min(known))
        assert found.mean == pytest.approx(np.mean(known), abs=1e-9)
        assert found.std == pytest.approx(np.std(known), abs=1e-9)
    else:
        assert all(map(math.isnan, (found.best, found.worst, found.mean, found.std)))
    first = solved.index(True) if any(solved) else -1
    assert found.first_solved == first
    assert found.evaluations_to_first_solved == (sum(runs[: first + 1]) if any(solved) else 0)
    values = [-math.inf if math.isnan(v) else v for v in validation]
    for position, allowed in (
        (found.best_valid, range(len(values))),
        (found.best_solved, [i for i, s in enumerate(solved) if s]),
    ):
        candidates = [i for i in allowed if values[i] > -math.inf]
        assert position == max(candidates, key=lambda i: values[i], default=-1)


@PROPERTY
@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([1, 2, 3, 4])), max_size=20))
def test_genes_are_counted_of_members_alone(rows: list[tuple[int, int]]) -> None:
    nodes, connections = np.array([3, 4, 5, 6, 7]), np.array([0, 10, 20, 30, 40])
    blocks = np.array([block for block, _ in rows], np.int64)
    role = np.array([r for _, r in rows], np.uint8)
    members = [block for block, r in rows if r & Role.MEMBER]
    assert count_genes(nodes, connections, blocks, role) == (
        len(members),
        sum(nodes[b] for b in members),
        sum(connections[b] for b in members),
    )
    largest = max([2, *blocks.tolist()])
    parents = np.array([[*blocks, -1], [-1, *blocks]])
    assert largest_genome(nodes, connections, parents, 2) == (nodes[largest], connections[largest])


@PROPERTY
@given(
    st.lists(
        st.tuples(st.integers(0, len(Operator)), st.integers(-2, 5), st.integers(-2, 5)), max_size=8
    ),
    st.integers(0, 5),
)
def test_the_first_child_that_cannot_be_bred_is_found(
    children: list[tuple[int, int, int]], n_rows: int
) -> None:
    def bad(operator: int, a: int, b: int) -> bool:
        if operator >= len(Operator):
            return True
        least_a = -1 if operator == Operator.FRESH else 0
        least_b = 0 if operator in (Operator.CROSSOVER, Operator.CROSSOVER_MUTATE) else -1
        return not (least_a <= a < n_rows and least_b <= b < n_rows)

    columns = [np.array([child[k] for child in children], np.int64) for k in range(3)]
    found = first_bad_child(columns[0].astype(np.uint8), columns[1], columns[2], n_rows)
    assert found == next((i for i, child in enumerate(children) if bad(*child)), -1)


@PROPERTY
@given(st.lists(st.integers(-2, 9), max_size=10), st.integers(0, 8))
def test_the_first_survivor_that_cannot_stay_is_found(index: list[int], n: int) -> None:
    stays = np.ones(n, np.bool_)
    found = first_bad_survivor(np.array(index, np.int64), stays)
    bad = [not 0 <= row < n or row in index[:i] for i, row in enumerate(index)]
    assert found == (bad.index(True) if any(bad) else -1)
    if found < 0:
        assert np.flatnonzero(stays).tolist() == sorted(index)


def test_parents_are_found_and_nobody_is_minus_1() -> None:
    ids, blocks = np.array([70, 71, 72]), np.array([5, 6, 7])
    out = np.zeros((4, 4), np.int64)
    operator = np.array([3, 0, 1, 3], np.uint8)
    found = find_parents(
        operator, np.array([2, -1, 0, 2]), np.array([-1, -1, 1, 2]), ids, blocks, out
    )
    assert out[:2].tolist() == [[72, -1, 70, 72], [-1, -1, 71, 72]]
    assert out[2:].tolist() == [[7, -1, 5, 7], [-1, -1, 6, 7]]
    assert found == 1 << 0 | 1 << 1 | 1 << 3


@PROPERTY
@given(st.lists(st.booleans(), max_size=12), st.integers(0, 12))
def test_those_that_leave_give_their_blocks_back(stays: list[bool], n: int) -> None:
    blocks = np.arange(100, 100 + len(stays))
    out = np.empty(stays.count(False), np.int64)
    find_leavers(np.array(stays, np.bool_), blocks[:n], blocks[n:], out)
    assert out.tolist() == [100 + row for row, there in enumerate(stays) if not there]
