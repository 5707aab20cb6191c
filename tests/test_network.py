"""Networks by hand: what `activate` computes, takes and remembers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from genomes import PROPERTY, random_genome
from hypothesis import given
from hypothesis import strategies as st
from pools import N_INPUTS, N_OUTPUTS, as_genome, changed, core_genomes, plain_genome, seed_of
from reference import State, live_nodes, outputs, tick
from test_genome import sample
from toys import HALF, SHIFTED

from tweann.errors import ConfigError, GenomeError
from tweann.genes import ACTIVATIONS, Float
from tweann.genome import Genome
from tweann.layout import Layout
from tweann.network import Network, NetworkSlice

#: Where a rounding error cannot grow into another value: no jumps, no poles.
SMOOTH = ("tanh", "sigmoid", "identity", "relu", "softsign", "sin", "gaussian", "clamped", "hat")
STEADY = ("sum", "mean", "product", "min", "max", "median", "difference")
ROWS = st.lists(
    st.lists(st.floats(-3.0, 3.0), min_size=N_INPUTS, max_size=N_INPUTS), min_size=1, max_size=4
)


def twins_outputs(genome: Genome, rows: list[list[float]]) -> list[list[float]]:
    """Return what the slow twin gives for one row after the other."""
    plain, state, found = plain_genome(genome), State(), []
    for row in rows:
        tick(plain, state, row, live_nodes(plain))
        found.append(outputs(state, N_OUTPUTS))
    return found


class TestActivate:
    @PROPERTY
    @given(core_genomes(activations=SMOOTH, aggregations=STEADY), ROWS)
    def test_it_is_the_twins_tick_after_tick(self, genome: Genome, rows: list[list[float]]) -> None:
        network = genome.network()
        found = [network.activate(row).tolist() for row in rows]
        for mine, twins in zip(found, twins_outputs(genome, rows), strict=True):
            assert mine == pytest.approx(twins, rel=1e-9, abs=1e-9)

    @pytest.mark.parametrize("aggregations", [("sum",), ("sum", "max_abs", "difference")])
    def test_it_is_the_twins_for_a_larger_network_with_memory(
        self, aggregations: tuple[str, ...]
    ) -> None:
        plain = random_genome(3, 20, 90, activations=SMOOTH, aggregations=aggregations)
        genome = as_genome(plain)
        network = genome.network()
        assert network.recurrent
        rows = np.random.default_rng(1).normal(size=(6, N_INPUTS)).tolist()
        found = [network.activate(row).tolist() for row in rows]
        for mine, twins in zip(found, twins_outputs(genome, rows), strict=True):
            assert mine == pytest.approx(twins, rel=1e-7, abs=1e-7)

    @pytest.mark.parametrize(
        "inputs",
        [
            (1.0, 2.0, -1.0),
            np.array([1, 2, -1]),
            np.array([1.0, 2.0, -1.0], np.float32),
            np.array([[1.0, 9.0], [2.0, 9.0], [-1.0, 9.0]])[:, 0],
            np.array([1.0, 2.0, -1.0], ">f8"),
        ],
    )
    def test_whatever_holds_three_numbers_will_do(self, inputs: Any) -> None:
        expected = sample().network().activate([1.0, 2.0, -1.0])
        assert sample().network().activate(inputs).tolist() == expected.tolist()

    @pytest.mark.parametrize("genome", [sample(), seed_of(Layout(3, 2))])
    def test_an_input_that_is_not_finite_counts_as_0(self, genome: Genome) -> None:
        clean = genome.network().activate([0.0, 1.0, 0.0])
        given_ = np.array([np.nan, 1.0, -np.inf])
        assert genome.network().activate(given_).tolist() == clean.tolist()
        assert np.isnan(given_[0])  # what was handed in is left alone
        rows = genome.network().activate_rows([given_, given_])
        assert rows.tolist() == [clean.tolist()] * 2

    @pytest.mark.parametrize(
        ("inputs", "message"),
        [
            ([1.0, 2.0], r"has 3 inputs: expected shape \(3,\), came \(2,\)"),
            (np.zeros((1, 3)), r"expected shape \(3,\), came \(1, 3\)"),
            (1.0, r"came \(\)"),
            (["a", "b", "c"], "expected numbers, came list: could not convert"),
            ([1.0, [2.0], 3.0], "expected numbers, came list"),
            (None, "came"),
        ],
    )
    def test_other_things_are_an_error(self, inputs: Any, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            sample().network().activate(inputs)

    def test_the_outputs_are_the_callers(self) -> None:
        network = sample().network()
        first = network.activate([1.0, 0.0, 0.0])
        kept = first.tolist()
        first[:] = 99.0
        network.activate([0.0, 1.0, 0.0])
        network.reset()
        assert network.activate([1.0, 0.0, 0.0]).tolist() == kept


class TestState:
    @PROPERTY
    @given(core_genomes(), ROWS)
    def test_after_a_reset_it_is_as_new(self, genome: Genome, rows: list[list[float]]) -> None:
        network = genome.network()
        first = [network.activate(row).tolist() for row in rows]
        network.reset()
        assert not network.state.any()
        assert [network.activate(row).tolist() for row in rows] == first

    def test_a_state_put_back_goes_on_from_there(self) -> None:
        plain = random_genome(4, 10, 50, aggregations=("sum", "difference"))
        network = as_genome(plain).network()
        network.activate([1.0, -1.0, 0.5])
        state = network.state
        later = network.activate([0.3, 0.2, 0.1]).tolist()
        assert network.activate([0.3, 0.2, 0.1]).tolist() != later  # it has a memory
        network.state = state
        assert network.activate([0.3, 0.2, 0.1]).tolist() == later
        state[:] = 0.0
        assert network.state.any()  # what was handed out is a copy

    @pytest.mark.parametrize(
        ("state", "message"),
        [
            ([0.0], r"expected a state of shape \(\d+,\), came \(1,\)"),
            ("abc", "expected numbers"),
            (np.inf, "came"),
        ],
    )
    def test_another_state_is_an_error(self, state: Any, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            sample().network().state = state

    def test_a_state_has_to_be_finite(self) -> None:
        network = sample().network()
        with pytest.raises(ConfigError, match="a state of finite numbers"):
            network.state = np.full(network.state.size, np.nan)
        assert not network.state.any()


class TestRows:
    @PROPERTY
    @given(core_genomes(), ROWS, st.integers(1, 3))
    def test_they_are_row_by_row_what_activate_gives_to_the_bit(
        self, genome: Genome, rows: list[list[float]], ticks: int
    ) -> None:
        network = genome.network()
        expected = []
        for row in rows:
            network.reset()
            for _ in range(ticks):
                last = network.activate(row)
            expected.append(last.tobytes())
        before = network.state
        found = network.activate_rows(rows, ticks)
        assert [row.tobytes() for row in found] == expected
        assert network.state.tobytes() == before.tobytes()

    @pytest.mark.parametrize("n", [0, 1, 127, 128, 129, 300])
    def test_any_number_of_rows_will_do(self, n: int) -> None:
        network = as_genome(random_genome(5, 12, 60)).network()
        rows = np.random.default_rng(n).normal(size=(n, N_INPUTS))
        found = network.activate_rows(rows, ticks=2)
        assert found.shape == (n, N_OUTPUTS)
        for k in range(0, n, 50):
            network.reset()
            network.activate(rows[k])
            assert found[k].tobytes() == network.activate(rows[k]).tobytes()

    @pytest.mark.parametrize(
        ("rows", "ticks", "message"),
        [
            (np.zeros((4, 2)), 1, r"expected rows of shape \(n, 3\), came \(4, 2\)"),
            ([1.0, 2.0, 3.0], 1, r"came \(3,\)"),
            ("abc", 1, "expected numbers"),
            (np.zeros((4, 3)), 0, "expected ticks to be 1 or more, came 0"),
        ],
    )
    def test_other_shapes_are_an_error(self, rows: Any, ticks: int, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            sample().network().activate_rows(rows, ticks)


class TestLooks:
    def test_a_network_says_what_it_is(self) -> None:
        assert repr(sample().network()) == (
            "Network(3 inputs, 2 outputs, 3 nodes, 4 connections, recurrent, sigmoid/sin/tanh, max/sum)"
        )
        network = seed_of(Layout(2, 1)).network()
        assert repr(network) == (
            "Network(2 inputs, 1 outputs, 1 nodes, 2 connections, feed-forward, tanh)"
        )
        assert not network.recurrent

    def test_what_does_not_matter_is_not_there(self) -> None:
        genome = sample()
        dead = changed(genome, enabled=np.array([True, True, True, False, False]))
        assert dead.network().n_nodes == 2  # the hidden node leads nowhere now
        assert dead.network().n_connections == 1


class TestPluginsActivations:
    CUSTOM = Layout(
        N_INPUTS,
        N_OUTPUTS,
        recurrent=True,
        activations=(*ACTIVATIONS, "half", "shifted"),
        custom=np.array([HALF.address, SHIFTED.address], np.uint64),
    )

    def outputs(self, names: tuple[str, str], layout: Layout) -> Float:
        genome = seed_of(Layout(N_INPUTS, N_OUTPUTS))
        weights = np.array([1.0, 2.0, 3.0, 1.0, 2.0, 3.0])
        genome = changed(genome, activation=("identity",) * 3 + names, weight=weights)
        return genome.network(layout).activate([1.0, 1.0, 1.0])

    def test_they_are_called_through_their_pointers(self) -> None:
        assert self.outputs(("half", "shifted"), self.CUSTOM).tolist() == [3.0, 7.0]
        assert self.outputs(("shifted", "identity"), self.CUSTOM).tolist() == [7.0, 6.0]

    def test_in_lanes_too(self) -> None:
        genome = seed_of(Layout(N_INPUTS, N_OUTPUTS))
        genome = changed(
            genome, activation=("identity",) * 3 + ("half", "shifted"), weight=np.ones(6)
        )
        rows = genome.network(self.CUSTOM).activate_rows([[1.0, 1.0, 2.0], [0.0, 0.0, 0.0]])
        assert rows.tolist() == [[2.0, 5.0], [0.0, 1.0]]

    def test_without_a_layout_that_knows_them_it_is_an_error(self) -> None:
        with pytest.raises(GenomeError, match="unknown activation 'half': known are tanh"):
            self.outputs(("half", "tanh"), Layout(N_INPUTS, N_OUTPUTS))


class TestSlices:
    def test_a_slice_is_its_networks_in_order(self) -> None:
        layout = Layout(N_INPUTS, N_OUTPUTS, recurrent=True)
        one = sample().as_slice(layout)
        assert isinstance(one, NetworkSlice)
        assert len(one) == 1
        assert [type(network) for network in one] == [Network]
        for k in (-1, 1):
            with pytest.raises(IndexError, match=f"network {k} of a slice of 1"):
                one[k]

    def test_networks_of_one_slice_do_not_share_a_state(self) -> None:
        one = sample().as_slice(Layout(N_INPUTS, N_OUTPUTS, recurrent=True))
        a, b = one[0], one[0]
        a.activate([1.0, 1.0, 1.0])
        assert not b.state.any()
