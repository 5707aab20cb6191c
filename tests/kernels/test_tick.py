"""The forward pass: ticks of single networks and of lanes against the twin."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import reference
from genomes import PROPERTY, Case, cases, decoded, genomes, pack, random_genome
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import FIRST_OUTPUT, Connection, Genome, Node, State

from tweann.genes import ACTIVATIONS, AGGREGATIONS, Float
from tweann.kernels.lanes import LANES, LaneState, lane_state, reset_lanes, tick_lanes
from tweann.kernels.network_batch import NetworkBatch
from tweann.kernels.tick import TickState, activate_sums, reset, tick, tick_state

NO_CUSTOM = np.zeros(0, np.uint64)
BOUNDED = ("tanh", "sigmoid", "steep_sigmoid", "sin", "cos", "gaussian", "softsign", "clamped")
INPUTS = st.floats(-10.0, 10.0) | st.sampled_from([0.0, 1.0, -1.0])
ROUGH = st.floats() | INPUTS
SMALL = st.floats(-1.0, 1.0)
WILD = st.sampled_from([1e150, -1e150, 1e-160, 1.0, -2.0]) | st.floats(-1e150, 1e150)

Rows = list[list[float]]


def rows(n_inputs: int, values: st.SearchStrategy[float], n: int = 5) -> st.SearchStrategy[Rows]:
    row = st.lists(values, min_size=n_inputs, max_size=n_inputs)
    return st.lists(row, min_size=1, max_size=n)


def batch_of(genomes: list[Genome], n_inputs: int, n_outputs: int) -> NetworkBatch:
    genes, blocks, _ = pack(genomes)
    return decoded(genes, blocks, n_inputs, n_outputs)


def rubbish_state(net: NetworkBatch) -> TickState:
    """Return a state for any network of a batch that `reset` has yet to clean."""
    slots = net.n_inputs + int(np.diff(net.node_start).max())
    edges = int(np.diff(net.edge_start).max())
    state = tick_state(slots, edges)
    for column in state:
        column.fill(np.nan)
    return state


def rubbish_lanes(net: NetworkBatch, lanes: int) -> LaneState:
    slots = net.n_inputs + int(np.diff(net.node_start).max())
    edges = int(np.diff(net.edge_start).max())
    state = lane_state(slots, edges, lanes)
    for column in state:
        column.fill(np.nan)
    return state


def run(net: NetworkBatch, k: int, inputs: Rows, state: TickState) -> list[tuple[bytes, bool]]:
    """Return the bytes of all values and the flag after each tick from the beginning of time."""
    reset(net, k, state)
    n = net.n_inputs + int(net.node_start[k + 1] - net.node_start[k])
    record = []
    for row in inputs:
        state.values[: net.n_inputs] = row
        spoilt = tick(net, k, state, NO_CUSTOM)
        record.append((state.values[:n].tobytes(), bool(spoilt)))
    return record


def kernel_outputs(net: NetworkBatch, inputs: Rows) -> list[list[float]]:
    """Return the outputs of network 0 after each tick."""
    first = net.n_inputs + int(net.node_start[1]) - net.n_outputs
    return [
        np.frombuffer(values)[first : first + net.n_outputs].tolist()
        for values, _ in run(net, 0, inputs, rubbish_state(net))
    ]


def twin_outputs(genome: Genome, inputs: Rows, n_outputs: int) -> list[list[float]]:
    """Return the outputs after each tick of all nodes, dead ones included."""
    state = State()
    result = []
    for row in inputs:
        reference.tick(genome, state, row)
        result.append(reference.outputs(state, n_outputs))
    return result


def size_of(products: list[float], bias: float, name: str) -> float:
    """Return a bound on what rounding can do to a node's input, in units of its precision."""
    if name == "product":
        return abs(reference.aggregate(name, products)) + abs(bias)
    return sum(abs(p) for p in products) + abs(bias)


