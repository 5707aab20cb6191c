"""Single pole balancing against a plain-Python transcription of gymnasium's CartPole-v1."""

from __future__ import annotations

import math

import numpy as np
import pytest
from task_networks import KEYS, call_observe, call_reset, call_step, linear, slice_of

from tweann.tasks.base import EvaluationKeys
from tweann.tasks.single_pole import SinglePole, observe, reset, step

BALANCING = [0.2, 0.5, 3.0, 2.0]


class Twin:
    """gymnasium.envs.classic_control.CartPoleEnv, kinematics "euler": its published equations."""

    gravity = 9.8
    masscart = 1.0
    masspole = 0.1
    total_mass = masspole + masscart
    length = 0.5
    polemass_length = masspole * length
    force_mag = 10.0
    tau = 0.02
    theta_threshold_radians = 12 * 2 * math.pi / 360
    x_threshold = 2.4

    def __init__(self, state: list[float]) -> None:
        self.state = state

    def step(self, action: int) -> tuple[float, bool]:
        x, x_dot, theta, theta_dot = self.state
        force = self.force_mag if action == 1 else -self.force_mag
        costheta = math.cos(theta)
        sintheta = math.sin(theta)
        temp = (force + self.polemass_length * theta_dot**2 * sintheta) / self.total_mass
        thetaacc = (self.gravity * sintheta - costheta * temp) / (
            self.length * (4.0 / 3.0 - self.masspole * costheta**2 / self.total_mass)
        )
        xacc = temp - self.polemass_length * thetaacc * costheta / self.total_mass
        x = x + self.tau * x_dot
        x_dot = x_dot + self.tau * xacc
        theta = theta + self.tau * theta_dot
        theta_dot = theta_dot + self.tau * thetaacc
        self.state = [x, x_dot, theta, theta_dot]
        terminated = (
            x < -self.x_threshold
            or x > self.x_threshold
            or theta < -self.theta_threshold_radians
            or theta > self.theta_threshold_radians
        )
        return 1.0, terminated


def test_it_is_cartpole_step_for_step() -> None:
    rng = np.random.default_rng(1)
    lengths = []
    for _ in range(200):
        state = rng.uniform(-0.05, 0.05, 4)
        twin = Twin(state.tolist())
        done, n = False, 0
        while not done and n < 500:
            right = bool(rng.random() < 0.5)
            reward, done = call_step(step, state, np.array([0.3 if right else -0.3]))
            assert (reward, done) == twin.step(int(right))
            assert state == pytest.approx(twin.state, rel=1e-12, abs=1e-14)
            n += 1
        lengths.append(n)
    assert 15 < np.mean(lengths) < 35


def test_an_output_of_zero_pushes_left() -> None:
    state, twin = np.full(4, 0.01), Twin([0.01] * 4)
    call_step(step, state, np.zeros(1))
    twin.step(0)
    assert state == pytest.approx(twin.state)


def test_it_agrees_over_500_steps_of_balancing() -> None:
    state = np.array([0.04, -0.03, 0.02, 0.05])
    twin, seen = Twin(state.tolist()), np.empty(4)
    for _ in range(500):
        call_observe(observe, state, seen)
        right = float(seen @ BALANCING) > 0.0
        _, done = call_step(step, state, np.array([1.0 if right else -1.0]))
        assert not done
        assert not twin.step(int(right))[1]
    assert state == pytest.approx(twin.state, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("i", "bound"), [(0, 2.4), (2, 12 * 2 * math.pi / 360)])
def test_it_ends_beyond_each_bound(i: int, bound: float) -> None:
    for sign in (-1.0, 1.0):
        state = np.zeros(4)
        state[i] = sign * bound * 1.001
        assert call_step(step, state, np.ones(1))[1]
        state[:] = 0.0
        state[i] = sign * bound * 0.999
        assert not call_step(step, state, np.ones(1))[1]


def test_starts_are_uniform_in_a_twentieth() -> None:
    starts = np.zeros((2000, 4))
    for n in range(2000):
        call_reset(reset, starts[n], np.uint64(n * 7919 + 1))
    assert np.abs(starts).max() <= 0.05
    # the mean of 2000 such numbers has a standard deviation of 0.05/√3/√2000 = 0.00065
    assert np.abs(starts.mean(axis=0)).max() < 4 * 0.00065
    assert starts.std(axis=0) == pytest.approx(0.05 / math.sqrt(3), rel=0.05)


def test_a_balancing_network_solves_it() -> None:
    task = SinglePole(SinglePole.Settings())
    found = task.evaluate(slice_of(task, linear(task, BALANCING)), KEYS)
    assert found.fitness[0] == 500.0
    assert found.steps[0] == 2500
    assert found.solved[0]


def test_fitness_is_the_mean_length_of_the_episodes() -> None:
    task = SinglePole(SinglePole.Settings())
    found = task.evaluate(slice_of(task, linear(task, [0.0] * 4)), KEYS)
    assert found.fitness[0] == found.steps[0] / 5
    assert 8 <= found.fitness[0] <= 11
    assert not found.solved[0]


def test_all_genomes_meet_the_same_starts_and_a_generation_or_seed_changes_them() -> None:
    task = SinglePole(SinglePole.Settings(episodes=20))
    genome = linear(task, [0.0, 0.0, 1.0, 0.0])
    twice = slice_of(task, genome, genome)
    found = [
        task.evaluate(twice, keys).fitness.tolist()
        for keys in (EvaluationKeys(1), EvaluationKeys(1), EvaluationKeys(1, 1), EvaluationKeys(2))
    ]
    assert all(first == second for first, second in found)
    assert found[0] == found[1]
    assert len({fitness[0] for fitness in found}) == 3
