"""The gene table: which columns a genome has, their types, and the names behind the codes.

A genome is two lists of genes. *Node genes* are sorted by ``id``, *connection genes* by
``(target, source)``. Both live as columns in one big table, ``Genes``, whose first axis is the
block (one block a genome); no gene is ever a Python object.

Codes (activations, aggregations) are an affair of one process: files and the wire carry names.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bool = NDArray[np.bool_]
Float = NDArray[np.float64]
Int = NDArray[np.int64]
UInt8 = NDArray[np.uint8]

#: The position in this tuple is the code of a built-in activation; a plugin's codes follow.
ACTIVATIONS = (
    "tanh",
    "sigmoid",
    "steep_sigmoid",
    "identity",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "softplus",
    "silu",
    "gelu",
    "softsign",
    "sin",
    "cos",
    "gaussian",
    "sign",
    "step",
    "trinary",
    "multiquadric",
    "abs",
    "signed_square",
    "cube",
    "signed_sqrt",
    "signed_log",
    "inverse",
    "hat",
    "exp",
    "clamped",
)

#: What an activation's output is bounded by; one that is not named here has no bound that helps.
ACTIVATION_RANGES: dict[str, tuple[float, float]] = {
    "tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "steep_sigmoid": (0.0, 1.0),
    "softsign": (-1.0, 1.0),
    "sin": (-1.0, 1.0),
    "cos": (-1.0, 1.0),
    "gaussian": (0.0, 1.0),
    "sign": (-1.0, 1.0),
    "step": (0.0, 1.0),
    "trinary": (-1.0, 1.0),
    "hat": (0.0, 1.0),
    "clamped": (-1.0, 1.0),
}

#: The position in this tuple is the code of an aggregation.
AGGREGATIONS = ("sum", "product", "min", "max", "max_abs", "mean", "median", "difference")

#: The position in this tuple is the code of a node's dynamics.
DYNAMICS = ("static", "delay", "leaky", "ctrnn", "cfc", "ltc", "izhikevich")

#: The position in this tuple is the code of a connection's plasticity rule.
PLASTICITY_RULES = ("none", "hebbian", "oja", "abcd", "trace", "stdp")

#: Values live in one slot a node, addressed with 16 bits: the hard limit on a genome's nodes.
MAX_NODES = 65_535
#: The hard limit on a genome's connections; a run's own caps are lower.
MAX_CONNECTIONS = 1_000_000


#: The mutation operators, in the order of trial: those that every genome has a use for, then those of optional columns
#: and of inputs and outputs that a seed network lacks.
MUTATIONS = (
    "add_node",
    "add_connection",
    "delete_node",
    "delete_connection",
    "toggle_connection",
    "change_activation",
    "change_aggregation",
    "weights",
    "add_delay",
    "add_leaky",
    "add_input",
    "add_output",
    "change_dynamics",
    "change_plasticity",
    "change_modulatory",
    "time_constants",
    "izhikevich",
    "coefficients",
)


class Operator(IntEnum):
    """How a child comes to be."""

    FRESH = 0  #: a copy of the seed network with new random values
    CLONE = 1
    MUTATE = 2
    CROSSOVER = 3
    CROSSOVER_MUTATE = 4
    SET_VALUES = 5  #: parent a's structure with given weights and biases
    GROW = (
        6  #: parent a with one structural mutation; all values stay, a new connection has weight 0
    )
    GROW_WIRED = 7  #: the same, but a new node leaves the old connection and reads all inputs


class Role(IntFlag):
    """What a row of the pool is kept for; one row may have several roles."""

    MEMBER = 1
    REPRESENTATIVE = 2
    HALL_OF_FAME = 4
    OPPONENT = 8


class Origin(IntEnum):
    """Where a genome comes from."""

    BRED = 0
    IMMIGRANT = 1


class Flag(IntFlag):
    """What went wrong in an evaluation; 0 is a clean one."""

    RAISED = 1  #: the fitness function raised an exception
    INVALID = 2  #: it returned something that is not a finite number
    NON_FINITE = 4  #: a node computed a value that is not finite; it was taken as 0
    CRASHED = 8  #: it ended the process that evaluated it, whenever it was tried
    TIMED_OUT = 16  #: it took longer than it may


class Genes(NamedTuple):
    """The columns of all genomes of a pool, by block. ``N`` and ``C`` are the block capacities.

    Rows of a block beyond ``n_nodes`` or ``n_connections`` hold rubbish. Extra columns are those of
    the column groups that the run uses; a run without any has zero of them.
    """

    n_nodes: Int  #: (blocks,)
    n_connections: Int  #: (blocks,)
    node_id: Int  #: (blocks, N) ascending
    activation: UInt8  #: (blocks, N)
    aggregation: UInt8  #: (blocks, N)
    bias: Float  #: (blocks, N)
    node_extra: Float  #: (blocks, n_extra, N)
    source: Int  #: (blocks, C) node ids
    target: Int  #: (blocks, C) node ids
    weight: Float  #: (blocks, C)
    enabled: Bool  #: (blocks, C)
    connection_extra: Float  #: (blocks, n_extra, C)
    genome_extra: Float  #: (blocks, n_extra) of the genome as a whole


class ColumnGroup(NamedTuple):
    """Optional columns that a run may switch on together: ``(name, default)`` pairs."""

    node: tuple[tuple[str, float], ...] = ()
    connection: tuple[tuple[str, float], ...] = ()
    genome: tuple[tuple[str, float], ...] = ()


#: The optional column groups; a run allocates those that it uses.
COLUMN_GROUPS: dict[str, ColumnGroup] = {
    # the generation in which a node came to be
    "births": ColumnGroup(node=(("birth", 0.0),)),
    # time: which kind of node, and its constants in the kind's own meaning
    "dynamics": ColumnGroup(
        node=(("dynamics", 0.0), ("tau", 1.0), ("bound", 1.0), ("time_bias", 0.0))
    ),
    "izhikevich": ColumnGroup(
        node=(
            ("izhikevich_a", 0.02),
            ("izhikevich_b", 0.2),
            ("izhikevich_c", -65.0),
            ("izhikevich_d", 8.0),
        )
    ),
    # lifetime learning: the rule, its rate and coefficients
    "plasticity": ColumnGroup(
        node=(("modulatory", 0.0),),
        connection=(
            ("rule", 0.0),
            ("learning_rate", 0.0),
            ("decay", 0.0),
            ("trace_decay", 0.9),
            ("coefficient_a", 0.0),
            ("coefficient_b", 0.0),
            ("coefficient_c", 0.0),
            ("coefficient_d", 0.0),
        ),
    ),
    "stdp": ColumnGroup(
        connection=(
            ("stdp_a_plus", 1.0),
            ("stdp_a_minus", 1.0),
            ("stdp_tau_plus", 5.0),
            ("stdp_tau_minus", 5.0),
        )
    ),
    # self-adaptation: by what a genome multiplies the configured power and rates of its mutation
    "adaptive": ColumnGroup(
        genome=(("power_factor", 1.0), *((f"{name}_factor", 1.0) for name in MUTATIONS))
    ),
}

#: Optional columns that hold a code; outside this process they are the names at these positions.
CODED_COLUMNS: dict[str, tuple[str, ...]] = {"dynamics": DYNAMICS, "rule": PLASTICITY_RULES}


class ColumnLaw(NamedTuple):
    """What values an optional column may have, and how they vary.

    A ``factor`` is drawn log-uniformly and multiplied by e^N(0, power); a ``signed`` one has a random sign, where
    the node is of kind ltc; a ``sum`` is drawn uniformly, and N(0, power) times the width of that range added.
    """

    of: tuple[str, ...]  #: the dynamics or rules that read it; with others it stays at its default
    operator: str  #: the mutation operator that moves it
    kind: str  #: "factor", "signed" or "sum"
    low: float  #: of a ``signed`` one the magnitude's
    high: float
    first_low: float  #: what it is drawn from
    first_high: float
    in_steps: bool = False  #: the ranges are in units of the task's time step


_COEFFICIENT = ColumnLaw(("abcd",), "coefficients", "sum", -10.0, 10.0, -1.0, 1.0)
_STDP = ("stdp",)
_SPIKING = ("izhikevich",)

#: The laws of those optional columns that evolve. Sources of the ranges: docs/numerics.md.
COLUMN_LAWS: dict[str, ColumnLaw] = {
    "tau": ColumnLaw(
        ("leaky", "ctrnn", "cfc", "ltc"), "time_constants", "factor", 0.01, 100.0, 1.0, 10.0, True
    ),
    "bound": ColumnLaw(("cfc", "ltc"), "time_constants", "signed", 0.1, 10.0, 0.5, 2.0),
    "time_bias": ColumnLaw(("cfc",), "time_constants", "sum", -10.0, 10.0, -4.0, 0.0),
    "izhikevich_a": ColumnLaw(_SPIKING, "izhikevich", "factor", 0.01, 0.15, 0.01, 0.15),
    "izhikevich_b": ColumnLaw(_SPIKING, "izhikevich", "factor", 0.1, 0.3, 0.1, 0.3),
    "izhikevich_c": ColumnLaw(_SPIKING, "izhikevich", "sum", -70.0, -45.0, -70.0, -45.0),
    "izhikevich_d": ColumnLaw(_SPIKING, "izhikevich", "factor", 0.05, 10.0, 0.05, 10.0),
    "learning_rate": ColumnLaw(PLASTICITY_RULES[1:], "coefficients", "sum", -10.0, 10.0, -1.0, 1.0),
    "decay": ColumnLaw(("hebbian",), "coefficients", "sum", 0.0, 1.0, 0.0, 1.0),
    "trace_decay": ColumnLaw(("trace",), "coefficients", "sum", 0.0, 1.0, 0.5, 1.0),
    "coefficient_a": _COEFFICIENT,
    "coefficient_b": _COEFFICIENT,
    "coefficient_c": _COEFFICIENT,
    "coefficient_d": _COEFFICIENT,
    "stdp_a_plus": ColumnLaw(_STDP, "coefficients", "sum", 0.0, 10.0, 0.0, 2.0),
    "stdp_a_minus": ColumnLaw(_STDP, "coefficients", "sum", 0.0, 10.0, 0.0, 2.0),
    "stdp_tau_plus": ColumnLaw(_STDP, "coefficients", "factor", 0.1, 100.0, 1.0, 20.0),
    "stdp_tau_minus": ColumnLaw(_STDP, "coefficients", "factor", 0.1, 100.0, 1.0, 20.0),
}
#: What a genome's factors of self-adaptation lie between.
FACTOR_RANGE = (0.01, 100.0)
