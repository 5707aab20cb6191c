"""The robot duel against a plain-Python twin, and its scripted players against each other and against networks."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from reference_match import Game, ScriptedPlayer, pair_score
from task_networks import KEYS, linear, random_linear, slice_of

from tweann.errors import ConfigError, TaskError
from tweann.tasks.base import EvaluationKeys, Evaluations, Opponents
from tweann.tasks.duel import (
    STATE_SIZE,
    TEST_EPISODES,
    TEST_SEED,
    Duel,
    observe,
    reset,
    score,
    step,
)
from tweann.tasks.match import CompiledMatch
from tweann.tasks.parity import Xor

TASK = Duel(Duel.Settings())
GAME = Game(reset, observe, step, score, (), STATE_SIZE, 8, 2)
MASK = 2**64 - 1


def uniform(key: int, i: int) -> float:
    """SplitMix64 by the book."""
    z = (key + (i + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return float((z ^ (z >> 31)) >> 11) * 2.0**-53


class Robot:
    def __init__(self, x: float, heading: float) -> None:
        self.x, self.y, self.heading, self.energy = x, 0.5, heading, 1.0

    def sees(self, x: float, y: float) -> list[float]:
        d = math.dist((x, y), (self.x, self.y))
        bearing = math.atan2(y - self.y, x - self.x) - self.heading if d else 0.0
        return [1.0 - d / math.sqrt(2.0), math.cos(bearing), math.sin(bearing)]


class Twin:
    """The duel, with angles, and food as a list."""

    def __init__(self, key: int) -> None:
        self.robots = Robot(0.25, 0.0), Robot(0.75, math.pi)
        draws = [0.1 + 0.8 * uniform(key, i) for i in range(12)]
        self.food = list(zip(draws[::2], draws[1::2], strict=True))

    def observe(self, seat: int) -> list[float]:
        me, other = self.robots[seat], self.robots[1 - seat]
        nearest = [0.0] * 3
        if self.food:
            nearest = me.sees(*min(self.food, key=lambda f: math.dist(f, (me.x, me.y))))
        lead = min(max(me.energy - other.energy, -1.0), 1.0)
        return [*me.sees(other.x, other.y), *nearest, lead, 1.0]

    def step(self, actions: list[list[float]]) -> bool:
        for robot, (turn, speed) in zip(self.robots, actions, strict=True):
            robot.heading += 0.4 * turn
            if robot.energy <= 0.0:
                continue
            robot.energy = max(robot.energy - 0.01 * speed, 0.0)
            x = robot.x + 0.03 * speed * math.cos(robot.heading)
            y = robot.y + 0.03 * speed * math.sin(robot.heading)
            robot.x, robot.y = min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)
        one, other = self.robots
        for f in list(self.food):
            a, b = (math.dist(f, (r.x, r.y)) for r in self.robots)
            if min(a, b) <= 0.05 and a != b:
                (one if a < b else other).energy += 0.5
                self.food.remove(f)
        return math.dist((one.x, one.y), (other.x, other.y)) <= 0.06


@PROPERTY
@given(st.integers(0, MASK), st.integers(0, 2**32))
def test_it_is_the_twin_step_for_step(key: int, seed: int) -> None:
    rng = random.Random(seed)
    twin, state = Twin(key), np.zeros(STATE_SIZE)
    nothing, seen, points = np.zeros(0), np.empty((2, 8)), np.zeros(2)
    reset(state, nothing, np.uint64(key))
    for k in range(100):
        observe(state, nothing, seen)
        for seat in (0, 1):
            assert seen[seat].tolist() == pytest.approx(twin.observe(seat), abs=1e-9)
        if k % 5 == 0:
            actions = [[rng.uniform(-1.0, 1.0), rng.random()] for _ in range(2)]
        done = step(state, nothing, np.array(actions))
        assert done == twin.step(actions)
        if done:
            break
    score(state, nothing, points)
    assert points.tolist() == pytest.approx([robot.energy for robot in twin.robots])


def test_a_robot_without_energy_only_turns() -> None:
    state = np.zeros(STATE_SIZE)
    reset(state, np.zeros(0), np.uint64(1))
    state[13:] = -1.0
    for _ in range(120):  # away from the other, into the wall
        step(state, np.zeros(0), np.array([[0.01, 1.0], [0.0, 0.0]]))
    assert state[4] == 0.0
    assert state[9] == 1.0


def scripted(one: Callable[..., Any], other: Callable[..., Any]) -> float:
    keys = [int(key) for key in EvaluationKeys(TEST_SEED).episodes(TEST_EPISODES)]
    return pair_score(GAME, ScriptedPlayer(one, GAME), ScriptedPlayer(other, GAME), keys, 100)[0]


def test_scripted_players_score_what_the_docs_say() -> None:
    page = (Path(__file__).parents[2] / "docs/tasks.md").read_text(encoding="utf-8")
    stated = {
        (one, other): float(value)
        for one, other, value in re.findall(
            r"^\| `(\w+)` against `(\w+)` \| ([\d.]+) \|", page, re.M
        )
    }
    found = {
        (one, other): scripted(TASK.policies[one], TASK.policies[other])
        for one, other in combinations(reversed(TASK.policies), 2)
    }
    assert stated == found


def test_a_network_can_play_as_a_chaser_does() -> None:
    """The kernel lets a network do what a policy does: turn by the sine of the bearing, at full speed."""
    turn, speed = [0.0] * 8, [0.0] * 8
    turn[2], speed[7] = 9.0, 9.0
    task, found = TASK, Evaluations.empty(1, TASK.info)
    networks = slice_of(task, linear(task, [*turn, *speed]))
    episodes = EvaluationKeys(TEST_SEED).episodes(TEST_EPISODES)
    scores = task.play_scripted(networks, episodes, found)
    chaser = task.policies["chaser"]
    for name in ("random", "forager", "hunter"):
        expected = scripted(chaser, task.policies[name])
        assert scores[name][0] == pytest.approx(expected, abs=0.1)


def test_without_opponents_the_scripted_players_are_met() -> None:
    networks = slice_of(TASK, *(random_linear(TASK, seed) for seed in range(10)))
    found = TASK.evaluate(networks, KEYS)
    assert found.fitness == pytest.approx(found.objectives[:, :4].mean(axis=1))
    assert (found.objectives[:, 4:] == 0.0).all()
    assert np.unique(found.fitness).size > 3
    episodes = KEYS.episodes(TASK.info.episodes)
    for j, policy in enumerate(TASK.policies.values()):
        alone = TASK.play(networks, None, episodes, policy)
        assert alone.scores[:, 0].tolist() == found.objectives[:, j].tolist()


def test_against_opponents_fitness_is_the_rating_that_the_scores_show() -> None:
    networks = slice_of(TASK, *(random_linear(TASK, seed) for seed in range(10)))
    others = slice_of(TASK, *(random_linear(TASK, seed) for seed in range(20, 23)))
    ratings = np.array([900.0, 1000.0, 1300.0])
    found = TASK.against(Opponents(others, ratings)).evaluate(networks, KEYS)
    scores = TASK.play(networks, others, KEYS.episodes(2)).scores
    assert found.objectives[:, :3].tolist() == scores.tolist()
    order = np.argsort(scores.sum(axis=1), kind="stable")
    assert (np.diff(found.fitness[order]) >= 0.0).all()
    assert found.fitness.min() > 300.0
    assert found.fitness.max() < 1900.0


def test_a_task_of_one_player_has_no_opponents() -> None:
    networks = slice_of(TASK, random_linear(TASK, 1))
    with pytest.raises(TaskError, match="task xor has one player"):
        Xor(Xor.Settings()).against(Opponents(networks, np.zeros(1)))


def match(**changes: Any) -> CompiledMatch:
    parts = {**TASK.match._asdict(), "state_size": STATE_SIZE, "max_steps": 100, **changes}
    return CompiledMatch(parts.pop("info", TASK.info), **parts)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"step": score}, "expected a function made by @match_step"),
        ({"policies": {"bad": step}}, "expected a function made by @match_policy"),
        ({"max_steps": 0}, "max_steps must be 1 or more, came 0"),
        ({"info": Xor(Xor.Settings()).info}, "info.n_players must be 2, came 1"),
        ({"params": np.zeros((2, 2))}, "params must be a list of numbers"),
    ],
)
def test_what_cannot_be_a_match_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        match(**changes)


def test_without_scripted_players_somebody_must_play() -> None:
    with pytest.raises(TaskError, match="has no scripted players: use strategy"):
        match().evaluate(slice_of(TASK, random_linear(TASK, 1)), KEYS)
