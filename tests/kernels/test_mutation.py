"""Mutation: every operator against its twin on the same random stream, validity, published rates."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import reference_variation as twins
from genomes import (
    POOL,
    PROPERTY,
    decoded,
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
from reference import (
    FIRST_OUTPUT,
    Connection,
    Genome,
    Node,
    State,
    Stream,
    assert_valid,
    is_input,
    outputs,
    split_id,
    tick,
)
from reference_variation import MAX_SPLITS, OPERATORS, Variation

from tweann.kernels.edit import copy_genome
from tweann.kernels.mutation import N_PLAIN, MutationOperator, apply, mutate, randomise

EXTRA = (1, 2)
KEYS = st.integers(0, 2**64 - 1)
STRENGTHS = st.sampled_from([0.0, 0.5, 1.0, 3.0])


def applied(
    operator: str, genome: Genome, v: Variation, key: int, strength: float = 1.0
) -> tuple[Genome, bool, int]:
    """Return the genome after a kernel's operator, whether it found a place, and the stream's state."""
    n_extra = len(v.node_extra), len(v.connection_extra)
    genes, (block, _), _ = pack([genome, genome], key, room=2, n_extra=n_extra)
    others = table_bytes(genes, without=[block])
    rng = np.array([key], np.uint64)
    marks = np.resize([True, False], genes.node_id.shape[1])  # rubbish
    code = OPERATORS.index(operator)
    done = apply(code, genes, block, strength, kernel_parameters(v), rng, marks)
    assert table_bytes(genes, without=[block]) == others
    return unpack(genes, block), bool(done), int(rng[0])


def test_operators_are_tried_in_the_published_order() -> None:
    assert [o.name.lower() for o in MutationOperator][:N_PLAIN] == list(OPERATORS)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("recurrent", [True, False])
def test_an_operator_is_its_twin(operator: str, recurrent: bool) -> None:
    @PROPERTY
    @given(
        genomes(recurrent=recurrent, n_extra=EXTRA),
        variations(recurrent=recurrent, n_extra=EXTRA),
        KEYS,
        STRENGTHS,
    )
    def check(genome: Genome, v: Variation, key: int, strength: float) -> None:
        twin, stream = genome.copy(), Stream(key)
        done = twins.apply(operator, twin, strength, v, stream)
        assert applied(operator, genome, v, key, strength) == (twin, done, stream.state)
        if not done:
            assert twin == genome
        assert_valid(twin, 3, 2, recurrent=recurrent, weight_bound=v.bound)

    check()


@PROPERTY
@given(genomes(n_extra=EXTRA), variations(n_extra=EXTRA), KEYS, STRENGTHS)
def test_a_mutation_is_its_twin_and_counts_what_it_did(
    genome: Genome, v: Variation, key: int, strength: float
) -> None:
    genes, (block,), _ = pack([genome], room=8, n_extra=EXTRA)
    rng = np.array([key], np.uint64)
    marks = np.zeros(genes.node_id.shape[1], np.bool_)
    counts = np.full((len(OPERATORS), 2), 5)
    applied = mutate(genes, block, strength, kernel_parameters(v), rng, marks, counts)
    twin, stream = genome.copy(), Stream(key)
    drawn = Counter(twins.mutate(twin, strength, v, stream))
    assert unpack(genes, block) == twin
    assert int(rng[0]) == stream.state
    assert (counts - 5).tolist() == [[drawn[o, True], drawn[o, False]] for o in OPERATORS]
    assert applied == sum(1 << i for i, o in enumerate(OPERATORS) if drawn[o, True])
    if v.one:
        assert sum(drawn[o, True] for o in OPERATORS) <= 1


@settings(PROPERTY, max_examples=25)
@given(st.booleans(), st.booleans(), variations(), KEYS)
def test_a_genome_stays_valid_and_under_its_caps_whatever_happens_to_it(
    recurrent: bool, one: bool, v: Variation, key: int
) -> None:
    """Sixty rounds of all operators; an evolved genome can always be decoded."""
    v.rates, v.one = (0.5,) * len(OPERATORS), one
    v.recurrent_share = 0.5 if recurrent else 0.0
    ends = [Node(0), Node(1), Node(FIRST_OUTPUT), Node(FIRST_OUTPUT + 1)]
    genes, (block,), _ = pack([Genome(ends, [Connection(0, FIRST_OUTPUT)])], room=100)
    rng = np.array([key], np.uint64)
    marks = np.zeros(genes.node_id.shape[1], np.bool_)
    counts = np.zeros((len(OPERATORS), 2), np.int64)
    for _ in range(60):
        mutate(genes, block, 1.0, kernel_parameters(v), rng, marks, counts)
        genome = unpack(genes, block)
        assert_valid(
            genome,
            2,
            2,
            recurrent=recurrent,
            orphans=False,
            max_nodes=v.max_nodes,
            max_connections=v.max_connections,
            weight_bound=v.bound,
        )
        hidden = genome.nodes[2:-2]
        assert {n.activation for n in hidden} <= set(v.activations)
        assert {n.aggregation for n in hidden} <= set(v.aggregations)
        assert [n.id for n in genome.nodes[:2] + genome.nodes[-2:]] == [n.id for n in ends]
    decoded(genes, np.array([block]), 2, 2)


# --- structure -----------------------------------------------------------------------------------


def bare() -> Genome:
    return Genome([Node(0), Node(FIRST_OUTPUT)], [])


@pytest.mark.parametrize(
    "operator", [o for o in OPERATORS if o not in ("add_connection", "weights")]
)
def test_an_operator_without_a_legal_place_changes_nothing_and_says_so(operator: str) -> None:
    v = Variation()
    for key in range(20):
        genome, done, _ = applied(operator, bare(), v, key)
        assert not done
        assert genome == bare()


def test_no_connection_is_added_where_all_are_there_or_nothing_can_be_a_target() -> None:
    full = Genome(
        [Node(0), Node(FIRST_OUTPUT)],
        [Connection(0, FIRST_OUTPUT), Connection(FIRST_OUTPUT, FIRST_OUTPUT)],
    )
    inputs = Genome([Node(0), Node(1)], [])
    for key in range(50):
        for genome in (full, inputs):
            assert applied("add_connection", genome, Variation(), key)[:2] == (genome, False)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_added_connections_are_of_the_kind_asked_for_and_reach_every_legal_pair(
    share: float,
) -> None:
    """Self-loops included; never into an input, never forward between outputs."""
    a, b = POOL[2], POOL[9]
    ids = [0, 1, a, b, FIRST_OUTPUT, FIRST_OUTPUT + 1]
    genome = Genome([Node(i) for i in ids], [])
    seen = set()
    for key in range(600):
        child, done, _ = applied("add_connection", genome, Variation(recurrent_share=share), key)
        seen |= {(c.source, c.target) for c in child.connections}
        assert done == bool(child.connections)
    if share:
        assert seen == {(s, t) for s in ids for t in ids[2:] if s >= t}
    else:
        assert seen == {(s, t) for s in ids[:4] for t in ids[2:] if s < t}


def test_the_kind_is_drawn_first_with_the_share_asked_for() -> None:
    """2,000 draws with a share of 0.3, within 4 standard errors, though few pairs are recurrent."""
    genome = Genome([*(Node(i) for i in range(30)), Node(FIRST_OUTPUT)], [])
    v = Variation(recurrent_share=0.3)
    loops = 0
    for key in range(2000):
        child, done, _ = applied("add_connection", genome, v, key)
        assert done
        loops += child.connections[0].recurrent
    assert abs(loops - 600) < 4.0 * math.sqrt(2000 * 0.3 * 0.7)


def test_a_disabled_connection_is_enabled_again_with_its_weight_even_at_the_cap() -> None:
    genome = Genome(
        [Node(0), Node(FIRST_OUTPUT)], [Connection(0, FIRST_OUTPUT, 0.625, enabled=False)]
    )
    v = Variation(recurrent_share=0.0, max_connections=1)
    child, done, _ = applied("add_connection", genome, v, 1)
    assert done
    assert child.connections == [Connection(0, FIRST_OUTPUT, 0.625)]


def test_a_split_puts_one_in_and_the_old_weight_out_and_disables_the_old_gene() -> None:
    """Stanley & Miikkulainen (2002), section 3.1."""
    genome = Genome([Node(0), Node(FIRST_OUTPUT)], [Connection(0, FIRST_OUTPUT, -2.5)])
    v = Variation(activations=("sin",), aggregations=("mean",))
    child, done, _ = applied("add_node", genome, v, 1)
    node = split_id(0, FIRST_OUTPUT, 0)
    assert done
    assert child == Genome(
        [Node(0), Node(node, "sin", "mean", 0.0), Node(FIRST_OUTPUT)],
        [
            Connection(0, node, 1.0),
            Connection(0, FIRST_OUTPUT, -2.5, enabled=False),
            Connection(node, FIRST_OUTPUT, -2.5),
        ],
    )


@PROPERTY
@given(genomes(aggregations=("sum",), activations=("tanh", "identity")), KEYS)
def test_a_split_by_an_identity_keeps_what_the_network_computes(genome: Genome, key: int) -> None:
    """The loop's delay too stays one tick."""
    v = Variation(activations=("identity",), aggregations=("sum",))
    child, _, _ = applied("add_node", genome, v, key)
    before, after = State(), State()
    for row in ([1.0, -0.5, 0.3], [0.2, 0.7, -1.0], [0.0, 0.1, 0.0]):
        tick(genome, before, row)
        tick(child, after, row)
        assert outputs(after, 2) == pytest.approx(outputs(before, 2), rel=1e-6, abs=1e-6)


