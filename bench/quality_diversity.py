"""Quality diversity: map-elites against pyribs, and the deceptive maze by three strategies.

    python bench/quality_diversity.py [sphere] [arm] [maze] [solve] [--seeds 10] [--quick] [--json FILE]

``sphere`` and ``arm``: the same problem, archive, batch and operator on both sides, seed by seed in turns in one process; figures are
differences of means with their 95 % interval (Welch), relative to pyribs. With n seeds a side that interval is some 4·sd/√(2n) wide,
sd being that of single runs: where it is 4 %, 10 seeds cannot stay within ±3 %, of two equal programs either. ``maze``: evaluations until a robot stands at the goal,
failures counted. ``solve``: XOR and double pole by the sizes of genomes. Ends with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from timing import write_json

from tweann.evolution import Evolution

Array = NDArray[np.float64]

BATCH = 540
BINS = 100
BLOCK = 50  # iterations that are timed together
EARLY_SEEDS = 5  # times as many seeds up to the first checkpoint, where runs differ by 3 %
QUIET: dict[str, Any] = {"storage": {"url": "memory:"}, "observers": {}}
MAX_EVALUATIONS = 250_000
FIRST_SEED = 1001
#: Bound on the 95 % interval of a difference, relative to pyribs.
TOLERANCE = 0.03


# ------------------------------------------------------------------ against pyribs


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem on both sides.

    Attributes:
        task: section [task].
        dimensions: of the vector.
        ranges: of the descriptor, as pyribs takes them.
        evaluate: (n, d) vectors to (n,) fitness and (n, 2) descriptors, in numpy, as a user of pyribs would.
        sigma: of Gaussian mutation. iso, line: of the iso+line operator.
        offset: of the QD score.
    """

    task: dict[str, Any]
    dimensions: int
    ranges: list[tuple[float, float]]
    evaluate: Callable[[Array], tuple[Array, Array]]
    sigma: float
    iso: float
    line: float
    offset: float


