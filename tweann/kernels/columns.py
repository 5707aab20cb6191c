"""Optional columns as genes: kinds of nodes and connections, and the constants that go with a kind.

Which columns there are, who reads them and how they vary is data, one row a column, so that one kernel serves all: see
`tweann.genes.COLUMN_LAWS`. A column that a gene's kind does not read stays at its default, so that equal networks have
equal genomes.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from tweann.genes import DYNAMICS, FACTOR_RANGE, Float, Genes, Int, UInt8
from tweann.kernels._jit import kernel
from tweann.kernels.ids import is_input
from tweann.kernels.random import UInt64Array, next_below, next_normal, next_uniform

#: Entries of a law, one row a column: bits of the kinds that read it, the operator that moves it (-1: none), one of
#: FACTOR, SIGNED and SUM, its range, and the range that it is drawn from.
MASK, OPERATOR, KIND, LOW, HIGH, FIRST_LOW, FIRST_HIGH = range(7)
LAW_SIZE: Final = 7
FACTOR, SIGNED, SUM = range(3)

_LTC: Final = DYNAMICS.index("ltc")
_LEAST: Final = FACTOR_RANGE[0]
_MOST: Final = FACTOR_RANGE[1]


class ColumnParameters(NamedTuple):
    """How optional columns vary; shares in [0, 1]."""

    node_laws: Float  #: (n_extra, LAW_SIZE)
    connection_laws: Float  #: (n_extra, LAW_SIZE)
    dynamics_column: int  #: among the optional node columns, -1: there is none
    modulatory_column: int  #: likewise
    rule_column: int  #: among the optional connection columns
    dynamics: UInt8  #: codes that nodes may have
    rules: UInt8  #: codes that connections may have
    replace_rate: float  #: per value: a new draw
    perturb_rate: float  #: per value that is not replaced: moved
    power: float  #: of a move


@kernel
def is_read(laws: Float, g: int, code: int) -> bool:
    """Return whether a gene of kind ``code`` reads column ``g``."""
    return bool((np.int64(laws[g, MASK]) >> code) & 1)


@kernel
def draw_value(laws: Float, g: int, code: int, rng: UInt64Array) -> float:
    """Return a new value for column ``g``: a uniform number, evenly in logarithms for factors; then the sign."""
    low, high = laws[g, FIRST_LOW], laws[g, FIRST_HIGH]
    u = next_uniform(rng)
    if laws[g, KIND] == SUM:
        return float(low + u * (high - low))
    value = min(max(low * math.exp(u * math.log(high / low)), low), high)
    if laws[g, KIND] == SIGNED and code == _LTC and next_uniform(rng) < 0.5:
        return float(-value)
    return float(value)


@kernel
def moved_value(laws: Float, g: int, value: float, power: float, rng: UInt64Array) -> float:
    """Return a value of column ``g`` after one move, within the column's range; draws one normal number."""
    step = next_normal(rng) * power
    low, high = laws[g, LOW], laws[g, HIGH]
    if laws[g, KIND] == SUM:
        width = laws[g, FIRST_HIGH] - laws[g, FIRST_LOW]
        return float(min(max(value + step * width, low), high))
    size = min(max(abs(value) * math.exp(step), low), high)
    return float(-size if value < 0.0 else size)


@kernel
def set_kind(
    extra: Float,
    at: int,
    column: int,
    code: int,
    laws: Float,
    defaults: Float,
    fresh: bool,
    rng: UInt64Array,
) -> None:
    """Give a gene another kind: what only that reads is drawn, in order; what it does not read gets its default.

    Args:
        extra: (n_extra, genes) the genome's optional columns.
        at: which gene.
        column: where the kind is.
        code: the new kind.
        laws: (n_extra, LAW_SIZE).
        defaults: (n_extra,).
        fresh: draw what the old kind read as well.
        rng: (1,) the child's stream.
    """
    before = int(extra[column, at])
    extra[column, at] = code
    for g in range(laws.shape[0]):
        if laws[g, OPERATOR] < 0:
            continue
        if not is_read(laws, g, code):
            extra[g, at] = defaults[g]
        elif fresh or not is_read(laws, g, before):
            extra[g, at] = draw_value(laws, g, code, rng)
        elif laws[g, KIND] == SIGNED and code != _LTC:
            extra[g, at] = abs(extra[g, at])


@kernel
def choose_code(codes: UInt8, rng: UInt64Array) -> int:
    """Return one of ``codes``; no draw where there is no choice."""
    at = next_below(rng, codes.size) if codes.size > 1 else 0
    return int(np.int64(codes[at]))


@kernel
def choose_other(codes: UInt8, code: int, rng: UInt64Array) -> int:
    """Return one of ``codes`` other than ``code``, or -1 if there is none; one draw."""
    others = 0
    for option in codes:
        others += option != code
    if others == 0:
        return -1
    wanted = next_below(rng, others)
    for option in codes:
        if option != code:
            if wanted == 0:
                return int(np.int64(option))
            wanted -= 1
    return -1


@kernel
def draw_dynamics(
    genes: Genes, block: int, at: int, defaults: Float, p: ColumnParameters, rng: UInt64Array
) -> None:
    """Draw the dynamics of a node, where genomes have such a column, and its constants."""
    if p.dynamics_column >= 0:
        code = choose_code(p.dynamics, rng)
        extra = genes.node_extra[block]
        set_kind(extra, at, p.dynamics_column, code, p.node_laws, defaults, True, rng)


