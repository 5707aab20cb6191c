"""How events become rows of the SQLite storage's tables, and rows events again.

What each kind of event becomes:

- "generation", "champion", "individual": a row of the table of that name, with real columns.
- "lineage", "ancestors": a row of packed records (`tweann.lineage`), which the views ``births`` and ``deaths`` take
  apart: a row each.
- "run_started", "run_finished": the run's row in ``runs``, and as they came in ``events``.
- any other: a row of ``events``, its data as JSON.

A number that is not one (NaN) is NULL, within JSON null; an infinity within JSON likewise.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

from tweann.interfaces import Event
from tweann.plugins.lineage_views import births_view, deaths_view

Row = tuple[Any, ...]

#: What SQLite and JSON take as it is.
_PLAIN = frozenset({int, float, bool, str, type(None)})


@dataclass(frozen=True, slots=True)
class Table:
    """How events of one kind become rows: run, sequence, generation, one column a key, extra, genome.

    Attributes:
        name: of the table.
        columns: (key of `Event.data`, SQL type); "metrics", a mapping, comes last where there is one.
        pick: takes the values out of the data, in the order of the columns.
    """

    name: str
    columns: tuple[tuple[str, str], ...]
    pick: Callable[[Mapping[str, Any]], Row]

    @classmethod
    def of(cls, name: str, **columns: str) -> Table:
        return cls(name, tuple(columns.items()), itemgetter(*columns))

    @property
    def schema(self) -> str:
        columns = "".join(f"{key} {sql_type}, " for key, sql_type in self.columns)
        return (
            f"CREATE TABLE {self.name} (run TEXT NOT NULL, sequence INTEGER NOT NULL, "
            f"generation INTEGER NOT NULL, {columns}extra JSON, genome BLOB, PRIMARY KEY (run, sequence))"
        )

    @property
    def insert(self) -> str:
        return f"INSERT INTO {self.name} VALUES ({', '.join('?' * (len(self.columns) + 5))})"


_GENERATIONS = Table.of(
    "generations",
    n_evaluations="INTEGER",
    n_failed="INTEGER",
    best="REAL",
    mean="REAL",
    std="REAL",
    worst="REAL",
    champion_fitness="REAL",
    mean_nodes="REAL",
    mean_connections="REAL",
    seconds="REAL",
    metrics="JSON",
)
_CHAMPIONS = Table.of(
    "champions",
    genome_id="TEXT",
    fitness="REAL",
    birth="INTEGER",
    n_nodes="INTEGER",
    n_connections="INTEGER",
    n_evaluations="INTEGER",
    solved="BOOLEAN",
    metrics="JSON",
)
_INDIVIDUALS = Table.of(
    "individuals",
    position="INTEGER",
    birth="INTEGER",
    species="INTEGER",
    fitness="REAL",
    genome_id="TEXT",
    n_nodes="INTEGER",
    n_connections="INTEGER",
)
_LINEAGE: Final = Table.of("lineage", n_births="INTEGER", n_deaths="INTEGER", keep_from="INTEGER")
_ANCESTORS: Final = Table.of("ancestors", n_births="INTEGER", last_birth="INTEGER")
TABLES: Final = {
    "generation": _GENERATIONS,
    "champion": _CHAMPIONS,
    "individual": _INDIVIDUALS,
    "lineage": _LINEAGE,
    "ancestors": _ANCESTORS,
}
_INSERTS: Final = {kind: table.insert for kind, table in TABLES.items()}
#: What schema 1 had not.
MIGRATION: Final = (_LINEAGE.schema, _ANCESTORS.schema, births_view(), deaths_view())
SCHEMA: Final = (
    "CREATE TABLE runs (run TEXT NOT NULL PRIMARY KEY, name TEXT, seed INTEGER, version TEXT, started TEXT, "
    "status TEXT NOT NULL, stop_reason TEXT, solved BOOLEAN, n_evaluations INTEGER, seconds REAL, "
    "config TEXT)",
    *(table.schema for table in TABLES.values()),
    "CREATE TABLE events (run TEXT NOT NULL, sequence INTEGER NOT NULL, generation INTEGER NOT NULL, "
    "kind TEXT NOT NULL, data JSON, genome BLOB, PRIMARY KEY (run, sequence))",
    births_view(),
    deaths_view(),
)
INSERT_EVENT: Final = "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)"
# A run that is taken up again runs again: its start replaces what an earlier end said.
START_RUN: Final = (
    "INSERT OR REPLACE INTO runs (run, name, seed, version, started, config, status) "
    "VALUES (?, ?, ?, ?, ?, ?, 'running')"
)
FINISH_RUN: Final = (
    "UPDATE runs SET status = ?, stop_reason = ?, solved = ?, n_evaluations = ?, seconds = ? "
    "WHERE run = ?"
)
#: A run that goes on has not ended.
REOPEN_RUN: Final = (
    "UPDATE runs SET status = 'running', stop_reason = NULL, solved = NULL, n_evaluations = NULL, "
    "seconds = NULL WHERE run = ?"
)
KEPT_FOR_EVER: Final = ("run_started", "run_finished")

_START_KEYS = itemgetter("name", "seed", "version", "started", "config")
_FINISH_KEYS = itemgetter("status", "stop_reason", "solved", "n_evaluations", "seconds")


def insertions(run: str, event: Event) -> list[tuple[str, Row]]:
    """Return what an event does to the tables: statements with their rows.

    Raises:
        KeyError: the data lacks a key of its kind.
        TypeError, ValueError, RecursionError: it is not made of JSON values.
    """
    kind, data = event.kind, event.data
    if kind in TABLES:
        return [(_INSERTS[kind], _row(TABLES[kind], run, event))]
    row = (run, event.sequence, event.generation, kind, _to_json(data), event.genome)
    if kind == "run_started":
        return [(START_RUN, (run, *_plain_values(_START_KEYS(data)))), (INSERT_EVENT, row)]
    if kind == "run_finished":
        return [(FINISH_RUN, (*_plain_values(_FINISH_KEYS(data)), run)), (INSERT_EVENT, row)]
    return [(INSERT_EVENT, row)]


def event_of(kind: str, row: Row) -> Event:
    """Return the event of a row of the table of ``kind``."""
    _, sequence, generation, *values, extra, genome = row
    data = {
        key: _READERS.get(sql_type, _as_it_is)(value)
        for (key, sql_type), value in zip(TABLES[kind].columns, values, strict=True)
    }
    if extra is not None:
        data.update(json.loads(extra))
    return Event(sequence, kind, generation, data, genome)


def other_event_of(row: Row) -> Event:
    """Return the event of a row of ``events``."""
    _, sequence, generation, kind, data, genome = row
    return Event(sequence, kind, generation, json.loads(data), genome)


def _row(table: Table, run: str, event: Event) -> Row:
    data = event.data
    values = table.pick(data)
    n = len(values)
    if table.columns[-1][0] == "metrics":
        values = (*_plain_values(values[:-1]), _to_json(values[-1]))
    else:
        values = _plain_values(values)
    extra = None
    if len(data) > n:
        known = {key for key, _ in table.columns}
        extra = _to_json({key: value for key, value in data.items() if key not in known})
    return (run, event.sequence, event.generation, *values, extra, event.genome)


def _plain_values(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the values as SQLite takes them; numpy's scalars become Python's."""
    if _PLAIN.issuperset(map(type, values)):
        return values
    return tuple(value if type(value) in _PLAIN else _plain(value) for value in values)


def _plain(value: Any) -> Any:
    item = getattr(value, "item", None)
    if item is None or getattr(value, "ndim", 0) != 0:
        raise TypeError(f"{value!r} of type {type(value).__name__}")
    return item()


def _json_default(value: Any) -> Any:
    return dict(value) if isinstance(value, Mapping) else _plain(value)


_encode = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_json_default).encode


def _to_json(value: Any) -> str:
    try:
        return _encode(value)
    except ValueError:  # a NaN or an infinity: rare, so they may cost
        return _encode(_finite(value))


def _finite(value: Any) -> Any:
    """Return JSON values with None for each number that JSON has not."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    return value


def _as_it_is(value: Any) -> Any:
    return value


def _read_float(value: float | None) -> float:
    return math.nan if value is None else value


def _read_bool(value: int | None) -> bool | None:
    return None if value is None else bool(value)


def _read_metrics(value: str) -> dict[str, Any]:
    metrics = json.loads(value)
    return {key: math.nan if entry is None else entry for key, entry in metrics.items()}


_READERS: Final[dict[str, Callable[[Any], Any]]] = {
    "REAL": _read_float,
    "BOOLEAN": _read_bool,
    "JSON": _read_metrics,
}