@PROPERTY
@given(st.data())
def test_every_node_of_every_tick_is_the_twins(data: st.DataObject) -> None:
    """Each node is computed from the values that the kernel had there, so that nothing adds up.

    Near a jump or a pole a rounding decides; any value that the activation takes within 1e-12 of the input
    is right there.
    """
    genome, n_inputs, n_outputs = data.draw(cases(missing=True))
    inputs = data.draw(rows(n_inputs, INPUTS))
    net = batch_of([genome], n_inputs, n_outputs)
    slots = reference.decode(genome, n_inputs, n_outputs).slots
    state = rubbish_state(net)
    reset(net, 0, state)
    before: dict[int, float] = {}
    last: dict[tuple[int, int], float] = {}
    for row in inputs:
        state.values[:n_inputs] = row
        spoilt = tick(net, 0, state, NO_CUSTOM)
        now = {node: float(state.values[slot]) for node, slot in slots.items()}
        for node in genome.nodes:
            if node.id not in slots or reference.is_input(node.id):
                continue
            products = reference.delivered_products(genome, node, now, before, last)
            s = reference.aggregate(node.aggregation, products) + node.bias
            e = 1e-12 * size_of(products, node.bias, node.aggregation) + 1e-300
            f = reference.ACTIVATIONS[node.activation]
            near = [f(x) for x in (s - e, s, s + e)]
            finite = [v for v in near if math.isfinite(v)]
            if len(finite) < 3:
                assert spoilt or len(finite) > 0
                finite.append(0.0)
            slack = 1e-12 * max(1e-3, *(abs(v) for v in finite))
            assert min(finite) - slack <= now[node.id] <= max(finite) + slack
        before = now


@PROPERTY
@given(st.data())
def test_outputs_of_whole_trajectories_are_the_twins_dead_nodes_or_not(data: st.DataObject) -> None:
    """The twin prunes nothing, so pruning changes no output. Small weights keep roundings small."""
    genome, n_inputs, n_outputs = data.draw(
        cases(
            missing=True,
            activations=BOUNDED,
            aggregations=("sum", "mean", "product", "difference"),
            values=SMALL,
        )
    )
    inputs = data.draw(rows(n_inputs, SMALL, 4))
    got = kernel_outputs(batch_of([genome], n_inputs, n_outputs), inputs)
    for row, expected in zip(got, twin_outputs(genome, inputs, n_outputs), strict=True):
        assert row == pytest.approx(expected, rel=1e-12, abs=1e-12)


@PROPERTY
@given(genomes(missing=True), rows(3, ROUGH))
def test_pruning_changes_no_output_of_the_twin_bit_for_bit(genome: Genome, inputs: Rows) -> None:
    whole, pruned = State(), State()
    for row in inputs:
        reference.tick(genome, whole, row)
        reference.tick(genome, pruned, row, reference.live_nodes(genome))
        assert reference.outputs(whole, 2) == reference.outputs(pruned, 2)


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("n_hidden", [50, 300])
def test_large_networks_give_the_twins_outputs(n_hidden: int, recurrent: bool) -> None:
    genome = random_genome(4, n_hidden, 5 * n_hidden, recurrent=recurrent, activations=BOUNDED)
    for c in genome.connections:
        c.weight *= 0.3
    inputs = [[math.sin(3 * t + i) for i in range(3)] for t in range(4)]
    got = kernel_outputs(batch_of([genome], 3, 2), inputs)
    assert got == [pytest.approx(e, rel=1e-12, abs=1e-12) for e in twin_outputs(genome, inputs, 2)]


def test_a_recurrent_connection_reads_the_tick_before_and_zero_at_first() -> None:
    """An output that adds its own last value to the input: a running sum, and a link from a later
    node delays by one tick."""
    a = 2**40
    genome = Genome(
        [
            Node(0),
            Node(a, "identity"),
            Node(FIRST_OUTPUT, "identity"),
            Node(FIRST_OUTPUT + 1, "identity"),
        ],
        [
            Connection(FIRST_OUTPUT, a),  # out to hidden: the tick before
            Connection(0, FIRST_OUTPUT),
            Connection(FIRST_OUTPUT, FIRST_OUTPUT),
            Connection(a, FIRST_OUTPUT + 1),
        ],
    )
    net = batch_of([genome], 1, 2)
    assert kernel_outputs(net, [[1.0], [10.0], [100.0], [0.0]]) == [
        [1.0, 0.0],
        [11.0, 1.0],
        [111.0, 11.0],
        [111.0, 111.0],
    ]


