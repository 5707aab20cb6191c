"""Dynamics and plasticity of whole networks: every tick is the twin's, in every path."""

from __future__ import annotations

import numpy as np
import pytest
import reference
import reference_time as twin
from genomes import PROPERTY
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import FIRST_OUTPUT, Connection, Genome, Node
from timed_genomes import (
    ALL_GROUPS,
    GROUPS,
    batch_of,
    connection_extra,
    life_of,
    new_state,
    node_extra,
    rubbish_state,
    timed_genomes,
)

from tweann.genes import DYNAMICS, PLASTICITY_RULES, Float
from tweann.kernels.dynamics import izhikevich
from tweann.kernels.lanes import lane_state, run_block
from tweann.kernels.learning import learn
from tweann.kernels.network_batch import DYNAMIC, GENERAL, MODULATED, PLASTIC, NetworkBatch
from tweann.kernels.tick import reset, tick

NO_CUSTOM = np.zeros(0, np.uint64)
STEPS = st.sampled_from([0.01, 0.1, 1.0])
ROWS = st.lists(st.lists(st.floats(-3.0, 3.0), min_size=3, max_size=3), min_size=2, max_size=6)


def close(x: float, scale: float = 1.0) -> object:
    return pytest.approx(x, rel=1e-12, abs=1e-12 * scale)


def assert_same_life(found: twin.Life, expected: twin.Life, plastic: bool, dynamic: bool) -> None:
    """Compare all that a tick leaves behind; the twin may know more nodes than matter."""
    for node, value in found.values.items():
        assert value == close(expected.values.get(node, 0.0)), node
    if dynamic:
        for node in found.values:
            if not reference.is_input(node) and node in expected.x:
                assert found.x[node] == close(expected.x[node], 100.0), node
                assert found.u[node] == close(expected.u[node], 100.0), node
    if plastic:
        for pair, value in found.delivered.items():
            assert value == close(expected.delivered[pair])
            assert found.weight[pair] == close(expected.weight[pair])
            assert found.trace[pair] == close(expected.trace.get(pair, 0.0))
        assert found.clock == expected.clock


@settings(PROPERTY, max_examples=150)
@given(st.data(), GROUPS, STEPS, ROWS, st.lists(st.floats(-2.0, 2.0), min_size=6, max_size=6))
def test_every_tick_is_the_twins_from_the_same_state(
    data: st.DataObject,
    groups: tuple[str, ...],
    dt: float,
    rows: list[list[float]],
    rewards: list[float],
) -> None:
    """All dynamics, rules, aggregations and modulatory nodes, mixed freely; groups in any order."""
    genome = data.draw(timed_genomes(groups, missing=True))
    genetics = twin.Genetics(groups)
    net = batch_of([genome], 3, 2, groups, dt=dt, weight_bound=3.0)
    dynamic, plastic = bool(net.kind[0] & DYNAMIC), bool(net.kind[0] & PLASTIC)
    live = reference.live_nodes(genome)
    state = new_state(net)
    life = life_of(genome, genetics, net, state)
    for row, reward in zip(rows, rewards, strict=False):
        spoilt = learn(net, 0, state, reward)
        if plastic:
            assert twin.learn(genome, genetics, life, reward, 3.0) == spoilt
        state.values[:3] = row
        spoilt = tick(net, 0, state, NO_CUSTOM)
        assert twin.tick(genome, genetics, life, row, dt, live) == spoilt
        found = life_of(genome, genetics, net, state)
        assert_same_life(found, life, plastic, dynamic)
        # spikes the twin counts everywhere, the kernel where a rule asks for them
        assert found.pre_spike.items() <= life.pre_spike.items()
        life = found


def values_after(net: NetworkBatch, rows: list[list[float]], rewards: list[float]) -> list[bytes]:
    """Return the bytes of all values after each tick, from the beginning of time."""
    state = new_state(net)
    found = []
    for row, reward in zip(rows, rewards, strict=False):
        learn(net, 0, state, reward)
        state.values[:3] = row
        tick(net, 0, state, NO_CUSTOM)
        found.append(state.values.tobytes())
    return found


