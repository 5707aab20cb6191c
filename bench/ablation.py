"""One factor at a time: what dynamics, plasticity, tuning, speciation, crossover and self-adaptation are worth.

    python bench/ablation.py [--seeds 20] [--tasks NAME …] [--json FILE]

Four tasks by the configurations of their examples, each changed in one thing, at equal evaluations (tuning's own are counted):
how many seeds solved, and the median of the evaluations until then, a failure counting as the cap, with a 95 % interval
by 10,000 resamples of the seeds. Prints Markdown.
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path
from typing import Any, Final

import numpy as np
from search import EXAMPLES
from timing import write_json

from tweann.evolution import Evolution

FIRST_SEED: Final = 9001
QUIET: Final[dict[str, Any]] = {
    "storage": {"url": "memory:"},
    "observers": {},
    "evaluation": {"workers": 1},
}
#: Example, and the evaluations that each run has.
TASKS: Final = {
    "xor": ("xor.toml", 15_000),
    "double-pole-no-velocities": ("double_pole_no_velocities.toml", 15_000),
    "two-cue-t-maze": ("two_cue_t_maze.toml", 10_000),
    "reversal-bandit": ("reversal_bandit.toml", 5_000),
}
_DYNAMICS: Final = ["static", "delay", "leaky", "ctrnn"]


def variants(sections: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return what is changed, by name, of a configuration."""
    genome = sections.get("genome", {})
    dynamics = {"genome": {"dynamics": ["static"] if "dynamics" in genome else _DYNAMICS}}
    plasticity = {
        "genome": {"plasticity": ["none"] if "plasticity" in genome else ["none", "hebbian"]}
    }
    if "dynamics" in genome:
        dynamics["mutation"] = {"add_delay_rate": 0.0}
    return {
        "as it is": {},
        "without dynamics" if "dynamics" in genome else "with dynamics": dynamics,
        "without plasticity" if "plasticity" in genome else "with plasticity": plasticity,
        "with tuning": {"tuning": {"attempts": 10}},
        "without speciation": {"strategy": {"speciation": False}},
        "without crossover": {"strategy": {"crossover_rate": 0.0}},
        "self-adaptation by genes": {"mutation": {"adapt": "genes"}},
        "self-adaptation by success": {"mutation": {"adapt": "success"}},
    }


def solve(sections: dict[str, Any], change: dict[str, dict[str, Any]], cap: int, seed: int) -> int:
    """Return after how many evaluations a run solved its task; the cap and one more: it did not."""
    merged = {**sections, **QUIET, "run": {"seed": seed, "evaluations": cap}}
    for name, values in change.items():
        merged[name] = {**merged.get(name, {}), **values}
    with Evolution(merged) as evolution:
        result = evolution.run()
    return result.n_evaluations if result.solved and result.n_evaluations <= cap else cap + 1


def interval(spent: np.ndarray[Any, Any], rng: np.random.Generator) -> tuple[float, float]:
    """Return the 95 % interval of the median."""
    medians = np.median(rng.choice(spent, (10_000, spent.size)), axis=1)
    return float(np.quantile(medians, 0.025)), float(np.quantile(medians, 0.975))


def main() -> None:
    """Run all and print a table a task."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--tasks", nargs="*", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    arguments = parser.parse_args()
    content: dict[str, Any] = {}
    for task in arguments.tasks:
        file, cap = TASKS[task]
        sections = tomllib.loads((EXAMPLES / file).read_text(encoding="utf-8"))
        print(f"\n| {task}, {cap:,} evaluations | solved | median | 95 % |\n|---|---|---|---|")
        for name, change in variants(sections).items():
            seeds = range(FIRST_SEED, FIRST_SEED + arguments.seeds)
            spent = np.array([solve(sections, change, cap, seed) for seed in seeds])
            low, high = interval(spent, np.random.default_rng(1))
            shown = [
                f"> {cap:,}" if v > cap else f"{v:,.0f}" for v in (np.median(spent), low, high)
            ]
            n = int((spent <= cap).sum())
            print(
                f"| {name} | {n} of {spent.size} | {shown[0]} | {shown[1]} … {shown[2]} |",
                flush=True,
            )
            content[f"{task}, {name}"] = spent.tolist()
    if arguments.json:
        write_json(arguments.json, runs=content)


if __name__ == "__main__":
    main()
