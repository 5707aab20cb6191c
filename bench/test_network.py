"""One network, called from Python."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from networks import FIFTY, TWO_HUNDRED, Size, random_genome
from numpy.random import Generator

Per = Callable[[Callable[[], object], int, str], None]
SIZES = [Size(4, 3, 4, 4, 1), FIFTY, TWO_HUNDRED]


@pytest.mark.parametrize("form", ["array", "list"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size.hidden}-nodes")
def test_activate(per: Per, rng: Generator, size: Size, form: str) -> None:
    network = random_genome(rng, size).network()
    array = rng.normal(size=size.n_inputs)
    inputs = array if form == "array" else array.tolist()

    def call() -> None:
        activate = network.activate
        for _ in range(100):
            activate(inputs)

    per(call, 100, "call")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size.hidden}-nodes")
def test_activate_rows(per: Per, rng: Generator, size: Size) -> None:
    network = random_genome(rng, size).network()
    rows = rng.normal(size=(1000, size.n_inputs))
    per(lambda: network.activate_rows(rows), len(rows), "row")
