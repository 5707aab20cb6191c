"""The pool: rows move, blocks do not, and none is lost or had twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from genomes import PROPERTY, table_bytes
from hypothesis import given
from hypothesis import strategies as st
from pools import N_INPUTS, N_OUTPUTS, VARIATION, Nursery, changed, plain_genome, seed_of
from reference import assert_valid

from tweann.errors import GenomeError, PluginError
from tweann.genes import Int, Operator, Origin, Role
from tweann.genome import Genome
from tweann.kernels.distance import DistanceCoefficients
from tweann.layout import Layout
from tweann.pool import Brood, GenomePool
from tweann.workers import Workers

CAPPED = Layout(N_INPUTS, N_OUTPUTS, max_nodes=12, max_connections=20, recurrent=True)
ROOMY = Layout(N_INPUTS, N_OUTPUTS, recurrent=True)
OPERATORS = [Operator.CLONE, Operator.MUTATE, Operator.CROSSOVER, Operator.CROSSOVER_MUTATE]


def accounted(pool: GenomePool, brood: Brood | None, template: int) -> None:
    """Fail unless every block is free, a row's, a child's, or the seed network's, and only one of these."""
    in_use = [pool.rows["block"], pool._free, np.array([template])]
    if brood is not None:
        in_use.append(brood.rows["block"])
    blocks = np.sort(np.concatenate(in_use))
    assert blocks.tolist() == list(range(pool.genes.n_nodes.size))
    assert pool.n_blocks == blocks.size - pool._free.size


def snapshot(pool: GenomePool) -> Any:
    genomes = [pool.genome(int(block)).genome_id for block in pool.rows["block"]]
    rows = {name: column.tobytes() for name, column in pool.rows.items()}
    return rows, genomes, pool.n_blocks


class TestBlocks:
    @PROPERTY
    @given(st.data())
    def test_none_is_lost_or_had_twice_whatever_is_bred_and_kept(self, data: st.DataObject) -> None:
        pool = GenomePool(CAPPED)
        nursery = Nursery(pool)
        accounted(pool, None, nursery.parameters.template)
        for _ in range(data.draw(st.integers(1, 6))):
            n = data.draw(st.integers(1, 9))
            parents = st.integers(0, len(pool) - 1) if len(pool) else st.just(-1)
            operators = st.sampled_from(OPERATORS if len(pool) else [Operator.FRESH])
            immigrants = [seed_of(CAPPED)] * data.draw(st.integers(0, 2))
            brood = nursery.breed(
                [data.draw(operators) for _ in range(n)],
                [data.draw(parents) for _ in range(n)],
                [data.draw(parents) for _ in range(n)],
                immigrants,
            )
            accounted(pool, brood, nursery.parameters.template)
            total = len(pool) + len(brood)
            order = data.draw(st.permutations(range(total)))
            index = np.array(order[: data.draw(st.integers(0, total))], np.int64)
            ids = np.concatenate((pool.rows["id"], brood.rows["id"]))[index]
            blocks = np.concatenate((pool.rows["block"], brood.rows["block"]))[index]
            pool.keep(index, None, {}, brood)
            assert pool.rows["id"].tolist() == ids.tolist()
            assert pool.rows["block"].tolist() == blocks.tolist()
            assert len(brood) == 0
            accounted(pool, brood, nursery.parameters.template)

    def test_keep_moves_no_gene(self) -> None:
        nursery = Nursery(GenomePool(ROOMY))
        pool = nursery.fill(6)
        brood = nursery.breed([Operator.MUTATE] * 6, range(6))
        before, genes = table_bytes(pool.genes), pool.genes
        pool.keep(np.array([11, 2, 7]), None, {}, brood)
        assert pool.genes is genes
        assert table_bytes(pool.genes) == before
        assert pool.rows["id"].tolist() == [11, 2, 7]

    def test_breeding_writes_to_new_blocks_only(self) -> None:
        nursery = Nursery(GenomePool(ROOMY))
        pool = nursery.fill(8)
        pool.make_room(50, 80)
        pool.release(pool.allocate(9))  # so that the table is large enough from here on
        before: list[Any] = [column.copy() for column in pool.genes]
        brood = nursery.breed([Operator.CROSSOVER_MUTATE] * 4, [0, 1, 2, 3], [4, 5, 6, 7])
        others = np.setdiff1d(np.arange(pool.genes.n_nodes.size), brood.rows["block"])
        after: list[Any] = list(pool.genes)
        for column, then in zip(after, before, strict=True):
            assert column[others].tobytes() == then[others].tobytes()
        assert pool.genes.weight.tobytes() != before[9].tobytes()

    def test_a_table_that_grows_keeps_all_genes_and_leaves_the_old_one_to_who_holds_it(
        self,
    ) -> None:
        nursery = Nursery(GenomePool(ROOMY))
        pool = nursery.fill(5)
        before = snapshot(pool)[:2]
        held, held_bytes = pool.genes, table_bytes(pool.genes)
        pool.make_room(300, 4000)
        pool.allocate(500)
        assert pool.genes.node_id.shape == (pool.genes.n_nodes.size, 300)
        assert pool.genes.source.shape[1] == 4000
        assert snapshot(pool)[:2] == before
        assert table_bytes(held) == held_bytes

    def test_room_ends_at_the_caps(self) -> None:
        pool = GenomePool(CAPPED)
        pool.make_room(12, 20)
        assert pool.genes.node_id.shape[1] == 12
        assert pool.genes.source.shape[1] == 20

    def test_low_blocks_are_handed_out_first_and_freed_ones_again(self) -> None:
        pool = GenomePool(ROOMY)
        taken = pool.allocate(4)
        assert taken.tolist() == [0, 1, 2, 3]
        pool.release(taken[[1, 3]])
        assert set(pool.allocate(2).tolist()) == {1, 3}
        assert pool.n_blocks == 4


