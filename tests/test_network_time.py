"""Networks with dynamics and plasticity by hand: states, rewards, what was learned, and what they say of themselves."""

from __future__ import annotations

import numpy as np
import pytest
import reference_time as twin
from genomes import PROPERTY
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import FIRST_OUTPUT, Connection, Genome, Node
from timed_genomes import (
    ALL_GROUPS,
    GENES,
    connection_extra,
    core_genome,
    node_extra,
    timed_genomes,
)

from tweann import genome as core
from tweann.errors import ConfigError
from tweann.genes import DYNAMICS, PLASTICITY_RULES
from tweann.layout import Layout
from tweann.network import Network
from tweann.tasks import TableTask, TaskInfo
from tweann.tasks.base import EvaluationKeys, output_scaling

ROWS = st.lists(st.lists(st.floats(-2.0, 2.0), min_size=3, max_size=3), min_size=1, max_size=5)
HIDDEN = 1 << 50
#: A spike could come a tick later by a rounding.
WITHOUT_SPIKES = GENES | {
    "dynamics": st.sampled_from(range(DYNAMICS.index("izhikevich"))).map(float),
    "rule": st.sampled_from(range(PLASTICITY_RULES.index("stdp"))).map(float),
}
#: Time constants that suit every time step here.
STEPPED = {**WITHOUT_SPIKES, "tau": st.floats(0.05, 8.0)}


def network_of(plain: Genome, dt: float = 1.0, weight_bound: float = np.inf) -> Network:
    """Return the network of a genome with all column groups, three inputs and two outputs."""
    genome = core_genome(plain, ALL_GROUPS, 3, 2)
    size = {"max_nodes": max(genome.n_nodes, 5), "max_connections": genome.n_connections}
    return genome.network(
        Layout(3, 2, recurrent=True, groups=ALL_GROUPS, dt=dt, weight_bound=weight_bound, **size)
    )


def sample(rule: str = "hebbian", **genes: float) -> Genome:
    """Return a plastic weight of 0.5 from input 0 to an ltc node, which leads on to output 0; output 1 lags."""
    plain = connection_extra(ALL_GROUPS)
    return Genome(
        [
            *(Node(i, extra=node_extra(ALL_GROUPS)) for i in (0, 1)),
            Node(2, extra=node_extra(ALL_GROUPS, modulatory=1.0)),
            Node(HIDDEN, extra=node_extra(ALL_GROUPS, dynamics="ltc", tau=2.0, bound=-3.0)),
            Node(FIRST_OUTPUT, "identity", extra=node_extra(ALL_GROUPS)),
            Node(FIRST_OUTPUT + 1, "sin", extra=node_extra(ALL_GROUPS, dynamics="ctrnn", tau=9.0)),
        ],
        [
            Connection(0, HIDDEN, 0.5, extra=connection_extra(ALL_GROUPS, rule=rule, **genes)),
            Connection(1, HIDDEN, 0.25, enabled=False, extra=plain),
            Connection(2, HIDDEN, 1.0, extra=plain),
            Connection(HIDDEN, HIDDEN, 0.1, extra=plain),
            Connection(HIDDEN, FIRST_OUTPUT, 2.0, extra=plain),
            Connection(1, FIRST_OUTPUT + 1, 1.0, extra=plain),
        ],
    )


