"""The slow twins of time and of learning: node dynamics, plasticity, and a tick that has both.

Genes of optional columns stand in ``extra``, in the order of the column groups that a run names.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from reference import (
    ACTIVATIONS,
    FIRST_OUTPUT,
    Connection,
    Genome,
    Node,
    aggregate,
    clip,
    is_input,
    sigmoid,
    tanh,
)

from tweann.genes import COLUMN_GROUPS, DYNAMICS, PLASTICITY_RULES

Pair = tuple[int, int]


class Genetics:
    """Looks genes of optional columns up by name; what a run's groups lack has its default."""

    def __init__(self, groups: Sequence[str]) -> None:
        self.node_names = [name for group in groups for name, _ in COLUMN_GROUPS[group].node]
        self.connection_names = [
            name for group in groups for name, _ in COLUMN_GROUPS[group].connection
        ]
        everything = COLUMN_GROUPS.values()
        self.defaults = {n: v for g in everything for n, v in (*g.node, *g.connection)}

    def of_node(self, node: Node, name: str) -> float:
        """Return a gene of a node."""
        if name in self.node_names:
            return node.extra[self.node_names.index(name)]
        return self.defaults[name]

    def of_connection(self, c: Connection, name: str) -> float:
        """Return a gene of a connection."""
        if name in self.connection_names:
            return c.extra[self.connection_names.index(name)]
        return self.defaults[name]

    def dynamics(self, node: Node) -> str:
        """Return what kind a node is; inputs are static."""
        return "static" if is_input(node.id) else DYNAMICS[int(self.of_node(node, "dynamics"))]

    def rule(self, c: Connection) -> str:
        """Return a connection's rule."""
        return PLASTICITY_RULES[int(self.of_connection(c, "rule"))]


@dataclass
class Life:
    """What a network carries from tick to tick; absent entries are as at the beginning of time."""

    values: dict[int, float] = field(default_factory=dict)
    delivered: dict[Pair, float] = field(default_factory=dict)
    x: dict[int, float] = field(default_factory=dict)
    u: dict[int, float] = field(default_factory=dict)
    weight: dict[Pair, float] = field(default_factory=dict)
    trace: dict[Pair, float] = field(default_factory=dict)
    pre_spike: dict[Pair, int] = field(default_factory=dict)  #: absent: none yet
    post_spike: dict[int, int] = field(default_factory=dict)
    clock: int = 0


def birth(genome: Genome, genetics: Genetics) -> Life:
    """Return the beginning of time."""
    life = Life()
    for c in genome.connections:
        life.weight[c.source, c.target] = c.weight
    for node in genome.nodes:
        reset_node(node, genetics, life)
    return life


def reset_node(node: Node, genetics: Genetics, life: Life) -> None:
    """Put a node's dynamics at the beginning of time."""
    life.x[node.id] = life.u[node.id] = 0.0
    if genetics.dynamics(node) == "izhikevich":
        life.x[node.id] = genetics.of_node(node, "izhikevich_c")
        life.u[node.id] = genetics.of_node(node, "izhikevich_b") * life.x[node.id]


def step(node: Node, genetics: Genetics, dt: float, s: float, life: Life) -> float:
    """Let a node's dynamics take one step with input ``s``, and return its output."""
    x, tau = life.x[node.id], genetics.of_node(node, "tau")
    bound, time_bias = genetics.of_node(node, "bound"), genetics.of_node(node, "time_bias")
    act = ACTIVATIONS[node.activation]
    match genetics.dynamics(node):
        case "static":
            return act(s)
        case "delay":
            life.x[node.id] = s
            return x
        case "leaky":
            life.x[node.id] = s + (x - s) * math.exp(-dt / tau)
            return life.x[node.id]
        case "ctrnn":
            life.x[node.id] = s + (x - s) * math.exp(-dt / tau)
            return act(life.x[node.id])
        case "cfc":
            gate = sigmoid(clip(-(s / max(tau, 0.001) + time_bias) * dt, 10.0))
            life.x[node.id] = clip(gate * x + (1.0 - gate) * tanh(s), abs(bound))
            return life.x[node.id]
        case "ltc":
            f = sigmoid(s)
            life.x[node.id] = (x + dt * f * bound) / (1.0 + dt * (1.0 / tau + f))
            return life.x[node.id]
    a, b, c, d = (genetics.of_node(node, f"izhikevich_{name}") for name in "abcd")
    v, u = x, life.u[node.id]
    for _ in range(2):
        v += 0.5 * (0.04 * v * v + 5.0 * v + 140.0 - u + 10.0 * s)
    u += a * (b * v - u)
    spike = v > 30.0
    life.x[node.id], life.u[node.id] = (c, u + d) if spike else (v, u)
    return float(spike)


