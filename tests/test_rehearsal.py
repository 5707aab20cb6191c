"""The second process of a first run compiles evaluation and selection, leaves breeding alone, and ends with the run."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tweann.config import load
from tweann.evolution import Evolution
from tweann.pool import GenomePool
from tweann.registry import default_registry
from tweann.rehearsal import rehearse, rehearsing

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.toml"))
#: Starts a second process, says which, waits until it has begun, and then ends in some way.
RUN = """
import os, sys, time
import psutil
from tweann.config import load
from tweann.registry import default_registry
from tweann.rehearsal import rehearsing
config = load({"run": {"name": "first"}, "task": {"name": "xor"}, "evaluation": {"workers": 2}})
with rehearsing(config, "table", default_registry()):
    (child,) = psutil.Process().children()
    print(child.pid, flush=True)
    exec(sys.argv[1])
"""
XOR = {"run": {"name": "first"}, "task": {"name": "xor"}, "evaluation": {"workers": 2}}


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_a_generation_passes_without_breeding(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unwanted(*_: Any, **__: Any) -> None:
        raise AssertionError("bred")

    told = []
    tell = Evolution._tell

    def watched(self: Evolution, brood: Any) -> Any:
        told.append(len(brood))
        return tell(self, brood)

    monkeypatch.setattr(GenomePool, "breed", unwanted)
    monkeypatch.setattr(Evolution, "_tell", watched)
    rehearse(load(file), default_registry())
    assert len(told) == 1
    assert told[0] > 0


def test_the_process_does_its_part_and_ends() -> None:
    command = [sys.executable, "-P", "-m", "tweann.rehearsal"]
    text = load(XOR).to_toml().encode() + b"\0"
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        try:
            assert child.stdin is not None
            assert child.stderr is not None
            child.stdin.write(text)
            child.stdin.flush()
            assert child.wait(120) == 0, child.stderr.read()
        finally:
            child.kill()


def test_it_ends_with_the_run_however_that_ends() -> None:
    for way in ("", "os.kill(os.getpid(), 9)", "raise KeyboardInterrupt"):
        parent = subprocess.Popen(
            [sys.executable, "-c", RUN, way], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        with parent:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            deadline = time.monotonic() + 60
            while rehearses(child):
                assert time.monotonic() < deadline
                time.sleep(0.02)


def rehearses(pid: int) -> bool:
    """Whether a process is one that rehearses, and has not ended."""
    try:
        return "tweann.rehearsal" in psutil.Process(pid).cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


@pytest.mark.parametrize(
    ("kind", "workers", "n"),
    [("table", 2, 1), ("table", 1, 0), ("python", 2, 0), ("external", 2, 0)],
)
def test_it_needs_a_core_and_a_task_without_effects(kind: str, workers: int, n: int) -> None:
    config = load(XOR, {"evaluation.workers": workers})
    with rehearsing(config, kind, default_registry()):
        pids = [child.pid for child in psutil.Process().children()]
        found = [pid for pid in pids if rehearses(pid)]
        assert len(found) == n
    assert not any(rehearses(pid) for pid in found)