class TestActivate:
    @settings(PROPERTY, max_examples=60)
    @given(
        timed_genomes(ALL_GROUPS, STEPPED, values=st.floats(-1.0, 1.0)),
        ROWS,
        st.sampled_from([0.1, 1.0]),
        st.floats(-1.0, 1.0),
    )
    def test_it_learns_with_the_reward_and_then_ticks_as_the_twin(
        self, plain: Genome, rows: list[list[float]], dt: float, reward: float
    ) -> None:
        """Whole lives."""
        network, genetics = network_of(plain, dt, 2.0), twin.Genetics(ALL_GROUPS)
        life = twin.birth(plain, genetics)
        for row in rows:
            twin.learn(plain, genetics, life, reward, 2.0)
            twin.tick(plain, genetics, life, row, dt)
            found = network.activate(row, reward)
            assert found.tolist() == pytest.approx(twin.outputs(life, 2), rel=1e-6, abs=1e-6)

    def test_without_a_reward_weights_stay(self) -> None:
        network = network_of(sample(learning_rate=0.5))
        for _ in range(3):
            network.activate([1.0, 1.0, 1.0], reward=None)
        assert network.weights.tolist() == network_of(sample()).weights.tolist()
        network.activate([1.0, 1.0, 1.0])
        assert network.weights[0] != 0.5

    def test_learning_at_once_is_learning_at_the_next_tick(self) -> None:
        one, other = (network_of(sample(learning_rate=0.5)) for _ in range(2))
        rows = np.random.default_rng(1).normal(size=(6, 3))
        for t, row in enumerate(rows):
            expected = one.activate(row, reward=float(t))
            if t > 0:
                other.learn(float(t))
            assert other.activate(row, reward=None).tobytes() == expected.tobytes()

    def test_the_time_step_and_the_bound_are_the_layouts(self) -> None:
        fine, coarse = (network_of(sample(), dt).activate([1.0, 1.0, 1.0]) for dt in (0.1, 1.0))
        assert np.abs(fine).max() < np.abs(coarse).max()
        network = network_of(sample("abcd", learning_rate=9.0, coefficient_d=1.0), 1.0, 0.75)
        for _ in range(3):
            network.activate([1.0, 1.0, 1.0])
        assert np.abs(network.weights[0]) == 0.75


class TestState:
    @settings(PROPERTY, max_examples=60)
    @given(timed_genomes(ALL_GROUPS), ROWS, ROWS)
    def test_a_state_put_back_goes_on_from_there(
        self, plain: Genome, rows: list[list[float]], more: list[list[float]]
    ) -> None:
        network = network_of(plain, weight_bound=3.0)
        for row in rows:
            network.activate(row, 0.5)
        state = network.state
        later = [network.activate(row, 0.5).tobytes() for row in more]
        other = network_of(plain, weight_bound=3.0)
        other.state = state
        assert [other.activate(row, 0.5).tobytes() for row in more] == later

    @settings(PROPERTY, max_examples=60)
    @given(timed_genomes(ALL_GROUPS), ROWS)
    def test_after_a_reset_it_is_as_new(self, plain: Genome, rows: list[list[float]]) -> None:
        network = network_of(plain, weight_bound=3.0)
        born = network.state.tobytes()
        first = [network.activate(row, 0.5).tobytes() for row in rows]
        network.reset()
        assert network.state.tobytes() == born
        assert [network.activate(row, 0.5).tobytes() for row in rows] == first

    def test_a_reset_may_keep_what_was_learned_and_nothing_else(self) -> None:
        network = network_of(sample("trace", learning_rate=0.5))
        for _ in range(4):
            network.activate([1.0, 2.0, 1.0])
        learned = network.weights
        assert learned[0] != 0.5
        network.reset(keep_weights=True)
        assert network.weights.tolist() == learned.tolist()
        kept = network.state
        network.reset()
        assert network.weights.tolist() == network_of(sample()).weights.tolist()
        network.weights = learned
        assert network.state.tobytes() == kept.tobytes()

    @settings(PROPERTY, max_examples=40)
    @given(timed_genomes(ALL_GROUPS), ROWS, st.integers(1, 3))
    def test_rows_are_what_activate_gives_to_the_bit(
        self, plain: Genome, rows: list[list[float]], ticks: int
    ) -> None:
        network = network_of(plain, weight_bound=3.0)
        expected = []
        for row in rows:
            network.reset()
            for _ in range(ticks):
                last = network.activate(row)
            expected.append(last.tobytes())
        before = network.state.tobytes()
        assert [row.tobytes() for row in network.activate_rows(rows, ticks)] == expected
        assert network.state.tobytes() == before