@PROPERTY
@given(st.data(), GROUPS, ROWS)
def test_a_genome_that_makes_no_use_of_its_columns_takes_the_fast_path(
    data: st.DataObject, groups: tuple[str, ...], rows: list[list[float]]
) -> None:
    genome = data.draw(timed_genomes(groups, aggregations=("sum",)))
    plain = genome.copy()
    for gene in (*plain.nodes, *plain.connections):
        gene.extra = ()
    for node in genome.nodes:
        node.extra = node_extra(groups)
    for c in genome.connections:
        c.extra = connection_extra(groups)
    net, without = batch_of([genome], 3, 2, groups), batch_of([plain], 3, 2, ())
    assert net.kind[0] == without.kind[0]
    assert not net.kind[0] & GENERAL
    ones = [1.0] * len(rows)
    assert values_after(net, rows, ones) == values_after(without, rows, ones)


@settings(PROPERTY, max_examples=60)
@given(st.data(), STEPS, st.integers(1, 4), st.sampled_from([1, 3, 4]), st.integers(0, 99))
def test_rows_in_blocks_give_the_bits_of_single_ticks(
    data: st.DataObject, dt: float, ticks: int, n_rows: int, seed: int
) -> None:
    genome = data.draw(timed_genomes(ALL_GROUPS))
    net = batch_of([genome], 3, 2, ALL_GROUPS, dt=dt, weight_bound=2.0)
    inputs = np.random.default_rng(seed).normal(size=(3, 4))
    block = lane_state(net.n_inputs + int(net.node_start[1]), int(net.edge_start[1]), 4)
    for column in block:
        column.fill(np.nan)
    single = rubbish_state(net)
    spoilt = run_block(net, 0, inputs, n_rows, ticks, block, single, NO_CUSTOM)
    any_spoilt = False
    for row in range(n_rows):
        state = new_state(net)
        for _ in range(ticks):
            any_spoilt |= bool(learn(net, 0, state, 1.0))
            state.values[:3] = inputs[:, row]
            any_spoilt |= bool(tick(net, 0, state, NO_CUSTOM))
        assert state.values[-2:].tobytes() == block.values[-2:, row].tobytes()
    assert spoilt == any_spoilt


@settings(PROPERTY, max_examples=60)
@given(st.data(), ROWS)
def test_reset_puts_back_the_beginning_of_time(
    data: st.DataObject, rows: list[list[float]]
) -> None:
    genome = data.draw(timed_genomes(ALL_GROUPS))
    net = batch_of([genome], 3, 2, ALL_GROUPS)
    state = rubbish_state(net)
    runs = []
    for _ in range(2):
        reset(net, 0, state)
        record = []
        for row in rows:
            learn(net, 0, state, 0.5)
            state.values[:3] = row
            tick(net, 0, state, NO_CUSTOM)
            record.append(state.values.tobytes())
        runs.append(record)
    assert runs[0] == runs[1]


@settings(PROPERTY, max_examples=100)
@given(st.data(), st.lists(st.lists(st.floats(), min_size=3, max_size=3), max_size=5), st.floats())
def test_nothing_that_is_not_finite_leaves_a_node_or_stays_in_a_state(
    data: st.DataObject, rows: list[list[float]], reward: float
) -> None:
    wild = st.sampled_from([1e150, -1e150, 1.0, -2.0])
    genome = data.draw(
        timed_genomes(
            ALL_GROUPS, values=wild, activations=("cube", "identity", "inverse", "tanh", "exp")
        )
    )
    net = batch_of([genome], 3, 2, ALL_GROUPS)
    dynamic, plastic = bool(net.kind[0] & DYNAMIC), bool(net.kind[0] & PLASTIC)
    state = new_state(net)
    for row in rows:
        learn(net, 0, state, reward)
        state.values[:3] = row
        tick(net, 0, state, NO_CUSTOM)
        assert np.isfinite(state.values).all()
        if dynamic:
            computed = slice(net.n_inputs, None)
            assert np.isfinite(state.memory[computed]).all()
            assert np.isfinite(state.recovery[computed]).all()
        if plastic:
            assert np.isfinite(state.weight).all()
            assert np.isfinite(state.trace).all()


# --- single nodes ----------------------------------------------------------------------------------


def node_outputs(dynamics: str, inputs: list[float], dt: float = 1.0, **genes: float) -> Float:
    """Return what an output that sees the input with weight 1 gives, tick by tick."""
    groups = ("dynamics", "izhikevich")
    gene = node_extra(groups, dynamics=dynamics, **genes)
    genome = Genome(
        [Node(0, extra=node_extra(groups)), Node(FIRST_OUTPUT, "identity", extra=gene)],
        [Connection(0, FIRST_OUTPUT)],
    )
    net = batch_of([genome], 1, 1, groups, dt=dt)
    assert bool(net.kind[0] & DYNAMIC) == (dynamics != "static")
    state = new_state(net)
    found = []
    for x in inputs:
        state.values[0] = x
        assert not tick(net, 0, state, NO_CUSTOM)
        found.append(state.values[1])
    return np.array(found)


