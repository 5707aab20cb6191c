"""A hub on real sockets: it passes on, remembers for late joiners, and says who sent what."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import zmq
from bridge_parts import (
    arrive,
    endpoint,
    genome,
    hears,
    identity,
    island,
    silent_for,
    wait_until,
)

from tweann.bridge.customs import Identity
from tweann.bridge.hub import Hub, HubSettings
from tweann.bridge.peer import Peer
from tweann.bridge.protocol import Header, body_hash, pack, pack_body
from tweann.bridge.security import new_keys, read_keys
from tweann.bridge.sockets import client
from tweann.errors import ConfigError


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


class Running:
    """A hub in a thread."""

    def __init__(self, **settings: Any) -> None:
        self.hub = Hub(HubSettings.model_validate(settings, strict=False))
        self._thread = threading.Thread(target=self.hub.serve)
        self._thread.start()

    def stop(self) -> None:
        self.hub.stop()
        self._thread.join(10.0)
        assert not self._thread.is_alive()


def addresses() -> dict[str, str]:
    return {"publish": endpoint(), "subscribe": endpoint()}


def start(stack: ExitStack, **settings: Any) -> Running:
    running = Running(**settings)
    stack.callback(running.stop)
    return running


def up(stack: ExitStack, name: str, hub: dict[str, str], **settings: Any) -> Peer:
    peer = island(name, hub=hub, **settings)
    stack.callback(peer.close)
    return peer


def test_islands_hear_each_other_and_not_themselves(stack: ExitStack) -> None:
    at = addresses()
    running = start(stack, **at)
    a, b = up(stack, "a", at), up(stack, "b", at)
    arrive(a, b, 1.0)
    arrive(b, a, 2.0)
    wait_until(lambda: a.customs.refused["echo"] > 0)
    assert set(a.customs.origins) == {"b"}
    assert running.hub.refused == {}


def test_a_topology_holds_through_a_hub(stack: ExitStack) -> None:
    at = addresses()
    start(stack, **at)
    names = [{"name": name} for name in "abc"]
    islands = {n: up(stack, n, at, peers=names, topology="ring") for n in "abc"}
    wait_until(hears(islands["b"], "a"))
    wait_until(hears(islands["c"], "b"))
    wait_until(hears(islands["a"], "c"))
    assert set(islands["b"].customs.origins) == {"a"}


def test_a_late_joiner_gets_the_last_migrants(stack: ExitStack) -> None:
    at = addresses()
    running = start(stack, **at)
    a, b = up(stack, "a", at), up(stack, "b", at)
    arrive(a, b, 1.0)
    a.close()
    c = up(stack, "c", at)
    wait_until(lambda: c.customs.n_accepted == 1)
    assert c.inbox.take(1)[0].peer == "a"
    assert running.hub.status(0.0)["cached"] == 1
    time.sleep(0.2)
    assert b.customs.refused["stale"] >= 1  # b has had it: it drops what is sent again


def test_a_hub_that_dies_and_comes_back_is_found_again(stack: ExitStack) -> None:
    at = addresses()
    first = Running(**at)
    a, b = up(stack, "a", at), up(stack, "b", at)
    arrive(a, b, 1.0)
    first.stop()
    wait_until(silent_for(1.5, b, "a"))  # what was under way when the hub died may still arrive
    start(stack, **at)
    arrive(a, b, 2.0, seconds=30.0)
    assert a.n_faults == b.n_faults == 0


class Speaker:
    """Somebody who sends to a hub what it likes."""

    def __init__(self, stack: ExitStack, at: str, me: Identity, keys: Any = None, key: Any = None):
        self.context: zmq.Context[Any] = zmq.Context()
        stack.callback(self.context.term)
        self.socket = client(self.context, zmq.PUB, 1000, 10**6, keys, key)
        stack.callback(self.socket.close, 0)
        self.socket.connect(at)
        self.me, self.sequence = me, 0

    def message(self, value: float, **changes: Any) -> list[bytes]:
        body, n = pack_body([genome(value)], 10**6)
        fields: dict[str, Any] = {
            "kind": "migrants", "origin": self.me.name, "run": "r", "task": self.me.task,
            "randomness": self.me.randomness, "boot": self.me.boot, "sequence": self.sequence,
            "sent": time.time(), "n": n, "body": body_hash(body),
        }  # fmt: skip
        self.sequence += 1
        return pack(Header(**(fields | changes)), body)


def test_rubbish_and_forged_stamps_go_no_further(stack: ExitStack) -> None:
    at = addresses()
    running = start(stack, **at)
    b = up(stack, "b", at)
    x = Speaker(stack, at["publish"], identity("x"))
    good = x.message(1.0)

    def refused() -> bool:
        for frames in (
            [*good[:3], b"a"],
            [good[0], b"rubbish", b"", b""],
            [*good[:2], b"other", b""],
            [b"tweann1|z|", *good[1:]],
            good[:2],
        ):
            x.socket.send_multipart(frames)
        time.sleep(0.05)
        return running.hub.refused.keys() >= {"impersonation", "header", "hash", "topic", "frames"}

    wait_until(refused)

    wait_until(lambda: bool(x.socket.send_multipart(x.message(2.0)) or b.customs.n_accepted))


def test_one_island_that_floods_is_held_back_and_the_others_pass(stack: ExitStack) -> None:
    at = addresses()
    running = start(stack, **at, rate=20.0, strikes=30, ban_seconds=1.0)
    a, b = up(stack, "a", at), up(stack, "b", at)
    wait_until(hears(b, "a"))
    x = Speaker(stack, at["publish"], identity("x"))

    def flood() -> bool:
        for _ in range(50):
            x.socket.send_multipart(x.message(1.0))
        time.sleep(0.02)
        return running.hub.refused["rate"] >= 30 and running.hub.refused["banned"] > 0

    wait_until(flood)
    assert running.hub.status(time.monotonic())["peers"]["x"]["banned"]
    arrive(a, b, 3.0)


def test_the_cache_is_bounded(stack: ExitStack) -> None:
    at = addresses()
    running = start(stack, **at, max_peers=3, rate=1e6)
    b = up(stack, "b", at)
    wait_until(lambda: running.hub.forwarded > 0)
    speakers = [Speaker(stack, at["publish"], identity(f"x{k}")) for k in range(8)]

    def all_heard() -> bool:
        for speaker in speakers:
            speaker.socket.send_multipart(speaker.message(1.0))
        time.sleep(0.02)
        return len(b.customs.origins) >= 8

    wait_until(all_heard)
    status = running.hub.status(0.0)
    assert status["cached"] <= 3
    assert len(status["peers"]) <= 3
    assert status["cached_bytes"] == sum(
        sum(map(len, frames)) for frames in running.hub._cache.values()
    )


class TestKeys:
    @pytest.fixture
    def keys(self, tmp_path: Path) -> dict[str, Any]:
        found = {}
        for name in ("hub", "a", "b", "x"):
            new_keys(name, tmp_path)
            found[name] = read_keys(tmp_path / f"{name}.key_secret")
        self.allow(tmp_path, found, "a", "b")
        return found

    def allow(self, folder: Path, keys: dict[str, Any], *names: str) -> None:
        lines = [f"{name} = {json.dumps(keys[name].public.decode())}" for name in names]
        temporary = folder / "allow.new"
        temporary.write_text("\n".join(["[tweann]", *lines, ""]))
        temporary.replace(folder / "allow.toml")

    def start(self, stack: ExitStack, folder: Path, at: dict[str, str]) -> Running:
        return start(stack, **at, keys=folder / "hub.key_secret", allow=folder / "allow.toml")

    def island(
        self, stack: ExitStack, folder: Path, name: str, at: dict[str, str], keys: dict[str, Any]
    ) -> Peer:
        hub = {**at, "key": keys["hub"].public.decode()}
        return up(stack, name, hub, keys=folder / f"{name}.key_secret")

    def test_the_hub_stamps_who_sent_it(
        self, stack: ExitStack, tmp_path: Path, keys: dict[str, Any]
    ) -> None:
        at = addresses()
        running = self.start(stack, tmp_path, at)
        a = self.island(stack, tmp_path, "a", at, keys)
        b = self.island(stack, tmp_path, "b", at, keys)
        arrive(a, b, 1.0)
        forger = Speaker(
            stack, at["publish"], identity("b"), keys["a"], keys["hub"].public.decode()
        )

        def found_out() -> bool:
            forger.socket.send_multipart(forger.message(9.0))
            time.sleep(0.02)
            return running.hub.refused["impersonation"] > 0

        wait_until(found_out)
        assert running.hub.status(0.0)["peers"]["a"]["refused"]["impersonation"] > 0
        assert b.customs.n_accepted == 1
        assert all(frames[3] == b"a" for frames in running.hub._cache.values())

    def test_a_stranger_neither_hears_nor_is_heard(
        self, stack: ExitStack, tmp_path: Path, keys: dict[str, Any]
    ) -> None:
        at = addresses()
        running = self.start(stack, tmp_path, at)
        a = self.island(stack, tmp_path, "a", at, keys)
        b = self.island(stack, tmp_path, "b", at, keys)
        x = self.island(stack, tmp_path, "x", at, keys)
        arrive(a, b, 1.0)
        x.offer([genome(7.0)])
        time.sleep(1.0)
        assert x.customs.origins == {}
        assert set(b.customs.origins) == {"a"}
        assert running.hub.status(0.0)["handshakes"]["refused"] > 0

    def test_a_revoked_key_is_heard_no_more(
        self, stack: ExitStack, tmp_path: Path, keys: dict[str, Any]
    ) -> None:
        at = addresses()
        self.start(stack, tmp_path, at)
        a = self.island(stack, tmp_path, "a", at, keys)
        b = self.island(stack, tmp_path, "b", at, keys)
        arrive(a, b, 1.0)
        self.allow(tmp_path, keys, "b")
        wait_until(silent_for(1.5, b, "a"))
        self.allow(tmp_path, keys, "a", "b")
        arrive(a, b, 2.0, seconds=30.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"publish": "tcp://*:5000", "subscribe": "tcp://127.0.0.1:5001"}, "off this machine"),
        (
            {"publish": "tcp://127.0.0.1:0", "subscribe": "tcp://127.0.0.1:0", "keys": "k"},
            "needs --allow",
        ),
    ],
)
def test_a_hub_that_would_be_open_to_all_does_not_start(settings: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Hub(HubSettings.model_validate(settings, strict=False))


def test_an_address_that_is_taken_is_named(stack: ExitStack) -> None:
    at = addresses()
    start(stack, **at)
    with pytest.raises(ConfigError, match="in use"):
        Hub(HubSettings.model_validate(at, strict=False))


def test_figures_are_kept_in_a_file(stack: ExitStack, tmp_path: Path) -> None:
    at = addresses()
    start(stack, **at, status=tmp_path / "hub.json")
    wait_until((tmp_path / "hub.json").exists)
    assert json.loads((tmp_path / "hub.json").read_text())["forwarded"] == 0