class TestBreeding:
    def test_genomes_stay_valid_and_within_their_caps_while_they_grow_to_them(self) -> None:
        nursery = Nursery(GenomePool(CAPPED))
        pool = nursery.fill(20)
        rng = np.random.default_rng(1)
        largest = 0
        for _ in range(40):
            operators = rng.choice(OPERATORS, 20)
            brood = nursery.breed(operators.tolist(), *rng.integers(0, 20, (2, 20)).tolist())
            pool.keep(20 + np.arange(20), None, {}, brood)
            for block in pool.rows["block"]:
                assert_valid(
                    plain_genome(pool.genome(int(block))),
                    N_INPUTS,
                    N_OUTPUTS,
                    max_nodes=12,
                    max_connections=20,
                    weight_bound=VARIATION.bound,
                )
                largest = max(largest, int(pool.genes.n_connections[block]))
        assert largest == 20

    def test_a_child_knows_its_birth_its_parents_and_how_it_came_to_be(self) -> None:
        nursery = Nursery(GenomePool(ROOMY))
        pool = nursery.fill(3)
        pool.keep(np.array([2, 0, 1]), None, {}, nursery.breed([Operator.CLONE], [0]))
        brood = nursery.breed([Operator.CLONE, Operator.CROSSOVER], [0, 1], [-1, 2], generation=7)
        view = pool.brood_view(brood)
        assert view.id.tolist() == [4, 5]
        assert view.parent_a.tolist() == [2, 0]
        assert view.parent_b.tolist() == [-1, 1]
        assert view.operator.tolist() == [Operator.CLONE, Operator.CROSSOVER]
        assert view.generation.tolist() == [7, 7]
        assert view.origin.tolist() == [Origin.BRED] * 2
        assert np.isnan(view.fitness).all()
        assert view.genome(0) == pool.view().genome(0)

    def test_threads_breed_the_same(self) -> None:
        results = []
        for n in (1, 2, 3):
            workers = Workers(n, 1e-9)  # slices of any size
            nursery = Nursery(GenomePool(ROOMY, workers=workers))
            pool = nursery.fill(301)
            rng = np.random.default_rng(5)
            for _ in range(4):
                a, b = rng.integers(0, 301, (2, 301)).tolist()
                brood = nursery.breed([Operator.CROSSOVER_MUTATE] * 301, a, b)
                pool.keep(301 + np.arange(301), None, {}, brood)
            results.append((snapshot(pool)[1], pool.mutations.tolist()))
            workers.close()
        assert results[0] == results[1] == results[2]
        assert sum(applied for applied, _ in results[0][1]) > 1000

    def test_set_values_gives_weights_then_biases_in_gene_order(self) -> None:
        nursery = Nursery(GenomePool(ROOMY))
        pool = nursery.fill(1)
        values = np.arange(1.0, 9.0)[np.newaxis] / 10.0
        brood = nursery.breed([Operator.SET_VALUES], [0], values=values)
        genome = pool.brood_view(brood).genome(0)
        assert genome.weight.tolist() == values[0, :6].tolist()
        assert genome.bias.tolist() == [0.0, 0.0, 0.0, *values[0, 6:]]

    @pytest.mark.parametrize(
        "values", [None, np.zeros((1, 7)), np.zeros((2, 8)), np.zeros(8), np.full((1, 8), np.nan)]
    )
    def test_values_that_do_not_do_are_an_error_and_cost_no_block(self, values: Any) -> None:
        nursery = Nursery(GenomePool(ROOMY))
        pool = nursery.fill(1)
        before = snapshot(pool)
        with pytest.raises(GenomeError, match=r"plan\.values: child 0 has"):
            nursery.breed([Operator.SET_VALUES], [0], values=values)
        assert snapshot(pool) == before

    def test_immigrants_join_the_brood(self) -> None:
        nursery = Nursery(GenomePool(ROOMY))
        pool = nursery.fill(2)
        seed = seed_of(ROOMY)
        guest = changed(seed, weight=np.linspace(-1, 1, seed.n_connections))
        brood = nursery.breed([Operator.CLONE], [0], immigrants=[guest, seed])
        view = pool.brood_view(brood)
        assert view.origin.tolist() == [Origin.BRED, Origin.IMMIGRANT, Origin.IMMIGRANT]
        assert view.id.tolist() == [2, 3, 4]
        assert [view.genome(1), view.genome(2)] == [guest, seed]
        assert view.parent_a.tolist() == [0, -1, -1]
        pool.keep(np.array([3, 0]), None, {}, brood)
        assert pool.view().genome(0) == guest

    def test_an_immigrant_that_does_not_fit_is_an_error_and_costs_no_block(self) -> None:
        nursery = Nursery(GenomePool(CAPPED))
        pool = nursery.fill(2)
        before = snapshot(pool)
        large = seed_of(Layout(N_INPUTS, N_OUTPUTS + 1))
        with pytest.raises(GenomeError, match="3 inputs and 3 outputs"):
            nursery.breed([Operator.CLONE], [0], immigrants=[seed_of(CAPPED), large])
        assert snapshot(pool) == before


