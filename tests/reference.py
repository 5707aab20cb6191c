"""The slow, readable twins of the kernels: plain Python over lists, dicts and `math`.

They are written from the documented equations, not from the kernels, and nothing in them is fast. A
twin and its kernel agree to the last bits (kernels contract multiply-adds, so a few ulp may differ), and where
there is no arithmetic, as in structure, random bits and identities, exactly.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

WORD = 2**64


# --- genomes ---------------------------------------------------------------------------------------


@dataclass
class Node:
    """A node gene; ``extra`` are the values of its optional columns, in the order of the table."""

    id: int
    activation: str = "tanh"
    aggregation: str = "sum"
    bias: float = 0.0
    extra: tuple[float, ...] = ()


@dataclass
class Connection:
    """A connection gene."""

    source: int
    target: int
    weight: float = 1.0
    enabled: bool = True
    extra: tuple[float, ...] = ()

    @property
    def recurrent(self) -> bool:
        """Whether it reads the tick before."""
        return self.source >= self.target


@dataclass
class Genome:
    """Node genes by id, connection genes by (target, source)."""

    nodes: list[Node] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)

    def copy(self) -> Genome:
        """Return a genome that shares no gene with this one."""
        return Genome([replace(n) for n in self.nodes], [replace(c) for c in self.connections])

    def node(self, node_id: int) -> Node | None:
        """Return the gene of a node, or None."""
        return next((n for n in self.nodes if n.id == node_id), None)

    def connection(self, source: int, target: int) -> Connection | None:
        """Return a connection's gene, or None."""
        return next(
            (c for c in self.connections if c.source == source and c.target == target), None
        )

    def incoming(self, node_id: int) -> list[Connection]:
        """Return the enabled connections into a node, in the order of genes."""
        return [c for c in self.connections if c.target == node_id and c.enabled]

    def add(self, gene: Node | Connection) -> None:
        """Put a gene in its place."""
        if isinstance(gene, Node):
            self.nodes.append(gene)
            self.nodes.sort(key=lambda n: n.id)
        else:
            self.connections.append(gene)
            self.connections.sort(key=lambda c: (c.target, c.source))


def assert_valid(
    genome: Genome,
    n_inputs: int,
    n_outputs: int,
    *,
    recurrent: bool = True,
    orphans: bool = True,
    max_nodes: int | None = None,
    max_connections: int | None = None,
    weight_bound: float = math.inf,
) -> None:
    """Fail unless ``genome`` keeps every rule: order, uniqueness, ends, depth, caps, finite numbers.

    ``orphans`` allows hidden nodes that no connection gene names.
    """
    ids = [n.id for n in genome.nodes]
    pairs = [(c.target, c.source) for c in genome.connections]
    assert all(a < b for a, b in itertools.pairwise(ids)), "node ids not ascending"
    assert all(a < b for a, b in itertools.pairwise(pairs)), "connections not ascending"
    for node in genome.nodes:
        assert 0 <= node.id < 2**63
        if is_input(node.id):
            assert node.id < n_inputs, "an input that the task does not have"
        elif is_output(node.id):
            assert node.id - FIRST_OUTPUT < n_outputs, "an output that the task does not have"
        assert math.isfinite(node.bias)
        assert abs(node.bias) <= weight_bound
        assert all(math.isfinite(x) for x in node.extra)
    known = set(ids)
    for c in genome.connections:
        assert c.source in known, "dangling source"
        assert c.target in known, "dangling target"
        assert not is_input(c.target), "an input is a target"
        assert recurrent or not c.recurrent, "recurrent where none is allowed"
        if is_output(c.source) and is_output(c.target):
            assert c.recurrent, "forward connection between outputs"
        assert math.isfinite(c.weight)
        assert abs(c.weight) <= weight_bound
        assert all(math.isfinite(x) for x in c.extra)
    if not orphans:
        assert not orphan_nodes(genome), "a hidden node that no gene names"
    assert max_nodes is None or len(genome.nodes) <= max_nodes
    assert max_connections is None or len(genome.connections) <= max_connections


def orphan_nodes(genome: Genome) -> list[int]:
    """Return the hidden nodes that no connection gene names."""
    named = {c.source for c in genome.connections} | {c.target for c in genome.connections}
    return [n.id for n in genome.nodes if is_hidden(n.id) and n.id not in named]


