"""NEAT's generation: each kernel does what its slow twin does, on the same stream."""

from __future__ import annotations

import math
from dataclasses import astuple
from typing import Any

import numpy as np
import reference_selection as twins
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st
from reference import Stream
from reference_selection import Neat

from tweann.genes import Operator
from tweann.kernels import neat
from tweann.kernels.neat import NeatParameters, Ranking, SpeciesHistory

FITNESS = st.sampled_from([math.nan, -3.0, 0.0, 1.0, 2.5]) | st.floats(-1e6, 1e6)
RATES = st.sampled_from([0.0, 0.3, 0.75, 1.0])
SETTINGS = st.builds(
    Neat,
    selection=st.sampled_from(["truncation", "tournament", "roulette"]),
    survival=st.sampled_from([0.01, 0.2, 0.5, 1.0]),
    tournament_size=st.integers(1, 4),
    elitism=st.integers(0, 3),
    elitism_min_size=st.integers(1, 6),
    crossover_rate=RATES,
    crossover_mutate_rate=RATES,
    interspecies_rate=RATES,
    stagnation=st.integers(0, 5),
    population_stagnation=st.integers(0, 5),
)
SELECTIONS = ("truncation", "tournament", "roulette")


@st.composite
def populations(draw: st.DrawFn) -> dict[str, Any]:
    """Give species with at least one member each, in any order, and what is known of them."""
    m = draw(st.integers(1, 6))
    position = draw(
        st.permutations([*range(m), *draw(st.lists(st.integers(0, m - 1), max_size=40))])
    )
    n = len(position)

    def column(entries: st.SearchStrategy[Any], length: int) -> list[Any]:
        return draw(st.lists(entries, min_size=length, max_size=length))

    return {
        "position": position,
        "fitness": column(FITNESS, n),
        "sizes": column(st.integers(0, 4), n),
        "best": column(st.sampled_from([-math.inf, 0.0, 1.0, 7.0]), m),
        "improved": column(st.integers(0, 9), m),
    }


def parameters(p: Neat) -> NeatParameters:
    return NeatParameters(SELECTIONS.index(p.selection), *astuple(p)[1:])


def plan(scene: dict[str, Any], p: Neat, n: int, seed: int) -> Any:
    history = SpeciesHistory(np.array(scene["best"]), np.array(scene["improved"]), 9, 5)
    return neat.plan_generation(
        np.array(scene["fitness"]),
        np.array(scene["position"]),
        np.array(scene["sizes"]),
        history,
        n,
        parameters(p),
        np.array([seed], np.uint64),
    )


@PROPERTY
@given(populations(), SETTINGS, st.integers(0, 60), st.integers(0, 2**64 - 1))
def test_the_plan_is_the_twins(scene: dict[str, Any], p: Neat, n: int, seed: int) -> None:
    breeds = twins.may_breed(scene["best"], scene["improved"], 9, 5, p)
    children, species, representatives = twins.plan_generation(
        scene["fitness"], scene["position"], scene["sizes"], breeds, n, p, Stream(seed)
    )
    found, ranking, rows = plan(scene, p, n, seed)
    names = [Operator(code).name for code in found.operator]
    assert list(zip(names, found.parent_a, found.parent_b, strict=True)) == children
    assert rows.tolist() == representatives
    assert ranking.order.tolist() == [row for rows in species for row in rows]
    assert np.diff(ranking.starts).tolist() == [len(rows) for rows in species]


@PROPERTY
@given(populations(), SETTINGS)
def test_who_breeds_is_the_twins(scene: dict[str, Any], p: Neat) -> None:
    history = SpeciesHistory(np.array(scene["best"]), np.array(scene["improved"]), 9, 5)
    out = np.zeros(len(scene["best"]), np.bool_)
    neat.mark_breeding(history, parameters(p), out)
    assert out.tolist() == twins.may_breed(scene["best"], scene["improved"], 9, 5, p)


def shared(shares: list[float], n: int) -> list[int]:
    m = len(shares)
    counts, work, scratch = (np.empty(m, np.int64) for _ in range(3))
    neat.share_out(np.array(shares), n, counts, np.empty(m), work, scratch)
    found: list[int] = counts.tolist()
    return found


@PROPERTY
@given(st.lists(st.floats(0.0, 1e6), min_size=1, max_size=12).filter(any), st.integers(0, 500))
def test_shares_are_whole_numbers_that_add_up(shares: list[float], n: int) -> None:
    counts = shared(shares, n)
    assert sum(counts) == n
    exact = np.array(shares) / sum(shares) * n
    assert (np.abs(np.array(counts) - exact) < 1.0 + 1e-9).all()
    assert counts == twins.share_out(shares, n)


def test_the_largest_remainder_gets_the_rest_of_equals_the_first() -> None:
    assert shared([1.0, 1.0, 1.0], 5) == [2, 2, 1]
    assert shared([5.0, 3.0, 2.0], 4) == [2, 1, 1]
    assert shared([1.0, 1.0, 1.0, 1.0], 6) == [2, 2, 1, 1]


@PROPERTY
@given(st.lists(FITNESS | st.sampled_from([1e308, -1e308]), max_size=20))
def test_fitness_above_the_least_is_the_twins_and_adds_up(fitness: list[float]) -> None:
    values = twins.known(fitness)
    out = np.empty(len(values))
    neat.above_least(np.array(values), out)
    assert out.tolist() == twins.above_least(values)
    assert np.isfinite(out.sum())


@PROPERTY
@given(populations(), SETTINGS, st.lists(FITNESS, max_size=40), st.integers(1, 40))
def test_who_stays_is_the_twins(
    scene: dict[str, Any], p: Neat, new: list[float], population: int
) -> None:
    _, ranking, _ = plan(scene, p, 0, 1)
    _, species, _ = twins.plan_generation(
        scene["fitness"],
        scene["position"],
        scene["sizes"],
        [True] * len(scene["best"]),
        0,
        p,
        Stream(1),
    )
    found = neat.select_generation(
        np.array(scene["fitness"]), np.array(new), ranking, population, parameters(p)
    )
    assert found.tolist() == twins.select_generation(scene["fitness"], new, species, population, p)


@PROPERTY
@given(st.lists(FITNESS, min_size=1, max_size=20), st.integers(1, 20))
def test_the_first_generation_has_no_elites(new: list[float], population: int) -> None:
    nobody = Ranking(np.zeros(0, np.int64), np.zeros(1, np.int64))
    found = neat.select_generation(
        np.zeros(0), np.array(new), nobody, population, parameters(Neat())
    )
    assert found.tolist() == twins.select_generation([], new, [], population, Neat())


@PROPERTY
@given(populations())
def test_what_species_did_is_the_twins(scene: dict[str, Any]) -> None:
    best, improved = np.array([*scene["best"], 0.0]), np.array([*scene["improved"], 0])
    expected = twins.follow_species(
        scene["position"], scene["fitness"], 9, (b := best.tolist()), (i := improved.tolist())
    )
    alive, champion = neat.follow_species(
        np.array(scene["position"]), np.array(scene["fitness"]), 9, best, improved
    )
    assert (alive.tolist(), champion) == expected
    assert (best.tolist(), improved.tolist()) == (b, i)