def test_a_forward_connection_reads_this_tick_through_any_number_of_nodes() -> None:
    chain = [0, *(2**40 + i for i in range(50)), FIRST_OUTPUT]
    genome = Genome(
        [Node(i, "identity") for i in chain],
        [Connection(s, t, 1.0) for s, t in itertools.pairwise(chain)],
    )
    assert kernel_outputs(batch_of([genome], 1, 1), [[7.0], [8.0]]) == [[7.0], [8.0]]


def test_difference_delivers_the_change_and_the_whole_value_at_first() -> None:
    genome = Genome(
        [Node(0), Node(1), Node(FIRST_OUTPUT, "identity", "difference", bias=0.5)],
        [
            Connection(0, FIRST_OUTPUT, 2.0),
            Connection(1, FIRST_OUTPUT, -1.0),
            Connection(FIRST_OUTPUT, FIRST_OUTPUT, 1.0),
        ],
    )
    net = batch_of([genome], 2, 1)
    # own last values: 0, then out₀ - 0, then out₁ - out₀
    assert kernel_outputs(net, [[1.0, 4.0], [3.0, 4.0], [3.0, 0.0]]) == [
        [2.0 - 4.0 + 0.5],
        [2.0 * 2.0 - 0.0 + (-1.5 - 0.0) + 0.5],
        [0.0 + 4.0 + (3.0 + 1.5) + 0.5],
    ]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_node_without_enabled_inputs_gives_the_activation_of_its_bias(
    activation: str, aggregation: str
) -> None:
    genome = Genome(
        [Node(0), Node(FIRST_OUTPUT, activation, aggregation, 0.7)],
        [Connection(0, FIRST_OUTPUT, 3.0, enabled=False)],
    )
    expected = reference.ACTIVATIONS[activation](0.7)
    got = kernel_outputs(batch_of([genome], 1, 1), [[5.0], [-5.0]])
    assert got == [[pytest.approx(expected, rel=1e-14)]] * 2


@PROPERTY
@given(st.data())
def test_reset_puts_back_the_beginning_of_time(data: st.DataObject) -> None:
    genome, n_inputs, n_outputs = data.draw(cases())
    inputs = data.draw(rows(n_inputs, ROUGH))
    net = batch_of([genome], n_inputs, n_outputs)
    state = rubbish_state(net)
    assert run(net, 0, inputs, state) == run(net, 0, inputs, state)


@PROPERTY
@given(st.data())
def test_no_value_that_is_not_finite_leaves_a_node_and_each_is_reported(
    data: st.DataObject,
) -> None:
    overflowing = ("cube", "signed_square", "inverse", "identity", "exp", "silu", "tanh")
    genome, n_inputs, n_outputs = data.draw(cases(values=WILD, activations=overflowing))
    inputs = data.draw(rows(n_inputs, ROUGH))
    net = batch_of([genome], n_inputs, n_outputs)
    for values, _ in run(net, 0, inputs, rubbish_state(net)):
        assert np.isfinite(np.frombuffer(values)).all()
    spoilt = reference.tick(genome, State(), inputs[0], reference.live_nodes(genome))
    assert run(net, 0, inputs, rubbish_state(net))[0][1] == spoilt


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf])
def test_an_input_that_is_not_finite_counts_as_zero_and_is_reported(x: float) -> None:
    genome = Genome(
        [Node(0), Node(1), Node(FIRST_OUTPUT, "identity", bias=0.5)],
        [Connection(0, FIRST_OUTPUT, 2.0), Connection(1, FIRST_OUTPUT, 2.0)],
    )
    net = batch_of([genome], 2, 1)
    record = run(net, 0, [[x, 1.0], [1.0, 1.0]], rubbish_state(net))
    assert [np.frombuffer(values).tolist() for values, _ in record] == [[0, 1, 2.5], [1, 1, 4.5]]
    assert [spoilt for _, spoilt in record] == [True, False]


