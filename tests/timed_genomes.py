"""Random genomes with dynamics and plasticity, and the way from a kernel's state to the twin's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import reference_time as twin
from genomes import decoded, genomes, pack
from hypothesis import strategies as st
from reference import Connection, Genome, Node, decode, is_input

from tweann import genome as core
from tweann.genes import COLUMN_GROUPS, DYNAMICS, PLASTICITY_RULES
from tweann.kernels.network_batch import DYNAMIC, PLASTIC, REMEMBERS, NetworkBatch
from tweann.kernels.tick import TickState, reset, tick_state

ALL_GROUPS = ("dynamics", "izhikevich", "plasticity", "stdp")
#: Without jumps and poles, where a rounding could decide.
SMOOTH = ("tanh", "sigmoid", "identity", "softsign", "sin", "gaussian", "clamped")
STEADY = ("sum", "mean", "product", "min", "max", "median", "difference")

UNIT = st.floats(-1.0, 1.0)
#: What a gene may be; one that is not named here is its default.
GENES: dict[str, st.SearchStrategy[float]] = {
    "dynamics": st.sampled_from(range(len(DYNAMICS))).map(float),
    "tau": st.floats(0.01, 100.0),
    "bound": st.floats(0.1, 10.0) | st.floats(-10.0, -0.1),
    "time_bias": st.floats(-10.0, 10.0),
    "izhikevich_a": st.floats(0.01, 0.15),
    "izhikevich_b": st.floats(0.1, 0.3),
    "izhikevich_c": st.floats(-70.0, -45.0),
    "izhikevich_d": st.floats(0.05, 10.0),
    "modulatory": st.sampled_from([0.0, 0.0, 0.0, 1.0]),
    "rule": st.sampled_from(range(len(PLASTICITY_RULES))).map(float),
    "learning_rate": UNIT,
    "decay": st.floats(0.0, 0.5),
    "trace_decay": st.floats(0.0, 1.0),
    "coefficient_a": UNIT,
    "coefficient_b": UNIT,
    "coefficient_c": UNIT,
    "coefficient_d": UNIT,
    "stdp_a_plus": st.floats(0.0, 2.0),
    "stdp_a_minus": st.floats(0.0, 2.0),
    "stdp_tau_plus": st.floats(0.5, 20.0),
    "stdp_tau_minus": st.floats(0.5, 20.0),
}

GROUPS = st.lists(
    st.sampled_from(("births", *ALL_GROUPS)), unique=True, min_size=1, max_size=5
).map(tuple)


def extra(columns: Sequence[tuple[str, float]], **genes: float) -> tuple[float, ...]:
    """Return the optional columns of one gene: those given, others their defaults."""
    return tuple(genes.get(name, default) for name, default in columns)


def node_extra(groups: Sequence[str], **genes: Any) -> tuple[float, ...]:
    """Return the optional columns of a node; ``dynamics`` by name."""
    if "dynamics" in genes:
        genes["dynamics"] = float(DYNAMICS.index(genes["dynamics"]))
    return extra([c for g in groups for c in COLUMN_GROUPS[g].node], **genes)


def connection_extra(groups: Sequence[str], **genes: Any) -> tuple[float, ...]:
    """Return the optional columns of a connection; ``rule`` by name."""
    if "rule" in genes:
        genes["rule"] = float(PLASTICITY_RULES.index(genes["rule"]))
    return extra([c for g in groups for c in COLUMN_GROUPS[g].connection], **genes)


@st.composite
def timed_genomes(
    draw: st.DrawFn,
    groups: Sequence[str],
    genes: Mapping[str, st.SearchStrategy[float]] = GENES,
    **options: Any,
) -> Genome:
    """Draw a genome with the columns of ``groups``; options are those of `genomes.genomes`."""
    options = {"activations": SMOOTH, "aggregations": STEADY, "values": st.floats(-2, 2)} | options
    genome = draw(genomes(**options))

    def drawn(columns: list[tuple[str, float]]) -> tuple[float, ...]:
        row = {n: draw(genes[n]) if n in genes else default for n, default in columns}
        if row.get("dynamics") == DYNAMICS.index("cfc"):
            row["bound"] = abs(row["bound"])  # only that of an ltc node has a sign
        return tuple(row.values())

    node_columns = [c for g in groups for c in COLUMN_GROUPS[g].node]
    connection_columns = [c for g in groups for c in COLUMN_GROUPS[g].connection]
    for gene in (*genome.nodes, *genome.connections):
        gene.extra = drawn(node_columns if isinstance(gene, Node) else connection_columns)
    return genome


def batch_of(
    genomes: Sequence[Genome],
    n_inputs: int,
    n_outputs: int,
    groups: Sequence[str],
    **options: float,
) -> NetworkBatch:
    """Decode genomes; options are those of `genomes.decoded`."""
    n_node = sum(len(COLUMN_GROUPS[g].node) for g in groups)
    n_connection = sum(len(COLUMN_GROUPS[g].connection) for g in groups)
    packed = pack(genomes, n_extra=(n_node, n_connection))
    return decoded(
        packed.genes, packed.blocks, n_inputs, n_outputs, groups=tuple(groups), **options
    )


def rubbish_state(net: NetworkBatch) -> TickState:
    """Return a state for any network of a batch that `reset` has yet to clean."""
    slots = net.n_inputs + int(np.diff(net.node_start).max())
    state = tick_state(slots, int(np.diff(net.edge_start).max()))
    for column in state:
        column.fill(np.nan)
    return state


def new_state(net: NetworkBatch, k: int = 0) -> TickState:
    """Return network ``k`` at the beginning of time."""
    state = rubbish_state(net)
    reset(net, k, state)
    return state


def edges_of(genome: Genome, net: NetworkBatch, k: int = 0) -> list[Connection]:
    """Return the connection gene of each edge of network ``k``."""
    part = net.edge_gene[net.edge_start[k] : net.edge_start[k + 1]]
    return [genome.connections[gene] for gene in part]


def life_of(
    genome: Genome, genetics: twin.Genetics, net: NetworkBatch, state: TickState
) -> twin.Life:
    """Return the twin's form of the state of a batch's first network; what it does not keep is as new."""
    kind = net.kind[0]
    slots = decode(genome, net.n_inputs, net.n_outputs).slots
    known = {n.id for n in genome.nodes}
    life = twin.birth(genome, genetics)
    computed = {n: slot for n, slot in slots.items() if n in known and not is_input(n)}
    life.values = {n: float(state.values[slot]) for n, slot in slots.items()}
    if kind & DYNAMIC:
        life.x |= {n: float(state.memory[slot]) for n, slot in computed.items()}
        life.u |= {n: float(state.recovery[slot]) for n, slot in computed.items()}
    pairs = [(c.source, c.target) for c in edges_of(genome, net)]
    if kind & (PLASTIC | REMEMBERS):
        life.delivered = dict(zip(pairs, state.delivered.tolist(), strict=False))
    if kind & PLASTIC:
        life.weight |= dict(zip(pairs, state.weight.tolist(), strict=False))
        life.trace = dict(zip(pairs, state.trace.tolist(), strict=False))
        spikes = zip(pairs, state.pre_spike.tolist(), strict=False)
        life.pre_spike = {pair: int(t) for pair, t in spikes if t >= 0.0}
        ends = ((n, state.post_spike[slot]) for n, slot in computed.items())
        life.post_spike = {n: int(t) for n, t in ends if t >= 0.0}
        life.clock = int(state.clock[0])
    return life


def core_genome(plain: Genome, groups: Sequence[str], n_inputs: int, n_outputs: int) -> core.Genome:
    """Return a plain genome as one of the core's, with its optional columns."""
    node_names = [name for g in groups for name, _ in COLUMN_GROUPS[g].node]
    nodes = []
    for n in plain.nodes:
        if is_input(n.id):
            static = dict(zip(node_names, n.extra, strict=True)) | {"dynamics": 0.0}
            n = Node(n.id, "identity", extra=tuple(static[name] for name in node_names))
        nodes.append(n)
    connection_names = [name for g in groups for name, _ in COLUMN_GROUPS[g].connection]
    links = plain.connections
    return core.Genome(
        n_inputs=n_inputs,
        n_outputs=n_outputs,
        node_id=np.array([n.id for n in nodes], np.int64),
        activation=tuple(n.activation for n in nodes),
        aggregation=tuple(n.aggregation for n in nodes),
        bias=np.array([n.bias for n in nodes], np.float64),
        source=np.array([c.source for c in links], np.int64),
        target=np.array([c.target for c in links], np.int64),
        weight=np.array([c.weight for c in links], np.float64),
        enabled=np.array([c.enabled for c in links], np.bool_),
        node_extra={
            name: np.array([n.extra[i] for n in nodes], np.float64)
            for i, name in enumerate(node_names)
        },
        connection_extra={
            name: np.array([c.extra[i] for c in links], np.float64)
            for i, name in enumerate(connection_names)
        },
    )
