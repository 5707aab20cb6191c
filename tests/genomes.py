"""Random valid genomes as plain Python, and the way into and out of the compiled kernels' table."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from reference import (
    FIRST_HIDDEN,
    FIRST_OUTPUT,
    Connection,
    Genome,
    Node,
    is_hidden,
    is_input,
    is_output,
    orphan_nodes,
    split_id,
)
from reference_variation import Variation

from tweann.genes import ACTIVATIONS, AGGREGATIONS, COLUMN_GROUPS, Genes, Int
from tweann.kernels.claims import new_claims
from tweann.kernels.decode import decode
from tweann.kernels.mutation import MutationParameters
from tweann.kernels.network_batch import (
    DecodeParameters,
    DecodeScratch,
    NetworkBatch,
    NetworkShape,
    decode_scratch,
)
from tweann.layout import Layout
from tweann.network import decode_parameters

#: Compilation makes the first example slow; derandomised, so that every run tries the same examples.
PROPERTY = settings(
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)


def hidden_pool() -> list[int]:
    """Return a few dozen hidden ids, so that two random genomes share some of their nodes.

    Most are splits of splits of links between inputs and outputs; the others are the extremes of the
    range and neighbours that differ in the hash alone.
    """
    pairs = [(i, FIRST_OUTPUT + j) for i in range(3) for j in range(2)]
    pairs += [(FIRST_OUTPUT, FIRST_OUTPUT), (FIRST_OUTPUT + 1, FIRST_OUTPUT)]
    pool = []
    for source, target in pairs:
        node = split_id(source, target, 0)
        pool += [node, split_id(source, target, 1), split_id(node, target, 0)]
        pool += [split_id(source, node, 0), split_id(node, node, 0)]
    pool += [FIRST_HIDDEN, FIRST_HIDDEN + 1, FIRST_OUTPUT - 1, FIRST_OUTPUT - 2]
    pool += [pool[0] + 1, pool[0] - 1]
    return sorted(set(pool))


POOL = hidden_pool()


class Case(NamedTuple):
    """A genome and the sizes of the task that it is for."""

    genome: Genome
    n_inputs: int
    n_outputs: int


def legal(source: int, target: int, recurrent: bool) -> bool:
    """Return whether a connection may run from ``source`` to ``target``."""
    if is_input(target) or (source >= target and not recurrent):
        return False
    return source >= target or not (is_output(source) and is_output(target))


FINITE = st.floats(-5.0, 5.0)


@st.composite
def genomes(
    draw: st.DrawFn,
    n_inputs: int = 3,
    n_outputs: int = 2,
    *,
    recurrent: bool = True,
    activations: Sequence[str] = ACTIVATIONS,
    aggregations: Sequence[str] = AGGREGATIONS,
    values: st.SearchStrategy[float] = FINITE,
    max_hidden: int = 6,
    max_connections: int = 24,
    orphans: bool = True,
    missing: bool = False,
    n_extra: tuple[int, int] = (0, 0),
) -> Genome:
    """Draw a valid genome.

    ``missing`` lets it lack some of the task's inputs and outputs; ``n_extra`` is how many optional
    columns nodes and connections have.
    """
    ends = [*range(n_inputs), *(FIRST_OUTPUT + j for j in range(n_outputs))]
    if missing:
        ends = draw(st.lists(st.sampled_from(ends), unique=True))
    hidden = draw(
        st.lists(
            st.sampled_from(POOL) | st.integers(FIRST_HIDDEN, FIRST_OUTPUT - 1),
            unique=True,
            max_size=max_hidden,
        )
    )
    ids = sorted(ends + hidden)
    targets = [i for i in ids if not is_input(i)]
    pairs: list[tuple[int, int]] = []
    if targets:
        pair = st.tuples(st.sampled_from(targets), st.sampled_from(ids))
        drawn = draw(st.lists(pair, unique=True, max_size=max_connections))
        pairs = sorted((t, s) for t, s in drawn if legal(s, t, recurrent))
    extra = st.floats(0.0, 100.0)
    genome = Genome(
        [
            Node(
                i,
                draw(st.sampled_from(activations)),
                draw(st.sampled_from(aggregations)),
                draw(values),
                tuple(draw(extra) for _ in range(n_extra[0])),
            )
            for i in ids
        ],
        [
            Connection(
                s,
                t,
                draw(values),
                draw(st.integers(0, 3)) > 0,
                tuple(draw(extra) for _ in range(n_extra[1])),
            )
            for t, s in pairs
        ],
    )
    if not orphans:
        unnamed = set(orphan_nodes(genome))
        genome.nodes = [n for n in genome.nodes if n.id not in unnamed]
    return genome


@st.composite
def relatives(
    draw: st.DrawFn,
    n: int = 2,
    *,
    values: st.SearchStrategy[float] = FINITE,
    n_extra: tuple[int, int] = (0, 0),
) -> list[Genome]:
    """Draw ``n`` genomes that have about half of their connections in common, with other values."""
    origin = draw(genomes(values=values, max_hidden=4, n_extra=n_extra))
    extra = st.floats(0.0, 100.0)
    family = []
    for _ in range(n):
        genome = origin.copy()
        genome.connections = [c for c in genome.connections if draw(st.integers(0, 3)) > 0]
        for c in genome.connections:
            c.weight, c.enabled = draw(values), draw(st.booleans())
            c.extra = tuple(draw(extra) for _ in c.extra)
        named = {i for c in genome.connections for i in (c.source, c.target)}
        genome.nodes = [
            n for n in genome.nodes if not is_hidden(n.id) or n.id in named or draw(st.booleans())
        ]
        for node in genome.nodes:
            node.bias = draw(values)
        family.append(genome)
    return family


@st.composite
def cases(
    draw: st.DrawFn,
    *,
    recurrent: bool = True,
    activations: Sequence[str] = ACTIVATIONS,
    aggregations: Sequence[str] = AGGREGATIONS,
    values: st.SearchStrategy[float] = FINITE,
    missing: bool = False,
) -> Case:
    """Draw a genome for a task of any small size."""
    n_inputs, n_outputs = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    genome = draw(
        genomes(
            n_inputs,
            n_outputs,
            recurrent=recurrent,
            activations=activations,
            aggregations=aggregations,
            values=values,
            missing=missing,
        )
    )
    return Case(genome, n_inputs, n_outputs)


def random_genome(
    seed: int,
    n_hidden: int,
    n_connections: int,
    *,
    n_inputs: int = 3,
    n_outputs: int = 2,
    recurrent: bool = True,
    activations: Sequence[str] = ("tanh",),
    aggregations: Sequence[str] = ("sum",),
) -> Genome:
    """Return a larger genome without orphans, with weights and biases in [-1, 1].

    Every hidden node has at least a way in from an input and a way on.
    """
    rng = random.Random(seed)
    hidden = [rng.randrange(FIRST_HIDDEN, FIRST_OUTPUT) for _ in range(n_hidden)]
    ids = sorted([*range(n_inputs), *hidden, *(FIRST_OUTPUT + j for j in range(n_outputs))])
    targets = ids[n_inputs:]
    pairs = {(h, rng.randrange(n_inputs)) for h in hidden}
    pairs |= {(rng.choice([t for t in targets if t > h]), h) for h in hidden}
    while len(pairs) < n_connections:
        source, target = rng.choice(ids), rng.choice(targets)
        if legal(source, target, recurrent):
            pairs.add((target, source))
    return Genome(
        [
            Node(i, rng.choice(activations), rng.choice(aggregations), rng.uniform(-1, 1))
            for i in ids
        ],
        [Connection(s, t, rng.uniform(-1, 1), rng.random() < 0.8) for t, s in sorted(pairs)],
    )


class Packed(NamedTuple):
    """Genomes in a table: their blocks in order, and blocks that hold nothing but rubbish."""

    genes: Genes
    blocks: Int
    free: Int


def pack(
    genomes: Sequence[Genome],
    seed: int = 0,
    *,
    room: int = 0,
    n_free: int = 1,
    n_extra: tuple[int, int] = (0, 0),
) -> Packed:
    """Put genomes into blocks in random order, with rubbish beyond the counts and in free blocks.

    ``room`` is how many genes the largest genome can grow by, at least.
    """
    rng = np.random.default_rng(seed)
    n = len(genomes) + n_free
    nodes = max((len(g.nodes) for g in genomes), default=0) + room + int(rng.integers(0, 5))
    links = max((len(g.connections) for g in genomes), default=0) + room + int(rng.integers(0, 9))
    genes = Genes(
        n_nodes=rng.integers(0, nodes + 1, n),
        n_connections=rng.integers(0, links + 1, n),
        node_id=rng.integers(0, 2**63, (n, nodes)),
        activation=rng.integers(0, 256, (n, nodes)).astype(np.uint8),
        aggregation=rng.integers(0, 256, (n, nodes)).astype(np.uint8),
        bias=rng.choice([np.nan, np.inf, -7e99, 1.0], (n, nodes)),
        node_extra=rng.choice([np.nan, np.inf, 1.0], (n, n_extra[0], nodes)),
        source=rng.integers(-3, 2**63, (n, links)),
        target=rng.integers(-3, 2**63, (n, links)),
        weight=rng.choice([np.nan, np.inf, -7e99, 1.0], (n, links)),
        enabled=rng.random((n, links)) < 0.5,
        connection_extra=rng.choice([np.nan, np.inf, 1.0], (n, n_extra[1], links)),
        genome_extra=np.zeros((n, 0)),
    )
    blocks = rng.permutation(n)
    for block, genome in zip(blocks, genomes, strict=False):
        _write(genes, int(block), genome)
    return Packed(genes, blocks[: len(genomes)].copy(), blocks[len(genomes) :].copy())


def _write(genes: Genes, block: int, genome: Genome) -> None:
    genes.n_nodes[block] = len(genome.nodes)
    genes.n_connections[block] = len(genome.connections)
    for i, node in enumerate(genome.nodes):
        genes.node_id[block, i] = node.id
        genes.activation[block, i] = ACTIVATIONS.index(node.activation)
        genes.aggregation[block, i] = AGGREGATIONS.index(node.aggregation)
        genes.bias[block, i] = node.bias
        genes.node_extra[block, :, i] = node.extra
    for i, c in enumerate(genome.connections):
        genes.source[block, i] = c.source
        genes.target[block, i] = c.target
        genes.weight[block, i] = c.weight
        genes.enabled[block, i] = c.enabled
        genes.connection_extra[block, :, i] = c.extra


def unpack(genes: Genes, block: int) -> Genome:
    """Return the genome in a block, its genes in the order in which they lie there."""
    return Genome(
        [
            Node(
                int(genes.node_id[block, i]),
                ACTIVATIONS[genes.activation[block, i]],
                AGGREGATIONS[genes.aggregation[block, i]],
                float(genes.bias[block, i]),
                tuple(genes.node_extra[block, :, i].tolist()),
            )
            for i in range(genes.n_nodes[block])
        ],
        [
            Connection(
                int(genes.source[block, i]),
                int(genes.target[block, i]),
                float(genes.weight[block, i]),
                bool(genes.enabled[block, i]),
                tuple(genes.connection_extra[block, :, i].tolist()),
            )
            for i in range(genes.n_connections[block])
        ],
    )


def table_bytes(genes: Genes, without: Sequence[int] | Int = ()) -> list[bytes]:
    """Return what the blocks of a table hold, rubbish included, to see that nothing wrote to them.

    ``without`` are blocks to leave out.
    """
    left = np.delete(np.arange(genes.n_nodes.size), np.asarray(without, np.int64))
    return [column[left].tobytes() for column in genes]


def rubbish_batch(
    n: int, nodes: int, edges: int, shape: NetworkShape, groups: tuple[str, ...] = ()
) -> NetworkBatch:
    """Return a batch of that size, full of rubbish."""
    timed, plastic = "dynamics" in groups, "plasticity" in groups
    return NetworkBatch(
        n_inputs=shape.n_inputs,
        n_outputs=shape.n_outputs,
        node_start=np.full(n + 1, -7),
        edge_start=np.full(n + 1, -7),
        kind=np.full(n, 255, np.uint8),
        edge_stop=np.full(nodes, 2**32 - 1, np.uint32),
        group_stop=np.full(nodes, 2**32 - 1, np.uint32),
        activation=np.full(nodes, 255, np.uint8),
        aggregation=np.full(nodes, 255, np.uint8),
        bias=np.full(nodes, np.nan),
        source=np.full(edges, 2**16 - 1, np.uint16),
        weight=np.full(edges, np.nan),
        edge_gene=np.full(edges, 2**32 - 1, np.uint32),
        weight_bound=shape.weight_bound,
        dynamics=np.full(nodes * timed, 255, np.uint8),
        constants=np.full((nodes * timed, 4), np.nan),
        modulatory_start=np.full(nodes * plastic, 2**32 - 1, np.uint32),
        rule=np.full(edges * plastic, 255, np.uint8),
        coefficients=np.full((edges * plastic, 5), np.nan),
    )


def rubbish_scratch(nodes: int, edges: int) -> DecodeScratch:
    """Return room for decoding genomes of that size, full of rubbish."""
    scratch = decode_scratch(nodes, edges)
    for room in scratch:
        room.fill(-7)
    return scratch


def decoded(
    genes: Genes,
    blocks: Int,
    n_inputs: int,
    n_outputs: int,
    groups: tuple[str, ...] = (),
    dt: float = 1.0,
    weight_bound: float = math.inf,
) -> NetworkBatch:
    """Decode genomes into arrays that are full of rubbish before, and no larger than promised."""
    n = len(blocks)
    p = decode_parameters(Layout(n_inputs, n_outputs, groups=groups, dt=dt))
    nodes = int(genes.n_nodes[blocks].sum()) + n * n_outputs
    edges = int(genes.n_connections[blocks].sum())
    shape = NetworkShape(n_inputs, n_outputs, weight_bound)
    out = rubbish_batch(n, nodes, edges, shape, groups)
    decode(genes, blocks, rubbish_scratch(genes.node_id.shape[1], genes.source.shape[1]), p, out)
    return out


class Claimed(NamedTuple):
    """What kernels that decode one genome after the other, in the same room, take first; the room is full of rubbish."""

    genes: Genes
    blocks: Int
    claims: Int
    decoding: DecodeParameters | None
    room: DecodeScratch
    net: NetworkBatch

    @classmethod
    def of(
        cls,
        genomes: Sequence[Genome],
        n_inputs: int,
        n_outputs: int,
        groups: tuple[str, ...] = (),
        weight_bound: float = math.inf,
    ) -> Claimed:
        """Pack genomes; the room is no larger than promised."""
        n_node = sum(len(COLUMN_GROUPS[g].node) for g in groups)
        n_connection = sum(len(COLUMN_GROUPS[g].connection) for g in groups)
        genes, blocks, _ = pack(genomes, n_extra=(n_node, n_connection))
        nodes = int(genes.n_nodes[blocks].max()) + n_outputs
        edges = int(genes.n_connections[blocks].max())
        shape = NetworkShape(n_inputs, n_outputs, weight_bound)
        return cls(
            genes,
            blocks,
            new_claims(len(blocks)),
            decode_parameters(Layout(n_inputs, n_outputs, groups=groups)),
            rubbish_scratch(nodes, edges),
            rubbish_batch(1, nodes, edges, shape, groups),
        )


def kernel_parameters(v: Variation) -> MutationParameters:
    """Return what the kernels take for the twins' settings."""
    return MutationParameters(
        rates=np.array(v.rates, np.float64),
        one=v.one,
        recurrent_share=v.recurrent_share,
        replace_rate=v.replace_rate,
        perturb_rate=v.perturb_rate,
        power=v.power,
        uniform=v.uniform,
        init_power=v.init_power,
        init_uniform=v.init_uniform,
        bound=v.bound,
        biases=v.biases,
        activations=np.array([ACTIVATIONS.index(a) for a in v.activations], np.uint8),
        aggregations=np.array([AGGREGATIONS.index(a) for a in v.aggregations], np.uint8),
        max_nodes=v.max_nodes,
        max_connections=v.max_connections,
        node_extra=np.array(v.node_extra, np.float64),
        connection_extra=np.array(v.connection_extra, np.float64),
    )


