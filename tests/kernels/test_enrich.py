"""Breeding's second pass: every operator against its twin, ranges, canonical values, gains, rates."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import reference_enrich as twins
from genomes import (
    PROPERTY,
    genomes,
    kernel_parameters,
    pack,
    random_genome,
    table_bytes,
    unpack,
    variations,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import FIRST_OUTPUT, Connection, Genome, Node, Stream, assert_valid, is_input
from reference_enrich import OPTIONAL, Enrichment
from reference_variation import Birth, Variation

from tweann.columns import check_columns, law_table
from tweann.genes import (
    ACTIVATIONS,
    COLUMN_LAWS,
    DYNAMICS,
    MUTATIONS,
    PLASTICITY_RULES,
    Operator,
)
from tweann.kernels.breed import BreedingParameters, Litter
from tweann.kernels.columns import ColumnParameters, adapt
from tweann.kernels.enrich import EnrichParameters, apply_optional, draw_kinds, enrich, vary
from tweann.kernels.mutation import N_PLAIN
from tweann.layout import Layout

KEYS = st.integers(0, 2**64 - 1)
STRENGTHS = st.sampled_from([0.0, 1.0, 3.0])


def kernel_settings(e: Enrichment) -> EnrichParameters:
    layout = Layout(e.n_inputs, e.n_outputs, groups=e.groups)
    node, connection = e.node_columns, e.connection_columns
    return EnrichParameters(
        rates=np.array(e.rates),
        n_inputs=e.n_inputs,
        n_outputs=e.n_outputs,
        output_activation=ACTIVATIONS.index(e.output_activation),
        columns=ColumnParameters(
            node_laws=law_table(layout.node_columns, e.dt),
            connection_laws=law_table(layout.connection_columns, e.dt),
            dynamics_column=node.index("dynamics") if "dynamics" in node else -1,
            modulatory_column=node.index("modulatory") if "modulatory" in node else -1,
            rule_column=connection.index("rule") if "rule" in connection else -1,
            dynamics=np.array([DYNAMICS.index(k) for k in e.dynamics], np.uint8),
            rules=np.array([PLASTICITY_RULES.index(k) for k in e.rules], np.uint8),
            replace_rate=e.replace_rate,
            perturb_rate=e.perturb_rate,
            power=e.power,
        ),
    )


def with_columns(genome: Genome, e: Enrichment, seed: int) -> Genome:
    """Return the genome with kinds that are drawn at random, and what goes with them."""
    rng = Stream(seed)
    for node in genome.nodes:
        node.extra = tuple(e.defaults[name] for name in e.node_columns)
    for c in genome.connections:
        c.extra = tuple(e.defaults[name] for name in e.connection_columns)
    twins.draw_kinds(None, genome, e, rng)
    return genome


def in_place(v: Variation, e: Enrichment) -> Variation:
    """Return the settings of mutation with the defaults of new genes."""
    v.node_extra = tuple(e.defaults[name] for name in e.node_columns)
    v.connection_extra = tuple(e.defaults[name] for name in e.connection_columns)
    return v


GROUPS = st.sampled_from(
    [
        ("births", "dynamics", "izhikevich", "plasticity", "stdp"),
        ("dynamics", "izhikevich"),
        ("plasticity", "stdp"),
        (),
    ]
)


@st.composite
def enrichments(draw: st.DrawFn) -> Enrichment:
    groups = draw(GROUPS)
    rates = st.sampled_from([0.0, 0.3, 1.0])
    return Enrichment(
        groups=groups,
        rates=tuple(draw(rates) for _ in OPTIONAL),
        dynamics=draw(st.sampled_from([DYNAMICS, ("static",), ("cfc", "ltc"), ("delay",)])),
        rules=draw(st.sampled_from([PLASTICITY_RULES, ("none",), ("none", "abcd")])),
        replace_rate=draw(st.sampled_from([0.0, 0.3, 1.0])),
        perturb_rate=draw(st.sampled_from([0.0, 0.7, 1.0])),
        power=draw(st.sampled_from([0.0, 0.2, 5.0])),
        dt=draw(st.sampled_from([1.0, 0.02])),
    )


def table_of(genome: Genome, e: Enrichment, key: int, room: int = 3):  # type: ignore[no-untyped-def]
    n_extra = len(e.node_columns), len(e.connection_columns)
    return pack([genome, genome], key, room=room, n_extra=n_extra)


def assert_canonical(genome: Genome, e: Enrichment) -> None:
    """Fail unless every column is within its range, and at its default where nobody reads it."""
    for gene in (*genome.nodes, *genome.connections):
        for name in e.names(gene):
            law = COLUMN_LAWS.get(name)
            if law is None:
                continue
            value = e.get(gene, name)
            kinds = "dynamics" if isinstance(gene, Node) else "rule"
            if kinds not in e.names(gene) or e.kind(gene) not in law.of:
                assert value == e.defaults[name]
                continue
            unit = e.dt if law.in_steps else 1.0
            if law.kind == "signed" and e.kind(gene) == "ltc":
                value = abs(value)
            assert law.low * unit <= value <= law.high * unit
    node = {n: np.array([e.get(g, n) for g in genome.nodes]) for n in e.node_columns}
    links = {n: np.array([e.get(g, n) for g in genome.connections]) for n in e.connection_columns}
    check_columns(node, links, {}, np.array([n.id for n in genome.nodes], np.int64))


@pytest.mark.parametrize("operator", OPTIONAL)
def test_an_operator_is_its_twin(operator: str) -> None:
    @PROPERTY
    @given(genomes(missing=True), variations(), enrichments(), KEYS, STRENGTHS)
    def check(genome: Genome, v: Variation, e: Enrichment, key: int, strength: float) -> None:
        genome, v = with_columns(genome, e, key), in_place(v, e)
        genes, (block, _), _ = table_of(genome, e, key)
        others = table_bytes(genes, without=[block])
        rng, stream = np.array([key], np.uint64), Stream(key)
        code = MUTATIONS.index(operator)
        done = apply_optional(
            code, genes, block, strength, kernel_parameters(v), kernel_settings(e), rng
        )
        twin = genome.copy()
        assert done == twins.apply(operator, twin, strength, v, e, stream)
        assert unpack(genes, block) == twin
        assert int(rng[0]) == stream.state
        assert table_bytes(genes, without=[block]) == others
        assert_valid(twin, 3, 2, weight_bound=v.bound)
        assert_canonical(twin, e)
        if not done:
            assert twin == genome

    check()


@PROPERTY
@given(genomes(), variations(), enrichments(), KEYS, STRENGTHS)
def test_a_mutation_is_its_twin_and_counts_what_it_did(
    genome: Genome, v: Variation, e: Enrichment, key: int, strength: float
) -> None:
    genome, v = with_columns(genome, e, key), in_place(v, e)
    genes, (block, _), _ = table_of(genome, e, key, room=10)
    rng, stream = np.array([key], np.uint64), Stream(key)
    counts = np.zeros((len(MUTATIONS), 2), np.int64)
    applied = vary(genes, block, strength, kernel_parameters(v), kernel_settings(e), rng, counts)
    drawn = Counter(twins.vary(genome, strength, v, e, stream))
    assert unpack(genes, block) == genome
    assert int(rng[0]) == stream.state
    assert counts.tolist() == [[drawn[o, True], drawn[o, False]] for o in MUTATIONS]
    assert applied == sum(1 << i for i, o in enumerate(MUTATIONS) if drawn[o, True])


@settings(PROPERTY, max_examples=30)
@given(genomes(missing=True), st.data(), variations(), enrichments(), KEYS, st.booleans())
def test_every_child_is_the_twins(
    parent: Genome, data: st.DataObject, v: Variation, e: Enrichment, key: int, warm: bool
) -> None:
    """A child is its parent with a few genes more, as plain breeding leaves it."""
    parent, v = with_columns(parent, e, key), in_place(v, e)
    child = parent.copy()
    more = data.draw(genomes())
    ids = {n.id for n in child.nodes}
    for node in more.nodes:
        if node.id not in ids:
            node.extra = v.node_extra
            child.add(node)
    for c in more.connections:
        if child.connection(c.source, c.target) is None:
            c.extra = v.connection_extra
            child.add(c)
    operator = data.draw(st.sampled_from(list(Operator)))
    number = data.draw(st.integers(0, 2**62))
    n_extra = len(e.node_columns), len(e.connection_columns)
    genes, (a, block), _ = pack([parent, child], key, room=10, n_extra=n_extra)
    litter = Litter(
        np.array([operator], np.uint8),
        np.array([-1 if operator == Operator.FRESH else a]),
        np.array([-1]),
        np.array([block]),
        np.array([number]),
        np.ones(1),
        np.zeros((0, 0)),
        np.ones(1, np.int64),
    )
    b = BreedingParameters(
        np.uint64(key), np.uint64(3), int(a), 1.0, warm, 0.75, kernel_parameters(v)
    )
    counts = np.zeros((len(MUTATIONS), 2), np.int64)
    rng = np.zeros(1, np.uint64)
    enrich(genes, litter, 0, 1, b, kernel_settings(e), rng, counts)
    birth = Birth(operator.name, parent, None, number, 1.0, ())
    twin = child.copy()
    drawn = twins.enrich(birth, twin, key, 3, warm, v, e)
    assert unpack(genes, block) == twin
    bits = sum(1 << MUTATIONS.index(o) for o, done in drawn if done)
    assert litter.applied.tolist() == [1 | bits]
    assert unpack(genes, a) == parent


def simple(e: Enrichment, weight: float = -2.5) -> Genome:
    """Return an input and an output with a connection."""
    genome = Genome(
        [Node(0, "identity"), Node(FIRST_OUTPUT)], [Connection(0, FIRST_OUTPUT, weight)]
    )
    for node in genome.nodes:
        node.extra = tuple(e.defaults[name] for name in e.node_columns)
    for c in genome.connections:
        c.extra = tuple(e.defaults[name] for name in e.connection_columns)
    return genome


def applied(operator: str, genome: Genome, e: Enrichment, key: int) -> tuple[Genome, bool]:
    v = in_place(Variation(), e)
    genes, (block, _), _ = table_of(genome, e, key)
    rng = np.array([key], np.uint64)
    code = MUTATIONS.index(operator)
    done = apply_optional(code, genes, block, 1.0, kernel_parameters(v), kernel_settings(e), rng)
    return unpack(genes, block), bool(done)


@pytest.mark.parametrize("kind", ["delay", "leaky"])
def test_a_splice_puts_one_in_and_the_old_weight_and_rule_out(kind: str) -> None:
    e = Enrichment()
    genome = simple(e)
    e.put(genome.connections[0], "rule", float(PLASTICITY_RULES.index("abcd")))
    e.put(genome.connections[0], "coefficient_a", 0.5)
    child, done = applied(f"add_{kind}", genome, e, 5)
    assert done
    node = child.nodes[1]
    assert (e.kind(node), node.aggregation, node.bias) == (kind, "sum", 0.0)
    into, old, out = child.connections
    assert (into.weight, into.enabled, e.kind(into)) == (1.0, True, "none")
    assert (out.weight, out.enabled, out.extra) == (-2.5, True, old.extra)
    assert not old.enabled
    if kind == "leaky":
        assert 1.0 <= e.get(node, "tau") <= 10.0


def test_inputs_and_outputs_come_in_one_by_one_until_all_are_there() -> None:
    e = Enrichment(n_inputs=4, n_outputs=3, groups=())
    genome = simple(e)
    seen = set()
    for key in range(8):
        genome, done = applied("add_input", genome, e, key)
        assert done == (key < 3)
        seen |= {n.id for n in genome.nodes}
    for key in range(4):
        genome, done = applied("add_output", genome, e, key)
        assert done == (key < 2)
    assert [n.id for n in genome.nodes] == [0, 1, 2, 3, *(FIRST_OUTPUT + j for j in range(3))]
    assert [n.activation for n in genome.nodes[-2:]] == ["sigmoid"] * 2
    assert len(genome.connections) == 6
    assert all(c.weight != 0.0 for c in genome.connections)


def test_any_lacking_input_may_come_first() -> None:
    e = Enrichment(n_inputs=4, n_outputs=1, groups=())
    seen = {applied("add_input", simple(e), e, key)[0].nodes[1].id for key in range(60)}
    assert seen == {1, 2, 3}


def test_a_change_of_kind_keeps_what_both_kinds_read() -> None:
    e = Enrichment(dynamics=("ltc", "cfc"))
    genome = simple(e)
    node = genome.nodes[1]
    for name, value in (("dynamics", 5.0), ("tau", 3.25), ("bound", -0.75)):
        e.put(node, name, value)
    child, done = applied("change_dynamics", genome, e, 1)
    node = child.nodes[1]
    assert done
    assert (e.kind(node), e.get(node, "tau"), e.get(node, "bound")) == ("cfc", 3.25, 0.75)
    assert -4.0 <= e.get(node, "time_bias") <= 0.0


def constants(operator: str, kind: str, name: str, e: Enrichment, n: int = 2000) -> list[float]:
    """Return what mutation makes of ``n`` values that are the same before."""
    genome = random_genome(3, n, n + 10, recurrent=False)
    for node in genome.nodes:
        node.extra = tuple(e.defaults[c] for c in e.node_columns)
    for c in genome.connections:
        c.extra = tuple(e.defaults[x] for x in e.connection_columns)
    hidden = [node for node in genome.nodes if not is_input(node.id)]
    for node in hidden:
        e.put(node, "dynamics", float(DYNAMICS.index(kind)))
    child, done = applied(operator, genome, e, 7)
    assert done
    return [e.get(node, name) for node in child.nodes if not is_input(node.id)]


def test_time_constants_move_by_log_normal_factors() -> None:
    """The logarithm of 2,000 factors has mean 0 and the deviation asked for; 4 standard errors."""
    e = Enrichment(replace_rate=0.0, perturb_rate=1.0, power=0.3)
    logs = np.log(constants("time_constants", "leaky", "tau", e))
    assert abs(logs.mean()) < 4.0 * 0.3 / math.sqrt(logs.size)
    assert abs(logs.std() / 0.3 - 1.0) < 4.0 / math.sqrt(2.0 * logs.size)


def test_constants_are_replaced_and_perturbed_as_often_as_asked() -> None:
    e = Enrichment(replace_rate=0.2, perturb_rate=0.5, power=1e-9)
    values = np.array(constants("time_constants", "cfc", "time_bias", e))
    n = values.size
    stayed, replaced = (values == 0.0).sum(), (np.abs(values) > 1e-6).sum()
    assert abs(stayed - 0.4 * n) < 4.0 * math.sqrt(0.24 * n)
    assert abs(replaced - 0.2 * n) < 4.0 * math.sqrt(0.16 * n)
    drawn = values[np.abs(values) > 1e-6]
    assert drawn.min() >= -4.0
    assert drawn.max() <= 0.0
    assert abs(drawn.mean() + 2.0) < 4.0 * math.sqrt(16.0 / 12.0 / drawn.size)


def test_what_is_drawn_first_is_spread_over_kinds_and_ranges() -> None:
    """Each of seven kinds with a seventh of 2,000 nodes; time constants evenly in logarithms; half of the bounds of
    liquid nodes negative; 4 standard errors."""
    e = Enrichment()
    genome = random_genome(3, 2000, 2010, recurrent=False)
    v = in_place(Variation(), e)
    for node in genome.nodes:
        node.extra = v.node_extra
    for c in genome.connections:
        c.extra = v.connection_extra
    genes, (block, _), _ = table_of(genome, e, 1)
    rng = np.array([5], np.uint64)
    columns = kernel_settings(e).columns
    draw_kinds(genes, -1, block, kernel_parameters(v), columns, rng)
    child = unpack(genes, block)
    nodes = [n for n in child.nodes if not is_input(n.id)]
    kinds = Counter(e.kind(n) for n in nodes)
    for kind in DYNAMICS:
        assert abs(kinds[kind] - len(nodes) / 7) < 4.0 * math.sqrt(len(nodes) * 6 / 49)
    rules = Counter(e.kind(c) for c in child.connections)
    for rule in PLASTICITY_RULES:
        n = len(child.connections)
        assert abs(rules[rule] - n / 6) < 4.0 * math.sqrt(n * 5 / 36)
    logs = np.log10([e.get(n, "tau") for n in nodes if e.kind(n) in COLUMN_LAWS["tau"].of])
    assert abs(logs.mean() - 0.5) < 4.0 * math.sqrt(1.0 / 12.0 / logs.size)
    bounds = np.array([e.get(n, "bound") for n in nodes if e.kind(n) == "ltc"])
    assert abs((bounds < 0).sum() - bounds.size / 2) < 4.0 * math.sqrt(bounds.size / 4)
    assert_canonical(child, e)


def test_a_genomes_own_factors_move_by_the_published_law_and_stay_in_range() -> None:
    """ln of each factor: mean 0, deviation 1/√n; 4 standard errors of 4,000 draws."""
    logs = []
    rng = np.array([3], np.uint64)
    for _ in range(1000):
        factors = np.ones(4)
        adapt(factors, rng)
        logs += np.log(factors).tolist()
    assert abs(np.mean(logs)) < 4.0 * 0.5 / math.sqrt(4000)
    assert abs(np.std(logs) / 0.5 - 1.0) < 4.0 / math.sqrt(8000)
    factors = np.array([0.01, 100.0])
    for _ in range(50):
        adapt(factors, rng)
        assert ((factors >= 0.01) & (factors <= 100.0)).all()


def test_an_operators_rate_is_multiplied_by_the_genomes_own_factor() -> None:
    """A factor of 0.25 on a rate of 0.8, within 4 standard errors of 2,000 genomes."""
    e = Enrichment(rates=tuple(0.8 * (o == "change_dynamics") for o in OPTIONAL))
    genome, v = simple(e), in_place(Variation(), e)
    genes, (block, _), _ = table_of(genome, e, 1)
    genes = genes._replace(genome_extra=np.ones((genes.n_nodes.size, 1 + len(MUTATIONS))))
    genes.genome_extra[block, 1 + MUTATIONS.index("change_dynamics")] = 0.25
    counts = np.zeros((len(MUTATIONS), 2), np.int64)
    rng = np.array([1], np.uint64)
    for _ in range(2000):
        vary(genes, block, 1.0, kernel_parameters(v), kernel_settings(e), rng, counts)
    assert abs(counts[MUTATIONS.index("change_dynamics")].sum() - 400) < 4.0 * math.sqrt(320)
    assert counts.sum() == counts[N_PLAIN:].sum()
