"""What it costs to evaluate elsewhere: python bench/backends.py

A fitness function that waits, as one does that asks a simulator: what a genome takes beyond its waiting is overhead.
First, with genomes that do not wait, what a generation costs whatever its size (its chunks are handed over and collected)
and what each genome costs (bred, sent, decoded, told), from generations of 20 and of 400.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # also where worker processes look

from waiting import WaitingTask

from tweann.evolution import Evolution

#: Seconds that a genome waits.
COSTS = (0.0, 0.001, 0.01)


def measure(backend: str, cost: float, n: int, workers: int, generations: int) -> dict[str, float]:
    """Return seconds until the first generation was there, and seconds a genome from then on."""
    sections: dict[str, Any] = {
        "run": {"generations": generations + 2, "stop_when_solved": False},
        "strategy": {"population": n},
        "evaluation": {"backend": backend, "workers": workers},
        "storage": {"url": "memory:"},
        "observers": {},
    }
    began = time.perf_counter()
    with Evolution(sections, task=WaitingTask(cost)) as run:
        run.step()
        first = time.perf_counter() - began
        run.step()
        times = []
        for _ in range(generations):
            start = time.perf_counter()
            run.step()
            times.append(time.perf_counter() - start)
    return {"first": first, "genome": statistics.median(times) / n}


def costs(backend: str, workers: int, generations: int) -> tuple[float, float]:
    """Return the seconds that a generation costs whatever its size, and those of each genome: of genomes that wait not."""
    few, many = 20, 400
    small = measure(backend, 0.0, few, workers, generations)["genome"] * few
    large = measure(backend, 0.0, many, workers, generations)["genome"] * many
    each = (large - small) / (many - few)
    return small - few * each, each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--genomes", type=int, default=400)
    parser.add_argument("--generations", type=int, default=5)
    parser.add_argument("--backends", nargs="+", default=["serial", "threads", "processes", "dask"])
    arguments = parser.parse_args()
    n, workers = arguments.genomes, arguments.workers
    for backend in arguments.backends:
        fixed, each = costs(backend, workers, arguments.generations)
        print(f"{backend:10} {fixed * 1e3:6.2f} ms a generation, {each * 1e6:6.0f} µs a genome")
        used = 1 if backend == "serial" else workers
        for cost in COSTS:
            found = measure(backend, cost, n, workers, arguments.generations)
            overhead = found["genome"] - cost / used
            print(
                f"{backend:10} waiting {cost * 1e3:5.1f} ms: {found['genome'] * 1e6:8.0f} µs a genome, "
                f"{overhead * 1e6:7.0f} µs of it overhead; first generation after {found['first']:5.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
