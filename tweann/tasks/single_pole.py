"""Single pole balancing: gymnasium's CartPole-v1."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from pydantic import Field

from tweann.genes import Float
from tweann.kernels.random import next_uniform
from tweann.tasks.base import TaskInfo
from tweann.tasks.compiled import CompiledTask, task_observe, task_reset, task_step
from tweann.tasks.settings import TaskSettings

# gymnasium/envs/classic_control/cartpole.py, after Barto, Sutton & Anderson (1983)
_GRAVITY: Final = 9.8
_POLE: Final = 0.1  # kg
_TOTAL: Final = 0.1 + 1.0  # kg, with the cart
_LENGTH: Final = 0.5  # m, half of the pole
_POLE_LENGTH: Final = _POLE * _LENGTH
_FORCE: Final = 10.0  # N
_TAU: Final = 0.02  # s
_MAX_X: Final = 2.4  # m
_MAX_ANGLE: Final = 12 * 2 * math.pi / 360  # rad
_SPREAD: Final = 0.05
MAX_STEPS: Final = 500
SOLVED_AT: Final = 475.0


@task_reset
def reset(state: Float, params: Float, key: np.uint64) -> None:
    """Draw x, ẋ, θ and θ̇ from ±0.05."""
    rng = np.empty(1, np.uint64)
    rng[0] = key
    for i in range(4):
        state[i] = _SPREAD * (2.0 * next_uniform(rng) - 1.0)


@task_observe
def observe(state: Float, params: Float, observation: Float) -> None:
    """Give x, ẋ, θ and θ̇ as they are."""
    for i in range(4):
        observation[i] = state[i]


@task_step
def step(state: Float, params: Float, action: Float) -> tuple[float, bool]:
    """Push right if the output is above 0, else left; reward every step with 1, the last one too."""
    x, v, angle, spin = state[0], state[1], state[2], state[3]
    force = _FORCE if action[0] > 0.0 else -_FORCE
    sin, cos = math.sin(angle), math.cos(angle)
    pull = (force + _POLE_LENGTH * (spin * spin) * sin) / _TOTAL
    turn = (_GRAVITY * sin - cos * pull) / (_LENGTH * (4.0 / 3.0 - _POLE * (cos * cos) / _TOTAL))
    acceleration = pull - _POLE_LENGTH * turn * cos / _TOTAL
    # Euler: positions move by the velocities before the step
    state[0] = x + _TAU * v
    state[1] = v + _TAU * acceleration
    state[2] = angle + _TAU * spin
    state[3] = spin + _TAU * turn
    return 1.0, abs(state[0]) > _MAX_X or abs(state[2]) > _MAX_ANGLE


class SinglePole(CompiledTask):
    """Single pole balancing, gymnasium's CartPole-v1."""

    class Settings(TaskSettings):
        """Section [task]."""

        episodes: int = Field(
            default=5, ge=1, le=10_000, description="Episodes, the fitness being their mean length."
        )

    def __init__(self, settings: Settings) -> None:
        unbounded = (-math.inf, math.inf)
        info = TaskInfo(
            name="single-pole",
            version=1,
            kind="compiled",
            inputs=("x", "x_velocity", "angle", "spin"),
            outputs=("push",),
            input_ranges=((-_MAX_X, _MAX_X), unbounded, (-_MAX_ANGLE, _MAX_ANGLE), unbounded),
            output_ranges=((-1.0, 1.0),),
            solved=f"{SOLVED_AT:g} of {MAX_STEPS} steps, the mean of {settings.episodes} episodes",
            baseline="random pushes last about 22 steps",
            episodes=settings.episodes,
            dt=_TAU,
        )
        super().__init__(
            info,
            reset=reset,
            observe=observe,
            step=step,
            state_size=4,
            max_steps=MAX_STEPS,
            solved_at=SOLVED_AT,
        )
