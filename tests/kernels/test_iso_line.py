"""The iso+line operator on genomes of any structure."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import reference_diversity as twins
from genomes import PROPERTY, pack, relatives
from hypothesis import given
from hypothesis import strategies as st
from reference import FIRST_OUTPUT, Connection, Genome, Node, Stream

from tweann.kernels.iso_line import iso_line, iso_lines

PARENTS = relatives()
KEYS = st.integers(0, 2**64 - 1)
SIGMAS = st.sampled_from([0.0, 0.01, 0.5])


def varied(
    a: Genome, b: Genome | None, iso: float, line: float, biases: bool, key: int
) -> tuple[list[float], int]:
    """Return the values and the state of the stream after it."""
    genes, blocks, _ = pack([a, a if b is None else b])
    rng, out = np.array([key], np.uint64), np.full(500, np.nan)
    n = iso_line(genes, blocks[0], -1 if b is None else blocks[1], iso, line, biases, rng, out)
    return out[:n].tolist(), int(rng[0])


@PROPERTY
@given(PARENTS, SIGMAS, SIGMAS, st.booleans(), st.booleans(), KEYS)
def test_values_and_draws_are_the_twins(
    parents: list[Genome], iso: float, line: float, alone: bool, biases: bool, key: int
) -> None:
    a, b = parents
    other = None if alone else b
    stream = Stream(key)
    expected = twins.iso_line(a, other, iso, line, biases, stream)
    values, state = varied(a, other, iso, line, biases, key)
    assert values == pytest.approx(expected, rel=1e-12, abs=1e-12)
    assert state == stream.state


@PROPERTY
@given(PARENTS, KEYS)
def test_without_noise_all_matching_genes_lie_on_one_line(parents: list[Genome], key: int) -> None:
    a, b = parents
    values, _ = varied(a, b, 0.0, 0.7, True, key)
    step = 0.7 * Stream(key).normal()
    for gene, value in zip(a.connections, values, strict=False):
        match = b.connection(gene.source, gene.target)
        expected = (
            gene.weight if match is None else gene.weight + step * (match.weight - gene.weight)
        )
        assert value == pytest.approx(expected, abs=1e-12)


@PROPERTY
@given(PARENTS, KEYS)
def test_slices_of_children_do_not_change_them(parents: list[Genome], key: int) -> None:
    genes, blocks, _ = pack(parents)
    a = np.array([blocks[0], blocks[1], blocks[0]])
    b = np.array([blocks[1], -1, blocks[0]])
    keys = np.array([key, key // 3, 5], np.uint64)

    def values(*edges: int) -> list[list[float]]:
        out, streams = np.zeros((3, 300)), keys.copy()
        for start, stop in pairwise(edges):
            iso_lines(genes, a, b, start, stop, 0.1, 0.2, True, streams, out)
        found: list[list[float]] = out.tolist()
        return found

    assert values(0, 3) == values(0, 1, 3) == values(0, 1, 2, 3)


def test_the_noise_has_the_deviation_asked_for() -> None:
    """Vassiliades & Mouret (2018), eq. 1: x + σ₁ N(0, I) + σ₂ (y − x) N(0, 1)."""
    rng = np.random.default_rng(1)

    def genome(weight: float) -> Genome:
        nodes = [Node(0, "identity"), Node(FIRST_OUTPUT, "tanh")]
        return Genome(nodes, [Connection(0, FIRST_OUTPUT, weight)])

    keys = [int(k) for k in rng.integers(0, 2**63, 4_000)]
    weights = np.array([varied(genome(1.0), genome(3.0), 0.3, 0.2, True, k)[0][0] for k in keys])
    assert weights.mean() == pytest.approx(1.0, abs=0.04)
    assert weights.std() == pytest.approx(np.hypot(0.3, 0.2 * 2.0), rel=0.05)