def test_the_same_split_has_the_same_id_in_every_genome_and_eight_in_one() -> None:
    genome = Genome([Node(0), Node(FIRST_OUTPUT)], [Connection(0, FIRST_OUTPUT, 2.0)])
    for k in range(MAX_SPLITS):
        # only the link from input to output is enabled, so that is what is split
        for c in genome.connections:
            c.enabled = (c.source, c.target) == (0, FIRST_OUTPUT)
        genome, done, _ = applied("add_node", genome, Variation(), 7 + k)
        assert done
        assert genome.node(split_id(0, FIRST_OUTPUT, k)) is not None
    for c in genome.connections:
        c.enabled = (c.source, c.target) == (0, FIRST_OUTPUT)
    assert applied("add_node", genome, Variation(), 1)[:2] == (genome, False)


def test_a_connection_without_depth_between_its_ends_is_not_split() -> None:
    a, b = 2**50, 2**50 + 1  # one depth, another hash
    genome = Genome([Node(a), Node(b)], [Connection(a, b)])
    assert applied("add_node", genome, Variation(), 3)[:2] == (genome, False)


@pytest.mark.parametrize(("nodes", "links"), [(2, 10), (10, 2)])
def test_the_caps_stop_a_split(nodes: int, links: int) -> None:
    genome = Genome([Node(0), Node(FIRST_OUTPUT)], [Connection(0, FIRST_OUTPUT)])
    v = Variation(max_nodes=nodes, max_connections=links)
    assert applied("add_node", genome, v, 3)[:2] == (genome, False)
    v = Variation(max_nodes=3, max_connections=3)
    assert applied("add_node", genome, v, 3)[1]


