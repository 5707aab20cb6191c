"""The predicted memory ceiling: what it is made of, that a run stays below it, and that a run warns."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tweann
from tweann import ceiling as ceilings
from tweann import running
from tweann.ceiling import Ceiling, Part, predict
from tweann.config import load
from tweann.evolution import Evolution
from tweann.memory import Memory, peak
from tweann.pool import GenomePool
from tweann.registry import default_registry

QUIET: dict[str, Any] = {"observers": {}}
#: Everything mutates, so that genomes reach their caps in some thirty generations.
GROWING: dict[str, Any] = {
    "run": {"generations": 40, "stop_when_solved": False},
    "task": {"name": "xor"},
    "genome": {"max_nodes": 24, "max_connections": 60},
    "mutation": {"add_node_rate": 1.0, "add_connection_rate": 1.0},
    "observers": {},
}


def sections(**changes: Any) -> dict[str, Any]:
    return {**GROWING, **changes}


def predicted(config: dict[str, Any]) -> Ceiling:
    return predict(load(config), default_registry())


_PEAK = """
import json, sys
import tweann
from tweann.memory import peak
tweann.run(json.loads(sys.argv[1]), out=sys.argv[2])
print(peak())
"""


@pytest.mark.skipif(peak() is None, reason="the peak is read from Linux's /proc")
def test_a_run_at_its_caps_stays_below_its_ceiling_and_not_far_below(tmp_path: Path) -> None:
    for population in (10, 20_000):  # what is not compiled yet is compiled by the first
        config = sections(strategy={"population": population})
        arguments = [sys.executable, "-c", _PEAK, json.dumps(config), str(tmp_path)]
        printed = subprocess.run(
            arguments, check=True, capture_output=True, text=True, timeout=300
        ).stdout
    peak, most = int(printed), predicted(config).n_bytes
    assert peak <= most <= 1.5 * peak


@pytest.mark.parametrize(
    "more",
    [
        {"strategy": {"population": 1500}},
        {"genome": {"max_nodes": 24, "max_connections": 6000}},
        {
            "genome": {**GROWING["genome"], "dynamics": ["static", "cfc"]},
            "strategy": {"population": 5000},
        },
        {
            "genome": {**GROWING["genome"], "plasticity": ["hebbian"], "lamarckian": True},
            "strategy": {"population": 5000},
            "task": {"name": "reversal-bandit"},
        },
        {"strategy": {"name": "steady-state", "window": 400}},
        {"strategy": {"name": "racing", "slots": 400}},
        {"strategy": {"name": "novelty", "descriptor": "size", "archive_size": 100_000}},
        {"run": {"generations": 40, "history": 100_000}},
        {"lineage": {"batch": 100_000}},
        {"storage": {"url": "memory:", "max_events": 200_000}},
        {"evaluation": {"backend": "processes", "workers": 3}},
        {"bridge": {"bind": "tcp://127.0.0.1:5999", "inbox": 50_000}},
    ],
    ids=lambda more: next(iter(more)) + "." + str(list(next(iter(more.values())))[-1]),
)
def test_every_cap_counts(more: dict[str, Any]) -> None:
    base: dict[str, Any] = {}
    if "name" in more.get("strategy", {}):
        base["strategy"] = {
            k: v for k, v in more["strategy"].items() if k in ("name", "descriptor")
        }
    elif len(more) > 1:
        base["strategy"] = more["strategy"]
    if "storage" in more:
        base["storage"] = {"url": "memory:"}
    if "bridge" in more:
        base["bridge"] = {"bind": more["bridge"]["bind"]}
    assert predicted(sections(**more)).n_bytes > 1.01 * predicted(sections(**base)).n_bytes


def test_a_strategy_that_does_not_say_its_size_is_named() -> None:
    config = load(sections())
    with Evolution(config) as evolution:
        parts = config, evolution.task, evolution.layout
        assert ceilings.ceiling(*parts, evolution.strategy).unknown == ()
        silent: Any = object()
        assert ceilings.ceiling(*parts, silent).unknown == (
            "arrays of strategy generational, which has no max_bytes",
        )


def test_a_shortage_says_what_is_there_and_what_to_lower() -> None:
    most = Ceiling(
        (Part("Python", 200_000_000, ""), Part("gene table", 10**9, "genome.max_nodes")), ()
    )
    assert most.shortage(Memory(None, None)) is None
    assert most.shortage(Memory(None, 1_200_000_000)) is None
    said = most.shortage(Memory(None, 600_000_000))
    assert said is not None
    assert "up to 1.2 GB" in said
    assert "600 MB are free" in said
    assert "gene table, 1 GB, capped by genome.max_nodes" in said


def test_a_run_warns_once_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = sections(run={"generations": 1, "stop_when_solved": False}, strategy={"population": 5})
    monkeypatch.setattr(running, "available", lambda: Memory(10**8, 10**8))
    result = tweann.run(config, out=tmp_path)
    assert result.generations == 1
    assert capsys.readouterr().err.count("warning: this run may take up to") == 1
    monkeypatch.setattr(running, "available", lambda: Memory(10**12, 10**12))
    tweann.run(config, out=tmp_path)
    assert "warning" not in capsys.readouterr().err


def test_config_check_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from tweann.cli import main

    file = tmp_path / "run.toml"
    file.write_text('[task]\nname = "xor"\n')
    assert main(["config", "check", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "memory, once all caps are reached: at most" in printed
    assert "gene table  (strategy.population, genome.max_nodes, genome.max_connections)" in printed
    assert main(["config", "check", str(file), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["memory"]["bytes"] == sum(part["n_bytes"] for part in data["memory"]["parts"])


@pytest.mark.parametrize("name", ["xor", "map-elites", "novelty", "nsga2", "racing", "islands"])
def test_the_pool_never_has_more_blocks_than_are_counted(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    strategy: dict[str, Any] = {"population": 12}
    if name != "xor":
        strategy["name"] = name
    if name in ("map-elites", "novelty"):
        strategy["descriptor"] = "size"
    if name == "map-elites":
        strategy |= {"bins": [5, 5], "bounds": [[0, 8], [0, 30]]}
    config = sections(strategy=strategy, storage={"url": "memory:"})
    most, n_blocks = 0, GenomePool.allocate

    def allocate(pool: GenomePool, n: int) -> Any:
        nonlocal most
        blocks = n_blocks(pool, n)
        most = max(most, pool.n_blocks)
        return blocks

    monkeypatch.setattr(GenomePool, "allocate", allocate)
    with Evolution(config) as evolution:
        evolution.run()
        assert 0 < most <= ceilings.living_genomes(evolution.config, evolution.strategy)
