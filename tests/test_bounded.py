"""Whatever can grow has a cap: once the caps are reached, memory stays."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from tweann.evolution import Evolution
from tweann.network import Network
from tweann.tasks.python import PythonTask

CONFIG: dict[str, Any] = {
    "run": {"seed": 2, "generations": 1_500, "stop_when_solved": False, "history": 20},
    "task": {"name": "parity"},
    "genome": {"recurrent": True, "max_nodes": 14, "max_connections": 40},
    "mutation": {"mode": "all", "add_node_rate": 0.5, "add_connection_rate": 0.8},
    "species": {"max_species": 12},
    "strategy": {"population": 100},
    "evaluation": {"workers": 2},
    "storage": {
        "url": "memory:",
        "max_events": 50,
        "max_champions": 5,
        "max_lineage": 2,
        "max_ancestors": 2,
    },
    "observers": {},
}

#: Runs by itself in a process, so that nobody else's memory is measured; says what it holds now and then.
SCRIPT = """
import gc, json, sys
import psutil
from tweann import hookimpl
from tweann.evolution import Evolution
from tweann.registry import Registry

def held(evolution):
    gc.collect()
    genes = evolution.pool.genes
    return {
        "resident": psutil.Process().memory_info().rss,
        "objects": len(gc.get_objects()),
        "blocks": int(genes.n_nodes.size),
        "in_use": evolution.pool.n_blocks,
        "capacity": [genes.node_id.shape[1], genes.source.shape[1]],
        "history": len(evolution.history),
        "events": len(list(evolution._recorder.storage.events())),
        "largest": [int(evolution.pool.view().n_nodes.max()), int(evolution.pool.view().n_connections.max())],
    }

evolution = Evolution(json.loads(sys.argv[1]))
evolution._open()
samples = []
while not evolution.finished:
    evolution.step()
    if evolution.generation in (300, 900, 1500):
        samples.append(held(evolution))
evolution.close()
print(json.dumps(samples))
"""


def test_memory_stays_once_the_caps_are_reached() -> None:
    command = [sys.executable, "-c", SCRIPT, json.dumps(CONFIG)]
    found = subprocess.run(
        command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True
    )
    first, *later = json.loads(found.stdout)
    assert first["largest"] == [14, 40]
    assert first["capacity"] == [14, 40]
    assert first["history"] == 20
    assert first["events"] <= 50 + 5 + 2 + 2
    assert first["blocks"] <= 3 * 100 + 1  # members, a brood, and what a table grows by
    assert len(later) == 2
    for sample in later:
        for what in ("blocks", "in_use", "capacity", "history"):
            assert sample[what] == first[what]
        assert sample["events"] <= 50 + 5 + 2 + 2
        assert sample["resident"] - first["resident"] < max(0.02 * first["resident"], 1_000_000)
        assert sample["objects"] - first["objects"] < 200


def test_reasons_of_failures_are_capped() -> None:
    def function(network: Network) -> float:
        return math.nan if network.activate([1.0])[0] > 0 else 1.0

    sections = {"storage": {"url": "memory:"}, "observers": {}, "strategy": {"population": 30}}
    evolution = Evolution(sections | {"run": {"generations": 8}}, task=PythonTask(function, 1, 1))
    result = evolution.run()
    assert result.n_failed > 20
    assert len(evolution.reasons) == 20


def test_the_threshold_and_the_counters_of_a_long_run_stay_finite() -> None:
    sections = CONFIG | {
        "task": {"name": "external", "n_inputs": 1, "n_outputs": 1},
        "strategy": {"population": 3},
        "species": {"target": 10},
    }
    evolution = Evolution(sections)
    rng = np.random.default_rng(1)
    for _ in range(1_000):
        report = evolution.tell(rng.random(len(evolution.ask())).tolist())
    assert 1e-6 <= report.metrics["threshold"] < math.inf
    assert report.metrics["n_species"] <= 4
