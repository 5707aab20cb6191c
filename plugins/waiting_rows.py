"""What storages in SQL have in common: rows that wait for the next commit, and how many of them are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from pydantic import Field

from tweann.config import Section
from tweann.errors import StorageError
from tweann.interfaces import Event
from tweann.plugins.sqlite_rows import INSERT_EVENT, KEPT_FOR_EVER, TABLES, Row, insertions

#: The statement that writes a row of each table.
INSERTS: Final = {"events": INSERT_EVENT} | {table.name: table.insert for table in TABLES.values()}
#: What counts against the cap of a table, where that is not all rows.
CAPPED: Final = {"events": f"AND kind NOT IN {KEPT_FOR_EVER}"}

#: Bytes of genomes, or of packed births, that make a commit, however few rows they are: a fast run has a piece of lineage
#: of 3 MB twice a second.
MAX_GENOME_BYTES: Final = 2_000_000

_TABLE_OF: Final = {statement: name for name, statement in INSERTS.items()}
#: Seconds that a champion waits at most: in the first second of a fast run there are dozens, and a commit takes 0.5 ms.
_CHAMPION_SECONDS: Final = 0.1
_KEEP_FROM: Final = 3 + [key for key, _ in TABLES["lineage"].columns].index("keep_from")


class Keeping(Section):
    """When rows are committed, and how many are kept."""

    commit_seconds: float = Field(
        1.0, ge=0, description="longest time between commits; a champion waits for 0.1 s at most"
    )
    commit_rows: int = Field(500, ge=1, description="rows that make a commit")
    max_generations: int = Field(100_000, ge=1, description="generations kept")
    max_champions: int = Field(1_000, ge=1, description="champions kept")
    max_individuals: int = Field(100_000, ge=1, description="individuals kept")
    max_ancestors: int = Field(
        10_000, ge=1, description="pieces of the lines of those alive kept: some 200 births each"
    )
    max_events: int = Field(10_000, ge=1, description="events of other kinds kept")


class WaitingRows:
    """The rows of events that were not committed yet.

    Args:
        run: whose.
        last: the highest sequence number that is committed.
        clean: makes rows what the database takes.

    Attributes:
        n: events that wait.
        last: the highest sequence number so far.
        changes: of the run's own row, in order, since a start undoes an end: sequence number, statement, values.
        tables: rows by table.
        hasty: whether a champion waits, which is not to wait for long.
    """

    def __init__(self, run: str, last: int, clean: Callable[[Row], Row] = tuple) -> None:
        self._run, self._clean = run, clean
        self.n, self.last, self.hasty = 0, last, False
        self._genome_bytes = 0
        self.changes: list[tuple[int, str, Row]] = []
        self.tables: dict[str, list[Row]] = {}

    def take(self, event: Event) -> None:
        """Let an event's rows wait.

        Raises:
            StorageError: its number is not higher than all before it, or its data lacks a key of its kind or is not
                JSON; then it is not taken.
        """
        run = self._run
        if event.sequence <= self.last:
            raise StorageError(
                f"run {run}: event {event.sequence} ({event.kind}) was appended after event "
                f"{self.last}; sequence numbers must grow"
            )
        try:
            for statement, row in insertions(run, event):
                name = _TABLE_OF.get(statement)
                if name is None:
                    self.changes.append((event.sequence, statement, self._clean(row)))
                else:
                    self.tables.setdefault(name, []).append(self._clean(row))
        except KeyError as error:
            raise StorageError(
                f"run {run}: event {event.sequence} ({event.kind}) lacks the key {error}; "
                f"it has {', '.join(map(str, event.data)) or 'none'}"
            ) from None
        except (TypeError, ValueError, RecursionError) as error:
            raise StorageError(
                f"run {run}: event {event.sequence} ({event.kind}) is not made of JSON values: {error}"
            ) from error
        self.last = event.sequence
        self.n += 1
        self.hasty = self.hasty or event.kind == "champion"
        if event.genome is not None:
            self._genome_bytes += len(event.genome)

    def due(self, seconds: float, settings: Keeping) -> bool:
        """Return whether to commit, ``seconds`` after the last commit; the start and the end of a run never wait."""
        if self.changes or self.n >= settings.commit_rows:
            return True
        if self._genome_bytes >= MAX_GENOME_BYTES:
            return True
        longest = settings.commit_seconds
        return seconds >= (min(longest, _CHAMPION_SECONDS) if self.hasty else longest)

    def extend(self, others: WaitingRows) -> None:
        """Let those wait behind these."""
        self.changes += others.changes
        for name, rows in others.tables.items():
            self.tables.setdefault(name, []).extend(rows)
        self.n, self.last = self.n + others.n, max(self.last, others.last)
        self.hasty = self.hasty or others.hasty
        self._genome_bytes += others._genome_bytes

    def forget(self, last: int) -> None:
        """Let go of rows that are committed: those up to sequence number ``last``."""
        if last >= self.last:
            self.changes.clear()
            self.tables.clear()
        else:
            self.changes = [change for change in self.changes if change[0] > last]
            self.tables = {
                name: [row for row in rows if row[1] > last] for name, rows in self.tables.items()
            }
        self._genome_bytes = 0
        self.n, self.hasty = sum(map(len, self.tables.values())), "champions" in self.tables

    def counted(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Return how many rows each table has, of those that are capped, once all that wait are in it."""
        found = {name: n + len(self.tables.get(name, ())) for name, n in counts.items()}
        found["events"] -= len(self.changes)  # those are kept for ever
        return found

    def trimming(
        self, counts: dict[str, int], settings: Keeping, mark: str
    ) -> Iterator[tuple[str, Row]]:
        """Give statements that delete what is over the caps, with their values; ``counts`` are counted down.

        Args:
            counts: what `counted` returned.
            settings: the caps.
            mark: stands for a value in a statement.
        """
        for name, count in counts.items():
            if name == "lineage":
                continue  # as the run says
            excess = count - getattr(settings, f"max_{name}")
            if excess > 0:
                yield (
                    f"DELETE FROM {name} WHERE run = {mark} AND sequence IN (SELECT sequence FROM {name} "
                    f"WHERE run = {mark} {CAPPED.get(name, '')} ORDER BY sequence LIMIT {mark})",
                    (self._run, self._run, excess),
                )
                counts[name] -= excess
        pieces = self.tables.get("lineage")
        if pieces:
            values = self._run, pieces[-1][_KEEP_FROM]
            yield f"DELETE FROM lineage WHERE run = {mark} AND sequence < {mark}", values
