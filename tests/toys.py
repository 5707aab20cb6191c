"""Small compiled functions for tests: a simulation, a vector task, two activations.

They have a module of their own with a name that never changes: numba's cache on disk remembers it.
"""

from __future__ import annotations

import numpy as np

from tweann.genes import Float
from tweann.kernels._jit import ACTIVATION, OBSERVE, RESET, SCORE, STEP, VECTOR, callback

# A point on a line that the key puts somewhere and the action moves.
# State: position, steps. Parameters: gain, limit, steps until it is solved.


def reset_point(state: Float, params: Float, key: np.uint64) -> None:
    state[0] = float(key >> np.uint64(11)) * 2.0**-53 - 0.5
    state[1] = 0.0


def observe_point(state: Float, params: Float, observation: Float) -> None:
    observation[0] = state[0]
    observation[1] = 1.0 / (1.0 + state[1])


def step_point(state: Float, params: Float, action: Float) -> tuple[float, bool]:
    state[0] += params[0] * action[0]
    state[1] += 1.0
    return 1.0 - abs(state[0]), abs(state[0]) > params[1]


def score_point(state: Float, params: Float, score: Float) -> None:
    score[0] += 10.0
    score[1] = 1.0 if state[1] >= params[2] else 0.0
    score[2] = state[0]
    score[3] = state[1]
    score[4] = -state[0]


def describe_vector(values: Float, params: Float, key: np.uint64, score: Float) -> None:
    total = 0.0
    for v in values:
        total += v
    score[0] = params[0] / total
    score[1] = 1.0 if values.size > 2 else 0.0
    score[2] = values.size
    score[3] = float(key >> np.uint64(40))


def half(s: float) -> float:
    return 0.5 * s


def shifted(s: float) -> float:
    return s + 1.0


POINT = (
    callback(RESET)(reset_point),
    callback(OBSERVE)(observe_point),
    callback(STEP)(step_point),
    callback(SCORE)(score_point),
)
DESCRIBE_VECTOR = callback(VECTOR)(describe_vector)
HALF, SHIFTED = callback(ACTIVATION)(half), callback(ACTIVATION)(shifted)
