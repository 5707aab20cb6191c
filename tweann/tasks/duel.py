"""A duel of two foraging robots: who has more energy when they meet, or when time is up, wins.

After the robot duel of Stanley & Miikkulainen, "Competitive coevolution through evolutionary complexification" (JAIR
21, 2004), with simpler sensors and a food supply that is drawn anew for each episode.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from pydantic import Field

from tweann.genes import Float
from tweann.kernels.random import GAMMA, mix
from tweann.kernels.trigonometry import sine_cosine
from tweann.network import NetworkSlice
from tweann.tasks.base import ChampionTest, EvaluationKeys, Evaluations, TaskInfo
from tweann.tasks.compiled import task_function, task_reset
from tweann.tasks.match import (
    CompiledMatch,
    match_observe,
    match_policy,
    match_score,
    match_step,
)
from tweann.tasks.settings import TaskSettings

N_FOOD: Final = 6
START: Final = 0.25  # from the robot's own side
MAX_TURN: Final = 0.4  # radians a step
MAX_SPEED: Final = 0.03  # widths of the arena a step
REACH: Final = 0.05  # at which food is eaten
CONTACT: Final = 0.06  # at which robots meet
FOOD_ENERGY: Final = 0.5
COST: Final = 0.01  # of a step at full speed
MAX_STEPS: Final = 100
#: The test of a champion: episodes that no evaluation has, and the mean score against all scripted players.
TEST_SEED: Final = 2**62
TEST_EPISODES: Final = 25
SOLVED_AT: Final = 0.9

_UNIT: Final = 1.1102230246251565e-16
_MARGIN: Final = 0.1  # of food from the walls
_DIAGONAL: Final = math.sqrt(2.0)

# State: of each robot x, y, cosine and sine of its heading, and energy; then the time, the halves of the episode's key,
# and x, y of each food, -1 once it is eaten.
_X, _Y, _COS, _SIN, _ENERGY, _ROBOT = 0, 1, 2, 3, 4, 5
_TIME, _HIGH, _LOW, _FOOD = 10, 11, 12, 13
STATE_SIZE: Final = _FOOD + 2 * N_FOOD

INPUTS: Final = (
    "opponent_near",
    "opponent_ahead",
    "opponent_left",
    "food_near",
    "food_ahead",
    "food_left",
    "lead",
    "bias",
)


@task_function
def uniform(key: np.uint64, i: int) -> float:
    """Return draw ``i`` = 0, 1, … of a key, uniform in [0, 1)."""
    return float(mix(key + np.uint64(i + 1) * GAMMA) >> np.uint64(11)) * _UNIT


@task_reset
def reset(state: Float, params: Float, key: np.uint64) -> None:
    """Place the robots face to face, and food by the key."""
    state[_X], state[_Y], state[_COS], state[_ENERGY] = START, 0.5, 1.0, 1.0
    state[_ROBOT + _X], state[_ROBOT + _Y] = 1.0 - START, 0.5
    state[_ROBOT + _COS], state[_ROBOT + _ENERGY] = -1.0, 1.0
    state[_HIGH] = float(key >> np.uint64(32))
    state[_LOW] = float(key & np.uint64(0xFFFFFFFF))
    for i in range(2 * N_FOOD):
        state[_FOOD + i] = _MARGIN + (1.0 - 2.0 * _MARGIN) * uniform(key, i)


@task_function
def look(state: Float, robot: int, x: float, y: float, observation: Float, at: int) -> None:
    """Write how near a point is, 1 - d/√2, and the cosine and sine of its bearing from the robot's heading."""
    dx, dy = x - state[robot + _X], y - state[robot + _Y]
    d = math.sqrt(dx * dx + dy * dy)
    observation[at] = 1.0 - d / _DIAGONAL
    if d > 0.0:
        cos, sin = state[robot + _COS], state[robot + _SIN]
        observation[at + 1] = (dx * cos + dy * sin) / d
        observation[at + 2] = (dy * cos - dx * sin) / d
    else:
        observation[at + 1], observation[at + 2] = 1.0, 0.0


@match_observe
def observe(state: Float, params: Float, observations: Float) -> None:
    """Show each robot the other, the nearest food, and how much more energy it has, within ±1."""
    for seat in range(2):
        robot, other = _ROBOT * seat, _ROBOT * (1 - seat)
        observation = observations[seat]
        look(state, robot, state[other + _X], state[other + _Y], observation, 0)
        nearest, best = -1, np.inf
        for i in range(N_FOOD):
            x, y = state[_FOOD + 2 * i], state[_FOOD + 2 * i + 1]
            d = (x - state[robot + _X]) ** 2 + (y - state[robot + _Y]) ** 2
            if x >= 0.0 and d < best:
                nearest, best = i, d
        if nearest < 0:
            observation[3] = observation[4] = observation[5] = 0.0
        else:
            x, y = state[_FOOD + 2 * nearest], state[_FOOD + 2 * nearest + 1]
            look(state, robot, x, y, observation, 3)
        lead = state[robot + _ENERGY] - state[other + _ENERGY]
        observation[6] = min(max(lead, -1.0), 1.0)
        observation[7] = 1.0


