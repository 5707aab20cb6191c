"""The PostgreSQL storage, against a server of its own."""

from __future__ import annotations

import contextlib
import copy
import itertools
import json
import math
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from postgres_server import PostgresServer, binaries
from pydantic import ValidationError
from small_disks import fill, small_disk

import tweann
from tweann import runs
from tweann.ancestry import line_of
from tweann.cli import main
from tweann.errors import NotNowError, StorageError
from tweann.interfaces import Event, Storage
from tweann.plugins.postgres import SCHEMA_VERSION, PostgresSettings, PostgresStorage
from tweann.plugins.sqlite import SqliteSettings, SqliteStorage
from tweann.testing import StorageContract
from tweann.testing.events import (
    ancestors,
    champion,
    finished,
    generation,
    individual,
    lineage,
    started,
    whole_run,
)
from tweann.testing.storage import Open

PROGRAMS = binaries()
pytestmark = pytest.mark.skipif(PROGRAMS is None, reason="PostgreSQL's server is not installed")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    assert PROGRAMS is not None
    server = PostgresServer(PROGRAMS)
    yield server
    server.close()


NUMBERS = itertools.count()


@pytest.fixture
def url(server: PostgresServer) -> str:
    """The URL of a new, empty database."""
    name = f"test{next(NUMBERS)}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return server.url(name)


@pytest.fixture
def open_storage(url: str) -> Iterable[Open]:
    opened: list[PostgresStorage] = []

    def open_storage(run: str = "r", **settings: Any) -> Storage:
        opened.append(postgres(url, run, **settings))
        return opened[-1]

    yield open_storage
    for storage in opened:
        storage.close()


@pytest.fixture
def disk() -> Iterator[Path]:
    # pytest's own folders are for the eyes of one user alone, and the server is another.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        with small_disk(Path(folder)) as disk:
            yield disk


def postgres(url: str, run: str = "r", **settings: Any) -> PostgresStorage:
    return PostgresStorage(PostgresSettings(url=url, **settings), run)