@pytest.mark.parametrize(
    ("activation", "s"), [("cube", 1e150), ("signed_square", -1e200), ("inverse", 1e-310)]
)
@pytest.mark.parametrize("aggregation", ["sum", "max", "median"])
def test_a_node_that_overflows_gives_zero_to_this_tick_and_the_next(
    activation: str, s: float, aggregation: str
) -> None:
    a = 2**40
    genome = Genome(
        [Node(0), Node(a, activation, aggregation), Node(FIRST_OUTPUT, "identity", bias=0.25)],
        [
            Connection(0, a),
            Connection(a, FIRST_OUTPUT),
            Connection(FIRST_OUTPUT, FIRST_OUTPUT, 2.0),
        ],
    )
    net = batch_of([genome], 1, 1)
    record = run(net, 0, [[s], [0.0]], rubbish_state(net))
    assert [np.frombuffer(values)[1:].tolist() for values, _ in record] == [[0, 0.25], [0, 0.75]]
    assert [spoilt for _, spoilt in record] == [True, False]


def test_what_overflows_in_a_pruned_node_is_no_fault() -> None:
    genome = Genome([Node(0), Node(2**40, "cube"), Node(FIRST_OUTPUT)], [Connection(0, 2**40)])
    net = batch_of([genome], 1, 1)
    assert not run(net, 0, [[1e200]], rubbish_state(net))[0][1]


# --- bits ----------------------------------------------------------------------------------------


@settings(PROPERTY, max_examples=40)
@given(st.lists(cases(), min_size=2, max_size=4), st.data())
def test_a_network_in_a_batch_gives_the_bits_that_it_gives_alone(
    drawn: list[Case], data: st.DataObject
) -> None:
    n_inputs = max(c.n_inputs for c in drawn)
    n_outputs = max(c.n_outputs for c in drawn)
    inputs = data.draw(rows(n_inputs, ROUGH))
    batch = batch_of([c.genome for c in drawn], n_inputs, n_outputs)
    state = rubbish_state(batch)  # one state for all, as a slice uses it
    for k, case in enumerate(drawn):
        alone = batch_of([case.genome], n_inputs, n_outputs)
        assert run(batch, k, inputs, state) == run(alone, 0, inputs, rubbish_state(alone))


def assert_lanes_equal_ticks(net: NetworkBatch, inputs: Float) -> None:
    """``inputs`` is (ticks, n_inputs, lanes); every lane must give the bits of its own single ticks."""
    lanes = inputs.shape[2]
    state = rubbish_lanes(net, lanes)
    n = net.n_inputs + int(net.node_start[1])
    reset_lanes(net, 0, state)
    in_lanes, flags = [], []
    for row in inputs:
        state.values[: net.n_inputs] = row
        flags.append(bool(tick_lanes(net, 0, state, NO_CUSTOM, np.uint64(state.sums.size))))
        in_lanes.append(state.values[:n].copy())
    single = rubbish_state(net)
    any_spoilt = [False] * len(inputs)
    for lane in range(lanes):
        record = run(net, 0, inputs[:, :, lane].tolist(), single)
        for t, (values, spoilt) in enumerate(record):
            assert values == in_lanes[t][:, lane].tobytes(), (t, lane)
            any_spoilt[t] |= spoilt
    assert flags == any_spoilt


@settings(PROPERTY, max_examples=60)
@given(
    cases(missing=True),
    st.integers(0, 2**32),
    st.lists(ROUGH, max_size=6),
    st.sampled_from([1, 3, 4, 8, LANES, LANES + 1]),
)
def test_every_lane_gives_the_bits_of_single_ticks(
    case: Case, seed: int, special: list[float], lanes: int
) -> None:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(0.0, 2.0, (3, case.n_inputs, lanes))
    for x in special:
        inputs[tuple(rng.integers(0, inputs.shape))] = x
    net = batch_of([case.genome], case.n_inputs, case.n_outputs)
    assert_lanes_equal_ticks(net, inputs)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_lanes_give_the_bits_of_single_ticks_for_every_kind_of_node(
    activation: str, aggregation: str
) -> None:
    genome = random_genome(
        8, 6, 30, activations=(activation, "tanh"), aggregations=(aggregation, "sum")
    )
    for node in genome.nodes[-2:]:
        node.activation, node.aggregation = activation, aggregation
    net = batch_of([genome], 3, 2)
    inputs = np.random.default_rng(1).normal(0.0, 2.0, (3, 3, LANES))
    assert_lanes_equal_ticks(net, inputs)