class TestKeep:
    @pytest.mark.parametrize(
        ("index", "columns", "role", "message"),
        [
            ([0, 7], {}, None, "survivors must be rows 0 to 6, came 7"),
            ([-1, 2], {}, None, "rows 0 to 6, came -1"),
            ([1, 5, 1], {}, None, "a row occurs twice"),
            ([0.0, 1.0], {}, None, "must be .n,. integers, came float64"),
            ([True, False], {}, None, "must be .n,. integers, came bool"),
            ([[0], [1]], {}, None, r"integers, came int64 of shape \(2, 1\)"),
            ([0, 1], {"fitness": [1.0, 2.0]}, None, "'fitness' is not a column of its own"),
            ([0, 1], {"agee": [1, 2]}, None, "'agee' is not a column"),
            ([0, 1], {"age": [1]}, None, r"'age' has values of shape \(1,\) for 2 survivors"),
            ([0, 1], {"age": 3}, None, r"shape \(\) for 2"),
            ([0, 1], {"age": [[1], [2]]}, None, r"shape \(2, 1\) for 2"),
            ([0, 1], {"species": [1.5, 2.5]}, None, "'species' is of int64, came float64"),
            ([0, 1], {"age": ["a", "b"]}, None, "'age' is of int32, came <U1"),
            ([0, 1], {}, [1], "'role' has values of shape"),
        ],
    )
    def test_nonsense_is_an_error_that_names_the_strategy_and_changes_nothing(
        self, index: Any, columns: Any, role: Any, message: str
    ) -> None:
        nursery = Nursery(GenomePool(ROOMY, {"age": np.int32}))
        pool = nursery.fill(4)
        brood = nursery.breed([Operator.CLONE] * 3, [0, 1, 2])
        before = snapshot(pool)
        with pytest.raises(PluginError, match=f"^mine: .*{message}"):
            pool.keep(index, role, columns, brood, "mine")
        assert snapshot(pool) == before
        assert len(brood) == 3
        pool.keep(np.array([6, 0]), None, {"age": [4, 2]}, brood)
        assert pool.view().age.tolist() == [4, 2]
        accounted(pool, brood, nursery.parameters.template)

    def test_a_strategys_columns_go_with_the_rows(self) -> None:
        nursery = Nursery(GenomePool(ROOMY, {"novelty": np.float64, "cell": np.int32}))
        pool = nursery.fill(3)
        first = nursery.breed([Operator.CLONE], [0])
        pool.keep(
            np.array([0, 1, 2]), None, {"novelty": [0.5, 1.5, 2.5], "species": [4, 5, 6]}, first
        )
        pool.keep(np.array([2, 3, 0]), None, {}, nursery.breed([Operator.CLONE], [1]))
        view = pool.view()
        assert view["novelty"].tolist() == [2.5, 0.0, 0.5]
        assert view.cell.dtype == np.int32
        assert view.species.tolist() == [6, -1, 4]

    def test_roles_are_kept_and_without_them_all_are_members(self) -> None:
        nursery = Nursery(GenomePool(ROOMY))
        pool = nursery.fill(3)
        roles = [Role.MEMBER, Role.REPRESENTATIVE, Role.MEMBER | Role.HALL_OF_FAME]
        pool.keep(np.arange(3), np.array(roles, np.uint8), {}, nursery.breed([1], [0]))
        assert pool.view().members.tolist() == [0, 2]
        pool.keep(np.arange(3), None, {}, nursery.breed([1], [0]))
        assert pool.view().members.tolist() == [0, 1, 2]

    @pytest.mark.parametrize("name", ["fitness", "descriptor", "block", "n_nodes", "genome"])
    def test_a_strategy_cannot_have_a_column_of_the_cores(self, name: str) -> None:
        with pytest.raises(PluginError, match=f"'{name}'.* rename"):
            GenomePool(ROOMY, {name: np.float64})


