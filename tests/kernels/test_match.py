"""Matches and ratings against their plain-Python twins."""

from __future__ import annotations

import math

import match_toys
import numpy as np
import pytest
from genomes import PROPERTY, Case, decoded, genomes, pack
from hypothesis import given
from hypothesis import strategies as st
from reference import FIRST_OUTPUT, Genome, Node
from reference_evaluation import Scale
from reference_match import (
    Game,
    NetworkPlayer,
    ScriptedPlayer,
    expected,
    pair_score,
    performance,
    updated,
)

from tweann.genes import Flag
from tweann.kernels.elo import expected_score, performance_ratings, update_ratings
from tweann.kernels.match import MatchResults, MatchScratch, play
from tweann.kernels.rollout import RolloutParameters, Scaling
from tweann.kernels.tick import tick_state
from tweann.tasks.match import idle

WORDS = st.integers(0, 2**64 - 1)
SCALE = Scale(0.5, 0.5, 0.0, 1.0)
CASES = genomes(
    2,
    1,
    activations=("tanh", "sigmoid", "sin", "softsign"),
    aggregations=("sum", "mean", "difference"),
    values=st.floats(-1.0, 1.0),
).map(lambda genome: Case(genome, 2, 1))


def ball(factor: float = 1.0) -> Game:
    toy = match_toys
    return Game(toy.reset_ball, toy.observe_ball, toy.push_ball, toy.score_ball, (0.3, 0.6, factor), 2, 2, 1)  # fmt: skip


def run(players: list[Case], others: list[Case], keys: list[int], max_steps: int, ticks: int, game: Game, scripted: bool = False) -> MatchResults:  # fmt: skip
    nets = [decoded(*pack([c.genome for c in side])[:2], 2, 1) for side in (players, others)]
    states = [
        tick_state(2 + int(np.diff(net.node_start).max()), int(np.diff(net.edge_start).max()))
        for net in nets
    ]
    scratch = MatchScratch(*states, np.full(2, np.nan), *(np.full((2, n), np.nan) for n in (2, 1)), np.full(2, np.nan))  # fmt: skip
    for state in states:
        for column in state:
            column.fill(np.nan)
    n, m = len(players), 1 if scripted else len(others)
    out = MatchResults(np.full((n, m + 1), -7.0), np.full(n, -7), np.full(n, -7))
    scaling = Scaling(*(np.array([x]) for x in (SCALE.scale, SCALE.offset, SCALE.low, SCALE.high)))
    p = RolloutParameters(np.array(game.params), np.array(keys, np.uint64), max_steps, ticks, scaling, np.zeros(0, np.uint64), False)  # fmt: skip
    policy = match_toys.wall if scripted else idle
    play(*nets, scripted, game.reset, game.observe, game.step, game.score, policy, p, scratch, out)
    return out


@PROPERTY
@given(
    st.lists(CASES, min_size=1, max_size=3),
    st.lists(CASES, min_size=1, max_size=3),
    st.lists(WORDS, min_size=1, max_size=2),
    st.integers(1, 8),
    st.integers(1, 2),
)
def test_matches_are_their_twin(
    players: list[Case], others: list[Case], keys: list[int], max_steps: int, ticks: int
) -> None:
    game = ball()
    got = run(players, others, keys, max_steps, ticks, game)
    for k, one in enumerate(players):
        steps, spoilt = 0, False
        for j, other in enumerate(others):
            pair = [NetworkPlayer(c.genome, ticks, [SCALE]) for c in (one, other)]
            score, t = pair_score(game, *pair, keys, max_steps)
            assert got.scores[k, j] == score
            steps += t
            spoilt |= pair[0].spoilt
        assert got.steps[k] == steps
        assert got.flags[k] == spoilt * Flag.NON_FINITE
    assert (got.scores[:, len(others)] == -7.0).all()  # nothing is written beyond the opponents


@PROPERTY
@given(st.lists(CASES, min_size=1, max_size=2), st.lists(WORDS, min_size=1, max_size=2))
def test_a_scripted_player_is_its_twin(players: list[Case], keys: list[int]) -> None:
    game = ball()
    got = run(players, players, keys, 8, 1, game, scripted=True)
    for k, one in enumerate(players):
        pair = NetworkPlayer(one.genome, 1, [SCALE]), ScriptedPlayer(match_toys.wall, game)
        assert (got.scores[k, 0], got.steps[k]) == pair_score(game, *pair, keys, 8)


@PROPERTY
@given(st.lists(CASES, min_size=1, max_size=4), st.lists(WORDS, min_size=1, max_size=2))
def test_scores_of_two_add_up_to_one(drawn: list[Case], keys: list[int]) -> None:
    scores = run(drawn, drawn, keys, 8, 1, ball()).scores[:, :-1]
    assert (scores + scores.T == 1.0).all()
    assert (np.diag(scores) == 0.5).all()  # against itself, once from either seat


def test_points_that_are_not_finite_lose() -> None:
    """The first player's are NaN where the ball reached an end: it loses, so each wins from the other seat."""
    strong, weak = (case_of(bias) for bias in (5.0, -5.0))
    assert run([strong], [weak], [1, 2, 3], 8, 1, ball()).scores[0, 0] == 1.0
    assert run([strong], [weak], [1, 2, 3], 8, 1, ball(math.nan)).scores[0, 0] == 0.5


def case_of(bias: float) -> Case:
    """Return a genome that always pushes as hard as the bias says."""
    node = Node(FIRST_OUTPUT, "tanh", "sum", bias)
    return Case(Genome([Node(0), Node(1), node], []), 2, 1)


SCORES = st.floats(0.0, 1.0)
RATINGS = st.floats(0.0, 3000.0)


@PROPERTY
@given(RATINGS, RATINGS)
def test_expected_scores_are_those_of_elo(a: float, b: float) -> None:
    assert expected_score(a, b) == pytest.approx(expected(a, b))
    assert expected_score(a, b) + expected_score(b, a) == pytest.approx(1.0)


def test_four_hundred_points_are_ten_wins_to_one_loss() -> None:
    assert expected_score(1400.0, 1000.0) == pytest.approx(10.0 / 11.0)


@PROPERTY
@given(st.integers(1, 5).flatmap(lambda m: st.tuples(st.lists(st.lists(SCORES, min_size=m, max_size=m), min_size=1, max_size=4), st.lists(RATINGS, min_size=m, max_size=m))), st.floats(0.0, 64.0))  # fmt: skip
def test_ratings_are_their_twins(drawn: tuple[list[list[float]], list[float]], k: float) -> None:
    scores, ratings = drawn
    players = np.empty(len(scores))
    table = np.pad(np.array(scores), ((0, 0), (0, 2)), constant_values=math.nan)
    performance_ratings(table, np.array(ratings), players)
    assert players.tolist() == pytest.approx(
        [performance(row, ratings) for row in scores], abs=1e-4
    )
    players[0] = players[0] if len(scores) % 2 else math.nan
    got = np.array(ratings)
    update_ratings(table, players, k, got)
    assert got.tolist() == pytest.approx(updated(scores, players.tolist(), k, ratings))


def test_a_score_that_is_not_finite_has_no_rating() -> None:
    players = np.empty(2)
    performance_ratings(np.array([[math.nan, 1.0], [0.5, 0.5]]), np.array([900.0, 1100.0]), players)
    assert math.isnan(players[0])
    assert players[1] == pytest.approx(1000.0)
