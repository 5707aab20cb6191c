"""What a run reports, made up: for tests of those that listen to runs and keep them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tweann.config import Config
from tweann.genome import Genome
from tweann.kernels.ids import FIRST_OUTPUT
from tweann.records import Champion, GenerationReport, Result, RunInfo
from tweann.tasks.base import TaskInfo


def run_info(run_dir: Path | None = None, generations: int = 500) -> RunInfo:
    sections = {
        "run": {"name": "double-pole", "seed": 7, "generations": generations},
        "task": {"name": "double-pole"},
        "observers": {},
    }
    others = Config.model_fields.keys() - sections.keys() - {"bridge"}
    config = Config.model_validate(sections | {name: {} for name in others})
    task = TaskInfo("double-pole", 1, "compiled", inputs=("x",), outputs=("force",))
    return RunInfo("double-pole", 7, run_dir, config, task)


def report(generation: int, **changes: Any) -> GenerationReport:
    values: dict[str, Any] = {
        "generation": generation,
        "n_evaluations": 150 * (generation + 1),
        "n_failed": 0,
        "best": 3.25,
        "mean": 1.5,
        "std": 0.5,
        "worst": 0.0,
        "champion_fitness": 3.75,
        "mean_nodes": 5.5,
        "mean_connections": 7.25,
        "seconds": 0.01 * (generation + 1),
        "metrics": {"n_species": 12.0},
    }
    return GenerationReport(**(values | changes))


def champion() -> Champion:
    genome = Genome(
        n_inputs=1,
        n_outputs=1,
        node_id=np.array([0, FIRST_OUTPUT]),
        activation=("identity", "tanh"),
        aggregation=("sum", "sum"),
        bias=np.array([0.0, 0.5]),
        source=np.array([0]),
        target=np.array([FIRST_OUTPUT]),
        weight=np.array([1.5]),
        enabled=np.array([True]),
    )
    return Champion(genome, 3.75, 17, 3, 600, True, {"generalisation": 0.875})


def result(run_dir: Path | None = None, **changes: Any) -> Result:
    values: dict[str, Any] = {
        "run_dir": run_dir,
        "status": "finished",
        "stop_reason": "solved",
        "solved": True,
        "generations": 34,
        "n_evaluations": 5100,
        "seconds": 0.75,
        "champion": champion(),
        "metrics": {"test_accuracy": 0.96875},
    }
    return Result(**(values | changes))
