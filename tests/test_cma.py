"""The CMA-ES against the package cmaes, and on functions that it is known for."""

from __future__ import annotations

import math
from collections.abc import Callable

import cmaes
import numpy as np
import pytest

from tweann.cma import CMA, offspring
from tweann.genes import Float


def sphere(x: Float) -> float:
    return float((x**2).sum())


def ellipsoid(x: Float) -> float:
    return float((10.0 ** (4.0 * np.arange(x.size) / (x.size - 1)) * x**2).sum())


def rosenbrock(x: Float) -> float:
    return float((100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum())


def ours(function: Callable[[Float], float], n: int, seed: int, diagonal: bool = False) -> int:
    """Return the evaluations until the function is below 1e-8, 100,000 at most."""
    rng, search = np.random.default_rng(seed), CMA(np.full(n, 0.5), 0.5, diagonal)
    done, best = 0, math.inf
    while best > 1e-8 and done < 100_000:
        samples = search.ask(rng.standard_normal((offspring(n), n)))
        values = np.array([function(x) for x in samples])
        search.tell(samples, -values)
        done, best = done + len(samples), min(best, float(values.min()))
    return done


def theirs(function: Callable[[Float], float], n: int, seed: int) -> int:
    search = cmaes.CMA(mean=np.full(n, 0.5), sigma=0.5, seed=seed)
    done, best = 0, math.inf
    while best > 1e-8 and done < 100_000:
        told = []
        for _ in range(search.population_size):
            x = search.ask()
            told.append((x, function(x)))
        search.tell(told)
        done, best = done + len(told), min(best, min(value for _, value in told))
    return done


@pytest.mark.parametrize("n", [2, 5, 20])
def test_the_first_generation_is_that_of_the_package(n: int) -> None:
    """Later ones differ: the package learns from the bad samples, too."""
    rng = np.random.default_rng(n)
    package = cmaes.CMA(mean=np.zeros(n), sigma=1.5, seed=1)
    search = CMA(np.zeros(n), 1.5)
    samples = search.ask(rng.standard_normal((offspring(n), n)))
    assert offspring(n) == package.population_size
    values = rng.random(len(samples))
    package.tell(list(zip(samples, values.tolist(), strict=True)))
    search.tell(samples, -values)
    assert search.mean == pytest.approx(package.mean, rel=1e-9, abs=1e-12)
    assert search.sigma == pytest.approx(package._sigma, rel=1e-9)
    assert search.sigma_path == pytest.approx(package._p_sigma, rel=1e-6, abs=1e-9)
    assert search.path == pytest.approx(package._pc, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("function", [sphere, ellipsoid, rosenbrock])
def test_it_needs_about_as_many_evaluations_as_the_package(
    function: Callable[[Float], float],
) -> None:
    mine = np.median([ours(function, 6, seed) for seed in range(5)])
    package = np.median([theirs(function, 6, seed) for seed in range(5)])
    assert mine < 1.5 * package


def test_a_diagonal_matrix_solves_what_is_separable() -> None:
    assert ours(ellipsoid, 10, 1, diagonal=True) < ours(ellipsoid, 10, 1)


def test_failures_and_equals_rank_as_they_came() -> None:
    search = CMA(np.zeros(2), 1.0)
    samples = np.arange(8.0).reshape(4, 2)
    search.tell(samples, np.array([-np.inf, 1.0, 1.0, -np.inf]))
    weights = math.log(2.5) - np.log([1.0, 2.0])
    assert search.mean == pytest.approx((weights / weights.sum()) @ samples[1:3])


@pytest.mark.parametrize("diagonal", [False, True])
def test_it_goes_on_from_its_state(diagonal: bool) -> None:
    rng = np.random.default_rng(1)
    first = CMA(np.ones(3), 0.7, diagonal)
    for _ in range(5):
        samples = first.ask(rng.standard_normal((7, 3)))
        first.tell(samples, -((samples**2).sum(axis=1)))
    second = CMA.restored(first.state())
    normal = rng.standard_normal((7, 3))
    samples = first.ask(normal)
    assert (second.ask(normal) == samples).all()
    for search in (first, second):
        search.tell(samples, samples[:, 0])
    assert (first.mean == second.mean).all()
    assert (first.covariance == second.covariance).all()
    assert first.sigma == second.sigma


def test_a_worn_out_matrix_begins_anew() -> None:
    search = CMA(np.zeros(2), 1.0)
    search.covariance = np.diag([1e-20, 1e20])
    assert np.isfinite(search.ask(np.ones((4, 2)))).all()
    assert (search.covariance == np.eye(2)).all()


@pytest.mark.parametrize(("n", "expected"), [(0, 4), (1, 4), (2, 6), (10, 10), (100, 17)])
def test_offspring(n: int, expected: int) -> None:
    assert offspring(n) == expected
