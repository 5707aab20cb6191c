"""A peer: one thread that owns all sockets of an island, and two queues between it and evolution."""

from __future__ import annotations

import contextlib
import json
import socket as system_socket
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import zmq
from zmq.auth.thread import ThreadAuthenticator

from tweann.bridge.bounded import DropOldest
from tweann.bridge.customs import Customs, Identity
from tweann.bridge.links import Link, Target, topics_for
from tweann.bridge.protocol import (
    ALL_TOPICS,
    HEARTBEAT,
    MAX_BATCH,
    MIGRANTS,
    Header,
    body_hash,
    pack,
    pack_body,
)
from tweann.bridge.security import AllowList, read_keys, start_authenticator
from tweann.bridge.settings import BridgeSettings, PeerEntry, is_local, read_peers
from tweann.bridge.sockets import client, publisher
from tweann.errors import ConfigError
from tweann.genome import Genome
from tweann.interfaces import Immigrant
from tweann.layout import Layout
from tweann.topologies import heard_by

#: Status of the bridge, in the run's folder.
STATUS_FILE: Final = "peers.json"
#: How often files are looked at and links tended, seconds.
_TICK: Final = 0.5
#: How long `Peer.close` waits for the thread, seconds.
_PATIENCE: Final = 5.0


class Peer:
    """Sends and receives in the background.

    `offer`, `take` and `metrics` are for evolution's thread and never wait; everything else happens in the
    peer's own.

    Attributes:
        inbox, outbox: the queues; each drops the oldest when it is full.
        customs: looks at what comes in.
    """

    def __init__(
        self, settings: BridgeSettings, me: Identity, layout: Layout, run_dir: Path | None = None
    ) -> None:
        """Open the sockets and start the thread.

        Raises:
            ConfigError: the address cannot be bound, or a key, an allow-list or a peers file cannot be read.
        """
        self._settings, self._me, self._run_dir = settings, me, run_dir
        self.inbox: DropOldest[Immigrant] = DropOldest(settings.inbox)
        self.outbox: DropOldest[Sequence[Genome]] = DropOldest(settings.outbox)
        self.customs = Customs(settings, me, layout, self.inbox)
        self._keys = None if settings.keys is None else read_keys(settings.keys)
        self._allow = None if settings.allow is None else AllowList(settings.allow, settings.domain)
        self._problems: dict[str, str] = {}
        self._entries: tuple[PeerEntry, ...] = ()
        self._peers_stamp: tuple[int, int] | None = None
        self._read_peers_file()
        self.n_sent = self.n_messages = self.n_too_large = self.n_faults = 0
        self._sequence = 0
        self._stop = False
        self._metrics: Mapping[str, float] = {}
        self._links: dict[str, Link] = {}
        self._out: dict[str, zmq.Socket[bytes]] = {}
        self._hub_opened = 0.0
        self._waker, self._woken = system_socket.socketpair()
        for end in (self._waker, self._woken):
            end.setblocking(False)
        self._context: zmq.Context[Any] = zmq.Context()
        self._authenticator: ThreadAuthenticator | None = None
        try:
            self._open()
        except BaseException:
            self._shut()
            self._close_waker()
            raise
        self._thread = threading.Thread(target=self._run, name=f"bridge-{me.name}", daemon=True)
        self._thread.start()

    # ------------------------------------------------------- evolution's thread

    def offer(self, genomes: Sequence[Genome]) -> None:
        """Queue genomes to be sent, in messages of at most `MAX_BATCH`."""
        for start in range(0, len(genomes), MAX_BATCH):
            self.outbox.put(genomes[start : start + MAX_BATCH])
        with contextlib.suppress(OSError):  # it is being woken already, or closed
            self._waker.send(b"\0")

    @property
    def metrics(self) -> Mapping[str, float]:
        """Figures as of the last tick, ``bridge_…``."""
        return self._metrics

    @property
    def problem(self) -> str:
        """What is wrong, in words; empty: nothing."""
        found = list(self._problems.values())
        if self._allow is not None and self._allow.problem:
            found.append(self._allow.problem)
        return "; ".join(found)

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Stop the thread and close all sockets. Idempotent."""
        self._stop = True
        with contextlib.suppress(OSError):
            self._waker.send(b"\0")
        self._thread.join(_PATIENCE)
        self._close_waker()

    def _close_waker(self) -> None:
        self._waker.close()
        self._woken.close()

    # ------------------------------------------------------------ the own thread

    def _run(self) -> None:
        try:
            while not self._stop:
                try:
                    self._serve()
                except Exception as error:  # evolution must go on whatever happens here
                    self.n_faults += 1
                    self._problems["fault"] = f"{type(error).__name__}: {error}"
                    self._silence()
                    time.sleep(_TICK)
        finally:
            self._write_status(time.monotonic())
            self._shut()

    def _serve(self) -> None:
        """Pass messages on until it is time to stop."""
        poller = zmq.Poller()
        polled: dict[Any, Link | None] = {}
        heartbeat = tick = status = 0.0
        while not self._stop:
            now = time.monotonic()
            if now >= tick:
                self._tend(now)
                tick = now + _TICK
                self._metrics = self._figures(now)
            if now >= heartbeat:
                self._send(HEARTBEAT, ())
                heartbeat = now + self._settings.heartbeat_seconds
            if now >= status:
                self._write_status(now)
                status = now + self._settings.status_seconds
            wanted: dict[Any, Link | None] = {self._woken: None}
            wanted |= {link.socket: link for link in self._links.values() if link.socket}
            if wanted.keys() != polled.keys():
                poller = zmq.Poller()
                for socket in wanted:
                    poller.register(socket, zmq.POLLIN)
                polled = wanted
            wait = max(0.0, min(tick, heartbeat, status) - time.monotonic())
            for socket, _ in poller.poll(int(wait * 1000) + 1):
                link = polled.get(socket)
                if link is not None:
                    link.read(self.customs, time.monotonic())
            with contextlib.suppress(BlockingIOError):
                self._woken.recv(4096)
            for genomes in self.outbox.take(self._settings.outbox):
                self._send(MIGRANTS, genomes)

    def _send(self, kind: str, genomes: Sequence[Genome]) -> None:
        body, n = pack_body(genomes, self.customs.max_body)
        if n < len(genomes):  # an oversize message would cost the others their connection
            self.n_too_large += len(genomes) - n
            if n == 0:
                return
        header = Header(
            kind=kind,
            origin=self._me.name,
            run=self._me.run,
            task=self._me.task,
            randomness=self._me.randomness,
            boot=self._me.boot,
            sequence=self._sequence,
            sent=time.time(),
            n=n,
            body=body_hash(body),
        )
        self._sequence += 1
        frames = pack(header, body)
        self.n_messages += 1
        self.n_sent += n
        for socket in self._out.values():
            with contextlib.suppress(zmq.Again):
                socket.send_multipart(frames, zmq.NOBLOCK)

    def _open(self) -> None:
        """Open what publishes and is not open, the authenticator first; the links are opened by `_tend`."""
        settings = self._settings
        if self._allow is not None and self._keys is not None and self._authenticator is None:
            self._authenticator = start_authenticator(self._context, self._allow, settings.domain)
        if settings.bind is not None and "bind" not in self._out:
            out = publisher(
                self._context, zmq.PUB, settings.high_water, self._keys, settings.domain
            )
            try:
                out.bind(settings.bind)
            except zmq.ZMQError as error:
                out.close(0)
                raise ConfigError(f"bridge.bind = {settings.bind!r}: {error}") from None
            self._out["bind"] = out
        if settings.hub is not None and "hub" not in self._out:
            out = client(
                self._context, zmq.PUB, settings.high_water, 1024, self._keys, settings.hub.key
            )
            self._out["hub"] = out
            self._hub_opened = time.monotonic()
            out.connect(settings.hub.publish)

    def _silence(self, *names: str) -> None:
        """Close what publishes: some of it, or all."""
        for name in names or tuple(self._out):
            if name in self._out:
                self._out.pop(name).close(0)

    def _shut(self) -> None:
        for link in self._links.values():
            link.close()
        self._silence()
        if self._authenticator is not None:
            self._authenticator.stop()
            self._authenticator = None
        self._context.destroy(linger=0)

    def _tend(self, now: float) -> None:
        """Look whether files have changed, and see to the links."""
        self._read_peers_file()
        if self._allow is not None and self._allow.refresh():
            # A key is asked for at the handshake only: all have to shake hands again.
            self._silence("bind")
        heard = max(self._hub_opened, self.customs.last_echo)
        if now - heard > self._settings.silence_seconds:
            # ZeroMQ does not try again where a key was refused, and it may be allowed by now.
            self._silence("hub")
        try:
            self._open()
            self._problems.pop("bind", None)
        except ConfigError as error:  # the old socket still lets go of the address: next time
            self._problems["bind"] = str(error)
        wanted = {f"{target}": target for target in self._targets()}
        for known in [known for known in self._links if known not in wanted]:
            self._links.pop(known).close()
        for known, target in wanted.items():
            if known not in self._links:
                self._links[known] = Link(
                    self._context, self._settings, target, self._keys, self.customs.max_body, now
                )
            self._links[known].tend(now)

    def _read_peers_file(self) -> None:
        """Take up a peers file that has changed; while it cannot be read, the old peers stay."""
        path = self._settings.peers_file
        if path is None:
            return
        try:
            found = path.stat()
        except OSError as error:
            if self._peers_stamp is None:
                raise ConfigError(f"cannot read {path}: {error.strerror}") from None
            return
        stamp = (found.st_mtime_ns, found.st_size)
        if stamp == self._peers_stamp:
            return
        try:
            self._entries = read_peers(path)
            self._problems.pop("file", None)
        except ConfigError as error:
            if self._peers_stamp is None:
                raise
            self._problems["file"] = str(error)
        self._peers_stamp = stamp

    def _targets(self) -> list[Target]:
        """Return whom to listen to."""
        settings = self._settings
        entries = {entry.name: entry for entry in (*settings.peers, *self._entries)}
        names = heard_by(
            self._me.name,
            entries.keys(),
            settings.topology,
            centre=settings.centre,
            degree=settings.degree,
            custom=settings.sources,
        )
        targets = [Target(endpoint) for endpoint in settings.connect]
        if settings.hub is not None:
            everything = settings.topology == "full"
            # What comes back of our own says that the way there is open.
            topics = (ALL_TOPICS,) if everything else topics_for([*names, self._me.name])
            hub = settings.hub
            return [*targets, Target(hub.subscribe, None, hub.key, topics, hub=True)]
        self._problems.pop("key", None)
        for name in names:
            entry = entries[name]
            if entry.endpoint is None:
                continue
            if self._keys is None and not is_local(entry.endpoint):
                self._problems["key"] = (
                    f"{name} is off this machine's loopback, and bridge.keys is not set"
                )
            elif self._keys is not None and entry.key is None:
                self._problems["key"] = f"{name} has no key, and bridge.keys is set"
            else:
                targets.append(Target(entry.endpoint, name, entry.key, topics_for([name])))
        return targets

    # ------------------------------------------------------------------ figures

    def _figures(self, now: float) -> dict[str, float]:
        customs = self.customs
        fresh = [
            origin
            for origin in customs.origins.values()
            if now - origin.last_seen < self._settings.silence_seconds
        ]
        figures = {
            "bridge_peers": len(fresh),
            "bridge_lag_seconds": max((origin.lag for origin in fresh), default=0.0),
            "bridge_age_seconds": max((now - origin.last_seen for origin in fresh), default=0.0),
            "bridge_sent": self.n_sent,
            "bridge_received": customs.n_received,
            "bridge_accepted": customs.n_accepted,
            "bridge_inbox": len(self.inbox),
            "bridge_inbox_dropped": self.inbox.n_dropped,
            "bridge_outbox": len(self.outbox),
            "bridge_outbox_dropped": self.outbox.n_dropped,
            "bridge_faults": self.n_faults,
        }
        if self._allow is not None:
            figures["bridge_keys_refused"] = self._allow.counts["refused"]
        for reason, count in customs.refused.items():
            figures[f"bridge_refused_{reason}"] = count
        return {name: float(value) for name, value in figures.items()}

    def status(self, now: float) -> dict[str, Any]:
        """Return everything that is known, as JSON values."""
        allow = self._allow
        return {
            "name": self._me.name,
            "run": self._me.run,
            "written": time.time(),
            "problem": self.problem,
            "topology": self._settings.topology,
            "sent": {
                "messages": self.n_messages,
                "genomes": self.n_sent,
                "too_large": self.n_too_large,
            },
            "received": {
                "messages": self.customs.n_received,
                "accepted": self.customs.n_accepted,
                "refused": dict(self.customs.refused),
            },
            "queues": {
                "inbox": len(self.inbox),
                "inbox_dropped": self.inbox.n_dropped,
                "outbox": len(self.outbox),
                "outbox_dropped": self.outbox.n_dropped,
            },
            "handshakes": {} if allow is None else dict(allow.counts),
            "links": [link.data(now) for link in self._links.values()],
            "peers": {name: o.data(now) for name, o in self.customs.origins.items()},
        }

    def _write_status(self, now: float) -> None:
        if self._run_dir is None:
            return
        # Not durable, and so without a wait for the disk; whoever reads it sees the old one or the new.
        temporary = self._run_dir / f".{STATUS_FILE}.tmp"
        try:
            temporary.write_text(json.dumps(self.status(now)) + "\n", encoding="utf-8")
            temporary.replace(self._run_dir / STATUS_FILE)
        except OSError as error:  # a full disk is no reason to stop
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            self._problems["disk"] = f"cannot write {STATUS_FILE}: {error.strerror}"
        else:
            self._problems.pop("disk", None)
