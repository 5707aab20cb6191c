"""Genomes as people see them: rules, identity, and the readable form."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import assume, given
from hypothesis import strategies as st
from pools import N_INPUTS, N_OUTPUTS, as_genome, changed, core_genomes, seed_of, with_births
from reference import FIRST_HIDDEN, FIRST_OUTPUT, Connection, Node
from reference import Genome as PlainGenome

from tweann.errors import ConfigError, GenomeError
from tweann.genes import ACTIVATIONS, MAX_CONNECTIONS, MAX_NODES, Genes
from tweann.genome import Genome, check_fits, read_block, write_block
from tweann.layout import Layout

HIDDEN = 1 << 50
LAYOUT = Layout(N_INPUTS, N_OUTPUTS, recurrent=True)


def sample() -> Genome:
    """Return inputs 0 and 1, a hidden node that loops, two outputs, five connections, one disabled."""
    plain = PlainGenome(
        [
            *(Node(0), Node(1), Node(HIDDEN, "sin", "max", 0.25)),
            *(Node(FIRST_OUTPUT, "sigmoid", "sum", -1.0), Node(FIRST_OUTPUT + 1)),
        ],
        [
            Connection(0, HIDDEN, 0.5),
            Connection(HIDDEN, HIDDEN, -2.0),
            Connection(1, FIRST_OUTPUT, 1.5, enabled=False),
            Connection(HIDDEN, FIRST_OUTPUT, 3.0),
            Connection(FIRST_OUTPUT + 1, FIRST_OUTPUT + 1, 0.125),
        ],
    )
    return as_genome(plain)


def replaced(name: str, position: int, value: Any) -> Genome:
    """Return the sample with one entry of a column changed."""
    column = getattr(sample(), name)
    if isinstance(column, tuple):
        entries = list(column)
        entries[position] = value
        return changed(sample(), **{name: tuple(entries)})
    column = column.copy()
    column[position] = value
    return changed(sample(), **{name: column})


class TestRules:
    def test_the_sample_breaks_none(self) -> None:
        genome = sample()
        assert (genome.n_nodes, genome.n_connections, genome.n_hidden) == (5, 5, 1)
        assert genome.recurrent

    @pytest.mark.parametrize(
        ("name", "position", "value", "message"),
        [
            ("node_id", 1, 0, "node ids must be non-negative and ascending, each once"),
            ("node_id", 0, -1, "node ids must be non-negative and ascending"),
            ("node_id", 3, 5, "ascending"),
            ("node_id", 1, 3, "node 3 is an input or output beyond the 3 inputs and 2 outputs"),
            (
                "node_id",
                4,
                FIRST_OUTPUT + 2,
                f"node {FIRST_OUTPUT + 2} is an input or output beyond",
            ),
            ("activation", 2, "no name", "activation 'no name' is no name"),
            ("activation", 2, "", "activation '' is no name"),
            ("activation", 2, "a" * 65, "is no name: expected up to 64 letters"),
            ("activation", 2, "a\nb", "is no name"),
            ("aggregation", 2, "total", "unknown aggregation 'total': known are sum, product"),
            ("activation", 0, "tanh", "input 0 has activation 'tanh'"),
            ("aggregation", 1, "max", "input 1 has .* aggregation 'max'"),
            ("bias", 1, 0.5, "input 1 has .* bias 0.5: an input's are 'identity', 'sum' and 0"),
            ("bias", 2, np.nan, "bias 2 is not a finite number"),
            ("weight", 4, np.inf, "weight 4 is not a finite number"),
            ("source", 1, 0, r"connections must be sorted by \(target, source\), each pair once"),
            ("source", 3, 0, "must be sorted"),
            ("target", 0, FIRST_OUTPUT, "must be sorted"),
            ("source", 0, 2, "source 2 is not a node of the genome"),
            ("target", 0, FIRST_HIDDEN, f"target {FIRST_HIDDEN} is not a node of the genome"),
            ("target", 0, 1, "an input is the target of a connection"),
            ("source", 4, FIRST_OUTPUT, "a forward connection leads from an output to an output"),
        ],
    )
    def test_each_broken_rule_is_named(
        self, name: str, position: int, value: Any, message: str
    ) -> None:
        with pytest.raises(GenomeError, match=message):
            replaced(name, position, value)

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"n_outputs": 0}, "3 inputs and 0 outputs: expected"),
            ({"n_inputs": -1}, "-1 inputs and 2 outputs"),
            ({"n_inputs": MAX_NODES}, "at most 65535 together"),
            ({"bias": np.zeros(4)}, r"node columns of different lengths: \[4, 5\]"),
            ({"activation": ("identity",) * 3}, r"node columns of different lengths: \[3, 5\]"),
            ({"node_extra": {"birth": np.zeros(6)}}, r"node columns .* \[5, 6\]"),
            ({"weight": np.zeros(6)}, r"connection columns of different lengths: \[5, 6\]"),
            ({"connection_extra": {"rate": np.zeros(1)}}, r"connection columns .* \[1, 5\]"),
            ({"node_extra": {"birth": np.full(5, np.nan)}}, "birth 0 is not a finite number"),
            ({"connection_extra": {"rate": np.full(5, -np.inf)}}, "rate 0 is not a finite number"),
            ({"node_extra": {"bias": np.zeros(5)}}, "'bias' cannot be the name of an optional"),
            ({"connection_extra": {"a b": np.zeros(5)}}, "'a b' cannot be the name"),
            ({"node_id": np.zeros(5)}, r"node_id must be a \(n,\) array of int64, came float64"),
            ({"weight": np.zeros((5, 1))}, r"weight must be .*, came float64 of shape \(5, 1\)"),
            ({"enabled": [True] * 5}, r"enabled must be a \(n,\) array of bool, came list"),
        ],
    )
    def test_columns_that_do_not_go_together_are_named(
        self, columns: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(GenomeError, match=message):
            changed(sample(), **columns)

    def test_hard_limits_hold(self) -> None:
        n, c = MAX_NODES + 1, MAX_CONNECTIONS + 1
        with pytest.raises(GenomeError, match="65536 nodes and 5 connections exceed 65535"):
            changed(sample(), node_id=np.arange(n))
        many = np.arange(c)
        with pytest.raises(GenomeError, match="5 nodes and 1000001 connections exceed"):
            changed(sample(), source=many, target=many)

    def test_nothing_but_outputs_is_a_genome(self) -> None:
        plain = PlainGenome([], [])
        assert as_genome(plain).n_nodes == 0
        assert as_genome(plain).network().activate([1.0, 2.0, 3.0]).tolist() == [0.0, 0.0]

    def test_the_callers_arrays_stay_the_callers(self) -> None:
        genome = sample()
        weight, births = np.arange(5.0), np.ones(5)
        other = changed(genome, weight=weight, node_extra={"birth": births})
        weight[0], births[0] = 99.0, 99.0
        assert other.weight[0] == 0.0
        assert other.node_extra["birth"][0] == 1.0
        for column in (other.weight, other.node_id, other.node_extra["birth"]):
            with pytest.raises(ValueError, match="read-only"):
                column[0] = 1

    @pytest.mark.parametrize(
        ("layout", "message"),
        [
            (Layout(3, 1, recurrent=True), "3 inputs and 2 outputs, the task 3 and 1"),
            (Layout(3, 2), "recurrent connections: set genome.recurrent = true"),
            (Layout(3, 2, max_nodes=5, max_connections=4, recurrent=True), "exceed the caps"),
            (Layout(3, 2, recurrent=True, activations=ACTIVATIONS[:3]), "unknown activation"),
        ],
    )
    def test_a_genome_that_does_not_fit_a_run_is_told_why(
        self, layout: Layout, message: str
    ) -> None:
        with pytest.raises(GenomeError, match=message):
            check_fits(sample(), layout)

    @pytest.mark.parametrize(
        ("sizes", "message"),
        [
            ({"n_outputs": 0}, "at least one output"),
            ({"max_nodes": 4}, "between 5 .inputs and outputs. and 65535, came 4"),
            ({"max_nodes": 65_536}, "came 65536"),
            ({"max_connections": -1}, "between 0 and 1000000, came -1"),
        ],
    )
    def test_a_layout_needs_sizes_that_make_sense(
        self, sizes: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message):
            Layout(**({"n_inputs": 3, "n_outputs": 2} | sizes))


class TestIdentity:
    def test_it_is_the_same_in_every_process_and_version(self) -> None:
        script = "import test_genome; print(test_genome.sample().genome_id)"
        folder = __file__.rpartition("/")[0]
        found = subprocess.run(
            [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True
        )
        # written down: runs and peers of other versions and machines know genomes by it
        known = "ea36f69295095a4430ca8de47d9a763175194732cbf8fed3a52f623a458a9913"
        assert found.stdout.strip() == sample().genome_id == known

    def test_minus_zero_is_zero(self) -> None:
        zero = replaced("weight", 0, 0.0)
        assert replaced("weight", 0, -0.0).genome_id == zero.genome_id
        assert replaced("bias", 3, -0.0).genome_id == replaced("bias", 3, 0.0).genome_id
        assert zero.genome_id != sample().genome_id

    def test_optional_columns_travel_outside_it(self) -> None:
        born = changed(sample(), node_extra={"birth": np.arange(5.0)})
        assert born.genome_id == with_births(sample()).genome_id == sample().genome_id
        assert born == sample()
        assert hash(born) == hash(sample())

    def test_names_count_not_the_codes_of_a_process(self) -> None:
        shuffled = Layout(N_INPUTS, N_OUTPUTS, recurrent=True, activations=ACTIVATIONS[::-1])
        genes: Genes = sample().genes(shuffled)
        assert genes.activation[0].tolist() != sample().genes(LAYOUT).activation[0].tolist()
        assert read_block(genes, 0, shuffled).genome_id == sample().genome_id

    @pytest.mark.parametrize(
        ("name", "position", "value"),
        [
            ("weight", 0, np.nextafter(0.5, 1.0)),
            ("bias", 3, np.nextafter(-1.0, 0.0)),
            ("enabled", 0, False),
            ("enabled", 2, True),
            ("activation", 2, "cos"),
            ("aggregation", 2, "min"),
            ("source", 0, 1),
            ("source", 4, HIDDEN),
        ],
    )
    def test_every_change_of_structure_or_values_changes_it(
        self, name: str, position: int, value: Any
    ) -> None:
        assert replaced(name, position, value).genome_id != sample().genome_id

    def test_a_node_more_or_less_changes_it(self) -> None:
        ends = [Node(0), Node(FIRST_OUTPUT)]
        nodes = [[], [Node(HIDDEN)], [Node(HIDDEN + 1)], [Node(HIDDEN), Node(HIDDEN + 1)]]
        plain = [PlainGenome(sorted(ends + some, key=lambda n: n.id)) for some in nodes]
        assert len({as_genome(genome).genome_id for genome in plain}) == 4

    def test_sizes_of_the_task_count(self) -> None:
        assert changed(sample(), n_inputs=4).genome_id != sample().genome_id

    @PROPERTY
    @given(st.data())
    def test_genomes_that_differ_have_different_ids(self, data: st.DataObject) -> None:
        a, b = data.draw(core_genomes()), data.draw(core_genomes())
        assume(a.to_dict()["nodes"] != b.to_dict()["nodes"])
        assert a.genome_id != b.genome_id
        assert a != b

    def test_a_genome_is_no_other_thing(self) -> None:
        assert sample() != sample().genome_id


class TestReadableForm:
    @PROPERTY
    @given(core_genomes())
    def test_it_comes_back_from_json_as_it_was(self, genome: Genome) -> None:
        text = json.dumps(genome.to_dict(), allow_nan=False)
        back = Genome.from_dict(json.loads(text))
        assert back.genome_id == genome.genome_id
        assert back.to_dict() == genome.to_dict()

    def test_optional_columns_come_along(self) -> None:
        born = changed(
            sample(),
            node_extra={"birth": np.arange(5.0)},
            connection_extra={"rate": np.linspace(0, 1, 5)},
        )
        back = Genome.from_dict(json.loads(json.dumps(born.to_dict())))
        assert back.node_extra["birth"].tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert back.connection_extra["rate"].tolist() == [0.0, 0.25, 0.5, 0.75, 1.0]

    def test_it_says_what_a_reader_wants_to_know(self) -> None:
        data = sample().to_dict()
        assert [node["kind"] for node in data["nodes"]] == ["input"] * 2 + ["hidden"] + [
            "output"
        ] * 2
        assert data["nodes"][2]["id"] == str(HIDDEN)
        assert 0 < data["nodes"][2]["depth"] < 1
        assert [link["recurrent"] for link in data["connections"]] == [
            False,
            True,
            False,
            False,
            True,
        ]
        assert data["connections"][2]["enabled"] is False
        assert data["genome_id"] == sample().genome_id

    def test_repr_says_it_in_short(self) -> None:
        name = sample().genome_id[:12]
        assert repr(sample()) == (
            f"Genome({name}: 3 inputs, 1 hidden, 2 outputs, 5 connections (1 disabled), recurrent)"
        )
        assert repr(seed_of(Layout(1, 1))).endswith("1 connections, feed-forward)")

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            (("format",), 2, "expected genome format 1 with hash 1, came 2 with 1"),
            (("hash",), None, "came 1 with None"),
            (("nodes",), None, "not a genome as Genome.to_dict makes it: TypeError"),
            (("nodes",), "abc", "not a genome"),
            (("nodes", 2), [1], "not a genome"),
            (("nodes", 2, "id"), 1.5, "expected an id, an integer as a string, came 1.5"),
            (("nodes", 2, "id"), str(2**63), "OverflowError"),
            (("nodes", 2, "id"), "x", "not a genome"),
            (("nodes", 2, "bias"), "nan", "bias 2 is not a finite number"),
            (("nodes", 2, "bias"), None, "not a genome"),
            (("nodes", 2, "taste"), 1.0, "KeyError: 'taste'"),
            (("n_inputs",), "many", "not a genome"),
            (("connections", 0, "enabled"), 1, "expected enabled to be true or false, came 1"),
            (("connections", 0, "source"), True, "expected an id"),
            (
                ("connections", 0, "weight"),
                0.75,
                "the genes were changed; remove the key genome_id",
            ),
            (("connections", 0, "weight"), [], "not a genome"),
        ],
    )
    def test_what_is_no_genome_is_told_apart(
        self, path: tuple[Any, ...], value: Any, message: str
    ) -> None:
        data = sample().to_dict()
        place: Any = data
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        with pytest.raises(GenomeError, match=message):
            Genome.from_dict(data)

    def test_changes_by_hand_are_taken_without_the_old_id(self) -> None:
        data = sample().to_dict()
        data["connections"][0]["weight"] = 0.75
        del data["genome_id"]
        assert Genome.from_dict(data).weight[0] == 0.75

    @pytest.mark.parametrize("key", ["format", "hash", "nodes", "connections", "n_inputs"])
    def test_a_missing_key_is_named(self, key: str) -> None:
        data = sample().to_dict()
        del data[key]
        with pytest.raises(GenomeError, match=f"KeyError: '{key}'"):
            Genome.from_dict(data)

    @pytest.mark.parametrize("data", [[], "text", 3, None])
    def test_what_is_no_table_is_no_genome(self, data: Any) -> None:
        with pytest.raises(GenomeError, match="not a genome"):
            Genome.from_dict(data)


class TestTable:
    @PROPERTY
    @given(core_genomes())
    def test_a_genome_written_to_a_block_is_read_again(self, genome: Genome) -> None:
        assert read_block(genome.genes(LAYOUT), 0, LAYOUT) == genome

    def test_optional_columns_are_the_layouts_and_absent_ones_get_their_defaults(self) -> None:
        layout = Layout(N_INPUTS, N_OUTPUTS, recurrent=True, groups=("births",))
        born = changed(sample(), node_extra={"birth": np.arange(5.0)})
        assert read_block(born.genes(layout), 0, layout).node_extra["birth"].tolist() == [
            0,
            1,
            2,
            3,
            4,
        ]
        assert (
            read_block(sample().genes(layout), 0, layout).node_extra["birth"].tolist() == [0.0] * 5
        )
        assert read_block(born.genes(LAYOUT), 0, LAYOUT).node_extra == {}

    def test_what_does_not_fit_is_not_written(self) -> None:
        genes = sample().genes(LAYOUT)
        with pytest.raises(GenomeError, match="the task 3 and 2"):
            write_block(genes, 0, seed_of(Layout(3, 1)), LAYOUT)
        assert read_block(genes, 0, LAYOUT) == sample()
