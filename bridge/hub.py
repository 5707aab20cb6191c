"""A hub: takes in at one address, gives out at another, and keeps each island's last migrants for late joiners.

A hub is a convenience, not an authority: it looks at the form of messages and at who sent them, never at genomes.
With keys it stamps each message with the name that the sender's key stands for.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any, Final

import zmq
from pydantic import Field
from zmq.auth.thread import ThreadAuthenticator

from tweann.bridge.bounded import Bucket, Strikes
from tweann.bridge.protocol import (
    ALL_TOPICS,
    MIGRANTS,
    Header,
    RefusedError,
    read_header,
)
from tweann.bridge.security import AllowList, read_keys, start_authenticator
from tweann.bridge.settings import Endpoint, Name, is_local
from tweann.bridge.sockets import collector, publisher
from tweann.config.sections import Section
from tweann.errors import ConfigError

_SUBSCRIBE: Final = b"\x01"
_TICK: Final = 0.5
#: Messages read before subscriptions have their turn.
_TURN: Final = 64
#: How often a second late joiners are served: a subscription costs its sender little.
_LATE_JOINERS: Final = 10.0


class HubSettings(Section):
    """Settings of a hub."""

    publish: Endpoint = Field(description="Where islands send to.")
    subscribe: Endpoint = Field(description="Where islands hear from.")
    keys: Path | None = None
    allow: Path | None = None
    domain: Name = "tweann"
    max_peers: int = Field(1000, ge=1, description="Islands that are told apart, and cached.")
    max_message_bytes: int = Field(4_000_000, ge=4096)
    cache_bytes: int = Field(100_000_000, ge=0, description="Last messages kept, all together.")
    high_water: int = Field(64, ge=1)
    rate: float = Field(50.0, gt=0)
    strikes: int = Field(100, ge=1)
    ban_seconds: float = Field(60.0, gt=0)
    status: Path | None = None


class _Sender:
    """What the hub knows of one island."""

    def __init__(self, settings: HubSettings, now: float) -> None:
        self.bucket = Bucket(settings.rate, now)
        self.strikes = Strikes(settings.strikes, now)
        self.banned_until = 0.0
        self.forwarded = 0
        self.refused: Counter[str] = Counter()
        self.seen = now


class Hub:
    """The forwarder; `serve` runs it in the caller's thread until `stop`."""

    def __init__(self, settings: HubSettings) -> None:
        """Bind both addresses.

        Raises:
            ConfigError: one cannot be bound, is off loopback without keys, or a file cannot be read.
        """
        self._settings = settings
        for endpoint in (settings.publish, settings.subscribe):
            if settings.keys is None and not is_local(endpoint):
                raise ConfigError(
                    f"{endpoint} is off this machine's loopback: a hub there needs --keys and --allow, "
                    "see `tweann keys new`"
                )
        if settings.keys is not None and settings.allow is None:
            raise ConfigError("--keys needs --allow: only the keys in that file may connect")
        self._keys = None if settings.keys is None else read_keys(settings.keys)
        self._allow = None if settings.allow is None else AllowList(settings.allow, settings.domain)
        self.refused: Counter[str] = Counter()
        self.forwarded = self.n_faults = 0
        self._senders: OrderedDict[str, _Sender] = OrderedDict()
        self._cache: OrderedDict[str, list[bytes]] = OrderedDict()
        self._cached_bytes = 0
        self._late = Bucket(_LATE_JOINERS, time.monotonic())
        self._stopping = threading.Event()
        self._context: zmq.Context[Any] = zmq.Context()
        self._authenticator: ThreadAuthenticator | None = None
        self._sockets: list[zmq.Socket[bytes]] = []
        try:
            if self._keys is not None and self._allow is not None:
                self._authenticator = start_authenticator(
                    self._context, self._allow, settings.domain
                )
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        s = self._settings
        for old in self._sockets:
            old.close(0)
        self._sockets = []
        incoming = collector(
            self._context, zmq.XSUB, s.high_water, s.max_message_bytes, self._keys, s.domain
        )
        self._sockets.append(incoming)
        # No XPUB_NODROP: with it one slow subscriber would hold up all; here it alone misses messages, and
        # sees that by the gaps in their sequence.
        outgoing = publisher(self._context, zmq.XPUB, s.high_water, self._keys, s.domain)
        self._sockets.append(outgoing)
        outgoing.setsockopt(zmq.XPUB_VERBOSE, 1)
        for socket, endpoint in ((incoming, s.publish), (outgoing, s.subscribe)):
            try:
                socket.bind(endpoint)
            except zmq.ZMQError as error:
                raise ConfigError(f"{endpoint}: {error}") from None
        incoming.send(_SUBSCRIBE + ALL_TOPICS)

    def serve(self) -> None:
        """Pass messages on until `stop` is called, then close."""
        tick = 0.0
        try:
            while not self._stopping.is_set():
                now = time.monotonic()
                if now >= tick:
                    self._tend(now)
                    tick = now + _TICK
                try:
                    self._pass_on(tick - now)
                except zmq.ZMQError:
                    self.n_faults += 1
                    self._stopping.wait(_TICK)
        finally:
            self.close()

    def stop(self) -> None:
        """Let `serve` end soon; safe in a signal handler."""
        self._stopping.set()

    def close(self) -> None:
        """Close all sockets. Idempotent."""
        for socket in self._sockets:
            socket.close(0)
        self._sockets = []
        if self._authenticator is not None:
            self._authenticator.stop()
            self._authenticator = None
        self._context.destroy(linger=0)

    def _tend(self, now: float) -> None:
        if self._allow is not None and self._allow.refresh():
            self._sockets, old = [], self._sockets
            for socket in old:
                socket.close(0)
        if not self._sockets:  # after a revocation: all shake hands again
            try:
                self._open()
            except ConfigError:  # the old socket still lets go of the address: next time
                self.n_faults += 1
                for socket in self._sockets:
                    socket.close(0)
                self._sockets = []
        if self._settings.status is not None:
            temporary = self._settings.status.with_suffix(".tmp")
            try:
                temporary.write_text(json.dumps(self.status(now)) + "\n", encoding="utf-8")
                temporary.replace(self._settings.status)
            except OSError:  # a full disk is no reason to stop
                self.n_faults += 1
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)

    def _pass_on(self, seconds: float) -> None:
        if not self._sockets:
            self._stopping.wait(max(0.0, seconds))
            return
        incoming, outgoing = self._sockets
        poller = zmq.Poller()
        poller.register(incoming, zmq.POLLIN)
        poller.register(outgoing, zmq.POLLIN)
        ready = dict(poller.poll(int(max(0.0, seconds) * 1000) + 1))
        if outgoing in ready:
            self._serve_late_joiners(outgoing)
        if incoming in ready:
            for _ in range(_TURN):
                try:
                    frames = incoming.recv_multipart(zmq.NOBLOCK, copy=False)
                except zmq.Again:
                    return
                self._forward(frames, outgoing)

    def _forward(self, received: list[zmq.Frame], outgoing: zmq.Socket[bytes]) -> None:
        now = time.monotonic()
        frames = [frame.bytes for frame in received]
        who = None if self._allow is None else self._allow.name_of(_user(received[0]))
        if self._allow is not None and who is None:  # revoked since its handshake
            self.refused["unknown_key"] += 1
            return
        try:
            header = read_header(frames, self._settings.max_message_bytes)
            if frames[3] or (who is not None and who != header.origin):
                raise RefusedError("impersonation", "")
        except RefusedError as error:
            self._refuse(who, error.reason, now)
            return
        sender = self._sender(header.origin, now)
        sender.seen = now
        if now < sender.banned_until:
            self._count(sender, "banned")
        elif not sender.bucket.take(now):
            self._refuse(header.origin, "rate", now)
        else:
            sender.forwarded += 1
            self.forwarded += 1
            stamped = [*frames[:3], b"" if who is None else who.encode()]
            self._remember(header, stamped)
            outgoing.send_multipart(stamped, zmq.NOBLOCK)

    def _sender(self, name: str, now: float) -> _Sender:
        sender = self._senders.get(name)
        if sender is None:
            sender = self._senders[name] = _Sender(self._settings, now)
            if len(self._senders) > self._settings.max_peers:
                self._senders.popitem(last=False)
        return sender

    def _refuse(self, who: str | None, reason: str, now: float) -> None:
        if who is None:
            self.refused[reason] += 1
            return
        sender = self._sender(who, now)
        self._count(sender, reason)
        if sender.strikes.strike(now):
            sender.banned_until = now + self._settings.ban_seconds

    def _count(self, sender: _Sender, reason: str) -> None:
        self.refused[reason] += 1
        sender.refused[reason] += 1

    def _remember(self, header: Header, frames: list[bytes]) -> None:
        """Keep an island's last migrants, instead of those before."""
        if header.kind != MIGRANTS:
            return
        self._forget(header.origin)
        self._cache[header.origin] = frames
        self._cached_bytes += sum(map(len, frames))
        while self._cached_bytes > self._settings.cache_bytes or (
            len(self._cache) > self._settings.max_peers
        ):
            self._forget(next(iter(self._cache)))

    def _forget(self, origin: str) -> None:
        frames = self._cache.pop(origin, None)
        if frames is not None:
            self._cached_bytes -= sum(map(len, frames))

    def _serve_late_joiners(self, outgoing: zmq.Socket[bytes]) -> None:
        """Send the last migrants again to a topic's new subscriber; the others drop what they have had."""
        for _ in range(_TURN):
            try:
                event = outgoing.recv_multipart(zmq.NOBLOCK)[0]
            except zmq.Again:
                return
            if event[:1] != _SUBSCRIBE or not self._late.take(time.monotonic()):
                continue
            for frames in self._cache.values():
                if frames[0].startswith(event[1:]):
                    outgoing.send_multipart(frames, zmq.NOBLOCK)

    def status(self, now: float) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return {
            "written": time.time(),
            "forwarded": self.forwarded,
            "refused": dict(self.refused),
            "cached": len(self._cache),
            "cached_bytes": self._cached_bytes,
            "faults": self.n_faults,
            "handshakes": {} if self._allow is None else dict(self._allow.counts),
            "peers": {
                name: {
                    "age_seconds": round(now - sender.seen, 3),
                    "forwarded": sender.forwarded,
                    "refused": dict(sender.refused),
                    "banned": now < sender.banned_until,
                }
                for name, sender in self._senders.items()
            },
        }


def _user(frame: zmq.Frame) -> str:
    """Return the user id that ZAP gave the sender of a frame: here its public key."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""