@kernel
def draw_rule(
    genes: Genes, block: int, at: int, defaults: Float, p: ColumnParameters, rng: UInt64Array
) -> None:
    """Draw the plasticity rule of a connection, where genomes have such a column, and its coefficients."""
    if p.rule_column >= 0:
        code = choose_code(p.rules, rng)
        extra = genes.connection_extra[block]
        set_kind(extra, at, p.rule_column, code, p.connection_laws, defaults, True, rng)


@kernel
def change_dynamics(
    genes: Genes, block: int, inputs: int, defaults: Float, p: ColumnParameters, rng: UInt64Array
) -> bool:
    """Give a random hidden or output node other dynamics: draws the node, the kind, what only that reads."""
    n = genes.n_nodes[block]
    if p.dynamics_column < 0 or inputs == n:
        return False
    at = inputs + next_below(rng, n - inputs)
    extra = genes.node_extra[block]
    code = choose_other(p.dynamics, int(extra[p.dynamics_column, at]), rng)
    if code < 0:
        return False
    set_kind(extra, at, p.dynamics_column, code, p.node_laws, defaults, False, rng)
    return True


@kernel
def change_plasticity(
    genes: Genes, block: int, defaults: Float, p: ColumnParameters, rng: UInt64Array
) -> bool:
    """Give a random connection another rule: draws the connection, the rule, what only that reads."""
    n = genes.n_connections[block]
    if p.rule_column < 0 or n == 0:
        return False
    at = next_below(rng, n)
    extra = genes.connection_extra[block]
    code = choose_other(p.rules, int(extra[p.rule_column, at]), rng)
    if code < 0:
        return False
    set_kind(extra, at, p.rule_column, code, p.connection_laws, defaults, False, rng)
    return True


@kernel
def change_modulatory(
    genes: Genes, block: int, inputs: int, hidden: int, p: ColumnParameters, rng: UInt64Array
) -> bool:
    """Make a random hidden node modulatory, or plain again."""
    if p.modulatory_column < 0 or hidden <= 0:
        return False
    at = inputs + next_below(rng, hidden)
    extra = genes.node_extra[block]
    extra[p.modulatory_column, at] = 1.0 - extra[p.modulatory_column, at]
    return True


@kernel
def mutate_constants(
    extra: Float,
    kinds: int,
    ids: Int,
    n: int,
    laws: Float,
    operator: int,
    strength: float,
    p: ColumnParameters,
    rng: UInt64Array,
) -> int:
    """Mutate what an operator moves, column by column, gene by gene: one uniform says what is done, then comes the draw.

    Args:
        extra: (n_extra, genes) optional columns.
        kinds: the column of the genes' kinds; -1: nothing is done.
        ids: (>= n,) node ids, of which inputs are passed over; or (0,).
        n: how many genes count.
        laws: (n_extra, LAW_SIZE).
        operator: which.
        strength: scales the power.
        p: parameters.
        rng: (1,) the child's stream.

    Returns:
        How many values there are.
    """
    if kinds < 0:
        return 0
    perturb = p.replace_rate + (1.0 - p.replace_rate) * p.perturb_rate
    found = 0
    for g in range(laws.shape[0]):
        if laws[g, OPERATOR] != operator:
            continue
        for i in range(n):
            if ids.size > 0 and is_input(ids[i]):
                continue
            code = int(extra[kinds, i])
            if not is_read(laws, g, code):
                continue
            found += 1
            u = next_uniform(rng)
            if u < p.replace_rate:
                extra[g, i] = draw_value(laws, g, code, rng)
            elif u < perturb:
                extra[g, i] = moved_value(laws, g, extra[g, i], p.power * strength, rng)
    return found


@kernel
def mutate_columns(
    genes: Genes,
    block: int,
    operator: int,
    strength: float,
    p: ColumnParameters,
    rng: UInt64Array,
) -> bool:
    """Mutate the constants of nodes, then of connections, that an operator moves; return whether there are any."""
    ids = genes.node_id[block]
    found = mutate_constants(
        genes.node_extra[block],
        p.dynamics_column,
        ids,
        genes.n_nodes[block],
        p.node_laws,
        operator,
        strength,
        p,
        rng,
    )
    found += mutate_constants(
        genes.connection_extra[block],
        p.rule_column,
        ids[:0],
        genes.n_connections[block],
        p.connection_laws,
        operator,
        strength,
        p,
        rng,
    )
    return found > 0


@kernel
def adapt(factors: Float, rng: UInt64Array) -> None:
    """Mutate a genome's own factors of mutation, (n,): σ′ = σ·e^(N(0,1)/√n), within `FACTOR_RANGE`.

    Source: Schwefel, "Numerical optimization of computer models" (1981); Bäck & Schwefel, "An overview of evolutionary
    algorithms for parameter optimization" (1993), eq. 2.
    """
    scale = 1.0 / math.sqrt(factors.size)
    for i in range(factors.size):
        value = factors[i] * math.exp(next_normal(rng) * scale)
        factors[i] = min(max(value, _LEAST), _MOST)
