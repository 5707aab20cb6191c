"""Resident memory of a long run whose genomes have reached their caps.

    python bench/memory.py [GENERATIONS] [--population N] [--json FILE]

Ends with 1 if memory grows by 2 % or more from generation 1,000 on.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped] # ships no types
from timing import write_json

from tweann.evolution import Evolution
from tweann.records import GenerationReport

MAX_NODES, MAX_CONNECTIONS = 40, 120
#: Growth is measured from here on, and may not reach this share.
SETTLED_AT, MAX_GROWTH = 1000, 0.02


@dataclass(frozen=True, slots=True)
class Sample:
    """Memory, and how large genomes are."""

    generation: int
    megabytes: float
    most_nodes: int
    most_connections: int
    mean_connections: float


class Watched(Evolution):
    """A run that looks at its memory every so many generations."""

    every: int
    seen: Callable[[Sample], None]

    def step(self) -> GenerationReport:
        """Do a generation, then look."""
        report = super().step()
        if self.generation % self.every == 0:
            view = self.pool.view()
            self.seen(
                Sample(
                    self.generation,
                    psutil.Process().memory_info().rss / 1e6,
                    int(view.n_nodes.max()),
                    int(view.n_connections.max()),
                    float(view.n_connections.mean()),
                )
            )
        return report


def grow(
    generations: int, every: int, seen: Callable[[Sample], None], population: int = 100
) -> None:
    """Run XOR with a lot of structural mutation, default storage and observers; hand samples to ``seen``."""
    config = {
        "run": {"generations": generations, "stop_when_solved": False},
        "task": {"name": "xor"},
        "genome": {
            "max_nodes": MAX_NODES,
            "max_connections": MAX_CONNECTIONS,
            "recurrent": True,
        },
        "mutation": {"mode": "all", "add_node_rate": 0.9, "add_connection_rate": 1.0},
        # one parent mostly: with two, the smaller of equals gives its structure
        "strategy": {"population": population, "crossover_rate": 0.25},
    }
    with tempfile.TemporaryDirectory() as folder, Watched(config, run_dir=Path(folder)) as run:
        run.every, run.seen = every, seen
        run.run()


def growth(samples: list[Sample]) -> float:
    """Return by what share memory grew since the caps were reached."""
    settled = [s for s in samples if s.generation >= SETTLED_AT] or samples
    return max(s.megabytes for s in settled) / settled[0].megabytes - 1.0


def main() -> int:
    """Run, print, and say whether memory stays."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("generations", type=int, nargs="?", default=10_000)
    parser.add_argument("--population", type=int, default=100)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    samples: list[Sample] = []

    def tell(sample: Sample) -> None:
        samples.append(sample)
        print(
            f"generation {sample.generation:>7,}: {sample.megabytes:7.2f} MB, up to "
            f"{sample.most_nodes} nodes and {sample.most_connections} connections "
            f"(mean {sample.mean_connections:.1f})",
            flush=True,
        )

    every = min(SETTLED_AT, arguments.generations)
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        grow(arguments.generations, every, tell, arguments.population)
    share = growth(samples)
    print(
        f"growth from generation {SETTLED_AT:,} on: {share:.2%} (must stay below {MAX_GROWTH:.0%})"
    )
    reached = any(
        s.most_nodes == MAX_NODES or s.most_connections == MAX_CONNECTIONS for s in samples[:1]
    )
    if not reached:
        print(
            f"the caps were not reached by generation {samples[0].generation:,}: this says little"
        )
    if arguments.json is not None:
        write_json(arguments.json, growth=share, samples=[asdict(sample) for sample in samples])
    return 0 if reached and share < MAX_GROWTH else 1


if __name__ == "__main__":
    raise SystemExit(main())
