"""The SQLite storage: tables that anybody can read with SQL, while the run goes on.

`tweann.plugins.sqlite_rows` says which tables there are.
"""

from __future__ import annotations

import heapq
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from operator import attrgetter
from pathlib import Path
from time import monotonic
from typing import ClassVar, Final

from pydantic import BaseModel, Field, field_validator

from tweann.errors import NotNowError, StorageError
from tweann.interfaces import Event
from tweann.plugins.sqlite_rows import (
    MIGRATION,
    REOPEN_RUN,
    SCHEMA,
    TABLES,
    event_of,
    other_event_of,
)
from tweann.plugins.waiting_rows import CAPPED, INSERTS, Keeping, WaitingRows

#: "twnn": by this mark of SQLite's a file says whose it is.
APPLICATION_ID: Final = 0x74776E6E
SCHEMA_VERSION: Final = 2

_URL_START = "sqlite:///"
_ADVICE: Final = {
    "SQLITE_FULL": "the disk is full: free some space, or point storage.url elsewhere",
    "SQLITE_IOERR": "the disk failed: is it full, over a quota, or unplugged?",
    "SQLITE_BUSY": "another process holds its lock: let it finish, or give each run its own storage.url",
    "SQLITE_LOCKED": "another process holds its lock: let it finish, or give each run its own storage.url",
    "SQLITE_NOTADB": "the file is no SQLite database: move it away, or point storage.url elsewhere",
    "SQLITE_CORRUPT": "the file is damaged: move it away and start again, or restore a copy",
    "SQLITE_CANTOPEN": "does its folder exist, and may you write there?",
    "SQLITE_READONLY": "the file or its folder is read-only: point storage.url elsewhere",
    "SQLITE_CONSTRAINT": "another process writes the same run: give each run its own name or storage.url",
}
#: What a full disk, or a full share of one, is to SQLite.
_NOT_NOW: Final = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE")


class SqliteSettings(Keeping):
    """Section [storage] with ``url = "sqlite:///PATH"``."""

    url: str = "sqlite:///{run_dir}/run.db"
    busy_seconds: float = Field(default=10.0, ge=0, description="patience with a locked file")

    @field_validator("url")
    @classmethod
    def _has_a_path(cls, url: str) -> str:
        if not url.startswith(_URL_START) or url == _URL_START:
            raise ValueError('expected "sqlite:///PATH", with a fourth "/" if PATH is absolute')
        return url