@match_step
def step(state: Float, params: Float, actions: Float) -> bool:
    """Turn, move, eat, and see whether the robots meet; done when they do."""
    for seat in range(2):
        robot = _ROBOT * seat
        sin, cos = sine_cosine(MAX_TURN * actions[seat, 0])
        old_cos, old_sin = state[robot + _COS], state[robot + _SIN]
        state[robot + _COS] = old_cos * cos - old_sin * sin
        state[robot + _SIN] = old_sin * cos + old_cos * sin
        speed = actions[seat, 1]
        if state[robot + _ENERGY] <= 0.0:
            speed = 0.0
        state[robot + _ENERGY] = max(state[robot + _ENERGY] - COST * speed, 0.0)
        x = state[robot + _X] + MAX_SPEED * speed * state[robot + _COS]
        y = state[robot + _Y] + MAX_SPEED * speed * state[robot + _SIN]
        state[robot + _X], state[robot + _Y] = min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)
    for i in range(N_FOOD):
        x, y = state[_FOOD + 2 * i], state[_FOOD + 2 * i + 1]
        if x < 0.0:
            continue
        a = (x - state[_X]) ** 2 + (y - state[_Y]) ** 2
        b = (x - state[_ROBOT + _X]) ** 2 + (y - state[_ROBOT + _Y]) ** 2
        if min(a, b) <= REACH * REACH and a != b:
            state[(0 if a < b else _ROBOT) + _ENERGY] += FOOD_ENERGY
            state[_FOOD + 2 * i] = state[_FOOD + 2 * i + 1] = -1.0
    state[_TIME] += 1.0
    dx, dy = state[_X] - state[_ROBOT + _X], state[_Y] - state[_ROBOT + _Y]
    return bool(dx * dx + dy * dy <= CONTACT * CONTACT)


@match_score
def score(state: Float, params: Float, points: Float) -> None:
    """Count the energy."""
    points[0], points[1] = state[_ENERGY], state[_ROBOT + _ENERGY]


@task_function
def steer(ahead: float, left: float, away: bool, action: Float) -> None:
    """Turn towards a bearing, or away from it, as far as one step allows, and go at full speed."""
    if away:
        ahead, left = -ahead, -left
    turn = math.atan2(left, ahead) / MAX_TURN
    action[0] = min(max(turn, -1.0), 1.0)
    action[1] = 1.0


@match_policy
def random_player(state: Float, params: Float, observation: Float, action: Float) -> None:
    """Turn and go at random."""
    key = (np.uint64(state[_HIGH]) << np.uint64(32)) | np.uint64(state[_LOW])
    draw = 2 * (N_FOOD + int(state[_TIME]))
    action[0] = 2.0 * uniform(key, draw) - 1.0
    action[1] = uniform(key, draw + 1)


@match_policy
def chaser(state: Float, params: Float, observation: Float, action: Float) -> None:
    """Go for the opponent."""
    steer(observation[1], observation[2], False, action)


@match_policy
def forager(state: Float, params: Float, observation: Float, action: Float) -> None:
    """Go for food while there is any, then for the opponent if it has less energy, else away from it."""
    if observation[3] > 0.0:
        steer(observation[4], observation[5], False, action)
    else:
        steer(observation[1], observation[2], observation[6] <= 0.0, action)


@match_policy
def hunter(state: Float, params: Float, observation: Float, action: Float) -> None:
    """Go for the opponent if it has less energy, else for food, else away."""
    if observation[6] > 0.0:
        steer(observation[1], observation[2], False, action)
    elif observation[3] > 0.0:
        steer(observation[4], observation[5], False, action)
    else:
        steer(observation[1], observation[2], True, action)


class Duel(CompiledMatch):
    """Robot duel: two robots forage; who has more energy when they meet, or when time is up, wins."""

    tests_champion = True

    class Settings(TaskSettings):
        """Section [task]."""

        opponents: int = Field(
            default=8,
            ge=4,
            le=1000,
            description="Opponents that a genome plays against, at most.",
        )
        episodes: int = Field(
            default=2,
            ge=1,
            le=10_000,
            description="Starts, of two matches each, against every opponent.",
        )
        max_steps: int = Field(
            default=MAX_STEPS, ge=1, le=1_000_000, description="Steps of a match."
        )

    def __init__(self, settings: Settings) -> None:
        info = TaskInfo(
            name="duel",
            version=1,
            kind="compiled",
            inputs=INPUTS,
            outputs=("turn", "speed"),
            input_ranges=((0.0, 1.0), (-1.0, 1.0), (-1.0, 1.0)) * 2 + ((-1.0, 1.0), (1.0, 1.0)),
            output_ranges=((-1.0, 1.0), (0.0, 1.0)),
            solved=f"a mean score of {SOLVED_AT:g} against the scripted players, over {TEST_EPISODES} other starts",
            baseline="of the scripted players the forager is best: it scores 0.79 against the three others",
            n_objectives=settings.opponents,
            episodes=settings.episodes,
            n_players=2,
        )
        super().__init__(
            info,
            reset=reset,
            observe=observe,
            step=step,
            score=score,
            state_size=STATE_SIZE,
            max_steps=settings.max_steps,
            policies={
                "random": random_player,
                "chaser": chaser,
                "forager": forager,
                "hunter": hunter,
            },
        )

    def test_champion(self, networks: NetworkSlice) -> ChampionTest:
        """Play against the scripted players from starts that no evaluation has."""
        figures = self.metrics(networks)
        mean = sum(figures.values()) / len(figures)
        return ChampionTest(mean >= SOLVED_AT, figures)

    def metrics(self, networks: NetworkSlice) -> dict[str, float]:
        """Return the mean score against each scripted player, in that test."""
        unused = Evaluations.empty(len(networks), self.info)
        episodes = EvaluationKeys(TEST_SEED).episodes(TEST_EPISODES)
        scores = self.play_scripted(networks, episodes, unused)
        return {f"score_{name}": float(found[0]) for name, found in scores.items()}
