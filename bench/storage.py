"""What storage and lineage cost at default settings, on the fastest built-in task.

    python bench/storage.py [--generations N ...] [--pairs N] [--json FILE]

XOR at populations of 150 and 1,000, in runs of 500 generations (by default, a fraction of a second) and of 4,000 (some seconds),
in two ways: the share of a run's time that goes into lineage, into events and
commits, and into the final population, by a stopwatch in one run; and runs with default storage and lineage against
runs with ``storage.url = "memory:"`` and no lineage, alternately, by the time of the processor. Ends with 1 if all three
together take more than 10 % of a run of the longest kind; what is done once, at the end, weighs more in short ones.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
from contextlib import redirect_stderr
from itertools import product
from pathlib import Path
from time import process_time
from typing import Any

from stopwatch import Stopwatch
from timing import write_json

from tweann.evolution import Evolution

POPULATIONS = (150, 1000)
#: The share that storage and lineage may take.
TARGET = 0.10
LABELS = ("lineage", "storage", "ending")

_PLACES = {
    "tweann.evolution:Evolution.run": "run",
    "tweann.recording:Recorder.told": "lineage",
    "tweann.recording:Recorder._write": "storage",
    "tweann.recording:Recorder.finish": "ending",
    "tweann.recording:Recorder.close": "ending",
}


def config(population: int, generations: int, kept: bool) -> dict[str, Any]:
    """Return a run of XOR, with everything kept by default or as little as can be."""
    less = {} if kept else {"storage": {"url": "memory:"}, "lineage": {"enabled": False}}
    return {
        "run": {"generations": generations, "stop_when_solved": False},
        "task": {"name": "xor"},
        "strategy": {"population": population},
        "evaluation": {"backend": "serial"},
        "checkpoint": {"enabled": False},
        "observers": {},
        **less,
    }


def seconds(population: int, generations: int, kept: bool) -> float:
    """Return the processor's seconds of a run."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Evolution(config(population, generations, kept), run_dir=Path(folder)) as evolution,
    ):
        began = process_time()
        evolution.run()
        return process_time() - began


def shares(population: int, generations: int) -> dict[str, float]:
    """Return what part of a run's time lineage and storage take."""
    with tempfile.TemporaryDirectory() as folder, Stopwatch(_PLACES) as watch:
        with Evolution(config(population, generations, True), run_dir=Path(folder)) as evolution:
            evolution.run()
        whole = watch.whole["run"]
        return {label: watch.own[label] / whole for label in LABELS}


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--generations", type=int, nargs="+", default=[500, 4000])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    found: list[dict[str, float]] = []
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        for population, generations in product(POPULATIONS, arguments.generations):
            seconds(population, 20, True)  # compiles
            parts = shares(population, generations)
            ratios = []
            for _ in range(arguments.pairs):
                without = seconds(population, generations, False)
                ratios.append(seconds(population, generations, True) / without - 1.0)
            median = statistics.median(ratios) if ratios else float("nan")
            found.append(
                {
                    "population": population,
                    "generations": generations,
                    **parts,
                    "more_than_without": median,
                }
            )
            print(
                f"population {population:>5,}, {generations:>5,} generations: "
                f"{', '.join(f'{label} {parts[label]:.1%}' for label in LABELS)}, together "
                f"{sum(parts[label] for label in LABELS):.1%} of the run; against none: {median:+.1%} of the processor's "
                f"time (median of {len(ratios)} pairs, {', '.join(f'{ratio:+.1%}' for ratio in ratios)})",
                flush=True,
            )
    if arguments.json is not None:
        write_json(arguments.json, runs=found)
    longest = max(arguments.generations)
    judged = [entry for entry in found if entry["generations"] == longest]
    met = all(sum(entry[label] for label in LABELS) <= TARGET for entry in judged)
    print(
        f"at most {TARGET:.0%} of the time of runs of {longest:,} generations: {'met' if met else 'not met'}"
    )
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
