"""The processes back-end: the same results as anywhere, whatever genomes do to their processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import psutil
import pytest

from tweann.config import FaultyConfigError
from tweann.errors import ConfigError, PluginError, TaskError
from tweann.evolution import Evolution
from tweann.genes import Flag
from tweann.interfaces import Backend, Job
from tweann.memory import Memory
from tweann.network import Network
from tweann.plugins import processes
from tweann.plugins.processes import ProcessesBackend, ProcessesSettings
from tweann.tasks.base import EvaluationKeys
from tweann.tasks.python import PythonTask

TESTS = Path(__file__).parent


def evolution(function: Callable[[Network], float], backend: str, **evaluation: Any) -> Evolution:
    sections = {
        "run": {"seed": 5, "generations": 3},
        "strategy": {"population": 40},
        "storage": {"url": "memory:"},
        "observers": {},
        "evaluation": {"backend": backend, **evaluation},
    }
    return Evolution(sections, task=PythonTask(function, 2, 1))


def outcome(run: Evolution) -> dict[str, Any]:
    """Return what a run found, failures included, but not why they failed."""
    with run:
        result = run.run()
        view = run.pool.view()
        return {
            "fitness": view.fitness.tobytes(),
            "genomes": [view.genome(i).genome_id for i in range(len(view))],
            "failed": result.n_failed,
            "champion": result.champion and result.champion.genome.genome_id,
        }


def in_processes(function: Callable[[Network], float], **evaluation: Any) -> dict[str, Any]:
    return outcome(evolution(function, "processes", workers=2, **evaluation))


def alive(pids: list[int]) -> list[int]:
    return [p for p in pids if psutil.pid_exists(p) and psutil.Process(p).status() != "zombie"]


def wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def backend() -> Iterator[ProcessesBackend]:
    backend = ProcessesBackend(ProcessesSettings(), 2)
    yield backend
    backend.close()


def job(function: Callable[[Network], float], n: int = 12) -> Job:
    """Return a job of ``n`` fresh genomes."""
    run = evolution(function, "serial")
    networks = run._evaluator.networks(run._breed())
    networks.blocks = networks.blocks[:n]
    keys = EvaluationKeys(5)
    run.close()
    return Job(
        0, n, lambda: run.task.evaluate(networks, keys), networks, keys, run._evaluator._assignment
    )


def test_it_is_a_backend(backend: ProcessesBackend) -> None:
    assert isinstance(backend, Backend)
    assert backend.capacity == 2
    assert not backend.in_process
    assert backend.collect() == backend.collect(timeout=60.0) == []


def test_jobs_come_back_once_with_what_they_give_here(backend: ProcessesBackend) -> None:
    jobs = [job(hostile.good, n) for n in (12, 1, 5)]
    for each in jobs:
        backend.submit(each)
    backend.submit(dropped := job(hostile.good))
    backend.cancel(dropped)
    found = {}
    while len(found) < 3:
        found |= {id(f.job): f.evaluations for f in backend.collect()}
    assert backend.collect() == []
    for each in jobs:
        np.testing.assert_array_equal(found[id(each)].fitness, each.evaluate().fitness)


def test_a_job_that_cannot_be_sent_is_refused(backend: ProcessesBackend) -> None:
    with pytest.raises(PluginError, match=r"rows 0 to 1 cannot be sent .* lacks"):
        backend.submit(Job(0, 1, job(hostile.good).evaluate))
    same = job(hostile.good)
    backend.submit(same)
    with pytest.raises(PluginError, match="rows 0 to 12 is under way"):
        backend.submit(same)
    backend.close()
    backend.close()
    assert backend.collect() == []
    with pytest.raises(PluginError, match="submit after close"):
        backend.submit(same)


def test_jobs_that_wait_are_capped() -> None:
    backend = ProcessesBackend(ProcessesSettings(max_jobs=2), 1)
    backend.submit(job(hostile.good))
    backend.submit(job(hostile.good))
    with pytest.raises(PluginError, match="2 jobs are under way: collect"):
        backend.submit(job(hostile.good))
    backend.close()


def test_collect_waits_no_longer_than_asked(backend: ProcessesBackend) -> None:
    backend.submit(job(hostile.sleeps_for_ever))
    backend.collect(timeout=0.0)  # the server and the workers start
    start = time.monotonic()
    assert backend.collect(timeout=0.1) == []
    assert 0.1 <= time.monotonic() - start < 10.0


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Any]:
    """What a run finds where bad genomes fail in an orderly way."""
    found = outcome(evolution(hostile.nan, "serial"))
    assert found["failed"] > 5
    return found


@pytest.mark.parametrize(
    "function",
    [
        hostile.segfaults,
        hostile.kills_itself,
        hostile.leaves,
        hostile.exits,
        hostile.writes_garbage,
    ],
)
def test_what_a_genome_does_to_its_process_costs_that_genome_alone(
    function: Callable[[Network], float], undisturbed: dict[str, Any]
) -> None:
    assert in_processes(function, retries=0) == undisturbed


def test_a_genome_that_takes_too_long_fails(undisturbed: dict[str, Any]) -> None:
    assert in_processes(hostile.hangs, timeout_seconds=0.7) == undisturbed


def test_a_genome_that_eats_all_memory_fails(undisturbed: dict[str, Any]) -> None:
    assert in_processes(hostile.eats_memory, worker_bytes=500_000_000) == undisturbed


def test_what_user_code_prints_does_no_harm(capfd: pytest.CaptureFixture[str]) -> None:
    expected = outcome(evolution(hostile.good, "serial"))
    assert in_processes(hostile.prints) == expected
    out, err = capfd.readouterr()
    assert out == ""  # where the result of a run with --json goes
    assert "garbage" in err


@pytest.mark.parametrize(
    ("function", "settings", "flag", "reason"),
    [
        (hostile.segfaults, {"retries": 0}, Flag.CRASHED, "was ended by signal SIGSEGV"),
        (hostile.leaves, {}, Flag.CRASHED, "ended with exit status 3"),
        (hostile.exits, {}, Flag.CRASHED, "SystemExit: enough"),
        (hostile.writes_garbage, {"retries": 0}, Flag.CRASHED, "answered nonsense"),
        (hostile.hangs, {"timeout_seconds": 0.3}, Flag.TIMED_OUT, "timeout_seconds = 0.3"),
        (hostile.raises, {}, Flag.RAISED, "ValueError: no"),
    ],
)
def test_failures_are_marked_with_their_reason(
    function: Callable[[Network], float], settings: dict[str, Any], flag: Flag, reason: str
) -> None:
    backend = ProcessesBackend(ProcessesSettings(**settings), 2)
    sent = job(function, 40)
    bad = [hostile.is_bad(network) for network in sent.networks or ()]
    assert 0 < sum(bad) < 40
    backend.submit(sent)
    (finished,) = backend.collect()
    found = finished.evaluations
    assert found is not None
    assert np.isnan(found.fitness).tolist() == bad
    assert (found.flags == flag).tolist() == bad
    assert set(found.reasons) == set(np.flatnonzero(bad))
    assert all(reason in text for text in found.reasons.values())
    backend.close()


def test_a_killed_worker_changes_nothing(tmp_path: Path) -> None:
    expected = outcome(evolution(hostile.good, "serial"))
    mark = tmp_path / "mark"
    assert in_processes(hostile.DiesOnce(mark)) == expected
    assert mark.exists()


def test_workers_and_server_killed_in_the_middle_change_nothing() -> None:
    expected = outcome(evolution(hostile.slow, "serial"))
    run = evolution(hostile.slow, "processes", workers=2)
    with run:
        run._open()
        killed = []

        def kill(which: slice) -> None:
            children = psutil.Process().children(recursive=True)
            for process in children[which]:
                process.kill()
                killed.append(process.pid)

        looks = 0

        def check() -> None:
            nonlocal looks
            looks += 1
            if looks == 4:
                kill(slice(1, 2))  # one worker
            if looks == 8:
                kill(slice(0, 1))  # the server, and with it all workers

        run._check_interrupted = check  # type: ignore[method-assign] # called while waiting
        while not run.finished:
            run.step()
        view = run.pool.view()
        assert view.fitness.tobytes() == expected["fitness"]
        assert len(killed) == 2


def test_a_failure_can_stop_the_run_or_drop_the_genome() -> None:
    run = evolution(hostile.segfaults, "processes", retries=0, on_failure="stop")
    with pytest.raises(TaskError, match=r"of 40 evaluations failed.*SIGSEGV"):
        run.run()
    run = evolution(hostile.raises, "processes", on_failure="drop")
    run.run()
    assert run.n_failed > 5
    assert np.isfinite(run.pool.view().fitness).all()
    assert outcome(evolution(hostile.raises, "serial", on_failure="drop")) == outcome(
        evolution(hostile.raises, "processes", on_failure="drop")
    )


def test_functions_that_cannot_be_sent_say_what_to_do() -> None:
    with pytest.raises(ConfigError, match="Functions travel by name: put the fitness function"):
        evolution(lambda network: 1.0, "processes").run()


def test_settings_of_the_backend_are_checked() -> None:
    with pytest.raises(FaultyConfigError, match="timeout_seconds"):
        evolution(hostile.good, "processes", timeout_seconds=0)
    with pytest.raises(FaultyConfigError, match="no such key"):
        evolution(hostile.good, "threads", timeout_seconds=1.0)
    with pytest.raises(ConfigError, match=r"workers must be 0 .* came as -1"):
        ProcessesBackend(ProcessesSettings(), -1)


def test_short_memory_means_fewer_workers_and_never_none(
    backend: ProcessesBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [0]
    monkeypatch.setattr(processes, "available", lambda: Memory(10**9, free[0]))
    monkeypatch.setattr(processes, "_MEMORY_SECONDS", 0.0)
    sent = job(hostile.slow)
    backend.submit(sent)
    backend.collect(timeout=0.5)
    assert len(backend.pids) == 1
    assert backend.n_pauses > 0
    free[0] = 10**9
    (finished,) = backend.collect()
    assert len(backend.pids) == 2
    assert finished.evaluations is not None
    np.testing.assert_array_equal(finished.evaluations.fitness, sent.evaluate().fitness)


def test_close_ends_all_processes(backend: ProcessesBackend) -> None:
    backend.submit(job(hostile.sleeps_for_ever))
    assert wait_until(lambda: backend.collect(0.05) == [] and len(backend.pids) == 2)
    server = psutil.Process(backend.pids[0]).parent()
    assert server is not None
    family = [server.pid, *(child.pid for child in server.children())]
    assert set(backend.pids) < set(family)
    assert len(family) == 3
    backend.close()
    assert alive(family) == []


#: A script as a user would write it; {guard} or nothing before the call.
SCRIPT = """
import sys, time
import tweann

