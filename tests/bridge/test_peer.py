"""Peers on real sockets: what one sends arrives, and what goes wrong is survived without a restart."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import zmq
from bridge_parts import (
    LAYOUT,
    Relay,
    arrive,
    endpoint,
    genome,
    hears,
    identity,
    island,
    publish,
    silent_for,
    wait_until,
)
from small_disks import fill, make_room, small_disk

from tweann.bridge.peer import STATUS_FILE, Peer
from tweann.bridge.protocol import Header, body_hash, pack, pack_body
from tweann.errors import ConfigError


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def up(stack: ExitStack, name: str, **settings: Any) -> Peer:
    peer = island(name, **settings)
    stack.callback(peer.close)
    return peer


def two(stack: ExitStack, **settings: Any) -> tuple[Peer, Peer]:
    """Return peers a and b; b hears a."""
    at = endpoint()
    return up(stack, "a", bind=at), up(stack, "b", connect=(at,), **settings)


def test_genomes_arrive_with_the_name_of_who_sent_them(stack: ExitStack) -> None:
    a, b = two(stack)
    got = arrive(a, b, 1.0, 2.0)
    assert {i.peer for i in got} == {"a"}
    assert len({i.genome.genome_id for i in got}) == len(got) == 2
    assert b.customs.refused.keys() <= {"duplicate"}
    wait_until(lambda: b.metrics.get("bridge_accepted") == 2.0)


@pytest.mark.parametrize("topology", ["full", "ring", "star", "random", "custom"])
def test_four_islands_hear_whom_the_topology_says(stack: ExitStack, topology: str) -> None:
    names = "abcd"
    peers = [{"name": name, "endpoint": endpoint()} for name in names]
    islands = {
        entry["name"]: up(
            stack, entry["name"], bind=entry["endpoint"], peers=peers, topology=topology,
            degree=2, sources=("a",), centre="c",
        )
        for entry in peers
    }  # fmt: skip
    expected = {
        "full": {"a": "bcd", "b": "acd", "c": "abd", "d": "abc"},
        "ring": {"a": "d", "b": "a", "c": "b", "d": "c"},
        "star": {"a": "c", "b": "c", "c": "abd", "d": "c"},
        "custom": {"a": "", "b": "a", "c": "a", "d": "a"},
    }.get(topology)
    if expected is None:
        wait_until(lambda: all(len(p.customs.origins) == 2 for p in islands.values()))
        return
    wait_until(
        lambda: all(set(islands[name].customs.origins) == set(expected[name]) for name in names)
    )
    time.sleep(0.3)
    assert {n: set(p.customs.origins) for n, p in islands.items()} == {
        n: set(e) for n, e in expected.items()
    }


def test_a_peers_file_may_change_while_the_island_runs(stack: ExitStack, tmp_path: Path) -> None:
    a, c = endpoint(), endpoint()
    file = tmp_path / "peers.toml"
    file.write_text(f'[[peers]]\nname = "a"\nendpoint = "{a}"\n')
    first, second = up(stack, "a", bind=a), up(stack, "c", bind=c)
    b = up(stack, "b", peers_file=file)
    wait_until(hears(b, "a"))
    file.write_text("[[peers]]\nname = 7\n")
    wait_until(lambda: "peers_file" in b.problem)
    wait_until(hears(b, "a"))  # the old ones stay while it is broken
    file.write_text(f'[[peers]]\nname = "c"\nendpoint = "{c}"\n')
    wait_until(hears(b, "c"))
    assert b.problem == ""
    wait_until(silent_for(1.5, b, "a"))
    assert first.alive
    assert second.alive


def test_peers_off_loopback_in_a_file_are_left_out_without_keys(
    stack: ExitStack, tmp_path: Path
) -> None:
    file = tmp_path / "peers.toml"
    file.write_text('[[peers]]\nname = "far"\nendpoint = "tcp://192.0.2.1:5000"\n')
    b = up(stack, "b", peers_file=file)
    wait_until(lambda: "far is off this machine's loopback" in b.problem)
    assert b.status(time.monotonic())["links"] == []


def test_an_address_that_is_taken_is_an_error_at_the_start(stack: ExitStack) -> None:
    at = endpoint()
    up(stack, "a", bind=at)
    with pytest.raises(ConfigError, match=r"bridge\.bind = .*in use"):
        island("b", bind=at)


def test_status_is_written_to_the_runs_folder(stack: ExitStack, tmp_path: Path) -> None:
    at = endpoint()
    a = up(stack, "a", bind=at)
    b = up(stack, "b", connect=(at,), run_dir=tmp_path)
    arrive(a, b, 1.0)
    file = tmp_path / STATUS_FILE

    def written() -> Any:
        return json.loads(file.read_text()) if file.exists() else {"peers": {}}

    wait_until(lambda: written()["peers"].get("a", {}).get("accepted") == 1)
    status = written()
    assert status["peers"]["a"]["age_seconds"] < 5.0
    assert status["links"][0]["endpoint"] == at
    assert status["queues"]["inbox"] == 0


def test_a_folder_that_cannot_be_written_to_stops_nothing(stack: ExitStack, tmp_path: Path) -> None:
    at = endpoint()
    a = up(stack, "a", bind=at)
    b = up(stack, "b", connect=(at,), run_dir=tmp_path / "gone")
    wait_until(lambda: "cannot write peers.json" in b.problem)
    arrive(a, b, 1.0)


def test_a_peer_that_is_killed_and_started_again_is_heard_again(stack: ExitStack) -> None:
    at = endpoint()
    b = up(stack, "b", connect=(at,))
    spawn = multiprocessing.get_context("spawn")
    boots = set[int]()

    def heard_anew() -> bool:
        return "a" in b.customs.origins and b.customs.origins["a"].boot not in boots

    for _ in range(2):
        process = spawn.Process(target=publish, args=(at, "a"), daemon=True)
        process.start()
        wait_until(heard_anew, 60.0)
        boots.add(b.customs.origins["a"].boot)
        process.kill()
        process.join()
    assert len(boots) == 2
    assert b.n_faults == 0


class TestFaults:
    """Faults on the line between a and b, while c, which nothing is wrong with, is heard all along."""

    @pytest.fixture
    def parts(self, stack: ExitStack) -> tuple[Peer, Relay, Peer, Peer]:
        at, other = endpoint(), endpoint()
        a, c = up(stack, "a", bind=at), up(stack, "c", bind=other)
        relay = Relay(at)
        stack.callback(relay.close)
        b = up(stack, "b", connect=(relay.endpoint, other))
        wait_until(hears(b, "a", "c"))
        return a, relay, b, c

    def test_a_cut_line_heals(self, parts: tuple[Peer, Relay, Peer, Peer]) -> None:
        a, relay, b, _ = parts
        relay.cut()
        wait_until(silent_for(2.5, b, "a"))  # longer than the silence that is tolerated
        wait_until(hears(b, "c"))
        relay.mend()
        arrive(a, b, 1.0)

    def test_a_stalled_line_is_opened_anew(self, parts: tuple[Peer, Relay, Peer, Peer]) -> None:
        a, relay, b, _ = parts
        relay.stalled = True
        (link,) = (k for k in b._links.values() if k.target.endpoint == relay.endpoint)
        opened = link.n_opened
        wait_until(lambda: link.n_opened >= opened + 2)
        wait_until(hears(b, "c"))
        relay.stalled = False
        arrive(a, b, 1.0)

    def test_delay_and_loss_only_slow_it_down(self, parts: tuple[Peer, Relay, Peer, Peer]) -> None:
        a, relay, b, _ = parts
        relay.delay, relay.loss = 0.1, 0.2
        arrive(a, b, 1.0, 2.0)
        wait_until(hears(b, "c"))
        assert b.customs.refused.keys() <= {"duplicate"}


class Stranger:
    """A publisher that says what it likes."""

    def __init__(self, stack: ExitStack, name: str = "x") -> None:
        self.context: zmq.Context[Any] = zmq.Context()
        stack.callback(self.context.destroy, linger=0)
        self.socket: zmq.Socket[bytes] = self.context.socket(zmq.PUB)
        stack.callback(self.socket.close)
        self.socket.linger = 0
        self.endpoint = endpoint()
        self.socket.bind(self.endpoint)
        self.me = identity(name)
        self.sequence = 0

    def message(self, body: bytes, n: int, **changes: Any) -> list[bytes]:
        fields: dict[str, Any] = {
            "kind": "migrants", "origin": self.me.name, "run": "r", "task": self.me.task,
            "randomness": self.me.randomness, "boot": self.me.boot, "sequence": self.sequence,
            "sent": time.time(), "n": n, "body": body_hash(body),
        }  # fmt: skip
        self.sequence += 1
        return pack(Header(**(fields | changes)), body)

    def good(self, value: float) -> list[bytes]:
        body, n = pack_body([genome(value)], 10**6)
        return self.message(body, n)

    def until(self, frames: Any, condition: Any, seconds: float = 15.0) -> None:
        """Send ``frames()`` again and again until ``condition()``."""

        def sent() -> bool:
            self.socket.send_multipart(frames())
            return bool(condition())

        wait_until(sent, seconds)


def test_a_peer_that_floods_is_shut_out_and_the_others_are_heard(stack: ExitStack) -> None:
    other = endpoint()
    c, x = up(stack, "c", bind=other), Stranger(stack)
    b = up(stack, "b", connect=(x.endpoint, other), rate=20.0, strikes=50, ban_seconds=1.0)
    wait_until(hears(b, "c"))
    (link,) = (k for k in b._links.values() if k.target.endpoint == x.endpoint)
    stop = threading.Event()

    def flood() -> None:
        while not stop.is_set():
            x.socket.send_multipart(x.good(1.0))

    flooder = threading.Thread(target=flood)
    flooder.start()
    try:
        wait_until(lambda: link.socket is None)
        arrive(c, b, 2.0)
    finally:
        stop.set()
        flooder.join()
    opened = link.n_opened
    wait_until(lambda: link.n_opened > opened)  # a ban ends
    x.until(lambda: x.good(3.0), lambda: 3.0 in [i.genome.weight[0] for i in b.inbox.take(100)])


def test_an_oversize_message_costs_the_connection_and_it_comes_back(stack: ExitStack) -> None:
    x = Stranger(stack)
    b = up(stack, "b", connect=(x.endpoint,), max_message_bytes=4096)
    x.until(lambda: x.good(1.0), hears(b, "x"))
    x.socket.send_multipart(x.message(b"x" * 500_000, 1))
    x.until(lambda: x.good(2.0), hears(b, "x"), 30.0)
    x.until(lambda: x.message(b"x" * 6000, 1), lambda: b.customs.refused["size"] > 0)
    x.until(lambda: x.good(3.0), hears(b, "x"))


def test_what_does_not_fit_into_a_message_is_not_sent(stack: ExitStack) -> None:
    at = endpoint()
    a = up(stack, "a", bind=at, max_message_bytes=4096)
    b = up(stack, "b", connect=(at,))
    arrive(a, b, 1.0)
    a.offer([genome(float(k)) for k in range(40)])
    wait_until(lambda: a.n_too_large > 0)
    arrive(a, b, 100.0)
    assert all(link.n_opened == 1 for link in b._links.values())


def test_a_subscriber_that_does_not_read_holds_up_nobody(stack: ExitStack) -> None:
    at = endpoint()
    a, b = up(stack, "a", bind=at), up(stack, "b", connect=(at,), rate=1e6)
    context: zmq.Context[Any] = zmq.Context()
    stack.callback(context.destroy, linger=0)
    slow: zmq.Socket[bytes] = context.socket(zmq.SUB)
    stack.callback(slow.close, 0)
    slow.rcvhwm = 1
    slow.setsockopt(zmq.SUBSCRIBE, b"")
    slow.connect(at)
    arrive(a, b, 1.0)
    for k in range(3000):
        before = time.perf_counter()
        a.offer([genome(float(k))])
        assert time.perf_counter() - before < 0.5
    arrive(a, b, -1.0)
    assert len(a.outbox) <= 16


def test_a_full_outbox_drops_the_oldest_and_says_so(stack: ExitStack) -> None:
    a = up(stack, "a", bind=endpoint(), outbox=2)
    for k in range(500):
        a.offer([genome(float(k))])
    wait_until(lambda: a.n_sent + a.outbox.n_dropped == 500)
    assert a.outbox.n_dropped > 0
    wait_until(lambda: a.metrics["bridge_sent"] == a.n_sent)


def test_a_fault_in_the_thread_is_survived(stack: ExitStack, monkeypatch: Any) -> None:
    a, b = two(stack)
    wait_until(hears(b, "a"))

    def fail(now: float) -> None:
        monkeypatch.undo()
        raise RuntimeError("out of luck")

    monkeypatch.setattr(b, "_tend", fail)
    wait_until(lambda: b.n_faults == 1)
    assert b.problem == "RuntimeError: out of luck"
    arrive(a, b, 1.0)


def test_closing_is_quick_and_may_be_done_twice(stack: ExitStack) -> None:
    peer = island("a", bind=endpoint(), connect=("tcp://127.0.0.1:9",))
    before = time.monotonic()
    peer.close()
    peer.close()
    assert time.monotonic() - before < 2.0
    assert not peer.alive
    assert LAYOUT.n_inputs == 3


def test_a_full_disk_is_a_problem_that_passes(stack: ExitStack, tmp_path: Path) -> None:
    disk = stack.enter_context(small_disk(tmp_path))
    peer = up(stack, "a", bind=endpoint(), run_dir=disk)
    wait_until((disk / STATUS_FILE).exists)
    fill(disk / "ballast")
    wait_until(lambda: peer.problem == f"cannot write {STATUS_FILE}: No space left on device")
    assert json.loads((disk / STATUS_FILE).read_text())["name"] == "a"
    wait_until(lambda: {path.name for path in disk.iterdir()} == {STATUS_FILE, "ballast"})
    make_room(disk, disk / "ballast")
    wait_until(lambda: peer.problem == "")
