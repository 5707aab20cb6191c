"""Incoming connections: one socket each, so that it is known who sent what, and one can be shut alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import zmq

from tweann.bridge.bounded import Bucket, Strikes
from tweann.bridge.customs import Customs
from tweann.bridge.protocol import ALL_TOPICS, topic_of
from tweann.bridge.security import Keys
from tweann.bridge.settings import BridgeSettings
from tweann.bridge.sockets import client

#: Messages read from one link before another has its turn.
_TURN: Final = 32


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect to.

    Attributes:
        endpoint: address.
        name: of the island there; None: unknown, or a hub.
        key: its public key.
        topics: what to subscribe to.
        hub: whether it is a hub.
    """

    endpoint: str
    name: str | None = None
    key: str | None = None
    topics: tuple[bytes, ...] = (ALL_TOPICS,)
    hub: bool = False


class Link:
    """One connection to somebody who publishes.

    Attributes:
        target: to whom.
        socket: None while it is shut because of a ban.
        n_opened: how often it was opened.
    """

    def __init__(
        self,
        context: zmq.Context[Any],
        settings: BridgeSettings,
        target: Target,
        keys: Keys | None,
        max_body: int,
        now: float,
    ) -> None:
        self.target = target
        self._context, self._settings, self._keys = context, settings, keys
        self._max_body = max_body
        # a hub brings many islands' messages; each is watched on its own
        self._bucket = None if target.hub else Bucket(settings.rate, now)
        self._strikes = Strikes(settings.strikes, now)
        self.banned_until = 0.0
        self.n_opened = self.n_over_rate = 0
        self.socket: zmq.Socket[bytes] | None = None
        self.open(now)

    def open(self, now: float) -> None:
        """Connect, anew where it was connected: nothing else revives a link that an oversize message cut."""
        self.close()
        target = self.target
        socket = client(
            self._context,
            zmq.SUB,
            self._settings.high_water,
            self._max_body,
            self._keys,
            target.key,
        )
        for topic in target.topics:
            socket.setsockopt(zmq.SUBSCRIBE, topic)
        socket.connect(target.endpoint)
        self.socket, self.heard, self.banned_until = socket, now, 0.0
        self.n_opened += 1

    def close(self) -> None:
        """Disconnect."""
        if self.socket is not None:
            self.socket.close(0)
            self.socket = None

    def tend(self, now: float) -> None:
        """Open it again after a ban, or when it was silent for too long."""
        if self.socket is None:
            if now >= self.banned_until:
                self.open(now)
        elif now - self.heard > self._settings.silence_seconds:
            self.open(now)

    def read(self, customs: Customs, now: float) -> None:
        """Take what has come in, up to a turn."""
        for _ in range(_TURN):
            if self.socket is None:
                return
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self.heard = now
            if self._bucket is not None and not self._bucket.take(now):
                self.n_over_rate += 1
                customs.refused["rate"] += 1
                ok = False
            else:
                ok = customs.receive(frames, sender=self.target.name, hub=self.target.hub)
            if not ok and not self.target.hub and self._strikes.strike(now):
                self.close()  # whoever floods is not even read
                self.banned_until = now + self._settings.ban_seconds

    def data(self, now: float) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "endpoint": self.target.endpoint,
            "name": self.target.name,
            "silent_seconds": round(now - self.heard, 3),
            "opened": self.n_opened,
            "over_rate": self.n_over_rate,
            "banned": now < self.banned_until,
        }


def topics_for(names: list[str]) -> tuple[bytes, ...]:
    """Return what to subscribe to for the messages of islands."""
    return tuple(topic_of(name) for name in names)
