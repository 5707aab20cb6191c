"""Double pole balancing: two poles of different length on one cart, with velocities and without.

Equations, constants and failure as in the program of Stanley & Miikkulainen (2002), which goes back to Wieland
(1991): hinge friction, no track friction, RK4 of 0.01 s, two steps an action with the force held.
"""

from __future__ import annotations

import math
from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from tweann.genes import Float
from tweann.network import NetworkSlice
from tweann.tasks.base import ChampionTest, Evaluations, TaskInfo
from tweann.tasks.compiled import (
    CompiledTask,
    Simulation,
    sum_of_rewards,
    task_function,
    task_observe,
    task_reset,
    task_score,
    task_step,
)
from tweann.tasks.settings import NoTaskSettings, TaskSettings

_GRAVITY: Final = -9.8  # m/s²
_CART: Final = 1.0  # kg
_MASS_1, _MASS_2 = 0.1, 0.01  # kg
_LENGTH_1, _LENGTH_2 = 0.5, 0.05  # m, half of the poles
_HINGE: Final = 2e-6  # friction μp
_TAU: Final = 0.01  # s
_FORCE: Final = 20.0  # N, from one end of the output's range to the other
_MAX_X: Final = 2.4  # m
_MAX_ANGLE: Final = 0.628329  # rad, 36°
_START_ANGLE: Final = 0.07  # rad

_ML_1, _ML_2 = _MASS_1 * _LENGTH_1, _MASS_2 * _LENGTH_2
_FRICTION_1, _FRICTION_2 = _HINGE / _ML_1, _HINGE / _ML_2
_LEVER_1, _LEVER_2 = -0.75 / _LENGTH_1, -0.75 / _LENGTH_2

GRUAU_ACTIONS: Final = 1_000
LONG_RUN: Final = 100_000
N_STARTS: Final = 625
STARTS_NEEDED: Final = 200

#: Behind the six numbers of the mechanics: actions survived, then a ring of the last 100 wobbles.
_SURVIVED: Final = 6
_RING: Final = 7
_RING_SIZE: Final = 100


@task_function
def accelerations(
    force: float, angle_1: float, spin_1: float, angle_2: float, spin_2: float
) -> tuple[float, float, float]:
    """Return (ẍ, θ̈₁, θ̈₂) in m/s² and rad/s².

    For each pole t = μp·θ̇/(m·l); f = m·l·θ̇²·sin θ + 0.75·m·cos θ·(t + g·sin θ); M = m·(1 − 0.75·cos²θ); then
    ẍ = (F + f₁ + f₂)/(M₁ + M₂ + 1) and θ̈ = −0.75·(ẍ·cos θ + g·sin θ + t)/l. (Wieland 1991)
    """
    sin_1, cos_1 = math.sin(angle_1), math.cos(angle_1)
    sin_2, cos_2 = math.sin(angle_2), math.cos(angle_2)
    pull_1 = _FRICTION_1 * spin_1 + _GRAVITY * sin_1
    pull_2 = _FRICTION_2 * spin_2 + _GRAVITY * sin_2
    f_1 = _ML_1 * spin_1 * spin_1 * sin_1 + 0.75 * _MASS_1 * cos_1 * pull_1
    f_2 = _ML_2 * spin_2 * spin_2 * sin_2 + 0.75 * _MASS_2 * cos_2 * pull_2
    mass_1 = _MASS_1 * (1.0 - 0.75 * cos_1 * cos_1)
    mass_2 = _MASS_2 * (1.0 - 0.75 * cos_2 * cos_2)
    a = (force + f_1 + f_2) / (mass_1 + mass_2 + _CART)
    return a, _LEVER_1 * (a * cos_1 + pull_1), _LEVER_2 * (a * cos_2 + pull_2)


