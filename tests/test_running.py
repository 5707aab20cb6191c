"""Whole runs in one call: folders, stored champions, functions, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tweann
from tweann import running
from tweann.codec import decode
from tweann.errors import ConfigError
from tweann.evolution import Evolution
from tweann.network import Network
from tweann.stored_run import StoredRun
from tweann.tasks.base import Evaluation

XOR: dict[str, Any] = {
    "run": {"name": "little-xor", "seed": 4, "generations": 12, "stop_when_solved": False},
    "task": {"name": "xor"},
    "strategy": {"population": 40},
    "observers": {},
}


class TestRun:
    def test_the_folder_has_all_that_is_promised(self, tmp_path: Path) -> None:
        result = tweann.run(XOR, out=tmp_path)
        folder = result.run_dir
        assert folder is not None
        assert folder.parent == tmp_path
        names = {path.name for path in folder.iterdir()}
        assert names == {
            "config.toml", "environment.json", "run.db", "champion.json", "champion.tweann",
            "checkpoints",
        }  # fmt: skip
        assert result.champion is not None
        assert decode((folder / "champion.tweann").read_bytes()) == result.champion.genome
        data = json.loads((folder / "champion.json").read_text())
        assert data["genome_id"] == result.champion.genome.genome_id
        summary = StoredRun(folder).summary
        assert (summary.status, summary.generations) == ("finished", 12)
        assert summary.n_evaluations == result.n_evaluations == 480

    def test_its_configuration_runs_again_to_the_same_champion(self, tmp_path: Path) -> None:
        first = tweann.run(XOR, overrides=["run.seed=11"], out=tmp_path)
        assert first.run_dir is not None
        again = tweann.run(first.run_dir / "config.toml", out=tmp_path / "again")
        assert first.champion is not None
        assert again.champion is not None
        assert again.champion.data() == first.champion.data()
        assert again.run_dir is not None
        rows = [StoredRun(r.run_dir).generations() for r in (first, again) if r.run_dir]
        for a, b in zip(*rows, strict=True):
            assert {**a, "seconds": 0} == {**b, "seconds": 0}

    @pytest.mark.parametrize(
        "changes",
        [
            {"genome.start": "nowhere.tweann"},
            {"genome.unconnected_inputs": ["x9"]},
            {"genome.max_connections": 1},
            {"strategy.population": 0},
            {"task.name": "xorr"},
        ],
    )
    def test_a_faulty_configuration_leaves_no_folder(
        self, tmp_path: Path, changes: dict[str, Any]
    ) -> None:
        with pytest.raises(ConfigError):
            tweann.run(XOR, overrides=changes, out=tmp_path / "runs")
        assert not (tmp_path / "runs").exists()

    @pytest.mark.parametrize("task", ["xor", "single-pole", "double-pole-no-velocities"])
    def test_evaluate_repeats_the_figures(self, tmp_path: Path, task: str) -> None:
        overrides = {"task.name": task, "run.generations": 3}
        result = tweann.run(XOR, overrides=overrides, out=tmp_path)
        assert result.run_dir is not None
        assert result.champion is not None
        found = running.evaluate(StoredRun(result.run_dir))
        assert found.pop("fitness") == result.champion.fitness
        assert found.pop("solved") == float(result.solved)
        assert found == {name: result.metrics[name] for name in found}

    def test_evaluate_repeats_the_episodes_of_the_champions_generation(
        self, tmp_path: Path
    ) -> None:
        """With resampled episodes each generation meets its own."""
        overrides = {
            "task.name": "single-pole",
            "task.episodes": 1,
            "evaluation.resample": True,
            "strategy.population": 5,
        }
        result = tweann.run(XOR, overrides=overrides, out=tmp_path)
        assert result.run_dir is not None
        assert result.champion is not None
        assert result.champion.generation > 0
        assert running.evaluate(StoredRun(result.run_dir))["fitness"] == result.champion.fitness


class TestEvolve:
    def test_a_function_is_all_it_takes(self, tmp_path: Path, monkeypatch: Any) -> None:
        monkeypatch.chdir(tmp_path)
        rows = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])

        def function(network: Network) -> float:
            return -float(np.abs(network.activate_rows(rows)[:, 0] - [0, 1, 1, 0]).sum())

        result = tweann.evolve(
            function, 2, 1, seed=3, generations=15, config={"strategy": {"population": 20}}
        )
        assert result.champion is not None
        assert function(result.champion.network()) == result.champion.fitness > -2.0
        assert (result.run_dir, result.generations) == (None, 15)
        assert list(tmp_path.iterdir()) == []
        again = tweann.evolve(
            function, 2, 1, seed=3, generations=15, config={"strategy": {"population": 20}}
        )
        assert again.champion is not None
        assert again.champion.data() == result.champion.data()

    def test_it_ends_at_the_fitness_wanted(self) -> None:
        result = tweann.evolve(
            lambda network: float(network.activate([1.0])[0]), 1, 1, target_fitness=0.5
        )
        assert result.stop_reason == "target_fitness"
        assert result.champion is not None
        assert result.champion.fitness >= 0.5

    def test_a_function_may_return_an_evaluation(self) -> None:
        result = tweann.evolve(
            lambda network: Evaluation(1.0, solved=network.n_connections > 2), 2, 1,
            generations=200, config={"mutation": {"add_node_rate": 0.5}},
        )  # fmt: skip
        assert result.solved
        assert result.champion is not None
        assert result.champion.network().n_connections > 2

    def test_settings_win_over_arguments_and_faults_are_named(self) -> None:
        function = len  # raises for every network
        config: dict[str, Any] = {"run": {"generations": 2}, "strategy": {"population": 5}}
        result = tweann.evolve(function, 1, 1, config=config)  # type: ignore[arg-type] # it fails on purpose
        assert (result.generations, result.n_failed, result.champion) == (2, 10, None)
        for wrong, message in (
            ({"run": 3}, r"run: expected a table, \[run\], came 3"),
            ({"stratgy": {}}, "did you mean 'strategy'"),
            ({"strategy": {"populaton": 3}}, "did you mean 'population'"),
            ({"task": {"name": "xor"}}, "the task is given as an object"),
        ):
            with pytest.raises(ConfigError, match=message):
                tweann.evolve(function, 1, 1, config=wrong)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="expected a fitness function"):
            tweann.evolve("f", 1, 1)  # type: ignore[arg-type]
        with pytest.raises(ConfigError, match="expected n_outputs to be an integer >= 1, came 0"):
            tweann.evolve(lambda network: 1.0, 1, 0)


#: Runs until somebody stops it.
ENDLESS = """
[run]
name = "endless"
generations = 1000000
stop_when_solved = false
[task]
name = "parity"
bits = 4
[strategy]
population = 60
[observers]
"""

HANGING = """
import time, tweann
def fitness(network):
    print("in", flush=True)
    time.sleep(600)
    return 1.0
