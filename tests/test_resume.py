"""Checkpoints: a run that goes on is the run that never stopped."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tweann
from tweann import running
from tweann.checkpoints import FOLDER, decode, encode, read_checkpoints
from tweann.config import load
from tweann.errors import ConfigError, FormatError
from tweann.evolution import Evolution
from tweann.interfaces import Event
from tweann.stored_run import StoredRun

XOR: dict[str, Any] = {
    "run": {"name": "xor", "seed": 4, "generations": 20, "stop_when_solved": False},
    "task": {"name": "xor"},
    "strategy": {"population": 40},
    "observers": {"metrics": {}},
}
RECURRENT: dict[str, Any] = {
    **XOR,
    "task": {"name": "single-pole"},
    "genome": {"recurrent": True, "bias": False},
    "evaluation": {"resample": True},
}
STEADY: dict[str, Any] = {
    **XOR,
    "strategy": {"name": "steady-state", "population": 40, "batch": 3, "window": 4},
}
#: Every optional column, and rates that are learned from success.
RICH: dict[str, Any] = {
    **XOR,
    "genome": {
        "recurrent": True,
        "dynamics": ["static", "ltc", "izhikevich"],
        "plasticity": ["none", "oja", "stdp"],
        "modulatory": True,
    },
    "mutation": {"adapt": "success", "delete_connection_rate": 0.3, "add_connection_rate": 0.5},
    "complexity": {"phased": True, "room": 2.0, "patience": 2, "penalty": 0.01},
}
MAZE: dict[str, Any] = {**XOR, "task": {"name": "maze", "max_steps": 40}}
ELITES: dict[str, Any] = {
    **MAZE,
    "strategy": {"name": "map-elites", "population": 40, "iso_line_rate": 0.3, "random_rate": 0.1},
}
NOVELTY: dict[str, Any] = {
    **MAZE,
    "strategy": {
        "name": "novelty",
        "population": 40,
        "admission": "both",
        "archive_size": 50,
        "eviction": "random",
    },
}
ADAPTIVE: dict[str, Any] = {
    **STEADY,
    "genome": {"dynamics": ["static", "delay"], "initial_inputs": 2},
    "mutation": {"adapt": "genes", "delete_node_rate": 0.1},
}
LAMARCKIAN: dict[str, Any] = {
    **STEADY,
    "task": {"name": "reversal-bandit"},
    "genome": {"plasticity": ["none", "hebbian"], "lamarckian": True},
}
CONFIGS = pytest.mark.parametrize(
    "config",
    [XOR, RECURRENT, STEADY, RICH, ELITES, NOVELTY, ADAPTIVE, LAMARCKIAN],
    ids=["xor", "pole", "steady", "rich", "elites", "novelty", "adaptive", "lamarckian"],
)


def folder_of(result: Any) -> Path:
    assert result.run_dir is not None
    return Path(result.run_dir)


def events(folder: Path) -> list[Event]:
    """Return what the storage keeps, without what the clock says."""
    found = []
    config = load(folder / "config.toml")
    from tweann import assembly
    from tweann.registry import default_registry

    storage = assembly.make_storage(config, folder, default_registry())
    for event in storage.events():
        data = {k: v for k, v in event.data.items() if k not in ("seconds", "started", "config")}
        found.append(Event(event.sequence, event.kind, event.generation, data, event.genome))
    storage.close()
    return found


def columns(folder: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(folder / "run.db") as connection:
        return list(
            connection.execute("SELECT generation, best, mean, std, worst FROM generations")
        )


def metrics(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def interrupted(config: dict[str, Any], out: Path, generations: int) -> Path:
    """Run some generations, begin another, and interrupt the run there."""
    folder = out / "20260101-000000_cut_s4"
    folder.mkdir(parents=True)
    with Evolution(config, run_dir=folder) as evolution:
        (folder / "config.toml").write_text(evolution.config.to_toml())
        evolution._open()
        for _ in range(generations):
            evolution.step()
        evolution._pending.append(evolution._breed())
        evolution.interrupt()
        assert evolution._run().status == "interrupted"
    return folder


@CONFIGS
def test_an_interrupted_run_goes_on_to_the_same_end(config: dict[str, Any], tmp_path: Path) -> None:
    whole = folder_of(tweann.run(config, out=tmp_path / "whole"))
    cut = interrupted(config, tmp_path / "cut", 7)
    assert StoredRun(cut).summary.status == "interrupted"
    result = running.resume(StoredRun(cut))
    assert (result.status, result.generations) == ("finished", 20)
    assert events(cut) == events(whole)
    assert columns(cut) == columns(whole)
    assert metrics(cut) == metrics(whole)
    assert StoredRun(cut).champion() == StoredRun(whole).champion()


@CONFIGS
def test_a_finished_run_is_extended_as_if_it_had_been_longer_from_the_first(
    config: dict[str, Any], tmp_path: Path
) -> None:
    long = {**config, "run": {**config["run"], "generations": 31}}
    whole = folder_of(tweann.run(long, out=tmp_path / "whole"))
    short = folder_of(tweann.run(config, out=tmp_path / "short"))
    result = running.resume(StoredRun(short), overrides=["run.generations=31"])
    assert result.generations == 31
    assert events(short) == events(whole)
    assert "generations = 31" in (short / "config.toml").read_text()


def test_it_goes_on_with_other_workers_and_another_back_end(tmp_path: Path) -> None:
    whole = folder_of(tweann.run(RECURRENT, out=tmp_path / "whole"))
    cut = interrupted(RECURRENT, tmp_path / "cut", 5)
    overrides = ["evaluation.backend=serial", "evaluation.workers=3"]
    running.resume(StoredRun(cut), overrides=overrides)
    assert events(cut) == events(whole)


@pytest.fixture
def cut(tmp_path: Path) -> Path:
    """A run with three checkpoints that was interrupted after six generations."""
    folder = tmp_path / "20260101-000000_cut_s4"
    folder.mkdir()
    config = {**XOR, "checkpoint": {"seconds": 0}}
    with Evolution(config, run_dir=folder) as evolution:
        (folder / "config.toml").write_text(evolution.config.to_toml())
        evolution._open()
        for _ in range(6):
            evolution.step()
            evolution.checkpoint()
        evolution.interrupt()
        evolution._run()
    return folder


def files(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).iterdir())


class TestDamage:
    def test_what_a_kill_left_of_a_checkpoint_is_cleared_away(self, cut: Path) -> None:
        half = cut / FOLDER / ".000000000024.twcp.ce5cd16e2bde.tmp"
        half.write_bytes(b"half")
        running.resume(StoredRun(cut))
        assert not half.exists()

    def test_only_the_newest_are_kept(self, cut: Path) -> None:
        assert len(files(cut)) == 3
        assert all(not isinstance(state, FormatError) for _, state in read_checkpoints(cut))

    @pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "another", "version"])
    def test_it_falls_back_to_the_last_good_one_and_says_so(
        self, cut: Path, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        newest = files(cut)[-1]
        data = bytearray(newest.read_bytes())
        if damage == "truncated":
            data = data[: len(data) // 2]
        elif damage == "flipped":
            data[len(data) // 2] ^= 1
        elif damage == "empty":
            data = bytearray()
        elif damage == "version":
            data[len(b"tweann checkpoint\n")] = 99
        else:
            data = bytearray(encode({"genes": {}, "rows": {}}))
        newest.write_bytes(data)
        running.resume(StoredRun(cut))
        assert f"warning: {newest.name}: " in capsys.readouterr().err
        whole = folder_of(tweann.run(XOR, out=tmp_path / "whole"))
        assert columns(cut) == columns(whole)
        assert StoredRun(cut).champion() == StoredRun(whole).champion()

    def test_with_none_that_is_good_it_is_an_error(self, cut: Path) -> None:
        for path in files(cut):
            path.write_bytes(path.read_bytes()[:-1])
        with pytest.raises(FormatError, match=r"every checkpoint is damaged: .*checksum"):
            running.resume(StoredRun(cut))

    def test_a_run_without_checkpoints_says_what_to_do(self, tmp_path: Path) -> None:
        config = {**XOR, "checkpoint": {"enabled": False}}
        folder = folder_of(tweann.run(config, out=tmp_path))
        assert not (folder / FOLDER).exists()
        with pytest.raises(
            ConfigError, match=r"no checkpoint: .* start it again with `tweann run`"
        ):
            running.resume(StoredRun(folder))

    def test_whatever_is_wrong_with_a_state_is_a_format_error(self, cut: Path) -> None:
        good = decode(files(cut)[-1].read_bytes())
        config = load(cut / "config.toml")
        tried = 0
        for path, value in _leaves(good):
            for other in (None, "x", -5, [], {}):
                if type(other) is type(value) or path[0] in ("history", "reasons", "arrivals"):
                    continue
                bad = decode(encode(good))
                *rest, last = path
                table = bad
                for key in rest:
                    table = table[key]
                table[last] = other
                with Evolution(config) as evolution:
                    try:
                        evolution.restore(bad)
                    except FormatError:
                        tried += 1
        assert tried > 100


def _leaves(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        if isinstance(value, (dict, list)):
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


class TestOverrides:
    def test_what_would_make_it_another_run_is_refused(self, cut: Path) -> None:
        with pytest.raises(
            ConfigError, match=r"strategy.population cannot be changed .*another run"
        ):
            running.resume(StoredRun(cut), overrides=["strategy.population=50"])

    def test_run_with_resume_begins_goes_on_and_ends(self, tmp_path: Path) -> None:
        file = tmp_path / "xor.toml"
        file.write_text(load(XOR).to_toml())
        first = running.run_or_resume(file, overrides=["run.generations=5"], out=tmp_path / "runs")
        second = running.run_or_resume(file, out=tmp_path / "runs")
        assert folder_of(second) == folder_of(first)
        assert (first.generations, second.generations) == (5, 20)
        whole = folder_of(tweann.run(XOR, out=tmp_path / "whole"))
        assert events(folder_of(second)) == events(whole)
        with pytest.raises(ConfigError, match=r"started with another strategy\.population"):
            running.run_or_resume(file, overrides=["strategy.population=7"], out=tmp_path / "runs")


@pytest.mark.parametrize("backend", ["serial", "threads"])
def test_after_a_kill_at_any_instant_it_goes_on_to_the_same_end(
    tmp_path: Path, backend: str
) -> None:
    config = {
        **XOR,
        "run": {**XOR["run"], "generations": 400},
        "evaluation": {"backend": backend},
        "checkpoint": {"seconds": 0},
    }
    whole = folder_of(tweann.run(config, out=tmp_path / "whole"))
    (tmp_path / "xor.toml").write_text(load(config).to_toml())
    out = tmp_path / "killed"
    begin = [sys.executable, "-m", "tweann", "run", str(tmp_path / "xor.toml"), "--out", str(out)]
    command, kills = begin, 0
    for pause in (0.05, 0.4, 0.11, 0.23, 0.31):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while process.poll() is None and not list(out.glob(f"*/{FOLDER}/*.twcp")):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(pause)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            kills += 1
        process.wait(30)
        command = [sys.executable, "-m", "tweann", "resume", "latest", "--out", str(out)]
    (folder,) = out.iterdir()
    if StoredRun(folder).summary.status != "finished":
        running.resume(StoredRun(folder))
    assert kills > 0
    assert events(folder) == events(whole)
    assert metrics(folder) == metrics(whole)
    assert StoredRun(folder).champion() == StoredRun(whole).champion()
    assert len(files(folder)) <= 3  # no halves among them, which kills leave behind
