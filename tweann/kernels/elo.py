"""Ratings of players.

Source: Elo, "The rating of chessplayers, past and present" (1978): the expected score of a game, the performance
rating, and the change of a rating by K times what was scored beyond that.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from tweann.genes import Float
from tweann.kernels._jit import kernel

#: The rating of those that nothing is known of.
FIRST_RATING: Final = 1000.0
#: A difference that makes ten wins to one loss.
_SCALE: Final = 400.0
#: Further from all opponents' ratings than that no performance can lie.
_FAR: Final = 4000.0
#: Halvings of the interval: to 1e-9 of a point.
_HALVINGS: Final = 44


@kernel
def expected_score(a: float, b: float) -> float:
    """Return what a player rated ``a`` scores on average, in (0, 1), against one rated ``b``: 1 / (1 + 10^((b-a)/400))."""
    return 1.0 / (1.0 + math.pow(10.0, (b - a) / _SCALE))


@kernel
def performance_ratings(scores: Float, ratings: Float, out: Float) -> None:
    """Write the rating that each player's scores show: at which they are what is to be expected.

    Σ_j E(R, R_j) + E(R, R̄) = Σ_j s_j + ½: a draw against one of the mean rating R̄ is added, so that who won or lost
    all has a finite rating, too. It rises with the sum of the scores alone.

    Args:
        scores: (n, ≥ m) in [0, 1], of player i against opponent j.
        ratings: (m,) of the opponents, m >= 1.
        out: (n,) written; NaN where a score is not finite.
    """
    m = ratings.size
    mean, low, high = 0.0, ratings[0], ratings[0]
    for j in range(m):
        mean += ratings[j] / m
        low, high = min(low, ratings[j]), max(high, ratings[j])
    for i in range(out.size):
        total = 0.5
        for j in range(m):
            total += scores[i, j]
        if not np.isfinite(total):
            out[i] = np.nan
            continue
        a, b = low - _FAR, high + _FAR
        for _ in range(_HALVINGS):
            middle = 0.5 * (a + b)
            expected = expected_score(middle, mean)
            for j in range(m):
                expected += expected_score(middle, ratings[j])
            if expected < total:
                a = middle
            else:
                b = middle
        out[i] = 0.5 * (a + b)


@kernel
def update_ratings(scores: Float, players: Float, k: float, ratings: Float) -> None:
    """Change the opponents' ratings by what they scored beyond expectation: R_j += K · mean_i((1 - s_ij) - E(R_j, R_i)).

    All matches of a brood are one rating period, whatever their number and order.

    Args:
        scores: (n, ≥ m) in [0, 1], of player i against opponent j.
        players: (n,) their ratings; who has none, NaN, does not count.
        k: the K-factor, in points.
        ratings: (m,) of the opponents, changed.
    """
    for j in range(ratings.size):
        surplus, n = 0.0, 0
        for i in range(players.size):
            if np.isfinite(players[i]):
                surplus += 1.0 - scores[i, j] - expected_score(ratings[j], players[i])
                n += 1
        if n:
            ratings[j] += k * surplus / n
