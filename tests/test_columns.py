"""Optional columns: names outside the process, ranges on reading, and what they mean for identity."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import numpy as np
import pytest
from pools import changed
from test_genome import sample

from tweann.codec import decode, encode
from tweann.columns import DEFAULTS
from tweann.errors import FormatError, GenomeError
from tweann.genes import (
    CODED_COLUMNS,
    COLUMN_GROUPS,
    COLUMN_LAWS,
    DYNAMICS,
    MUTATIONS,
    PLASTICITY_RULES,
)
from tweann.genome import Genome, check_fits, read_block
from tweann.kernels.mutation import MutationOperator
from tweann.layout import Layout

PUBLISHED = "ea36f69295095a4430ca8de47d9a763175194732cbf8fed3a52f623a458a9913"
ALL = tuple(COLUMN_GROUPS)
#: Of the sample: inputs 0 and 1, a hidden node, two outputs; five connections.
HIDDEN, OUTPUT = 2, 3


def defaults() -> dict[str, Any]:
    """Return every optional column with its default throughout."""
    n, c = sample().n_nodes, sample().n_connections
    return {
        "node_extra": {k: np.full(n, v) for g in COLUMN_GROUPS.values() for k, v in g.node},
        "connection_extra": {
            k: np.full(c, v) for g in COLUMN_GROUPS.values() for k, v in g.connection
        },
        "genome_extra": {k: v for g in COLUMN_GROUPS.values() for k, v in g.genome},
    }


def rich(**values: tuple[int, float]) -> Genome:
    """Return the sample with all columns, some of them with a value at a position."""
    columns = defaults()
    for name, (position, value) in values.items():
        kind = "node_extra" if name in columns["node_extra"] else "connection_extra"
        columns[kind][name][position] = value
    return changed(sample(), **columns)


#: One of everything: a ctrnn node, a plastic connection, a modulatory node, mutation of its own.
FULL = {
    "dynamics": (HIDDEN, float(DYNAMICS.index("ctrnn"))),
    "tau": (HIDDEN, 2.5),
    "modulatory": (HIDDEN, 1.0),
    "rule": (3, float(PLASTICITY_RULES.index("abcd"))),
    "learning_rate": (3, -0.5),
    "coefficient_a": (3, 0.75),
}


def full() -> Genome:
    genome = rich(**FULL)
    return changed(genome, genome_extra={**genome.genome_extra, "power_factor": 2.0})


def test_the_names_of_mutations_are_the_operators() -> None:
    assert tuple(operator.name.lower() for operator in MutationOperator) == MUTATIONS


def test_every_law_is_of_a_column_and_holds_its_default() -> None:
    kinds = {*DYNAMICS, *PLASTICITY_RULES}
    for name, law in COLUMN_LAWS.items():
        assert name in DEFAULTS
        assert {*law.of} <= kinds
        assert law.operator in MUTATIONS
        assert law.low <= law.first_low <= law.first_high <= law.high
        assert law.kind != "factor" or law.low > 0.0
        if name != "learning_rate":
            assert law.low <= DEFAULTS[name] <= law.high


class TestIdentity:
    def test_columns_of_defaults_and_none_have_one_id(self) -> None:
        assert rich().genome_id == sample().genome_id
        assert rich() == sample()

    def test_the_id_of_a_static_genome_is_that_of_the_published_format(self) -> None:
        """Computed before there were column groups: an id is for ever."""
        assert sample().genome_id == PUBLISHED

    @pytest.mark.parametrize(
        "name", [n for n in DEFAULTS if n not in COLUMN_GROUPS["births"].node[0]]
    )
    def test_every_column_counts_but_births_and_what_steers_variation(self, name: str) -> None:
        if name in rich().genome_extra:
            genome = changed(sample(), genome_extra={name: 2.0})
            assert genome == sample()
            return
        code = name in CODED_COLUMNS or name == "modulatory"
        genome = rich(**{name: (HIDDEN, 1.0 if code else DEFAULTS[name] + 0.125)})
        assert genome != sample()

    def test_births_do_not_count(self) -> None:
        assert rich(birth=(HIDDEN, 7.0)) == sample()

    def test_a_missing_column_counts_as_its_default(self) -> None:
        genome = full()
        less = {k: v for k, v in genome.connection_extra.items() if not k.startswith("stdp")}
        assert changed(genome, connection_extra=less) == genome
        without = {k: v for k, v in genome.connection_extra.items() if k != "learning_rate"}
        assert changed(genome, connection_extra=without) != genome

    def test_minus_nought_is_nought(self) -> None:
        rate = rich(learning_rate=(0, 0.5), coefficient_a=(1, 0.0))
        assert rich(learning_rate=(0, 0.5), coefficient_a=(1, -0.0)) == rate


class TestFiles:
    def test_names_are_written_and_read(self) -> None:
        genome = full()
        data = json.loads(json.dumps(genome.to_dict()))
        assert data["nodes"][HIDDEN]["dynamics"] == "ctrnn"
        assert data["connections"][3]["rule"] == "abcd"
        assert data["genome"]["power_factor"] == 2.0
        back = Genome.from_dict(data)
        assert back.to_dict() == genome.to_dict()

    def test_the_codec_writes_names(self) -> None:
        genome = full()
        message = msgpack.unpackb(encode(genome))
        assert {"ctrnn", "static", "abcd", "none"} <= {*message["names"]}
        assert len(message["node_extra"]["dynamics"]) == 2 * genome.n_nodes
        back = decode(encode(genome), Layout(3, 2, recurrent=True, groups=ALL))
        assert back.to_dict() == genome.to_dict()
        assert encode(back) == encode(genome)

    def test_a_genome_without_columns_is_written_as_before(self) -> None:
        assert "genome_extra" not in msgpack.unpackb(encode(sample()))
        assert "genome" not in sample().to_dict()

    def test_an_unknown_name_is_an_error_that_lists_the_known_ones(self) -> None:
        data = full().to_dict()
        data["nodes"][HIDDEN]["dynamics"] = "ctrn"
        with pytest.raises(
            GenomeError, match=r"unknown dynamics 'ctrn', did you mean 'ctrnn'.*static, delay"
        ):
            Genome.from_dict(data)
        data["nodes"][HIDDEN]["dynamics"] = 3
        with pytest.raises(GenomeError, match="unknown dynamics 3"):
            Genome.from_dict(data)
        message = msgpack.unpackb(encode(full()))
        message["names"][message["names"].index("abcd")] = "abce"
        with pytest.raises(FormatError, match=r"unknown rule 'abce'.*known are none, hebbian"):
            decode(msgpack.packb(message))

    @pytest.mark.parametrize("value", [b"", 1, "x", None])
    def test_a_value_of_the_whole_genome_must_be_a_number(self, value: Any) -> None:
        message = msgpack.unpackb(encode(full()))
        message["genome_extra"]["power_factor"] = value
        with pytest.raises(FormatError, match="power_factor must be a number"):
            decode(msgpack.packb(message))

    def test_the_largest_genome_with_all_columns_is_within_the_limit_of_size(self) -> None:
        genome = full()
        layout = Layout(
            3, 2, max_nodes=genome.n_nodes, max_connections=5, recurrent=True, groups=ALL
        )
        assert decode(encode(genome), layout) == genome

    def test_columns_survive_the_table(self) -> None:
        layout = Layout(3, 2, recurrent=True, groups=ALL)
        genome = full()
        assert read_block(genome.genes(layout), 0, layout).to_dict() == genome.to_dict()
        assert read_block(sample().genes(layout), 0, layout).to_dict() == rich().to_dict()
        own = genome.layout()
        assert own.groups == ALL
        assert read_block(genome.genes(own), 0, own) == genome


def code(name: str) -> float:
    return float((DYNAMICS if name in DYNAMICS else PLASTICITY_RULES).index(name))


class TestRanges:
    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ({"dynamics": (HIDDEN, 7.0)}, r"dynamics 7 is no code: expected 0 to 6 \(static"),
            ({"dynamics": (HIDDEN, 0.5)}, "dynamics 0.5 is no code"),
            ({"rule": (0, -1.0)}, "rule -1 is no code"),
            ({"modulatory": (HIDDEN, 0.5)}, "modulatory must be 0 or 1"),
            ({"dynamics": (0, 1.0)}, "the dynamics of an input must be 'static'"),
            (
                {"dynamics": (HIDDEN, code("leaky")), "tau": (HIDDEN, 0.0)},
                "tau of dynamics 'leaky' is 0, expected more than 0",
            ),
            (
                {"dynamics": (HIDDEN, code("cfc")), "bound": (HIDDEN, -1.0)},
                "bound of dynamics 'cfc' is -1, expected 0.1 to 10",
            ),
            (
                {"dynamics": (HIDDEN, code("ltc")), "bound": (HIDDEN, -10.5)},
                r"bound of dynamics 'ltc' is 10.5, expected 0.1 to 10 \(or minus that\)",
            ),
            (
                {"dynamics": (HIDDEN, code("cfc")), "time_bias": (HIDDEN, 10.5)},
                "time_bias of dynamics 'cfc' is 10.5, expected -10 to 10",
            ),
            (
                {"dynamics": (HIDDEN, code("izhikevich")), "izhikevich_a": (HIDDEN, 0.2)},
                "izhikevich_a of dynamics 'izhikevich' is 0.2, expected 0.01 to 0.15",
            ),
            (
                {"rule": (0, code("hebbian")), "decay": (0, 1.5)},
                "decay of rule 'hebbian' is 1.5, expected 0 to 1",
            ),
        ],
    )
    def test_what_a_column_must_not_hold_is_named(self, values: Any, message: str) -> None:
        with pytest.raises(GenomeError, match=message):
            rich(**values)

    def test_a_liquid_nodes_bound_may_be_negative(self) -> None:
        rich(dynamics=(HIDDEN, code("ltc")), bound=(HIDDEN, -10.0))

    def test_factors_of_self_adaptation_have_a_range(self) -> None:
        with pytest.raises(
            GenomeError, match=r"power_factor must lie between 0\.01 and 100, came 0"
        ):
            changed(sample(), genome_extra={"power_factor": 0.0})

    def test_a_genome_fits_no_run_that_lacks_columns_it_needs(self) -> None:
        plain, timed = (
            Layout(3, 2, recurrent=True),
            Layout(3, 2, recurrent=True, groups=("dynamics",)),
        )
        check_fits(rich(), plain)
        check_fits(changed(sample(), genome_extra={"power_factor": 2.0}), plain)
        with pytest.raises(
            GenomeError, match="needs the columns of dynamics, plasticity, which this run"
        ):
            check_fits(full(), plain)
        with pytest.raises(GenomeError, match="needs the columns of plasticity, which"):
            check_fits(full(), timed)
        check_fits(full(), Layout(3, 2, recurrent=True, groups=("dynamics", "plasticity")))

    @pytest.mark.parametrize("tau", [0.0009, 10.5])
    def test_time_constants_are_counted_in_steps_of_the_task(self, tau: float) -> None:
        genome = rich(dynamics=(HIDDEN, code("leaky")), tau=(HIDDEN, tau))
        layout = Layout(3, 2, recurrent=True, groups=ALL, dt=0.1)
        with pytest.raises(
            GenomeError, match=r"expected 0.001 to 10: 0.01 to 100 of the task's time step, 0.1"
        ):
            check_fits(genome, layout)
        for least in (0.001, 10.0):
            check_fits(rich(dynamics=(HIDDEN, code("leaky")), tau=(HIDDEN, least)), layout)
        check_fits(rich(tau=(HIDDEN, tau)), layout)  # a static node does not read it
