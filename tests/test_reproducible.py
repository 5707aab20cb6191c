"""The same configuration and seed give the same run, bit for bit, however it is evaluated and watched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tweann.evolution import Evolution
from tweann.network import Network
from tweann.tasks.base import Task
from tweann.tasks.python import PythonTask

#: No multiple of any number of slices; large enough for breeding to be shared out among three threads.
POPULATION = 211


def sections(task: str = "parity", **others: Any) -> dict[str, Any]:
    return {
        "run": {"seed": 12, "generations": 6, "stop_when_solved": False},
        "task": {"name": task},
        "genome": {"recurrent": True, "activations": ["tanh", "sin"], "aggregations": ["sum", "max"]},
        "mutation": {
            "mode": "all", "add_node_rate": 0.3, "add_connection_rate": 0.4,
            "delete_connection_rate": 0.1, "delete_node_rate": 0.05, "toggle_connection_rate": 0.1,
            "change_activation_rate": 0.1, "change_aggregation_rate": 0.1,
        },
        "strategy": {"population": POPULATION, "interspecies_rate": 0.05},
        "storage": {"url": "memory:"},
        "observers": {},
    } | others  # fmt: skip


def figures(config: dict[str, Any], task: Task | None = None, run_dir: Path | None = None) -> Any:
    """Return all that a run computes: reports, champion, and the members' columns; not the clock."""
    evolution = Evolution(config, task=task, run_dir=run_dir)
    result = evolution.run()
    assert result.champion is not None
    view = evolution.pool.view()
    reports = [report.data() | {"seconds": 0.0} for report in evolution.history]
    columns = {
        name: view[name].tobytes().hex()
        for name in (
            "fitness",
            "validation",
            "id",
            "species",
            "parent_a",
            "parent_b",
            "steps",
            "flags",
        )
    }
    genomes = [view.genome(i).genome_id for i in range(len(view))]
    return json.loads(
        json.dumps([reports, columns, genomes, result.champion.data(), evolution.mutations])
    )


def test_serial_and_threads_with_any_number_of_workers_agree() -> None:
    for task in ("parity", "double-pole"):
        expected = figures(sections(task, evaluation={"backend": "serial"}))
        for workers in (1, 2, 3):
            evaluation = {"backend": "threads", "workers": workers}
            assert figures(sections(task, evaluation=evaluation)) == expected


def test_a_python_function_gives_the_same_in_threads() -> None:
    def function(network: Network) -> float:
        return float(network.activate_rows([[0.1, 0.2, 0.3], [1.0, -1.0, 0.5]]).sum())

    config = sections()
    del config["task"]
    expected, *others = (
        figures(config | {"evaluation": {"workers": 3}}, PythonTask(function, 3, 1, serial=serial))
        for serial in (True, False, False)
    )
    assert others == [expected, expected]


def test_where_a_run_is_kept_and_who_watches_change_nothing(tmp_path: Path) -> None:
    expected = figures(sections())
    stored = sections(storage={"url": "sqlite:///{run_dir}/run.db"})
    assert figures(stored, run_dir=tmp_path) == expected
    assert (tmp_path / "run.db").stat().st_size > 10_000
    watched = sections(observers={"metrics": {}})
    assert figures(watched, run_dir=tmp_path) == expected
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 6


def test_steps_and_a_whole_run_are_the_same() -> None:
    _, columns, genomes, champion, _ = figures(sections())
    with Evolution(sections()) as evolution:
        while not evolution.finished:
            evolution.step()
        view = evolution.pool.view()
        assert view.fitness.tobytes().hex() == columns["fitness"]
        assert [view.genome(i).genome_id for i in range(len(view))] == genomes
        assert evolution.champion is not None
        assert evolution.champion.data() == champion


def test_two_processes_agree() -> None:
    config = sections("single-pole", evaluation={"workers": 2})
    script = (
        "import json, sys; import test_reproducible as t; "
        "print(json.dumps(t.figures(json.loads(sys.argv[1]))))"
    )
    command = [sys.executable, "-c", script, json.dumps(config)]
    folder = Path(__file__).parent
    found = [
        subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=True, env=env
        ).stdout
        for env in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2"})
    ]
    assert json.loads(found[0]) == json.loads(found[1]) == figures(config)


@pytest.mark.parametrize("other", [13, 2**63 - 1])
def test_another_seed_gives_another_run(other: int) -> None:
    config = sections()
    genomes = set(figures(config)[2])
    changed = config | {"run": config["run"] | {"seed": other}}
    assert not genomes & set(figures(changed)[2])
