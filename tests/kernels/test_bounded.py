"""Variation of bounded vectors: the twin, the bounds, and what is published of the distributions."""

from __future__ import annotations

import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from reference_pareto import Bounded

from tweann.kernels.bounded import BoundedVariation, cross_values, mutate_values, vary_pairs
from tweann.kernels.random import next_uniform

UNIT = st.floats(0.0, 1.0)
VECTORS = st.integers(1, 8).flatmap(
    lambda d: st.tuples(*[st.lists(st.sampled_from([0.0, 0.25, 1.0]) | UNIT, min_size=d, max_size=d)] * 2)
)  # fmt: skip


def stream(seed: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array([seed], np.uint64)


def variation(low: float, high: float, rate: float = 0.9, **others: float) -> BoundedVariation:
    values = {"crossover_index": 15.0, "mutation_index": 20.0, "mutation_rate": 0.5} | others
    return BoundedVariation(low, high, rate, **values)


@PROPERTY
@given(VECTORS, st.integers(0, 2**64 - 1), st.sampled_from([0.0, 2.0, 15.0, 100.0]))
def test_it_varies_as_the_twin_does(
    parents: tuple[list[float], list[float]], seed: int, eta: float
) -> None:
    low, high = -2.0, 6.0
    one, other = ([low + 8.0 * x for x in vector] for vector in parents)
    values = np.array([one, other])
    vary_pairs(values, variation(low, high, crossover_index=eta), stream(seed))
    numbers = stream(seed)
    twin = Bounded(low, high, eta, 20.0, lambda: next_uniform(numbers))
    twin.cross(one, other, 0.9)
    twin.mutate(one, 0.5)
    twin.mutate(other, 0.5)
    assert values.tolist() == [pytest.approx(one), pytest.approx(other)]
    assert ((values >= low) & (values <= high)).all()


def test_children_have_their_parents_mean_away_from_the_bounds() -> None:
    """Deb & Agrawal (1995): the children of a pair lie evenly about its middle."""
    rng = stream(3)
    for _ in range(200):
        one, other = np.full(5, 0.49), np.full(5, 0.51)
        cross_values(one, other, variation(-1e6, 1e6, 1.0), rng)
        assert one + other == pytest.approx(1.0)


def test_half_of_the_children_lie_between_their_parents() -> None:
    """Deb & Agrawal (1995): contracting and expanding crossovers are equally likely."""
    one, other = np.zeros(40_000), np.ones(40_000)
    cross_values(one, other, variation(-1e6, 1e6, 1.0), stream(4))
    crossed = np.abs(one - other) != 1.0
    inside = np.abs(one - other) < 1.0
    assert abs(crossed.mean() - 0.5) < 0.01
    assert abs(inside[crossed].mean() - 0.5) < 0.015


def test_a_mutation_moves_by_some_hundredths_of_the_range() -> None:
    """Deb & Goyal (1996): with index η the mean step is of the order 1/η of the range, to both sides alike."""
    values = np.full(40_000, 0.5)
    mutate_values(values, variation(0.0, 1.0, mutation_rate=1.0), stream(5))
    step = values - 0.5
    assert abs(step.mean()) < 0.002
    assert 0.02 < np.abs(step).mean() < 0.06


def test_a_last_one_without_a_partner_is_only_mutated() -> None:
    values = np.array([[0.2], [0.8], [0.5]])
    vary_pairs(values, variation(0.0, 1.0, 1.0, mutation_rate=0.0), stream(1))
    assert values[2, 0] == 0.5
