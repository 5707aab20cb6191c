"""Sine and cosine against the C library's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from genomes import PROPERTY
from hypothesis import given
from hypothesis import strategies as st

from tweann.kernels.trigonometry import sine_cosine


@PROPERTY
@given(st.floats(-1.5e5, 1.5e5))
def test_both_are_within_1e_15(x: float) -> None:
    sine, cosine = sine_cosine(x)
    assert abs(sine - math.sin(x)) < 1e-15
    assert abs(cosine - math.cos(x)) < 1e-15


def test_every_quarter_of_the_circle_and_every_turn() -> None:
    for x in np.concatenate(
        (np.arange(-200, 200) * math.pi / 8, np.linspace(-1e5, 1e5, 5_001))
    ).tolist():
        assert sine_cosine(x) == pytest.approx((math.sin(x), math.cos(x)), abs=1e-15)


@pytest.mark.parametrize("x", [0.0, 1e300, -1e12])
def test_zero_and_large_angles_are_the_librarys(x: float) -> None:
    assert sine_cosine(x) == (math.sin(x), math.cos(x))


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf])
def test_what_is_no_angle_gives_no_number(x: float) -> None:
    assert all(map(math.isnan, sine_cosine(x)))
