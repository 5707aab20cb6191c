"""The slow twins of variation: mutation, crossover, distance, breeding, on genomes in plain Python.

Whatever a kernel draws, its twin draws from the same stream in the same order, so that the two agree on
every bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from reference import (
    Connection,
    Genome,
    Node,
    Stream,
    clip,
    is_hidden,
    is_input,
    is_output,
    make_key,
    orphan_nodes,
    split_id,
)

#: The order in which `mutate` tries them.
OPERATORS = (
    "add_node",
    "add_connection",
    "delete_node",
    "delete_connection",
    "toggle_connection",
    "change_activation",
    "change_aggregation",
    "weights",
)
MAX_SPLITS = 8
TRIES = 20


@dataclass
class Variation:
    """What mutation is set to; names as in the kernels' parameters, codes as names."""

    rates: tuple[float, ...] = (0.0,) * len(OPERATORS)
    one: bool = False
    recurrent_share: float = 0.5
    replace_rate: float = 0.1
    perturb_rate: float = 1.0
    power: float = 0.5
    uniform: bool = False
    init_power: float = 1.0
    init_uniform: bool = False
    bound: float = 8.0
    biases: bool = True
    activations: tuple[str, ...] = ("tanh", "sin", "relu")
    aggregations: tuple[str, ...] = ("sum", "max")
    max_nodes: int = 64
    max_connections: int = 200
    node_extra: tuple[float, ...] = ()
    connection_extra: tuple[float, ...] = ()


# --- mutation --------------------------------------------------------------------------------------


def draw(power: float, uniform: bool, rng: Stream) -> float:
    """Return U(±power) or N(0, power)."""
    return (2.0 * rng.uniform() - 1.0) * power if uniform else rng.normal() * power


def draw_weight(v: Variation, rng: Stream) -> float:
    """Return a new weight or bias."""
    return clip(draw(v.init_power, v.init_uniform, rng), v.bound)


def mutate_value(value: float, power: float, v: Variation, rng: Stream) -> float:
    """Return the value after mutation: replaced, else perturbed, else as it was."""
    u = rng.uniform()
    if u < v.replace_rate:
        return draw_weight(v, rng)
    if u < v.replace_rate + (1.0 - v.replace_rate) * v.perturb_rate:
        return clip(value + draw(power, v.uniform, rng), v.bound)
    return value


def mutate_weights(genome: Genome, strength: float, v: Variation, rng: Stream) -> bool:
    """Mutate all weights, then all biases of nodes that are no inputs."""
    for c in genome.connections:
        c.weight = mutate_value(c.weight, v.power * strength, v, rng)
    if v.biases:
        for node in genome.nodes:
            if not is_input(node.id):
                node.bias = mutate_value(node.bias, v.power * strength, v, rng)
    return bool(genome.connections) or v.biases


def choose(options: Sequence[str], rng: Stream) -> str:
    """Return one of the options; nothing is drawn where there is no choice."""
    return options[rng.below(len(options))] if len(options) > 1 else options[0]


def add_connection(genome: Genome, v: Variation, rng: Stream) -> bool:
    """Connect two nodes or enable their disabled connection, in at most 20 tries."""
    targets = [n.id for n in genome.nodes if not is_input(n.id)]
    if not targets:
        return False
    recurrent = v.recurrent_share > 0.0 and rng.uniform() < v.recurrent_share
    sources = targets if recurrent else [n.id for n in genome.nodes]
    for _ in range(TRIES):
        source = sources[rng.below(len(sources))]
        target = targets[rng.below(len(targets))]
        if (source >= target) != recurrent:
            continue
        if is_output(source) and is_output(target) and not recurrent:
            continue
        gene = genome.connection(source, target)
        if gene is None:
            if len(genome.connections) >= v.max_connections:
                return False
            weight = draw_weight(v, rng)
            genome.add(Connection(source, target, weight, extra=v.connection_extra))
            return True
        if not gene.enabled:
            gene.enabled = True
            return True
    return False


def add_node(genome: Genome, v: Variation, rng: Stream) -> bool:
    """Split an enabled connection: weight 1 in, the old weight out, the old gene disabled."""
    if len(genome.nodes) >= v.max_nodes or len(genome.connections) + 2 > v.max_connections:
        return False
    enabled = [c for c in genome.connections if c.enabled]
    if not enabled:
        return False
    old = enabled[rng.below(len(enabled))]
    activation, aggregation = choose(v.activations, rng), choose(v.aggregations, rng)
    for k in range(MAX_SPLITS):
        node = split_id(old.source, old.target, k)
        if node < 0:
            return False
        if genome.node(node) is None:
            genome.add(Node(node, activation, aggregation, 0.0, v.node_extra))
            genome.add(Connection(old.source, node, 1.0, extra=v.connection_extra))
            genome.add(Connection(node, old.target, old.weight, extra=v.connection_extra))
            old.enabled = False
            return True
    return False


def remove_orphans(genome: Genome) -> None:
    """Remove the hidden nodes that no connection gene names."""
    unnamed = set(orphan_nodes(genome))
    genome.nodes = [n for n in genome.nodes if n.id not in unnamed]


