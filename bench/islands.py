"""Does migration help? Evaluations to solve for one population, isolated islands, and each topology, at equal evaluations.

    python bench/islands.py [--tasks NAME …] [--seeds N] [--islands 5] [--interval 5] [--json FILE]

All rows of a task have the settings of its example and the same number of genomes in all; islands are of `generational`,
with `species.target` shared out among them (2 at least). A run that ends unsolved counts as longer than any other; so
medians are of all runs, and the interval is that of the ratio of medians to isolated islands (95 %, bootstrap).
"""

from __future__ import annotations

import argparse
import math
import os
import tomllib
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.table import Table
from search import EXAMPLES
from timing import write_json

from tweann.config import load
from tweann.evolution import Evolution

#: Task: its example, and seeds by default.
TASKS: Final = {
    "xor": ("xor.toml", 50),
    "double-pole": ("double_pole.toml", 30),
    "double-pole-no-velocities": ("double_pole_no_velocities.toml", 20),
}
#: What is compared: settings of strategy `islands`; None: one population.
ROWS: Final[dict[str, dict[str, Any] | None]] = {
    "one population": None,
    "isolated": {"interval": 0},
    "ring": {"topology": "ring"},
    "star": {"topology": "star"},
    "random": {"topology": "random"},
    "full": {"topology": "full"},
}
FIRST_SEED: Final = 3001


def sections(task: str, row: dict[str, Any] | None, islands: int, interval: int) -> dict[str, Any]:
    """Return the configuration of a row."""
    found = tomllib.loads((EXAMPLES / TASKS[task][0]).read_text(encoding="utf-8"))
    found |= {"storage": {"url": "memory:"}, "observers": {}}
    found["evaluation"] = {"workers": 1}
    if row is None:
        return found
    settings = dict(found["strategy"])
    name, population = settings.pop("name", "generational"), settings.pop("population", 150)
    table = {"name": name, "count": islands, "settings": settings}
    found["strategy"] = {
        "name": "islands",
        "population": population,
        "interval": interval,
        "island": [table],
        **row,
    }
    species = found.setdefault("species", {})
    species["target"] = max(2, species.get("target", 10) // islands)
    return found


def evaluations(configuration: dict[str, Any], seed: int) -> float:
    """Return how many evaluations a run needed; infinite: it did not solve its task."""
    with Evolution(load(configuration, {"run.seed": seed})) as evolution:
        result = evolution.run()
    return result.n_evaluations if result.solved else math.inf


def ratio_interval(these: list[float], others: list[float]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the ratio of medians."""
    rng = np.random.default_rng(1)
    a = np.median(rng.choice(these, (2000, len(these))), axis=1)
    b = np.median(rng.choice(others, (2000, len(others))), axis=1)
    known = np.isfinite(b)
    low, high = np.quantile(a[known] / b[known], (0.025, 0.975), method="nearest")
    return float(low), float(high)


def main() -> None:
    """Run all rows and print a table for each task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--seeds", type=int, default=0, help="0: as many as is the task's default")
    parser.add_argument("--islands", type=int, default=5)
    parser.add_argument("--interval", type=int, default=5, help="generations between exchanges")
    parser.add_argument("--json", type=Path, help="write all runs to this file")
    arguments = parser.parse_args()
    console = Console(width=None if os.isatty(1) else 110)
    content: dict[str, Any] = {}
    for task in arguments.tasks:
        n = arguments.seeds or TASKS[task][1]
        table = Table(title=f"{task}: evaluations to solve, {n} seeds", title_justify="left")
        for heading in ("", "solved", "median", "mean of solved", "median / isolated, 95 %"):
            table.add_column(heading, justify="right" if heading else "left")
        runs: dict[str, list[float]] = {}
        for name, row in ROWS.items():
            configuration = sections(task, row, arguments.islands, arguments.interval)
            runs[name] = [evaluations(configuration, FIRST_SEED + k) for k in range(n)]
        for name, found in runs.items():
            solved = [value for value in found if math.isfinite(value)]
            low, high = ratio_interval(found, runs["isolated"])
            table.add_row(
                name,
                f"{len(solved)} of {n}",
                f"{np.median(found):,.0f}",
                f"{np.mean(solved):,.0f}" if solved else "–",
                f"{low:.2f} to {high:.2f}",
            )
        console.print(table)
        content[task] = {name: [str(value) for value in found] for name, found in runs.items()}
    if arguments.json is not None:
        write_json(arguments.json, islands=content)


if __name__ == "__main__":
    main()
