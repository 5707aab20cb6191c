"""Bandits: baselines, exactly where they are exact, and plastic networks that learn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from pools import changed
from task_networks import (
    KEYS,
    call_observe,
    call_reset,
    call_step,
    linear,
    random_linear,
    slice_of,
    with_self_loop,
)

from tweann.evolution import Evolution
from tweann.genes import PLASTICITY_RULES
from tweann.tasks.bandits import ProbabilisticBandit, ReversalBandit
from tweann.tasks.settings import NoTaskSettings

REVERSAL = ReversalBandit(NoTaskSettings())
PROBABILISTIC = ProbabilisticBandit(ProbabilisticBandit.Settings(episodes=20))


class TestReversal:
    @PROPERTY
    @given(st.integers(0, 10_000), st.floats(-3.0, 3.0), st.floats(-3.0, 3.0))
    def test_without_plasticity_the_reward_is_0_exactly(
        self, seed: int, weight: float, loop: float
    ) -> None:
        for genome in (random_linear(REVERSAL, seed), with_self_loop(REVERSAL, [weight, loop])):
            found = REVERSAL.evaluate(slice_of(REVERSAL, genome), KEYS)
            assert found.fitness.tolist() == [0.0]
            assert not found.solved[0]
            assert found.steps.tolist() == [80]

    def test_a_network_that_learns_from_the_reward_does_nearly_all_right(self) -> None:
        """A Hebbian weight with decay flips when punished: three pulls of 80 are wrong."""
        genome = changed(
            linear(REVERSAL, [1.0]),
            connection_extra={
                "rule": np.full(1, float(PLASTICITY_RULES.index("hebbian"))),
                "learning_rate": np.full(1, 2.0),
                "decay": np.full(1, 0.9),
            },
        )
        found = REVERSAL.evaluate(genome.as_slice(genome.layout()), KEYS)
        assert found.fitness[0] == pytest.approx((77 - 3) / 80)
        assert found.solved[0]

    def test_plastic_networks_evolve_to_it(self) -> None:
        sections: dict[str, Any] = {
            "run": {"seed": 1, "evaluations": 20_000},
            "task": {"name": "reversal-bandit"},
            "genome": {"plasticity": ["none", "hebbian"]},
            "evaluation": {"backend": "serial"},
            "storage": {"url": "memory:"},
            "observers": {},
        }
        result = Evolution(sections).run()
        assert result.champion is not None
        assert result.champion.fitness >= 0.7
        assert result.solved


def played(policy: Any, n: int) -> tuple[float, float]:
    """Return the mean share of rewards over ``n`` lifetimes, and its standard error."""
    task, shares = PROBABILISTIC, []
    state, seen = np.zeros(6), np.zeros(3)
    for lifetime in range(n):
        state[:] = 0.0
        call_reset(task.simulation.reset, state, np.uint64(lifetime * 2654435761 + 12345))
        total, done = 0.0, False
        while not done:
            call_observe(task.simulation.observe, state, seen)
            reward, done = call_step(task.simulation.step, state, np.array([policy(seen)]))
            total += reward
        assert state[0] == 120.0
        shares.append(0.5 * (total / 120.0 + 1.0))
    return float(np.mean(shares)), float(np.std(shares)) / math.sqrt(n)


def win_stay_lose_shift(seen: Any) -> float:
    return float(seen[0] * seen[1]) or 1.0


class TestProbabilistic:
    def test_win_stay_lose_shift_wins_two_thirds(self) -> None:
        """It is on the good arm with 0.8 from the second step on, with 0.2 at a reversal: 0.6695 in all."""
        expected = (0.5 + 3 * (0.2 * 0.8 + 0.8 * 0.2) + 116 * (0.8 * 0.8 + 0.2 * 0.2)) / 120
        assert expected == pytest.approx(0.6695, abs=5e-5)
        mean, error = played(win_stay_lose_shift, 400)
        assert abs(mean - expected) < 4.0 * error

    def test_one_arm_for_ever_wins_half(self) -> None:
        for arm in (-1.0, 1.0):
            mean, error = played(lambda seen, arm=arm: arm, 400)
            assert abs(mean - 0.5) < 4.0 * error

    def test_a_network_plays_as_the_policy_does(self) -> None:
        """Reward times action is no linear function, but max_abs and the like are not needed to play one arm."""
        found = PROBABILISTIC.evaluate(
            slice_of(PROBABILISTIC, linear(PROBABILISTIC, [0, 0, 1.0])), KEYS
        )
        other = PROBABILISTIC.evaluate(
            slice_of(PROBABILISTIC, linear(PROBABILISTIC, [0, 0, -1.0])), KEYS
        )
        assert 0.4 < found.fitness[0] < 0.6
        assert found.fitness[0] != other.fitness[0]
        assert found.steps.tolist() == [2400]

    def test_lifetimes_are_the_same_for_all_and_differ_from_seed_to_seed(self) -> None:
        genome = linear(PROBABILISTIC, [0, 0, 1.0])
        twice = PROBABILISTIC.evaluate(slice_of(PROBABILISTIC, genome, genome), KEYS).fitness
        assert twice[0] == twice[1]
        other = type(KEYS)(seed=2)
        assert PROBABILISTIC.evaluate(slice_of(PROBABILISTIC, genome), other).fitness[0] != twice[0]
