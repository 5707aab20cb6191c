"""A run's folder, read: also while the run goes on, and when files are missing."""

from __future__ import annotations

import json
import math
import sqlite3
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tweann.errors import FormatError, StorageError
from tweann.interfaces import Readable

if TYPE_CHECKING:
    from tweann.genome import Genome

CONFIG_FILE: Final = "config.toml"
DATABASE_FILE: Final = "run.db"
METRICS_FILE: Final = "metrics.jsonl"
CHAMPION_FILE: Final = "champion.tweann"
CHAMPION_JSON: Final = "champion.json"
ENVIRONMENT_FILE: Final = "environment.json"

#: How a folder's name begins, and how long that is.
TIME_FORMAT: Final = "%Y%m%d-%H%M%S"
TIME_LENGTH: Final = 15

#: The newest schema of ``run.db`` that is understood here.
SCHEMA_VERSION: Final = 2

_SQLITE_URL = "sqlite:///"
#: A line of metrics is some hundred bytes; in this much of a file's end there is a whole one.
_TAIL_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run in one line. None: not known."""

    run: str  #: the folder's name
    run_dir: Path
    name: str | None
    seed: int | None
    started: str | None  #: ISO time
    status: str  #: "running", "finished", "interrupted", "failed"; "unknown" without a database
    stop_reason: str | None
    solved: bool | None
    generations: int | None
    n_evaluations: int | None
    seconds: float | None
    champion_fitness: float | None
    updated: str  #: ISO time of the last change; a "running" run that is silent for long was killed

    def data(self) -> dict[str, Any]:
        """Return the values by name, as JSON values."""
        values = {name: getattr(self, name) for name in self.__slots__}
        values["run_dir"] = str(self.run_dir)
        return {key: without_nan(value) for key, value in values.items()}


@dataclass(frozen=True)
class StoredRun:
    """The folder of a run, read only. Every call looks at the files anew."""

    folder: Path

    @property
    def config(self) -> str:
        """The resolved configuration, TOML.

        Raises:
            StorageError: there is none, or it cannot be read.
        """
        return _read(self.folder / CONFIG_FILE).decode()

    @property
    def summary(self) -> RunSummary:
        """What is known of the run in short.

        Raises:
            StorageError: a file is there but cannot be read.
        """
        run, generation = self._run_row(), self._last_generation()
        champion = self._newest_champion()
        known = {**generation, **{key: value for key, value in run.items() if value is not None}}
        solved = known.get("solved")
        fitness = None if champion is None else champion[0]["fitness"]
        table = self._config_table("run")
        return RunSummary(
            run=self.folder.name,
            run_dir=self.folder,
            name=known.get("name", table.get("name")),
            seed=known.get("seed", table.get("seed")),
            started=known.get("started", _time_in_name(self.folder.name)),
            status=known.get("status", "unknown"),
            stop_reason=known.get("stop_reason"),
            solved=None if solved is None else bool(solved),
            generations=generation["generation"] + 1 if generation else None,
            n_evaluations=known.get("n_evaluations"),
            seconds=known.get("seconds"),
            champion_fitness=fitness,
            updated=self._updated(),
        )

    def champion(self) -> Genome:
        """Return the best genome so far.

        Raises:
            StorageError: the run has none yet, or its file cannot be read.
            FormatError: the file is damaged.
        """
        from tweann.codec import decode

        found = self._newest_champion()
        if found is None:
            raise StorageError(f"{self.folder} has no champion yet")
        genome = found[1]
        return decode(_read(self.folder / CHAMPION_FILE) if genome is None else genome)

    def champion_data(self) -> dict[str, Any]:
        """Return the figures of the best genome so far: generation, and those of `Champion.data`.

        Raises:
            StorageError: the run has none yet, or its file cannot be read.
            FormatError: the file is damaged.
        """
        found = self._newest_champion()
        if found is None:
            raise StorageError(f"{self.folder} has no champion yet")
        return found[0]

    def generations(self) -> list[dict[str, Any]]:
        """Return generation by generation the figures of `GenerationReport`, NaN where all failed.

        From the database, else from ``metrics.jsonl``, else nothing.

        Raises:
            StorageError: the file is there but cannot be read.
            FormatError: the file is damaged.
        """
        if self._is_kept:
            rows = list(self._rows("generations"))
            for row in rows:
                del row["genome"]
            return rows
        path = self.folder / METRICS_FILE
        if not path.exists():
            return []
        return [_metrics(path, line) for line in _whole_lines(_read(path))]

    def immigrants(self) -> list[tuple[dict[str, Any], bytes]]:
        """Return the genomes that came from elsewhere: figures of `tweann.records.Migrant`, and codec bytes.

        Raises:
            StorageError: the database is there but cannot be read.
        """
        return [
            (json.loads(row["data"]), bytes(row["genome"]))
            for row in self._select("events")
            if row["kind"] == "immigrant"
        ]

    def control_changes(self) -> list[dict[str, Any]]:
        """Return the settings that observers changed: figures of `tweann.controls.Change`, and the generation.

        Raises:
            StorageError: the database is there but cannot be read.
        """
        return [
            {**json.loads(row["data"]), "generation": row["generation"]}
            for row in self._select("events")
            if row["kind"] == "control"
        ]

    def pieces(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of "lineage" or "ancestors", in order, as they were written.

        Raises:
            StorageError: the database is there but cannot be read.
        """
        return self._select(table)

    def individuals(self) -> list[dict[str, Any]]:
        """Return figures and codec bytes, by ``genome``, of the last population.

        Raises:
            StorageError: the database is there but cannot be read.
        """
        return list(self._rows("individuals"))

    def genome_rows(self) -> list[dict[str, Any]]:
        """Return figures of all genomes that are kept: champions, the last population, immigrants.

        Raises:
            StorageError: the database is there but cannot be read.
        """
        rows = [*self._rows("champions"), *self._rows("individuals")]
        return rows + [data for data, _ in self.immigrants()]

    @property
    def _is_kept(self) -> bool:
        """Whether the run's events are where they can be read."""
        return self._database is not None or self._elsewhere is not None

    @cached_property
    def _elsewhere(self) -> tuple[type[Readable], Any] | None:
        """The storage that has the run's events, and its settings, if that is neither SQLite's nor in memory."""
        table = self._config_table("storage")
        url = str(table.get("url", ""))
        scheme = url.partition(":")[0]
        if not scheme or url.startswith(_SQLITE_URL) or scheme == "memory":
            return None
        from tweann.registry import default_registry  # late: listing runs of SQLite needs none

        storage: type[Readable] = default_registry().resolve("storage", scheme)
        if not hasattr(storage, "read_rows"):
            return None
        known = storage.Settings.model_fields
        try:
            return storage, storage.Settings.model_validate(
                {key: value for key, value in table.items() if key in known}  # others are the run's
            )
        except ValueError as error:
            raise FormatError(f"{self.folder / CONFIG_FILE}: [storage]: {error}") from error

    @property
    def _database(self) -> Path | None:
        """Where the run's events are, if that is an SQLite file that exists."""
        url = self._config_table("storage").get("url", "")
        elsewhere = Path(str(url).removeprefix(_SQLITE_URL).replace("{run_dir}", str(self.folder)))
        if str(url).startswith(_SQLITE_URL) and elsewhere.is_file():
            return elsewhere
        # Also where the configuration names the place that the folder was moved from.
        own = self.folder / DATABASE_FILE
        return own if own.is_file() else None

    @cached_property
    def _config_tables(self) -> dict[str, Any]:
        path = self.folder / CONFIG_FILE
        if not path.exists():
            return {}
        try:
            return tomllib.loads(self.config)
        except ValueError as error:
            raise FormatError(f"{path} is damaged: {error}") from error

    def _config_table(self, name: str) -> dict[str, Any]:
        table = self._config_tables.get(name, {})
        return table if isinstance(table, dict) else {}

    def _select(self, table: str, newest: int | None = None) -> list[dict[str, Any]]:
        """Return the run's rows of a table in order, or only the newest; none without a database."""
        if self._elsewhere is not None:
            storage, settings = self._elsewhere
            return storage.read_rows(settings, self.folder.name, table, newest)
        path = self._database
        if path is None:
            return []
        order = "" if table == "runs" else "ORDER BY sequence DESC"
        limit = "" if newest is None else f"LIMIT {newest:d}"
        statement = f"SELECT * FROM {table} WHERE run = ? {order} {limit}"
        # A database without a log has no writer: reading it as immutable needs no lock and leaves no files.
        waiting = path.with_name(path.name + "-wal").exists()
        uri = f"{path.absolute().as_uri()}?mode=ro{'' if waiting else '&immutable=1'}"
        try:
            with closing(sqlite3.connect(uri, uri=True)) as connection:
                connection.row_factory = sqlite3.Row
                (schema,) = connection.execute("PRAGMA user_version").fetchone()
                if schema == 0 or (schema == 1 and table in ("lineage", "ancestors")):
                    return []  # the run has just begun, or is an old one: its tables are not there
                if schema > SCHEMA_VERSION:
                    raise StorageError(
                        f"{path} has schema version {schema}, this tweann reads {SCHEMA_VERSION}: "
                        "upgrade tweann"
                    )
                runs = [row["run"] for row in connection.execute("SELECT run FROM runs LIMIT 2")]
                # A folder that was renamed or copied still has its one run.
                run = runs[0] if len(runs) == 1 else self.folder.name
                return [dict(row) for row in connection.execute(statement, (run,))][::-1]
        except sqlite3.Error as error:
            raise StorageError(f"cannot read {path}: {error}") from error

    def _run_row(self) -> dict[str, Any]:
        return next(iter(self._select("runs")), {})

    def _rows(self, table: str, newest: int | None = None) -> Iterator[dict[str, Any]]:
        """Give the rows of a table as figures, each with its genome's bytes."""
        for row in self._select(table, newest):
            del row["run"], row["sequence"]
            genome, extra = row.pop("genome"), json.loads(row.pop("extra") or "{}")
            metrics = json.loads(row.get("metrics") or "{}")
            yield _figures({**row, **extra, "metrics": metrics}) | {"genome": genome}

    def _last_generation(self) -> dict[str, Any]:
        if self._is_kept:
            return next(self._rows("generations", 1), {})
        path = self.folder / METRICS_FILE
        if not path.exists():
            return {}
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = _whole_lines(file.read())
        return _metrics(path, lines[-1]) if lines else {}

    def _newest_champion(self) -> tuple[dict[str, Any], bytes | None] | None:
        """Return figures and codec bytes, None for the bytes of the file, of the newest champion.

        A run that was killed, or goes on, may have a newer one in the database than in the file; the
        file's, written last, has more metrics.
        """
        stored = next(self._rows("champions", 1), None)
        path = self.folder / CHAMPION_JSON
        if path.exists():
            try:
                written = _figures(json.loads(_read(path)))
                written.pop("genome", None)
                if stored is None or written["n_evaluations"] >= stored["n_evaluations"]:
                    return written, None
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                raise FormatError(f"{path} is damaged: {error!r}") from error
        if stored is None:
            return None
        genome = stored.pop("genome")
        stored["solved"] = bool(stored["solved"])
        return stored, genome

    def _updated(self) -> str:
        files = [path for path in self.folder.iterdir() if path.is_file()]
        newest = max(path.stat().st_mtime for path in [self.folder, *files])
        return datetime.fromtimestamp(newest).astimezone().isoformat(timespec="seconds")


def without_nan(value: Any) -> Any:
    """Return JSON values with None for each number that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_nan(entry) for entry in value]
    return value


def _figures(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of figures as it was before JSON or SQL, which have no NaN."""
    metrics = row.get("metrics") or {}
    figures = {key: math.nan if value is None else value for key, value in row.items()}
    figures["metrics"] = {name: math.nan if v is None else v for name, v in metrics.items()}
    return figures


def _whole_lines(content: bytes) -> list[bytes]:
    """Return the lines without the last, if that is half written."""
    return [line for line in content.splitlines(keepends=True) if line.endswith(b"\n")]


def _metrics(path: Path, line: bytes) -> dict[str, Any]:
    try:
        return _figures(json.loads(line))
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"{path} is damaged: {error} in {line[:80]!r}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror or error}") from error


def _time_in_name(name: str) -> str | None:
    try:
        return datetime.strptime(name[:TIME_LENGTH], TIME_FORMAT).isoformat()
    except ValueError:
        return None