def test_deleting_takes_what_no_gene_names_any_more_and_leaves_what_one_names() -> None:
    a, b = POOL[2], POOL[9]
    genome = Genome(
        [Node(0), Node(a), Node(b), Node(FIRST_OUTPUT)],
        [Connection(0, a), Connection(a, b), Connection(0, FIRST_OUTPUT)],
    )
    left = {
        tuple(n.id for n in applied("delete_node", genome, Variation(), k)[0].nodes)
        for k in range(30)
    }
    assert left == {
        (0, FIRST_OUTPUT),  # without a no gene names b
        (0, a, FIRST_OUTPUT),
    }
    only = Genome([Node(0), Node(a), Node(FIRST_OUTPUT)], [Connection(0, a, enabled=False)])
    assert applied("delete_connection", only, Variation(), 1)[0] == bare()


def test_adding_and_deleting_a_connection_gives_the_genome_as_it_was() -> None:
    v = Variation()
    for key in range(30):
        child, done, _ = applied("add_connection", bare(), v, key)
        assert not done or applied("delete_connection", child, v, key)[0] == bare()


@PROPERTY
@given(genomes(), KEYS)
def test_toggling_twice_with_one_key_changes_nothing(genome: Genome, key: int) -> None:
    once, done, _ = applied("toggle_connection", genome, Variation(), key)
    assert applied("toggle_connection", once, Variation(), key)[0] == genome
    assert sum(a != b for a, b in zip(once.connections, genome.connections, strict=True)) == done


