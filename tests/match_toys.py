"""A small compiled match for tests, in a module with a name that never changes: numba's cache on disk remembers it.

Two players push a ball on a line, each from its side; the key says where it starts.
State: position, steps. Parameters: gain, where a side's goal is, what the first player's points are multiplied with.
"""

from __future__ import annotations

import numpy as np

from tweann.genes import Float
from tweann.tasks.compiled import task_reset
from tweann.tasks.match import match_observe, match_policy, match_score, match_step


@task_reset
def reset_ball(state: Float, params: Float, key: np.uint64) -> None:
    state[0] = float(key >> np.uint64(11)) * 2.0**-53 - 0.5


@match_observe
def observe_ball(state: Float, params: Float, observations: Float) -> None:
    for seat in range(2):
        observations[seat, 0] = state[0] if seat == 0 else -state[0]
        observations[seat, 1] = 1.0 / (1.0 + state[1])


@match_step
def push_ball(state: Float, params: Float, actions: Float) -> bool:
    state[0] += params[0] * (actions[0, 0] - actions[1, 0])
    state[1] += 1.0
    return abs(state[0]) >= params[1]


@match_score
def score_ball(state: Float, params: Float, points: Float) -> None:
    if abs(state[0]) >= params[1]:
        points[0] = params[2] * state[0]
        points[1] = -state[0]


@match_policy
def wall(state: Float, params: Float, observation: Float, action: Float) -> None:
    action[0] = 1.0 if observation[0] < 0.0 else 0.25
