"""Search recipes side by side: evaluations to solve, for racing, memetic NEAT and the portfolio, in one table with settings.

    python bench/recipes.py [--only WORD …] [--seeds 1-100] [--workers N] [--json FILE]

Counted as `bench/search.py` counts: every evaluation, failures beside the mean, tests of champions free.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from search import EXAMPLES, Study, run_seeds, seed_range, summary
from timing import write_json

_DPNV: Final = "double-pole-no-velocities"
#: What is set besides the file: the constant input connected in the seed network, and then allowed to be cut off.
_CONNECTED: Final[dict[str, Any]] = {"genome.unconnected_inputs": []}


def _portfolio(task: str) -> tuple[str, str, str, dict[str, Any]]:
    return task, "portfolio", "portfolio.toml", {"task.name": task}


#: Task, recipe, file of examples/, what is set besides.
RECIPES: Final[tuple[tuple[str, str, str, dict[str, Any]], ...]] = (
    (_DPNV, "racing", "double_pole_no_velocities_racing.toml", {}),
    (_DPNV, "racing, constant connected", "double_pole_no_velocities_racing.toml", _CONNECTED),
    (_DPNV, "memetic", "double_pole_no_velocities_memetic.toml", {}),
    _portfolio(_DPNV),
    ("double-pole", "racing", "double_pole_racing.toml", {}),
    _portfolio("double-pole"),
    ("xor", "racing", "xor_racing.toml", {}),
    _portfolio("xor"),
)


def main() -> None:
    """Run the recipes and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--only", nargs="*", default=[], help="words that task and recipe must have"
    )
    parser.add_argument(
        "--seeds", type=seed_range, default=range(1, 101), help='by default "1-100"'
    )
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--json", type=Path, help="write all runs and figures to this file")
    arguments = parser.parse_args()
    console = Console(width=None if os.isatty(1) else 120)
    table = Table(title=f"evaluations to solve, seeds {arguments.seeds}", title_justify="left")
    for heading in ("task", "recipe", "solved", "mean", "sd", "median", "worst"):
        table.add_column(heading, justify="left" if heading in ("task", "recipe") else "right")
    content: dict[str, Any] = {}
    notes = []
    for task, recipe, file, changes in RECIPES:
        if not all(word in f"{task} {recipe}".split() for word in arguments.only):
            continue
        study = Study(EXAMPLES / file, len(arguments.seeds))
        outcomes = list(run_seeds(study, arguments.seeds, arguments.workers, changes))
        found = summary(study, outcomes)
        spread = found["evaluations"]
        figures = [f"{spread[key]:,.0f}" for key in ("mean", "sd", "median", "worst") if spread]
        table.add_row(task, recipe, f"{found['solved']} of {found['runs']}", *figures)
        besides = ", ".join(f"{key} = {value!r}" for key, value in changes.items())
        notes.append(f"{task}, {recipe}: examples/{file}{', ' if besides else ''}{besides}")
        content[f"{task}, {recipe}"] = {
            "configuration": file,
            "overrides": changes,
            "figures": found,
            "runs": [asdict(outcome) for outcome in outcomes],
        }
    console.print(table)
    for note in notes:
        console.print(f"[dim]{note}[/dim]", highlight=False)
    if arguments.json is not None:
        write_json(arguments.json, recipes=content)


if __name__ == "__main__":
    main()