def fitness(network):
    if {sleep}:
        time.sleep(3600)
    return float(network.activate([1.0])[0])

{guard}
    result = tweann.evolve(fitness, 1, 1, generations=2, config={{
        "evaluation": {{"backend": "processes", "workers": 2}}, "strategy": {{"population": 20}}}})
    print(result.status, result.generations, flush=True)
    sys.exit(130 if result.status == "interrupted" else 0)
"""


def start(path: Path, guard: str = 'if __name__ == "__main__":', sleep: bool = False) -> Any:
    path.write_text(SCRIPT.format(guard=guard, sleep=sleep))
    return subprocess.Popen(
        [sys.executable, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_script_with_its_function_in_it_runs(tmp_path: Path) -> None:
    process = start(tmp_path / "script.py")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (0, "finished 2\n"), err


def test_a_script_without_its_guard_is_told(tmp_path: Path) -> None:
    process = start(tmp_path / "script.py", guard="if True:")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert 'put the call behind if __name__ == "__main__":' in err


def test_a_function_of_an_interactive_session_says_what_to_do(tmp_path: Path) -> None:
    script = SCRIPT.format(guard="if True:", sleep=False)
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120
    )
    assert process.returncode == 1
    assert "defined in an interactive session" in process.stderr


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_process_outlives_the_run(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path / "script.py", sleep=True)
    children: list[int] = []

    def all_there() -> bool:
        children[:] = [p.pid for p in psutil.Process(process.pid).children(recursive=True)]
        return len(children) == 3

    assert wait_until(all_there, 60.0)
    time.sleep(0.5)  # the workers are at it
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGKILL if number == signal.SIGKILL else 130), err
    assert wait_until(lambda: alive(children) == [])


def test_where_the_kernel_cannot_watch_a_pipe_does() -> None:
    code = (
        "import os, sys, threading, time; from tweann.plugins.worker_server import watch; "
        "threading.Thread(target=watch, args=(int(sys.argv[1]),), daemon=True).start(); "
        "print('there', flush=True); time.sleep(3600)"
    )
    ours, theirs = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(ours)], stdout=subprocess.PIPE, pass_fds=[ours]
    )
    os.close(ours)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"there\n"
        assert process.poll() is None
        os.close(theirs)
        assert process.wait(20.0) == 1


def test_a_run_from_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tweann", "run", str(TESTS.parent / "examples" / "xor.toml")]
    options = [
        "--set", "evaluation.backend=processes", "--set", "strategy.population=50", "--set", "run.generations=3",
        "--json", "--quiet", "--out", str(tmp_path), "--workers", "2",
    ]  # fmt: skip
    done = subprocess.run(command + options, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["status"] == "finished"
