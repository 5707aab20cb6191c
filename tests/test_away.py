"""A disk that fills up, and a database that goes away, in the middle of a run."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from postgres_server import PostgresServer, binaries
from small_disks import fill, make_room, small_disk
from test_resume import events, metrics

import tweann
from tweann import running
from tweann.checkpoints import FOLDER, read_checkpoints
from tweann.config import load
from tweann.errors import FormatError, NotNowError, StorageError
from tweann.evolution import Evolution
from tweann.plugins.sqlite import SqliteStorage
from tweann.records import Result
from tweann.stored_run import StoredRun

CONFIG: dict[str, Any] = {
    "run": {"name": "xor", "seed": 4, "generations": 400, "stop_when_solved": False},
    "task": {"name": "xor"},
    "strategy": {"population": 40},
    "lineage": {"batch": 200},
    "observers": {"metrics": {}},
}
#: Everything is written at once, so that a full disk is seen at once.
HASTY: dict[str, Any] = CONFIG | {
    "storage": {"commit_rows": 1},
    "checkpoint": {"seconds": 0.0},
    "observers": {"metrics": {"flush_seconds": 0.0}},
}
FULL = r"cannot (open|write) .*(full|No space left)"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path) as disk:
        yield disk


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """The run as it is undisturbed."""
    folder = tweann.run(CONFIG, out=tmp_path / "whole").run_dir
    assert folder is not None
    return folder


def disturbed(
    config: dict[str, Any], folder: Path, disturbances: Mapping[int, Callable[[], object]]
) -> Result:
    """Run with something done before some generations."""
    folder.mkdir()
    with Evolution(config, run_dir=folder) as evolution:
        (folder / "config.toml").write_text(evolution.config.to_toml())
        step = evolution.step

        def disturbed_step() -> Any:
            disturbances.get(evolution.generation, lambda: None)()
            return step()

        evolution.step = disturbed_step  # type: ignore[method-assign]
        return evolution.run()


def assert_same(folder: Path, whole: Path) -> None:
    assert events(folder) == events(whole)
    assert metrics(folder) == metrics(whole)


@pytest.mark.parametrize("seconds", [0.0, 1000.0], ids=["checkpoints", "events"])
def test_a_run_is_resumed_when_there_is_room_again(disk: Path, whole: Path, seconds: float) -> None:
    config = CONFIG | {"checkpoint": {"seconds": seconds}, "storage": {"full_seconds": 0.0}}
    folder = disk / "20260101-000000_xor_s4"
    folder.mkdir()
    with Evolution(config, run_dir=folder) as evolution:
        (folder / "config.toml").write_text(evolution.config.to_toml())
        evolution._open()
        for _ in range(20):
            evolution.step()
        evolution.interrupt()
        assert evolution._run().status == "interrupted"
    fill(disk / "ballast")
    with pytest.raises(StorageError, match=FULL):
        running.resume(StoredRun(folder))
    states = [state for _, state in read_checkpoints(folder)]
    assert states
    assert not any(isinstance(state, FormatError) for state in states)
    make_room(disk, disk / "ballast")
    result = running.resume(StoredRun(folder))
    assert (result.status, result.generations) == ("finished", 400)
    assert_same(folder, whole)
    assert StoredRun(folder).champion() == StoredRun(whole).champion()


def test_a_run_goes_on_while_its_disk_is_full_and_says_so_once(
    disk: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = disk / "20260101-000000_xor_s4"
    ballast = disk / "ballast"
    last_good: list[Path] = []

    def look() -> None:
        last_good.extend(path for path, _ in read_checkpoints(folder))
        assert last_good
        assert not list((folder / FOLDER).glob(".*"))  # halves would keep the disk full

    disturbances = {
        100: lambda: fill(ballast),
        250: look,
        300: lambda: (make_room(disk, ballast), time.sleep(2.1)),  # the longest pause
    }
    assert disturbed(HASTY, folder, disturbances).status == "finished"
    assert_same(folder, whole)
    assert last_good[0] not in [path for path, _ in read_checkpoints(folder)]
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("warning: ") for line in lines)
    for place, what in (("run.db", "what waits"), ("metrics.jsonl", "metrics.jsonl")):
        assert sum("cannot write" in line and place in line for line in lines) == 1
        assert sum(f"{what} can be written again, after" in line for line in lines) == 1
    assert len(lines) == 4


def test_only_the_checkpoints_are_left_out_where_the_storage_has_room(
    disk: Path, tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, ballast = disk / "20260101-000000_xor_s4", disk / "ballast"
    storage = {"url": f"sqlite:///{tmp_path}/run.db", "commit_rows": 1}
    config = HASTY | {"storage": storage, "observers": {}}
    disturbances = {100: lambda: fill(ballast), 300: lambda: make_room(disk, ballast)}
    assert disturbed(config, folder, disturbances).status == "finished"
    assert events(folder) == events(whole)
    full, again = capsys.readouterr().err.splitlines()
    assert ".twcp: No space left on device" in full
    assert "a checkpoint can be written again, after" in again


def test_a_disk_that_stays_full_ends_the_run_with_what_to_do(disk: Path, whole: Path) -> None:
    folder, ballast = disk / "20260101-000000_xor_s4", disk / "ballast"
    config = HASTY | {"storage": {"commit_rows": 1, "full_seconds": 0.3, "max_waiting_bytes": 0}}
    began = time.monotonic()
    with pytest.raises(
        NotNowError, match=r"full; .* was tried for 0\.3 s .*are lost; free some .*tweann resume"
    ):
        disturbed(config, folder, {100: lambda: fill(ballast)})
    assert time.monotonic() - began < 20.0
    make_room(disk, ballast)
    patient = ["storage.full_seconds=60", "storage.max_waiting_bytes=1000000"]
    assert running.resume(StoredRun(folder), overrides=patient).status == "finished"
    assert_same(folder, whole)


def test_a_disk_that_is_full_at_the_end_is_waited_for(disk: Path, whole: Path) -> None:
    folder, ballast = disk / "20260101-000000_xor_s4", disk / "ballast"
    code = (
        "import sys, time; from pathlib import Path; from small_disks import make_room; time.sleep(1.0); "
        "make_room(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    helpers = []

    def fill_for_a_second() -> None:
        fill(ballast)
        arguments = [sys.executable, "-c", code, str(disk), str(ballast)]
        helpers.append(subprocess.Popen(arguments, cwd=Path(__file__).parent))

    assert disturbed(HASTY, folder, {395: fill_for_a_second}).status == "finished"
    assert helpers[0].wait(30) == 0
    assert_same(folder, whole)


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "room"])
def test_a_run_that_pauses_loses_nothing(disk: Path, tmp_path: Path, killed: bool) -> None:
    config = HASTY | {
        "run": CONFIG["run"] | {"generations": 3000},
        "storage": {"commit_rows": 1, "max_waiting_bytes": 0},
    }
    whole = tweann.run(config, out=tmp_path / "whole").run_dir
    assert whole is not None
    file, out = tmp_path / "xor.toml", disk / "runs"
    file.write_text(load(config).to_toml())
    command = [sys.executable, "-m", "tweann", "run", str(file), "--out", str(out)]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=log)

    def wait(until: Callable[[], object]) -> None:
        deadline = time.monotonic() + 60
        while not until():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)

    try:
        wait(lambda: list(out.glob(f"*/{FOLDER}/*.twcp")))
        fill(disk / "ballast")
        wait(lambda: "run.db" in (tmp_path / "log").read_text())
        (folder,) = out.iterdir()
        if killed:
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        make_room(disk, disk / "ballast")
        if killed:
            assert running.resume(StoredRun(folder)).status == "finished"
        else:
            assert process.wait(60) == 0
            assert "what waits can be written again" in (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()
    assert_same(folder, whole)
    assert StoredRun(folder).champion() == StoredRun(whole).champion()


def test_somebody_who_does_not_want_to_wait_need_not(tmp_path: Path) -> None:
    def fill_and_press() -> None:
        storage = evolution._recorder.storage
        assert isinstance(storage, SqliteStorage)
        assert storage._connection is not None
        storage._connection.execute("PRAGMA max_page_count = 1")  # full, as far as SQLite knows
        signal.setitimer(signal.ITIMER_REAL, 0.5)

    evolution = Evolution(HASTY, run_dir=tmp_path)
    step = evolution.step

    def disturbed_step() -> Any:
        if evolution.generation == 300:
            fill_and_press()
        return step()

    evolution.step = disturbed_step  # type: ignore[method-assign]
    began = time.monotonic()
    alarm = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        with pytest.raises(NotNowError, match="full"):
            evolution.run()
    finally:
        signal.signal(signal.SIGALRM, alarm)
    assert time.monotonic() - began < 20.0


def test_a_run_goes_on_while_the_database_is_away(
    tmp_path: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    programs = binaries()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed")
    with closing(PostgresServer(programs)) as server:
        folder = tmp_path / "20260101-000000_away_s4"
        config = CONFIG | {"storage": {"url": server.url(), "commit_rows": 10}}
        result = disturbed(config, folder, {100: server.stop, 300: server.start})
        assert result.status == "finished"
        assert_same(folder, whole)
        with psycopg.connect(server.url()) as connection:
            row = connection.execute("SELECT count(*) FROM tweann.generations").fetchone()
        assert row == (400,)
    away, again = capsys.readouterr().err.splitlines()
    assert "cannot write postgres://" in away
    assert "what waits can be written again, after" in again
