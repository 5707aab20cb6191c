"""The PostgreSQL storage: many runs of many machines in one database, in tables that anybody can read with SQL.

The tables are those of the SQLite storage (`tweann.plugins.sqlite_rows`), in a schema of their own.
"""

from __future__ import annotations

import heapq
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, field_validator

from tweann.errors import MissingExtraError, NotNowError, StorageError
from tweann.interfaces import Event
from tweann.plugins.lineage_views import births_view, deaths_view
from tweann.plugins.sqlite_rows import (
    FINISH_RUN,
    REOPEN_RUN,
    START_RUN,
    TABLES,
    Row,
    Table,
    event_of,
    other_event_of,
)
from tweann.plugins.waiting_rows import CAPPED, INSERTS, Keeping, WaitingRows

try:
    import psycopg
    from psycopg import sql
    from psycopg.types.string import TextLoader
except ImportError:
    raise MissingExtraError(
        "storage postgres needs psycopg: pip install 'tweann[postgres]'"
    ) from None

if TYPE_CHECKING:
    Connection = psycopg.Connection[tuple[Any, ...]]

SCHEMA_VERSION: Final = 2
#: Locks of other programs in the same database have other first halves.
_LOCK: Final = 0x74776E6E
_MAKING: Final = 0

_TYPES: Final = {"INTEGER": "BIGINT", "REAL": "DOUBLE PRECISION", "BLOB": "BYTEA"}
_KEY: Final = "run TEXT NOT NULL, sequence BIGINT NOT NULL, generation BIGINT NOT NULL"
_RUN_COLUMNS: Final = (
    "run TEXT PRIMARY KEY, name TEXT, seed BIGINT, version TEXT, started TEXT, status TEXT NOT NULL, "
    "stop_reason TEXT, solved BOOLEAN, n_evaluations BIGINT, seconds DOUBLE PRECISION, config TEXT"
)
_RUN_CHANGES: Final = {
    START_RUN: "INSERT INTO runs (run, name, seed, version, started, config, status) "
    "VALUES (%s, %s, %s, %s, %s, %s, 'running') ON CONFLICT (run) DO UPDATE SET name = EXCLUDED.name, "
    "seed = EXCLUDED.seed, version = EXCLUDED.version, started = EXCLUDED.started, "
    "config = EXCLUDED.config, status = EXCLUDED.status, stop_reason = NULL, solved = NULL, "
    "n_evaluations = NULL, seconds = NULL",
    FINISH_RUN: FINISH_RUN.replace("?", "%s"),
}
_LOCK_SECONDS: Final = 2.0

T = TypeVar("T")


class PostgresSettings(Keeping):
    """Section [storage] with ``url = "postgres://USER@HOST/DATABASE"``."""

    url: str
    db_schema: str = Field(
        "tweann", pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="schema that the tables are in"
    )
    connect_seconds: float = Field(10.0, gt=0, description="patience with one attempt to connect")

    @field_validator("url")
    @classmethod
    def _names_a_database(cls, url: str) -> str:
        if not re.match(r"postgres(ql)?://", url):
            raise ValueError('expected "postgres://USER@HOST/DATABASE"')
        if urlsplit(url).password is not None or "password=" in url:
            raise ValueError(
                "expected no password in the URL, since configurations are written down in many places: "
                "put it into ~/.pgpass or the environment variable PGPASSWORD"
            )
        return url