@pytest.mark.parametrize("n_hidden", [10, 13, 14, 15, 25, 60])
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("weight", [1.0, 1e200])
def test_networks_that_run_in_groups_give_the_bits_of_lanes(
    n_hidden: int, recurrent: bool, weight: float
) -> None:
    """Lanes go node by node. With large weights values overflow in the middle of groups."""
    activations = ("tanh", "tanh", "tanh", "identity", "cube")
    genome = random_genome(
        n_hidden, n_hidden, 5 * n_hidden, recurrent=recurrent, activations=activations
    )
    for c in genome.connections:
        c.weight *= weight
    net = batch_of([genome], 3, 2)
    inputs = np.random.default_rng(n_hidden).normal(0.0, 1.0, (5, 3, 8))
    assert_lanes_equal_ticks(net, inputs)
    nodes, edges = int(net.node_start[1]), int(net.edge_start[1])
    values = np.zeros(3 + nodes)
    alone = inputs[:, :, 0]
    for row, (expected, spoilt) in zip(
        alone, run(net, 0, alone.tolist(), rubbish_state(net)), strict=True
    ):
        activate_sums(
            row,
            net.edge_stop[:nodes],
            net.group_stop[:nodes],
            net.activation[:nodes],
            net.bias[:nodes],
            net.source[:edges],
            net.weight[:edges],
            values,
            np.full(values.size, np.nan),
            NO_CUSTOM,
        )
        assert values.tobytes() == expected
        assert weight == 1.0 or spoilt


def test_lanes_of_a_large_recurrent_network_stay_equal_for_many_ticks() -> None:
    """A chaotic network would show one differing bit within a few ticks."""
    genome = random_genome(3, 80, 500)
    for c in genome.connections:
        c.weight *= 3.0
    net = batch_of([genome], 3, 2)
    assert_lanes_equal_ticks(net, np.random.default_rng(2).normal(0.0, 1.0, (40, 3, LANES)))


@settings(PROPERTY, max_examples=40)
@given(st.data())
def test_a_single_call_gives_the_bits_of_a_tick_where_all_nodes_sum(data: st.DataObject) -> None:
    genome, n_inputs, n_outputs = data.draw(cases(missing=True, aggregations=("sum",)))
    inputs = data.draw(rows(n_inputs, ROUGH))
    net = batch_of([genome], n_inputs, n_outputs)
    nodes, edges = int(net.node_start[1]), int(net.edge_start[1])
    values = np.zeros(n_inputs + nodes)
    for row, (expected, _) in zip(inputs, run(net, 0, inputs, rubbish_state(net)), strict=True):
        activate_sums(
            np.array(row),
            net.edge_stop[:nodes],
            net.group_stop[:nodes],
            net.activation[:nodes],
            net.bias[:nodes],
            net.source[:edges],
            net.weight[:edges],
            values,
            np.full(values.size, np.nan),
            NO_CUSTOM,
        )
        assert values.tobytes() == expected


def test_a_new_state_is_at_the_beginning_of_time() -> None:
    genome = random_genome(3, 10, 40, aggregations=("difference", "sum"))
    net = batch_of([genome], 3, 2)
    slots, edges = 3 + int(net.node_start[1]), int(net.edge_start[1])
    fresh, cleaned = tick_state(slots, edges), rubbish_state(net)
    reset(net, 0, cleaned)
    for state in (fresh, cleaned):
        state.values[:3] = 1.0
        tick(net, 0, state, NO_CUSTOM)
    assert fresh.values.tobytes() == cleaned.values.tobytes()
    lanes = lane_state(slots, edges)
    lanes.values[:3] = 1.0
    tick_lanes(net, 0, lanes, NO_CUSTOM, np.uint64(lanes.sums.size))
    assert all(lanes.values[:, lane].tobytes() == fresh.values.tobytes() for lane in range(LANES))
