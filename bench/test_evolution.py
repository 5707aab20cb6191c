"""Whole generations, with the default storage and observers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from shares import RUNS

from tweann.evolution import Evolution

Per = Callable[[Callable[[], object], int, str], None]
GENERATIONS = 50


@pytest.mark.parametrize("population", [150, 1000])
@pytest.mark.parametrize("task", list(RUNS))
def test_generations(per: Per, tmp_path: Path, task: str, population: int) -> None:
    config = {
        **RUNS[task],
        "run": {"generations": GENERATIONS, "stop_when_solved": False},
        "strategy": {"population": population},
    }
    numbers = iter(range(1_000_000))

    def run() -> None:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        with Evolution(config, run_dir=folder) as evolution:
            evolution.run()

    per(run, GENERATIONS, "generation")
