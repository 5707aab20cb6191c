"""Networks over a table of rows: fitness, rows right, predictions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from genomes import PROPERTY, Case, Claimed, cases, decoded, pack, random_genome
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import FIRST_OUTPUT, Connection, Genome, Node
from reference_evaluation import Scale, evaluate_table, predict

from tweann.genes import Flag, Float
from tweann.kernels.lanes import LaneState, lane_state
from tweann.kernels.network_batch import NetworkBatch
from tweann.kernels.rollout import Scaling
from tweann.kernels.table import (
    Loss,
    TableParameters,
    TableResults,
    evaluate_rows,
    pack_rows,
    predict_table,
)
from tweann.kernels.tick import reset, tick, tick_state

NO_CUSTOM = np.zeros(0, np.uint64)
N_SOLVED = 3  # rows
BOUNDED = ("tanh", "sigmoid", "sin", "cos", "gaussian", "softsign", "clamped")
CASES = cases(
    activations=BOUNDED,
    aggregations=("sum", "mean", "product", "difference"),
    values=st.floats(-1.0, 1.0),
    missing=True,
)
SCALES = [Scale(), Scale(0.5, 0.5), Scale(2.0, -0.25, -1.0, 1.0), Scale(1.0, 0.1, 0.0)]


def scaling(scales: list[Scale]) -> Scaling:
    columns = zip(*((s.scale, s.offset, s.low, s.high) for s in scales), strict=True)
    return Scaling(*(np.array(column) for column in columns))


def parameters(loss: Loss, ticks: int, scales: list[Scale]) -> TableParameters:
    return TableParameters(int(loss), ticks, N_SOLVED, scaling(scales), NO_CUSTOM)


def rubbish_lanes(net: NetworkBatch, lanes: int) -> LaneState:
    """Return a state in which nothing is clean yet."""
    state = lane_state(net.n_inputs + net.bias.size, net.weight.size, lanes)
    for column in state:
        column.fill(np.nan)
    return state


def evaluate(
    networks: Claimed, inputs: Float, targets: Float, p: TableParameters, lanes: int
) -> TableResults:
    n, net = len(networks.blocks), networks.net
    nothing = (np.full(n, np.nan), np.full(n, -1), np.full(n, -1), np.zeros(n, np.bool_))
    out = TableResults(*nothing)
    table = pack_rows(inputs, targets, lanes)
    outputs = np.full((net.n_outputs, lanes), np.nan)
    finite = evaluate_rows(*networks, table, p, rubbish_lanes(net, lanes), None, outputs, out)
    assert finite == np.isfinite(out.fitness).all()
    assert (out.solved == (out.n_right >= N_SOLVED)).all()
    return out


def random_table(loss: Loss, case: Case, n_rows: int, seed: int) -> tuple[Float, Float]:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(0.0, 1.0, (n_rows, case.n_inputs))
    if loss == Loss.MEAN_SQUARED_ERROR:
        return inputs, rng.normal(0.0, 1.0, (n_rows, case.n_outputs))
    if loss == Loss.CROSS_ENTROPY and case.n_outputs > 1:
        return inputs, np.eye(case.n_outputs)[rng.integers(0, case.n_outputs, n_rows)]
    return inputs, rng.integers(0, 2, (n_rows, case.n_outputs)).astype(np.float64)


@PROPERTY
@given(
    st.lists(CASES, min_size=1, max_size=3),
    st.sampled_from(list(Loss)),
    st.integers(1, 3),
    st.sampled_from([1, 2, 7, 8, 9, 40]),
    st.sampled_from([1, 4, 8, 32]),
    st.sampled_from(SCALES),
    st.integers(0, 99),
)
def test_a_network_on_a_table_is_its_twin(
    drawn: list[Case], loss: Loss, ticks: int, n_rows: int, lanes: int, scale: Scale, seed: int
) -> None:
    """Rows that fill blocks exactly and rows that do not, several networks in one state."""
    largest = Case(Genome(), max(c.n_inputs for c in drawn), max(c.n_outputs for c in drawn))
    inputs, targets = random_table(loss, largest, n_rows, seed)
    networks = Claimed.of([c.genome for c in drawn], largest.n_inputs, largest.n_outputs)
    scales = [scale] * largest.n_outputs
    got = evaluate(networks, inputs, targets, parameters(loss, ticks, scales), lanes)
    for k, case in enumerate(drawn):
        fitness, right, spoilt = evaluate_table(
            case.genome, inputs.tolist(), targets.tolist(), loss.name, ticks, scales
        )
        assert got.fitness[k] == pytest.approx(fitness, rel=1e-9, abs=1e-9)
        assert got.n_right[k] == right
        assert got.flags[k] == spoilt * Flag.NON_FINITE == 0


@settings(PROPERTY, max_examples=40)
@given(CASES, st.integers(1, 3), st.sampled_from([1, 5, 33]), st.sampled_from(SCALES))
def test_predictions_are_single_ticks_bit_for_bit_and_the_twins(
    case: Case, ticks: int, n_rows: int, scale: Scale
) -> None:
    genome, n_inputs, n_outputs = case
    inputs, targets = random_table(Loss.SQUARED, case, n_rows, 1)
    genes, blocks, _ = pack([genome])
    net = decoded(genes, blocks, n_inputs, n_outputs)
    table = pack_rows(inputs, targets, 8)
    plain, scaled = (np.full((n_rows, n_outputs), np.nan) for _ in range(2))
    for out, how in ((plain, Scale()), (scaled, scale)):
        p = parameters(Loss.SQUARED, ticks, [how] * n_outputs)
        predict_table(net, table, p, rubbish_lanes(net, 8), None, out)
    nodes = int(net.node_start[1])
    state = tick_state(n_inputs + nodes, int(net.edge_start[1]))
    for row in range(n_rows):
        reset(net, 0, state)
        for _ in range(ticks):
            state.values[:n_inputs] = inputs[row]
            tick(net, 0, state, NO_CUSTOM)
        single = state.values[n_inputs + nodes - n_outputs : n_inputs + nodes]
        assert single.tobytes() == plain[row].tobytes()
        expected, _ = predict(genome, inputs[row].tolist(), ticks, [scale] * n_outputs)
        assert scaled[row].tolist() == pytest.approx(expected, rel=1e-11, abs=1e-11)


def test_rows_do_not_see_each_other_and_the_number_of_lanes_does_not_matter() -> None:
    """A recurrent network would remember the row before."""
    genome = random_genome(1, 12, 60)
    genes, blocks, _ = pack([genome])
    net = decoded(genes, blocks, 3, 2)
    inputs = np.random.default_rng(1).normal(size=(50, 3))
    order = np.random.default_rng(2).permutation(50)
    p = parameters(Loss.SQUARED, 3, [Scale()] * 2)
    results = []
    for lanes in (1, 4, 8, 32):
        out = np.full((50, 2), np.nan)
        state = rubbish_lanes(net, lanes)
        predict_table(net, pack_rows(inputs, np.zeros((50, 2)), lanes), p, state, None, out)
        results.append(out.tobytes())
        shuffled = np.full((50, 2), np.nan)
        table = pack_rows(inputs[order], np.zeros((50, 2)), lanes)
        predict_table(net, table, p, state, None, shuffled)
        results.append(shuffled[np.argsort(order)].tobytes())
    assert len(set(results)) == 1


XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
PARITY = np.array([[0.0], [1.0], [1.0], [0.0]])


def constant(value: float) -> Claimed:
    """Return a network that always answers ``value``."""
    genome = Genome([Node(0), Node(1), Node(FIRST_OUTPUT, "identity", bias=value)], [])
    return Claimed.of([genome], 2, 1)


@pytest.mark.parametrize(
    ("loss", "answer", "fitness", "n_right"),
    [
        (Loss.PAPER, 0.5, 4.0, 2),  # (4 - 4 · 0.5)²
        (Loss.PAPER, 1.0, 4.0, 2),
        (Loss.SQUARED, 0.5, 3.0, 2),  # 4 - 4 · 0.25
        (Loss.SQUARED, 0.75, 4 - 2 * 0.5625 - 2 * 0.0625, 2),
        (Loss.MEAN_SQUARED_ERROR, 0.5, -0.25, 2),
        (Loss.CROSS_ENTROPY, 0.0, -math.log(2.0), 0),
        (Loss.CROSS_ENTROPY, 700.0, -350.0, 2),  # half the rows wrong by e^700
        (Loss.CROSS_ENTROPY, -800.0, -400.0, 2),  # beyond what exp can take
    ],
)
def test_known_figures(loss: Loss, answer: float, fitness: float, n_right: int) -> None:
    got = evaluate(constant(answer), XOR, PARITY, parameters(loss, 1, [Scale()]), 8)
    assert got.fitness[0] == pytest.approx(fitness, rel=1e-14)
    assert got.n_right[0] == n_right


def test_cross_entropy_of_huge_outputs_is_finite() -> None:
    genome = Genome(
        [Node(0), *(Node(FIRST_OUTPUT + j, "identity", bias=1e4 * j) for j in range(3))], []
    )
    networks = Claimed.of([genome], 1, 3)
    p = parameters(Loss.CROSS_ENTROPY, 1, [Scale()] * 3)
    got = evaluate(networks, np.zeros((2, 1)), np.array([[1.0, 0, 0], [0, 0, 1.0]]), p, 4)
    assert got.fitness[0] == pytest.approx(-1e4, rel=1e-12)
    assert got.n_right[0] == 1


@pytest.mark.parametrize(("x", "flag"), [(1e150, Flag.NON_FINITE), (1e50, Flag(0))])
def test_a_row_that_is_spoilt_is_flagged(x: float, flag: Flag) -> None:
    genome = Genome([Node(0), Node(FIRST_OUTPUT, "cube")], [Connection(0, FIRST_OUTPUT)])
    networks = Claimed.of([genome], 1, 1)
    inputs = np.array([[0.0], [x], [1.0]])
    p = parameters(Loss.SQUARED, 1, [Scale(1.0, 0.0, -1.0, 1.0)])
    assert evaluate(networks, inputs, np.zeros((3, 1)), p, 8).flags[0] == flag


def test_what_fills_up_the_last_block_is_never_flagged() -> None:
    """1/s overflows at s = 1e-310, which no row has, but a filler of zeros would."""
    genome = Genome(
        [Node(0), Node(FIRST_OUTPUT, "inverse", bias=1e-310)], [Connection(0, FIRST_OUTPUT)]
    )
    networks = Claimed.of([genome], 1, 1)
    p = parameters(Loss.SQUARED, 1, [Scale()])
    assert evaluate(networks, np.ones((3, 1)), np.ones((3, 1)), p, 8).flags[0] == 0


def test_rows_lie_side_by_side_in_blocks() -> None:
    inputs = np.arange(14.0).reshape(7, 2)
    table = pack_rows(inputs, inputs[:, :1], 4)
    assert table.inputs.shape == (2, 2, 4)
    assert table.targets.shape == (2, 1, 4)
    assert table.n_rows == 7
    assert table.inputs.flags.c_contiguous
    assert table.targets.flags.c_contiguous
    assert table.inputs[1, :, 2].tolist() == [12.0, 13.0]