def delete_connection(genome: Genome, rng: Stream) -> bool:
    """Remove a connection gene and what is then named by none."""
    if not genome.connections:
        return False
    del genome.connections[rng.below(len(genome.connections))]
    remove_orphans(genome)
    return True


def delete_node(genome: Genome, rng: Stream) -> bool:
    """Remove a hidden node, its connections, and what is then named by none."""
    hidden = [n.id for n in genome.nodes if is_hidden(n.id)]
    if not hidden:
        return False
    gone = hidden[rng.below(len(hidden))]
    genome.nodes = [n for n in genome.nodes if n.id != gone]
    genome.connections = [c for c in genome.connections if gone not in (c.source, c.target)]
    remove_orphans(genome)
    return True


def toggle_connection(genome: Genome, rng: Stream) -> bool:
    """Enable a connection gene, or disable it."""
    if not genome.connections:
        return False
    gene = genome.connections[rng.below(len(genome.connections))]
    gene.enabled = not gene.enabled
    return True


def change(genome: Genome, attribute: str, options: Sequence[str], rng: Stream) -> bool:
    """Give a hidden node another activation or aggregation than it has."""
    hidden = [n for n in genome.nodes if is_hidden(n.id)]
    if not hidden or len(options) < 2:
        return False
    node = hidden[rng.below(len(hidden))]
    others = [o for o in options if o != getattr(node, attribute)]
    setattr(node, attribute, others[rng.below(len(others))])
    return True


def apply(operator: str, genome: Genome, strength: float, v: Variation, rng: Stream) -> bool:
    """Apply one operator and return whether it found a place."""
    match operator:
        case "add_node":
            return add_node(genome, v, rng)
        case "add_connection":
            return add_connection(genome, v, rng)
        case "delete_node":
            return delete_node(genome, rng)
        case "delete_connection":
            return delete_connection(genome, rng)
        case "toggle_connection":
            return toggle_connection(genome, rng)
        case "change_activation":
            return change(genome, "activation", v.activations, rng)
        case "change_aggregation":
            return change(genome, "aggregation", v.aggregations, rng)
        case "weights":
            return mutate_weights(genome, strength, v, rng)
    raise KeyError(operator)


def mutate(genome: Genome, strength: float, v: Variation, rng: Stream) -> list[tuple[str, bool]]:
    """Try the operators in order; return which were drawn and whether each found a place."""
    drawn = []
    for operator, rate in zip(OPERATORS, v.rates, strict=True):
        if rate > 0.0 and rng.uniform() < rate:
            done = apply(operator, genome, strength, v, rng)
            drawn.append((operator, done))
            if done and v.one:
                break
    return drawn


def randomise(genome: Genome, keep_rate: float, v: Variation, rng: Stream) -> None:
    """Draw which connections stay, from the last gene to the first, then weights, then biases."""
    if keep_rate < 1.0:
        kept = [c for c in reversed(genome.connections) if rng.uniform() < keep_rate]
        genome.connections = kept[::-1]
    for c in genome.connections:
        c.weight = draw_weight(v, rng)
    if v.biases:
        for node in genome.nodes:
            if not is_input(node.id):
                node.bias = draw_weight(v, rng)


# --- crossover and distance ----------------------------------------------------------------------------


def crossover(a: Genome, b: Genome, disable_rate: float, rng: Stream) -> Genome:
    """Return the child of ``a`` (dominant) and ``b``: the structure of ``a``, matching genes of either."""
    child = Genome([replace(n) for n in a.nodes], [])
    for gene in a.connections:
        other = b.connection(gene.source, gene.target)
        chosen = gene if other is None or not rng.bits() >> 63 else other
        disabled = not gene.enabled or (other is not None and not other.enabled)
        enabled = not disabled or rng.uniform() >= disable_rate
        child.connections.append(replace(chosen, enabled=enabled))
    return child


def compatibility_distance(a: Genome, b: Genome, c1: float, c3: float, small_genome: int) -> float:
    """Return c1·(E + D)/N + c3·W̄ over connection genes (Stanley & Miikkulainen 2002, eq. 1)."""
    weights_a = {(c.source, c.target): c.weight for c in a.connections}
    weights_b = {(c.source, c.target): c.weight for c in b.connections}
    matching = weights_a.keys() & weights_b.keys()
    n = max(len(weights_a), len(weights_b))
    if n < small_genome or n == 0:
        n = 1
    mean = 0.0
    if matching:
        mean = math.fsum(abs(weights_a[p] - weights_b[p]) for p in matching) / len(matching)
    return c1 * len(weights_a.keys() ^ weights_b.keys()) / n + c3 * mean


def first_compatible(
    genome: Genome, representatives: Sequence[Genome], threshold: float, c: tuple[float, float, int]
) -> int:
    """Return the first representative that is closer than ``threshold``, or -1."""
    return next(
        (
            s
            for s, other in enumerate(representatives)
            if compatibility_distance(genome, other, *c) < threshold
        ),
        -1,
    )


