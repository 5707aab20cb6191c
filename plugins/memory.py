"""The memory storage: a run's events for as long as the process lives."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import ClassVar

from pydantic import BaseModel, Field

from tweann.config import Section
from tweann.errors import StorageError
from tweann.interfaces import Event


class MemorySettings(Section):
    """Section [storage] with ``url = "memory:"``."""

    url: str = "memory:"
    max_events: int = Field(default=10_000, ge=1, description="events of other kinds kept")
    max_champions: int = Field(default=1_000, ge=1, description="champions kept")
    max_lineage: int = Field(default=64, ge=1, description="pieces of lineage kept")
    max_ancestors: int = Field(
        default=1_000, ge=1, description="pieces of the lines of those alive kept"
    )


class MemoryStorage:
    """Keeps the newest events. Bounded: what falls out at the old end is counted in ``n_dropped``.

    Champions and lineage are kept apart, so that a long run's generations do not push its best genomes out. It keeps
    the events as they are given, without a copy.
    """

    Settings: ClassVar[type[BaseModel]] = MemorySettings
    durable: ClassVar[bool] = False  #: what it keeps ends with the process

    def __init__(self, settings: MemorySettings, run: str) -> None:
        self.run = run
        self.n_dropped = 0  #: events that fell out, champions included
        self._others: deque[Event] = deque(maxlen=settings.max_events)
        self._apart: dict[str, deque[Event]] = {
            "champion": deque(maxlen=settings.max_champions),
            "lineage": deque(maxlen=settings.max_lineage),
            "ancestors": deque(maxlen=settings.max_ancestors),
        }
        self._last_sequence = -1
        self._closed = False

    def append(self, events: Sequence[Event]) -> None:
        """Add events in order.

        Raises:
            StorageError: a sequence number that is not higher than all before it; or it is closed.
        """
        if self._closed:
            raise StorageError(f"run {self.run}: append to a storage that is closed")
        for event in events:
            if event.sequence <= self._last_sequence:
                raise StorageError(
                    f"run {self.run}: event {event.sequence} ({event.kind}) was appended after event "
                    f"{self._last_sequence}; sequence numbers must grow"
                )
            self._last_sequence = event.sequence
            kept = self._apart.get(event.kind, self._others)
            self.n_dropped += len(kept) == kept.maxlen
            kept.append(event)
            if event.kind == "lineage":
                while kept[0].sequence < event.data["keep_from"]:
                    kept.popleft()

    def events(self, kind: str | None = None) -> Iterator[Event]:
        """Give the kept events in order, all or of one kind, as they are now."""
        if kind in self._apart:
            return iter(list(self._apart[kind]))
        if kind is not None:
            return iter([event for event in self._others if event.kind == kind])
        merged = heapq.merge(self._others, *self._apart.values(), key=attrgetter("sequence"))
        return iter(list(merged))

    def rewind(self, sequence: int) -> None:
        """Forget the events from ``sequence`` on."""
        for kept in (self._others, *self._apart.values()):
            while kept and kept[-1].sequence >= sequence:
                kept.pop()
        self._last_sequence = min(self._last_sequence, sequence - 1)

    def flush(self) -> None:
        """Do nothing: memory is as durable as it gets."""

    def close(self) -> None:
        """Take no more events; those kept can still be read. Idempotent."""
        self._closed = True
