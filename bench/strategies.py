"""Every strategy on two tasks: evaluations until solved, in one table.

    python bench/strategies.py [--seeds 20] [--json FILE]

XOR and the double pole with velocities, with genome and mutation of their examples and the defaults of each strategy; the
archives tell genomes apart by their sizes. Failures stand beside the mean, which is of the other runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tomllib
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from search import EXAMPLES
from timing import write_json

from tweann.evolution import Evolution

FIRST_SEED: Final = 6001
QUIET: Final[dict[str, Any]] = {
    "storage": {"url": "memory:"},
    "observers": {},
    "evaluation": {"workers": 1},
}
#: Example, and the cap on evaluations.
TASKS: Final = {"xor": ("xor.toml", 30_000), "double-pole": ("double_pole.toml", 20_000)}
_SIZE: Final = {"descriptor": "size"}
STRATEGIES: Final[dict[str, dict[str, Any]]] = {
    "generational": {},
    "steady-state": {},
    "racing": {},
    "portfolio": {},
    "islands": {},
    "map-elites": {**_SIZE, "bins": [8, 30], "bounds": [[0, 8], [0, 30]]},
    "novelty": {**_SIZE, "fitness_weight": 0.5},
    "nsga2": {},
    "coevolution": {},
    "weights-only": {},
    "random-search": {},
}


def solve(task: str, strategy: str, seed: int) -> tuple[bool, int]:
    """Return whether a run solved its task, and after how many evaluations."""
    file, cap = TASKS[task]
    sections = tomllib.loads((EXAMPLES / file).read_text(encoding="utf-8"))
    sections |= QUIET | {
        "run": {"seed": seed, "evaluations": cap},
        "strategy": {"name": strategy, **STRATEGIES[strategy]},
    }
    with Evolution(sections) as evolution:
        result = evolution.run()
    return result.solved, result.n_evaluations


def main() -> None:
    """Run all and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    table = Table(title=f"evaluations until solved, {arguments.seeds} seeds", title_justify="left")
    for heading in (
        "strategy",
        *(f"{t}, {what}" for t in TASKS for what in ("solved", "mean", "median")),
    ):
        table.add_column(heading, justify="left" if heading == "strategy" else "right")
    content: dict[str, Any] = {}
    for strategy in STRATEGIES:
        cells = []
        for task in TASKS:
            seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
            found = [solve(task, strategy, seed) for seed in seeds]
            spent = [n for solved, n in found if solved]
            cells.append(f"{len(spent)} of {len(found)}")
            cells += (
                [f"{statistics.fmean(spent):,.0f}", f"{statistics.median(spent):,.0f}"]
                if spent
                else ["-", "-"]
            )
            content[f"{task}, {strategy}"] = found
        table.add_row(strategy, *cells)
    Console(width=None if os.isatty(1) else 120).print(table)
    if arguments.json:
        write_json(arguments.json, runs=content)


if __name__ == "__main__":
    main()
