"""The slow twins of matches and ratings."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from reference import Genome, State, live_nodes, outputs, tick
from reference_evaluation import Scale


@dataclass
class Game:
    """A match's functions, run as plain Python, and its sizes."""

    reset: Callable[..., Any]
    observe: Callable[..., Any]
    step: Callable[..., Any]
    score: Callable[..., Any]
    params: tuple[float, ...]
    n_state: int
    n_inputs: int
    n_outputs: int


class NetworkPlayer:
    """A genome as a player."""

    def __init__(self, genome: Genome, ticks: int, scales: Sequence[Scale]) -> None:
        self.genome, self.ticks, self.scales = genome, ticks, scales
        self.spoilt = False

    def begin(self) -> None:
        self.state = State()

    def act(self, state: Any, observation: Any) -> list[float]:
        for _ in range(self.ticks):
            spoilt = tick(self.genome, self.state, observation.tolist(), live_nodes(self.genome))
            self.spoilt |= spoilt
        raw = outputs(self.state, len(self.scales))
        return [scale(v) for scale, v in zip(self.scales, raw, strict=True)]


class ScriptedPlayer:
    """A policy as a player."""

    def __init__(self, policy: Callable[..., Any], game: Game) -> None:
        self.policy, self.game = policy, game

    def begin(self) -> None:
        """Nothing to forget."""

    def act(self, state: Any, observation: Any) -> list[float]:
        action = np.zeros(self.game.n_outputs)
        self.policy(state, np.array(self.game.params), observation, action)
        return [float(a) for a in action]


def play_match(
    game: Game, players: Sequence[Any], key: int, max_steps: int
) -> tuple[list[float], int]:
    """Return the points of both seats, and the steps."""
    params, state = np.array(game.params), np.zeros(game.n_state)
    observations = np.zeros((2, game.n_inputs))
    for player in players:
        player.begin()
    game.reset(state, params, np.uint64(key))
    done, t = False, 0
    while t < max_steps and not done:
        game.observe(state, params, observations)
        actions = [
            player.act(state, row) for player, row in zip(players, observations, strict=True)
        ]
        done = bool(game.step(state, params, np.array(actions)))
        t += 1
    points = np.zeros(2)
    game.score(state, params, points)
    return points.tolist(), t


def result(mine: float, theirs: float) -> float:
    """Return 1 for a win, ½ for a draw, 0 for a loss; what is not finite loses."""
    mine, theirs = (x if math.isfinite(x) else -math.inf for x in (mine, theirs))
    return 1.0 if mine > theirs else 0.5 if mine == theirs else 0.0


def pair_score(
    game: Game, one: Any, other: Any, keys: Sequence[int], max_steps: int
) -> tuple[float, int]:
    """Return the mean result of ``one`` against ``other`` over both seats and all keys, and the steps."""
    results, steps = [], 0
    for key in keys:
        points, t = play_match(game, (one, other), key, max_steps)
        results.append(result(points[0], points[1]))
        points, u = play_match(game, (other, one), key, max_steps)
        results.append(result(points[1], points[0]))
        steps += t + u
    return sum(results) / len(results), steps


def expected(a: float, b: float) -> float:
    """Return Elo's expected score of ``a`` against ``b``."""
    return 1.0 / (1.0 + math.pow(10.0, (b - a) / 400.0))


def performance(scores: Sequence[float], ratings: Sequence[float]) -> float:
    """Return the rating at which the scores, and a draw against the mean rating, are what is to be expected."""
    wanted = math.fsum(scores) + 0.5
    everybody = [*ratings, math.fsum(ratings) / len(ratings)]
    low, high = min(ratings) - 1e4, max(ratings) + 1e4
    while high - low > 1e-7:
        middle = (low + high) / 2.0
        if math.fsum(expected(middle, r) for r in everybody) < wanted:
            low = middle
        else:
            high = middle
    return low


def updated(
    scores: Sequence[Sequence[float]], players: Sequence[float], k: float, ratings: Sequence[float]
) -> list[float]:
    """Return the opponents' ratings after a brood's matches."""
    rated = [(row, r) for row, r in zip(scores, players, strict=True) if math.isfinite(r)]
    if not rated:
        return list(ratings)
    return [
        old + k * sum(1.0 - row[j] - expected(old, r) for row, r in rated) / len(rated)
        for j, old in enumerate(ratings)
    ]
