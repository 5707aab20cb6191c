"""Things that would grow without end, each with a cap: queues, sets, counters, rates."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class DropOldest(Generic[T]):
    """A queue between two threads that never blocks: when it is full, the oldest makes room.

    Attributes:
        n_dropped: how many had to.
    """

    def __init__(self, size: int) -> None:
        self._items: deque[T] = deque(maxlen=size)
        self._size = size
        self._lock = (
            threading.Lock()
        )  # held for a microsecond; without it drops are counted wrongly
        self.n_dropped = 0

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T) -> None:
        """Add an item."""
        with self._lock:
            if len(self._items) == self._size:
                self.n_dropped += 1
            self._items.append(item)

    def take(self, n: int) -> list[T]:
        """Remove and return up to ``n`` items, the oldest first."""
        if not self._items:
            return []
        with self._lock:
            return [self._items.popleft() for _ in range(min(n, len(self._items)))]


class RecentSet:
    """A set that forgets the oldest."""

    def __init__(self, size: int) -> None:
        self._items: OrderedDict[str, None] = OrderedDict()
        self._size = size

    def __contains__(self, item: object) -> bool:
        return item in self._items

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: str) -> None:
        """Add an item, or make it the newest."""
        self._items[item] = None
        self._items.move_to_end(item)
        if len(self._items) > self._size:
            self._items.popitem(last=False)

    def update(self, items: Iterable[str]) -> None:
        """Add items."""
        for item in items:
            self.add(item)


class Bucket:
    """A token bucket: ``rate`` a second, and twice as many at once."""

    def __init__(self, rate: float, now: float) -> None:
        self._rate, self._cap = rate, 2.0 * rate + 1.0
        self._tokens, self._last = self._cap, now

    def take(self, now: float) -> bool:
        """Return whether one more may pass at time ``now``, seconds."""
        self._tokens = min(self._cap, self._tokens + self._rate * max(0.0, now - self._last))
        self._last = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class Strikes:
    """Counts what somebody did wrong; one strike is forgiven a second."""

    def __init__(self, limit: int, now: float) -> None:
        self._limit, self._count, self._last = limit, 0.0, now

    def strike(self, now: float) -> bool:
        """Count one, and return whether that was one too many; then the count begins anew."""
        self._count = max(0.0, self._count - (now - self._last)) + 1.0
        self._last = now
        if self._count < self._limit:
            return False
        self._count = 0.0
        return True