class SqliteStorage:
    """Keeps events in one SQLite file, in write-ahead-logging mode. To be used from one thread.

    Rows wait in memory until `commit_seconds` have passed since the last commit or `commit_rows` are
    there; a champion waits for 0.1 s at most; they are committed beside the run, on a thread of the storage's own: SQLite needs no
    GIL, and waits for the disk. A start or an end of a run is committed at once. A kill at any instant loses at most what
    waited. Each table keeps its newest rows, up to its cap; the other runs in the file are left alone.

    Not for network file systems: SQLite's write-ahead log does not work there.
    """

    Settings: ClassVar[type[BaseModel]] = SqliteSettings

    def __init__(self, settings: SqliteSettings, run: str) -> None:
        """Open or create the file, and take up ``run`` where its last event left off.

        Raises:
            StorageError: the file cannot be opened, is not tweann's, or was written by a newer tweann.
        """
        self.run = run
        self.path = Path(settings.url.removeprefix(_URL_START)).absolute()
        self._settings = settings
        self._connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(
                self.path,
                timeout=settings.busy_seconds,
                isolation_level=None,
                check_same_thread=False,  # one commit at a time, and nothing else meanwhile
            )
            try:
                self._prepare(connection)
                last, self._counts = self._look_up(connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            raise self._explained(error, "open") from error
        self._waiting = WaitingRows(run, last)
        self._connection = connection
        self._last_commit = monotonic()
        self._owner = threading.get_ident()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tweann-sqlite")
        #: A commit on that thread, and its rows.
        self._under_way: tuple[Future[dict[str, int]], WaitingRows] | None = None

    def append(self, events: Sequence[Event]) -> None:
        """Add events in order; they are durable at the next commit.

        Raises:
            StorageError: a sequence number that is not higher than all before it, data that lacks a key of
                its kind or is not JSON: that event and those after it are not taken. Or the commit failed:
                then all are taken and wait, and the next call tries again; so does what a commit failed with that
                an earlier call began. `NotNowError` if the disk is full.
        """
        connection = self._open_connection("append")
        for event in events:
            self._waiting.take(event)
        if not self._waiting.due(monotonic() - self._last_commit, self._settings):
            return
        if self._waiting.changes:
            self.flush()
            return
        if self._under_way is not None:
            if not (self._under_way[0].done() or self._waiting.due(0.0, self._settings)):
                return  # only late, not many
            self._settle()
        rows, self._waiting = self._waiting, WaitingRows(self.run, self._waiting.last)
        self._under_way = self._thread.submit(self._commit, connection, rows), rows
        self._last_commit = monotonic()

    def events(self, kind: str | None = None) -> Iterator[Event]:
        """Give this run's events in order, all or of one kind, after a flush.

        Raises:
            StorageError: the file cannot be read.
        """
        self.flush()
        connection = self._open_connection("events")
        kinds = TABLES if kind is None else {kind} & TABLES.keys()
        streams = [self._select(connection, TABLES[k].name, k) for k in kinds]
        if kind not in TABLES:
            streams.append(self._select(connection, "events", kind))
        return heapq.merge(*streams, key=attrgetter("sequence"))

    def rewind(self, sequence: int) -> None:
        """Delete this run's events from ``sequence`` on, in one transaction; the run counts as running again.

        Raises:
            StorageError: it cannot be written; then nothing is deleted.
        """
        self.flush()
        connection = self._open_connection("rewind")
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                for name in INSERTS:
                    connection.execute(
                        f"DELETE FROM {name} WHERE run = ? AND sequence >= ?", (self.run, sequence)
                    )
                connection.execute(REOPEN_RUN, (self.run,))
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            last, self._counts = self._look_up(connection)
        except sqlite3.Error as error:
            raise self._explained(error, "write") from error
        self._waiting = WaitingRows(self.run, last)

    def flush(self) -> None:
        """Commit what waits.

        Raises:
            StorageError: it cannot be written; it goes on waiting.
        """
        connection = self._open_connection("flush")
        self._settle()
        if not self._waiting.n:
            return
        try:
            self._counts = self._commit(connection, self._waiting)
        except (sqlite3.Error, ValueError, OverflowError) as error:
            raise self._explained(error, "write") from error
        self._waiting.forget(self._waiting.last)
        self._last_commit = monotonic()

    def _settle(self) -> None:
        """Wait for the commit that is under way; what it could not write waits again, before all else.

        Raises:
            StorageError: it could not.
        """
        if self._under_way is None:
            return
        future, rows = self._under_way
        try:
            self._counts = future.result()
        except (sqlite3.Error, ValueError, OverflowError) as error:
            self._under_way = None
            rows.extend(self._waiting)
            self._waiting = rows
            raise self._explained(error, "write") from error
        self._under_way = None

    def close(self) -> None:
        """Commit what waits and close the file. Idempotent.

        Raises:
            StorageError: the rest cannot be written; the file is closed all the same.
        """
        if self._connection is None:
            return
        try:
            self.flush()
        finally:
            self._thread.shutdown()
            self._connection.close()
            self._connection = None

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Create the tables in a new file; refuse a file that is not one of ours."""
        if _pragma(connection, "user_version") == 0 and self._is_empty(connection):
            # All are kept in the file, so this is done once in its life. Large pages: packed births are written in
            # half the time.
            connection.execute("PRAGMA page_size = 16384")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            if self._is_empty(connection):  # else another process was faster
                for statement in SCHEMA:
                    connection.execute(statement)
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        if _pragma(connection, "application_id") != APPLICATION_ID:
            raise StorageError(
                f"{self.path} is another program's database: point storage.url to a file of its own"
            )
        version = _pragma(connection, "user_version")
        if version > SCHEMA_VERSION:
            raise StorageError(
                f"{self.path} has schema version {version}, this tweann writes {SCHEMA_VERSION}: "
                "upgrade tweann, or point storage.url to another file"
            )
        if version < SCHEMA_VERSION:
            connection.execute("BEGIN IMMEDIATE")
            for statement in MIGRATION if _pragma(connection, "user_version") == version else ():
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
            connection.execute("COMMIT")
        # A commit then costs no wait for the disk. A crash of the machine may lose the last commits, but
        # never tears the file; a crash of the process loses none.
        connection.execute("PRAGMA synchronous = NORMAL")

    @staticmethod
    def _is_empty(connection: sqlite3.Connection) -> bool:
        return connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None

    def _look_up(self, connection: sqlite3.Connection) -> tuple[int, dict[str, int]]:
        """Return this run's highest sequence number (-1: none), and how many rows each table has of it."""
        last, counts = -1, {}
        for name in INSERTS:
            (n,) = connection.execute(
                f"SELECT count(*) FROM {name} WHERE run = ? {CAPPED.get(name, '')}", (self.run,)
            ).fetchone()
            (highest,) = connection.execute(
                f"SELECT max(sequence) FROM {name} WHERE run = ?", (self.run,)
            ).fetchone()
            counts[name] = n
            last = max(last, -1 if highest is None else highest)
        return last, counts

    def _commit(self, connection: sqlite3.Connection, waiting: WaitingRows) -> dict[str, int]:
        """Write what waits and trim the tables, all or nothing; return the new numbers of rows."""
        counts = waiting.counted(self._counts)
        # IMMEDIATE: a transaction that begins as a reader cannot always become a writer later.
        connection.execute("BEGIN IMMEDIATE")
        try:
            for _, statement, row in waiting.changes:
                connection.execute(statement, row)
            for name, rows in waiting.tables.items():
                connection.executemany(INSERTS[name], rows)
            for statement, values in waiting.trimming(counts, self._settings, "?"):
                connection.execute(statement, values)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite ends it by itself after some errors
                connection.execute("ROLLBACK")
            raise
        return counts

    def _select(
        self, connection: sqlite3.Connection, table: str, kind: str | None
    ) -> Iterator[Event]:
        condition, values = "", [self.run]
        if table == "events" and kind is not None:
            condition = "AND kind = ?"
            values.append(kind)
        try:
            for row in connection.execute(
                f"SELECT * FROM {table} WHERE run = ? {condition} ORDER BY sequence", values
            ):
                yield other_event_of(row) if table == "events" else event_of(str(kind), row)
        except sqlite3.Error as error:
            raise self._explained(error, "read") from error

    def _open_connection(self, action: str) -> sqlite3.Connection:
        if self._connection is None:
            raise StorageError(f"run {self.run}: {action} on a storage that is closed")
        if threading.get_ident() != self._owner:
            raise StorageError(
                f"run {self.run}: {action} on another thread than that which opened the storage: give it one of its own"
            )
        return self._connection

    def _explained(self, error: Exception, action: str) -> StorageError:
        code = getattr(error, "sqlite_errorname", "")
        # Extended codes such as SQLITE_IOERR_WRITE begin with the one that they extend.
        advice = _ADVICE.get("_".join(code.split("_")[:2]))
        kind = NotNowError if code in _NOT_NOW else StorageError
        return kind(f"cannot {action} {self.path}: {error}{f'; {advice}' if advice else ''}")


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
