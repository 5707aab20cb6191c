"""Identity without a counter: depth, splits, innovation numbers, lookup."""

from __future__ import annotations

import bisect
import subprocess
import sys

import numpy as np
import pytest
import reference
from genomes import POOL, PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from reference import DEPTH_ONE, FIRST_HIDDEN, FIRST_OUTPUT

from tweann.kernels import ids

INPUTS = st.integers(0, 5)
HIDDEN = st.sampled_from(POOL) | st.integers(FIRST_HIDDEN, FIRST_OUTPUT - 1)
OUTPUTS = st.integers(FIRST_OUTPUT, FIRST_OUTPUT + 5)
NODES = INPUTS | HIDDEN | OUTPUTS
TARGETS = HIDDEN | OUTPUTS


def test_inputs_have_depth_0_and_outputs_depth_1() -> None:
    assert ids.FIRST_OUTPUT == FIRST_OUTPUT == (2**39 - 1) * 2**24
    for i in (0, 1, 1000, 2**24 - 1):
        assert ids.depth(i) == 0
        assert ids.is_input(i)
        assert not ids.is_output(i)
    for j in (0, 1, 1000, 2**24 - 1):
        assert ids.depth(FIRST_OUTPUT + j) == DEPTH_ONE
        assert ids.is_output(FIRST_OUTPUT + j)
        assert not ids.is_input(FIRST_OUTPUT + j)
    assert FIRST_OUTPUT + 2**24 - 1 == 2**63 - 1  # the last id is the last int64


@PROPERTY
@given(HIDDEN)
def test_a_hidden_node_is_neither_input_nor_output(node: int) -> None:
    assert 0 < ids.depth(node) == reference.depth(node) < DEPTH_ONE
    assert not ids.is_input(node)
    assert not ids.is_output(node)


@PROPERTY
@given(NODES, TARGETS, st.integers(0, ids.MAX_SPLITS - 1))
def test_a_split_is_the_twins(source: int, target: int, k: int) -> None:
    assert ids.split_id(source, target, k) == reference.split_id(source, target, k)


@PROPERTY
@given(NODES, TARGETS, st.integers(0, ids.MAX_SPLITS - 1))
def test_a_split_lies_strictly_between_and_recurrent_ones_below_the_target(
    source: int, target: int, k: int
) -> None:
    node = ids.split_id(source, target, k)
    assert isinstance(node, int)
    low = reference.depth(source) if source < target else 0
    high = reference.depth(target)
    if node < 0:
        assert node == -1
        assert high - low < 4  # with a share in [0.25, 0.75) a gap of four has room
        return
    assert 0 <= node < 2**63
    assert low < reference.depth(node) < high
    assert reference.is_hidden(node)
    assert node < target  # the way out is forward
    assert (source < node) == (source < target)  # the way in is of the split one's kind


def test_the_share_is_spread_over_a_quarter_to_three_quarters() -> None:
    """Of 20,000 splits from depth 0 to 1: within the range, every tenth of it hit 10 ± 1 %."""
    shares = [
        reference.depth(ids.split_id(i, FIRST_OUTPUT + j, 0)) / DEPTH_ONE
        for i in range(200)
        for j in range(100)
    ]
    assert min(shares) == pytest.approx(0.25, abs=1e-4)
    assert max(shares) == pytest.approx(0.75, abs=1e-4)
    assert min(shares) >= 0.25 - 1e-11
    assert max(shares) < 0.75
    counts = np.histogram(shares, bins=10, range=(0.25, 0.75))[0]
    assert all(1800 <= c <= 2200 for c in counts)


@pytest.mark.parametrize("side", ["in", "out", "alternating"])
def test_a_path_can_be_split_about_forty_times_until_no_depth_is_left(side: str) -> None:
    """From 20 inputs to output 0: each split shrinks the gap to 0.25 … 0.75 of what it was."""
    lengths = []
    for source in range(20):
        s, t, n = source, FIRST_OUTPUT, 0
        while (node := ids.split_id(s, t, 0)) >= 0:
            n += 1
            into = side == "in" or (side == "alternating" and n % 2)
            s, t = (s, node) if into else (node, t)
        assert reference.depth(t) - reference.depth(s) < 4
        lengths.append(n)
    assert min(lengths) >= 19  # 2^39 in quarters
    assert 30 <= sum(lengths) / len(lengths) <= 41


def test_a_recurrent_path_too_is_exhausted_at_last() -> None:
    source, target, n = FIRST_OUTPUT, FIRST_OUTPUT, 0
    while (node := ids.split_id(source, target, 0)) >= 0:
        assert node < target
        target = node
        n += 1
    assert 19 <= n <= 94  # all quarters, all three quarters


def test_other_processes_give_the_same_numbers() -> None:
    splits = [(0, FIRST_OUTPUT), (FIRST_OUTPUT, FIRST_OUTPUT), (POOL[0], POOL[3]), (3, POOL[5])]
    program = (
        "import sys, ast; from tweann.kernels import ids\n"
        "for s, t in ast.literal_eval(sys.argv[1]):\n"
        "    print([int(ids.split_id(s, t, k)) for k in range(8)], int(ids.hash_pair(s, t)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program, repr(splits)], capture_output=True, text=True, check=True
    )
    expected = [
        f"{[reference.split_id(s, t, k) for k in range(8)]} {reference.hash_pair(s, t)}"
        for s, t in splits
    ]
    assert result.stdout.splitlines() == expected


def test_a_known_split_never_changes() -> None:
    """The hash is part of the genome format: a change of these numbers is a new ``HASH_VERSION``."""
    assert ids.HASH_VERSION == 1
    assert ids.split_id(0, FIRST_OUTPUT, 0) == 4829145229132379099
    assert int(ids.hash_pair(0, FIRST_OUTPUT)) == 8837535022918373202


def test_splits_in_a_large_population_do_not_collide() -> None:
    """30,000 different splits, three deep, have 30,000 different ids, and innovations as many."""
    pairs = {(i, FIRST_OUTPUT + j) for i in range(100) for j in range(50)}
    nodes: set[int] = set()
    splits: list[tuple[int, int]] = []
    for s, t in sorted(pairs):
        for k in range(2):
            a = ids.split_id(s, t, k)
            b, c = ids.split_id(s, a, 0), ids.split_id(a, t, 0)
            nodes |= {a, b, c}
            splits += [(s, a), (a, t)]
    assert len(nodes) == 30_000
    innovations = {int(ids.hash_pair(s, t)) for s, t in splits}
    assert len(innovations) == len(set(splits)) == 20_000


@PROPERTY
@given(NODES, NODES)
def test_innovation_is_the_twins_hash_and_tells_directions_apart(source: int, target: int) -> None:
    got = int(ids.hash_pair(source, target))
    assert got == reference.hash_pair(source, target)
    assert source == target or got != int(ids.hash_pair(target, source))


@PROPERTY
@given(st.lists(NODES, unique=True, max_size=40), NODES)
def test_a_node_is_found_where_bisection_finds_it(nodes: list[int], wanted: int) -> None:
    nodes.sort()
    column = np.array([*nodes, 5, 2**62, 0], np.int64)  # what lies beyond the count is rubbish
    for node in [*nodes, wanted]:
        at = bisect.bisect_left(nodes, node)
        there = at < len(nodes) and nodes[at] == node
        assert ids.find_node(column, len(nodes), node) == (at if there else -1 - at)