# --- random numbers ----------------------------------------------------------------------------------


def mix(z: int) -> int:
    """Return SplitMix64's finalizer (Steele, Lea & Flood 2014; Stafford's variant 13)."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORD
    return z ^ (z >> 31)


def make_key(seed: int, stream: int, number: int, purpose: int) -> int:
    """Return mix(mix(mix(mix(seed) + stream) + number) + purpose)."""
    key = mix(seed)
    for word in (stream, number, purpose):
        key = mix((key + word) % WORD)
    return key


def _ziggurat() -> tuple[list[float], list[float]]:
    """Return edges and heights of 256 layers of equal area under e^(-x²/2) (Marsaglia & Tsang 2000).

    Layer 0 is the strip at the bottom with the tail; its edge is that of a rectangle of the same area.
    """
    edge, area = 3.6541528853610088, 0.00492867323399
    x = [area / math.exp(-0.5 * edge * edge), edge]
    while len(x) < 256:
        x.append(math.sqrt(-2.0 * math.log(area / x[-1] + math.exp(-0.5 * x[-1] ** 2))))
    x.append(0.0)
    return x, [math.exp(-0.5 * v * v) for v in x]


ZIGGURAT_X, ZIGGURAT_Y = _ziggurat()


class Stream:
    """A stream of random numbers: draw i is mix(key + i·γ), i = 1, 2, …"""

    def __init__(self, key: int) -> None:
        self.state = key

    def bits(self) -> int:
        """Return 64 random bits."""
        self.state = (self.state + 0x9E3779B97F4A7C15) % WORD
        return mix(self.state)

    def uniform(self) -> float:
        """Return a multiple of 2^-53 in [0, 1)."""
        return (self.bits() >> 11) / 2**53

    def below(self, n: int) -> int:
        """Return an integer in [0, n)."""
        return math.floor(self.uniform() * n)

    def normal(self) -> float:
        """Return a standard normal number: layer from the low 8 bits, abscissa from the top 53."""
        while True:
            bits = self.bits()
            layer, u = bits % 256, (bits >> 11) / 2**52 - 1.0
            x = u * ZIGGURAT_X[layer]
            if abs(x) < ZIGGURAT_X[layer + 1]:
                return x
            if layer == 0:
                return math.copysign(self._tail(), 1.0 if u > 0.0 else -1.0)
            low, high = ZIGGURAT_Y[layer], ZIGGURAT_Y[layer + 1]
            if low + self.uniform() * (high - low) < math.exp(-0.5 * x * x):
                return x

    def _tail(self) -> float:
        """Return a normal number beyond the last edge (Marsaglia 1964)."""
        edge = ZIGGURAT_X[1]
        while True:
            a = -math.log(1.0 - self.uniform()) / edge
            b = -math.log(1.0 - self.uniform())
            if 2.0 * b > a * a:
                return edge + a


# --- identity ----------------------------------------------------------------------------------------

DEPTH_ONE = 2**39 - 1
FIRST_OUTPUT = DEPTH_ONE * 2**24
FIRST_HIDDEN = 2**24


def depth(node: int) -> int:
    """Return a node's depth in units of 1 / DEPTH_ONE: the id without its 24 bits of hash."""
    return node // 2**24


def is_input(node: int) -> bool:
    """Return whether the depth is 0."""
    return depth(node) == 0


def is_output(node: int) -> bool:
    """Return whether the depth is 1."""
    return depth(node) == DEPTH_ONE


def is_hidden(node: int) -> bool:
    """Return whether it is neither input nor output."""
    return 0 < depth(node) < DEPTH_ONE


def hash_pair(source: int, target: int) -> int:
    """Return a connection's innovation number."""
    return mix((mix(source) + target) % WORD)