def test_a_delay_gives_what_came_a_tick_before() -> None:
    assert node_outputs("delay", [3.0, 5.0, 7.0]).tolist() == [0.0, 3.0, 5.0]


@pytest.mark.parametrize("dynamics", ["leaky", "ctrnn"])
@pytest.mark.parametrize("tau", [0.3, 1.0, 7.0])
@pytest.mark.parametrize("dt", [0.01, 0.5, 2.0])
def test_the_response_to_a_step_is_the_analytic_one(dynamics: str, tau: float, dt: float) -> None:
    """x(t) = 1 − e^(−t/τ): exact at any time step, since the input is held over a tick."""
    found = node_outputs(dynamics, [1.0] * 40, dt, tau=tau)
    times = dt * np.arange(1, 41)
    assert found == pytest.approx(1.0 - np.exp(-times / tau), rel=1e-12)


def test_a_cfc_node_keeps_what_its_gate_keeps() -> None:
    """The limits: an open gate forgets all but e^−10, a shut one keeps all but that; the bound bounds."""
    shut = node_outputs("cfc", [2.0] * 3, tau=1.0, bound=10.0, time_bias=-20.0)
    gate = 1.0 / (1.0 + np.exp(-10.0))
    assert shut == pytest.approx([np.tanh(2.0) * (1.0 - gate**n) for n in (1, 2, 3)], abs=1e-6)
    opened = node_outputs("cfc", [2.0] * 3, tau=1.0, bound=10.0, time_bias=20.0)
    assert opened == pytest.approx([np.tanh(2.0)] * 3, abs=1e-4)
    assert node_outputs("cfc", [5.0] * 3, tau=1.0, bound=0.25).tolist() == [0.25] * 3
    middle = node_outputs("cfc", [0.0, 0.0], tau=1.0)
    assert middle.tolist() == [0.0, 0.0]


def test_ltc_approaches_the_ode_with_half_the_error_at_half_the_step() -> None:
    """dx/dt = −(1/τ + f(s))·x + f(s)·A with s(t) = sin t held over each step; solved by SciPy."""
    integrate = pytest.importorskip("scipy.integrate")
    tau, bound, end = 0.8, 3.0, 4.0

    def slope(t: float, x: Float) -> Float:
        f = 1.0 / (1.0 + np.exp(-np.sin(t)))
        return -(1.0 / tau + f) * x + f * bound

    exact = integrate.solve_ivp(slope, (0.0, end), [0.0], rtol=1e-10, atol=1e-12).y[0, -1]
    errors = []
    for n in (50, 100, 200, 400):
        dt = end / n
        inputs = np.sin(dt * np.arange(1, n + 1)).tolist()
        errors.append(abs(node_outputs("ltc", inputs, dt, tau=tau, bound=bound)[-1] - exact))
    ratios = np.array(errors[:-1]) / np.array(errors[1:])
    assert ratios == pytest.approx([2.0] * 3, rel=0.1)


def test_ltc_is_stable_at_any_step() -> None:
    found = node_outputs("ltc", [50.0, -50.0] * 20, dt=1000.0, tau=10.0, bound=-2.0)
    assert np.abs(found).max() <= 2.0


KINDS_OF_NEURON = {
    "regular spiking": (0.02, 0.2, -65.0, 8.0),
    "intrinsically bursting": (0.02, 0.2, -55.0, 4.0),
    "chattering": (0.02, 0.2, -50.0, 2.0),
    "fast spiking": (0.1, 0.2, -65.0, 2.0),
    "low threshold spiking": (0.02, 0.25, -65.0, 2.0),
}


@pytest.mark.parametrize("kind", KINDS_OF_NEURON)
def test_izhikevich_is_neat_pythons_neuron_tick_by_tick(kind: str) -> None:
    """The paper's kinds of neurons under a noisy current; from the same state, since a rounding can move a spike."""
    iznn = pytest.importorskip("neat.iznn")
    genes = KINDS_OF_NEURON[kind]
    theirs = iznn.IZNeuron(0.0, *genes, [(0, 1.0)])
    state = (theirs.v, theirs.u)
    assert state == (genes[2], genes[1] * genes[2])
    spikes = 0
    for s in 1.0 + 0.2 * np.random.default_rng(1).normal(size=400):
        theirs.v, theirs.u = state
        theirs.current = 10.0 * s
        theirs.advance(1.0)
        *state, fired = izhikevich(s, *state, *genes)
        assert (*state, fired) == pytest.approx((theirs.v, theirs.u, theirs.fired), rel=1e-12)
        spikes += int(fired)
    assert spikes >= 4


