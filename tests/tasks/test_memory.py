"""Tasks of memory: their baselines, exactly, and networks that solve them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from task_networks import KEYS, random_linear, slice_of, with_self_loop

from tweann.evolution import Evolution
from tweann.genes import DYNAMICS
from tweann.genome import Genome
from tweann.kernels.ids import FIRST_OUTPUT
from tweann.tasks import Task
from tweann.tasks.memory import SequenceRecall, TMaze, TwoCueTMaze


def maze(delay: int = 2) -> TMaze:
    return TMaze(TMaze.Settings(delay=delay))


def two_cues(delay: int = 4) -> TwoCueTMaze:
    return TwoCueTMaze(TwoCueTMaze.Settings(delay=delay))


def recall(length: int = 4) -> SequenceRecall:
    return SequenceRecall(SequenceRecall.Settings(length=length))


def score(task: Task, genome: Genome) -> tuple[float, bool]:
    networks = slice_of(task, genome)
    found = task.evaluate(networks, KEYS)
    return float(found.fitness[0]), bool(found.solved[0])


@PROPERTY
@given(st.integers(0, 10_000), st.sampled_from([maze(), two_cues(), recall(1), recall(4)]))
def test_without_memory_half_of_the_answers_are_right_exactly(seed: int, task: Task) -> None:
    half = 0.5 if task.info.name == "sequence-recall" else 50.0
    assert score(task, random_linear(task, seed)) == (half, False)


@pytest.mark.parametrize("delay", [0, 2, 9])
def test_a_loop_that_keeps_the_cue_solves_the_t_maze(delay: int) -> None:
    task = maze(delay)
    assert score(task, with_self_loop(task, [3.0, 0.0, 3.0])) == (100.0, True)
    assert score(task, with_self_loop(task, [-3.0, 0.0, 3.0])) == (0.0, False)


@pytest.mark.parametrize("delay", [0, 4])
@pytest.mark.parametrize("cue", [0, 1])
def test_one_bit_of_memory_is_worth_75_with_two_cues(delay: int, cue: int) -> None:
    task = two_cues(delay)
    weights = [0.0, 0.0, 0.0, 3.0]
    weights[cue] = 3.0
    assert score(task, with_self_loop(task, weights)) == (75.0, False)


def chain(task: Task, length: int) -> Genome:
    """Return a network whose output is the first input ``length`` steps ago, by as many delays."""
    hidden = [(i + 1) << 50 for i in range(length)]
    ends = [0, *hidden, FIRST_OUTPUT]
    n = task.info.n_inputs + length + 1
    extra = np.zeros(n)
    extra[task.info.n_inputs : -1] = DYNAMICS.index("delay")
    return Genome(
        n_inputs=task.info.n_inputs,
        n_outputs=1,
        node_id=np.array([*range(task.info.n_inputs), *hidden, FIRST_OUTPUT]),
        activation=("identity",) * task.info.n_inputs + ("tanh",) * (length + 1),
        aggregation=("sum",) * n,
        bias=np.zeros(n),
        source=np.array(ends[:-1]),
        target=np.array(ends[1:]),
        weight=np.ones(length + 1),
        enabled=np.ones(length + 1, np.bool_),
        node_extra={"dynamics": extra},
    )


@pytest.mark.parametrize("length", range(1, 7))
def test_a_chain_of_delays_recalls_a_sequence(length: int) -> None:
    task = recall(length)
    genome = chain(task, length)
    fitness = task.evaluate(genome.as_slice(genome.layout()), KEYS)
    assert fitness.fitness[0] == pytest.approx(1.0, abs=1e-12)
    assert fitness.solved[0]
    short = chain(task, length - 1)
    found = task.evaluate(short.as_slice(short.layout()), KEYS).fitness[0]
    assert found < 0.9


def test_a_step_shows_what_it_should() -> None:
    """The inputs of each trial, step by step, as a network that answers with each of them would see them."""
    state, seen = np.zeros(2), np.zeros(3)
    task = two_cues(delay=1)
    for trial in range(4):
        state[:] = 0.0, trial
        rows = []
        for step in range(5):
            state[0] = step
            task.simulation.observe(state, np.array([1.0]), seen)
            rows.append(seen.tolist())
        first, second = 1.0 - 2.0 * (trial % 2), 1.0 - 2.0 * (trial // 2)
        assert rows == [[first, 0, 0], [0, second, 0], [0, 0, 0], [0, 0, 1], [0, 0, 1]]


def test_the_noise_of_a_run_does_not_matter() -> None:
    task = maze()
    genome = with_self_loop(task, [3.0, 0.0, 3.0])
    assert score(task, genome)[0] == 100.0
    assert task.evaluate(slice_of(task, genome), KEYS).steps.tolist() == [8]


EVOLVED: dict[str, dict[str, Any]] = {
    "t-maze": {"genome": {"recurrent": True}},
    "two-cue-t-maze": {
        "genome": {"recurrent": True, "dynamics": ["static", "delay"]},
        "mutation": {"add_delay_rate": 0.2},
    },
    "sequence-recall": {
        "genome": {"dynamics": ["static", "delay"]},
        "mutation": {"add_delay_rate": 0.2},
    },
}


@pytest.mark.parametrize("name", EVOLVED)
def test_evolution_solves_it(name: str) -> None:
    sections = {
        "run": {"seed": 1, "evaluations": 60_000},
        "task": {"name": name},
        "evaluation": {"backend": "serial"},
        "storage": {"url": "memory:"},
        "observers": {},
        **EVOLVED[name],
    }
    assert Evolution(sections).run().solved