def spikes(before: float, now: float, kind: str) -> bool:
    """Return whether an end spikes: a spiking node whenever it is above 0.5, others when they rise through it."""
    return now > 0.5 and (kind == "izhikevich" or before <= 0.5)


def tick(
    genome: Genome,
    genetics: Genetics,
    life: Life,
    inputs: Sequence[float],
    dt: float,
    nodes: Iterable[int] | None = None,
) -> bool:
    """Advance ``life`` by one tick, weights aside; return whether something was not finite."""
    wanted = {n.id for n in genome.nodes} if nodes is None else set(nodes)
    genes = {n.id: n for n in genome.nodes}
    before, now = life.values, dict[int, float]()
    spoilt = False
    for i, x in enumerate(inputs):
        now[i] = x if math.isfinite(x) else 0.0
        spoilt |= not math.isfinite(x)
    for node in genome.nodes:
        if is_input(node.id) or node.id not in wanted:
            continue
        products = []
        for c in genome.incoming(node.id):
            pair, source = (c.source, c.target), genes[c.source]
            value = before.get(c.source, 0.0) if c.recurrent else now.get(c.source, 0.0)
            last = life.delivered.get(pair, 0.0)
            if spikes(last, value, genetics.dynamics(source)):
                life.pre_spike[pair] = life.clock
            life.delivered[pair] = value
            if genetics.of_node(source, "modulatory") == 0.0:
                change = value - last if node.aggregation == "difference" else value
                products.append(life.weight[pair] * change)
        s = aggregate(node.aggregation, products) + node.bias
        v = step(node, genetics, dt, s, life)
        if not (math.isfinite(life.x[node.id]) and math.isfinite(life.u[node.id])):
            reset_node(node, genetics, life)
            v = math.nan
        if not math.isfinite(v):
            v, spoilt = 0.0, True
        if spikes(before.get(node.id, 0.0), v, genetics.dynamics(node)):
            life.post_spike[node.id] = life.clock
        now[node.id] = v
    life.values = now
    life.clock += 1
    return spoilt


def learn(
    genome: Genome, genetics: Genetics, life: Life, reward: float, weight_bound: float
) -> bool:
    """Apply what the last tick and its reward do to the weights; return whether something was not finite."""
    if life.clock == 0:
        return False
    spoilt = not math.isfinite(reward)
    reward = 0.0 if spoilt else reward
    genes = {n.id: n for n in genome.nodes}
    changed = dict(life.weight)
    for c in genome.connections:
        pair = (c.source, c.target)
        if not c.enabled or c.target not in life.values or genetics.rule(c) == "none":
            continue
        modulation = [
            life.weight[o.source, o.target] * life.delivered[o.source, o.target]
            for o in genome.incoming(c.target)
            if genetics.of_node(genes[o.source], "modulatory") != 0.0
        ]
        m = reward * (sum(modulation) if modulation else 1.0)
        w = life.weight[pair] + change(c, genetics, life, m)
        if not math.isfinite(life.trace.get(pair, 0.0)):
            life.trace[pair], w, spoilt = 0.0, life.weight[pair], True
        if not math.isfinite(w):
            w, spoilt = c.weight, True
        changed[pair] = clip(w, weight_bound)
    life.weight = changed
    return spoilt


def change(c: Connection, genetics: Genetics, life: Life, m: float) -> float:
    """Return what a rule adds to a weight."""
    pair = (c.source, c.target)
    gene = {name: genetics.of_connection(c, name) for name in CONNECTION_GENES}
    eta, w = gene["learning_rate"], life.weight[pair]
    pre, post = life.delivered[pair], life.values[c.target]
    match genetics.rule(c):
        case "hebbian":
            return eta * m * pre * post - gene["decay"] * w
        case "oja":
            return eta * m * post * (pre - post * w)
        case "abcd":
            a, b, k, d = (gene[f"coefficient_{letter}"] for letter in "abcd")
            return eta * m * (a * pre * post + b * pre + k * post + d)
        case "trace":
            life.trace[pair] = gene["trace_decay"] * life.trace.get(pair, 0.0) + pre * post
            return eta * m * life.trace[pair]
    spike, end = life.pre_spike.get(pair), life.post_spike.get(c.target)
    if spike is None or end is None or life.clock - 1 not in (spike, end):
        return 0.0
    delta = end - spike
    if delta >= 0:
        return eta * m * gene["stdp_a_plus"] * math.exp(-delta / gene["stdp_tau_plus"])
    return -eta * m * gene["stdp_a_minus"] * math.exp(delta / gene["stdp_tau_minus"])


CONNECTION_GENES = [name for g in COLUMN_GROUPS.values() for name, _ in g.connection]


def outputs(life: Life, n_outputs: int) -> list[float]:
    """Return the outputs' values; one that the genome lacks is 0."""
    return [life.values.get(FIRST_OUTPUT + j, 0.0) for j in range(n_outputs)]
