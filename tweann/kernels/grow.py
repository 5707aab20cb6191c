"""Growing: one structural mutation that leaves what the network does as it was, for searches that go on from there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tweann.genes import Genes, Int, Operator
from tweann.kernels._jit import kernel
from tweann.kernels.breed import BreedingParameters, Litter
from tweann.kernels.edit import find_connection, insert_connection, insert_node
from tweann.kernels.ids import MAX_SPLITS, split_id
from tweann.kernels.mutation import (
    TRIES,
    MutationOperator,
    MutationParameters,
    apply,
    choose,
    choose_enabled,
    count_inputs,
)
from tweann.kernels.random import MUTATE, UInt64Array, make_key, next_uniform

_ADD_NODE = int(MutationOperator.ADD_NODE)
_ADD_CONNECTION = int(MutationOperator.ADD_CONNECTION)
_WEIGHTS = int(MutationOperator.WEIGHTS)
_GROW, _GROW_WIRED = int(Operator.GROW), int(Operator.GROW_WIRED)


@kernel
def add_wired_node(genes: Genes, block: int, p: MutationParameters, rng: UInt64Array) -> bool:
    """Add a node beside a connection, which stays: from its source and every input, to its target, all weights 0.

    Draws: the connection among enabled ones; the activation and the aggregation where there is a choice.
    """
    inputs = count_inputs(genes, block)
    if (
        genes.n_nodes[block] >= p.max_nodes
        or genes.n_connections[block] + inputs + 2 > p.max_connections
    ):
        return False
    at = choose_enabled(genes, block, rng)
    if at < 0:
        return False
    source, target = genes.source[block, at], genes.target[block, at]
    activation = p.activations[choose(p.activations.size, rng)]
    aggregation = p.aggregations[choose(p.aggregations.size, rng)]
    for k in range(MAX_SPLITS):
        node = split_id(source, target, k)
        if node < 0:
            return False  # no depth is left between the ends
        if insert_node(genes, block, node, activation, aggregation, p.node_extra):
            for i in range(inputs):
                insert_connection(
                    genes, block, genes.node_id[block, i], node, 0.0, p.connection_extra
                )
            insert_connection(genes, block, source, node, 0.0, p.connection_extra)
            insert_connection(genes, block, node, target, 0.0, p.connection_extra)
            return True
    return False


@kernel
def clear_new_weights(genes: Genes, parent: int, child: int) -> None:
    """Set the weights of connections that ``child`` has and ``parent`` has not to 0."""
    for i in range(genes.n_connections[child]):
        if find_connection(genes, parent, genes.source[child, i], genes.target[child, i]) < 0:
            genes.weight[child, i] = 0.0


@kernel
def grow(
    genes: Genes,
    parent: int,
    child: int,
    wired: bool,
    p: MutationParameters,
    rng: UInt64Array,
    marks: NDArray[np.bool_],
    counts: Int,
) -> None:
    """Apply one structural mutation to a copy: the operators in proportion to their rates, weight mutation left out.

    A new connection has weight 0; a new node splits a connection (1.0 in, the old weight out), or is wired.
    Draws the operator, then what that draws, up to `TRIES` times until one finds a place.

    Args:
        genes: the table.
        parent: the block that ``child`` is a copy of.
        child: the genome.
        wired: new nodes come by `add_wired_node`.
        p: parameters.
        rng: (1,) the child's stream.
        marks: (>= N,) room to work in.
        counts: (n_operators, 2) counted up: applied, found no place.
    """
    total = 0.0
    for operator in range(p.rates.size):
        if operator != _WEIGHTS:
            total += p.rates[operator]
    if total <= 0.0:
        return
    for _ in range(TRIES):
        point = next_uniform(rng) * total
        chosen = -1
        for operator in range(p.rates.size):
            if operator != _WEIGHTS and p.rates[operator] > 0.0:
                chosen = operator
                point -= p.rates[operator]
                if point < 0.0:
                    break
        if chosen == _ADD_NODE and wired:
            done = add_wired_node(genes, child, p, rng)
        else:
            done = apply(chosen, genes, child, 1.0, p, rng, marks)
        if done:
            counts[chosen, 0] += 1
            if chosen == _ADD_CONNECTION:
                clear_new_weights(genes, parent, child)
            return
        counts[chosen, 1] += 1


@kernel
def grow_children(
    genes: Genes,
    litter: Litter,
    start: int,
    stop: int,
    p: BreedingParameters,
    marks: NDArray[np.bool_],
    rng: UInt64Array,
    counts: Int,
) -> None:
    """Grow those of children ``start`` to ``stop`` that are to; `kernels.breed.breed` has made them copies.

    A kernel of its own, which a run that grows nobody need not compile. The arguments are those of `breed`.
    """
    for i in range(start, stop):
        operator = litter.operator[i]
        if operator in (_GROW, _GROW_WIRED):
            rng[0] = make_key(p.seed, p.stream, np.uint64(litter.birth[i]), MUTATE)
            parent, child, wired = litter.parent_a[i], litter.child[i], operator == _GROW_WIRED
            grow(genes, parent, child, wired, p.mutation, rng, marks, counts)
