"""What the built-in storages do beyond what every storage must: `tests/test_contracts.py` holds that."""

from __future__ import annotations

import json
import math
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tweann.errors import NotNowError, StorageError
from tweann.interfaces import Event, Storage
from tweann.plugins.memory import MemorySettings, MemoryStorage
from tweann.plugins.sqlite import SCHEMA_VERSION, SqliteSettings, SqliteStorage
from tweann.testing.events import (
    ancestors,
    champion,
    finished,
    generation,
    individual,
    lineage,
    report,
    started,
    whole_run,
)

Open = Callable[..., Storage]


class TestMemory:
    @pytest.fixture
    def open_storage(self) -> Open:
        return lambda run="r", **settings: MemoryStorage(MemorySettings(**settings), run)

    def test_what_fell_out_is_counted(self, open_storage: Open) -> None:
        storage = open_storage(max_events=10, max_champions=2)
        assert isinstance(storage, MemoryStorage)
        storage.append([generation(k) for k in range(15)])
        storage.append([champion(k) for k in range(15, 20)])
        assert storage.n_dropped == 5 + 3

    def test_lineage_is_kept_apart(self, open_storage: Open) -> None:
        storage = open_storage(max_events=1, max_lineage=3, max_ancestors=2)
        storage.append([lineage(k, keep_from=0) for k in range(5)])
        storage.append([lineage(5, keep_from=4), *(ancestors(k) for k in range(6, 9))])
        storage.append([generation(k) for k in range(9, 15)])
        assert [event.sequence for event in storage.events()] == [4, 5, 7, 8, 14]


class TestSqlite:
    @pytest.fixture
    def open_storage(self, tmp_path: Path) -> Iterable[Open]:
        opened: list[SqliteStorage] = []

        def open_storage(run: str = "r", **settings: Any) -> Storage:
            opened.append(sqlite_storage(tmp_path / "run.db", run, **settings))
            return opened[-1]

        yield open_storage
        for storage in opened:
            storage.close()

    @pytest.mark.parametrize(
        ("make", "setting"), [(generation, "max_generations"), (individual, "max_individuals")]
    )
    def test_each_table_keeps_its_newest_rows(
        self, open_storage: Open, make: Callable[[int], Event], setting: str
    ) -> None:
        storage = open_storage(**{setting: 5}, commit_rows=3)
        storage.append([started(0)])
        for k in range(1, 21):
            storage.append([make(k)])
        storage.append([finished(21)])
        assert [event.sequence for event in storage.events()] == [0, 16, 17, 18, 19, 20, 21]
        storage.close()
        again = open_storage(**{setting: 5})
        again.append([make(22)])
        assert [e.sequence for e in again.events()] == [0, 17, 18, 19, 20, 21, 22]

    def test_pieces_of_lineage_go_when_a_newer_one_says_so(self, open_storage: Open) -> None:
        storage = open_storage(commit_rows=1, max_ancestors=2)
        for k in range(4):
            storage.append([lineage(2 * k, keep_from=2 * max(0, k - 1)), ancestors(2 * k + 1)])
        assert [event.sequence for event in storage.events()] == [4, 5, 6, 7]

    def test_the_start_outlives_other_events(self, open_storage: Open) -> None:
        storage = open_storage(max_events=2, commit_rows=1)
        storage.append([started(0)])
        for k in range(1, 9):
            storage.append([Event(k, "plugin.note", 0, {})])
        storage.append([finished(9)])
        assert [event.sequence for event in storage.events()] == [0, 7, 8, 9]

    def test_runs_share_a_file_without_meeting(self, open_storage: Open) -> None:
        first, second = open_storage("first"), open_storage("second", max_generations=2)
        first.append([generation(k) for k in range(5)])
        first.flush()
        second.append([generation(k) for k in range(5)])
        assert [event.sequence for event in second.events()] == [3, 4]
        assert [event.sequence for event in first.events()] == [0, 1, 2, 3, 4]

    def test_numbers_of_numpy_are_numbers(self, open_storage: Open) -> None:
        storage = open_storage()
        data = {**report(0).data(), "n_failed": np.int64(4), "best": np.float64(0.1)}
        data["metrics"] = MappingProxyType({"n_species": np.float32(2.0), "full": np.bool_(True)})
        storage.append([Event(0, "generation", 0, data)])
        (event,) = storage.events()
        assert event.data["n_failed"] == 4
        assert event.data["best"] == 0.1
        assert event.data["metrics"] == {"n_species": 2.0, "full": True}

    def test_a_key_more_is_kept(self, open_storage: Open) -> None:
        storage = open_storage()
        data = {**report(0).data(), "wall_clock": [1, 2]}
        storage.append([Event(0, "generation", 0, data)])
        assert next(storage.events()).data == data

    @pytest.mark.parametrize(
        ("event", "message"),
        [
            (
                Event(0, "generation", 0, {"best": 1.0}),
                "lacks the key 'n_evaluations'; it has best",
            ),
            (Event(0, "plugin.note", 0, {"x": object()}), "is not made of JSON values"),
            (Event(0, "plugin.note", 0, {"x": b"bytes"}), "is not made of JSON values"),
            (Event(0, "plugin.note", 0, {"x": np.zeros(2)}), "is not made of JSON values"),
        ],
    )
    def test_an_event_that_cannot_be_kept_is_refused_and_hurts_no_other(
        self, open_storage: Open, event: Event, message: str
    ) -> None:
        storage = open_storage()
        with pytest.raises(StorageError, match=message):
            storage.append([event])
        storage.append([generation(0)])
        assert list(storage.events()) == [generation(0)]