def test_a_node_runs_with_the_genes_of_its_kind_of_neuron() -> None:
    genes = dict(zip("abcd", KINDS_OF_NEURON["chattering"], strict=True))
    inputs = [1.0] * 100
    named = {f"izhikevich_{name}": value for name, value in genes.items()}
    expected, v, u = [], genes["c"], genes["b"] * genes["c"]
    for s in inputs:
        v, u, fired = izhikevich(s, v, u, *genes.values())
        expected.append(fired)
    assert node_outputs("izhikevich", inputs, **named).tolist() == expected
    assert 4 <= sum(expected) < 50


# --- learning --------------------------------------------------------------------------------------

LEARNER = ("dynamics", "plasticity", "stdp")


def learner(rule: str, weight: float = 0.5, modulatory: bool = False, **genes: float) -> Genome:
    """Return an output that sees input 0 with a plastic weight and input 1 with a fixed 1."""
    plain, plastic = connection_extra(LEARNER), connection_extra(LEARNER, rule=rule, **genes)
    return Genome(
        [
            Node(0, extra=node_extra(LEARNER)),
            Node(1, extra=node_extra(LEARNER, modulatory=float(modulatory))),
            Node(FIRST_OUTPUT, "identity", extra=node_extra(LEARNER)),
        ],
        [
            Connection(0, FIRST_OUTPUT, weight, extra=plastic),
            Connection(1, FIRST_OUTPUT, 1.0, extra=plain),
        ],
    )


def weights_of(
    genome: Genome, rows: list[list[float]], rewards: list[float], weight_bound: float = 100.0
) -> list[float]:
    """Return the plastic weight after learning from each row with its reward."""
    net = batch_of([genome], 2, 1, LEARNER, weight_bound=weight_bound)
    state = new_state(net)
    found = []
    for row, reward in zip(rows, rewards, strict=True):
        state.values[:2] = row
        tick(net, 0, state, NO_CUSTOM)
        state.values[:2] = 77.0  # what comes next is not what was delivered
        learn(net, 0, state, reward)
        found.append(float(state.weight[0]))
    return found


@pytest.mark.parametrize(
    ("rule", "genes", "expected"),
    [
        # pre 2, post 0.5·2 + 3 = 4, reward −1.5
        ("hebbian", {"learning_rate": 0.1}, 0.5 + 0.1 * -1.5 * 2 * 4),
        ("hebbian", {"learning_rate": 0.1, "decay": 0.5}, 0.5 - 1.2 - 0.25),
        ("oja", {"learning_rate": 0.1}, 0.5 + 0.1 * -1.5 * 4 * (2 - 4 * 0.5)),
        ("oja", {"learning_rate": -0.2, "decay": 9.0}, 0.5),
        ("abcd", {"learning_rate": 0.1, "coefficient_a": 1.0}, 0.5 - 0.15 * 8),
        ("abcd", {"learning_rate": 0.1, "coefficient_b": 1.0}, 0.5 - 0.15 * 2),
        ("abcd", {"learning_rate": 0.1, "coefficient_c": 1.0}, 0.5 - 0.15 * 4),
        ("abcd", {"learning_rate": 0.1, "coefficient_d": 1.0}, 0.5 - 0.15),
        ("trace", {"learning_rate": 0.1, "trace_decay": 0.5}, 0.5 - 0.15 * 8),
        ("none", {"learning_rate": 9.0}, 0.5),
    ],
)
def test_a_rule_changes_a_weight_as_its_equation_says(
    rule: str, genes: dict[str, float], expected: float
) -> None:
    genome = learner(rule, **genes)
    if rule == "none":  # the state keeps no weights where nothing is plastic
        assert not batch_of([genome], 2, 1, LEARNER).kind[0] & (PLASTIC | MODULATED)
        return
    assert weights_of(genome, [[2.0, 3.0]], [-1.5]) == [pytest.approx(expected)]


def test_a_trace_remembers_until_the_reward_comes() -> None:
    genome = learner("trace", learning_rate=0.1, trace_decay=0.5)
    found = weights_of(genome, [[1.0, 1.0], [0.0, 0.0], [0.0, 0.0]], [0.0, 0.0, 1.0])
    assert found == [0.5, 0.5, pytest.approx(0.5 + 0.1 * 1.5 * 0.25)]


