"""Learning in use: during episodes, between them, bounded, and saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reference import FIRST_OUTPUT, Connection, Node
from reference import Genome as PlainGenome
from timed_genomes import connection_extra, core_genome, node_extra

import tweann
from tweann.codec import decode
from tweann.errors import ConfigError
from tweann.genome import Genome
from tweann.layout import Layout
from tweann.learner import Learner

GROUPS = ("plasticity",)
LAYOUT = Layout(2, 1, recurrent=True, groups=GROUPS, weight_bound=5.0)
ROWS = np.random.default_rng(1).normal(size=(12, 2))


def sample(rule: str = "trace", rate: float = 0.1) -> Genome:
    """Return an output that sees two inputs and itself, all by plastic connections."""
    gene = connection_extra(GROUPS, rule=rule, learning_rate=rate)
    plain = PlainGenome(
        [Node(i, extra=node_extra(GROUPS)) for i in (0, 1, FIRST_OUTPUT)],
        [Connection(i, FIRST_OUTPUT, 0.3, extra=gene) for i in (0, 1, FIRST_OUTPUT)],
    )
    return core_genome(plain, GROUPS, 2, 1)


def live(learner: Learner, rows: Any = ROWS) -> list[bytes]:
    """Live one episode, the reward the output and the number of the tick."""
    learner.start()
    found = []
    for t, row in enumerate(rows):
        outputs = learner.activate(row)
        learner.reward(float(outputs[0]))
        learner.reward(0.1 * t)
        found.append(outputs.tobytes())
    learner.stop()
    return found


def by_hand(genome: Genome, episodes: int = 1) -> tuple[list[bytes], Any]:
    """Return the outputs of the last of some such episodes, and the weights after it."""
    network = genome.network(LAYOUT)
    for _ in range(episodes):
        network.reset(keep_weights=True)
        found, reward = [], None
        for t, row in enumerate(ROWS):
            outputs = network.activate(row, reward)
            reward = float(outputs[0]) + 0.1 * t
            found.append(outputs.tobytes())
        assert reward is not None
        network.learn(reward)
    return found, network.weights


@pytest.mark.parametrize("rule", ["hebbian", "trace", "stdp"])
def test_online_it_learns_from_every_tick_with_its_reward(rule: str) -> None:
    learner = Learner(sample(rule), LAYOUT)
    assert live(learner) == by_hand(sample(rule))[0]
    assert live(learner) == by_hand(sample(rule), 2)[0]
    assert learner.network.weights.tolist() == by_hand(sample(rule), 2)[1].tolist()
    assert learner.n_updates == 24
    assert learner.n_experiences == 0


@pytest.mark.parametrize("rule", ["hebbian", "trace", "stdp"])
def test_between_episodes_it_learns_from_what_it_remembers(rule: str) -> None:
    """Weights rest while an episode runs; the update is then that of the ticks as they were."""
    learner, born = Learner(sample(rule), LAYOUT, online=False), sample(rule).network(LAYOUT)
    expected = [born.activate(row, None).tobytes() for row in ROWS]
    assert live(learner) == expected
    assert learner.network.weights.tolist() == born.weights.tolist()
    assert learner.n_experiences == 12
    assert learner.learn() == 12
    assert (learner.n_experiences, learner.n_updates) == (0, 12)
    # the same by hand: learn from each tick, with weights that do not reach the network until the end
    network, student = sample(rule).network(LAYOUT), sample(rule).network(LAYOUT)
    for t, row in enumerate(ROWS):
        outputs = network.activate(row, None)
        kept, traces = student.weights, student.traces
        student.state = network.state
        student.weights, student.traces = kept, traces
        student.learn(float(outputs[0]) + 0.1 * t)
    assert learner.network.weights.tolist() == student.weights.tolist()
    assert learner.network.weights.tolist() != born.weights.tolist()


def test_traces_begin_anew_with_each_episode_and_each_pass() -> None:
    twice = Learner(sample(), LAYOUT, online=False)
    live(twice)
    live(twice)
    assert twice.learn() == 24
    once = Learner(sample(), LAYOUT, online=False)
    live(once)
    assert once.learn(passes=2) == 24
    assert once.network.weights.tolist() == twice.network.weights.tolist()


def test_learning_in_the_middle_of_an_episode_lets_it_go_on() -> None:
    learner = Learner(sample("hebbian"), LAYOUT, online=False)
    learner.start()
    for row in ROWS[:6]:
        learner.activate(row)
        learner.reward(1.0)
    state, weights = learner.network.state, learner.network.weights
    learner.learn()
    assert learner.network.weights.tolist() != weights.tolist()
    learner.network.weights = weights
    assert learner.network.state.tobytes() == state.tobytes()
    learner.activate(ROWS[6])
    learner.stop()
    assert learner.n_experiences == 2  # the sixth tick, whose reward was not complete, and the last


def test_the_buffer_forgets_the_oldest() -> None:
    long, short = (Learner(sample("hebbian"), LAYOUT, online=False, capacity=c) for c in (99, 4))
    live(long)
    live(short)
    assert (long.n_experiences, short.n_experiences) == (12, 4)
    assert short.learn() == 4
    long.learn()
    assert long.network.weights.tolist() != short.network.weights.tolist()


def test_what_was_learned_is_saved_as_a_genome(tmp_path: Path) -> None:
    learner = Learner(sample(), LAYOUT)
    live(learner)
    learner.save(tmp_path / "learned.genome")
    saved = decode((tmp_path / "learned.genome").read_bytes())
    assert saved == learner.genome
    assert saved.weight.tolist() == learner.network.weights.tolist()
    assert saved.weight.tolist() != sample().weight.tolist()
    network = saved.network(LAYOUT)
    learner.network.reset(keep_weights=True)
    for row in ROWS:
        assert network.activate(row).tobytes() == learner.network.activate(row).tobytes()


def test_weights_stay_within_the_layouts_bound() -> None:
    learner = Learner(sample("hebbian", rate=9.0), LAYOUT)
    live(learner)
    assert np.abs(learner.network.weights).max() == 5.0


def test_it_is_found_at_the_top() -> None:
    assert tweann.Learner is Learner


@pytest.mark.parametrize("call", ["stop", "reward", "activate"])
def test_without_an_episode_nothing_goes(call: str) -> None:
    learner = Learner(sample(), LAYOUT)
    arguments = {"stop": (), "reward": (1.0,), "activate": ([0.0, 0.0],)}[call]
    with pytest.raises(ConfigError, match=rf"call start\(\) before {call}\(\)"):
        getattr(learner, call)(*arguments)


def test_wrong_use_is_said() -> None:
    learner = Learner(sample(), LAYOUT)
    learner.start()
    with pytest.raises(ConfigError, match=r"an episode is running: call stop\(\)"):
        learner.start()
    with pytest.raises(ConfigError, match="nothing to reward yet"):
        learner.reward(1.0)
    learner.activate([0.0, 0.0])
    with pytest.raises(ConfigError, match="expected a finite reward, came nan"):
        learner.reward(np.nan)
    with pytest.raises(ConfigError, match="expected 1 pass or more, came 0"):
        learner.learn(0)
    with pytest.raises(ConfigError, match="capacity of 1 or more, came 0"):
        Learner(sample(), LAYOUT, capacity=0)
    with pytest.raises(ConfigError, match="no connection of the network is plastic"):
        Learner(sample("none"), LAYOUT)
