"""What part of a generation each piece of it takes.

    python bench/shares.py [--population N] [--generations N] [--json FILE] [TASK …]

On one thread with the serial back-end, default storage and observers. The time of a wrapped function is its own, without that of
other wrapped ones that it calls; wrapping costs about 0.5 µs a call, which counts as the caller's.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stderr
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from stopwatch import KERNELS, Stopwatch
from timing import readable, write_json

from tweann.evolution import Evolution

_STRATEGY = "tweann.strategies.generational:Generational"

#: The task and what it needs, by name. Solvers would balance 100,000 actions, and nothing else would be seen.
RUNS: Mapping[str, Mapping[str, Any]] = {
    "xor": {"task": {"name": "xor"}},
    "double-pole": {"task": {"name": "double-pole", "max_steps": 500}},
}

#: Every piece of a generation, with the label under which it is reported.
PLACES: Mapping[str, str] = {
    **{place: f"kernel: {label}" for place, label in KERNELS.items()},
    "tweann.evolution:Evolution.step": "loop, rest",
    "tweann.evolution:Evolution._report": "loop, report",
    "tweann.champions:ChampionFinder.look": "loop, champion",
    "tweann.breeding:Breeder.breed": "loop, breeding",
    "tweann.evaluating:Evaluator.next_evaluated": "loop, jobs",
    "tweann.evaluating:Evaluator.write": "loop, jobs",
    "tweann.lineage:Lineage.told": "lineage",
    "tweann.lineage:Lineage.take": "lineage",
    "tweann.pool:GenomePool.breed": "pool, breed",
    "tweann.pool:GenomePool.keep": "pool, keep",
    "tweann.interfaces:BreedingPlan.check": "plan, check",
    "tweann.tasks.shared:SharingTask.evaluate": "task's Python",
    "tweann.tasks.shared:SharedEvaluation.result": "task's Python",
    "tweann.tasks.compiled:CompiledTask.run_episodes": "task's Python",
    f"{_STRATEGY}.ask": "strategy, ask",
    f"{_STRATEGY}.tell": "strategy, tell",
    "tweann.species:assign_species": "species, Python",
    "tweann.plugins.sqlite:SqliteStorage.append": "storage",
    "tweann.observers:Observers.generation_finished": "observers",
    "tweann.observers:Observers.champion_found": "observers",
}


def measure(task: str, population: int, generations: int) -> Stopwatch:
    """Return where the time of a run's generations went; start and end of the run are left out."""
    config = {
        **RUNS[task],
        "run": {"generations": generations, "stop_when_solved": False},
        "strategy": {"population": population},
        "evaluation": {"backend": "serial"},
    }
    for _ in range(2):  # the first run compiles, or reads the disk cache
        with (
            tempfile.TemporaryDirectory() as folder,
            open(os.devnull, "w") as nowhere,
            redirect_stderr(nowhere),
            Evolution(config, run_dir=Path(folder)) as evolution,
            Stopwatch(PLACES) as watch,
        ):
            evolution.run()
    return watch


def print_shares(title: str, watch: Stopwatch, generations: int) -> dict[str, float]:
    """Print a table and return the seconds a generation by label."""
    whole = watch.whole["loop, rest"] / generations
    seconds = {label: spent / generations for label, spent in watch.own.items()}
    table = Table("piece", "a generation", "share", "calls", title=title, title_justify="left")
    for label, spent in sorted(seconds.items(), key=lambda item: -item[1]):
        calls = watch.calls[label] / generations
        table.add_row(label, readable(spent), f"{spent / whole:.1%}", f"{calls:.1f}")
    kernels = sum(spent for label, spent in seconds.items() if label.startswith("kernel"))
    table.add_section()
    table.add_row("kernels", readable(kernels), f"{kernels / whole:.1%}", "")
    table.add_row("Python", readable(whole - kernels), f"{1 - kernels / whole:.1%}", "")
    Console(width=None if os.isatty(1) else 100).print(table)
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=list(RUNS), metavar="TASK")
    parser.add_argument("--population", type=int, default=150)
    parser.add_argument("--generations", type=int, default=200)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    found = {}
    for task in arguments.tasks:
        if task not in RUNS:
            parser.error(f"no task {task!r} (known: {', '.join(RUNS)})")
        watch = measure(task, arguments.population, arguments.generations)
        title = f"{task}, population {arguments.population:,}, one thread"
        found[task] = print_shares(title, watch, arguments.generations)
    if arguments.json is not None:
        write_json(arguments.json, population=arguments.population, seconds=found)


if __name__ == "__main__":
    main()