@pytest.mark.parametrize("operator", ["change_activation", "change_aggregation"])
def test_a_change_of_function_is_a_change_and_reaches_all_others(operator: str) -> None:
    genome = Genome([Node(0, "sin"), Node(POOL[2], "abs", "median"), Node(FIRST_OUTPUT)], [])
    v = Variation(activations=("tanh", "abs", "cube"), aggregations=("sum", "median", "min"))
    seen = set()
    for key in range(60):
        child, done, _ = applied(operator, genome, v, key)
        assert done
        assert (child.nodes[0], child.nodes[2]) == (genome.nodes[0], genome.nodes[2])
        seen.add((child.nodes[1].activation, child.nodes[1].aggregation))
    if operator == "change_activation":
        assert seen == {("tanh", "median"), ("cube", "median")}
    else:
        assert seen == {("abs", "sum"), ("abs", "min")}


# --- values --------------------------------------------------------------------------------------


def changes(v: Variation, strength: float = 1.0) -> tuple[list[float], list[float]]:
    """Return what mutation adds to 20,000 weights and 2,000 biases that are 0 before."""
    weights, biases = [], []
    genome = random_genome(1, 100, 1000)
    for gene in genome.connections:
        gene.weight = 0.0
    for node in genome.nodes:
        node.bias = 0.0
    for key in range(20):
        child, _, _ = applied("weights", genome, v, key, strength)
        weights += [c.weight for c in child.connections]
        biases += [n.bias for n in child.nodes if not is_input(n.id)]
        assert all(n.bias == 0.0 for n in child.nodes if is_input(n.id))
    return weights, biases


def test_each_weight_is_perturbed_with_90_and_replaced_with_10_percent() -> None:
    """Stanley & Miikkulainen (2002), section 4.1: "each weight had a 90% chance of being uniformly
    perturbed and a 10% chance of being assigned a new random value"; 4 standard errors."""
    v = Variation(replace_rate=0.1, perturb_rate=1.0, power=1e-6, uniform=True, init_power=1.0)
    weights, biases = changes(v)
    assert len(weights) == 20_000
    for values in (weights, biases):
        replaced = sum(abs(w) > 1e-6 for w in values)
        assert abs(replaced - 0.1 * len(values)) < 4.0 * math.sqrt(0.09 * len(values)) + 1
        assert 0.0 not in values


def test_the_perturb_rate_is_a_share_of_the_genes_that_are_not_replaced() -> None:
    v = Variation(replace_rate=0.2, perturb_rate=0.5, power=1e-6, uniform=True, init_power=1.0)
    weights, _ = changes(v)
    counts = [sum(w == 0.0 for w in weights), sum(abs(w) > 1e-6 for w in weights)]
    assert abs(counts[0] - 0.4 * 20_000) < 4.0 * math.sqrt(20_000 * 0.24)
    assert abs(counts[1] - 0.2 * 20_000) < 4.0 * math.sqrt(20_000 * 0.16)


