"""Memory and learning: what the examples' configurations need for each task, and what learning is worth on the bandits.

    python bench/memory_tasks.py [--only WORD …] [--seeds 2001-2050] [--json FILE] [--quick]

First evaluations until solved, counted as `bench/search.py` counts. Then the reversal bandit with and without plasticity:
the reward of each run's champion at its end. Last the probabilistic bandit at equal evaluations: each run's champion plays
lifetimes that no run has seen, and so does win-stay-lose-shift, the same ones. Intervals are of means, 95 %, by 10,000
resamples of the seeds. The seeds are none that settings were chosen with.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from ablation import QUIET
from rich.console import Console
from rich.table import Table
from search import EXAMPLES, Study, run_seeds, seed_range, summary
from timing import write_json

from tweann import assembly
from tweann.config import Config, load
from tweann.evolution import Evolution
from tweann.genes import Float
from tweann.genome import Genome
from tweann.kernels._jit import allocating_kernel
from tweann.kernels.random import UInt64Array
from tweann.registry import default_registry
from tweann.tasks import EvaluationKeys
from tweann.tasks.bandits import PROBABILISTIC_STEPS, ProbabilisticBandit

#: Task and file of examples/.
SOLVE: Final = {
    "t-maze": "t_maze.toml",
    "two-cue-t-maze": "two_cue_t_maze.toml",
    "sequence-recall": "sequence_recall.toml",
    "reversal-bandit": "reversal_bandit.toml",
}
#: What networks may be, of the reversal bandit. What does not learn has as long as any solving run needs, and more.
REVERSAL: Final[dict[str, dict[str, Any]]] = {
    "plastic": {},
    "not plastic": {"genome.plasticity": ["none"]},
    "not plastic, recurrent": {"genome.plasticity": ["none"], "genome.recurrent": True},
}
REVERSAL_EVALUATIONS: Final = 3000
_RULES: Final = ["none", "hebbian", "abcd", "trace"]
#: What networks may be, of the probabilistic bandit.
PROBABILISTIC: Final[dict[str, dict[str, Any]]] = {
    "neither": {},
    "recurrent": {"recurrent": True},
    "plastic": {"plasticity": _RULES},
    "both": {"recurrent": True, "plasticity": _RULES},
}
#: Seed of the lifetimes that champions are compared on; no run has it.
TEST_SEED: Final = 999_983


def interval(values: Float) -> tuple[float, float]:
    """Return the 95 % interval of the mean."""
    rng = np.random.default_rng(1)
    means = rng.choice(values, (10_000, values.size)).mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def spread(values: list[float]) -> dict[str, float]:
    """Return the mean, its interval, and what else a table shows."""
    found = np.array(values)
    low, high = interval(found)
    return {
        "mean": float(found.mean()),
        "low": low,
        "high": high,
        "median": float(np.median(found)),
        "least": float(found.min()),
        "best": float(found.max()),
    }


def reversal(change: dict[str, Any], seed: int) -> float:
    """Return the mean reward of a run's champion."""
    changes = {"run.seed": seed, "run.evaluations": REVERSAL_EVALUATIONS, "storage.url": "memory:"}
    config = load(EXAMPLES / SOLVE["reversal-bandit"], {**changes, **change})
    with Evolution(config.model_copy(update={"observers": {}})) as evolution:
        champion = evolution.run().champion
    if champion is None:
        raise RuntimeError(f"a champion was expected of seed {seed}, came none")
    return float(champion.fitness)


def probabilistic(change: dict[str, Any], seed: int, evaluations: int, lifetimes: int) -> float:
    """Return the share of wins of a run's champion on the lifetimes of the test."""
    sections = {
        **QUIET,
        "run": {"seed": seed, "evaluations": evaluations},
        "task": {"name": "probabilistic-bandit"},
        "genome": change,
        "evaluation": {"workers": 1, "resample": True},
        "strategy": {"name": "generational", "population": 150},
    }
    with Evolution(sections) as evolution:
        champion = evolution.run().champion
        config = evolution.config
    if champion is None:
        raise RuntimeError(f"a champion was expected of seed {seed}, came none")
    return tested(config, champion.genome, lifetimes)


def tested(config: Config, genome: Genome, lifetimes: int) -> float:
    """Return the share of wins of a genome on the lifetimes of the test."""
    task = ProbabilisticBandit(ProbabilisticBandit.Settings(episodes=lifetimes))
    layout = assembly.make_layout(config, task.info, default_registry())
    networks = genome.as_slice(layout, assembly.make_scaling(config, task.info))
    return float(task.evaluate(networks, EvaluationKeys(TEST_SEED)).fitness[0])


@allocating_kernel
def play(reset: Any, observe: Any, step: Any, keys: UInt64Array) -> float:
    """Return the sum of rewards of win-stay-lose-shift; the first pull is of arm 1."""
    none, state, seen, action = np.zeros(0), np.zeros(6), np.zeros(3), np.zeros(1)
    total = 0.0
    for key in keys:
        state[:] = 0.0
        reset(state, none, key)
        done = False
        while not done:
            observe(state, none, seen)
            action[0] = seen[0] * seen[1] if seen[1] != 0.0 else 1.0
            reward, done = step(state, none, action)
            total += reward
    return total