class TestViews:
    @pytest.mark.parametrize("dtype", [np.complex128, "U3", object])
    def test_a_strategys_column_is_of_plain_numbers(self, dtype: Any) -> None:
        with pytest.raises(
            PluginError, match=r"column 'mine' is of .*: expected a number of at most 8 bytes"
        ):
            GenomePool(ROOMY, {"mine": dtype})

    def test_columns_are_read_only_and_what_is_not_there_is_said(self) -> None:
        nursery = Nursery(GenomePool(ROOMY, n_descriptor=2, n_objectives=3))
        view = nursery.fill(4).view()
        with pytest.raises(ValueError, match="read-only"):
            view.fitness[0] = 1.0
        with pytest.raises(PluginError, match=r"no column 'novelty'; there are block, descriptor,"):
            view["novelty"]
        with pytest.raises(AttributeError, match="novelty"):
            _ = view.novelty
        assert len(view) == 4
        assert view.descriptor.shape == (4, 2)
        assert view.objectives.shape == (4, 3)
        assert view.n_nodes.tolist() == [5] * 4
        assert view.n_connections.tolist() == [6] * 4

    def test_distances_are_those_of_each_pair(self) -> None:
        nursery = Nursery(GenomePool(ROOMY))
        pool = nursery.fill(4)
        brood = nursery.breed([Operator.CLONE] * 2, [3, 0])
        view, children = pool.view(), pool.brood_view(brood)
        c = DistanceCoefficients(1.0, 0.4, 20)
        found = view.distances(np.array([0, 3, 1]), children, np.array([0, 1]), c)
        assert found.shape == (3, 2)
        assert found[1, 0] == found[0, 1] == 0.0
        assert found[2, 0] == view.distances(np.array([1]), view, np.array([3]), c)[0, 0] > 0.0


def test_a_genome_read_from_the_pool_is_a_copy() -> None:
    nursery = Nursery(GenomePool(ROOMY))
    pool = nursery.fill(1)
    block = int(pool.rows["block"][0])
    genome: Genome = pool.genome(block)
    weights = genome.weight.tolist()
    pool.genes.weight[block] = 99.0
    assert genome.weight.tolist() == weights
    index: Int = genome.source
    with pytest.raises(ValueError, match="read-only"):
        index[0] = 1
