"""Small compiled functions for tests of tasks, written as a user would.

In a module of their own with a name that never changes: numba's cache on disk remembers it.
"""

from __future__ import annotations

import numpy as np

from tweann.genes import Float
from tweann.tasks import (
    next_uniform,
    task_function,
    task_observe,
    task_reset,
    task_score,
    task_step,
    task_vector,
)


@task_vector
def shifted_sphere(values: Float, params: Float, key: np.uint64, out: Float) -> None:
    total = 0.0
    for value in values:
        total += (value - params[0]) ** 2
    out[0] = -total


@task_vector
def describe(values: Float, params: Float, key: np.uint64, out: Float) -> None:
    """Give the values as digits, and the key's first draw as the descriptor."""
    rng = np.empty(1, np.uint64)
    rng[0] = key
    out[0] = values[0] + 10.0 * values[1] + 100.0 * values[2]
    out[2] = next_uniform(rng)


@task_vector
def reciprocal(values: Float, params: Float, key: np.uint64, out: Float) -> None:
    """Describe by what is infinite at 0."""
    out[0], out[2] = values[0], 1.0 / values[0]


# A counter that goes up by the action until it is above the limit. State: counter, steps, the start's draw.


@task_reset
def leave_as_it_is(state: Float, params: Float, key: np.uint64) -> None:
    """Rely on the state being zeros."""


@task_reset
def draw(state: Float, params: Float, key: np.uint64) -> None:
    rng = np.empty(1, np.uint64)
    rng[0] = key
    state[2] = next_uniform(rng)


@task_observe
def see_counter(state: Float, params: Float, observation: Float) -> None:
    observation[0] = state[0]


@task_function
def moved(counter: float, action: float) -> float:
    return counter + action


@task_step
def count(state: Float, params: Float, action: Float) -> tuple[float, bool]:
    state[0] = moved(state[0], action[0])
    state[1] += 1.0
    return action[0], state[0] > params[0]


@task_score
def report(state: Float, params: Float, out: Float) -> None:
    """Keep the sum of rewards; solved in an even number of steps; the draw and the steps behind it."""
    out[1] = 1.0 - state[1] % 2.0
    out[2] = state[2]
    out[3] = state[1]


@task_score
def no_number(state: Float, params: Float, out: Float) -> None:
    out[0] = np.nan if state[0] > 0.5 else 1.0