def win_stay_lose_shift(lifetimes: int) -> float:
    """Return the share of wins of the policy on the lifetimes of the test."""
    task = ProbabilisticBandit(ProbabilisticBandit.Settings(episodes=lifetimes)).simulation
    keys = EvaluationKeys(TEST_SEED).episodes(lifetimes)
    total = play(task.reset, task.observe, task.step, keys)
    return 0.5 * (total / (lifetimes * PROBABILISTIC_STEPS) + 1.0)


def print_table(console: Console, title: str, headings: list[str], rows: list[list[str]]) -> None:
    """Print rows whose first column is text."""
    table = Table(title=title, title_justify="left")
    for k, heading in enumerate(headings):
        table.add_column(heading, justify="right" if k else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)


def solve_all(console: Console, seeds: range) -> dict[str, Any]:
    """Run the examples, print a table, and return all."""
    rows, content = [], {}
    for task, file in SOLVE.items():
        study = Study(EXAMPLES / file, len(seeds))
        outcomes = list(run_seeds(study, seeds, 1, {}))
        found = summary(study, outcomes)
        figures = [f"{found['evaluations'].get(k, np.nan):,.0f}" for k in _EVALUATIONS]
        solved = f"{found['solved']} of {found['runs']}"
        rows.append([f"{task} (examples/{file})", solved, str(found["failures"]), *figures])
        content[task] = {
            "configuration": file,
            "figures": found,
            "runs": [asdict(outcome) for outcome in outcomes],
        }
    title = f"evaluations until solved, seeds {seeds.start} to {seeds.stop - 1}"
    print_table(console, title, ["task", "solved", "failures", *_EVALUATIONS], rows)
    return content


_EVALUATIONS: Final = ("mean", "sd", "median", "worst")
_SHARES: Final = ("mean", "95 %", "median", "least", "best")


def print_shares(console: Console, title: str, found: dict[str, dict[str, float]]) -> None:
    """Print what `spread` returned, by name."""
    rows = []
    for name, of in found.items():
        between = f"{of['low']:.3f} to {of['high']:.3f}"
        others = [f"{of[key]:.3f}" for key in ("median", "least", "best")]
        rows.append([name, f"{of['mean']:.3f}", between, *others])
    print_table(console, title, ["networks", *_SHARES], rows)


def main() -> None:
    """Run what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ("solve", "reversal", "probabilistic")
    parser.add_argument("--only", nargs="*", default=list(parts), choices=parts)
    parser.add_argument("--seeds", type=seed_range, default=range(2001, 2051))
    parser.add_argument(
        "--bandit-seeds",
        type=seed_range,
        default=range(2001, 2021),
        help="of the probabilistic one",
    )
    parser.add_argument("--evaluations", type=int, default=1500, help="of the probabilistic bandit")
    parser.add_argument("--lifetimes", type=int, default=400, help="that it is tested on")
    parser.add_argument("--quick", action="store_true", help="see that it works")
    parser.add_argument("--json", type=Path, help="write all runs and figures to this file")
    arguments = parser.parse_args()
    seeds, bandit_seeds = arguments.seeds, arguments.bandit_seeds
    evaluations, lifetimes = arguments.evaluations, arguments.lifetimes
    if arguments.quick:
        seeds, bandit_seeds, evaluations, lifetimes = seeds[:2], bandit_seeds[:2], 300, 20
    console = Console(width=None if os.isatty(1) else 120)
    content: dict[str, Any] = {}
    if "solve" in arguments.only:
        content["solve"] = solve_all(console, seeds)
    if "reversal" in arguments.only:
        runs = {name: [reversal(change, s) for s in seeds] for name, change in REVERSAL.items()}
        found = {name: spread(values) for name, values in runs.items()}
        content["reversal-bandit"] = {"figures": found, "runs": runs}
        title = f"reversal-bandit: mean reward of {len(seeds)} champions, {REVERSAL_EVALUATIONS:,} evaluations at most"
        print_shares(console, title, found)
    if "probabilistic" in arguments.only:
        runs = {
            name: [probabilistic(change, s, evaluations, lifetimes) for s in bandit_seeds]
            for name, change in PROBABILISTIC.items()
        }
        found = {name: spread(values) for name, values in runs.items()}
        baseline = win_stay_lose_shift(lifetimes)
        content["probabilistic-bandit"] = {
            "win-stay-lose-shift": baseline,
            "evaluations": evaluations,
            "lifetimes": lifetimes,
            "figures": found,
            "runs": runs,
        }
        title = (
            f"probabilistic-bandit: wins of {len(bandit_seeds)} champions after {evaluations:,} evaluations, "
            f"{lifetimes} other lifetimes; win-stay-lose-shift {baseline:.4f}"
        )
        print_shares(console, title, found)
    if arguments.json is not None:
        write_json(arguments.json, parts=content)


if __name__ == "__main__":
    main()