print(tweann.evolve(fitness, 1, 1, generations=3).status, flush=True)
"""


@contextmanager
def started(*command: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program in a process group of its own; it does not outlive the test."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=cwd, stdout=pipe, stderr=pipe, text=True, start_new_session=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def wait_for(condition: Any, process: subprocess.Popen[str]) -> None:
    for _ in range(1200):
        if condition():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.025)
    raise AssertionError("nothing happened for half a minute")


class TestCtrlC:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_the_first_ends_the_run_with_what_it_has(
        self, tmp_path: Path, number: signal.Signals
    ) -> None:
        (tmp_path / "endless.toml").write_text(ENDLESS)
        program = str(Path(sys.executable).with_name("tweann"))
        with started(
            program, "run", "endless.toml", "--json", "--out", "runs", cwd=tmp_path
        ) as run:

            def goes_on() -> bool:
                folders = list((tmp_path / "runs").glob("*"))
                return bool(folders) and bool(StoredRun(folders[0]).generations())

            wait_for(goes_on, run)
            os.kill(run.pid, number)
            out, err = run.communicate(timeout=30)
        assert run.returncode == 130, err
        data = json.loads(out.splitlines()[-1])
        assert (data["status"], data["stop_reason"]) == ("interrupted", "interrupted")
        folder = Path(data["run_dir"])
        stored = StoredRun(tmp_path / folder)
        assert stored.summary.status == "interrupted"
        assert stored.champion().genome_id == data["champion"]["genome_id"]
        assert len(stored.generations()) == data["generations"] >= 1
        assert data["n_evaluations"] == 60 * data["generations"]

    def test_the_second_ends_a_fitness_function_that_hangs(self, tmp_path: Path) -> None:
        with started(sys.executable, "-c", HANGING, cwd=tmp_path) as run:
            assert run.stdout is not None
            assert run.stdout.readline() == "in\n"
            os.kill(run.pid, signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                run.wait(0.7)  # it waits for the function, which may return yet
            os.kill(run.pid, signal.SIGINT)
            _, err = run.communicate(timeout=20)
        assert run.returncode != 0
        assert err.rstrip().endswith("KeyboardInterrupt")

    def test_the_second_ends_threads_that_hang(self, tmp_path: Path) -> None:
        script = """
import os, time
from tweann.evolution import Evolution
from tweann.running import interruptible
from tweann.tasks.python import PythonTask
def fitness(network):
    os.write(1, b"in\\n")  # at once: print writes twice, and there are two threads
    time.sleep(600)
task = PythonTask(fitness, 1, 1, serial=False)
evolution = Evolution({"storage": {"url": "memory:"}, "observers": {}}, task=task)
with interruptible(evolution):
    evolution.run()
"""
        with started(sys.executable, "-c", script, cwd=tmp_path) as run:
            assert run.stdout is not None
            assert run.stdout.readline() == "in\n"
            os.kill(run.pid, signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                run.wait(0.7)
            os.kill(run.pid, signal.SIGINT)
            _, err = run.communicate(timeout=20)
        assert run.returncode != 0
        assert "KeyboardInterrupt" in err

    def test_handlers_are_put_back(self) -> None:
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        sections = {"task": {"name": "xor"}, "storage": {"url": "memory:"}, "observers": {}}
        with Evolution(sections) as evolution:
            with running.interruptible(evolution):
                assert signal.getsignal(signal.SIGINT) != before[0]
                signal.raise_signal(signal.SIGINT)
                assert signal.getsignal(signal.SIGINT) == before[0]
            result = evolution.run()
        assert result.status == "interrupted"
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