def sqlite_storage(path: Path, run: str = "r", **settings: Any) -> SqliteStorage:
    return SqliteStorage(SqliteSettings(url=f"sqlite:///{path}", **settings), run)


def read(path: Path, statement: str) -> list[tuple[Any, ...]]:
    """Read as somebody else would, while the run goes on."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(statement).fetchall()


def test_a_second_connection_reads_columns_while_the_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    storage = sqlite_storage(path)
    storage.append(whole_run()[:-1])
    storage.flush()
    assert read(path, "SELECT name, seed, status, solved FROM runs") == [
        ("xor", 2**63 - 1, "running", None)
    ]
    assert read(path, "SELECT generation, best, n_failed FROM generations") == [
        (0, 2.5, 3),
        (1, 2.5, 3),
    ]
    assert read(path, "SELECT json_extract(metrics, '$.n_species') FROM generations") == [
        (4.0,),
        (None,),
    ]
    assert read(path, "SELECT fitness, solved, genome FROM champions") == [
        (3.5, 1, b"\x00genome\xff")
    ]
    assert read(path, "SELECT species, birth FROM individuals") == [(2, 17)]
    assert read(
        path, "SELECT kind, json_extract(data, '$.text') FROM events WHERE sequence = 3"
    ) == [("plugin.note", "héllo")]
    storage.append(whole_run()[-1:])
    assert read(path, "SELECT status, stop_reason, solved, n_evaluations, seconds FROM runs") == [
        ("finished", "solved", 1, 5100, 0.75)
    ]
    storage.close()


def test_a_reader_in_the_middle_of_reading_does_not_stop_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    storage = sqlite_storage(path, busy_seconds=0.0)
    storage.append([generation(k) for k in range(1000)])
    storage.flush()
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as reader:
        rows = reader.execute("SELECT sequence FROM generations")
        assert rows.fetchone() == (0,)
        storage.append([generation(k) for k in range(1000, 2000)])
        storage.flush()
        assert len(rows.fetchall()) == 999  # what was there when the reading began
    assert read(path, "SELECT count(*) FROM generations") == [(2000,)]
    storage.close()


def test_a_failed_fitness_is_null(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    with closing(sqlite_storage(path)) as storage:
        storage.append([generation(0, best=math.nan, coverage=math.inf), champion(1, math.nan)])
    assert read(path, "SELECT best, metrics FROM generations") == [(None, '{"coverage":null}')]
    assert read(path, "SELECT fitness FROM champions") == [(None,)]


def test_a_run_that_starts_again_is_running_again(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    with closing(sqlite_storage(path)) as storage:
        storage.append([started(0), finished(1), started(2)])
        assert read(path, "SELECT status, stop_reason FROM runs") == [("running", None)]


def test_a_run_that_is_rewound_is_running_again_and_the_others_are_left_alone(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run.db"
    for run in "ab":
        storage = sqlite_storage(path, run)
        storage.append([started(0), generation(1), individual(2), finished(3)])
        storage.close()
    storage = sqlite_storage(path, "a")
    storage.rewind(2)
    storage.close()
    assert read(path, "SELECT run, status, stop_reason IS NULL FROM runs ORDER BY run") == [
        ("a", "running", 1), ("b", "finished", 0),
    ]  # fmt: skip
    assert read(path, "SELECT run, count(*) FROM individuals GROUP BY run") == [("b", 1)]


def test_rows_wait_for_one_another_but_not_for_long(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    storage = sqlite_storage(path, commit_seconds=0.2, commit_rows=100)

    def visible(expected: int) -> None:
        """Rows are committed beside the run: soon after, not at once."""
        deadline = time.monotonic() + 10
        while read(path, "SELECT count(*) FROM generations") != [(expected,)]:
            assert time.monotonic() < deadline

    storage.append([generation(k) for k in range(99)])
    visible(0)
    storage.append([generation(99)])
    visible(100)  # commit_rows
    storage.append([generation(100)])
    time.sleep(0.25)
    storage.append([generation(101)])
    visible(102)  # commit_seconds
    storage.append([generation(102), champion(103)])
    visible(102)
    time.sleep(0.15)
    storage.append([generation(104)])
    visible(104)  # a champion waits less long
    storage.append([generation(105)])
    storage.flush()
    assert read(path, "SELECT count(*) FROM generations") == [(105,)]
    storage.append([generation(106)])
    storage.close()
    assert read(path, "SELECT count(*) FROM generations") == [(106,)]


def test_write_ahead_logging_is_on_and_the_file_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    sqlite_storage(path).close()
    assert read(path, "PRAGMA journal_mode") == [("wal",)]
    assert read(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert read(path, "PRAGMA application_id")[0][0].to_bytes(4) == b"twnn"


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    sqlite_storage(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match=r"schema version 99, this tweann writes 2: upgrade"):
        sqlite_storage(path)


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE customers (name)")
    before = path.read_bytes()
    with pytest.raises(StorageError, match="another program's database"):
        sqlite_storage(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    path.write_bytes(b"fitness,generation\n" * 100)
    with pytest.raises(StorageError, match="no SQLite database: move it away"):
        sqlite_storage(path)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"cannot open .*nowhere.*does its folder exist"):
        sqlite_storage(tmp_path / "nowhere" / "run.db")


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite:run.db", "memory:"])
def test_a_url_without_a_path_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match='expected "sqlite:///PATH"'):
        SqliteSettings(url=url)


def test_a_locked_file_says_so_and_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    storage = sqlite_storage(path, busy_seconds=0.05, commit_rows=2)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        storage.append([generation(0)])
        storage.append([champion(1)])  # begins a commit
        holds = r"cannot write .*run\.db.*another process holds its lock"
        with pytest.raises(StorageError, match=holds):
            storage.flush()
        appended: list[int] = [0, 1]

        def append_on() -> None:
            for k in range(2, 100):
                appended.append(k)
                storage.append([generation(k)])
                time.sleep(0.02)

        with pytest.raises(StorageError, match=holds):  # of a commit that an earlier call began
            append_on()
        other.execute("ROLLBACK")
    assert [event.sequence for event in storage.events()] == appended
    storage.close()


def test_two_writers_of_one_run_are_told(tmp_path: Path) -> None:
    first, second = sqlite_storage(tmp_path / "run.db"), sqlite_storage(tmp_path / "run.db")
    first.append([generation(0)])
    first.flush()
    second.append([generation(0)])
    with pytest.raises(StorageError, match="another process writes the same run"):
        second.close()
    first.close()


def test_another_thread_is_refused(tmp_path: Path) -> None:
    storage = sqlite_storage(tmp_path / "run.db", commit_rows=1)
    errors: list[BaseException] = []

    def append() -> None:
        try:
            storage.append([champion(0)])
        except StorageError as error:
            errors.append(error)

    thread = threading.Thread(target=append)
    thread.start()
    thread.join()
    assert "thread" in str(errors[0])
    storage.close()


WRITER = """
import resource, signal, sys
from tweann.errors import StorageError
from tweann.interfaces import Event
from tweann.plugins.sqlite import SqliteSettings, SqliteStorage

