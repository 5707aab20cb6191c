"""Games in plain Python."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from task_networks import KEYS, linear, slice_of

from tweann.errors import ConfigError, TaskError
from tweann.evolution import Evolution
from tweann.genes import Flag
from tweann.network import Network
from tweann.tasks import Opponents, PythonMatch

SECTIONS: dict[str, Any] = {
    "run": {"generations": 30},
    "strategy": {"name": "coevolution", "population": 20},
    "storage": {"url": "memory:"},
    "observers": {},
}


def value(network: Network) -> float:
    return float(network.activate([1.0])[0])


def nearer(first: Network, second: Network) -> float:
    """Who comes nearer to 0.3 wins."""
    one, other = (abs(value(network) - 0.3) for network in (first, second))
    return 0.5 if one == other else float(one < other)


def starts(first: Network, second: Network) -> float:
    """The first wins, whoever it is."""
    return 1.0


def only_large(first: Network, second: Network) -> float:
    if value(first) < 0.0:
        raise ValueError("too small")
    return 2.0 if value(first) > 0.9 else 0.5


def against(game: PythonMatch, weights: list[float], others: list[float]) -> Any:
    networks, opponents = (
        slice_of(game, *(linear(game, [w]) for w in side)) for side in (weights, others)
    )
    ratings = np.full(len(others), 1000.0)
    return game.against(Opponents(opponents, ratings)).evaluate(networks, KEYS)


def test_scores_are_means_over_both_seats() -> None:
    game = PythonMatch(nearer, 1, 1)
    found = against(game, [0.31, 0.0, 5.0], [0.0, 5.0])
    assert found.objectives[:, :2].tolist() == [[1.0, 1.0], [0.5, 1.0], [0.0, 0.5]]
    assert (np.diff(found.fitness) < 0.0).all()
    assert (against(PythonMatch(starts, 1, 1), [0.1], [0.2]).objectives[:, 0] == 0.5).all()


def test_a_game_that_fails_says_why() -> None:
    found = against(PythonMatch(only_large, 1, 1), [-1.0, 0.1, 5.0], [0.2])
    assert [math.isnan(f) for f in found.fitness] == [True, False, True]
    assert found.flags.tolist() == [Flag.RAISED, 0, Flag.RAISED]
    assert found.reasons[0] == "ValueError: too small"
    assert "expected a score in [0, 1], came 2.0" in found.reasons[2]


def test_it_finds_who_wins_and_workers_change_nothing() -> None:
    found = []
    for evaluation in ({"backend": "serial"}, {"backend": "threads", "workers": 2}):
        with Evolution(SECTIONS | {"evaluation": evaluation}, task=PythonMatch(nearer, 1, 1, serial=False)) as run:  # fmt: skip
            champion = run.run().champion
            assert champion is not None
            found.append(champion.genome.genome_id)
    assert value(champion.network()) == pytest.approx(0.3, abs=0.02)
    assert found[0] == found[1]


def test_what_cannot_be_played_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected a game, called with two networks, came int 3"):
        PythonMatch(3, 1, 1, name="three")  # type: ignore[arg-type] # what is to be refused
    with pytest.raises(ConfigError, match="n_opponents must be 1 or more, came 0"):
        PythonMatch(nearer, 1, 1, n_opponents=0)
    other = SECTIONS | {"strategy": {"population": 5}}
    with (
        Evolution(other, task=PythonMatch(nearer, 1, 1)) as run,
        pytest.raises(TaskError, match="needs somebody to play against: use strategy"),
    ):
        run.step()
