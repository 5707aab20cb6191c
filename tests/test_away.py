"""A disk that fills up, and a database that goes away, in the middle of a run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from postgres_server import PostgresServer, binaries
from test_resume import events

import tweann
from tweann import running
from tweann.checkpoints import read_checkpoints
from tweann.errors import FormatError, StorageError
from tweann.evolution import Evolution
from tweann.stored_run import StoredRun

CONFIG: dict[str, Any] = {
    "run": {"name": "xor", "seed": 4, "generations": 400, "stop_when_solved": False},
    "task": {"name": "xor"},
    "strategy": {"population": 40},
    "lineage": {"batch": 200},
    "observers": {"metrics": {}},
}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.5 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except OSError as error:
        pytest.skip(f"a small file system cannot be mounted: {error}")
    if done.returncode:
        pytest.skip(f"a small file system cannot be mounted, which takes root: {done.stderr}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, timeout=30)


def fill(path: Path) -> None:
    """Write a file until the disk is full."""
    file = os.open(path, os.O_CREAT | os.O_WRONLY)
    with closing(os.fdopen(file, "wb", buffering=0)) as stream, suppress(OSError):
        while True:
            stream.write(bytes(1024))


@pytest.mark.parametrize("seconds", [0.0, 1000.0], ids=["checkpoints", "events"])
def test_a_run_goes_on_when_there_is_room_again(
    small_disk: Path, tmp_path: Path, seconds: float
) -> None:
    whole = tweann.run(CONFIG, out=tmp_path / "whole").run_dir
    config = CONFIG | {"checkpoint": {"seconds": seconds}}
    folder = small_disk / "20260101-000000_xor_s4"
    folder.mkdir()
    with Evolution(config, run_dir=folder) as evolution:
        (folder / "config.toml").write_text(evolution.config.to_toml())
        evolution._open()
        for _ in range(20):
            evolution.step()
        evolution.interrupt()
        assert evolution._run().status == "interrupted"
    fill(small_disk / "ballast")
    with pytest.raises(StorageError, match=r"cannot write .*(full|No space left)"):
        running.resume(StoredRun(folder))
    states = [state for _, state in read_checkpoints(folder)]
    assert states
    assert not any(isinstance(state, FormatError) for state in states)
    (small_disk / "ballast").unlink()
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True, timeout=30)
    result = running.resume(StoredRun(folder))
    assert (result.status, result.generations) == ("finished", 400)
    assert whole is not None
    assert events(folder) == events(whole)
    assert StoredRun(folder).champion() == StoredRun(whole).champion()


def test_a_run_goes_on_while_the_database_is_away(tmp_path: Path) -> None:
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed")
    with closing(PostgresServer(programs)) as server:
        whole = tweann.run(CONFIG, out=tmp_path / "whole").run_dir
        folder = tmp_path / "20260101-000000_away_s4"
        folder.mkdir()
        config = CONFIG | {"storage": {"url": server.url(), "commit_rows": 10}}
        with Evolution(config, run_dir=folder) as evolution:
            (folder / "config.toml").write_text(evolution.config.to_toml())
            step = evolution.step

            def interrupted_step() -> Any:
                if evolution.generation == 100:
                    server.stop()
                if evolution.generation == 300:
                    server.start()
                return step()

            evolution.step = interrupted_step  # type: ignore[method-assign]
            assert evolution.run().status == "finished"
        assert whole is not None
        assert events(folder) == events(whole)
        with psycopg.connect(server.url()) as connection:
            row = connection.execute("SELECT count(*) FROM tweann.generations").fetchone()
        assert row == (400,)
