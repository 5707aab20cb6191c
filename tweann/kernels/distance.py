"""Compatibility distance, and what speciation makes of it."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from tweann.genes import Float, Genes, Int
from tweann.kernels._jit import inlined_kernel, kernel, popcount
from tweann.kernels.random import UInt64Array

#: Words of a signature: 256 bits.
SIGNATURE: Final = 4
_BITS: Final = 64 * SIGNATURE
#: Odd numbers that scatter bits; what is left of a hash: the word in its top two bits, the bit of it in the next six.
_FIRST, _SECOND = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9)
_HALF, _WORD, _BIT = np.uint64(32), np.uint64(62), np.uint64(56)
_ONE, _LOW = np.uint64(1), np.uint64(63)


class DistanceCoefficients(NamedTuple):
    """Dimensionless, >= 0."""

    c1: float  #: of excess and disjoint genes, which count alike
    c3: float  #: of the mean weight difference
    small_genome: int  #: N = 1 where both genomes have fewer connection genes


@inlined_kernel
def normaliser(n: int, m: int, c: DistanceCoefficients) -> int:
    """Return N of the distance between genomes of so many connection genes."""
    larger = max(n, m)
    return 1 if larger < c.small_genome else max(larger, 1)


@inlined_kernel
def enough_unmatched(n: int, m: int, c: DistanceCoefficients, limit: float) -> float:
    """Return how many unmatched genes make more than the limit, with one to spare for rounding."""
    return limit * normaliser(n, m, c) / c.c1 + 1.0 if c.c1 > 0.0 else math.inf


@inlined_kernel
def compatibility_distance(
    genes: Genes, a: int, b: int, c: DistanceCoefficients, limit: float
) -> float:
    """Return how far apart the genomes in blocks ``a`` and ``b`` are.

    δ = c1·(E + D)/N + c3·W̄, over connection genes; symmetric; 0 when structure and weights are equal.

    Args:
        genes: the table.
        a, b: blocks.
        c: coefficients.
        limit: once it is certain that δ >= limit, some value >= limit is returned instead: most genomes of two kinds
            differ in the first few genes already.

    Source: Stanley & Miikkulainen (2002), eq. 1, with c1 = c2. Cost: O(n_a + n_b), no allocation.
    """
    n, m = genes.n_connections[a], genes.n_connections[b]
    size, enough = normaliser(n, m, c), enough_unmatched(n, m, c, limit)
    # genes left of a, less those left of b: at least so many more will stay unmatched
    excess = n - m
    if abs(excess) >= enough:
        return limit
    # unsigned: signed indices make the compiler allow for wrap-around
    zero, one = np.uint64(0), np.uint64(1)
    i, j, end_a, end_b = zero, zero, np.uint64(n), np.uint64(m)
    matching, unmatched = 0, 0
    difference = 0.0
    while i < end_a and j < end_b:
        target_a, target_b = genes.target[a, i], genes.target[b, j]
        source_a, source_b = genes.source[a, i], genes.source[b, j]
        if target_a == target_b and source_a == source_b:
            difference += abs(genes.weight[a, i] - genes.weight[b, j])
            matching += 1
            i += one
            j += one
        else:
            if target_a < target_b or (target_a == target_b and source_a < source_b):
                i += one
                excess -= 1
            else:
                j += one
                excess += 1
            unmatched += 1
            if unmatched + abs(excess) >= enough:
                return limit
    result = c.c1 * (n + m - 2 * matching) / size
    if matching > 0:
        result += c.c3 * difference / matching
    return float(result)


@inlined_kernel
def sign(genes: Genes, block: int, out: UInt64Array) -> None:
    """Write a signature of a genome's structure, (`SIGNATURE`,): each connection gene sets one of its bits."""
    for word in range(out.size):
        out[word] = 0
    for i in range(np.uint64(genes.n_connections[block])):
        h = np.uint64(genes.source[block, i]) * _FIRST + np.uint64(genes.target[block, i])
        h = (h ^ (h >> _HALF)) * _SECOND
        out[h >> _WORD] |= _ONE << ((h >> _BIT) & _LOW)


@inlined_kernel
def differing_bits(a: UInt64Array, b: UInt64Array) -> int:
    """Return in how many bits two signatures differ: so many genes at least are in one genome and not in the other."""
    n = 0
    for word in range(a.size):
        n += popcount(a[word] ^ b[word])
    return n


@kernel
def distances(genes: Genes, a: Int, b: Int, c: DistanceCoefficients, out: Float) -> None:
    """Write the distance of each pair to ``out``, (n_a, n_b); ``a`` and ``b`` are blocks."""
    for i in range(a.size):
        for j in range(b.size):
            out[i, j] = compatibility_distance(genes, a[i], b[j], c, math.inf)


@kernel
def first_compatible(
    genes: Genes,
    blocks: Int,
    representatives: Int,
    threshold: float,
    c: DistanceCoefficients,
    signatures: UInt64Array,
    out: Int,
) -> int:
    """Write for each genome the position of the first representative closer than ``threshold``, or -1.

    Args:
        genes: the table.
        blocks: (n,) which genomes.
        representatives: (m,) blocks, in the order of species.
        threshold: > 0.
        c: coefficients.
        signatures: (m + 1, `SIGNATURE`) room to work in.
        out: (n,).

    Returns:
        How many genomes are close to none.
    """
    unfit = 0
    for j in range(representatives.size):
        sign(genes, representatives[j], signatures[j])
    own = signatures[representatives.size]
    for i in range(blocks.size):
        out[i] = -1
        n = genes.n_connections[blocks[i]]
        telling = enough_unmatched(n, n, c, threshold) < _BITS  # no signature differs in so many
        if telling:
            sign(genes, blocks[i], own)
        for j in range(representatives.size):
            m = genes.n_connections[representatives[j]]
            enough = enough_unmatched(n, m, c, threshold)
            if telling and differing_bits(own, signatures[j]) >= enough:
                continue  # most of them, without a look at the genes
            d = compatibility_distance(genes, blocks[i], representatives[j], c, threshold)
            if d < threshold:
                out[i] = j
                break
        unfit += out[i] < 0
    return unfit


@kernel
def found_species(
    genes: Genes,
    blocks: Int,
    first: int,
    threshold: float,
    max_species: int,
    c: DistanceCoefficients,
    founders: Int,
    out: Int,
) -> int:
    """Give each genome that has no species (``out`` < 0) one, founding new ones in order.

    A new species' number counts on from ``first``, and its founder represents it. Once there are
    ``max_species`` in all, the nearest founder's is taken; with none of these, species 0.

    Args:
        genes: the table.
        blocks: (n,) which genomes.
        first: how many species there are.
        threshold, c: as above.
        max_species: the cap.
        founders: (n,) written: positions in ``blocks`` of the founders, in order.
        out: (n,) species of each genome, completed.

    Returns:
        How many were founded.
    """
    founded = 0
    for i in range(blocks.size):
        if out[i] >= 0:
            continue
        nearest, best = -1, 0.0
        for s in range(founded):
            d = compatibility_distance(genes, blocks[i], blocks[founders[s]], c, math.inf)
            if d < threshold:
                out[i] = first + s
                break
            if nearest < 0 or d < best:
                nearest, best = s, d
        if out[i] >= 0:
            continue
        if first + founded < max_species:
            founders[founded] = i
            out[i] = first + founded
            founded += 1
        else:
            out[i] = first + nearest if nearest >= 0 else 0
    return founded
