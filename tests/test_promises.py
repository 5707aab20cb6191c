"""The three promises of the README, held to whole runs: bounded, reproducible, untrusting."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tweann
from tweann.codec import decode, encode
from tweann.evolution import Evolution
from tweann.genome import Genome

ROOT = Path(__file__).parent.parent

#: So many that breeding is shared out among threads.
POPULATION = 300


def sections(task: str, **evaluation: Any) -> dict[str, Any]:
    return {
        "run": {"seed": 3, "generations": 6, "stop_when_solved": False},
        "task": {"name": task},
        "genome": {
            "recurrent": True,
            "activations": ["tanh", "sin"],
            "aggregations": ["sum", "max"],
        },
        "mutation": {"add_node_rate": 0.3, "add_connection_rate": 0.5},
        "strategy": {"population": POPULATION},
        "evaluation": evaluation,
        "storage": {"url": "memory:"},
        "observers": {},
    }


def traces(config: dict[str, Any] | Path) -> list[str]:
    """What a run found, to the last bit: each member's fitness and genome, and the champion."""
    with Evolution(config) as evolution:
        while not evolution.finished:
            evolution.step()
        view = evolution.pool.view()
        assert evolution.champion is not None
        members = [f"{view.fitness[i].hex()} {view.genome(i).genome_id}" for i in range(len(view))]
        return [*members, evolution.champion.genome.genome_id]


@pytest.mark.parametrize("task", ["parity", "single-pole"])
def test_workers_and_back_ends_change_no_bit(task: str) -> None:
    expected = traces(sections(task, backend="serial"))
    assert len(set(expected)) > POPULATION // 2
    for workers in (1, 2, 8):
        assert traces(sections(task, backend="threads", workers=workers)) == expected


def test_another_seed_gives_another_run() -> None:
    config = sections("parity", backend="serial")
    other = {**config, "run": {**config["run"], "seed": 4}}
    assert not set(traces(config)) & set(traces(other))


def test_another_process_finds_the_same() -> None:
    config = sections("parity", workers=2)
    code = (
        "import json, sys; from test_promises import traces; "
        "print(json.dumps(traces(json.loads(sys.argv[1]))))"
    )
    finished = subprocess.run(
        [sys.executable, "-c", code, json.dumps(config)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests"), "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == traces(config)


def test_the_resolved_configuration_of_a_run_repeats_it(tmp_path: Path) -> None:
    config = {**sections("parity"), "storage": {}}
    first = tweann.run(config, out=tmp_path)
    assert first.run_dir is not None
    second = tweann.run(first.run_dir / "config.toml", out=tmp_path)
    assert first.champion is not None
    assert second.champion is not None
    assert second.champion.data() == first.champion.data()
    assert second.metrics == first.metrics


def test_memory_stays_once_the_caps_are_reached() -> None:
    config = sections("parity", backend="serial") | {
        "genome": {"max_nodes": 12, "max_connections": 30, "recurrent": True},
        "mutation": {"add_node_rate": 1.0, "add_connection_rate": 1.0},
        "species": {"threshold": 0.01, "target": 0, "max_species": 7},
        "strategy": {"population": 60},
    }
    config["run"] = {"generations": 200, "history": 10, "stop_when_solved": False}

    def held(evolution: Evolution) -> list[int]:
        arrays = chain(evolution.pool.genes, evolution.pool.rows.values())
        return [*(array.nbytes for array in arrays), len(evolution.history)]

    with Evolution(config) as evolution:
        n_species = []
        for _ in range(60):
            evolution.step()
            n_species.append(np.unique(evolution.pool.view().species).size)
        view = evolution.pool.view()
        assert (view.n_nodes == 12).any()
        assert (view.n_connections == 30).any()
        assert max(n_species) == 7
        before = held(evolution)
        while not evolution.finished:
            evolution.step()
        assert held(evolution) == before
        assert len(evolution.history) == 10


def valid(genome: Genome) -> bool:
    """Whether a genome survives a way through all that one is used for."""
    outputs = genome.network().activate(np.ones(genome.n_inputs))
    return bool(np.isfinite(outputs).all()) and decode(encode(genome)) == genome


def test_bytes_that_were_tampered_with_are_refused_or_a_valid_genome() -> None:
    champion = tweann.evolve(
        lambda network: network.activate([0.5])[0], 1, 1, generations=5
    ).champion
    assert champion is not None
    original = encode(champion.genome)
    rng = np.random.default_rng(1)
    refused = 0
    for _ in range(500):
        data = bytearray(original)
        for _ in range(rng.integers(1, 4)):
            data[rng.integers(len(data))] = rng.integers(256)
        try:
            assert valid(decode(bytes(data)))
        except tweann.FormatError:
            refused += 1
    assert refused > 100
    for length in range(len(original)):
        with pytest.raises(tweann.FormatError):
            decode(original[:length])


#: What a run sends to processes that it has started itself, or that the user has named; what comes back is not unpickled.
OWN_PROCESSES = ("tweann/remote.py", "plugins/processes.py", "plugins/worker.py")


def test_nothing_in_the_project_unpickles_or_evaluates_what_a_stranger_wrote() -> None:
    modules, functions = {"pickle", "marshal", "shelve", "dill"}, {"eval", "exec"}
    found = []
    for folder in ("tweann", "strategies", "plugins", "bridge"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.relative_to(ROOT).as_posix() in OWN_PROCESSES:
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names = set()
                if isinstance(node, ast.Import):
                    names = {alias.name.split(".")[0] for alias in node.names} & modules
                elif isinstance(node, ast.ImportFrom):
                    names = {str(node.module).split(".")[0]} & modules
                elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    names = {node.func.id} & functions
                found += [f"{path.relative_to(ROOT)}:{node.lineno}: {name}" for name in names]
    assert found == []
