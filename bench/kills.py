"""Kills runs at random instants, resumes them, and compares them with runs that were never stopped.

    python bench/kills.py [--kills 100] [--storages sqlite postgres] [--backends threads processes] [--seed N]

A run of XOR is killed with SIGKILL some time after it has a checkpoint, resumed, killed again, until it ends; then another
begins, until there were as many kills. After each kill no process of the run may be left, the database must be whole, and
the generations in it those of the run that was never stopped. At the end all events (champions, fitness, lineage) must
be. Needs PostgreSQL's programs for `postgres`. Exit status 1 if anything differs.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped] # ships no types

import tweann
from tweann import assembly
from tweann.checkpoints import FOLDER
from tweann.config import load
from tweann.interfaces import Event
from tweann.registry import default_registry
from tweann.stored_run import StoredRun

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # for the server

#: Seconds within which a killed run's processes must be gone.
PATIENCE = 30.0
#: What the clock says, and differs.
_VOLATILE = ("seconds", "started", "config")


def config(url: str, backend: str, generations: int, seed: int) -> dict[str, Any]:
    """Return a run that is killed often: a checkpoint a generation."""
    return {
        "run": {
            "name": "kills",
            "seed": seed,
            "generations": generations,
            "stop_when_solved": False,
        },
        "task": {"name": "xor"},
        "strategy": {"population": 40},
        "evaluation": {"backend": backend, "workers": 2},
        "storage": {"url": url},
        "checkpoint": {"seconds": 0.0},
        "lineage": {"batch": 200, "max_births": 1000},
        "observers": {},
    }


def events(folder: Path) -> list[Event]:
    """Return what the storage keeps of a run, without what the clock says."""
    settings = load(folder / "config.toml")
    with closing(assembly.make_storage(settings, folder, default_registry())) as storage:
        return [
            replace(event, data={k: v for k, v in event.data.items() if k not in _VOLATILE})
            for event in storage.events()
        ]


class Faults(list[str]):
    """What should not have happened."""

    def check(self, good: bool, what: str) -> None:
        """Note ``what`` unless it is ``good``."""
        if not good:
            self.append(what)
            print("FAULT", what, flush=True)


def kill(process: subprocess.Popen[bytes], faults: Faults) -> None:
    """Kill a run and see to it that all its processes end."""
    parent = psutil.Process(process.pid)
    family = parent.children(recursive=True)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(PATIENCE)
    _, left = psutil.wait_procs(family, timeout=PATIENCE)
    faults.check(not left, f"orphans: {left}")
    for orphan in left:
        orphan.kill()


def check_whole(folder: Path, expected: list[Event], faults: Faults) -> None:
    """Check the database after a kill: it is whole, and begins as that of the run that was never stopped."""
    path = folder / "run.db"
    if path.exists():
        with closing(sqlite3.connect(path)) as connection:
            (answer,) = connection.execute("PRAGMA integrity_check").fetchone()
        faults.check(answer == "ok", f"{path}: {answer}")
    found = [e.data["best"] for e in events(folder) if e.kind == "generation"]
    known = [e.data["best"] for e in expected if e.kind == "generation"]
    faults.check(found == known[: len(found)], f"{folder.name}: other generations after a kill")


def run_once(
    settings: dict[str, Any],
    out: Path,
    expected: list[Event],
    champion: object,
    rng: random.Random,
    left: int,
    faults: Faults,
) -> int:
    """Run, kill at most ``left`` times, resume, compare; return how often it was killed."""
    file = out / "kills.toml"
    file.write_text(load(settings).to_toml())
    program = [sys.executable, "-m", "tweann"]
    command = [*program, "run", str(file), "--out", str(out / "runs"), "--quiet"]
    kills = 0
    while True:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 120.0
        while process.poll() is None and not list(out.glob(f"runs/*/{FOLDER}/*.twcp")):
            if time.monotonic() > deadline:
                raise SystemExit("no checkpoint within two minutes")
            time.sleep(0.01)
        if kills < left:
            time.sleep(rng.uniform(0.0, 3.0))
        else:
            process.wait(600)
        (folder,) = (out / "runs").iterdir()
        if process.poll() is not None:
            faults.check(process.returncode == 0, f"a run ended with {process.returncode}")
            break
        kill(process, faults)
        kills += 1
        check_whole(folder, expected, faults)
        command = [*program, "resume", "latest", "--out", str(out / "runs"), "--quiet"]
    faults.check(events(folder) == expected, f"{folder.name}: other events after {kills} kills")
    faults.check(StoredRun(folder).champion() == champion, f"{folder.name}: another champion")
    return kills


def torment(
    url: str, backend: str, kills: int, generations: int, rng: random.Random, faults: Faults
) -> tuple[int, int]:
    """Return how often runs were killed, and how many runs that took."""
    done, runs = 0, 0
    while done < kills:
        settings = config(url, backend, generations, rng.randrange(1 << 31))
        with tempfile.TemporaryDirectory() as name:
            whole = tweann.run(settings, out=Path(name) / "whole").run_dir
            if whole is None:
                raise SystemExit("a run without a folder")
            champion = StoredRun(whole).champion()
            out = Path(name)
            n = run_once(settings, out, events(whole), champion, rng, kills - done, faults)
        done, runs = done + n, runs + 1
        if n == 0:
            generations *= 2  # it is over before it can be killed
    return done, runs


def main() -> int:
    """Kill, print, and say whether all went well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--generations", type=int, default=1500)
    parser.add_argument("--storages", nargs="+", default=["sqlite", "postgres"])
    parser.add_argument("--backends", nargs="+", default=["threads", "processes"])
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rng, faults = random.Random(arguments.seed), Faults()
    with ExitStack() as stack:
        urls = {"sqlite": "sqlite:///{run_dir}/run.db"}
        if "postgres" in arguments.storages:
            from postgres_server import PostgresServer, binaries

            programs = binaries()
            if programs is None:
                raise SystemExit("postgres: its server is not installed")
            urls["postgres"] = stack.enter_context(closing(PostgresServer(programs))).url()
        for storage in arguments.storages:
            for backend in arguments.backends:
                began = time.monotonic()
                share = -(-arguments.kills // len(arguments.backends))
                done, runs = torment(
                    urls[storage], backend, share, arguments.generations, rng, faults
                )
                print(
                    f"{storage}, {backend}: {done} kills of {runs} runs in {time.monotonic() - began:.0f} s, "
                    f"{len(faults)} faults so far",
                    flush=True,
                )
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