def read(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Read as somebody else would, while the run goes on."""
    with psycopg.connect(url, options="-c search_path=tweann") as connection:
        return connection.execute(statement.encode()).fetchall()


class TestPostgres(StorageContract):
    """The contract; each test has a schema of its own."""

    storage = PostgresStorage

    @pytest.fixture(autouse=True)
    def _place(self, url: str) -> None:
        self.url = url

    def settings_in(self, folder: Path, **settings: Any) -> dict[str, Any]:
        return {"url": self.url, **settings}


def test_a_generation_costs_little(open_storage: Open) -> None:
    storage = open_storage()

    def seconds_per_event(start: int) -> float:
        begin = time.perf_counter()
        for k in range(start, start + 1000):
            storage.append([generation(k, n_species=7.0, mean_age=3.25)])
        storage.flush()
        return (time.perf_counter() - begin) / 1000

    # More than SQLite's: the server is another process, and shares the cores with this one.
    assert min(seconds_per_event(1000 * k) for k in range(5)) < 400e-6


def test_each_table_keeps_its_newest_rows(open_storage: Open) -> None:
    caps = {"max_generations": 5, "max_individuals": 3}
    storage = open_storage(**caps, commit_rows=3)
    storage.append([started(0)])
    for k in range(1, 21):
        storage.append([generation(k)])
    storage.append([individual(k) for k in range(21, 30)])
    storage.append([finished(30)])
    expected = [0, 16, 17, 18, 19, 20, 27, 28, 29, 30]
    assert [event.sequence for event in storage.events()] == expected
    storage.close()
    again = open_storage(**caps)
    again.append([generation(31)])
    assert [e.sequence for e in again.events("generation")] == [17, 18, 19, 20, 31]


def test_a_run_is_taken_up_where_it_was(open_storage: Open) -> None:
    storage = open_storage()
    storage.append(whole_run())
    storage.close()
    storage = open_storage()
    assert list(storage.events()) == whole_run()
    with pytest.raises(StorageError, match="after event 7"):
        storage.append([generation(7)])
    storage.append([started(8)])
    assert [event.sequence for event in storage.events()] == list(range(9))


def test_runs_of_several_writers_do_not_meet(open_storage: Open) -> None:
    writers = [open_storage(f"run{k}", commit_rows=7) for k in range(4)]
    for k in range(100):
        for writer in writers:
            writer.append([generation(k)])
    for writer in writers:
        assert [event.sequence for event in writer.events()] == list(range(100))


def test_two_writers_of_one_run_are_told(open_storage: Open) -> None:
    first, second = open_storage(), open_storage()
    first.append([champion(0)])
    first.flush()
    second.append([champion(0)])
    with pytest.raises(
        StorageError, match=r"another process writes the run r to .*each run its own"
    ):
        second.flush()
    first.close()
    with pytest.raises(StorageError, match="another process writes the same run"):
        second.close()


def test_others_read_columns_while_the_run_goes_on(open_storage: Open, url: str) -> None:
    storage = open_storage()
    storage.append(whole_run()[:-1])
    storage.flush()
    assert read(url, "SELECT name, seed, status, solved FROM runs") == [
        ("xor", 2**63 - 1, "running", None)
    ]
    assert read(url, "SELECT generation, best, worst, n_failed FROM generations") == [
        (0, 2.5, -math.inf, 3),
        (1, 2.5, -math.inf, 3),
    ]
    assert read(url, "SELECT metrics->>'n_species' FROM generations") == [("4.0",), (None,)]
    assert read(url, "SELECT fitness, solved, genome FROM champions") == [
        (3.5, True, b"\x00genome\xff")
    ]
    assert read(url, "SELECT data->>'text' FROM events WHERE sequence = 3") == [("héllo",)]
    storage.append(whole_run()[-1:])
    assert read(url, "SELECT status, stop_reason, solved, n_evaluations, seconds FROM runs") == [
        ("finished", "solved", True, 5100, 0.75)
    ]
    assert read(url, "SELECT version FROM tweann_schema") == [(SCHEMA_VERSION,)]


def test_a_failed_fitness_is_null(open_storage: Open, url: str) -> None:
    storage = open_storage()
    storage.append([generation(0, best=math.nan), champion(1, math.nan)])
    storage.flush()
    assert read(url, "SELECT best FROM generations") == [(None,)]
    assert read(url, "SELECT fitness FROM champions") == [(None,)]


def test_an_event_that_cannot_be_kept_is_refused_and_hurts_no_other(open_storage: Open) -> None:
    storage = open_storage()
    with pytest.raises(StorageError, match="lacks the key 'n_evaluations'; it has best"):
        storage.append([Event(0, "generation", 0, {"best": 1.0})])
    with pytest.raises(StorageError, match="is not made of JSON values"):
        storage.append([Event(0, "plugin.note", 0, {"x": object()})])
    storage.append([generation(0)])
    assert list(storage.events()) == [generation(0)]


def test_a_newer_schema_is_refused(open_storage: Open, url: str) -> None:
    open_storage().close()
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE tweann.tweann_schema SET version = 99")
    with pytest.raises(StorageError, match="schema version 99, this tweann writes 2: upgrade"):
        open_storage()


def test_another_schema_is_another_place(open_storage: Open) -> None:
    open_storage(db_schema="one").append([generation(0)])
    assert list(open_storage(db_schema="two").events()) == []


def test_many_that_begin_at_once_make_the_tables_once(url: str) -> None:
    code = (
        "import sys; from test_storages_postgres import postgres, generation; "
        "s = postgres(sys.argv[1], sys.argv[2]); s.append([generation(0)]); s.close()"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, url, f"run{k}"], cwd=Path(__file__).parent)
        for k in range(3)
    ]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    assert read(url, "SELECT count(*) FROM generations") == [(3,)]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("postgres:db", 'expected "postgres://USER@HOST/DATABASE"'),
        ("sqlite:///x", 'expected "postgres://USER@HOST/DATABASE"'),
        ("postgres://me:secret@host/db", "no password in the URL"),
        ("postgres://host/db?password=secret", "no password in the URL"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(bad: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        PostgresSettings(url=bad)


def test_a_database_that_is_not_there_is_named(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(StorageError, match="cannot open postgres://tweann@/nowhere: "):
        postgres(f"postgres://tweann@/nowhere?host={tmp_path}")
    assert time.monotonic() - start < 20.0


def test_a_database_that_goes_away_and_returns_loses_nothing(
    open_storage: Open, url: str, server: PostgresServer
) -> None:
    storage = open_storage(commit_rows=10)
    storage.append([generation(k) for k in range(25)])
    server.stop()
    try:
        for k in range(25, 60):
            with contextlib.suppress(NotNowError):
                storage.append([generation(k)])
        with pytest.raises(NotNowError, match="cannot write postgres://"):
            storage.append([champion(60), champion(61)])
    finally:
        server.start()
    storage.append([champion(62)])
    assert [event.sequence for event in storage.events()] == list(range(63))
    assert read(url, "SELECT count(*) FROM generations") == [(60,)]


def test_a_connection_that_is_cut_is_made_again(open_storage: Open, url: str) -> None:
    storage = open_storage(commit_rows=5)
    for k in range(40):
        storage.append([generation(k)])
        if k % 10 == 7:
            read(
                url,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()",
            )
    assert [event.sequence for event in storage.events()] == list(range(40))


def test_a_database_whose_disk_is_full_takes_all_when_there_is_room(
    open_storage: Open, url: str, server: PostgresServer, disk: Path
) -> None:
    storage = open_storage(commit_rows=10)
    storage.append([generation(k) for k in range(10)])
    place = disk / "tables"
    place.mkdir()
    server.own(place)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE TABLESPACE small LOCATION '{place}'".encode())
        for table in ("generations", "champions"):
            connection.execute(f"ALTER TABLE tweann.{table} SET TABLESPACE small".encode())
    fill(disk / "ballast")
    n = 10
    try:
        with contextlib.suppress(NotNowError):
            while n < 10_000:  # pages that are there have some room
                n += 1
                storage.append([generation(n - 1)])
        with pytest.raises(NotNowError, match=r"cannot write postgres://.*No space left on device"):
            storage.append([champion(n)])
        (disk / "ballast").unlink()
        storage.append([generation(n + 1)])
        assert [event.sequence for event in storage.events()] == list(range(n + 2))
    finally:
        storage.close()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA tweann CASCADE")
            connection.execute("DROP TABLESPACE small")


def test_a_commit_whose_confirmation_was_lost_is_not_written_twice(open_storage: Open) -> None:
    storage = open_storage()
    assert isinstance(storage, PostgresStorage)
    storage.append([generation(0)])
    storage.append([generation(1)])
    waiting = copy.copy(storage._waiting)
    waiting.tables = dict(waiting.tables)
    storage.flush()
    # As if the connection had broken between the commit and its confirmation.
    storage._waiting = waiting
    storage._disconnect()
    storage.append([generation(2)])
    assert [event.sequence for event in storage.events()] == [0, 1, 2]


CONFIG = {
    "run": {"generations": 4, "seed": 3, "stop_when_solved": False},
    "task": {"name": "xor"},
    "strategy": {"population": 20},
    "observers": {},
}


def test_a_run_is_kept_and_read_as_with_sqlite(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    for storage in (url, "sqlite:///{run_dir}/run.db"):
        out = tmp_path / storage[:6]
        result = tweann.run(CONFIG | {"storage": {"url": storage}}, out=out)
        assert result.run_dir is not None
        stored = runs.open_run("latest", out)
        assert stored.summary.status == "finished"
        assert [row["generation"] for row in stored.generations()] == [0, 1, 2, 3]
        for name in ("champion.json", "champion.tweann"):  # then the database alone knows
            (result.run_dir / name).unlink()
        assert main(["show", "latest", "--out", str(out), "--json"]) == 0
        summary = json.loads(capsys.readouterr().out)
        assert main(["list", "--out", str(out), "--json"]) == 0
        (row,) = json.loads(capsys.readouterr().out)
        assert row["champion_fitness"] == summary["champion_fitness"]
        assert main(["export", "latest", "--out", str(out)]) == 0
        exported = json.loads(capsys.readouterr().out)
        for volatile in ("run", "run_dir", "seconds", "started", "updated"):
            del summary[volatile]
        for report in summary["generation_reports"]:
            del report["seconds"]
        shown.append((summary, exported))
    assert shown[0] == shown[1]


def test_a_run_has_the_lineage_that_it_has_with_sqlite(url: str, tmp_path: Path) -> None:
    config = CONFIG | {"lineage": {"batch": 20, "max_births": 1}}
    config = config | {"run": {**config["run"], "generations": 30}}  # type: ignore[dict-item] # a table
    ours = tweann.run(config | {"storage": {"url": url}}, out=tmp_path / "a").run_dir
    theirs = tweann.run(config, out=tmp_path / "b").run_dir
    assert ours is not None
    assert theirs is not None
    here, there = runs.open_run("latest", tmp_path / "a"), runs.open_run("latest", tmp_path / "b")
    assert line_of(here).data() == line_of(there).data()
    names = "birth, parent_a, parent_b, species, generation, mutations, operator, origin"
    with contextlib.closing(sqlite3.connect(theirs / "run.db")) as connection:
        births = connection.execute(f"SELECT {names} FROM births ORDER BY birth").fetchall()
        deaths = connection.execute("SELECT birth, generation FROM deaths ORDER BY 1").fetchall()
    assert len(births) > 300
    assert read(url, f"SELECT {names} FROM births ORDER BY birth") == births
    assert read(url, "SELECT birth, generation FROM deaths ORDER BY 1") == deaths


def test_a_database_of_schema_1_is_brought_up_to_date(open_storage: Open, url: str) -> None:
    open_storage().close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP VIEW tweann.births, tweann.deaths")
        connection.execute("DROP TABLE tweann.lineage, tweann.ancestors")
        connection.execute("UPDATE tweann.tweann_schema SET version = 1")
    storage = open_storage()
    storage.append([lineage(0), ancestors(1)])
    storage.flush()
    assert read(url, "SELECT version FROM tweann_schema") == [(2,)]
    assert read(url, "SELECT count(*) FROM births") == [(2,)]


def test_a_run_goes_to_another_storage_and_back_with_all_its_events(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = CONFIG | {"lineage": {"batch": 20}, "observers": {}}
    folder = tweann.run(config, out=tmp_path).run_dir
    assert folder is not None
    back = f"sqlite:///{tmp_path}/back.db"
    assert main(["import", str(folder), "--to", url, "--json"]) == 0
    copied = json.loads(capsys.readouterr().out)
    first = SqliteStorage(SqliteSettings(url=f"sqlite:///{folder}/run.db"), folder.name)
    second = postgres(url, folder.name)
    original = list(first.events())
    assert copied == {"run": folder.name, "url": url, "events": len(original)}
    assert list(second.events()) == original
    text = re.sub(r"busy_seconds = .*", "", (folder / "config.toml").read_text())
    (folder / "config.toml").write_text(text.replace("sqlite:///{run_dir}/run.db", url))
    assert main(["import", str(folder), "--to", back]) == 0
    third = SqliteStorage(SqliteSettings(url=back), folder.name)
    assert list(third.events()) == original
    for storage in (first, second, third):
        storage.close()
    assert main(["import", str(folder), "--to", back]) == 2
    assert "already" in capsys.readouterr().err