@task_function
def move(state: Float, action: float) -> bool:
    """Move the six numbers of ``state`` on by one action and say whether that ends in failure.

    Args:
        state: (>= 6,) x, ẋ, θ₁, θ̇₁, θ₂, θ̇₂ in m, rad and s.
        action: in [0, 1], the force over its range.
    """
    force = (action - 0.5) * _FORCE
    x, v = state[0], state[1]
    p, p_spin = state[2], state[3]
    q, q_spin = state[4], state[5]
    half, sixth = _TAU / 2.0, _TAU / 6.0
    for _ in range(2):  # classical Runge-Kutta; the position's own derivatives are the velocities
        a1, b1, c1 = accelerations(force, p, p_spin, q, q_spin)
        v2, p2, q2 = v + half * a1, p_spin + half * b1, q_spin + half * c1
        a2, b2, c2 = accelerations(force, p + half * p_spin, p2, q + half * q_spin, q2)
        v3, p3, q3 = v + half * a2, p_spin + half * b2, q_spin + half * c2
        a3, b3, c3 = accelerations(force, p + half * p2, p3, q + half * q2, q3)
        v4, p4, q4 = v + _TAU * a3, p_spin + _TAU * b3, q_spin + _TAU * c3
        a4, b4, c4 = accelerations(force, p + _TAU * p3, p4, q + _TAU * q3, q4)
        x += sixth * (v + 2.0 * (v2 + v3) + v4)
        p += sixth * (p_spin + 2.0 * (p2 + p3) + p4)
        q += sixth * (q_spin + 2.0 * (q2 + q3) + q4)
        v += sixth * (a1 + 2.0 * (a2 + a3) + a4)
        p_spin += sixth * (b1 + 2.0 * (b2 + b3) + b4)
        q_spin += sixth * (c1 + 2.0 * (c2 + c3) + c4)
    state[0], state[1] = x, v
    state[2], state[3] = p, p_spin
    state[4], state[5] = q, q_spin
    # so written, a state that is not a number is a failure
    return not (abs(x) <= _MAX_X and abs(p) <= _MAX_ANGLE and abs(q) <= _MAX_ANGLE)


@task_reset
def reset(state: Float, params: Float, key: np.uint64) -> None:
    """Start with the long pole at 0.07 rad, all else 0."""
    state[2] = _START_ANGLE


