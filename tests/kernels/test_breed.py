"""Breeding: whole plans, child by child, each from its own stream."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import reference_variation as twins
from genomes import PROPERTY, genomes, kernel_parameters, pack, random_genome, unpack, variations
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Genome, assert_valid, is_input
from reference_variation import OPERATORS, Birth, Variation

from tweann.genes import Genes, Int, Operator
from tweann.kernels.breed import BreedingParameters, Litter, breed, get_values, set_values
from tweann.kernels.grow import grow_children

EXTRA = (1, 1)
WORDS = st.integers(0, 2**64 - 1)
N_VALUES = 60


class Plan(NamedTuple):
    """A drawn plan: the seed network, a pool, and births whose parents are in it."""

    seed_network: Genome
    pool: list[Genome]
    births: list[Birth]
    parents: list[tuple[int, int]]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    several = genomes(max_hidden=4, max_connections=12, n_extra=EXTRA)
    pool = draw(st.lists(several, min_size=1, max_size=3))
    births, parents = [], []
    for operator in draw(st.lists(st.sampled_from(list(Operator)), min_size=1, max_size=6)):
        a, b = (draw(st.integers(0, len(pool) - 1)) for _ in range(2))
        crossed = operator in (Operator.CROSSOVER, Operator.CROSSOVER_MUTATE)
        parents.append((-1 if operator == Operator.FRESH else a, b if crossed else -1))
        values = np.random.default_rng(draw(st.integers(0, 99))).normal(0.0, 4.0, N_VALUES)
        births.append(
            Birth(
                operator.name,
                pool[a],
                pool[b],
                draw(st.integers(0, 3) | st.integers(0, 2**62)),
                draw(st.sampled_from([0.0, 1.0, 2.5])),
                tuple(values.tolist()),
            )
        )
    return Plan(draw(several), pool, births, parents)


class Nursery(NamedTuple):
    """The plan in terms of the table."""

    genes: Genes
    litter: Litter
    template: int
    marks: np.ndarray[tuple[int], np.dtype[np.bool_]]


def nursery(plan: Plan, seed: int = 0) -> Nursery:
    n = len(plan.births)
    genes, blocks, free = pack(
        [plan.seed_network, *plan.pool], seed, room=8, n_free=n, n_extra=EXTRA
    )

    def rows(column: list[int]) -> Int:
        return np.array([blocks[1 + i] if i >= 0 else -1 for i in column], np.int64)

    litter = Litter(
        operator=np.array([Operator[b.operator] for b in plan.births], np.uint8),
        parent_a=rows([a for a, _ in plan.parents]),
        parent_b=rows([b for _, b in plan.parents]),
        child=free,
        birth=np.array([b.number for b in plan.births], np.int64),
        strength=np.array([b.strength for b in plan.births]),
        values=np.array([b.values for b in plan.births]),
        applied=np.zeros(n, np.int64),
    )
    return Nursery(genes, litter, int(blocks[0]), np.zeros(genes.node_id.shape[1], np.bool_))


def parameters(
    template: int, v: Variation, seed: int, stream: int, keep_rate: float, warm: bool
) -> BreedingParameters:
    return BreedingParameters(
        seed=np.uint64(seed),
        stream=np.uint64(stream),
        template=template,
        keep_rate=keep_rate,
        warm=warm,
        disable_rate=0.75,
        mutation=kernel_parameters(v),
    )


def counters() -> Int:
    return np.zeros((len(OPERATORS), 2), np.int64)


def bring_up(nursery: Nursery, start: int, stop: int, p: BreedingParameters, counts: Int) -> None:
    """Breed some of the children, as the pool does."""
    rng = np.empty(1, np.uint64)
    breed(nursery.genes, nursery.litter, start, stop, p, nursery.marks, rng, counts)
    grow_children(nursery.genes, nursery.litter, start, stop, p, nursery.marks, rng, counts)


@PROPERTY
@given(plans(), variations(n_extra=EXTRA), WORDS, WORDS, st.sampled_from([0.5, 1.0]), st.booleans())
def test_every_child_is_the_twins_and_parents_stay(
    plan: Plan, v: Variation, seed: int, stream: int, keep_rate: float, warm: bool
) -> None:
    made = nursery(plan)
    genes, litter, template, _ = made
    p = parameters(template, v, seed, stream, keep_rate, warm)
    bring_up(made, 0, len(plan.births), p, counters())
    for birth, block in zip(plan.births, litter.child, strict=True):
        child = unpack(genes, block)
        assert child == twins.breed(
            birth, plan.seed_network, seed, stream, keep_rate, warm, 0.75, v
        )
        assert_valid(child, 3, 2, weight_bound=v.bound)
    assert unpack(genes, template) == plan.seed_network
    for (a, _), row in zip(plan.parents, litter.parent_a, strict=True):
        assert a < 0 or unpack(genes, row) == plan.pool[a]


@settings(PROPERTY, max_examples=40)
@given(plans(), variations(n_extra=EXTRA), st.data())
def test_slices_in_any_order_breed_the_same_children_and_count_alike(
    plan: Plan, v: Variation, data: st.DataObject
) -> None:
    n = len(plan.births)
    cut = data.draw(st.integers(0, n))
    whole, sliced = nursery(plan, 1), nursery(plan, 2)
    in_one, in_two = counters(), counters()
    p = parameters(whole.template, v, 1, 2, 0.5, False)
    bring_up(whole, 0, n, p, in_one)
    p = parameters(sliced.template, v, 1, 2, 0.5, False)
    for start, stop in ((cut, n), (0, cut)):
        bring_up(sliced, start, stop, p, in_two)
    assert [unpack(whole.genes, b) for b in whole.litter.child] == [
        unpack(sliced.genes, b) for b in sliced.litter.child
    ]
    assert in_one.tolist() == in_two.tolist()


def test_births_seeds_and_islands_each_give_other_children() -> None:
    genome = random_genome(1, 5, 20)
    v = Variation(rates=(0.0,) * 7 + (1.0,))
    children = []
    for seed, stream, number in ((1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)):
        birth = Birth("MUTATE", genome, None, number, 1.0, ())
        genes, (block,), (child,) = pack([genome])
        litter = Litter(
            np.array([Operator.MUTATE], np.uint8),
            np.array([block]),
            np.array([-1]),
            np.array([child]),
            np.array([number]),
            np.ones(1),
            np.zeros((0, 0)),
            np.zeros(1, np.int64),
        )
        p = parameters(int(block), v, seed, stream, 1.0, False)
        marks = np.zeros(genes.node_id.shape[1], np.bool_)
        breed(genes, litter, 0, 1, p, marks, np.empty(1, np.uint64), counters())
        children.append(unpack(genes, child))
        assert children[-1] == twins.breed(birth, genome, seed, stream, 1.0, False, 0.75, v)
    assert all(a != b for i, a in enumerate(children) for b in children[:i])


@PROPERTY
@given(genomes(missing=True), st.integers(0, 99))
def test_values_are_weights_then_biases_in_gene_order(genome: Genome, seed: int) -> None:
    genes, (block,), _ = pack([genome], seed)
    out = np.full(N_VALUES, np.nan)
    n = get_values(genes, block, out)
    biases = [node.bias for node in genome.nodes if not is_input(node.id)]
    assert out[:n].tolist() == [c.weight for c in genome.connections] + biases
    assert np.isnan(out[n:]).all()


@PROPERTY
@given(genomes(missing=True), st.integers(0, 99))
def test_values_that_are_set_are_read_back_within_the_bound(genome: Genome, seed: int) -> None:
    genes, (block,), _ = pack([genome], seed)
    values = np.random.default_rng(seed).normal(0.0, 3.0, N_VALUES)
    set_values(genes, block, values, 2.0)
    out = np.zeros(N_VALUES)
    n = get_values(genes, block, out)
    assert n == len(genome.connections) + sum(not is_input(node.id) for node in genome.nodes)
    assert out[:n].tolist() == np.clip(values[:n], -2.0, 2.0).tolist()
    inputs = [node for node in unpack(genes, block).nodes if is_input(node.id)]
    assert inputs == [node for node in genome.nodes if is_input(node.id)]