def sphere(x: Array) -> tuple[Array, Array]:
    """Return what pyribs' example of the sphere function with linear projection computes."""
    n, shift = x.shape[1], 5.12 * 0.4
    worst = (-5.12 - shift) ** 2 * n
    fitness = 100.0 * (1.0 - np.square(x - shift).sum(axis=1) / worst)
    clipped = x.copy()
    outside = (x < -5.12) | (x > 5.12)
    clipped[outside] = 5.12 / clipped[outside]
    halves = (clipped[:, : n // 2].sum(axis=1), clipped[:, n // 2 :].sum(axis=1))
    return fitness, np.stack(halves, axis=1)


def arm(x: Array) -> tuple[Array, Array]:
    """Return minus the variance of the angles, and the end point with the arm's reach as [0, 1]."""
    n = x.shape[1]
    heading = np.cumsum(x, axis=1)
    ends = (np.cos(heading).sum(axis=1), np.sin(heading).sum(axis=1))
    return -x.var(axis=1), 0.5 + 0.5 * np.stack(ends, axis=1) / n


PROBLEMS = {
    "sphere": Problem(
        task={"name": "sphere-projection", "dimensions": 100},
        dimensions=100,
        ranges=[(-256.0, 256.0)] * 2,
        evaluate=sphere,
        sigma=0.5,
        iso=0.5,
        line=0.2,
        offset=0.0,
    ),
    "arm": Problem(
        task={"name": "arm", "joints": 12, "encoding": "vector"},
        dimensions=12,
        ranges=[(0.0, 1.0)] * 2,
        evaluate=arm,
        sigma=0.1,
        iso=0.01,
        line=0.2,
        offset=-1.0,
    ),
}


@dataclass(slots=True)
class Curve:
    """One run: figures at the checkpoints, and the speed of the fastest block of iterations in its second half."""

    qd_score: list[float]
    coverage: list[float]
    evaluations_per_second: float = 0.0


def follow(
    iterate: Callable[[], object],
    figures: Callable[[], tuple[float, float]],
    checkpoints: list[int],
) -> Curve:
    """Iterate up to the last checkpoint, and look at the others on the way."""
    curve, block, n = Curve([], []), min(BLOCK, checkpoints[-1]), checkpoints[-1]
    began = perf_counter()
    for i in range(1, n + 1):
        iterate()
        if i % block == 0:
            speed = block * BATCH / (perf_counter() - began)
            if i > n // 2:
                curve.evaluations_per_second = max(curve.evaluations_per_second, speed)
            began = perf_counter()
        if i in checkpoints:
            qd_score, coverage = figures()
            curve.qd_score.append(qd_score)
            curve.coverage.append(coverage)
    return curve


def ours(
    problem: Problem, line: bool, seed: int, checkpoints: list[int], workers: int = 1
) -> Curve:
    """Run map-elites, on one thread unless said."""
    strategy = {
        "name": "map-elites",
        "population": BATCH,
        "bins": BINS,
        "crossover_rate": 0.0,
        "iso_line_rate": 1.0,
        "iso_sigma": problem.iso if line else problem.sigma,
        "line_sigma": problem.line if line else 0.0,
        "qd_offset": problem.offset,
    }
    sections = QUIET | {
        "run": {"seed": seed, "generations": checkpoints[-1], "stop_when_solved": False},
        "task": problem.task,
        # pyribs' first batch is noise around 0 as well
        "genome": {"init_power": strategy["iso_sigma"]},
        "strategy": strategy,
        "evaluation": {"workers": workers},
    }
    with Evolution(sections) as evolution:

        def figures() -> tuple[float, float]:
            found = evolution.strategy.metrics()
            return found["qd_score"], found["coverage"]

        return follow(evolution.step, figures, checkpoints)


def theirs(problem: Problem, line: bool, seed: int, checkpoints: list[int]) -> Curve:
    """Run pyribs: one emitter that makes the whole batch, which is its fastest way."""
    from ribs.archives import GridArchive
    from ribs.emitters import GaussianEmitter, IsoLineEmitter
    from ribs.schedulers import Scheduler

    archive = GridArchive(
        solution_dim=problem.dimensions,
        dims=[BINS, BINS],
        ranges=problem.ranges,
        qd_score_offset=problem.offset,
        seed=seed
        + 1_000_000,  # it draws the parents; not the stream that the emitter draws noise from
    )
    x0 = np.zeros(problem.dimensions)
    common = {"x0": x0, "batch_size": BATCH, "seed": seed}
    emitter = (
        IsoLineEmitter(archive, iso_sigma=problem.iso, line_sigma=problem.line, **common)
        if line
        else GaussianEmitter(archive, sigma=problem.sigma, **common)
    )
    scheduler = Scheduler(archive, [emitter])

    def iterate() -> None:
        scheduler.tell(*problem.evaluate(scheduler.ask()))

    def figures() -> tuple[float, float]:
        return float(archive.stats.qd_score), float(archive.stats.coverage)

    return follow(iterate, figures, checkpoints)


def interval(a: list[float], b: list[float]) -> tuple[float, float, float]:
    """Return mean(a) - mean(b) and its 95 % interval (Welch), all relative to mean(b)."""
    from scipy.stats import ttest_ind

    difference = statistics.fmean(a) - statistics.fmean(b)
    bounds = ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    base = abs(statistics.fmean(b))
    return difference / base, float(bounds.low) / base, float(bounds.high) / base


def compare(name: str, n_seeds: int, checkpoints: list[int], console: Console) -> dict[str, Any]:
    """Run both sides on one problem and print what came of it."""
    problem = PROBLEMS[name]
    content: dict[str, Any] = {}
    table = Table(title=f"{name}: map-elites against pyribs, {n_seeds} seeds", title_justify="left")
    for heading in ("operator", "iterations", "figure", "tweann", "pyribs", "difference", "95 %", "sd of a run"):  # fmt: skip
        table.add_column(heading, justify="left" if heading in ("operator", "figure") else "right")
    ours(problem, True, 1, [2])  # compiles, or reads what was compiled
    for line in (False, True):
        operator = "iso+line" if line else "Gaussian"
        pairs, shared = [], []
        for seed in range(FIRST_SEED, FIRST_SEED + n_seeds):
            alone, other = (side(problem, line, seed, checkpoints) for side in (ours, theirs))
            pairs.append((alone, other))
            shared.append(ours(problem, line, seed, checkpoints, 0).evaluations_per_second)
        early = range(FIRST_SEED + n_seeds, FIRST_SEED + EARLY_SEEDS * n_seeds)
        more = [
            (
                ours(problem, line, seed, checkpoints[:1]),
                theirs(problem, line, seed, checkpoints[:1]),
            )
            for seed in early
        ]
        rows = []
        for at, checkpoint in enumerate(checkpoints):
            several = pairs if at else pairs + more
            for figure in ("qd_score", "coverage"):
                a, b = (
                    [getattr(side, figure)[at] for side in sides]
                    for sides in zip(*several, strict=True)
                )
                difference, low, high = interval(a, b)
                means = statistics.fmean(a), statistics.fmean(b)
                shown = [f"{m:,.0f}" if figure == "qd_score" else f"{m:.1%}" for m in means]
                table.add_row(
                    operator,
                    str(checkpoint),
                    figure,
                    *shown,
                    f"{difference:+.2%}",
                    f"{low:+.2%} … {high:+.2%}",
                    f"{statistics.stdev(a) / means[0]:.1%} / {statistics.stdev(b) / means[1]:.1%}",
                )
                passed = low >= -TOLERANCE and high <= TOLERANCE
                rows.append((checkpoint, figure, *means, difference, low, high, passed))
        mine, other = (
            [side.evaluations_per_second for side in sides] for sides in zip(*pairs, strict=True)
        )
        speed = {"one_thread": max(mine), "all_cores": max(shared), "pyribs": max(other)}
        for name in ("one_thread", "all_cores"):
            figures = (f"{speed[name]:,.0f}", f"{speed['pyribs']:,.0f}")
            ratio = f"× {speed[name] / speed['pyribs']:.2f}"
            table.add_row(operator, "", f"evaluations/s, {name.replace('_', ' ')}", *figures, ratio)
        content[operator] = {
            "figures": rows,
            "speed": speed,
            "passed": all(row[-1] for row in rows) and speed["all_cores"] >= speed["pyribs"],
            "runs": [[asdict(side) for side in pair] for pair in pairs],
        }
    console.print(table)
    return content


# --------------------------------------------------------------- until it is solved

#: Fitness search's best settings on the maze, of those tried: see docs/performance.md.
GENERATIONAL: dict[str, Any] = {"name": "generational", "population": 250}
MAZE: dict[str, dict[str, Any]] = {
    name: {"task": {"name": "maze"}, "strategy": strategy}
    for name, strategy in (
        ("novelty", {"name": "novelty"}),
        ("map-elites", {"name": "map-elites"}),
        ("generational", GENERATIONAL),
    )
}
#: At least so many of 20 seeds.
MAZE_TARGETS = {"novelty": 19, "map-elites": 18}

_XOR = {
    "task": {"name": "xor"},
    "genome": {"bias": False, "init_distribution": "uniform", "init_power": 2.5},
    "mutation": {"add_node_rate": 0.15, "add_connection_rate": 0.4, "weight_power": 2.5, "weight_distribution": "uniform"},
}  # fmt: skip
_POLES = {
    "genome": {"recurrent": True, "bias": False, "unconnected_inputs": ["bias"], "init_distribution": "uniform"},
    "mutation": {"weight_power": 2.5, "weight_distribution": "uniform"},
}  # fmt: skip
_SIZE = {"descriptor": "size"}
_BINS = {"bins": [8, 30], "bounds": [[0, 8], [0, 30]]}
SOLVE: dict[str, dict[str, Any]] = {
    f"{task}, {name}": {**sections, "strategy": {"name": name, "population": 100, **_SIZE, **extra}}
    for task, sections in {
        "xor": _XOR,
        "double-pole": {"task": {"name": "double-pole"}, **_POLES},
        "double-pole-no-velocities": {"task": {"name": "double-pole-no-velocities"}, **_POLES},
    }.items()
    for name, extra in (
        ("map-elites", _BINS),
        ("novelty", {"fitness_weight": 0.5}),
    )
}


def solve(sections: dict[str, Any], seeds: range) -> Iterator[tuple[bool, int, float]]:
    """Yield for each seed whether it was solved, after how many evaluations, and steps a second."""
    for seed in seeds:
        run = {"seed": seed, "evaluations": MAX_EVALUATIONS}
        with Evolution(
            QUIET | {"evaluation": {"workers": 1}} | sections | {"run": run}
        ) as evolution:
            result = evolution.run()
            yield result.solved, result.n_evaluations, result.seconds


def studies(
    title: str, what: dict[str, dict[str, Any]], seeds: range, console: Console
) -> dict[str, Any]:
    """Run studies and print how many seeds were solved, and after how many evaluations."""
    table = Table(
        title=f"{title}: evaluations until solved, at most {MAX_EVALUATIONS:,}",
        title_justify="left",
    )
    for heading in ("", "solved", "mean", "median", "sd", "worst", "seconds a run"):
        table.add_column(heading, justify="right" if heading else "left")
    content: dict[str, Any] = {}
    for name, sections in what.items():
        found = list(solve(sections, seeds))
        n = [evaluations for solved, evaluations, _ in found if solved]
        sd = statistics.stdev(n) if len(n) > 1 else math.nan
        figures = [statistics.fmean(n), statistics.median(n), sd, max(n)] if n else [math.nan] * 4
        seconds = statistics.fmean(s for _, _, s in found)
        table.add_row(
            name,
            f"{len(n)} of {len(seeds)}",
            *(f"{figure:,.0f}" for figure in figures),
            f"{seconds:.1f}",
        )
        content[name] = {"settings": sections, "solved": len(n), "seeds": len(seeds), "runs": found}
    console.print(table)
    return content


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parts = ("sphere", "arm", "maze", "solve")
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--seeds", type=int, help="10 against pyribs, 20 for the maze, by default")
    parser.add_argument("--quick", action="store_true", help="two seeds: shows that it works")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(parts)
    if unknown:
        parser.error(f"no part {sorted(unknown)[0]!r} (known: {', '.join(parts)})")
    console = Console(width=None if os.isatty(1) else 120)
    checkpoints = [5, 10] if arguments.quick else [100, 1_000]
    content: dict[str, Any] = {}
    missed = []
    for part in arguments.parts or parts:
        n_seeds = 2 if arguments.quick else arguments.seeds or (10 if part in PROBLEMS else 20)
        seeds = range(FIRST_SEED, FIRST_SEED + n_seeds)
        if part in PROBLEMS:
            content[part] = compare(part, n_seeds, checkpoints, console)
            missed += [
                f"{part}, {name}" for name, found in content[part].items() if not found["passed"]
            ]
        elif part == "maze":
            content[part] = studies("maze", MAZE, seeds, console)
            missed += [
                name
                for name, least in MAZE_TARGETS.items()
                if content[part][name]["solved"] * 20 < least * n_seeds
            ]
        else:
            content[part] = studies("size as the descriptor", SOLVE, seeds, console)
    if arguments.json is not None:
        write_json(arguments.json, quality_diversity=content)
    if missed and not arguments.quick:
        console.print(f"[bold]missed:[/bold] {'; '.join(missed)}")
        sys.exit(1)


if __name__ == "__main__":
    main()