@task_reset
def reset_to_start(state: Float, params: Float, key: np.uint64) -> None:
    """Start number ``key`` of the 625 of the generalisation test, here no random key but a count."""
    number = np.int64(key)
    grid = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    state[0] = 4.32 * grid[number // 125] - 2.16
    state[1] = 2.70 * grid[number // 25 % 5] - 1.35
    state[2] = 0.12566304 * grid[number // 5 % 5] - 0.06283152
    state[3] = 0.30019504 * grid[number % 5] - 0.15009752


@task_observe
def observe_all(state: Float, params: Float, observation: Float) -> None:
    """Give positions and velocities, scaled, and a constant."""
    observation[0] = state[0] / 4.8
    observation[1] = state[1] / 2.0
    observation[2] = state[2] / 0.52
    observation[3] = state[3] / 2.0
    observation[4] = state[4] / 0.52
    observation[5] = state[5] / 2.0
    observation[6] = 0.5


@task_observe
def observe_positions(state: Float, params: Float, observation: Float) -> None:
    """Give positions, scaled, and a constant."""
    observation[0] = state[0] / 4.8
    observation[1] = state[2] / 0.52
    observation[2] = state[4] / 0.52
    observation[3] = 0.5


@task_step
def step(state: Float, params: Float, action: Float) -> tuple[float, bool]:
    """Reward every action that is survived with 1."""
    failed = move(state, action[0])
    return 0.0 if failed else 1.0, failed


@task_step
def step_and_record(state: Float, params: Float, action: Float) -> tuple[float, bool]:
    """Do the same and keep what Gruau's fitness needs: |x| + |ẋ| + |θ₁| + |θ̇₁| of the last 100 actions."""
    failed = move(state, action[0])
    if failed:
        return 0.0, True
    survived = int(state[_SURVIVED])
    wobble = abs(state[0]) + abs(state[1]) + abs(state[2]) + abs(state[3])
    state[_RING + survived % _RING_SIZE] = wobble
    state[_SURVIVED] = survived + 1
    return 1.0, False


@task_score
def gruau_fitness(state: Float, params: Float, out: Float) -> None:
    """Score 0.1·t/1000 + 0.9·(0 if t ≤ 100 else 0.75/J), t actions survived, J the last 100 wobbles summed.

    Gruau, Whitley & Pyeatt (1996), as Stanley & Miikkulainen (2002) give it.
    """
    survived = state[_SURVIVED]
    out[0] = 0.1 * survived / GRUAU_ACTIONS
    if survived > _RING_SIZE:
        total = 0.0
        for i in range(_RING_SIZE):
            total += state[_RING + i]
        out[0] += 0.9 * 0.75 / total


@task_score
def survived_start(state: Float, params: Float, out: Float) -> None:
    """Score 1 if all actions of a start were survived, else 0."""
    out[0] = 1.0 if out[0] >= GRUAU_ACTIONS else 0.0


_UNBOUNDED: Final = (-math.inf, math.inf)
_CART_RANGE: Final = (-_MAX_X / 4.8, _MAX_X / 4.8)
_POLE_RANGE: Final = (-_MAX_ANGLE / 0.52, _MAX_ANGLE / 0.52)
_BIAS_RANGE: Final = (0.5, 0.5)


class DoublePole(CompiledTask):
    """Double pole balancing with velocities: a network sees the whole state."""

    class Settings(TaskSettings):
        """Section [task]."""

        max_steps: int = Field(
            default=LONG_RUN,
            ge=1,
            le=10_000_000,
            description="Actions to be survived; solved there.",
        )

    def __init__(self, settings: Settings) -> None:
        info = TaskInfo(
            name="double-pole",
            version=1,
            kind="compiled",
            inputs=("x", "x_velocity", "angle_1", "spin_1", "angle_2", "spin_2", "bias"),
            outputs=("force",),
            input_ranges=(
                _CART_RANGE,
                _UNBOUNDED,
                _POLE_RANGE,
                _UNBOUNDED,
                _POLE_RANGE,
                _UNBOUNDED,
                _BIAS_RANGE,
            ),
            output_ranges=((0.0, 1.0),),
            solved=f"{settings.max_steps:,} actions survived",
            baseline="mean evaluations: CMA-ES 895, CoSyNE 954, NEAT 3,600, random weights 474,329",
            dt=2 * _TAU,
        )
        super().__init__(
            info,
            reset=reset,
            observe=observe_all,
            step=step,
            state_size=6,
            max_steps=settings.max_steps,
            solved_at=settings.max_steps,
        )


class DoublePoleNoVelocities(CompiledTask):
    """Double pole balancing without velocities: needs memory. Gruau's fitness, and a test of the champion."""

    Settings: ClassVar = NoTaskSettings
    tests_champion = True

    def __init__(self, settings: NoTaskSettings) -> None:
        del settings
        info = TaskInfo(
            name="double-pole-no-velocities",
            version=1,
            kind="compiled",
            inputs=("x", "angle_1", "angle_2", "bias"),
            outputs=("force",),
            input_ranges=(_CART_RANGE, _POLE_RANGE, _POLE_RANGE, _BIAS_RANGE),
            output_ranges=((0.0, 1.0),),
            solved=f"the champion survives {LONG_RUN:,} actions, then {GRUAU_ACTIONS:,} actions from "
            f"{STARTS_NEEDED} of {N_STARTS} starts",
            baseline="mean evaluations: CoSyNE 3,416, CMA-ES 6,061, NEAT 6,929 (population 16) and 33,184 "
            "(population 1,000), random weights 1,232,296",
            dt=2 * _TAU,
        )
        super().__init__(
            info,
            reset=reset,
            observe=observe_positions,
            step=step_and_record,
            score=gruau_fitness,
            state_size=_RING + _RING_SIZE,
            max_steps=GRUAU_ACTIONS,
        )

    def test_champion(self, networks: NetworkSlice) -> ChampionTest:
        """Try the long run, and if that succeeds the 625 starts; a failure in the first is cheap.

        Returns:
            Metrics ``long_run``, the actions survived, and ``generalisation``, the number of starts, 0 if
            they were not tried.
        """
        long_run = self._long_run(networks)
        count = self._starts_survived(networks) if long_run >= LONG_RUN else 0
        return ChampionTest(
            count >= STARTS_NEEDED, {"long_run": float(long_run), "generalisation": float(count)}
        )

    def metrics(self, networks: NetworkSlice) -> dict[str, float]:
        """Return ``long_run`` and ``generalisation``, both in any case."""
        return {
            "long_run": float(self._long_run(networks)),
            "generalisation": float(self._starts_survived(networks)),
        }

    def _long_run(self, networks: NetworkSlice) -> int:
        episode = np.zeros(1, np.uint64)
        run = self.simulation._replace(step=step, score=sum_of_rewards)
        found = Evaluations.empty(len(networks), self.info)
        self.run_episodes(networks, episode, run, LONG_RUN, found)
        return int(found.fitness[0])

    def _starts_survived(self, networks: NetworkSlice) -> int:
        starts = np.arange(N_STARTS, dtype=np.uint64)
        run = Simulation(reset_to_start, observe_positions, step, survived_start)
        found = Evaluations.empty(len(networks), self.info)
        self.run_episodes(networks, starts, run, GRUAU_ACTIONS, found)
        return round(float(found.fitness[0]) * N_STARTS)  # a mean over the starts