class PostgresStorage:
    """Keeps events in a PostgreSQL database. To be used from one thread.

    Rows wait in memory until `commit_seconds` have passed since the last commit or `commit_rows` are there; a
    champion waits for 0.1 s at most, a start or an end of a run not at all. A connection that broke is made again.
    One process at a time may write a run: a lock in the database sees to it.
    """

    Settings: ClassVar[type[BaseModel]] = PostgresSettings

    def __init__(self, settings: PostgresSettings, run: str) -> None:
        """Connect, make the tables where there are none, and take up ``run`` where its last event left off.

        Raises:
            StorageError: the database cannot be reached or used, was written by a newer tweann, or another
                process writes this run.
        """
        self.run = run
        self._settings = settings
        self._place = _without_parameters(settings.url)
        self._connection: Connection | None = None
        self._holds_lock = False
        self._closed = False
        last, self._counts = self._explain("open", self._connect)
        self._waiting = WaitingRows(run, last, _without_nan)
        self._last_commit = time.monotonic()

    def append(self, events: Sequence[Event]) -> None:
        """Add events in order; they are durable at the next commit.

        Raises:
            StorageError: a sequence number that is not higher than all before it, data that lacks a key of its
                kind or is not JSON: that event and those after it are not taken. Or the commit failed: then all
                are taken and wait. `NotNowError` if the database is away, or its disk full.
        """
        self._require_open("append")
        for event in events:
            self._waiting.take(event)
        if self._waiting.due(time.monotonic() - self._last_commit, self._settings):
            self.flush()

    def events(self, kind: str | None = None) -> Iterator[Event]:
        """Give this run's events in order, all or of one kind, after a flush.

        Raises:
            StorageError: the database cannot be read.
        """
        self.flush()
        kinds = TABLES if kind is None else {kind} & TABLES.keys()
        streams = [self._select(TABLES[k].name, k) for k in kinds]
        if kind not in TABLES:
            streams.append(self._select("events", kind))
        return heapq.merge(*streams, key=attrgetter("sequence"))

    def rewind(self, sequence: int) -> None:
        """Delete this run's events from ``sequence`` on, in one transaction; the run counts as running again.

        Raises:
            StorageError: it cannot be written; then nothing is deleted.
        """
        self.flush()
        self._explain("write", lambda: self._delete_from(sequence))

    def _delete_from(self, sequence: int) -> None:
        connection = self._for_writing()
        with connection.transaction():
            for name in INSERTS:
                connection.execute(
                    f"DELETE FROM {name} WHERE run = %s AND sequence >= %s", (self.run, sequence)
                )
            connection.execute(REOPEN_RUN.replace("?", "%s"), (self.run,))
        last, self._counts = self._look_up(connection)
        self._waiting = WaitingRows(self.run, last, _without_nan)

    def flush(self) -> None:
        """Commit what waits.

        Raises:
            StorageError: it cannot be written; it goes on waiting.
        """
        self._require_open("flush")
        if not self._waiting.n:
            return
        connected = self._connection is not None
        try:
            self._explain("write", self._commit)
        except NotNowError:
            if not connected or self._connection is not None:
                raise
            self._explain("write", self._commit)  # only the connection broke, it may be

    def close(self) -> None:
        """Commit what waits and let go. Idempotent.

        Raises:
            StorageError: the rest cannot be written; the connection is closed all the same.
        """
        if self._closed:
            return
        try:
            self.flush()
        finally:
            self._closed = True
            self._disconnect()

    @classmethod
    def read_rows(
        cls, settings: PostgresSettings, run: str, table: str, newest: int | None = None
    ) -> list[dict[str, Any]]:
        """Return rows of a table in order, or only the ``newest``, as `tweann show` reads them.

        Raises:
            StorageError: the database cannot be reached or read.
        """
        place = _without_parameters(settings.url)
        if table not in {"runs", "events", *INSERTS}:
            raise StorageError(f"{place} has no table {table!r}")
        order = "" if table == "runs" else "ORDER BY sequence DESC"
        limit = "" if newest is None else f"LIMIT {newest:d}"
        try:
            with _connected(settings) as connection:
                connection.read_only = True
                _use(connection, settings.db_schema)
                cursor = connection.execute(
                    f"SELECT * FROM {table} WHERE run = %s {order} {limit}", (run,)
                )
                names = [column.name for column in cursor.description or ()]
                rows = [dict(zip(names, row, strict=True)) for row in cursor]
        except psycopg.errors.UndefinedTable:
            return []  # nothing was written yet
        except psycopg.Error as error:
            raise StorageError(f"cannot read {place}: {_text(error)}") from error
        return rows[::-1]

    # ---------------------------------------------------------------- connection

    def _connect(self) -> tuple[int, dict[str, int]]:
        """Connect and prepare; return this run's highest sequence number, and how many rows each table has of it."""
        connection = _connected(self._settings)
        try:
            _prepare(connection, self._settings.db_schema, self._place)
            found = self._look_up(connection)
        except BaseException:
            connection.close()
            raise
        self._connection, self._holds_lock = connection, False
        return found

    def _for_writing(self) -> Connection:
        """Return the connection, with the run's lock: whoever only reads holds none."""
        connection = self._reconnect()
        if not self._holds_lock:
            if not self._lock(connection):
                raise NotNowError(
                    f"another process writes the run {self.run} to {self._place}: give each run its own name"
                )
            self._holds_lock = True
        return connection

    def _lock(self, connection: Connection) -> bool:
        """Take the run's lock, with some patience: a process that was killed just now may still seem to hold it."""
        deadline = time.monotonic() + _LOCK_SECONDS
        name = f"{self._settings.db_schema}.{self.run}"
        statement = "SELECT pg_try_advisory_lock(%s, hashtext(%s))"
        while not _one(connection, statement, (_LOCK, name))[0]:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _look_up(self, connection: Connection) -> tuple[int, dict[str, int]]:
        last, counts = -1, {}
        for name in INSERTS:
            counts[name], highest = _one(
                connection,
                f"SELECT count(*) FILTER (WHERE true {CAPPED.get(name, '')}), max(sequence) FROM {name} "
                "WHERE run = %s",
                (self.run,),
            )
            last = max(last, -1 if highest is None else highest)
        return last, counts

    def _reconnect(self) -> Connection:
        """Return the connection, made anew if it is broken; what was committed after all waits no longer."""
        if self._connection is not None and not self._connection.broken:
            return self._connection
        self._disconnect()
        last, self._counts = self._connect()
        self._waiting.forget(
            last
        )  # the connection may have broken between a commit and its confirmation
        return self._connection  # type: ignore[return-value] # it was just made

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _require_open(self, action: str) -> None:
        if self._closed:
            raise StorageError(f"run {self.run}: {action} on a storage that is closed")

    def _explain(self, action: str, function: Callable[[], T]) -> T:
        """Return what ``function`` returns; the database's errors say what to do."""
        try:
            return function()
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            self._disconnect()
            raise NotNowError(f"cannot {action} {self._place}: {_text(error)}") from error
        except psycopg.errors.UniqueViolation as error:
            raise StorageError(
                f"cannot {action} {self._place}: another process writes the same run: give each run its own name"
            ) from error
        except (psycopg.Error, ValueError, OverflowError) as error:
            raise StorageError(f"cannot {action} {self._place}: {_text(error)}") from error

    # ----------------------------------------------------------------------- rows

    def _commit(self) -> None:
        """Write the buffer and trim the tables, all or nothing."""
        connection = self._for_writing()
        if not self._waiting.n:
            return
        waiting = self._waiting
        counts = waiting.counted(self._counts)
        with connection.transaction(), connection.cursor() as cursor:
            for _, statement, row in waiting.changes:
                cursor.execute(_RUN_CHANGES[statement], row)
            for name, rows in waiting.tables.items():
                with cursor.copy(f"COPY {name} FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)
            for statement, values in waiting.trimming(counts, self._settings, "%s"):
                cursor.execute(statement, values)
        self._counts = counts
        waiting.forget(waiting.last)
        self._last_commit = time.monotonic()

    def _select(self, table: str, kind: str | None) -> Iterator[Event]:
        condition, values = "", [self.run]
        if table == "events" and kind is not None:
            condition = "AND kind = %s"
            values.append(kind)
        statement = f"SELECT * FROM {table} WHERE run = %s {condition} ORDER BY sequence"
        rows = self._explain(
            "read", lambda: self._reconnect().execute(statement, values).fetchall()
        )
        for row in rows:
            yield other_event_of(row) if table == "events" else event_of(str(kind), row)


def _connected(settings: PostgresSettings) -> Connection:
    connection = psycopg.connect(
        settings.url,
        autocommit=True,
        connect_timeout=max(2, math.ceil(settings.connect_seconds)),
        application_name="tweann",
        # So that a network that swallows everything is noticed within a minute.
        keepalives_idle=10,
        keepalives_interval=10,
        keepalives_count=3,
        tcp_user_timeout=40_000,
    )
    for name, value in (("idle", 10), ("interval", 10), ("count", 3)):  # the server's side of it
        connection.execute(f"SET tcp_keepalives_{name} = {value}")
    # As text: what the rows of SQLite hold, so that both are read alike.
    connection.adapters.register_loader("json", TextLoader)
    return connection


def _use(connection: Connection, schema: str) -> None:
    connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(schema)))