def test_before_the_first_tick_there_is_nothing_to_learn_from() -> None:
    net = batch_of([learner("abcd", learning_rate=1.0, coefficient_d=1.0)], 2, 1, LEARNER)
    state = new_state(net)
    assert not learn(net, 0, state, 1.0)
    assert state.weight.tolist() == [0.5, 1.0]


def test_a_weight_stays_within_the_bound_and_a_reward_that_is_not_finite_is_none() -> None:
    genome = learner("hebbian", learning_rate=1.0)
    rows = [[2.0, 3.0], [2.0, 3.0], [2.0, -30.0]]
    assert weights_of(genome, rows, [1.0, np.nan, 1.0], 8.0) == [8.0, 8.0, -8.0]
    net = batch_of([genome], 2, 1, LEARNER)
    state = new_state(net)
    tick(net, 0, state, NO_CUSTOM)
    assert learn(net, 0, state, np.inf)


def test_a_modulatory_node_adds_nothing_to_the_input_and_scales_what_is_learned() -> None:
    """Input 1 is modulatory: output 0.5·2, m = 3, reward 2."""
    genome = learner("hebbian", modulatory=True, learning_rate=0.1)
    net = batch_of([genome], 2, 1, LEARNER)
    assert net.kind[0] & MODULATED
    state = new_state(net)
    state.values[:2] = [2.0, 3.0]
    tick(net, 0, state, NO_CUSTOM)
    assert state.values[2] == 1.0
    learn(net, 0, state, 2.0)
    assert state.weight[0] == pytest.approx(0.5 + 0.1 * (2.0 * 3.0) * 2.0 * 1.0)


def test_a_modulatory_node_silences_its_connections_where_nothing_is_plastic_too() -> None:
    net = batch_of([learner("none", modulatory=True)], 2, 1, LEARNER)
    state = new_state(net)
    state.values[:2] = [2.0, 3.0]
    tick(net, 0, state, NO_CUSTOM)
    assert state.values[2] == 1.0


@pytest.mark.parametrize(
    ("pre", "post", "expected"),
    [
        # The output is input 1's, so input 1 says when it spikes; ticks of spikes
        ([2], [2], {2: 1.0}),
        ([1], [3], {3: np.exp(-2 / 5)}),
        ([3], [1], {3: -0.5 * np.exp(-2 / 4)}),
        ([1], [], {}),
        ([], [1], {}),
        ([1, 4], [2], {2: np.exp(-1 / 5), 4: -0.5 * np.exp(-2 / 4)}),
    ],
)
def test_spike_timing_counts_the_last_spikes_of_both_ends(
    pre: list[int], post: list[int], expected: dict[int, float]
) -> None:
    genes = {"stdp_a_plus": 1.0, "stdp_a_minus": 0.5, "stdp_tau_plus": 5.0, "stdp_tau_minus": 4.0}
    genome = learner("stdp", weight=0.0, learning_rate=1e-3, **genes)
    rows = [[1.0 * (t in pre), 1.0 * (t in post)] for t in range(6)]
    found = np.diff(weights_of(genome, rows, [1.0] * 6), prepend=0.0)
    want = [1e-3 * expected.get(t, 0.0) for t in range(6)]
    assert found.tolist() == pytest.approx(want, rel=1e-9, abs=1e-15)


def test_a_value_that_stays_high_spikes_once_a_spiking_node_each_time() -> None:
    genome = learner("stdp", weight=0.0, learning_rate=1e-3)
    found = weights_of(genome, [[1.0, 1.0]] * 3, [1.0] * 3)
    assert found == [pytest.approx(1e-3)] * 3
    for dynamics, n in (("izhikevich", 3), ("leaky", 1)):
        genome = learner("stdp", weight=0.0, learning_rate=1e-3)
        genome.nodes[-1].extra = node_extra(LEARNER, dynamics=dynamics, tau=1e-3)
        net = batch_of([genome], 2, 1, LEARNER)
        state = new_state(net)
        last = []
        for _ in range(3):
            state.values[:2] = [1.0, 300.0]
            tick(net, 0, state, NO_CUSTOM)
            last.append(float(state.post_spike[2]))
        assert len(set(last)) == n


def test_every_code_has_a_name_and_every_name_is_tried() -> None:
    assert {*DYNAMICS} == {"static", "delay", "leaky", "ctrnn", "cfc", "ltc", "izhikevich"}
    assert {*PLASTICITY_RULES} == {"none", "hebbian", "oja", "abcd", "trace", "stdp"}
