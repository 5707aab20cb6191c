"""What passes customs, what does not, and why: each reason is counted."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from bridge_parts import LAYOUT, TASK, genome, identity

from tweann.bridge.bounded import DropOldest
from tweann.bridge.customs import Customs
from tweann.bridge.protocol import Header, body_hash, pack, pack_body
from tweann.bridge.settings import BridgeSettings
from tweann.interfaces import Immigrant

ME = identity("me")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def customs(clock: Clock | None = None, **settings: Any) -> Customs:
    found = BridgeSettings(bind="inproc://x", **settings)
    return Customs(found, ME, LAYOUT, DropOldest[Immigrant](4), clock or Clock())


def message(
    sequence: int, *values: float, body: bytes | None = None, **changes: Any
) -> list[bytes]:
    packed, n = pack_body([genome(value) for value in values], 10**6)
    packed = packed if body is None else body
    header = Header(
        kind="migrants",
        origin="far",
        run="run",
        task=TASK,
        randomness=b"f" * 16,
        boot=1,
        sequence=sequence,
        sent=time.time(),
        n=n,
        body=body_hash(packed),
    )
    return pack(replace(header, **changes), packed)


def test_migrants_pass_once() -> None:
    gate = customs()
    assert gate.receive(message(0, 1.0, 2.0))
    assert gate.receive(message(1, 2.0, 3.0))
    assert [i.peer for i in gate._inbox.take(9)] == ["far"] * 3
    assert gate.refused == {"duplicate": 1}
    assert (gate.n_received, gate.n_accepted) == (2, 3)


def test_what_left_from_here_does_not_come_back() -> None:
    gate = customs()
    gate.sent.add(genome(1.0).genome_id)
    assert gate.receive(message(0, 1.0))
    assert gate.refused == {"duplicate": 1}
    assert len(gate._inbox) == 0


def test_ones_own_messages_are_an_echo_and_another_process_of_ones_name_is_not() -> None:
    gate = customs()
    own = {"origin": "me", "randomness": ME.randomness}
    assert gate.receive(message(0, 1.0, boot=ME.boot, **own))
    assert gate.receive(message(0, 1.0, boot=ME.boot + 1, **own))
    assert gate.refused == {"echo": 1, "same_random_numbers": 1}
    assert "bridge.name" in gate.origins["me"].problem


def test_another_task_is_refused_with_a_reason() -> None:
    gate = customs()
    assert gate.receive(message(0, 1.0, task=b"u" * 16))
    assert gate.refused == {"other_task": 1}
    assert "task differs" in gate.origins["far"].data(0.0)["problem"]
    assert gate.receive(message(0, 1.0))
    assert gate.origins["far"].problem == ""


def test_old_messages_are_stale_and_gaps_are_counted_as_lost() -> None:
    gate = customs()
    for sequence in (5, 6, 6, 5, 9, 7):
        assert gate.receive(message(sequence, float(sequence)))
    assert gate.refused == {"stale": 3}
    assert gate.origins["far"].lost == 2
    assert gate.origins["far"].sequence == 9


def test_a_new_boot_begins_anew_and_an_old_one_cannot_be_played_again() -> None:
    gate = customs()
    for boot, sequence in ((1, 100), (2, 0), (2, 1), (1, 101), (2, 2)):
        gate.receive(message(sequence, boot=boot))
    assert gate.refused == {"stale": 1}
    assert gate.origins["far"].messages == 4


def test_boots_are_not_remembered_without_end() -> None:
    gate = customs(rate=1e9)
    for boot in range(1000):
        assert gate.receive(message(0, boot=boot))
    assert len(gate.origins["far"].boots) < 20


def test_who_sends_under_anothers_name_is_refused() -> None:
    gate = customs()
    assert not gate.receive(message(0, 1.0), sender="near")
    assert not gate.receive([*message(0, 1.0)[:3], b"near"], hub=True)
    assert not gate.receive([*message(0, 1.0)[:3], b"far"])  # only a hub stamps
    assert gate.refused == {"impersonation": 3}
    assert gate.receive(message(0, 1.0), sender="far")
    assert gate.receive([*message(1, 2.0)[:3], b"far"], hub=True)
    assert gate.n_accepted == 2


def test_bad_genomes_end_in_a_ban_and_a_ban_ends() -> None:
    clock = Clock()
    gate = customs(clock, strikes=3, ban_seconds=10.0)
    rubbish = message(0, 1.0, body=b"\x91\xc4\x01x")
    for sequence in range(3):
        assert not gate.receive(message(sequence, 1.0, body=b"\x91\xc4\x01x"))
    assert rubbish
    assert gate.refused == {"genome": 3}
    assert gate.receive(message(3, 1.0))
    assert gate.refused["banned"] == 1
    assert gate.origins["far"].data(clock.now)["banned"]
    clock.now += 11.0
    assert gate.receive(message(4, 1.0))
    assert gate.n_accepted == 1


def test_more_than_the_rate_is_dropped() -> None:
    clock = Clock()
    gate = customs(clock, rate=10.0)
    for sequence in range(100):
        gate.receive(message(sequence))
    assert gate.origins["far"].messages == 21
    assert gate.refused == {"rate": 79}
    clock.now += 1.0
    assert gate.receive(message(100))


def test_the_inbox_drops_the_oldest() -> None:
    gate = customs()
    gate.receive(message(0, *map(float, range(6))))
    assert [i.genome.weight[0] for i in gate._inbox.take(9)] == [2.0, 3.0, 4.0, 5.0]
    assert gate._inbox.n_dropped == 2


def test_there_is_room_for_so_many_peers_and_the_silent_make_way() -> None:
    clock = Clock()
    gate = customs(clock, max_peers=2, silence_seconds=1.0, heartbeat_seconds=0.1)
    for origin in "abc":
        assert gate.receive(message(0, origin=origin))
    assert set(gate.origins) == {"a", "b"}
    assert gate.refused == {"too_many_peers": 1}
    clock.now += 5.0
    gate.receive(message(1, origin="b"))
    clock.now += 6.0
    gate.receive(message(0, origin="c"))
    assert set(gate.origins) == {"b", "c"}


@pytest.mark.parametrize("skew", [0.0, 86_400.0, -86_400.0])
def test_a_clock_that_is_a_day_off_makes_no_lag(skew: float) -> None:
    gate = customs()
    for sequence, late in ((0, 0.5), (1, 0.1), (2, 0.3)):
        gate.receive(message(sequence, sent=time.time() + skew - late))
    assert gate.origins["far"].lag == pytest.approx(0.2, abs=0.05)


def test_a_message_that_is_none_is_the_senders_fault() -> None:
    gate = customs()
    assert not gate.receive([b"x"])
    assert gate.refused == {"frames": 1}
    assert gate.receive([message(0)[0], b"\x81\xa7version\x09", b"", b""])  # only newer
    assert gate.refused["version"] == 1