RATES = st.sampled_from([0.0, 0.1, 0.5, 1.0])


@st.composite
def variations(
    draw: st.DrawFn, *, recurrent: bool = True, n_extra: tuple[int, int] = (0, 0)
) -> Variation:
    """Draw settings of mutation, caps included that small genomes reach."""
    powers = st.sampled_from([0.0, 0.3, 2.0])
    return Variation(
        rates=tuple(draw(RATES) for _ in range(8)),
        one=draw(st.booleans()),
        recurrent_share=draw(RATES) if recurrent else 0.0,
        replace_rate=draw(RATES),
        perturb_rate=draw(RATES),
        power=draw(powers),
        uniform=draw(st.booleans()),
        init_power=draw(powers),
        init_uniform=draw(st.booleans()),
        bound=draw(st.sampled_from([5.0, 8.0])),
        biases=draw(st.booleans()),
        activations=draw(st.sampled_from([("tanh",), ("sin", "relu"), ("tanh", "abs", "cube")])),
        aggregations=draw(st.sampled_from([("sum",), ("max", "median", "sum")])),
        max_nodes=draw(st.sampled_from([6, 9, 50])),
        max_connections=draw(st.sampled_from([6, 12, 100])),
        node_extra=tuple(float(i) for i in range(n_extra[0])),
        connection_extra=tuple(float(i) for i in range(n_extra[1])),
    )