def _prepare(connection: Connection, schema: str, place: str) -> None:
    """Make the tables where there are none; refuse those of a newer tweann."""
    with connection.transaction():
        # Two that begin at once would both find no tables, and one would fail to make them.
        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (_LOCK, _MAKING))
        (there,) = _one(connection, "SELECT to_regclass(%s)::text", (f"{schema}.tweann_schema",))
        if there is None:
            connection.execute(
                sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema))
            )
            _use(connection, schema)
            for statement in _schema():
                connection.execute(statement)
        _use(connection, schema)
        (version,) = _one(connection, "SELECT version FROM tweann_schema", ())
        for statement in _migration() if version < SCHEMA_VERSION else ():
            connection.execute(statement)
    if version > SCHEMA_VERSION:
        raise StorageError(
            f"{place} has schema version {version}, this tweann writes {SCHEMA_VERSION}: upgrade tweann, or set "
            "another storage.db_schema"
        )


def _schema() -> Iterator[str]:
    yield "CREATE TABLE tweann_schema (version BIGINT NOT NULL)"
    yield f"INSERT INTO tweann_schema VALUES ({SCHEMA_VERSION})"
    yield f"CREATE TABLE runs ({_RUN_COLUMNS})"
    for table in TABLES.values():
        yield _table(table)
    yield f"CREATE TABLE events ({_KEY}, kind TEXT NOT NULL, data JSON, genome BYTEA, PRIMARY KEY (run, sequence))"
    yield births_view(postgres=True)
    yield deaths_view(postgres=True)


def _migration() -> Iterator[str]:
    """Give what brings schema 1 up to date."""
    yield _table(TABLES["lineage"])
    yield _table(TABLES["ancestors"])
    yield births_view(postgres=True)
    yield deaths_view(postgres=True)
    yield f"UPDATE tweann_schema SET version = {SCHEMA_VERSION}"


def _table(table: Table) -> str:
    columns = "".join(f"{name} {_TYPES.get(kind, kind)}, " for name, kind in table.columns)
    return f"CREATE TABLE {table.name} ({_KEY}, {columns}extra JSON, genome BYTEA, PRIMARY KEY (run, sequence))"


def _one(connection: Connection, statement: str, values: Sequence[Any]) -> tuple[Any, ...]:
    row = connection.execute(statement, values).fetchone()
    if row is None:
        raise StorageError(f"the database gave no row for: {statement}")
    return row


def _without_nan(row: Row) -> Row:
    """Return a row with NULL for NaN, as SQLite stores it."""
    return tuple(None if value != value else value for value in row)


def _without_parameters(url: str) -> str:
    """Return the URL without what may be nobody's business."""
    return url.partition("?")[0]


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
