"""Compiled tasks of a user's own: what the functions get, what comes back, and what is refused."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from task_networks import KEYS, linear, slice_of
from task_toys import count, draw, leave_as_it_is, no_number, report, see_counter

from tweann.errors import ConfigError, TaskError
from tweann.genes import Flag
from tweann.genome import Genome
from tweann.tasks import CompiledTask, TaskInfo, task_step

Q = ("q", 0.0, 1.0)


def counter(limit: float = 2.0, **options: Any) -> CompiledTask:
    """Return a task that adds up a network's output until it is above the limit, ten steps at most."""
    described = {key: options.pop(key) for key in list(options) if key in TaskInfo.__slots__}
    info = TaskInfo(
        "counter", 1, "compiled", ("count",), ("add",), output_activation="identity", **described
    )
    functions = {"reset": leave_as_it_is, "observe": see_counter, "step": count}
    arguments = {"state_size": 3, "max_steps": 10, "params": [limit], **functions, **options}
    return CompiledTask(info, **arguments)


def adding(task: CompiledTask, amount: float) -> Genome:
    """Return a network that always puts out ``amount``."""
    return linear(task, [0.0], bias=amount)


def test_fitness_is_the_sum_of_rewards_until_done() -> None:
    task = counter(limit=2.0)
    found = task.evaluate(slice_of(task, adding(task, 0.75), adding(task, 0.125)), KEYS)
    assert found.fitness.tolist() == [2.25, 1.25]
    assert found.steps.tolist() == [3, 10]
    assert found.validation.tolist() == found.fitness.tolist()
    assert found.flags.tolist() == [0, 0]


def test_the_state_is_zeros_before_each_reset() -> None:
    task = counter(episodes=2)
    genome = adding(task, 0.75)
    alone = task.evaluate(slice_of(task, genome), KEYS)
    third = task.evaluate(slice_of(task, adding(task, 1.5), adding(task, 0.1), genome), KEYS)
    assert alone.fitness[0] == third.fitness[2] == 2.25
    assert alone.steps[0] == third.steps[2] == 6


def test_a_threshold_on_the_mean_says_what_is_solved() -> None:
    for solved_at, solved in ((2.25, True), (2.26, False)):
        task = counter(solved_at=solved_at)
        assert task.evaluate(slice_of(task, adding(task, 0.75)), KEYS).solved[0] == solved


def test_a_score_function_reports_solved_descriptor_and_objectives() -> None:
    task = counter(score=report, reset=draw, descriptor=(Q,), n_objectives=1, episodes=4)
    odd, even = adding(task, 0.75), adding(task, 0.55)
    found = task.evaluate(slice_of(task, odd, even), KEYS)
    assert found.solved.tolist() == [False, True]
    assert found.objectives[:, 0].tolist() == [3.0, 4.0]
    assert found.descriptor[0, 0] == found.descriptor[1, 0]  # the mean of the same four draws
    assert 0.0 < found.descriptor[0, 0] < 1.0


def test_a_score_that_is_no_number_fails_that_genome_alone() -> None:
    task = counter(score=no_number, solved_at=0.0)
    found = task.evaluate(slice_of(task, adding(task, 0.75), adding(task, 0.0)), KEYS)
    assert math.isnan(found.fitness[0])
    assert math.isnan(found.validation[0])
    assert found.fitness[1] == 1.0
    assert found.flags.tolist() == [Flag.INVALID, 0]
    assert found.solved.tolist() == [False, True]
    assert list(found.reasons) == [0]
    assert "counter" in found.reasons[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"step": see_counter}, "expected a function made by @task_step, came"),
        ({"reset": lambda state, params, key: None}, "made by @task_reset, came <function"),
        ({"state_size": -1}, "state_size must be 0 or more, came -1"),
        ({"max_steps": 0}, "max_steps must be 1 or more, came 0"),
        ({"episodes": 0}, "episodes must be 1 or more, came 0"),
        ({"ticks": 0}, "ticks must be 1 or more, came 0"),
        ({"params": [[1.0]]}, r"params must be a list of numbers, came shape \(1, 1\)"),
    ],
)
def test_a_task_that_cannot_run_is_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        counter(**options)


def _two_arguments(state: Any, params: Any) -> Any:
    return 0.0, True


def _not_compilable(state: Any, params: Any, action: Any) -> Any:
    return open(state), True


def _no_pair(state: Any, params: Any, action: Any) -> Any:
    return 1.0


@pytest.mark.parametrize("function", [_two_arguments, _not_compilable, _no_pair])
def test_a_function_that_does_not_fit_is_refused_with_its_place(
    function: Callable[..., Any],
) -> None:
    line = function.__code__.co_firstlineno
    with pytest.raises(TaskError) as caught:
        task_step(function)
    assert f"{__file__}:{line}: {function.__name__}" in str(caught.value)
    assert "@task_step expects step(state, params, action) -> (float, bool)" in str(caught.value)


def test_an_observation_reaches_the_network() -> None:
    task = counter(limit=100.0)
    doubling = linear(task, [1.0], bias=1.0)  # adds what it sees, and 1
    found = task.evaluate(slice_of(task, doubling), KEYS)
    assert found.fitness[0] == 127.0  # 1, 3, 7, …, until above 100


USER_FILE = """
import numpy as np
from tweann.tasks import (
    CompiledTask, TaskInfo, next_uniform, task_function, task_observe, task_reset, task_score, task_step,
)

@task_function
def pull(x):
    return -0.1 * x

@task_reset
def reset(state, params, key):
    rng = np.empty(1, np.uint64)
    rng[0] = key
    state[0] = next_uniform(rng) - 0.5

@task_observe
def observe(state, params, observation):
    observation[0] = state[0]

@task_step
def step(state, params, action):
    state[0] += params[0] * action[0] + pull(state[0])
    return 1.0 - abs(state[0]), abs(state[0]) > 1.0

@task_score
def score(state, params, out):
    out[1] = abs(state[0]) < 0.01

task = CompiledTask(
    TaskInfo("spring", 1, "compiled", ("x",), ("force",), output_ranges=((-1.0, 1.0),), episodes=3),
    reset=reset, observe=observe, step=step, score=score, state_size=1, max_steps=50, params=[0.2],
)
"""

USER_PROGRAM = """
import json, sys
import user_task
from task_networks import KEYS, linear, slice_of
from tweann.kernels.rollout import rollout

task = user_task.task
found = task.evaluate(slice_of(task, linear(task, [-1.0])), KEYS)
own = [f.cache_hits for f in (user_task.reset, user_task.observe, user_task.step, user_task.score)]
print(json.dumps({
    "fitness": found.fitness[0],
    "misses": sum(rollout.stats.cache_misses.values()),
    "hits": sum(rollout.stats.cache_hits.values()),
    "own_hits": own,
}))
"""


def test_a_users_task_is_compiled_once_for_all_processes(tmp_path: Path) -> None:
    (tmp_path / "user_task.py").write_text(USER_FILE, encoding="utf-8")
    program = tmp_path / "program.py"
    program.write_text(USER_PROGRAM, encoding="utf-8")
    tests = str(Path(__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": tests}
    results = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, str(program)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout))
    first, second = results
    assert first["own_hits"] == [0, 0, 0, 0]
    assert second["own_hits"] == [1, 1, 1, 1]
    assert (second["hits"], second["misses"]) == (1, 0)
    assert first["fitness"] == second["fitness"]
    assert np.isfinite(first["fitness"])
