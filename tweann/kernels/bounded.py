"""Variation of bounded vectors: simulated binary crossover and polynomial mutation.

Source: Deb & Agrawal, "Simulated binary crossover for continuous search space" (Complex Systems 9, 1995), in the form
for bounded variables of Deb & Goyal, "A combined genetic adaptive search (GeneAS)" (1996), as NSGA-II's program has it.
"""

from __future__ import annotations

from typing import NamedTuple

from tweann.genes import Float
from tweann.kernels._jit import kernel
from tweann.kernels.random import UInt64Array, next_uniform

#: Parents' values nearer than this are left as they are.
_SAME = 1e-14


class BoundedVariation(NamedTuple):
    """How vectors vary."""

    low: float
    high: float
    crossover_rate: float  #: of a pair of parents
    crossover_index: float  #: η_c: the greater, the nearer children are to their parents
    mutation_index: float  #: η_m
    mutation_rate: float  #: of a value


@kernel
def spread(u: float, room: float, index: float) -> float:
    """Return β_q: how far apart two children lie, over the distance of their parents.

    Args:
        u: in [0, 1).
        room: from the nearer parent to the bound, over the parents' distance, >= 0.
        index: η_c.
    """
    beta = 1.0 + 2.0 * room
    alpha = 2.0 - beta ** -(index + 1.0)
    if u <= 1.0 / alpha:
        return float((u * alpha) ** (1.0 / (index + 1.0)))
    return float((1.0 / (2.0 - u * alpha)) ** (1.0 / (index + 1.0)))


@kernel
def cross_values(one: Float, other: Float, v: BoundedVariation, rng: UInt64Array) -> None:
    """Cross two vectors in place: each value with probability 0.5, the two children's swapped as often.

    Args:
        one, other: (d,) within the bounds; parents before, children after.
        v: how.
        rng: the stream.
    """
    if next_uniform(rng) >= v.crossover_rate:
        return
    for i in range(one.size):
        if next_uniform(rng) >= 0.5:
            continue
        a, b = min(one[i], other[i]), max(one[i], other[i])
        if b - a <= _SAME:
            continue
        u, swap = next_uniform(rng), next_uniform(rng) < 0.5
        middle, half = 0.5 * (a + b), 0.5 * (b - a)
        low = middle - spread(u, (a - v.low) / (b - a), v.crossover_index) * half
        high = middle + spread(u, (v.high - b) / (b - a), v.crossover_index) * half
        low, high = min(max(low, v.low), v.high), min(max(high, v.low), v.high)
        one[i], other[i] = (high, low) if swap else (low, high)


@kernel
def mutate_values(values: Float, v: BoundedVariation, rng: UInt64Array) -> None:
    """Mutate a vector in place by polynomial mutation.

    Args:
        values: (d,) within the bounds.
        v: how.
        rng: the stream.

    Source: Deb & Goyal (1996), with the distance to either bound, as NSGA-II's program has it.
    """
    span, power = v.high - v.low, v.mutation_index + 1.0
    for i in range(values.size):
        if next_uniform(rng) >= v.mutation_rate:
            continue
        u = next_uniform(rng)
        if u < 0.5:
            near = 1.0 - (values[i] - v.low) / span
            step = (2.0 * u + (1.0 - 2.0 * u) * near**power) ** (1.0 / power) - 1.0
        else:
            near = 1.0 - (v.high - values[i]) / span
            step = 1.0 - (2.0 * (1.0 - u) + 2.0 * (u - 0.5) * near**power) ** (1.0 / power)
        values[i] = min(max(values[i] + step * span, v.low), v.high)


@kernel
def vary_pairs(values: Float, v: BoundedVariation, rng: UInt64Array) -> None:
    """Cross rows 0 and 1, 2 and 3, …, and mutate all; a last one without a partner is only mutated.

    Args:
        values: (n, d) parents before, children after.
        v: how.
        rng: the stream.
    """
    n = values.shape[0]
    for i in range(0, n - 1, 2):
        cross_values(values[i], values[i + 1], v, rng)
    for i in range(n):
        mutate_values(values[i], v, rng)
