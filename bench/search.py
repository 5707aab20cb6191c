"""Search power: how many evaluations the examples' configurations need, over many seeds.

    python bench/search.py [--tasks NAME …] [--seeds 1001-1200] [--workers N] [--json FILE]

A run counts with the evaluations done when it was solved; one that ends unsolved is a failure, never dropped: failures stand
beside the mean, which is of the others. Every fitness evaluation counts; tests of champions, which the tasks define as free,
do not. Each seed is a process's work on one thread; nothing is stored.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from timing import write_json

from tweann.config import load
from tweann.evolution import Evolution

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
FIRST_SEED = 1001


@dataclass(frozen=True, slots=True)
class Study:
    """What to run how often.

    Attributes:
        path: the configuration.
        n_seeds: by default.
        varies: the setting that takes the seeds' values besides ``run.seed``.
        metric: what to report instead of evaluations, the task's name for it.
    """

    path: Path
    n_seeds: int
    varies: str | None = None
    metric: str | None = None


STUDIES = {
    "xor": Study(EXAMPLES / "xor.toml", 200),
    "double-pole": Study(EXAMPLES / "double_pole.toml", 50),
    "double-pole-no-velocities": Study(EXAMPLES / "double_pole_no_velocities.toml", 20),
    "breast-cancer": Study(
        EXAMPLES / "breast_cancer.toml", 10, varies="task.split_seed", metric="test_accuracy"
    ),
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one run ended."""

    seed: int
    solved: bool
    n_evaluations: int
    generations: int
    seconds: float
    n_nodes: int
    n_connections: int
    metrics: dict[str, float] = field(default_factory=dict)


def run_seed(study: Study, overrides: dict[str, Any], seed: int) -> Outcome:
    """Run a study's configuration once."""
    changes: dict[str, Any] = {
        "run.seed": seed,
        "storage.url": "memory:",
        "evaluation.workers": 1,
        **overrides,
    }
    if study.varies is not None:
        changes[study.varies] = seed
    config = load(study.path, changes)
    config = config.model_copy(update={"observers": {}})
    with Evolution(config) as evolution:
        result = evolution.run()
    genome = None if result.champion is None else result.champion.genome
    return Outcome(
        seed=seed,
        solved=result.solved,
        n_evaluations=result.n_evaluations,
        generations=result.generations,
        seconds=result.seconds,
        n_nodes=0 if genome is None else genome.n_nodes,
        n_connections=0 if genome is None else genome.n_connections,
        metrics=dict(result.metrics),
    )


def run_seeds(
    study: Study, seeds: Iterable[int], workers: int, overrides: dict[str, Any]
) -> Iterator[Outcome]:
    """Run all seeds, in processes if there is more than one worker; yield them in order."""
    one = partial(run_seed, study, overrides)
    if workers <= 1:
        yield from map(one, seeds)
        return
    # spawn: a fork would copy threads and locks of the compiler's
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(one, seeds)


def summary(study: Study, outcomes: list[Outcome]) -> dict[str, Any]:
    """Return the figures of a study."""
    seconds = [o.seconds for o in outcomes]
    common = {
        "runs": len(outcomes),
        "mean_seconds": statistics.fmean(seconds),
        "most_seconds": max(seconds),
        "mean_connections": statistics.fmean(o.n_connections for o in outcomes),
    }
    if study.metric is not None:
        values = [o.metrics[study.metric] for o in outcomes]
        return {
            study.metric: {**_spread(values), "least": min(values)},
            "mean_evaluations": statistics.fmean(o.n_evaluations for o in outcomes),
            **common,
        }
    solved = [o.n_evaluations for o in outcomes if o.solved]
    evaluations = {**_spread(solved), "worst": max(solved)} if solved else {}
    failed = [o.seed for o in outcomes if not o.solved]
    return {
        "solved": len(solved),
        "failures": len(failed),
        "failed_seeds": failed,
        "evaluations": evaluations,
        **common,
    }


def _spread(values: list[float] | list[int]) -> dict[str, float]:
    return {
        "mean": statistics.fmean(values),
        "median": float(statistics.median(values)),
        "sd": statistics.stdev(values) if len(values) > 1 else 0.0,
    }


def print_summary(name: str, study: Study, found: dict[str, Any]) -> None:
    """Print the figures of a study and the settings that gave them."""
    console = Console(width=None if os.isatty(1) else 110)
    what = study.metric or "evaluations"
    table = Table(title=f"{name}: {what} over {found['runs']} seeds", title_justify="left")
    figures: dict[str, str] = {}
    if study.metric is None:
        figures["solved"] = f"{found['solved']} of {found['runs']}"
        figures["failures"] = str(found["failures"])
    digits = ",.4f" if study.metric else ",.0f"
    figures |= {key: format(value, digits) for key, value in found[what].items()}
    figures["connections"] = f"{found['mean_connections']:.1f}"
    figures["seconds a run"] = f"{found['mean_seconds']:.2f} (most {found['most_seconds']:.2f})"
    for heading in figures:
        table.add_column(heading, justify="right")
    table.add_row(*figures.values())
    console.print(table)
    settings = tomllib.loads(study.path.read_text(encoding="utf-8"))
    for section, values in settings.items():
        if section not in ("storage", "observers"):
            shown = ", ".join(f"{key} = {value!r}" for key, value in values.items())
            console.print(f"[dim]{section}: {shown}[/dim]", highlight=False)


def seed_range(text: str) -> range:
    """Return the seeds that "1001-1200", or "7", means."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main() -> None:
    """Run the studies and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--tasks", nargs="*", default=list(STUDIES), metavar="NAME", help="; ".join(STUDIES)
    )
    parser.add_argument("--file", type=Path, nargs="*", default=[], help="other configurations")
    parser.add_argument("--seeds", type=seed_range, help='"1001-1200"; by default from 1001 on')
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="override a setting"
    )
    parser.add_argument("--json", type=Path, help="write all runs and figures to this file")
    arguments = parser.parse_args()
    studies = {}
    for name in [] if arguments.file else arguments.tasks:
        if name not in STUDIES:
            parser.error(f"no task {name!r} (known: {', '.join(STUDIES)})")
        studies[name] = STUDIES[name]
    studies |= {path.stem: Study(path, 20) for path in arguments.file}
    overrides = {}
    for text in arguments.set:
        key, _, value = text.partition("=")
        overrides[key] = tomllib.loads(f"value = {value}")["value"]
    content: dict[str, Any] = {}
    for name, study in studies.items():
        seeds = arguments.seeds or range(FIRST_SEED, FIRST_SEED + study.n_seeds)
        outcomes = list(run_seeds(study, seeds, arguments.workers, overrides))
        found = summary(study, outcomes)
        print_summary(name, study, found)
        content[name] = {
            "configuration": study.path.name,
            "settings": tomllib.loads(study.path.read_text(encoding="utf-8")),
            "overrides": overrides,
            "figures": found,
            "runs": [asdict(outcome) for outcome in outcomes],
        }
    if arguments.json is not None:
        write_json(arguments.json, studies=content)


if __name__ == "__main__":
    main()
