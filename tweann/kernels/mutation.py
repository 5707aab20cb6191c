"""Mutation operators on one genome, in place.

Each operator returns whether it found a legal place; where it does not, the genome is as before. All randomness
is drawn from ``rng`` in the order in which a docstring names it.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tweann.genes import Float, Genes, Int, UInt8
from tweann.kernels._jit import inlined_kernel, kernel
from tweann.kernels.activation import clip
from tweann.kernels.columns import adapt
from tweann.kernels.edit import (
    find_connection,
    insert_connection,
    insert_node,
    remove_connection,
    remove_connections_of,
    remove_unnamed_nodes,
)
from tweann.kernels.ids import MAX_SPLITS, is_input, is_output, split_id
from tweann.kernels.random import UInt64Array, next_below, next_normal, next_uniform

#: How often add_connection looks for a place.
TRIES: Final = 20


class MutationOperator(IntEnum):
    """Positions in the counts, in the order of trial; names as in `tweann.genes.MUTATIONS`.

    The first `N_PLAIN` are also those in ``MutationParameters.rates``; the others are those of `kernels.enrich`.
    """

    ADD_NODE = 0
    ADD_CONNECTION = 1
    DELETE_NODE = 2
    DELETE_CONNECTION = 3
    TOGGLE_CONNECTION = 4
    CHANGE_ACTIVATION = 5
    CHANGE_AGGREGATION = 6
    WEIGHTS = 7
    ADD_DELAY = 8
    ADD_LEAKY = 9
    ADD_INPUT = 10
    ADD_OUTPUT = 11
    CHANGE_DYNAMICS = 12
    CHANGE_PLASTICITY = 13
    CHANGE_MODULATORY = 14
    TIME_CONSTANTS = 15
    IZHIKEVICH = 16
    COEFFICIENTS = 17


#: How many operators need no optional columns.
N_PLAIN: Final = int(MutationOperator.WEIGHTS) + 1

_ADD_NODE = int(MutationOperator.ADD_NODE)
_ADD_CONNECTION = int(MutationOperator.ADD_CONNECTION)
_DELETE_NODE = int(MutationOperator.DELETE_NODE)
_DELETE_CONNECTION = int(MutationOperator.DELETE_CONNECTION)
_TOGGLE_CONNECTION = int(MutationOperator.TOGGLE_CONNECTION)
_CHANGE_ACTIVATION = int(MutationOperator.CHANGE_ACTIVATION)
_CHANGE_AGGREGATION = int(MutationOperator.CHANGE_AGGREGATION)
_WEIGHTS = int(MutationOperator.WEIGHTS)


class MutationParameters(NamedTuple):
    """Rates in [0, 1], powers >= 0 (a standard deviation, or half the width of a uniform)."""

    rates: Float  #: (N_PLAIN,)
    one: bool  #: at most one operator a child, the first that is drawn and finds a place
    recurrent_share: float  #: how often add_connection asks for a recurrent one
    replace_rate: float  #: per gene: a new draw
    perturb_rate: float  #: per gene that is not replaced: add noise
    power: float
    uniform: bool  #: noise is U(±power), not N(0, power)
    init_power: float
    init_uniform: bool
    bound: float  #: weights and biases stay within ±
    biases: bool  #: biases evolve
    activations: UInt8  #: codes that hidden nodes may have
    aggregations: UInt8  #: likewise
    max_nodes: int
    max_connections: int
    node_extra: Float  #: (n_extra,) optional columns of a new node
    connection_extra: Float  #: (n_extra,) of a new connection


@inlined_kernel
def draw(power: float, uniform: bool, rng: UInt64Array) -> float:
    """Return U(±power) or N(0, power)."""
    if uniform:
        return (2.0 * next_uniform(rng) - 1.0) * power
    return next_normal(rng) * power


@inlined_kernel
def draw_weight(p: MutationParameters, rng: UInt64Array) -> float:
    """Return a new weight or bias from the initial distribution, within the bound."""
    return clip(draw(p.init_power, p.init_uniform, rng), p.bound)


@inlined_kernel
def mutate_values(
    values: Float, n: int, ids: Int, power: float, p: MutationParameters, rng: UInt64Array
) -> None:
    """Mutate ``values[:n]`` in order: one uniform says what is done to a value, then comes the noise.

    Args:
        values: (>= n,) weights or biases.
        n: how many count.
        ids: (>= n,) node ids, of which inputs are passed over; or (0,).
        power: of the noise.
        p: parameters.
        rng: (1,) the child's stream.
    """
    replace, init_power, init_uniform = p.replace_rate, p.init_power, p.init_uniform
    perturb = replace + (1.0 - replace) * p.perturb_rate
    uniform, bound = p.uniform, p.bound
    for i in range(n):
        if ids.size > 0 and is_input(ids[i]):
            continue
        u = next_uniform(rng)
        if u < replace:
            values[i] = clip(draw(init_power, init_uniform, rng), bound)
        elif u < perturb:
            values[i] = clip(values[i] + draw(power, uniform, rng), bound)


@inlined_kernel
def mutate_weights(
    genes: Genes, block: int, strength: float, p: MutationParameters, rng: UInt64Array
) -> bool:
    """Mutate every weight, then every bias of hidden and output nodes, each with its own draw."""
    n, power = genes.n_connections[block], p.power * strength
    ids = genes.node_id[block]
    mutate_values(genes.weight[block], n, ids[:0], power, p, rng)
    if p.biases:
        mutate_values(genes.bias[block], genes.n_nodes[block], ids, power, p, rng)
    return n > 0 or p.biases


@inlined_kernel
def count_inputs(genes: Genes, block: int) -> int:
    """Return how many input nodes a genome has; they are the first of its nodes."""
    n = 0
    while n < genes.n_nodes[block] and is_input(genes.node_id[block, n]):
        n += 1
    return n


@inlined_kernel
def count_outputs(genes: Genes, block: int) -> int:
    """Return how many output nodes a genome has; they are the last of its nodes."""
    n = 0
    while n < genes.n_nodes[block] and is_output(
        genes.node_id[block, genes.n_nodes[block] - 1 - n]
    ):
        n += 1
    return n


@inlined_kernel
def add_connection(genes: Genes, block: int, p: MutationParameters, rng: UInt64Array) -> bool:
    """Add a connection between two nodes that have none, or enable one that is disabled.

    Draws: recurrent or forward (only where recurrent ones are allowed); then per try the source among all
    nodes (among hidden and output ones if recurrent) and the target among hidden and output ones; then
    the weight. Up to `TRIES` tries.
    """
    n = genes.n_nodes[block]
    inputs = count_inputs(genes, block)
    if inputs == n:
        return False
    recurrent = p.recurrent_share > 0.0 and next_uniform(rng) < p.recurrent_share
    first = inputs if recurrent else 0
    if first == n:
        return False
    for _ in range(TRIES):
        source = genes.node_id[block, first + next_below(rng, n - first)]
        target = genes.node_id[block, inputs + next_below(rng, n - inputs)]
        if (source >= target) != recurrent:
            continue
        if not recurrent and is_output(source):
            continue  # forward, between two outputs
        found = find_connection(genes, block, source, target)
        if found >= 0:
            if genes.enabled[block, found]:
                continue
            genes.enabled[block, found] = True
            return True
        if genes.n_connections[block] >= p.max_connections:
            return False
        weight = draw_weight(p, rng)
        return insert_connection(genes, block, source, target, weight, p.connection_extra)
    return False


@inlined_kernel
def choose_enabled(genes: Genes, block: int, rng: UInt64Array) -> int:
    """Return the position of a random enabled connection, or -1; one draw."""
    n = 0
    for i in range(genes.n_connections[block]):
        n += genes.enabled[block, i]
    if n == 0:
        return -1
    wanted = next_below(rng, n)
    for i in range(genes.n_connections[block]):
        if genes.enabled[block, i]:
            if wanted == 0:
                return i
            wanted -= 1
    return -1


@inlined_kernel
def add_node(genes: Genes, block: int, p: MutationParameters, rng: UInt64Array) -> bool:
    """Split a connection: 1.0 into the new node, the old weight out of it, the old one disabled.

    Draws: the connection among enabled ones; the activation and the aggregation where there is a choice.
    Source: Stanley & Miikkulainen (2002), section 3.1.
    """
    if genes.n_nodes[block] >= p.max_nodes or genes.n_connections[block] + 2 > p.max_connections:
        return False
    at = choose_enabled(genes, block, rng)
    if at < 0:
        return False
    source, target, weight = (
        genes.source[block, at],
        genes.target[block, at],
        genes.weight[block, at],
    )
    activation = p.activations[choose(p.activations.size, rng)]
    aggregation = p.aggregations[choose(p.aggregations.size, rng)]
    for k in range(MAX_SPLITS):
        node = split_id(source, target, k)
        if node < 0:
            return False  # no depth is left between the ends
        if insert_node(genes, block, node, activation, aggregation, p.node_extra):
            genes.enabled[block, at] = False
            insert_connection(genes, block, source, node, 1.0, p.connection_extra)
            insert_connection(genes, block, node, target, weight, p.connection_extra)
            return True
    return False


@inlined_kernel
def choose(n: int, rng: UInt64Array) -> int:
    """Return a random position below ``n``; no draw where there is no choice."""
    return next_below(rng, n) if n > 1 else 0


@inlined_kernel
def delete_connection(genes: Genes, block: int, rng: UInt64Array, marks: NDArray[np.bool_]) -> bool:
    """Remove a random connection gene, and hidden nodes that no gene names any more."""
    if genes.n_connections[block] == 0:
        return False
    remove_connection(genes, block, next_below(rng, genes.n_connections[block]))
    remove_unnamed_nodes(genes, block, marks)
    return True


@inlined_kernel
def delete_node(genes: Genes, block: int, rng: UInt64Array, marks: NDArray[np.bool_]) -> bool:
    """Remove a random hidden node with its connections, and hidden nodes that are then unnamed."""
    inputs = count_inputs(genes, block)
    hidden = genes.n_nodes[block] - inputs - count_outputs(genes, block)
    if hidden <= 0:
        return False
    node = genes.node_id[block, inputs + next_below(rng, hidden)]
    remove_connections_of(genes, block, node)
    remove_unnamed_nodes(genes, block, marks)
    return True


@inlined_kernel
def toggle_connection(genes: Genes, block: int, rng: UInt64Array) -> bool:
    """Enable or disable a random connection gene."""
    if genes.n_connections[block] == 0:
        return False
    at = next_below(rng, genes.n_connections[block])
    genes.enabled[block, at] = not genes.enabled[block, at]
    return True


@inlined_kernel
def change_code(column: UInt8, first: int, hidden: int, options: UInt8, rng: UInt64Array) -> bool:
    """Give a random hidden node another code: draws the node, then one of the other options."""
    if hidden <= 0 or options.size < 2:
        return False
    at = first + next_below(rng, hidden)
    others = 0
    for option in options:
        others += option != column[at]
    wanted = next_below(rng, others)
    for option in options:
        if option != column[at]:
            if wanted == 0:
                column[at] = option
                return True
            wanted -= 1
    return False


@inlined_kernel
def apply(
    operator: int,
    genes: Genes,
    block: int,
    strength: float,
    p: MutationParameters,
    rng: UInt64Array,
    marks: NDArray[np.bool_],
) -> bool:
    """Apply one operator; return whether it found a legal place."""
    if operator == _ADD_NODE:
        return add_node(genes, block, p, rng)
    if operator == _ADD_CONNECTION:
        return add_connection(genes, block, p, rng)
    if operator == _DELETE_NODE:
        return delete_node(genes, block, rng, marks)
    if operator == _DELETE_CONNECTION:
        return delete_connection(genes, block, rng, marks)
    if operator == _TOGGLE_CONNECTION:
        return toggle_connection(genes, block, rng)
    if operator == _WEIGHTS:
        return mutate_weights(genes, block, strength, p, rng)
    first = count_inputs(genes, block)
    hidden = genes.n_nodes[block] - first - count_outputs(genes, block)
    if operator == _CHANGE_ACTIVATION:
        return change_code(genes.activation[block], first, hidden, p.activations, rng)
    return change_code(genes.aggregation[block], first, hidden, p.aggregations, rng)


@inlined_kernel
def mutate(
    genes: Genes,
    block: int,
    strength: float,
    p: MutationParameters,
    rng: UInt64Array,
    marks: NDArray[np.bool_],
    counts: Int,
) -> int:
    """Mutate a genome: each operator of positive rate in turn is drawn with its rate and applied.

    A self-adaptive genome first mutates its own factors of the power and the rates, then is mutated with these.
    With ``p.one``, the first that is drawn and finds a place ends it, as in the program of the NEAT paper.

    Args:
        genes, block: the genome.
        strength: scales the power of weight noise.
        p: parameters.
        rng: (1,) the child's stream.
        marks: (>= N,) room to work in.
        counts: (n_operators, 2) counted up: applied, found no place.

    Returns:
        Bits of the operators that were applied.
    """
    applied = 0
    adaptive = genes.genome_extra.shape[1] > 0
    if adaptive:
        adapt(genes.genome_extra[block], rng)
        strength *= genes.genome_extra[block, 0]
    for operator in range(p.rates.size):
        rate = p.rates[operator]
        if adaptive:
            rate *= genes.genome_extra[block, 1 + operator]
        if rate > 0.0 and next_uniform(rng) < rate:
            if apply(operator, genes, block, strength, p, rng, marks):
                counts[operator, 0] += 1
                applied |= 1 << operator
                if p.one:
                    return applied
            else:
                counts[operator, 1] += 1
    return applied


@kernel
def randomise(
    genes: Genes, block: int, keep_rate: float, p: MutationParameters, rng: UInt64Array
) -> None:
    """Draw a seed network's values: which connections stay, then weights, then biases.

    Args:
        genes, block: a copy of the seed network.
        keep_rate: share of connections that stay; no draw at 1.
        p: parameters.
        rng: (1,) the child's stream.
    """
    if keep_rate < 1.0:
        for i in range(genes.n_connections[block] - 1, -1, -1):
            if next_uniform(rng) >= keep_rate:
                remove_connection(genes, block, i)
    for i in range(genes.n_connections[block]):
        genes.weight[block, i] = draw_weight(p, rng)
    if p.biases:
        for i in range(genes.n_nodes[block]):
            if not is_input(genes.node_id[block, i]):
                genes.bias[block, i] = draw_weight(p, rng)