path, limit = sys.argv[1], int(sys.argv[2])
storage = SqliteStorage(SqliteSettings(url="sqlite:///" + path, commit_rows=50), "r")
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    for k in range(10**9 if not limit else 10**4):
        storage.append([Event(k, "plugin.note", k, {"k": k, "text": "x" * 100}, b"genome" * 10)])
        if k % 50 == 49:
            storage.flush()
            print(k, flush=True)
except StorageError as error:
    print("error:", error, flush=True)
    try:
        storage.close()
    except StorageError:
        print("closed", flush=True)
"""


@pytest.mark.parametrize("n_lines", [1, 7, 40])
def test_a_killed_process_leaves_all_that_was_committed(tmp_path: Path, n_lines: int) -> None:
    path = tmp_path / "run.db"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        for _ in range(n_lines):
            committed = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split("\n")[:-1]
    process.wait()
    committed = max([committed, *map(int, rest)])
    assert read(path, "PRAGMA integrity_check") == [("ok",)]
    with closing(sqlite_storage(path)) as storage:
        events = list(storage.events())
        assert [event.sequence for event in events] == list(range(len(events)))
        assert len(events) >= committed + 1
        assert all(event.data["k"] == event.sequence for event in events)
        storage.append([generation(len(events))])


def test_what_a_full_disk_keeps_out_waits_and_is_written_later(tmp_path: Path) -> None:
    storage = sqlite_storage(tmp_path / "run.db", commit_rows=1)
    connection = storage._connection
    assert connection is not None
    ((most,),) = connection.execute("PRAGMA max_page_count").fetchall()
    connection.execute("PRAGMA max_page_count = 1")  # full, as far as SQLite knows
    large = [Event(k, "plugin.note", k, {"text": "x" * 20_000}) for k in range(4)]
    for event in large:
        with suppress(NotNowError):  # of a commit that an earlier call began
            storage.append([event])
        with pytest.raises(
            NotNowError, match=r"cannot write .*run\.db: .* is full; .*free some space"
        ):
            storage.flush()
    assert read(tmp_path / "run.db", "SELECT count(*) FROM events") == [(0,)]
    connection.execute(f"PRAGMA max_page_count = {most}")
    storage.flush()
    assert list(storage.events()) == large
    storage.close()


def test_a_full_disk_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(path), "300000"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    *committed, error, closed = done.stdout.splitlines()
    assert error.startswith(f"error: cannot write {path}: ")
    assert "full" in error
    assert closed == "closed"
    ((count,),) = read(path, "SELECT count(*) FROM events")
    assert count == int(committed[-1]) + 1
    assert json.loads(read(path, "SELECT data FROM events WHERE sequence = 0")[0][0])["k"] == 0
