"""The tutorial's strategy in plain Python beside the built-in one that does the same: speed, by turns.

    python bench/tutorial.py

`generational` without species, elites and crossover is (μ, λ) selection in compiled kernels; the tutorial's strategy
does the same in numpy, and adapts the strength of mutation besides. Time is the process's, so that others on the
machine do not count.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tweann

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from tutorial import source

BUILT_IN = {
    "name": "generational",
    "speciation": False,
    "elitism": 0,
    "elitism_min_size": 1_000_000,
    "crossover_rate": 0.0,
    "survival": 0.2,
    "stagnation": 0,
    "population_stagnation": 0,
}


def sections(strategy: dict[str, Any], population: int) -> dict[str, Any]:
    return {
        "run": {"generations": 1_000_000, "stop_when_solved": False, "history": 10},
        "task": {"name": "xor"},
        # Genomes of one size: that those of one strategy grow faster says nothing of its speed.
        "mutation": {"add_node_rate": 0.0, "add_connection_rate": 0.0},
        "strategy": {**strategy, "population": population},
        "evaluation": {"backend": "serial"},
        "storage": {"url": "memory:", "max_events": 100},
        "observers": {},
    }


def ratio(registry: tweann.Registry, population: int, repeats: int, steps: int) -> float:
    """Return the tutorial's speed over the built-in's, each at its best of some repeats, by turns."""
    comma = {"name": "comma", "parents": max(1, population // 5)}
    runs = [
        tweann.Evolution(sections(strategy, population), registry=registry)
        for strategy in (comma, BUILT_IN)
    ]
    best = [float("inf")] * len(runs)
    for repeat in range(repeats + 1):
        for i, run in enumerate(runs):
            began = time.process_time()
            for _ in range(steps):
                run.step()
            if repeat:  # the first is for compilation
                best[i] = min(best[i], time.process_time() - began)
    for run in runs:
        run.close()
    return best[1] / best[0]


def measure(populations: tuple[int, ...], repeats: int, evaluations: int) -> dict[int, float]:
    """Return the ratio for each population."""
    with TemporaryDirectory() as folder:
        file = Path(folder, "comma.py")
        file.write_text(source())
        registry = tweann.Registry.load()
        registry.register_file(file)
        return {n: ratio(registry, n, repeats, max(1, evaluations // n)) for n in populations}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--evaluations", type=int, default=30_000, help="of each, a repeat")
    arguments = parser.parse_args()
    found = measure((50, 150, 1_000, 5_000), arguments.repeats, arguments.evaluations)
    print("population  speed of the tutorial's strategy / of the built-in one")
    for population, speed in found.items():
        print(f"{population:10,}  {speed:.2f}")


if __name__ == "__main__":
    main()
