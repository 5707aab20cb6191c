"""Tuning: which weights of a genome a memetic search moves, and how far.

Source: the exoself of DXNN: Sher, "Handbook of Neuroevolution Through Erlang" (2013), chapters 7 and 11: selections of nodes, spread
and annealing by a node's age.
"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tweann.genes import Genes, Int
from tweann.kernels._jit import kernel
from tweann.kernels.activation import clip
from tweann.kernels.mutation import count_inputs
from tweann.kernels.random import UInt64Array, next_below, next_uniform


class Selection(IntEnum):
    """Which nodes a tuning attempt may move."""

    ALL = 0
    CURRENT = 1  #: born in this generation
    ACTIVE = 2  #: not older than `ACTIVE_AGE` generations
    DYNAMIC = 3  #: not older than √(1/U), U uniform in (0, 1]
    DYNAMIC_RANDOM = 4  #: half of those, at least one


#: The age, in generations, up to which a node counts as active.
ACTIVE_AGE = 3

_ALL, _CURRENT, _ACTIVE = int(Selection.ALL), int(Selection.CURRENT), int(Selection.ACTIVE)
_DYNAMIC_RANDOM = int(Selection.DYNAMIC_RANDOM)


class TuningParameters(NamedTuple):
    """What all tuned genomes of a generation have in common."""

    selection: int  #: a code of `Selection`
    birth: int  #: the optional node column that holds births; -1: none, all ages are 0
    generation: float  #: now
    spread: float  #: >= 0, the width of a move at age 0
    annealing: float  #: >= 0, a factor on the width for each generation of age
    sparse: bool  #: each of W weights moves with probability 1/√W, else all do
    bound: float  #: weights and biases stay within ±
    biases: bool  #: biases evolve


@kernel
def node_age(genes: Genes, block: int, i: int, p: TuningParameters) -> float:
    """Return how many generations ago a node came to be, >= 0."""
    if p.birth < 0:
        return 0.0
    return float(max(p.generation - genes.node_extra[block, p.birth, i], 0.0))


@kernel
def choose_nodes(
    genes: Genes,
    block: int,
    p: TuningParameters,
    rng: UInt64Array,
    chosen: NDArray[np.bool_],
) -> None:
    """Mark the nodes that may move; of none that qualifies, the first hidden or output one.

    Draws: U for the dynamic selections; then, for half of them, one a qualified node until enough are taken.

    Args:
        genes, block: the genome.
        p: parameters.
        rng: (1,) the genome's stream.
        chosen: (>= n_nodes,) written.
    """
    first, n = count_inputs(genes, block), genes.n_nodes[block]
    limit = np.inf
    if p.selection == _CURRENT:
        limit = 0.0
    elif p.selection == _ACTIVE:
        limit = float(ACTIVE_AGE)
    elif p.selection != _ALL:
        limit = math.sqrt(1.0 / (1.0 - next_uniform(rng)))
    qualified = 0
    for i in range(n):
        chosen[i] = i >= first and node_age(genes, block, i, p) <= limit
        qualified += chosen[i]
    if qualified == 0:
        if first < n:
            chosen[first] = True
    elif p.selection == _DYNAMIC_RANDOM:
        wanted = max(1, qualified // 2)
        left = qualified
        for i in range(n):  # selection sampling: Knuth, volume 2, algorithm S
            if chosen[i]:
                chosen[i] = next_uniform(rng) * left < wanted
                wanted -= chosen[i]
                left -= 1


@kernel
def mark_values(
    genes: Genes,
    block: int,
    biases: bool,
    chosen: NDArray[np.bool_],
    out: NDArray[np.bool_],
) -> int:
    """Mark the values that may move, in gene order (weights, then biases); return how many.

    Those are the enabled connections into chosen nodes and, if they evolve, the chosen nodes' biases.

    Args:
        genes, block: the genome.
        biases: they evolve.
        chosen: (>= n_nodes,) the nodes.
        out: (>= n_connections + n_nodes - n_inputs,) written.
    """
    n, first = 0, count_inputs(genes, block)
    node = 0
    for c in range(genes.n_connections[block]):
        while genes.node_id[block, node] != genes.target[block, c]:
            node += 1
        out[c] = chosen[node] and genes.enabled[block, c]
        n += out[c]
    at = genes.n_connections[block]
    for i in range(first, genes.n_nodes[block]):
        out[at] = biases and chosen[i]
        n += out[at]
        at += 1
    return n


@kernel
def move_value(
    value: float, genes: Genes, block: int, i: int, p: TuningParameters, rng: UInt64Array
) -> float:
    """Return a weight or bias of node ``i`` after a move, uniform within half the spread to either side."""
    spread = p.spread * p.annealing ** node_age(genes, block, i, p)
    return clip(value + (next_uniform(rng) - 0.5) * spread, p.bound)


@kernel
def perturb(
    genes: Genes,
    block: int,
    p: TuningParameters,
    rng: UInt64Array,
    chosen: NDArray[np.bool_],
    marks: NDArray[np.bool_],
) -> None:
    """Move some weights and biases of a genome, at least one where any may move.

    Draws: the nodes; then for each value that may move whether it does, if ``p.sparse``, and how far; if none
    did, which one, and how far.

    Args:
        genes, block: the genome, changed in place.
        p: parameters.
        rng: (1,) the genome's stream.
        chosen: (>= n_nodes,) room to work in.
        marks: (>= n_connections + n_nodes,) likewise.
    """
    choose_nodes(genes, block, p, rng, chosen)
    n = mark_values(genes, block, p.biases, chosen, marks)
    if n == 0:
        return
    chance = 1.0 / math.sqrt(n) if p.sparse else 1.0
    first, n_connections = count_inputs(genes, block), genes.n_connections[block]
    only = -1  # a second pass moves this one alone
    for _ in range(2):
        moved, seen, node = 0, 0, 0
        for c in range(n_connections):
            while genes.node_id[block, node] != genes.target[block, c]:
                node += 1
            if marks[c]:
                if seen == only if only >= 0 else (chance >= 1.0 or next_uniform(rng) < chance):
                    genes.weight[block, c] = move_value(
                        genes.weight[block, c], genes, block, node, p, rng
                    )
                    moved += 1
                seen += 1
        for i in range(first, genes.n_nodes[block]):
            if marks[n_connections + i - first]:
                if seen == only if only >= 0 else (chance >= 1.0 or next_uniform(rng) < chance):
                    genes.bias[block, i] = move_value(genes.bias[block, i], genes, block, i, p, rng)
                    moved += 1
                seen += 1
        if moved > 0:
            return
        only = next_below(rng, n)


@kernel
def propose(
    genes: Genes,
    blocks: Int,
    p: TuningParameters,
    streams: UInt64Array,
    chosen: NDArray[np.bool_],
    marks: NDArray[np.bool_],
) -> None:
    """Perturb the genomes in ``blocks``, each from its own stream, ``streams[block]``."""
    for k in range(blocks.size):
        block = blocks[k]
        perturb(genes, block, p, streams[block : block + 1], chosen, marks)


@kernel
def copy_values(genes: Genes, block: int, other: Genes) -> None:
    """Copy the weights and biases of a block to the same block of a table of the same structure."""
    for c in range(genes.n_connections[block]):
        other.weight[block, c] = genes.weight[block, c]
    for i in range(genes.n_nodes[block]):
        other.bias[block, i] = genes.bias[block, i]