def split_id(source: int, target: int, k: int) -> int:
    """Return the id of the node of the k-th split of a connection, or -1 where no depth is left."""
    h = mix((hash_pair(source, target) + k) % WORD)
    low = depth(source) if source < target else 0
    high = depth(target)
    u_2_24 = 2**22 + (h // 2**17) % 2**23  # u in [0.25, 0.75), times 2^24
    middle = low + (high - low) * u_2_24 // 2**24
    return middle * 2**24 + h // 2**40 if low < middle < high else -1


# --- activation and aggregation ------------------------------------------------------------------------


def clip(s: float, bound: float) -> float:
    """Return ``s`` held within ± ``bound``; NaN stays NaN."""
    if math.isnan(s):
        return s
    return min(max(s, -bound), bound)


_P = [4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08]
_P += [-8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16]
_Q = [4.89352518554385e-03, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06]


def tanh(s: float) -> float:
    """Return the rational approximation x·P(x²)/Q(x²) of tanh at s clipped to ±9; it stays within ±1."""
    x = clip(s, 9.0)
    p = math.fsum(a * x ** (2 * i) for i, a in enumerate(_P))
    q = math.fsum(b * x ** (2 * i) for i, b in enumerate(_Q))
    return x * p / q


def sigmoid(s: float) -> float:
    """Return (1 + tanh(s/2))/2."""
    return (1.0 + tanh(s / 2.0)) / 2.0


def sign(s: float) -> float:
    """Return -1, 0 or 1."""
    return float((s > 0.0) - (s < 0.0))


def _of_finite(s: float, value: float) -> float:
    return value if math.isfinite(s) else math.nan


ACTIVATIONS: dict[str, Callable[[float], float]] = {
    "tanh": tanh,
    "sigmoid": sigmoid,
    "steep_sigmoid": lambda s: sigmoid(4.9 * s),
    "identity": lambda s: s,
    "relu": lambda s: s if s > 0.0 else 0.0,
    "leaky_relu": lambda s: s if s > 0.0 else 0.01 * s,
    "elu": lambda s: s if s > 0.0 else math.expm1(s),
    "selu": lambda s: 1.0507009873554805 * (s if s > 0.0 else 1.6732632423543772 * math.expm1(s)),
    "softplus": lambda s: max(s, 0.0) + math.log1p(math.exp(-abs(s))),
    "silu": lambda s: s * sigmoid(s) if abs(s) < 18.0 else max(0.0, s),
    "gelu": lambda s: s * ((1.0 + math.erf(s / math.sqrt(2.0))) / 2.0),
    "softsign": lambda s: s / (1.0 + abs(s)),
    "sin": lambda s: math.sin(s) if math.isfinite(s) else math.nan,
    "cos": lambda s: math.cos(s) if math.isfinite(s) else math.nan,
    "gaussian": lambda s: math.exp(-(clip(s, 10.0) ** 2)),
    "sign": sign,
    "step": lambda s: 1.0 if s > 0.0 else 0.0,
    "trinary": lambda s: 0.0 if abs(s) < 0.33 else sign(s),
    "multiquadric": lambda s: math.sqrt(s * s + 0.01),
    "abs": abs,
    "signed_square": lambda s: sign(s) * s * s,
    "cube": lambda s: s * s * s,
    "signed_sqrt": lambda s: sign(s) * math.sqrt(abs(s)),
    "signed_log": lambda s: sign(s) * math.log1p(abs(s)),
    "inverse": lambda s: 1.0 / s if s != 0.0 else 0.0,
    "hat": lambda s: max(0.0, 1.0 - abs(s)),
    "exp": lambda s: math.exp(clip(s, 60.0)),
    "clamped": lambda s: clip(s, 1.0),
}


def aggregate(name: str, products: Sequence[float]) -> float:
    """Return the aggregation of what was delivered, weight times value, in the order of genes."""
    if not products:
        return 0.0
    ordered = sorted(products)
    half = len(products) // 2
    match name:
        case "sum" | "difference":  # of a difference the products are those of the changes
            return sum(products)
        case "product":
            return math.prod(products)
        case "min":
            return ordered[0]
        case "max":
            return ordered[-1]
        case "max_abs":
            return max(products, key=abs)  # the first of equals: the lowest source
        case "mean":
            return sum(products) / len(products)
        case "median":
            return ordered[half] if len(products) % 2 else (ordered[half - 1] + ordered[half]) / 2
    raise KeyError(name)


# --- decoding ------------------------------------------------------------------------------------------


def live_nodes(genome: Genome) -> set[int]:
    """Return the nodes from which enabled connections lead on to an output, and the outputs."""
    live = {n.id for n in genome.nodes if is_output(n.id)}
    while True:
        more = {c.source for c in genome.connections if c.enabled and c.target in live} - live
        if not more:
            return live
        live |= more


@dataclass
class DecodedNode:
    """A node of a network: its id, gene and edges ``(slot that is read, weight)``."""

    id: int
    activation: str
    aggregation: str
    bias: float
    edges: list[tuple[int, float]]


@dataclass
class Network:
    """Nodes in order of evaluation, hidden ones before outputs, and the slot of every id."""

    nodes: list[DecodedNode]
    slots: dict[int, int]
    recurrent: bool
    mixed: bool  #: some node aggregates otherwise than by summing
    remembers: bool  #: some node needs what was delivered in the tick before


def decode(genome: Genome, n_inputs: int, n_outputs: int) -> Network:
    """Return the network of a genome: what matters to an output, in slots.

    Inputs have the slots 0 … n_inputs-1, then come hidden nodes in the order of ids, then all outputs;
    one that the genome lacks is an identity without connections and stays at 0.
    """
    live = live_nodes(genome)
    hidden = sorted(n for n in live if is_hidden(n))
    order = hidden + [FIRST_OUTPUT + j for j in range(n_outputs)]
    slots = {i: i for i in range(n_inputs)} | {n: n_inputs + i for i, n in enumerate(order)}
    nodes = []
    for node_id in order:
        gene = genome.node(node_id) or Node(node_id, activation="identity")
        edges = [(slots[c.source], c.weight) for c in genome.incoming(node_id)]
        nodes.append(DecodedNode(node_id, gene.activation, gene.aggregation, gene.bias, edges))
    used = [c for c in genome.connections if c.enabled and c.target in live]
    aggregations = {n.aggregation for n in nodes}
    return Network(
        nodes,
        slots,
        recurrent=any(c.recurrent for c in used),
        mixed=aggregations != {"sum"},
        remembers="difference" in aggregations,
    )


# --- ticks ---------------------------------------------------------------------------------------------


@dataclass
class State:
    """What a network carries from tick to tick."""

    values: dict[int, float] = field(default_factory=dict)  #: by node id; absent: 0
    delivered: dict[tuple[int, int], float] = field(default_factory=dict)  #: by (source, target)


def delivered_products(
    genome: Genome,
    node: Node,
    now: dict[int, float],
    before: dict[int, float],
    last: dict[tuple[int, int], float],
) -> list[float]:
    """Return what each enabled connection adds to ``node``, and note in ``last`` what it read.

    A forward connection reads this tick's value, a recurrent one that of the tick before.
    """
    products = []
    for c in genome.incoming(node.id):
        value = before.get(c.source, 0.0) if c.recurrent else now[c.source]
        if node.aggregation == "difference":
            products.append(c.weight * (value - last.get((c.source, c.target), 0.0)))
        else:
            products.append(c.weight * value)
        last[c.source, c.target] = value
    return products


def tick(
    genome: Genome, state: State, inputs: Sequence[float], nodes: Iterable[int] | None = None
) -> bool:
    """Advance ``state`` by one tick and return whether a value was not finite and became 0.

    ``nodes`` are those to compute, for instance `live_nodes`; all where not given.
    """
    wanted = {n.id for n in genome.nodes} if nodes is None else set(nodes)
    now: dict[int, float] = {}
    spoilt = False
    for i, x in enumerate(inputs):
        now[i] = x if math.isfinite(x) else 0.0
        spoilt |= not math.isfinite(x)
    for node in genome.nodes:
        if is_input(node.id) or node.id not in wanted:
            continue
        products = delivered_products(genome, node, now, state.values, state.delivered)
        v = ACTIVATIONS[node.activation](aggregate(node.aggregation, products) + node.bias)
        now[node.id] = v if math.isfinite(v) else 0.0
        spoilt |= not math.isfinite(v)
    state.values = now
    return spoilt


def outputs(state: State, n_outputs: int) -> list[float]:
    """Return the outputs' values; one that the genome lacks is 0."""
    return [state.values.get(FIRST_OUTPUT + j, 0.0) for j in range(n_outputs)]
