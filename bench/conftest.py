"""Lets the benchmarks import the helpers that stand beside this file, as the scripts do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def rng() -> Generator:
    """The same generator for every benchmark."""
    return np.random.default_rng(1)


@pytest.fixture
def per(benchmark: Any) -> Callable[[Callable[[], object], int, str], None]:
    """Benchmark a call that does ``amount`` units of work, and note the seconds a unit."""

    def measure(work: Callable[[], object], amount: int, unit: str) -> None:
        work()  # compiles, or reads the disk cache
        benchmark.extra_info |= {"amount": amount, "unit": unit}
        benchmark(work)
        if benchmark.stats is not None:  # None with --benchmark-disable
            benchmark.extra_info["least_seconds_a_unit"] = benchmark.stats["min"] / amount

    return measure
