"""Double pole balancing against its published check values and a plain-Python twin."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from task_networks import (
    KEYS,
    call_observe,
    call_reset,
    call_step,
    linear,
    slice_of,
    with_self_loop,
)

from tweann.genes import Float
from tweann.tasks.double_pole import (
    N_STARTS,
    DoublePole,
    DoublePoleNoVelocities,
    observe_all,
    observe_positions,
    reset,
    reset_to_start,
    step,
)

#: Weights of x, θ₁, θ₂ and the output's own last value, found by CMA-ES.
BALANCING = [-0.982, -12.545, 9.356, -1.46]
#: Weights of all seven inputs with velocities, found likewise; the constant is not used.
BALANCING_WITH_VELOCITIES = [-0.68, -1.73, -4.18, -6.55, 2.15, 1.43, 0.0]


def start() -> Float:
    state = np.zeros(6)
    call_reset(reset, state, np.uint64(7))
    return state


def twin_step(state: list[float], action: float) -> list[float]:
    """Move on by one action, as TASKS has it: equations pole by pole, RK4 over the whole vector."""
    force = (action - 0.5) * 20.0

    def slope(s: list[float]) -> list[float]:
        poles = [(s[2], s[3], 0.1, 0.5), (s[4], s[5], 0.01, 0.05)]
        pushes, masses = [], []
        for angle, spin, m, half in poles:
            friction = 2e-6 * spin / (m * half)
            pushes.append(
                m * half * spin**2 * math.sin(angle)
                + 0.75 * m * math.cos(angle) * (friction - 9.8 * math.sin(angle))
            )
            masses.append(m * (1 - 0.75 * math.cos(angle) ** 2))
        x2 = (force + sum(pushes)) / (sum(masses) + 1.0)
        turns = [
            -0.75 * (x2 * math.cos(a) - 9.8 * math.sin(a) + 2e-6 * w / (m * half)) / half
            for a, w, m, half in poles
        ]
        return [s[1], x2, s[3], turns[0], s[5], turns[1]]

    def shifted(s: list[float], k: list[float], h: float) -> list[float]:
        return [a + h * b for a, b in zip(s, k, strict=True)]

    for _ in range(2):
        k1 = slope(state)
        k2 = slope(shifted(state, k1, 0.005))
        k3 = slope(shifted(state, k2, 0.005))
        k4 = slope(shifted(state, k3, 0.01))
        state = [
            s + 0.01 / 6 * (a + 2 * b + 2 * c + d)
            for s, a, b, c, d in zip(state, k1, k2, k3, k4, strict=True)
        ]
    return state


def twin_run(network: Any, actions: int) -> list[list[float]]:
    """Return the states after each action that was survived, without velocities."""
    state, survived = [0.0, 0.0, 0.07, 0.0, 0.0, 0.0], []
    for _ in range(actions):
        out = network.activate([state[0] / 4.8, state[2] / 0.52, state[4] / 0.52, 0.5])[0]
        state = twin_step(state, (out + 1) / 2)
        if abs(state[0]) > 2.4 or max(abs(state[2]), abs(state[4])) > 0.628329:
            break
        survived.append(state)
    return survived


@pytest.fixture(scope="module")
def no_velocities() -> DoublePoleNoVelocities:
    return DoublePoleNoVelocities(DoublePoleNoVelocities.Settings())


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        (1, [0.000962974, 0.096303989, 0.068764084, -0.123663875, -0.014509590, -1.457848285]),
        (5, [0.024109023, 0.482762395, 0.038674241, -0.635243081, -0.405203398, -8.983178195]),
    ],
)
def test_the_check_values_of_the_canonical_program(actions: int, expected: list[float]) -> None:
    state = start()
    for _ in range(actions):
        call_step(step, state, np.array([0.75]))
    assert state == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("pattern", "failing"), [([0.5], 23), ([1.0], 5), ([0.0], 5), ([1.0, 0.0], 10)]
)
def test_when_constant_and_alternating_forces_fail(pattern: list[float], failing: int) -> None:
    state = start()
    results = [
        call_step(step, state, np.array([pattern[i % len(pattern)]])) for i in range(failing)
    ]
    assert results == [(1.0, False)] * (failing - 1) + [(0.0, True)]


def test_random_forces_move_it_as_they_move_the_twin() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        state = rng.uniform(-1, 1, 6) * [2.4, 2.0, 0.5, 2.0, 0.5, 5.0]
        twin = state.tolist()
        for action in rng.random(4):
            call_step(step, state, np.array([action]))
            twin = twin_step(twin, action)
        assert state == pytest.approx(twin, rel=1e-10, abs=1e-12)


def test_each_bound_ends_it() -> None:
    for i, bound in ((0, 2.4), (2, 0.628329), (4, 0.628329)):
        for sign in (-1, 1):
            state = np.zeros(6)
            state[i] = sign * (bound + 0.01)
            assert call_step(step, state, np.array([0.5]))[1]
            state[:] = 0.0
            state[i] = sign * (bound - 0.1)
            assert not call_step(step, state, np.array([0.5]))[1]


def test_a_state_that_is_not_a_number_is_a_failure() -> None:
    state = np.full(6, np.nan)
    assert call_step(step, state, np.array([0.5])) == (0.0, True)


def test_what_the_networks_see() -> None:
    state = np.array([1.2, 0.4, 0.26, -1.0, -0.13, 3.0])
    seven, four = np.empty(7), np.empty(4)
    call_observe(observe_all, state, seven)
    call_observe(observe_positions, state, four)
    assert seven == pytest.approx([0.25, 0.2, 0.5, -0.5, -0.25, 1.5, 0.5])
    assert four == pytest.approx([0.25, 0.5, -0.25, 0.5])


def test_fitness_with_velocities_counts_the_actions_survived() -> None:
    task = DoublePole(DoublePole.Settings())
    still, full = linear(task, [0.0] * 7), linear(task, [0.0] * 7, bias=20.0)
    found = task.evaluate(slice_of(task, still, full), KEYS)
    assert found.fitness.tolist() == [22.0, 4.0]
    assert found.steps.tolist() == [23, 5]
    assert not found.solved.any()


def test_with_velocities_it_is_solved_by_the_actions_that_the_settings_ask_for() -> None:
    task = DoublePole(DoublePole.Settings(max_steps=22))
    found = task.evaluate(slice_of(task, linear(task, [0.0] * 7)), KEYS)
    assert found.fitness[0] == 22.0
    assert found.solved[0]


def test_with_velocities_a_linear_controller_balances_for_100_000_actions() -> None:
    task = DoublePole(DoublePole.Settings())
    found = task.evaluate(slice_of(task, linear(task, BALANCING_WITH_VELOCITIES)), KEYS)
    assert found.fitness[0] == 100_000.0
    assert found.solved[0]


@pytest.mark.parametrize("weights", [BALANCING, [0.0] * 4, [-0.982, -12.545, 9.356, -1.2]])
def test_gruau_fitness_is_that_of_the_twin(
    no_velocities: DoublePoleNoVelocities, weights: list[float]
) -> None:
    genome = with_self_loop(no_velocities, weights)
    found = no_velocities.evaluate(slice_of(no_velocities, genome), KEYS)
    states = twin_run(genome.network(), 1000)
    wobbles = [sum(abs(v) for v in state[:4]) for state in states]
    expected = 0.1 * len(states) / 1000
    if len(states) > 100:
        expected += 0.9 * 0.75 / sum(wobbles[-100:])
    assert found.steps[0] == min(len(states) + 1, 1000)
    assert found.fitness[0] == pytest.approx(expected, rel=1e-6)
    assert not found.solved[0]


def test_the_625_starts_are_the_grid_of_the_generalisation_test() -> None:
    grid = (0.05, 0.25, 0.5, 0.75, 0.95)
    expected = [
        [
            4.32 * a - 2.16,
            2.70 * b - 1.35,
            0.12566304 * c - 0.06283152,
            0.30019504 * d - 0.15009752,
            0.0,
            0.0,
        ]
        for a, b, c, d in itertools.product(grid, repeat=4)
    ]
    found = np.zeros((N_STARTS, 6))
    for number in range(N_STARTS):
        call_reset(reset_to_start, found[number], np.uint64(number))
    assert found == pytest.approx(np.array(expected), abs=1e-15)


def test_a_balancing_champion_passes_the_test(no_velocities: DoublePoleNoVelocities) -> None:
    champion = slice_of(no_velocities, with_self_loop(no_velocities, BALANCING))
    found = no_velocities.test_champion(champion)
    assert found.solved
    assert found.metrics["long_run"] == 100_000
    assert 200 <= found.metrics["generalisation"] <= 625
    assert no_velocities.metrics(champion) == found.metrics


def test_a_champion_that_falls_in_the_long_run_is_not_tried_on_the_starts(
    no_velocities: DoublePoleNoVelocities,
) -> None:
    still = slice_of(no_velocities, with_self_loop(no_velocities, [0.0] * 4))
    found = no_velocities.test_champion(still)
    assert not found.solved
    assert found.metrics == {"long_run": 22.0, "generalisation": 0.0}


def test_without_force_exactly_the_five_starts_at_rest_stay_up(
    no_velocities: DoublePoleNoVelocities,
) -> None:
    # upright and at rest is an equilibrium, wherever the cart stands: 5 of the 625
    still = slice_of(no_velocities, with_self_loop(no_velocities, [0.0] * 4))
    assert no_velocities.metrics(still) == {"long_run": 22.0, "generalisation": 5.0}