@pytest.mark.parametrize("uniform", [True, False])
def test_noise_has_the_power_asked_for_times_the_strength(uniform: bool) -> None:
    """Variance power² of a normal, power²/3 of a uniform; 4 standard errors of 20,000 numbers."""
    v = Variation(replace_rate=0.0, perturb_rate=1.0, power=0.5, uniform=uniform)
    weights, _ = changes(v, strength=3.0)
    variance = 1.5**2 / (3.0 if uniform else 1.0)
    kurtosis = 1.8 if uniform else 3.0
    assert abs(np.mean(weights)) < 4.0 * math.sqrt(variance / 20_000)
    assert abs(np.var(weights) / variance - 1.0) < 4.0 * math.sqrt((kurtosis - 1.0) / 20_000)
    assert max(weights) <= (1.5 if uniform else 8.0)


def test_values_stay_within_the_bound() -> None:
    v = Variation(power=100.0, init_power=100.0, bound=2.0, replace_rate=0.3)
    weights, biases = changes(v)
    for values in (weights, biases):
        assert min(values) == -2.0
        assert max(values) == 2.0


def test_biases_that_do_not_evolve_stay() -> None:
    weights, biases = changes(Variation(biases=False))
    assert set(biases) == {0.0}
    assert 0.0 not in weights


def test_each_operator_is_drawn_with_its_own_rate() -> None:
    """The NEAT paper's rates of 0.03 and 0.05, its weights' 0.8 and others, in 5,000 children each
    of one genome where all find a place; 4 standard errors."""
    rates = (0.03, 0.05, 0.01, 0.02, 0.04, 0.3, 0.1, 0.8)
    v = Variation(rates=rates)
    genes, (original,), (block,) = pack([random_genome(5, 10, 40)], room=8)
    p = kernel_parameters(v)
    marks = np.zeros(genes.node_id.shape[1], np.bool_)
    counts = np.zeros((len(OPERATORS), 2), np.int64)
    rng = np.array([11], np.uint64)
    for _ in range(5000):
        copy_genome(genes, original, block)
        mutate(genes, block, 1.0, p, rng, marks, counts)
    for rate, (done, failed) in zip(rates, counts.tolist(), strict=True):
        assert abs(done + failed - 5000 * rate) < 4.0 * math.sqrt(5000 * rate * (1.0 - rate))


# --- seed networks -------------------------------------------------------------------------------


@PROPERTY
@given(genomes(n_extra=EXTRA), variations(n_extra=EXTRA), st.sampled_from([0.0, 0.3, 1.0]), KEYS)
def test_a_seed_networks_values_are_the_twins(
    genome: Genome, v: Variation, keep_rate: float, key: int
) -> None:
    genes, (block,), _ = pack([genome], n_extra=EXTRA)
    rng = np.array([key], np.uint64)
    randomise(genes, block, keep_rate, kernel_parameters(v), rng)
    twin, stream = genome.copy(), Stream(key)
    twins.randomise(twin, keep_rate, v, stream)
    assert unpack(genes, block) == twin
    assert int(rng[0]) == stream.state


def test_a_seed_network_keeps_the_share_of_connections_asked_for() -> None:
    genome = random_genome(1, 0, 5, n_inputs=20, n_outputs=10, recurrent=False)
    genome.connections = [Connection(i, FIRST_OUTPUT + j) for j in range(10) for i in range(20)]
    kept = 0
    for key in range(100):
        genes, (block,), _ = pack([genome])
        randomise(genes, block, 0.3, kernel_parameters(Variation()), np.array([key], np.uint64))
        kept += int(genes.n_connections[block])
    assert abs(kept - 0.3 * 20_000) < 4.0 * math.sqrt(20_000 * 0.21)
