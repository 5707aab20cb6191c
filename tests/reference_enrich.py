"""The slow twin of breeding's second pass: kinds of new genes, and the mutations of optional columns.

Columns are read and written by name; what they may hold is looked up in the published table of laws, and how they vary
is written here anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from reference import (
    FIRST_OUTPUT,
    Connection,
    Genome,
    Node,
    Stream,
    is_hidden,
    is_input,
    is_output,
    make_key,
    split_id,
)
from reference_variation import MAX_SPLITS, Birth, Variation, choose, draw_weight

from tweann.genes import COLUMN_GROUPS, COLUMN_LAWS, DYNAMICS, MUTATIONS, PLASTICITY_RULES

ENRICH = 10
#: The operators of the second pass, in order.
OPTIONAL = MUTATIONS[8:]


@dataclass
class Enrichment:
    """What the second pass is set to."""

    groups: tuple[str, ...] = ("births", "dynamics", "izhikevich", "plasticity", "stdp")
    rates: tuple[float, ...] = (0.0,) * len(OPTIONAL)
    n_inputs: int = 3
    n_outputs: int = 2
    output_activation: str = "sigmoid"
    dynamics: tuple[str, ...] = DYNAMICS
    rules: tuple[str, ...] = PLASTICITY_RULES
    replace_rate: float = 0.1
    perturb_rate: float = 0.5
    power: float = 0.2
    dt: float = 1.0
    node_columns: list[str] = field(init=False)
    connection_columns: list[str] = field(init=False)
    defaults: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        groups = [COLUMN_GROUPS[name] for name in self.groups]
        self.node_columns = [name for g in groups for name, _ in g.node]
        self.connection_columns = [name for g in groups for name, _ in g.connection]
        self.defaults = {name: value for g in groups for name, value in (*g.node, *g.connection)}

    def names(self, gene: Node | Connection) -> list[str]:
        return self.node_columns if isinstance(gene, Node) else self.connection_columns

    def get(self, gene: Node | Connection, name: str) -> float:
        return gene.extra[self.names(gene).index(name)]

    def put(self, gene: Node | Connection, name: str, value: float) -> None:
        i = self.names(gene).index(name)
        gene.extra = (*gene.extra[:i], value, *gene.extra[i + 1 :])

    def kind(self, gene: Node | Connection) -> str:
        if isinstance(gene, Node):
            return DYNAMICS[int(self.get(gene, "dynamics"))]
        return PLASTICITY_RULES[int(self.get(gene, "rule"))]


def draw_value(name: str, kind: str, e: Enrichment, rng: Stream) -> float:
    """Return a new value: uniform for sums, log-uniform for others; a liquid node's bound has a sign."""
    law = COLUMN_LAWS[name]
    unit = e.dt if law.in_steps else 1.0
    low, high = law.first_low * unit, law.first_high * unit
    u = rng.uniform()
    if law.kind == "sum":
        return low + u * (high - low)
    value = min(max(low * math.exp(u * math.log(high / low)), low), high)
    return -value if law.kind == "signed" and kind == "ltc" and rng.uniform() < 0.5 else value


def moved(name: str, value: float, power: float, e: Enrichment, rng: Stream) -> float:
    """Return a value after a move: added to for sums, else multiplied, within the range."""
    law = COLUMN_LAWS[name]
    unit = e.dt if law.in_steps else 1.0
    low, high = law.low * unit, law.high * unit
    step = rng.normal() * power
    if law.kind == "sum":
        return min(max(value + step * (law.first_high - law.first_low), low), high)
    return math.copysign(min(max(abs(value) * math.exp(step), low), high), value)


def set_kind(gene: Node | Connection, kind: str, fresh: bool, e: Enrichment, rng: Stream) -> None:
    """Give a gene a kind: draw what only that reads, or all it reads if ``fresh``; reset the rest."""
    before = e.kind(gene)
    column, known = ("dynamics", DYNAMICS) if isinstance(gene, Node) else ("rule", PLASTICITY_RULES)
    e.put(gene, column, float(known.index(kind)))
    for name in e.names(gene):
        law = COLUMN_LAWS.get(name)
        if law is None:
            continue
        if kind not in law.of:
            e.put(gene, name, e.defaults[name])
        elif fresh or before not in law.of:
            e.put(gene, name, draw_value(name, kind, e, rng))
        elif law.kind == "signed" and kind != "ltc":
            e.put(gene, name, abs(e.get(gene, name)))


def draw_kind(gene: Node | Connection, e: Enrichment, rng: Stream) -> None:
    """Draw a new gene's kind, where it has one."""
    if isinstance(gene, Node) and "dynamics" in e.node_columns:
        set_kind(gene, choose(e.dynamics, rng), True, e, rng)
    if isinstance(gene, Connection) and "rule" in e.connection_columns:
        set_kind(gene, choose(e.rules, rng), True, e, rng)


def draw_kinds(parent: Genome | None, child: Genome, e: Enrichment, rng: Stream) -> None:
    """Draw the kinds of all genes that the parent lacks: nodes, then connections."""
    for node in child.nodes:
        if not is_input(node.id) and (parent is None or parent.node(node.id) is None):
            draw_kind(node, e, rng)
    for c in child.connections:
        if parent is None or parent.connection(c.source, c.target) is None:
            draw_kind(c, e, rng)


