"""Competitive coevolution on the robot duel: does the last champion beat all the earlier ones, with and without an archive?

    python bench/coevolution.py [--seeds 10] [--generations 100] [--population 60] [--quick] [--json FILE]

With an archive a genome plays 2 starts against each of 8 opponents, without one 16 starts against the titleholder alone:
as many matches. The champions of every tenth generation then meet in a master tournament (Floreano & Nolfi 1997): 25
starts that no evaluation has, from both seats. Who scores more than half has won.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from timing import write_json

from tweann.evolution import Evolution
from tweann.genome import Genome
from tweann.network import NetworkSlice
from tweann.tasks.base import EvaluationKeys
from tweann.tasks.duel import TEST_EPISODES, TEST_SEED, Duel

FIRST_SEED = 1001
N_CHAMPIONS = 11
VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "archive of 100": ({}, {}),
    "no archive": ({"episodes": 16}, {"archive": 1}),
}


def champions(
    task: dict[str, Any], strategy: dict[str, Any], seed: int, generations: int, population: int
) -> tuple[list[Genome], list[NetworkSlice], dict[str, float]]:
    """Return the champions at even distances in time, first and last included, and figures of the run."""
    at = {round(i * (generations - 1) / (N_CHAMPIONS - 1)) for i in range(N_CHAMPIONS)}
    sections = {
        "run": {"seed": seed, "generations": generations, "stop_when_solved": False},
        "task": {"name": "duel", **task},
        "strategy": {"name": "coevolution", "population": population, **strategy},
        "evaluation": {"workers": 1},
        "storage": {"url": "memory:"},
        "observers": {},
    }
    genomes, found, began = [], [], time.process_time()
    with Evolution(sections) as run:
        while not run.finished:
            run.step()
            champion = run.champion
            if run.generation - 1 in at and champion is not None:
                genomes.append(champion.genome)
                found.append(champion.genome.as_slice(run.layout, run.scaling))
        seconds = time.process_time() - began
        scripted = {
            name.removeprefix("score_"): value
            for name, value in run.task.metrics(found[-1]).items()
        }
        return (
            genomes,
            found,
            {
                **scripted,
                "matches": run.history[-1].metrics["matches"],
                "seconds": seconds,
            },
        )


def tournament(players: list[NetworkSlice]) -> NDArray[np.float64]:
    """Return (n, n) the score of each player against each."""
    task = Duel(Duel.Settings())
    episodes = EvaluationKeys(TEST_SEED).episodes(TEST_EPISODES)
    return np.array([[task.play(a, b, episodes).scores[0, 0] for b in players] for a in players])


def mean_and_margin(values: list[float]) -> str:
    """Return the mean and half its 95 % interval (normal)."""
    sd = statistics.stdev(values) if len(values) > 1 else math.nan
    return f"{statistics.fmean(values):.3f} ± {1.96 * sd / math.sqrt(len(values)):.3f}"


def main() -> None:
    """Run all variants, seed by seed, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--generations", type=int, default=100)
    parser.add_argument("--population", type=int, default=60)
    parser.add_argument("--quick", action="store_true", help="shows that it works")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.generations, arguments.population = 2, 12, 20
    content: dict[str, Any] = {}
    for name, (task, strategy) in VARIANTS.items():
        tables, figures, others = [], [], []
        for seed in range(FIRST_SEED, FIRST_SEED + arguments.seeds):
            genomes, players, found = champions(
                task, strategy, seed, arguments.generations, arguments.population
            )
            tables.append(tournament(players))
            # who is champion still is no earlier one
            others.append(np.array([g.genome_id != genomes[-1].genome_id for g in genomes]))
            figures.append(found)
        last = [table[-1][other] for table, other in zip(tables, others, strict=True)]
        print(
            f"\n{name}: {arguments.seeds} seeds, {arguments.generations} generations of {arguments.population}"
        )
        print(
            "  share of earlier champions that the last beats:",
            mean_and_margin([float((row > 0.5).mean()) for row in last]),
        )
        print(
            "  its score against them:                        ",
            mean_and_margin([float(row.mean()) for row in last]),
        )
        print(
            "  runs in which it beats the first champion:     ",
            sum(bool(row[0] > 0.5) for row in last),
        )
        for key in figures[0]:
            print(f"  {key}:", mean_and_margin([f[key] for f in figures]))
        print(
            "  master tournament, mean score of the champion of the row's time against that of the column's:"
        )
        for row in np.mean(tables, axis=0):
            print("   ", " ".join(f"{score:.2f}" for score in row), flush=True)
        content[name] = {"figures": figures, "tables": [table.tolist() for table in tables]}
    if arguments.json is not None:
        write_json(arguments.json, coevolution=content)


if __name__ == "__main__":
    main()