def found_species(
    genomes: Sequence[Genome],
    species: Sequence[int],
    n_species: int,
    threshold: float,
    max_species: int,
    c: tuple[float, float, int],
) -> tuple[list[int], list[int]]:
    """Return each genome's species and the positions of the founders of new ones.

    A genome without species (-1) joins the first founder that is close enough, else founds a species,
    or at the cap joins the nearest founder; where no species was founded, the first species of all.
    """
    result = list(species)
    founders: list[int] = []
    for i, genome in enumerate(genomes):
        if result[i] >= 0:
            continue
        found = first_compatible(genome, [genomes[f] for f in founders], threshold, c)
        if found < 0 and n_species + len(founders) < max_species:
            found = len(founders)
            founders.append(i)
        if found < 0 and founders:
            distances = [compatibility_distance(genome, genomes[f], *c) for f in founders]
            found = distances.index(min(distances))
        result[i] = n_species + found if found >= 0 else 0
    return result, founders


# --- growing -------------------------------------------------------------------------------------------


def add_wired_node(genome: Genome, v: Variation, rng: Stream) -> bool:
    """Add a node beside an enabled connection: from all inputs and its source, to its target, weights 0."""
    inputs = [n.id for n in genome.nodes if is_input(n.id)]
    if (
        len(genome.nodes) >= v.max_nodes
        or len(genome.connections) + len(inputs) + 2 > v.max_connections
    ):
        return False
    enabled = [c for c in genome.connections if c.enabled]
    if not enabled:
        return False
    old = enabled[rng.below(len(enabled))]
    activation, aggregation = choose(v.activations, rng), choose(v.aggregations, rng)
    for k in range(MAX_SPLITS):
        node = split_id(old.source, old.target, k)
        if node < 0:
            return False
        if genome.node(node) is None:
            genome.add(Node(node, activation, aggregation, 0.0, v.node_extra))
            for source in sorted({*inputs, old.source}):
                genome.add(Connection(source, node, 0.0, extra=v.connection_extra))
            genome.add(Connection(node, old.target, 0.0, extra=v.connection_extra))
            return True
    return False


def grow(genome: Genome, wired: bool, v: Variation, rng: Stream) -> None:
    """Apply one operator other than weight mutation, drawn by rate; a new connection gets weight 0."""
    rates = [0.0 if name == "weights" else r for name, r in zip(OPERATORS, v.rates, strict=True)]
    if sum(rates) <= 0.0:
        return
    before = {(c.source, c.target) for c in genome.connections}
    for _ in range(TRIES):
        point, chosen = rng.uniform() * sum(rates), ""
        for name, rate in zip(OPERATORS, rates, strict=True):
            if rate > 0.0:
                chosen = name
                point -= rate
                if point < 0.0:
                    break
        if chosen == "add_node" and wired:
            done = add_wired_node(genome, v, rng)
        else:
            done = apply(chosen, genome, 1.0, v, rng)
        if done:
            if chosen == "add_connection":
                for c in genome.connections:
                    if (c.source, c.target) not in before:
                        c.weight = 0.0
            return


# --- breeding ------------------------------------------------------------------------------------------

#: The last words of keys.
FRESH, MUTATE, CROSSOVER = 1, 2, 3


@dataclass
class Birth:
    """One entry of a breeding plan, with genomes for rows."""

    operator: str
    parent_a: Genome | None
    parent_b: Genome | None
    number: int
    strength: float
    values: tuple[float, ...]


def set_values(genome: Genome, values: Sequence[float], bound: float) -> None:
    """Set weights, then biases of nodes that are no inputs, within the bound."""
    nodes = [n for n in genome.nodes if not is_input(n.id)]
    genes: list[Connection | Node] = [*genome.connections, *nodes]
    for gene, value in zip(genes, values, strict=False):
        if isinstance(gene, Connection):
            gene.weight = clip(value, bound)
        else:
            gene.bias = clip(value, bound)


def breed(
    birth: Birth,
    seed_network: Genome,
    seed: int,
    stream: int,
    keep_rate: float,
    warm: bool,
    disable_rate: float,
    v: Variation,
) -> Genome:
    """Return one child; each kind of chance has its own key, made from the birth number."""

    def rng(purpose: int) -> Stream:
        return Stream(make_key(seed, stream, birth.number, purpose))

    if birth.operator == "FRESH":
        child = seed_network.copy()
        if not warm:
            randomise(child, keep_rate, v, rng(FRESH))
        elif birth.number > 0:
            mutate_weights(child, birth.strength, v, rng(FRESH))
        return child
    assert birth.parent_a is not None
    child = birth.parent_a.copy()
    if birth.operator.startswith("CROSSOVER"):
        assert birth.parent_b is not None
        child = crossover(birth.parent_a, birth.parent_b, disable_rate, rng(CROSSOVER))
    if birth.operator.endswith("MUTATE"):
        mutate(child, birth.strength, v, rng(MUTATE))
    if birth.operator == "SET_VALUES":
        set_values(child, birth.values, v.bound)
    if birth.operator.startswith("GROW"):
        grow(child, birth.operator == "GROW_WIRED", v, rng(MUTATE))
    return child