def add_splice(genome: Genome, kind: str, v: Variation, e: Enrichment, rng: Stream) -> bool:
    """Put a node of a kind into a connection."""
    if len(genome.nodes) >= v.max_nodes or len(genome.connections) + 2 > v.max_connections:
        return False
    enabled = [c for c in genome.connections if c.enabled]
    if not enabled:
        return False
    old = enabled[rng.below(len(enabled))]
    if "dynamics" not in e.node_columns:
        return False
    activation = choose(v.activations, rng)
    for k in range(MAX_SPLITS):
        place = split_id(old.source, old.target, k)
        if place < 0:
            return False
        if genome.node(place) is None:
            node = Node(place, activation, "sum", 0.0, v.node_extra)
            set_kind(node, kind, True, e, rng)
            genome.add(node)
            genome.add(Connection(old.source, place, 1.0, extra=v.connection_extra))
            genome.add(Connection(place, old.target, old.weight, extra=old.extra))
            old.enabled = False
            return True
    return False


def add_end(genome: Genome, inwards: bool, v: Variation, e: Enrichment, rng: Stream) -> bool:
    """Bring in an input or an output."""
    ids = {n.id for n in genome.nodes}
    if inwards:
        lacking = [i for i in range(e.n_inputs) if i not in ids]
        others = [n.id for n in genome.nodes if not is_input(n.id)]
    else:
        lacking = [FIRST_OUTPUT + j for j in range(e.n_outputs) if FIRST_OUTPUT + j not in ids]
        others = [n.id for n in genome.nodes if not is_output(n.id)]
    if not lacking or not others:
        return False
    if len(genome.nodes) >= v.max_nodes or len(genome.connections) >= v.max_connections:
        return False
    new = lacking[rng.below(len(lacking))]
    other = others[rng.below(len(others))]
    activation = "identity" if inwards else e.output_activation
    node = Node(new, activation, "sum", 0.0, v.node_extra)
    genome.add(node)
    if not inwards:
        draw_kind(node, e, rng)
    source, target = (new, other) if inwards else (other, new)
    c = Connection(source, target, draw_weight(v, rng), extra=v.connection_extra)
    genome.add(c)
    draw_kind(c, e, rng)
    return True


def change_kind(
    genes: Sequence[Node | Connection], allowed: Sequence[str], e: Enrichment, rng: Stream
) -> bool:
    """Give a random gene another kind."""
    if not genes:
        return False
    gene = genes[rng.below(len(genes))]
    others = [kind for kind in allowed if kind != e.kind(gene)]
    if not others:
        return False
    set_kind(gene, others[rng.below(len(others))], False, e, rng)
    return True


def mutate_constants(
    genome: Genome, operator: str, strength: float, e: Enrichment, rng: Stream
) -> bool:
    """Mutate what an operator moves, column by column."""
    found = False
    nodes = [n for n in genome.nodes if not is_input(n.id)] if "dynamics" in e.node_columns else []
    links = genome.connections if "rule" in e.connection_columns else []
    for names, genes in ((e.node_columns, nodes), (e.connection_columns, links)):
        for name in names:
            law = COLUMN_LAWS.get(name)
            if law is None or law.operator != operator:
                continue
            for gene in genes:
                kind = e.kind(gene)
                if kind not in law.of:
                    continue
                found = True
                u = rng.uniform()
                if u < e.replace_rate:
                    e.put(gene, name, draw_value(name, kind, e, rng))
                elif u < e.replace_rate + (1.0 - e.replace_rate) * e.perturb_rate:
                    e.put(gene, name, moved(name, e.get(gene, name), e.power * strength, e, rng))
    return found


def apply(
    operator: str, genome: Genome, strength: float, v: Variation, e: Enrichment, rng: Stream
) -> bool:
    """Apply one operator and return whether it found a place."""
    match operator:
        case "add_delay" | "add_leaky":
            return add_splice(genome, operator.removeprefix("add_"), v, e, rng)
        case "add_input" | "add_output":
            return add_end(genome, operator == "add_input", v, e, rng)
        case "change_dynamics":
            nodes = [n for n in genome.nodes if not is_input(n.id)]
            return "dynamics" in e.node_columns and change_kind(nodes, e.dynamics, e, rng)
        case "change_plasticity":
            return "rule" in e.connection_columns and change_kind(
                genome.connections, e.rules, e, rng
            )
        case "change_modulatory":
            hidden = [n for n in genome.nodes if is_hidden(n.id)]
            if "modulatory" not in e.node_columns or not hidden:
                return False
            node = hidden[rng.below(len(hidden))]
            e.put(node, "modulatory", 1.0 - e.get(node, "modulatory"))
            return True
    return mutate_constants(genome, operator, strength, e, rng)


def vary(
    genome: Genome, strength: float, v: Variation, e: Enrichment, rng: Stream
) -> list[tuple[str, bool]]:
    """Try the operators in order; return which were drawn and whether each found a place."""
    drawn = []
    for operator, rate in zip(OPTIONAL, e.rates, strict=True):
        if rate > 0.0 and rng.uniform() < rate:
            done = apply(operator, genome, strength, v, e, rng)
            drawn.append((operator, done))
            if done and v.one:
                break
    return drawn


def enrich(
    birth: Birth,
    child: Genome,
    seed: int,
    stream: int,
    warm: bool,
    v: Variation,
    e: Enrichment,
) -> list[tuple[str, bool]]:
    """Do to a child that is bred what comes after; return what was drawn."""
    rng = Stream(make_key(seed, stream, birth.number, ENRICH))
    if birth.operator == "FRESH":
        if not warm:
            draw_kinds(None, child, e, rng)
    else:
        draw_kinds(birth.parent_a, child, e, rng)
    grows = birth.operator.startswith("GROW")
    if not (grows or birth.operator.endswith("MUTATE")):
        return []
    drawn = vary(child, birth.strength, v, e, rng)
    if grows:
        assert birth.parent_a is not None
        known = {node.id for node in birth.parent_a.nodes}
        for c in child.connections:
            new_input = is_input(c.source) and c.source not in known
            if new_input or (is_output(c.target) and c.target not in known):
                c.weight = 0.0
    return drawn
