"""What children get beside plain breeding: kinds for their new genes, and the mutations of optional columns.

A second pass over a litter, with random streams of its own. Runs without optional columns, whose seed network has all
inputs and outputs, neither call nor compile it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from tweann.genes import DYNAMICS, Float, Genes, Int, Operator
from tweann.kernels._jit import kernel
from tweann.kernels.activation import IDENTITY, SUM
from tweann.kernels.breed import BreedingParameters, Litter
from tweann.kernels.columns import (
    ColumnParameters,
    change_dynamics,
    change_modulatory,
    change_plasticity,
    draw_dynamics,
    draw_rule,
    mutate_columns,
    set_kind,
)
from tweann.kernels.edit import find_connection, insert_connection, insert_node
from tweann.kernels.ids import FIRST_OUTPUT, MAX_SPLITS, find_node, is_input, split_id
from tweann.kernels.mutation import (
    N_PLAIN,
    MutationOperator,
    MutationParameters,
    choose,
    choose_enabled,
    count_inputs,
    count_outputs,
    draw_weight,
)
from tweann.kernels.random import ENRICH, UInt64Array, make_key, next_below, next_uniform

_ADD_DELAY = int(MutationOperator.ADD_DELAY)
_ADD_LEAKY = int(MutationOperator.ADD_LEAKY)
_ADD_INPUT = int(MutationOperator.ADD_INPUT)
_ADD_OUTPUT = int(MutationOperator.ADD_OUTPUT)
_CHANGE_DYNAMICS = int(MutationOperator.CHANGE_DYNAMICS)
_CHANGE_PLASTICITY = int(MutationOperator.CHANGE_PLASTICITY)
_CHANGE_MODULATORY = int(MutationOperator.CHANGE_MODULATORY)
_FRESH, _MUTATE = int(Operator.FRESH), int(Operator.MUTATE)
_CROSSOVER_MUTATE = int(Operator.CROSSOVER_MUTATE)
_GROW, _GROW_WIRED = int(Operator.GROW), int(Operator.GROW_WIRED)
_DELAY: Final = DYNAMICS.index("delay")
_LEAKY: Final = DYNAMICS.index("leaky")


class EnrichParameters(NamedTuple):
    """What the second pass needs beside the parameters of breeding."""

    rates: Float  #: (n_operators - N_PLAIN,) of the operators from `N_PLAIN` on
    n_inputs: int  #: sensors that the task offers
    n_outputs: int  #: actuators
    output_activation: int  #: code
    columns: ColumnParameters


@kernel
def draw_kinds(
    genes: Genes,
    parent: int,
    child: int,
    m: MutationParameters,
    p: ColumnParameters,
    rng: UInt64Array,
) -> None:
    """Draw dynamics and rules of a child's genes that its parent does not have; ``parent`` < 0: of all genes.

    Draws: for each such hidden and output node its dynamics, where there is a choice, and what these read; then for
    each such connection its rule, likewise.
    """
    if p.dynamics_column >= 0:
        for i in range(genes.n_nodes[child]):
            node = genes.node_id[child, i]
            if is_input(node):
                continue
            if parent < 0 or find_node(genes.node_id[parent], genes.n_nodes[parent], node) < 0:
                draw_dynamics(genes, child, i, m.node_extra, p, rng)
    if p.rule_column >= 0:
        for i in range(genes.n_connections[child]):
            source, target = genes.source[child, i], genes.target[child, i]
            if parent < 0 or find_connection(genes, parent, source, target) < 0:
                draw_rule(genes, child, i, m.connection_extra, p, rng)


@kernel
def add_splice(
    genes: Genes,
    block: int,
    dynamics: int,
    m: MutationParameters,
    p: ColumnParameters,
    rng: UInt64Array,
) -> bool:
    """Put a node of given dynamics into a connection, so that the path's gain stays: 1.0 in, the old weight and rule out.

    The connection into it does not learn, and it sums. A leaky integrator's gain is that of a lasting input.
    Draws: the connection among enabled ones, the activation where there is a choice, what the dynamics read.
    """
    if genes.n_nodes[block] >= m.max_nodes or genes.n_connections[block] + 2 > m.max_connections:
        return False
    at = choose_enabled(genes, block, rng)
    if at < 0 or p.dynamics_column < 0:
        return False
    source, target = genes.source[block, at], genes.target[block, at]
    activation = m.activations[choose(m.activations.size, rng)]
    for k in range(MAX_SPLITS):
        node = split_id(source, target, k)
        if node < 0:
            return False  # no depth is left between the ends
        if insert_node(genes, block, node, activation, SUM, m.node_extra):
            extra = genes.node_extra[block]
            new = find_node(genes.node_id[block], genes.n_nodes[block], node)
            set_kind(extra, new, p.dynamics_column, dynamics, p.node_laws, m.node_extra, True, rng)
            genes.enabled[block, at] = False
            insert_connection(genes, block, source, node, 1.0, m.connection_extra)
            old = find_connection(genes, block, source, target)
            weight = genes.weight[block, old]
            insert_connection(genes, block, node, target, weight, m.connection_extra)
            old = find_connection(genes, block, source, target)
            out = find_connection(genes, block, node, target)
            for g in range(genes.connection_extra.shape[1]):
                genes.connection_extra[block, g, out] = genes.connection_extra[block, g, old]
            return True
    return False


@kernel
def absent_node(genes: Genes, block: int, first: int, wanted: int) -> int:
    """Return the id, from ``first`` on, of the ``wanted``-th node that a genome lacks, counted from 0."""
    node = first
    while True:
        if find_node(genes.node_id[block], genes.n_nodes[block], node) < 0:
            if wanted == 0:
                return node
            wanted -= 1
        node += 1


@kernel
def add_end(
    genes: Genes,
    block: int,
    inwards: bool,
    m: MutationParameters,
    p: EnrichParameters,
    rng: UInt64Array,
) -> bool:
    """Bring in an input (``inwards``), or an output, that the genome does not use, with one connection.

    Draws: which; the hidden or output node that an input leads to, or the input or hidden node that leads to an
    output; an output's dynamics and what these read; the weight; the rule and what that reads.
    """
    n, inputs = genes.n_nodes[block], count_inputs(genes, block)
    outputs = count_outputs(genes, block)
    lacking = p.n_inputs - inputs if inwards else p.n_outputs - outputs
    others = n - inputs if inwards else n - outputs
    if lacking <= 0 or others == 0:
        return False
    if n >= m.max_nodes or genes.n_connections[block] >= m.max_connections:
        return False
    node = absent_node(genes, block, 0 if inwards else FIRST_OUTPUT, next_below(rng, lacking))
    other = genes.node_id[block, (inputs if inwards else 0) + next_below(rng, others)]
    insert_node(genes, block, node, IDENTITY if inwards else p.output_activation, SUM, m.node_extra)
    if not inwards:
        at = find_node(genes.node_id[block], n + 1, node)
        draw_dynamics(genes, block, at, m.node_extra, p.columns, rng)
    source, target = (node, other) if inwards else (other, node)
    insert_connection(genes, block, source, target, draw_weight(m, rng), m.connection_extra)
    at = find_connection(genes, block, source, target)
    draw_rule(genes, block, at, m.connection_extra, p.columns, rng)
    return True


@kernel
def apply_optional(
    operator: int,
    genes: Genes,
    block: int,
    strength: float,
    m: MutationParameters,
    p: EnrichParameters,
    rng: UInt64Array,
) -> bool:
    """Apply one operator; return whether it found a legal place."""
    if operator in (_ADD_DELAY, _ADD_LEAKY):
        kind = _DELAY if operator == _ADD_DELAY else _LEAKY
        return add_splice(genes, block, kind, m, p.columns, rng)
    if operator in (_ADD_INPUT, _ADD_OUTPUT):
        return add_end(genes, block, operator == _ADD_INPUT, m, p, rng)
    if operator == _CHANGE_PLASTICITY:
        return change_plasticity(genes, block, m.connection_extra, p.columns, rng)
    if operator > _CHANGE_MODULATORY:
        return mutate_columns(genes, block, operator, strength, p.columns, rng)
    inputs = count_inputs(genes, block)
    if operator == _CHANGE_DYNAMICS:
        return change_dynamics(genes, block, inputs, m.node_extra, p.columns, rng)
    hidden = genes.n_nodes[block] - inputs - count_outputs(genes, block)
    return change_modulatory(genes, block, inputs, hidden, p.columns, rng)


@kernel
def vary(
    genes: Genes,
    block: int,
    strength: float,
    m: MutationParameters,
    p: EnrichParameters,
    rng: UInt64Array,
    counts: Int,
) -> int:
    """Mutate what optional columns hold: each operator of positive rate in turn is drawn with its rate and applied.

    A self-adaptive genome's own factors, as breeding left them, multiply power and rates. With ``m.one``, the first
    that is drawn and finds a place ends it.

    Args:
        genes, block: the genome.
        strength: scales the power.
        m, p: parameters.
        rng: (1,) the child's stream.
        counts: (n_operators, 2) counted up: applied, found no place.

    Returns:
        Bits of the operators that were applied.
    """
    applied = 0
    adaptive = genes.genome_extra.shape[1] > 0
    if adaptive:
        strength *= genes.genome_extra[block, 0]
    for i in range(p.rates.size):
        operator = N_PLAIN + i
        rate = p.rates[i]
        if adaptive:
            rate *= genes.genome_extra[block, 1 + operator]
        if rate > 0.0 and next_uniform(rng) < rate:
            if apply_optional(operator, genes, block, strength, m, p, rng):
                counts[operator, 0] += 1
                applied |= 1 << operator
                if m.one:
                    return applied
            else:
                counts[operator, 1] += 1
    return applied


@kernel
def clear_new_ends(genes: Genes, parent: int, child: int) -> None:
    """Set the weights of connections from inputs, and to outputs, that ``parent`` has not to 0."""
    n = genes.n_nodes[parent]
    for i in range(genes.n_connections[child]):
        source, target = genes.source[child, i], genes.target[child, i]
        new_input = is_input(source) and find_node(genes.node_id[parent], n, source) < 0
        new_output = target >= FIRST_OUTPUT and find_node(genes.node_id[parent], n, target) < 0
        if new_input or new_output:
            genes.weight[child, i] = 0.0


@kernel
def enrich(
    genes: Genes,
    litter: Litter,
    start: int,
    stop: int,
    b: BreedingParameters,
    p: EnrichParameters,
    rng: UInt64Array,
    counts: Int,
) -> None:
    """Do to children ``start`` to ``stop`` what `kernels.breed.breed` leaves out.

    Their new genes get kinds; those that are mutated, or grow, are mutated in their optional columns, too. Inputs and
    outputs that come to one that grows are without effect at first, as all its growth is. A fresh child of a warm start
    keeps what its genome has.

    Args:
        genes: the table; child blocks must have room for what mutation can add.
        litter: who with whom, bred.
        start, stop: which children.
        b, p: parameters.
        rng: (1,) room to work in, one a thread.
        counts: (n_operators, 2), one a thread: mutations applied, without a legal place.
    """
    for i in range(start, stop):
        operator, child = litter.operator[i], litter.child[i]
        rng[0] = make_key(b.seed, b.stream, np.uint64(litter.birth[i]), ENRICH)
        if operator == _FRESH:
            if not b.warm:
                draw_kinds(genes, -1, child, b.mutation, p.columns, rng)
        else:
            draw_kinds(genes, litter.parent_a[i], child, b.mutation, p.columns, rng)
        grows = operator in (_GROW, _GROW_WIRED)
        if grows or operator in (_MUTATE, _CROSSOVER_MUTATE):
            litter.applied[i] |= vary(genes, child, litter.strength[i], b.mutation, p, rng, counts)
        if grows:
            clear_new_ends(genes, litter.parent_a[i], child)
