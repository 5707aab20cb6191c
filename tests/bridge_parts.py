"""Islands without evolution, and a relay that spoils connections, for the tests of the bridge."""

from __future__ import annotations

import random
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from tweann.bridge.customs import Identity
from tweann.bridge.peer import Peer
from tweann.bridge.settings import BridgeSettings
from tweann.genome import Genome
from tweann.interfaces import Immigrant
from tweann.layout import Layout
from tweann.seed import seed_network

LAYOUT = Layout(3, 2, max_nodes=50, max_connections=100, recurrent=True)
TASK = b"t" * 16
#: Quick, so that tests are: heartbeats and what follows from them.
QUICK: dict[str, Any] = {
    "heartbeat_seconds": 0.1,
    "silence_seconds": 1.0,
    "status_seconds": 0.2,
    "least_seconds": 0.0,
}


def free_port() -> int:
    """Return a port of loopback that nobody uses now.

    Below those that systems give to outgoing connections: such a one may be taken again at any time.
    """
    while True:
        port = random.randrange(20_000, 30_000)
        with socket.socket() as holder, suppress(OSError):
            holder.bind(("127.0.0.1", port))
            return port


def endpoint() -> str:
    return f"tcp://127.0.0.1:{free_port()}"


def genome(value: float) -> Genome:
    """Return a genome whose weights are all ``value``."""
    seed = seed_network(LAYOUT, np.arange(3), "tanh")
    return Genome(
        n_inputs=3,
        n_outputs=2,
        node_id=seed.node_id,
        activation=seed.activation,
        aggregation=seed.aggregation,
        bias=seed.bias,
        source=seed.source,
        target=seed.target,
        weight=np.full(seed.n_connections, value),
        enabled=seed.enabled,
    )


def identity(name: str, **changes: Any) -> Identity:
    values: dict[str, Any] = {
        "name": name,
        "run": "run",
        "task": TASK,
        "randomness": name.encode().ljust(16, b"_")[:16],
        "boot": secrets.randbits(60),
    }
    return Identity(**values | changes)


def island(name: str, *, me: Identity | None = None, run_dir: Any = None, **settings: Any) -> Peer:
    """Return a peer that is up; settings as in a configuration."""
    found = BridgeSettings.model_validate(QUICK | settings, strict=False)
    return Peer(found, me or identity(name), LAYOUT, run_dir)


def wait_until(condition: Callable[[], object], seconds: float = 15.0) -> None:
    """Wait until ``condition`` is true; fail after that many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)


def hears(peer: Peer, *names: str) -> Callable[[], bool]:
    """Return whether a peer has heard those islands since this call."""
    before = {name: known.messages for name, known in peer.customs.origins.items()}
    return lambda: all(
        name in peer.customs.origins and peer.customs.origins[name].messages > before.get(name, 0)
        for name in names
    )


def silent_for(seconds: float, peer: Peer, name: str) -> Callable[[], bool]:
    """Return whether a peer has heard nothing of that island for that long."""
    heard, since = hears(peer, name), time.monotonic()

    def silent() -> bool:
        nonlocal heard, since
        if heard():
            heard, since = hears(peer, name), time.monotonic()
        return time.monotonic() - since > seconds

    return silent


def arrive(sender: Peer, target: Peer, *values: float, seconds: float = 15.0) -> list[Immigrant]:
    """Send genomes again and again until ``target`` has them all, and return what it got."""
    genomes = [genome(value) for value in values]
    got: list[Immigrant] = []

    def there() -> bool:
        sender.offer(genomes)
        time.sleep(0.05)
        got.extend(target.inbox.take(1000))
        return {g.genome_id for g in genomes} <= {i.genome.genome_id for i in got}

    wait_until(there, seconds)
    return got


class Relay:
    """A TCP relay to an endpoint of loopback, whose faults can be changed while it runs.

    A lost packet of TCP is sent again, so loss is seen as delay; ``loss`` adds the time of a retransmission to
    that share of chunks, and keeps what comes behind waiting, as TCP does.

    Attributes:
        delay, loss: seconds for each chunk, share of chunks that take 0.2 s more.
        stalled: nothing passes, connections stay.
    """

    def __init__(self, target: str) -> None:
        self._target = int(target.rpartition(":")[2])
        self.delay = self.loss = 0.0
        self.stalled = False
        self._up = True
        self._rng = random.Random(1)
        self._pairs: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        self._closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break all connections, and refuse new ones."""
        self._up = False
        for end in self._pairs:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # close alone waits for whoever reads it
            with suppress(OSError):
                end.close()
        self._pairs.clear()

    def mend(self) -> None:
        """Let new connections through."""
        self._up = True

    def close(self) -> None:
        self._closed = True
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if not self._up:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target), 1.0)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self._pairs += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(65_536):
                pause = self.delay + (0.2 if self._rng.random() < self.loss else 0.0)
                if pause:
                    time.sleep(pause)
                while self.stalled:
                    time.sleep(0.02)
                sink.sendall(chunk)
        for end in (source, sink):
            with suppress(OSError):
                end.close()


# Processes of their own find these by the name of this module: a test module has none when pytest is the program.


def publish(at: str, name: str) -> None:
    """Be an island in a process of its own, until killed."""
    peer = island(name, bind=at)
    k = 0.0
    while True:
        peer.offer([genome(k % 7)])
        k += 1.0
        time.sleep(0.02)


def flood(at: str) -> None:
    """Send genomes of another shape and task, in a process of its own, until killed."""
    noisy = island("noisy", bind=at)
    k = 0.0
    while True:
        noisy.offer([genome(k)])
        k += 1.0