class TestWeights:
    def test_they_go_back_to_their_genes(self) -> None:
        """Edges from modulatory nodes come last, disabled genes have no edge."""
        network = network_of(sample("abcd", learning_rate=1.0, coefficient_d=0.25))
        assert network.connection_genes.tolist() == [0, 3, 2, 4, 5]
        network.activate([1.0, 1.0, 1.0])
        network.activate([1.0, 1.0, 1.0])
        genes = np.array([c.weight for c in sample().connections])
        learned = network.learned(genes)
        assert learned.tolist() == [0.75, 0.25, 1.0, 0.1, 2.0, 1.0]
        assert genes[0] == 0.5  # a copy

    @settings(PROPERTY, max_examples=40)
    @given(timed_genomes(ALL_GROUPS))
    def test_as_long_as_nothing_was_learned_they_are_the_genomes(self, plain: Genome) -> None:
        genes = np.array([c.weight for c in plain.connections])
        assert network_of(plain).learned(genes).tolist() == genes.tolist()

    @pytest.mark.parametrize("what", ["weights", "traces"])
    @pytest.mark.parametrize("values", [[1.0], [np.nan] * 5, np.zeros((5, 1))])
    def test_others_cannot_be_set(self, what: str, values: object) -> None:
        with pytest.raises(ConfigError, match=f"expected 5 finite {what}"):
            setattr(network_of(sample()), what, values)

    def test_they_cannot_be_set_where_none_is_plastic(self) -> None:
        with pytest.raises(ConfigError, match="only the weights of a plastic network"):
            network_of(sample("none")).weights = np.zeros(5)


class TestLooks:
    def test_a_network_says_what_it_is(self) -> None:
        assert repr(network_of(sample("oja"))) == (
            "Network(3 inputs, 2 outputs, 3 nodes, 5 connections, recurrent, identity/sin/tanh, "
            "ctrnn/ltc/static, plastic: oja)"
        )

    def test_it_describes_itself(self) -> None:
        assert network_of(sample("stdp")).describe() == {
            "n_inputs": 3,
            "n_outputs": 2,
            "n_hidden": 1,
            "n_connections": 5,
            "n_recurrent": 1,
            "n_modulatory": 1,
            "depth": 2,
            "activations": {"tanh": 1, "identity": 1, "sin": 1},
            "aggregations": {"sum": 3},
            "dynamics": {"static": 1, "ctrnn": 1, "ltc": 1},
            "rules": {"stdp": 1},
        }

    def test_a_plain_network_describes_itself_too(self) -> None:
        chain = [HIDDEN + i for i in range(3)]
        genome = Genome(
            [Node(0), *map(Node, chain), Node(FIRST_OUTPUT)],
            [Connection(s, t) for s, t in zip([0, *chain], [*chain, FIRST_OUTPUT], strict=True)]
            + [Connection(FIRST_OUTPUT, FIRST_OUTPUT)],
        )
        found = core_genome(genome, (), 1, 1).network().describe()
        assert (found["depth"], found["n_recurrent"], found["n_hidden"]) == (4, 1, 3)
        assert (found["dynamics"], found["rules"], found["n_modulatory"]) == ({"static": 4}, {}, 0)


def test_a_table_sees_the_network_that_activate_rows_sees() -> None:
    inputs = np.random.default_rng(3).normal(size=(7, 3))
    info = TaskInfo("rows", 1, "table", ("a", "b", "c"), ("x", "y"), ticks=3)
    task = TableTask(info, inputs, np.zeros((7, 2)), loss="mean_squared_error")
    genome = core_genome(sample(learning_rate=0.5), ALL_GROUPS, 3, 2)
    networks = genome.as_slice(genome.layout(), output_scaling(info, "tanh"))
    expected = genome.network().activate_rows(inputs, ticks=3)
    assert task.predictions(networks, "train").tobytes() == expected.tobytes()
    fitness = task.evaluate(networks, EvaluationKeys(1)).fitness[0]
    assert fitness == pytest.approx(-float((expected**2).mean()), rel=1e-12)


def test_a_genome_knows_which_groups_it_needs() -> None:
    genome = core_genome(sample(), ALL_GROUPS, 3, 2)
    assert isinstance(genome, core.Genome)
    assert genome.layout().groups == ALL_GROUPS
    assert genome.network().dynamic
    assert genome.network().plastic
