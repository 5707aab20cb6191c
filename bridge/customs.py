"""What comes in is looked at here: who sent it, whether it is new, whether it is fit to live here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tweann.bridge.bounded import Bucket, DropOldest, RecentSet, Strikes
from tweann.bridge.protocol import (
    HEARTBEAT,
    Frames,
    Header,
    RefusedError,
    max_body_bytes,
    read_blobs,
    read_genome,
    read_header,
)
from tweann.bridge.settings import BridgeSettings
from tweann.interfaces import Immigrant
from tweann.layout import Layout

#: Boots of one origin that are remembered, so that an old one's messages cannot be played again.
_MAX_BOOTS: Final = 16
#: Reasons that are nobody's fault: no strike.
HARMLESS: Final = frozenset(
    {"echo", "stale", "duplicate", "other_task", "same_random_numbers", "version", "banned"}
)


@dataclass(frozen=True, slots=True)
class Identity:
    """What this island says of itself.

    Attributes:
        name, run: of the island and its run.
        task, randomness: fingerprints.
        boot: drawn anew by each process.
    """

    name: str
    run: str
    task: bytes
    randomness: bytes
    boot: int


@dataclass(slots=True)
class Origin:
    """What is known of one island that sends.

    Attributes:
        boot, sequence: of its last message; -1: none yet.
        last_seen: seconds of the monotonic clock.
        lag: seconds that its last message took longer than its quickest one; clocks need not agree.
        messages, accepted, lost: counts; lost ones are gaps in the sequence.
        refused: by reason.
        problem: why it is refused altogether; empty: it is not.
    """

    bucket: Bucket
    strikes: Strikes
    boot: int = -1
    sequence: int = -1
    last_seen: float = 0.0
    quickest: float = float("inf")
    lag: float = 0.0
    messages: int = 0
    accepted: int = 0
    lost: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    banned_until: float = 0.0
    problem: str = ""
    boots: list[int] = field(default_factory=list)

    def data(self, now: float) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "age_seconds": round(now - self.last_seen, 3),
            "lag_seconds": round(self.lag, 3),
            "messages": self.messages,
            "accepted": self.accepted,
            "lost": self.lost,
            "refused": dict(self.refused),
            "banned": now < self.banned_until,
            "problem": self.problem,
        }


class Customs:
    """Takes messages, and puts the genomes that pass into ``inbox``.

    Attributes:
        origins: by name, at most ``max_peers``.
        refused: by reason, of all.
        sent: ids of genomes that left from here; seen: of those that came.
        last_echo: when a message of our own came back, from a hub.
    """

    def __init__(
        self,
        settings: BridgeSettings,
        me: Identity,
        layout: Layout,
        inbox: DropOldest[Immigrant],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._me, self._layout, self._inbox = settings, me, layout, inbox
        self._clock = clock
        self.max_body = max_body_bytes(layout, settings.max_message_bytes)
        self.origins: dict[str, Origin] = {}
        self.refused: Counter[str] = Counter()
        self.sent, self.seen = (
            RecentSet(settings.known_genomes),
            RecentSet(settings.known_genomes),
        )
        self.n_received = self.n_accepted = 0
        self.last_echo = 0.0

    def receive(self, frames: Frames, *, sender: str | None = None, hub: bool = False) -> bool:
        """Take one message.

        Args:
            frames: as they came.
            sender: whose connection it came by, where that is known.
            hub: it came from a hub, which stamps who sent it.

        Returns:
            Whether it was in order; False where the sender did something wrong.
        """
        try:
            header = read_header(frames, self.max_body)
        except RefusedError as error:
            self.refused[error.reason] += 1
            return error.reason in HARMLESS
        me = self._me
        if header.origin == me.name and header.boot == me.boot:
            self.refused["echo"] += 1
            self.last_echo = self._clock()
            return True
        stamp = frames[3].decode() if hub else ""
        if (sender or stamp or header.origin) != header.origin or (not hub and frames[3]):
            self.refused["impersonation"] += 1
            return False
        origin = self.origin_of(header.origin)
        if origin is None:
            self.refused["too_many_peers"] += 1
            return True
        try:
            self._admit(header, frames[2], origin)
        except RefusedError as error:
            self._refuse(origin, error.reason)
            if error.reason in HARMLESS:
                return True
            if origin.strikes.strike(self._clock()):
                origin.banned_until = self._clock() + self._settings.ban_seconds
            return False
        return True

    def origin_of(self, name: str) -> Origin | None:
        """Return what is known of an island, or None where there are too many already."""
        origin = self.origins.get(name)
        if origin is None:
            now = self._clock()
            if len(self.origins) >= self._settings.max_peers:
                silent = {n: o.last_seen for n, o in self.origins.items()}
                oldest = min(silent, key=silent.__getitem__)
                if now - silent[oldest] < 10 * self._settings.silence_seconds:
                    return None
                del self.origins[oldest]
            strikes = Strikes(self._settings.strikes, now)
            origin = Origin(Bucket(self._settings.rate, now), strikes, last_seen=now)
            self.origins[name] = origin
        return origin

    def _refuse(self, origin: Origin, reason: str) -> None:
        self.refused[reason] += 1
        origin.refused[reason] += 1

    def _admit(self, header: Header, body: bytes, origin: Origin) -> None:
        now, me = self._clock(), self._me
        if now < origin.banned_until:
            raise RefusedError("banned", "")
        if not origin.bucket.take(now):
            raise RefusedError("rate", "")
        origin.last_seen = now
        origin.problem = ""
        if header.randomness == me.randomness:
            origin.problem = "it has our random numbers: give it another bridge.name or run.seed"
            raise RefusedError("same_random_numbers", origin.problem)
        if header.task != me.task:
            origin.problem = (
                "its task differs in name, version, settings, inputs, outputs or descriptor"
            )
            raise RefusedError("other_task", origin.problem)
        self._follow(header, origin)
        late = time.time() - header.sent
        origin.quickest = min(origin.quickest, late)
        origin.lag = late - origin.quickest
        origin.messages += 1
        self.n_received += 1
        if header.kind != HEARTBEAT:
            self._take_genomes(header, body, origin)

    def _follow(self, header: Header, origin: Origin) -> None:
        """See that a message is newer than all before it."""
        if header.boot != origin.boot:
            if header.boot in origin.boots:
                raise RefusedError("stale", "")
            origin.boots = [*origin.boots[-_MAX_BOOTS:], header.boot]
            # another process, perhaps on a machine with another clock
            origin.boot, origin.sequence, origin.quickest = header.boot, header.sequence - 1, 1e300
        if header.sequence <= origin.sequence:
            raise RefusedError("stale", "")
        origin.lost += header.sequence - origin.sequence - 1
        origin.sequence = header.sequence

    def _take_genomes(self, header: Header, body: bytes, origin: Origin) -> None:
        for blob in read_blobs(header, body, self._layout):
            genome = read_genome(blob, self._layout)
            known = genome.genome_id
            if known in self.seen or known in self.sent:
                self._refuse(origin, "duplicate")
                continue
            self.seen.add(known)
            self._inbox.put(Immigrant(genome, header.origin))
            origin.accepted += 1
            self.n_accepted += 1
