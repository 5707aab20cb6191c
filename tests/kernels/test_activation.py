"""Activation and aggregation: every name against its formula."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable

import numpy as np
import pytest
import reference
import toys
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from tweann.genes import ACTIVATION_RANGES, ACTIVATIONS, AGGREGATIONS
from tweann.kernels import activation as kernels

NO_CUSTOM = np.zeros(0, np.uint64)
GRID = np.linspace(-12.0, 12.0, 4001).tolist()
EXTREMES = [0.0, -0.0, 5e-324, -5e-324, 1e-300, 0.33, -0.33, 1e-8, 9.0, -9.0, 60.0, -60.0, 61.0]
EXTREMES += [-61.0, 709.0, -709.0, 710.0, -746.0, 1e150, -1e150, 1.7e308, -1.7e308]

#: The exact functions that the rational approximation stands for.
EXACT: dict[str, Callable[[float], float]] = {
    "tanh": math.tanh,
    "sigmoid": lambda s: 1.0 / (1.0 + math.exp(-s)),
    "steep_sigmoid": lambda s: 1.0 / (1.0 + math.exp(-4.9 * s)),
}
RISING = ["tanh", "sigmoid", "steep_sigmoid", "identity", "relu", "leaky_relu", "elu", "selu"]
RISING += [
    "softplus",
    "softsign",
    "sign",
    "step",
    "trinary",
    "signed_square",
    "cube",
    "signed_sqrt",
]
RISING += ["signed_log", "exp", "clamped"]
ODD = ["tanh", "identity", "softsign", "sin", "sign", "trinary", "signed_square", "cube"]
ODD += ["signed_sqrt", "signed_log", "inverse", "clamped"]
EVEN = ["cos", "gaussian", "multiquadric", "abs", "hat"]


def value(name: str, s: float) -> float:
    result = kernels.activation(ACTIVATIONS.index(name), s, NO_CUSTOM)
    assert isinstance(result, float)
    return result


def test_every_name_has_a_formula() -> None:
    assert set(reference.ACTIVATIONS) == set(ACTIVATIONS)
    assert len(set(ACTIVATIONS)) == len(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_is_its_formula(name: str) -> None:
    """To 1e-15 of the value, or of 1 where terms of that size cancel."""
    twin = reference.ACTIVATIONS[name]
    for s in GRID + EXTREMES:
        got, expected = value(name, s), twin(s)
        if name == "silu":  # the error of the sigmoid counts s times
            assert got == pytest.approx(expected, rel=2e-15, abs=1e-15 * max(1.0, abs(s)))
        else:
            assert got == pytest.approx(expected, rel=2e-15, abs=1e-15), s


@PROPERTY
@given(st.sampled_from(ACTIVATIONS), st.floats(-50.0, 50.0))
def test_activation_is_its_formula_anywhere(name: str, s: float) -> None:
    expected = reference.ACTIVATIONS[name](s)
    assert value(name, s) == pytest.approx(expected, rel=2e-15, abs=1e-15 * max(1.0, abs(s)))


@pytest.mark.parametrize("name", EXACT)
def test_the_approximation_is_closer_than_3e_7(name: str) -> None:
    worst = max(abs(value(name, s) - EXACT[name](s)) for s in np.linspace(-20, 20, 40_001).tolist())
    assert worst < 3e-7
    assert max(abs(value(name, s) - EXACT[name](s)) for s in (-140.0, -40.0, 40.0, 140.0)) < 3e-7


@pytest.mark.parametrize("name", RISING)
def test_what_should_rise_never_falls(name: str) -> None:
    """Up to the rounding of the approximation, 1e-15."""
    values = [value(name, s) for s in GRID]
    assert all(b >= a - 1e-15 for a, b in itertools.pairwise(values))
    assert values[-1] > values[0]


@pytest.mark.parametrize("name", ODD)
def test_odd_functions_are_odd_to_the_last_bit(name: str) -> None:
    assert all(value(name, -s) == -value(name, s) for s in GRID + EXTREMES)


@pytest.mark.parametrize("name", EVEN)
def test_even_functions_are_even_to_the_last_bit(name: str) -> None:
    assert all(value(name, -s) == value(name, s) for s in GRID + EXTREMES)


@pytest.mark.parametrize("name", ACTIVATION_RANGES)
def test_the_published_range_is_kept_and_reached(name: str) -> None:
    low, high = ACTIVATION_RANGES[name]
    values = [value(name, s) for s in GRID + EXTREMES + [math.inf, -math.inf]]
    finite = [v for v in values if math.isfinite(v)]
    assert min(finite) >= low
    assert max(finite) <= high
    assert min(finite) == pytest.approx(low, abs=1e-6)
    assert max(finite) == pytest.approx(high, abs=1e-6)


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if n not in ACTIVATION_RANGES])
def test_what_has_no_published_range_leaves_any(name: str) -> None:
    assert max(abs(value(name, s)) for s in [1e-9, *EXTREMES]) > 100.0


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("s", [math.inf, -math.inf])
def test_an_infinite_input_gives_what_the_formula_gives(name: str, s: float) -> None:
    expected = reference.ACTIVATIONS[name](s)
    assert value(name, s) == pytest.approx(expected, rel=1e-15, abs=1e-15, nan_ok=True)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_not_a_number_gives_nan_or_the_function_at_zero(name: str) -> None:
    """What compares s with a bound may see NaN as neither above nor below; nothing else may come."""
    got = value(name, math.nan)
    assert math.isnan(got) or got == 0.0


def test_published_values() -> None:
    assert value("sigmoid", 0.0) == 0.5
    assert value("steep_sigmoid", 1.0) == pytest.approx(0.99261, abs=1e-5)  # 1/(1 + e^-4.9)
    assert value("gaussian", 1.0) == pytest.approx(math.exp(-1.0), rel=1e-15)
    assert value("gaussian", 100.0) == pytest.approx(math.exp(-100.0), rel=1e-14)  # clipped to 10
    assert value("exp", 100.0) == value("exp", 60.0) == pytest.approx(math.exp(60.0), rel=1e-15)
    assert value("multiquadric", 0.0) == pytest.approx(0.1, rel=1e-15)
    assert [value("trinary", s) for s in (-0.34, -0.32, 0.0, 0.32, 0.33)] == [-1, 0, 0, 0, 1]
    assert [value("step", s) for s in (-1.0, 0.0, 1e-300)] == [0, 0, 1]
    assert [value("inverse", s) for s in (0.0, -0.0, 2.0, -4.0)] == [0, 0, 0.5, -0.25]
    assert value("elu", -1.0) == pytest.approx(math.exp(-1.0) - 1.0, rel=1e-15)
    assert value("selu", -100.0) == pytest.approx(-1.7580993408473766, rel=1e-15)
    assert value("softplus", 0.0) == pytest.approx(math.log(2.0), rel=1e-15)
    assert value("gelu", 1.0) == pytest.approx(0.8413447460685429, rel=1e-15)


def test_a_plugin_s_function_stands_behind_the_built_in_codes() -> None:
    custom = np.array([toys.HALF.address, toys.SHIFTED.address], np.uint64)
    assert kernels.activation(len(ACTIVATIONS), 3.0, custom) == 1.5
    assert kernels.activation(len(ACTIVATIONS) + 1, 3.0, custom) == 4.0
    assert kernels.activation(ACTIVATIONS.index("cube"), 3.0, custom) == 27.0


# --- aggregation ---------------------------------------------------------------------------------


def aggregated(name: str, products: list[float]) -> float:
    """The kernel sees rubbish beyond the products and in its scratch."""
    delivered = np.array([*products, math.nan, 99.0])
    scratch = np.full(len(products) + 1, math.nan)
    code = AGGREGATIONS.index(name)
    result = kernels.aggregate(code, delivered, len(products), scratch)
    assert isinstance(result, float)
    assert delivered[: len(products)].tolist() == products
    return result


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_nothing_aggregates_to_zero_and_one_to_itself(name: str) -> None:
    assert aggregated(name, []) == 0.0
    assert aggregated(name, [-2.5]) == -2.5


@pytest.mark.parametrize("name", AGGREGATIONS)
def test_aggregation_is_its_definition(name: str) -> None:
    rng = random.Random(1)
    for n in range(2, 10):
        for _ in range(20):
            products = [rng.uniform(-2.0, 2.0) for _ in range(n)]
            expected = reference.aggregate(name, products)
            assert aggregated(name, products) == pytest.approx(expected, rel=1e-14, abs=1e-14)


@PROPERTY
@given(st.sampled_from(AGGREGATIONS), st.lists(st.floats(-1e100, 1e100), max_size=9))
def test_aggregation_is_its_definition_for_any_numbers(name: str, products: list[float]) -> None:
    size = sum(abs(p) for p in products)
    expected = reference.aggregate(name, products)
    got = aggregated(name, products)
    assert got == pytest.approx(expected, rel=1e-14, abs=1e-15 * size, nan_ok=True)


@PROPERTY
@given(
    st.sampled_from(["min", "max", "max_abs", "median"]),
    st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12),
)
def test_ties_are_chosen_as_defined(name: str, products: list[float]) -> None:
    assert aggregated(name, products) == reference.aggregate(name, products)


def test_of_equal_magnitudes_the_lowest_source_s_counts() -> None:
    assert aggregated("max_abs", [1.0, -3.0, 3.0]) == -3.0
    assert aggregated("max_abs", [1.0, 3.0, -3.0]) == 3.0


def test_the_median_of_an_even_count_is_the_mean_of_the_middle_two() -> None:
    assert aggregated("median", [9.0, 1.0, 4.0, 2.0]) == 3.0
    assert aggregated("median", [9.0, 1.0, 4.0]) == 4.0


def test_known_aggregations() -> None:
    products = [2.0, -4.0, 3.0]
    assert aggregated("sum", products) == 1.0
    assert aggregated("difference", products) == 1.0
    assert aggregated("product", products) == -24.0
    assert aggregated("min", products) == -4.0
    assert aggregated("max", products) == 3.0
    assert aggregated("mean", products) == pytest.approx(1.0 / 3.0, rel=1e-15)
