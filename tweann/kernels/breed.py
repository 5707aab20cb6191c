"""Breeding: a slice of a breeding plan, child by child, each from its own random stream."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tweann.genes import Float, Genes, Int, Operator, UInt8
from tweann.kernels._jit import inlined_kernel, kernel
from tweann.kernels.crossover import crossover
from tweann.kernels.edit import copy_genome
from tweann.kernels.ids import is_input
from tweann.kernels.mutation import MutationParameters, mutate, mutate_weights, randomise
from tweann.kernels.random import CROSSOVER, FRESH, MUTATE, UInt64Array, make_key

_FRESH = int(Operator.FRESH)
_MUTATE = int(Operator.MUTATE)
_CROSSOVER = int(Operator.CROSSOVER)
_CROSSOVER_MUTATE = int(Operator.CROSSOVER_MUTATE)
_SET_VALUES = int(Operator.SET_VALUES)


class Litter(NamedTuple):
    """A breeding plan in terms of blocks: (n,) each."""

    operator: UInt8
    parent_a: Int
    parent_b: Int
    child: Int  #: the blocks to write
    birth: Int  #: birth numbers
    strength: Float
    values: Float  #: (n, d), or (0, 0)
    applied: Int  #: (n,) written: bits of the mutations of each child


class BreedingParameters(NamedTuple):
    """What all children of a run have in common."""

    seed: np.uint64
    stream: np.uint64  #: the island's
    template: int  #: block of the seed network
    keep_rate: float  #: share of the seed network's connections that a fresh genome has
    warm: bool  #: the seed network's values are a start of their own, not to be drawn anew
    disable_rate: float  #: of crossover
    mutation: MutationParameters


@kernel
def largest_genome(n_nodes: Int, n_connections: Int, blocks: Int, template: int) -> tuple[int, int]:
    """Return the most nodes and the most connections of the genomes in ``blocks`` and ``template``.

    Args:
        n_nodes, n_connections: of all blocks.
        blocks: (k, n), -1: none.
        template: the seed network's.
    """
    nodes, connections = n_nodes[template], n_connections[template]
    for row in blocks:
        for block in row:
            if block >= 0:
                nodes = max(nodes, n_nodes[block])
                connections = max(connections, n_connections[block])
    return nodes, connections


@kernel
def find_parents(
    operator: UInt8, parent_a: Int, parent_b: Int, ids: Int, blocks: Int, out: Int
) -> int:
    """Write the birth numbers of both parents, and their blocks; -1 for none.

    Args:
        operator, parent_a, parent_b: (n,) values of `Operator`; rows of the pool, or -1.
        ids, blocks: (rows,) of the pool.
        out: (4, n) written.

    Returns:
        Which operators there are: bit ``1 << operator``.
    """
    found = 0
    for i in range(parent_a.size):
        a, b = parent_a[i], parent_b[i]
        out[0, i], out[2, i] = (ids[a], blocks[a]) if a >= 0 else (-1, -1)
        out[1, i], out[3, i] = (ids[b], blocks[b]) if b >= 0 else (-1, -1)
        found |= int(np.int64(1) << np.int64(operator[i]))
    return found


@kernel
def set_values(genes: Genes, block: int, values: Float, bound: float) -> None:
    """Set weights, then biases of hidden and output nodes, in gene order, clipped to the bound.

    Args:
        genes, block: the genome.
        values: (>= n_connections + n_hidden + n_outputs,).
        bound: > 0.
    """
    at = 0
    for i in range(genes.n_connections[block]):
        genes.weight[block, i] = min(max(values[at], -bound), bound)
        at += 1
    for i in range(genes.n_nodes[block]):
        if not is_input(genes.node_id[block, i]):
            genes.bias[block, i] = min(max(values[at], -bound), bound)
            at += 1


@kernel
def first_unset(genes: Genes, operator: UInt8, blocks: Int, values: Float) -> int:
    """Return the first child whose values cannot be set: too few, or one is not a finite number; or -1.

    Args:
        genes: the table.
        operator: (n,) of the children; those of others than ``SET_VALUES`` need none.
        blocks: (n,) of the parents whose structure they get.
        values: (n, d) as for `set_values`, or fewer rows.
    """
    for k in range(operator.size):
        if operator[k] != _SET_VALUES:
            continue
        if k >= values.shape[0]:
            return k
        block = blocks[k]
        n = genes.n_connections[block] + genes.n_nodes[block]
        for i in range(genes.n_nodes[block]):
            if not is_input(genes.node_id[block, i]):
                break
            n -= 1
        if n > values.shape[1]:
            return k
        for i in range(n):
            if not np.isfinite(values[k, i]):
                return k
    return -1


@inlined_kernel
def get_values(genes: Genes, block: int, out: Float) -> int:
    """Write weights, then biases of hidden and output nodes, in gene order; return how many."""
    at = 0
    for i in range(genes.n_connections[block]):
        out[at] = genes.weight[block, i]
        at += 1
    for i in range(genes.n_nodes[block]):
        if not is_input(genes.node_id[block, i]):
            out[at] = genes.bias[block, i]
            at += 1
    return at


@kernel
def breed(
    genes: Genes,
    litter: Litter,
    start: int,
    stop: int,
    p: BreedingParameters,
    marks: NDArray[np.bool_],
    rng: UInt64Array,
    counts: Int,
) -> None:
    """Breed children ``start`` to ``stop``. Slices may run at the same time: no two share a block.

    Those that are to grow become copies, for `kernels.grow.grow_children`.

    Args:
        genes: the table; child blocks must have room for what mutation can add.
        litter: who with whom.
        start, stop: which children.
        p: parameters.
        marks, rng: (>= N,) and (1,), room to work in, one a thread.
        counts: (n_operators, 2), one a thread: mutations applied, without a legal place.
    """
    for i in range(start, stop):
        operator, child = litter.operator[i], litter.child[i]
        number = np.uint64(litter.birth[i])
        if operator == _FRESH:
            copy_genome(genes, p.template, child)
            rng[0] = make_key(p.seed, p.stream, number, FRESH)
            if not p.warm:
                randomise(genes, child, p.keep_rate, p.mutation, rng)
            elif litter.birth[i] > 0:
                mutate_weights(genes, child, litter.strength[i], p.mutation, rng)
        elif operator in (_CROSSOVER, _CROSSOVER_MUTATE):
            rng[0] = make_key(p.seed, p.stream, number, CROSSOVER)
            crossover(genes, litter.parent_a[i], litter.parent_b[i], child, p.disable_rate, rng)
        else:
            copy_genome(genes, litter.parent_a[i], child)
        if operator in (_MUTATE, _CROSSOVER_MUTATE):
            rng[0] = make_key(p.seed, p.stream, number, MUTATE)
            strength = litter.strength[i]
            litter.applied[i] = mutate(genes, child, strength, p.mutation, rng, marks, counts)
        elif operator == _SET_VALUES:
            set_values(genes, child, litter.values[i], p.mutation.bound)
