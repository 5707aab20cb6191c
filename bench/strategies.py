"""Every strategy on two tasks: evaluations until solved, in one table; and its memory once all caps are reached.

    python bench/strategies.py [--seeds 20] [--memory ITERATIONS] [--json FILE]

XOR and the double pole with velocities, with genome and mutation of their examples and the defaults of each strategy; the
archives tell genomes apart by their sizes. Failures stand beside the mean, which is of the other runs.

``--memory``: XOR instead (the duel for coevolution), each strategy in a process of its own, with low caps that are soon
reached; ends with 1 if the resident memory of one grows by 2 % or more after the first fifth.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tomllib
from concurrent.futures import ProcessPoolExecutor
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


#: Caps that a run of some hundred iterations reaches.
_CAPPED: Final[dict[str, Any]] = {
    "genome": {"max_nodes": 16, "max_connections": 40},
    "mutation": {"add_node_rate": 0.5, "add_connection_rate": 0.5},
    "storage": {"url": "memory:", "max_events": 100, "max_champions": 10, "max_lineage": 4, "max_ancestors": 4},
    "lineage": {"batch": 512, "max_births": 10_000},
}  # fmt: skip
_ARCHIVES: Final[dict[str, dict[str, Any]]] = {
    "novelty": {"archive_size": 200, "admission": "probability"},
    "nsga2": {"archive_size": 200},
    "coevolution": {"archive": 20},
}
#: Resident memory grows by less than that after the first fifth.
MAX_GROWTH: Final = 0.02


def memory(strategy: str, iterations: int) -> list[float]:
    """Return the megabytes after each fifth of a run at its caps; to be called in a process of its own."""
    import psutil

    settings = {"population": 60} | STRATEGIES[strategy] | _ARCHIVES.get(strategy, {})
    sections = (
        QUIET
        | _CAPPED
        | {
            "run": {"generations": iterations, "stop_when_solved": False, "history": 10},
            "task": {"name": "duel" if strategy == "coevolution" else "xor"},
            "strategy": {"name": strategy, **settings},
        }
    )
    found = []
    with Evolution(sections) as evolution:
        while not evolution.finished:
            evolution.step()
            if evolution.generation % (iterations // 5) == 0:
                found.append(psutil.Process().memory_info().rss / 1e6)
    return found


def memories(iterations: int) -> dict[str, list[float]]:
    """Print and return what `memory` says of each strategy."""
    content = {}
    fresh = multiprocessing.get_context("spawn")
    for strategy in STRATEGIES:
        with ProcessPoolExecutor(1, mp_context=fresh) as process:
            found = content[strategy] = process.submit(memory, strategy, iterations).result()
        growth = found[-1] / found[0] - 1.0
        shown = ", ".join(f"{megabytes:.1f}" for megabytes in found)
        print(f"{strategy:15} MB after each fifth: {shown} ({growth:+.2%})", flush=True)
    return content


def main() -> None:
    """Run all and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--memory", type=int, metavar="ITERATIONS", help="measure memory instead")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    if arguments.memory:
        found = memories(arguments.memory)
        if arguments.json:
            write_json(arguments.json, megabytes=found)
        sys.exit(any(each[-1] >= (1.0 + MAX_GROWTH) * each[0] for each in found.values()))
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
